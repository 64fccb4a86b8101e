package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"

	"github.com/restock/restock"
)

const productColumns = `id, sku, slug, name, price, unit_cost, currency, factory_id, advertisement_id,
	on_hand, reserved, on_order, stockout_id,
	ordering, reorder_point, order_quantity, order_up_to, minimum_order, pack_size, maximum_stock,
	max_per_purchase, resume_level, open_orders_max, daily_limit, snoozed_until, low_by_import`

func scanProduct(rows *sql.Rows) (restock.Product, error) {
	var p restock.Product
	err := rows.Scan(productFields(&p)...)
	return p, err
}

func productFields(p *restock.Product) []any {
	return []any{
		&p.ID, &p.SKU, &p.Slug, &p.Name, &p.Price, &p.UnitCost, &p.Currency, &p.FactoryID, &p.AdvertisementID,
		&p.Stock.OnHand, &p.Stock.Reserved, &p.Stock.OnOrder, &p.Stock.StockoutID,
		&p.Policy.Ordering, &p.Policy.ReorderPoint, &p.Policy.OrderQuantity, &p.Policy.OrderUpTo,
		&p.Policy.MinimumOrder, &p.Policy.PackSize, &p.Policy.MaximumStock,
		&p.Policy.MaxPerPurchase, &p.Policy.ResumeLevel, &p.Policy.OpenOrdersMax, &p.Policy.DailyLimit,
		instant{&p.SnoozedUntil},
		&p.LowByImport,
	}
}

// Product finds a product by slug, SKU or id; "" is the default product. The
// error is of kind NotFound when there is none.
func (s *Store) Product(ctx context.Context, ref string) (restock.Product, error) {
	var p restock.Product
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		id, err := tx.productID(ctx, ref)
		if err != nil {
			return err
		}
		p, err = tx.product(ctx, id)
		return err
	})
	return p, err
}

// productID resolves what a caller calls a product. A SKU or slug that looks
// like another product's id names the product with that id.
func (t *tx) productID(ctx context.Context, ref string) (restock.ProductID, error) {
	if ref == "" {
		return t.defaultProduct(ctx)
	}
	if id, err := restock.ParseID[restock.Product](ref); err == nil && !id.IsZero() {
		return id, t.exists(ctx, id, ref)
	}
	for _, query := range []string{`SELECT id, sku FROM products WHERE sku = ?`, `SELECT id, slug FROM products WHERE slug = ?`} {
		var id restock.ProductID
		var name string
		err := t.one(ctx, query, []any{ref}, &id, &name)
		if err == nil && name != ref { // MySQL overlooks blanks at the end
			continue
		}
		if !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
	}
	return restock.ProductID{}, unknownProduct(ref)
}

// defaultProduct is what a checkout without a body buys.
func (t *tx) defaultProduct(ctx context.Context) (restock.ProductID, error) {
	var id restock.ProductID
	err := t.one(ctx, `SELECT p.id FROM settings s JOIN products p ON p.sku = s.value WHERE s.name = ?`, []any{settingDefaultProduct}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return id, restock.Errorf(restock.NotFound, restock.CodeUnknownProduct,
			"no product was named and there is no default; give a sku, or set default_product in the catalogue")
	}
	return id, err
}

func (t *tx) exists(ctx context.Context, id restock.ProductID, ref string) error {
	var one int
	err := t.one(ctx, `SELECT 1 FROM products WHERE id = ?`, []any{id}, &one)
	if errors.Is(err, sql.ErrNoRows) {
		return unknownProduct(ref)
	}
	return err
}

func unknownProduct(ref string) error {
	return restock.Errorf(restock.NotFound, restock.CodeUnknownProduct,
		"there is no product %q; `restock products list` shows all", ref)
}

func (t *tx) product(ctx context.Context, id restock.ProductID) (restock.Product, error) {
	var p restock.Product
	err := t.one(ctx, `SELECT `+productColumns+` FROM products WHERE id = ?`, []any{id}, productFields(&p)...)
	if errors.Is(err, sql.ErrNoRows) {
		return p, unknownProduct(id.String())
	}
	return p, err
}

// productsPerStatement bounds the products that one statement locks.
const productsPerStatement = 64

// lock locks products and reads them, in the order of their ids, so that acts
// that meet on several products never wait for each other in a circle. On
// SQLite the transaction already excludes every other writer.
//
// An act that finds out late which products it touches may need one before those
// that it has already. The error is then a lateLockError, and the act is run again
// with all of them locked at its beginning.
func (t *tx) lock(ctx context.Context, ids ...restock.ProductID) (map[restock.ProductID]restock.Product, error) {
	ids = inOrder(ids)
	if err := t.mayLock(ids); err != nil {
		return nil, err
	}
	products := make(map[restock.ProductID]restock.Product, len(ids))
	for part := range slices.Chunk(ids, productsPerStatement) {
		found, err := collect(ctx, t, `SELECT `+productColumns+` FROM products WHERE id IN (`+places(len(part))+`) ORDER BY id`+t.forUpdate(),
			anys(part), scanProduct)
		if err != nil {
			return nil, err
		}
		for _, p := range found {
			products[p.ID] = p
		}
	}
	for _, id := range ids {
		if _, ok := products[id]; !ok {
			return nil, unknownProduct(id.String())
		}
	}
	if len(ids) > 0 && len(t.held) == 0 && t.locks {
		t.now = t.clock() // it may have waited; what it decides, it decides now
	}
	t.held = inOrder(slices.Concat(t.held, ids))
	if t.shared != "" && t.locks {
		return products, t.followShared(ctx, products)
	}
	return products, nil
}

// mayLock reports products that come before one that is locked already.
func (t *tx) mayLock(ids []restock.ProductID) error {
	if !t.locks || len(t.held) == 0 {
		return nil
	}
	for _, id := range ids {
		_, has := slices.BinarySearchFunc(t.held, id, compareIDs)
		if !has && compareIDs(id, t.held[len(t.held)-1]) < 0 {
			return &lateLockError{all: inOrder(slices.Concat(t.held, ids))}
		}
	}
	return nil
}

// forUpdate is how a statement ends that locks what it reads.
func (t *tx) forUpdate() string {
	if !t.locks {
		return ``
	}
	return ` FOR UPDATE`
}

// lateLockError says that an act has to begin again with these products locked.
type lateLockError struct{ all []restock.ProductID }

func (l *lateLockError) Error() string {
	return fmt.Sprintf("%d products have to be locked in order from the beginning", len(l.all))
}

func compareIDs(a, b restock.ProductID) int { return slices.Compare(a[:], b[:]) }

// inOrder gives products in the order of all locks, each once.
func inOrder(ids []restock.ProductID) []restock.ProductID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, compareIDs)
	return slices.Compact(ids)
}

func anys[T any](values []T) []any {
	all := make([]any, len(values))
	for i, v := range values {
		all[i] = v
	}
	return all
}

// takeTurn lets this transaction be the only one that does something, until it
// ends. Turns are taken after the products are locked.
func (t *tx) takeTurn(ctx context.Context, name string) error {
	if !t.locks {
		return nil
	}
	var found string
	err := t.one(ctx, `SELECT name FROM turns WHERE name = ? FOR UPDATE`, []any{name}, &found)
	if len(t.held) == 0 {
		t.now = t.clock() // as after the lock of a product
	}
	return err
}

// The turns that there are.
const (
	turnDigest = "digest" // to tell what was not told yet
	turnMoney  = "money"  // to order within what all products may cost together
	// turnSettings is to change a setting to what follows from it, and to make one
	// more of what is counted.
	turnSettings = "settings"
	// turnUnvouched is to keep what nobody vouches for, as much of it as may wait.
	turnUnvouched = "unvouched"
)

func (t *tx) lockOne(ctx context.Context, id restock.ProductID) (restock.Product, error) {
	products, err := t.lock(ctx, id)
	return products[id], err
}

// lockNamed locks a product by what a caller calls it.
func (t *tx) lockNamed(ctx context.Context, ref string) (restock.Product, error) {
	id, err := t.productID(ctx, ref)
	if err != nil {
		return restock.Product{}, err
	}
	return t.lockOne(ctx, id)
}

// The names of the settings that live in the database.
const (
	settingDefaultProduct = "default_product"
	settingCurrency       = "currency"
	settingBuyerEmail     = "buyer_email"
	settingDailyLimit     = "daily_limit"
	// settingOrderingPaused is the reason why nothing is placed anywhere.
	settingOrderingPaused = "ordering_paused"
	// settingQueueEngine names the queue engine in use, and settingEnginesBefore
	// those before it that may still hold messages, one a line.
	settingQueueEngine   = "queue_engine"
	settingEnginesBefore = "queue_engines_before"
)

// setting gives a stored setting, or "".
func (t *tx) setting(ctx context.Context, name string) (string, error) {
	var value string
	err := t.one(ctx, `SELECT value FROM settings WHERE name = ?`, []any{name}, &value)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return value, err
}
