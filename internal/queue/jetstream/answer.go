package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/restock/restock/internal/queue/driver"
)

// What the server is told about a message.
var (
	sayDone    = []byte("+ACK")
	sayWorking = []byte("+WPI")
)

// nak asks for the message again after a delay.
func nak(delay time.Duration) []byte {
	if delay <= 0 {
		return []byte("-NAK")
	}
	return fmt.Appendf(nil, `-NAK {"delay": %d}`, delay)
}

// say tells the server something about a message, and waits until it says that
// it knows. A cluster says so when most of its servers know.
func (e *Engine) say(ctx context.Context, handle string, word []byte) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	if _, err := e.nc.RequestWithContext(ctx, handle, word); err != nil {
		return e.explain(err)
	}
	return nil
}

// Done says that the message is handled: it leaves the stream.
func (e *Engine) Done(ctx context.Context, d driver.Delivery) error {
	return e.answer(d, "done", func(h *held) error {
		return e.say(ctx, h.handle, sayDone)
	})
}

// Retry makes the message visible again after delay. The cause is recorded by
// who calls: JetStream has no place for it.
func (e *Engine) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, _ string) error {
	return e.answer(d, "retry", func(h *held) error {
		return e.say(ctx, h.handle, nak(delay))
	})
}

// Later puts a copy at the end of the queue that counts one receive less. A dead
// letter is only given back: its receives are those that it had before it died.
func (e *Engine) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	return e.answer(d, "later", func(h *held) error {
		if h.at.dead == "" {
			return e.say(ctx, h.handle, nak(delay))
		}
		s, delivered, err := read(h.msg)
		if err != nil {
			return err
		}
		return e.replace(ctx, h.at, h.msg, s, s.receives()+delivered-1, delay)
	})
}

// Dead moves the message to the dead-letter queue of its queue.
func (e *Engine) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	return e.answer(d, "dead", func(h *held) error {
		if h.at.dead == "" {
			return fmt.Errorf("%s is a dead-letter queue and has none itself", h.at.queue)
		}
		s, delivered, err := read(h.msg)
		if err != nil {
			return err
		}
		return e.bury(ctx, h.at, h.msg, s, s.receives()+delivered, &cause)
	})
}

// Extend keeps the message invisible for visibility from now on.
func (e *Engine) Extend(ctx context.Context, d driver.Delivery, visibility time.Duration) error {
	return e.whileHeld(d, "extend", func(h *held) error {
		until := e.now().Add(visibility)
		if err := e.prolong(ctx, h); err != nil {
			return err
		}
		h.until = until
		e.keepUntil(h)
		return nil
	})
}

// answer gives the last word about a delivery that is held. A word whose fate is
// not known may be repeated, as long as the lease lasts.
func (e *Engine) answer(d driver.Delivery, what string, say func(*held) error) error {
	return e.whileHeld(d, what, func(h *held) error {
		if err := say(h); err != nil {
			return err
		}
		e.leases.End(h.handle)
		e.held.forget(h)
		return nil
	})
}

// whileHeld does something with a delivery whose lease lasts. One thing at a
// time: a word that it is still at work must not overtake the last one.
func (e *Engine) whileHeld(d driver.Delivery, what string, do func(*held) error) error {
	h := e.held.of(d.Handle)
	if h == nil {
		return driver.ErrStale
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := e.leases.Check(h.handle); err != nil {
		return err //nolint:wrapcheck // ErrStale says it all
	}
	if err := do(h); err != nil {
		if errors.Is(err, driver.ErrStale) {
			return err
		}
		return fmt.Errorf("%s: message %s of %s on NATS: %w", what, d.ID, d.Queue, err)
	}
	return nil
}

// replace puts a copy of the message on its own queue and takes the original
// away, in this order: a crash in between leaves two, never none.
func (e *Engine) replace(ctx context.Context, at place, msg *nats.Msg, s stored, receives int, delay time.Duration) error {
	again := s.copyTo(at.subject)
	note(again, headerReceives, receives)
	if delay > 0 {
		again.Header.Set(headerNotBefore, e.now().Add(delay).UTC().Format(time.RFC3339Nano))
	}
	err := e.store(ctx, at.stream, msg.Reply, again)
	if errors.Is(err, driver.ErrRefused) {
		// What is noted on it is too much. It loses a receive, but is not lost.
		return e.say(ctx, msg.Reply, nak(delay))
	}
	if err != nil {
		return err
	}
	return e.say(ctx, msg.Reply, sayDone)
}

// bury puts the message among the dead letters of its queue and takes the
// original away. Without a cause, nobody lived to say one.
func (e *Engine) bury(ctx context.Context, at place, msg *nats.Msg, s stored, receives int, cause *string) error {
	grave, err := e.places.of(at.dead)
	if err != nil {
		return err
	}
	dead := s.copyTo(grave.subject)
	note(dead, headerReceives, receives)
	if cause != nil {
		dead.Header.Set(headerCause, escape(cut(*cause)))
	}
	if err := e.store(ctx, grave.stream, msg.Reply, dead); err != nil {
		return err
	}
	return e.say(ctx, msg.Reply, sayDone)
}

func note(msg *nats.Msg, header string, n int) {
	if n > 0 {
		msg.Header.Set(header, strconv.Itoa(n))
	}
}
