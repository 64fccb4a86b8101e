package replenish

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
)

func low(t *testing.T, id restock.ProductID, version int) queue.Message {
	t.Helper()
	body, err := json.Marshal(restock.EventData{Version: version, ProductID: id, SKU: "CP-1"})
	if err != nil {
		t.Fatal(err)
	}
	return queue.Message{Type: string(restock.StockLow), Body: body}
}

func TestLowIsDecidedOnceHoweverOftenItIsTold(t *testing.T) {
	t.Parallel()
	s := openStore(t, "http://127.0.0.1:4000/", nil)
	handle := replenisher(s, nil).Handlers()[string(restock.StockLow)]
	id := s.product("CP-1").ID
	if err := handle(t.Context(), low(t, id, restock.EventVersion)); err != nil { // of a time when it was low
		t.Error(err)
	}
	if got := s.product("CP-1").Stock.OnOrder; got != 0 {
		t.Errorf("%d on order for a full shelf", got)
	}
	s.buy(10)
	for range 50 {
		if err := handle(t.Context(), low(t, id, restock.EventVersion)); err != nil {
			t.Error(err)
		}
	}
	orders, _, err := s.Orders(t.Context(), restock.ListQuery{Limit: 100})
	if err != nil || len(orders) != 1 || orders[0].Quantity != 10 {
		t.Errorf("orders %+v, %v, want one of 10", orders, err)
	}
}

func TestAMessageThatCannotBeActedOnIsADeadLetter(t *testing.T) {
	t.Parallel()
	s := openStore(t, "http://127.0.0.1:4000/", nil)
	handle := replenisher(s, nil).Handlers()[string(restock.StockLow)]
	for name, m := range map[string]queue.Message{
		"not JSON":            {Type: string(restock.StockLow), Body: []byte("donuts are out of stock")},
		"empty":               {Type: string(restock.StockLow)},
		"of a later version":  low(t, s.product("CP-1").ID, restock.EventVersion+1),
		"of no version":       low(t, s.product("CP-1").ID, 0),
		"of no known product": low(t, restock.ProductID{1}, restock.EventVersion),
	} {
		if err := handle(t.Context(), m); !queue.IsDiscard(err) {
			t.Errorf("%s: %v, want it discarded", name, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	err := handle(t.Context(), low(t, restock.ProductID{1}, restock.EventVersion))
	if err == nil || queue.IsDiscard(err) {
		t.Errorf("without a database: %v, want it again later", err)
	}
}

func TestTheSweepFindsWhatNoMessageTold(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := openStore(t, "http://127.0.0.1:4000/", c.now)
	r := replenisher(s, func(cfg *Config) { cfg.Now = c.now })
	sweep := func() {
		t.Helper()
		if err := r.Sweep(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	states := func(id restock.OrderID) (restock.OrderState, int) {
		t.Helper()
		o := s.order(id)
		return o.State, len(o.Attempts)
	}
	s.deliverOnce(r.cfg.PublicURL) // who never called back is not asked again
	c.advance(time.Second)
	s.buy(10)
	sweep() // low without an order
	sweep()
	orders, _, err := s.Orders(t.Context(), restock.ListQuery{State: "planned", Limit: 10})
	if err != nil || len(orders) != 1 {
		t.Fatalf("%d orders, %v, want 1", len(orders), err)
	}
	id := orders[0].ID
	for attempt := 1; attempt <= 1+restock.ReorderBudget; attempt++ {
		if _, err := s.ClaimAttempt(t.Context(), "a process that dies", r.lease()); err != nil {
			t.Fatal(err)
		}
		c.advance(r.lease())
		sweep()
		if state, n := states(id); state != restock.OrderUnknown || n != attempt {
			t.Fatalf("after the lease: %s with %d attempts, want unknown with %d", state, n, attempt)
		}
		c.advance(windowFactor*40*time.Second - time.Millisecond)
		sweep()
		if state, _ := states(id); state != restock.OrderUnknown {
			t.Fatalf("within the window: %s", state)
		}
		c.advance(time.Millisecond)
		sweep()
	}
	if state, n := states(id); state != restock.OrderHeld || n != 1+restock.ReorderBudget {
		t.Errorf("in the end: %s with %d attempts, want held", state, n)
	}
	c.advance(24 * time.Hour)
	sweep()
	if got := s.product("CP-1").Stock.OnOrder; got != 10 {
		t.Errorf("%d on order, want 10: a held order is not ordered again", got)
	}
}

func TestTheWindowFollowsTheLeadTimeAndHasALeast(t *testing.T) {
	t.Parallel()
	r := replenisher(nil, nil)
	for lead, want := range map[time.Duration]time.Duration{0: time.Minute, 40 * time.Second: 2 * time.Minute, time.Hour: 3 * time.Hour} {
		if got := r.window(restock.Factory{LeadTime: lead}); got != want {
			t.Errorf("window of a lead time of %v: %v, want %v", lead, got, want)
		}
	}
}

func TestASweepThatFailsSaysWhy(t *testing.T) {
	t.Parallel()
	s := openStore(t, "http://127.0.0.1:4000/", nil)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := replenisher(s, nil).Sweep(t.Context()); err == nil || errors.Unwrap(err) == nil {
		t.Errorf("error %v", err)
	}
}

// lame is a store that cannot chase one of its orders.
type lame struct {
	*watched
	order restock.OrderID
}

var errLame = errors.New("this order cannot be chased")

func (l lame) Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
	decide func(restock.Lateness) restock.Overdue,
) error {
	if id == l.order {
		return errLame
	}
	return l.watched.Chase(ctx, id, window, decide)
}

func TestWhatFailsAboutOneOrderKeepsTheSweepFromNoOther(t *testing.T) {
	t.Parallel()
	c := newClock()
	s := openStore(t, "http://127.0.0.1:4000/", c.now)
	s.apply(restock.Catalog{Products: []restock.CatalogProduct{{
		SKU: "CP-2", Slug: "bagel", Name: "Bagel", Price: 1, OpeningStock: 1, OrderQuantity: 10, Factory: factoryID,
	}}})
	a := s.attempt()
	s.buy(10)
	c.advance(time.Hour)
	if _, err := s.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: "CP-2", Quantity: 1}}}}); err != nil {
		t.Fatal(err)
	}
	if err := replenisher(lame{s, a.OrderID}, func(cfg *Config) { cfg.Now = c.now }).Sweep(t.Context()); !errors.Is(err, errLame) {
		t.Errorf("error %v, want that of the order", err)
	}
	if got := s.product("CP-2").Stock.OnOrder; got != 10 {
		t.Errorf("P3 %d on order of the other product, want 10", got)
	}
}
