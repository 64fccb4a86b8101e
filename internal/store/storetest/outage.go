package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/restock/restock"
)

func outageChecks() []check {
	return []check{
		{"AFactoryThatIsDownForAnHourIsCalledRarelyAndThenGetsAll", hourDown},
		{"OrdersFlowAgainAMinuteAfterAFault", flowsAgain},
	}
}

// stream is a shop with n products and one factory of ordinary pace.
func stream(t *testing.T, h harness, n int) (*shop, []restock.SKU) {
	t.Helper()
	skus := make([]restock.SKU, n)
	products := make([]restock.CatalogProduct, n)
	for i := range n {
		skus[i] = restock.SKU(fmt.Sprintf("P%03d", i))
		products[i] = ordered(skus[i], 0, 0, 10)
	}
	c := catalogue(products...)
	c.Factories[0].MaxInFlight, c.Factories[0].RatePerSecond = restock.DefaultMaxInFlight, restock.DefaultRatePerSecond
	return h.shop(t, c), skus
}

// pass lets time pass in which the placer looks some times and claims whatever
// it may, and gives how many calls it made. A call that cannot be sent is tried
// again after the longest backoff of the placer.
func (s *shop) pass(d time.Duration, looks int, answer restock.AttemptState) int {
	s.t.Helper()
	calls := 0
	for range looks {
		for {
			a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
			s.must(err)
			if a.OrderID.IsZero() {
				break
			}
			calls++
			full := s.answer(a, answer)
			if answer == restock.AttemptNotSent {
				full.RetryAt = s.clock.now().Add(min(5*time.Minute, time.Second<<min(a.Tries-1, 16)))
			}
			s.must(s.SettleAttempt(s.ctx(), a, full))
		}
		s.clock.advance(d / time.Duration(looks))
	}
	return calls
}

func (s *shop) accepted() int64 {
	s.t.Helper()
	return s.count(`SELECT COUNT(*) FROM order_attempts WHERE state = 'accepted'`)
}

// hourDown: a breaker with a pause of at most five minutes lets about a dozen
// probes through in an hour.
func hourDown(t *testing.T, h harness) {
	const orders, callsMax, recoveryMax = 20, 30, 30 * time.Minute
	s, skus := stream(t, h, orders)
	for _, sku := range skus {
		s.order(sku, 10)
	}
	calls := s.pass(time.Hour, 360, restock.AttemptNotSent)
	if calls > callsMax {
		t.Errorf("I9 kind to the factory: %d calls in an hour in which it was down, want at most %d", calls, callsMax)
	}
	var took time.Duration
	for ; s.accepted() < orders && took < recoveryMax; took += time.Minute {
		s.pass(time.Minute, 30, restock.AttemptAccepted)
	}
	if got := s.accepted(); got != orders {
		t.Errorf("P3 every attempt ends: %d of %d orders are placed %v after the factory was back", got, orders, took)
	}
	t.Logf("%d calls while it was down; all placed within %v", calls, took)
}

// flowsAgain lets an order come every second, through a minute in which the
// factory is down. Retries must not keep new orders out when it is back.
func flowsAgain(t *testing.T, h harness) {
	const minute = 60
	s, skus := stream(t, h, 4*minute)
	calls := make([]int, 4)    // in each minute
	came := make([]int64, 4)   // of the orders, accepted by its end
	for i, sku := range skus { // up, down, recovering, as before
		answer := restock.AttemptAccepted
		if i/minute == 1 {
			answer = restock.AttemptNotSent
		}
		s.order(sku, 10)
		calls[i/minute] += s.pass(time.Second, restock.DefaultRatePerSecond, answer)
		if i%minute == minute-1 {
			came[i/minute] = s.accepted()
		}
	}
	if calls[1] > minute+minute/10+1 {
		t.Errorf("I9 kind to the factory: %d calls in the minute in which it was down, want one for each order and a tenth", calls[1])
	}
	if came[0] != minute || came[1] != minute {
		t.Errorf("%d and %d orders were accepted by the end of the first two minutes, want %d", came[0], came[1], minute)
	}
	if got := came[3] - came[2]; got < minute {
		t.Errorf("P3 every attempt ends: a minute after the fault %d orders are accepted in a minute, want %d", got, minute)
	}
	// But for those that were tried while it was down, and wait for their retry.
	if waiting := int64(len(skus)) - came[3]; waiting > int64(calls[1]) {
		t.Errorf("P3 every attempt ends: %d orders still wait, of which %d were tried while it was down", waiting, calls[1])
	}
	t.Logf("calls in each minute %v, accepted by its end %v", calls, came)
}
