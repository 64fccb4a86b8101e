package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func peopleOrderChecks() []check {
	return []check{
		{"TheRestThatIsAskedForIsTheMostThatItsAttemptReceives", restIsTheMost},
		{"AnApprovedOrderIsPlacedAndOneThatWaitsIsNot", approveOrder},
		{"ARejectedOrderIsClosedAndItsProductCanBeOrderedAgain", rejectOrder},
		{"ASnoozeBesideARejectionIsInTheSameTransaction", rejectAndSnooze},
		{"AnOrderThatAFactoryMayHaveCannotBeRejected", rejectTooLate},
		{"AHeldOrderIsRetriedEachTimeWithOneAttemptMore", retryOrder},
		{"ARefusedOrderIsRetriedWithinItsBudget", retryRefused},
		{"AnOrderThatWaitsIsLookedAtWhenItsTimeIsOver", waitOrder},
		{"AnOrderThatWasWrittenOffStillReceives", writeOffOrder},
		{"AnOrderOnTheWireCannotBeWrittenOff", writeOffSending},
		{"InTheWrongStateNothingChangesAndWhatCanBeDoneIsSaid", wrongStates},
		{"APersonsClosingIsNotToldAsALateOrder", closingNotTold},
		{"EachActIsAuditedOnceAndAFailedOneIsNot", actsAudited},
		{"ThreeHundredPeopleApproveOnce", approveAtOnce},
	}
}

// by is a person who acts.
func by(reason string) restock.Act { return restock.Act{By: "kim", Reason: reason} }

// awaiting plans an order that awaits approval.
func (s *shop) awaiting(sku restock.SKU, quantity int64) restock.OrderID {
	s.t.Helper()
	d, err := s.Plan(s.ctx(), s.product(sku).ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: quantity, Approval: true, Reason: "it asks"}
	})
	s.must(err)
	return d.OrderID
}

// heldOrder is an order with as many overdue attempts as its budget allows.
func (s *shop) heldOrder(sku restock.SKU, quantity int64) restock.Attempt {
	s.t.Helper()
	a := s.placed(sku, quantity)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	s.settle(second, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderHeld, restock.AttemptOverdue, restock.AttemptOverdue)
	return a
}

func (s *shop) audited() []string {
	s.t.Helper()
	entries, _, err := s.Audit(s.ctx(), restock.ListQuery{Limit: 100})
	s.must(err)
	var all []string
	for _, e := range entries {
		all = append(all, e.Action+" "+string(e.SKU)+" by "+e.Actor+": "+e.Reason)
	}
	return all
}

func (s *shop) wantAudit(want ...string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.audited()); diff != "" {
		s.t.Errorf("audit, newest first (-want +got):\n%s", diff)
	}
}

func approveOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.awaiting("A", 10)
	s.wantNoClaim()
	o, err := s.ApproveOrder(s.ctx(), id, by("it is cheap"))
	s.must(err)
	if o.State != restock.OrderPlanned || o.ID != id {
		t.Errorf("approved %+v", o)
	}
	s.wantStock("A", 0, 10)
	a := s.claim()
	if a.OrderID != id || a.Quantity != 10 {
		t.Errorf("claimed %+v", a)
	}
	s.wantAudit("order.approve A by kim: it is cheap")
}

func rejectOrder(t *testing.T, h harness) {
	for _, approved := range []bool{false, true} {
		s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
		id := s.awaiting("A", 10)
		if approved {
			_, err := s.ApproveOrder(s.ctx(), id, by("a mistake"))
			s.must(err)
		}
		o, err := s.RejectOrder(s.ctx(), id, time.Time{}, by("too dear"))
		s.must(err)
		if o.State != restock.OrderClosedShort || o.HeldReason != "rejected by kim: too dear" || !o.ClosedAt.Equal(s.clock.now()) {
			t.Errorf("rejected %+v", o)
		}
		s.wantNoClaim()
		s.wantStock("A", 0, 0)
		s.wantPublished(restock.StockLow, "A", 2) // it was low from the start, and is again
		s.order("A", 10)                          // its slot is free
	}
}

func rejectAndSnooze(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.awaiting("A", 10)
	for _, until := range []time.Time{s.clock.now(), s.clock.now().Add(restock.SnoozeMax + time.Second)} {
		_, err := s.RejectOrder(s.ctx(), id, until, by("no"))
		wantKind(t, err, restock.Invalid)
	}
	s.wantOrder(id, restock.OrderAwaitingApproval)
	until := s.clock.now().Add(time.Hour)
	_, err := s.RejectOrder(s.ctx(), id, until, by("no"))
	s.must(err)
	if p := s.product("A"); !p.SnoozedUntil.Equal(until) {
		t.Errorf("snoozed until %v, want %v", p.SnoozedUntil, until)
	}
	s.wantAudit("order.reject A by kim: no")
}

func rejectTooLate(t *testing.T, h harness) {
	s, a := h.sending(t)
	refuse := func() {
		t.Helper()
		_, err := s.RejectOrder(s.ctx(), a.OrderID, time.Time{}, by("no"))
		wantKind(t, err, restock.Conflict)
	}
	refuse()
	s.settle(a, restock.AttemptAccepted)
	refuse()
	s.clock.advance(windowTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptOverdue)
	refuse()
	s.wantStock("A", 0, 10)

	s, a = h.sending(t)
	s.settle(a, restock.AttemptNotSent)
	_, err := s.RejectOrder(s.ctx(), a.OrderID, time.Time{}, by("no"))
	s.must(err)
	s.clock.advance(time.Hour)
	s.wantNoClaim()
}

func retryOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.heldOrder("A", 10)
	for n := 3; n <= 5; n++ {
		o, err := s.RetryOrder(s.ctx(), a.OrderID, by("again"))
		s.must(err)
		if o.State != restock.OrderPlanned || o.HeldReason != "" || o.ReorderBudget != n-1 {
			t.Errorf("attempt %d: the order is %+v", n, o)
		}
		next := s.claim()
		if next.Number != n {
			t.Errorf("attempt %d is claimed, want %d", next.Number, n)
		}
		s.settle(next, restock.AttemptUnknown)
		s.clock.advance(windowTime)
		s.sweep()
		if o := s.orderOf(a); o.State != restock.OrderHeld {
			t.Fatalf("after attempt %d it is %s, want held", n, o.State)
		}
	}
	s.receive(a, 10, "the first delivers")
	s.wantStock("A", 10, 0)
}

func retryRefused(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	o, err := s.RetryOrder(s.ctx(), a.OrderID, by("they mended it"))
	s.must(err)
	if o.ReorderBudget != restock.ReorderBudget {
		t.Errorf("the budget is %d, want %d", o.ReorderBudget, restock.ReorderBudget)
	}
	second := s.claim()
	s.settle(second, restock.AttemptAccepted)
	s.receive(second, 10, "ten")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptRejected, restock.AttemptReceived)
}

func waitOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.heldOrder("A", 10)
	for _, until := range []time.Time{{}, s.clock.now(), s.clock.now().Add(restock.WaitMax + time.Second)} {
		_, err := s.WaitOrder(s.ctx(), a.OrderID, until, by("a lorry"))
		wantKind(t, err, restock.Invalid)
	}
	until := s.clock.now().Add(time.Hour)
	o, err := s.WaitOrder(s.ctx(), a.OrderID, until, by("a lorry"))
	s.must(err)
	if o.State != restock.OrderOverdue || !o.DueAt.Equal(until) || !o.ExpectedAt.Equal(until) {
		t.Errorf("waiting %+v", o)
	}
	s.wantNoClaim()
	s.told(false) // the person knows
	later := until.Add(time.Hour)
	o, err = s.WaitOrder(s.ctx(), a.OrderID, later, by("a slow lorry"))
	s.must(err)
	if !o.DueAt.Equal(later) {
		t.Errorf("due at %v, want %v", o.DueAt, later)
	}
	s.clock.advance(2 * time.Hour)
	s.sweep()
	if o := s.orderOf(a); o.State != restock.OrderHeld {
		t.Errorf("after its wait the order is %s, want held", o.State)
	}
	s.told(true)
	s.wantStock("A", 0, 10)
	s.receive(a, 10, "ten")
	s.wantStock("A", 10, 0)
	s.wantAudit("order.wait A by kim: a slow lorry", "order.wait A by kim: a lorry")
}

func writeOffOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.receive(a, 4, "four")
	low := s.published(restock.StockLow, "A")
	o, err := s.WriteOffOrder(s.ctx(), a.OrderID, by("they lost it"))
	s.must(err)
	if o.State != restock.OrderClosedShort || o.HeldReason != "written off by kim: they lost it" || o.Received != 4 {
		t.Errorf("written off %+v", o)
	}
	s.wantStock("A", 4, 0)
	s.wantPublished(restock.StockLow, "A", low) // 4 are on hand
	s.receive(a, 6, "six")                      // it comes all the same
	s.wantStock("A", 10, 0)
	s.wantOrder(a.OrderID, restock.OrderClosedShort, restock.AttemptReceived)
	_, err = s.WriteOffOrder(s.ctx(), a.OrderID, by("again"))
	wantKind(t, err, restock.Conflict)
	s.wantAudit("order.write_off A by kim: they lost it")
}

func writeOffSending(t *testing.T, h harness) {
	s, a := h.sending(t)
	_, err := s.WriteOffOrder(s.ctx(), a.OrderID, by("no"))
	wantKind(t, err, restock.Conflict)
	s.settle(a, restock.AttemptUnknown)
	_, err = s.WriteOffOrder(s.ctx(), a.OrderID, by("no"))
	s.must(err)
	s.wantStock("A", 0, 0)
	s.wantPublished(restock.StockLow, "A", 2)
}

func wrongStates(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	acts := map[string]func(restock.OrderID) error{
		"approve": func(id restock.OrderID) error { _, err := s.ApproveOrder(s.ctx(), id, by("x")); return err },
		"reject":  func(id restock.OrderID) error { _, err := s.RejectOrder(s.ctx(), id, time.Time{}, by("x")); return err },
		"retry":   func(id restock.OrderID) error { _, err := s.RetryOrder(s.ctx(), id, by("x")); return err },
		"wait": func(id restock.OrderID) error {
			_, err := s.WaitOrder(s.ctx(), id, s.clock.now().Add(time.Hour), by("x"))
			return err
		},
	}
	before := s.orderOf(a)
	for name, act := range acts {
		err := act(a.OrderID)
		wantKind(t, err, restock.Conflict)
		if err != nil && !strings.Contains(err.Error(), "`restock orders write-off`") {
			t.Errorf("%s: %q does not say what can be done", name, err)
		}
		wantKind(t, act(restock.OrderID{9}), restock.NotFound)
	}
	if diff := cmp.Diff(before, s.orderOf(a)); diff != "" {
		t.Errorf("the order changed (-before +after):\n%s", diff)
	}
	s.wantAudit()
}

func closingNotTold(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	_, err := s.RejectOrder(s.ctx(), s.awaiting("A", 10), time.Time{}, by("no"))
	s.must(err)
	a := s.placed("A", 10)
	_, err = s.WriteOffOrder(s.ctx(), a.OrderID, by("no"))
	s.must(err)
	s.told(false)
	s.clock.advance(2 * restock.ToldAgainAfter)
	s.told(false)
}

func actsAudited(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	id := s.awaiting("A", 10)
	_, err := s.ApproveOrder(s.ctx(), id, by("yes"))
	s.must(err)
	_, err = s.ApproveOrder(s.ctx(), id, by("yes, yes"))
	wantKind(t, err, restock.Conflict)
	s.clock.advance(time.Second)
	_, err = s.RejectOrder(s.ctx(), s.awaiting("B", 10), time.Time{}, by("no"))
	s.must(err)
	s.wantAudit("order.reject B by kim: no", "order.approve A by kim: yes")
	for _, c := range []struct {
		query restock.ListQuery
		want  int
	}{
		{restock.ListQuery{Product: "A"}, 1},
		{restock.ListQuery{State: "order.reject"}, 1},
		{restock.ListQuery{Reference: id.String()}, 1},
		{restock.ListQuery{Reference: "other"}, 0},
	} {
		found, _, err := s.Audit(s.ctx(), c.query)
		s.must(err)
		if len(found) != c.want {
			t.Errorf("%+v finds %d, want %d", c.query, len(found), c.want)
		}
	}
	first, next, err := s.Audit(s.ctx(), restock.ListQuery{Limit: 1})
	s.must(err)
	rest, end, err := s.Audit(s.ctx(), restock.ListQuery{Limit: 1, After: next})
	s.must(err)
	if len(first) != 1 || len(rest) != 1 || first[0].Action != "order.reject" || rest[0].Action != "order.approve" || end != "" {
		t.Errorf("pages %+v, %+v, %q", first, rest, end)
	}
}

func approveAtOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.awaiting("A", 10)
	atOnce(300, func(int) {
		if _, err := s.ApproveOrder(s.ctx(), id, by("yes")); err != nil && restock.KindOf(err) != restock.Conflict {
			t.Error(err)
		}
	})
	s.wantAudit("order.approve A by kim: yes")
}

// restIsTheMost lets a part come while the second attempt is not sent yet: that
// is made for the rest alone, and no more of it is applied.
func restIsTheMost(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.beating("a", windowTime)
	s.sweep()
	s.settle(s.claim(), restock.AttemptNotSent)
	s.receive(a, 4, "four")
	s.clock.advance(time.Hour) // nobody is there
	s.beating("a", windowTime)
	s.look(a)
	s.beating("a", windowTime)
	s.look(a)
	_, err := s.RetryOrder(s.ctx(), a.OrderID, by("again"))
	s.must(err)
	second := s.claim()
	if r := s.receive(second, 10, "ten"); second.Quantity != 6 || r.Applied != 6 || r.Held != 4 {
		t.Errorf("P4 asked for %d, applied %d and held %d of ten", second.Quantity, r.Applied, r.Held)
	}
	s.wantStock("A", 10, 0)
}
