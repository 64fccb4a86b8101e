package dashboard_test

import (
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"sync/atomic"
	"testing"

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

// BenchmarkSaleBesideTenBrowsers prints what a sale takes alone, and while ten
// browsers have pages open:
//
//	go test -run '^$' -bench Sale -benchtime 20000x -count 5 ./internal/dashboard
func BenchmarkSaleBesideTenBrowsers(b *testing.B) {
	for _, browsers := range []int{0, 10} {
		b.Run(fmt.Sprintf("browsers=%d", browsers), func(b *testing.B) {
			site := openDurable(b)
			site.busy(plainNames())
			site.stock("CP-4", 100_000_000)
			visitor := site.operator()
			for n := range browsers {
				visitor.follow([]string{"/dashboard", "/dashboard/products/CP-4"}[n%2], "")
			}
			var refused atomic.Int64
			b.SetParallelism(32)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					outcomes, err := site.store.Sell(context.Background(), []restock.Cart{{Lines: []restock.Line{{Product: "CP-4", Quantity: 1}}}})
					if err != nil || outcomes[0].Err != nil {
						refused.Add(1)
					}
				}
			})
			if n := refused.Load(); n > 0 {
				b.Fatalf("%d of %d were refused", n, b.N)
			}
		})
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
