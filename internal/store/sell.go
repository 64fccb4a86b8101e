package store

import (
	"context"
	"maps"
	"time"

	"github.com/restock/restock"
)

// Sell decides carts in the order in which they are given, in one
// transaction: each is sold whole or refused, and a refusal takes nothing from
// the carts after it. The error is of kind Unavailable and says that none of
// the carts was sold; what became of a single cart is in its outcome.
func (s *Store) Sell(ctx context.Context, carts []restock.Cart) ([]restock.Outcome, error) {
	var outcomes []restock.Outcome
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		c, err := openCounter(ctx, tx, carts)
		if err != nil {
			return err
		}
		outcomes = make([]restock.Outcome, len(carts))
		for i, cart := range carts {
			if outcomes[i], err = c.serve(ctx, cart); err != nil {
				return err
			}
		}
		return c.close(ctx)
	})
	return outcomes, err
}

// counter is where one group of carts is served: the locked products as they
// were, as they are by now, and who was turned away.
type counter struct {
	tx       *tx
	ids      map[string]restock.ProductID // by what callers call them
	problems map[string]error             // what callers ask for and is not there
	before   map[restock.ProductID]restock.Product
	now      map[restock.ProductID]restock.Product
	refused  map[restock.ProductID]refusals
}

type refusals struct{ buyers, units int64 }

func openCounter(ctx context.Context, tx *tx, carts []restock.Cart) (*counter, error) {
	c := &counter{
		tx: tx, ids: map[string]restock.ProductID{}, problems: map[string]error{},
		now: map[restock.ProductID]restock.Product{}, refused: map[restock.ProductID]refusals{},
	}
	for _, cart := range carts {
		for _, line := range cart.Lines {
			if err := c.resolve(ctx, line.Product); err != nil {
				return nil, err
			}
		}
	}
	ids := make([]restock.ProductID, 0, len(c.ids))
	for _, id := range c.ids {
		ids = append(ids, id)
	}
	var err error
	if c.before, err = tx.lock(ctx, ids...); err != nil {
		return nil, err
	}
	maps.Copy(c.now, c.before)
	return c, nil
}

func (c *counter) resolve(ctx context.Context, ref string) error {
	_, known := c.ids[ref]
	if _, unknown := c.problems[ref]; known || unknown {
		return nil
	}
	id, err := c.tx.productID(ctx, ref)
	if restock.KindOf(err) == restock.NotFound {
		c.problems[ref] = err
		return nil // it concerns only those who ask for it
	}
	c.ids[ref] = id
	return err
}

// serve decides one cart. The error is the database's; the buyer's is in the
// outcome.
func (c *counter) serve(ctx context.Context, cart restock.Cart) (restock.Outcome, error) {
	asked, mistake := c.sum(cart)
	if mistake != nil {
		return restock.Outcome{Err: mistake}, nil //nolint:nilerr // it is the buyer's.
	}
	if short, ok := c.short(cart, asked); ok {
		r := c.refused[short.id]
		c.refused[short.id] = refusals{buyers: r.buyers + 1, units: r.units + short.Asked}
		return restock.Outcome{Short: short.Shortage, Err: restock.Errorf(restock.OutOfStock, restock.CodeOutOfStock,
			"%s: %d asked for, %d available", short.SKU, short.Asked, short.Available)}, nil
	}
	return c.sell(ctx, cart)
}

// sum adds up what a cart asks for of each product, so that the same product
// on two lines counts as their sum.
func (c *counter) sum(cart restock.Cart) (map[restock.ProductID]int64, error) {
	asked := make(map[restock.ProductID]int64, len(cart.Lines))
	for _, line := range cart.Lines {
		if err := c.problems[line.Product]; err != nil {
			return nil, err
		}
		p := c.now[c.ids[line.Product]]
		if line.Quantity <= 0 || line.Quantity > p.Policy.MaxPerPurchase {
			return nil, tooMany(p)
		}
		asked[p.ID] += line.Quantity
		if asked[p.ID] > p.Policy.MaxPerPurchase {
			return nil, tooMany(p)
		}
	}
	if len(asked) == 0 {
		return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the cart is empty")
	}
	return asked, nil
}

func tooMany(p restock.Product) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid,
		"%s: the quantity must be 1 to %d", p.SKU, p.Policy.MaxPerPurchase)
}

type shortage struct {
	restock.Shortage
	id restock.ProductID
}

func (c *counter) short(cart restock.Cart, asked map[restock.ProductID]int64) (shortage, bool) {
	for _, line := range cart.Lines {
		p := c.now[c.ids[line.Product]]
		if asked[p.ID] > p.Stock.Available() {
			return shortage{restock.Shortage{SKU: p.SKU, Asked: asked[p.ID], Available: p.Stock.Available()}, p.ID}, true
		}
	}
	return shortage{}, false
}

func (c *counter) sell(ctx context.Context, cart restock.Cart) (restock.Outcome, error) {
	sale := restock.Sale{ID: c.tx.newID(), Reference: cart.Reference, SoldAt: c.tx.now}
	for _, line := range cart.Lines {
		p := c.now[c.ids[line.Product]]
		p.Stock.OnHand -= line.Quantity
		c.now[p.ID] = p
		sale.Currency = p.Currency
		sale.Total += p.Price * line.Quantity
		sale.Lines = append(sale.Lines, restock.SaleLine{
			ProductID: p.ID, SKU: p.SKU, Quantity: line.Quantity, UnitPrice: p.Price, Remaining: p.Stock.Available(),
		})
	}
	if err := c.tx.insertSale(ctx, sale); err != nil {
		return restock.Outcome{}, err
	}
	for _, line := range sale.Lines {
		p := c.now[line.ProductID]
		p.Stock.OnHand = line.Remaining + p.Stock.Reserved
		if err := c.tx.move(ctx, p, restock.MovementSale, -line.Quantity, sale.ID, ""); err != nil {
			return restock.Outcome{}, err
		}
	}
	return restock.Outcome{Sale: sale}, nil
}

func (t *tx) insertSale(ctx context.Context, sale restock.Sale) error {
	if err := t.must(ctx, `INSERT INTO sales (id, reference, total, currency, sold_at) VALUES (?, ?, ?, ?, ?)`,
		sale.ID, sale.Reference, sale.Total, sale.Currency, micros(sale.SoldAt)); err != nil {
		return err
	}
	for i, line := range sale.Lines {
		if err := t.must(ctx, `INSERT INTO sale_lines (sale_id, line, product_id, quantity, unit_price, remaining)
			VALUES (?, ?, ?, ?, ?, ?)`, sale.ID, i, line.ProductID, line.Quantity, line.UnitPrice, line.Remaining); err != nil {
			return err
		}
	}
	return nil
}

// close updates each product once, and counts the refusals on the stockout, or
// where something was left but not enough, on the product and day.
func (c *counter) close(ctx context.Context) error {
	for id, before := range c.before {
		after := c.now[id]
		if after.Stock != before.Stock {
			var err error
			if after, err = c.tx.settle(ctx, before, after, false); err != nil {
				return err
			}
		}
		if r := c.refused[id]; r.buyers > 0 {
			if err := c.tx.countRefusals(ctx, after, r); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *tx) countRefusals(ctx context.Context, p restock.Product, r refusals) error {
	if !p.Stock.StockoutID.IsZero() {
		return t.must(ctx, `UPDATE stockouts SET refused_buyers = refused_buyers + ?, refused_units = refused_units + ?
			WHERE id = ?`, r.buyers, r.units, p.Stock.StockoutID)
	}
	day := t.now.Format(time.DateOnly)
	n, err := t.Exec(ctx, `UPDATE refusals SET buyers = buyers + ?, units = units + ? WHERE product_id = ? AND day = ?`,
		r.buyers, r.units, p.ID, day)
	if err != nil || n == 1 {
		return err
	}
	return t.must(ctx, `INSERT INTO refusals (product_id, day, buyers, units) VALUES (?, ?, ?, ?)`, p.ID, day, r.buyers, r.units)
}
