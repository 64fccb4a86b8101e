package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// sqlite is an SQLite file: one connection that writes, owned by the writer's
// loop, and a pool that reads.
type sqlite struct {
	store   *Store
	writing *sql.DB
	wal     *os.File
	reading *sql.DB
	writer  *writer
}

// readersMax bounds the reading connections.
const readersMax = 8

// sqliteDSN sets what every connection needs. busy_timeout comes first, so
// that the pragmas after it wait for a lock instead of failing. FULL makes a
// commit wait for the disk: NORMAL alone loses answered sales in a power cut. The
// writer's connection has NORMAL, and a disk of its own that does the waiting.
func sqliteDSN(path, vfs string, pragmas ...string) string {
	q := url.Values{}
	if vfs != "" {
		q.Set("vfs", vfs)
	}
	for _, p := range append([]string{"busy_timeout(10000)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)"}, pragmas...) {
		q.Add("_pragma", p)
	}
	return fileURL(path, q)
}

// aloneDSN is for a file that nobody else has open, for as long as this
// connection is there. That has to be said before the first look at the file.
func aloneDSN(path string) string {
	busy := fmt.Sprintf("busy_timeout(%d)", alonePatience.Milliseconds())
	return fileURL(path, url.Values{"_pragma": {busy, "locking_mode(exclusive)", "journal_mode(wal)", "synchronous(full)", "foreign_keys(on)"}})
}

func fileURL(path string, q url.Values) string {
	return "file:" + (&url.URL{Path: path}).EscapedPath() + "?" + q.Encode()
}

func openSQLite(ctx context.Context, path string, s *Store, cfg Config) (*sqlite, error) {
	reading, err := sql.Open("sqlite3", sqliteDSN(path, cfg.VFS, "query_only(on)"))
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	reading.SetMaxOpenConns(readersMax)
	reading.SetMaxIdleConns(readersMax)
	db := &sqlite{store: s, reading: reading}
	if cfg.ReadOnly {
		return db, nil
	}
	if err := db.openWriter(ctx, path, cfg.VFS); err != nil {
		return nil, errors.Join(fmt.Errorf("open %s: %w", path, err), reading.Close())
	}
	return db, nil
}

// pools are the connections by what they are for. The one that writes is the
// writer's own.
func (db *sqlite) pools() map[string]*sql.DB { return map[string]*sql.DB{"reading": db.reading} }

func (db *sqlite) openWriter(ctx context.Context, path, vfs string) error {
	// NORMAL, because the disk makes commits durable before they are answered.
	writing, err := sql.Open("sqlite3", sqliteDSN(path, vfs, "synchronous(normal)"))
	if err != nil {
		return err
	}
	conn, err := writing.Conn(ctx)
	if err != nil {
		return errors.Join(err, writing.Close())
	}
	wal, err := openLog(ctx, conn, path)
	if err != nil {
		return errors.Join(err, conn.Close(), writing.Close())
	}
	db.wal = wal
	sync := func() error { return fdatasync(wal) }
	if db.store.sync != nil {
		sync = func() error { return db.store.sync(path + logSuffix) }
	}
	disk := newDisk(sync, db.store.log)
	if err := checkpointSelf(conn, disk); err != nil {
		return errors.Join(err, wal.Close(), conn.Close(), writing.Close())
	}
	db.writing, db.writer = writing, newWriter(db.store, conn, disk)
	return nil
}

// fdatasync makes a file's contents durable.
func fdatasync(f *os.File) error {
	for {
		if err := syscall.Fdatasync(int(f.Fd())); !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}

// checkpointPages is how long the log may get.
const checkpointPages = 1000

// checkpointSelf makes the checkpoints that SQLite would make, because SQLite
// keeps to itself that one failed. After a failed sync of the database the
// kernel forgets pages that an earlier, partial checkpoint wrote; the next one
// does not write them again, and begins the log anew.
func checkpointSelf(conn *sql.Conn, d *disk) error {
	hook := func(c *sqlite3.Conn, schema string, pages int) error { //nolint:unparam // SQLite wants an error.
		if pages < checkpointPages {
			return nil
		}
		if _, _, err := c.WALCheckpoint(schema, sqlite3.CHECKPOINT_PASSIVE); errors.Is(err, sqlite3.IOERR) {
			d.fail(fmt.Errorf("checkpoint: %w", err))
		}
		return nil // the commit itself is in the log
	}
	return conn.Raw(func(c any) error {
		raw, ok := c.(driver.Conn)
		if !ok {
			return fmt.Errorf("the connection is a %T", c)
		}
		raw.Raw().WALHook(hook)
		return nil
	})
}

// logSuffix is how SQLite names the log of a database in WAL mode.
const logSuffix = "-wal"

// companions are the files that SQLite keeps beside a database, as far as they
// are there. They are a part of it, for as long as they are.
func companions(path string) []string {
	var there []string
	for _, suffix := range []string{logSuffix, "-shm", "-journal"} {
		if _, err := os.Lstat(path + suffix); err == nil {
			there = append(there, path+suffix)
		}
	}
	return there
}

// openLog opens the log for syncing. It is there for as long as a connection
// is, and always the same file; its name is made durable here, once.
func openLog(ctx context.Context, conn *sql.Conn, path string) (*os.File, error) {
	// The first write makes the log.
	for _, query := range []string{`BEGIN IMMEDIATE`, `UPDATE settings SET value = value`, `COMMIT`} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return nil, fmt.Errorf("begin the log: %w", err)
		}
	}
	wal, err := os.OpenFile(path+logSuffix, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	if err := errors.Join(wal.Sync(), folder.Sync(), folder.Close()); err != nil {
		return nil, errors.Join(err, wal.Close())
	}
	return wal, nil
}

// errReadOnly is an error of the program.
var errReadOnly = errors.New("the database was opened for reading")

func (db *sqlite) close() error {
	if db.writer == nil {
		return db.reading.Close()
	}
	return errors.Join(db.writer.close(), db.reading.Close(), db.writing.Close(), db.wal.Close())
}

// failed never happens to a database that is only read.
func (db *sqlite) failed() <-chan struct{} {
	if db.writer == nil {
		return nil
	}
	return db.writer.disk.failed
}

func (db *sqlite) update(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	if db.writer == nil {
		return errReadOnly
	}
	return unavailable("update", db.writer.do(ctx, l, fn))
}

func (db *sqlite) view(ctx context.Context, fn func(context.Context, *tx) error) error {
	snapshot, err := db.reading.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return unavailable("begin reading", err)
	}
	defer snapshot.Rollback() //nolint:errcheck // it changed nothing.
	return unavailable("view", fn(ctx, db.store.newTx(snapshotStatements{snapshot})))
}

func (db *sqlite) study(ctx context.Context, fn func(context.Context, *tx) error) error {
	return db.view(ctx, fn)
}

func (s *Store) newTx(stmts statements) *tx {
	return &tx{stmts: stmts, queue: s.queue, outbox: s.outbox, shared: s.shared, newID: s.newID, now: s.microsecond(), clock: s.microsecond}
}

// microsecond is now, as exactly as it is stored.
func (s *Store) microsecond() time.Time { return s.now().UTC().Truncate(time.Microsecond) }

type snapshotStatements struct{ tx *sql.Tx }

func (s snapshotStatements) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	return s.tx.ExecContext(ctx, sqlqueue.SQLite.Statement(query), args...)
}

func (s snapshotStatements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	return s.tx.QueryContext(ctx, sqlqueue.SQLite.Statement(query), args...)
}

// Backup writes a consistent copy of the database to path, which must not
// exist, beside a running server.
func (s *Store) Backup(ctx context.Context, path string) error {
	db, ok := s.db.(*sqlite)
	if !ok {
		return restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"only an SQLite file is copied like this; back up a database server with its own tools, such as pg_dump or mariadb-dump")
	}
	conn, err := db.reading.Conn(ctx)
	if err != nil {
		return unavailable("backup", err)
	}
	defer conn.Close() // it goes back to the pool.
	// The copy is another file, but query_only would forbid writing that too.
	for _, query := range []string{`PRAGMA query_only = off`, `VACUUM INTO ` + quote(path), `PRAGMA query_only = on`} {
		if _, err := conn.ExecContext(ctx, query); err != nil {
			return fmt.Errorf("back up to %s: %w", path, err)
		}
	}
	return nil
}

func quote(s string) string { return `'` + strings.ReplaceAll(s, `'`, `''`) + `'` }

// preparedStatements prepares each statement once on the writing connection.
type preparedStatements struct {
	conn  *sql.Conn
	ready map[string]*sql.Stmt
}

func (p *preparedStatements) prepare(ctx context.Context, query string) (*sql.Stmt, error) {
	if stmt, ok := p.ready[query]; ok {
		return stmt, nil
	}
	stmt, err := p.conn.PrepareContext(ctx, sqlqueue.SQLite.Statement(query))
	if err != nil {
		return nil, fmt.Errorf("prepare %s: %w", query, err)
	}
	p.ready[query] = stmt
	return stmt, nil
}

func (p *preparedStatements) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	stmt, err := p.prepare(ctx, query) //nolint:sqlclosecheck // it is kept for the next time.
	if err != nil {
		return nil, err
	}
	return stmt.ExecContext(ctx, args...) // the statement is kept for the next time
}

func (p *preparedStatements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	stmt, err := p.prepare(ctx, query) //nolint:sqlclosecheck // it is kept for the next time.
	if err != nil {
		return nil, err
	}
	return stmt.QueryContext(ctx, args...) // the statement is kept for the next time
}

func (p *preparedStatements) close() error {
	errs := make([]error, 0, len(p.ready))
	for _, stmt := range p.ready {
		errs = append(errs, stmt.Close())
	}
	return errors.Join(errs...)
}

// ensureFolder makes the folder of the database file, for its owner alone.
func ensureFolder(path string) error {
	const ownerOnly = 0o700
	if err := os.MkdirAll(filepath.Dir(path), ownerOnly); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	return nil
}
