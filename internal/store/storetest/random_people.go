package storetest

import (
	"time"

	"github.com/restock/restock"
	"pgregory.net/rapid"
)

// What people do to orders and receipts, as the model says it.

// accepted counts the attempts that the factory may have accepted.
func (o *modelOrder) accepted() int {
	n := 0
	for _, a := range o.attempts {
		if a.MayBeAccepted() {
			n++
		}
	}
	return n
}

// decide lets a person act on any order, in turn or not.
func (m *model) decide(rt *rapid.T) {
	if len(m.orders) == 0 {
		rt.Skip("there is no order")
	}
	o := rapid.SampledFrom(m.orders).Draw(rt, "order")
	until := m.clock.now().Add(time.Minute)
	var err error
	var may bool
	change := func() bool { return false }
	switch act := rapid.SampledFrom([]string{"approve", "reject", "retry", "wait", "write off"}).Draw(rt, "act"); act {
	case "approve":
		_, err = m.ApproveOrder(m.ctx(), o.id, by(act))
	case "reject":
		may = o.state == restock.OrderPlanned && o.accepted() == 0
		change = func() bool { o.state = restock.OrderClosedShort; return true }
		_, err = m.RejectOrder(m.ctx(), o.id, time.Time{}, by(act))
	case "retry":
		may = o.state == restock.OrderHeld
		change = func() bool {
			o.state, o.due, o.budget = restock.OrderPlanned, m.clock.now(), max(o.budget, o.accepted())
			return false
		}
		_, err = m.RetryOrder(m.ctx(), o.id, by(act))
	case "wait":
		may = o.state == restock.OrderHeld || o.state == restock.OrderOverdue
		change = func() bool { o.state, o.due = restock.OrderOverdue, until; return false }
		_, err = m.WaitOrder(m.ctx(), o.id, until, by(act))
	case "write off":
		may = o.state.Open() && o.state != restock.OrderSending
		change = func() bool { o.state = restock.OrderClosedShort; return true }
		_, err = m.WriteOffOrder(m.ctx(), o.id, by(act))
	}
	m.wantDone(rt, err, may)
	if may {
		m.act(o.sku, change)
	}
}

func (m *model) wantDone(rt *rapid.T, err error, may bool) {
	if may != (err == nil) || (err != nil && restock.KindOf(err) != restock.Conflict) {
		rt.Fatalf("error %v, want it done: %t", err, may)
	}
}

// bookByHand books goods that came without a call on any attempt.
func (m *model) bookByHand(rt *rapid.T) {
	o, a := m.attempt(rt)
	b := restock.Booking{
		OrderID: o.id, Attempt: a.Number, Count: rapid.Int64Range(1, a.Quantity+1).Draw(rt, "count"), Beyond: rapid.Bool().Draw(rt, "beyond"),
	}
	may := b.Beyond || b.Count <= a.Quantity-a.Received
	_, err := m.BookReceipt(m.ctx(), b, by("a lorry"), restock.Key{})
	m.wantDone(rt, err, may)
	if may {
		m.act(o.sku, func() bool { return m.book(o, a, b.Count, m.clock.now()) })
	}
}

// settleReceipt approves or refuses a held receipt of a known order.
func (m *model) settleReceipt(rt *rapid.T) {
	held, _, err := m.Receipts(m.ctx(), restock.ListQuery{State: string(restock.ReceiptHeld)})
	if err != nil {
		rt.Fatal(err)
	}
	if len(held) == 0 {
		rt.Skip("no receipt is held")
	}
	r := rapid.SampledFrom(held).Draw(rt, "receipt")
	if rapid.Bool().Draw(rt, "refuse") {
		_, err = m.RefuseReceipt(m.ctx(), r.ID, by("nothing came"))
		m.wantDone(rt, err, true)
		return
	}
	count := max(1, r.Held)
	_, err = m.ApproveReceipt(m.ctx(), r.ID, restock.Approval{Count: count}, by("counted"))
	m.wantDone(rt, err, true)
	for _, o := range m.orders {
		if o.id == r.OrderID {
			m.act(o.sku, func() bool { return m.book(o, o.attempts[r.Attempt-1], count, r.CreatedAt) })
		}
	}
}
