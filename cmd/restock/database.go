package main

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// database is how a command finds the database itself, also beside a running
// server.
type database struct {
	Data string `env:"RESTOCK_DATA" default:"restock-data" type:"path" help:"The data folder."`
	DB   string `env:"RESTOCK_DB" name:"db" placeholder:"URL" help:"Database: sqlite:PATH, mysql://USER:PASSWORD@HOST/NAME or postgres://…; sqlite:restock.db in the data folder when left out."`
}

func (d *database) url() string {
	s := settings{Data: d.Data, DB: d.DB}
	return s.databaseURL()
}

type verifyCommand struct {
	database `embed:""`
	JSON     bool `name:"json" help:"Print JSON, for scripts."`
}

// Help is shown by restock verify --help.
func (verifyCommand) Help() string {
	return `It exits with status 1 when a promise is broken.

Example:
  restock verify --data restock-data`
}

func (v *verifyCommand) Run(c *console) error {
	s, err := store.Open(c.ctx, v.url(), store.Config{ReadOnly: true})
	if err != nil {
		return err
	}
	checks, err := s.Verify(c.ctx)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	if v.JSON {
		if err := printJSON(c, checks); err != nil {
			return err
		}
	} else {
		printChecks(c, checks)
	}
	if broken(checks) {
		return errSaid
	}
	return nil
}

func broken(checks []restock.Check) bool {
	for _, check := range checks {
		if check.Broken > 0 {
			return true
		}
	}
	return false
}

func printChecks(c *console, checks []restock.Check) {
	for _, check := range checks {
		if check.Broken == 0 {
			c.printf("%s %s  %s (%d rows)\n", map[bool]string{true: "ok     ", false: "UNKNOWN"}[check.Unknown == ""], check.Promise, check.Name, check.Rows)
			if check.Unknown != "" {
				c.printf("          %s\n", check.Unknown)
			}
			continue
		}
		c.printf("BROKEN  %s  %s: %d\n", check.Promise, check.Name, check.Broken)
		for _, line := range check.Violations {
			c.printf("          %s\n", line)
		}
	}
	if broken(checks) {
		c.printf("A promise is broken. Keep a copy with `restock backup`, and look at the movements of the products above: restock products show SKU\n")
		return
	}
	c.printf("All promises hold.\n")
}

type migrateCommand struct {
	database `embed:""`
	DryRun   bool `help:"Only say what would be done."`
}

func (m *migrateCommand) Run(c *console) error {
	steps, err := store.Migrate(c.ctx, m.url(), m.DryRun, slog.New(slog.NewTextHandler(c.errOut, nil)))
	if err != nil {
		return err
	}
	done := 0
	for _, step := range steps {
		if step.Applied {
			continue
		}
		done++
		c.printf("%s %s\n", map[bool]string{true: "would apply", false: "applied"}[m.DryRun], step.Name)
	}
	if done == 0 {
		c.printf("The schema is up to date (%d steps).\n", len(steps))
	}
	return nil
}

type backupCommand struct {
	database         `embed:""`
	CallbackKeysFile string `env:"RESTOCK_CALLBACK_KEYS_FILE" type:"path" placeholder:"FILE" help:"The keys that sign callback addresses; those in the data folder when left out."`
	Dir              string `arg:"" type:"path" help:"Folder for the copy; it is made."`
}

// Help is shown by restock backup --help.
func (backupCommand) Help() string {
	return `The copy is an SQLite file, whatever the database is, of one moment. restock verify
--db sqlite:DIR/restock.db looks at it, restock restore DIR brings it back.

Example:
  restock backup backups/2026-11-25`
}

func (b *backupCommand) Run(c *console) error {
	const ownerOnly = 0o700
	if err := os.MkdirAll(b.Dir, ownerOnly); err != nil {
		return err
	}
	start := time.Now()
	target := filepath.Join(b.Dir, databaseFile)
	if _, err := os.Stat(target); err == nil {
		return fmt.Errorf("%s holds a backup already; give a new folder", b.Dir)
	}
	progress := newProgress(c, "rows")
	err := store.BackUp(c.ctx, b.url(), target, progress.of)
	progress.end()
	if err != nil {
		return err
	}
	for _, name := range []string{keysFile, tokenFile} {
		text, err := os.ReadFile(b.secret(name))
		if errors.Is(err, os.ErrNotExist) {
			c.printf("warning: there is no %s; back it up from where it is kept\n", b.secret(name))
			continue
		}
		if err != nil {
			return err
		}
		if _, err := writeSecret(filepath.Join(b.Dir, name), string(text)); err != nil {
			return fmt.Errorf("copy %s: %w", name, err)
		}
	}
	c.printf("backed up to %s in %s; it holds secrets, so keep it safe\n", b.Dir, time.Since(start).Round(time.Millisecond))
	return nil
}

func (b *backupCommand) secret(name string) string {
	if name == keysFile && b.CallbackKeysFile != "" {
		return b.CallbackKeysFile
	}
	return filepath.Join(b.Data, name)
}
