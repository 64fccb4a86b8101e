package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/dashboard"
	"github.com/restock/restock/internal/store"
)

// BenchmarkPage prints how long a page takes in a small and in a large shop, with
// ten movements for each product:
//
//	go test -run '^$' -bench Page ./internal/dashboard
func BenchmarkPage(b *testing.B) {
	for _, n := range []int{100, 100_000} {
		b.Run(fmt.Sprintf("products=%d", n), func(b *testing.B) {
			site, _ := large(b, n)
			visitor := site.operator()
			for _, page := range []struct{ name, address string }{
				{"overview", "/dashboard"},
				{"next", "/dashboard?after=3.SKU-000010"},
				{"search", "/dashboard?q=donut"},
				{"product", "/dashboard/products/SKU-000011"},
				{"busiest-product", "/dashboard/products/SKU-000002"},
				{"waiting", "/dashboard/waiting"},
				{"audit", "/dashboard/audit"},
			} {
				b.Run(page.name, func(b *testing.B) {
					for b.Loop() {
						if got := visitor.get(page.address); got.status != http.StatusOK {
							b.Fatal(got.status)
						}
					}
				})
			}
		})
	}
}

// BenchmarkSaleBesideTenBrowsers sells in pairs, with and without ten browsers
// that have pages open, one right after the other, and gives by how much the
// browsers make sales slower:
//
//	go test -run '^$' -bench Sale -benchtime 20x ./internal/dashboard
func BenchmarkSaleBesideTenBrowsers(b *testing.B) {
	const browsers, sold, hundred = 10, 5_000, 100
	site := openDurable(b)
	site.busy(plainNames())
	site.stock("CP-4", 100_000_000)
	visitor := site.operator()
	sell := func() float64 {
		began := time.Now()
		site.crowd(sold)
		return time.Since(began).Seconds()
	}
	watched := func() float64 {
		for n := range browsers {
			open := visitor.follow([]string{"/dashboard", "/dashboard/products/CP-4"}[n%2], "")
			defer open.stop()
		}
		return sell()
	}
	sell()
	var ratios []float64
	for b.Loop() {
		var alone, beside float64
		if len(ratios)%2 == 0 {
			alone, beside = sell(), watched()
		} else {
			beside, alone = watched(), sell()
		}
		ratios = append(ratios, beside/alone)
	}
	slices.Sort(ratios)
	b.ReportMetric((ratios[len(ratios)/2]-1)*hundred, "%slower")
}

// crowd sells one by one, to many buyers at once.
func (s *site) crowd(sold int) {
	const buyers = 32
	var refused atomic.Int64
	var all sync.WaitGroup
	for range buyers {
		all.Go(func() {
			for range sold / buyers {
				outcomes, err := s.store.Sell(context.Background(), []restock.Cart{{Lines: []restock.Line{{Product: "CP-4", Quantity: 1}}}})
				if err != nil || outcomes[0].Err != nil {
					refused.Add(1)
				}
			}
		})
	}
	all.Wait()
	if n := refused.Load(); n > 0 {
		s.t.Errorf("%d sales were refused", n)
	}
}

// openDurable opens a site whose store waits for the disk, as the program's does.
func openDurable(b *testing.B) *site {
	b.Helper()
	s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "restock.db"), store.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := s.Close(); err != nil {
			b.Error(err)
		}
	})
	return serve(b, s, unverified{deskStore{s}}, func(c *dashboard.Config) { c.LiveInterval = 0 })
}

// stock puts pieces on the shelf.
func (s *site) stock(sku string, quantity int64) {
	s.t.Helper()
	_, err := s.store.Adjust(s.t.Context(), restock.AdjustmentRequest{Product: sku, Quantity: quantity, Reason: "for the bench"}, restock.Key{})
	s.must(err)
}
