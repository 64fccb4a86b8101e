package store

import (
	"context"
	"database/sql"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// In mixed mode another system sells too, from a table with product_id and stock
// in the same MySQL, and that stock is the truth. Whoever locks a product here
// locks its row there, and books what changed there meanwhile as an adjustment.
// Whatever changes on hand here changes the stock there by as much, in the same
// transaction: `stock = stock + n`, so that nothing of the other system is
// written over.

// settingStockTable names that table; all processes read it at their start.
const settingStockTable = "stock_table"

// NoStockTable ends mixed mode, as a Config.StockTable.
const NoStockTable = "none"

// adoptedReason stands on the adjustments of what another system changed.
const adoptedReason = "changed by another system, in its own stock"

// shareStock makes sure that all processes know the table. What is given is kept
// in the database, and what is not given was kept before.
func (s *Store) shareStock(ctx context.Context, given string) error {
	if given != "" && given != NoStockTable {
		if err := s.checkStockTable(ctx, given); err != nil {
			return err
		}
	}
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		s.shared, err = tx.setting(ctx, settingStockTable)
		return err
	})
	if err == nil && s.shared != "" && s.dialect() != sqlqueue.MySQL {
		// It is a copy, and that table was left behind.
		s.log.WarnContext(ctx, "the stock is not that of another system here; what is on hand is the truth", "table", s.shared)
		s.shared = ""
		return nil
	}
	if err != nil || given == "" || given == s.shared || given == NoStockTable && s.shared == "" {
		return err
	}
	if given == NoStockTable {
		given = ""
	}
	s.shared = given
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		return tx.setSetting(ctx, settingStockTable, given)
	})
}

func (s *Store) checkStockTable(ctx context.Context, table string) error {
	invalid := func(format string, args ...any) error {
		return restock.Errorf(restock.Invalid, restock.CodeInvalid, "--stock-table: "+format, args...)
	}
	if s.dialect() != sqlqueue.MySQL {
		return invalid("the stock of another system can be shared on MySQL alone, where it is in the same transaction; give --db mysql://… on its server")
	}
	if !regexp.MustCompile(`^\w+(\.\w+)?$`).MatchString(table) {
		return invalid("%q is no name of a table, such as product or shop.product", table)
	}
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		_, err := collect(ctx, tx, `SELECT product_id FROM `+table+` WHERE stock IS NULL LIMIT 1`, nil, scanID[restock.Product])
		return err
	})
	if err != nil {
		return invalid("%s cannot be read, and needs the columns product_id and stock: %w", table, err)
	}
	return nil
}

// SharesStock reports whether another system owns the stock, and in which table.
func (s *Store) SharesStock() (table string, ok bool) { return s.shared, s.shared != "" }

// followShared locks the stock of the other system of products that were just
// locked here, and adopts what it says.
func (t *tx) followShared(ctx context.Context, products map[restock.ProductID]restock.Product) error {
	var ids []restock.ProductID
	for id := range products {
		if !t.looked[id] {
			ids = append(ids, id)
		}
	}
	for part := range slices.Chunk(inOrder(ids), productsPerStatement) {
		theirs := map[restock.ProductID]int64{}
		_, err := collect(ctx, t, `SELECT product_id, stock FROM `+t.shared+` WHERE product_id IN (`+places(len(part))+`) ORDER BY product_id FOR UPDATE`,
			anys(part), func(rows *sql.Rows) (restock.ProductID, error) {
				var id restock.ProductID
				var stock int64
				err := rows.Scan(&id, &stock)
				theirs[id] = stock
				return id, err
			})
		if err != nil {
			return fmt.Errorf("read the stock of %s: %w", t.shared, err)
		}
		for _, id := range part {
			t.looked[id] = true
			stock, ok := theirs[id]
			if !ok {
				continue // it is ours alone
			}
			if err := t.adopt(ctx, products, id, min(max(stock, 0), restock.QuantityMax)); err != nil {
				return err
			}
			t.linked[id] = true // from here on what changes here changes there
		}
	}
	return nil
}

// adopt books what another system changed. What it sold below what is reserved
// here takes the youngest reservations along: the pieces are gone.
func (t *tx) adopt(ctx context.Context, products map[restock.ProductID]restock.Product, id restock.ProductID, stock int64) error {
	p := products[id]
	if p.Stock.OnHand == stock {
		return nil
	}
	a := restock.Adjustment{ID: t.newID(), SKU: p.SKU, Quantity: stock - p.Stock.OnHand, OnHand: stock, Reason: adoptedReason, At: t.now}
	reserved, err := t.freeFor(ctx, p, &a, true)
	if err != nil {
		return err
	}
	if err := t.bookAdjustment(ctx, p, a, reserved); err != nil {
		return err
	}
	products[id], err = t.product(ctx, id)
	return err
}

// share changes the stock of the other system by what was changed here.
func (t *tx) share(ctx context.Context, p restock.Product, change int64) error {
	if !t.linked[p.ID] || change == 0 {
		return nil
	}
	if err := t.must(ctx, `UPDATE `+t.shared+` SET stock = stock + ? WHERE product_id = ?`, change, p.ID); err != nil {
		return fmt.Errorf("write the stock of %s in %s: %w", p.SKU, t.shared, err)
	}
	return nil
}

// differing finds products of which the other system says another stock.
const differing = ` FROM products p JOIN %s e ON e.product_id = p.id
	WHERE p.on_hand <> CASE WHEN e.stock < 0 THEN 0 ELSE e.stock END`

// FollowStock looks for what the other system changed and nobody noticed yet,
// books it, and lets follow from it what follows from any change of stock. It
// gives the number of products, at most limit.
func (s *Store) FollowStock(ctx context.Context, limit int) (int, error) {
	if s.shared == "" {
		return 0, nil
	}
	var ids []restock.ProductID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT p.id`+fmt.Sprintf(differing, s.shared)+` ORDER BY p.id LIMIT ?`, []any{limit}, scanID[restock.Product])
		return err
	})
	if err != nil {
		return 0, err
	}
	for n, id := range ids {
		if err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
			_, err := tx.lockOne(ctx, id)
			return err
		}); err != nil {
			return n, err
		}
	}
	return len(ids), nil
}

// followLimit is how many products one look adopts, so that it ends.
const followLimit = 500

// RunFollow follows the stock of the other system until ctx ends, looking at an
// interval. Without one it only waits.
func (s *Store) RunFollow(ctx context.Context, interval time.Duration) error {
	if s.shared == "" {
		<-ctx.Done()
		return nil
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		if n, err := s.FollowStock(ctx, followLimit); err != nil && ctx.Err() == nil {
			s.log.WarnContext(ctx, "what another system changed of the stock is not booked yet", "table", s.shared, "error", err)
		} else if n > 0 {
			s.log.DebugContext(ctx, "another system changed the stock", "table", s.shared, "products", n)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// sharedCheck says what nobody here can know while another system sells.
func (t *tx) sharedCheck(ctx context.Context) (restock.Check, error) {
	check := restock.Check{Promise: "I2", Name: "on hand is what " + t.shared + " says"}
	var behind int64
	if err := t.one(ctx, `SELECT COUNT(*) FROM products p JOIN `+t.shared+` e ON e.product_id = p.id`, nil, &check.Rows); err != nil {
		return check, err
	}
	if err := t.one(ctx, `SELECT COUNT(*)`+fmt.Sprintf(differing, t.shared), nil, &behind); err != nil {
		return check, err
	}
	check.Unknown = fmt.Sprintf("another system changes %s: what it sold and to whom, whether it sold what was not there, and why its stock changed are not "+
		"known here; each change is one adjustment. Of %d products it changed %d since they were last looked at", t.shared, check.Rows, behind)
	return check, nil
}

func errNotExisting(rawURL string) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, "%s is not mysql://USER:PASSWORD@HOST/DATABASE", Redact(rawURL))
}

// ReadExisting reads the catalogue of the system that was there before: its
// tables product, factory and advertisement. Ids stay what they are.
func ReadExisting(ctx context.Context, rawURL string) (restock.Catalog, error) {
	var c restock.Catalog
	a, err := parseAddress(rawURL)
	if err != nil {
		return c, err
	}
	if a.dialect != sqlqueue.MySQL {
		return c, errNotExisting(rawURL)
	}
	err = a.snapshot(ctx, func(conn *sql.Conn) error {
		s := newStore(Config{})
		return s.newTx(connStatements{conn, a.dialect}).readExisting(ctx, &c)
	})
	return c, err
}

func (t *tx) readExisting(ctx context.Context, c *restock.Catalog) (err error) {
	c.Factories, err = collect(ctx, t, `SELECT factory_id, identifier, name, COALESCE(manager_email, ''), "API" FROM factory ORDER BY identifier`, nil,
		func(rows *sql.Rows) (restock.CatalogFactory, error) {
			var f restock.CatalogFactory
			err := rows.Scan(&f.ID, &f.Identifier, &f.Name, &f.ManagerEmail, &f.URL)
			return f, err
		})
	if err != nil {
		return fmt.Errorf("read the factories: %w", err)
	}
	c.Advertisements, err = collect(ctx, t, `SELECT ad_id, COALESCE(manager_email, '') FROM advertisement ORDER BY ad_id`, nil,
		func(rows *sql.Rows) (restock.CatalogAdvertisement, error) {
			var ad restock.CatalogAdvertisement
			err := rows.Scan(&ad.ID, &ad.ManagerEmail)
			ad.Name = existingAd(ad.ID)
			return ad, err
		})
	if err != nil {
		return fmt.Errorf("read the advertisements: %w", err)
	}
	c.Products, err = collect(ctx, t, `SELECT p.product_id, p.sku, p.name, p.price, p.stock, COALESCE(f.identifier, ''), p.ad_id
		FROM product p LEFT JOIN factory f ON f.factory_id = p.factory_id ORDER BY p.sku`, nil,
		func(rows *sql.Rows) (restock.CatalogProduct, error) {
			var p restock.CatalogProduct
			var ad restock.AdvertisementID
			err := rows.Scan(&p.ID, &p.SKU, &p.Name, &p.Price, &p.OpeningStock, &p.Factory, &ad)
			p.OpeningStock = max(p.OpeningStock, 0) // it may have sold what was not there
			if !ad.IsZero() {
				p.Advertisement = existingAd(ad)
			}
			return p, err
		})
	if err != nil {
		return fmt.Errorf("read the products: %w", err)
	}
	return nil
}

// existingAd names an advertisement that had no name.
func existingAd(id restock.AdvertisementID) string { return "ad-" + id.String() }
