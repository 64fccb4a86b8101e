package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/restock/restock"
)

// Plan locks a product and asks decide whether to order now. It stores the
// order, or the "no", with the numbers it was decided from; a repeated equal
// "no" raises a counter. The order takes a slot of its product, which is what
// bounds the orders that can be open at once.
func (s *Store) Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error) {
	var decision restock.Decision
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		p, err := tx.lockOne(ctx, id)
		if err != nil {
			return err
		}
		open, slot, err := tx.slots(ctx, p)
		if err != nil {
			return err
		}
		decision = decide(restock.Situation{Product: p, OpenOrders: open})
		decision.SKU, decision.FirstAt, decision.LastAt, decision.Count = p.SKU, tx.now, tx.now, 1
		decision.OnHand, decision.Reserved, decision.OnOrder = p.Stock.OnHand, p.Stock.Reserved, p.Stock.OnOrder
		decision.ReorderPoint = p.Policy.ReorderPoint
		if decision.Order {
			if slot >= p.Policy.OpenOrdersMax {
				return restock.Errorf(restock.Conflict, restock.CodeConflict, "%s has %d open orders, and no slot for another", p.SKU, len(open))
			}
			if decision.OrderID, err = tx.insertOrder(ctx, p, slot, decision); err != nil {
				return err
			}
		}
		return tx.insertDecision(ctx, p, &decision)
	})
	return decision, err
}

// slots gives the open automatic orders of a product and its first free slot.
func (t *tx) slots(ctx context.Context, p restock.Product) ([]restock.OrderID, int64, error) {
	type taken struct {
		order restock.OrderID
		slot  int64
	}
	all, err := collect(ctx, t, `SELECT id, slot FROM replenishment_orders WHERE product_id = ? AND slot IS NOT NULL ORDER BY slot`,
		[]any{p.ID}, func(rows *sql.Rows) (taken, error) {
			var v taken
			err := rows.Scan(&v.order, &v.slot)
			return v, err
		})
	if err != nil {
		return nil, 0, err
	}
	var free int64
	ids := make([]restock.OrderID, 0, len(all))
	for _, v := range all {
		ids = append(ids, v.order)
		if v.slot == free {
			free++
		}
	}
	return ids, free, nil
}

func (t *tx) insertOrder(ctx context.Context, p restock.Product, slot int64, d restock.Decision) (restock.OrderID, error) {
	id := restock.OrderID(t.newID())
	state := restock.OrderPlanned
	if d.Approval {
		state = restock.OrderAwaitingApproval
	}
	if err := t.must(ctx, `INSERT INTO replenishment_orders
		(id, product_id, factory_id, state, slot, quantity, outstanding, unit_cost, reason, created_at, due_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, p.ID, p.FactoryID, string(state), slot, d.Quantity, d.Quantity, p.UnitCost, d.Reason,
		micros(t.now), micros(t.now)); err != nil {
		return id, err
	}
	ordered := p
	ordered.Stock.OnOrder += d.Quantity
	if _, err := t.settle(ctx, p, ordered, false); err != nil {
		return id, err
	}
	if d.Approval {
		return id, t.publish(ctx, restock.OrderAwaiting, restock.EventData{ProductID: p.ID, SKU: p.SKU, OrderID: id})
	}
	t.ordersReady = true
	return id, nil
}

// insertDecision stores a decision, or counts it on the last one when that
// says the same from the same numbers.
func (t *tx) insertDecision(ctx context.Context, p restock.Product, d *restock.Decision) error {
	if !d.Order {
		repeated, err := t.repeatDecision(ctx, p, d)
		if err != nil || repeated {
			return err
		}
	}
	d.ID = t.newID()
	return t.must(ctx, `INSERT INTO decisions (id, product_id, ordered, order_id, quantity, approval, reason,
		on_hand, reserved, on_order, reorder_point, count, first_at, last_at)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		d.ID, p.ID, d.Order, d.OrderID, d.Quantity, d.Approval, d.Reason,
		d.OnHand, d.Reserved, d.OnOrder, d.ReorderPoint, d.Count, micros(d.FirstAt), micros(d.LastAt))
}

func (t *tx) repeatDecision(ctx context.Context, p restock.Product, d *restock.Decision) (bool, error) {
	last, err := t.lastDecision(ctx, p.ID)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	same := *d
	same.ID, same.Count, same.FirstAt, same.LastAt = last.ID, last.Count, last.FirstAt, last.LastAt
	if same != last {
		return false, nil
	}
	d.ID, d.Count, d.FirstAt = last.ID, last.Count+1, last.FirstAt
	return true, t.must(ctx, `UPDATE decisions SET count = count + 1, last_at = ? WHERE id = ?`, micros(t.now), last.ID)
}

const decisionColumns = `d.id, p.sku, d.ordered, d.order_id, d.quantity, d.approval, d.reason,
	d.on_hand, d.reserved, d.on_order, d.reorder_point, d.count, d.first_at, d.last_at`

func decisionFields(d *restock.Decision) []any {
	return []any{
		&d.ID, &d.SKU, &d.Order, &d.OrderID, &d.Quantity, &d.Approval, &d.Reason,
		&d.OnHand, &d.Reserved, &d.OnOrder, &d.ReorderPoint, &d.Count,
		instant{&d.FirstAt},
		instant{&d.LastAt},
	}
}

func (t *tx) lastDecision(ctx context.Context, product restock.ProductID) (restock.Decision, error) {
	var d restock.Decision
	err := t.one(ctx, `SELECT `+decisionColumns+` FROM decisions d JOIN products p ON p.id = d.product_id
		WHERE d.product_id = ? ORDER BY d.id DESC LIMIT 1`, []any{product}, decisionFields(&d)...)
	return d, err
}

// LowProducts gives up to limit products whose position calls for an order
// though none is open, after the given id. A sweep plans them, in case a
// message was not enough.
func (s *Store) LowProducts(ctx context.Context, after restock.ProductID, limit int) ([]restock.ProductID, error) {
	var ids []restock.ProductID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT id FROM products
			WHERE id > ? AND ordering <> 'off' AND on_hand - reserved + on_order <= reorder_point
			AND NOT EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.product_id = products.id AND o.slot IS NOT NULL)
			ORDER BY id LIMIT ?`, []any{after[:], limit}, scanID[restock.Product])
		return err
	})
	return ids, err
}
