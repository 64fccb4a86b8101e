package store_test

import (
	"path/filepath"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

func TestOpenTime(t *testing.T) {
	for range 5 {
		s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "x.db"), store.Config{})
		if err != nil {
			t.Fatal(err)
		}
		c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "A", Name: "a", OpeningStock: 100000}}}
		c.Fill()
		if _, err := s.ApplyCatalog(t.Context(), c, store.CreateMissing, nil); err != nil {
			t.Fatal(err)
		}
		for range 100 {
			if _, err := s.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Quantity: 1}}}}); err != nil {
				t.Fatal(err)
			}
			if _, err := s.Verify(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		s.Close()
	}
}
