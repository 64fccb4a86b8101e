package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/restock/restock"
)

// ClaimAttempt takes one planned order whose factory can bear another call,
// and commits "sending attempt k" with its owner and lease, before anybody
// touches the network. The attempt freezes what the factory will be asked for.
// It gives the zero Attempt when no order can be placed now.
func (s *Store) ClaimAttempt(ctx context.Context, owner string, lease time.Duration) (restock.Attempt, error) {
	var attempt restock.Attempt
	ready, err := s.factoriesReady(ctx)
	if err != nil || len(ready) == 0 {
		return attempt, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		attempt = restock.Attempt{}
		for _, id := range ready {
			order, err := tx.claimable(ctx, id)
			if errors.Is(err, sql.ErrNoRows) {
				continue
			}
			if err != nil {
				return err
			}
			attempt, err = tx.claim(ctx, order, owner, lease)
			return err
		}
		return nil
	})
	return attempt, err
}

// readyFactories are those with a planned order that is due, a free place in
// flight and their pace kept. One slow factory never stands before another.
const readyFactories = `SELECT f.id FROM factories f
	WHERE f.next_call_at <= ?
	AND EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.state = 'planned' AND o.factory_id = f.id AND o.due_at <= ?)
	AND (SELECT COUNT(*) FROM order_attempts a WHERE a.factory_id = f.id AND a.state = 'sending' AND a.lease_until > ?)
		< f.max_in_flight`

func readyArgs(now time.Time) []any { return []any{micros(now), micros(now), micros(now)} }

// factoriesReady looks without taking the writer: most of the time there is
// nothing to place.
func (s *Store) factoriesReady(ctx context.Context) ([]restock.FactoryID, error) {
	var ids []restock.FactoryID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, readyFactories+` ORDER BY f.next_call_at`, readyArgs(tx.now), scanID[restock.Factory])
		return err
	})
	return ids, err
}

// NextPlacing is when the next planned order may be placed, as far as is
// known now; zero when none is planned. A factory with all its places in
// flight is heard of when one of them is settled.
func (s *Store) NextPlacing(ctx context.Context) (time.Time, error) {
	var next time.Time
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		return tx.one(ctx, `SELECT MIN(CASE WHEN f.next_call_at > o.due_at THEN f.next_call_at ELSE o.due_at END)
			FROM replenishment_orders o JOIN factories f ON f.id = o.factory_id WHERE o.state = 'planned'`, nil, instant{&next})
	})
	return next, err
}

// claimable is the oldest planned order of a factory that is still ready.
func (t *tx) claimable(ctx context.Context, factory restock.FactoryID) (restock.OrderID, error) {
	var order restock.OrderID
	err := t.one(ctx, `SELECT id FROM replenishment_orders
		WHERE state = 'planned' AND due_at <= ? AND factory_id = ? AND factory_id IN (`+readyFactories+`)
		ORDER BY due_at, id LIMIT 1`, append([]any{micros(t.now), factory}, readyArgs(t.now)...), &order)
	return order, err
}

func (t *tx) claim(ctx context.Context, id restock.OrderID, owner string, lease time.Duration) (restock.Attempt, error) {
	o, err := t.order(ctx, id)
	if err != nil {
		return restock.Attempt{}, err
	}
	p, err := t.lockOne(ctx, o.ProductID)
	if err != nil {
		return restock.Attempt{}, err
	}
	f, err := t.factory(ctx, o.FactoryID)
	if err != nil {
		return restock.Attempt{}, err
	}
	a := restock.Attempt{
		OrderID: id, Number: o.attempts, State: restock.AttemptSending, Quantity: o.Quantity - o.Received,
		SKU: p.SKU, Slug: p.Slug, Factory: f, Requester: f.Requester,
		Owner: owner, SentAt: t.now, LeaseUntil: t.now.Add(lease),
	}
	if err := t.insertAttempt(ctx, &a); err != nil {
		return a, err
	}
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = 'sending', attempts = ?, due_at = ?
		WHERE id = ? AND state = 'planned'`, a.Number, micros(a.LeaseUntil), id); err != nil {
		return a, err
	}
	pace := time.Duration(float64(time.Second) / f.RatePerSecond)
	return a, t.must(ctx, `UPDATE factories SET next_call_at = ? WHERE id = ?`, micros(t.now.Add(pace)), f.ID)
}

// insertAttempt takes the next number, or the last one again if that attempt
// was proven not to have been sent: the factory never saw it.
func (t *tx) insertAttempt(ctx context.Context, a *restock.Attempt) error {
	if a.Number > 0 {
		n, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'sending', tries = tries + 1, owner = ?, lease_until = ?, sent_at = ?
			WHERE order_id = ? AND number = ? AND state = 'not_sent'`,
			a.Owner, micros(a.LeaseUntil), micros(a.SentAt), a.OrderID, a.Number)
		if err != nil {
			return err
		}
		if n == 1 {
			return t.one(ctx, `SELECT tries FROM order_attempts WHERE order_id = ? AND number = ?`, []any{a.OrderID, a.Number}, &a.Tries)
		}
	}
	a.Number, a.Tries = a.Number+1, 1
	return t.must(ctx, `INSERT INTO order_attempts (order_id, number, state, quantity, sku, slug, factory_id, factory, requester,
		owner, lease_until, sent_at) VALUES (?, ?, 'sending', ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		a.OrderID, a.Number, a.Quantity, string(a.SKU), a.Slug, a.Factory.ID, a.Factory.Identifier, a.Requester,
		a.Owner, micros(a.LeaseUntil), micros(a.SentAt))
}

// SettleAttempt records the factory's answer to an attempt that this owner
// claimed. If the callback came first, or the lease ran out, the state stays
// as it is: a late answer never moves anything back.
func (s *Store) SettleAttempt(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		n, err := tx.Exec(ctx, `UPDATE order_attempts SET state = ?, answered_at = ?, due_at = ?, http_status = ?, factory_ref = ?, error = ?
			WHERE order_id = ? AND number = ? AND state = 'sending' AND owner = ? AND sent_at = ?`,
			string(answer.State), micros(tx.now), micros(answer.DueAt), answer.Status, answer.FactoryRef, answer.Error,
			a.OrderID, a.Number, a.Owner, micros(a.SentAt))
		if err != nil {
			return err
		}
		if n == 0 {
			return tx.noteAnswer(ctx, a, answer)
		}
		return tx.advanceOrder(ctx, a, answer)
	})
}

// noteAnswer keeps what a late answer says, as evidence.
func (t *tx) noteAnswer(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	_, err := t.Exec(ctx, `UPDATE order_attempts SET answered_at = ?, http_status = ?, factory_ref = ?
		WHERE order_id = ? AND number = ? AND owner = ? AND sent_at = ? AND answered_at IS NULL`,
		micros(t.now), answer.Status, answer.FactoryRef, a.OrderID, a.Number, a.Owner, micros(a.SentAt))
	return err
}

// advanceOrder moves the order along with its attempt, if it is still sending:
// goods of an older attempt may have closed it meanwhile.
func (t *tx) advanceOrder(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	state, due, held := restock.OrderUnknown, answer.DueAt, ""
	switch {
	case answer.State == restock.AttemptAccepted:
		state = restock.OrderAccepted
	case !answer.RetryAt.IsZero():
		state, due = restock.OrderPlanned, answer.RetryAt
	case answer.State == restock.AttemptRejected:
		state, held = restock.OrderHeld, fmt.Sprintf("%s refused it: %s", a.Factory.Identifier, answer.Error)
	case answer.State != restock.AttemptUnknown:
		return fmt.Errorf("attempt %s/%d cannot be settled as %q without a time to retry", a.OrderID, a.Number, answer.State)
	}
	var expected time.Time
	if state == restock.OrderAccepted || state == restock.OrderUnknown {
		expected = a.SentAt.Add(a.Factory.LeadTime)
	}
	// What operations were told of the order stays told, unless it is held now.
	n, err := t.Exec(ctx, `UPDATE replenishment_orders SET state = ?, due_at = ?, expected_at = ?, held_reason = ?,
			told_in = CASE WHEN ? = 'held' THEN NULL ELSE told_in END
		WHERE id = ? AND state = 'sending'`, string(state), orNow(due, t.now), micros(expected), held, string(state), a.OrderID)
	if err != nil || n == 0 || state != restock.OrderHeld {
		t.ordersReady = state == restock.OrderPlanned
		return err
	}
	return t.publishOrder(ctx, restock.OrderHeldFor, a.OrderID)
}

func orNow(at, now time.Time) any {
	if at.IsZero() {
		return micros(now)
	}
	return micros(at)
}

func (t *tx) publishOrder(ctx context.Context, typ restock.EventType, id restock.OrderID) error {
	o, err := t.order(ctx, id)
	if err != nil {
		return err
	}
	return t.publish(ctx, typ, restock.EventData{ProductID: o.ProductID, SKU: o.SKU, OrderID: id})
}

// OverdueOrders gives up to limit orders that somebody must look at: their
// lease ran out while sending, or the window for their callback ended.
func (s *Store) OverdueOrders(ctx context.Context, limit int) ([]restock.OrderID, error) {
	var ids []restock.OrderID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT id FROM replenishment_orders
			WHERE state IN ('sending', 'unknown', 'accepted', 'partly_received') AND due_at <= ?
			ORDER BY due_at LIMIT ?`, []any{micros(tx.now), limit}, scanID[restock.Order])
		return err
	})
	return ids, err
}

// Chase looks at one order whose time is over. A sending attempt with an
// expired lease becomes unknown, and is never sent again, with window as the
// time its callback still has. An order without a callback is decided by
// overdue; one that came in part is closed short.
func (s *Store) Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
	overdue func(restock.Order) restock.Overdue,
) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		o, err := tx.order(ctx, id)
		if err != nil {
			return err
		}
		p, err := tx.lockOne(ctx, o.ProductID)
		if err != nil {
			return err
		}
		if o, err = tx.order(ctx, id); err != nil || o.dueAt.After(tx.now) {
			return err // somebody else was here first
		}
		switch o.State { //nolint:exhaustive // the others wait for nothing.
		case restock.OrderSending:
			f, err := tx.factory(ctx, o.FactoryID)
			if err != nil {
				return err
			}
			return tx.leaseOver(ctx, o, tx.now.Add(window(f)))
		case restock.OrderUnknown, restock.OrderAccepted:
			o.Attempts, err = tx.attempts(ctx, id)
			if err != nil {
				return err
			}
			return tx.windowOver(ctx, o, overdue(o.Order))
		case restock.OrderPartlyReceived:
			return tx.closeShort(ctx, p, o)
		}
		return nil
	})
}

func (t *tx) leaseOver(ctx context.Context, o orderRow, due time.Time) error {
	if _, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'unknown', due_at = ?,
		error = 'the process that was sending it stopped; it may have arrived'
		WHERE order_id = ? AND number = ? AND state = 'sending'`, micros(due), o.ID, o.attempts); err != nil {
		return err
	}
	return t.must(ctx, `UPDATE replenishment_orders SET state = 'unknown', due_at = ? WHERE id = ? AND state = 'sending'`,
		micros(due), o.ID)
}

func (t *tx) windowOver(ctx context.Context, o orderRow, d restock.Overdue) error {
	if _, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'overdue' WHERE order_id = ? AND number = ?
		AND state IN ('unknown', 'accepted')`, o.ID, o.attempts); err != nil {
		return err
	}
	state, held := restock.OrderHeld, d.Reason
	if d.Reorder {
		state, held = restock.OrderPlanned, ""
		t.ordersReady = true
	}
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = ?, due_at = ?, held_reason = ?, told_in = NULL
		WHERE id = ? AND state = ?`, string(state), micros(t.now), held, o.ID, string(o.State)); err != nil {
		return err
	}
	if d.Reorder {
		return t.publishOrder(ctx, restock.OrderLate, o.ID)
	}
	return t.publishOrder(ctx, restock.OrderHeldFor, o.ID)
}

func (t *tx) closeShort(ctx context.Context, p restock.Product, o orderRow) error {
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = 'closed_short', slot = NULL, outstanding = 0, closed_at = ?,
		held_reason = ?, told_in = NULL WHERE id = ? AND state = 'partly_received'`,
		micros(t.now), fmt.Sprintf("%d of %d came", o.Received, o.Quantity), o.ID); err != nil {
		return err
	}
	after := p
	after.Stock.OnOrder -= o.outstanding
	if _, err := t.settle(ctx, p, after, true); err != nil {
		return err
	}
	return t.publishOrder(ctx, restock.OrderLate, o.ID)
}
