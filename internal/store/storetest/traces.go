package storetest

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func traceChecks() []check {
	return []check{
		{"AMessageOfAGroupBelongsToTheBuyerWhoBroughtItAbout", tracesInAGroup},
		{"WhatFollowsFromAnOrderBelongsToWhatItCameOf", tracesOfAnOrder},
		{"AnOrderOfASweepHasATraceOfItsOwn", traceOfASweep},
		{"AMailBelongsToTheEventThatItTells", tracesOfMails},
	}
}

// The traces of three requests.
const (
	traceA = "00-0000000000000000000000000000000a-00000000000000aa-00"
	traceB = "00-0000000000000000000000000000000b-00000000000000bb-00"
	traceC = "00-0000000000000000000000000000000c-00000000000000cc-01"
)

func (s *shop) traced(trace string) context.Context { return restock.WithTraceParent(s.ctx(), trace) }

// traces are those of the messages about A, by their type.
func (s *shop) traces() map[string]string {
	s.t.Helper()
	rows, err := s.rows.QueryContext(s.ctx(), `SELECT type, trace_parent FROM queue_messages WHERE subject = 'A'`)
	s.must(err)
	defer rows.Close()
	all := map[string]string{}
	for rows.Next() {
		var typ, trace string
		s.must(rows.Scan(&typ, &trace))
		all[typ] = trace
	}
	s.must(rows.Err())
	return all
}

func (s *shop) wantTraces(want map[string]string) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.traces()); diff != "" {
		s.t.Errorf("T1 one id finds the whole story: traces of the messages (-want +got):\n%s", diff)
	}
}

func tracesInAGroup(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 3, 1, 10)))
	carts := make([]restock.Cart, 0, 3)
	for _, trace := range []string{traceA, traceB, traceC} {
		c := cart(line("A", 1))
		c.TraceParent = trace
		carts = append(carts, c)
	}
	_, err := s.Sell(s.traced(traceA), carts) // the first of a group leads it
	s.must(err)
	s.wantTraces(map[string]string{"stock.low": traceB, "stock.out": traceC})
}

func tracesOfAnOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10)))
	s.mustBuy("A", 1)
	d, err := s.Plan(s.traced(traceB), s.product("A").ID, yes(10))
	s.must(err)
	a := s.claim()
	if o := s.orderOf(a); o.TraceParent != traceB || a.TraceParent != traceB {
		t.Errorf("the order has the trace %q and its attempt %q, want %q", o.TraceParent, a.TraceParent, traceB)
	}
	s.settle(a, restock.AttemptAccepted)
	held := func(restock.Evidence) restock.Verdict {
		return restock.Verdict{State: restock.ReceiptHeld, Hold: 1, Reason: "strange"}
	}
	_, err = s.Receive(s.traced(traceC), callback(a, 1, "one"), held)
	s.must(err)
	r, err := s.Receive(s.traced(traceC), callback(a, 10, "ten"), upToMissing)
	s.must(err)
	if r.TraceParent != traceB {
		t.Errorf("T1 one id finds the whole story: the receipt has the trace %q, want %q", r.TraceParent, traceB)
	}
	s.wantTraces(map[string]string{"stock.low": "", "stock.out": "", "receipt.held": traceB, "stock.back": traceB})
	orders, _, err := s.Orders(s.ctx(), restock.ListQuery{Limit: 10})
	s.must(err)
	if len(orders) != 1 || orders[0].ID != d.OrderID || orders[0].TraceParent != traceB {
		t.Errorf("orders are listed as %+v", orders)
	}
}

func traceOfASweep(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	want := restock.TraceParentOf(a.OrderID)
	if _, ok := restock.ParseTraceParent(want); !ok || a.TraceParent != want || s.orderOf(a).TraceParent != want {
		t.Errorf("the order has the trace %q and its attempt %q, want %q", s.orderOf(a).TraceParent, a.TraceParent, want)
	}
}

func tracesOfMails(t *testing.T, h harness) {
	s := h.soldOut(t)
	turn := func(trace string, step restock.AdTurn) restock.AdSending {
		sending, _, err := s.TurnAd(s.traced(trace), s.ad("A"), mailing, func(restock.AdSituation) restock.AdTurn { return step })
		s.must(err)
		return sending
	}
	next := s.clock.now().Add(time.Hour)
	stop := turn(traceA, restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop, LookAt: next})
	s.must(s.FailAdMail(s.ctx(), stop, false))
	again := turn(traceB, restock.AdTurn{State: restock.AdHoldStopping, Send: restock.AdMailStop, LookAt: next})
	if got := again.Hold.Stop.Mail.Facts.TraceParent; got != traceA {
		t.Errorf("a mail that is tried again has the trace %q, want that of its first try, %q", got, traceA)
	}
	s.must(s.EndAdMail(s.ctx(), again))
	s.clock.advance(time.Hour)
	if n, err := s.PublishDueAds(s.ctx(), 10); n != 1 || err != nil {
		t.Fatalf("%d looks are due, %v; want 1", n, err)
	}
	if got := s.traces()["ad.due"]; got != traceA {
		t.Errorf("what is due has the trace %q, want that of its stop, %q", got, traceA)
	}
	reminder := turn("", restock.AdTurn{State: restock.AdHoldStopped, Send: restock.AdMailStopReminder})
	if got := reminder.Hold.Stop.Reminder.Facts.TraceParent; got != traceA {
		t.Errorf("the reminder has the trace %q, want that of its stop, %q", got, traceA)
	}
}
