package sqlqueue

import (
	"context"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	deadLettersDefault = 100
	deadLettersMax     = 1_000
	// failuresMax bounds the failures shown with one dead letter, latest kept.
	failuresMax = 100

	sqlDeadColumns = `SELECT d.message_id, d.queue, d.receives, d.last_error, d.dead_at,
			m.type, m.subject, m.trace_parent, m.created_at
		FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id WHERE d.state = 'dead' `

	sqlDeadPage = sqlDeadColumns + `AND (d.dead_at, d.message_id, d.queue) > (?, ?, ?) AND (? = '' OR d.queue = ?)
		ORDER BY d.dead_at, d.message_id, d.queue LIMIT ?`

	sqlDeadOne = sqlDeadColumns + `AND d.message_id = ? AND d.queue = ?`

	sqlBody = `SELECT body FROM queue_messages WHERE id = ?`

	sqlFailures = `SELECT receive, at, error FROM queue_failures
		WHERE message_id = ? AND queue = ? ORDER BY claim DESC LIMIT ?`

	sqlWhere = `SELECT queue, state FROM queue_deliveries
		WHERE message_id = ? AND (? = '' OR queue = ?) ORDER BY queue`

	sqlRedrive = `UPDATE queue_deliveries
		SET state = 'waiting', receives = 0, visible_at = ?, dead_at = NULL, told_in = NULL
		WHERE message_id = ? AND queue = ? AND state = 'dead'`

	sqlDiscard = `UPDATE queue_deliveries SET state = 'discarded', discarded_at = ?, discard_reason = ?
		WHERE message_id = ? AND queue = ? AND state = 'dead'`
)

// DeadLetters lists dead letters, the longest dead first, without bodies and
// failures. The cursor for the next page is "" at the end.
func (q *Queue) DeadLetters(ctx context.Context, f driver.Filter) ([]driver.DeadLetter, string, error) {
	after, err := parseCursor(f.After)
	if err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 {
		f.Limit = deadLettersDefault
	}
	f.Limit = min(f.Limit, deadLettersMax)
	var letters []driver.DeadLetter
	err = q.view(ctx, func(ctx context.Context, tx Execer) error {
		letters, err = selectDead(ctx, tx, sqlDeadPage,
			after.deadAt, after.id[:], after.queue, f.Queue, f.Queue, f.Limit+1) // one more tells whether there is a next page
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	if len(letters) <= f.Limit {
		return letters, "", nil
	}
	return letters[:f.Limit], cursorAt(letters[f.Limit-1]).String(), nil
}

// DeadLetter gives one dead letter with its body and its latest failures. With
// queue "" the id alone has to say which is meant. The error is ErrNotFound
// or ErrAmbiguous of package driver.
func (q *Queue) DeadLetter(ctx context.Context, queue string, id driver.ID) (driver.DeadLetter, error) {
	var letter driver.DeadLetter
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		queue, err := deadOn(ctx, tx, queue, id)
		if err != nil {
			return err
		}
		letters, err := selectDead(ctx, tx, sqlDeadOne, id[:], queue)
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			return driver.ErrNotFound
		}
		letter = letters[0]
		return addContent(ctx, tx, &letter)
	})
	if err != nil {
		return driver.DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	return letter, nil
}

// Redrive puts a dead letter back on its queue, under the same id, as if it had
// never been received. It reports whether it did: false, when the message is
// not a dead letter now, for instance because somebody redrove it already.
func (q *Queue) Redrive(ctx context.Context, queue string, id driver.ID) (bool, error) {
	on, done, err := q.settleDead(ctx, queue, id, sqlRedrive, micros(q.leaseTime()))
	if err != nil {
		return false, fmt.Errorf("redrive %s: %w", id, err)
	}
	q.Wake(on)
	return done, nil
}

// Discard gives a dead letter up. It stays in the database, with the reason.
// It reports whether it did, as Redrive does.
func (q *Queue) Discard(ctx context.Context, queue string, id driver.ID, reason string) (bool, error) {
	_, done, err := q.settleDead(ctx, queue, id, sqlDiscard, micros(q.now()), bounded(reason))
	if err != nil {
		return false, fmt.Errorf("discard %s: %w", id, err)
	}
	return done, nil
}

// settleDead runs one guarded update on a dead letter. It says which queue the
// message is on, and whether it was a dead letter.
func (q *Queue) settleDead(
	ctx context.Context, queue string, id driver.ID, query string, set ...any,
) (string, bool, error) {
	var on string
	var done bool
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		var err error
		if on, err = deadOn(ctx, tx, queue, id); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, query, append(slices.Clip(set), id[:], on)...)
		done = n > 0
		return err //nolint:wrapcheck // the callers say what they were doing.
	})
	return on, done && err == nil, err
}

// deadOn finds the queue that a message is a dead letter of. A message that is
// on a queue but not dead gives that queue all the same: it was once, perhaps.
func deadOn(ctx context.Context, tx Execer, queue string, id driver.ID) (string, error) {
	var all, dead []string
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var on, state string
		if err := rows.Scan(&on, &state); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		all = append(all, on)
		if state == "dead" {
			dead = append(dead, on)
		}
		return nil
	}, sqlWhere, id[:], queue, queue)
	switch {
	case err != nil:
		return "", err
	case len(all) == 0:
		return "", driver.ErrNotFound
	case len(dead) > 1:
		return "", fmt.Errorf("%w: %s", driver.ErrAmbiguous, strings.Join(dead, ", "))
	case len(dead) == 1:
		return dead[0], nil
	}
	return all[0], nil
}

func selectDead(ctx context.Context, tx Execer, query string, args ...any) ([]driver.DeadLetter, error) {
	var letters []driver.DeadLetter
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var l driver.DeadLetter
		var id []byte
		var deadAt, created int64
		err := rows.Scan(&id, &l.Queue, &l.Receives, &l.LastError, &deadAt, &l.Type, &l.Subject, &l.TraceParent, &created)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		copy(l.MessageID[:], id)
		l.DeadLetterQueue = l.Queue + driver.DeadLetterSuffix
		l.DeadAt, l.CreatedAt = fromMicros(deadAt), fromMicros(created)
		letters = append(letters, l)
		return nil
	}, query, args...)
	return letters, err
}

func addContent(ctx context.Context, tx Execer, l *driver.DeadLetter) error {
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		l.Body, l.BodyEncoding = showBody(body)
		return nil
	}, sqlBody, l.MessageID[:])
	if err != nil {
		return err
	}
	err = each(ctx, tx, func(rows *sql.Rows) error {
		var f driver.Failure
		var at int64
		if err := rows.Scan(&f.Receive, &at, &f.Error); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		f.At = fromMicros(at)
		l.Failures = append(l.Failures, f)
		return nil
	}, sqlFailures, l.MessageID[:], l.Queue, failuresMax)
	slices.Reverse(l.Failures)
	return err
}

// showBody makes JSON of any bytes, so that a person sees what is there.
func showBody(body []byte) (json.RawMessage, driver.BodyEncoding) {
	if json.Valid(body) {
		return body, driver.BodyJSON
	}
	text, encoding := string(body), driver.BodyText
	if !utf8.Valid(body) {
		text, encoding = base64.StdEncoding.EncodeToString(body), driver.BodyBase64
	}
	shown, err := json.Marshal(text)
	if err != nil { // a string always has a JSON form
		return json.RawMessage(`""`), encoding
	}
	return shown, encoding
}

// cursor is a place in the list of dead letters: after this one.
type cursor struct {
	deadAt int64
	id     driver.ID
	queue  string
}

const cursorSeparator = "_"

func cursorAt(l driver.DeadLetter) cursor {
	return cursor{deadAt: micros(l.DeadAt), id: l.MessageID, queue: l.Queue}
}

func (c cursor) String() string {
	return strings.Join([]string{strconv.FormatInt(c.deadAt, 10), c.id.String(), c.queue}, cursorSeparator)
}

func parseCursor(s string) (cursor, error) {
	if s == "" {
		return cursor{deadAt: math.MinInt64}, nil
	}
	parts := strings.SplitN(s, cursorSeparator, 3)
	if len(parts) != 3 {
		return cursor{}, driver.ErrCursor
	}
	deadAt, err := strconv.ParseInt(parts[0], 10, 64)
	if err != nil {
		return cursor{}, driver.ErrCursor
	}
	id, err := driver.ParseID(parts[1])
	if err != nil {
		return cursor{}, driver.ErrCursor
	}
	return cursor{deadAt: deadAt, id: id, queue: parts[2]}, nil
}
