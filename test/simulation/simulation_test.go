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
package simulation_test

import (
	"os"
	"runtime"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// callbacksPerWorld keeps the databases small: a world ends before looking at
// its rows becomes slow.
const callbacksPerWorld = 5000

// worlds is how many are tried; every rare thing must happen in a full run.
func worlds() (count int, all bool) {
	switch {
	case os.Getenv("RESTOCK_TEST_SOAK") == "1":
		return 1000, true
	case os.Getenv("RESTOCK_TEST_FULL") == "1":
		return 40, true
	default:
		return 4, false
	}
}

// seeds gives the seeds of the worlds: one that was asked for, or fresh ones.
func seeds(t *testing.T) (list []uint64, all bool) {
	t.Helper()
	if text := os.Getenv("RESTOCK_TEST_SEED"); text != "" {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatalf("RESTOCK_TEST_SEED: %v", err)
		}
		return []uint64{n}, false
	}
	count, all := worlds()
	first := uint64(time.Now().UnixNano())
	for i := range count {
		list = append(list, first+uint64(i))
	}
	return list, all
}

func TestOrderingHoldsItsPromisesInEveryWorld(t *testing.T) {
	t.Parallel()
	list, all := seeds(t)
	empty, seen, began := newEmptyDatabase(t), newTally(), time.Now()
	var next, done atomic.Int64
	var failed atomic.Bool
	var lines sync.WaitGroup
	for range min(runtime.GOMAXPROCS(0), len(list)) {
		lines.Go(func() {
			for !failed.Load() {
				i := int(next.Add(1)) - 1
				if i >= len(list) {
					return
				}
				w := newWorld(t, list[i], empty)
				w.run()
				seen.add(w.tally)
				if w.complaint != "" && failed.CompareAndSwap(false, true) {
					t.Error(w.complaint)
				}
				if n := done.Add(1); n%50 == 0 {
					t.Logf("%d of %d worlds, %v, %.0f callbacks/s", n, len(list), time.Since(began).Round(time.Second),
						float64(seen.of(callbacks))/time.Since(began).Seconds())
				}
			}
		})
	}
	lines.Wait()
	t.Logf("%d worlds from seed %d, %v:\n%s", done.Load(), list[0], time.Since(began).Round(time.Millisecond), seen)
	if all && !failed.Load() {
		seen.wantAll(t)
	}
}
