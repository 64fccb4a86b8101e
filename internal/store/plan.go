package store

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/restock/restock"
)

// Plan locks a product and asks decide whether to order now. It stores the
// order, or the "no", with the numbers it was decided from; a repeated equal
// "no" raises a counter. The order takes a slot of its product, which is what
// bounds the orders that can be open at once.
func (s *Store) Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error) {
	var decision restock.Decision
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		var err error
		decision, err = tx.plan(ctx, s.dayBegan(tx.now), id, nil, decide)
		return err
	})
	return decision, err
}

// PlanByHand is Plan for an order that a person asks for. It takes the same way;
// a "no" is stored and given back, and is no effect of the key.
func (s *Store) PlanByHand(ctx context.Context, m restock.ManualOrder, key restock.Key,
	decide func(restock.Situation) restock.Decision,
) (restock.Decision, error) {
	var decision restock.Decision
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		var product restock.Product
		return tx.once(ctx, key, func() error {
			var err error
			product, err = tx.lockNamed(ctx, m.Product)
			return err
		}, func() ([16]byte, error) {
			var err error
			id := product.ID
			decision, err = tx.plan(ctx, s.dayBegan(tx.now), id, &m, decide)
			if err != nil || !decision.Order {
				return [16]byte{}, err
			}
			return decision.ID, tx.audit(ctx, restock.Act{By: m.By, Reason: m.Reason}, "order.create", decision.OrderID.String(), id,
				fmt.Sprintf("%d pieces", decision.Quantity))
		}, func(made [16]byte) error {
			return tx.one(ctx, `SELECT `+decisionColumns+` FROM decisions d JOIN products p ON p.id = d.product_id WHERE d.id = ?`,
				[]any{made[:]}, decisionFields(&decision)...)
		})
	})
	return decision, err
}

// dayBegan is the midnight before a moment, where the shop is: money is limited
// by the day.
func (s *Store) dayBegan(now time.Time) time.Time {
	local := now.In(s.zone)
	return time.Date(local.Year(), local.Month(), local.Day(), 0, 0, 0, 0, s.zone)
}

func (t *tx) plan(ctx context.Context, day time.Time, id restock.ProductID, m *restock.ManualOrder,
	decide func(restock.Situation) restock.Decision,
) (restock.Decision, error) {
	p, err := t.lockOne(ctx, id)
	if err != nil {
		return restock.Decision{}, err
	}
	situation, slot, err := t.situation(ctx, p, day, m)
	if err != nil {
		return restock.Decision{}, err
	}
	d := t.numbered(p, decide(situation))
	if d.Order {
		if d.OrderID, err = t.insertOrder(ctx, situation, slot, d); err != nil {
			return d, err
		}
	}
	if err := t.forgetImport(ctx, p, !d.Order && p.Policy.Low(p.Stock)); err != nil {
		return d, err
	}
	return d, t.insertDecision(ctx, p, &d)
}

// numbered adds the numbers that a decision was made from.
func (t *tx) numbered(p restock.Product, d restock.Decision) restock.Decision {
	d.SKU, d.FirstAt, d.LastAt, d.Count = p.SKU, t.now, t.now, 1
	d.OnHand, d.Reserved, d.OnOrder = p.Stock.OnHand, p.Stock.Reserved, p.Stock.OnOrder
	d.ReorderPoint = p.Policy.ReorderPoint
	return d
}

// situation gathers what a decision about a locked product is made from, and
// gives the slot that its order would take.
func (t *tx) situation(ctx context.Context, p restock.Product, day time.Time, m *restock.ManualOrder) (restock.Situation, int64, error) {
	s := restock.Situation{Now: t.now, Product: p, Manual: m, Imported: p.LowByImport}
	slot, err := t.slots(ctx, &s)
	if err != nil {
		return s, slot, err
	}
	limit, err := t.setting(ctx, settingDailyLimit)
	if err != nil {
		return s, slot, err
	}
	if limit != "" {
		if s.DailyLimit, err = strconv.ParseInt(limit, 10, 64); err != nil {
			return s, slot, fmt.Errorf("the setting %s: %w", settingDailyLimit, err)
		}
	}
	// What all products may cost together is counted by one at a time.
	if s.Imported || s.DailyLimit > 0 {
		if err := t.takeTurn(ctx, turnMoney); err != nil {
			return s, slot, err
		}
	}
	if s.Imported {
		if err := t.one(ctx, `SELECT COUNT(*) FROM replenishment_orders
			WHERE created_at > ? AND cause = 'import' AND state <> 'awaiting_approval'`,
			[]any{micros(t.now.Add(-restock.ImportWindow))}, &s.ImportedOrders); err != nil {
			return s, slot, err
		}
	}
	if s.DailyLimit == 0 && p.Policy.DailyLimit == 0 {
		return s, slot, nil
	}
	// Sums are made in floating point: nine digits of pieces at any price do not
	// fit an integer, and above a limit nothing has to be exact.
	// What was closed without any attempt was never ordered; what awaits approval
	// is not ordered yet.
	var all, its float64
	err = t.one(ctx, `SELECT COALESCE(SUM(quantity * 1.0 * unit_cost), 0),
			COALESCE(SUM(CASE WHEN product_id = ? THEN quantity * 1.0 * unit_cost ELSE 0 END), 0)
		FROM replenishment_orders WHERE created_at >= ? AND cause <> 'manual' AND state <> 'awaiting_approval'
			AND NOT (state = 'closed_short' AND attempts = 0)`,
		[]any{p.ID, micros(day)}, &all, &its)
	s.OrderedToday, s.OrderedTodayOfIts = money(all), money(its)
	return s, slot, err
}

// money is a sum as an integer; beyond all that fits it is the largest.
func money(sum float64) int64 {
	if sum >= math.MaxInt64 {
		return math.MaxInt64
	}
	return int64(sum)
}

// slots fills in the open orders of a product and gives the first free slot:
// from 0 up for automatic orders, from -1 down for those by hand.
func (t *tx) slots(ctx context.Context, s *restock.Situation) (int64, error) {
	type taken struct {
		order restock.OrderID
		slot  int64
	}
	all, err := collect(ctx, t, `SELECT id, slot FROM replenishment_orders WHERE product_id = ? AND slot IS NOT NULL ORDER BY slot`,
		[]any{s.Product.ID}, func(rows *sql.Rows) (taken, error) {
			var v taken
			err := rows.Scan(&v.order, &v.slot)
			return v, err
		})
	if err != nil {
		return 0, err
	}
	occupied := make(map[int64]bool, len(all))
	for _, v := range all {
		occupied[v.slot] = true
		if v.slot < 0 {
			s.ManualOrders++
			continue
		}
		s.OpenOrders = append(s.OpenOrders, v.order)
	}
	slot, step := int64(0), int64(1)
	if s.Manual != nil {
		slot, step = -1, -1
	}
	for occupied[slot] {
		slot += step
	}
	return slot, nil
}

// requireSlot refuses an order beyond the bound, whatever was decided.
func requireSlot(s restock.Situation, slot int64) error {
	if slot >= s.Product.Policy.OpenOrdersMax || slot < -restock.ManualOrdersMax {
		return restock.Errorf(restock.Conflict, restock.CodeConflict, "%s has %d open orders and %d by hand, and no slot for another",
			s.Product.SKU, len(s.OpenOrders), s.ManualOrders)
	}
	return nil
}

func (t *tx) insertOrder(ctx context.Context, s restock.Situation, slot int64, d restock.Decision) (restock.OrderID, error) {
	if err := requireSlot(s, slot); err != nil {
		return restock.OrderID{}, err
	}
	id, p := restock.OrderID(t.newID()), s.Product
	state, cause := restock.OrderPlanned, restock.CauseLow
	if d.Approval {
		state = restock.OrderAwaitingApproval
	}
	switch {
	case s.Manual != nil:
		cause = restock.CauseManual
	case s.Imported:
		cause = restock.CauseImport
	}
	trace := cmp.Or(restock.TraceParent(ctx), restock.TraceParentOf(id)) // a sweep has none
	ctx = restock.WithTraceParent(ctx, trace)
	if err := t.must(ctx, `INSERT INTO replenishment_orders
		(id, product_id, factory_id, state, slot, "manual", cause, reorder_budget, quantity, outstanding, unit_cost, reason, created_at, due_at,
			trace_parent)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		id, p.ID, p.FactoryID, string(state), slot, cause == restock.CauseManual, string(cause), restock.ReorderBudget,
		d.Quantity, d.Quantity, p.UnitCost, d.Reason, micros(t.now), micros(t.now), trace); err != nil {
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

// lowProducts selects products whose position calls for an order.
const lowProducts = `ordering <> 'off' AND on_hand - reserved + on_order <= reorder_point`

// LowProducts gives up to limit products whose position calls for an order
// though none is open, after the given id. A sweep plans them, in case a
// message was not enough. Products that are snoozed are left in peace.
func (s *Store) LowProducts(ctx context.Context, after restock.ProductID, limit int) ([]restock.ProductID, error) {
	var ids []restock.ProductID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT id FROM products
			WHERE id > ? AND `+lowProducts+` AND COALESCE(snoozed_until, 0) <= ?
			AND NOT EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.product_id = products.id AND o.slot >= 0)
			ORDER BY id LIMIT ?`, []any{after[:], micros(tx.now), limit}, scanID[restock.Product])
		return err
	})
	return ids, err
}

// PreviewPlan tells what would be decided about every low product now, without
// any effect. The money and the imports of one line count for the next.
func (s *Store) PreviewPlan(ctx context.Context, q restock.ListQuery, decide func(restock.Situation) restock.Decision,
) ([]restock.PlannedOrder, string, error) {
	var planned []restock.PlannedOrder
	products, next, err := page(ctx, s, `SELECT `+productColumns+` FROM products`, `id`, q, scanProduct,
		func(p restock.Product) string { return p.ID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			l.and(lowProducts)
			if q.After != "" {
				after, err := restock.ParseID[restock.Product](q.After)
				if err != nil {
					return err
				}
				l.and(`id > ?`, after)
			}
			return narrowProduct(ctx, tx, l, q, `id`)
		})
	if err != nil {
		return nil, "", err
	}
	err = s.view(ctx, func(ctx context.Context, tx *tx) error {
		planned = make([]restock.PlannedOrder, 0, len(products))
		var money, imported int64
		for _, p := range products {
			situation, _, err := tx.situation(ctx, p, s.dayBegan(tx.now), nil)
			if err != nil {
				return err
			}
			situation.OrderedToday += money
			situation.ImportedOrders += imported
			d := tx.numbered(p, decide(situation))
			line := restock.PlannedOrder{Decision: d, UnitCost: p.UnitCost, Cost: p.Cost(d.Quantity), Currency: p.Currency}
			if d.Order && !d.Approval {
				money += line.Cost
				if situation.Imported {
					imported++
				}
			}
			planned = append(planned, line)
		}
		return nil
	})
	return planned, next, err
}
