package store_test

import (
	"context"
	"database/sql"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// onDisk opens a stocked shop on a disk that can be made to fail.
func onDisk(t *testing.T) (*store.Store, *disk, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), dbName)
	stocked(t, path)
	d := newDisk(t, faults{})
	return openAt(t, path, store.Config{VFS: d.name, Sync: d.Sync}), d, path
}

func oneOfA() []restock.Cart {
	return []restock.Cart{{Lines: []restock.Line{{Product: "A", Quantity: 1}}}}
}

// sellTogether sells one piece to each of n buyers at once, and gives the
// errors of those who got none.
func sellTogether(t *testing.T, s *store.Store, n int) []error {
	t.Helper()
	var (
		mu   sync.Mutex
		errs []error
		all  sync.WaitGroup
	)
	for range n {
		all.Go(func() {
			if _, err := s.Sell(t.Context(), oneOfA()); err != nil {
				mu.Lock()
				defer mu.Unlock()
				errs = append(errs, err)
			}
		})
	}
	all.Wait()
	return errs
}

func wantUnavailable(t *testing.T, errs []error, n int) {
	t.Helper()
	if len(errs) != n {
		t.Errorf("I3 answered means durable: %d of %d were answered with success", n-len(errs), n)
	}
	for _, err := range errs {
		if restock.KindOf(err) != restock.Unavailable {
			t.Errorf("error %v, want of kind Unavailable", err)
		}
	}
}

func wantSold(t *testing.T, s *store.Store, sold int64) {
	t.Helper()
	if got := openingStock - stockOf(t, s, "A"); got != sold {
		t.Errorf("I3 answered means durable: %d are sold, want %d", got, sold)
	}
}

func failing(suffix string) faults {
	return faults{failing: func(file string) bool { return strings.HasSuffix(file, suffix) }}
}

// TestAfterAFailedSyncNothingIsAnswered lets the disk fail once. That it works
// again afterwards proves nothing about what was written before.
func TestAfterAFailedSyncNothingIsAnswered(t *testing.T) {
	t.Parallel()
	s, d, path := onDisk(t)
	wantUnavailable(t, sellTogether(t, s, 5), 0)
	select {
	case <-s.Failed():
		t.Fatal("the store gave up on a disk that works")
	default:
	}
	d.suffer(failing("-wal"))
	wantUnavailable(t, sellTogether(t, s, 20), 20)
	<-s.Failed()
	d.suffer(faults{})
	wantUnavailable(t, sellTogether(t, s, 20), 20)
	if err := s.Ping(t.Context()); err != nil {
		t.Errorf("reading: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	after := openAt(t, path, store.Config{})
	if sold := openingStock - stockOf(t, after, "A"); sold < 5 {
		t.Errorf("I3 answered means durable: %d are sold, want at least 5", sold)
	}
	wantClean(t, after)
}

// TestAFailedCheckpointEndsTheStore lets the disk refuse to sync the database
// when the log is full.
func TestAFailedCheckpointEndsTheStore(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]faults{"the database": failing(".db"), "the log": failing("-wal")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, d, path := onDisk(t)
			d.quick = true
			wantUnavailable(t, sellTogether(t, s, 1), 0)
			d.suffer(f)
			refused := false
			for range 3000 {
				if _, err := s.Reserve(t.Context(), oneOfA()[0], time.Hour); restock.KindOf(err) == restock.Unavailable && err != nil {
					refused = true
					break
				}
			}
			if !refused {
				t.Fatal("I3 answered means durable: checkpoints fail, and acts are answered")
			}
			<-s.Failed()
			d.suffer(faults{})
			wantUnavailable(t, sellTogether(t, s, 5), 5)
			if err := s.Close(); err != nil {
				t.Error(err)
			}
			after := openAt(t, path, store.Config{})
			wantClean(t, after)
		})
	}
}

// TestAFullDiskRefusesSalesAndRecovers fills the disk in the middle of a
// write, twice.
func TestAFullDiskRefusesSalesAndRecovers(t *testing.T) {
	t.Parallel()
	s, d, path := onDisk(t)
	sold := int64(0)
	for range 2 {
		wantUnavailable(t, sellTogether(t, s, 5), 0)
		sold += 5
		d.suffer(faults{full: true, room: 1000})
		wantUnavailable(t, sellTogether(t, s, 20), 20)
		_, err := s.Reserve(t.Context(), oneOfA()[0], time.Hour)
		wantUnavailable(t, []error{err}, 1)
		wantSold(t, s, sold) // reading goes on
		wantClean(t, s)
		d.suffer(faults{})
		wantUnavailable(t, sellTogether(t, s, 5), 0)
		sold += 5
	}
	wantSold(t, s, sold)
	wantClean(t, s)
	select {
	case <-s.Failed():
		t.Error("the store gave up on a disk that was only full")
	default:
	}
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	after := openAt(t, path, store.Config{})
	wantSold(t, after, sold)
	wantClean(t, after)
}

// connect opens a connection of another process.
func connect(t *testing.T, path, vfs string) *sql.DB {
	t.Helper()
	query := url.Values{"vfs": {vfs}, "_pragma": {"busy_timeout(10000)"}}
	db, err := sql.Open("sqlite3", "file:"+(&url.URL{Path: path}).EscapedPath()+"?"+query.Encode())
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

// besideAWriter lets another connection hold the write lock for a while, and
// gives the errors of buyers who come at once, and how long the last waited.
func besideAWriter(t *testing.T, buyers int, hold time.Duration) (errs []error, waited time.Duration) {
	t.Helper()
	path := filepath.Join(t.TempDir(), dbName)
	stocked(t, path)
	s := openAt(t, path, store.Config{})
	held, err := connect(t, path, "os").Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := held.ExecContext(t.Context(), `BEGIN IMMEDIATE`); err != nil {
		t.Fatal(err)
	}
	var released sync.WaitGroup
	released.Go(func() {
		time.Sleep(hold)
		if _, err := held.ExecContext(context.WithoutCancel(t.Context()), `ROLLBACK`); err != nil {
			t.Error(err)
		}
	})
	start := time.Now()
	errs = sellTogether(t, s, buyers)
	waited = time.Since(start)
	released.Wait()
	if err := held.Close(); err != nil {
		t.Error(err)
	}
	wantSold(t, s, int64(buyers-len(errs)))
	wantUnavailable(t, sellTogether(t, s, 1), 0)
	wantClean(t, s)
	return errs, waited
}

func TestBuyersWaitForAnotherWriter(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errs, _ := besideAWriter(t, 5, 3*time.Second)
		wantUnavailable(t, errs, 0)
	})
}

func TestNobodyWaitsForAnotherWriterForEver(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		errs, waited := besideAWriter(t, 5, time.Hour)
		wantUnavailable(t, errs, 5)
		if waited < 9*time.Second || waited > 21*time.Second {
			t.Errorf("it took %s, want the ten seconds of busy_timeout, or twice that for who came meanwhile", waited)
		}
	})
}

// TestAFlippedBitIsFound spoils one page of a good file after another. SQLite
// finds it when it looks; the store looks at what it needs.
func TestAFlippedBitIsFound(t *testing.T) {
	t.Parallel()
	const pageSize, everyNth = 4096, 9
	path := filepath.Join(t.TempDir(), dbName)
	stocked(t, path)
	good, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	pages, served := 0, 0
	for at := pageSize; at < len(good); at += everyNth * pageSize {
		spoiled := slices.Clone(good)
		spoiled[at] ^= 0x40 // it says what kind of page it is
		path := filepath.Join(t.TempDir(), dbName)
		if err := os.WriteFile(path, spoiled, 0o600); err != nil {
			t.Fatal(err)
		}
		found, err := column(t.Context(), openRaw(t, path), `PRAGMA integrity_check`)
		if err == nil && slices.Equal(found, []string{"ok"}) {
			t.Errorf("page %d: integrity_check finds nothing", at/pageSize)
		}
		pages++
		if s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{}); err == nil {
			served++
			_ = s.Close()
		}
	}
	t.Logf("%d pages were spoiled, and %d of these databases were opened nevertheless", pages, served)
}
