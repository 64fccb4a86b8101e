package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/restock/restock"
)

// Adjust changes on hand by hand: by a quantity, or to what a stocktake
// counted. The error is of kind Conflict, and names the reservations, when
// there would be less on hand than is reserved, unless the youngest may go.
func (s *Store) Adjust(ctx context.Context, request restock.AdjustmentRequest, key restock.Key) (restock.Adjustment, error) {
	var adjustment restock.Adjustment
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		return tx.once(ctx, key, func() error {
			_, err := tx.lockNamed(ctx, request.Product)
			return err
		}, func() ([16]byte, error) {
			var err error
			adjustment, err = tx.adjust(ctx, request)
			return adjustment.ID, err
		}, func(made [16]byte) error {
			var err error
			adjustment, err = tx.adjustment(ctx, made)
			return err
		})
	})
	return adjustment, err
}

func (t *tx) adjust(ctx context.Context, request restock.AdjustmentRequest) (restock.Adjustment, error) {
	p, err := t.lockNamed(ctx, request.Product)
	if err != nil {
		return restock.Adjustment{}, err
	}
	a := restock.Adjustment{
		ID: t.newID(), SKU: p.SKU, Quantity: request.Quantity, Counted: request.Counted, Reason: request.Reason, At: t.now,
	}
	if a.Counted != nil {
		a.Quantity = *a.Counted - p.Stock.OnHand
	}
	a.OnHand = p.Stock.OnHand + a.Quantity
	if a.OnHand < 0 || a.OnHand > restock.QuantityMax {
		return a, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"%s: %d on hand cannot change by %d", p.SKU, p.Stock.OnHand, a.Quantity)
	}
	reserved, err := t.freeFor(ctx, p, &a, request.FreeYoungest)
	if err != nil {
		return a, err
	}
	return a, t.bookAdjustment(ctx, p, a, reserved)
}

// bookAdjustment stores an adjustment. One of nothing is stored too: that a
// stocktake agreed is worth knowing.
func (t *tx) bookAdjustment(ctx context.Context, p restock.Product, a restock.Adjustment, reserved int64) error {
	counted := sql.Null[int64]{}
	if a.Counted != nil {
		counted = sql.Null[int64]{V: *a.Counted, Valid: true}
	}
	if err := t.must(ctx, `INSERT INTO adjustments (id, product_id, quantity, counted, on_hand, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		a.ID, p.ID, a.Quantity, counted, a.OnHand, a.Reason, micros(a.At)); err != nil {
		return err
	}
	if a.Quantity == 0 {
		return nil
	}
	after := p
	after.Stock.OnHand, after.Stock.Reserved = a.OnHand, reserved
	if err := t.move(ctx, after, restock.MovementAdjustment, a.Quantity, a.ID, a.Reason); err != nil {
		return err
	}
	_, err := t.settle(ctx, p, after, false)
	return err
}

// freeFor makes room for an adjustment below what is reserved, if it may, and
// gives what stays reserved of the product. That is written together with the
// adjustment: pieces that are freed and gone were never available in between.
func (t *tx) freeFor(ctx context.Context, p restock.Product, a *restock.Adjustment, freeYoungest bool) (int64, error) {
	reserved := p.Stock.Reserved
	if a.OnHand >= reserved {
		return reserved, nil
	}
	holding, err := t.holding(ctx, p.ID)
	if err != nil {
		return reserved, err
	}
	if !freeYoungest {
		return reserved, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"%s: %d would be on hand and %d are reserved, by %s; release some, or let the youngest go",
			p.SKU, a.OnHand, reserved, names(holding))
	}
	if err := t.lockReservedWith(ctx, p.ID); err != nil {
		return reserved, err
	}
	for _, id := range holding {
		if a.OnHand >= reserved {
			break
		}
		freed, err := t.freeButFor(ctx, id, p.ID)
		if err != nil {
			return reserved, err
		}
		a.Released = append(a.Released, id)
		reserved -= freed
	}
	return reserved, nil
}

// lockReservedWith locks all products that are reserved together with one, since
// they are freed with it.
func (t *tx) lockReservedWith(ctx context.Context, product restock.ProductID) error {
	if !t.locks {
		return nil
	}
	ids, err := collect(ctx, t, `SELECT DISTINCT o.product_id FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
			JOIN reservation_lines o ON o.reservation_id = r.id
		WHERE l.product_id = ? AND r.state = 'held'`, []any{product}, scanID[restock.Product])
	if err == nil {
		_, err = t.lock(ctx, ids...)
	}
	return err
}

// freeButFor releases a reservation, and leaves the stock of one product to the
// caller: it gives how much of it was held.
func (t *tx) freeButFor(ctx context.Context, id restock.ReservationID, product restock.ProductID) (int64, error) {
	r, products, err := t.lockReservation(ctx, id)
	if err != nil {
		return 0, err
	}
	var left int64
	for _, l := range r.Lines {
		if l.ProductID == product {
			left += l.Quantity
			continue
		}
		if err := t.freeLine(ctx, l, products); err != nil {
			return 0, err
		}
	}
	return left, t.closeReservation(ctx, r.ID, restock.ReservationReleased)
}

// reservationsNamed bounds the reservations that an error names.
const reservationsNamed = 10

func names(ids []restock.ReservationID) string {
	var b strings.Builder
	for i, id := range ids {
		if i == reservationsNamed {
			b.WriteString(" and more")
			break
		}
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(id.String())
	}
	return b.String()
}

// holding gives the reservations that hold a product, the youngest first.
func (t *tx) holding(ctx context.Context, product restock.ProductID) ([]restock.ReservationID, error) {
	return collect(ctx, t, `SELECT DISTINCT r.id FROM reservation_lines l JOIN reservations r ON r.id = l.reservation_id
		WHERE l.product_id = ? AND r.state = 'held' ORDER BY r.id DESC`, []any{product}, scanID[restock.Reservation])
}

const adjustmentColumns = `SELECT a.id, p.sku, a.quantity, a.counted, a.on_hand, a.reason, a.at
	FROM adjustments a JOIN products p ON p.id = a.product_id`

func scanAdjustment(rows *sql.Rows) (restock.Adjustment, error) {
	var a restock.Adjustment
	err := rows.Scan(&a.ID, &a.SKU, &a.Quantity, &a.Counted, &a.OnHand, &a.Reason, instant{&a.At})
	return a, err
}

func (t *tx) adjustment(ctx context.Context, id restock.AdjustmentID) (restock.Adjustment, error) {
	found, err := collect(ctx, t, adjustmentColumns+` WHERE a.id = ?`, []any{id}, scanAdjustment)
	if err != nil || len(found) == 0 {
		return restock.Adjustment{}, err
	}
	return found[0], nil
}

// Adjustments lists adjustments, newest first.
func (s *Store) Adjustments(ctx context.Context, q restock.ListQuery) ([]restock.Adjustment, string, error) {
	return page(ctx, s, adjustmentColumns, `a.id DESC`, q, scanAdjustment,
		func(a restock.Adjustment) string { return a.ID.String() }, narrowBy(q, `a.id`, `a.product_id`, `''`))
}
