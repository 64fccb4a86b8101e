package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

// BenchmarkSell sells one hot product in groups, as the till does, two at a time.
func BenchmarkSell(b *testing.B) {
	for name, address := range map[string]func(testing.TB) string{
		"SQLite":  func(tb testing.TB) string { tb.Helper(); return "sqlite:" + filepath.Join(tb.TempDir(), "restock.db") },
		"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL,
	} {
		for _, size := range []int{1, 8, 32, 64} {
			b.Run(fmt.Sprintf("%s/group=%d", name, size), func(b *testing.B) { sellHot(b, address(b), size) })
		}
	}
}

func sellHot(b *testing.B, address string, size int) {
	s, err := store.Open(b.Context(), address, store.Config{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = s.Close() })
	c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "HOT", Name: "Hot", Price: 100, OpeningStock: restock.QuantityMax}}}
	c.Fill()
	if _, err := s.ApplyCatalog(b.Context(), c, store.CreateMissing); err != nil {
		b.Fatal(err)
	}
	carts := make([]restock.Cart, size)
	for i := range carts {
		carts[i] = restock.Cart{Lines: []restock.Line{{Product: "HOT", Quantity: 1}}}
	}
	const groupsInFlight = 2
	b.ResetTimer()
	crowd(groupsInFlight, func(int) {
		for n := 0; n < b.N/groupsInFlight; n += size {
			if _, err := s.Sell(b.Context(), carts); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "sales/s")
}
