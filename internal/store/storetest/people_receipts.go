package storetest

import (
	"testing"
	"time"

	"github.com/restock/restock"
)

func peopleReceiptChecks() []check {
	return []check{
		{"WhatWasHeldIsBookedAndTheRestRefused", approveReceipts},
		{"WhatIsBeyondTheOrderIsBookedOnlyWithAPerson", approveBeyond},
		{"AnApprovedReceiptClosesItsOrder", approveCloses},
		{"AReceiptWithoutACountNeedsOne", approveUnreadable},
		{"AnOrphanIsBookedOnTheProductThatAPersonNames", approveOrphan},
		{"ARefusedReceiptIsNoStockAndNoProblem", refuseReceipt},
		{"AReceiptIsSettledOnce", settleReceiptOnce},
		{"GoodsWithoutACallMakeALateCallADuplicate", bookReceipt},
		{"GoodsOfAClosedOrderAreBooked", bookClosed},
		{"MoreThanAskedIsBookedOnlyWhenSaid", bookBeyond},
		{"GoodsOfAnOrderThatNobodyAskedForAreNotBooked", bookNothingAsked},
		{"AKeyBooksOnce", bookOnce},
	}
}

// wantReceipt compares a receipt and what is stored of it.
func (s *shop) wantReceipt(r restock.Receipt, state restock.ReceiptState, applied, held, refused int64) {
	s.t.Helper()
	stored, _, err := s.Receipt(s.ctx(), r.ID)
	s.must(err)
	for _, got := range []restock.Receipt{r, stored} {
		if got.State != state || got.Applied != applied || got.Held != held || got.Refused != refused {
			s.t.Errorf("receipt %+v, want %s with %d applied, %d held, %d refused", got, state, applied, held, refused)
		}
	}
}

func (s *shop) approve(id restock.ReceiptID, count int64) restock.Receipt {
	s.t.Helper()
	r, err := s.ApproveReceipt(s.ctx(), id, restock.Approval{Count: count}, by("counted"))
	s.must(err)
	return r
}

// heldReceipt reports goods that are held whole, as a mismatch is.
func (s *shop) heldReceipt(a restock.Attempt, count int64, body string) restock.Receipt {
	s.t.Helper()
	r, err := s.Receive(s.ctx(), callback(a, count, body), func(restock.Evidence) restock.Verdict {
		return restock.Verdict{State: restock.ReceiptHeld, Hold: count, Reason: "mismatch"}
	})
	s.must(err)
	return r
}

func approveReceipts(t *testing.T, h harness) {
	for _, c := range []struct{ held, count, applied, refused, onOrder int64 }{
		{6, 0, 6, 0, 4},
		{6, 6, 6, 0, 4},
		{6, 2, 2, 4, 8},
	} {
		s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
		a := s.placed("A", 10)
		r := s.heldReceipt(a, c.held, "held")
		s.wantReceipt(s.approve(r.ID, c.count), restock.ReceiptApplied, c.applied, 0, c.refused)
		s.wantStock("A", c.applied, c.onOrder)
		s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
		s.wantAudit("receipt.approve A by kim: counted")
	}
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	r := s.heldReceipt(s.placed("A", 10), 6, "held")
	for _, count := range []int64{7, -1, restock.QuantityMax + 1} {
		_, err := s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{Count: count}, by("counted"))
		wantKind(t, err, restock.Invalid)
	}
	_, err := s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{Product: "A"}, by("counted"))
	wantKind(t, err, restock.Invalid)
	_, err = s.ApproveReceipt(s.ctx(), restock.ReceiptID{3}, restock.Approval{}, by("counted"))
	wantKind(t, err, restock.NotFound)
	s.wantReceipt(r, restock.ReceiptHeld, 0, 6, 0)
	s.wantAudit()
}

func approveBeyond(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	r := s.receive(a, 15, "fifteen")
	s.wantReceipt(r, restock.ReceiptApplied, 10, 5, 0)
	r = s.approve(r.ID, 3)
	s.wantReceipt(r, restock.ReceiptApplied, 13, 0, 2)
	s.wantStock("A", 13, 0)
	o := s.orderOf(a)
	if at := o.Attempts[0]; o.Received != 13 || at.Received != 13 || at.Approved != 3 || at.Quantity != 10 {
		t.Errorf("order %+v", o)
	}
	// What was approved is used up: no report applies more by itself.
	if more := s.receive(a, 20, "twenty"); more.Applied != 0 || more.Held != 20 {
		t.Errorf("a report afterwards %+v, want it held", more)
	}
}

func approveCloses(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 0, 10)))
	s.mustBuy("A", 5)
	a := s.placed("A", 10)
	r := s.heldReceipt(a, 10, "held")
	s.wantPublished(restock.StockBack, "A", 0)
	s.approve(r.ID, 0)
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	s.wantPublished(restock.StockBack, "A", 1)
	s.wantStock("A", 10, 0)
}

func approveUnreadable(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	r := s.receive(a, 0, "ten or so")
	_, err := s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{}, by("counted"))
	wantKind(t, err, restock.Invalid)
	s.wantReceipt(s.approve(r.ID, 9), restock.ReceiptApplied, 9, 0, 0)
	s.wantStock("A", 9, 1)
}

func approveOrphan(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	r := s.receive(restock.Attempt{OrderID: restock.OrderID{7}, Number: 1}, 10, "from a lost past")
	_, err := s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{}, by("found"))
	wantKind(t, err, restock.Invalid)
	_, err = s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{Product: "cake"}, by("found"))
	wantKind(t, err, restock.NotFound)
	r, err = s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{Product: "A", Count: 8}, by("found"))
	s.must(err)
	s.wantReceipt(r, restock.ReceiptApplied, 8, 0, 2)
	if r.SKU != "A" {
		t.Errorf("the receipt is of %q, want A", r.SKU)
	}
	s.wantStock("A", 8, 0)
	s.wantAudit("receipt.approve A by kim: found")
}

func refuseReceipt(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	whole, part := s.heldReceipt(a, 4, "four"), s.receive(a, 15, "fifteen")
	orphan := s.receive(restock.Attempt{OrderID: restock.OrderID{7}, Number: 1}, 10, "ten")
	s.told(true)
	for _, c := range []struct {
		id      restock.ReceiptID
		state   restock.ReceiptState
		applied int64
		refused int64
	}{{whole.ID, restock.ReceiptRefused, 0, 4}, {part.ID, restock.ReceiptApplied, 10, 5}, {orphan.ID, restock.ReceiptRefused, 0, 10}} {
		r, err := s.RefuseReceipt(s.ctx(), c.id, by("nothing came"))
		s.must(err)
		s.wantReceipt(r, c.state, c.applied, 0, c.refused)
	}
	s.wantStock("A", 10, 0)
	s.clock.advance(2 * restock.ToldAgainAfter)
	s.told(false)
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE action = 'receipt.refuse'`, 3)
}

func settleReceiptOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	r := s.heldReceipt(a, 10, "ten")
	atOnce(100, func(i int) {
		var err error
		if i%2 == 0 {
			_, err = s.ApproveReceipt(s.ctx(), r.ID, restock.Approval{}, by("counted"))
		} else {
			_, err = s.RefuseReceipt(s.ctx(), r.ID, by("nothing came"))
		}
		if err != nil && restock.KindOf(err) != restock.Conflict {
			t.Error(err)
		}
	})
	s.wantCount(`SELECT COUNT(*) FROM audit`, 1)
	s.wantCount(`SELECT SUM(applied + refused) FROM receipts`, 10)
}

func bookReceipt(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.heldOrder("A", 10)
	r, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Count: 10}, by("by lorry"), restock.Key{})
	s.must(err)
	s.wantReceipt(r, restock.ReceiptApplied, 10, 0, 0)
	if r.Attempt != 2 || r.Remote != "operator" || r.Reason != "by lorry" || r.Claimed != "10" || !r.Late {
		t.Errorf("booked %+v", r)
	}
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptOverdue, restock.AttemptReceived)
	s.wantStock("A", 10, 0)
	second := a
	second.Number = 2
	if late := s.receive(second, 10, "the call at last"); late.Applied != 0 || late.State != restock.ReceiptHeld {
		t.Errorf("the late call %+v, want it held", late)
	}
	s.wantAudit("receipt.book A by kim: by lorry")
}

func bookClosed(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	_, err := s.WriteOffOrder(s.ctx(), a.OrderID, by("lost"))
	s.must(err)
	r, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Attempt: 1, Count: 4}, by("found"), restock.Key{})
	s.must(err)
	if !r.Late {
		t.Error("it is not marked late")
	}
	s.wantStock("A", 4, 0)
	s.wantOrder(a.OrderID, restock.OrderClosedShort, restock.AttemptAccepted)
}

func bookBeyond(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	b := restock.Booking{OrderID: a.OrderID, Count: 12}
	_, err := s.BookReceipt(s.ctx(), b, by("twelve came"), restock.Key{})
	wantKind(t, err, restock.Conflict)
	s.wantStock("A", 0, 10)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 0)
	b.Beyond = true
	_, err = s.BookReceipt(s.ctx(), b, by("twelve came"), restock.Key{})
	s.must(err)
	s.wantStock("A", 12, 0)
	if o := s.orderOf(a); o.Attempts[0].Approved != 2 || o.State != restock.OrderReceived {
		t.Errorf("order %+v", o)
	}
	for _, count := range []int64{0, -1, restock.QuantityMax + 1} {
		_, err = s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Count: count, Beyond: true}, by("?"), restock.Key{})
		wantKind(t, err, restock.Invalid)
	}
}

func bookNothingAsked(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.order("A", 10)
	for _, attempt := range []int{0, 1} {
		_, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: id, Attempt: attempt, Count: 1}, by("?"), restock.Key{})
		wantKind(t, err, restock.Conflict)
	}
	_, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: restock.OrderID{8}, Count: 1}, by("?"), restock.Key{})
	wantKind(t, err, restock.NotFound)
	s.wantStock("A", 0, 10)
}

func bookOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	key := restock.Key{Name: "POST /v1/receipts k", Hash: [32]byte{1}}
	atOnce(20, func(int) {
		if r, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Count: 4}, by("four"), key); err != nil || r.Applied != 4 {
			t.Errorf("booked %+v, %v", r, err)
		}
	})
	s.wantStock("A", 4, 6)
	s.clock.advance(time.Second)
	key.Hash[0]++
	_, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Count: 5}, by("five"), key)
	wantKind(t, err, restock.Conflict)
}
