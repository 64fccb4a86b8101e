package history_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/sales"
	"github.com/restock/restock/internal/store"
)

const (
	openingStock = 30
	salesToken   = "the shop's own backend"
	// suppliedMax is what may arrive of each product.
	suppliedMax = 1_000_000
)

// opener opens an empty database, once for each process that is to use it.
type opener func(t *testing.T, cfg store.Config) []*store.Store

// onSQLite opens copies of one file without rows, since the schema is what takes
// long.
func onSQLite(t *testing.T) opener {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return func(t *testing.T, cfg store.Config) []*store.Store {
		t.Helper()
		path := filepath.Join(t.TempDir(), "restock.db")
		if err := os.WriteFile(path, empty, 0o600); err != nil {
			t.Fatal(err)
		}
		cfg.Sync = func(string) error { return nil }
		return []*store.Store{openStore(t, "sqlite:"+path, cfg)}
	}
}

// onServer opens a database on a server from two processes.
func onServer(address func(testing.TB) string) opener {
	return func(t *testing.T, cfg store.Config) []*store.Store {
		t.Helper()
		at := address(t)
		return []*store.Store{openStore(t, at, cfg), openStore(t, at, cfg)}
	}
}

func openStore(t *testing.T, address string, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// shop is a database with two tills before it, as two processes would have; on
// a server they are of two processes.
type shop struct {
	*store.Store
	t        *testing.T
	ctx      context.Context // of all that the clients do
	clock    *clock
	stores   []*store.Store
	tills    [2]http.Handler
	attempts [productsCount]restock.Attempt // what can arrive
	close    func()
}

func openShop(t *testing.T, open opener) *shop {
	t.Helper()
	s := &shop{t: t, ctx: t.Context(), clock: newClock()}
	s.stores = open(t, store.Config{Now: s.clock.now})
	s.Store = s.stores[0]
	s.fill()
	s.openTills()
	return s
}

// fill applies a catalogue, and places one large order of each product, which
// arrives piece by piece.
func (s *shop) fill() {
	s.t.Helper()
	c := restock.Catalog{Factories: []restock.CatalogFactory{{
		Identifier: "FF-1", URL: "http://127.0.0.1:4000/api/manufactures", RatePerSecond: 1_000_000,
	}}}
	for i := range productsCount {
		c.Products = append(c.Products, restock.CatalogProduct{
			SKU: restock.SKU(skuOf(i)), Name: "Donut " + skuOf(i), Price: int64(100 + i), OpeningStock: openingStock,
			Factory: "FF-1", OrderQuantity: suppliedMax,
		})
	}
	c.Fill()
	if _, err := s.ApplyCatalog(s.ctx, c, store.CreateMissing); err != nil {
		s.t.Fatal(err)
	}
	for i := range productsCount {
		s.attempts[i] = s.place(i)
	}
}

func (s *shop) place(product int) restock.Attempt {
	s.t.Helper()
	p, err := s.Product(s.ctx, skuOf(product))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err = s.Plan(s.ctx, p.ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: suppliedMax, Reason: "there is much to sell"}
	}); err != nil {
		s.t.Fatal(err)
	}
	s.clock.leap(time.Second) // the factory's pace
	a, err := s.ClaimAttempt(s.ctx, "owner", time.Minute)
	if err != nil || a.OrderID.IsZero() {
		s.t.Fatalf("no order of %s can be placed: %v", skuOf(product), err)
	}
	answer := restock.Answered{Answer: restock.Answer{State: restock.AttemptAccepted, Status: http.StatusCreated}}
	if err := s.SettleAttempt(s.ctx, a, answer); err != nil {
		s.t.Fatal(err)
	}
	return a
}

func (s *shop) openTills() {
	ctx, stop := context.WithCancel(s.ctx)
	var ended []chan error
	for i := range s.tills {
		till := sales.New(s.stores[i%len(s.stores)], sales.Config{SalesToken: salesToken, TokenHint: "Nowhere."})
		mux := http.NewServeMux()
		till.Register(mux)
		till.RegisterBackend(mux)
		s.tills[i] = mux
		end := make(chan error, 1)
		ended = append(ended, end)
		go func() { end <- till.Run(ctx) }()
	}
	s.close = func() {
		stop()
		for _, end := range ended {
			if err := <-end; err != nil {
				s.t.Error(err)
			}
		}
		for _, store := range s.stores {
			if err := store.Close(); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// answer is what a client got.
type answer struct {
	status int
	body   string
}

// post sends a request to one of the tills.
func (s *shop) post(till int, path, key, body string) answer {
	request := httptest.NewRequestWithContext(s.ctx, http.MethodPost, path, strings.NewReader(body))
	request.Header.Set("Authorization", "Bearer "+salesToken)
	if key != "" {
		request.Header.Set("Idempotency-Key", key)
	}
	recorder := httptest.NewRecorder()
	s.tills[till].ServeHTTP(recorder, request)
	return answer{recorder.Code, recorder.Body.String()}
}

// read decodes an answer that has to be JSON.
func (a answer) read(t *testing.T, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Errorf("answer %d %q: %v", a.status, a.body, err)
	}
}

// soldAnswer is a sale as the API tells it.
type soldAnswer struct {
	ID    string    `json:"sale_id"`
	At    time.Time `json:"sold_at"`
	Items []struct {
		Remaining int64 `json:"remaining"`
	} `json:"items"`
}

func (s soldAnswer) remaining() []int64 {
	all := make([]int64, len(s.Items))
	for i, item := range s.Items {
		all[i] = item.Remaining
	}
	return all
}

// body is a cart as JSON. A product is called by its SKU or its slug.
func body(lines []line, slugs bool, more string) string {
	items := make([]string, len(lines))
	for i, l := range lines {
		name := skuOf(l.product)
		if slugs && i > 0 {
			name = strings.ToLower(name)
		}
		items[i] = fmt.Sprintf(`{"sku":%q,"quantity":%d}`, name, l.quantity)
	}
	return fmt.Sprintf(`{"items":[%s]%s}`, strings.Join(items, ","), more)
}
