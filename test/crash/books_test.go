package crash_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
	"github.com/restock/restock/test/servers"
)

// The rows of the database, as plain SQL gives them. Ids are 32 hexadecimal
// digits in lower case; an id that is NULL is "".
type (
	productRow struct {
		id, sku         string
		opening, onHand int64
	}
	// adRow is an advertisement: whether it has nothing to sell, and whether the
	// mail that says so is held back.
	adRow struct {
		id, name, product string
		out, heldBack     bool
	}
	saleRow struct {
		id, reference string
		total         int64
		lines         []line
	}
	// movementRow is one line of the ledger, in its order.
	movementRow struct {
		product     string
		quantity    int64
		onHandAfter int64
		kind        string
	}
	receiptRow struct {
		id, product, state string
		key                attemptKey
		applied            int64
	}
	orderRow struct {
		id, product, state string
		attempts           int
	}
	attemptRow struct {
		key      attemptKey
		state    string
		quantity int64
	}
	stockoutRow struct {
		id, product string
		closed      bool
	}
	holdRow struct {
		id, ad, state        string
		stopSent, resumeSent bool
	}
	messageRow struct {
		id, kind, subject        string
		product, stockout, order string
		receipt                  string
	}
	deliveryRow struct{ message, queue, state string }
)

// books is all of it.
type books struct {
	products   []productRow
	sales      []saleRow
	movements  []movementRow
	receipts   []receiptRow
	orders     []orderRow
	attempts   []attemptRow
	decided    []string // the orders that decisions name
	stockouts  []stockoutRow
	ads        []adRow
	holds      []holdRow
	messages   []messageRow
	deliveries []deliveryRow
}

// library is a database that is read, in SQLite's words.
type library struct {
	*sql.DB
	say func(string) string
}

// openBooks opens the database for reading, also beside the servers.
func openBooks(address string) (*library, error) {
	if path, ok := strings.CutPrefix(address, "sqlite:"); ok {
		db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=query_only(on)")
		return &library{db, func(query string) string { return query }}, err
	}
	words := map[string]string{`lower(hex($1))`: `COALESCE(encode($1, 'hex'), '')`, `strftime('%s', 'now')`: `CAST(EXTRACT(EPOCH FROM now()) AS BIGINT)`}
	if strings.HasPrefix(address, "mysql:") {
		words = map[string]string{`lower(hex($1))`: `COALESCE(lower(hex($1)), '')`, `strftime('%s', 'now')`: `UNIX_TIMESTAMP()`}
	}
	id := regexp.MustCompile(`lower\(hex\(([a-z_.]+)\)\)`)
	db, err := servers.Open(address)
	return &library{db, func(query string) string {
		query = id.ReplaceAllString(query, words[`lower(hex($1))`])
		return strings.ReplaceAll(query, `strftime('%s', 'now')`, words[`strftime('%s', 'now')`])
	}}, err
}

func read[T any](ctx context.Context, db *library, into *[]T, query string, fields func(*T) []any) error {
	rows, err := db.QueryContext(ctx, db.say(query))
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		var row T
		if err := rows.Scan(fields(&row)...); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		*into = append(*into, row)
	}
	return rows.Err()
}

// readBooks reads every row that is judged.
func readBooks(ctx context.Context, db *library) (*books, error) {
	b := &books{}
	for _, table := range []func(context.Context, *library) error{
		b.readStock, b.readSales, b.readOrders, b.readStockouts, b.readMessages,
	} {
		if err := table(ctx, db); err != nil {
			return nil, fmt.Errorf("reading the database: %w", err)
		}
	}
	return b, nil
}

func (b *books) readStock(ctx context.Context, db *library) error {
	err := read(ctx, db, &b.products, `SELECT lower(hex(id)), sku, opening_stock, on_hand FROM products`,
		func(r *productRow) []any { return []any{&r.id, &r.sku, &r.opening, &r.onHand} })
	if err != nil {
		return err
	}
	err = read(ctx, db, &b.movements, `SELECT lower(hex(product_id)), kind, quantity, on_hand_after FROM movements ORDER BY id`,
		func(r *movementRow) []any { return []any{&r.product, &r.kind, &r.quantity, &r.onHandAfter} })
	if err != nil {
		return err
	}
	return read(ctx, db, &b.receipts, `SELECT lower(hex(id)), lower(hex(product_id)), state, lower(hex(order_id)), attempt, applied FROM receipts`,
		func(r *receiptRow) []any {
			return []any{&r.id, &r.product, &r.state, &r.key.order, &r.key.number, &r.applied}
		})
}

func (b *books) readSales(ctx context.Context, db *library) error {
	err := read(ctx, db, &b.sales, `SELECT lower(hex(id)), reference, total FROM sales`,
		func(r *saleRow) []any { return []any{&r.id, &r.reference, &r.total} })
	if err != nil {
		return err
	}
	type lineRow struct {
		sale string
		line
	}
	var lines []lineRow
	err = read(ctx, db, &lines, `SELECT lower(hex(l.sale_id)), p.sku, l.quantity FROM sale_lines l
		JOIN products p ON p.id = l.product_id ORDER BY l.sale_id, l.line`,
		func(r *lineRow) []any { return []any{&r.sale, &r.SKU, &r.Quantity} })
	of := map[string][]line{}
	for _, l := range lines {
		of[l.sale] = append(of[l.sale], l.line)
	}
	for i := range b.sales {
		b.sales[i].lines = of[b.sales[i].id]
	}
	return err
}

func (b *books) readOrders(ctx context.Context, db *library) error {
	err := read(ctx, db, &b.orders, `SELECT lower(hex(id)), lower(hex(product_id)), state, attempts FROM replenishment_orders`,
		func(r *orderRow) []any { return []any{&r.id, &r.product, &r.state, &r.attempts} })
	if err != nil {
		return err
	}
	err = read(ctx, db, &b.attempts, `SELECT lower(hex(order_id)), number, state, quantity FROM order_attempts`,
		func(r *attemptRow) []any { return []any{&r.key.order, &r.key.number, &r.state, &r.quantity} })
	if err != nil {
		return err
	}
	return read(ctx, db, &b.decided, `SELECT lower(hex(order_id)) FROM decisions WHERE ordered = 1`,
		func(r *string) []any { return []any{r} })
}

func (b *books) readStockouts(ctx context.Context, db *library) error {
	err := read(ctx, db, &b.stockouts, `SELECT lower(hex(id)), lower(hex(product_id)), closed_at IS NOT NULL FROM stockouts`,
		func(r *stockoutRow) []any { return []any{&r.id, &r.product, &r.closed} })
	if err != nil {
		return err
	}
	// Each advertisement of this catalogue shows one product.
	err = read(ctx, db, &b.ads, `SELECT lower(hex(a.id)), a.name, lower(hex(p.id)), p.stockout_id IS NOT NULL,
			a.look_at IS NOT NULL AND a.look_at < (strftime('%s', 'now') + 60) * 1000000
		FROM advertisements a JOIN products p ON p.advertisement_id = a.id`,
		func(r *adRow) []any { return []any{&r.id, &r.name, &r.product, &r.out, &r.heldBack} })
	if err != nil {
		return err
	}
	return read(ctx, db, &b.holds, `SELECT lower(hex(h.id)), lower(hex(h.advertisement_id)), h.state,
			EXISTS (SELECT 1 FROM ad_mails m WHERE m.hold_id = h.id AND m.kind = 'stop' AND m.sent_at IS NOT NULL),
			EXISTS (SELECT 1 FROM ad_mails m WHERE m.hold_id = h.id AND m.kind = 'resume' AND m.sent_at IS NOT NULL)
		FROM ad_holds h`,
		func(r *holdRow) []any { return []any{&r.id, &r.ad, &r.state, &r.stopSent, &r.resumeSent} })
}

func (b *books) readMessages(ctx context.Context, db *library) error {
	err := read(ctx, db, &b.deliveries, `SELECT lower(hex(message_id)), queue, state FROM queue_deliveries`,
		func(r *deliveryRow) []any { return []any{&r.message, &r.queue, &r.state} })
	if err != nil {
		return err
	}
	type bodyRow struct {
		messageRow
		body []byte
	}
	var raw []bodyRow
	err = read(ctx, db, &raw, `SELECT lower(hex(id)), type, subject, body FROM queue_messages`,
		func(r *bodyRow) []any { return []any{&r.id, &r.kind, &r.subject, &r.body} })
	if err != nil {
		return err
	}
	for _, r := range raw {
		var data struct {
			Product  string `json:"product_id"`
			Stockout string `json:"stockout_id"`
			Order    string `json:"order_id"`
			Receipt  string `json:"receipt_id"`
		}
		if err := json.Unmarshal(r.body, &data); err != nil {
			return fmt.Errorf("the body of message %s: %w", r.id, err)
		}
		r.product, r.stockout = plainID(data.Product), plainID(data.Stockout)
		r.order, r.receipt = plainID(data.Order), plainID(data.Receipt)
		b.messages = append(b.messages, r.messageRow)
	}
	return nil
}

// sku names a product for people.
func (b *books) sku(product string) string {
	for _, p := range b.products {
		if p.id == product {
			return p.sku
		}
	}
	return product
}

// unfinished is what has not come to its end yet: orders that nobody waits for
// a person with, messages, low products without an order, mails to operations,
// mails to ad managers that are held back.
const unfinished = `SELECT
	(SELECT COUNT(*) FROM replenishment_orders WHERE state NOT IN ('received', 'closed_short', 'held')),
	(SELECT COUNT(*) FROM queue_deliveries WHERE state = 'waiting'),
	(SELECT COUNT(*) FROM products WHERE on_hand - reserved + on_order <= reorder_point
		AND NOT EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.product_id = products.id AND o.slot IS NOT NULL)),
	(SELECT COUNT(*) FROM digests WHERE sent_at IS NULL),
	(SELECT COUNT(*) FROM advertisements WHERE look_at < (strftime('%s', 'now') + 60) * 1000000)`

// untilQuiet waits until nothing is unfinished, and says what is when the
// limit passes first.
func untilQuiet(ctx context.Context, db *library, limit time.Duration) (string, error) {
	const look = 100 * time.Millisecond
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		var orders, messages, low, digests, ads int
		if err := db.QueryRowContext(ctx, db.say(unfinished)).Scan(&orders, &messages, &low, &digests, &ads); err != nil {
			return "", fmt.Errorf("looking whether it is quiet: %w", err)
		}
		if orders+messages+low+digests+ads == 0 {
			return "", nil
		}
		next := time.NewTimer(look)
		select {
		case <-next.C:
		case <-deadline.C:
			waiting, err := waitingMessages(ctx, db)
			return fmt.Sprintf("%d orders, %d messages, %d low products without an order, %d mails to operations, %d held back; messages: %s",
				orders, messages, low, digests, ads, strings.Join(waiting, "; ")), err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}

// waitingMessages says of some messages what they wait for.
func waitingMessages(ctx context.Context, db *library) ([]string, error) {
	var all []string
	err := read(ctx, db, &all, `SELECT m.type || ' of ' || m.subject || ' on ' || d.queue || ', receives ' || d.receives || ', claimed ' || d.claimed
			|| ', visible in ' || (d.visible_at / 1000000 - strftime('%s', 'now')) || ' s, ' || d.last_error
		FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id WHERE d.state = 'waiting' ORDER BY d.visible_at LIMIT 5`,
		func(r *string) []any { return []any{r} })
	return all, err
}
