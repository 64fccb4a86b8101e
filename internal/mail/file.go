package mail

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// Files keeps mails as .eml files in a folder, where people and mail programs
// can open them. Nobody receives them.
//
// A mail is complete and on disk when Send returns nil. A crash in the middle of
// Send can leave a hidden file (its name begins with a dot), which nothing reads.
type Files struct {
	dir string
}

var _ Sender = (*Files)(nil)

const (
	folderMode fs.FileMode = 0o700 // mails hold links that act for their reader

	kindBytesMax = 32
	toBytesMax   = 64
	hashBytes    = 6 // of the Message-ID, in the file name
)

// NewFiles makes the folder, if it is not there, and returns its sender.
func NewFiles(dir string) (*Files, error) {
	dir = filepath.Clean(dir)
	if err := makeFolder(dir); err != nil {
		return nil, fmt.Errorf("making the mail folder: %w", err)
	}
	return &Files{dir: dir}, nil
}

// String says where the mails go.
func (f *Files) String() string { return schemeFile + ":" + f.dir }

// Send writes the mail to a file of its own. The same message again replaces
// that file instead of adding another.
func (f *Files) Send(ctx context.Context, m Message) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("writing mail %s: %w", m.ID, err)
	}
	l, err := compose(m)
	if err != nil {
		return err
	}
	if err := replaceFile(f.dir, fileName(m, l.to), l.content); err != nil {
		return fmt.Errorf("writing mail %s: %w", m.ID, err)
	}
	return nil
}

// fileName depends only on what stays the same when a mail is sent again.
func fileName(m Message, to string) string {
	sum := sha256.Sum256([]byte(m.ID))
	return strings.Join([]string{
		m.Date.UTC().Format("20060102T150405Z"),
		safe(m.Kind, kindBytesMax),
		safe(to, toBytesMax),
		hex.EncodeToString(sum[:hashBytes]),
	}, "-") + ".eml"
}

// safe keeps what is harmless in a file name everywhere.
func safe(s string, bytesMax int) string {
	s = strings.Map(func(r rune) rune {
		if isAlphanumeric(r) || strings.ContainsRune("-_.@+", r) {
			return r
		}
		return '_'
	}, s)
	if s == "" {
		return "mail"
	}
	return s[:min(len(s), bytesMax)]
}

// replaceFile writes a file so that it is there whole or not at all, and still
// there after a power cut. Its mode is 0600, as os.CreateTemp gives it.
func replaceFile(dir, name string, content []byte) error {
	temp, err := os.CreateTemp(dir, ".*.tmp")
	if err != nil {
		return err //nolint:wrapcheck // Send wraps it.
	}
	if err := fill(temp, content); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	if err := os.Rename(temp.Name(), filepath.Join(dir, name)); err != nil {
		return errors.Join(err, os.Remove(temp.Name()))
	}
	return syncFolder(dir)
}

func fill(file *os.File, content []byte) error {
	_, err := file.Write(content)
	if err == nil {
		err = file.Sync()
	}
	return errors.Join(err, file.Close())
}

// makeFolder is os.MkdirAll that makes each new folder's own name durable too.
func makeFolder(dir string) error {
	info, err := os.Stat(dir)
	if err == nil && !info.IsDir() {
		return invalid("%s is not a folder; name another one for the mails", dir)
	}
	if err == nil || !errors.Is(err, fs.ErrNotExist) {
		return err //nolint:wrapcheck // It names the folder already.
	}
	parent := filepath.Dir(dir)
	if err := makeFolder(parent); err != nil {
		return err
	}
	if err := os.Mkdir(dir, folderMode); err != nil && !errors.Is(err, fs.ErrExist) {
		return err //nolint:wrapcheck // It names the folder already.
	}
	return syncFolder(parent)
}

func syncFolder(dir string) error {
	folder, err := os.Open(dir) // The operator chose the folder.
	if err != nil {
		return err //nolint:wrapcheck // It names the folder already.
	}
	return errors.Join(folder.Sync(), folder.Close())
}
