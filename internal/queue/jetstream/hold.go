package jetstream

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	// sweepEvery bounds how long deliveries that nobody answered are remembered.
	sweepEvery = time.Minute

	// The server is told that a message is still at work after one workingPart of
	// the ack wait, and, when that failed, again after one repeatPart of it.
	workingPart = 2
	repeatPart  = 10
)

// held is a delivery that this process has and has not answered.
type held struct {
	at      place
	msg     *nats.Msg
	handle  string
	ackWait time.Duration

	mu    sync.Mutex // one word to the server at a time; guards what follows
	lease time.Time  // the server gives it to nobody else before
	until time.Time  // it is to be kept until then
	timer *time.Timer
}

// holds are all deliveries that are held, by their handles.
type holds struct {
	mu       sync.Mutex
	byHandle map[string]*held
	swept    time.Time
	closed   bool
	closing  chan struct{}
	working  sync.WaitGroup // what nobody else waits for
}

func (hs *holds) open() {
	hs.byHandle, hs.closing = make(map[string]*held), make(chan struct{})
}

// of gives what is held under a handle, or nil.
func (hs *holds) of(handle string) *held {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	return hs.byHandle[handle]
}

// forget ends the care for a delivery. Its lock is held.
func (hs *holds) forget(h *held) {
	if h.timer != nil {
		h.timer.Stop()
	}
	hs.mu.Lock()
	defer hs.mu.Unlock()
	delete(hs.byHandle, h.handle)
}

// close lets nothing begin any more, and waits for what did.
func (hs *holds) close() {
	hs.mu.Lock()
	if !hs.closed {
		hs.closed = true
		close(hs.closing)
	}
	hs.mu.Unlock()
	hs.working.Wait()
}

// begin counts what runs beside the calls, unless the engine is closed.
func (hs *holds) begin() bool {
	hs.mu.Lock()
	defer hs.mu.Unlock()
	if hs.closed {
		return false
	}
	hs.working.Add(1)
	return true
}

// hold begins the lease of a delivery, and the care for it.
func (e *Engine) hold(h *held) {
	e.leases.Take(h.handle, h.lease)
	e.held.mu.Lock()
	if now := e.now(); now.Sub(e.held.swept) > sweepEvery {
		e.held.swept = now
		for handle := range e.held.byHandle {
			if e.leases.Check(handle) != nil {
				delete(e.held.byHandle, handle)
			}
		}
	}
	e.held.byHandle[h.handle] = h
	e.held.mu.Unlock()

	h.mu.Lock()
	defer h.mu.Unlock()
	e.keepUntil(h)
}

// keepUntil sees to it that the message stays ours as long as was asked for. The
// lock of h is held.
func (e *Engine) keepUntil(h *held) {
	if h.timer != nil {
		h.timer.Stop()
	}
	if !h.until.After(h.lease) {
		return
	}
	began := h.lease.Add(-h.ackWait)
	e.wake(h, began.Add(h.ackWait/workingPart).Sub(e.now()))
}

func (e *Engine) wake(h *held, after time.Duration) {
	h.timer = time.AfterFunc(max(after, 0), func() {
		if !e.held.begin() {
			return
		}
		defer e.held.working.Done()
		e.stillWorking(h)
	})
}

// stillWorking prolongs a lease that is not long enough, unless the delivery was
// answered or lost meanwhile.
func (e *Engine) stillWorking(h *held) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if e.leases.Check(h.handle) != nil || !h.until.After(h.lease) {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), h.lease.Sub(e.now()))
	defer cancel()
	switch err := e.prolong(ctx, h); {
	case err == nil:
		e.keepUntil(h)
	case !errors.Is(err, driver.ErrStale):
		e.wake(h, h.ackWait/repeatPart)
	}
}

// prolong tells the server that the message is still at work. The lease counts
// from before that was said. If the answer comes after the end of the old lease,
// somebody else may have had the message before the server was told.
func (e *Engine) prolong(ctx context.Context, h *held) error {
	said := e.now()
	if err := e.say(ctx, h.handle, sayWorking); err != nil {
		return err
	}
	if err := e.leases.Check(h.handle); err != nil {
		return err //nolint:wrapcheck // ErrStale says it all
	}
	h.lease = said.Add(h.ackWait)
	e.leases.Extend(h.handle, h.lease)
	return nil
}
