package store

import (
	"context"
	"maps"
	"slices"
	"strings"
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
		return c.close(ctx, outcomes)
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
	refused  map[refusal]refusals
	done     map[string]effect // under the keys of these carts, before
	sold     map[string]keyed  // under them, in this group
}

// keyed is a sale of this group and the key that it was made under.
type keyed struct {
	key  restock.Key
	sale restock.Sale
}

// refusal says what buyers were refused, and whether something was left of it.
type refusal struct {
	product restock.ProductID
	left    bool
}

type refusals struct{ buyers, units int64 }

func openCounter(ctx context.Context, tx *tx, carts []restock.Cart) (*counter, error) {
	c := &counter{
		tx: tx, ids: map[string]restock.ProductID{}, problems: map[string]error{},
		now: map[restock.ProductID]restock.Product{}, refused: map[refusal]refusals{}, sold: map[string]keyed{},
	}
	for _, cart := range carts {
		for _, line := range cart.Lines {
			if err := c.resolve(ctx, line.Product); err != nil {
				return nil, err
			}
		}
	}
	var err error
	if c.before, err = tx.lock(ctx, slices.Collect(maps.Values(c.ids))...); err != nil {
		return nil, err
	}
	maps.Copy(c.now, c.before)
	// The keys come after the products: that is the order of all locks.
	c.done, err = tx.effects(ctx, keysOf(carts))
	return c, err
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

func keysOf(carts []restock.Cart) []restock.Key {
	var keys []restock.Key
	for _, cart := range carts {
		if cart.Key.Name != "" {
			keys = append(keys, cart.Key)
		}
	}
	return keys
}

// serve decides one cart. The error is the database's; the buyer's is in the
// outcome.
func (c *counter) serve(ctx context.Context, cart restock.Cart) (restock.Outcome, error) {
	if cart.Key.Name != "" {
		if o, again, err := c.again(ctx, cart.Key); again || err != nil {
			return o, err
		}
	}
	if o := c.refuse(cart); o.Err != nil {
		return o, nil //nolint:nilerr // it is the buyer's error.
	}
	sale := c.sell(cart)
	if cart.Key.Name != "" {
		c.sold[cart.Key.Name] = keyed{cart.Key, sale}
	}
	return restock.Outcome{Sale: sale, New: true}, nil
}

// again gives the sale that was made under a key before, in this group or long
// ago, and reports whether there was one.
func (c *counter) again(ctx context.Context, key restock.Key) (restock.Outcome, bool, error) {
	if s, ok := c.sold[key.Name]; ok {
		if s.key.Hash != key.Hash {
			return restock.Outcome{Err: errKeyReused(key)}, true, nil
		}
		return restock.Outcome{Sale: s.sale}, true, nil
	}
	e, ok := c.done[key.Name]
	if !ok {
		return restock.Outcome{}, false, nil
	}
	if e.key.Hash != key.Hash {
		return restock.Outcome{Err: errKeyReused(key)}, true, nil
	}
	sale, err := c.tx.sale(ctx, e.made)
	for i := range sale.Lines {
		sale.Lines[i].Returned = 0 // the answer of that time
	}
	return restock.Outcome{Sale: sale}, true, err
}

// refuse says why a cart cannot be had; Err is nil when it can. Who is refused
// for lack of stock is counted.
func (c *counter) refuse(cart restock.Cart) restock.Outcome {
	asked, err := c.sum(cart)
	if err != nil {
		return restock.Outcome{Err: err}
	}
	short, ok := c.short(cart, asked)
	if !ok {
		return restock.Outcome{}
	}
	key := refusal{short.id, short.Available > 0 && c.now[short.id].Stock.StockoutID.IsZero()}
	r := c.refused[key]
	c.refused[key] = refusals{buyers: r.buyers + 1, units: r.units + short.Asked}
	return restock.Outcome{Short: short.Shortage, Err: restock.Errorf(restock.OutOfStock, restock.CodeOutOfStock,
		"%s: %d asked for, %d available", short.SKU, short.Asked, short.Available)}
}

// sum adds up what a cart asks for of each product, so that the same product
// on two lines counts as their sum.
func (c *counter) sum(cart restock.Cart) (map[restock.ProductID]int64, error) {
	asked := make(map[restock.ProductID]int64, len(cart.Lines))
	left := int64(restock.TotalMax)
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
		if p.Price > 0 && line.Quantity > left/p.Price {
			return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the total would be above %d", int64(restock.TotalMax))
		}
		left -= line.Quantity * p.Price
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

// sell takes a cart's pieces off the counter.
func (c *counter) sell(cart restock.Cart) restock.Sale {
	sale := restock.Sale{
		ID: c.tx.newID(), Reference: cart.Reference, SoldAt: c.tx.now, Lines: make([]restock.SaleLine, len(cart.Lines)),
	}
	for i, line := range cart.Lines {
		p := c.now[c.ids[line.Product]]
		before := p.Stock
		p.Stock.OnHand -= line.Quantity
		c.now[p.ID] = p
		c.noteOrigin(p, before, cart.TraceParent)
		sale.Currency = p.Currency
		sale.Total += p.Price * line.Quantity
		sale.Lines[i] = restock.SaleLine{
			ProductID: p.ID, SKU: p.SKU, Quantity: line.Quantity, UnitPrice: p.Price,
		}
	}
	for i, l := range sale.Lines { // a product may stand on a later line too
		sale.Lines[i].Remaining = c.now[l.ProductID].Stock.Available()
	}
	return sale
}

// noteOrigin remembers whose cart took a product across a line: the messages of a
// group are made at its end, and each belongs to one of its buyers.
func (c *counter) noteOrigin(p restock.Product, before restock.Stock, trace string) {
	low := p.Policy.Low(p.Stock) && !p.Policy.Low(before)
	out := p.Stock.Available() == 0 && before.Available() > 0
	if !low && !out {
		return
	}
	if c.tx.origins == nil {
		c.tx.origins = map[crossing]string{}
	}
	if low {
		c.tx.origins[crossing{p.ID, restock.StockLow}] = trace
	}
	if out {
		c.tx.origins[crossing{p.ID, restock.StockOut}] = trace
	}
}

// close writes down what was sold, updates each product once, and counts the
// refusals on the stockout, or where something was left but not enough, on the
// product and day.
func (c *counter) close(ctx context.Context, outcomes []restock.Outcome) error {
	if err := c.tx.insertSales(ctx, outcomes); err != nil {
		return err
	}
	made := make([]effect, 0, len(c.sold))
	for _, s := range c.sold {
		made = append(made, effect{s.key, s.sale.ID})
	}
	if err := c.tx.remember(ctx, made); err != nil {
		return err
	}
	for _, id := range slices.SortedFunc(maps.Keys(c.before), compareIDs) {
		before, after := c.before[id], c.now[id]
		if sold := before.Stock.OnHand - after.Stock.OnHand; sold > 0 {
			if err := c.tx.move(ctx, after, restock.MovementSale, -sold, nil, ""); err != nil {
				return err
			}
		}
		if after.Stock != before.Stock {
			var err error
			if after, err = c.tx.settle(ctx, before, after, false); err != nil {
				return err
			}
		}
		if err := c.countRefusals(ctx, after); err != nil {
			return err
		}
	}
	return nil
}

// countRefusals counts those who found nothing on the stockout, which began in
// this very group perhaps, and those who wanted more than was left on the day.
func (c *counter) countRefusals(ctx context.Context, p restock.Product) error {
	if r := c.refused[refusal{p.ID, false}]; r.buyers > 0 {
		count := c.tx.countOnStockout
		if p.Stock.StockoutID.IsZero() { // it was never available
			count = c.tx.countOnDay
		}
		if err := count(ctx, p, r); err != nil {
			return err
		}
	}
	if r := c.refused[refusal{p.ID, true}]; r.buyers > 0 {
		return c.tx.countOnDay(ctx, p, r)
	}
	return nil
}

const (
	insertSaleLine = `INSERT INTO sale_lines
		(sale_id, line, product_id, quantity, unit_price, currency, remaining, reference, sold_at) VALUES `
	saleLineValues = `(?, ?, ?, ?, ?, ?, ?, ?, ?)`
	saleLineArgs   = 9
	// saleLinesMax is how many lines one statement inserts.
	saleLinesMax = 64
)

// insertSales writes the lines of all sales with as few statements as there
// can be: statements, not rows, are what costs.
func (t *tx) insertSales(ctx context.Context, outcomes []restock.Outcome) error {
	args := make([]any, 0, saleLinesMax*saleLineArgs)
	flush := func() error {
		n := len(args) / saleLineArgs
		if n == 0 {
			return nil
		}
		_, err := t.Exec(ctx, insertSaleLine+strings.Repeat(saleLineValues+`, `, n-1)+saleLineValues, args...)
		args = args[:0]
		return err
	}
	for _, o := range outcomes {
		if !o.New {
			continue
		}
		for i, l := range o.Sale.Lines {
			args = append(args, o.Sale.ID, i, l.ProductID, l.Quantity, l.UnitPrice, o.Sale.Currency, l.Remaining,
				o.Sale.Reference, micros(o.Sale.SoldAt))
			if len(args) < saleLinesMax*saleLineArgs {
				continue
			}
			if err := flush(); err != nil {
				return err
			}
		}
	}
	return flush()
}

func (t *tx) countOnStockout(ctx context.Context, p restock.Product, r refusals) error {
	if err := t.must(ctx, `UPDATE stockouts SET refused_buyers = refused_buyers + ?, refused_units = refused_units + ?,
		first_refused_at = COALESCE(first_refused_at, ?) WHERE id = ?`, r.buyers, r.units, micros(t.now), p.Stock.StockoutID); err != nil {
		return err
	}
	// The product is locked, so nobody else inserts the row.
	quarter := t.now.Truncate(restock.RefusalsCountedBy)
	n, err := t.Exec(ctx, `UPDATE stockout_refusals SET buyers = buyers + ?, units = units + ?, value = value + ? WHERE stockout_id = ? AND quarter = ?`,
		r.buyers, r.units, r.value(p), p.Stock.StockoutID, micros(quarter))
	if err != nil || n == 1 {
		return err
	}
	return t.must(ctx, `INSERT INTO stockout_refusals (stockout_id, quarter, buyers, units, value) VALUES (?, ?, ?, ?, ?)`,
		p.Stock.StockoutID, micros(quarter), r.buyers, r.units, r.value(p))
}

// value is what the units that were refused would have sold for.
func (r refusals) value(p restock.Product) int64 {
	if p.Price > 0 && r.units > restock.TotalMax/p.Price {
		return restock.TotalMax
	}
	return r.units * p.Price
}

func (t *tx) countOnDay(ctx context.Context, p restock.Product, r refusals) error {
	// The product is locked, so nobody else inserts the row.
	day := t.now.Format(time.DateOnly)
	n, err := t.Exec(ctx, `UPDATE refusals SET buyers = buyers + ?, units = units + ? WHERE product_id = ? AND day = ?`,
		r.buyers, r.units, p.ID, day)
	if err != nil || n == 1 {
		return err
	}
	return t.must(ctx, `INSERT INTO refusals (product_id, day, buyers, units, first_at) VALUES (?, ?, ?, ?, ?)`,
		p.ID, day, r.buyers, r.units, micros(t.now))
}
