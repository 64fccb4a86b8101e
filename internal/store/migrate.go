package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
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

// migrateSQLite brings the schema of the file up to date. A step that fails
// leaves the schema as it was before that step.
func migrateSQLite(ctx context.Context, path string) error {
	if err := ensureFolder(path); err != nil {
		return err
	}
	return withProviders(path, func(providers []*goose.Provider) error {
		for _, p := range providers {
			if _, err := p.Up(ctx); err != nil {
				return fmt.Errorf("migrate %s: %w", path, err)
			}
		}
		return nil
	})
}

// Migrate applies what is missing of the schema, or with dryRun only says
// what is.
func Migrate(ctx context.Context, rawURL string, dryRun bool) ([]Migration, error) {
	path, err := sqlitePath(rawURL)
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(path); err != nil {
		return nil, errNoDatabase(path)
	}
	var steps []Migration
	err = withProviders(path, func(providers []*goose.Provider) error {
		for _, p := range providers {
			status, err := p.Status(ctx)
			if err != nil {
				return fmt.Errorf("read the schema's version: %w", err)
			}
			for _, s := range status {
				steps = append(steps, Migration{Name: s.Source.Path, Applied: s.State == goose.StateApplied})
			}
		}
		return nil
	})
	if err != nil || dryRun {
		return steps, err
	}
	return steps, migrateSQLite(ctx, path)
}

// requireCurrent reports a database that is not there, or whose schema is not
// the one that this program reads.
func requireCurrent(ctx context.Context, path string) error {
	if _, err := os.Stat(path); err != nil {
		return errNoDatabase(path)
	}
	steps, err := Migrate(ctx, "sqlite:"+path, true)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if !step.Applied {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"the schema of %s is older than this program; run `restock migrate` first", path)
		}
	}
	return nil
}

func errNoDatabase(path string) error {
	return restock.Errorf(restock.NotFound, restock.CodeNotFound,
		"there is no database at %s; `restock serve` makes one, --data or --db names another", path)
}

func withProviders(path string, use func([]*goose.Provider) error) (err error) {
	db, err := sql.Open("sqlite3", sqliteDSN(path, ""))
	if err != nil {
		return fmt.Errorf("open %s: %w", path, err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	own, err := fs.Sub(migrations, "migrations/sqlite")
	if err != nil {
		return err
	}
	queue, err := sqlqueue.Migrations("sqlite")
	if err != nil {
		return err
	}
	// The queue's tables come first: an act of the store publishes into them.
	var providers []*goose.Provider
	for _, h := range []struct {
		table string
		steps fs.FS
	}{{sqlqueue.VersionTable, queue}, {versionTable, own}} {
		versions, err := database.NewStore(database.DialectSQLite3, h.table)
		if err != nil {
			return err
		}
		p, err := goose.NewProvider(goose.DialectCustom, db, h.steps, goose.WithStore(versions))
		if err != nil {
			return err
		}
		providers = append(providers, p)
	}
	return use(providers)
}
