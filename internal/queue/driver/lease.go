package driver

import (
	"sync"
	"time"
)

// Leases fences the answers of one process on brokers that do not: SQS and
// JetStream let an old handle delete a message that somebody else has by now.
// Whoever answers must still hold the lease, counted by the monotonic clock
// from before the message was asked for, so that it ends here no later than
// at the broker. Its zero value works.
//
// What stays is the time that an answer is on its way; whoever must not act
// twice even then recognises the message by its id.
type Leases struct {
	Now func() time.Time // time.Now

	mu    sync.Mutex
	until map[string]time.Time // by handle
	swept time.Time
}

// sweepEvery bounds how long leases that nobody answered are remembered.
const sweepEvery = time.Minute

// Take begins a lease.
func (l *Leases) Take(handle string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.until == nil {
		l.until, l.swept = make(map[string]time.Time), now
	}
	if now.Sub(l.swept) > sweepEvery {
		l.swept = now
		for held, end := range l.until {
			if !end.After(now) {
				delete(l.until, held)
			}
		}
	}
	l.until[handle] = until
}

// Check gives ErrStale unless the lease is held.
func (l *Leases) Check(handle string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until, ok := l.until[handle]; !ok || !until.After(l.now()) {
		return ErrStale
	}
	return nil
}

// Extend moves the end of a lease that is held, never to an earlier time.
func (l *Leases) Extend(handle string, until time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if end, ok := l.until[handle]; ok && until.After(end) {
		l.until[handle] = until
	}
}

// End ends a lease: the message was answered.
func (l *Leases) End(handle string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.until, handle)
}

func (l *Leases) now() time.Time {
	if l.Now == nil {
		return time.Now()
	}
	return l.Now()
}
