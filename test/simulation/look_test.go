package simulation_test

import (
	"bytes"
	"fmt"
	"time"

	"github.com/restock/restock"
)

// rank is the order in which the states of an attempt follow each other. An
// attempt that was proven not sent is claimed once more.
func rank(s restock.AttemptState) int {
	switch s {
	case restock.AttemptSending, restock.AttemptNotSent:
		return 0
	case restock.AttemptUnknown, restock.AttemptRejected:
		return 1
	case restock.AttemptAccepted:
		return 2
	case restock.AttemptOverdue:
		return 3
	default:
		return 4
	}
}

// look reads the rows of an order and compares them with what they were, and
// with what the model knows.
func (w *world) look(o *order) {
	if w.complaint != "" {
		return
	}
	var quantity, received int64
	before := o.state
	w.must(w.rows.order.QueryRow(o.id[:]).Scan(&o.state, &quantity, &received, &o.held))
	if before != "" && closed(before) && o.state != before {
		w.broken("I8", o, "the order was %s and is %s", before, o.state)
	}
	if received != o.applied() {
		w.broken("P4", o, "the order received %d, and its receipts by the rules %d", received, o.applied())
	}
	w.lookAtAttempts(o)
}

func (w *world) lookAtAttempts(o *order) {
	found, err := w.rows.attempts.Query(o.id[:])
	w.must(err)
	defer found.Close()
	n := 0
	for found.Next() {
		var number int
		var state restock.AttemptState
		var quantity, received, sent, due int64
		w.must(found.Scan(&number, &state, &quantity, &received, &sent, &due))
		n++
		if number > len(o.attempts) {
			w.broken("P1", o, "attempt %d is in the rows, and nobody claimed it", number)
			return
		}
		a := o.attempts[number-1]
		if rank(state) < rank(a.state) || a.state == restock.AttemptRejected && state == restock.AttemptUnknown {
			w.broken("I8", o, "attempt %d was %s and is %s", number, a.state, state)
		}
		if received != a.applied || quantity != a.quantity || received > quantity+a.approved {
			w.broken("P4", o, "attempt %d received %d of %d, by the rules %d of %d", number, received, quantity, a.applied, a.quantity)
		}
		a.state, a.sent, a.due = state, time.UnixMicro(sent), time.UnixMicro(due)
	}
	w.must(found.Err())
	if n != len(o.attempts) {
		w.broken("P1", o, "%d attempts are in the rows, %d were claimed", n, len(o.attempts))
	}
}

// lookAtEverything compares all that is in the database.
func (w *world) lookAtEverything() {
	for _, o := range w.known {
		w.look(o)
	}
	checks, err := w.shop().Verify(w.ctx)
	w.must(err)
	for _, c := range checks {
		if c.Broken > 0 {
			w.broken(c.Promise, nil, "in the rows: %s: %v", c.Name, c.Violations)
		}
	}
	for _, it := range w.items {
		p, err := w.shop().Product(w.ctx, string(it.SKU))
		w.must(err)
		if err == nil && p.Stock.OnHand != it.onHand {
			w.broken("P4", nil, "%s: on hand %d, and by what was sold and came %d", it.SKU, p.Stock.OnHand, it.onHand)
		}
		open := 0
		for _, o := range it.open {
			if !closed(o.state) {
				open++
			}
		}
		if int64(open) > it.OpenOrdersMax {
			w.broken("I6", nil, "%s has %d open orders of at most %d", it.SKU, open, it.OpenOrdersMax)
		}
	}
	w.lookAtReceipts()
}

// lookAtReceipts counts: each call that reached us is a row, or is counted on one.
func (w *world) lookAtReceipts() {
	found, err := w.rows.db.Query(`SELECT order_id, attempt, body_hash, COUNT(*), SUM(repeats), SUM(applied) FROM receipts WHERE remote <> 'operator'
		GROUP BY order_id, attempt, body_hash`)
	w.must(err)
	defer found.Close()
	var orphans, bodies int
	for found.Next() {
		var id, hash []byte
		var number, n, repeats int
		var applied int64
		w.must(found.Scan(&id, &number, &hash, &n, &repeats, &applied))
		o := w.orders[restock.OrderID(id)]
		if o == nil {
			orphans += n + repeats
			continue
		}
		bodies++
		s := o.attempts[number-1].seen[[32]byte(hash)]
		if s == nil {
			w.broken("P5", o, "attempt %d has a receipt of a body that nobody sent", number)
			return
		}
		if n+repeats != s.times || n != len(s.rows) {
			w.broken("P5", o, "a body came %d times for attempt %d, for %d rows; there are %d, which count %d more",
				s.times, number, len(s.rows), n, repeats)
		}
	}
	w.must(found.Err())
	want := 0
	for _, o := range w.known {
		for _, a := range o.attempts {
			want += len(a.seen)
		}
	}
	if bodies != want || orphans != w.orphans {
		w.broken("P5", nil, "%d bodies and %d orphans are in the rows, %d and %d came", bodies, orphans, want, w.orphans)
	}
}

// lastLook is when nothing may be left open that nobody knows of.
func (w *world) lastLook() {
	if w.complaint != "" {
		return
	}
	w.lookAtEverything()
	told := w.told()
	for _, o := range w.known {
		switch restock.OrderState(o.state) {
		case restock.OrderSending, restock.OrderUnknown, restock.OrderAccepted, restock.OrderPartlyReceived:
			w.broken("P3", o, "after %v of quiet the order is still %s", quietTime, o.state)
		case restock.OrderPlanned:
			w.broken("P3", o, "after %v of quiet the order is still not placed", quietTime)
		default:
		}
		for _, a := range o.attempts {
			if alarm := a.state == restock.AttemptOverdue || o.state == string(restock.OrderHeld); alarm && !told[o.id] {
				w.broken("P3", o, "attempt %d is %s, the order %s, and operations were not told", a.number, a.state, o.state)
			}
		}
	}
	low, err := w.shop().LowProducts(w.ctx, restock.ProductID{}, 10)
	w.must(err)
	if len(low) > 0 {
		w.broken("I5", nil, "%d products are low without an order", len(low))
	}
}

// told gives the orders of which operations were told.
func (w *world) told() map[restock.OrderID]bool {
	found, err := w.rows.db.Query(`SELECT body FROM queue_messages WHERE type IN ('order.held', 'order.overdue')`)
	w.must(err)
	defer found.Close()
	told := map[restock.OrderID]bool{}
	for found.Next() {
		var body []byte
		w.must(found.Scan(&body))
		_, rest, ok := bytes.Cut(body, []byte(`"order_id":"`))
		if !ok || len(rest) < 36 {
			w.must(fmt.Errorf("a message without an order: %s", body))
			continue
		}
		id, err := restock.ParseID[restock.Order](string(rest[:36]))
		w.must(err)
		told[id] = true
	}
	w.must(found.Err())
	return told
}
