package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/restock/restock"
)

// Reserve promises a cart's pieces until the time to live is over, all or
// none. What is reserved is not available, so a reservation can begin a
// stockout or bring a product to its reorder point as a sale can. The error is
// of kind OutOfStock, NotFound or Invalid as for a sale.
func (s *Store) Reserve(ctx context.Context, cart restock.Cart, ttl time.Duration) (restock.Reservation, error) {
	var (
		reservation restock.Reservation
		refusal     error
	)
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		reservation, refusal = restock.Reservation{}, nil
		var c *counter
		return tx.once(ctx, cart.Key, func() error {
			var err error
			c, err = openCounter(ctx, tx, []restock.Cart{{Lines: cart.Lines}})
			return err
		}, func() ([16]byte, error) {
			reservation, refusal = c.reserve(cart, ttl)
			if refusal == nil {
				if err := tx.insertReservation(ctx, reservation); err != nil {
					return [16]byte{}, err
				}
			}
			return reservation.ID, c.close(ctx, nil)
		}, func(made [16]byte) error {
			var err error
			reservation, err = tx.reservation(ctx, made)
			return err
		})
	})
	return reservation, errors.Join(err, refusal)
}

// reserve takes a cart's pieces off what is available, and leaves them on hand.
func (c *counter) reserve(cart restock.Cart, ttl time.Duration) (restock.Reservation, error) {
	if refused := c.refuse(cart); refused.Err != nil {
		return restock.Reservation{}, refused.Err
	}
	r := restock.Reservation{
		ID: c.tx.newID(), State: restock.ReservationHeld, Reference: cart.Reference,
		CreatedAt: c.tx.now, ExpiresAt: c.tx.now.Add(ttl),
	}
	for _, line := range cart.Lines {
		p := c.now[c.ids[line.Product]]
		p.Stock.Reserved += line.Quantity
		c.now[p.ID] = p
		r.Currency = p.Currency
		r.Total += p.Price * line.Quantity
		r.Lines = append(r.Lines, restock.ReservedLine{ProductID: p.ID, SKU: p.SKU, Quantity: line.Quantity, UnitPrice: p.Price})
	}
	return r, nil
}

func (t *tx) insertReservation(ctx context.Context, r restock.Reservation) error {
	if err := t.must(ctx, `INSERT INTO reservations (id, state, reference, currency, created_at, expires_at) VALUES (?, 'held', ?, ?, ?, ?)`,
		r.ID, r.Reference, r.Currency, micros(r.CreatedAt), micros(r.ExpiresAt)); err != nil {
		return err
	}
	for i, l := range r.Lines {
		if err := t.must(ctx, `INSERT INTO reservation_lines (reservation_id, line, product_id, quantity, unit_price) VALUES (?, ?, ?, ?, ?)`,
			r.ID, i, l.ProductID, l.Quantity, l.UnitPrice); err != nil {
			return err
		}
	}
	return nil
}

// ConfirmReservation makes a reservation a sale, at the price of the day it was
// made. Confirmed again, it gives the same sale. The error is of kind Conflict
// when its time is over or it was released.
func (s *Store) ConfirmReservation(ctx context.Context, id restock.ReservationID) (restock.Sale, error) {
	var (
		sale    restock.Sale
		expired error
	)
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		sale, expired = restock.Sale{}, nil
		r, before, err := tx.lockReservation(ctx, id)
		switch {
		case err != nil:
			return err
		case r.State == restock.ReservationConfirmed:
			sale, err = tx.sale(ctx, r.SaleID)
			return err
		case r.State == restock.ReservationHeld && !r.ExpiresAt.After(tx.now):
			expired = errNotHeld(r.ID, restock.ReservationExpired)
			return tx.endReservation(ctx, r, before, restock.ReservationExpired)
		case r.State != restock.ReservationHeld:
			return errNotHeld(r.ID, r.State)
		}
		sale, err = tx.confirm(ctx, r, before)
		return err
	})
	return sale, errors.Join(err, expired)
}

func errNotHeld(id restock.ReservationID, state restock.ReservationState) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict,
		"reservation %s is %s; its pieces may be sold, so make a new one", id, state)
}

func (t *tx) confirm(ctx context.Context, r restock.Reservation, products map[restock.ProductID]restock.Product) (restock.Sale, error) {
	sale := restock.Sale{ID: t.newID(), Reference: r.Reference, Total: r.Total, Currency: r.Currency, SoldAt: t.now}
	after := make(map[restock.ProductID]restock.Product, len(products))
	for _, l := range r.Lines {
		p, ok := after[l.ProductID]
		if !ok {
			p = products[l.ProductID]
		}
		p.Stock.OnHand -= l.Quantity
		p.Stock.Reserved -= l.Quantity
		after[p.ID] = p
		sale.Lines = append(sale.Lines, restock.SaleLine{
			ProductID: p.ID, SKU: p.SKU, Quantity: l.Quantity, UnitPrice: l.UnitPrice, Remaining: p.Stock.Available(),
		})
	}
	if err := t.insertSales(ctx, []restock.Outcome{{Sale: sale, New: true}}); err != nil {
		return sale, err
	}
	for _, id := range slices.SortedFunc(maps.Keys(after), compareIDs) {
		p := after[id]
		sold := products[id].Stock.OnHand - p.Stock.OnHand
		if err := t.move(ctx, p, restock.MovementSale, -sold, nil, ""); err != nil {
			return sale, err
		}
		if _, err := t.settle(ctx, products[id], p, false); err != nil {
			return sale, err
		}
	}
	return sale, t.must(ctx, `UPDATE reservations SET state = 'confirmed', sale_id = ?, closed_at = ? WHERE id = ? AND state = 'held'`,
		sale.ID, micros(t.now), r.ID)
}

// ReleaseReservation gives the pieces back. Released again, or after it
// expired, it changes nothing. The error is of kind Conflict when it was
// confirmed: that is a return.
func (s *Store) ReleaseReservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, error) {
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		r, products, err := tx.lockReservation(ctx, id)
		switch {
		case err != nil:
			return err
		case r.State == restock.ReservationConfirmed:
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"reservation %s was confirmed as sale %s; return the sale instead", id, r.SaleID)
		case r.State != restock.ReservationHeld:
			return nil
		}
		return tx.endReservation(ctx, r, products, restock.ReservationReleased)
	})
	if err != nil {
		return restock.Reservation{}, err
	}
	return s.Reservation(ctx, id)
}

// ExpireReservations ends up to limit reservations whose time is over, and
// gives how many there were.
func (s *Store) ExpireReservations(ctx context.Context, limit int) (int, error) {
	var due []restock.ReservationID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		due, err = collect(ctx, tx, `SELECT id FROM reservations WHERE state = 'held' AND expires_at <= ? ORDER BY expires_at LIMIT ?`,
			[]any{micros(tx.now), limit}, scanID[restock.Reservation])
		return err
	})
	errs := append(make([]error, 0, 1+len(due)), err)
	for _, id := range due { // one that cannot be ended keeps none of the others
		errs = append(errs, s.update(ctx, background, func(ctx context.Context, tx *tx) error { return tx.expire(ctx, id) }))
	}
	return len(due), errors.Join(errs...)
}

func (t *tx) expire(ctx context.Context, id restock.ReservationID) error {
	r, products, err := t.lockReservation(ctx, id)
	if err != nil || r.State != restock.ReservationHeld || r.ExpiresAt.After(t.now) {
		return err // somebody was here first
	}
	return t.endReservation(ctx, r, products, restock.ReservationExpired)
}

// endReservation makes the pieces available again.
func (t *tx) endReservation(ctx context.Context, r restock.Reservation, products map[restock.ProductID]restock.Product,
	state restock.ReservationState,
) error {
	for _, l := range r.Lines {
		if err := t.freeLine(ctx, l, products); err != nil {
			return err
		}
	}
	return t.closeReservation(ctx, r.ID, state)
}

// freeLine gives the pieces of one line back.
func (t *tx) freeLine(ctx context.Context, l restock.ReservedLine, products map[restock.ProductID]restock.Product) error {
	before := products[l.ProductID]
	after := before
	after.Stock.Reserved -= l.Quantity
	settled, err := t.settle(ctx, before, after, false)
	products[l.ProductID] = settled // it may stand on another line too
	return err
}

func (t *tx) closeReservation(ctx context.Context, id restock.ReservationID, state restock.ReservationState) error {
	return t.must(ctx, `UPDATE reservations SET state = ?, closed_at = ? WHERE id = ? AND state = 'held'`,
		string(state), micros(t.now), id)
}

// lockReservation locks the products of a reservation, and then reads it.
func (t *tx) lockReservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, map[restock.ProductID]restock.Product, error) {
	r, err := t.reservation(ctx, id)
	if err != nil {
		return r, nil, err
	}
	ids := make([]restock.ProductID, 0, len(r.Lines))
	for _, l := range r.Lines {
		ids = append(ids, l.ProductID)
	}
	products, err := t.lock(ctx, ids...)
	if err != nil {
		return r, nil, err
	}
	r, err = t.reservation(ctx, id)
	return r, products, err
}

const reservationColumns = `r.id, r.state, r.reference, r.currency, r.created_at, r.expires_at, r.closed_at, r.sale_id`

func scanReservation(rows *sql.Rows) (restock.Reservation, error) {
	var r restock.Reservation
	err := rows.Scan(&r.ID, &r.State, &r.Reference, &r.Currency, instant{&r.CreatedAt}, instant{&r.ExpiresAt}, instant{&r.ClosedAt}, &r.SaleID)
	return r, err
}

func (t *tx) reservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, error) {
	found, err := collect(ctx, t, `SELECT `+reservationColumns+` FROM reservations r WHERE r.id = ?`, []any{id}, scanReservation)
	if err != nil {
		return restock.Reservation{}, fmt.Errorf("read reservation %s: %w", id, err)
	}
	if len(found) == 0 {
		return restock.Reservation{}, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no reservation %s", id)
	}
	return found[0], t.reservedLines(ctx, &found[0])
}

func (t *tx) reservedLines(ctx context.Context, r *restock.Reservation) error {
	var err error
	r.Lines, err = collect(ctx, t, `SELECT l.product_id, p.sku, l.quantity, l.unit_price
		FROM reservation_lines l JOIN products p ON p.id = l.product_id WHERE l.reservation_id = ? ORDER BY l.line`, []any{r.ID},
		func(rows *sql.Rows) (restock.ReservedLine, error) {
			var l restock.ReservedLine
			err := rows.Scan(&l.ProductID, &l.SKU, &l.Quantity, &l.UnitPrice)
			return l, err
		})
	r.Total = 0
	for _, l := range r.Lines {
		r.Total += l.UnitPrice * l.Quantity
	}
	return err
}

// Reservation gives one reservation. The error is of kind NotFound when there
// is none.
func (s *Store) Reservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, error) {
	var r restock.Reservation
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		r, err = tx.reservation(ctx, id)
		return err
	})
	return r, err
}

// Reservations lists reservations, newest first.
func (s *Store) Reservations(ctx context.Context, q restock.ListQuery) ([]restock.Reservation, string, error) {
	all, next, err := page(ctx, s, `SELECT `+reservationColumns+` FROM reservations r`, `r.id DESC`, q, scanReservation,
		func(r restock.Reservation) string { return r.ID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			if q.Product != "" {
				id, err := tx.productID(ctx, q.Product)
				if err != nil {
					return err
				}
				l.and(`r.id IN (SELECT reservation_id FROM reservation_lines WHERE product_id = ?)`, id)
			}
			q.Product = ""
			return narrowBy(q, `r.id`, ``, `r.state`, "held", "confirmed", "released", "expired")(ctx, tx, l)
		})
	if err != nil {
		return nil, "", err
	}
	return all, next, s.view(ctx, func(ctx context.Context, tx *tx) error {
		for i := range all {
			if err := tx.reservedLines(ctx, &all[i]); err != nil {
				return err
			}
		}
		return nil
	})
}
