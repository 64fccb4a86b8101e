package store

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
	"golang.org/x/sync/errgroup"
)

// A copy carries every row of one database to another, which is empty. One of
// the two is an SQLite file, and its schema says what there is to carry, so that
// no table can be forgotten. Rows are read in the order of their keys from one
// snapshot, and written in parts, so that it takes as little memory for a large
// shop as for a small one.

// The size of a part, which is one transaction on the other side.
const (
	partRowsMax  = 5000
	partBytesMax = 4 << 20
)

// settingUnfinished is in a database while rows are carried to it: whoever opens
// it to sell is refused. Its value says where the rows come from.
const settingUnfinished = "copy_unfinished"

// copiedTable is one table, as the SQLite file has it.
type copiedTable struct {
	name    string
	columns []string
	key     []string
	parents []string // tables that its rows refer to
}

// quoted joins names for a statement; some are words of SQL elsewhere.
func quoted(names []string) string { return `"` + strings.Join(names, `", "`) + `"` }

// all selects every row. The mark of the copy itself is no part of it.
func (c copiedTable) all() string {
	query := `SELECT ` + quoted(c.columns) + ` FROM ` + c.name
	if c.name == "settings" {
		query += ` WHERE name <> '` + settingUnfinished + `'`
	}
	return query
}

// copiedTables reads the tables from an SQLite file, those that others refer to
// first.
func copiedTables(ctx context.Context, db *sql.Conn) ([]copiedTable, error) {
	names, err := texts(ctx, db, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%goose%' AND name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name`)
	if err != nil {
		return nil, err
	}
	waiting := make([]copiedTable, 0, len(names))
	for _, name := range names {
		t := copiedTable{name: name}
		for query, into := range map[string]*[]string{
			`SELECT name FROM pragma_table_info(?) ORDER BY cid`:                               &t.columns,
			`SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk`:                   &t.key,
			`SELECT DISTINCT "table" FROM pragma_foreign_key_list(?1) f WHERE f."table" <> ?1`: &t.parents,
		} {
			if *into, err = texts(ctx, db, query, name); err != nil {
				return nil, err
			}
		}
		waiting = append(waiting, t)
	}
	return parentsFirst(waiting)
}

func parentsFirst(waiting []copiedTable) ([]copiedTable, error) {
	var ordered []copiedTable
	for len(waiting) > 0 {
		ready := slices.IndexFunc(waiting, func(t copiedTable) bool {
			return !slices.ContainsFunc(t.parents, func(parent string) bool {
				return slices.ContainsFunc(waiting, func(w copiedTable) bool { return w.name == parent })
			})
		})
		if ready < 0 {
			return nil, fmt.Errorf("the tables refer to each other in a circle: %v", waiting)
		}
		ordered = append(ordered, waiting[ready])
		waiting = slices.Delete(waiting, ready, ready+1)
	}
	return ordered, nil
}

// texts reads one column of texts.
func texts(ctx context.Context, db *sql.Conn, query string, args ...any) ([]string, error) {
	rows, err := db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}

// tally is what is compared of a table: how many rows it has, and a sum over
// them in which their order does not matter.
type tally struct {
	rows int64
	sum  [2]uint64
}

// add counts a row. Texts and bytes are the same here, because drivers do not
// agree on which is which.
func (t *tally) add(row []any) {
	var b []byte
	for _, value := range row {
		switch v := value.(type) {
		case nil:
			b = append(b, 'n')
		case int64:
			b = binary.BigEndian.AppendUint64(append(b, 'i'), uint64(v)) //nolint:gosec // its bits are meant.
		case float64:
			b = binary.BigEndian.AppendUint64(append(b, 'f'), math.Float64bits(v))
		case string:
			b = append(binary.BigEndian.AppendUint64(append(b, 't'), uint64(len(v))), v...)
		case []byte:
			b = append(binary.BigEndian.AppendUint64(append(b, 't'), uint64(len(v))), v...)
		}
	}
	hash := sha256.Sum256(b)
	t.rows++
	t.sum[0] += binary.BigEndian.Uint64(hash[:8])
	t.sum[1] += binary.BigEndian.Uint64(hash[8:16])
}

// end is one end of a copy: a connection on which a transaction may be open.
type end struct {
	dialect sqlqueue.Dialect
	conn    *sql.Conn
	shown   string // its address, without the password
}

// scan reads the rows of a table, as integers, floats, texts, bytes and NULL.
// Texts are such as every server stores.
func (e end) scan(ctx context.Context, t copiedTable, query string, use func(row []any) error) error {
	rows, err := e.conn.QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("read %s of %s: %w", t.name, e.shown, err)
	}
	defer rows.Close()
	types, err := rows.ColumnTypes()
	if err != nil {
		return err
	}
	for rows.Next() {
		row, into := make([]any, len(types)), make([]any, len(types))
		for i := range row {
			into[i] = &row[i]
		}
		if err := rows.Scan(into...); err != nil {
			return fmt.Errorf("read %s of %s: %w", t.name, e.shown, err)
		}
		for i, value := range row {
			row[i] = plainValue(value, isText(types[i]))
		}
		if err := use(row); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read %s of %s: %w", t.name, e.shown, err)
	}
	return nil
}

// isText reports whether a column holds texts; others that hold strings hold
// bytes.
func isText(c *sql.ColumnType) bool {
	name := c.DatabaseTypeName()
	return strings.Contains(name, "TEXT") || strings.Contains(name, "CHAR")
}

func plainValue(value any, text bool) any {
	switch v := value.(type) {
	case []byte:
		if text {
			return storable(string(v))
		}
	case string:
		return storable(v)
	case int32:
		return int64(v)
	case bool:
		return bit(v)
	}
	return value
}

// tally counts what an end has of a table.
func (e end) tally(ctx context.Context, t copiedTable) (tally, error) {
	var sum tally
	err := e.scan(ctx, t, t.all(), func(row []any) error {
		sum.add(row)
		return nil
	})
	return sum, err
}

// copying is one copy on its way.
type copying struct {
	from, to end
	tables   []copiedTable
	// moved is told how many more rows have arrived.
	moved func(rows int)
}

// run carries all rows and compares what arrived with what was read. The other
// end has to have the same schema, and no rows.
func (c *copying) run(ctx context.Context) error {
	for _, t := range c.tables {
		sent, err := c.carry(ctx, t)
		if err != nil {
			return err
		}
		arrived, err := c.to.tally(ctx, t)
		if err != nil {
			return err
		}
		if arrived != sent {
			return restock.Errorf(restock.Internal, restock.CodeInternal,
				"%s: %d rows were read from %s, and %d are in %s that are not the same; begin again, with an empty database",
				t.name, sent.rows, c.from.shown, arrived.rows, c.to.shown)
		}
	}
	return c.to.continueNumbers(ctx)
}

// carry copies one table: while a part is written, the next one is read.
func (c *copying) carry(ctx context.Context, t copiedTable) (tally, error) {
	var sent tally
	parts := make(chan [][]any)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		defer close(parts)
		var part [][]any
		size := 0
		send := func() error {
			select {
			case parts <- part:
				part, size = nil, 0
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		err := c.from.scan(ctx, t, t.all()+` ORDER BY `+quoted(t.key), func(row []any) error {
			sent.add(row)
			part, size = append(part, row), size+sizeOf(row)
			if len(part) < partRowsMax && size < partBytesMax {
				return nil
			}
			return send()
		})
		if err != nil || len(part) == 0 {
			return err
		}
		return send()
	})
	group.Go(func() error {
		for part := range parts {
			if err := c.to.write(ctx, t, part); err != nil {
				return fmt.Errorf("write %s to %s: %w", t.name, c.to.shown, err)
			}
			c.moved(len(part))
		}
		return nil
	})
	err := group.Wait()
	return sent, err
}

// valueBytes is about what a value takes that is no text.
const valueBytes = 8

func sizeOf(row []any) int {
	n := 0
	for _, value := range row {
		n += valueBytes
		switch v := value.(type) {
		case string:
			n += len(v)
		case []byte:
			n += len(v)
		}
	}
	return n
}

// count is how many rows there are to carry.
func (c *copying) count(ctx context.Context) (int64, error) {
	var all int64
	for _, t := range c.tables {
		var n int64
		if err := c.from.conn.QueryRowContext(ctx, `SELECT COUNT(*) FROM `+t.name).Scan(&n); err != nil {
			return 0, fmt.Errorf("count %s of %s: %w", t.name, c.from.shown, err)
		}
		all += n
	}
	return all, nil
}

// begin makes sure that the other end is empty, and marks it. What an earlier
// copy from the same source left behind is removed.
func (c *copying) begin(ctx context.Context) error {
	unfinished, err := c.to.unfinished(ctx)
	if err != nil {
		return err
	}
	if unfinished != "" && unfinished != c.from.shown {
		return restock.Errorf(restock.Conflict, restock.CodeConflict,
			"%s has a part of a copy of %s; finish that, or give an empty database", c.to.shown, unfinished)
	}
	fresh := map[string]tally{}
	if unfinished == "" {
		if fresh, err = freshTallies(ctx, c.tables); err != nil {
			return err
		}
	}
	for _, t := range c.tables {
		if err := c.to.mayEmpty(ctx, t, fresh[t.name], unfinished != ""); err != nil {
			return err
		}
	}
	for _, t := range slices.Backward(c.tables) {
		if err := c.to.empty(ctx, t); err != nil {
			return err
		}
	}
	if unfinished != "" {
		return nil
	}
	_, err = c.to.conn.ExecContext(ctx, c.to.dialect.Statement(`INSERT INTO settings (name, value) VALUES (?, ?)`), settingUnfinished, c.from.shown)
	return err
}

// unfinished is what the mark says, "" when there is none.
func (e end) unfinished(ctx context.Context) (string, error) {
	var from string
	err := e.conn.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = '`+settingUnfinished+`'`).Scan(&from)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return from, err
}

// freshTallies says what a database has that was just made: some steps of the
// schema put rows there.
func freshTallies(ctx context.Context, tables []copiedTable) (_ map[string]tally, err error) {
	folder, err := os.MkdirTemp("", "restock-fresh-*")
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	a := address{dialect: sqlqueue.SQLite, path: filepath.Join(folder, "fresh.db"), shown: "a fresh database"}
	if err := a.migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return nil, err
	}
	fresh := make(map[string]tally, len(tables))
	return fresh, a.snapshot(ctx, func(conn *sql.Conn) error {
		for _, t := range tables {
			if fresh[t.name], err = (end{a.dialect, conn, a.shown}).tally(ctx, t); err != nil {
				return err
			}
		}
		return nil
	})
}

// mayEmpty refuses a table with rows that somebody put there, unless that was an
// earlier copy.
func (e end) mayEmpty(ctx context.Context, t copiedTable, fresh tally, copied bool) error {
	if copied {
		return nil
	}
	var rows int64
	few := `SELECT COUNT(*) FROM (` + t.all() + ` LIMIT ` + strconv.FormatInt(fresh.rows+1, 10) + `) AS few`
	if err := e.conn.QueryRowContext(ctx, few).Scan(&rows); err != nil {
		return fmt.Errorf("look into %s of %s: %w", t.name, e.shown, err)
	}
	has := tally{}
	if rows == fresh.rows && rows > 0 {
		var err error
		if has, err = e.tally(ctx, t); err != nil {
			return err
		}
	}
	if rows != fresh.rows || has != fresh {
		return restock.Errorf(restock.Conflict, restock.CodeConflict, "%s has rows already, in %s; give an empty database", e.shown, t.name)
	}
	return nil
}

// empty removes the rows of a table, but for the mark.
func (e end) empty(ctx context.Context, t copiedTable) error {
	statement := `DELETE FROM ` + t.name //nolint:gosec // names of our schema.
	if t.name == "settings" {
		statement += ` WHERE name <> '` + settingUnfinished + `'`
	}
	if _, err := e.conn.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("empty %s of %s: %w", t.name, e.shown, err)
	}
	return nil
}
