package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
	goosedb "github.com/pressly/goose/v3/database"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

//go:embed migrations
var migrations embed.FS

// versionTable is where goose remembers what was applied. The queue's tables
// have a history of their own, because the queue is a room of its own.
const versionTable = "restock_goose_version"

// Migration is one step of the schema.
type Migration struct {
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Migrate applies what is missing of the schema, or with dryRun only says
// what is.
func Migrate(ctx context.Context, rawURL string, dryRun bool) ([]Migration, error) {
	a, err := parseAddress(rawURL)
	if err != nil {
		return nil, err
	}
	steps, err := a.steps(ctx)
	if err != nil || dryRun {
		return steps, err
	}
	return steps, a.migrate(ctx, slog.New(slog.DiscardHandler))
}

// migrate brings the schema up to date. A step that fails leaves the schema as
// it was before that step; on MySQL, where a step is one statement, it can be run
// again. Of several processes that start at once one migrates, and the others
// wait for it.
func (a address) migrate(ctx context.Context, log *slog.Logger) error {
	if a.dialect == sqlqueue.SQLite {
		if err := ensureFolder(a.path); err != nil {
			return err
		}
	}
	return a.withProviders(ctx, func(db *sql.DB, providers []*goose.Provider) error {
		if err := a.meet(ctx, db, log, time.Now); err != nil {
			return err
		}
		unlock, err := a.lockSchema(ctx, db)
		if err != nil {
			return fmt.Errorf("lock the schema of %s: %w", a.shown, err)
		}
		for _, p := range providers {
			if _, err := p.Up(ctx); err != nil {
				return errors.Join(fmt.Errorf("migrate %s: %w", a.shown, err), unlock())
			}
		}
		return unlock()
	})
}

// schemaLock is the name of the lock that a process holds while it migrates;
// PostgreSQL knows locks by number.
const (
	schemaLock       = "restock schema of "
	schemaLockNumber = 7_264_731_625 // "restock" on a telephone
	schemaLockWait   = 600           // seconds
)

// lockSchema takes the lock of a server's schema, on a connection of its own. An
// SQLite file needs none: its steps are transactions, and it has one server.
func (a address) lockSchema(ctx context.Context, db *sql.DB) (unlock func() error, err error) {
	if a.dialect == sqlqueue.SQLite {
		return func() error { return nil }, nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	var got sql.Null[int64]
	switch a.dialect {
	case sqlqueue.MySQL:
		err = conn.QueryRowContext(ctx, `SELECT GET_LOCK(LEFT(CONCAT(?, DATABASE()), 64), ?)`, schemaLock, schemaLockWait).Scan(&got)
		if err == nil && got.V != 1 {
			err = fmt.Errorf("another process has held it for %d seconds", schemaLockWait)
		}
	case sqlqueue.PostgreSQL:
		_, err = conn.ExecContext(ctx, `SELECT pg_advisory_lock($1)`, int64(schemaLockNumber))
	case sqlqueue.SQLite:
	}
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	// The lock ends with its session.
	return func() error { discard(conn); return nil }, nil
}

func (a address) steps(ctx context.Context) ([]Migration, error) {
	if a.dialect == sqlqueue.SQLite {
		if _, err := os.Stat(a.path); err != nil {
			return nil, errNoDatabase(a.path)
		}
	}
	var steps []Migration
	err := a.withProviders(ctx, func(_ *sql.DB, providers []*goose.Provider) error {
		for _, p := range providers {
			status, err := p.Status(ctx)
			if err != nil {
				return fmt.Errorf("read the schema's version of %s: %w", a.shown, err)
			}
			for _, s := range status {
				steps = append(steps, Migration{Name: s.Source.Path, Applied: s.State == goose.StateApplied})
			}
		}
		return nil
	})
	return steps, err
}

// requireCurrent reports a database that is not there, or whose schema is not
// the one that this program reads.
func (a address) requireCurrent(ctx context.Context) error {
	steps, err := a.steps(ctx)
	if err != nil {
		return err
	}
	if !slices.ContainsFunc(steps, func(m Migration) bool { return m.Applied }) {
		return errNoDatabase(a.shown)
	}
	for _, step := range steps {
		if !step.Applied {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"the schema of %s is older than this program; run `restock migrate` first", a.shown)
		}
	}
	return nil
}

func errNoDatabase(path string) error {
	return restock.Errorf(restock.NotFound, restock.CodeNotFound,
		"there is no database at %s; `restock serve` makes one, --data or --db names another", path)
}

func (a address) withProviders(ctx context.Context, use func(*sql.DB, []*goose.Provider) error) (err error) {
	db, err := a.plain()
	if err != nil {
		return fmt.Errorf("open %s: %w", a.shown, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := db.PingContext(ctx); err != nil {
		return fmt.Errorf("reach %s: %w", a.shown, err)
	}
	own, err := fs.Sub(migrations, "migrations/"+a.dialect.String())
	if err != nil {
		return err
	}
	queue, err := sqlqueue.Migrations(a.dialect)
	if err != nil {
		return err
	}
	// The queue's tables come first: an act of the store publishes into them.
	var providers []*goose.Provider
	for _, h := range []struct {
		table string
		steps fs.FS
	}{{sqlqueue.VersionTable, queue}, {versionTable, own}} {
		versions, err := goosedb.NewStore(gooseDialect(a.dialect), h.table)
		if err != nil {
			return err
		}
		p, err := goose.NewProvider(goose.DialectCustom, db, h.steps, goose.WithStore(versions))
		if err != nil {
			return err
		}
		providers = append(providers, p)
	}
	return use(db, providers)
}

// plain opens the database for its schema.
func (a address) plain() (*sql.DB, error) {
	if a.dialect == sqlqueue.SQLite {
		return sql.Open("sqlite3", sqliteDSN(a.path, ""))
	}
	return sql.OpenDB(a.connect.schema), nil
}

func gooseDialect(d sqlqueue.Dialect) goosedb.Dialect {
	return map[sqlqueue.Dialect]goosedb.Dialect{
		sqlqueue.SQLite: goosedb.DialectSQLite3, sqlqueue.MySQL: goosedb.DialectMySQL, sqlqueue.PostgreSQL: goosedb.DialectPostgres,
	}[d]
}
