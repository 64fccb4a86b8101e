package store

import (
	"context"
	"fmt"

	"github.com/restock/restock"
)

// settle writes what an act made of a locked product, and publishes what
// follows. Every act that changes on hand, reserved, on order or the policy
// ends here; there is no other way to write them, and no flag that could get
// stuck: crossings are seen by comparing before and after.
//
//   - The position falls to the reorder point, or an order closed while it is
//     there: stock.low.
//   - Available reaches 0: a stockout opens, stock.out.
//   - Available is back at the resume level: it closes, stock.back.
func (t *tx) settle(ctx context.Context, before, after restock.Product, orderClosed bool) (restock.Product, error) {
	var events []restock.EventType
	low := after.Policy.Low(after.Stock)
	if low && (orderClosed || !before.Policy.Low(before.Stock)) {
		events = append(events, restock.StockLow)
	}
	if err := t.relist(ctx, before, after); err != nil {
		return after, err
	}
	stockout := after.Stock.StockoutID
	switch open := !stockout.IsZero(); {
	case !open && after.Stock.Available() == 0 && before.Stock.Available() > 0:
		stockout = t.newID()
		events = append(events, restock.StockOut)
		if err := t.openStockout(ctx, stockout, after.ID); err != nil {
			return after, err
		}
		after.Stock.StockoutID = stockout
	case open && after.Stock.Available() >= after.Policy.ResumeLevel:
		events = append(events, restock.StockBack)
		if err := t.closeStockout(ctx, stockout); err != nil {
			return after, err
		}
		after.Stock.StockoutID = restock.StockoutID{}
	}
	if err := t.writeStock(ctx, before.Stock, after); err != nil {
		return after, err
	}
	for _, e := range events {
		if err := t.publish(ctx, e, restock.EventData{
			ProductID: after.ID, SKU: after.SKU, StockoutID: stockout,
			Available: after.Stock.Available(), Position: after.Stock.Position(),
		}); err != nil {
			return after, err
		}
	}
	return after, nil
}

// relist brings in line what follows from the numbers of a product and changes
// seldom: the mark of an import, and the urgency under which it is listed.
func (t *tx) relist(ctx context.Context, before, after restock.Product) error {
	if err := t.forgetImport(ctx, before, after.Policy.Low(after.Stock)); err != nil {
		return err
	}
	if before.Urgency() == after.Urgency() {
		return nil
	}
	return t.must(ctx, `UPDATE products SET urgency = ? WHERE id = ?`, int(after.Urgency()), after.ID)
}

// forgetImport takes the mark of an import from a product that is low no more:
// when it is low again, that has another cause.
func (t *tx) forgetImport(ctx context.Context, p restock.Product, low bool) error {
	if !p.LowByImport || low {
		return nil
	}
	return t.must(ctx, `UPDATE products SET low_by_import = 0 WHERE id = ?`, p.ID)
}

// writeStock stores the four numbers. The WHERE holds the rule once more: it
// touches no row if anybody changed the stock since it was locked.
func (t *tx) writeStock(ctx context.Context, before restock.Stock, after restock.Product) error {
	err := t.must(ctx, `UPDATE products SET on_hand = ?, reserved = ?, on_order = ?, stockout_id = ?
		WHERE id = ? AND on_hand = ? AND reserved = ? AND on_order = ?`,
		after.Stock.OnHand, after.Stock.Reserved, after.Stock.OnOrder, after.Stock.StockoutID,
		after.ID, before.OnHand, before.Reserved, before.OnOrder)
	if err != nil {
		return fmt.Errorf("write the stock of %s: %w", after.SKU, err)
	}
	return t.share(ctx, after, after.Stock.OnHand-before.OnHand)
}

func (t *tx) openStockout(ctx context.Context, id restock.StockoutID, product restock.ProductID) error {
	return t.must(ctx, `INSERT INTO stockouts (id, product_id, opened_at) VALUES (?, ?, ?)`, id, product, micros(t.now))
}

func (t *tx) closeStockout(ctx context.Context, id restock.StockoutID) error {
	return t.must(ctx, `UPDATE stockouts SET closed_at = ? WHERE id = ? AND closed_at IS NULL`, micros(t.now), id)
}

// move adds a row to the ledger.
func (t *tx) move(ctx context.Context, p restock.Product, kind restock.MovementKind, quantity int64, reference any, note string) error {
	return t.must(ctx, `INSERT INTO movements (product_id, kind, quantity, on_hand_after, reference, note, at)
		VALUES (?, ?, ?, ?, ?, ?, ?)`, p.ID, string(kind), quantity, p.Stock.OnHand, reference, note, micros(t.now))
}
