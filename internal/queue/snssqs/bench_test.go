package snssqs_test

import (
	"context"
	"errors"
	"testing"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

// BenchmarkEngine is the engine with the emulator on this machine. It says what
// the engine adds, and nothing about AWS.
func BenchmarkEngine(b *testing.B) {
	queuetest.Benchmark(b, func(b *testing.B) queuetest.Harness {
		b.Helper()
		e := newSite(b).provisioned(b, []driver.Route{{Queue: stockQueue, Rest: true}}, snssqs.Config{})
		return queuetest.Harness{
			Driver: e,
			Queue:  stockQueue,
			Publish: func(ctx context.Context, m driver.Message) error {
				return errors.Join(e.Publish(ctx, []driver.Outgoing{{Message: m}})...)
			},
			Visibility: shortVisibility,
		}
	})
}
