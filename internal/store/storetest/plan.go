package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func planChecks() []check {
	return []check{
		{"OneOpenOrderHoweverManyLows", oneOpenOrder},
		{"SlotsBoundTheOrdersWhateverIsDecided", slotsBound},
		{"TwoSlotsTakeTwoOrdersAndAreFreedByTheirClosing", twoSlots},
		{"ARepeatedEqualNoRaisesACounter", equalNo},
		{"AnOrderKeepsTheNumbersItWasDecidedFrom", orderKeepsNumbers},
		{"AnOrderThatNeedsApprovalWaits", approvalWaits},
		{"AnUnknownProductIsNotFound", planUnknown},
		{"TheSweepFindsWhatIsLowWithoutAnOrder", lowProducts},
		{"AnOrderIsSignalled", orderSignalled},
	}
}

func oneOpenOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.product("A").ID
	orders := make(chan restock.OrderID, 50)
	atOnce(50, func(int) {
		d, err := s.Plan(s.ctx(), id, yes(10))
		if err != nil {
			t.Error(err)
		}
		if d.Order {
			orders <- d.OrderID
		}
	})
	if len(orders) != 1 {
		t.Errorf("%d orders, want 1", len(orders))
	}
	s.wantStock("A", 0, 10)
}

// slotsBound asks again and again with a decision that does not look at the
// orders that are open.
func slotsBound(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	for range 3 {
		_, _ = s.Plan(s.ctx(), s.product("A").ID, func(restock.Situation) restock.Decision {
			return restock.Decision{Order: true, Quantity: 10, Reason: "careless"}
		})
	}
	s.wantStock("A", 0, 10)
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders`, 1)
}

func twoSlots(t *testing.T, h harness) {
	p := ordered("A", 0, 100, 10)
	p.OpenOrdersMax = 2
	s := h.shop(t, catalogue(p))
	first := s.placed("A", 10)
	s.order("A", 10)
	d, err := s.Plan(s.ctx(), s.product("A").ID, yes(10))
	s.must(err)
	if d.Order {
		t.Error("a third order took a slot that is not there")
	}
	s.wantStock("A", 0, 20)
	s.receive(first, 10, "ten") // closes the order of the first slot
	s.order("A", 10)
	s.wantStock("A", 10, 20)
	s.wantCount(`SELECT COUNT(DISTINCT slot) FROM replenishment_orders WHERE slot IS NOT NULL`, 2)
}

func equalNo(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 0, 10)))
	id := s.product("A").ID
	plan := func(reason string) restock.Decision {
		s.clock.advance(time.Minute)
		d, err := s.Plan(s.ctx(), id, no(reason))
		s.must(err)
		return d
	}
	first := plan("the shelf is full")
	plan("the shelf is full")
	third := plan("the shelf is full")
	if third.ID != first.ID || third.Count != 3 || !third.FirstAt.Equal(first.FirstAt) || !third.LastAt.After(first.LastAt) {
		t.Errorf("third no %+v after first %+v", third, first)
	}
	plan("another reason")
	s.mustBuy("A", 1)
	plan("another reason") // from other numbers
	got, _, err := s.Decisions(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	var counts []int64
	for _, d := range got {
		counts = append(counts, d.Count)
	}
	if diff := cmp.Diff([]int64{1, 1, 3}, counts); diff != "" {
		t.Errorf("counts, newest first (-want +got):\n%s", diff)
	}
}

func orderKeepsNumbers(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 7, 3, 10)))
	s.mustBuy("A", 5)
	id := s.order("A", 10)
	got, _, err := s.Decisions(s.ctx(), restock.ListQuery{Product: "A", State: "ordered", Limit: 10})
	s.must(err)
	if len(got) != 1 {
		t.Fatalf("%d decisions, want 1", len(got))
	}
	want := restock.Decision{
		ID: got[0].ID, SKU: "A", Order: true, OrderID: id, Quantity: 10, Reason: "the position is low",
		OnHand: 2, ReorderPoint: 3, Count: 1, FirstAt: s.clock.now(), LastAt: s.clock.now(),
	}
	if diff := cmp.Diff(want, got[0]); diff != "" {
		t.Errorf("decision (-want +got):\n%s", diff)
	}
	order, err := s.Order(s.ctx(), id)
	s.must(err)
	if order.State != restock.OrderPlanned || order.Quantity != 10 || order.UnitCost != 7000 || order.SKU != "A" {
		t.Errorf("order %+v", order)
	}
	s.wantStock("A", 2, 10)
}

func approvalWaits(t *testing.T, h harness) {
	p := ordered("A", 0, 0, 10)
	p.Ordering = restock.OrderingReview
	s := h.shop(t, catalogue(p))
	d, err := s.Plan(s.ctx(), s.product("A").ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Approval: true, Reason: "low"}
	})
	s.must(err)
	s.wantOrder(d.OrderID, restock.OrderAwaitingApproval)
	s.wantStock("A", 0, 10)
	s.wantPublished(restock.OrderAwaiting, "A", 1)
	s.wantNoClaim()
	s.clock.advance(24 * time.Hour)
	s.wantNoClaim()
	if n := s.sweep(); n != 0 {
		t.Errorf("%d orders to chase, want none: it waits for a person", n)
	}
}

func planUnknown(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	_, err := s.Plan(s.ctx(), restock.ProductID{1}, yes(10))
	wantKind(t, err, restock.NotFound)
}

func lowProducts(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 9, 0, 10), ordered("C", 1, 1, 10), plain("D", 0), ordered("E", 0, 0, 5)))
	s.order("E", 5)
	var found []restock.ProductID
	var after restock.ProductID
	for {
		ids, err := s.LowProducts(s.ctx(), after, 1)
		s.must(err)
		if len(ids) == 0 {
			break
		}
		found, after = append(found, ids...), ids[0]
	}
	want := map[restock.ProductID]bool{s.product("A").ID: true, s.product("C").ID: true}
	for _, id := range found {
		if !want[id] {
			t.Errorf("found %s, which is not low without an order", id)
		}
		delete(want, id)
	}
	if len(want) > 0 {
		t.Errorf("not found: %v", want)
	}
}

func orderSignalled(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.order("A", 10)
	select {
	case <-s.OrdersReady():
	default:
		t.Error("an order was planned and nobody was told")
	}
}
