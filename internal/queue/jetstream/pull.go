package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// drainTimeout bounds the wait for what was on its way when a pull was given up.
const drainTimeout = time.Second

// pull is one request for messages. The client library has none that takes what
// there is and else waits for the first message, and ends with a word of the
// server either way, so that nothing is handed out that nobody hears of.
type pull struct {
	// Batch is how many messages are wanted at most.
	Batch int `json:"batch"`
	// NoWait ends the pull when there are no more messages, but not before there
	// was one, as long as Expires has not passed.
	NoWait  bool          `json:"no_wait,omitempty"`
	Expires time.Duration `json:"expires,omitempty"`
}

// statusReply is the header by which the server says how a pull ended.
const statusHeader, descriptionHeader = "Status", "Description"

// The endings of a pull.
const (
	statusNoMessages   = "404"
	statusTimeout      = "408"
	statusConflict     = "409"
	statusNoResponders = "503"

	leadershipChange = "Leadership Change"
)

// pull gives what the server hands out. When ctx ends, it gives what was already
// on its way.
func (e *Engine) pull(ctx context.Context, at place, p pull) ([]*nats.Msg, error) {
	const statuses = 8 // more than the server sends for one pull
	lost := e.link.lost()
	in := make(chan *nats.Msg, p.Batch+statuses)
	sub, err := e.nc.ChanSubscribe(e.nc.NewInbox(), in)
	if err != nil {
		return nil, e.explain(err)
	}
	defer func() { _ = sub.Unsubscribe() }() // it may be gone already
	request, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("ask for messages: %w", err)
	}
	next := "$JS.API.CONSUMER.MSG.NEXT." + at.stream + "." + at.queue
	if err := e.nc.PublishRequest(next, sub.Subject, request); err != nil {
		return nil, e.explain(err)
	}
	late := time.NewTimer(p.Expires + answerTimeout)
	defer late.Stop()
	var got []*nats.Msg
	for len(got) < p.Batch {
		select {
		case msg := <-in:
			if msg.Reply == "" {
				return got, e.ended(msg)
			}
			got = append(got, msg)
		case <-ctx.Done():
			return append(got, drain(sub, in)...), ctx.Err()
		case <-lost:
			return got, e.explain(errors.New("the connection was lost while waiting for messages"))
		case <-late.C:
			return got, e.explain(nats.ErrTimeout)
		}
	}
	return got, nil
}

// ended reads the word of the server at the end of a pull.
func (e *Engine) ended(msg *nats.Msg) error {
	status, description := msg.Header.Get(statusHeader), msg.Header.Get(descriptionHeader)
	switch {
	case status == statusNoMessages, status == statusTimeout:
		return nil
	case status == statusConflict && description == leadershipChange:
		return nil // the next pull goes to the new leader
	case status == statusNoResponders:
		return e.explain(nats.ErrNoResponders)
	}
	return fmt.Errorf("the server ends the request: %s %s", status, description)
}

// drain ends the subscription and gives the messages that the server had sent
// until then: they count as received.
func drain(sub *nats.Subscription, in <-chan *nats.Msg) []*nats.Msg {
	closed := make(chan struct{})
	sub.SetClosedHandler(func(string) { close(closed) })
	if err := sub.Drain(); err != nil {
		return nil // there is no connection any more
	}
	late := time.NewTimer(drainTimeout)
	defer late.Stop()
	select {
	case <-closed:
	case <-late.C:
	}
	var got []*nats.Msg
	for {
		select {
		case msg := <-in:
			if msg.Reply != "" {
				got = append(got, msg)
			}
		default:
			return got
		}
	}
}
