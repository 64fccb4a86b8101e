package dashboard_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// fill makes the rows of a shop with n products and ten times as many
// movements, half of them of one product: as the store would have made them,
// without its durability.
func fill(t testing.TB, path string, n int) {
	t.Helper()
	db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=foreign_keys(off)&_pragma=cache_size(-200000)")
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	now := time.Now().UnixMicro()
	// Ids are in the order of time, as they are in the store.
	const id, of = `CAST(printf('%016d', i) AS BLOB)`, `CAST(printf('%016d', 1 + i % $n) AS BLOB)`
	const week = 7 * 24 * 3600 * 1_000_000
	// Of all else there is enough for a full list in the smallest shop, too; what
	// waits on queues does not grow with a shop.
	const enough = 1600
	for _, query := range []string{
		`INSERT INTO factories (id, identifier, name, manager_email, language, url, requester, lead_time, max_in_flight, rate_per_second)
			VALUES (CAST('factory-00000001' AS BLOB), 'FF-1', 'Busan works', '', 'ko', 'http://127.0.0.1:4000/', 'Kim', 1, 1, 1)`,
		`INSERT INTO advertisements (id, name, manager_email, language) VALUES (CAST('advert-000000001' AS BLOB), 'main', 'ads@donut.example', 'ko')`,
		`INSERT INTO products (id, sku, slug, name, price, unit_cost, currency, factory_id, advertisement_id, opening_stock, on_hand, reserved, on_order,
				ordering, reorder_point, order_quantity, order_up_to, minimum_order, pack_size, maximum_stock, max_per_purchase, resume_level,
				open_orders_max, created_at, urgency)
			SELECT ` + id + `, printf('SKU-%06d', i), printf('sku-%06d', i), 'Donut ' || i, 1000, 500, 'KRW', CAST('factory-00000001' AS BLOB),
				CAST('advert-000000001' AS BLOB), 100,
				CASE i % 10 WHEN 0 THEN 0 WHEN 1 THEN 2 WHEN 2 THEN 8 ELSE 100 END, 0, CASE i % 10 WHEN 0 THEN 20 WHEN 2 THEN 20 ELSE 0 END,
				'auto', 10, 20, 0, 1, 1, 0, 100, 1, 1, 1, CASE i % 10 WHEN 0 THEN 0 WHEN 1 THEN 1 WHEN 2 THEN 2 ELSE 3 END FROM n`,
		`INSERT INTO product_words (word, product_id) SELECT 'donut', ` + id + ` FROM n
			UNION ALL SELECT 'sku', ` + id + ` FROM n UNION ALL SELECT printf('%06d', i), ` + id + ` FROM n`,
		`INSERT INTO movements (product_id, kind, quantity, on_hand_after, at)
			SELECT CASE WHEN i % 2 = 0 THEN CAST(printf('%016d', 2) AS BLOB) ELSE ` + of + ` END, 'sale', -1, i % 100, $now - $week + i * ($week / (10 * $n)) FROM m`,
		`INSERT INTO stockouts (id, product_id, opened_at, closed_at) SELECT ` + id + `, ` + of + `, $now - 1000000, $now FROM e`,
		`INSERT INTO stockouts (id, product_id, opened_at, closed_at) SELECT CAST(printf('x%015d', i) AS BLOB), CAST(printf('%016d', 2) AS BLOB),
			$now - 1000000, $now FROM e`,
		`INSERT INTO replenishment_orders (id, product_id, factory_id, state, slot, quantity, received, outstanding, unit_cost, attempts, reason,
				created_at, due_at, expected_at)
			SELECT ` + id + `, ` + of + `, CAST('factory-00000001' AS BLOB),
				CASE WHEN i % 10 IN (0, 2) THEN CASE i % 30 WHEN 0 THEN 'awaiting_approval' WHEN 2 THEN 'held' ELSE 'accepted' END ELSE 'received' END,
				CASE WHEN i % 10 IN (0, 2) THEN i END, 20, 20, CASE WHEN i % 10 IN (0, 2) THEN 20 ELSE 0 END, 500, 1, 'low', $now, $now, $now FROM e`,
		`INSERT INTO order_attempts (order_id, number, state, quantity, received, sku, slug, factory_id, factory, requester, owner, lease_until, sent_at)
			SELECT ` + id + `, 1, 'accepted', 20, 0, 'S', 's', CAST('factory-00000001' AS BLOB), 'FF-1', 'Kim', '', 0, $now FROM e`,
		`INSERT INTO receipts (id, order_id, attempt, product_id, state, claimed, applied, held, late, reason, body_hash, body, repeat, remote, created_at)
			SELECT ` + id + `, ` + id + `, 1, ` + of + `, CASE i % 7 WHEN 0 THEN 'held' ELSE 'applied' END, '20', 20, CASE i % 11 WHEN 0 THEN 1 ELSE 0 END,
				0, 'too many', CAST('hash' AS BLOB), CAST('{}' AS BLOB), 0, '192.0.2.1', $now FROM e`,
		`INSERT INTO decisions (id, product_id, ordered, quantity, approval, reason, on_hand, reserved, on_order, reorder_point, count, first_at, last_at)
			SELECT ` + id + `, ` + of + `, 1, 20, 0, 'low', 1, 0, 0, 10, 1, $now, $now FROM e`,
		`INSERT INTO ad_holds (id, stockout_id, product_id, advertisement_id, state, slot, created_at)
			SELECT ` + id + `, ` + id + `, ` + of + `, CAST('advert-000000001' AS BLOB), CASE i WHEN 9 THEN 'stopped' ELSE 'resumed' END,
				CASE i WHEN 9 THEN 1 END, $now FROM e`,
		`INSERT INTO ad_mails (hold_id, kind, due_at, facts, tries, tried_at, unsure, sent_at) SELECT ` + id + `, 'stop', $now, '', 1, $now, 0, $now FROM e`,
		`INSERT INTO digests (id, created_at, mailing_until, sent_at) SELECT ` + id + `, $now, 0, $now FROM e`,
		`INSERT INTO audit (id, at, actor, action, subject, product_id, reason) SELECT ` + id + `, $now, 'Kim', 'order.approve', 'x', ` + of + `, 'because' FROM e`,
		`INSERT INTO queue_messages (id, type, subject, trace_parent, body, created_at)
			SELECT ` + id + `, 'stock.low', printf('SKU-%06d', i), '', CAST('{"version":1}' AS BLOB), $now FROM e`,
		`INSERT INTO queue_deliveries (message_id, queue, state, visible_at, dead_at, last_error)
			SELECT ` + id + `, 'stock-queue', CASE WHEN i <= 1600 AND i % 20 = 0 THEN 'dead' WHEN i <= 1600 AND i % 20 = 1 THEN 'waiting' ELSE 'done' END, $now,
				CASE WHEN i <= 1600 AND i % 20 = 0 THEN $now + i END, 'it failed' FROM e`,
		`INSERT INTO queue_totals (queue, published) VALUES ('stock-queue', $n)`,
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		query = strings.NewReplacer("$now", fmt.Sprint(now), "$n", fmt.Sprint(n), "$week", fmt.Sprint(int64(week))).Replace(query)
		if strings.HasPrefix(query, "INSERT") {
			head, rest, _ := strings.Cut(query, "SELECT ")
			if rest != "" {
				query = head + fmt.Sprintf(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d),
					m (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM m WHERE i < %d),
					e (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM e WHERE i < %d) SELECT `, n, 10*n, n+enough) + rest
			}
		}
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatalf("%s: %v", query, err)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}

// large opens a site with so many products, and gives its file.
func large(t testing.TB, n int) (*site, string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restock.db")
	empty, err := emptyFile()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	fill(t, path, n)
	watching().want(path)
	s := reopenStore(t, path)
	return serve(t, s, unverified{deskStore{s}}, nil), path
}

// unverified is a store that nobody checks: that reads everything, beside the
// pages that are measured here.
type unverified struct{ deskStore }

func (unverified) Verify(context.Context) ([]restock.Check, error) { return nil, nil }

// statement is one that a page ran.
type statement struct {
	sql   string
	steps int // of SQLite's machine
}

// watch records the statements that run on database files.
type watch struct {
	mu    sync.Mutex
	files map[string][]statement
}

// watching has every connection to a file that is wanted tell what it ran.
var watching = sync.OnceValue(func() *watch {
	w := &watch{files: map[string][]statement{}}
	sqlite3.AutoExtension(func(c *sqlite3.Conn) error {
		path := c.Filename("main").String()
		if !w.wanted(path) {
			return nil
		}
		return c.Trace(sqlite3.TRACE_PROFILE, func(_ sqlite3.TraceEvent, ran, _ any) error {
			if stmt, ok := ran.(*sqlite3.Stmt); ok {
				w.add(path, statement{stmt.SQL(), stmt.Status(sqlite3.STMTSTATUS_VM_STEP, true)})
			}
			return nil
		})
	})
	return w
})

func (w *watch) want(path string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = nil
}

func (w *watch) wanted(path string) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	_, ok := w.files[path]
	return ok
}

func (w *watch) add(path string, s statement) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.files[path] = append(w.files[path], s)
}

// took gives what ran since it was last asked.
func (w *watch) took(path string) []statement {
	w.mu.Lock()
	defer w.mu.Unlock()
	all := w.files[path]
	w.files[path] = nil
	return all
}

// largePages are pages of a shop that fill makes.
func largePages() []string {
	return []string{
		"/dashboard", "/dashboard?only=healthy", "/dashboard?after=3.SKU-000010", "/dashboard?q=donut", "/dashboard?q=sku+donut+000073",
		"/dashboard?q=nothing", "/dashboard/products/SKU-000002", busyHour, busyHistory,
		"/dashboard/products/SKU-000011", "/dashboard/waiting", "/dashboard/orders", "/dashboard/orders?state=held", "/dashboard/orders?state=received",
		"/dashboard/receipts/" + rowID(30), "/dashboard/queues", "/dashboard/mail", "/dashboard/audit", "/dashboard/orders/" + rowID(30),
		"/dashboard/dead-letters/" + rowID(20) + "?queue=stock-queue",
	}
}

// Of one product: in a small shop an hour has few changes, which are all drawn; in
// a large one it has as many as the whole history.
const (
	busyHour    = "/dashboard/products/SKU-000002?span=1h"
	busyHistory = "/dashboard/products/SKU-000002?span=all"
)

// rowID is the id of the row with a number, in any table that fill makes.
func rowID(n int) string {
	var id restock.ReceiptID
	copy(id[:], fmt.Sprintf("%016d", n))
	return id.String()
}

// stepsOf counts the steps of the database's machine for each page, and for
// what all pages count, in a shop of n products.
func stepsOf(t *testing.T, n int) map[string]int {
	t.Helper()
	site, path := large(t, n)
	b := site.operator()
	steps := map[string]int{}
	counting := map[string]bool{} // statements that may run with any page, when a second is over
	look := func(address, name string) {
		watching().took(path)
		if got := b.get(address); got.status != http.StatusOK {
			t.Fatalf("%s was answered %d: %s", address, got.status, text(got.body))
		}
		for _, s := range watching().took(path) {
			if name == countsOfAll {
				counting[s.sql] = true
			} else if counting[s.sql] {
				continue
			}
			steps[name] += s.steps
		}
	}
	site.clock.advance(2 * time.Second)
	look("/dashboard/checks", countsOfAll)
	for _, address := range largePages() {
		look(address, address)
	}
	watching().took(path)
	if _, err := site.store.Levels(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, s := range watching().took(path) {
		steps[levelsOfAll] += s.steps
	}
	return steps
}

// levelsOfAll is what a scrape of the metrics reads: the counts, and a little more.
const levelsOfAll = "the levels that machines watch"

const countsOfAll = "what every page counts, once a second"

// TestAPageLooksAtNoMoreInALargeShop counts the steps of the database's machine:
// they are the same on every computer, however busy it is.
func TestAPageLooksAtNoMoreInALargeShop(t *testing.T) {
	t.Parallel()
	const (
		small = 100
		// The counts stop at a bound that a small shop does not reach.
		countsMax = 60_000
	)
	many := 6000
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		if blackbox.RaceDetector {
			blackbox.RunWithoutRaceDetector(t)
		} else {
			many = 100_000
		}
	}
	few, lots := stepsOf(t, small), stepsOf(t, many)
	for name, n := range few {
		t.Logf("%-80s %6d steps with %d products, %6d with %d", name, n, small, lots[name], many)
		switch {
		case (name == countsOfAll || name == levelsOfAll) && lots[name] <= countsMax:
		case name == busyHour && lots[name] <= 2*few[busyHistory]:
		case n == 0 || lots[name] > 2*n:
			t.Errorf("%s takes %d steps with %d products, and %d with %d", name, n, small, lots[name], many)
		}
	}
}

// few are tables that do not grow with the shop; of factories, f, there are some.
var few = regexp.MustCompile(`^SCAN (queue_totals|settings|f)( |$)`)

// bounded are inner queries that end with a LIMIT.
var bounded = regexp.MustCompile(`^SCAN (counted|w|dead|picked)$`)

// TestNoPageScansATable asks SQLite how it finds the rows of each statement that
// a page runs.
func TestNoPageScansATable(t *testing.T) {
	t.Parallel()
	site, path := large(t, 2000)
	b := site.operator()
	db, err := sql.Open("sqlite3", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	explained := map[string]bool{}
	for _, address := range append(largePages(), levelsOfAll) {
		watching().took(path)
		if address == levelsOfAll {
			if _, err := site.store.Levels(t.Context()); err != nil {
				t.Fatal(err)
			}
		} else {
			b.get(address)
		}
		for _, s := range watching().took(path) {
			if explained[s.sql] || !strings.Contains(s.sql, "SELECT") {
				continue
			}
			explained[s.sql] = true
			for _, line := range plan(t, db, s.sql) {
				if strings.HasPrefix(line, "SCAN") && !few.MatchString(line) && !bounded.MatchString(line) {
					t.Errorf("%s: %s\n%s", address, line, s.sql)
				}
			}
		}
	}
	if len(explained) < 30 {
		t.Errorf("only %d statements were seen", len(explained))
	}
	if lines := plan(t, db, `SELECT sku FROM products WHERE name = ?`); !slices.ContainsFunc(lines, func(line string) bool {
		return strings.HasPrefix(line, "SCAN products")
	}) {
		t.Errorf("a scan looks like %q", lines) // else this test sees none
	}
}

// plan is how SQLite finds the rows of a query.
func plan(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, make([]any, strings.Count(query, "?"))...)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var lines []string
	for rows.Next() {
		var id, parent, unused int
		var line string
		if err := rows.Scan(&id, &parent, &unused, &line); err != nil {
			t.Fatal(err)
		}
		lines = append(lines, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lines
}
