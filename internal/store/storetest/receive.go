package storetest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
)

func receiveChecks() []check {
	return []check{
		{"AVerdictIsCarriedOutWhole", verdicts},
		{"TheJudgeSeesTheAttemptAsItIs", evidence},
		{"PartsAddUpAndCloseTheOrder", partsAddUp},
		{"MoreThanOrderedIsAppliedUpToTheOrderAndHeldBeyond", excessHeld},
		{"AnEqualPartIsNotAppliedTwice", equalPart},
		{"AThousandExactRepeatsAreAppliedOnce", thousandRepeats},
		{"RepeatsOfAHeldReportOnlyRaiseItsCounter", heldRepeats},
		{"ACallbackBeforeTheAnswerIsApplied", callbackFirst},
		{"ACallbackIsAppliedThoughItsSenderLeft", senderLeft},
		{"LateGoodsAreBookedToTheirOwnAttempt", lateGoods},
		{"PartsOfTwoAttemptsAddUpOnTheirOrder", partsOfTwo},
		{"AReportOfAnUnknownOrderIsHeldAsAnOrphan", orphan},
		{"AReportOfAnAttemptThatWasNeverMadeIsHeldAsAnOrphan", attemptNeverMade},
		{"NoJudgeCanApplyMoreThanWasOrdered", carelessJudge},
		{"AReportProvesThatTheFactoryHasTheOrder", proofOfAcceptance},
		{"ARefusedAttemptThatDeliversIsBelieved", rejectedDelivers},
		{"WhoRefusedAndDeliversAllTheSameBreaksNoPromise", refusedAndDelivers},
		{"EvidenceIsKept", evidenceKept},
		{"SalesAndReceiptsAtOnceAddUp", salesAndReceipts},
		{"AReceiptTellsOperationsWhenSomethingIsHeld", heldIsTold},
	}
}

// verdicts carries out one verdict of each sort on an order of 10 of which
// some came.
func verdicts(t *testing.T, h harness) {
	accepted, received := restock.AttemptAccepted, restock.AttemptReceived
	for _, c := range []struct {
		name            string
		came            int64
		verdict         restock.Verdict
		onHand, onOrder int64
		order           restock.OrderState
		attempt         restock.AttemptState
	}{
		{"all", 0, restock.Verdict{State: restock.ReceiptApplied, Apply: 10}, 10, 0, restock.OrderReceived, received},
		{"a part", 0, restock.Verdict{State: restock.ReceiptApplied, Apply: 4}, 4, 6, restock.OrderPartlyReceived, accepted},
		{"the rest", 4, restock.Verdict{State: restock.ReceiptApplied, Apply: 6}, 10, 0, restock.OrderReceived, received},
		{"the rest and more", 4, restock.Verdict{State: restock.ReceiptApplied, Apply: 6, Hold: 94, Reason: "excess"}, 10, 0, restock.OrderReceived, received},
		{"held", 4, restock.Verdict{State: restock.ReceiptHeld, Hold: 6, Reason: "mismatch"}, 4, 6, restock.OrderPartlyReceived, accepted},
		{"held without a count", 0, restock.Verdict{State: restock.ReceiptHeld, Reason: "no count"}, 0, 10, restock.OrderAccepted, accepted},
		{"held when all is there", 10, restock.Verdict{State: restock.ReceiptHeld, Hold: 10, Reason: "excess"}, 10, 0, restock.OrderReceived, received},
		{"duplicate", 10, restock.Verdict{State: restock.ReceiptDuplicate, Reason: "seen"}, 10, 0, restock.OrderReceived, received},
	} {
		s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
		a := s.placed("A", 10)
		if c.came > 0 {
			s.receive(a, c.came, "before")
		}
		got, err := s.Receive(s.ctx(), callback(a, 7, "the report"), func(restock.Evidence) restock.Verdict { return c.verdict })
		s.must(err)
		want := restock.Receipt{
			ID: got.ID, OrderID: a.OrderID, Attempt: 1, SKU: "A", State: c.verdict.State, Claimed: "the report",
			Applied: c.verdict.Apply, Held: c.verdict.Hold, Reason: c.verdict.Reason, Remote: "192.0.2.1:4000", CreatedAt: s.clock.now(),
		}
		if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(restock.Receipt{}, "Available", "TraceParent")); diff != "" {
			t.Errorf("%s: receipt (-want +got):\n%s", c.name, diff)
		}
		if got.Available != c.onHand {
			t.Errorf("%s: told that %d are available, want %d", c.name, got.Available, c.onHand)
		}
		stored, body, err := s.Receipt(s.ctx(), got.ID)
		s.must(err)
		if diff := cmp.Diff(want, stored); diff != "" || string(body) != "the report" {
			t.Errorf("%s: stored with body %q (-want +got):\n%s", c.name, body, diff)
		}
		s.wantStock("A", c.onHand, c.onOrder)
		s.wantOrder(a.OrderID, c.order, c.attempt)
	}
}

func evidence(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.receive(a, 4, "four")
	var got restock.Evidence
	_, err := s.Receive(s.ctx(), callback(a, 4, "four"), func(e restock.Evidence) restock.Verdict {
		got = e
		return restock.Verdict{State: restock.ReceiptHeld}
	})
	s.must(err)
	if !got.Seen || got.Order != restock.OrderPartlyReceived || got.Attempt.Received != 4 || got.Attempt.Quantity != 10 ||
		got.Attempt.State != restock.AttemptAccepted || got.Callback.Claimed != "four" || got.Attempt.Factory.Identifier != factoryID {
		t.Errorf("evidence %+v", got)
	}
}

func partsAddUp(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 100)))
	a := s.placed("A", 100)
	s.receive(a, 29, "29")
	s.wantStock("A", 29, 71)
	s.receive(a, 31, "31")
	s.wantStock("A", 60, 40)
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.receive(a, 40, "40")
	s.wantStock("A", 100, 0)
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	if o := s.orderOf(a); o.Received != 100 || !o.ClosedAt.Equal(s.clock.now()) || len(o.Receipts) != 3 {
		t.Errorf("order %+v", o)
	}
}

func excessHeld(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 100)))
	a := s.placed("A", 100)
	r := s.receive(a, 150, "150")
	if r.Applied != 100 || r.Held != 50 || r.State != restock.ReceiptApplied {
		t.Errorf("receipt %+v, want 100 applied and 50 held", r)
	}
	s.wantStock("A", 100, 0)
}

func equalPart(t *testing.T, h harness) {
	for _, part := range []int64{50, 60} {
		s := h.shop(t, catalogue(ordered("A", 0, 0, 100)))
		a := s.placed("A", 100)
		s.receive(a, part, "a part")
		r := s.receive(a, part, "a part")
		if r.State != restock.ReceiptHeld || r.Applied != 0 {
			t.Errorf("the second is %s with %d applied, want held", r.State, r.Applied)
		}
		s.wantStock("A", part, 100-part)
	}
}

func thousandRepeats(t *testing.T, h harness) {
	const calls = 1000
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	var mu sync.Mutex
	states := map[restock.ReceiptState]int{}
	atOnce(calls, func(int) {
		r, err := s.Receive(s.ctx(), callback(a, 10, "ten"), upToMissing)
		for restock.KindOf(err) == restock.Unavailable {
			// A busy server's connections did not suffice for all in time: a 503,
			// after which the repeats go on.
			r, err = s.Receive(s.ctx(), callback(a, 10, "ten"), upToMissing)
		}
		if err != nil {
			t.Error(err)
		}
		mu.Lock()
		defer mu.Unlock()
		states[r.State]++
	})
	want := map[restock.ReceiptState]int{restock.ReceiptApplied: 1, restock.ReceiptDuplicate: calls - 1}
	if diff := cmp.Diff(want, states); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	s.wantStock("A", 10, 0)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 2)
	s.wantCount(`SELECT SUM(repeats) FROM receipts`, calls-2)
}

func heldRepeats(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.receive(a, 0, "unreadable")
	second := s.receive(a, 0, "unreadable")
	told := s.published(restock.ReceiptKept, "A")
	third := s.receive(a, 0, "unreadable")
	if third.ID != second.ID || third.State != restock.ReceiptHeld || third.Repeats != 1 {
		t.Errorf("third %+v after second %+v", third, second)
	}
	s.wantPublished(restock.ReceiptKept, "A", told)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 2)
}

func callbackFirst(t *testing.T, h harness) {
	s, a := h.sending(t)
	r := s.receive(a, 10, "ten")
	if r.State != restock.ReceiptApplied || r.Late {
		t.Errorf("receipt %+v, want applied in time", r)
	}
	s.wantStock("A", 10, 0)
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
}

func senderLeft(t *testing.T, h harness) {
	s, a := h.sending(t)
	left, leave := context.WithCancel(s.ctx())
	leave()
	if r, err := s.Receive(left, callback(a, 10, "ten"), upToMissing); err != nil || r.State != restock.ReceiptApplied {
		t.Errorf("I7 receipt %+v, %v, want applied though its sender left", r, err)
	}
	s.wantStock("A", 10, 0)
}

// lateGoods delivers the second attempt first, which closes the order; then
// the first delivers.
func lateGoods(t *testing.T, h harness) {
	s, first := h.sending(t)
	s.settle(first, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	s.settle(second, restock.AttemptAccepted)
	s.receive(second, 10, "second")
	s.wantOrder(first.OrderID, restock.OrderReceived, restock.AttemptOverdue, restock.AttemptReceived)
	s.wantStock("A", 10, 0)

	next := s.placed("A", 10) // another order, whose quantity is on order
	r := s.receive(first, 10, "first")
	if r.State != restock.ReceiptApplied || r.Applied != 10 || !r.Late {
		t.Errorf("receipt %+v, want 10 applied, late", r)
	}
	s.wantStock("A", 20, 10)
	s.wantOrder(first.OrderID, restock.OrderReceived, restock.AttemptReceived, restock.AttemptReceived)
	if o := s.orderOf(first); o.Received != 20 {
		t.Errorf("the order received %d, want 20", o.Received)
	}
	s.receive(next, 10, "next")
	s.wantStock("A", 30, 0)
}

// partsOfTwo delivers parts of both attempts of an order of 10: on order falls
// by what the order still expects, and never below zero.
func partsOfTwo(t *testing.T, h harness) {
	s, first := h.sending(t)
	s.settle(first, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	s.settle(second, restock.AttemptAccepted)
	s.receive(first, 4, "four")
	s.wantStock("A", 4, 6)
	s.receive(second, 3, "three")
	s.wantStock("A", 7, 3)
	s.wantOrder(first.OrderID, restock.OrderPartlyReceived, restock.AttemptOverdue, restock.AttemptAccepted)
	s.receive(second, 7, "seven") // 4 more than the order still expects
	s.wantStock("A", 14, 0)
	s.wantOrder(first.OrderID, restock.OrderReceived, restock.AttemptOverdue, restock.AttemptReceived)
	s.receive(first, 6, "six")
	s.wantStock("A", 20, 0)
}

func orphan(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	unknown := restock.Attempt{OrderID: restock.OrderID{7}, Number: 1}
	r := s.receive(unknown, 10, "from a lost past")
	if r.State != restock.ReceiptHeld || r.Applied != 0 || r.Held != 10 || r.SKU != "" || r.Reason == "" {
		t.Errorf("receipt %+v, want held", r)
	}
	s.receive(unknown, 10, "from a lost past")
	third := s.receive(unknown, 10, "from a lost past")
	if third.State != restock.ReceiptHeld || third.Repeats != 1 {
		t.Errorf("third %+v, want a counted repeat", third)
	}
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 2)
	s.wantCount(`SELECT COUNT(*) FROM queue_messages WHERE type = 'receipt.held'`, 2)
	s.wantStock("A", 0, 0)
	listed, _, err := s.Receipts(s.ctx(), restock.ListQuery{State: "held", Limit: 10})
	s.must(err)
	if len(listed) != 2 {
		t.Errorf("%d orphans are listed, want 2", len(listed))
	}
}

func attemptNeverMade(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	a.Number = 2
	if r := s.receive(a, 10, "ten"); r.State != restock.ReceiptHeld {
		t.Errorf("receipt %+v, want held", r)
	}
	s.wantStock("A", 0, 10)
}

func carelessJudge(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	for _, apply := range []int64{11, -1} {
		_, err := s.Receive(s.ctx(), callback(a, apply, fmt.Sprint(apply)), func(restock.Evidence) restock.Verdict {
			return restock.Verdict{State: restock.ReceiptApplied, Apply: apply}
		})
		if err == nil {
			t.Errorf("%d of 10 were applied", apply)
		}
	}
	s.wantStock("A", 0, 10)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 0) // it can come again
	s.receive(a, 10, "ten")
	s.wantStock("A", 10, 0)
}

func proofOfAcceptance(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptUnknown)
	s.receive(a, 0, "unreadable")
	s.wantOrder(a.OrderID, restock.OrderUnknown, restock.AttemptAccepted)
	s.receive(a, 3, "three")
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
}

func rejectedDelivers(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	s.receive(a, 4, "four")
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.receive(a, 6, "six")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	s.wantStock("A", 10, 0)
}

// refusedAndDelivers has three attempts of one order deliver: the second was
// put off with 429, so it was no order as far as anybody could know.
func refusedAndDelivers(t *testing.T, h harness) {
	s, first := h.sending(t)
	s.settle(first, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	answer := s.answer(second, restock.AttemptRejected)
	answer.Status, answer.RetryAt = 429, s.clock.now()
	s.must(s.SettleAttempt(s.ctx(), second, answer))
	third := s.claim()
	s.settle(third, restock.AttemptAccepted)
	for _, a := range []restock.Attempt{second, third, first} {
		s.receive(a, 10, "ten")
	}
	s.wantStock("A", 30, 0)
	s.wantOrder(first.OrderID, restock.OrderReceived, restock.AttemptReceived, restock.AttemptReceived, restock.AttemptReceived)
}

func evidenceKept(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	c := callback(a, 0, "")
	c.Body = []byte("\x00\xff not text")
	r, err := s.Receive(s.ctx(), c, upToMissing)
	s.must(err)
	_, body, err := s.Receipt(s.ctx(), r.ID)
	s.must(err)
	if string(body) != "\x00\xff not text" {
		t.Errorf("body %q is kept", body)
	}
	c.Body, c.Hash[0] = nil, 1
	if _, err = s.Receive(s.ctx(), c, upToMissing); err != nil {
		t.Errorf("a report without a body: %v", err)
	}
	_, _, err = s.Receipt(s.ctx(), restock.ReceiptID{1})
	wantKind(t, err, restock.NotFound)
}

func salesAndReceipts(t *testing.T, h harness) {
	const orders, each = 10, 20
	s := h.shop(t, catalogue(ordered("A", 0, 1000, each)))
	attempts := make(chan restock.Attempt, orders)
	p := ordered("A", 0, 1000, each)
	p.OpenOrdersMax = orders
	s.apply(catalogue(p))
	for range orders {
		attempts <- s.placed("A", each)
	}
	var mu sync.Mutex
	var sold int64
	atOnce(orders+100, func(i int) {
		if i < orders {
			if _, err := s.Receive(s.ctx(), callback(<-attempts, each, fmt.Sprint(i)), upToMissing); err != nil {
				t.Error(err)
			}
			return
		}
		outcomes, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case outcomes[0].Err == nil:
			sold++
		}
	})
	s.wantStock("A", orders*each-sold, 0)
}

func heldIsTold(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.receive(a, 4, "four")
	s.wantPublished(restock.ReceiptKept, "A", 0)
	s.receive(a, 100, "hundred") // in part
	s.wantPublished(restock.ReceiptKept, "A", 1)
	s.receive(a, 10, "ten")
	s.wantPublished(restock.ReceiptKept, "A", 2)
	s.receive(a, 10, "ten") // a duplicate is not held
	s.wantPublished(restock.ReceiptKept, "A", 2)
}
