package history_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// priced is a sale as far as this test looks at it.
type priced struct {
	Items []struct {
		Price     int64 `json:"unit_price"`
		Remaining int64 `json:"remaining"`
	} `json:"items"`
}

// TestBuyersAreServedWhileACatalogueIsImported buys for as long as an import
// runs, which also changes the price of what is bought.
func TestBuyersAreServedWhileACatalogueIsImported(t *testing.T) {
	t.Parallel()
	const buyers, oldPrice, newPrice, stockMax = 16, 100, 250, restock.QuantityMax
	products := 2000
	if full() {
		products = 20_000
	}
	s := openShop(t, onSQLite(t))
	defer s.close()
	request := restock.AdjustmentRequest{Product: "A", Quantity: stockMax - openingStock, Reason: "there is enough"}
	if _, err := s.Adjust(s.ctx, request, restock.Key{}); err != nil {
		t.Fatal(err)
	}

	var (
		done    = make(chan struct{})
		all     sync.WaitGroup
		mu      sync.Mutex
		sales   []priced
		running atomic.Int64         // the number of the import that runs, or 0
		served  [buyers]atomic.Int64 // asked and answered while one import ran
	)
	for i := range buyers {
		all.Go(func() {
			for {
				during := running.Load()
				got := s.post(i%len(s.tills), "/checkout", "", `{"sku":"A"}`)
				var sale priced
				if err := json.Unmarshal([]byte(got.body), &sale); err != nil || got.status != http.StatusOK || len(sale.Items) != 1 {
					t.Errorf("during the import a buyer was answered %d %s, %v", got.status, got.body, err)
					return
				}
				mu.Lock()
				sales = append(sales, sale)
				mu.Unlock()
				if during > 0 && during == running.Load() {
					served[i].Add(1)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	// A machine may be so quick with one import, or so slow to let a buyer go on,
	// that somebody does not come in it: they come in one of the next.
	const importsMax = 50
	waiting := func() bool {
		for i := range served {
			if served[i].Load() == 0 {
				return true
			}
		}
		return false
	}
	imports, err := 0, error(nil)
	for err == nil && imports < importsMax && (imports == 0 || waiting()) {
		imports++
		running.Store(int64(imports))
		err = s.importing(imports, products, newPrice)
		running.Store(0)
	}
	close(done)
	all.Wait()
	if err != nil {
		t.Fatal(err)
	}
	if waiting() {
		t.Errorf("somebody was served in none of %d imports", imports)
	}
	t.Logf("%d sales beside %d imports of %d products", len(sales), imports, products)
	wantOnePriceAfterAnother(t, sales, oldPrice, newPrice)
	s.wantImported(imports*(products-1), stockMax-int64(len(sales)))
}

// importing applies a large catalogue of products that are new. In the middle of
// the first the price changes.
func (s *shop) importing(number, products int, price int64) error {
	var c restock.Catalog
	for i := range products {
		c.Products = append(c.Products, restock.CatalogProduct{
			SKU: restock.SKU(fmt.Sprintf("NEW-%d-%06d", number, i)), Name: "New donut", Price: 1, OpeningStock: int64(i % 7),
		})
	}
	c.Products[products/2] = restock.CatalogProduct{SKU: "A", Name: "Donut A", Price: price, Factory: "FF-1", OrderQuantity: suppliedMax}
	c.Fill()
	_, err := s.ApplyCatalog(s.ctx, c, store.CreateAndEdit)
	return err
}

// wantOnePriceAfterAnother puts sales in their order, which what remains tells,
// and wants every piece to be sold once and the price to change once.
func wantOnePriceAfterAnother(t *testing.T, sales []priced, oldPrice, newPrice int64) {
	t.Helper()
	slices.SortFunc(sales, func(a, b priced) int { return cmp.Compare(b.Items[0].Remaining, a.Items[0].Remaining) })
	price := oldPrice
	for i, s := range sales {
		if want := int64(restock.QuantityMax - 1 - i); s.Items[0].Remaining != want {
			t.Fatalf("I1 never oversell: buyer %d was told that %d remain, want %d", i, s.Items[0].Remaining, want)
		}
		if s.Items[0].Price == newPrice {
			price = newPrice
		}
		if s.Items[0].Price != price {
			t.Fatalf("buyer %d paid %d after others had paid %d", i, s.Items[0].Price, price)
		}
	}
}

func (s *shop) wantImported(imported int, onHand int64) {
	s.t.Helper()
	p, err := s.Product(s.ctx, "A")
	if err != nil {
		s.t.Fatal(err)
	}
	status, err := s.Status(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	if p.Stock.OnHand != onHand || status.Products != int64(imported+productsCount) {
		s.t.Errorf("%d on hand and %d products, want %d and %d", p.Stock.OnHand, status.Products, onHand, imported+productsCount)
	}
	checks, err := s.Verify(s.ctx)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, c := range checks {
		if c.Broken > 0 {
			s.t.Errorf("%s in the rows: %s: %q", c.Promise, c.Name, c.Violations)
		}
	}
}
