package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"
)

// purgeMax bounds one slice of a purge, which is one write transaction.
const purgeMax = 500

const (
	sqlQueues = `SELECT queue FROM queue_totals ORDER BY queue`

	sqlExpired = `SELECT message_id FROM queue_deliveries
		WHERE queue = ? AND state = 'done' AND done_at < ? ORDER BY done_at LIMIT ?`

	// Failures of deliveries by a broker that did not end in a dead letter.
	sqlStrayFailures = `SELECT message_id, queue, claim FROM queue_failures f WHERE at < ? AND NOT EXISTS (
		SELECT 1 FROM queue_deliveries d WHERE d.message_id = f.message_id AND d.queue = f.queue) ORDER BY at LIMIT ?`

	sqlForgetFailure = `DELETE FROM queue_failures WHERE message_id = ? AND queue = ? AND claim = ?`

	sqlRaisePurged = `UPDATE queue_totals SET purged = purged + ? WHERE queue = ?`
)

// expired is what can be removed from one queue.
type expired struct {
	queue string
	ids   []any // arguments of statements
}

// Purge removes messages that were done before a time: at most limit, and at
// most 500 at once (also for limit 0), so that the one writer is never held for
// long. It gives how many went; call it again until that is 0. Dead letters and what a person
// discarded stay.
func (q *Queue) Purge(ctx context.Context, before time.Time, limit int) (int, error) {
	if limit <= 0 || limit > purgeMax {
		limit = purgeMax
	}
	found, err := q.expired(ctx, before, limit)
	if err != nil {
		return 0, err
	}
	if len(found) == 0 {
		return q.purgeStrays(ctx, before, limit)
	}
	var removed int64
	err = q.update(ctx, func(ctx context.Context, tx Execer) error {
		removed = 0 // the store may run this again
		for _, e := range found {
			n, err := e.remove(ctx, tx)
			if err != nil {
				return fmt.Errorf("queue %s: %w", e.queue, err)
			}
			removed += n
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("purge: %w", err)
	}
	return int(removed), nil
}

// purgeStrays removes failures that nothing else takes along.
func (q *Queue) purgeStrays(ctx context.Context, before time.Time, limit int) (int, error) {
	var strays [][]any
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		strays = nil
		return each(ctx, tx, func(rows *sql.Rows) error {
			var id []byte
			var queue string
			var claim int64
			if err := rows.Scan(&id, &queue, &claim); err != nil {
				return fmt.Errorf("scan: %w", err)
			}
			strays = append(strays, []any{id, queue, claim})
			return nil
		}, sqlStrayFailures, micros(before), limit)
	})
	if err != nil || len(strays) == 0 {
		return 0, err
	}
	err = q.update(ctx, func(ctx context.Context, tx Execer) error {
		for _, stray := range strays {
			if _, err := tx.Exec(ctx, sqlForgetFailure, stray...); err != nil {
				return err //nolint:wrapcheck // wrapped below.
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("purge failures: %w", err)
	}
	return len(strays), nil
}

// expired looks for what can go, without writing. Nothing leaves the state done
// but by a purge, so what is found stays true.
func (q *Queue) expired(ctx context.Context, before time.Time, limit int) ([]expired, error) {
	var found []expired
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		found = nil
		queues, err := column[string](ctx, tx, sqlQueues)
		if err != nil {
			return err
		}
		left := limit
		for _, queue := range queues {
			ids, err := column[[]byte](ctx, tx, sqlExpired, queue, micros(before), left)
			if err != nil {
				return err
			}
			if len(ids) > 0 {
				found = append(found, expired{queue: queue, ids: anys(ids)})
				left -= len(ids)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("look for what to purge: %w", err)
	}
	return found, nil
}

func (e expired) remove(ctx context.Context, tx Execer) (int64, error) {
	in := places(len(e.ids))
	ofQueue := append([]any{e.queue}, e.ids...)
	n, err := tx.Exec(ctx,
		`DELETE FROM queue_deliveries WHERE queue = ? AND state = 'done' AND message_id IN `+in, ofQueue...)
	if err != nil {
		return 0, fmt.Errorf("delete deliveries: %w", err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM queue_failures WHERE queue = ? AND message_id IN `+in, ofQueue...)
	if err != nil {
		return 0, fmt.Errorf("delete failures: %w", err)
	}
	_, err = tx.Exec(ctx, `DELETE FROM queue_messages WHERE id IN `+in+
		` AND NOT EXISTS (SELECT 1 FROM queue_deliveries WHERE message_id = queue_messages.id)`, e.ids...)
	if err != nil {
		return 0, fmt.Errorf("delete messages: %w", err)
	}
	if _, err := tx.Exec(ctx, sqlRaisePurged, n, e.queue); err != nil {
		return 0, fmt.Errorf("raise purged: %w", err)
	}
	return n, nil
}

// places is a list of n placeholders.
func places(n int) string { return "(?" + strings.Repeat(", ?", n-1) + ")" }

// column reads a query of one column.
func column[T any](ctx context.Context, tx Execer, query string, args ...any) ([]T, error) {
	var values []T
	err := each(ctx, tx, func(rows *sql.Rows) error {
		var value T
		if err := rows.Scan(&value); err != nil {
			return fmt.Errorf("scan: %w", err)
		}
		values = append(values, value)
		return nil
	}, query, args...)
	return values, err
}

func anys[T any](values []T) []any {
	list := make([]any, len(values))
	for i, v := range values {
		list[i] = v
	}
	return list
}
