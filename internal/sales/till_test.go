package sales

import (
	"context"
	"errors"
	"path/filepath"
	"sync"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// gate is a real store whose sales wait until they are let through, and are
// written down.
type gate struct {
	*store.Store
	arrived chan int      // a group came, of so many carts
	pass    chan struct{} // one group may go on; closed, all may
	spoiled string        // a group with a cart of this reference fails
}

var errSpoiled = errors.New("this cart spoils its group")

func (g *gate) Sell(ctx context.Context, carts []restock.Cart) ([]restock.Outcome, error) {
	g.arrived <- len(carts)
	<-g.pass
	for _, c := range carts {
		if g.spoiled != "" && c.Reference == g.spoiled {
			return nil, errSpoiled
		}
	}
	return g.Store.Sell(ctx, carts)
}

func openStore(t *testing.T, stock int64) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if s.Ping(context.WithoutCancel(t.Context())) == nil { // a test may have closed it
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "CP-1", Slug: "donut", Name: "부산도너츠", Price: 19900, OpeningStock: stock}}}
	c.Fill()
	if _, err := s.ApplyCatalog(t.Context(), c, store.CreateMissing); err != nil {
		t.Fatal(err)
	}
	return s
}

func newGate(t *testing.T, stock int64) *gate {
	t.Helper()
	return &gate{Store: openStore(t, stock), arrived: make(chan int, 2*queueMax), pass: make(chan struct{})}
}

// working runs a till until stop is called.
func working(t *testing.T, till *till) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- till.run(ctx) }()
	var once sync.Once
	wait := func() {
		once.Do(func() {
			if err := <-done; err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() { cancel(); wait() })
	return func() { cancel(); wait() }
}

// buyers send one cart each; their outcomes come in no order.
func buyers(till *till, n int) <-chan restock.Outcome {
	outcomes := make(chan restock.Outcome, n)
	for range n {
		go func() { outcomes <- till.sell(context.Background(), one("CP-1", 1)) }()
	}
	return outcomes
}

func (t *till) waiting() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.line)
}

// inLine waits until n buyers stand in line.
func inLine(t *testing.T, till *till, n int) {
	t.Helper()
	for till.waiting() < n {
		if t.Context().Err() != nil {
			t.Fatal("they never came")
		}
		// The line has no signal of its own; whoever looks gives way.
		yield()
	}
}

// busy lets so many lone buyers through to the gate that no further group is
// taken until one of them is let through.
func busy(t *testing.T, till *till, g *gate) <-chan restock.Outcome {
	t.Helper()
	outcomes := make(chan restock.Outcome, groupsInFlight)
	for range groupsInFlight {
		go func() { outcomes <- till.sell(context.Background(), one("CP-1", 1)) }()
		if n := <-g.arrived; n != 1 {
			t.Fatalf("a lone buyer was served in a group of %d", n)
		}
	}
	return outcomes
}

func wantSold(t *testing.T, outcomes <-chan restock.Outcome, n int) {
	t.Helper()
	for range n {
		if o := <-outcomes; o.Err != nil {
			t.Error(o.Err)
		}
	}
}

func TestABuyerAloneIsServedAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t, 10)
	close(g.pass)
	till := newTill(g, groupsInFlight)
	working(t, till)
	for range 3 {
		if o := till.sell(t.Context(), one("CP-1", 1)); o.Err != nil { // there is no timer that it could wait for
			t.Error(o.Err)
		}
		if n := <-g.arrived; n != 1 {
			t.Errorf("served in a group of %d", n)
		}
	}
}

func TestWhoComesDuringACommitIsServedWithTheNext(t *testing.T) {
	t.Parallel()
	const crowd = 50
	g := newGate(t, 1000)
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	second := buyers(till, crowd)
	inLine(t, till, crowd)
	g.pass <- struct{}{}
	if n := <-g.arrived; n != crowd {
		t.Errorf("a group of %d, want all %d", n, crowd)
	}
	close(g.pass)
	wantSold(t, first, groupsInFlight)
	wantSold(t, second, crowd)
}

func TestAGroupIsBounded(t *testing.T) {
	t.Parallel()
	const crowd = groupMax + 10
	g := newGate(t, 1000)
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	second := buyers(till, crowd)
	inLine(t, till, crowd)
	close(g.pass)
	// Two groups are served at once, so the smaller may be the first to arrive.
	if a, b := <-g.arrived, <-g.arrived; max(a, b) != groupMax || min(a, b) != crowd-groupMax {
		t.Errorf("groups of %d and %d, want %d and %d", a, b, groupMax, crowd-groupMax)
	}
	wantSold(t, first, groupsInFlight)
	wantSold(t, second, crowd)
}

func TestEachBuyerGetsTheirOwnAnswer(t *testing.T) {
	t.Parallel()
	g := newGate(t, 1000)
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	var all sync.WaitGroup
	for quantity := int64(1); quantity <= 30; quantity++ {
		all.Go(func() {
			o := till.sell(t.Context(), one("CP-1", quantity))
			if o.Err != nil || o.Sale.Lines[0].Quantity != quantity {
				t.Errorf("who asked for %d was answered %+v, %v", quantity, o.Sale, o.Err)
			}
		})
		all.Go(func() {
			if o := till.sell(t.Context(), one("NOBODY", quantity)); restock.KindOf(o.Err) != restock.NotFound {
				t.Errorf("who asked for what is not there was answered %v", o.Err)
			}
		})
	}
	inLine(t, till, 60)
	close(g.pass)
	all.Wait()
	wantSold(t, first, groupsInFlight)
}

func TestAGroupThatFailsIsServedOneByOne(t *testing.T) {
	t.Parallel()
	const good = 9
	g := newGate(t, 1000)
	g.spoiled = "bad"
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	others := buyers(till, good)
	bad := make(chan restock.Outcome, 1)
	go func() {
		cart := one("CP-1", 1)
		cart.Reference = "bad"
		bad <- till.sell(context.Background(), cart)
	}()
	inLine(t, till, good+1)
	close(g.pass)
	wantSold(t, first, groupsInFlight)
	wantSold(t, others, good)
	if o := <-bad; !errors.Is(o.Err, errSpoiled) {
		t.Errorf("the bad cart was answered %v", o.Err)
	}
	if n := <-g.arrived; n != good+1 {
		t.Errorf("the group had %d carts, want %d", n, good+1)
	}
	for range good + 1 {
		if n := <-g.arrived; n != 1 {
			t.Errorf("then a group of %d, want each alone", n)
		}
	}
	p, err := g.Product(t.Context(), "CP-1")
	if err != nil || p.Stock.OnHand != 1000-good-groupsInFlight {
		t.Errorf("on hand %d, %v, want each good cart sold once", p.Stock.OnHand, err)
	}
}

func TestAFullLineIsToldAtOnce(t *testing.T) {
	t.Parallel()
	g := newGate(t, 10_000)
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	// The next group is not taken before one of the first is let through.
	waiting := buyers(till, queueMax)
	inLine(t, till, queueMax)
	o := till.sell(t.Context(), one("CP-1", 1))
	if restock.KindOf(o.Err) != restock.Unavailable {
		t.Errorf("one more was answered %v, want unavailable", o.Err)
	}
	close(g.pass)
	wantSold(t, first, groupsInFlight)
	wantSold(t, waiting, queueMax)
}

func TestWhoIsInLineWhenTheTillStopsIsServed(t *testing.T) {
	t.Parallel()
	const crowd = groupMax + 50
	g := newGate(t, 1000)
	till := newTill(g, groupsInFlight)
	stop := working(t, till)
	first := busy(t, till, g)
	waiting := buyers(till, crowd)
	inLine(t, till, crowd)
	stopped := make(chan struct{})
	go func() {
		stop()
		close(stopped)
	}()
	close(g.pass)
	<-stopped
	wantSold(t, first, groupsInFlight)
	wantSold(t, waiting, crowd)
	if o := till.sell(t.Context(), one("CP-1", 1)); restock.KindOf(o.Err) != restock.Unavailable {
		t.Errorf("who came after was answered %v, want unavailable", o.Err)
	}
}

func TestWhoLeftTheLineBuysNothing(t *testing.T) {
	t.Parallel()
	g := newGate(t, 100)
	till := newTill(g, groupsInFlight)
	working(t, till)
	first := busy(t, till, g)
	ctx, leave := context.WithCancel(t.Context())
	left := make(chan restock.Outcome, 1)
	go func() { left <- till.sell(ctx, one("CP-1", 7)) }()
	inLine(t, till, 1)
	stays := buyers(till, 1)
	inLine(t, till, 2)
	leave()
	close(g.pass)
	if o := <-left; restock.KindOf(o.Err) != restock.Unavailable || !errors.Is(o.Err, context.Canceled) {
		t.Errorf("who left was answered %v", o.Err)
	}
	wantSold(t, first, groupsInFlight)
	wantSold(t, stays, 1)
	p, err := g.Product(t.Context(), "CP-1")
	if err != nil || p.Stock.OnHand != 100-groupsInFlight-1 {
		t.Errorf("on hand %d, %v", p.Stock.OnHand, err)
	}
}

// short is a store that forgets an answer.
type short struct{ *store.Store }

func (s short) Sell(context.Context, []restock.Cart) ([]restock.Outcome, error) { return nil, nil }

func TestAMissingAnswerIsAnError(t *testing.T) {
	t.Parallel()
	till := newTill(short{openStore(t, 1)}, groupsInFlight)
	working(t, till)
	if o := till.sell(t.Context(), one("CP-1", 1)); o.Err == nil {
		t.Error("a sale that nobody answered for was told to be done")
	}
}
