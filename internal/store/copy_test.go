package store_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
)

// movedProducts is how large the shops are that these tests carry.
func movedProducts() int {
	const full, tenth = 2_000, 300
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		return full
	}
	return tenth
}

// busyShop is a file in which everything has happened: no table is empty, and
// there are texts that not every server stores.
func busyShop(t *testing.T, path string) *store.Store {
	t.Helper()
	s := openAt(t, path, store.Config{})
	fill(t, s, donut("A", 60), donut("B", 60), donut("C", 60))
	c := restock.Catalog{}
	for i := range movedProducts() {
		c.Products = append(c.Products, donut(restock.SKU("SKU-"+strings.Repeat("x", i%50)+time.UnixMilli(int64(i)).Format("05.000")), 5))
	}
	c.Fill()
	if _, err := s.ApplyCatalog(t.Context(), c, store.CreateMissing); err != nil {
		t.Fatal(err)
	}
	a := &actor{t: t, s: s, random: rand.New(rand.NewPCG(1, 2)), skus: []restock.SKU{"A", "B", "C"}, name: "actor"}
	for range 200 {
		a.act()
	}
	none := int64(0)
	for _, sku := range a.skus {
		_, err := s.Adjust(t.Context(), restock.AdjustmentRequest{Product: string(sku), Counted: &none, Reason: "gone", FreeYoungest: true}, restock.Key{})
		a.ok(err)
	}
	_, err := s.Receive(t.Context(), restock.Callback{OrderID: restock.OrderID{1}, Attempt: 1, Count: 5, Claimed: "5", Body: []byte("five")},
		func(restock.Evidence) restock.Verdict { return restock.Verdict{} })
	a.ok(err)
	a.mail(t.Context())
	raw := openRaw(t, path)
	for _, statement := range []string{
		`INSERT INTO refusals (product_id, day, buyers, units) SELECT id, '2026-01-02', 2, 5 FROM products WHERE sku = 'A' ON CONFLICT DO NOTHING`,
		`INSERT INTO digests (id, created_at, mailing_until) VALUES (x'0f0102030405060708090a0b0c0d0e0f', 1, 2)`,
		`INSERT INTO ad_holds (id, advertisement_id, product_id, stockout_id, state, created_at)
			SELECT x'0e0102030405060708090a0b0c0d0e0f', advertisement_id, id, stockout_id, 'resumed', 7 FROM products WHERE sku = 'A'`,
		`INSERT INTO ad_mails (hold_id, kind, due_at, facts, tries, tried_at, unsure) VALUES (x'0e0102030405060708090a0b0c0d0e0f', 'stop', 1, '{}', 1, 1, 0)`,
		`INSERT INTO incidents (id, kind, subject, open_key, detail, began_at, opened_at, seen_at) VALUES (x'000102030405060708090a0b0c0d0e0f', 'queue_old', 'q', 'k', 'd', 1, 2, 3)`,
		`INSERT INTO webhooks (id, url, description, event_types, acknowledges, secret, paused, created_at, after_seq)
			SELECT x'0d0102030405060708090a0b0c0d0e0f', 'https://a.example/', '광고', 'stock.out', advertisement_id, 'whsec_AA', 0, 1, 0 FROM products WHERE sku = 'A'`,
		`INSERT INTO webhook_deliveries (webhook_id, event_id, type, subject, event_at, queued_at)
			VALUES (x'0d0102030405060708090a0b0c0d0e0f', x'0c0102030405060708090a0b0c0d0e0f', 'stock.out', 'A', 1, 2)`,
		`INSERT INTO ad_switches (advertisement_id, ask, switched_at, switched_by, posting_until) SELECT advertisement_id, 'stop', 1, 'a', 0 FROM products WHERE sku = 'A'`,
		`INSERT INTO factory_secrets (id, factory_id, hash, created_at) SELECT 'abcdefgh', id, zeroblob(32), 1 FROM factories LIMIT 1`,
		`INSERT INTO callback_keys (key_id, fingerprint, created_at) VALUES (7, 'ab', 1)`,
		`INSERT INTO queue_failures (message_id, queue, claim, receive, at, error) VALUES (x'ff', 'ops-queue', 1, 1, 1, 'no')`,
		`INSERT INTO idempotency_keys ("key", body_hash, effect, created_at) VALUES ('checkout k', zeroblob(32), zeroblob(16), 5)`,
		`UPDATE factories SET retry_tokens = 10.0 / 3, lead_time_learned = 9007199254740993`,
		`UPDATE audit SET reason = 'a' || char(0) || CAST(x'62ff' AS TEXT) || '이유 ' WHERE id = (SELECT MIN(id) FROM audit)`,
		`UPDATE audit SET detail = '' WHERE id = (SELECT MAX(id) FROM audit)`,
	} {
		if _, err := raw.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	for _, table := range tablesOf(t, raw) {
		if rowsOf(t, raw, table) == 0 {
			t.Errorf("this shop has nothing in %s, so nobody would see it left behind", table)
		}
	}
	return s
}

func tablesOf(t *testing.T, file *sql.DB) []string {
	t.Helper()
	return lines(t, file, `SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE '%goose%' AND name NOT LIKE 'sqlite%' ORDER BY name`)
}

func rowsOf(t *testing.T, db *sql.DB, table string) int64 {
	t.Helper()
	var n int64
	query := `SELECT COUNT(*) FROM ` + table
	if table == "settings" {
		query += ` WHERE name NOT IN ('moved_to', 'ordering_paused')` // what the copy itself says
	}
	if err := db.QueryRowContext(t.Context(), query).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// closedShop is a busy shop that nobody has open any more.
func closedShop(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restock.db")
	if err := busyShop(t, path).Close(); err != nil {
		t.Fatal(err)
	}
	return path
}

func ignoreProgress(int, int64) {}

// copiedFrom gives the bytes of a shop that is made once for several tests.
func copyOf(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	copied := filepath.Join(t.TempDir(), "restock.db")
	if err := os.WriteFile(copied, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return copied
}

// TestAMoveCarriesEverythingAndTheFileSellsNoMore: every table, the same rows,
// and the shop goes on where it was.
func TestAMoveCarriesEverythingAndTheFileSellsNoMore(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	onServers(t, func(t *testing.T, d *serverDatabases) {
		path, to := copyOf(t, shop), d.database(t)
		file := openRaw(t, path)
		want, tables := map[string]int64{}, tablesOf(t, file)
		for _, table := range tables {
			want[table] = rowsOf(t, file, table)
		}
		if err := file.Close(); err != nil {
			t.Fatal(err)
		}
		var told int64
		done, err := store.Move(t.Context(), "sqlite:"+path, to, func(n int, all int64) {
			if told += int64(n); told > all {
				t.Errorf("%d of %d rows have arrived", told, all)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if told != done.Rows || done.Tables != len(tables) || done.Broken() || len(done.Source) == 0 || len(done.Source) != len(done.Target) {
			t.Errorf("told of %d rows; moved %+v", told, done)
		}
		s := openURL(t, to)
		d.urls.Store(s, to)
		got := map[string]int64{}
		for _, table := range tables {
			got[table] = rowsOf(t, d.plain(t, s), table)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("rows (-file +server):\n%s", diff)
		}
		wantClean(t, s)
		wantGoesOn(t, s)

		_, err = store.Open(t.Context(), "sqlite:"+path, store.Config{})
		if restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "was moved to "+store.Redact(to)) {
			t.Errorf("opening the file that was moved: %v", err)
		}
		readOnly, err := store.Open(t.Context(), "sqlite:"+path, store.Config{ReadOnly: true})
		if err != nil {
			t.Fatalf("looking at the file that was moved: %v", err)
		}
		wantClean(t, readOnly)
		if err := readOnly.Close(); err != nil {
			t.Error(err)
		}
		if _, err = store.Move(t.Context(), "sqlite:"+path, d.database(t), ignoreProgress); restock.KindOf(err) != restock.Conflict {
			t.Errorf("moving it again elsewhere: %v", err)
		}
	})
}

// wantGoesOn: what was copied is a shop. It sells, and its ledger goes on
// behind its last line.
func wantGoesOn(t *testing.T, s *store.Store) {
	t.Helper()
	counted := int64(1000)
	if _, err := s.Adjust(t.Context(), restock.AdjustmentRequest{Product: "A", Counted: &counted, Reason: "counted"}, restock.Key{}); err != nil {
		t.Fatal(err)
	}
	outcomes, err := s.Sell(t.Context(), []restock.Cart{cartOf("A")})
	if err != nil || outcomes[0].Err != nil {
		t.Fatal(err, outcomes)
	}
	wantClean(t, s)
}

func TestAMoveIsRefusedWhereSomebodySells(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	onServers(t, func(t *testing.T, d *serverDatabases) {
		path, to := copyOf(t, shop), d.database(t)
		move := func(from, to string) error {
			_, err := store.Move(t.Context(), from, to, ignoreProgress)
			return err
		}
		open := openAt(t, path, store.Config{})
		if err := move("sqlite:"+path, to); restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "somebody has") {
			t.Errorf("while a server has the file: %v", err)
		}
		if err := open.Close(); err != nil {
			t.Fatal(err)
		}
		for _, pair := range [][2]string{{to, "sqlite:" + path}, {"sqlite:" + path, "sqlite:" + path + "2"}, {to, to}} {
			if err := move(pair[0], pair[1]); restock.KindOf(err) != restock.Invalid {
				t.Errorf("from %s to %s: %v", pair[0], pair[1], err)
			}
		}
		other := openURL(t, to)
		fill(t, other, donut("A", 1))
		if err := move("sqlite:"+path, to); restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "has rows already") {
			t.Errorf("to a database that is used: %v", err)
		}
		if got := stockOf(t, other, "A"); got != 1 {
			t.Errorf("the database that was in use has %d of A now, want 1", got)
		}
		wantGoesOn(t, openAt(t, path, store.Config{})) // nothing of it was marked
	})
}

// TestAMoveThatWasInterruptedBeginsAnew, and meanwhile nobody sells from a part.
func TestAMoveThatWasInterruptedBeginsAnew(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	onServers(t, func(t *testing.T, d *serverDatabases) {
		path, to := copyOf(t, shop), d.database(t)
		ctx, stop := context.WithCancel(t.Context())
		parts := 0
		if _, err := store.Move(ctx, "sqlite:"+path, to, func(int, int64) {
			if parts++; parts == 6 {
				stop()
			}
		}); err == nil {
			t.Fatal("it was not interrupted")
		}
		_, err := store.Open(t.Context(), to, store.Config{})
		if restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "only a part") {
			t.Errorf("opening a part: %v", err)
		}
		if _, err := store.Move(t.Context(), "sqlite:"+copyOf(t, shop), to, ignoreProgress); restock.KindOf(err) != restock.Conflict {
			t.Errorf("moving another file into a part: %v", err)
		}
		if _, err := store.Move(t.Context(), "sqlite:"+path, to, ignoreProgress); err != nil {
			t.Fatal(err)
		}
		// The process may end after the file was marked, and before the other side is let go.
		s := openURL(t, to)
		d.urls.Store(s, to)
		if _, err := d.plain(t, s).ExecContext(t.Context(), `INSERT INTO settings (name, value) VALUES ('copy_unfinished', 'sqlite:`+path+`')`); err != nil {
			t.Fatal(err)
		}
		if _, err := store.Move(t.Context(), "sqlite:"+path, to, ignoreProgress); err != nil {
			t.Fatal(err)
		}
		wantGoesOn(t, openURL(t, to))
	})
}

// shops are the kinds of databases that a backup is made of, and restored to.
func shops() map[string]func(t *testing.T) string {
	return map[string]func(t *testing.T) string{
		"SQLite":     func(t *testing.T) string { t.Helper(); return "sqlite:" + filepath.Join(t.TempDir(), "restock.db") },
		"MariaDB":    mariaDBs().database,
		"PostgreSQL": postgreSQLs().database,
	}
}

// TestABackupIsOfOneMomentAndComesBackWithOrderingPaused, of every kind of
// database, while buyers buy and the factory is asked for more.
func TestABackupIsOfOneMomentAndComesBackWithOrderingPaused(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	for name, database := range shops() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			from := database(t)
			if name == "SQLite" {
				from = "sqlite:" + copyOf(t, shop)
			} else if _, err := store.Move(t.Context(), "sqlite:"+copyOf(t, shop), from, ignoreProgress); err != nil {
				t.Fatal(err)
			}
			s := openURL(t, from)
			backup := filepath.Join(t.TempDir(), "restock.db")
			whileBuying(t, s, func() {
				if err := store.BackUp(t.Context(), from, backup, ignoreProgress); err != nil {
					t.Error(err)
				}
			})
			unknown := orderOf(t, s, "B") // the backup does not know it
			for kind, other := range shops() {
				if kind != name && kind != "SQLite" && name != "SQLite" {
					continue // each way once is enough
				}
				t.Run("to "+kind, func(t *testing.T) { wantRestored(t, backup, other(t), unknown) })
			}
			wantClean(t, s)
		})
	}
}

func whileBuying(t *testing.T, s *store.Store, do func()) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	began, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for n := 0; ctx.Err() == nil; n++ {
			if _, err := s.Sell(context.WithoutCancel(ctx), []restock.Cart{cartOf("A"), cartOf("C", "B")}); err != nil {
				t.Error(err)
			}
			if n == 0 {
				close(began)
			}
		}
	}()
	<-began
	do()
	stop()
	<-ended
}

// orderOf places an order as the factory got it.
func orderOf(t *testing.T, s *store.Store, sku string) restock.Attempt {
	t.Helper()
	planFive(t, s, sku)
	for {
		attempt, err := s.ClaimAttempt(t.Context(), "test", time.Minute)
		if err != nil || attempt.OrderID.IsZero() {
			t.Fatalf("claimed %v, %v", attempt, err)
		}
		if attempt.SKU == restock.SKU(sku) {
			return attempt
		}
	}
}

func wantRestored(t *testing.T, backup, to string, unknown restock.Attempt) {
	t.Helper()
	act := restock.Act{By: "a person", Reason: "restored from the backup of today"}
	done, err := store.Restore(t.Context(), backup, to, act, ignoreProgress)
	if err != nil {
		t.Fatal(err)
	}
	if done.Broken() || done.Rows == 0 {
		t.Errorf("restored %+v", done)
	}
	if _, err := store.Restore(t.Context(), backup, to, act, ignoreProgress); restock.KindOf(err) != restock.Conflict {
		t.Errorf("restoring over it: %v", err)
	}
	s := openURL(t, to)
	state, err := s.OrderingSwitch(t.Context())
	if err != nil || state.Paused != act.Reason {
		t.Errorf("ordering is paused for %q, %v; want %q", state.Paused, err, act.Reason)
	}
	planFive(t, s, "C")
	if attempt, err := s.ClaimAttempt(t.Context(), "test", time.Minute); err != nil || !attempt.OrderID.IsZero() {
		t.Errorf("claimed %+v, %v although ordering is paused", attempt, err)
	}
	// The factory delivers what the backup does not know: it is kept, and nothing is booked by itself.
	before := stockOf(t, s, string(unknown.SKU))
	r, err := s.Receive(t.Context(), restock.Callback{OrderID: unknown.OrderID, Attempt: unknown.Number, Count: 5, Claimed: "5", Body: []byte("five")},
		func(restock.Evidence) restock.Verdict {
			return restock.Verdict{State: restock.ReceiptApplied, Apply: 5}
		})
	if err != nil || r.State != restock.ReceiptHeld {
		t.Errorf("the callback of an order that the backup does not know: %+v, %v; want it held", r, err)
	}
	if got := stockOf(t, s, string(unknown.SKU)); got != before {
		t.Errorf("on hand %d, want %d", got, before)
	}
	if err := s.ResumeOrdering(t.Context(), "", act); err != nil {
		t.Fatal(err)
	}
	if attempt, err := s.ClaimAttempt(t.Context(), "test", time.Minute); err != nil || attempt.OrderID.IsZero() {
		t.Errorf("claimed %+v, %v after ordering was resumed", attempt, err)
	}
	entries, _, err := s.Audit(t.Context(), restock.ListQuery{Limit: 5})
	if err != nil || !slices.ContainsFunc(entries, func(e restock.AuditEntry) bool { return e.Action == "database.restore" && e.Reason == act.Reason }) {
		t.Errorf("what people decided: %+v, %v", entries, err)
	}
	wantGoesOn(t, s)
}

// planFive plans an order that is placed at once.
func planFive(t *testing.T, s *store.Store, sku string) {
	t.Helper()
	if _, err := s.PlanByHand(t.Context(), restock.ManualOrder{Product: sku, Quantity: 5, By: "test", Reason: "more"}, restock.Key{},
		func(restock.Situation) restock.Decision {
			return restock.Decision{Order: true, Quantity: 5, Reason: "by hand"}
		}); err != nil {
		t.Fatal(err)
	}
}

// TestAnOldBackupIsBroughtUpToDateAndStaysAsItIs.
func TestAnOldBackupIsBroughtUpToDateAndStaysAsItIs(t *testing.T) {
	t.Parallel()
	backup := copyOf(t, filepath.Join("testdata", "schema-4.db"))
	before, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	for name, database := range shops() {
		t.Run(name, func(t *testing.T) {
			if _, err := store.Restore(t.Context(), backup, database(t), restock.Act{By: "test", Reason: "old"}, ignoreProgress); err != nil {
				t.Fatal(err)
			}
		})
	}
	after, err := os.ReadFile(backup)
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(before, after) {
		t.Error("the backup was changed")
	}
}

// TestAPartOfAShopIsNotBackedUp, nor restored: its copy would pass for a whole one.
func TestAPartOfAShopIsNotBackedUp(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	refused := func(t *testing.T, err error) {
		t.Helper()
		if restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), "only a part of sqlite:") || !strings.Contains(err.Error(), "repeat the") {
			t.Errorf("%v, want a conflict that says what to do", err)
		}
	}
	onServers(t, func(t *testing.T, d *serverDatabases) {
		to, folder := d.database(t), t.TempDir()
		ctx, stop := context.WithCancel(t.Context())
		if _, err := store.Restore(ctx, copyOf(t, shop), to, restock.Act{By: "test", Reason: "test"}, func(int, int64) { stop() }); err == nil || restock.KindOf(err) == restock.Conflict {
			t.Fatalf("it was not interrupted: %v", err)
		}
		refused(t, store.BackUp(t.Context(), to, filepath.Join(folder, "restock.db"), ignoreProgress))
		if left, err := os.ReadDir(folder); err != nil || len(left) > 0 {
			t.Errorf("%v is left, %v", left, err)
		}
	})
	part := copyOf(t, shop)
	raw := openRaw(t, part)
	_, err := raw.ExecContext(t.Context(), `INSERT INTO settings (name, value) VALUES ('copy_unfinished', 'sqlite:elsewhere')`)
	if err := errors.Join(err, raw.Close()); err != nil {
		t.Fatal(err)
	}
	refused(t, store.BackUp(t.Context(), "sqlite:"+part, filepath.Join(t.TempDir(), "restock.db"), ignoreProgress))
	_, err = store.Restore(t.Context(), part, "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), restock.Act{By: "test", Reason: "test"}, ignoreProgress)
	refused(t, err)
}

// leftLog gives a log with sales, as a process leaves it that was killed.
func leftLog(t *testing.T, shop string) []byte {
	t.Helper()
	path := copyOf(t, shop)
	s := openAt(t, path, store.Config{})
	for range 20 {
		if _, err := s.Sell(t.Context(), []restock.Cart{cartOf("A", "B", "C")}); err != nil {
			t.Fatal(err)
		}
	}
	log, err := os.ReadFile(path + "-wal")
	if err != nil || len(log) == 0 {
		t.Fatalf("a log of %d bytes, %v", len(log), err)
	}
	return log
}

// TestARestoreBesideWhatAnotherDatabaseLeftIsRefused: SQLite would take it for
// changes of the one that is restored.
func TestARestoreBesideWhatAnotherDatabaseLeftIsRefused(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	left := leftLog(t, shop)
	for _, suffix := range []string{"-wal", "-shm", "-journal"} {
		t.Run(suffix, func(t *testing.T) {
			t.Parallel()
			backup, to := copyOf(t, shop), filepath.Join(t.TempDir(), "restock.db")
			restoreTo := func() error {
				_, err := store.Restore(t.Context(), backup, "sqlite:"+to, restock.Act{By: "test", Reason: "test"}, ignoreProgress)
				return err
			}
			for _, beside := range []string{to, backup} {
				if err := os.WriteFile(beside+suffix, left, 0o600); err != nil {
					t.Fatal(err)
				}
				if err := restoreTo(); restock.KindOf(err) != restock.Conflict || !strings.Contains(err.Error(), beside+suffix) {
					t.Errorf("with %s: %v", beside+suffix, err)
				}
				if text, err := os.ReadFile(beside + suffix); err != nil || !slices.Equal(text, left) {
					t.Errorf("%s is not what it was: %v", beside+suffix, err)
				}
				if err := os.Rename(beside+suffix, beside+suffix+".away"); err != nil { // as the error says
					t.Fatal(err)
				}
			}
			if err := restoreTo(); err != nil {
				t.Fatal(err)
			}
			wantGoesOn(t, openAt(t, to, store.Config{}))
		})
	}
}

// TestAFinishedFileIsNeverPutOverAnother that appeared while it was made.
func TestAFinishedFileIsNeverPutOverAnother(t *testing.T) {
	t.Parallel()
	for _, appeared := range []string{"", "-wal", "-shm", "-journal"} {
		folder := t.TempDir()
		from, to := filepath.Join(folder, "finished"), filepath.Join(folder, "restock.db")
		for path, text := range map[string]string{from: "finished", to + appeared: "theirs"} {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := store.SettleFile(from, to); restock.KindOf(err) != restock.Conflict {
			t.Errorf("beside restock.db%s: %v", appeared, err)
		}
		if text, err := os.ReadFile(to + appeared); err != nil || string(text) != "theirs" {
			t.Errorf("restock.db%s has %q now, %v", appeared, text, err)
		}
		if err := os.Rename(to+appeared, from+"-wal"); err != nil {
			t.Fatal(err)
		}
		if err := store.SettleFile(from, to); err == nil || !strings.Contains(err.Error(), "is still there") {
			t.Errorf("a file without a part of it: %v", err)
		}
		if err := os.Remove(from + "-wal"); err != nil {
			t.Fatal(err)
		}
		if err := store.SettleFile(from, to); err != nil {
			t.Error(err)
		}
		if entries, err := os.ReadDir(folder); err != nil || len(entries) != 1 || entries[0].Name() != "restock.db" {
			t.Errorf("in the folder are %v, %v", entries, err)
		}
	}
}

// TestABackupThatIsInterruptedLeavesNothing that looks like one.
func TestABackupThatIsInterruptedLeavesNothing(t *testing.T) {
	t.Parallel()
	shop := closedShop(t)
	onServers(t, func(t *testing.T, d *serverDatabases) {
		from := d.database(t)
		if _, err := store.Move(t.Context(), "sqlite:"+copyOf(t, shop), from, ignoreProgress); err != nil {
			t.Fatal(err)
		}
		backup := filepath.Join(t.TempDir(), "restock.db")
		ctx, stop := context.WithCancel(t.Context())
		if err := store.BackUp(ctx, from, backup, func(int, int64) { stop() }); err == nil {
			t.Fatal("it was not interrupted")
		}
		if _, err := os.Stat(backup); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is something: %v", err)
		}
		if err := store.BackUp(t.Context(), from, backup, ignoreProgress); err != nil {
			t.Fatal(err)
		}
	})
}

// fillShop fills a file as the service would have, without its durability.
func fillShop(t *testing.T, path string, products int) {
	t.Helper()
	if err := openAt(t, path, store.Config{}).Close(); err != nil {
		t.Fatal(err)
	}
	db := openRaw(t, path)
	db.SetMaxOpenConns(1)
	const id = `CAST(printf('%016d', i) AS BLOB)`
	numbers := `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ` + strconv.Itoa(products) + `) `
	for _, query := range []string{
		`PRAGMA synchronous = off`, `PRAGMA cache_size = -200000`,
		numbers + `INSERT INTO products (id, sku, slug, name, price, unit_cost, currency, opening_stock, on_hand, ordering,
			reorder_point, order_quantity, order_up_to, minimum_order, pack_size, maximum_stock, max_per_purchase, resume_level,
			open_orders_max, created_at)
			SELECT ` + id + `, 'SKU-' || i, 'sku-' || i, '도너츠 ' || i, 1000, 500, 'KRW', 100, 99, 'off', 0, 0, 0, 1, 1, 0, 100, 1, 1, 1 FROM n`,
		`INSERT INTO product_words (word, product_id) SELECT lower(sku), id FROM products`,
		numbers + `INSERT INTO sale_lines (sale_id, line, product_id, quantity, unit_price, currency, remaining, reference, sold_at)
			SELECT ` + id + `, 0, ` + id + `, 1, 1000, 'KRW', 99, 'order-' || i, 1000000 + i FROM n`,
		`INSERT INTO movements (product_id, kind, quantity, on_hand_after, at) SELECT id, 'opening', 100, 100, 1 FROM products`,
		`INSERT INTO movements (product_id, kind, quantity, on_hand_after, at) SELECT id, 'sale', -1, 99, 2 FROM products`,
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// largeShop is how many products and sales a large shop has that moves. The race
// detector sees a small one, beside the large one without it.
func largeShop(t *testing.T) int {
	t.Helper()
	const soak, full, tenth = 1_000_000, 20_000, 1000
	switch {
	case os.Getenv("RESTOCK_TEST_SOAK") == "1":
		return soak
	case os.Getenv("RESTOCK_TEST_FULL") != "1":
	case blackbox.RaceDetector:
		blackbox.RunWithoutRaceDetector(t)
	default:
		return full
	}
	return tenth
}

// TestALargeShopMoves, and both sides keep their promises. make soak moves a
// million products and a million sales.
func TestALargeShopMoves(t *testing.T) {
	t.Parallel()
	shop, size := filepath.Join(t.TempDir(), "restock.db"), largeShop(t)
	fillShop(t, shop, size)
	for name, d := range map[string]*serverDatabases{"MariaDB": mariaDBs(), "PostgreSQL": postgreSQLs()} {
		t.Run(name, func(t *testing.T) {
			path, to := copyOf(t, shop), d.database(t)
			start := time.Now()
			done, err := store.Move(t.Context(), "sqlite:"+path, to, ignoreProgress)
			if err != nil {
				t.Fatal(err)
			}
			if done.Broken() || done.Rows < int64(5*size) {
				t.Errorf("moved %+v", done)
			}
			t.Logf("%d products and sales in %d rows of %d tables, compared and verified, in %s", size, done.Rows, done.Tables, time.Since(start).Round(time.Second))
			outcomes, err := openURL(t, to).Sell(t.Context(), []restock.Cart{cartOf("SKU-500")})
			if err != nil || outcomes[0].Err != nil {
				t.Error(err, outcomes)
			}
		})
	}
}
