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
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/metrics"
	"github.com/restock/restock/internal/sales"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

// BenchmarkCountedSales sells the same in pairs, with and without counting, one
// right after the other, and gives by how much counting is slower. The disk is
// left out, so that it cannot hide the cost.
func BenchmarkCountedSales(b *testing.B) {
	const sold = 4000
	plain := openShop(b, nil)
	counted := openShop(b, metrics.New(metrics.Build{}, metrics.Classes{Checkouts: sales.Outcomes()}))
	sell := func(h http.Handler) float64 {
		began := time.Now()
		crowd(h, sold)
		return time.Since(began).Seconds()
	}
	sell(plain)
	sell(counted)
	var ratios []float64
	for b.Loop() {
		var a, c float64
		if len(ratios)%2 == 0 {
			a, c = sell(plain), sell(counted)
		} else {
			c, a = sell(counted), sell(plain)
		}
		ratios = append(ratios, c/a)
	}
	slices.Sort(ratios)
	const hundred = 100
	b.ReportMetric((ratios[len(ratios)/2]-1)*hundred, "%slower")
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

func openShop(b *testing.B, m *metrics.Metrics) http.Handler {
	b.Helper()
	cfg := store.Config{Sync: func(string) error { return nil }}
	shopCfg := sales.Config{}
	logCfg := web.LogConfig{Logger: slog.New(slog.DiscardHandler)}
	if m != nil {
		cfg.Observe, shopCfg.Observe, shopCfg.ObserveGroup, logCfg.Observe = m.Commit, m.Checkout, m.Group, m.Answered("public")
	}
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
