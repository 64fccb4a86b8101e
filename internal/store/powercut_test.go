package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
)

// The files of the databases that lose power.
const (
	dbName  = "restock.db"
	logName = dbName + "-wal"
)

// outage is how much is tried: the turns of each worker, and the power cuts at
// moments of what they did. At first the store makes its checkpoints
// when the log is full, and in the last third one turn of so many makes one
// too. One cut of so many is followed by a restart of the store itself; plain
// SQL judges all.
type outage struct {
	turns, cuts, checkpoint, restart int

	fills bool // the disk is full now and then
}

// planned has the race detector see a short outage, and the counts in full run
// beside it without.
func planned(t *testing.T) outage {
	t.Helper()
	if blackbox.RaceDetector && os.Getenv("RESTOCK_TEST_SEED") == "" {
		blackbox.RunWithoutRaceDetector(t)
		return outage{turns: 50, cuts: 40, checkpoint: 15, restart: 10}
	}
	if os.Getenv("RESTOCK_TEST_SOAK") == "1" {
		return outage{turns: 150, cuts: 3000, checkpoint: 25, restart: 1}
	}
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		return outage{turns: 100, cuts: 800, checkpoint: 20, restart: 10}
	}
	return outage{turns: 50, cuts: 150, checkpoint: 15, restart: 10}
}

// seedOf gives the seed of a test's random choices: a fresh one, or that of an
// earlier run. What the goroutines of a recording do at the same time is
// another matter.
func seedOf(t *testing.T) uint64 {
	t.Helper()
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("RESTOCK_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RESTOCK_TEST_SEED: %v", err)
		}
	}
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", seed)
	return seed
}

// TestPowerCutLosesNothingAnswered cuts the power at random moments of a busy
// shop. What was synced is there, and of what was not, some is: torn, and in
// any order. The shop opens again, and everything that was answered is in it.
func TestPowerCutLosesNothingAnswered(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	o := planned(t)
	r := recordBusy(t, seed, o)
	for _, complaint := range r.cutPower(t, seed, o) {
		t.Error(complaint)
	}
}

// TestPowerCutOfADiskThatFillsUpLosesNothingAnswered lets the disk be full every
// now and then, in the middle of a write; who is refused then was promised
// nothing.
func TestPowerCutOfADiskThatFillsUpLosesNothingAnswered(t *testing.T) {
	t.Parallel()
	seed := seedOf(t)
	o := planned(t)
	o.cuts, o.fills = o.cuts/5, true
	r := record(t, seed, o, faults{})
	if r.refused == 0 {
		t.Error("nobody noticed that the disk was full")
	}
	for _, complaint := range r.cutPower(t, seed, o) {
		t.Error(complaint)
	}
}

// TestPowerCutFindsADiskThatLies is the control: the same judge has to notice
// when the store answers without a sync, and when checkpoints do.
func TestPowerCutFindsADiskThatLies(t *testing.T) {
	t.Parallel()
	for name, lies := range map[string]faults{
		"nothing is synced before it is answered": {unheard: []string{"-wal"}},
		"nothing is synced by a checkpoint":       {unheard: []string{".db"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const triesMax = 3 // it is a matter of luck where the power is cut
			seed := seedOf(t)
			o := outage{turns: 20, cuts: 30, checkpoint: 10, restart: 5}
			for n := range uint64(triesMax) {
				found := record(t, seed+n, o, lies).cutPower(t, seed+n, o)
				if slices.ContainsFunc(found, func(c string) bool { return strings.HasPrefix(c, "I3 ") }) {
					return
				}
				t.Logf("with seed %d the judge saw nothing of it: %q", seed+n, found)
			}
			t.Error("the judge saw nothing of it")
		})
	}
}

// recording is what a disk saw of a busy shop, from the files that it began
// with until it closed.
type recording struct {
	base    map[string][]byte
	log     []event
	refused int64 // acts that the disk did not take
}

// record opens a shop on a disk and lets everybody work at once.
func record(t *testing.T, seed uint64, o outage, f faults) recording {
	t.Helper()
	path := filepath.Join(t.TempDir(), dbName)
	stocked(t, path)
	d := newDisk(t, f)
	s := openAt(t, path, store.Config{VFS: d.name, Sync: d.Sync})
	r := recording{base: files(t, path)}
	d.forget()
	r.refused = work(t, s, d, path, seed, o)
	d.suffer(f)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	r.log = d.events()
	return r
}

// files reads a database that was just opened, which made all of it durable.
func files(t *testing.T, path string) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for _, name := range []string{dbName, logName} {
		content, err := os.ReadFile(filepath.Join(filepath.Dir(path), name))
		if err != nil {
			t.Fatal(err)
		}
		all[name] = content
	}
	return all
}

// openingStock is how much of everything there is at first.
const openingStock = 150

// stocked makes a database of products that sell out and are ordered again.
func stocked(t *testing.T, path string) {
	t.Helper()
	s := openAt(t, path, store.Config{})
	c := restock.Catalog{Factories: []restock.CatalogFactory{{
		Identifier: "F", URL: "http://127.0.0.1:4000/api/manufactures", Requester: "김재고", MaxInFlight: 1000, RatePerSecond: 1_000_000,
	}}}
	for _, sku := range skus() {
		c.Products = append(c.Products, restock.CatalogProduct{
			SKU: sku, Name: string(sku), Price: 100, OpeningStock: openingStock, Factory: "F", OrderQuantity: 60, ReorderPoint: 30,
		})
	}
	c.Fill()
	if _, err := s.ApplyCatalog(t.Context(), c, store.CreateMissing); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

func skus() []restock.SKU { return []restock.SKU{"A", "B", "C", "D"} }

// worker is somebody in the shop. Whatever is answered is noted on the disk.
type worker struct {
	t     *testing.T
	s     *store.Store
	disk  *disk
	other *sql.DB
	dice  *rand.Rand
	name  string
	keys  []restock.Key
	turn  int

	refused *atomic.Int64
	fills   bool
}

// work lets tills sell, shelves reserve and a replenisher order and receive,
// while other connections make checkpoints. It gives how many acts the disk
// did not take.
func work(t *testing.T, s *store.Store, d *disk, path string, seed uint64, o outage) int64 {
	t.Helper()
	var refused atomic.Int64
	other := connect(t, path, d.name)
	var everybody sync.WaitGroup
	hire := func(number int, act func(*worker)) {
		w := &worker{
			t: t, s: s, disk: d, other: other, dice: rand.New(rand.NewPCG(seed, uint64(number))), name: strconv.Itoa(number),
			refused: &refused, fills: o.fills,
		}
		everybody.Go(func() {
			for range o.turns {
				w.turn++
				if w.fills {
					w.fill()
				}
				act(w)
				if w.turn > o.turns*2/3 && w.dice.IntN(o.checkpoint) == 0 {
					w.checkpoint()
				}
			}
		})
	}
	for i := range 6 {
		hire(i, (*worker).sell)
	}
	hire(10, (*worker).reserve)
	hire(11, (*worker).reserve)
	hire(12, (*worker).replenish)
	everybody.Wait()
	if err := other.Close(); err != nil { // so that the store is the last to leave
		t.Error(err)
	}
	return refused.Load()
}

// did notes an act that was answered. Only a disk that fills up may refuse one;
// that there is not enough is an answer too.
func (w *worker) did(err error, format string, args ...any) bool {
	switch {
	case err == nil:
		w.disk.answer(fmt.Sprintf(format, args...))
	case restock.KindOf(err) == restock.OutOfStock:
	case w.fills && restock.KindOf(err) == restock.Unavailable:
		w.refused.Add(1)
	default:
		w.t.Error(err)
	}
	return err == nil
}

// fill lets the disk be full, or empties it, or leaves it as it is.
func (w *worker) fill() {
	switch w.dice.IntN(10) {
	case 0:
		w.disk.suffer(faults{full: true, room: w.dice.Int64N(100_000)})
	case 1, 2:
		w.disk.suffer(faults{})
	}
}

// checkpoint empties the log, sooner than it is full.
func (w *worker) checkpoint() {
	mode := []string{"PASSIVE", "PASSIVE", "PASSIVE", "TRUNCATE"}[w.dice.IntN(4)]
	// What it answers is of no interest: nothing depends on it.
	_, _ = w.other.ExecContext(w.t.Context(), `PRAGMA wal_checkpoint(`+mode+`)`)
}

func (w *worker) cart() restock.Cart {
	c := restock.Cart{Reference: strings.Repeat("r", w.dice.IntN(100))}
	for range 1 + w.dice.IntN(3) {
		all := skus()
		c.Lines = append(c.Lines, restock.Line{Product: string(all[w.dice.IntN(len(all))]), Quantity: 1 + w.dice.Int64N(2)})
	}
	return c
}

// sell serves a few buyers, some under a key, and some under one they used
// before.
func (w *worker) sell() {
	carts := make([]restock.Cart, 1+w.dice.IntN(3))
	for i := range carts {
		carts[i] = w.cart()
	}
	switch w.dice.IntN(3) {
	case 0:
		w.keys = append(w.keys, restock.Key{Name: "checkout " + w.name + "-" + strconv.Itoa(w.turn)})
		carts[0].Key = w.keys[len(w.keys)-1]
	case 1:
		if len(w.keys) > 0 {
			carts[0].Key = w.keys[w.dice.IntN(len(w.keys))]
		}
	}
	outcomes, err := w.s.Sell(w.t.Context(), carts)
	if err != nil {
		w.did(err, "")
		return
	}
	for _, o := range outcomes {
		w.did(o.Err, "sale %X", o.Sale.ID[:])
	}
}

// reserve holds pieces and then sells them, gives them back, or leaves them.
func (w *worker) reserve() {
	r, err := w.s.Reserve(w.t.Context(), w.cart(), time.Hour)
	if !w.did(err, "reservation %X", r.ID[:]) {
		return
	}
	switch w.dice.IntN(3) {
	case 0:
		sale, err := w.s.ConfirmReservation(w.t.Context(), r.ID)
		if w.did(err, "confirmed %X", r.ID[:]) {
			w.did(nil, "sale %X", sale.ID[:])
		}
	case 1:
		_, err := w.s.ReleaseReservation(w.t.Context(), r.ID)
		w.did(err, "released %X", r.ID[:])
	}
}

// replenish orders a product, and takes in what comes in two parts.
func (w *worker) replenish() {
	ctx := w.t.Context()
	all := skus()
	p, err := w.s.Product(ctx, string(all[w.turn%len(all)]))
	if err != nil {
		w.t.Error(err)
		return
	}
	d, err := w.s.Plan(ctx, p.ID, func(s restock.Situation) restock.Decision {
		return restock.Decision{Order: len(s.OpenOrders) == 0, Quantity: 60, Reason: "it is time"}
	})
	if err != nil || d.Order {
		w.did(err, "order %X", d.OrderID[:])
	}
	a, err := w.s.ClaimAttempt(ctx, "worker", time.Minute)
	if err == nil && a.OrderID.IsZero() || !w.did(err, "attempt %d of %X", a.Number, a.OrderID[:]) {
		return
	}
	err = w.s.SettleAttempt(ctx, a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: 201}, DueAt: a.SentAt.Add(time.Hour),
	})
	w.did(err, "answer to %d of %X", a.Number, a.OrderID[:])
	w.receive(a, 20)
	w.receive(a, 40)
}

func (w *worker) receive(a restock.Attempt, count int64) {
	body := strconv.FormatInt(count, 10) + " came"
	c := restock.Callback{OrderID: a.OrderID, Attempt: a.Number, Count: count, Claimed: body, Body: []byte(body)}
	copy(c.Hash[:], body)
	r, err := w.s.Receive(w.t.Context(), c, func(e restock.Evidence) restock.Verdict {
		return restock.Verdict{State: restock.ReceiptApplied, Apply: e.Callback.Count}
	})
	w.did(err, "receipt %X", r.ID[:])
}

// recordBusy makes a recording in which what it is there for was tried. A slow
// machine writes larger groups, and fewer of them: there, everybody works longer.
func recordBusy(t *testing.T, seed uint64, o outage) recording {
	t.Helper()
	const longerMax = 8
	for times := 1; ; times *= 2 {
		longer := o
		longer.turns *= times
		r := record(t, seed, longer, faults{})
		if r.busy(t) {
			return r
		}
		if times == longerMax {
			t.Error("this is not busy enough to prove anything")
			return r
		}
	}
}

// busy says whether a recording has tried what it is there for: the log of
// the database was full, and begun again several times, and groups were written
// while another was being synced.
func (r recording) busy(t *testing.T) bool {
	t.Helper()
	const pagesMax = 1000 * 4096 // in the log before the store makes a checkpoint
	var answers, checkpoints, begun, full, together int
	end := int64(0) // of the log
	for i, e := range r.log {
		grew := func(e event) bool { return e.what == wrote && e.file == logName }
		switch {
		case e.what == answered:
			answers++
		case e.what == synced && e.file == dbName:
			checkpoints++
		case e.what == synced && slices.ContainsFunc(r.log[e.from:i], grew):
			together++
		case grew(e) && e.at == 0:
			begun++
			if end > pagesMax {
				full++
			}
			end = 0
		case grew(e):
			end = e.at
		}
	}
	t.Logf("%d events: %d answers, %d checkpoints, %d logs begun, of which %d after a full one, %d syncs beside which something was written",
		len(r.log), answers, checkpoints, begun, full, together)
	return answers >= 200 && checkpoints >= 4 && begun >= 4 && full >= 1 && together >= 5
}

// cutPower cuts the power at moments all over the recording, and gives the
// complaints of the judge.
func (r recording) cutPower(t *testing.T, seed uint64, o outage) []string {
	t.Helper()
	dice := rand.New(rand.NewPCG(seed, 0))
	moments := make([]int, o.cuts)
	for i := range moments {
		moments[i] = dice.IntN(len(r.log) + 1)
	}
	slices.Sort(moments)
	var (
		mu         sync.Mutex
		complaints []string
		judges     sync.WaitGroup
		free       = make(chan struct{}, runtime.GOMAXPROCS(0))
		folder     = t.TempDir()
		play       = newTape(r.base, r.log, dice)
	)
	for i, moment := range moments {
		play.forward(moment)
		mu.Lock()
		enough := len(complaints) >= complaintsMax
		mu.Unlock()
		if enough {
			break
		}
		c := cut{folder: filepath.Join(folder, strconv.Itoa(i)), promised: play.answered}
		files := play.cut(dice)
		free <- struct{}{}
		judges.Go(func() {
			defer func() { <-free }()
			c.judge(t.Context(), files, i%o.restart == 0)
			mu.Lock()
			defer mu.Unlock()
			for _, complaint := range c.complaints {
				complaints = append(complaints, fmt.Sprintf("%s (cut before event %d of %d, seed %d)", complaint, moment, len(r.log), seed))
			}
		})
	}
	judges.Wait()
	return complaints
}

// complaintsMax is when there is no need to go on.
const complaintsMax = 20

// cut is one power cut: where its files are, what was promised before it, and
// what is wrong with what it left.
type cut struct {
	folder     string
	promised   []string
	complaints []string
}

func (c *cut) complain(format string, args ...any) {
	c.complaints = append(c.complaints, fmt.Sprintf(format, args...))
}

// judge looks at the files with plain SQL, or lets the store itself open them
// first.
func (c *cut) judge(ctx context.Context, files map[string][]byte, restart bool) {
	if err := lay(c.folder, files); err != nil {
		c.complain("laying out the files: %v", err)
		return
	}
	defer os.RemoveAll(c.folder)
	if restart {
		c.restart(ctx)
	}
	if err := c.read(ctx); err != nil {
		c.complain("I3 answered means durable: it cannot be read: %v", err)
	}
}

func lay(folder string, files map[string][]byte) error {
	if err := os.Mkdir(folder, 0o700); err != nil {
		return err
	}
	for name, content := range files {
		if content == nil {
			continue
		}
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o600); err != nil {
			return err
		}
	}
	return nil
}

// restart opens the store, verifies it, and sells once more.
func (c *cut) restart(ctx context.Context) {
	s, err := store.Open(ctx, "sqlite:"+filepath.Join(c.folder, dbName), store.Config{Sync: func(string) error { return nil }})
	if err != nil {
		c.complain("I3 answered means durable: the store does not open any more: %v", err)
		return
	}
	defer s.Close()
	if _, err := s.Sell(ctx, []restock.Cart{{Lines: []restock.Line{{Product: "A", Quantity: 1}}}}); err != nil {
		c.complain("I3 answered means durable: it sells no more: %v", err)
	}
	checks, err := s.Verify(ctx)
	if err != nil {
		c.complain("I3 answered means durable: it cannot be verified: %v", err)
	}
	for _, check := range checks {
		if check.Broken > 0 {
			c.complain("%s %s: %q", check.Promise, check.Name, check.Violations)
		}
	}
}

// remains selects everything that can have been answered, as it was named.
const remains = `SELECT 'sale ' || hex(sale_id) FROM sale_lines
	UNION ALL SELECT 'receipt ' || hex(id) FROM receipts
	UNION ALL SELECT 'reservation ' || hex(id) FROM reservations
	UNION ALL SELECT state || ' ' || hex(id) FROM reservations
	UNION ALL SELECT 'order ' || hex(id) FROM replenishment_orders
	UNION ALL SELECT 'attempt ' || number || ' of ' || hex(order_id) FROM order_attempts
	UNION ALL SELECT 'answer to ' || number || ' of ' || hex(order_id) FROM order_attempts WHERE answered_at IS NOT NULL`

// unbalanced selects products whose stock is not what the ledger says.
const unbalanced = `SELECT 'stock of ' || sku FROM products p
	WHERE on_hand <> (SELECT SUM(quantity) FROM movements m WHERE m.product_id = p.id)`

// read holds the rows to what was promised, and the file to what SQLite thinks
// of it.
func (c *cut) read(ctx context.Context) error {
	path := (&url.URL{Path: filepath.Join(c.folder, dbName)}).EscapedPath()
	db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=synchronous(off)")
	if err != nil {
		return err
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	damage, err := column(ctx, db, `PRAGMA integrity_check(1)`)
	if err != nil {
		return err
	}
	if !slices.Equal(damage, []string{"ok"}) {
		c.complain("integrity_check: %s", damage)
	}
	there, err := column(ctx, db, remains)
	if err != nil {
		return err
	}
	slices.Sort(there)
	missing := slices.DeleteFunc(slices.Clone(c.promised), func(name string) bool {
		_, found := slices.BinarySearch(there, name)
		return found
	})
	if len(missing) > 0 {
		c.complain("I3 answered means durable: %d of %d are not there: %s", len(missing), len(c.promised), missing[0])
	}
	wrong, err := column(ctx, db, unbalanced)
	if len(wrong) > 0 {
		c.complain("I2 on hand is the sum of the ledger: %s", wrong)
	}
	return err
}

// column reads the one column of a query.
func column(ctx context.Context, db *sql.DB, query string) ([]string, error) {
	rows, err := db.QueryContext(ctx, query)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var text string
		if err := rows.Scan(&text); err != nil {
			return nil, err
		}
		all = append(all, text)
	}
	return all, rows.Err()
}
