package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func reconcileChecks() []check {
	return []check{
		{"WhatTheFactoryHasIsWaitedForAndWhatItHasNotIsOrderedAgain", reconcileBoth},
		{"AHeldOrderThatTheFactoryHasNotIsPlannedWithinItsBudget", reconcileHeld},
		{"TheRowsOfOneOrderAreOneDecision", reconcileOneOrder},
		{"WhatTheFactoryHasCallsOffWhatIsPlanned", reconcilePlanned},
		{"AnExpiredLeaseIsSettledAndALivingOneIsNot", reconcileSending},
		{"WhatIsKnownBetterStays", reconcileKnownBetter},
		{"ManyRowsAreSettledOnceAndInTheirOrder", reconcileMany},
		{"TooManyRowsAreRefused", reconcileTooMany},
	}
}

func row(a restock.Attempt, status restock.ReconcileStatus) restock.ReconcileRow {
	return restock.ReconcileRow{OrderID: a.OrderID, Attempt: a.Number, Status: status}
}

func (s *shop) reconcile(rows ...restock.ReconcileRow) restock.Reconciliation {
	s.t.Helper()
	r, err := s.Reconcile(s.ctx(), factoryID, rows, window, by("their list"))
	s.must(err)
	return r
}

// wantLines compares what came of the rows, in words.
func (s *shop) wantLines(r restock.Reconciliation, want ...string) {
	s.t.Helper()
	var got []string
	for _, l := range r.Lines {
		got = append(got, fmt.Sprintf("%d %t %s", l.Line, l.Changed, l.Result))
	}
	if diff := cmp.Diff(want, got); diff != "" {
		s.t.Errorf("lines (-want +got):\n%s", diff)
	}
}

const (
	has    = restock.ReconcileAccepted
	hasNot = restock.ReconcileAbsent
)

func reconcileBoth(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	s.order("A", 10)
	a := s.claim()
	s.settle(a, restock.AttemptUnknown)
	s.order("B", 10)
	b := s.claim()
	s.settle(b, restock.AttemptUnknown)
	s.clock.advance(windowTime - time.Second)
	r := s.reconcile(row(b, hasNot), row(a, has))
	s.wantLines(r, "1 true absent, planned again", "2 true accepted")
	if r.Accepted != 1 || r.Absent != 1 || r.Unchanged != 0 {
		t.Errorf("counts %+v", r)
	}
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
	s.wantOrder(b.OrderID, restock.OrderPlanned, restock.AttemptRejected)
	if o := s.orderOf(a); !o.DueAt.Equal(s.clock.now().Add(windowTime)) {
		t.Errorf("due at %v, want a fresh window", o.DueAt)
	}
	if next := s.claim(); next.OrderID != b.OrderID || next.Number != 2 {
		t.Errorf("claimed %+v", next)
	}
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE action = 'order.reconcile' AND reason = 'their list'`, 2)
}

func reconcileHeld(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.heldOrder("A", 10)
	s.wantLines(s.reconcile(row(a, hasNot)), "1 true absent, planned again")
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptRejected, restock.AttemptOverdue)
	if next := s.claim(); next.Number != 3 {
		t.Errorf("claimed attempt %d, want 3", next.Number)
	}
}

func reconcileOneOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.heldOrder("A", 10)
	second := a
	second.Number = 2
	s.wantLines(s.reconcile(row(a, hasNot), row(second, has), row(a, has)),
		"1 true absent", "2 true accepted", "3 false the attempt stood in an earlier line")
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptRejected, restock.AttemptAccepted)
	s.wantNoClaim()
}

func reconcilePlanned(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptOverdue)
	s.wantLines(s.reconcile(row(a, has)), "1 true accepted")
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
	s.wantNoClaim()
}

func reconcileSending(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.wantLines(s.reconcile(row(a, has)), "1 false the attempt is sending")
	s.clock.advance(leaseTime)
	s.wantLines(s.reconcile(row(a, has)), "1 true accepted")
	s.wantOrder(a.OrderID, restock.OrderAccepted, restock.AttemptAccepted)
}

func reconcileKnownBetter(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	received := s.placed("A", 10)
	s.receive(received, 10, "ten")
	reported := s.placed("B", 10)
	s.clock.advance(windowTime)
	s.sweep()
	s.receive(reported, 0, "unreadable")
	unknown := restock.Attempt{OrderID: restock.OrderID{0xff}, Number: 1}
	r := s.reconcile(row(received, hasNot), row(received, has), row(reported, hasNot), row(unknown, has))
	s.wantLines(r, "1 false the attempt is received", "2 false the attempt stood in an earlier line",
		"3 false the factory reported goods of it; see `restock orders show "+reported.OrderID.String()+"`", "4 false there is no such attempt")
	s.wantLines(s.reconcile(row(reported, "lost")), `1 false the status must be accepted or absent, not "lost"`)
	_, err := s.Reconcile(s.ctx(), "FF-none", []restock.ReconcileRow{row(received, has)}, window, by("?"))
	wantKind(t, err, restock.NotFound)
	c := catalogue()
	c.Factories[0].Identifier = "FF-9"
	s.apply(c)
	other, err := s.Reconcile(s.ctx(), "FF-9", []restock.ReconcileRow{row(reported, has)}, window, by("?"))
	s.must(err)
	s.wantLines(other, "1 false it was asked of the factory "+factoryID)
	s.wantAudit()
}

func reconcileMany(t *testing.T, h harness) {
	const many = 60
	products := make([]restock.CatalogProduct, many)
	for i := range products {
		products[i] = ordered(restock.SKU(fmt.Sprintf("P-%02d", i)), 0, 0, 10)
	}
	s := h.shop(t, catalogue(products...))
	rows := make([]restock.ReconcileRow, many)
	for i, p := range products {
		s.order(p.SKU, 10)
		a := s.claim()
		s.settle(a, restock.AttemptAccepted)
		rows[many-1-i] = row(a, has)
	}
	s.clock.advance(windowTime)
	s.sweep()
	r := s.reconcile(rows...)
	if r.Accepted != many {
		t.Errorf("%d accepted, want %d", r.Accepted, many)
	}
	for i, l := range r.Lines {
		if l.Line != i+1 || l.OrderID != rows[i].OrderID {
			t.Errorf("line %d is %+v", i+1, l)
		}
	}
	if again := s.reconcile(rows...); again.Unchanged != many {
		t.Errorf("again %d are unchanged, want %d", again.Unchanged, many)
	}
}

func reconcileTooMany(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	for _, n := range []int{0, restock.ReconcileRowsMax + 1} {
		_, err := s.Reconcile(s.ctx(), factoryID, make([]restock.ReconcileRow, n), window, by("?"))
		wantKind(t, err, restock.Invalid)
	}
}
