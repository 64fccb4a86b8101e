package store_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

func openAt(t *testing.T, path string, cfg store.Config) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	return s
}

// filled opens a new file with the story's catalogue.
func filled(t *testing.T, path string) *store.Store {
	t.Helper()
	s := openAt(t, path, store.Config{})
	if _, err := s.ApplyCatalog(t.Context(), storyCatalog(), store.CreateMissing); err != nil {
		t.Fatal(err)
	}
	return s
}

func stockOf(t *testing.T, s *store.Store, sku string) int64 {
	t.Helper()
	p, err := s.Product(t.Context(), sku)
	if err != nil {
		t.Fatal(err)
	}
	return p.Stock.OnHand
}

func TestOpenSaysWhatToDoAndNoPassword(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "sqlite:", "restock.db", "postgres://shop:ses%zzame@db/restock", "mysql://shop:ses%zzame@db/restock",
		"mysql://shop:sesame@db", "mysql://shop:sesame@db/restock?no=such%zzoption", "postgres://shop:sesame@db:port/restock",
		"oracle://shop:sesame@db/restock",
		"shop:sesame@tcp(127.0.0.1:3306)/restock", "mysql:shop:sesame@db",
	} {
		_, err := store.Open(t.Context(), url, store.Config{})
		if restock.KindOf(err) != restock.Invalid || err == nil {
			t.Errorf("Open(%q): %v, want an error of kind Invalid", url, err)
			continue
		}
		if !strings.Contains(err.Error(), "sqlite:PATH") || strings.Contains(err.Error(), "ame") {
			t.Errorf("Open(%q): %v", url, err)
		}
	}
}

func TestADamagedFileIsAnErrorAndIsNotTouched(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restock.db")
	garbage := bytes.Repeat([]byte("this is not a database\n"), 1000)
	if err := os.WriteFile(path, garbage, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := store.Open(t.Context(), "sqlite:"+path, store.Config{}); err == nil {
		t.Error("a file of garbage was opened")
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, garbage) {
		t.Errorf("the file was changed, %v", err)
	}
}

// TestWhatWasAnsweredIsOnDisk copies the files of a store that was never
// closed, which is what a killed process leaves.
func TestWhatWasAnsweredIsOnDisk(t *testing.T) {
	t.Parallel()
	path, copied := filepath.Join(t.TempDir(), "restock.db"), filepath.Join(t.TempDir(), "restock.db")
	s := filled(t, path)
	buy(t, s, "CP-1", 2, restock.Invalid)
	for _, suffix := range []string{"", "-wal"} {
		copyFile(t, path+suffix, copied+suffix)
	}
	after := openAt(t, copied, store.Config{})
	if got := stockOf(t, after, "CP-1"); got != 1 {
		t.Errorf("on hand %d, want 1", got)
	}
	wantClean(t, after)
}

func TestReadOnlyReadsBesideAWriterAndChangesNothing(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restock.db")
	writing := filled(t, path)
	reading := openAt(t, path, store.Config{ReadOnly: true})
	buy(t, writing, "CP-1", 1, restock.Invalid)
	if got := stockOf(t, reading, "CP-1"); got != 2 {
		t.Errorf("on hand %d, want 2", got)
	}
	wantClean(t, reading)
	if _, err := reading.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Quantity: 1}}}}); err == nil {
		t.Error("a store that was opened for reading sold something")
	}
	if got := stockOf(t, reading, "CP-1"); got != 2 {
		t.Errorf("on hand %d, want 2", got)
	}
}

func TestReadOnlyMakesNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nothing.db")
	_, err := store.Open(t.Context(), "sqlite:"+path, store.Config{ReadOnly: true})
	if restock.KindOf(err) != restock.NotFound {
		t.Errorf("error %v, want of kind NotFound", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestReadOnlyRefusesAnOlderSchema(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restock.db")
	copyFile(t, "testdata/schema-1.db", path)
	steps, err := store.Migrate(t.Context(), "sqlite:"+path, true, quiet())
	if err != nil {
		t.Fatal(err)
	}
	missing := false
	for _, step := range steps {
		missing = missing || !step.Applied
	}
	_, err = store.Open(t.Context(), "sqlite:"+path, store.Config{ReadOnly: true})
	if missing != (restock.KindOf(err) == restock.Conflict && err != nil) {
		t.Errorf("error %v of a schema that lacks steps: %t", err, missing)
	}
}

func TestMigrateTellsBeforeItDoes(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "restock.db")
	copyFile(t, "testdata/schema-1.db", path)
	count := func(dryRun bool) (applied, missing int) {
		t.Helper()
		steps, err := store.Migrate(t.Context(), "sqlite:"+path, dryRun, quiet())
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range steps {
			if step.Applied {
				applied++
			} else {
				missing++
			}
		}
		return applied, missing
	}
	applied, missing := count(true)
	if again, still := count(true); applied != again || missing != still || missing == 0 {
		t.Errorf("a dry run applied %d steps of %d", again-applied, missing)
	}
	if _, told := count(false); told != missing {
		t.Errorf("it says that %d steps were missing, want %d", told, missing)
	}
	if after, left := count(true); after != applied+missing || left != 0 {
		t.Errorf("%d steps are applied and %d missing, want %d and 0", after, left, applied+missing)
	}
}

func TestMigrateMakesNoDatabase(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "nothing.db")
	if _, err := store.Migrate(t.Context(), "sqlite:"+path, true, quiet()); restock.KindOf(err) != restock.NotFound || err == nil {
		t.Errorf("error %v, want of kind NotFound", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file was made: %v", err)
	}
}

func TestBackupIsConsistentBesideSales(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "it's the shop's.db") // a name that SQL must quote
	s := filled(t, path)
	target := filepath.Join(t.TempDir(), "the shop's copy.db")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for range 5 {
			_, _ = s.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Quantity: 1}}}})
		}
	}()
	if err := s.Backup(t.Context(), target); err != nil {
		t.Fatal(err)
	}
	<-done
	restored := openAt(t, target, store.Config{})
	wantClean(t, restored)
	if err := s.Backup(t.Context(), target); err == nil {
		t.Error("a backup wrote over a file that was there")
	}
	// The connection that made it still cannot write.
	if got := stockOf(t, s, "CP-1"); got != 0 {
		t.Errorf("on hand %d, want 0", got)
	}
}

func TestABackupThatFailsLeavesTheReadersReading(t *testing.T) {
	t.Parallel()
	s := filled(t, filepath.Join(t.TempDir(), "restock.db"))
	for range 20 { // more than there are connections
		if err := s.Backup(t.Context(), filepath.Join(t.TempDir(), "no", "such", "folder", "copy.db")); err == nil {
			t.Fatal("it wrote into a folder that is not there")
		}
	}
	if got := stockOf(t, s, "CP-1"); got != 3 {
		t.Errorf("on hand %d, want 3", got)
	}
}
