package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"github.com/restock/restock/internal/queue/driver"
)

// With a broker, the messages lie there, and what failed is told here: the
// failures as they happen, the dead letters when they are collected.

// ErrBusy says that a message cannot be buried now: it is just on its way back
// to its queue. Whoever has the copy keeps it and tries again.
var ErrBusy = errors.New("the message is on its way to its queue again")

const (
	sqlNextFailure = `SELECT COALESCE(MAX(claim), 0) + 1 FROM queue_failures WHERE message_id = ? AND queue = ?`

	sqlBuried = `SELECT state, claimed, buried_copy FROM queue_deliveries WHERE message_id = ? AND queue = ? FOR UPDATE`

	sqlInsertDead = `INSERT INTO queue_deliveries (message_id, queue, state, receives, visible_at, last_error, dead_at, buried_copy)
		VALUES (?, ?, 'dead', ?, ?, ?, ?, ?)`

	sqlDeadAgain = `UPDATE queue_deliveries SET state = 'dead', receives = ?, last_error = ?, dead_at = ?, buried_copy = ?,
			done_at = NULL, told_in = NULL
		WHERE message_id = ? AND queue = ? AND state = 'done'`
)

// RecordFailure notes a delivery by a broker that failed.
func (q *Queue) RecordFailure(ctx context.Context, d driver.Delivery, cause string) error {
	cause = bounded(cause)
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		next, err := column[int64](ctx, tx, sqlNextFailure, d.ID[:], d.Queue)
		if err != nil {
			return err
		}
		return q.recordFailure(ctx, tx, d, next[0], d.Receives, cause)
	})
	if err != nil {
		return fmt.Errorf("record a failure of message %s: %w", d.ID, err)
	}
	return nil
}

// Bury makes a message from a broker's dead-letter queue a dead letter of its
// queue here, once for each copy. A message that is waiting here is left: it
// goes to the broker again in any case. What a person discarded stays so.
func (q *Queue) Bury(ctx context.Context, queue string, d driver.Delivery) error {
	cause := d.Cause
	if cause == "" {
		cause = causeUnanswered
	}
	cause = bounded(cause)
	err := q.update(ctx, func(ctx context.Context, tx Execer) error {
		var state, copied string
		var claimed bool
		found := false
		err := each(ctx, tx, func(rows *sql.Rows) error {
			found = true
			return rows.Scan(&state, &claimed, &copied) //nolint:wrapcheck // wrapped below.
		}, sqlBuried, d.ID[:], queue)
		switch {
		case err != nil:
			return err
		case !found:
			return q.buryFirst(ctx, tx, queue, d, cause)
		case state == "waiting" && claimed:
			return ErrBusy // the relay may have sent it already, and this be what became of it
		case state == "done" && copied != d.Copy:
			_, err := tx.Exec(ctx, sqlDeadAgain, d.Receives, cause, micros(q.now()), d.Copy, d.ID[:], queue)
			return err //nolint:wrapcheck // wrapped below.
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("bury message %s of %s: %w", d.ID, queue, err)
	}
	return nil
}

func (q *Queue) buryFirst(ctx context.Context, tx Execer, queue string, d driver.Delivery, cause string) error {
	// What the broker took is not too large to keep.
	if err := q.insertMessage(ctx, tx, d.Message); err != nil {
		return err
	}
	now := q.now()
	_, err := tx.Exec(ctx, sqlInsertDead, d.ID[:], queue, d.Receives, micros(now), cause, micros(now), d.Copy)
	if err != nil {
		return err //nolint:wrapcheck // Bury says which message it was.
	}
	return raisePublished(ctx, tx, queue)
}
