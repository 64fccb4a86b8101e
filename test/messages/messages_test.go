// Package messages_test runs the rooms of a shop together over roads to the
// broker that mean ill, and then judges from outside what came of each message.
//
// A world is one shop: the store on a file, the rooms that order, write to ad
// managers and tell operations, their consumers, the relay, and the alerts, all
// of them the real ones and in this process. Around it stand a factory, a mail
// server and the people, on real connections. Products run out and come back
// again and again, while messages come twice, in another order, two weeks late
// or not at all, visibilities run out, answers get lost, the mail server refuses,
// and mail server and broker are away for hours.
//
// # What is checked
//
// When everything is quiet: I5, every message was handled or lies dead, was
// counted as handled only when it was, and who had to be told was told; I4, no
// message had two effects, though none of the processes died; I8, the last mail
// about each stockout is true, and what was stale changed nothing.
//
// # Time
//
// Worlds on the embedded queue, with and without a relay before it, live in a
// bubble of testing/synctest: their clock jumps to the next thing that happens, so
// that two weeks take no time, and it stands while something outside answers.
// Beside a broker the clock is the real one, and two weeks are some seconds.
//
// # Length
//
// RESTOCK_TEST_FULL=1 runs more worlds, and wants that each piece of mischief
// happened. RESTOCK_TEST_SEED repeats the choices of one world; what its
// goroutines make of them can differ a little.
//
// The race detector makes everything several times slower. With -race the worlds
// are run by a second test binary, which is built without it, and the race detector
// sees small ones.
package messages_test

import (
	"os"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/restock/restock/test/blackbox"
)

// plan is how much one run does on one engine.
type plan struct {
	worlds int
	size   size
	all    bool // each piece of mischief has to happen
}

// planned is the plan of this run. Worlds beside a broker take their time.
func planned(e engine) plan {
	full, slow := os.Getenv("RESTOCK_TEST_FULL") == "1", e.broker != nil
	switch {
	case blackbox.RaceDetector:
		return plan{worlds: 1, size: size{products: 3, rounds: 2, buyers: 100}}
	case full && slow:
		return plan{worlds: 4, size: size{products: 6, rounds: 5, buyers: 1000}, all: true}
	case full:
		return plan{worlds: 8, size: size{products: 6, rounds: 12, buyers: 3000}, all: true}
	case slow:
		return plan{worlds: 1, size: size{products: 5, rounds: 3, buyers: 1000}}
	}
	return plan{worlds: 3, size: size{products: 6, rounds: 8, buyers: 2000}}
}

// TestMessagesKeepTheirPromisesOnBadRoads lets worlds go, on each engine.
func TestMessagesKeepTheirPromisesOnBadRoads(t *testing.T) {
	t.Parallel()
	seed := uint64(time.Now().UnixNano())
	text, again := os.LookupEnv("RESTOCK_TEST_SEED")
	if again {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatalf("RESTOCK_TEST_SEED: %v", err)
		}
	}
	if blackbox.RaceDetector && !again {
		blackbox.RunWithoutRaceDetector(t)
	}
	for _, e := range engines() {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			p := planned(e)
			if again {
				p.worlds, p.all = 1, false // this one alone
			}
			worlds(t, seed, e, p)
		})
	}
}

// extraMax is how many times as many worlds there may be as planned, until all
// mischief happened: what is rare is in none of them now and then.
const extraMax = 4

// worlds runs those of one engine, until one is broken, and more of them until all
// that has to happen did.
func worlds(t *testing.T, seed uint64, e engine, p plan) {
	t.Helper()
	began, seen, n := time.Now(), &tally{}, 0
	for n < p.worlds || p.all && n < extraMax*p.worlds && len(seen.missing(e)) > 0 {
		goOn(t, seed+uint64(n), e, p, seen)
		if n += p.worlds; t.Failed() {
			break
		}
	}
	t.Logf("%d worlds from seed %d, %v:\n%s", n, seed, time.Since(began).Round(time.Millisecond), seen)
	if p.all && !t.Failed() {
		for _, m := range seen.missing(e) {
			t.Errorf("it never happened: %s; too little was tried", m)
		}
	}
}

// goOn runs as many worlds as planned: one after another in bubbles, and side by
// side where they have to wait.
func goOn(t *testing.T, seed uint64, e engine, p plan, seen *tally) {
	t.Helper()
	var side sync.WaitGroup
	for n := 0; n < p.worlds && !t.Failed(); n++ {
		w := newWorld(t, seed+uint64(n), e, p.size, seen)
		if e.broker == nil {
			synctest.Test(t, w.run)
			w.report(t)
			continue
		}
		side.Go(func() {
			w.run(t)
			w.report(t)
		})
	}
	side.Wait()
}
