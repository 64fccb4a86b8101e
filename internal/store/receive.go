package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/restock/restock"
)

// Receive stores what a factory reported, and lets judge decide how much of it
// is applied and how much held. The receipt, the stock, the ledger and the
// messages are one transaction: when Receive returns, the factory can be told.
//
// A callback of an order that is not known here (a restored backup) is held
// as an orphan. The same body for the same attempt never adds a third row:
// further repeats raise a counter.
//
// A factory may call only once. While a database server is away, Receive waits
// for it some seconds, and if nobody knows whether the receipt was stored, stores
// it again: that is one more duplicate, and no goods.
func (s *Store) Receive(ctx context.Context, c restock.Callback, judge func(restock.Evidence) restock.Verdict) (restock.Receipt, error) {
	var receipt restock.Receipt
	err := s.insist(ctx, urgent, func(ctx context.Context, tx *tx) error {
		a, o, p, err := tx.lockAttempt(ctx, c.OrderID, c.Attempt)
		receipt = restock.Receipt{
			ID: tx.newID(), OrderID: c.OrderID, Attempt: c.Attempt, Claimed: c.Claimed, Remote: c.Remote, CreatedAt: tx.now,
		}
		if errors.Is(err, sql.ErrNoRows) {
			return tx.holdOrphan(ctx, c, &receipt)
		}
		if err != nil {
			return err
		}
		receipt.SKU, receipt.TraceParent = a.SKU, o.TraceParent
		ctx = o.story(ctx)
		before, err := tx.seen(ctx, c)
		if err != nil {
			return err
		}
		verdict := judge(restock.Evidence{Callback: c, Attempt: a, Order: o.State, Seen: before.times > 0})
		receipt.State, receipt.Applied, receipt.Held = verdict.State, verdict.Apply, verdict.Hold
		receipt.Late, receipt.Reason = verdict.Late, verdict.Reason
		if before.counted() && verdict.Apply == 0 {
			receipt.Available = p.Stock.Available()
			return tx.countRepeat(ctx, before.last, &receipt)
		}
		if err := tx.book(ctx, p, o, a, c, before.times, &receipt); err != nil || receipt.Applied == 0 || a.Received > 0 {
			return err
		}
		return tx.learn(ctx, a, c.PublicURL)
	})
	return receipt, err
}

// lockAttempt locks the product of an attempt and reads all that a receipt
// touches. The error is sql.ErrNoRows when there is no such attempt.
func (t *tx) lockAttempt(ctx context.Context, id restock.OrderID, number int) (restock.Attempt, orderRow, restock.Product, error) {
	var product restock.ProductID
	if err := t.one(ctx, `SELECT o.product_id FROM order_attempts a JOIN replenishment_orders o ON o.id = a.order_id
		WHERE a.order_id = ? AND a.number = ?`, []any{id, number}, &product); err != nil {
		return restock.Attempt{}, orderRow{}, restock.Product{}, err
	}
	p, err := t.lockOne(ctx, product)
	if err != nil {
		return restock.Attempt{}, orderRow{}, p, err
	}
	o, err := t.order(ctx, id)
	if err != nil {
		return restock.Attempt{}, o, p, err
	}
	attempts, err := t.attempts(ctx, id)
	for _, a := range attempts {
		if a.Number == number {
			return a, o, p, err
		}
	}
	return restock.Attempt{}, o, p, errors.Join(err, sql.ErrNoRows)
}

// sightings is how often a body was stored for its attempt, and the last row of
// it. A body is stored once, and once more as a repeat, whose row counts all
// further ones; only of a factory that sends equal partials each one that is
// applied has a row of its own.
type sightings struct {
	times     int
	last      restock.ReceiptID
	lastState restock.ReceiptState
}

// counted reports whether there is a row already that counts the repeats.
func (s sightings) counted() bool { return s.times > 1 && s.lastState != restock.ReceiptApplied }

func (t *tx) seen(ctx context.Context, c restock.Callback) (sightings, error) {
	var s sightings
	var last int
	err := t.one(ctx, `SELECT id, state, "repeat" FROM receipts WHERE order_id = ? AND attempt = ? AND body_hash = ?
		ORDER BY "repeat" DESC LIMIT 1`, []any{c.OrderID, c.Attempt, c.Hash[:]}, &s.last, &s.lastState, &last)
	if errors.Is(err, sql.ErrNoRows) {
		return s, nil
	}
	s.times = last + 1
	return s, err
}

// countRepeat counts a body that was answered twice already. The answer is
// that of the first repeat.
func (t *tx) countRepeat(ctx context.Context, id restock.ReceiptID, r *restock.Receipt) error {
	if err := t.must(ctx, `UPDATE receipts SET repeats = repeats + 1 WHERE id = ?`, id); err != nil {
		return err
	}
	r.ID, r.Applied = id, 0
	return t.one(ctx, `SELECT state, held, reason, repeats FROM receipts WHERE id = ?`, []any{id},
		&r.State, &r.Held, &r.Reason, &r.Repeats)
}

// book stores the receipt and raises the stock by what is applied. Goods are
// goods: they are on hand even when the order closed before they came; on
// order falls only by what they lower the order's outstanding.
func (t *tx) book(ctx context.Context, p restock.Product, o orderRow, a restock.Attempt, c restock.Callback,
	repeat int, r *restock.Receipt,
) error {
	if err := t.insertReceipt(ctx, p.ID, c, repeat, *r); err != nil {
		return err
	}
	r.Available = p.Stock.Available()
	var err error
	if r.Applied > 0 {
		err = t.applyGoods(ctx, p, o, a, r)
	} else {
		err = t.proveAcceptance(ctx, o, a, r.State)
	}
	if err != nil {
		return err
	}
	if r.State == restock.ReceiptHeld || r.Held > 0 {
		return t.publish(ctx, restock.ReceiptKept, restock.EventData{
			ProductID: p.ID, SKU: p.SKU, OrderID: o.ID, ReceiptID: r.ID, Available: r.Available, Position: p.Stock.Position(),
		})
	}
	return nil
}

// applyGoods raises the stock by what is applied of a receipt, and its attempt
// and order along.
func (t *tx) applyGoods(ctx context.Context, p restock.Product, o orderRow, a restock.Attempt, r *restock.Receipt) error {
	ctx = o.story(ctx)
	after := p
	after.Stock.OnHand += r.Applied
	if err := t.move(ctx, after, restock.MovementReceipt, r.Applied, r.ID, ""); err != nil {
		return err
	}
	closed, err := t.receiveOrder(ctx, o, a, r.Applied, &after)
	if err != nil {
		return err
	}
	after, err = t.settle(ctx, p, after, closed)
	r.Available = after.Stock.Available()
	return err
}

// receiveOrder raises what the attempt and its order received, and lowers on
// order. It reports whether the order closed.
func (t *tx) receiveOrder(ctx context.Context, o orderRow, a restock.Attempt, applied int64, p *restock.Product) (bool, error) {
	state := a.State
	switch {
	case a.Received+applied >= a.Quantity:
		state = restock.AttemptReceived
	case state == restock.AttemptSending || state == restock.AttemptUnknown || state == restock.AttemptRejected:
		state = restock.AttemptAccepted
	}
	// The rule that an attempt never receives more than was asked, or a person
	// approved, stands here.
	if err := t.must(ctx, `UPDATE order_attempts SET received = received + ?, state = ?
		WHERE order_id = ? AND number = ? AND received + ? <= quantity + approved`,
		applied, string(state), a.OrderID, a.Number, applied); err != nil {
		return false, err
	}
	if !o.State.Open() {
		return false, t.must(ctx, `UPDATE replenishment_orders SET received = received + ? WHERE id = ?`, applied, o.ID)
	}
	outstanding := max(0, o.Quantity-o.Received-applied)
	p.Stock.OnOrder -= o.outstanding - outstanding
	if outstanding == 0 {
		return true, t.must(ctx, `UPDATE replenishment_orders SET received = received + ?, outstanding = 0, state = 'received',
			slot = NULL, closed_at = ? WHERE id = ? AND outstanding = ?`, applied, micros(t.now), o.ID, o.outstanding)
	}
	// The rest has the window once more; whoever looks then knows how long that is.
	due := t.now.Add(a.Factory.LeadTime)
	return false, t.must(ctx, `UPDATE replenishment_orders SET received = received + ?, outstanding = ?, state = 'partly_received', due_at = ?
		WHERE id = ? AND outstanding = ?`, applied, outstanding, micros(due), o.ID, o.outstanding)
}

// proveAcceptance notes that the factory has the order although it said
// otherwise, or nothing: a callback proves it, whatever the POST answered. An
// order that was to be made again is held when a report of it is: the factory
// did call, so a person looks before it is asked once more.
func (t *tx) proveAcceptance(ctx context.Context, o orderRow, a restock.Attempt, receipt restock.ReceiptState) error {
	if _, err := t.Exec(ctx, `UPDATE order_attempts SET state = 'accepted'
		WHERE order_id = ? AND number = ? AND state IN ('sending', 'unknown', 'rejected')`, a.OrderID, a.Number); err != nil {
		return err
	}
	if o.State != restock.OrderPlanned || receipt != restock.ReceiptHeld {
		return nil
	}
	return t.settleLate(ctx, o, restock.Overdue{
		Reason: a.Factory.Identifier + " did call, and its report is held: approve or refuse it, see `restock receipts list --state held`",
	})
}

func (t *tx) holdOrphan(ctx context.Context, c restock.Callback, r *restock.Receipt) error {
	r.State, r.Held, r.Reason = restock.ReceiptHeld, c.Count, "its order is not known here"
	before, err := t.seen(ctx, c)
	if err != nil {
		return err
	}
	if before.counted() {
		return t.countRepeat(ctx, before.last, r)
	}
	if err := t.insertReceipt(ctx, restock.ProductID{}, c, before.times, *r); err != nil {
		return err
	}
	return t.publish(ctx, restock.ReceiptKept, restock.EventData{OrderID: c.OrderID, ReceiptID: r.ID})
}

func (t *tx) insertReceipt(ctx context.Context, product restock.ProductID, c restock.Callback, repeat int, r restock.Receipt) error {
	body := c.Body
	if body == nil {
		body = []byte{}
	}
	return t.must(ctx, `INSERT INTO receipts (id, order_id, attempt, product_id, factory_id, state, claimed, applied, held, late, reason,
		body_hash, body, "repeat", remote, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		r.ID, r.OrderID[:], r.Attempt, product, c.VouchedBy, string(r.State), r.Claimed, r.Applied, r.Held, r.Late, r.Reason,
		c.Hash[:], body, repeat, r.Remote, micros(r.CreatedAt))
}

const receiptColumns = `r.id, r.order_id, r.attempt, COALESCE(p.sku, ''), r.state, r.claimed, r.applied, r.held, r.refused, r.late, r.reason,
	r.repeats, r.remote, r.created_at, COALESCE(f.identifier, '')`

const receiptTables = ` FROM receipts r LEFT JOIN products p ON p.id = r.product_id LEFT JOIN factories f ON f.id = r.factory_id `

func scanReceipt(rows *sql.Rows) (restock.Receipt, error) {
	var r restock.Receipt
	err := rows.Scan(&r.ID, &r.OrderID, &r.Attempt, &r.SKU, &r.State, &r.Claimed, &r.Applied, &r.Held, &r.Refused, &r.Late, &r.Reason,
		&r.Repeats, &r.Remote, instant{&r.CreatedAt}, &r.Factory)
	return r, err
}
