package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"sync"
	"testing"

	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/store/storetest"
)

// sqliteFiles opens databases as copies of one empty file, since the schema is
// what takes long, and remembers which file belongs to which store.
type sqliteFiles struct {
	empty []byte
	paths sync.Map
}

func newSQLiteFiles(t *testing.T) *sqliteFiles {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil { // the last to leave makes it one file
		t.Fatal(err)
	}
	empty, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return &sqliteFiles{empty: empty}
}

func (f *sqliteFiles) open(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restock.db")
	if err := os.WriteFile(path, f.empty, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := store.Open(t.Context(), "sqlite:"+path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	f.paths.Store(s, path)
	return s
}

// closeOpen closes a store, unless its test did.
func closeOpen(t *testing.T, s *store.Store) {
	t.Helper()
	if s.Ping(context.WithoutCancel(t.Context())) != nil {
		return
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
}

func (f *sqliteFiles) raw(t *testing.T, s *store.Store) *sql.DB {
	t.Helper()
	path, _ := f.paths.Load(s)
	return openRaw(t, path.(string))
}

// openRaw opens a file without any check of its constraints.
func openRaw(t *testing.T, path string) *sql.DB {
	t.Helper()
	pragmas := url.Values{"_pragma": {"busy_timeout(10000)", "foreign_keys(off)", "ignore_check_constraints(on)"}}
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+pragmas.Encode())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestConformance(t *testing.T) {
	t.Parallel()
	files := newSQLiteFiles(t)
	storetest.Run(t, storetest.Databases{Open: files.open, Raw: files.raw})
}
