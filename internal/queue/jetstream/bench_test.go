package jetstream_test

import (
	"context"
	"errors"
	"testing"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

// BenchmarkEngine is the engine with one server in the same process, which syncs
// its file each two minutes, as NATS does unless it is told otherwise.
func BenchmarkEngine(b *testing.B) {
	queuetest.Benchmark(b, func(b *testing.B) queuetest.Harness {
		b.Helper()
		e := provisioned(b, queuetest.StartNATS(b).URL(), single(), jetstream.Config{})
		return queuetest.Harness{
			Driver: e,
			Queue:  stockQueue,
			Publish: func(ctx context.Context, m driver.Message) error {
				return errors.Join(e.Publish(ctx, []driver.Outgoing{{Message: m}})...)
			},
			Visibility: visibility,
		}
	})
}
