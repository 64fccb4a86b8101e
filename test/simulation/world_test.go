package simulation_test

import (
	"container/heap"
	"context"
	"database/sql"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
)

// The size of a world.
const (
	itemsCount   = 45
	makersCount  = 5
	hostsCount   = 2
	workersCount = 3 // on each host
)

// world is one shop and all who deal with it.
type world struct {
	t    *testing.T
	ctx  context.Context
	seed uint64
	rng  *rand.Rand
	path string
	keys replenish.Keys

	publicURL string // of those who start now
	moves     int

	agenda  agenda
	began   time.Time     // what the clock on the wall said at first
	elapsed time.Duration // since then, in truth
	jumped  time.Duration // by how much the clock on the wall is wrong
	setBack time.Duration // when, in truth, it was last set back

	hosts  []*host
	rows   *rows
	items  []*item
	makers []*maker
	orders map[restock.OrderID]*order
	known  []*order
	ids    uint64

	orphans int        // calls for orders that we do not know
	held    []*receipt // of which something is held

	away     bool   // nobody can reach us
	diskFull bool   // the next callback cannot be stored
	gaps     []span // in which we were away, or which the clock left out
	quiet    bool   // no more mischief
	wanted   int64  // callbacks, until it becomes quiet
	checked  int64  // callbacks at the last look at everything

	tally     *tally
	complaint string
}

// span is a stretch of time on the wall.
type span struct{ from, until time.Time }

// item is a product as the model knows it.
type item struct {
	restock.CatalogProduct

	id    restock.ProductID
	maker int
	// appliesRepeats is how its factory is set: a repeat is another part.
	appliesRepeats bool
	onHand         int64
	open           []*order
}

// newEmptyDatabase gives the bytes of a database without rows, since the schema
// is what takes long.
func newEmptyDatabase(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	empty, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return empty
}

func newWorld(t *testing.T, seed uint64, empty []byte) *world {
	w := &world{
		t: t, ctx: t.Context(), seed: seed, rng: rand.New(rand.NewPCG(seed, 1)), orders: map[restock.OrderID]*order{},
		wanted: callbacksPerWorld, began: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC), tally: newTally(),
		path: filepath.Join(t.TempDir(), fmt.Sprintf("world-%d.db", seed)),
	}
	w.must(os.WriteFile(w.path, empty, 0o600))
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(w.rng.Uint32())
	}
	w.keys = replenish.Keys{{ID: 7, Secret: secret}}
	w.move()
	for range hostsCount {
		w.hosts = append(w.hosts, w.openHost())
	}
	w.stock()
	w.rows = openRows(w)
	return w
}

// must ends the world for an error that no choice of the seed explains.
func (w *world) must(err error) {
	if err != nil && w.complaint == "" {
		w.complaint = fmt.Sprintf("seed %d: after %v: %v", w.seed, w.elapsed, err)
	}
}

// broken ends the world: a promise does not hold.
func (w *world) broken(promise string, o *order, format string, args ...any) {
	if w.complaint != "" {
		return
	}
	var b strings.Builder
	fmt.Fprintf(&b, "%s %s (RESTOCK_TEST_SEED=%d, after %v)", promise, fmt.Sprintf(format, args...), w.seed, w.elapsed)
	if o != nil {
		fmt.Fprintf(&b, "\n\torder %s of %s:", o.id, o.item.SKU)
		for _, line := range o.story {
			b.WriteString("\n\t\t" + line)
		}
	}
	w.complaint = b.String()
}

// now is the clock on the wall.
func (w *world) now() time.Time { return w.began.Add(w.elapsed + w.jumped) }

// newID is in the order in which ids are made, as UUIDv7 is.
func (w *world) newID() (id [16]byte) {
	w.ids++
	binary.BigEndian.PutUint64(id[:8], w.ids)
	binary.BigEndian.PutUint64(id[8:], w.rng.Uint64())
	return id
}

// stock fills the shop.
func (w *world) stock() {
	var c restock.Catalog
	for i := range makersCount {
		m := newMaker(w, i)
		w.makers = append(w.makers, m)
		c.Factories = append(c.Factories, m.CatalogFactory)
	}
	for i := range itemsCount {
		point := int64(5 + w.rng.IntN(25))
		p := restock.CatalogProduct{
			SKU: restock.SKU(fmt.Sprintf("CP-%d", i)), Name: "Donut", Price: 1900, UnitCost: 700,
			OpeningStock: 20 + w.rng.Int64N(40), Factory: w.makers[i%makersCount].Identifier,
			ReorderPoint: point, PackSize: 1 + w.rng.Int64N(4), OpenOrdersMax: 1 + int64(i%5)/4,
		}
		if i%3 == 0 {
			p.OrderQuantity = 20 + w.rng.Int64N(40)
		} else {
			p.OrderUpTo = point + 20 + w.rng.Int64N(60)
		}
		c.Products = append(c.Products, p)
	}
	c.Fill()
	w.must(c.Check())
	_, err := w.shop().ApplyCatalog(w.ctx, c, store.CreateMissing)
	w.must(err)
	for i, p := range c.Products {
		stored, err := w.shop().Product(w.ctx, string(p.SKU))
		w.must(err)
		m := i % makersCount
		w.items = append(w.items, &item{
			CatalogProduct: p, id: stored.ID, maker: m, onHand: p.OpeningStock,
			appliesRepeats: w.makers[m].Repeats == restock.RepeatsApply,
		})
	}
}

// shop is the store of a host.
func (w *world) shop() *store.Store { return w.hosts[0].Store }

// event is something that will happen.
type event struct {
	at time.Duration
	n  int // of two at the same moment the first that was planned comes first
	do func()
}

type agenda struct {
	events []event
	n      int
}

func (a *agenda) Len() int { return len(a.events) }

func (a *agenda) Less(i, j int) bool {
	if a.events[i].at != a.events[j].at {
		return a.events[i].at < a.events[j].at
	}
	return a.events[i].n < a.events[j].n
}

func (a *agenda) Swap(i, j int) { a.events[i], a.events[j] = a.events[j], a.events[i] }

func (a *agenda) Push(e any) { a.events = append(a.events, e.(event)) }

func (a *agenda) Pop() any {
	last := a.events[len(a.events)-1]
	a.events = a.events[:len(a.events)-1]
	return last
}

// after plans something.
func (w *world) after(d time.Duration, do func()) {
	w.agenda.n++
	heap.Push(&w.agenda, event{w.elapsed + d, w.agenda.n, do})
}

// every does something again and again, at random moments around an interval.
func (w *world) every(interval time.Duration, do func()) {
	w.after(w.about(interval), func() {
		do()
		w.every(interval, do)
	})
}

// mischief is what ends when the world becomes quiet.
func (w *world) mischief(interval time.Duration, do func()) {
	w.after(w.about(interval), func() {
		if !w.quiet {
			do()
			w.mischief(interval, do)
		}
	})
}

// about is a time around d.
func (w *world) about(d time.Duration) time.Duration {
	return d/2 + time.Duration(w.rng.Int64N(int64(d)))
}

// between is a time from least to most.
func (w *world) between(least, most time.Duration) time.Duration {
	return least + time.Duration(w.rng.Int64N(int64(most-least)))
}

// chance is true once in so many times.
func (w *world) chance(once int) bool { return w.rng.IntN(once) == 0 }

// pick is one of several.
func pick[T any](w *world, of []T) T { return of[w.rng.IntN(len(of))] }

// worldTime is when a world grows old: most of its orders wait for people.
const worldTime = 2 * time.Hour

// quietTime is how long a world is watched after the last mischief: by then
// every window has ended.
const quietTime = 2 * time.Hour

// run lets the world go until there were enough callbacks, and then as long as
// it takes until nothing may be left open.
func (w *world) run() {
	defer w.close()
	w.mischief(3*time.Second, w.sell)
	w.mischief(3*time.Minute, w.changeMood)
	w.mischief(3*time.Minute, w.crash)
	w.mischief(5*time.Minute, w.restart)
	w.mischief(12*time.Minute, w.leave)
	w.mischief(25*time.Minute, w.jump)
	w.mischief(40*time.Minute, w.move)
	w.mischief(20*time.Second, w.forge)
	w.mischief(5*time.Second, w.person)
	w.mischief(8*time.Second, w.placeSome)
	w.mischief(2*time.Second, w.pump)
	w.mischief(10*time.Second, w.sweep)
	w.every(beatInterval, w.beat)
	w.goOn(func() bool { return w.tally.counts[callbacks] >= w.wanted || w.elapsed >= worldTime })
	w.quiet, w.away = true, false
	for _, m := range w.makers {
		m.mood = fine
	}
	w.every(30*time.Second, w.sweep)
	w.every(15*time.Second, w.placeSome)
	w.every(15*time.Second, w.pump)
	end := w.elapsed + quietTime
	w.goOn(func() bool { return w.elapsed >= end })
	w.lastLook()
}

func (w *world) goOn(until func() bool) {
	for w.complaint == "" && !until() {
		e := heap.Pop(&w.agenda).(event)
		w.elapsed = max(w.elapsed, e.at)
		e.do()
		if n := w.tally.counts[callbacks]; n >= w.checked+w.wanted/3 {
			w.checked = n
			w.lookAtEverything()
		}
	}
}

func (w *world) close() {
	for _, h := range w.hosts {
		h.stop()
	}
	w.must(w.rows.close())
	for _, suffix := range []string{"", "-wal", "-shm"} {
		w.must(ignoreMissing(os.Remove(w.path + suffix)))
	}
}

func ignoreMissing(err error) error {
	if os.IsNotExist(err) {
		return nil
	}
	return err
}

// sell lets a handful of buyers come.
func (w *world) sell() {
	if w.away {
		return
	}
	for range 5 {
		w.sellOne(pick(w, w.items))
	}
}

// sellOne sells one product: of several, the store settles any one first, and a
// seed would not repeat its world.
func (w *world) sellOne(it *item) {
	carts := make([]restock.Cart, 1+w.rng.IntN(4))
	for i := range carts {
		carts[i].Lines = []restock.Line{{Product: string(it.SKU), Quantity: 1 + w.rng.Int64N(6)}}
	}
	outcomes, err := pick(w, w.hosts).Sell(w.ctx, carts)
	w.must(err)
	for i, o := range outcomes {
		if o.Err == nil {
			it.onHand -= carts[i].Lines[0].Quantity
		}
	}
}

// move gives us another public address. The ones before it still lead to us.
func (w *world) move() {
	w.moves++
	w.publicURL = fmt.Sprintf("https://shop-%d.example/base", w.moves)
	for _, h := range w.hosts {
		for i := range h.workers {
			w.replace(h, i)
		}
	}
}

// leave ends all our processes for a while. A factory that calls now calls in
// vain.
func (w *world) leave() {
	if w.away || w.elapsed < w.setBack+settleTime {
		return
	}
	w.away = true
	w.tally.count(ourOutage)
	from := w.now()
	for _, h := range w.hosts {
		for i := range h.workers {
			w.replace(h, i)
		}
	}
	w.after(w.between(2*time.Minute, 12*time.Minute), func() {
		w.away = false
		w.gaps = append(w.gaps, span{from, w.now()})
		w.beat()
	})
}

// jump sets the clock on the wall.
func (w *world) jump() {
	if w.away || w.elapsed < w.setBack+settleTime {
		return
	}
	if w.chance(3) {
		w.jumped -= w.between(time.Second, 5*time.Minute)
		w.setBack = w.elapsed
		w.forgetFuture()
		w.tally.count(clockBack)
		return
	}
	by := w.between(2*time.Minute, 30*time.Hour)
	w.gaps = append(w.gaps, span{w.now(), w.now().Add(by)})
	w.jumped += by
	w.tally.count(clockJump)
}

// settleTime is how long everything else leaves the clock alone after it was set
// back: of two changes between two beats nobody can see more than their sum.
const settleTime = 2 * time.Minute

// forgetFuture forgets what happened at times that come once more: nobody can
// tell the two apart.
func (w *world) forgetFuture() {
	for _, m := range w.makers {
		m.began = nil
	}
	var past []span
	for _, g := range w.gaps {
		if g.from.Before(w.now()) {
			past = append(past, span{g.from, earlier(g.until, w.now())})
		}
	}
	w.gaps = past
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// rows reads the database beside the program.
type rows struct {
	db              *sql.DB
	order, attempts *sql.Stmt
}

func openRows(w *world) *rows {
	db, err := sql.Open("sqlite3", "file:"+w.path+"?_pragma=query_only(on)")
	w.must(err)
	db.SetMaxOpenConns(1)
	r := &rows{db: db}
	r.order, err = db.Prepare(`SELECT state, quantity, received, held_reason FROM replenishment_orders WHERE id = ?`)
	w.must(err)
	r.attempts, err = db.Prepare(`SELECT number, state, quantity, received, sent_at, COALESCE(due_at, 0) FROM order_attempts
		WHERE order_id = ? ORDER BY number`)
	w.must(err)
	return r
}

func (r *rows) close() error { return r.db.Close() }
