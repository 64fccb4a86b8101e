package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// What a queue that is a copy for one receiver needs beside the others: whoever
// keeps a list of its messages asks what became of each, sends it again, or
// forgets the queue with all of them.

const (
	sqlFate = `SELECT state, visible_at FROM queue_deliveries WHERE message_id = ? AND queue = ?`

	sqlAgain = `UPDATE queue_deliveries
		SET state = 'waiting', receives = 0, visible_at = ?, done_at = NULL, dead_at = NULL, told_in = NULL,
			discarded_at = NULL, discard_reason = ''
		WHERE message_id = ? AND queue = ? AND state <> 'waiting'`

	sqlForget = `DELETE FROM queue_deliveries WHERE message_id = ? AND queue = ?`

	sqlForgetFailures = `DELETE FROM queue_failures WHERE message_id = ? AND queue = ?`

	sqlForgetMessage = `DELETE FROM queue_messages WHERE id = ?
		AND NOT EXISTS (SELECT 1 FROM queue_deliveries WHERE message_id = queue_messages.id)`

	sqlForgetTotals = `DELETE FROM queue_totals WHERE queue = ? AND NOT EXISTS (
		SELECT 1 FROM queue_deliveries WHERE queue_deliveries.queue = queue_totals.queue)`
)

// Fate is what became of a message on a queue.
type Fate struct {
	State  string // waiting, done, dead or discarded; "" when the queue does not have it
	NextAt time.Time
}

// Fate tells what became of a message.
func (d Desk) Fate(ctx context.Context, queue string, id driver.ID) (Fate, error) {
	var f Fate
	err := each(ctx, d.tx, func(rows *sql.Rows) error {
		var visibleAt int64
		if err := rows.Scan(&f.State, &visibleAt); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		f.NextAt = fromMicros(visibleAt)
		return nil
	}, sqlFate, id[:], queue)
	return f, err
}

// Failures gives the latest failed deliveries of a message.
func (d Desk) Failures(ctx context.Context, queue string, id driver.ID) ([]driver.Failure, error) {
	l := driver.DeadLetter{MessageID: id, Queue: queue}
	err := addFailures(ctx, d.tx, &l)
	return l.Failures, err
}

// Again puts a message that is done, dead or discarded on its queue once more, as
// if it had never been received. It reports whether it did: false when the
// message is waiting, or the queue does not have it. The caller calls Wake after
// its commit.
func (d Desk) Again(ctx context.Context, queue string, id driver.ID) (bool, error) {
	n, err := d.tx.Exec(ctx, sqlAgain, micros(d.queue.leaseTime()), id[:], queue)
	if err != nil {
		return false, fmt.Errorf("send %s again: %w", id, err)
	}
	return n > 0, nil
}

// Forget removes messages from a queue, whatever became of them.
func (d Desk) Forget(ctx context.Context, queue string, ids []driver.ID) error {
	for _, id := range ids {
		n, err := d.tx.Exec(ctx, sqlForget, id[:], queue)
		if err != nil {
			return fmt.Errorf("forget %s: %w", id, err)
		}
		if _, err := d.tx.Exec(ctx, sqlForgetFailures, id[:], queue); err != nil {
			return fmt.Errorf("forget the failures of %s: %w", id, err)
		}
		if _, err := d.tx.Exec(ctx, sqlForgetMessage, id[:]); err != nil {
			return fmt.Errorf("forget message %s: %w", id, err)
		}
		if n == 0 {
			continue
		}
		if _, err := d.tx.Exec(ctx, sqlRaisePurged, n, queue); err != nil {
			return fmt.Errorf("count what was forgotten: %w", err)
		}
	}
	return nil
}

// ForgetQueue removes what is left of a queue that has no messages.
func (d Desk) ForgetQueue(ctx context.Context, queue string) error {
	if _, err := d.tx.Exec(ctx, sqlForgetTotals, queue); err != nil {
		return fmt.Errorf("forget queue %s: %w", queue, err)
	}
	return nil
}
