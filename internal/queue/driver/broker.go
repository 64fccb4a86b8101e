package driver

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ReceivesMaxDefault is after how many receives a message is given up, on every
// engine alike: SQS calls it maxReceiveCount, JetStream MaxDeliver.
const ReceivesMaxDefault = 5

// VisibilityDefault is how soon the message of a dead process is tried again.
const VisibilityDefault = 30 * time.Second

// TypeForeign is the type of a message that was not made by us: what a program
// of others sent, kept as it came. Its body is JSON with the text and the
// attributes.
const TypeForeign = "foreign"

// ErrRefused says that a broker will never take a message, however often it is
// offered: it is too large, or malformed.
var ErrRefused = errors.New("the broker refuses this message")

// Route is one queue of a topic, and which messages the topic copies to it.
type Route struct {
	Queue string
	Types []string
	// Rest: it also gets every type that no route names, so that a message of
	// the future is kept. One route of a topic has it.
	Rest bool
}

// Outgoing is a message on its way to a broker.
type Outgoing struct {
	Message
	// Queue is the only queue that it goes to; with "" the topic copies it to
	// all whose route has its type.
	Queue string
}

// Depth is how much lies on one queue of a broker, as exactly as it can tell.
type Depth struct {
	Queue    string `json:"queue"`
	Waiting  int64  `json:"waiting"` // delayed ones included
	InFlight int64  `json:"in_flight"`
	Dead     int64  `json:"dead"` // in its dead-letter queue, not yet on the desk
	// OldestAt is when the oldest message that waits was published; zero when
	// there is none, and with an engine that does not tell.
	OldestAt time.Time `json:"oldest_at,omitzero"`
}

// Finding is one thing that a broker lacks or has otherwise than it should.
type Finding struct {
	What   string `json:"what"`   // such as "queue stock-queue: redrive policy"
	Have   string `json:"have"`   // "" when it is missing
	Want   string `json:"want"`   //
	Mended bool   `json:"mended"` // Provision put it right
}

// Broker is an engine outside our database: one topic, its queues, and a
// dead-letter queue for each, named with DeadLetterSuffix.
//
// Receive also takes from dead-letter queues. What comes from there has Cause
// and Copy, and in Receives what it had on its own queue.
type Broker interface {
	Driver

	// Publish hands messages over, and gives for each, in their order, nil when
	// the broker has it durably, ErrRefused when it never will, and another error
	// when that is not known. A message that was handed over twice may arrive
	// twice.
	Publish(ctx context.Context, messages []Outgoing) []error

	// Depths tells how much lies on each queue.
	Depths(ctx context.Context) ([]Depth, error)

	// Provision looks whether everything is there and as it should be: topic,
	// queues, subscriptions, policies. With mend it creates what is missing and
	// changes what differs. It never deletes.
	Provision(ctx context.Context, mend bool) ([]Finding, error)

	// Close ends the connections.
	Close() error
}

// QueuesOf gives the queues that a message goes to.
func QueuesOf(routes []Route, m Outgoing) []string {
	if m.Queue != "" {
		return []string{m.Queue}
	}
	var queues, rest []string
	for _, r := range routes {
		if slices.Contains(r.Types, m.Type) {
			queues = append(queues, r.Queue)
		}
		if r.Rest {
			rest = append(rest, r.Queue)
		}
	}
	if len(queues) == 0 {
		return rest
	}
	return queues
}
