package store_test

import (
	"fmt"
	"path/filepath"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// BenchmarkSell sells one hot product in groups, as the till does.
func BenchmarkSell(b *testing.B) {
	for _, size := range []int{1, 8, 32, 64} {
		b.Run(fmt.Sprintf("group=%d", size), func(b *testing.B) {
			s, err := store.Open(b.Context(), "sqlite:"+filepath.Join(b.TempDir(), "restock.db"), store.Config{})
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
			b.ResetTimer()
			for n := 0; n < b.N; n += size {
				if _, err := s.Sell(b.Context(), carts); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
