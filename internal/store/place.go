package store

import (
	"context"
	"fmt"
	"time"

	"github.com/restock/restock"
)

// ClaimAttempt takes one planned order whose factory can bear another call,
// and commits "sending attempt k" with its owner and lease, before anybody
// touches the network. The attempt freezes what the factory will be asked for.
// It gives the zero Attempt when no order can be placed now.
func (s *Store) ClaimAttempt(ctx context.Context, owner string, lease time.Duration) (restock.Attempt, error) {
	for range claimTriesMax {
		attempt, again, err := s.tryClaim(ctx, owner, lease)
		if err != nil || !again {
			return attempt, err
		}
	}
	return restock.Attempt{}, nil // others are at it
}

// claimTriesMax is how often a claim begins again because another process took
// the order that it had found.
const claimTriesMax = 16

func (s *Store) tryClaim(ctx context.Context, owner string, lease time.Duration) (attempt restock.Attempt, again bool, err error) {
	ready, err := s.factoriesReady(ctx)
	if err != nil || len(ready) == 0 {
		return attempt, false, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		attempt, again = restock.Attempt{}, false
		for _, id := range ready {
			order, err := tx.claimable(ctx, id, restock.OrderID{})
			if isNoRows(err) {
				continue
			}
			if err != nil {
				return err
			}
			attempt, err = tx.claim(ctx, order, owner, lease)
			again = isNoRows(err)
			if again {
				return nil
			}
			return err
		}
		return nil
	})
	return attempt, again, err
}

// readyFactories are those with a planned order that is due, a free place in
// flight, their pace kept, a retry left if it is one, and nothing that bars
// them: a pause, or a breaker that is open or has its one probe on the way. One
// slow factory never stands before another.
//
// No bar lasts longer than barMax: a time that lies further ahead is one of a
// clock that was set back since, and bars nothing.
const readyFactories = `SELECT f.id FROM factories f
	WHERE (f.next_call_at <= ? OR f.next_call_at - 1000000 / f.rate_per_second > ?) AND f.paused = ''
	AND (f.breaker = 'closed' OR f.breaker_until <= ? OR f.breaker_until > ?)
	AND NOT EXISTS (SELECT 1 FROM settings s WHERE s.name = '` + settingOrderingPaused + `' AND s.value <> '')
	AND EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.state = 'planned' AND o.factory_id = f.id
		AND (o.due_at <= ? OR o.due_at > ?)
		AND (o.attempts = 0 OR ` + retryLeft + `))
	AND (SELECT COUNT(*) FROM order_attempts a WHERE a.factory_id = f.id AND a.lease_until > ? AND a.answered_at IS NULL)
		< f.max_in_flight`

// retryLeft says that a factory's bucket holds a retry by a time: it may have
// filled since.
const retryLeft = `(f.retry_tokens >= 1 OR f.retry_filled_at + (1 - f.retry_tokens) * ` + microsPerRetry + ` <= ?)`

func readyArgs(now time.Time) []any {
	at, beyond := micros(now), micros(now.Add(barMax))
	return []any{at, beyond, at, beyond, at, beyond, at, at}
}

// barMax is longer than a factory may ask to be left alone, than a backoff and
// than a breaker's pause or its probe.
const barMax = 2 * time.Hour

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

// claimable is the oldest planned order of a factory that is still ready, or a
// certain one if it still is. The error is sql.ErrNoRows when there is none.
func (t *tx) claimable(ctx context.Context, factory restock.FactoryID, certain restock.OrderID) (restock.OrderID, error) {
	which, args := ``, []any{micros(t.now), micros(t.now.Add(barMax)), factory, micros(t.now)}
	if !certain.IsZero() {
		which = ` AND o.id = ?`
		args = append(args, certain)
	}
	var order restock.OrderID
	err := t.one(ctx, `SELECT o.id FROM replenishment_orders o JOIN factories f ON f.id = o.factory_id
		WHERE o.state = 'planned' AND (o.due_at <= ? OR o.due_at > ?) AND o.factory_id = ?
		AND (o.attempts = 0 OR `+retryLeft+`)`+which+`
		AND o.factory_id IN (`+readyFactories+`)
		ORDER BY o.due_at, o.id LIMIT 1`, append(args, readyArgs(t.now)...), &order)
	return order, err
}

// claim takes an order that was found without a lock. The error is
// sql.ErrNoRows when another process was faster, or used up what its factory can
// bear: that is looked at again under the lock of its row.
func (t *tx) claim(ctx context.Context, id restock.OrderID, owner string, lease time.Duration) (restock.Attempt, error) {
	o, p, err := t.lockOrder(ctx, id)
	if err != nil {
		return restock.Attempt{}, err
	}
	f, err := t.lockFactory(ctx, o.FactoryID)
	if err != nil {
		return restock.Attempt{}, err
	}
	if _, err := t.claimable(ctx, f.ID, id); err != nil {
		return restock.Attempt{}, err
	}
	a := restock.Attempt{
		OrderID: id, Number: o.attempts, State: restock.AttemptSending, Quantity: o.Quantity - o.Received,
		SKU: p.SKU, Slug: p.Slug, Factory: f, Requester: f.Requester,
		Owner: owner, SentAt: t.now, LeaseUntil: t.now.Add(lease), TraceParent: o.TraceParent,
	}
	if err := t.insertAttempt(ctx, &a); err != nil {
		return a, err
	}
	if err := t.must(ctx, `UPDATE replenishment_orders SET state = 'sending', attempts = ?, due_at = ?
		WHERE id = ? AND state = 'planned'`, a.Number, micros(a.LeaseUntil), id); err != nil {
		return a, err
	}
	return a, t.countCall(ctx, a)
}

// insertAttempt takes the next number, or the last one again if that attempt
// was proven not to have been sent: the factory never saw it, so it freezes
// anew what the factory is asked for now.
func (t *tx) insertAttempt(ctx context.Context, a *restock.Attempt) error {
	if a.Number > 0 {
		n, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'sending', tries = tries + 1, owner = ?, lease_until = ?, sent_at = ?, answered_at = NULL,
				quantity = received + ?, slug = ?, factory = ?, requester = ?
			WHERE order_id = ? AND number = ? AND state = 'not_sent'`,
			a.Owner, micros(a.LeaseUntil), micros(a.SentAt), a.Quantity, a.Slug, a.Factory.Identifier, a.Requester, a.OrderID, a.Number)
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
		if _, _, err := tx.lockOrder(ctx, a.OrderID); err != nil {
			return err
		}
		if err := tx.judgeFactory(ctx, a, answer); err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `UPDATE order_attempts SET state = ?, answered_at = ?, due_at = ?, http_status = ?, factory_ref = ?, error = ?,
				public_url = ?
			WHERE order_id = ? AND number = ? AND state = 'sending' AND owner = ? AND sent_at = ?`,
			string(answer.State), micros(tx.now), micros(answer.DueAt), answer.Status, answer.FactoryRef, answer.Error, answer.PublicURL,
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

// noteAnswer keeps what a late answer says, as evidence. One that came after
// its lease was over still proves that the factory accepted.
func (t *tx) noteAnswer(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	_, err := t.Exec(ctx, `UPDATE order_attempts SET answered_at = ?, http_status = ?, factory_ref = ?, public_url = ?
		WHERE order_id = ? AND number = ? AND owner = ? AND sent_at = ? AND answered_at IS NULL`,
		micros(t.now), answer.Status, answer.FactoryRef, answer.PublicURL, a.OrderID, a.Number, a.Owner, micros(a.SentAt))
	if err != nil || answer.State != restock.AttemptAccepted {
		return err
	}
	n, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'accepted', error = ''
		WHERE order_id = ? AND number = ? AND owner = ? AND sent_at = ? AND state = 'unknown'`, a.OrderID, a.Number, a.Owner, micros(a.SentAt))
	if err != nil || n == 0 {
		return err
	}
	_, err = t.Exec(ctx, `UPDATE replenishment_orders SET state = 'accepted' WHERE id = ? AND state = 'unknown' AND attempts = ?`, a.OrderID, a.Number)
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
		expected = a.SentAt.Add(a.Factory.Expected())
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
	return t.publish(o.story(ctx), typ, restock.EventData{ProductID: o.ProductID, SKU: o.SKU, OrderID: id})
}
