package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"github.com/restock/restock"
)

// ApproveReceipt books what a person says came of a held receipt. Pieces
// beyond the attempt's quantity are approved on the attempt first, so the rule
// that nothing comes without a person stands in the same statement as always.
// What is not approved is refused.
//
// The error is of kind Conflict when nothing is held, and of kind Invalid when
// the count or the product is missing or cannot be.
func (s *Store) ApproveReceipt(ctx context.Context, id restock.ReceiptID, approval restock.Approval, act restock.Act) (restock.Receipt, error) {
	return s.actOnReceipt(ctx, id, approval.Product, func(ctx context.Context, tx *tx, r restock.Receipt) error {
		count, err := approved(r, approval.Count)
		if err != nil {
			return err
		}
		product, err := tx.bookApproved(ctx, r, count, approval.Product)
		if err != nil {
			return err
		}
		if err := tx.must(ctx, `UPDATE receipts SET state = 'applied', product_id = ?, applied = applied + ?, approved = approved + ?,
			refused = refused + ?, held = 0 WHERE id = ? AND state = ? AND held = ?`,
			product, count, count, max(0, r.Held-count), id, string(r.State), r.Held); err != nil {
			return err
		}
		return tx.audit(ctx, act, "receipt.approve", id.String(), product, fmt.Sprintf("%d of %s claimed", count, r.Claimed))
	})
}

// RefuseReceipt sends all that is held of a receipt away: it never becomes
// stock. The error is of kind Conflict when nothing is held.
func (s *Store) RefuseReceipt(ctx context.Context, id restock.ReceiptID, act restock.Act) (restock.Receipt, error) {
	return s.actOnReceipt(ctx, id, "", func(ctx context.Context, tx *tx, r restock.Receipt) error {
		if err := tx.must(ctx, `UPDATE receipts SET state = CASE WHEN applied > 0 THEN 'applied' ELSE 'refused' END,
			refused = refused + held, held = 0 WHERE id = ? AND state = ? AND held = ?`, id, string(r.State), r.Held); err != nil {
			return err
		}
		product, err := tx.productOf(ctx, id)
		if err != nil {
			return err
		}
		return tx.audit(ctx, act, "receipt.refuse", id.String(), product, fmt.Sprintf("%d of %s claimed", r.Held, r.Claimed))
	})
}

// actOnReceipt lets do carry out an act on a receipt of which something is
// held, and gives the receipt as it is then. An orphan's goods are of the product
// that a person names.
func (s *Store) actOnReceipt(ctx context.Context, id restock.ReceiptID, product string, do func(context.Context, *tx, restock.Receipt) error) (restock.Receipt, error) {
	var receipt restock.Receipt
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		if err := tx.lockReceipt(ctx, id, product); err != nil {
			return err
		}
		r, err := tx.receipt(ctx, id)
		if err != nil {
			return err
		}
		if r.State != restock.ReceiptHeld && (r.State != restock.ReceiptApplied || r.Held == 0) {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"nothing of receipt %s is held: it is %s; goods that came without a call are booked with `restock receipts book`", id, r.State)
		}
		if err := do(ctx, tx, r); err != nil {
			return err
		}
		receipt, err = tx.receipt(ctx, id)
		return err
	})
	return receipt, err
}

// approved is how many pieces of a receipt a person says came.
func approved(r restock.Receipt, count int64) (int64, error) {
	switch {
	case count < 0 || count > restock.QuantityMax:
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the count must be 1 to %d", int64(restock.QuantityMax))
	case count == 0 && r.Held == 0:
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"receipt %s claims %q, which is no count; count the goods and give --count", r.ID, r.Claimed)
	case count == 0:
		return r.Held, nil
	case r.Held > 0 && count > r.Held:
		return 0, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"receipt %s holds %d pieces; approve these, and book the %d more with `restock receipts book`", r.ID, r.Held, count-r.Held)
	}
	return count, nil
}

// bookApproved books pieces of a receipt on its attempt, or, when its order is
// not known here, on the product that a person names.
func (t *tx) bookApproved(ctx context.Context, r restock.Receipt, count int64, product string) (restock.ProductID, error) {
	a, o, p, err := t.lockAttempt(ctx, r.OrderID, r.Attempt)
	if errors.Is(err, sql.ErrNoRows) {
		return t.bookOrphan(ctx, r, count, product)
	}
	if err != nil {
		return p.ID, err
	}
	if product != "" {
		return p.ID, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the order of receipt %s is of %s; leave the product out", r.ID, p.SKU)
	}
	return p.ID, t.bookGoods(ctx, p, o, a, count, r.ID)
}

// bookOrphan books goods of no order that is known here. A report that came
// without a token names its product; a person may name another.
func (t *tx) bookOrphan(ctx context.Context, r restock.Receipt, count int64, product string) (restock.ProductID, error) {
	if product = cmp.Or(product, string(r.SKU)); product == "" {
		return restock.ProductID{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"the order of receipt %s is not known here; say whose goods they are with --product", r.ID)
	}
	p, err := t.lockNamed(ctx, product)
	if err != nil {
		return p.ID, err
	}
	_, err = t.bookOnProduct(ctx, p, count, r.ID)
	return p.ID, err
}

// bookOnProduct raises the stock by goods of no order that is known here.
func (t *tx) bookOnProduct(ctx context.Context, p restock.Product, count int64, id restock.ReceiptID) (restock.Product, error) {
	after := p
	after.Stock.OnHand += count
	if err := t.move(ctx, after, restock.MovementReceipt, count, id, ""); err != nil {
		return after, err
	}
	return t.settle(ctx, p, after, false)
}

// bookGoods books pieces on an attempt as a callback does, and approves on it
// what is beyond its quantity.
func (t *tx) bookGoods(ctx context.Context, p restock.Product, o orderRow, a restock.Attempt, count int64, id restock.ReceiptID) error {
	if beyond := a.Received + count - a.Quantity - a.Approved; beyond > 0 {
		if err := t.must(ctx, `UPDATE order_attempts SET approved = approved + ? WHERE order_id = ? AND number = ?`,
			beyond, a.OrderID, a.Number); err != nil {
			return err
		}
	}
	return t.applyGoods(ctx, p, o, a, &restock.Receipt{ID: id, Applied: count})
}

// BookReceipt books goods that came without a call, on the attempt that they
// belong to, so that a late call finds it complete; also when the order closed
// before. The error is of kind Conflict when there is no such attempt, or when
// it would receive more than it was asked for and the booking is not beyond.
func (s *Store) BookReceipt(ctx context.Context, b restock.Booking, act restock.Act, key restock.Key) (restock.Receipt, error) {
	var receipt restock.Receipt
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		return tx.once(ctx, key, func() error {
			_, _, err := tx.lockOrder(ctx, b.OrderID)
			return err
		}, func() ([16]byte, error) {
			id, err := tx.bookByHand(ctx, b, act)
			if err != nil {
				return id, err
			}
			receipt, err = tx.receipt(ctx, id)
			return id, err
		}, func(made [16]byte) error {
			var err error
			receipt, err = tx.receipt(ctx, made)
			return err
		})
	})
	return receipt, err
}

func (t *tx) bookByHand(ctx context.Context, b restock.Booking, act restock.Act) (restock.ReceiptID, error) {
	id := restock.ReceiptID(t.newID())
	if b.Count <= 0 || b.Count > restock.QuantityMax {
		return id, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the count must be 1 to %d", int64(restock.QuantityMax))
	}
	a, o, p, err := t.attemptToBook(ctx, b)
	if err != nil {
		return id, err
	}
	if missing := max(0, a.Quantity+a.Approved-a.Received); b.Count > missing && !b.Beyond {
		return id, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"attempt %d of order %s was asked for %d pieces, and %d are missing; book %d, or say --beyond if all %d came of it",
			a.Number, o.ID, a.Quantity, missing, missing, b.Count)
	}
	c := restock.Callback{OrderID: o.ID, Attempt: a.Number, Hash: sha256.Sum256(id[:])}
	if err := t.insertReceipt(ctx, p.ID, c, 0, restock.Receipt{
		ID: id, OrderID: o.ID, Attempt: a.Number, State: restock.ReceiptApplied, Claimed: strconv.FormatInt(b.Count, 10),
		Applied: b.Count, Late: a.State == restock.AttemptOverdue || !o.State.Open(), Reason: act.Reason,
		Remote: byOperator, CreatedAt: t.now,
	}); err != nil {
		return id, err
	}
	if err := t.bookGoods(ctx, p, o, a, b.Count, id); err != nil {
		return id, err
	}
	return id, t.audit(ctx, act, "receipt.book", id.String(), p.ID, fmt.Sprintf("%d pieces of order %s, attempt %d", b.Count, o.ID, a.Number))
}

// byOperator stands for the remote address of a receipt that a person booked.
const byOperator = "operator"

func (t *tx) attemptToBook(ctx context.Context, b restock.Booking) (restock.Attempt, orderRow, restock.Product, error) {
	o, err := t.order(ctx, b.OrderID)
	if err != nil {
		return restock.Attempt{}, o, restock.Product{}, err
	}
	number := b.Attempt
	if number == 0 {
		number = o.attempts
	}
	a, o, p, err := t.lockAttempt(ctx, b.OrderID, number)
	if errors.Is(err, sql.ErrNoRows) {
		return a, o, p, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"order %s was never asked for with an attempt %d, so no goods can be of it; `restock orders show %[1]s` shows its attempts, and "+
				"`restock stock adjust` books goods on a product", b.OrderID, max(1, number))
	}
	return a, o, p, err
}

func (t *tx) receipt(ctx context.Context, id restock.ReceiptID) (restock.Receipt, error) {
	found, err := collect(ctx, t, `SELECT `+receiptColumns+receiptTables+` WHERE r.id = ?`, []any{id}, scanReceipt)
	if err != nil {
		return restock.Receipt{}, err
	}
	if len(found) == 0 {
		return restock.Receipt{}, restock.Errorf(restock.NotFound, restock.CodeNotFound,
			"there is no receipt %s; `restock receipts list` shows all", id)
	}
	return found[0], nil
}

// productOf is the product of a receipt; zero for an orphan, and when there is
// no such receipt.
func (t *tx) productOf(ctx context.Context, id restock.ReceiptID) (restock.ProductID, error) {
	var product restock.ProductID
	err := t.one(ctx, `SELECT product_id FROM receipts WHERE id = ?`, []any{id}, &product)
	if errors.Is(err, sql.ErrNoRows) {
		return product, nil
	}
	return product, err
}

// lockReceipt locks the product of a receipt, or the one that a person names for
// an orphan, and then the receipt: an orphan has no product that all who decide
// about it would lock.
func (t *tx) lockReceipt(ctx context.Context, id restock.ReceiptID, named string) error {
	product, err := t.productOf(ctx, id)
	if err != nil {
		return err
	}
	if product.IsZero() && named != "" {
		if product, err = t.productID(ctx, named); restock.KindOf(err) == restock.NotFound {
			product, err = restock.ProductID{}, nil // it is said later, if the receipt is held
		}
	}
	if err == nil && !product.IsZero() {
		_, err = t.lockOne(ctx, product)
	}
	if err != nil || !t.locks {
		return err
	}
	_, err = collect(ctx, t, `SELECT id FROM receipts WHERE id = ?`+t.forUpdate(), []any{id}, scanID[restock.Receipt])
	return err
}
