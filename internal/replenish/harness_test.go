package replenish

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// clock is a time that is moved by hand.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// watched is a real store that tells when an answer was recorded.
type watched struct {
	*store.Store
	t       *testing.T
	settled chan restock.Attempt // with the state of the answer
}

func (w *watched) SettleAttempt(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	err := w.Store.SettleAttempt(ctx, a, answer)
	a.State, a.Error = answer.State, answer.Error
	select {
	case w.settled <- a:
	case <-w.t.Context().Done():
	}
	return err
}

const factoryID = "FF-500293"

// openStore opens a store that sells CP-1 from ten pieces, and has 10 more made
// by a factory when none is left.
func openStore(t *testing.T, factoryURL string, now func() time.Time) *watched {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	w := &watched{Store: s, t: t, settled: make(chan restock.Attempt, 100)}
	w.apply(restock.Catalog{
		Factories: []restock.CatalogFactory{{
			Identifier: factoryID, URL: factoryURL, Requester: "김재고", LeadTime: 40 * time.Second, RatePerSecond: 1e6,
		}},
		Products: []restock.CatalogProduct{{
			SKU: "CP-1", Slug: "donut", Name: "부산도너츠", Price: 19900, OpeningStock: 10, OrderQuantity: 10, Factory: factoryID,
		}},
	})
	return w
}

// closeOpen closes a store, unless its test did.
func closeOpen(t *testing.T, s *store.Store) {
	t.Helper()
	if s.Ping(context.WithoutCancel(t.Context())) != nil {
		return
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func (w *watched) apply(c restock.Catalog) {
	w.t.Helper()
	c.Fill()
	if err := c.Check(); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.ApplyCatalog(w.t.Context(), c, store.CreateAndEdit); err != nil {
		w.t.Fatal(err)
	}
}

func (w *watched) product(sku string) restock.Product {
	w.t.Helper()
	p, err := w.Product(w.t.Context(), sku)
	if err != nil {
		w.t.Fatal(err)
	}
	return p
}

func (w *watched) buy(quantity int64) {
	w.t.Helper()
	outcomes, err := w.Sell(w.t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: "CP-1", Quantity: quantity}}}})
	if err != nil || outcomes[0].Err != nil {
		w.t.Fatal(err, outcomes)
	}
}

// plan orders 10 pieces, whatever is there.
func (w *watched) plan() restock.OrderID {
	w.t.Helper()
	d, err := w.Plan(w.t.Context(), w.product("CP-1").ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Reason: "a test"}
	})
	if err != nil {
		w.t.Fatal(err)
	}
	return d.OrderID
}

// attempt places an order that the factory accepted.
func (w *watched) attempt() restock.Attempt {
	w.t.Helper()
	w.plan()
	a, err := w.ClaimAttempt(w.t.Context(), "owner", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Store.SettleAttempt(w.t.Context(), a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: http.StatusCreated}, DueAt: a.SentAt.Add(time.Hour),
	}); err != nil {
		w.t.Fatal(err)
	}
	return a
}

// deliverOnce lets the factory make ten pieces and call back at a public URL, and
// sells them.
func (w *watched) deliverOnce(publicURL string) {
	w.t.Helper()
	w.plan()
	a, err := w.ClaimAttempt(w.t.Context(), "owner", time.Hour)
	if err != nil {
		w.t.Fatal(err)
	}
	if err := w.Store.SettleAttempt(w.t.Context(), a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: http.StatusCreated}, DueAt: a.SentAt.Add(time.Hour), PublicURL: publicURL,
	}); err != nil {
		w.t.Fatal(err)
	}
	if _, err := w.Receive(w.t.Context(), restock.Callback{OrderID: a.OrderID, Attempt: a.Number, Count: 10, Claimed: "10"}, Judge); err != nil {
		w.t.Fatal(err)
	}
	w.buy(10)
}

func (w *watched) order(id restock.OrderID) restock.Order {
	w.t.Helper()
	o, err := w.Order(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

// next waits for the next answer that is recorded.
func (w *watched) next() restock.Attempt {
	w.t.Helper()
	select {
	case a := <-w.settled:
		return a
	case <-time.After(5 * time.Minute): // only a broken placer uses it up
		w.t.Fatal("no answer was recorded")
		return restock.Attempt{}
	}
}

// running runs the placer until stop is called.
func running(t *testing.T, r *Replenisher) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- r.RunPlacer(ctx) }()
	var once sync.Once
	stop = func() {
		once.Do(func() {
			cancel()
			if err := <-done; err != nil {
				t.Errorf("the placer ended with %v", err)
			}
		})
	}
	t.Cleanup(stop)
	return stop
}
