package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"database/sql"
	"errors"
	"time"

	"github.com/restock/restock"
)

// Reports whose address carries no token of ours come where another system's
// worker orders. A static secret of a factory in the address vouches for one; what
// nobody vouches for waits for a person, if reports of that kind are expected here
// at all.

// Vouch says what a report without a token of ours is worth. It reads only, so
// that strangers keep nobody from writing.
func (s *Store) Vouch(ctx context.Context, proofs []restock.SecretProof) (restock.Voucher, error) {
	var v restock.Voucher
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		v, err = tx.vouch(ctx, proofs)
		if err != nil || !v.Kept || !v.Factory.IsZero() {
			return err
		}
		v.Full, err = tx.unvouchedFull(ctx)
		return err
	})
	return v, err
}

// vouch finds the secret that one of the proofs proves. All of it but its name is
// compared in constant time, also where there is none of that name.
func (t *tx) vouch(ctx context.Context, proofs []restock.SecretProof) (restock.Voucher, error) {
	v := restock.Voucher{Kept: t.shared != ""}
	for _, proof := range proofs {
		var factory restock.FactoryID
		hash := make([]byte, sha256.Size)
		err := t.one(ctx, `SELECT factory_id, hash FROM factory_secrets WHERE id = ?`, []any{proof.ID}, &factory, &hash)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return v, err
		}
		if genuine := hmac.Equal(hash, proof.Hash[:]); genuine && err == nil {
			v.Factory, v.ID, v.Kept = factory, proof.ID, true
			return v, nil
		}
	}
	if v.Kept {
		return v, nil
	}
	return v, t.one(ctx, `SELECT EXISTS (SELECT 1 FROM factory_secrets)`, nil, &v.Kept)
}

func (t *tx) unvouchedFull(ctx context.Context) (bool, error) {
	var waiting int
	err := t.one(ctx, `SELECT COUNT(*) FROM (SELECT 1 FROM receipts
		WHERE state = 'held' AND attempt = 0 AND factory_id IS NULL LIMIT ?) AS waiting`, []any{restock.UnvouchedMax}, &waiting)
	return waiting >= restock.UnvouchedMax, err
}

// ReceiveUnsigned stores a report whose address carries no token of ours, and lets
// judge decide what becomes of it. As with Receive, the receipt, the stock, the
// ledger and the messages are one transaction, and what is not applied is held.
//
// What can be told from nothing that came before is not told apart: each equal
// report is a row of its own while there is room for it, since the next delivery
// may look like the last.
//
// The error is of kind Unauthorized where no such report is kept, and of kind
// Unavailable when nobody vouches for it and as many as may wait do.
func (s *Store) ReceiveUnsigned(ctx context.Context, u restock.Unsigned,
	judge func(restock.UnsignedEvidence) restock.UnsignedVerdict,
) (restock.Receipt, error) {
	var receipt restock.Receipt
	err := s.insist(ctx, urgent, func(ctx context.Context, tx *tx) error {
		receipt = restock.Receipt{ID: tx.newID(), Claimed: u.Claimed, Remote: u.Remote}
		v, err := tx.vouch(ctx, u.Proofs)
		if err != nil {
			return err
		}
		if v.Factory.IsZero() {
			return tx.keepUnvouched(ctx, u, v, &receipt, judge)
		}
		return tx.receiveVouched(ctx, u, v, &receipt, judge)
	})
	return receipt, err
}

func errNotKept() error {
	return restock.Errorf(restock.Unauthorized, restock.CodeUnauthorized, "reports without a token are not kept here")
}

func errUnvouchedFull() error {
	return restock.Errorf(restock.Unavailable, restock.CodeRateLimited,
		"%d reports that came without a token and without a factory's secret wait for a person, and no more are kept", restock.UnvouchedMax)
}

// keepUnvouched holds what nobody vouches for. Its product is looked up for whoever
// decides about it; nothing of it is locked or told.
func (t *tx) keepUnvouched(ctx context.Context, u restock.Unsigned, v restock.Voucher, r *restock.Receipt,
	judge func(restock.UnsignedEvidence) restock.UnsignedVerdict,
) error {
	if !v.Kept {
		return errNotKept()
	}
	product, err := t.named(ctx, u)
	var p restock.Product
	if err == nil && !product.IsZero() {
		p, err = t.product(ctx, product)
	}
	if err != nil {
		return err
	}
	if err := t.takeTurn(ctx, turnUnvouched); err != nil {
		return err
	}
	full, err := t.unvouchedFull(ctx)
	if err != nil {
		return err
	}
	if full {
		return errUnvouchedFull()
	}
	u.Hash = unsignedHash(u)
	before, err := t.sawUnsigned(ctx, u)
	if err != nil {
		return err
	}
	verdict := judge(restock.UnsignedEvidence{Unsigned: u})
	r.State, r.Held, r.Reason, r.CreatedAt = restock.ReceiptHeld, verdict.Hold, verdict.Reason, t.now
	if err := t.insertReceipt(ctx, p.ID, u.Callback, before.times, *r); err != nil {
		return err
	}
	return t.publish(ctx, restock.ReceiptKept, restock.EventData{
		ProductID: p.ID, SKU: p.SKU, ReceiptID: r.ID, Available: p.Stock.Available(), Position: p.Stock.Position(),
	})
}

// receiveVouched judges what a factory's secret vouches for.
func (t *tx) receiveVouched(ctx context.Context, u restock.Unsigned, v restock.Voucher, r *restock.Receipt,
	judge func(restock.UnsignedEvidence) restock.UnsignedVerdict,
) error {
	e, err := t.unsignedEvidence(ctx, u, v)
	if err != nil {
		return err
	}
	e.Unsigned.VouchedBy = v.Factory
	e.Unsigned.Hash = unsignedHash(e.Unsigned)
	before, err := t.sawUnsigned(ctx, e.Unsigned)
	if err != nil {
		return err
	}
	e.Seen = before.times > 0
	verdict := judge(e)
	r.OrderID, r.Attempt, r.Factory, r.SKU, r.CreatedAt = verdict.OrderID, verdict.Attempt, e.Factory.Identifier, e.Product.SKU, t.now
	r.State, r.Applied, r.Held, r.Late, r.Reason = verdict.State, verdict.Apply, verdict.Hold, verdict.Late, verdict.Reason
	r.Available = e.Product.Stock.Available()
	if r.Applied == 0 && before.waiting >= restock.RepeatsKeptMax {
		return t.countRepeat(ctx, before.last, r)
	}
	if err := t.bookUnsigned(ctx, e, before.times, r); err != nil {
		return err
	}
	return t.noteUse(ctx, v.ID)
}

// bookUnsigned stores the receipt and raises the stock by what is applied: on the
// attempt that it was found to be of, or on the product alone.
func (t *tx) bookUnsigned(ctx context.Context, e restock.UnsignedEvidence, repeat int, r *restock.Receipt) error {
	c := e.Unsigned.Callback
	for _, of := range e.Awaited {
		if of.Attempt.OrderID != r.OrderID || of.Attempt.Number != r.Attempt {
			continue
		}
		o, err := t.order(ctx, r.OrderID)
		if err != nil {
			return err
		}
		if err := t.book(o.story(ctx), e.Product, o, of.Attempt, c, repeat, r); err != nil || r.Applied == 0 || of.Attempt.Received > 0 {
			return err
		}
		return t.learn(ctx, of.Attempt, c.PublicURL)
	}
	if err := t.insertReceipt(ctx, e.Product.ID, c, repeat, *r); err != nil {
		return err
	}
	if r.Applied > 0 {
		after, err := t.bookOnProduct(ctx, e.Product, r.Applied, r.ID)
		r.Available = after.Stock.Available()
		return err
	}
	return t.publish(ctx, restock.ReceiptKept, restock.EventData{
		ProductID: e.Product.ID, SKU: e.Product.SKU, ReceiptID: r.ID, Available: r.Available, Position: e.Product.Stock.Position(),
	})
}

// unsignedEvidence locks the product that a report names and reads what it is
// judged by.
func (t *tx) unsignedEvidence(ctx context.Context, u restock.Unsigned, v restock.Voucher) (restock.UnsignedEvidence, error) {
	e := restock.UnsignedEvidence{Unsigned: u}
	product, err := t.named(ctx, u)
	if err == nil && !product.IsZero() {
		e.Product, err = t.lockOne(ctx, product)
	}
	if err != nil {
		return e, err
	}
	if e.Factory, err = t.factory(ctx, v.Factory); err != nil {
		return e, err
	}
	e.Awaited, err = t.awaited(ctx, product, v.Factory)
	return e, err
}

// awaitedMax is how many orders are looked at: of two that a report may be of,
// neither is it.
const awaitedMax = 50

// awaited finds the attempts of open orders that miss pieces.
func (t *tx) awaited(ctx context.Context, product restock.ProductID, factory restock.FactoryID) ([]restock.Evidence, error) {
	orders, err := collect(ctx, t, `SELECT o.id FROM replenishment_orders o WHERE o.product_id = ? AND o.slot IS NOT NULL
		AND o.factory_id = ? ORDER BY o.slot LIMIT ?`, []any{product, factory, awaitedMax}, scanID[restock.Order])
	if err != nil {
		return nil, err
	}
	var all []restock.Evidence
	for _, id := range orders {
		o, err := t.order(ctx, id)
		if err != nil {
			return nil, err
		}
		attempts, err := t.attempts(ctx, id)
		if err != nil {
			return nil, err
		}
		for _, a := range attempts {
			if a.State != restock.AttemptNotSent && a.Received < a.Quantity {
				all = append(all, restock.Evidence{Attempt: a, Order: o.State})
			}
		}
	}
	return all, nil
}

// named finds the product that a report names; the zero id when there is none.
func (t *tx) named(ctx context.Context, u restock.Unsigned) (restock.ProductID, error) {
	name := u.Named()
	if name == "" {
		return restock.ProductID{}, nil
	}
	id, err := t.productID(ctx, name)
	if restock.KindOf(err) == restock.NotFound {
		return restock.ProductID{}, nil
	}
	return id, err
}

// unsignedHash tells reports without a token apart: by who vouches for them, what
// they say, and the product of the path if only that names one.
func unsignedHash(u restock.Unsigned) [sha256.Size]byte {
	h := sha256.New()
	h.Write(u.VouchedBy[:])
	h.Write(u.Hash[:])
	if u.Product == "" {
		h.Write([]byte(u.Path))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

// unsignedSightings is how often a body came without a token, and how many of
// these wait for a person.
type unsignedSightings struct {
	times, waiting int
	last           restock.ReceiptID
}

func (t *tx) sawUnsigned(ctx context.Context, u restock.Unsigned) (unsignedSightings, error) {
	var s unsignedSightings
	err := t.one(ctx, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN state = 'held' THEN 1 ELSE 0 END), 0) FROM receipts WHERE body_hash = ?`,
		[]any{u.Hash[:]}, &s.times, &s.waiting)
	if err != nil || s.waiting == 0 {
		return s, err
	}
	return s, t.one(ctx, `SELECT id FROM receipts WHERE body_hash = ? AND state = 'held' ORDER BY id DESC LIMIT 1`, []any{u.Hash[:]}, &s.last)
}

// useNoted is how exactly it is known when a secret was used last.
const useNoted = time.Minute

func (t *tx) noteUse(ctx context.Context, id string) error {
	_, err := t.Exec(ctx, `UPDATE factory_secrets SET used_at = ? WHERE id = ? AND (used_at IS NULL OR used_at < ?)`,
		micros(t.now), id, micros(t.now.Add(-useNoted)))
	return err
}
