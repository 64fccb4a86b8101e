package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// Restore brings the rows of a backup into a database that is empty, or an SQLite
// file that is not there. A backup of an older program is brought up to date on
// the way; the backup itself stays as it is. Ordering is paused in what comes out
// of it, for the reason of act, until a person lets it go on: the factory may
// still deliver what the backup does not know.
func Restore(ctx context.Context, backup, to string, act restock.Act, copied func(rows int, all int64)) (done Copied, err error) {
	target, err := parseAddress(to)
	if err != nil {
		return Copied{}, err
	}
	if err := target.isFree(); err != nil {
		return Copied{}, err
	}
	if target.dialect != sqlqueue.SQLite {
		if err := target.migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
			return Copied{}, err
		}
	}
	folder, err := target.scratch()
	if err != nil {
		return Copied{}, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	file := address{dialect: sqlqueue.SQLite, path: filepath.Join(folder, "restock.db"), shown: "sqlite:" + backup}
	if left := companions(backup); len(left) > 0 {
		return Copied{}, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"%s is beside the backup, which is not whole without it: somebody has it open, or used it as a database; let `restock verify --db sqlite:%s` end, or give another backup", strings.Join(left, ", "), backup)
	}
	if err := copyFile(backup, file.path); err != nil {
		return Copied{}, err
	}
	if err := file.migrate(ctx, slog.New(slog.DiscardHandler)); err != nil {
		return Copied{}, fmt.Errorf("the backup: %w", err)
	}
	if err := file.refusePart(ctx); err != nil {
		return Copied{}, err
	}
	if target.dialect == sqlqueue.SQLite {
		return file.restoreFile(ctx, target, act)
	}
	return file.restoreServer(ctx, target, act, copied)
}

// isFree: a file that is there is never written over.
func (a address) isFree() error {
	if a.dialect != sqlqueue.SQLite {
		return nil
	}
	if _, err := os.Lstat(a.path); err == nil {
		return errTaken(a.path)
	} else if !errors.Is(err, os.ErrNotExist) {
		return err
	}
	if left := companions(a.path); len(left) > 0 {
		return errLeft(a.path, left)
	}
	return ensureFolder(a.path)
}

func errTaken(path string) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict, "there is a database at %s already; move it away, or give another folder with --data", path)
}

// errLeft: SQLite would take what such files hold for changes of the database
// that is put beside them, and spoil it.
func errLeft(path string, left []string) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict,
		"%s is there and belongs to a database that is gone from %s; it may hold its last sales, so put it back beside that one, or move it away", strings.Join(left, ", "), path)
}

// scratch makes a folder for what is needed on the way. That of a file is beside
// it, so that the file can get its name there.
func (a address) scratch() (string, error) {
	beside := ""
	if a.dialect == sqlqueue.SQLite {
		beside = filepath.Dir(a.path)
	}
	return os.MkdirTemp(beside, ".restore-*")
}

func copyFile(from, to string) (err error) {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer source.Close() // it is only read
	const ownerOnly = 0o600
	target, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, ownerOnly)
	if err != nil {
		return err
	}
	_, err = io.Copy(target, source)
	return errors.Join(err, target.Close())
}

func (a address) restoreFile(ctx context.Context, target address, act restock.Act) (Copied, error) {
	done := Copied{From: a.shown, To: target.shown}
	err := a.alone(ctx, func(conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, `COMMIT`); err != nil { // pausing is an act of its own
			return err
		}
		tables, err := copiedTables(ctx, conn)
		if err != nil {
			return err
		}
		e := end{a.dialect, conn, a.shown}
		c := copying{from: e, tables: tables}
		if done.Rows, err = c.count(ctx); err != nil {
			return err
		}
		done.Tables = len(tables)
		done.Target, err = e.checks(ctx)
		return err
	})
	if err != nil {
		return done, err
	}
	if done.StockTable, err = a.awaken(ctx, act); err != nil {
		return done, err
	}
	return done, settleFile(a.path, target.path)
}

func (a address) restoreServer(ctx context.Context, target address, act restock.Act, copied func(rows int, all int64)) (Copied, error) {
	var done Copied
	err := a.alone(ctx, func(file *sql.Conn) error {
		return target.locked(ctx, func(conn *sql.Conn) error {
			var err error
			done, err = carryAll(ctx, file, end{a.dialect, file, a.shown}, end{target.dialect, conn, target.shown}, copied)
			return err
		})
	})
	if err != nil {
		return done, err
	}
	done.StockTable, err = target.awaken(ctx, act)
	return done, err
}

// awaken pauses ordering in a database that was just filled, and lets it be used,
// in one act. What a file was moved to is forgotten: this is another one. So is
// the table of another system, which it names: that was beside the first.
func (a address) awaken(ctx context.Context, act restock.Act) (stockTable string, err error) {
	s := newStore(Config{})
	if s.db, err = a.open(ctx, s, Config{}); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	return stockTable, s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		if err := tx.pauseAll(ctx, act.Reason); err != nil {
			return err
		}
		if err := tx.audit(ctx, act, "database.restore", "all", restock.ProductID{}, ""); err != nil {
			return err
		}
		var err error
		if stockTable, err = tx.setting(ctx, settingStockTable); err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `DELETE FROM settings WHERE name IN (?, ?, ?)`, settingUnfinished, settingMoved, settingStockTable)
		return err
	})
}
