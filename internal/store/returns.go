package store

import (
	"context"
	"database/sql"

	"github.com/restock/restock"
)

// ReturnSale books goods of a sale back into stock. Without lines all that was
// not returned yet comes back. The error is of kind Conflict when more would
// come back than was sold.
func (s *Store) ReturnSale(ctx context.Context, id restock.SaleID, lines []restock.Line, reason string, key restock.Key) (restock.Return, error) {
	var back restock.Return
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		return tx.once(ctx, key, func() error {
			_, _, err := tx.lockSale(ctx, id)
			return err
		}, func() ([16]byte, error) {
			var err error
			back, err = tx.returnSale(ctx, id, lines, reason)
			return back.ID, err
		}, func(made [16]byte) error {
			var err error
			back, err = tx.saleReturn(ctx, made)
			return err
		})
	})
	return back, err
}

func (t *tx) returnSale(ctx context.Context, id restock.SaleID, lines []restock.Line, reason string) (restock.Return, error) {
	back := restock.Return{ID: t.newID(), SaleID: id, Reason: reason, At: t.now}
	sale, products, err := t.lockSale(ctx, id)
	if err != nil {
		return back, err
	}
	if back.Lines, err = t.returning(ctx, sale, lines); err != nil {
		return back, err
	}
	for i := range back.Lines {
		if err := t.bookReturn(ctx, back, i, sale, products); err != nil {
			return back, err
		}
	}
	return back, nil
}

// lockSale locks the products of a sale, and reads it as it is then.
func (t *tx) lockSale(ctx context.Context, id restock.SaleID) (restock.Sale, map[restock.ProductID]restock.Product, error) {
	sale, err := t.sale(ctx, id)
	if err != nil {
		return sale, nil, err
	}
	ids := make([]restock.ProductID, 0, len(sale.Lines))
	for _, l := range sale.Lines {
		ids = append(ids, l.ProductID)
	}
	products, err := t.lock(ctx, ids...)
	if err != nil {
		return sale, nil, err
	}
	sale, err = t.sale(ctx, id)
	return sale, products, err
}

// returning says how much of each product comes back.
func (t *tx) returning(ctx context.Context, sale restock.Sale, lines []restock.Line) ([]restock.ReturnLine, error) {
	open, skus := map[restock.ProductID]int64{}, map[restock.ProductID]restock.SKU{}
	var all []restock.ReturnLine
	for _, l := range sale.Lines {
		if _, seen := open[l.ProductID]; !seen {
			all = append(all, restock.ReturnLine{ProductID: l.ProductID})
		}
		open[l.ProductID] += l.Quantity - l.Returned
		skus[l.ProductID] = l.SKU
	}
	if len(lines) > 0 {
		asked, err := t.asked(ctx, lines)
		if err != nil {
			return nil, err
		}
		all = asked
	}
	var back []restock.ReturnLine
	for _, l := range all {
		if len(lines) == 0 {
			l.Quantity = open[l.ProductID]
		}
		l.SKU = skus[l.ProductID]
		if l.SKU == "" {
			l.SKU = restock.SKU(l.ProductID.String()) // not of this sale
		}
		if l.Quantity > open[l.ProductID] {
			return nil, restock.Errorf(restock.Conflict, restock.CodeConflict,
				"%d × %s cannot come back: %d of sale %s are not returned yet", l.Quantity, l.SKU, open[l.ProductID], sale.ID)
		}
		if l.Quantity > 0 {
			back = append(back, l)
		}
	}
	if len(back) == 0 {
		return nil, restock.Errorf(restock.Conflict, restock.CodeConflict, "all of sale %s came back before", sale.ID)
	}
	return back, nil
}

// asked resolves the products of a request, each once.
func (t *tx) asked(ctx context.Context, lines []restock.Line) ([]restock.ReturnLine, error) {
	at := map[restock.ProductID]int{}
	var asked []restock.ReturnLine
	for _, line := range lines {
		id, err := t.productID(ctx, line.Product)
		if err != nil {
			return nil, err
		}
		if i, ok := at[id]; ok {
			asked[i].Quantity += line.Quantity
			continue
		}
		at[id] = len(asked)
		asked = append(asked, restock.ReturnLine{ProductID: id, Quantity: line.Quantity})
	}
	return asked, nil
}

// bookReturn books one line: on the sale's lines, on the stock, in the ledger.
func (t *tx) bookReturn(ctx context.Context, back restock.Return, i int, sale restock.Sale, products map[restock.ProductID]restock.Product) error {
	line := back.Lines[i]
	left := line.Quantity
	for n, l := range sale.Lines {
		take := min(left, l.Quantity-l.Returned)
		if l.ProductID != line.ProductID || take == 0 {
			continue
		}
		left -= take
		if err := t.must(ctx, `UPDATE sale_lines SET returned = returned + ? WHERE sale_id = ? AND line = ? AND returned + ? <= quantity`,
			take, sale.ID, n, take); err != nil {
			return err
		}
	}
	if err := t.must(ctx, `INSERT INTO sale_returns (id, line, sale_id, product_id, quantity, reason, at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		back.ID, i, sale.ID, line.ProductID, line.Quantity, back.Reason, micros(back.At)); err != nil {
		return err
	}
	before := products[line.ProductID]
	after := before
	after.Stock.OnHand += line.Quantity
	if err := t.move(ctx, after, restock.MovementReturn, line.Quantity, back.ID, back.Reason); err != nil {
		return err
	}
	_, err := t.settle(ctx, before, after, false)
	return err
}

func (t *tx) saleReturn(ctx context.Context, id restock.ReturnID) (restock.Return, error) {
	back := restock.Return{ID: id}
	var err error
	back.Lines, err = collect(ctx, t, `SELECT r.sale_id, r.reason, r.at, r.product_id, p.sku, r.quantity
		FROM sale_returns r JOIN products p ON p.id = r.product_id WHERE r.id = ? ORDER BY r.line`, []any{id},
		func(rows *sql.Rows) (restock.ReturnLine, error) {
			var l restock.ReturnLine
			err := rows.Scan(&back.SaleID, &back.Reason, instant{&back.At}, &l.ProductID, &l.SKU, &l.Quantity)
			return l, err
		})
	return back, err
}
