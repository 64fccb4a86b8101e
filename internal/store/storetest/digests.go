package storetest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

const gap = 10 * time.Minute

func digestChecks() []check {
	return []check{
		{"AClockThatIsSetBackKeepsNobodyFromBeingTold", digestClockBack},
		{"ALateOrderThatCannotBePlacedAgainIsToldTheNextDay", digestLateNotPlaced},
		{"AnAttemptOfACompleteOrderThatNobodyKnowsOfIsToldOnce", digestAttemptUnknown},
		{"AFactoryThatFailsIsToldThoughNoOrderWasTriedOften", digestFactoryFails},
		{"ManyProblemsAreOneMail", digestGroups},
		{"ARepeatIsTheSameMail", digestRepeat},
		{"ANewMailWaitsForTheGap", digestGap},
		{"WhatSolvedItselfIsNotTold", digestSolved},
		{"EachSortOfProblemIsTold", digestKinds},
		{"ADeadLetterOfTheOpsQueueIsNotTold", digestOpsQueue},
		{"ARedrivenLetterThatDiesAgainIsToldAgain", digestRedriven},
		{"ALateOrderIsNotToldAgainForEveryTry", digestLateOnce},
		{"AMailListsOnlySoMany", digestCut},
		{"OnlyOneOfManySendsIt", digestOneSender},
		{"NothingToTellIsNoMail", digestNothing},
		{"OrdersThatAwaitApprovalAreTheBuyers", digestBuyer},
		{"WhatWaitsForAPersonIsToldEveryDay", digestDaily},
	}
}

// toldBy asks for what operations are told on a channel. While there is no
// webhook, nothing is kept for it.
func toldBy(c restock.Channel, webhook bool) restock.DigestRequest {
	return restock.DigestRequest{Audience: restock.Operations, Channel: c, Webhook: webhook, Gap: gap, Lease: mailing}
}

func (s *shop) begin(r restock.DigestRequest, want bool) restock.Digest {
	s.t.Helper()
	d, ok, err := s.BeginDigest(s.ctx(), r)
	s.must(err)
	if ok != want {
		s.t.Fatalf("the %s to %s: %t, want %t: %+v", r.Channel, r.Audience, ok, want, d)
	}
	return d
}

func (s *shop) digest(want bool) restock.Digest {
	s.t.Helper()
	return s.begin(toldBy(restock.ByMail, false), want)
}

func (s *shop) told(want bool) restock.Digest {
	s.t.Helper()
	d := s.digest(want)
	if want {
		s.must(s.EndDigest(s.ctx(), d.ID, restock.ByMail))
	}
	return d
}

// problem makes a held receipt.
func (s *shop) problem(n int) {
	s.t.Helper()
	s.receive(restock.Attempt{OrderID: restock.OrderID{1, byte(n >> 8), byte(n)}, Number: 1}, 1, fmt.Sprint("problem ", n))
}

// die receives a message of a queue and gives it up.
func (s *shop) die(queue string) driver.ID {
	s.t.Helper()
	got, err := s.Queue().Receive(s.ctx(), queue, driver.Request{Max: 1, Visibility: time.Minute})
	s.must(err)
	if len(got) != 1 {
		s.t.Fatalf("%d messages on %s, want one to give up", len(got), queue)
	}
	s.must(s.Queue().Dead(s.ctx(), got[0], "it cannot be read"))
	return got[0].ID
}

func digestGroups(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	for n := range 20 {
		s.problem(n)
	}
	d := s.told(true)
	if d.Total != 20 || len(d.Problems) != 20 {
		t.Errorf("%d problems of %d, want 20", len(d.Problems), d.Total)
	}
	s.clock.advance(restock.ToldAgainAfter - time.Millisecond)
	s.told(false)
}

func digestRepeat(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.problem(1)
	first := s.digest(true)
	s.digest(false) // somebody is sending it
	s.clock.advance(mailing)
	s.problem(2) // meanwhile; it is told later
	repeat := s.digest(true)
	if diff := cmp.Diff(first, repeat); diff != "" {
		t.Errorf("after a crash (-first +repeat):\n%s", diff)
	}
	s.must(s.FailDigest(s.ctx(), first.ID, restock.ByMail))
	if again := s.digest(true); again.ID != first.ID {
		t.Error("after a failed mail another one begins")
	}
	s.must(s.EndDigest(s.ctx(), first.ID, restock.ByMail))
	s.clock.advance(gap)
	if next := s.told(true); next.ID == first.ID || next.Total != 1 {
		t.Errorf("next %+v, want another mail of one problem", next)
	}
}

func digestGap(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.problem(1)
	s.told(true)
	s.problem(2)
	s.told(false)
	s.clock.advance(gap - time.Millisecond)
	s.told(false)
	s.clock.advance(time.Millisecond)
	s.told(true)
}

func digestSolved(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	s.problem(1)
	if d := s.digest(true); d.Total != 2 {
		t.Errorf("%d problems, want 2", d.Total)
	}
	s.receive(a, 10, "it delivers all the same")
	s.clock.advance(mailing)
	if d := s.told(true); d.Total != 1 || d.Problems[0].Kind != restock.ProblemReceiptHeld {
		t.Errorf("repeat %+v, want only what is still a problem", d)
	}

	s, a = h.sending(t)
	s.settle(a, restock.AttemptRejected)
	s.receive(a, 10, "before anybody was told")
	s.told(false)
}

func digestKinds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(
		ordered("HELD", 0, 0, 10), ordered("LATE", 0, 0, 10), ordered("ASKS", 0, 0, 10), ordered("SHORT", 0, 0, 10), ordered("DEAD", 0, 0, 10)))
	s.order("HELD", 10)
	s.settle(s.claim(), restock.AttemptRejected)
	short := s.placed("SHORT", 10)
	s.receive(short, 3, "three")
	late := s.placed("LATE", 10)
	s.clock.advance(windowTime)
	s.sweep()
	asks, err := s.Plan(s.ctx(), s.product("ASKS").ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Approval: true, Reason: "it asks"}
	})
	s.must(err)
	held := s.receive(short, 99, "ninety-nine")
	dead := s.die(restock.StockQueue)

	d := s.told(true)
	got := map[restock.ProblemKind][]string{}
	for _, p := range d.Problems {
		got[p.Kind] = append(got[p.Kind], p.ID)
		if p.Summary == "" || p.Since.IsZero() || p.SKU == "" {
			t.Errorf("problem %+v says too little", p)
		}
	}
	want := map[restock.ProblemKind]bool{
		restock.ProblemDeadLetter:  one(got, restock.ProblemDeadLetter, dead.String()),
		restock.ProblemAwaiting:    one(got, restock.ProblemAwaiting, asks.OrderID.String()),
		restock.ProblemReceiptHeld: one(got, restock.ProblemReceiptHeld, held.ID.String()),
		restock.ProblemOrderHeld:   len(got[restock.ProblemOrderHeld]) == 1,
	}
	for kind, ok := range want {
		if !ok {
			t.Errorf("%s: told of %v", kind, got[kind])
		}
	}
	overdue := map[string]bool{}
	for _, id := range got[restock.ProblemOrderLate] {
		overdue[id] = true
	}
	if !overdue[late.OrderID.String()] || !overdue[short.OrderID.String()] || len(overdue) != 2 {
		t.Errorf("overdue: told of %v, want %s and %s", overdue, late.OrderID, short.OrderID)
	}
}

func one(got map[restock.ProblemKind][]string, kind restock.ProblemKind, id string) bool {
	return len(got[kind]) == 1 && got[kind][0] == id
}

func digestOpsQueue(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected) // order.held goes to the ops queue
	s.die(restock.OpsQueue)
	if d := s.told(true); d.Total != 1 || d.Problems[0].Kind != restock.ProblemOrderHeld {
		t.Errorf("told of %+v, want only of the order", d.Problems)
	}
}

func digestRedriven(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.die(restock.StockQueue)
	s.told(true)
	s.clock.advance(gap)
	s.told(false)
	done, err := s.Queue().Redrive(s.ctx(), restock.StockQueue, id)
	s.must(err)
	if !done {
		t.Fatal("not redriven")
	}
	s.told(false)
	s.die(restock.StockQueue)
	s.told(true)
}

// digestLateOnce lets a factory be unreachable after an order was overdue:
// each try fails, and operations were told already.
func digestLateOnce(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	s.told(true)
	for range 3 {
		s.clock.advance(gap)
		s.settle(s.claim(), restock.AttemptNotSent)
		s.told(false)
	}
	s.clock.advance(gap)
	s.settle(s.claim(), restock.AttemptRejected) // it is held now: that is news
	if d := s.told(true); d.Problems[0].Kind != restock.ProblemOrderHeld {
		t.Errorf("told of %+v", d.Problems)
	}
}

func digestCut(t *testing.T, h harness) {
	const many = restock.DigestProblemsMax + 30
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	for n := range many {
		s.problem(n)
	}
	d := s.told(true)
	if d.Total != many+1 || len(d.Problems) != restock.DigestProblemsMax {
		t.Errorf("%d of %d problems, want %d of %d", len(d.Problems), d.Total, restock.DigestProblemsMax, many+1)
	}
	s.clock.advance(gap)
	s.told(false) // what was only counted is told too
}

func digestOneSender(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.problem(1)
	var mu sync.Mutex
	begun := 0
	atOnce(20, func(int) {
		_, ok, err := s.BeginDigest(s.ctx(), toldBy(restock.ByMail, false))
		if err != nil {
			t.Error(err)
		}
		if ok {
			mu.Lock()
			begun++
			mu.Unlock()
		}
	})
	if begun != 1 {
		t.Errorf("%d send the mail, want 1", begun)
	}
}

func digestNothing(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 0, 10)))
	s.mustBuy("A", 5)
	s.receive(s.placed("A", 10), 10, "ten")
	s.told(false)
	s.wantCount(`SELECT COUNT(*) FROM digests`, 0)
}

// toldBuyer is told for the buyer.
func (s *shop) toldBuyer(want bool) restock.Digest {
	s.t.Helper()
	r := toldBy(restock.ByMail, true) // which is for operations
	r.Audience = restock.Buyer
	d := s.begin(r, want)
	if want {
		s.must(s.EndDigest(s.ctx(), d.ID, restock.ByMail))
	}
	return d
}

func digestBuyer(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10))
	c.BuyerEmail = "buyer@donut.example"
	s := h.shop(t, c)
	id := s.awaiting("A", 10)
	s.told(false)
	d := s.toldBuyer(true)
	if d.To != c.BuyerEmail || d.Audience != restock.Buyer || d.Total != 1 || d.Problems[0].ID != id.String() ||
		d.Problems[0].Summary != "10 × Donut A for 70000 KRW, because it asks" {
		t.Errorf("the buyer is told %+v", d)
	}
	s.problem(1)
	if d := s.told(true); d.To != "" || d.Total != 1 || d.Problems[0].Kind != restock.ProblemReceiptHeld {
		t.Errorf("operations are told %+v", d)
	}
	s.clock.advance(restock.ToldAgainAfter)
	again := s.toldBuyer(true)
	if again.ID == d.ID || again.Total != 1 || !again.Problems[0].Since.Equal(d.Problems[0].Since) {
		t.Errorf("the next day %+v", again)
	}
	_, err := s.ApproveOrder(s.ctx(), id, by("yes"))
	s.must(err)
	s.clock.advance(restock.ToldAgainAfter)
	s.toldBuyer(false)
}

func digestDaily(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	s.problem(1)
	first := s.told(true)
	for range 3 {
		s.clock.advance(restock.ToldAgainAfter - time.Millisecond)
		s.told(false)
		s.clock.advance(time.Millisecond)
		d := s.told(true)
		if diff := cmp.Diff(first.Problems, d.Problems); diff != "" || d.ID == first.ID {
			t.Errorf("told again (-first +again):\n%s", diff)
		}
	}
	_, err := s.WriteOffOrder(s.ctx(), a.OrderID, by("no"))
	s.must(err)
	s.clock.advance(restock.ToldAgainAfter)
	if d := s.told(true); d.Total != 1 || d.Problems[0].Kind != restock.ProblemReceiptHeld {
		t.Errorf("told of %+v, want only what still waits", d.Problems)
	}
}

func digestLateNotPlaced(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	s.told(true) // late
	for range restock.TriesTold {
		s.clock.advance(time.Hour)
		s.settle(s.claim(), restock.AttemptNotSent)
	}
	s.told(false)
	s.clock.advance(restock.ToldAgainAfter)
	if d := s.told(true); d.Problems[len(d.Problems)-1].Kind != restock.ProblemNotPlaced {
		t.Errorf("P3 told %+v", d)
	}
}

func digestAttemptUnknown(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	s.told(true)            // late
	second := s.claim()     // its process dies
	s.receive(a, 10, "ten") // and the first delivers
	s.told(false)           // it may be answered yet
	s.clock.advance(time.Hour)
	s.sweep()
	d := s.told(true)
	if d.Total != 1 || d.Problems[0].Kind != restock.ProblemAttemptUnknown || d.Problems[0].ID != a.OrderID.String() {
		t.Errorf("P3 told %+v", d)
	}
	s.clock.advance(restock.ToldAgainAfter)
	s.told(false)
	s.receive(second, 10, "ten")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived, restock.AttemptReceived)
}

// digestFactoryFails has so many orders wait that the probes try each only once.
func digestFactoryFails(t *testing.T, h harness) {
	s := busyShop(t, h, 60, nil)
	for range 20 {
		a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
		s.must(err)
		if !a.OrderID.IsZero() {
			s.settle(a, restock.AttemptNotSent)
		}
		s.clock.advance(time.Minute)
	}
	if d := s.told(true); d.Total != 60 || d.Problems[0].Kind != restock.ProblemNotPlaced {
		t.Errorf("P3 told of %d: %+v", d.Total, d.Problems[0])
	}
}

func digestClockBack(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.problem(1)
	s.told(true)
	s.clock.advance(-24 * time.Hour)
	s.problem(2)
	s.told(true)
	s.clock.advance(gap - time.Millisecond)
	s.problem(3)
	s.told(false) // the gap is kept from then on
	s.clock.advance(time.Millisecond)
	s.told(true)
}
