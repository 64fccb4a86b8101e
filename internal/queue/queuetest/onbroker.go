package queuetest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// OnBroker makes the harness of a broker that is provisioned with one route,
// queueName, which gets the rest. Beside the broker runs what runs beside it in
// the product: the desk in a database of ours, a collector of its dead letters,
// and a relay for what is redriven.
func OnBroker(t testing.TB, broker driver.Broker, queueName string, visibility time.Duration) Harness {
	t.Helper()
	db := OpenSQLite(t)
	embedded := sqlqueue.New(sqlqueue.Config{})
	embedded.Bind(db)
	log := slog.New(slog.DiscardHandler)
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, mover := range []*queue.Mover{
		queue.NewCollector(broker, queueName, embedded, log),
		queue.NewRelay(embedded, queueName, broker, queueName, log),
	} {
		running.Go(func() {
			if err := mover.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
	})
	return Harness{
		Driver: queue.Recorded(broker, embedded, log),
		Desk:   embedded,
		Queue:  queueName,
		Publish: func(ctx context.Context, m driver.Message) error {
			err := errors.Join(broker.Publish(ctx, []driver.Outgoing{{Message: m}})...)
			if err != nil {
				return fmt.Errorf("publish %s: %w", m.ID, err)
			}
			return nil
		},
		Visibility: visibility,
	}
}
