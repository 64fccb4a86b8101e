package storetest

import (
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/restock/restock"
)

func actChecks() []check {
	return []check{
		{"AnActThatFailsHarmsNoOther", failingAct},
		{"AnActThatPanicsHarmsNoOther", panickingAct},
		{"AClosedStoreAnswersUnavailable", closedStore},
		{"ClosingWaitsForTheActsUnderWay", closingWaits},
		{"AnActWhoseCallerLeftBeforeItDoesNotHappen", cancelledBefore},
		{"AnActWhoseCallerLeavesMeanwhileIsAnsweredTruthfully", cancelledMeanwhile},
		{"BackgroundWorkAndSalesShareTheWriter", lanesShare},
		{"OneNowPerAct", oneNow},
	}
}

var errJudge = errors.New("the judge gives up")

// beside runs a bad act in one commit with good ones.
func beside(t *testing.T, h harness, bad func(restock.Evidence) restock.Verdict) {
	s := h.shop(t, catalogue(ordered("A", 10, 0, 10)))
	a := s.placed("A", 10)
	sell := func() {
		outcomes, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
		if err != nil || outcomes[0].Err != nil {
			t.Errorf("a buyer beside it: %v, %v", err, outcomes)
		}
	}
	fail := func() {
		if r, err := s.Receive(s.ctx(), callback(a, 10, "bad"), bad); err == nil {
			t.Errorf("the bad act answered %+v", r)
		}
	}
	s.together(sell, fail, sell, fail, sell)
	s.wantStock("A", 7, 10)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 0)
	s.receive(a, 10, "bad") // and it can come again
	s.wantStock("A", 17, 0)
}

func failingAct(t *testing.T, h harness) {
	beside(t, h, func(restock.Evidence) restock.Verdict {
		return restock.Verdict{State: restock.ReceiptApplied, Apply: 11} // more than was ordered
	})
}

func panickingAct(t *testing.T, h harness) {
	beside(t, h, func(restock.Evidence) restock.Verdict { panic(errJudge) })
}

func closedStore(t *testing.T, h harness) {
	s := h.unverified(t, catalogue(ordered("A", 10, 0, 10)))
	id := s.product("A").ID
	s.must(s.Close())
	_, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
	wantKind(t, err, restock.Unavailable)
	_, err = s.Plan(s.ctx(), id, yes(10))
	wantKind(t, err, restock.Unavailable)
	_, err = s.Receive(s.ctx(), restock.Callback{}, upToMissing)
	wantKind(t, err, restock.Unavailable)
	_, err = s.Product(s.ctx(), "A")
	wantKind(t, err, restock.Unavailable)
	wantKind(t, s.Ping(s.ctx()), restock.Unavailable)
	_, err = s.Verify(s.ctx())
	wantKind(t, err, restock.Unavailable)
}

// closingWaits closes while an act runs, with others in line behind it. Each
// of them either happened and says so, or did not.
func closingWaits(t *testing.T, h harness) {
	s := h.unverified(t, catalogue(ordered("A", 1000, 0, 10)))
	raw := s.rows
	holding, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	var mu sync.Mutex
	var sold int64
	all.Go(func() {
		_, err := s.Plan(s.ctx(), s.product("A").ID, func(restock.Situation) restock.Decision {
			close(holding)
			<-release
			return restock.Decision{Reason: "it was under way"}
		})
		if err != nil {
			t.Errorf("the act under way: %v", err)
		}
	})
	<-holding
	for range 50 {
		all.Go(func() {
			_, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				sold++
			case restock.KindOf(err) != restock.Unavailable:
				t.Error(err)
			}
		})
	}
	all.Go(func() { s.must(s.Close()) })
	close(release)
	all.Wait()
	var found int64
	s.must(raw.QueryRowContext(s.ctx(), `SELECT COALESCE(SUM(quantity), 0) FROM sale_lines`).Scan(&found))
	if found != sold {
		t.Errorf("%d sales in the database, %d buyers were told", found, sold)
	}
}

func cancelledBefore(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 10, 0, 10)))
	gone, cancel := context.WithCancel(s.ctx())
	cancel()
	for range 20 {
		_, err := s.Sell(gone, []restock.Cart{cart(line("A", 1))})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("error %v, want that the caller left", err)
		}
	}
	_, err := s.Plan(gone, s.product("A").ID, yes(10))
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want that the caller left", err)
	}
	s.wantStock("A", 10, 0)
	s.wantCount(`SELECT COUNT(*) FROM sale_lines`, 0)
}

// cancelledMeanwhile lets callers leave while their act stands in line.
func cancelledMeanwhile(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1000, 0, 10)))
	ctx, cancel := context.WithCancel(s.ctx())
	var mu sync.Mutex
	var sold int64
	acts := []func(){cancel}
	for range 50 {
		acts = append(acts, func() {
			_, err := s.Sell(ctx, []restock.Cart{cart(line("A", 1))})
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				sold++
			case !errors.Is(err, context.Canceled):
				t.Error(err)
			}
		})
	}
	s.together(acts...)
	s.wantStock("A", 1000-sold, 0)
}

func lanesShare(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 10_000, 0, 10)))
	id := s.product("A").ID
	atOnce(200, func(i int) {
		var err error
		if i%2 == 0 {
			_, err = s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
		} else {
			_, err = s.Plan(s.ctx(), id, no("the shelf is full"))
		}
		if err != nil {
			t.Error(err)
		}
	})
	s.wantStock("A", 9_900, 0)
	s.wantCount(`SELECT SUM(count) FROM decisions`, 100)
}

func oneNow(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 0, 10)))
	s.clock.advance(123456789) // between two microseconds
	sale := s.mustBuy("A", 5)
	stored, err := s.Sale(s.ctx(), sale.ID)
	s.must(err)
	if !stored.SoldAt.Equal(sale.SoldAt) {
		t.Errorf("sold at %v, stored as %v", sale.SoldAt, stored.SoldAt)
	}
	s.wantCount(`SELECT COUNT(*) FROM sale_lines l, stockouts s, queue_messages m, movements v
		WHERE l.sold_at = s.opened_at AND m.created_at = s.opened_at AND m.type = 'stock.out'
		AND v.at = s.opened_at AND v.kind = 'sale'`, 1)
}
