package store

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/restock/restock"
)

// What people do to orders. Each method is one act of a person under the lock
// of the order's product: it names the states that it leaves, clears what was
// told of the order, since its state is another one, and notes the act in the
// same transaction.

// actOnOrder locks an order and its product, lets do carry out the act, and
// gives the order as it is then.
func (s *Store) actOnOrder(ctx context.Context, id restock.OrderID,
	do func(context.Context, *tx, restock.Product, orderRow) error,
) (restock.Order, error) {
	var order restock.Order
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		o, p, err := tx.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		if o.Attempts, err = tx.attempts(ctx, id); err != nil {
			return err
		}
		if err := do(ctx, tx, p, o); err != nil {
			return err
		}
		order, err = tx.wholeOrder(ctx, id)
		return err
	})
	return order, err
}

func (t *tx) wholeOrder(ctx context.Context, id restock.OrderID) (restock.Order, error) {
	o, err := t.order(ctx, id)
	if err != nil {
		return o.Order, err
	}
	o.Attempts, err = t.attempts(ctx, id)
	return o.Order, err
}

// ApproveOrder lets an order be placed that waits for a person. The error is
// of kind Conflict when it does not wait.
func (s *Store) ApproveOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error) {
	return s.actOnOrder(ctx, id, func(ctx context.Context, tx *tx, p restock.Product, o orderRow) error {
		if o.State != restock.OrderAwaitingApproval {
			return wrongState(o, "approved")
		}
		if err := tx.replan(ctx, o); err != nil {
			return err
		}
		return tx.audit(ctx, act, "order.approve", id.String(), p.ID, pieces(o))
	})
}

// RejectOrder closes an order that no factory can have. Its product may be
// ordered again at once while it is low; with a snooze, not before that time.
// The error is of kind Conflict when a factory may have the order.
func (s *Store) RejectOrder(ctx context.Context, id restock.OrderID, snooze time.Time, act restock.Act) (restock.Order, error) {
	return s.actOnOrder(ctx, id, func(ctx context.Context, tx *tx, p restock.Product, o orderRow) error {
		if o.State != restock.OrderAwaitingApproval && (o.State != restock.OrderPlanned || mayBeAccepted(o.Attempts) > 0) {
			return wrongState(o, "rejected")
		}
		if err := tx.snooze(ctx, &p, snooze); err != nil {
			return err
		}
		detail := pieces(o)
		if !snooze.IsZero() {
			detail += ", snoozed until " + stamp(snooze)
		}
		if err := tx.closeByHand(ctx, p, o, fmt.Sprintf("rejected by %s: %s", act.By, act.Reason)); err != nil {
			return err
		}
		return tx.audit(ctx, act, "order.reject", id.String(), p.ID, detail)
	})
}

// RetryOrder plans another attempt of a held order. A person may do so beyond
// the reorder budget, which grows with it. The error is of kind Conflict when
// the order is not held.
func (s *Store) RetryOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error) {
	return s.actOnOrder(ctx, id, func(ctx context.Context, tx *tx, p restock.Product, o orderRow) error {
		if o.State != restock.OrderHeld {
			return wrongState(o, "retried")
		}
		if o.Quantity <= o.Received {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"order %s expects no more goods; close it with `restock orders write-off %[1]s --reason …`", id)
		}
		accepted := mayBeAccepted(o.Attempts)
		if err := tx.must(ctx, `UPDATE replenishment_orders SET reorder_budget = ? WHERE id = ?`, max(o.ReorderBudget, accepted), id); err != nil {
			return err
		}
		if err := tx.replan(ctx, o); err != nil {
			return err
		}
		return tx.audit(ctx, act, "order.retry", id.String(), p.ID, fmt.Sprintf("%d attempts may have been accepted", accepted))
	})
}

// WaitOrder lets a held or overdue order wait for its goods until a time, when
// it is looked at again. The error is of kind Conflict when it is neither.
func (s *Store) WaitOrder(ctx context.Context, id restock.OrderID, until time.Time, act restock.Act) (restock.Order, error) {
	return s.actOnOrder(ctx, id, func(ctx context.Context, tx *tx, p restock.Product, o orderRow) error {
		if err := within("until", tx.now, until, restock.WaitMax); err != nil {
			return err
		}
		if o.State != restock.OrderHeld && o.State != restock.OrderOverdue {
			return wrongState(o, "told to wait")
		}
		if err := tx.must(ctx, `UPDATE replenishment_orders SET state = 'overdue', due_at = ?, expected_at = ?, held_reason = '', told_in = id
			WHERE id = ? AND state = ?`, micros(until), micros(until), id, string(o.State)); err != nil {
			return err
		}
		return tx.audit(ctx, act, "order.wait", id.String(), p.ID, "until "+stamp(until))
	})
}

// WriteOffOrder closes an open order whose goods nobody expects any more.
// Goods that still come are booked all the same. The error is of kind Conflict
// while it is being sent, or when it closed before.
func (s *Store) WriteOffOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error) {
	return s.actOnOrder(ctx, id, func(ctx context.Context, tx *tx, p restock.Product, o orderRow) error {
		if !o.State.Open() || o.State == restock.OrderSending {
			return wrongState(o, "written off")
		}
		if err := tx.closeByHand(ctx, p, o, fmt.Sprintf("written off by %s: %s", act.By, act.Reason)); err != nil {
			return err
		}
		return tx.audit(ctx, act, "order.write_off", id.String(), p.ID, pieces(o))
	})
}

// replan makes an order due to be placed now.
func (t *tx) replan(ctx context.Context, o orderRow) error {
	t.ordersReady = true
	return t.must(ctx, `UPDATE replenishment_orders SET state = 'planned', due_at = ?, expected_at = NULL, held_reason = '', told_in = NULL
		WHERE id = ? AND state = ?`, micros(t.now), o.ID, string(o.State))
}

// closeByHand closes an order short. Its product no longer expects the rest,
// and may be low because of that.
func (t *tx) closeByHand(ctx context.Context, p restock.Product, o orderRow, why string) error {
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = 'closed_short', slot = NULL, outstanding = 0, closed_at = ?,
		held_reason = ?, told_in = id WHERE id = ? AND state = ?`, micros(t.now), why, o.ID, string(o.State)); err != nil {
		return err
	}
	after := p
	after.Stock.OnOrder -= o.outstanding
	_, err := t.settle(ctx, p, after, true)
	return err
}

func mayBeAccepted(attempts []restock.Attempt) int {
	n := 0
	for _, a := range attempts {
		if a.MayBeAccepted() {
			n++
		}
	}
	return n
}

func pieces(o orderRow) string {
	return strconv.FormatInt(o.Quantity, 10) + " pieces, " + strconv.FormatInt(o.Received, 10) + " came"
}

func stamp(at time.Time) string { return at.UTC().Format(time.RFC3339) }

// within checks a time that a person gave.
func within(name string, now, at time.Time, most time.Duration) error {
	if at.After(now) && !at.After(now.Add(most)) {
		return nil
	}
	return restock.Errorf(restock.Invalid, restock.CodeInvalid,
		"%s must be in the future, and at most %d days from now", name, int(most/(24*time.Hour)))
}

// wrongState says what a person can do with an order instead.
func wrongState(o orderRow, wish string) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict, "order %s cannot be %s: it is %s; %s",
		o.ID, wish, stateWords(o), alternative(o))
}

func stateWords(o orderRow) string {
	switch o.State { //nolint:exhaustive // the others say it all.
	case restock.OrderAwaitingApproval:
		return "awaiting approval"
	case restock.OrderPartlyReceived:
		return "partly received"
	case restock.OrderClosedShort:
		return "closed short (" + o.HeldReason + ")"
	case restock.OrderPlanned:
		if mayBeAccepted(o.Attempts) > 0 {
			return "planned again, and the factory may have an earlier attempt"
		}
	}
	return string(o.State)
}

func alternative(o orderRow) string {
	switch o.State { //nolint:exhaustive // the others are waited for.
	case restock.OrderAwaitingApproval:
		return "`restock orders approve` or `restock orders reject` it"
	case restock.OrderHeld:
		return "`restock orders retry`, `wait` or `write-off` it"
	case restock.OrderSending:
		return "it is on the wire for some seconds; try again then"
	case restock.OrderReceived, restock.OrderClosedShort:
		return "goods that still come are booked with `restock receipts book`"
	case restock.OrderPlanned:
		if mayBeAccepted(o.Attempts) == 0 {
			return "`restock orders reject` it, or `restock ordering pause`"
		}
	case restock.OrderOverdue:
		return "`restock orders wait` or `restock orders write-off` it"
	}
	return "`restock orders write-off` closes it, and goods that still come are booked all the same"
}
