package sqlqueue_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// BenchmarkPublishToHandler is how long a message takes from its commit to its
// handler when nothing else happens.
func BenchmarkPublishToHandler(b *testing.B) {
	db := queuetest.OpenSQLite(b)
	q := sqlqueue.New(sqlqueue.Config{PollInterval: pollNever})
	q.Bind(db)
	handled := make(chan time.Time)
	consumer := queue.New(q, stockQueue, map[string]queue.Handler{
		stockLow: func(context.Context, queue.Message) error {
			handled <- time.Now()
			return nil
		},
	}, queue.Config{Logger: slog.New(slog.DiscardHandler)})
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()

	var waited time.Duration
	m := testMessage(0)
	for i := uint64(1); b.Loop(); i++ {
		binary.BigEndian.PutUint64(m.ID[8:], i)
		err := db.Update(ctx, func(ctx context.Context, tx sqlqueue.Execer) error {
			return q.Publish(ctx, tx, stockQueue, m)
		})
		if err != nil {
			b.Fatal(err)
		}
		committed := time.Now()
		q.Wake(stockQueue)
		waited += (<-handled).Sub(committed)
	}
	b.ReportMetric(float64(waited.Microseconds())/float64(b.N), "µs/wake")
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
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
func publishDone(b *testing.B, db *queuetest.SQLite, q *sqlqueue.Queue, n uint64) {
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
