package storetest

import (
	"sync"
	"testing"

	"github.com/restock/restock"
)

func detectChecks() []check {
	return []check{
		{"LowIsToldOncePerCrossing", lowOncePerCrossing},
		{"ActsThatCrossTogetherTellOnce", crossTogether},
		{"ASaleAndAClosingOrderThatCrossTogetherTellOnce", sellAndCloseTogether},
		{"AStockoutAndItsMessagesAreOneCommit", stockoutWithMessages},
		{"AStockoutEndsAtTheResumeLevel", resumeLevel},
		{"AProductThatWasNeverAvailableOpensNoStockout", neverAvailable},
		{"AnOrderThatClosesWhileLowTellsAgain", closingWhileLow},
		{"AChangedPolicyIsNoticedLikeASale", policyIsNoticed},
		{"OrderingOffTellsNothing", offTellsNothing},
	}
}

func lowOncePerCrossing(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 2, 10)))
	for _, want := range []int64{0, 0, 1, 1, 1} { // 4, 3, 2 left: that crosses
		s.mustBuy("A", 1)
		s.wantPublished(restock.StockLow, "A", want)
	}
	a := s.placed("A", 10)
	s.receive(a, 10, "ten")
	s.wantPublished(restock.StockLow, "A", 1)
	s.mustBuy("A", 9)
	s.wantPublished(restock.StockLow, "A", 2)
}

func crossTogether(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 4, 3, 10)))
	buy := func() {
		if _, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))}); err != nil {
			t.Error(err)
		}
	}
	s.together(buy, buy, buy, buy)
	s.wantStock("A", 0, 0)
	s.wantPublished(restock.StockLow, "A", 1)
	s.wantPublished(restock.StockOut, "A", 1)
}

func sellAndCloseTogether(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 8, 5, 4)))
	a := s.placed("A", 4)
	s.receive(a, 1, "one of four") // on hand 9, on order 3
	s.clock.advance(windowTime)
	s.together(
		func() { s.chase(a.OrderID) }, // alone it leaves 9
		func() { s.mustBuy("A", 4) },  // alone it leaves 8; both leave 5
	)
	s.wantStock("A", 5, 0)
	s.wantPublished(restock.StockLow, "A", 1)
}

// stockoutWithMessages watches, in snapshots of one statement, that there is
// never a stockout without its message or a message without its stockout.
func stockoutWithMessages(t *testing.T, h harness) {
	const rounds = 30
	s := h.shop(t, catalogue(ordered("A", 1, 0, 1)))
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			s.wantCount(`SELECT (SELECT COUNT(*) FROM stockouts) - (SELECT COUNT(*) FROM queue_messages WHERE type = 'stock.out')`, 0)
			s.wantCount(`SELECT (SELECT COUNT(*) FROM stockouts WHERE closed_at IS NOT NULL)
				- (SELECT COUNT(*) FROM queue_messages WHERE type = 'stock.back')`, 0)
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for range rounds {
		s.mustBuy("A", 1)
		s.receive(s.placed("A", 1), 1, "one")
	}
	close(done)
	watching.Wait()
	s.wantPublished(restock.StockOut, "A", rounds)
	s.wantPublished(restock.StockBack, "A", rounds)
}

func resumeLevel(t *testing.T, h harness) {
	p := ordered("A", 2, 0, 10)
	p.ResumeLevel = 5
	s := h.shop(t, catalogue(p))
	s.mustBuy("A", 2)
	a := s.placed("A", 10)
	s.receive(a, 3, "three")
	s.wantPublished(restock.StockBack, "A", 0)
	s.mustBuy("A", 3) // to 0 again, in the same stockout
	s.wantPublished(restock.StockOut, "A", 1)
	s.receive(a, 4, "four")
	s.wantPublished(restock.StockBack, "A", 0)
	if s.product("A").Stock.StockoutID.IsZero() {
		t.Error("the stockout ended below the resume level")
	}
	s.receive(a, 1, "one")
	s.wantPublished(restock.StockBack, "A", 1)
	if !s.product("A").Stock.StockoutID.IsZero() {
		t.Error("the stockout did not end at the resume level")
	}
	open, _, err := s.Stockouts(s.ctx(), restock.ListQuery{Product: "A", State: "open", Limit: 10})
	s.must(err)
	closed, _, err := s.Stockouts(s.ctx(), restock.ListQuery{Product: "A", State: "closed", Limit: 10})
	s.must(err)
	if len(open) != 0 || len(closed) != 1 {
		t.Errorf("%d open and %d closed stockouts, want 0 and 1", len(open), len(closed))
	}
}

func neverAvailable(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	wantKind(t, s.buy(line("A", 1)).Err, restock.OutOfStock)
	s.wantPublished(restock.StockOut, "A", 0)
	s.wantCount(`SELECT COUNT(*) FROM stockouts`, 0)
	s.wantPublished(restock.StockLow, "A", 1) // but it is noticed
	s.receive(s.placed("A", 10), 10, "ten")
	s.wantPublished(restock.StockBack, "A", 0)
	s.mustBuy("A", 10)
	s.wantPublished(restock.StockOut, "A", 1)
}

func closingWhileLow(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 6, 5, 1)))
	s.mustBuy("A", 4) // 2 left: an order of 1 does not fill the gap
	s.wantPublished(restock.StockLow, "A", 1)
	a := s.placed("A", 1)
	s.wantPublished(restock.StockLow, "A", 1)
	s.receive(a, 1, "one")
	s.wantPublished(restock.StockLow, "A", 2)
}

func policyIsNoticed(t *testing.T, h harness) {
	p := ordered("A", 5, 2, 10)
	s := h.shop(t, catalogue(p))
	p.ReorderPoint = 5
	s.apply(catalogue(p))
	s.wantPublished(restock.StockLow, "A", 1)
	p.ReorderPoint = 7 // lower still, no crossing
	s.apply(catalogue(p))
	s.wantPublished(restock.StockLow, "A", 1)

	p.ResumeLevel = 9
	s.apply(catalogue(p))
	s.mustBuy("A", 5)
	s.receive(s.placed("A", 8), 8, "eight")
	s.wantPublished(restock.StockBack, "A", 0)
	p.ResumeLevel = 8
	s.apply(catalogue(p))
	s.wantPublished(restock.StockBack, "A", 1)
}

func offTellsNothing(t *testing.T, h harness) {
	p := ordered("A", 5, 5, 10)
	p.Ordering = restock.OrderingOff
	s := h.shop(t, catalogue(p))
	s.mustBuy("A", 5)
	s.wantPublished(restock.StockLow, "A", 0)
	s.wantPublished(restock.StockOut, "A", 1)
	p.Ordering = restock.OrderingAuto
	s.apply(catalogue(p))
	s.wantPublished(restock.StockLow, "A", 1)
}
