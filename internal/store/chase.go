package store

import (
	"context"
	"fmt"
	"time"

	"github.com/restock/restock"
)

// awayMax is how long a window stands still while nobody is there to be called;
// after that a person has to decide.
const awayMax = 24 * time.Hour

// OverdueOrders gives up to limit orders that somebody must look at: a lease
// ran out while sending, or the window for a callback or a wait ended.
func (s *Store) OverdueOrders(ctx context.Context, limit int) ([]restock.OrderID, error) {
	var ids []restock.OrderID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT id FROM replenishment_orders
			WHERE state IN ('sending', 'unknown', 'accepted', 'overdue', 'partly_received') AND due_at <= ?
			UNION SELECT order_id FROM order_attempts WHERE state = 'sending' AND lease_until <= ?
			LIMIT ?`, []any{micros(tx.now), micros(tx.now), limit}, scanID[restock.Order])
		return err
	})
	return ids, err
}

// Chase looks at one order whose time is over. A sending attempt with an
// expired lease becomes unknown, and is never sent again, with window as the
// time its callback still has. The window runs only while somebody was there to
// be called; when it has ended, decide says what becomes of an order without a
// callback. One that came in part is closed short.
func (s *Store) Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
	decide func(restock.Lateness) restock.Overdue,
) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		o, p, err := tx.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		f, err := tx.factory(ctx, o.FactoryID)
		if err != nil {
			return err
		}
		if err := tx.leasesOver(ctx, &o, window(f)); err != nil || o.DueAt.After(tx.now) {
			return err // somebody else was here first
		}
		switch o.State { //nolint:exhaustive // the others wait for nothing.
		case restock.OrderUnknown, restock.OrderAccepted, restock.OrderOverdue:
			return tx.windowOver(ctx, o, f, window(f), decide)
		case restock.OrderPartlyReceived:
			return tx.restOver(ctx, p, o, window(f))
		}
		return nil
	})
}

// leasesOver makes the attempts of an order unknown whose process stopped while
// it was sending. Goods of an older attempt may have moved the order meanwhile.
// The order is looked at a whole window from now; the attempt's own window began
// with it, or the rest of one that comes in part would be awaited for as long as
// nobody looked.
func (t *tx) leasesOver(ctx context.Context, o *orderRow, window time.Duration) error {
	due := t.now.Add(window)
	if _, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'unknown', due_at = lease_until + ?,
		error = 'the process that was sending it stopped; it may have arrived'
		WHERE order_id = ? AND state = 'sending' AND lease_until <= ?`, window.Microseconds(), o.ID, micros(t.now)); err != nil {
		return err
	}
	if o.State != restock.OrderSending || o.DueAt.After(t.now) {
		return nil
	}
	o.State, o.DueAt = restock.OrderUnknown, due
	return t.must(ctx, `UPDATE replenishment_orders SET state = 'unknown', due_at = ? WHERE id = ? AND state = 'sending'`,
		micros(due), o.ID)
}

// windowOver decides about an order whose factory did not call in time.
func (t *tx) windowOver(ctx context.Context, o orderRow, f restock.Factory, window time.Duration,
	decide func(restock.Lateness) restock.Overdue,
) error {
	var err error
	if o.Attempts, err = t.attempts(ctx, o.ID); err != nil {
		return err
	}
	late := restock.Lateness{Order: o.Order, Factory: f}
	if o.State != restock.OrderOverdue { // a wait has no window
		last := o.Attempts[len(o.Attempts)-1]
		if late.Away, err = t.away(ctx, last.SentAt); err != nil {
			return err
		}
		if more := t.remaining(last.SentAt, window, late.Away); more > 0 {
			return t.postpone(ctx, o, more)
		}
	}
	if late.Others, late.OthersOverdue, err = t.others(ctx, o); err != nil {
		return err
	}
	if err := t.one(ctx, `SELECT COUNT(*) FROM receipts WHERE order_id = ? AND (state = 'held' OR state = 'applied' AND held > 0)`,
		[]any{o.ID}, &late.HeldReceipts); err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'overdue' WHERE order_id = ? AND state IN ('unknown', 'accepted')`, o.ID); err != nil {
		return err
	}
	return t.settleLate(ctx, o, decide(late))
}

// remaining is how much of a window is left when the time that nobody was there
// does not count.
func (t *tx) remaining(since time.Time, window, away time.Duration) time.Duration {
	elapsed := t.now.Sub(since)
	if away == 0 || elapsed > window+awayMax {
		return 0
	}
	return window - (elapsed - away)
}

func (t *tx) postpone(ctx context.Context, o orderRow, by time.Duration) error {
	return t.must(ctx, `UPDATE replenishment_orders SET due_at = ? WHERE id = ? AND state = ?`,
		micros(t.now.Add(by)), o.ID, string(o.State))
}

// others counts the factory's other orders that tell whether its callbacks come:
// those that are overdue, and those that it called about since this one was
// sent. What a person booked came without a call.
func (t *tx) others(ctx context.Context, o orderRow) (all, overdue int64, err error) {
	if err := t.one(ctx, `SELECT COUNT(*) FROM replenishment_orders o WHERE o.factory_id = ? AND o.id <> ?
			AND o.state NOT IN ('received', 'closed_short')
			AND EXISTS (SELECT 1 FROM order_attempts a WHERE a.order_id = o.id AND a.state = 'overdue')`,
		[]any{o.FactoryID, o.ID}, &overdue); err != nil {
		return 0, 0, err
	}
	var came int64
	err = t.one(ctx, `SELECT COUNT(DISTINCT a.order_id) FROM order_attempts a WHERE a.factory_id = ? AND a.order_id <> ?
			AND a.received > 0 AND EXISTS (SELECT 1 FROM receipts r WHERE r.order_id = a.order_id AND r.created_at >= ? AND r.remote <> ?)`,
		[]any{o.FactoryID, o.ID, micros(o.Attempts[len(o.Attempts)-1].SentAt), byOperator}, &came)
	return overdue + came, overdue, err
}

// settleLate does what was decided about a late order.
func (t *tx) settleLate(ctx context.Context, o orderRow, d restock.Overdue) error {
	state, held, due, event := restock.OrderHeld, d.Reason, t.now, restock.OrderHeldFor
	switch {
	case d.Reorder:
		state, held, event = restock.OrderPlanned, "", restock.OrderLate
		t.ordersReady = true
	case !d.WaitUntil.IsZero():
		state, due, event = restock.OrderOverdue, d.WaitUntil, restock.OrderLate
	}
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = ?, due_at = ?, held_reason = ?, told_in = NULL
		WHERE id = ? AND state = ?`, string(state), micros(due), held, o.ID, string(o.State)); err != nil {
		return err
	}
	return t.publishOrder(ctx, event, o.ID)
}

// restOver ends the wait for the rest of an order that came in part, when the
// window has run once more since the last part came, and the windows of its
// other attempts too: it is closed short, or held when the rest may have been
// reported to nobody.
func (t *tx) restOver(ctx context.Context, p restock.Product, o orderRow, window time.Duration) error {
	var sent, last, others time.Time
	if err := t.one(ctx, `SELECT (SELECT MIN(sent_at) FROM order_attempts WHERE order_id = ?), (SELECT MAX(created_at) FROM receipts WHERE order_id = ? AND applied > 0),
			(SELECT MAX(due_at) FROM order_attempts WHERE order_id = ? AND state IN ('unknown', 'accepted'))`,
		[]any{o.ID, o.ID, o.ID}, instant{&sent}, instant{&last}, instant{&others}); err != nil {
		return err
	}
	away, err := t.away(ctx, last)
	if err != nil {
		return err
	}
	elapsed := t.now.Sub(last)
	if left := window - (elapsed - away); left > 0 && elapsed <= window+awayMax {
		return t.postpone(ctx, o, left)
	}
	if left := others.Sub(t.now); left > 0 {
		return t.postpone(ctx, o, left)
	}
	// A part may have been reported to nobody before the last one that came, too.
	if away, err = t.away(ctx, sent); err != nil {
		return err
	}
	if away > 0 {
		return t.settleLate(ctx, o, restock.Overdue{Reason: fmt.Sprintf(
			"%d of %d came, and nobody was here to be called for %s of the time: ask the factory whether the rest was delivered",
			o.Received, o.Quantity, away)})
	}
	return t.closeShort(ctx, p, o)
}

func (t *tx) closeShort(ctx context.Context, p restock.Product, o orderRow) error {
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = 'closed_short', slot = NULL, outstanding = 0, closed_at = ?,
		held_reason = ?, told_in = NULL WHERE id = ? AND state = 'partly_received'`,
		micros(t.now), fmt.Sprintf("%d of %d came", o.Received, o.Quantity), o.ID); err != nil {
		return err
	}
	after := p
	after.Stock.OnOrder -= o.outstanding
	if _, err := t.settle(o.story(ctx), p, after, true); err != nil {
		return err
	}
	return t.publishOrder(ctx, restock.OrderLate, o.ID)
}
