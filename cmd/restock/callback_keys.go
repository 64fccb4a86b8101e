package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"text/tabwriter"

	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/web"
)

// openKeyring reads the keys, and makes them only for a database that has
// never signed an address: with other keys its callbacks would be lost.
func (a *app) openKeyring(ctx context.Context) error {
	has, err := a.store.HasCallbackKeys(ctx)
	if err != nil {
		return err
	}
	path := a.cfg.keysPath()
	fresh := a.freshSecret(a.cfg.CallbackKeysFile, func() string { return replenish.NewKeys().Format() })
	if has {
		fresh = nil
	}
	if _, err := readSecret(path, fresh); err != nil {
		return fmt.Errorf("the callback keys that this database has signed with: %w; restore the file from the backup, or name it with --callback-keys-file", err)
	}
	load := func() (string, error) { return readSecret(path, nil) }
	if a.keyring, err = replenish.OpenKeyring(ctx, load, a.store.UseCallbackKeys, a.log); err != nil {
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

type callbackKeysCommand struct {
	List   callbackKeysListCommand   `cmd:"" default:"withargs" help:"List the keys; secrets are not shown."`
	Make   callbackKeysMakeCommand   `cmd:"" help:"Make a key file for a database on a server, where every process needs the same."`
	Rotate callbackKeysRotateCommand `cmd:"" help:"Add a fresh key, which signs from now on; the others go on verifying."`
}

// keyFile is the file of callback keys, beside a running server or without one.
type keyFile struct {
	Data             string `env:"RESTOCK_DATA" default:"restock-data" type:"path" help:"The data folder."`
	CallbackKeysFile string `env:"RESTOCK_CALLBACK_KEYS_FILE" type:"path" placeholder:"FILE" help:"The key file; the one in the data folder when left out."`
	JSON             bool   `name:"json" help:"Print JSON, for scripts."`
}

// path follows links, so that a file is replaced and not the link to it.
func (f *keyFile) path() (string, error) {
	s := settings{Data: f.Data, CallbackKeysFile: f.CallbackKeysFile}
	path, err := filepath.EvalSymlinks(s.keysPath())
	if errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("there is no file of callback keys %s; restock serve makes it with a new data folder, "+
			"or name yours with --data or --callback-keys-file", s.keysPath())
	}
	return path, err
}

func (f *keyFile) read(path string) (text string, keys replenish.Keys, err error) {
	if text, err = readSecret(path, nil); err != nil {
		return "", nil, fmt.Errorf("the callback keys: %w", err)
	}
	if keys, err = replenish.ParseKeys(text); err != nil {
		return "", nil, fmt.Errorf("%s: %w; restore it from the backup", path, err)
	}
	return text, keys, nil
}

// shownKey is what people see of a key.
type shownKey struct {
	ID          byte   `json:"id"`
	Fingerprint string `json:"fingerprint"`
	Signs       bool   `json:"signs"`
}

type callbackKeysListCommand struct {
	keyFile `embed:""`
}

func (l *callbackKeysListCommand) Run(c *console) error {
	path, err := l.path()
	if err != nil {
		return err
	}
	_, keys, err := l.read(path)
	if err != nil {
		return err
	}
	shown := make([]shownKey, len(keys))
	for i, key := range keys {
		shown[i] = shownKey{ID: key.ID, Fingerprint: key.Fingerprint(), Signs: i == len(keys)-1}
	}
	if l.JSON {
		return printJSON(c, web.List[shownKey]{Items: shown})
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "KEY\tFINGERPRINT\tDOES")
	for _, key := range shown {
		fmt.Fprintf(table, "%d\t%s\t%s\n", key.ID, key.Fingerprint, map[bool]string{true: "signs and verifies", false: "verifies"}[key.Signs])
	}
	return table.Flush()
}

type callbackKeysMakeCommand struct {
	File string `arg:"" type:"path" help:"The file; it must not be there yet."`
}

// Help is shown by restock callback-keys make --help.
func (callbackKeysMakeCommand) Help() string {
	return `A database on SQLite needs none: restock serve makes its file in the data folder.

Example:
  restock callback-keys make callback-keys
  restock serve --db postgres://shop@db.example/restock --callback-keys-file callback-keys`
}

func (m *callbackKeysMakeCommand) Run(c *console) error {
	if _, err := os.Lstat(m.File); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(fmt.Errorf("%s is there already; a file with keys is never replaced, `restock callback-keys rotate` adds one", m.File), err)
	}
	if _, err := writeSecret(m.File, replenish.NewKeys().Format()); err != nil {
		return err
	}
	c.printf("made %s; back it up: orders that are signed with a lost key cannot be delivered\n", m.File)
	return nil
}

type callbackKeysRotateCommand struct {
	keyFile `embed:""`
}

// Help is shown by restock callback-keys rotate --help.
func (callbackKeysRotateCommand) Help() string {
	return `A key is never taken away: orders that are on their way are known by the key
that signed them. Servers that share a database need the same key file; where
each has a copy, bring the new file to those with the role arrivals first.

Example:
  restock callback-keys rotate
  restock backup backup-with-the-new-key`
}

func (r *callbackKeysRotateCommand) Run(c *console) error {
	path, err := r.path()
	if err != nil {
		return err
	}
	key, err := r.rotate(path)
	if err != nil {
		return err
	}
	if r.JSON {
		return printJSON(c, struct {
			shownKey
			File string `json:"file"`
		}{shownKey{ID: key.ID, Fingerprint: key.Fingerprint(), Signs: true}, path})
	}
	c.printf("key %d with fingerprint %s is in %s\n", key.ID, key.Fingerprint(), path)
	c.printf("A running server signs with it within seconds, and says so in its log (%q); the older keys go on verifying.\n", replenish.KeysTakenUp)
	c.printf("Back up the file now: orders that are signed with a lost key cannot be delivered.\n")
	return nil
}

// rotate appends a key to the file. The lock on its folder keeps two rotations
// from taking the same id: the server might have signed with the one that the
// other overwrites.
func (r *callbackKeysRotateCommand) rotate(path string) (key replenish.Key, err error) {
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return key, err
	}
	defer folder.Close() // and with it the lock
	if err := syscall.Flock(int(folder.Fd()), syscall.LOCK_EX); err != nil {
		return key, fmt.Errorf("lock %s: %w", folder.Name(), err)
	}
	text, keys, err := r.read(path)
	if err != nil {
		return key, err
	}
	if key, err = keys.Next(); err != nil {
		return key, err
	}
	if text[len(text)-1] != '\n' {
		text += "\n"
	}
	_, err = writeSecret(path, text+key.Line())
	return key, err
}
