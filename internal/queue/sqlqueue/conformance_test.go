package sqlqueue_test

import (
	"context"
	"encoding/binary"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
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
	// patience bounds a wait for what must come.
	patience = 2 * time.Minute
)

func harness(db *queuetest.Database) queuetest.Harness {
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
	queuetest.Run(t, func(t *testing.T, _ queuetest.Check) queuetest.Harness {
		t.Helper()
		return harness(queuetest.OpenSQLite(t))
	})
}

func TestConformanceWhenTheStoreRunsTransactionsAgain(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, _ queuetest.Check) queuetest.Harness {
		t.Helper()
		db := queuetest.OpenSQLite(t)
		db.Replays = true
		return harness(db)
	})
}

func TestConformanceOnMariaDB(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, _ queuetest.Check) queuetest.Harness {
		t.Helper()
		return harness(queuetest.OpenMariaDB(t))
	})
}

func TestConformanceOnPostgreSQL(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, _ queuetest.Check) queuetest.Harness {
		t.Helper()
		return harness(queuetest.OpenPostgreSQL(t))
	})
}

// TestConsumersInSeveralProcessesShareAQueue lets queues with connections of
// their own, as in several processes, take from one queue. Each message is
// claimed once while all of them answer in time, for which they have an hour.
func TestConsumersInSeveralProcessesShareAQueue(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) *queuetest.Database{"MariaDB": queuetest.OpenMariaDB, "PostgreSQL": queuetest.OpenPostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shareQueue(t, open(t))
		})
	}
}

func shareQueue(t *testing.T, db *queuetest.Database) {
	const processes, messages = 4, 400
	var mu sync.Mutex
	handled := map[driver.ID]int{}
	all := make(chan struct{})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var running sync.WaitGroup
	var deadlocks atomic.Int64
	for range processes {
		other := db.Again(t)
		q := sqlqueue.New(sqlqueue.Config{PollInterval: time.Millisecond})
		q.Bind(other)
		running.Go(func() {
			err := queue.New(q, stockQueue, map[string]queue.Handler{stockLow: func(_ context.Context, m queue.Message) error {
				mu.Lock()
				defer mu.Unlock()
				if handled[m.ID]++; len(handled) == messages {
					close(all)
				}
				return nil
			}}, queue.Config{Visibility: time.Hour, ShutdownTimeout: patience, Logger: slog.New(slog.DiscardHandler)}).Run(ctx)
			if err != nil {
				t.Error(err)
			}
			deadlocks.Add(other.Deadlocks.Load())
		})
	}
	q := sqlqueue.New(sqlqueue.Config{})
	q.Bind(db)
	for i := range messages {
		m := testMessage(1)
		binary.BigEndian.PutUint64(m.ID[:], uint64(i+1))
		if err := db.Publish(ctx, q, stockQueue, m); err != nil {
			t.Fatal(err)
		}
	}
	select {
	case <-all:
	case <-time.After(patience):
		t.Error("not all messages were handled")
	}
	stop()
	running.Wait()
	for id, n := range handled {
		if n != 1 {
			t.Errorf("message %s was handled %d times", id, n)
		}
	}
	stats, err := q.Stats(t.Context())
	if err != nil || stats[0].Done != messages || stats[0].Missing() != 0 {
		t.Errorf("stats %+v, %v, want all done", stats, err)
	}
	t.Logf("%d transactions were run again after a deadlock", deadlocks.Load())
}
