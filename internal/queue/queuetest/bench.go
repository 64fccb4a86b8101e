package queuetest

import (
	"context"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
)

// Benchmark prints what an engine does under a Consumer: messages handled a
// second while many are published at once, and how long one takes from the
// return of its publish to its handler when nothing else happens.
func Benchmark(b *testing.B, open func(b *testing.B) Harness) {
	b.Run("throughput", func(b *testing.B) { benchThroughput(b, open(b)) })
	b.Run("latency", func(b *testing.B) { benchLatency(b, open(b)) })
}

func benchThroughput(b *testing.B, h Harness) {
	const publishers, workers = 16, 16
	ctx := b.Context()
	handled := make(chan struct{}, workers)
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error {
		handled <- struct{}{}
		return nil
	}), queue.Config{Concurrency: workers})
	b.ResetTimer()
	tickets := make(chan struct{}, b.N)
	for range b.N {
		tickets <- struct{}{}
	}
	close(tickets)
	var publishing sync.WaitGroup
	failed := make(chan error, publishers)
	for range publishers {
		publishing.Go(func() {
			for range tickets {
				if err := h.Publish(ctx, message("test.known")); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	_, err := signalled(ctx, "handled messages", b.N, handled)
	b.StopTimer()
	publishing.Wait()
	select {
	case err = <-failed:
	default:
	}
	if err != nil {
		b.Error(err)
	}
	if err := stop(); err != nil {
		b.Error(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
}

func benchLatency(b *testing.B, h Harness) {
	ctx := b.Context()
	handled := make(chan time.Time, 1)
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error {
		handled <- time.Now()
		return nil
	}), queue.Config{})
	var took []time.Duration
	for b.Loop() {
		if err := h.Publish(ctx, message("test.known")); err != nil {
			b.Fatal(err)
		}
		published := time.Now()
		at, err := signalled(ctx, "handled messages", 1, handled)
		if err != nil {
			b.Fatal(err)
		}
		took = append(took, max(at[0].Sub(published), 0))
	}
	if err := stop(); err != nil {
		b.Error(err)
	}
	slices.Sort(took)
	for name, at := range map[string]int{"p50-µs": len(took) / 2, "p99-µs": len(took) * 99 / 100} {
		b.ReportMetric(float64(took[at].Microseconds()), name)
	}
}
