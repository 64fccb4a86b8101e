package crash_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"time"
)

// signal says that something happened. Raising it never waits.
type signal chan struct{}

func newSignal() signal {
	const unread = 64 // more than that at once says nothing new
	return make(signal, unread)
}

func (s signal) raise() {
	select {
	case s <- struct{}{}:
	default:
	}
}

// await waits until it was raised n times from now on.
func (s signal) await(ctx context.Context, n int) error {
	s.forget()
	for range n {
		select {
		case <-s:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (s signal) forget() {
	for {
		select {
		case <-s:
		default:
			return
		}
	}
}

// door gives the address at which somebody listens, as soon as there is one.
type door interface {
	wait(ctx context.Context) (address string, err error)
}

// gate is open while the server is up.
type gate struct {
	address string // HOST:PORT
	mu      sync.Mutex
	open    chan struct{} // closed while the gate is open
}

func newGate(address string) *gate { return &gate{address: address, open: make(chan struct{})} }

func (g *gate) set(open bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	select {
	case <-g.open:
		if !open {
			g.open = make(chan struct{})
		}
	default:
		if open {
			close(g.open)
		}
	}
}

func (g *gate) opened() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

func (g *gate) wait(ctx context.Context) (string, error) {
	select {
	case <-g.opened():
	case <-ctx.Done():
	}
	return g.address, ctx.Err()
}

// span is how long something was under way.
type span struct{ began, ended time.Time }

// flights records what was under way between the server and the world. A
// span that ended without the server's answer, or that we had not answered
// yet, is what a kill can hit.
type flights struct {
	name string
	took signal // raised when something gets under way
	mu   sync.Mutex
	open []span
}

func newFlights(name string) *flights { return &flights{name: name, took: newSignal()} }

func (f *flights) begin() time.Time {
	f.took.raise()
	return time.Now()
}

// end keeps what a kill may have hit: the span until now.
func (f *flights) end(began time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.open = append(f.open, span{began, time.Now()})
}

// over reports whether something was under way during all of a moment.
func (f *flights) over(m moment) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range slices.Backward(f.open) {
		if s.began.Before(m.before) && s.ended.After(m.after) {
			return true
		}
	}
	return false
}

// moment is when a kill happened: the signal was sent after before, and had
// been sent by after.
type moment struct{ before, after time.Time }

func (f *flights) hits(kills []moment) int {
	n := 0
	for _, k := range kills {
		if f.over(k) {
			n++
		}
	}
	return n
}

// dice are the random choices of one run, repeatable from its seed as far as
// the scheduler lets them be.
type dice struct {
	mu  sync.Mutex
	rng *rand.Rand
}

func newDice(seed, stream uint64) *dice {
	return &dice{rng: rand.New(rand.NewPCG(seed, stream))}
}

// between is a number from low to high, both included.
func (d *dice) between(low, high int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return low + d.rng.IntN(high-low+1)
}

// upTo is a time from 0 to most.
func (d *dice) upTo(most time.Duration) time.Duration {
	return time.Duration(d.between(0, int(most)))
}

func (d *dice) oneIn(n int) bool { return d.between(1, n) == 1 }

// pause lets time pass. It makes load and moments, and waits for nothing.
func pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}
