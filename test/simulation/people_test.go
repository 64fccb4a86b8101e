package simulation_test

import (
	"time"

	"github.com/restock/restock"
)

func act() restock.Act { return restock.Act{By: "an operator", Reason: "the factory says so"} }

// person is an operator who looks at what waits for people.
func (w *world) person() {
	if w.away {
		return
	}
	if len(w.held) > 0 && w.chance(2) {
		i := w.rng.IntN(len(w.held))
		r := w.held[i]
		w.held[i] = w.held[len(w.held)-1]
		w.held = w.held[:len(w.held)-1]
		w.judgeReceipt(r)
		return
	}
	for range 20 {
		if len(w.known) == 0 {
			return
		}
		o := pick(w, w.known)
		if o.state == string(restock.OrderHeld) {
			w.judgeOrder(o)
			return
		}
	}
}

// judgeReceipt books, or sends away, what is held.
func (w *world) judgeReceipt(r *receipt) {
	s := pick(w, w.hosts)
	if w.chance(3) {
		_, err := s.RefuseReceipt(w.ctx, r.id, act())
		w.must(err)
		if r.held = 0; r.state == "held" {
			r.state = "refused"
		}
		w.tally.count(receiptRefused)
		if r.attempt != nil {
			r.attempt.order.note(w, "a person refuses what is held for attempt %d", r.attempt.number)
		}
		return
	}
	count := r.held
	if count == 0 {
		count = 1 + w.rng.Int64N(40)
	}
	if r.attempt == nil {
		it := pick(w, w.items)
		_, err := s.ApproveReceipt(w.ctx, r.id, restock.Approval{Count: count, Product: string(it.SKU)}, act())
		w.must(err)
		it.onHand += count
		w.tally.count(orphanApproved)
		return
	}
	r.attempt.order.note(w, "a person approves %d for attempt %d", count, r.attempt.number)
	_, err := s.ApproveReceipt(w.ctx, r.id, restock.Approval{Count: count}, act())
	w.must(err)
	r.state, r.held = "applied", 0
	w.tally.count(receiptApproved)
	w.bookByPerson(r.attempt, count)
}

// bookByPerson notes goods that a person says came.
func (w *world) bookByPerson(a *attempt, count int64) {
	a.applied += count
	if beyond := a.applied - a.quantity - a.approved; beyond > 0 {
		a.approved += beyond
		w.tally.count(approvedBeyond)
	}
	a.order.item.onHand += count
	w.look(a.order)
}

// judgeOrder does one of the things that can be done with a held order.
func (w *world) judgeOrder(o *order) {
	s := pick(w, w.hosts)
	switch w.rng.IntN(5) {
	case 0:
		o.note(w, "a person tells it to wait")
		_, err := s.WaitOrder(w.ctx, o.id, w.now().Add(w.about(5*time.Minute)), act())
		w.must(err)
		w.tally.count(orderWaits)
	case 1:
		a := pick(w, o.attempts)
		if a.missing() == 0 {
			return
		}
		count := 1 + w.rng.Int64N(a.missing())
		o.note(w, "a person books %d on attempt %d", count, a.number)
		_, err := s.BookReceipt(w.ctx, restock.Booking{OrderID: o.id, Attempt: a.number, Count: count}, act(), restock.Key{})
		w.must(err)
		w.tally.count(goodsBooked)
		o.came = w.now()
		w.bookByPerson(a, count)
	case 2:
		if o.retriedEnough() {
			return
		}
		o.note(w, "a person tries it again")
		_, err := s.RetryOrder(w.ctx, o.id, act())
		if restock.KindOf(err) == restock.Conflict {
			return // it expects no more
		}
		w.must(err)
		o.budget, o.retried = max(o.budget, o.maybeAccepted()), true
		w.tally.count(orderRetried)
	default:
		o.note(w, "a person writes it off")
		_, err := s.WriteOffOrder(w.ctx, o.id, act())
		w.must(err)
		w.tally.count(orderWrittenOff)
	}
	w.look(o)
}

// retriedEnough bounds the attempts of one order.
func (o *order) retriedEnough() bool { return len(o.attempts) > 6 }
