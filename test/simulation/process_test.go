package simulation_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
)

// host is a machine with the database open, and processes on it.
type host struct {
	*store.Store

	world   *world
	workers []*worker
}

func (w *world) openHost() *host {
	s, err := store.Open(w.ctx, "sqlite:"+w.path, store.Config{
		Now: w.now, NewID: w.newID, Sync: func(string) error { return nil }, VFS: unsynced,
	})
	if err != nil {
		w.t.Fatal(err)
	}
	h := &host{Store: s, world: w}
	for range workersCount {
		h.workers = append(h.workers, newWorker(h))
	}
	return h
}

// stop kills all processes of a host.
func (h *host) stop() {
	for _, k := range h.workers {
		k.kill()
	}
	h.world.must(h.Close())
}

// worker is one process: a replenisher that can be stopped at any step of a
// call to the factory. What it does between two steps is not interrupted.
type worker struct {
	publicURL string

	host  *host
	world *world
	r     *replenish.Replenisher
	mux   *http.ServeMux

	next  func() (time.Duration, bool) // goes on until the next pause
	stop  func()
	yield func(time.Duration) bool
	dead  bool

	claimed  restock.Attempt // the last
	planned  int             // decisions that were committed
	planFail bool            // the next decision meets a full disk
}

func newWorker(h *host) *worker {
	k := &worker{publicURL: h.world.publicURL, host: h, world: h.world, mux: http.NewServeMux()}
	k.r = replenish.New(desk{h.Store, k}, k, replenish.Config{
		PublicURL: h.world.publicURL, Keys: h.world.keys, Now: h.world.now, Random: h.world.rng.Float64,
		WindowMin: windowMin, BeatInterval: beatInterval,
	})
	k.r.Register(k.mux)
	return k
}

// windowMin is the least time that a factory has for its callback.
const windowMin = 90 * time.Second

// errCrashed is what a process gets that is no more.
var errCrashed = errors.New("this process has crashed")

// place lets a process place what can be placed, unless it is at it.
func (k *worker) place() {
	if k.next != nil {
		return
	}
	k.next, k.stop = iter.Pull(func(yield func(time.Duration) bool) {
		k.yield = yield
		if _, err := k.r.PlaceReady(k.world.ctx); err != nil && !k.dead {
			k.world.must(fmt.Errorf("place: %w", err))
		}
	})
	k.step()
}

// step runs a process up to its next pause.
func (k *worker) step() {
	if k.dead {
		return
	}
	pause, more := k.next()
	if !more {
		k.next = nil
		return
	}
	k.world.after(pause, k.step)
}

// kill ends a process where it stands.
func (k *worker) kill() {
	k.dead = true
	if k.next != nil {
		k.stop()
	}
}

// desk is the store as a process sees it: what goes in and out is noted.
type desk struct {
	*store.Store

	k *worker
}

func (d desk) ClaimAttempt(ctx context.Context, owner string, lease time.Duration) (restock.Attempt, error) {
	if d.k.dead {
		return restock.Attempt{}, errCrashed
	}
	a, err := d.Store.ClaimAttempt(ctx, owner, lease)
	if err == nil && !a.OrderID.IsZero() {
		d.k.claimed = a
		d.k.world.claimed(a)
	}
	return a, err
}

func (d desk) SettleAttempt(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	w := d.k.world
	switch {
	case d.k.dead:
		return errCrashed
	case !w.quiet && w.chance(100):
		w.tally.count(answerNotStored)
		w.orders[a.OrderID].note(w, "the answer %s of attempt %d is not stored", answer.State, a.Number)
		return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "the disk is full")
	}
	err := d.Store.SettleAttempt(ctx, a, answer)
	if err == nil {
		w.settled(a, answer)
	}
	return err
}

func (d desk) Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error) {
	if d.k.planFail {
		return restock.Decision{}, restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "the disk is full")
	}
	decision, err := d.Store.Plan(ctx, id, decide)
	if err == nil {
		d.k.planned++
		d.k.world.decided(id, decision)
	}
	return decision, err
}

func (d desk) Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
	decide func(restock.Lateness) restock.Overdue,
) error {
	err := d.Store.Chase(ctx, id, window, decide)
	if err == nil {
		d.k.world.chased(id)
	}
	return err
}

func (d desk) Receive(ctx context.Context, c restock.Callback, judge func(restock.Evidence) restock.Verdict) (restock.Receipt, error) {
	if w := d.k.world; w.diskFull {
		return restock.Receipt{}, restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "the disk is full")
	}
	return d.Store.Receive(ctx, c, judge)
}

// Place is the network: what becomes of one call is drawn.
func (k *worker) Place(_ context.Context, _ string, r factory.Request) restock.Answer {
	return k.world.call(k, k.claimed, r)
}

// pause lets the world go on; false when the process was killed meanwhile.
func (k *worker) pause(d time.Duration) bool { return k.yield(d) && !k.dead }

// someone is a process that lives.
func (w *world) someone() *worker { return pick(w, pick(w, w.hosts).workers) }

// placeSome lets one process look for orders, and several when there are some.
func (w *world) placeSome() {
	if w.away {
		return
	}
	w.someone().place()
	w.placeReady()
}

// placeReady wakes processes when there is something to place.
func (w *world) placeReady() {
	for _, h := range w.hosts {
		select {
		case <-h.OrdersReady():
			for range 3 {
				w.someone().place()
			}
		default:
		}
	}
}

// pump handles the messages of the stock queue, as its consumer does.
func (w *world) pump() {
	if w.away {
		return
	}
	k := w.someone()
	all, err := k.host.Queue().Receive(w.ctx, restock.StockQueue, driver.Request{Max: 50, Visibility: 30 * time.Second})
	w.must(err)
	for _, d := range all {
		if w.complaint == "" {
			w.handle(k, d)
		}
	}
	w.placeReady()
}

func (w *world) handle(k *worker, d driver.Delivery) {
	handler := k.r.Handlers()[d.Type]
	if handler == nil {
		w.broken("I5", nil, "a message %s is on the stock queue, and nobody handles it", d.Type)
		return
	}
	if !w.quiet && w.chance(40) {
		w.tally.count(messageDropped)
		return // the process died before it looked; the message comes again
	}
	planned := k.planned
	k.planFail = !w.quiet && w.chance(50)
	err := handler(w.ctx, d.Message)
	switch {
	case err == nil && k.planned == planned:
		w.broken("I5", nil, "%s of %s is done, and no decision is committed", d.Type, d.Subject)
	case err == nil && !w.quiet && w.chance(40):
		w.tally.count(messageRepeated) // died before it could say so
	case err == nil:
		w.must(k.host.Queue().Done(w.ctx, d))
	case queue.IsDiscard(err):
		w.must(k.host.Queue().Dead(w.ctx, d, err.Error()))
		w.broken("I5", nil, "%s of %s is a dead letter: %v", d.Type, d.Subject, err)
	default:
		w.tally.count(planFailed)
		w.must(k.host.Queue().Retry(w.ctx, d, time.Second, err.Error()))
	}
	k.planFail = false
}

func (w *world) sweep() {
	if w.away {
		return
	}
	w.must(w.someone().r.Sweep(w.ctx))
	w.placeReady()
}

// beatInterval is how often a process says that it can be called.
const beatInterval = 20 * time.Second

// beat lets a process of each host say that it is there.
func (w *world) beat() {
	if w.away {
		return
	}
	for _, h := range w.hosts {
		w.must(h.workers[0].r.Beat(w.ctx))
	}
}

// crash kills one process, wherever it stands, and starts another.
func (w *world) crash() {
	if w.away {
		return
	}
	h := pick(w, w.hosts)
	w.replace(h, w.rng.IntN(len(h.workers)))
}

func (w *world) replace(h *host, i int) {
	h.workers[i].noteCrash()
	h.workers[i].kill()
	h.workers[i] = newWorker(h)
	if !w.away {
		w.must(h.workers[i].r.Beat(w.ctx))
	}
}

// replaceWorker does so to a process that is still there.
func (w *world) replaceWorker(k *worker) {
	for i, other := range k.host.workers {
		if other == k && !k.dead {
			w.replace(k.host, i)
		}
	}
}

func (k *worker) noteCrash() {
	if k.next != nil {
		k.world.tally.count(crashedWhileSending)
		k.world.orders[k.claimed.OrderID].note(k.world, "the process that was sending attempt %d is killed", k.claimed.Number)
	}
}

// restart kills a host and starts it again, while others may be sending.
func (w *world) restart() {
	if w.away {
		return
	}
	i := w.rng.IntN(len(w.hosts))
	for _, k := range w.hosts[i].workers {
		k.noteCrash()
	}
	w.hosts[i].stop()
	for _, o := range w.makers {
		if len(o.calls) > 0 {
			w.tally.count(startedWhileSending)
			break
		}
	}
	w.hosts[i] = w.openHost()
	w.beat()
	w.must(w.hosts[i].workers[0].r.Sweep(w.ctx))
	w.placeSome()
}
