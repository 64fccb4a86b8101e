package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	sqlEarliest = `SELECT visible_at FROM queue_deliveries
		WHERE queue = ? AND state = 'waiting' ORDER BY visible_at LIMIT 1`

	// The content is read afterwards: of two tables both rows would be locked.
	sqlVisible = `SELECT message_id, claim, claimed, receives, last_error
		FROM queue_deliveries /*! FORCE INDEX (queue_deliveries_visible) */
		WHERE queue = ? AND state = 'waiting' AND visible_at <= ?
		ORDER BY visible_at, message_id LIMIT ? FOR UPDATE SKIP LOCKED`

	sqlContent = `SELECT id, type, subject, trace_parent, created_at, body FROM queue_messages WHERE id IN `

	sqlTake = `UPDATE queue_deliveries
		SET claim = claim + 1, claimed = 1, receives = receives + 1, visible_at = ?, last_error = ?,
			first_received_at = COALESCE(first_received_at, ?)
		WHERE message_id = ? AND queue = ? AND state = 'waiting' AND claim = ? AND visible_at <= ?`

	// causeUnanswered is recorded for a receive that nobody answered.
	causeUnanswered = "no answer within the visibility timeout: the handler was too slow, or its process ended"

	// raceLostPause keeps two consumers that look at one message from spinning.
	raceLostPause = time.Millisecond
	// nothingDue is longer than any poll interval.
	nothingDue = time.Duration(math.MaxInt64)
)

// Receive takes visible messages, as driver.Driver says.
func (q *Queue) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	end := time.NewTimer(max(r.Wait, 0))
	defer end.Stop()
	for {
		woken := q.wakes.next(queue) // before the look, so that no wake is lost
		due, err := q.untilDue(ctx, queue)
		if err != nil {
			return nil, fmt.Errorf("look at %s: %w", queue, err)
		}
		if due <= 0 {
			taken, err := q.claim(ctx, queue, r)
			if err != nil || len(taken) > 0 {
				return taken, err
			}
		}
		if r.Wait <= 0 || !q.pause(ctx, woken, due, end.C) {
			return nil, ctx.Err() //nolint:wrapcheck // the caller's own context.
		}
	}
}

// pause waits until there may be something; false when there is no time left.
func (q *Queue) pause(ctx context.Context, woken <-chan struct{}, due time.Duration, end <-chan time.Time) bool {
	next := time.NewTimer(max(min(due, q.poll), raceLostPause))
	defer next.Stop()
	select {
	case <-woken:
		return true
	case <-next.C:
		return true
	case <-end:
		return false
	case <-ctx.Done():
		return false
	}
}

// untilDue looks, without writing, how long it is until a message is visible.
func (q *Queue) untilDue(ctx context.Context, queue string) (time.Duration, error) {
	due := nothingDue
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		return each(ctx, tx, func(rows *sql.Rows) error {
			var visibleAt int64
			if err := rows.Scan(&visibleAt); err != nil {
				return fmt.Errorf("scan: %w", err)
			}
			due = fromMicros(visibleAt).Sub(q.leaseTime())
			return nil
		}, sqlEarliest, queue)
	})
	return due, err
}

// claim takes messages. Once begun it is not cancelled with ctx: a claim that
// was committed but never returned would keep its messages invisible.
func (q *Queue) claim(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	if err := ctx.Err(); err != nil {
		return nil, err //nolint:wrapcheck // the caller's own context.
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), claimTimeout)
	defer cancel()
	var taken []driver.Delivery
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		taken = nil // the store may run this again
		now := q.leaseTime()
		found, err := visible(ctx, tx, queue, now, r.Max)
		if err != nil {
			return err
		}
		for _, c := range found {
			ok, err := q.take(ctx, tx, c, now, r.Visibility)
			if err != nil {
				return fmt.Errorf("message %s: %w", c.delivery.ID, err)
			}
			if ok {
				taken = append(taken, c.delivery)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("claim from %s: %w", queue, err)
	}
	return taken, nil
}

// candidate is a message that may be taken, and how it stood when it was seen.
type candidate struct {
	delivery  driver.Delivery // as it will be once it is taken
	claim     int64
	claimed   bool // by somebody who never answered
	lastError string
}

// visible gives what can be taken; of several who ask at once, no two see the
// same.
func visible(ctx context.Context, tx Execer, queue string, now time.Time, most int) ([]candidate, error) {
	var found []candidate
	var ids []any
	err := each(ctx, tx, func(rows *sql.Rows) error {
		c := candidate{delivery: driver.Delivery{Queue: queue}}
		d := &c.delivery
		var id []byte
		if err := rows.Scan(&id, &c.claim, &c.claimed, &d.Receives, &c.lastError); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		copy(d.ID[:], id)
		d.Receives++
		d.Handle = strconv.FormatInt(c.claim+1, 10)
		found = append(found, c)
		ids = append(ids, d.ID[:])
		return nil
	}, sqlVisible, queue, micros(now), min(max(most, 1), receiveMax))
	if err != nil || len(found) == 0 {
		return nil, err
	}
	return found, addMessages(ctx, tx, found, ids)
}

// addMessages reads what the deliveries are of.
func addMessages(ctx context.Context, tx Execer, found []candidate, ids []any) error {
	messages := make(map[driver.ID]driver.Message, len(found))
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var m driver.Message
		var id []byte
		var created int64
		if err := rows.Scan(&id, &m.Type, &m.Subject, &m.TraceParent, &created, &m.Body); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		copy(m.ID[:], id)
		m.Time = fromMicros(created)
		messages[m.ID] = m
		return nil
	}, sqlContent+places(len(ids)), ids...)
	for i := range found {
		d := &found[i].delivery
		d.Message = messages[d.ID]
	}
	return err
}

func (q *Queue) take(
	ctx context.Context, tx Execer, c candidate, now time.Time, visibility time.Duration,
) (bool, error) {
	d := c.delivery
	if c.claimed {
		c.lastError = causeUnanswered
	}
	n, err := tx.Exec(ctx, sqlTake, micros(now.Add(visibility)), c.lastError, micros(q.now()),
		d.ID[:], d.Queue, c.claim, micros(now))
	if err != nil || n == 0 {
		return false, err //nolint:wrapcheck // claim says which message it was.
	}
	if c.claimed {
		return true, q.recordFailure(ctx, tx, d, c.claim, d.Receives-1, causeUnanswered)
	}
	return true, nil
}

// each runs a query and calls scan for every row. The rows are closed before
// it returns: a transaction has one connection, and the next statement needs it.
func each(ctx context.Context, tx Execer, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("query: %w", err)
	}
	defer rows.Close() // Err below has what went wrong.
	for rows.Next() {
		if err := scan(rows); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("rows: %w", err)
	}
	return nil
}
