package jetstream

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	// A consumer's ack wait is longer than the visibility by this part, and no
	// pull waits longer than the difference: a lease counts from before the pull,
	// and must not be shorter than the visibility when the message came late.
	slackPart = 4

	// termsTrust is for how long the ack wait of a consumer is believed to be
	// what it was.
	termsTrust = time.Minute

	// lookWait is how long the server may take for a look that is not to wait. Not
	// allowed any time, it believes its count of messages, which is a little behind
	// what it has said to publishers.
	lookWait = 10 * time.Millisecond
	// waitMin is not worth another look.
	waitMin = time.Millisecond
)

// ackWait is what a consumer has for a visibility.
func ackWait(visibility time.Duration) time.Duration { return visibility + visibility/slackPart }

// pullWaitMax is how long a pull may wait with an ack wait.
func pullWaitMax(ackWait time.Duration) time.Duration { return ackWait / (slackPart + 1) }

// Receive takes messages, as driver.Driver says. From a dead-letter queue it
// takes dead letters.
func (e *Engine) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	at, err := e.places.of(queue)
	if err != nil {
		return nil, err
	}
	end := time.Now().Add(r.Wait)
	for {
		wait, err := e.ackWaitOf(ctx, at)
		if err != nil {
			return nil, fmt.Errorf("receive from %s on NATS: %w", queue, err)
		}
		left := min(time.Until(end), pullWaitMax(wait))
		got, err := e.look(ctx, at, r, wait, left)
		switch {
		case len(got.deliveries) > 0:
			return got.deliveries, nil
		case err != nil:
			return nil, fmt.Errorf("receive from %s on NATS: %w", queue, err)
		case !got.again && time.Until(end) < waitMin:
			return nil, nil
		}
	}
}

// looked is what a look brought.
type looked struct {
	deliveries []driver.Delivery
	again      bool // something was put back that may be received at once
}

// look takes the messages that there are, or waits for the first one.
func (e *Engine) look(ctx context.Context, at place, r driver.Request, ackWait, wait time.Duration) (looked, error) {
	wait = max(wait, lookWait)
	p := pull{Batch: min(max(r.Max, 1), receiveMax), NoWait: true, Expires: wait}
	began := time.Now()
	got, err := e.take(ctx, at, r, ackWait, p)
	if err != nil || len(got.deliveries) > 0 || got.again {
		return got, err
	}
	if left := wait - time.Since(began); left >= waitMin {
		// The server thinks that others, who wait, have a better claim to what
		// there is. Whoever waits without conditions is in their line.
		return e.take(ctx, at, r, ackWait, pull{Batch: 1, Expires: left})
	}
	return got, nil
}

// take makes one pull, and deliveries of what it brings.
func (e *Engine) take(ctx context.Context, at place, r driver.Request, ackWait time.Duration, p pull) (looked, error) {
	lease := e.now().Add(ackWait) // from before the pull, so that it ends no later than at the server
	messages, err := e.pull(ctx, at, p)
	until := e.now().Add(r.Visibility)
	var got looked
	for _, msg := range messages {
		d, admitErr := e.admit(ctx, at, msg)
		switch {
		case errors.Is(admitErr, errPutBack):
			got.again = true
		case errors.Is(admitErr, errNotYet):
		case admitErr != nil: // it comes again after the ack wait
			err = errors.Join(err, admitErr)
		default:
			e.hold(&held{at: at, msg: msg, handle: d.Handle, ackWait: ackWait, lease: lease, until: until})
			got.deliveries = append(got.deliveries, d)
		}
	}
	return got, err
}

var (
	// errNotYet says that the time of a message has not come.
	errNotYet = errors.New("the message is to come later")
	// errPutBack says that a message went back to its queue or to its dead letters.
	errPutBack = errors.New("the message was put back")
)

// admit makes a delivery of a message, unless it is not to be handed out.
func (e *Engine) admit(ctx context.Context, at place, msg *nats.Msg) (driver.Delivery, error) {
	s, delivered, err := read(msg)
	if err != nil {
		return driver.Delivery{}, fmt.Errorf("a message of %s: %w", at.queue, err)
	}
	if at.dead == "" {
		return driver.Delivery{
			Message: decode(s), Queue: at.queue, Handle: msg.Reply,
			Receives: s.receives(), Cause: s.cause(), Copy: s.name(),
		}, nil
	}
	if notBefore, ok := s.time(headerNotBefore); ok {
		return driver.Delivery{}, e.postpone(ctx, at, msg, s, notBefore)
	}
	receives := s.receives() + delivered
	if most := e.cfg.ReceivesMax + receivesBackstop; receives > most {
		e.log.WarnContext(ctx, "a message is received again and again, and nobody gives it up; it is a dead letter now",
			keyQueue, at.queue, keyCopy, s.name())
		if err := e.bury(ctx, at, msg, s, receives-1, nil); err != nil {
			return driver.Delivery{}, err
		}
		return driver.Delivery{}, errPutBack
	}
	return driver.Delivery{Message: decode(s), Queue: at.queue, Handle: msg.Reply, Receives: receives}, nil
}

// postpone gives a message back whose time has not come, and makes a copy
// without that time of one whose has: what is handed out was delivered as often
// as it was received.
func (e *Engine) postpone(ctx context.Context, at place, msg *nats.Msg, s stored, notBefore time.Time) error {
	if delay := notBefore.Sub(e.now()); delay > 0 {
		if err := e.say(ctx, msg.Reply, nak(delay)); err != nil {
			return err
		}
		return errNotYet
	}
	if err := e.replace(ctx, at, msg, s, s.receives(), 0); err != nil {
		return err
	}
	return errPutBack
}

// read takes a message apart, and says how often the server handed it out.
func read(msg *nats.Msg) (stored, int, error) {
	meta, err := msg.Metadata()
	if err != nil {
		return stored{}, 0, fmt.Errorf("read what the server says of it: %w", err)
	}
	return stored{
		stream:   meta.Stream,
		sequence: meta.Sequence.Stream,
		at:       meta.Timestamp,
		header:   msg.Header,
		data:     msg.Data,
	}, int(min(meta.NumDelivered, receivesMax)), nil
}

// terms remembers how long each consumer lets a message be unanswered.
type terms struct {
	mu      sync.Mutex
	byQueue map[string]term
}

type term struct {
	ackWait time.Duration
	asked   time.Time
}

// forget lets the server be asked again.
func (ts *terms) forget() {
	ts.mu.Lock()
	defer ts.mu.Unlock()
	clear(ts.byQueue)
}

// ackWaitOf asks the server, now and then: another process may have provisioned
// another one.
func (e *Engine) ackWaitOf(ctx context.Context, at place) (time.Duration, error) {
	e.terms.mu.Lock()
	known, ok := e.terms.byQueue[at.queue]
	e.terms.mu.Unlock()
	if ok && time.Since(known.asked) < termsTrust {
		return known.ackWait, nil
	}
	asked := time.Now()
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	consumer, err := e.js.Consumer(ctx, at.stream, at.queue)
	if err != nil {
		return 0, e.explain(err)
	}
	have := consumer.CachedInfo().Config
	if have.AckPolicy != jetstream.AckExplicitPolicy || len(have.BackOff) > 0 {
		return 0, fmt.Errorf("consumer %s of stream %s would lose messages or hand them out twice: run restock queue provision",
			at.queue, at.stream)
	}
	e.terms.mu.Lock()
	defer e.terms.mu.Unlock()
	if e.terms.byQueue == nil {
		e.terms.byQueue = make(map[string]term)
	}
	e.terms.byQueue[at.queue] = term{ackWait: have.AckWait, asked: asked}
	return have.AckWait, nil
}
