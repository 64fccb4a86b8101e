package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// tx is one act's view of the database: a part of a transaction on the writer,
// or a snapshot on a reader. It has one "now".
type tx struct {
	stmts  statements
	queue  *sqlqueue.Queue
	outbox bool
	newID  func() [16]byte
	now    time.Time
	clock  func() time.Time

	locks bool                // it locks rows: others may write at the same time
	held  []restock.ProductID // products that are locked, in order

	// origins say whose request made an event due, where an act serves many.
	origins map[crossing]string
	shared  string                     // the table of another system that owns the stock
	looked  map[restock.ProductID]bool // of which its row was locked, if there is one
	linked  map[restock.ProductID]bool // of which there is one

	letters     []letter // messages to insert when the act is done
	published   []string // queues to wake after the commit
	ordersReady bool     // whether to wake the placer after the commit
	logged      bool     // whether to wake who waits for events after the commit
}

// statements runs SQL; on the writer it keeps what it has prepared.
type statements interface {
	exec(ctx context.Context, query string, args []any) (sql.Result, error)
	query(ctx context.Context, query string, args []any) (*sql.Rows, error)
}

// Exec runs a statement and gives the number of rows it touched.
func (t *tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	res, err := t.stmts.exec(ctx, query, args)
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query runs a query; the caller closes the rows before the next statement.
func (t *tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return t.stmts.query(ctx, query, args)
}

// one reads one row into dest, and gives sql.ErrNoRows when there is none.
func (t *tx) one(ctx context.Context, query string, args []any, dest ...any) error {
	rows, err := t.stmts.query(ctx, query, args)
	if err != nil {
		return err
	}
	defer rows.Close()
	if !rows.Next() {
		return errors.Join(rows.Err(), sql.ErrNoRows)
	}
	return rows.Scan(dest...)
}

// must runs a statement that has to touch exactly one row. That it does not
// means that a rule in its WHERE, such as "enough in stock", is broken.
func (t *tx) must(ctx context.Context, query string, args ...any) error {
	n, err := t.Exec(ctx, query, args...)
	if err != nil {
		return err
	}
	if n != 1 {
		return fmt.Errorf("statement touched %d rows, want 1: %s", n, query)
	}
	return nil
}

// crossing is an event of a product that many may bring about together.
type crossing struct {
	product restock.ProductID
	event   restock.EventType
}

// letter is a message and the queue that it goes to.
type letter struct {
	queue   string
	message driver.Message
}

// publish lets this transaction insert the message of an event when its act is
// done.
func (t *tx) publish(ctx context.Context, typ restock.EventType, data restock.EventData) error {
	queue, ok := typ.Queue()
	if !ok {
		return fmt.Errorf("event %s has no queue", typ)
	}
	if t.outbox {
		queue = restock.RelayQueue
	}
	data.Version = restock.EventVersion
	body, err := json.Marshal(data)
	if err != nil {
		return fmt.Errorf("event %s: %w", typ, err)
	}
	trace := restock.TraceParent(ctx)
	if one, ok := t.origins[crossing{data.ProductID, typ}]; ok {
		trace = one
	}
	m := driver.Message{
		ID: t.newID(), Type: string(typ), Subject: string(data.SKU), Time: t.now,
		TraceParent: trace, Body: body,
	}
	t.letters = append(t.letters, letter{queue, m})
	return nil
}

// flush inserts what the act published. It is the last that an act does, and
// goes queue by queue: each queue has a row that counts its messages, which all
// who publish lock, so all of them lock these rows last and in one order. The
// log of events comes after them.
func (t *tx) flush(ctx context.Context) error {
	events := slices.Clone(t.letters)
	slices.SortStableFunc(t.letters, func(a, b letter) int { return strings.Compare(a.queue, b.queue) })
	for _, l := range t.letters {
		if err := t.queue.Publish(ctx, t, l.queue, l.message); err != nil {
			return fmt.Errorf("publish %s: %w", l.message.Type, err)
		}
		t.published = append(t.published, l.queue)
	}
	t.letters = nil
	return t.logEvents(ctx, events)
}

// collect reads all rows of a query.
func collect[T any](ctx context.Context, t *tx, query string, args []any, scan func(*sql.Rows) (T, error)) ([]T, error) {
	rows, err := t.stmts.query(ctx, query, args)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []T
	for rows.Next() {
		v, err := scan(rows)
		if err != nil {
			return nil, err
		}
		all = append(all, v)
	}
	return all, rows.Err()
}

func scanID[T any](rows *sql.Rows) (restock.ID[T], error) {
	var id restock.ID[T]
	err := rows.Scan(&id)
	return id, err
}

// micros is how a time is stored: microseconds since 1970 UTC, NULL for none.
func micros(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UnixMicro()
}

// instant reads what micros stored.
type instant struct{ t *time.Time }

func (i instant) Scan(src any) error {
	switch src := src.(type) {
	case nil:
		*i.t = time.Time{}
	case int64:
		*i.t = time.UnixMicro(src).UTC()
	case []byte: // of an expression, on some servers
		us, err := strconv.ParseInt(string(src), 10, 64)
		*i.t = time.UnixMicro(us).UTC()
		return err
	default:
		return fmt.Errorf("time stored as %T, want an integer", src)
	}
	return nil
}
