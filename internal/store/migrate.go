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
func Migrate(ctx context.Context, rawURL string, dryRun bool, log *slog.Logger) ([]Migration, error) {
	a, err := parseAddress(rawURL)
	if err != nil {
		return nil, err
	}
	steps, err := a.steps(ctx)
	if err != nil || dryRun {
		return steps, err
	}
	return steps, a.migrate(ctx, log)
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
	return a.withHistories(ctx, func(db *sql.DB, histories []history) error {
		if err := a.meet(ctx, db, log, time.Now); err != nil {
			return err
		}
		unlock, err := a.lockSchema(ctx, db, log)
		if err != nil {
			return fmt.Errorf("lock the schema of %s: %w", a.shown, err)
		}
		for _, h := range histories {
			if err := h.up(ctx, db); err != nil {
				return errors.Join(fmt.Errorf("migrate %s: %w", a.shown, err), unlock())
			}
		}
		return unlock()
	})
}

// history is a sequence of steps, and what is known of those that were applied.
type history struct {
	*goose.Provider

	versions goosedb.Store
}

// up applies what is missing. On MySQL a process can end after a step and before
// that is noted, since DDL commits by itself; a step whose effect is there
// already is noted then. That is why each is one statement.
func (h history) up(ctx context.Context, db *sql.DB) error {
	for {
		_, err := h.Up(ctx)
		partial, ok := errors.AsType[*goose.PartialError](err)
		if !ok || !isDoneAlready(partial.Err) {
			return err
		}
		if err := h.versions.Insert(ctx, db, goosedb.InsertRequest{Version: partial.Failed.Source.Version}); err != nil {
			return err
		}
	}
}

// schemaLock is the name of the lock that a process holds while it migrates;
// PostgreSQL knows locks by number.
const (
	schemaLock       = "restock schema of "
	schemaLockNumber = 7_264_731_625 // "restock" on a telephone
	schemaLockWait   = 600           // seconds
)

// schemaLocks are the statements that lock a schema: at once or not at all, by
// waiting, and who has it.
type schemaLocks struct{ try, wait, holder string }

func (a address) schemaLocks() schemaLocks {
	if a.dialect == sqlqueue.MySQL {
		const name = `LEFT(CONCAT('` + schemaLock + `', DATABASE()), 64)`
		return schemaLocks{
			try:    `SELECT GET_LOCK(` + name + `, 0)`,
			wait:   fmt.Sprintf(`SELECT GET_LOCK(`+name+`, %d)`, schemaLockWait),
			holder: `SELECT COALESCE(IS_USED_LOCK(` + name + `), 0)`,
		}
	}
	return schemaLocks{
		try:  fmt.Sprintf(`SELECT CAST(pg_try_advisory_lock(%d) AS INT)`, schemaLockNumber),
		wait: fmt.Sprintf(`SELECT 1 FROM (SELECT pg_advisory_lock(%d)) AS locked`, schemaLockNumber),
		holder: fmt.Sprintf(`SELECT COALESCE(MAX(pid), 0) FROM pg_locks WHERE locktype = 'advisory' AND granted
			AND (CAST(classid AS BIGINT) << 32) + CAST(objid AS BIGINT) = %d`, schemaLockNumber),
	}
}

// lockSchema takes the lock of a server's schema, on a connection of its own, and
// says whom it waits for. An SQLite file needs none: its steps are transactions,
// and it has one server.
func (a address) lockSchema(ctx context.Context, db *sql.DB, log *slog.Logger) (unlock func() error, err error) {
	if a.dialect == sqlqueue.SQLite {
		return func() error { return nil }, nil
	}
	conn, err := db.Conn(ctx)
	if err != nil {
		return nil, err
	}
	if err := a.schemaLocks().take(ctx, conn, log); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	// The lock ends with its session.
	return func() error { discard(conn); return nil }, nil
}

func (l schemaLocks) take(ctx context.Context, conn *sql.Conn, log *slog.Logger) error {
	var got, holder sql.Null[int64]
	if err := conn.QueryRowContext(ctx, l.try).Scan(&got); err != nil || got.V == 1 {
		return err
	}
	if err := conn.QueryRowContext(ctx, l.holder).Scan(&holder); err != nil {
		return err
	}
	log.WarnContext(ctx, "another process changes the schema; this one waits for it", "connection", holder.V)
	if err := conn.QueryRowContext(ctx, l.wait).Scan(&got); err != nil {
		return err
	}
	if got.V != 1 {
		return fmt.Errorf("connection %d has held it for %d seconds; see what it does, and end it if it hangs", holder.V, schemaLockWait)
	}
	return nil
}

func (a address) steps(ctx context.Context) ([]Migration, error) {
	if a.dialect == sqlqueue.SQLite {
		if _, err := os.Stat(a.path); err != nil {
			return nil, errNoDatabase(a.path)
		}
	}
	var steps []Migration
	err := a.withHistories(ctx, func(db *sql.DB, histories []history) error {
		for _, h := range histories {
			some, err := h.steps(ctx, db)
			if err != nil {
				return fmt.Errorf("read the schema's version of %s: %w", a.shown, err)
			}
			steps = append(steps, some...)
		}
		return nil
	})
	return steps, err
}

// steps gives the steps of a history without beginning one: asking goose would.
func (h history) steps(ctx context.Context, db *sql.DB) ([]Migration, error) {
	var steps []Migration
	if asks, ok := h.versions.(goosedb.StoreExtender); ok {
		begun, err := asks.TableExists(ctx, db)
		if !errors.Is(err, errors.ErrUnsupported) && (err != nil || !begun) { // it cannot say so of an SQLite file
			for _, source := range h.ListSources() {
				steps = append(steps, Migration{Name: source.Path})
			}
			return steps, err
		}
	}
	status, err := h.Status(ctx)
	for _, s := range status {
		steps = append(steps, Migration{Name: s.Source.Path, Applied: s.State == goose.StateApplied})
	}
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

func (a address) withHistories(ctx context.Context, use func(*sql.DB, []history) error) (err error) {
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
	var histories []history
	for _, h := range []struct {
		table string
		steps fs.FS
	}{{sqlqueue.VersionTable, queue}, {versionTable, own}} {
		opened, err := openHistory(a.dialect, db, h.table, h.steps)
		if err != nil {
			return err
		}
		histories = append(histories, opened)
	}
	return use(db, histories)
}

func openHistory(d sqlqueue.Dialect, db *sql.DB, table string, steps fs.FS) (history, error) {
	versions, err := goosedb.NewStore(gooseDialect(d), table)
	if err != nil {
		return history{}, err
	}
	p, err := goose.NewProvider(goose.DialectCustom, db, steps, goose.WithStore(versions))
	return history{p, versions}, err
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
