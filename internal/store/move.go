package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// settingMoved is in an SQLite file whose shop went on elsewhere, and says where.
const settingMoved = "moved_to"

// Copied is what a copy carried, and what the promises are worth on both sides.
type Copied struct {
	From, To       string // addresses without passwords
	Tables         int
	Rows           int64
	Source, Target []restock.Check
	// StockTable is the table of another system that owned the stock of what was
	// restored; it is not followed any more. "" is none.
	StockTable string
}

// Broken reports whether a promise is broken on either side.
func (c Copied) Broken() bool {
	for _, check := range append(c.Source, c.Target...) {
		if check.Broken > 0 {
			return true
		}
	}
	return false
}

// Move carries a shop from an SQLite file to an empty database on a server. The
// file is closed to everybody else meanwhile, and at the end marked as moved, so
// that nobody sells from it again. When it is interrupted, it begins anew. moved
// is told how many more of all rows have arrived.
func Move(ctx context.Context, from, to string, moved func(rows int, all int64)) (Copied, error) {
	source, err := parseAddress(from)
	if err != nil {
		return Copied{}, err
	}
	target, err := parseAddress(to)
	if err != nil {
		return Copied{}, err
	}
	if source.dialect != sqlqueue.SQLite || target.dialect == sqlqueue.SQLite {
		return Copied{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"a shop moves from sqlite:PATH to mysql://… or postgres://…; any other way is `restock backup` and `restock restore`")
	}
	if err := source.requireCurrent(ctx); err != nil {
		return Copied{}, err
	}
	if err := target.migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return Copied{}, err
	}
	m := mover{source: source, target: target, moved: moved}
	var done Copied
	err = source.alone(ctx, func(file *sql.Conn) error {
		return target.locked(ctx, func(conn *sql.Conn) error {
			done, err = m.run(ctx, end{source.dialect, file, source.shown}, end{target.dialect, conn, target.shown})
			return err
		})
	})
	return done, err
}

type mover struct {
	source, target address
	moved          func(rows int, all int64)
}

func (m mover) run(ctx context.Context, from, to end) (Copied, error) {
	if err := m.refuseTwice(ctx, from, to); err != nil {
		return Copied{}, err
	}
	done, err := carryAll(ctx, from.conn, from, to, m.moved)
	if err != nil || done.Broken() {
		return done, err
	}
	// The file first: rather no shop than two.
	if _, err := from.conn.ExecContext(ctx, `INSERT INTO settings (name, value) VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value`,
		settingMoved, to.shown); err != nil {
		return done, fmt.Errorf("mark %s: %w", from.shown, err)
	}
	if _, err := from.conn.ExecContext(ctx, `COMMIT`); err != nil {
		return done, fmt.Errorf("mark %s: %w", from.shown, err)
	}
	// A file that was once restored from beside another system may name its table.
	if _, err := to.conn.ExecContext(ctx, `DELETE FROM settings WHERE name = '`+settingStockTable+`'`); err != nil {
		return done, err
	}
	return done, to.finish(ctx)
}

// refuseTwice: a file that was moved is moved again only to where that was
// interrupted.
func (m mover) refuseTwice(ctx context.Context, from, to end) error {
	var before string
	err := from.conn.QueryRowContext(ctx, `SELECT value FROM settings WHERE name = ?`, settingMoved).Scan(&before)
	if isNoRows(err) {
		return nil
	}
	if err != nil {
		return err
	}
	unfinished, err := to.unfinished(ctx)
	if err != nil {
		return err
	}
	if unfinished == from.shown {
		_, err := from.conn.ExecContext(ctx, `DELETE FROM settings WHERE name = ?`, settingMoved)
		return err
	}
	return errMoved(from.shown, before)
}

func errMoved(path, to string) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict,
		"the shop in %s was moved to %s and sells there; start with --db and that address", path, to)
}

// finish takes the mark away: the database may be used.
func (e end) finish(ctx context.Context) error {
	_, err := e.conn.ExecContext(ctx, `DELETE FROM settings WHERE name = '`+settingUnfinished+`'`)
	return err
}

// carryAll copies everything and holds the promises against both sides. file is
// the one of the two that is an SQLite file.
func carryAll(ctx context.Context, file *sql.Conn, from, to end, moved func(rows int, all int64)) (Copied, error) {
	tables, err := copiedTables(ctx, file)
	if err != nil {
		return Copied{}, err
	}
	c := copying{from: from, to: to, tables: tables}
	if err := c.begin(ctx); err != nil {
		return Copied{}, err
	}
	all, err := c.count(ctx)
	if err != nil {
		return Copied{}, err
	}
	c.moved = func(rows int) { moved(rows, all) }
	if err := c.run(ctx); err != nil {
		return Copied{}, err
	}
	done := Copied{From: from.shown, To: to.shown, Tables: len(tables), Rows: all}
	if done.Source, err = from.checks(ctx); err != nil {
		return done, err
	}
	done.Target, err = to.checks(ctx)
	return done, err
}

// checks holds the promises against an end.
func (e end) checks(ctx context.Context) ([]restock.Check, error) {
	s := newStore(Config{})
	return checkAll(ctx, e.dialect, func(ctx context.Context, fn func(context.Context, *tx) error) error {
		return fn(ctx, s.newTx(connStatements{e.conn, e.dialect}))
	})
}

// connStatements runs statements on a connection, in the transaction that is
// open there or in none.
type connStatements struct {
	conn    *sql.Conn
	dialect sqlqueue.Dialect
}

func (s connStatements) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	return s.conn.ExecContext(ctx, s.dialect.Statement(query), args...)
}

func (s connStatements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return s.conn.QueryContext(ctx, s.dialect.Statement(query), args...)
}

// alonePatience is how long a file may take to be free of others.
const alonePatience = 2 * time.Second

// alone opens an SQLite file that nobody else has open, and lets nobody else
// open it meanwhile. It begins a transaction, which use may commit.
func (a address) alone(ctx context.Context, use func(*sql.Conn) error) (err error) {
	db, err := sql.Open("sqlite3", aloneDSN(a.path))
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return a.errInUse(err)
	}
	defer conn.Close() // the database is closed right after.
	if _, err := conn.ExecContext(ctx, `BEGIN EXCLUSIVE`); err != nil {
		return a.errInUse(err)
	}
	defer func() {
		if err != nil {
			_, _ = conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) // it may be committed already
		}
	}()
	return use(conn)
}

func (a address) errInUse(err error) error {
	return &restock.Error{
		Kind: restock.Conflict, Code: restock.CodeConflict,
		Message: fmt.Sprintf("somebody has %s open; stop `restock serve` and other commands on it first", a.path), Err: err,
	}
}

// locked gives a connection to a database whose schema nobody else changes
// meanwhile.
func (a address) locked(ctx context.Context, use func(*sql.Conn) error) (err error) {
	db, err := a.plain()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	unlock, err := a.lockSchema(ctx, db, slog.New(slog.DiscardHandler))
	if err != nil {
		return fmt.Errorf("lock the schema of %s: %w", a.shown, err)
	}
	defer func() { err = errors.Join(err, unlock()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("reach %s: %w", a.shown, err)
	}
	defer conn.Close() // it goes back to the pool.
	return use(conn)
}

// snapshot gives a connection on which all that is read is of one moment.
func (a address) snapshot(ctx context.Context, use func(*sql.Conn) error) (err error) {
	db, err := a.plain()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	conn, err := db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("reach %s: %w", a.shown, err)
	}
	defer conn.Close() // it goes back to the pool.
	for _, statement := range map[sqlqueue.Dialect][]string{
		sqlqueue.SQLite:     {`BEGIN`},
		sqlqueue.MySQL:      {`SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ`, `START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY`},
		sqlqueue.PostgreSQL: {`BEGIN READ ONLY ISOLATION LEVEL REPEATABLE READ`},
	}[a.dialect] {
		if _, err := conn.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("begin reading %s: %w", a.shown, err)
		}
	}
	defer func() { _, _ = conn.ExecContext(context.WithoutCancel(ctx), `ROLLBACK`) }() // it changed nothing
	return use(conn)
}

// BackUp writes a copy of a database to an SQLite file, which must not exist,
// beside running servers. The copy is of one moment, and whole or not there.
func BackUp(ctx context.Context, rawURL, path string, copied func(rows int, all int64)) error {
	source, err := parseAddress(rawURL)
	if err != nil {
		return err
	}
	if err := source.requireCurrent(ctx); err != nil {
		return err
	}
	if err := source.refusePart(ctx); err != nil {
		return err
	}
	partial := path + ".partial"
	for _, left := range append(companions(partial), partial) {
		if err := os.Remove(left); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	if source.dialect == sqlqueue.SQLite {
		err = backUpFile(ctx, rawURL, partial)
	} else {
		err = backUpServer(ctx, source, address{dialect: sqlqueue.SQLite, path: partial, shown: "sqlite:" + path}, copied)
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return settleFile(partial, path)
}

// refusePart: a part of a shop is no shop, and nothing would say so of its copy.
func (a address) refusePart(ctx context.Context) error {
	return a.snapshot(ctx, func(conn *sql.Conn) error { return end{a.dialect, conn, a.shown}.refusePart(ctx) })
}

func (e end) refusePart(ctx context.Context) error {
	of, err := e.unfinished(ctx)
	if err == nil && of != "" {
		return errPart(e.shown, of)
	}
	return err
}

func backUpFile(ctx context.Context, rawURL, path string) error {
	s, err := Open(ctx, rawURL, Config{ReadOnly: true})
	if err != nil {
		return err
	}
	return errors.Join(s.Backup(ctx, path), s.Close())
}

func backUpServer(ctx context.Context, source, target address, copied func(rows int, all int64)) error {
	if err := target.migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	return source.snapshot(ctx, func(from *sql.Conn) error {
		if err := (end{source.dialect, from, source.shown}).refusePart(ctx); err != nil { // a copy may have begun meanwhile
			return err
		}
		return target.alone(ctx, func(file *sql.Conn) error {
			if _, err := file.ExecContext(ctx, `COMMIT`); err != nil { // parts have transactions of their own
				return err
			}
			to := end{target.dialect, file, target.shown}
			if _, err := carryAll(ctx, file, end{source.dialect, from, source.shown}, to, copied); err != nil {
				return err
			}
			return to.finish(ctx)
		})
	})
}

// settleFile gives a finished file its name, durably. What appeared under that
// name meanwhile stays: the name is a link, which is never made over another.
func settleFile(from, to string) error {
	if left := companions(from); len(left) > 0 {
		return fmt.Errorf("the file was not closed to its end, since %s is still there; is the disk full?", strings.Join(left, ", "))
	}
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if left := companions(to); len(left) > 0 {
		return errLeft(to, left)
	}
	if err := os.Link(from, to); errors.Is(err, os.ErrExist) {
		return errTaken(to)
	} else if err != nil {
		return err
	}
	folder, err := os.Open(filepath.Dir(to))
	if err != nil {
		return err
	}
	return errors.Join(folder.Sync(), folder.Close(), os.Remove(from))
}
