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
	"time"
	"unicode/utf8"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	deadLettersDefault = 100
	deadLettersMax     = 1_000
	// bodiesMax bounds a page with bodies, each of which may have BodyBytesMax.
	bodiesMax = 100
	// failuresMax bounds the failures shown with one dead letter, latest kept.
	failuresMax = 100

	sqlDeadColumns = `SELECT d.message_id, d.queue, d.receives, d.last_error, d.dead_at,
			(SELECT MIN(f.at) FROM queue_failures f WHERE f.message_id = d.message_id AND f.queue = d.queue),
			(SELECT MAX(f.at) FROM queue_failures f WHERE f.message_id = d.message_id AND f.queue = d.queue),
			m.type, m.subject, m.trace_parent, m.created_at
		FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id WHERE d.state = 'dead' `

	sqlDeadAfter = `AND (d.dead_at, d.message_id, d.queue) > (?, ?, ?)`

	sqlDeadOrder = ` ORDER BY d.dead_at, d.message_id, d.queue LIMIT ?`

	sqlDeadOne = sqlDeadColumns + `AND d.message_id = ? AND d.queue = ?`

	sqlLatestDeath = `SELECT dead_at FROM queue_deliveries WHERE state = 'dead'
		ORDER BY dead_at DESC, message_id DESC, queue DESC LIMIT 1`

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

// DeadLetters is Desk.DeadLetters on a snapshot of its own.
func (q *Queue) DeadLetters(ctx context.Context, f driver.Filter) ([]driver.DeadLetter, string, error) {
	var letters []driver.DeadLetter
	var next string
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		var err error
		letters, next, err = q.Desk(tx).DeadLetters(ctx, f)
		return err
	})
	return letters, next, err
}

// DeadLetter is Desk.DeadLetter on a snapshot of its own.
func (q *Queue) DeadLetter(ctx context.Context, queue string, id driver.ID) (driver.DeadLetter, error) {
	var letter driver.DeadLetter
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		var err error
		letter, err = q.Desk(tx).DeadLetter(ctx, queue, id)
		return err
	})
	return letter, err
}

// Redrive is Desk.Redrive in a transaction of its own.
func (q *Queue) Redrive(ctx context.Context, queue string, id driver.ID) (bool, error) {
	var on string
	var done bool
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		var err error
		on, done, err = q.Desk(tx).Redrive(ctx, queue, id)
		return err
	})
	if err != nil {
		return false, err
	}
	q.Wake(on)
	return done, nil
}

// Discard is Desk.Discard in a transaction of its own.
func (q *Queue) Discard(ctx context.Context, queue string, id driver.ID, reason string) (bool, error) {
	var done bool
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		var err error
		_, done, err = q.Desk(tx).Discard(ctx, queue, id, reason)
		return err
	})
	return done && err == nil, err
}

// Desk is the dead-letter desk in a transaction, or on a snapshot, of the
// caller: what a person decides and the note that he did are one commit.
type Desk struct {
	queue *Queue
	tx    Execer
}

// Desk gives the desk in a transaction or on a snapshot.
func (q *Queue) Desk(tx Execer) Desk { return Desk{queue: q, tx: tx} }

// DeadLetters lists dead letters, the longest dead first, without failures.
// The cursor for the next page is "" at the end.
func (d Desk) DeadLetters(ctx context.Context, f driver.Filter) ([]driver.DeadLetter, string, error) {
	after, err := parseCursor(f.After)
	if err != nil {
		return nil, "", err
	}
	if f.Limit <= 0 {
		f.Limit = deadLettersDefault
	}
	f.Limit = min(f.Limit, deadLettersMax)
	if f.Bodies {
		f.Limit = min(f.Limit, bodiesMax)
	}
	query, args := deadPage(f, after)
	letters, err := selectDead(ctx, d.tx, query, args...)
	if err != nil {
		return nil, "", fmt.Errorf("list dead letters: %w", err)
	}
	next := ""
	if len(letters) > f.Limit {
		letters = letters[:f.Limit]
		next = cursorAt(letters[f.Limit-1]).String()
	}
	for i := range letters {
		if !f.Bodies {
			break
		}
		if err := addBody(ctx, d.tx, &letters[i]); err != nil {
			return nil, "", fmt.Errorf("list dead letters: %w", err)
		}
	}
	return letters, next, nil
}

// deadPage is the query for one page, and for one letter more: that tells
// whether there is a next page.
func deadPage(f driver.Filter, after cursor) (string, []any) {
	query, args := sqlDeadColumns+sqlDeadAfter, []any{after.deadAt, after.id[:], after.queue}
	for _, c := range []struct{ column, value string }{
		{"d.queue", f.Queue}, {"m.type", f.Type}, {"m.subject", f.Subject},
	} {
		if c.value != "" {
			query, args = query+` AND `+c.column+` = ?`, append(args, c.value)
		}
	}
	if !f.Until.IsZero() {
		query, args = query+` AND d.dead_at <= ?`, append(args, micros(f.Until))
	}
	return query + sqlDeadOrder, append(args, f.Limit+1)
}

// LatestDeath is when the dead letter at the end of the list died. Whoever
// walks the list to its end at this moment does not meet what dies again while
// he walks. It is zero when there is none.
func (d Desk) LatestDeath(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := each(ctx, d.tx, func(rows *sql.Rows) error {
		var deadAt int64
		if err := rows.Scan(&deadAt); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		at = fromMicros(deadAt)
		return nil
	}, sqlLatestDeath)
	return at, err
}

// DeadLetter gives one dead letter with its body and its latest failures. With
// queue "" the id alone has to say which is meant. The error is ErrNotFound,
// ErrNotDead or ErrAmbiguous of package driver.
func (d Desk) DeadLetter(ctx context.Context, queue string, id driver.ID) (driver.DeadLetter, error) {
	letter, err := d.letter(ctx, queue, id)
	if err != nil {
		return driver.DeadLetter{}, fmt.Errorf("dead letter %s: %w", id, err)
	}
	return letter, nil
}

func (d Desk) letter(ctx context.Context, queue string, id driver.ID) (driver.DeadLetter, error) {
	queue, err := deadOn(ctx, d.tx, queue, id)
	if err != nil {
		return driver.DeadLetter{}, err
	}
	letters, err := selectDead(ctx, d.tx, sqlDeadOne, id[:], queue)
	if err != nil {
		return driver.DeadLetter{}, err
	}
	if len(letters) == 0 {
		return driver.DeadLetter{}, driver.ErrNotDead
	}
	if err := addBody(ctx, d.tx, &letters[0]); err != nil {
		return driver.DeadLetter{}, err
	}
	return letters[0], addFailures(ctx, d.tx, &letters[0])
}

// Redrive puts a dead letter back on its queue, under the same id, as if it had
// never been received. It says which queue that is, for Wake after the commit,
// and whether it did: false, when the message is not a dead letter now, for
// instance because somebody redrove it already.
func (d Desk) Redrive(ctx context.Context, queue string, id driver.ID) (on string, done bool, err error) {
	on, done, err = d.settle(ctx, queue, id, sqlRedrive, micros(d.queue.leaseTime()))
	if err != nil {
		return "", false, fmt.Errorf("redrive %s: %w", id, err)
	}
	return on, done, nil
}

// Discard gives a dead letter up. It stays in the database, with the reason.
// It reports whether it did, as Redrive does.
func (d Desk) Discard(ctx context.Context, queue string, id driver.ID, reason string) (on string, done bool, err error) {
	on, done, err = d.settle(ctx, queue, id, sqlDiscard, micros(d.queue.now()), bounded(reason))
	if err != nil {
		return "", false, fmt.Errorf("discard %s: %w", id, err)
	}
	return on, done, nil
}

// settle runs one guarded update on a dead letter. It says which queue the
// message is on, and whether it was a dead letter.
func (d Desk) settle(ctx context.Context, queue string, id driver.ID, query string, set ...any) (string, bool, error) {
	on, err := deadOn(ctx, d.tx, queue, id)
	if err != nil {
		return "", false, err
	}
	n, err := d.tx.Exec(ctx, query, append(slices.Clip(set), id[:], on)...)
	return on, n > 0 && err == nil, err //nolint:wrapcheck // the callers say what they were doing.
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
		var first, last sql.Null[int64]
		err := rows.Scan(&id, &l.Queue, &l.Receives, &l.LastError, &deadAt, &first, &last, &l.Type, &l.Subject, &l.TraceParent, &created)
		if err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		copy(l.MessageID[:], id)
		l.DeadLetterQueue = l.Queue + driver.DeadLetterSuffix
		l.DeadAt, l.CreatedAt = fromMicros(deadAt), fromMicros(created)
		if first.Valid {
			l.FirstFailedAt, l.LastFailedAt = fromMicros(first.V), fromMicros(last.V)
		}
		letters = append(letters, l)
		return nil
	}, query, args...)
	return letters, err
}

func addBody(ctx context.Context, tx Execer, l *driver.DeadLetter) error {
	return each(ctx, tx, func(rows *sql.Rows) error {
		var body []byte
		if err := rows.Scan(&body); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		l.Body, l.BodyEncoding = showBody(body)
		return nil
	}, sqlBody, l.MessageID[:])
}

func addFailures(ctx context.Context, tx Execer, l *driver.DeadLetter) error {
	err := each(ctx, tx, func(rows *sql.Rows) error {
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
