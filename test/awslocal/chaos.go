package awslocal

import (
	"math/rand/v2"
	"sync"
	"syscall"
	"time"
)

// Chaos is how often events meet a bad day, of 100, when the cloud is told to
// have one.
type Chaos struct {
	Crash, Hang, Throttle int
	Seed                  uint64

	mu     sync.Mutex
	random *rand.Rand
	on     bool
}

type chaosKind int

const (
	chaosNone chaosKind = iota
	chaosCrash
	chaosHang
	chaosThrottle
)

// crashWithin is how soon after an event its process dies.
const crashWithin = 60 * time.Millisecond

// Begin and End frame the bad day.
func (c *Chaos) Begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.random, c.on = rand.New(rand.NewPCG(c.Seed, c.Seed)), true
}

// End makes all days good.
func (c *Chaos) End() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.on = false
}

func (c *Chaos) next() chaosKind {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.on {
		return chaosNone
	}
	switch n := c.random.IntN(100); {
	case n < c.Crash:
		return chaosCrash
	case n < c.Crash+c.Hang:
		return chaosHang
	case n < c.Crash+c.Hang+c.Throttle:
		return chaosThrottle
	}
	return chaosNone
}

func (c *Chaos) within(most time.Duration) time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Duration(c.random.Int64N(int64(most)))
}

// suffer lets a process die, or stand still, while it handles an event.
func (in *instance) suffer(what chaosKind, c *Chaos) {
	switch what {
	case chaosCrash:
		time.AfterFunc(c.within(crashWithin), func() { _ = in.process.Process.Kill() })
	case chaosHang:
		time.AfterFunc(c.within(crashWithin), func() { _ = in.process.Process.Signal(syscall.SIGSTOP) })
	case chaosNone, chaosThrottle:
	}
}
