package store

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// rule is one promise as SQL: rows counts what is looked at, broken selects a
// line of text for each row that breaks it.
type rule struct {
	promise, name string
	rows          string
	broken        string
}

func rules() []rule {
	return slices.Concat(stockRules(), orderRules(), messageRules())
}

// stockRules are about what is there and where it came from.
func stockRules() []rule {
	return []rule{
		{
			"I1", "never oversell: available is at least 0", `SELECT COUNT(*) FROM products`,
			`SELECT sku || ': on hand ' || on_hand || ', reserved ' || reserved FROM products
				WHERE on_hand < reserved OR reserved < 0`,
		},
		{
			"I2", "the urgency under which a product is listed is what its numbers say", `SELECT COUNT(*) FROM products`,
			`SELECT sku || ': listed as ' || urgency || ', is ' || is_now FROM (SELECT sku, urgency, CASE
					WHEN on_hand - reserved <= 0 THEN 0
					WHEN ordering <> 'off' AND on_hand - reserved + on_order <= reorder_point THEN 1
					WHEN on_order > 0 THEN 2
					ELSE 3 END AS is_now FROM products) p
				WHERE urgency <> is_now`,
		},
		{
			"I1", "what was sold is covered by what came", `SELECT COUNT(*) FROM sale_lines`,
			`SELECT p.sku || ': sold ' || s.sold || ' of ' || COALESCE(m.came, 0) FROM products p
				JOIN (SELECT product_id, SUM(quantity - returned) AS sold FROM sale_lines GROUP BY product_id) s ON s.product_id = p.id
				LEFT JOIN (SELECT product_id, SUM(quantity) AS came FROM movements WHERE kind IN ('opening', 'receipt', 'adjustment')
					GROUP BY product_id) m ON m.product_id = p.id
				WHERE s.sold > COALESCE(m.came, 0)`,
		},
		{
			"I2", "on hand is the sum of the ledger", `SELECT COUNT(*) FROM movements`,
			`SELECT p.sku || ': on hand ' || p.on_hand || ', ledger ' || COALESCE(m.sum, 0) FROM products p
				LEFT JOIN (SELECT product_id, SUM(quantity) AS sum FROM movements GROUP BY product_id) m ON m.product_id = p.id
				WHERE p.on_hand <> COALESCE(m.sum, 0)`,
		},
		{
			"I2", "the ledger has every opening stock, sale and receipt, and nothing else", `SELECT COUNT(*) FROM products`,
			`SELECT p.sku || ': opening ' || p.opening_stock || '/' || COALESCE(m.opening, 0) || ', sold ' || COALESCE(s.sold, 0) || '/'
					|| COALESCE(-m.sold, 0) || ', received ' || COALESCE(r.applied, 0) || '/' || COALESCE(m.received, 0)
				FROM products p
				LEFT JOIN (SELECT product_id,
						SUM(CASE WHEN kind = 'opening' THEN quantity ELSE 0 END) AS opening,
						SUM(CASE WHEN kind = 'sale' THEN quantity ELSE 0 END) AS sold,
						SUM(CASE WHEN kind = 'receipt' THEN quantity ELSE 0 END) AS received
					FROM movements GROUP BY product_id) m ON m.product_id = p.id
				LEFT JOIN (SELECT product_id, SUM(quantity) AS sold FROM sale_lines GROUP BY product_id) s ON s.product_id = p.id
				LEFT JOIN (SELECT product_id, SUM(applied) AS applied FROM receipts GROUP BY product_id) r ON r.product_id = p.id
				WHERE p.opening_stock <> COALESCE(m.opening, 0) OR COALESCE(s.sold, 0) <> -COALESCE(m.sold, 0)
					OR COALESCE(r.applied, 0) <> COALESCE(m.received, 0)`,
		},
	}
}

// orderRules are about what is on order and what came of it.
func orderRules() []rule {
	return []rule{
		{
			"I2", "returns and adjustments are in the ledger as they were booked", `SELECT COUNT(*) FROM sale_returns`,
			`SELECT p.sku || ': returned ' || COALESCE(l.returned, 0) || '/' || COALESCE(r.back, 0) || '/' || COALESCE(m.back, 0)
					|| ', adjusted ' || COALESCE(a.sum, 0) || '/' || COALESCE(m.adjusted, 0)
				FROM products p
				LEFT JOIN (SELECT product_id, SUM(returned) AS returned FROM sale_lines GROUP BY product_id) l ON l.product_id = p.id
				LEFT JOIN (SELECT product_id, SUM(quantity) AS back FROM sale_returns GROUP BY product_id) r ON r.product_id = p.id
				LEFT JOIN (SELECT product_id, SUM(quantity) AS sum FROM adjustments GROUP BY product_id) a ON a.product_id = p.id
				LEFT JOIN (SELECT product_id,
						SUM(CASE WHEN kind = 'return' THEN quantity ELSE 0 END) AS back,
						SUM(CASE WHEN kind = 'adjustment' THEN quantity ELSE 0 END) AS adjusted
					FROM movements GROUP BY product_id) m ON m.product_id = p.id
				WHERE COALESCE(l.returned, 0) <> COALESCE(r.back, 0) OR COALESCE(r.back, 0) <> COALESCE(m.back, 0)
					OR COALESCE(a.sum, 0) <> COALESCE(m.adjusted, 0)`,
		},
		{
			"I2", "reserved is what held reservations hold", `SELECT COUNT(*) FROM reservations`,
			`SELECT p.sku || ': reserved ' || p.reserved || ', reservations hold ' || COALESCE(r.held, 0) FROM products p
				LEFT JOIN (SELECT l.product_id, SUM(l.quantity) AS held FROM reservation_lines l
					JOIN reservations r ON r.id = l.reservation_id WHERE r.state = 'held' GROUP BY l.product_id) r ON r.product_id = p.id
				WHERE p.reserved <> COALESCE(r.held, 0)`,
		},
		{
			"I2", "on order is what open orders still expect", `SELECT COUNT(*) FROM replenishment_orders`,
			`SELECT p.sku || ': on order ' || p.on_order || ', open orders expect ' || COALESCE(o.sum, 0) FROM products p
				LEFT JOIN (SELECT product_id, SUM(outstanding) AS sum FROM replenishment_orders GROUP BY product_id) o ON o.product_id = p.id
				WHERE p.on_order <> COALESCE(o.sum, 0)`,
		},
		{
			"I6", "open automatic orders stay within the product's slots", `SELECT COUNT(*) FROM replenishment_orders`,
			`SELECT p.sku || ': ' || o.n || ' open orders of at most ' || p.open_orders_max FROM products p
				JOIN (SELECT product_id, COUNT(*) AS n, MAX(created_at) AS youngest FROM replenishment_orders WHERE slot >= 0 GROUP BY product_id) o
					ON o.product_id = p.id
				-- Those that were open when it was allowed fewer stay open.
				WHERE o.n > p.open_orders_max AND NOT EXISTS (SELECT 1 FROM audit a
					WHERE a.product_id = p.id AND a.at >= o.youngest AND a.action = '` + actionFewerOrders + `')`,
		},
		{
			"I6", "no order was accepted more often than its budget allows", `SELECT COUNT(*) FROM order_attempts`,
			`SELECT p.sku || ': ' || a.n || ' attempts of one order may have been accepted' FROM
				(SELECT order_id, COUNT(*) AS n FROM order_attempts WHERE state NOT IN ('not_sent', 'rejected')
					-- Who refused (408 and 425 are no refusals) and delivers all the same was not asked too often.
					AND (http_status NOT BETWEEN 400 AND 499 OR http_status IN (408, 425)) GROUP BY order_id) a
				JOIN replenishment_orders o ON o.id = a.order_id JOIN products p ON p.id = o.product_id
				WHERE a.n > 1 + o.reorder_budget`,
		},
		{
			"I7", "an attempt received what its receipts say, and never more than was asked", `SELECT COUNT(*) FROM order_attempts`,
			`SELECT a.sku || ': received ' || a.received || ' of ' || a.quantity || ', receipts ' || COALESCE(r.applied, 0) FROM order_attempts a
				LEFT JOIN (SELECT order_id, attempt, SUM(applied) AS applied FROM receipts GROUP BY order_id, attempt) r
					ON r.order_id = a.order_id AND r.attempt = a.number
				WHERE a.received > a.quantity + a.approved OR a.received <> COALESCE(r.applied, 0)`,
		},
		{
			"I7", "goods that nobody vouched for came with a person's approval alone", `SELECT COUNT(*) FROM receipts`,
			`SELECT COALESCE(p.sku, 'no product') || ': applied ' || r.applied || ', approved ' || r.approved FROM receipts r
				LEFT JOIN products p ON p.id = r.product_id
				WHERE r.attempt = 0 AND r.factory_id IS NULL AND r.applied <> r.approved`,
		},
		{
			"I7", "an order received what its attempts did", `SELECT COUNT(*) FROM replenishment_orders`,
			`SELECT p.sku || ': order received ' || o.received || ', its attempts ' || COALESCE(a.received, 0) FROM replenishment_orders o
				JOIN products p ON p.id = o.product_id
				LEFT JOIN (SELECT order_id, SUM(received) AS received FROM order_attempts GROUP BY order_id) a ON a.order_id = o.id
				WHERE o.received <> COALESCE(a.received, 0)
					OR (o.state NOT IN ('received', 'closed_short') AND o.outstanding <>
						CASE WHEN o.quantity > o.received THEN o.quantity - o.received ELSE 0 END)`,
		},
	}
}

// messageRules are about what was published.
func messageRules() []rule {
	return []rule{
		{
			"I5", "every message published is handled, waiting, in flight or dead", `SELECT COUNT(*) FROM queue_deliveries`,
			`SELECT queue || ': published ' || SUM(published) || ', found ' || SUM(found) || ', cleaned up ' || SUM(purged) FROM (
				SELECT queue, published, purged, 0 AS found FROM queue_totals
				UNION ALL SELECT queue, 0, 0, COUNT(*) FROM queue_deliveries GROUP BY queue) t
				GROUP BY queue HAVING SUM(published) <> SUM(found) + SUM(purged)`,
		},
		{
			"I5", "every delivery has its message", `SELECT COUNT(*) FROM queue_messages`,
			`SELECT d.queue || ': a delivery without its message' FROM queue_deliveries d
				WHERE NOT EXISTS (SELECT 1 FROM queue_messages m WHERE m.id = d.message_id)`,
		},
		{
			"I5", "the log of events has no gap", `SELECT COUNT(*) FROM events`,
			`SELECT 'numbered ' || l.last_seq || ', removed ' || l.purged_through || ', found ' || e.n
				FROM event_log l, (SELECT COUNT(*) AS n FROM events) e WHERE l.last_seq - l.purged_through <> e.n`,
		},
		{
			"I2", "the refusals of a stockout add up", `SELECT COUNT(*) FROM stockout_refusals`,
			`SELECT p.sku || ': ' || s.refused_buyers || ' buyers refused, by the quarters ' || COALESCE(f.buyers, 0)
				FROM stockouts s JOIN products p ON p.id = s.product_id
				LEFT JOIN (SELECT stockout_id, SUM(buyers) AS buyers, SUM(units) AS units FROM stockout_refusals GROUP BY stockout_id) f ON f.stockout_id = s.id
				WHERE s.refused_buyers <> COALESCE(f.buyers, 0) OR s.refused_units <> COALESCE(f.units, 0)`,
		},
		{
			"I5", "the stockout that a product names is open, and there is no other", `SELECT COUNT(*) FROM stockouts`,
			`SELECT p.sku || ': its open stockout does not agree' FROM products p
				LEFT JOIN (SELECT product_id, COUNT(*) AS n FROM stockouts WHERE closed_at IS NULL GROUP BY product_id) s
					ON s.product_id = p.id
				WHERE COALESCE(s.n, 0) <> CASE WHEN p.stockout_id IS NULL THEN 0 ELSE 1 END
					OR (p.stockout_id IS NOT NULL AND NOT EXISTS (SELECT 1 FROM stockouts o
						WHERE o.id = p.stockout_id AND o.product_id = p.id AND o.closed_at IS NULL))`,
		},
	}
}

// Verify holds the promises against the raw rows, each on a snapshot of its
// own, so that it stays a short reader beside a running server.
func (s *Store) Verify(ctx context.Context) ([]restock.Check, error) {
	checks, err := checkAll(ctx, s.dialect(), s.db.study)
	if err != nil || s.shared == "" {
		return checks, err
	}
	err = s.db.study(ctx, func(ctx context.Context, tx *tx) error {
		check, err := tx.sharedCheck(ctx)
		checks = append(checks, check)
		return err
	})
	return checks, err
}

// viewer runs something on one snapshot.
type viewer func(ctx context.Context, fn func(context.Context, *tx) error) error

func checkAll(ctx context.Context, d sqlqueue.Dialect, view viewer) ([]restock.Check, error) {
	whole, err := durableCheck(ctx, d, view)
	if err != nil {
		return nil, err
	}
	checks := []restock.Check{whole}
	for _, r := range rules() {
		check := restock.Check{Promise: r.promise, Name: r.name}
		err := view(ctx, func(ctx context.Context, tx *tx) error { return tx.check(ctx, r, &check) })
		if err != nil {
			return nil, fmt.Errorf("%s %s: %w", r.promise, r.name, err)
		}
		checks = append(checks, check)
	}
	return checks, nil
}

// durableCheck looks at what the database itself is worth.
func durableCheck(ctx context.Context, d sqlqueue.Dialect, view viewer) (restock.Check, error) {
	if d == sqlqueue.SQLite {
		return fileCheck(ctx, view)
	}
	return settingsCheck(ctx, d, view)
}

// settingsCheck asks a server whether it is set to answer a commit before that is
// durable.
func settingsCheck(ctx context.Context, d sqlqueue.Dialect, view viewer) (restock.Check, error) {
	check := restock.Check{Promise: "I3", Name: "the server answers a commit when it is durable", Rows: 1}
	query := `SELECT CASE WHEN current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' THEN '' ELSE
		'fsync is ' || current_setting('fsync') || ', synchronous_commit is ' || current_setting('synchronous_commit') END`
	if d == sqlqueue.MySQL {
		query = `SELECT CASE WHEN @@innodb_flush_log_at_trx_commit = 1 THEN '' ELSE
			'innodb_flush_log_at_trx_commit is ' || @@innodb_flush_log_at_trx_commit || ', it must be 1' END`
	}
	var fault string
	err := view(ctx, func(ctx context.Context, tx *tx) error { return tx.one(ctx, query, nil, &fault) })
	if fault != "" {
		check.Violations, check.Broken = []string{fault}, 1
	}
	return check, err
}

// fileCheck asks SQLite whether the file itself is whole: a damaged page can
// hide rows from every other check.
func fileCheck(ctx context.Context, view viewer) (restock.Check, error) {
	check := restock.Check{Promise: "I3", Name: "the file is whole: SQLite finds no damaged page", Rows: 1}
	err := view(ctx, func(ctx context.Context, tx *tx) error {
		faults, err := collect(ctx, tx, `PRAGMA quick_check(10)`, nil, func(rows *sql.Rows) (string, error) {
			var text string
			err := rows.Scan(&text)
			return text, err
		})
		if err == nil && (len(faults) != 1 || faults[0] != "ok") {
			check.Violations, check.Broken = faults, int64(len(faults))
		}
		return err
	})
	return check, err
}

func (t *tx) check(ctx context.Context, r rule, c *restock.Check) error {
	if err := t.one(ctx, r.rows, nil, &c.Rows); err != nil {
		return err
	}
	if err := t.one(ctx, `SELECT COUNT(*) FROM (`+r.broken+`) AS broken`, nil, &c.Broken); err != nil || c.Broken == 0 {
		return err
	}
	var err error
	c.Violations, err = collect(ctx, t, r.broken+` LIMIT ?`, []any{restock.ViolationsShown}, func(rows *sql.Rows) (string, error) {
		var text string
		err := rows.Scan(&text)
		return text, err
	})
	return err
}
