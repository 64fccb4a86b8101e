package sqlqueue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/restock/restock/internal/queue/driver"
)

// Every answer takes a row from its holder, so every answer proves that it
// still is the holder: same claim, and not answered before.
const (
	sqlHeld = ` WHERE message_id = ? AND queue = ? AND state = 'waiting' AND claim = ? AND claimed = 1`

	sqlDone   = `UPDATE queue_deliveries SET state = 'done', claimed = 0, done_at = ?` + sqlHeld
	sqlRetry  = `UPDATE queue_deliveries SET claimed = 0, visible_at = ?, last_error = ?` + sqlHeld
	sqlLater  = `UPDATE queue_deliveries SET claimed = 0, visible_at = ?, receives = receives - 1` + sqlHeld
	sqlDead   = `UPDATE queue_deliveries SET state = 'dead', claimed = 0, dead_at = ?, last_error = ?` + sqlHeld
	sqlExtend = `UPDATE queue_deliveries SET visible_at = ?` + sqlHeld

	sqlInsertFailure = `INSERT INTO queue_failures (message_id, queue, claim, receive, at, error)
		VALUES (?, ?, ?, ?, ?, ?)`
)

// Done says that the message is handled.
func (q *Queue) Done(ctx context.Context, d driver.Delivery) error {
	return q.answer(ctx, d, "", sqlDone, micros(q.now()))
}

// Retry makes the message visible after delay and records the cause.
func (q *Queue) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, cause string) error {
	cause = bounded(cause)
	err := q.answer(ctx, d, cause, sqlRetry, micros(q.leaseTime().Add(delay)), cause)
	q.Wake(d.Queue) // who waits must learn of the new time
	return err
}

// Later makes the message visible after delay and gives the receive back.
func (q *Queue) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	err := q.answer(ctx, d, "", sqlLater, micros(q.leaseTime().Add(delay)))
	q.Wake(d.Queue)
	return err
}

// Dead makes the message a dead letter of its queue.
func (q *Queue) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	cause = bounded(cause)
	return q.answer(ctx, d, cause, sqlDead, micros(q.now()), cause)
}

// Extend keeps the message invisible for visibility from now on.
func (q *Queue) Extend(ctx context.Context, d driver.Delivery, visibility time.Duration) error {
	return q.answer(ctx, d, "", sqlExtend, micros(q.leaseTime().Add(visibility)))
}

// answer runs one guarded update, and records a failure when there is a cause.
// A stale answer changes nothing, so it commits like any other: failing the
// transaction would only disturb those that share it.
func (q *Queue) answer(ctx context.Context, d driver.Delivery, cause, query string, set ...any) error {
	claim, err := strconv.ParseInt(d.Handle, 10, 64)
	if err != nil {
		return fmt.Errorf("handle %q of message %s: %w", d.Handle, d.ID, driver.ErrStale)
	}
	var held bool
	err = q.update(ctx, func(ctx context.Context, tx Execer) error {
		n, err := tx.Exec(ctx, query, append(slices.Clip(set), d.ID[:], d.Queue, claim)...)
		held = n > 0
		if err != nil || !held || cause == "" {
			return err //nolint:wrapcheck // wrapped below.
		}
		return q.recordFailure(ctx, tx, d, claim, d.Receives, cause)
	})
	if err != nil {
		return fmt.Errorf("answer for message %s: %w", d.ID, err)
	}
	if !held {
		return fmt.Errorf("answer for message %s: %w", d.ID, driver.ErrStale)
	}
	return nil
}

func (q *Queue) recordFailure(
	ctx context.Context, tx Execer, d driver.Delivery, claim int64, receive int, cause string,
) error {
	_, err := tx.Exec(ctx, sqlInsertFailure, d.ID[:], d.Queue, claim, receive, micros(q.now()), cause)
	if err != nil {
		return fmt.Errorf("record the failed receive %d: %w", receive, err)
	}
	return nil
}

// bounded makes an error text that can be stored: valid UTF-8, not empty, and
// of at most ErrorBytesMax bytes.
func bounded(text string) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if text == "" {
		return "no cause given"
	}
	if len(text) <= ErrorBytesMax {
		return text
	}
	end := ErrorBytesMax
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}
