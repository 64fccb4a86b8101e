package storetest

import (
	"testing"
	"time"

	"github.com/restock/restock"
)

func chaseChecks() []check {
	return []check{
		{"AnExpiredLeaseIsUnknownAndNeverSentAgain", leaseOver},
		{"WithoutACallbackItIsOrderedAgainWithinTheBudgetAndThenHeld", windowOver},
		{"APartAndThenSilenceIsClosedShort", closedShort},
		{"NothingIsChasedBeforeItsTime", notBeforeItsTime},
		{"ChasingTwiceIsChasingOnce", chaseTwice},
		{"GoodsOfTheFirstAttemptCallOffTheSecond", firstDeliversBeforeSecond},
		{"TheWindowOfAnUnknownBeginsWhenItBecameUnknown", windowOfUnknown},
		{"TheRestIsAwaitedForAWindowHoweverLongNobodyLooked", restAfterLong},
	}
}

func leaseOver(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.clock.advance(leaseTime)
	if n := s.sweep(); n != 1 {
		t.Errorf("%d orders chased, want 1", n)
	}
	s.wantOrder(a.OrderID, restock.OrderUnknown, restock.AttemptUnknown)
	s.wantNoClaim()
	s.receive(a, 10, "ten") // it had arrived
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	s.wantStock("A", 10, 0)
}

func windowOver(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptOverdue)
	s.wantPublished(restock.OrderLate, "A", 1)
	s.wantStock("A", 0, 10) // one order still
	second := s.claim()
	if second.Number != 2 || second.Quantity != 10 {
		t.Errorf("second attempt %+v", second)
	}
	s.settle(second, restock.AttemptUnknown)
	s.clock.advance(windowTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderHeld, restock.AttemptOverdue, restock.AttemptOverdue)
	s.wantPublished(restock.OrderHeldFor, "A", 1)
	s.clock.advance(24 * time.Hour)
	s.sweep()
	s.wantNoClaim()
	s.wantStock("A", 0, 10)
}

func closedShort(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.receive(a, 4, "four")
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.wantStock("A", 4, 6)
	s.clock.advance(windowTime - time.Second)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.clock.advance(time.Second)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderClosedShort, restock.AttemptAccepted)
	s.wantStock("A", 4, 0)
	s.wantPublished(restock.OrderLate, "A", 1)
	s.receive(a, 6, "six") // the rest comes all the same
	s.wantStock("A", 10, 0)
	s.wantOrder(a.OrderID, restock.OrderClosedShort, restock.AttemptReceived)
	s.order("A", 10) // its slot is free
}

func notBeforeItsTime(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.chase(a.OrderID)
	s.wantOrder(a.OrderID, restock.OrderSending, restock.AttemptSending)
	s.settle(a, restock.AttemptAccepted)
	s.chase(a.OrderID)
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
	s.receive(a, 1, "one")
	s.chase(a.OrderID)
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	wantKind(t, s.Chase(s.ctx(), restock.OrderID{1}, window, withinBudget), restock.NotFound)
}

func chaseTwice(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	atOnce(8, func(int) {
		if err := s.Chase(s.ctx(), a.OrderID, window, withinBudget); err != nil {
			t.Error(err)
		}
	})
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptOverdue)
	s.wantPublished(restock.OrderLate, "A", 1)
}

func firstDeliversBeforeSecond(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	r := s.receive(a, 10, "ten")
	if !r.Late {
		t.Error("the receipt of an overdue attempt is not marked late")
	}
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	s.wantNoClaim()
	s.wantStock("A", 10, 0)
}

func windowOfUnknown(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.clock.advance(time.Hour) // nobody looked for long
	s.sweep()
	s.clock.advance(windowTime - time.Second)
	if n := s.sweep(); n != 0 {
		t.Errorf("%d orders chased within the window", n)
	}
	s.clock.advance(time.Second)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptOverdue)
}

func restAfterLong(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.clock.advance(10 * time.Hour) // a clock that leaps, or a long outage
	s.sweep()
	s.receive(a, 4, "four")
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.clock.advance(windowTime + leaseTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderClosedShort, restock.AttemptAccepted)
}
