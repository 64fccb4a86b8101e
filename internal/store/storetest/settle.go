package storetest

import (
	"testing"
	"time"

	"github.com/restock/restock"
)

func settleChecks() []check {
	return []check{
		{"AcceptedWaitsForItsCallback", acceptedWaits},
		{"NotSentIsTriedAgainUnderTheSameNumber", notSentKeepsNumber},
		{"AskedToWaitTheNextTryHasTheNextNumber", tooManyRequests},
		{"ARefusalHoldsTheOrderAndTells", rejectedHolds},
		{"UnknownIsNotSentAgain", unknownStays},
		{"ALateAnswerAfterTheCallbackMovesNothingBack", lateAfterCallback},
		{"ALateAnswerAfterTheLeaseMovesNothingBack", lateAfterLease},
		{"OnlyTheOwnerSettles", onlyOwnerSettles},
		{"AnAnswerCountsOnce", answerCountsOnce},
	}
}

func (h harness) sending(t *testing.T) (*shop, restock.Attempt) {
	t.Helper()
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.order("A", 10)
	return s, s.claim()
}

func acceptedWaits(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
	o := s.orderOf(a)
	got := o.Attempts[0]
	if got.Status != 201 || got.FactoryRef != "ref-1" || !got.DueAt.Equal(a.SentAt.Add(windowTime)) || !got.AnsweredAt.Equal(s.clock.now()) {
		t.Errorf("attempt %+v", got)
	}
	if !o.ExpectedAt.Equal(a.SentAt.Add(leadTime)) {
		t.Errorf("expected at %v, want the lead time after %v", o.ExpectedAt, a.SentAt)
	}
	s.wantNoClaim()
	s.wantStock("A", 0, 10)
}

func notSentKeepsNumber(t *testing.T, h harness) {
	s, a := h.sending(t)
	for try := 2; try <= 4; try++ {
		s.settle(a, restock.AttemptNotSent)
		s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptNotSent)
		s.wantNoClaim() // not before its time
		s.clock.advance(time.Second)
		again := s.claim()
		if again.OrderID != a.OrderID || again.Number != 1 || again.Tries != try {
			t.Errorf("claimed number %d, try %d, want 1 and %d", again.Number, again.Tries, try)
		}
		a = again
	}
	s.wantStock("A", 0, 10)
}

func tooManyRequests(t *testing.T, h harness) {
	s, a := h.sending(t)
	answer := s.answer(a, restock.AttemptRejected)
	answer.Status, answer.RetryAt = 429, s.clock.now().Add(time.Minute)
	s.must(s.SettleAttempt(s.ctx(), a, answer))
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptRejected)
	s.clock.advance(time.Minute - time.Millisecond)
	s.wantNoClaim()
	s.clock.advance(time.Millisecond)
	if next := s.claim(); next.Number != 2 || next.Tries != 1 {
		t.Errorf("claimed number %d, try %d, want 2 and 1", next.Number, next.Tries)
	}
	s.wantPublished(restock.OrderHeldFor, "A", 0)
}

func rejectedHolds(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	s.wantOrder(a.OrderID, restock.OrderHeld, restock.AttemptRejected)
	s.wantPublished(restock.OrderHeldFor, "A", 1)
	if reason := s.orderOf(a).HeldReason; reason == "" {
		t.Error("the held order gives no reason")
	}
	s.clock.advance(24 * time.Hour)
	s.wantNoClaim()
	if n := s.sweep(); n != 0 {
		t.Errorf("%d orders to chase, want none: it waits for a person", n)
	}
	// It blocks its slot, so that there is no loop of order, refusal, order.
	d, err := s.Plan(s.ctx(), s.product("A").ID, yes(10))
	s.must(err)
	if d.Order {
		t.Error("a held order did not block its slot")
	}
	s.wantStock("A", 0, 10)
}

func unknownStays(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptUnknown)
	s.wantOrder(a.OrderID, restock.OrderUnknown, restock.AttemptUnknown)
	s.clock.advance(windowTime - 2*time.Millisecond)
	s.wantNoClaim()
	if n := s.sweep(); n != 0 {
		t.Errorf("%d orders chased within the window", n)
	}
	s.receive(a, 10, "ten")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
}

func lateAfterCallback(t *testing.T, h harness) {
	for _, late := range []restock.AttemptState{
		restock.AttemptAccepted, restock.AttemptUnknown, restock.AttemptNotSent, restock.AttemptRejected,
	} {
		s, a := h.sending(t)
		s.receive(a, 10, "ten")
		s.settle(a, late)
		s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
		s.wantStock("A", 10, 0)
		if got, want := s.orderOf(a).Attempts[0].Status, s.answer(a, late).Status; got != want {
			t.Errorf("status %d is kept as evidence, want %d", got, want)
		}

		s, a = h.sending(t)
		s.receive(a, 4, "four")
		s.settle(a, late)
		s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
		s.wantNoClaim()
	}
}

func lateAfterLease(t *testing.T, h harness) {
	for _, late := range []restock.AttemptState{
		restock.AttemptAccepted, restock.AttemptUnknown, restock.AttemptNotSent, restock.AttemptRejected,
	} {
		s, a := h.sending(t)
		s.clock.advance(leaseTime)
		s.chase(a.OrderID)
		s.wantOrder(a.OrderID, restock.OrderUnknown, restock.AttemptUnknown)
		s.settle(a, late)
		if late == restock.AttemptAccepted { // it proves what was not known
			s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
		} else {
			s.wantOrder(a.OrderID, restock.OrderUnknown, restock.AttemptUnknown)
		}
		s.wantNoClaim()
	}
}

func onlyOwnerSettles(t *testing.T, h harness) {
	s, a := h.sending(t)
	other := a
	other.Owner = "somebody else"
	s.settle(other, restock.AttemptNotSent)
	s.wantOrder(a.OrderID, restock.OrderSending, restock.AttemptSending)
	// The same owner's answer to an earlier try of the same number.
	s.settle(a, restock.AttemptNotSent)
	s.clock.advance(time.Second)
	s.claim()
	s.settle(a, restock.AttemptRejected)
	s.wantOrder(a.OrderID, restock.OrderSending, restock.AttemptSending)
}

func answerCountsOnce(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.settle(a, restock.AttemptRejected)
	s.settle(a, restock.AttemptNotSent)
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
	s.wantPublished(restock.OrderHeldFor, "A", 0)
}
