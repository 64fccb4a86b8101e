package metrics_test

import (
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/metrics"
	"github.com/restock/restock/internal/sales"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

// BenchmarkCountedSales sells the same in pairs, with and without counting, one
// right after the other, and gives how much more of the processor counting takes:
// that is the same however busy the machine is. The disk is left out, so that it
// cannot hide the cost.
func BenchmarkCountedSales(b *testing.B) {
	const sold = 4000
	var counting atomic.Bool
	shop := openShop(b, metrics.New(metrics.Build{}, metrics.Classes{Checkouts: sales.Outcomes()}), &counting)
	sell := func(counted bool) float64 {
		counting.Store(counted)
		began := processor(b)
		crowd(shop, sold)
		return (processor(b) - began).Seconds()
	}
	sell(true)
	var ratios []float64
	for b.Loop() {
		first := len(ratios)%2 == 0
		a, c := sell(first), sell(!first)
		if first {
			a, c = c, a
		}
		ratios = append(ratios, c/a)
	}
	slices.Sort(ratios)
	const hundred = 100
	b.ReportMetric((ratios[len(ratios)/2]-1)*hundred, "%more")
}

// processor is the time that this process has had of it.
func processor(b *testing.B) time.Duration {
	b.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func crowd(h http.Handler, sold int) {
	const buyers = 32
	var all sync.WaitGroup
	for range buyers {
		all.Go(func() {
			for range sold / buyers {
				r := httptest.NewRequest(http.MethodPost, "/checkout", strings.NewReader(`{"sku":"A"}`))
				h.ServeHTTP(httptest.NewRecorder(), r)
			}
		})
	}
	all.Wait()
}

// openShop opens a shop that counts while it is told to.
func openShop(b *testing.B, m *metrics.Metrics, counting *atomic.Bool) http.Handler {
	b.Helper()
	answered := m.Answered("public")
	cfg := store.Config{Sync: func(string) error { return nil }, Observe: func(acts int, took time.Duration) {
		if counting.Load() {
			m.Commit(acts, took)
		}
	}}
	shopCfg := sales.Config{
		Observe: func(outcome string, took time.Duration) {
			if counting.Load() {
				m.Checkout(outcome, took)
			}
		},
		ObserveGroup: func(carts int, took time.Duration) {
			if counting.Load() {
				m.Group(carts, took)
			}
		},
	}
	logCfg := web.LogConfig{Logger: slog.New(slog.DiscardHandler), Observe: func(status int) {
		if counting.Load() {
			answered(status)
		}
	}}
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "restock.db"), cfg)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "A", Name: "A", Price: 1, OpeningStock: 900_000_000}}}
	c.Fill()
	if _, err := s.ApplyCatalog(context.WithoutCancel(b.Context()), c, store.CreateMissing); err != nil {
		b.Fatal(err)
	}
	mux := http.NewServeMux()
	sales.New(s, shopCfg).Register(mux)
	return web.Log(mux, logCfg)
}

// BenchmarkCounting is what one checkout pays, when it is alone in its group.
func BenchmarkCounting(b *testing.B) {
	m := metrics.New(metrics.Build{}, metrics.Classes{Checkouts: sales.Outcomes()})
	answered := m.Answered("public")
	for b.Loop() {
		began := time.Now()
		m.Checkout(sales.OutcomeSold, time.Since(began))
		m.Group(1, time.Since(began))
		m.Commit(1, time.Since(began))
		answered(http.StatusOK)
	}
}
