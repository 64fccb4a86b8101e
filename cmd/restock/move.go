package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

type moveCommand struct {
	From string `required:"" placeholder:"URL" help:"The database file: sqlite:restock-data/restock.db."`
	To   string `required:"" placeholder:"URL" help:"An empty database on a server: mysql://USER:PASSWORD@HOST/NAME or postgres://…"`
}

// Help is shown by restock move --help.
func (moveCommand) Help() string {
	return `Stop restock serve first. Everything is carried: stock, sales, orders, messages and
their queues. At the end both sides are compared and verified, and the file is marked,
so that nobody sells from it again. What was interrupted can be repeated.

Example:
  restock move --from sqlite:restock-data/restock.db --to postgres://shop@db.example/restock
  restock serve --db postgres://shop@db.example/restock --callback-keys-file restock-data/callback-keys`
}

func (m *moveCommand) Run(c *console) error {
	start := time.Now()
	progress := newProgress(c, "rows")
	done, err := store.Move(c.ctx, m.From, m.To, progress.of)
	progress.end()
	if err != nil {
		return err
	}
	if done.Broken() {
		return brokenCopy(c, done)
	}
	c.printf("moved %d rows of %d tables from %s to %s in %s; both are the same, and all promises hold on both sides\n",
		done.Rows, done.Tables, done.From, done.To, time.Since(start).Round(time.Millisecond))
	c.printf("The file is marked as moved and stays as it was. Go on with the same keys:\n  restock serve --db %s --callback-keys-file %s\n",
		done.To, filepath.Join(filepath.Dir(m.From[len("sqlite:"):]), keysFile))
	return nil
}

// brokenCopy shows which promises are broken on which side; the copy is not used then.
func brokenCopy(c *console, done store.Copied) error {
	for _, side := range []struct {
		name   string
		checks []restock.Check
	}{{done.From, done.Source}, {done.To, done.Target}} {
		if broken(side.checks) {
			c.printf("%s:\n", side.name)
			printChecks(c, side.checks)
		}
	}
	return errSaid
}

type restoreCommand struct {
	database `embed:""`
	Dir      string `arg:"" type:"existingdir" help:"Folder of the backup."`
	By       string `placeholder:"NAME" help:"Who does it; your user name when left out."`
}

// Help is shown by restock restore --help.
func (restoreCommand) Help() string {
	return `The database has to be empty, or a file that is not there yet, with nothing of another
one left beside it; it can be of another kind than the one that was backed up. Keys
and token go to the data folder where it has none. Afterwards ordering is paused,
because the factory may still deliver what the backup does not know: look at what
arrives, then let it go on.

Example:
  restock restore backup --data restock-data
  restock serve --data restock-data
  restock receipts list --state held
  restock ordering resume --reason "what was on its way has arrived"`
}

func (r *restoreCommand) Run(c *console) (err error) {
	file := filepath.Join(r.Dir, databaseFile)
	info, err := os.Stat(file)
	if err != nil {
		return fmt.Errorf("%s is no backup: %w", r.Dir, err)
	}
	unlock, err := r.lockFolder()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()
	made := info.ModTime().UTC().Format(time.RFC3339)
	act := (&decider{By: r.By}).actBecause(fmt.Sprintf("restored from the backup of %s; a factory may still deliver what it does not know", made))
	start := time.Now()
	progress := newProgress(c, "rows")
	done, err := store.Restore(c.ctx, file, r.url(), restock.Act{By: act.By, Reason: act.Reason}, progress.of)
	progress.end()
	if err != nil {
		return err
	}
	if err := r.secrets(c); err != nil {
		return err
	}
	c.printf("restored %d rows of %d tables to %s in %s\n", done.Rows, done.Tables, done.To, time.Since(start).Round(time.Millisecond))
	if done.StockTable != "" {
		c.printf("The stock was that of another system, in its table %[1]s, which is not followed any more: what is on hand is what the backup says. Where that table is in this database, too, serve with --stock-table %[1]s.\n", done.StockTable)
	}
	c.printf("Ordering is paused until a person lets it go on: restock ordering resume --reason …\n")
	if done.Broken() {
		return brokenCopy(c, done)
	}
	return nil
}

// lockFolder keeps everybody from serving from the data folder meanwhile, also
// from one that is made here.
func (r *restoreCommand) lockFolder() (unlock func() error, err error) {
	const ownerOnly = 0o700
	if err := os.MkdirAll(r.Data, ownerOnly); err != nil {
		return nil, err
	}
	locks, taken, err := lockRoles(r.Data, roles())
	if taken != "" {
		return nil, restock.Errorf(restock.Conflict, restock.CodeConflict, "restock serves %s from %s; stop it first", taken, r.Data)
	}
	return func() error { return closeAll(locks) }, err
}

// secrets brings back the keys and the token. Those that are there stay: they
// may be newer, and verify what was signed after the backup.
func (r *restoreCommand) secrets(c *console) error {
	for _, name := range []string{keysFile, tokenFile} {
		text, err := os.ReadFile(filepath.Join(r.Dir, name))
		if errors.Is(err, os.ErrNotExist) {
			c.printf("warning: the backup has no %s\n", name)
			continue
		}
		if err != nil {
			return err
		}
		target := filepath.Join(r.Data, name)
		if _, err := os.Stat(target); err == nil {
			c.printf("%s is there already and stays\n", target)
			continue
		}
		if _, err := writeSecret(target, string(text)); err != nil {
			return fmt.Errorf("bring back %s: %w", name, err)
		}
	}
	return nil
}

// of is progress on the way to a number that is known.
func (p *progress) of(n int, all int64) {
	p.what = "of " + strconv.FormatInt(all, 10) + " rows"
	p.add(n)
}
