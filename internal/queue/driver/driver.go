// Package driver is what a queue engine must do, and the words it does it in.
//
// A driver is dumb on purpose: it takes, answers and keeps messages. Who runs
// the handlers, how often a message is tried and how long it waits in between
// is decided once, in package queue, for every engine.
//
// # Delivery
//
// At least once. A received message is invisible to others for the visibility
// that was asked for; unanswered, it becomes visible again. Every receive gets
// a new handle, and only the handle of the latest receive works: whoever comes
// back with an older one is told ErrStale and has changed nothing.
//
// # Ordering
//
// None is promised. Engines give the longest visible message first where that
// is cheap.
//
// # Limits
//
// An engine may round a visibility or a delay up to its own resolution (SQS:
// whole seconds), never down.
package driver

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// DeadLetterSuffix makes the name of a queue's own dead-letter queue.
const DeadLetterSuffix = "-dlq"

// ErrStale says that the handle of a delivery is no longer the current one:
// the message was answered, or its visibility ran out and somebody else has it.
var ErrStale = errors.New("stale handle: the message was answered or taken by another consumer")

// The answers of a dead-letter desk to a question that it cannot answer.
var (
	ErrNotFound  = errors.New("no such dead letter")
	ErrAmbiguous = errors.New("the message is a dead letter of several queues; name the queue")
	ErrCursor    = errors.New("not a cursor of this list; begin again without one")
	// ErrNotDead is an ErrNotFound of a message that is there, and not dead now.
	ErrNotDead = fmt.Errorf("%w now; somebody may have dealt with it", ErrNotFound)
)

// Message is what travels: bytes, and the attributes that CloudEvents 1.0 names.
type Message struct {
	ID          ID
	Type        string // says which handler it is for
	Subject     string // what it is about
	TraceParent string // W3C trace context; may be empty
	Time        time.Time
	Body        []byte
}

// Delivery is one receive of a message.
type Delivery struct {
	Message
	Queue    string
	Receives int    // how often it was received, this time included
	Handle   string // proves which receive this is

	// Of a message that lies in the dead-letter queue of a broker: why it is
	// there, "" when nobody lived to say; and the broker's name of this copy, the
	// same at every receive.
	Cause, Copy string
}

// Request says how much to receive, and how long to wait for it.
type Request struct {
	Max        int           // at most so many messages; at least 1
	Visibility time.Duration // how long they are invisible to others
	// Wait is how long to wait while there is nothing; 0 looks once. An engine
	// may return earlier.
	Wait time.Duration
}

// Driver is one queue engine. Its methods are safe for concurrent use. An
// error other than ErrStale means that the outcome is not known: the engine is
// away, or ctx ended.
type Driver interface {
	// Receive takes messages that are visible. With none, it waits as the
	// request says, returns at once when one appears, and at last returns
	// nothing and no error. Waiting and looking are one call, so that no message
	// can appear unseen between the two; SQS and NATS have it so too.
	Receive(ctx context.Context, queue string, r Request) ([]Delivery, error)

	// Done says that the message is handled.
	Done(ctx context.Context, d Delivery) error

	// Retry makes the message visible again after delay. The receive counts, and
	// its cause is recorded.
	Retry(ctx context.Context, d Delivery, delay time.Duration, cause string) error

	// Later makes the message visible again after delay and gives the receive
	// back: the message is as if it had not been received.
	Later(ctx context.Context, d Delivery, delay time.Duration) error

	// Dead moves the message to the dead-letter queue of its queue, with the
	// cause.
	Dead(ctx context.Context, d Delivery, cause string) error

	// Extend keeps the message invisible for visibility from now on.
	Extend(ctx context.Context, d Delivery, visibility time.Duration) error
}
