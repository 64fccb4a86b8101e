package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/restock/restock"
)

// eventScanMax bounds the events that are looked at for one page of some types.
const eventScanMax = 10_000

// logEvents writes the events of this act into the log. The row with the last
// number stays locked until the commit, so numbers are given in the order of the
// commits: a reader who has seen one has seen all before it, and no cursor can
// step over an event that commits late. It is the last lock of all acts, so
// nobody waits in a circle.
func (t *tx) logEvents(ctx context.Context, letters []letter) error {
	if len(letters) == 0 {
		return nil
	}
	if err := t.must(ctx, `UPDATE event_log SET last_seq = last_seq + ? WHERE id = 1`, len(letters)); err != nil {
		return fmt.Errorf("number the events: %w", err)
	}
	var last int64
	if err := t.one(ctx, `SELECT last_seq FROM event_log WHERE id = 1`, nil, &last); err != nil {
		return fmt.Errorf("number the events: %w", err)
	}
	seq := last - int64(len(letters))
	for _, l := range letters {
		seq++
		m := l.message
		if err := t.must(ctx, `INSERT INTO events (seq, id, type, subject, trace_parent, body, created_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
			seq, m.ID[:], m.Type, m.Subject, m.TraceParent, m.Body, micros(m.Time)); err != nil {
			return fmt.Errorf("log event %s: %w", m.Type, err)
		}
	}
	t.logged = true
	return nil
}

// EventsLogged signals when there may be a new event. It can miss events of other
// processes, so who waits here also looks on a timer.
func (s *Store) EventsLogged() <-chan struct{} { return s.events }

// seqEvent is an event and its number in the log.
type seqEvent struct {
	restock.Event

	seq  int64
	body []byte
}

const eventColumns = `SELECT seq, id, type, subject, trace_parent, body, created_at FROM events`

func scanEvent(rows *sql.Rows) (seqEvent, error) {
	var e seqEvent
	err := rows.Scan(&e.seq, &e.ID, &e.Type, &e.Subject, &e.TraceParent, &e.body, instant{&e.Time})
	return e, err
}

// Events gives a part of the log in the order of the commits. The error has
// CodeEventsGone when what comes after the cursor is not all kept any more, and is
// of kind Invalid when the cursor is none.
func (s *Store) Events(ctx context.Context, q restock.EventQuery) (restock.EventPage, error) {
	if q.Limit <= 0 {
		q.Limit = listLimit
	}
	var page restock.EventPage
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var last, purged int64
		if err := tx.one(ctx, `SELECT last_seq, purged_through FROM event_log WHERE id = 1`, nil, &last, &purged); err != nil {
			return err
		}
		after, err := eventCursor(q.After, last, purged)
		if err != nil {
			return err
		}
		through := min(last, after+eventScanMax)
		events, err := tx.eventsAfter(ctx, after, through, q.Types, q.Limit)
		if err != nil {
			return err
		}
		// A snapshot of one statement each, on some databases: what was removed
		// before the events were read is known now.
		if err := tx.one(ctx, `SELECT purged_through FROM event_log WHERE id = 1`, nil, &purged); err != nil {
			return err
		}
		if after < purged {
			return eventsGone(q.After)
		}
		page = restock.EventPage{Items: make([]restock.Event, 0, len(events))}
		for _, e := range events {
			if err := json.Unmarshal(e.body, &e.Data); err != nil {
				return fmt.Errorf("event %s: %w", e.ID, err)
			}
			page.Items = append(page.Items, e.Event)
		}
		if len(events) == q.Limit {
			through = events[len(events)-1].seq
		}
		page.Next, page.More = strconv.FormatInt(through, 10), through < last
		return nil
	})
	return page, err
}

// eventCursor reads a cursor. One from the future is of another database.
func eventCursor(text string, last, purged int64) (int64, error) {
	switch text {
	case "":
		return purged, nil
	case restock.EventsLatest:
		return last, nil
	}
	after, err := strconv.ParseInt(text, 10, 64)
	switch {
	case err != nil || after < 0:
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"after is no cursor of events; send what the answer before gave as next, or %s, or leave it out", restock.EventsLatest)
	case after > last:
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"after is beyond the last event, so it is from another database; begin anew without it, or with %s", restock.EventsLatest)
	case after < purged:
		return 0, eventsGone(text)
	}
	return after, nil
}

func eventsGone(after string) error {
	return restock.Errorf(restock.NotFound, restock.CodeEventsGone,
		"some of the events after %q are not kept any more; read the present state of what you follow, then go on without after, or with %s", after, restock.EventsLatest)
}

func (t *tx) eventsAfter(ctx context.Context, after, through int64, types []restock.EventType, limit int) ([]seqEvent, error) {
	query, args := eventColumns+` WHERE seq > ? AND seq <= ?`, []any{after, through}
	if len(types) > 0 {
		query += ` AND type IN (` + places(len(types)) + `)`
		for _, typ := range types {
			args = append(args, string(typ))
		}
	}
	return collect(ctx, t, query+` ORDER BY seq LIMIT ?`, append(args, limit), scanEvent)
}

// PurgeEvents removes up to limit events that are older than before, from the
// beginning of the log, and gives how many there were. What is not in the queue
// of every subscription yet stays.
func (s *Store) PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error) {
	var through int64
	var n int
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var least sql.Null[int64]
		if err := tx.one(ctx, `SELECT MIN(after_seq) FROM webhooks WHERE deleted_at IS NULL`, nil, &least); err != nil {
			return err
		}
		oldest, err := collect(ctx, tx, eventColumns+` ORDER BY seq LIMIT ?`, []any{limit}, scanEvent)
		if err != nil {
			return err
		}
		n = len(oldest)
		if end := slices.IndexFunc(oldest, func(e seqEvent) bool {
			return !e.Time.Before(before) || least.Valid && e.seq > least.V
		}); end >= 0 {
			n = end
		}
		if n > 0 {
			through = oldest[n-1].seq
		}
		return nil
	})
	if err != nil || n == 0 {
		return 0, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		// First the mark, which who reads looks at last.
		if err := tx.must(ctx, `UPDATE event_log SET purged_through = CASE WHEN purged_through < ? THEN ? ELSE purged_through END WHERE id = 1`,
			through, through); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `DELETE FROM events WHERE seq <= ?`, through)
		return err
	})
	return n, err
}
