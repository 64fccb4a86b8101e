package sqlqueue

import (
	"context"
	"database/sql"
	"fmt"

	"github.com/restock/restock/internal/queue/driver"
)

// One index answers each count, so that messages that are done, which may be
// many, are counted without reading their rows.
const sqlStats = `SELECT t.queue, t.published, t.purged,
		(SELECT COUNT(*) FROM queue_deliveries d
			WHERE d.queue = t.queue AND d.state = 'waiting' AND NOT (d.claimed = 1 AND d.visible_at > ?)),
		(SELECT COUNT(*) FROM queue_deliveries d
			WHERE d.queue = t.queue AND d.state = 'waiting' AND d.claimed = 1 AND d.visible_at > ?),
		(SELECT COUNT(*) FROM queue_deliveries d WHERE d.queue = t.queue AND d.state = 'done'),
		(SELECT COUNT(*) FROM queue_deliveries d WHERE d.queue = t.queue AND d.state = 'dead'),
		(SELECT COUNT(*) FROM queue_deliveries d WHERE d.queue = t.queue AND d.state = 'discarded'),
		(SELECT MIN(m.created_at) FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id
			WHERE d.queue = t.queue AND d.state = 'waiting')
	FROM queue_totals t ORDER BY t.queue`

// Stats counts the messages of every queue that ever had one, all in one
// snapshot, sorted by queue.
func (q *Queue) Stats(ctx context.Context) ([]driver.Stats, error) {
	var found []driver.Stats
	err := q.view(ctx, func(ctx context.Context, tx Execer) error {
		found = nil
		now := micros(q.leaseTime())
		return each(ctx, tx, func(rows *sql.Rows) error {
			s, err := scanStats(rows)
			found = append(found, s)
			return err
		}, sqlStats, now, now)
	})
	if err != nil {
		return nil, fmt.Errorf("queue stats: %w", err)
	}
	return found, nil
}

func scanStats(rows *sql.Rows) (driver.Stats, error) {
	var s driver.Stats
	var oldest sql.NullInt64
	err := rows.Scan(&s.Queue, &s.Published, &s.Purged, &s.Waiting, &s.InFlight, &s.Done, &s.Dead, &s.Discarded, &oldest)
	if err != nil {
		return driver.Stats{}, fmt.Errorf("scan: %w", err)
	}
	if oldest.Valid {
		s.OldestWaitingAt = fromMicros(oldest.Int64)
	}
	return s, nil
}
