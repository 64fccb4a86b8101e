// Package simulation_test runs the ordering and receiving of a shop in worlds
// where everything goes wrong, and compares them with a model that knows what
// the factory truly accepted and shipped.
//
// A world is one shop with its own database, several processes, factories that
// cannot be trusted, buyers and operators. It has one thread and one clock that
// jumps from event to event, and all its choices come from one seed. The
// store, the queue, the decisions, the placing and the receiving route are the
// real ones; only the network, the clock and the crashes are played. Several
// worlds run side by side.
//
// # What is checked
//
// Each answer to a callback is compared with the rules of receiving, computed
// anew by the model. Rows are looked at after what touches them: attempts only
// advance, nothing is written twice, nothing is ordered again while a call may
// have come unheard. Each complaint begins with the promise that is broken.
//
// # Length
//
// A tenth of the callbacks is tried normally, all with RESTOCK_TEST_FULL=1, and
// with RESTOCK_TEST_SOAK=1 five million. RESTOCK_TEST_SEED repeats the world
// that had this seed, alone.
//
// A world has one thread, and the race detector makes it several times slower.
// With -race the worlds are run by a second test binary, which is built without it,
// and the race detector sees a small one.
package simulation_test

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
)

// callbacksPerWorld keeps the databases small: a world ends before looking at
// its rows becomes slow.
const callbacksPerWorld = 5000

// callbacksWanted is how many are tried; every rare thing must happen in a full
// run.
func callbacksWanted() (count int64, all bool) {
	switch {
	case os.Getenv("RESTOCK_TEST_SOAK") == "1":
		return 5_000_000, true
	case os.Getenv("RESTOCK_TEST_FULL") == "1":
		return 200_000, true
	default:
		return 20_000, false
	}
}

func TestOrderingHoldsItsPromisesInEveryWorld(t *testing.T) {
	t.Parallel()
	wanted, all := callbacksWanted()
	if blackbox.RaceDetector && os.Getenv("RESTOCK_TEST_SEED") == "" {
		blackbox.RunWithoutRaceDetector(t)
		wanted, all = callbacksWithRaceDetector, false
	}
	first := uint64(time.Now().UnixNano())
	if text := os.Getenv("RESTOCK_TEST_SEED"); text != "" {
		var err error
		if first, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RESTOCK_TEST_SEED: %v", err)
		}
		wanted, all = 1, false // this one alone
	}
	registerUnsynced(t)
	r := &runs{t: t, empty: newEmptyDatabase(t), wanted: wanted, all: all, began: time.Now(), seen: newTally()}
	r.seed.Store(first)
	var lines sync.WaitGroup
	for range min(int64(runtime.GOMAXPROCS(0)), (wanted+callbacksPerWorld-1)/callbacksPerWorld) {
		lines.Go(r.worlds)
	}
	lines.Wait()
	t.Logf("%d worlds from seed %d, %v:\n%s", r.done, first, time.Since(r.began).Round(time.Millisecond), r.seen)
	if all && !t.Failed() {
		r.seen.wantAll(t)
	}
}

// callbacksWithRaceDetector is what the race detector gets to see.
const callbacksWithRaceDetector = 300

// runs are all worlds of a test.
type runs struct {
	t      *testing.T
	empty  []byte
	wanted int64 // callbacks
	all    bool  // and every rare thing
	began  time.Time
	seed   atomic.Uint64 // of the next world
	seen   *tally

	mu   sync.Mutex
	done int
}

// rareFactor bounds how much longer a run goes on for the sake of what is rare.
const rareFactor = 4

// enough says whether there were as many callbacks as wanted, and every rare thing
// among them when that is wanted, too.
func (r *runs) enough() bool {
	n := r.seen.of(callbacks)
	return n >= r.wanted && (!r.all || len(r.seen.missing()) == 0 || n >= rareFactor*r.wanted)
}

// worlds runs one after another until there were enough callbacks, or a promise
// was broken.
func (r *runs) worlds() {
	for first := true; first || !r.t.Failed() && !r.enough(); first = false {
		w := newWorld(r.t, r.seed.Add(1)-1, r.empty)
		if blackbox.RaceDetector {
			w.wanted = callbacksWithRaceDetector
		}
		w.run()
		r.seen.add(w.tally)
		r.end(w.complaint)
	}
}

// progressEvery is after how many worlds a long run tells how it goes.
const progressEvery = 50

func (r *runs) end(complaint string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if complaint != "" && !r.t.Failed() {
		r.t.Error(complaint) // the first is enough
	}
	if r.done++; r.done%progressEvery == 0 {
		n, took := r.seen.of(callbacks), time.Since(r.began)
		r.t.Logf("%d worlds, %d callbacks, %v, %.0f/s", r.done, n, took.Round(time.Second), float64(n)/took.Seconds())
	}
}
