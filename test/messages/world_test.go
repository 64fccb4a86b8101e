package messages_test

import (
	"context"
	"database/sql"
	"encoding/binary"
	"errors"
	"log/slog"
	"net/http"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
)

// world is one shop, its processes, and all around them.
type world struct {
	ctx     context.Context // ends with the processes
	dice    dice
	pace    pace
	size    size
	tally   *tally
	book    *book
	engine  engine
	server  string
	broker  driver.Broker // nil without one
	path    string
	maker   *blackbox.Factory
	refuser *blackbox.Factory // refuses every order
	mailbox *mailbox

	store       *store.Store
	replenisher *replenish.Replenisher
	arrivals    *http.ServeMux
	office      *ops.Office
	desk        *ads.Desk
	handlers    map[string]map[string]queue.Handler // by queue
	rows        *sql.DB
	log         *slog.Logger

	roads     []*road
	processes sync.WaitGroup
	people    sync.WaitGroup
	deliver   sync.WaitGroup
	under     atomic.Int64 // deliveries
	brokerOff atomic.Bool
	closing   atomic.Bool // nobody buys any more
	quiet     atomic.Bool // no more mischief
	ids       atomic.Uint64

	mu       sync.Mutex
	planned  int // decisions that were asked for
	known    int // orders of the factory that were seen
	orderNo  map[restock.SKU]int
	ordered  map[restock.SKU]bool // an order that was not delivered yet
	failures []error
}

// newWorld makes a world with what stands outside it: a factory, a mail server
// and a broker, on real connections.
func newWorld(t *testing.T, seed uint64, e engine, s size, y *tally) *world {
	t.Helper()
	w := &world{
		dice: dice(seed), pace: e.pace, size: s, tally: y, book: newBook(y), engine: e,
		path: filepath.Join(t.TempDir(), "restock.db"), log: slog.New(slog.DiscardHandler),
		orderNo: map[restock.SKU]int{}, ordered: map[restock.SKU]bool{},
	}
	w.maker, w.refuser = blackbox.NewFactory(t, nil, nil), blackbox.NewFactory(t, nil, refuse)
	w.mailbox = openMailbox(t, w.dice, w.book)
	if e.broker != nil {
		w.server = e.server(t)
	} else if seed%2 == 0 {
		w.pace.years = year
	}
	return w
}

// run lets the world go: buyers buy until each product was sold out as often as
// it shall be; then it becomes quiet, and what lies dead is put right, and some
// of it again a year later.
func (w *world) run(t *testing.T) {
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	w.ctx = ctx
	w.book.begin()
	if err := w.open(); err != nil {
		w.must(errors.Join(err, w.close()))
		return
	}
	w.start()
	w.people.Wait()
	w.closing.Store(true)
	w.calm()
	for range 2 {
		w.settle()
		w.redriveAll()
	}
	w.settle()
	if w.pace.years > 0 {
		w.sleep(ctx, w.pace.years)
		w.redriveAll()
		w.settle()
	}
	stop()
	w.processes.Wait()
	w.deliver.Wait()
	for _, r := range w.roads {
		r.under.Wait()
	}
	w.must(w.judge(t.Context()))
	w.must(w.close())
}

// report says what was wrong.
func (w *world) report(t *testing.T) {
	t.Helper()
	for _, err := range w.failures {
		t.Errorf("RESTOCK_TEST_SEED=%d, %s: %v", w.dice, w.engine.name, err)
	}
	for _, c := range w.book.complaints() {
		t.Errorf("%s\n\tRESTOCK_TEST_SEED=%d, %s", c, w.dice, w.engine.name)
	}
}

func (w *world) close() error {
	var errs []error
	if w.rows != nil {
		errs = append(errs, w.rows.Close())
	}
	if w.broker != nil {
		errs = append(errs, w.broker.Close())
	}
	if w.store != nil {
		errs = append(errs, w.store.Close())
	}
	return errors.Join(errs...)
}

// must notes an error that no mischief explains.
func (w *world) must(err error) {
	if err == nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.failures = append(w.failures, err)
}

// sleep is false when the context ended first.
func (w *world) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

// calm ends all mischief.
func (w *world) calm() {
	w.quiet.Store(true)
	w.mailbox.quiet.Store(true)
	w.mailbox.away.Store(false)
	w.brokerOff.Store(false)
}

// newID makes ids as many processes do whose commits take their time: a later
// one is often smaller.
func (w *world) newID() (id [16]byte) {
	n := w.ids.Add(1)
	r := w.dice.about("id", n)
	made := time.Now()
	if chance(r, 30) {
		made = made.Add(-upTo(r, w.pace.shuffle))
	}
	binary.BigEndian.PutUint64(id[:8], uint64(made.UnixMicro())<<8|n&0xff)
	binary.BigEndian.PutUint64(id[8:], r.Uint64())
	return id
}

// settle waits until nothing is under way any more, and gives up when that takes
// too long: the judge sees then what waits.
func (w *world) settle() {
	for end := time.Now().Add(w.pace.quiet); time.Now().Before(end); {
		if w.isQuiet() || !w.sleep(w.ctx, w.pace.look) {
			return
		}
	}
}

// unfinished is what has not come to its end yet: messages, orders that are not
// at their factory, mails to operations, mails to ad managers that are held back.
const unfinished = `SELECT (SELECT COUNT(*) FROM queue_deliveries WHERE state = 'waiting')
	+ (SELECT COUNT(*) FROM replenishment_orders WHERE state IN ('planned', 'sending'))
	+ (SELECT COUNT(*) FROM queue_deliveries WHERE state = 'dead' AND told_in IS NULL AND queue <> 'ops-queue')
	+ (SELECT COUNT(*) FROM digests WHERE sent_at IS NULL)
	+ (SELECT COUNT(*) FROM advertisements WHERE look_at < ?)`

func (w *world) isQuiet() bool {
	var count int64
	w.must(w.rows.QueryRowContext(w.ctx, unfinished, time.Now().Add(day).UnixMicro()).Scan(&count))
	count += w.under.Load()
	for _, r := range w.roads {
		count += int64(r.pending())
	}
	if w.broker != nil {
		depths, err := w.broker.Depths(w.ctx)
		if err != nil {
			return false // it is too busy to say
		}
		for _, d := range depths {
			count += d.Waiting + d.InFlight + d.Dead
		}
	}
	return count == 0
}
