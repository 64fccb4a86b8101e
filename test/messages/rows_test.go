package messages_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/restock/restock/internal/queue/driver"
)

// The rows of the database, as plain SQL gives them. Ids are 32 hexadecimal
// digits in lower case.
type (
	stockoutRow struct {
		id, sku string
		closed  bool
	}
	// holdRow is one stop of a product's advertisement. It began with a stockout.
	holdRow    struct{ id, sku, stockout, state string }
	messageRow struct {
		id            driver.ID
		kind, subject string
		stockout      string
	}
	deliveryRow struct {
		message driver.ID
		queue   string
		state   string
	}
	productRow struct {
		sku    string
		low    bool // at its reorder point, and without an order
		orders int
	}
	heldRow struct{ id, sku string }
)

// rows is all of it.
type rows struct {
	stockouts  []stockoutRow
	holds      []holdRow
	messages   []messageRow
	deliveries map[onQueue]string // the states
	products   []productRow
	held       []heldRow // orders
}

func read[T any](ctx context.Context, db *sql.DB, into *[]T, query string, fields func(*T) []any) error {
	found, err := db.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer found.Close()
	for found.Next() {
		var row T
		if err := found.Scan(fields(&row)...); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
		*into = append(*into, row)
	}
	return found.Err()
}

// readRows reads every row that is judged.
func readRows(ctx context.Context, db *sql.DB) (*rows, error) {
	r := &rows{deliveries: map[onQueue]string{}}
	err := read(ctx, db, &r.stockouts, `SELECT lower(hex(s.id)), p.sku, s.closed_at IS NOT NULL
		FROM stockouts s JOIN products p ON p.id = s.product_id ORDER BY s.opened_at`,
		func(s *stockoutRow) []any { return []any{&s.id, &s.sku, &s.closed} })
	if err != nil {
		return nil, err
	}
	err = read(ctx, db, &r.holds, `SELECT lower(hex(h.id)), p.sku, lower(hex(h.stockout_id)), h.state
		FROM ad_holds h JOIN products p ON p.id = h.product_id ORDER BY h.created_at`,
		func(h *holdRow) []any { return []any{&h.id, &h.sku, &h.stockout, &h.state} })
	if err != nil {
		return nil, err
	}
	err = read(ctx, db, &r.products, `SELECT p.sku, p.on_hand - p.reserved + p.on_order <= p.reorder_point
			AND NOT EXISTS (SELECT 1 FROM replenishment_orders o WHERE o.product_id = p.id AND o.slot IS NOT NULL),
			(SELECT COUNT(*) FROM replenishment_orders o WHERE o.product_id = p.id) FROM products p`,
		func(p *productRow) []any { return []any{&p.sku, &p.low, &p.orders} })
	if err != nil {
		return nil, err
	}
	err = read(ctx, db, &r.held, `SELECT lower(hex(o.id)), p.sku FROM replenishment_orders o JOIN products p ON p.id = o.product_id WHERE o.state = 'held'`,
		func(h *heldRow) []any { return []any{&h.id, &h.sku} })
	if err != nil {
		return nil, err
	}
	return r, r.readMessages(ctx, db)
}

func (r *rows) readMessages(ctx context.Context, db *sql.DB) error {
	var deliveries []deliveryRow
	err := read(ctx, db, &deliveries, `SELECT message_id, queue, state FROM queue_deliveries`,
		func(d *deliveryRow) []any { return []any{idField{&d.message}, &d.queue, &d.state} })
	if err != nil {
		return err
	}
	for _, d := range deliveries {
		r.deliveries[onQueue{d.queue, d.message}] = d.state
	}
	type bodyRow struct {
		messageRow

		body []byte
	}
	var bodies []bodyRow
	err = read(ctx, db, &bodies, `SELECT id, type, subject, body FROM queue_messages ORDER BY created_at`,
		func(m *bodyRow) []any { return []any{idField{&m.id}, &m.kind, &m.subject, &m.body} })
	for _, m := range bodies {
		var data struct {
			Stockout string `json:"stockout_id"`
		}
		if err := json.Unmarshal(m.body, &data); err != nil {
			return fmt.Errorf("the body of message %s: %w", m.id, err)
		}
		m.stockout = plainID(data.Stockout)
		r.messages = append(r.messages, m.messageRow)
	}
	return err
}

// idField reads the id of a message.
type idField struct{ id *driver.ID }

// Scan takes the 16 bytes.
func (f idField) Scan(value any) error {
	raw, ok := value.([]byte)
	if !ok || len(raw) != len(f.id) {
		return fmt.Errorf("%v is no message id", value)
	}
	copy(f.id[:], raw)
	return nil
}

// plainID is a UUID as SQL's hex gives it, in lower case.
func plainID(uuid string) string { return strings.ToLower(strings.ReplaceAll(uuid, "-", "")) }
