package history_test

import (
	"sync/atomic"
	"time"
)

// clock is the time of a store and of the history that is made on it. Every
// look at it is one microsecond later than the one before, and a microsecond is
// what the store keeps: no two looks are at the same time.
type clock struct{ micros atomic.Int64 }

func newClock() *clock {
	c := &clock{}
	c.micros.Store(time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC).UnixMicro())
	return c
}

// tick is a moment of the history.
func (c *clock) tick() int64 { return c.micros.Add(1) }

// now is the same for the store.
func (c *clock) now() time.Time { return time.UnixMicro(c.tick()).UTC() }

// leap lets time pass.
func (c *clock) leap(d time.Duration) { c.micros.Add(d.Microseconds()) }
