package queuetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver"
	"github.com/pressly/goose/v3"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
	"github.com/restock/restock/test/servers"
)

// Database is the store as far as the queue needs it: on SQLite one writer and
// many readers.
type Database struct {
	Dialect         sqlqueue.Dialect
	Writer, Readers *sql.DB
	Updates         atomic.Int64 // write transactions so far
	Deadlocks       atomic.Int64 // of them, on a server
	// Replays runs every write transaction twice and rolls the first run back,
	// as a store does whose group commit failed.
	Replays bool

	address *url.URL // of a database on a server
}

// ErrRolledBack is why a replay begins anew.
var ErrRolledBack = errors.New("rolled back")

// OpenSQLite makes an empty database with the queue's tables.
func OpenSQLite(tb testing.TB) *Database {
	tb.Helper()
	const pragmas = "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(normal)&_pragma=foreign_keys(on)"
	file := "file:" + filepath.Join(tb.TempDir(), "queue.db")
	db := &Database{
		Writer:  open(tb, "sqlite3", file+"?"+pragmas+"&_txlock=immediate"),
		Readers: open(tb, "sqlite3", file+"?"+pragmas+"&mode=ro"),
	}
	db.Writer.SetMaxOpenConns(1)
	db.Readers.SetMaxOpenConns(4)
	migrate(tb, db)
	return db
}

// OpenMariaDB makes an empty database with the queue's tables on a private
// server.
func OpenMariaDB(tb testing.TB) *Database {
	tb.Helper()
	address, err := url.Parse(servers.MariaDB(tb))
	if err != nil {
		tb.Fatal(err)
	}
	db := openMariaDB(tb, address)
	migrate(tb, db)
	return db
}

func openMariaDB(tb testing.TB, address *url.URL) *Database {
	tb.Helper()
	dsn := address.User.Username() + "@tcp(" + address.Host + ")" + address.Path +
		"?interpolateParams=true&clientFoundRows=true&collation=utf8mb4_bin&sql_mode=%27" + sqlqueue.MySQLMode + "%27&tx_isolation=%27"
	return &Database{
		Dialect: sqlqueue.MySQL, address: address,
		Writer: open(tb, "mysql", dsn+"READ-COMMITTED%27"), Readers: open(tb, "mysql", dsn+"REPEATABLE-READ%27"),
	}
}

// OpenPostgreSQL is OpenMariaDB for PostgreSQL.
func OpenPostgreSQL(tb testing.TB) *Database {
	tb.Helper()
	address, err := url.Parse(servers.PostgreSQL(tb))
	if err != nil {
		tb.Fatal(err)
	}
	db := openPostgreSQL(tb, address)
	migrate(tb, db)
	return db
}

func openPostgreSQL(tb testing.TB, address *url.URL) *Database {
	tb.Helper()
	return &Database{
		Dialect: sqlqueue.PostgreSQL, address: address,
		Writer: open(tb, "pgx", address.String()), Readers: open(tb, "pgx", address.String()+"&default_transaction_isolation=repeatable%20read"),
	}
}

// Again opens the same database on a server once more, as another process does.
func (db *Database) Again(tb testing.TB) *Database {
	tb.Helper()
	if db.Dialect == sqlqueue.MySQL {
		return openMariaDB(tb, db.address)
	}
	return openPostgreSQL(tb, db.address)
}

func open(tb testing.TB, driver, dsn string) *sql.DB {
	tb.Helper()
	db, err := sql.Open(driver, dsn)
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

func migrate(tb testing.TB, db *Database) {
	tb.Helper()
	files, err := sqlqueue.Migrations(db.Dialect)
	if err != nil {
		tb.Fatal(err)
	}
	provider, err := goose.NewProvider(map[sqlqueue.Dialect]goose.Dialect{
		sqlqueue.SQLite: goose.DialectSQLite3, sqlqueue.MySQL: goose.DialectMySQL, sqlqueue.PostgreSQL: goose.DialectPostgres,
	}[db.Dialect], db.Writer, files,
		goose.WithTableName(sqlqueue.VersionTable), goose.WithDisableGlobalRegistry(true))
	if err != nil {
		tb.Fatal(err)
	}
	if _, err := provider.Up(tb.Context()); err != nil {
		tb.Fatal(err)
	}
}

// Update is one write transaction. As the store does, it runs again what the
// server gave up for another transaction.
func (db *Database) Update(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	db.Updates.Add(1)
	if db.Replays {
		err := db.transact(ctx, db.Writer, nil, func(ctx context.Context, tx sqlqueue.Execer) error {
			return errors.Join(fn(ctx, tx), ErrRolledBack)
		})
		if !errors.Is(err, ErrRolledBack) {
			return err
		}
	}
	const triesMax = 10
	for try := 1; ; try++ {
		err := db.transact(ctx, db.Writer, nil, fn)
		if err == nil || try == triesMax || !strings.Contains(strings.ToLower(err.Error()), "deadlock") {
			return err
		}
		db.Deadlocks.Add(1)
	}
}

// Shared reports whether the database is on a server.
func (db *Database) Shared() bool { return db.Dialect != sqlqueue.SQLite }

// View is one snapshot.
func (db *Database) View(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	return db.transact(ctx, db.Readers, &sql.TxOptions{ReadOnly: true}, fn)
}

func (db *Database) transact(
	ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(context.Context, sqlqueue.Execer) error,
) error {
	tx, err := pool.BeginTx(ctx, opts)
	if err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	defer tx.Rollback() // after a commit it has nothing to do.
	if err := fn(ctx, execer{tx, db.Dialect}); err != nil {
		return err
	}
	return tx.Commit()
}

type execer struct {
	*sql.Tx
	dialect sqlqueue.Dialect
}

func (e execer) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	result, err := e.ExecContext(ctx, e.dialect.Statement(query), args...)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

func (e execer) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return e.QueryContext(ctx, e.dialect.Statement(query), args...)
}

// Publish publishes in a transaction of its own and wakes, as the store does.
func (db *Database) Publish(ctx context.Context, q *sqlqueue.Queue, queue string, m driver.Message) error {
	err := db.Update(ctx, func(ctx context.Context, tx sqlqueue.Execer) error {
		return q.Publish(ctx, tx, queue, m)
	})
	q.Wake(queue)
	return err
}
