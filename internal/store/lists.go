package store

import (
	"context"
	"database/sql"
	"slices"
	"strconv"
	"strings"

	"github.com/restock/restock"
)

// list is one page of rows under growing conditions.
type list struct {
	query string
	where []string
	args  []any
}

func (l *list) and(condition string, args ...any) {
	l.where = append(l.where, condition)
	l.args = append(l.args, args...)
}

func (l *list) sql(order string, limit int) (string, []any) {
	query := l.query
	if len(l.where) > 0 {
		query += ` WHERE ` + strings.Join(l.where, ` AND `)
	}
	// One more than asked for tells whether there is another page.
	return query + ` ORDER BY ` + order + ` LIMIT ?`, append(l.args, limit+1)
}

// listLimit is the length of a page when a query does not say.
const listLimit = 100

// page reads a list. narrow adds the conditions that need a look-up.
func page[T any](ctx context.Context, s *Store, query, order string, q restock.ListQuery, scan func(*sql.Rows) (T, error),
	key func(T) string, narrow func(context.Context, *tx, *list) error,
) ([]T, string, error) {
	if q.Limit <= 0 {
		q.Limit = listLimit
	}
	var items []T
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		l := &list{query: query}
		if err := narrow(ctx, tx, l); err != nil {
			return err
		}
		text, args := l.sql(order, q.Limit)
		var err error
		items, err = collect(ctx, tx, text, args, scan)
		return err
	})
	if err != nil || len(items) <= q.Limit {
		return items, "", err
	}
	items = items[:q.Limit]
	return items, key(items[len(items)-1]), nil
}

// narrowBy adds the conditions that most lists share: one product, one state,
// and after an id, newest first.
func narrowBy(q restock.ListQuery, id, product, state string, states ...string) func(context.Context, *tx, *list) error {
	return func(ctx context.Context, tx *tx, l *list) error {
		if q.After != "" {
			after, err := restock.ParseID[list](q.After)
			if err != nil {
				return err
			}
			l.and(id+` < ?`, after)
		}
		if q.State != "" {
			if !slices.Contains(states, q.State) {
				return restock.Errorf(restock.Invalid, restock.CodeInvalid, "there is no state %q here; take one of %s", q.State, strings.Join(states, ", "))
			}
			l.and(state+` = ?`, q.State)
		}
		return narrowProduct(ctx, tx, l, q, product)
	}
}

func narrowProduct(ctx context.Context, tx *tx, l *list, q restock.ListQuery, column string) error {
	if q.Product == "" {
		return nil
	}
	id, err := tx.productID(ctx, q.Product)
	if err != nil {
		return err
	}
	l.and(column+` = ?`, id)
	return nil
}

// Products lists products by SKU.
func (s *Store) Products(ctx context.Context, q restock.ListQuery) ([]restock.Product, string, error) {
	return page(ctx, s, `SELECT `+productColumns+` FROM products`, `sku`, q, scanProduct,
		func(p restock.Product) string { return string(p.SKU) },
		func(ctx context.Context, tx *tx, l *list) error {
			if q.After != "" {
				l.and(`sku > ?`, q.After)
			}
			return narrowProduct(ctx, tx, l, q, `id`)
		})
}

// Orders lists orders, newest first.
func (s *Store) Orders(ctx context.Context, q restock.ListQuery) ([]restock.Order, string, error) {
	return page(ctx, s, `SELECT `+orderColumns+orderTables, `o.id DESC`, q, scanOrder,
		func(o restock.Order) string { return o.ID.String() }, narrowBy(q, `o.id`, `o.product_id`, `o.state`,
			"planned", "awaiting_approval", "sending", "unknown", "accepted", "overdue", "partly_received", "held", "received", "closed_short"))
}

// Order gives one order with its attempts and receipts.
func (s *Store) Order(ctx context.Context, id restock.OrderID) (restock.Order, error) {
	var o restock.Order
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		row, err := tx.order(ctx, id)
		if err != nil {
			return err
		}
		o = row.Order
		if o.Attempts, err = tx.attempts(ctx, id); err != nil {
			return err
		}
		o.Receipts, err = collect(ctx, tx, `SELECT `+receiptColumns+receiptTables+` WHERE r.order_id = ? ORDER BY r.id`, []any{id}, scanReceipt)
		return err
	})
	return o, err
}

// Receipts lists receipts, newest first.
func (s *Store) Receipts(ctx context.Context, q restock.ListQuery) ([]restock.Receipt, string, error) {
	return page(ctx, s, `SELECT `+receiptColumns+receiptTables, `r.id DESC`, q, scanReceipt,
		func(r restock.Receipt) string { return r.ID.String() }, narrowBy(q, `r.id`, `r.product_id`, `r.state`,
			"applied", "duplicate", "held", "refused"))
}

// Receipt gives one receipt and the body that was kept of it.
func (s *Store) Receipt(ctx context.Context, id restock.ReceiptID) (restock.Receipt, []byte, error) {
	var (
		receipts []restock.Receipt
		body     []byte
	)
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		receipts, err = collect(ctx, tx, `SELECT `+receiptColumns+receiptTables+` WHERE r.id = ?`, []any{id}, scanReceipt)
		if err != nil {
			return err
		}
		if len(receipts) == 0 {
			return restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no receipt %s; `restock receipts list` shows all", id)
		}
		return tx.one(ctx, `SELECT body FROM receipts WHERE id = ?`, []any{id}, &body)
	})
	if err != nil {
		return restock.Receipt{}, nil, err
	}
	return receipts[0], body, nil
}

// Stockouts lists stockouts, newest first. The states are open and closed.
func (s *Store) Stockouts(ctx context.Context, q restock.ListQuery) ([]restock.Stockout, string, error) {
	state := `CASE WHEN s.closed_at IS NULL THEN 'open' ELSE 'closed' END`
	return page(ctx, s, `SELECT s.id, p.sku, s.opened_at, s.closed_at, s.refused_buyers, s.refused_units, s.first_refused_at
		FROM stockouts s JOIN products p ON p.id = s.product_id`, `s.id DESC`, q,
		func(rows *sql.Rows) (restock.Stockout, error) {
			var o restock.Stockout
			err := rows.Scan(&o.ID, &o.SKU, instant{&o.OpenedAt}, instant{&o.ClosedAt}, &o.RefusedBuyers, &o.RefusedUnits, instant{&o.FirstRefused})
			return o, err
		},
		func(o restock.Stockout) string { return o.ID.String() }, narrowBy(q, `s.id`, `s.product_id`, state, "open", "closed"))
}

// Refusals lists who was turned away while something was left, newest day
// first. It is cut to the limit and has no pages.
func (s *Store) Refusals(ctx context.Context, q restock.ListQuery) ([]restock.Refusals, string, error) {
	var all []restock.Refusals
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		l := &list{query: `SELECT p.sku, r.day, r.buyers, r.units, r.first_at FROM refusals r JOIN products p ON p.id = r.product_id`}
		if err := narrowProduct(ctx, tx, l, q, `r.product_id`); err != nil {
			return err
		}
		query, args := l.sql(`r.day DESC, r.buyers DESC`, q.Limit-1)
		var err error
		all, err = collect(ctx, tx, query, args, func(rows *sql.Rows) (restock.Refusals, error) {
			var r restock.Refusals
			err := rows.Scan(&r.SKU, &r.Day, &r.Buyers, &r.Units, instant{&r.FirstAt})
			return r, err
		})
		return err
	})
	return all, "", err
}

// Movements lists the ledger, newest first.
func (s *Store) Movements(ctx context.Context, q restock.ListQuery) ([]restock.Movement, string, error) {
	return page(ctx, s, `SELECT m.id, p.sku, m.kind, m.quantity, m.on_hand_after, m.reference, m.at
		FROM movements m JOIN products p ON p.id = m.product_id`, `m.id DESC`, q,
		func(rows *sql.Rows) (restock.Movement, error) {
			var m restock.Movement
			var reference restock.ID[restock.Movement]
			err := rows.Scan(&m.ID, &m.SKU, &m.Kind, &m.Quantity, &m.OnHandAfter, &reference, instant{&m.At})
			m.Reference = reference.String()
			return m, err
		},
		func(m restock.Movement) string { return strconv.FormatInt(m.ID, 10) },
		func(ctx context.Context, tx *tx, l *list) error {
			if q.After != "" {
				after, err := strconv.ParseInt(q.After, 10, 64)
				if err != nil {
					return restock.Errorf(restock.Invalid, restock.CodeInvalid, "after: %q is not a movement's number", q.After)
				}
				l.and(`m.id < ?`, after)
			}
			return narrowProduct(ctx, tx, l, q, `m.product_id`)
		})
}

// Decisions lists the decisions about one product or all, newest first.
func (s *Store) Decisions(ctx context.Context, q restock.ListQuery) ([]restock.Decision, string, error) {
	return page(ctx, s, `SELECT `+decisionColumns+` FROM decisions d JOIN products p ON p.id = d.product_id`, `d.id DESC`, q,
		func(rows *sql.Rows) (restock.Decision, error) {
			var d restock.Decision
			err := rows.Scan(decisionFields(&d)...)
			return d, err
		},
		func(d restock.Decision) string { return d.ID.String() },
		narrowBy(q, `d.id`, `d.product_id`, `CASE WHEN d.ordered = 1 THEN 'ordered' ELSE 'not_ordered' END`, "ordered", "not_ordered"))
}

// saleHeads has a row per sale: what belongs to the whole stands on every line.
const saleHeads = `SELECT s.sale_id, s.reference, s.currency, s.sold_at FROM sale_lines s`

// Sales lists sales with their lines, newest first. The total is the sum of
// the lines.
func (s *Store) Sales(ctx context.Context, q restock.ListQuery) ([]restock.Sale, string, error) {
	sales, next, err := page(ctx, s, saleHeads, `s.sale_id DESC`, q, scanSale,
		func(s restock.Sale) string { return s.ID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			l.and(`s.line = 0`)
			if q.Reference != "" {
				l.and(`s.reference = ?`, q.Reference)
			}
			if q.Product != "" {
				id, err := tx.productID(ctx, q.Product)
				if err != nil {
					return err
				}
				l.and(`EXISTS (SELECT 1 FROM sale_lines l WHERE l.sale_id = s.sale_id AND l.product_id = ?)`, id)
			}
			q.Product, q.State = "", ""
			return narrowBy(q, `s.sale_id`, ``, ``)(ctx, tx, l)
		})
	if err != nil {
		return nil, "", err
	}
	return sales, next, s.view(ctx, func(ctx context.Context, tx *tx) error {
		for i := range sales {
			if err := tx.saleLines(ctx, &sales[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Sale gives one sale. The error is of kind NotFound when there is none.
func (s *Store) Sale(ctx context.Context, id restock.SaleID) (restock.Sale, error) {
	var sale restock.Sale
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		sale, err = tx.sale(ctx, id)
		return err
	})
	return sale, err
}

func (t *tx) sale(ctx context.Context, id restock.SaleID) (restock.Sale, error) {
	found, err := collect(ctx, t, saleHeads+` WHERE s.sale_id = ? AND s.line = 0`, []any{id}, scanSale)
	if err != nil {
		return restock.Sale{}, err
	}
	if len(found) == 0 {
		return restock.Sale{}, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no sale %s; `restock sales list` shows all", id)
	}
	return found[0], t.saleLines(ctx, &found[0])
}

func scanSale(rows *sql.Rows) (restock.Sale, error) {
	var s restock.Sale
	err := rows.Scan(&s.ID, &s.Reference, &s.Currency, instant{&s.SoldAt})
	return s, err
}

func (t *tx) saleLines(ctx context.Context, sale *restock.Sale) error {
	var err error
	sale.Lines, err = collect(ctx, t, `SELECT l.product_id, p.sku, l.quantity, l.unit_price, l.remaining, l.returned
		FROM sale_lines l JOIN products p ON p.id = l.product_id WHERE l.sale_id = ? ORDER BY l.line`, []any{sale.ID},
		func(rows *sql.Rows) (restock.SaleLine, error) {
			var l restock.SaleLine
			err := rows.Scan(&l.ProductID, &l.SKU, &l.Quantity, &l.UnitPrice, &l.Remaining, &l.Returned)
			return l, err
		})
	sale.Total = 0
	for _, l := range sale.Lines {
		sale.Total += l.UnitPrice * l.Quantity
	}
	return err
}

// Status counts what is going on.
func (s *Store) Status(ctx context.Context) (restock.Status, error) {
	var st restock.Status
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		const low = `ordering <> 'off' AND on_hand - reserved + on_order <= reorder_point`
		if err := tx.one(ctx, `SELECT COUNT(*), COALESCE(SUM(CASE WHEN on_hand - reserved = 0 THEN 1 ELSE 0 END), 0),
			COALESCE(SUM(CASE WHEN `+low+` THEN 1 ELSE 0 END), 0) FROM products`, nil,
			&st.Products, &st.OutOfStock, &st.Low); err != nil {
			return err
		}
		if err := tx.one(ctx, `SELECT (SELECT COUNT(*) FROM receipts WHERE state = 'held' OR (state = 'applied' AND held > 0)),
			(SELECT COUNT(*) FROM digests WHERE sent_at IS NULL) + (SELECT COUNT(*) FROM digests WHERE copied_at IS NULL), (SELECT COUNT(*) FROM digests WHERE hooked_at IS NULL)`, nil,
			&st.ReceiptsHeld, &st.DigestsWaiting, &st.WebhooksWaiting); err != nil {
			return err
		}
		var err error
		if st.Incidents, err = tx.openIncidents(ctx); err != nil {
			return err
		}
		if st.Orders, err = tx.counts(ctx, `SELECT state, COUNT(*) FROM replenishment_orders
			WHERE state NOT IN ('received', 'closed_short') GROUP BY state`); err != nil {
			return err
		}
		if st.AdHolds, err = tx.counts(ctx, `SELECT state, COUNT(*) FROM ad_holds WHERE slot IS NOT NULL GROUP BY state`); err != nil {
			return err
		}
		st.Watch, err = collect(ctx, tx, `SELECT `+productColumns+` FROM products
			WHERE on_hand - reserved = 0 OR (`+low+`) ORDER BY on_hand - reserved, sku LIMIT ?`, []any{restock.WatchMax}, scanProduct)
		return err
	})
	return st, err
}

func (t *tx) counts(ctx context.Context, query string) (map[string]int64, error) {
	type count struct {
		name string
		n    int64
	}
	rows, err := collect(ctx, t, query, nil, func(rows *sql.Rows) (count, error) {
		var c count
		err := rows.Scan(&c.name, &c.n)
		return c, err
	})
	all := make(map[string]int64, len(rows))
	for _, r := range rows {
		all[r.name] = r.n
	}
	return all, err
}
