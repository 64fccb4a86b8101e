package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func claimChecks() []check {
	return []check{
		{"AFactoryHasAtMostMaxInFlight", maxInFlight},
		{"AFactoryIsCalledNoFasterThanItsRate", rateKept},
		{"OneSlowFactoryDoesNotStandBeforeAnother", bulkhead},
		{"TwoClaimersNeverGetTheSame", claimersApart},
		{"AnAttemptFreezesWhatTheFactoryIsAskedFor", attemptFreezes},
		{"AnAttemptThatWasNeverSentFreezesAnewWhatIsAskedFor", unsentFreezesAnew},
		{"SendingIsDurableBeforeAnybodyMaySend", sendingDurable},
		{"NextPlacingSaysWhenToLookAgain", nextPlacing},
	}
}

// oneOrderEach makes products, each with a planned order.
func oneOrderEach(t *testing.T, h harness, edit func(*restock.CatalogFactory), skus ...restock.SKU) *shop {
	t.Helper()
	products := make([]restock.CatalogProduct, 0, len(skus))
	for _, sku := range skus {
		products = append(products, ordered(sku, 0, 0, 10))
	}
	c := catalogue(products...)
	edit(&c.Factories[0])
	s := h.shop(t, c)
	for _, sku := range skus {
		s.order(sku, 10)
	}
	return s
}

func maxInFlight(t *testing.T, h harness) {
	s := oneOrderEach(t, h, func(f *restock.CatalogFactory) { f.MaxInFlight = 2 }, "A", "B", "C", "D")
	first := s.claim()
	second := s.claim()
	s.wantNoClaim()
	s.settle(first, restock.AttemptAccepted) // its place is free again
	s.claim()
	s.wantNoClaim()
	s.receive(second, 10, "ten") // its goods are here, and its call is on the wire still
	s.wantNoClaim()
	s.settle(second, restock.AttemptAccepted)
	s.claim()
	s.wantNoClaim()
	s.clock.advance(leaseTime) // who was sending is gone
	if n := s.sweep(); n != 2 {
		t.Errorf("%d leases ran out, want 2", n)
	}
}

func rateKept(t *testing.T, h harness) {
	s := oneOrderEach(t, h, func(f *restock.CatalogFactory) { f.RatePerSecond = 2 }, "A", "B", "C")
	s.settle(s.claim(), restock.AttemptAccepted)
	s.wantNoClaim()
	s.clock.advance(498 * time.Millisecond) // and one that claim let pass
	s.wantNoClaim()
	s.clock.advance(time.Millisecond)
	s.claim()
	s.wantNoClaim()
}

func bulkhead(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10), ordered("C", 0, 0, 10))
	c.Factories[0].MaxInFlight = 1
	c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-2", URL: "http://127.0.0.1:4001/"})
	c.Products[2].Factory = "FF-2"
	c.Fill()
	s := h.shop(t, c)
	for _, sku := range []restock.SKU{"A", "B", "C"} {
		s.order(sku, 10)
	}
	claimed := map[restock.SKU]bool{s.claim().SKU: true, s.claim().SKU: true}
	if !claimed["C"] {
		t.Errorf("claimed %v: the second factory waits for the first", claimed)
	}
	s.wantNoClaim()
}

func claimersApart(t *testing.T, h harness) {
	const orders, claimers = 40, 8
	skus := make([]restock.SKU, orders)
	for i := range skus {
		skus[i] = restock.SKU(fmt.Sprintf("SKU-%02d", i))
	}
	s := oneOrderEach(t, h, func(f *restock.CatalogFactory) { f.RatePerSecond = 1e9 }, skus...)
	var mu sync.Mutex
	claimed := map[restock.OrderID]int{}
	atOnce(claimers, func(i int) {
		for {
			s.clock.advance(time.Microsecond)
			a, err := s.ClaimAttempt(s.ctx(), string(rune('a'+i)), time.Hour)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			if !a.OrderID.IsZero() {
				claimed[a.OrderID]++
			}
			enough := len(claimed) == orders || err != nil
			mu.Unlock()
			if enough {
				return
			}
		}
	})
	for id, n := range claimed {
		if n != 1 {
			t.Errorf("order %s was claimed %d times", id, n)
		}
	}
	s.wantNoClaim()
}

func attemptFreezes(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10))
	s := h.shop(t, c)
	s.order("A", 10)
	a := s.claim()
	want := restock.Attempt{
		OrderID: a.OrderID, Number: 1, State: restock.AttemptSending, Quantity: 10, SKU: "A", Slug: "a",
		Requester: "김재고", Tries: 1, Owner: "owner",
		SentAt: s.clock.now().Add(-time.Millisecond), LeaseUntil: s.clock.now().Add(leaseTime - time.Millisecond),
		TraceParent: s.orderOf(a).TraceParent,
	}
	want.Factory = a.Factory // its identifier is compared below
	if diff := cmp.Diff(want, a); diff != "" {
		t.Errorf("attempt (-want +got):\n%s", diff)
	}
	if a.Factory.Identifier != factoryID || a.Factory.LeadTime != leadTime {
		t.Errorf("factory %+v", a.Factory)
	}
	c.Products[0].Slug, c.Products[0].OrderQuantity, c.Factories[0].Requester = "another", 99, "somebody else"
	c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-2", URL: "http://127.0.0.1:4001/"})
	c.Products[0].Factory = "FF-2"
	c.Fill()
	s.apply(c)
	seen := s.seenBy(a)
	if seen.Slug != "a" || seen.SKU != "A" || seen.Quantity != 10 || seen.Requester != "김재고" || seen.Factory.Identifier != factoryID {
		t.Errorf("the callback is judged by %+v, want what the factory was asked for", seen)
	}
	s.clock.advance(leaseTime)
	s.sweep()
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	if second.Slug != "another" || second.Number != 2 || second.Quantity != 10 {
		t.Errorf("second attempt %+v", second)
	}
}

// seenBy gives the attempt as a judge sees it.
func (s *shop) seenBy(a restock.Attempt) restock.Attempt {
	s.t.Helper()
	var seen restock.Attempt
	_, err := s.Receive(s.ctx(), callback(a, 0, "only to look"), func(e restock.Evidence) restock.Verdict {
		seen = e.Attempt
		return restock.Verdict{State: restock.ReceiptHeld, Reason: "only to look"}
	})
	s.must(err)
	return seen
}

func sendingDurable(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.order("A", 10)
	a := s.claim()
	s.wantOrder(id, restock.OrderSending, restock.AttemptSending)
	s.wantCount(`SELECT COUNT(*) FROM order_attempts WHERE state = 'sending' AND owner = 'owner'`, 1)
	if got := s.orderOf(a).Attempts[0]; got.Owner != "owner" || !got.LeaseUntil.Equal(a.LeaseUntil) {
		t.Errorf("stored attempt %+v", got)
	}
}

func nextPlacing(t *testing.T, h harness) {
	s := oneOrderEach(t, h, func(f *restock.CatalogFactory) { f.RatePerSecond = 1 }, "A", "B")
	next := func() time.Duration {
		at, err := s.NextPlacing(s.ctx())
		s.must(err)
		if at.IsZero() {
			return -1
		}
		return at.Sub(s.clock.now())
	}
	if got := next(); got > 0 {
		t.Errorf("next placing in %v, want now", got)
	}
	a := s.claim()
	if got := next(); got != 999*time.Millisecond {
		t.Errorf("next placing in %v, want when the pace allows it", got)
	}
	s.clock.advance(time.Second)
	b := s.claim()
	if got := next(); got != -1 {
		t.Errorf("next placing in %v, want none", got)
	}
	answer := s.answer(b, restock.AttemptNotSent)
	answer.RetryAt = s.clock.now().Add(time.Hour)
	s.must(s.SettleAttempt(s.ctx(), b, answer))
	if got := next(); got != time.Hour {
		t.Errorf("next placing in %v, want in an hour", got)
	}
	s.settle(a, restock.AttemptAccepted)
}

// unsentFreezesAnew claims an attempt again that was proven not sent: its
// callback is judged by what was asked for in the end.
func unsentFreezesAnew(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10))
	s := h.shop(t, c)
	s.order("A", 10)
	s.settle(s.claim(), restock.AttemptNotSent)
	c.Factories[0].Requester, c.Products[0].Slug = "somebody else", "another"
	s.apply(c)
	s.clock.advance(time.Minute)
	a := s.claim()
	seen := s.seenBy(a)
	if a.Tries != 2 || a.Requester != "somebody else" || seen.Requester != a.Requester || seen.Slug != a.Slug {
		t.Errorf("P4 the factory was asked by %q at %q, its callback is judged by %q at %q", a.Requester, a.Slug, seen.Requester, seen.Slug)
	}
}
