// Package queue runs handlers on messages: it decides when a message is tried
// again, when it is given up and becomes a dead letter, and how a consumer
// stops. What holds the messages is a driver (package driver and its
// engines); what is in them is the handlers' affair.
//
// # Delivery
//
// At least once, in no promised order. A handler steers by what it returns:
//
//	nil            the message is done
//	an error       again after a growing delay; after ReceivesMax receives it
//	               becomes a dead letter of its queue, with the last error
//	Discard(err)   it becomes a dead letter now: trying again cannot help
//	After(err, d)  an error, but not again before d has passed
//	Later(d)       again after d, and this receive does not count
//
// A panic is an error of that message alone. A message of a type without a
// handler becomes a dead letter at once: it is kept, for a version that knows it.
//
// # Time
//
// While a handler runs, its message is kept invisible to others by extending
// the visibility. When the message is lost all the same, the handler's context
// is cancelled and its answer is refused by the driver.
//
// # What is not promised
//
// That a handler runs only once for a message. It has to act on what is true
// when it runs, and recognise by the message id what it has done before.
package queue

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// The types of package driver that handlers and the operator's side need.
type (
	// ID names a message.
	ID = driver.ID
	// Message is what a handler gets.
	Message = driver.Message
	// DeadLetter is a message that was given up.
	DeadLetter = driver.DeadLetter
	// Filter selects dead letters.
	Filter = driver.Filter
	// Stats counts the messages of a queue.
	Stats = driver.Stats
	// Depth is how much lies on a queue of a broker.
	Depth = driver.Depth
)

// TypeForeign is the type of a message that was made by a program of others.
const TypeForeign = driver.TypeForeign

// The answers of a dead-letter desk, from package driver.
var (
	ErrNotFound  = driver.ErrNotFound
	ErrAmbiguous = driver.ErrAmbiguous
	ErrCursor    = driver.ErrCursor
)

// Handler handles one message. The context ends at the handler's deadline, when
// the message was lost to another consumer, and when the consumer has to stop.
type Handler func(ctx context.Context, m Message) error

// Discard makes the message a dead letter now, with err as the cause.
func Discard(err error) error { return &discardError{cause: err} }

// IsDiscard reports whether err asks for a dead letter.
func IsDiscard(err error) bool {
	_, ok := errors.AsType[*discardError](err)
	return ok
}

type discardError struct{ cause error }

func (e *discardError) Error() string {
	if e.cause == nil {
		return "discarded by its handler"
	}
	return e.cause.Error()
}

func (e *discardError) Unwrap() error { return e.cause }

// After is an error that asks not to be tried again before delay has passed, for
// instance since the other side said so. The receive counts.
func After(err error, delay time.Duration) error { return &afterError{cause: err, delay: delay} }

type afterError struct {
	cause error
	delay time.Duration
}

func (e *afterError) Error() string { return e.cause.Error() }

func (e *afterError) Unwrap() error { return e.cause }

// Later asks for the message again after delay, without using up a receive.
func Later(delay time.Duration) error { return &laterError{delay: delay} }

// AsLater reports whether err asks for the message later, and after how long.
func AsLater(err error) (time.Duration, bool) {
	later, ok := errors.AsType[*laterError](err)
	if !ok {
		return 0, false
	}
	return later.delay, true
}

type laterError struct{ delay time.Duration }

func (e *laterError) Error() string { return fmt.Sprintf("again in %s", e.delay) }

// panicError is a panic of a handler.
type panicError struct {
	value any
	stack []byte
}

func (e *panicError) Error() string { return fmt.Sprintf("panic: %v", e.value) }
