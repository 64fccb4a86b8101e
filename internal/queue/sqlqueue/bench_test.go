package sqlqueue_test

import (
	"context"
	"encoding/binary"
	"testing"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// BenchmarkEngine is the embedded engine on a file, without the store's group
// commit and without a sync of each commit.
func BenchmarkEngine(b *testing.B) {
	queuetest.Benchmark(b, func(b *testing.B) queuetest.Harness {
		b.Helper()
		return harness(queuetest.OpenSQLite(b))
	})
}

// BenchmarkStats counts a queue of 100,000 messages that are done.
func BenchmarkStats(b *testing.B) {
	db := queuetest.OpenSQLite(b)
	q := sqlqueue.New(sqlqueue.Config{})
	q.Bind(db)
	publishDone(b, db, q, 100_000)
	for b.Loop() {
		if _, err := q.Stats(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

// publishDone publishes messages that are done already.
func publishDone(b *testing.B, db *queuetest.Database, q *sqlqueue.Queue, n uint64) {
	b.Helper()
	m := driver.Message{Type: stockLow, Subject: "CP-502101", Body: []byte(`{"version":1}`)}
	err := db.Update(b.Context(), func(ctx context.Context, tx sqlqueue.Execer) error {
		for i := range n {
			binary.BigEndian.PutUint64(m.ID[8:], i+1)
			if err := q.Publish(ctx, tx, stockQueue, m); err != nil {
				return err
			}
		}
		_, err := tx.Exec(ctx, `UPDATE queue_deliveries SET state = 'done', done_at = 1`)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
}
