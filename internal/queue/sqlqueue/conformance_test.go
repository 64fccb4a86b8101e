package sqlqueue_test

import (
	"context"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

const (
	stockQueue = "stock-queue"
	adQueue    = "ad-queue"
	stockLow   = "stock.low"

	// pollNever makes a wake-up that is lost show: nothing else comes to the
	// rescue.
	pollNever = time.Hour
)

func harness(db *queuetest.SQLite) queuetest.Harness {
	q := sqlqueue.New(sqlqueue.Config{PollInterval: pollNever})
	q.Bind(db)
	return queuetest.Harness{
		Driver: q,
		Desk:   q,
		Queue:  stockQueue,
		Publish: func(ctx context.Context, m driver.Message) error {
			return db.Publish(ctx, q, stockQueue, m)
		},
		Visibility:   200 * time.Millisecond,
		Deduplicates: true,
		Counts:       true,
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		return harness(queuetest.OpenSQLite(t))
	})
}

func TestConformanceWhenTheStoreRunsTransactionsAgain(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		db := queuetest.OpenSQLite(t)
		db.Replays = true
		return harness(db)
	})
}
