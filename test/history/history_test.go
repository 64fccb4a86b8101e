// Package history_test lets many clients use one shop at once and holds what
// they were told against the promises.
//
// A history is everything that 64 clients asked and were answered: purchases
// with and without keys, reservations, adjustments, arrivals. It is judged in
// two ways. The audit adds up what was answered and needs no order. Porcupine
// looks for an order of the acts, each between its question and its answer, in
// which a plain model of a shelf gives exactly the same answers.
//
// # Time
//
// The store and the history share one clock that moves at every look, so that
// "asked", "answered" and "sold at" are numbers on one line. Nothing waits for
// time: a reservation expires because the clock leaps. Its end is an act of
// the system, which may happen at any moment after the deadline.
//
// # Length
//
// `go test ./test/history` makes 20 histories of 1,000 acts on SQLite and 8
// shorter ones on each server, and RESTOCK_TEST_FULL=1 makes 200 and 24, without
// the race detector. A history that porcupine cannot decide in time fails as one
// that it rejects. RESTOCK_TEST_SEED repeats the random choices of an earlier
// run; how the clients interleave is never the same.
package history_test

import (
	"os"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

// The size of one history.
const (
	clientsCount = 64
	actsPerRun   = 1000
)

func full() bool { return os.Getenv("RESTOCK_TEST_FULL") == "1" }

// counted is how many histories are made: all of them without the race detector,
// in a run of their own, and few with it.
func counted(t *testing.T, few, all int) int {
	t.Helper()
	switch {
	case !full():
		return few
	case blackbox.RaceDetector:
		blackbox.RunWithoutRaceDetector(t)
		return few
	default:
		return all
	}
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("RESTOCK_TEST_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("RESTOCK_TEST_SEED: %v", err)
	}
	return n
}

func TestManyAtOnceAreServedAsIfOneAfterAnother(t *testing.T) {
	t.Parallel()
	judgeHistories(t, onSQLite(t), counted(t, 20, 200), clientsCount, actsPerRun)
}

// What two processes answer overlaps more, so that the same number of acts has
// many more orders to be tried.
const clientsOfTwo, actsOfTwo = clientsCount / 2, actsPerRun / 2

// TestManyAtOnceInTwoProcessesAreServedAsIfOneAfterAnother: the clients go to
// two processes that share nothing but the database.
func TestManyAtOnceInTwoProcessesAreServedAsIfOneAfterAnother(t *testing.T) {
	t.Parallel()
	histories := counted(t, 8, 24)
	for name, address := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			judgeHistories(t, onServer(address), histories, clientsOfTwo, actsOfTwo)
		})
	}
}

func judgeHistories(t *testing.T, open opener, histories, clients, acts int) {
	t.Helper()
	// What is rare is in none of them now and then: then there are more.
	const extraMax = 4
	first := seed(t)
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", first)
	seen := newTally()
	var rejected atomic.Bool
	for n := 0; n == 0 || n < extraMax*histories && !rejected.Load() && len(seen.missing()) > 0; n += histories {
		t.Run("histories", func(t *testing.T) {
			for i := n; i < n+histories; i++ {
				t.Run(strconv.Itoa(i), func(t *testing.T) {
					t.Parallel()
					if rejected.Load() {
						return // it would only say the same again
					}
					h := record(t, open, first+uint64(i), clients, acts)
					seen.add(h)
					for _, problem := range judge(h) {
						rejected.Store(true)
						t.Error(problem)
					}
				})
			}
		})
	}
	if !rejected.Load() {
		seen.wantAll(t)
	}
}
