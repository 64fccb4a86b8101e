package queuetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"sync/atomic"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/pressly/goose/v3"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// SQLite is the store as far as the queue needs it: one writer, many readers.
type SQLite struct {
	Writer, Readers *sql.DB
	Updates         atomic.Int64 // write transactions so far
	// Replays runs every write transaction twice and rolls the first run back,
	// as a store does whose group commit failed.
	Replays bool
}

// ErrRolledBack is why a replay begins anew.
var ErrRolledBack = errors.New("rolled back")

// OpenSQLite makes an empty database with the queue's tables.
func OpenSQLite(tb testing.TB) *SQLite {
	tb.Helper()
	const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=foreign_keys(on)"
	file := "file:" + filepath.Join(tb.TempDir(), "queue.db")
	db := &SQLite{
		Writer:  open(tb, file+"?"+pragmas+"&_txlock=immediate"),
		Readers: open(tb, file+"?"+pragmas+"&mode=ro"),
	}
	db.Writer.SetMaxOpenConns(1)
	db.Readers.SetMaxOpenConns(4)
	migrate(tb, db.Writer)
	return db
}

func open(tb testing.TB, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open("sqlite3", dsn)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Error(err)
		}
	})
	return db
}

func migrate(tb testing.TB, db *sql.DB) {
	tb.Helper()
	files, err := sqlqueue.Migrations(sqlqueue.SQLite)
	if err != nil {
		tb.Fatal(err)
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db, files,
		goose.WithTableName(sqlqueue.VersionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := provider.Up(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// Update is one write transaction.
func (db *SQLite) Update(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	db.Updates.Add(1)
	if db.Replays {
		err := db.transact(ctx, db.Writer, nil, func(ctx context.Context, tx sqlqueue.Execer) error {
			return errors.Join(fn(ctx, tx), ErrRolledBack)
		})
		if !errors.Is(err, ErrRolledBack) {
			return err
		}
	}
	return db.transact(ctx, db.Writer, nil, fn)
}

// View is one snapshot.
func (db *SQLite) View(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	return db.transact(ctx, db.Readers, &sql.TxOptions{ReadOnly: true}, fn)
}

func (db *SQLite) transact(
	ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(context.Context, sqlqueue.Execer) error,
) error {
	tx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do.
	if err := fn(ctx, execer{tx}); err != nil {
		return err
	}
	return tx.Commit()
}

type execer struct{ *sql.Tx }

func (e execer) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := e.ExecContext(ctx, sqlqueue.SQLite.Statement(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (e execer) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return e.QueryContext(ctx, sqlqueue.SQLite.Statement(query), args...)
}

// Publish publishes in a transaction of its own and wakes, as the store does.
func (db *SQLite) Publish(ctx context.Context, q *sqlqueue.Queue, queue string, m driver.Message) error {
	err := db.Update(ctx, func(ctx context.Context, tx sqlqueue.Execer) error {
		return q.Publish(ctx, tx, queue, m)
	})
	q.Wake(queue)
	return err
}
