package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
)

// drainTimeout bounds the wait for what is on its way when the engine is closed.
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

// The headers by which the server says how a pull ended.
const statusHeader, descriptionHeader = "Status", "Description"

// The endings of a pull.
const (
	statusNoMessages   = "404"
	statusTimeout      = "408"
	statusConflict     = "409"
	statusNoResponders = "503"

	leadershipChange = "Leadership Change"
)

// pulling is a pull that the server has not ended.
type pulling struct {
	at   place
	in   chan *nats.Msg
	sub  *nats.Subscription
	late *time.Timer     // the server owes an answer
	lost <-chan struct{} // there will be none
}

// pull gives what the server hands out.
func (e *Engine) pull(ctx context.Context, at place, p pull) ([]*nats.Msg, error) {
	pg, err := e.begin(at, p)
	if err != nil {
		return nil, err
	}
	var got []*nats.Msg
	for len(got) < p.Batch {
		select {
		case msg := <-pg.in:
			if msg.Reply == "" {
				pg.end()
				return got, e.ended(msg)
			}
			got = append(got, msg)
		case <-ctx.Done():
			e.giveUp(pg)
			return got, ctx.Err()
		case <-pg.lost:
			pg.end()
			return got, e.explain(errors.New("the connection was lost while waiting for messages"))
		case <-pg.late.C:
			pg.end()
			return got, e.explain(nats.ErrTimeout)
		}
	}
	pg.end()
	return got, nil
}

func (e *Engine) begin(at place, p pull) (*pulling, error) {
	const statuses = 8 // more than the server sends for one pull
	request, err := json.Marshal(p)
	if err != nil {
		return nil, fmt.Errorf("ask for messages: %w", err)
	}
	pg := &pulling{at: at, lost: e.link.lost(), in: make(chan *nats.Msg, p.Batch+statuses)}
	if pg.sub, err = e.nc.ChanSubscribe(e.nc.NewInbox(), pg.in); err != nil {
		return nil, e.explain(err)
	}
	pg.late = time.NewTimer(p.Expires + e.cfg.AnswerTimeout)
	next := "$JS.API.CONSUMER.MSG.NEXT." + at.stream + "." + at.queue
	if err := e.nc.PublishRequest(next, pg.sub.Subject, request); err != nil {
		pg.end()
		return nil, e.explain(err)
	}
	return pg, nil
}

func (pg *pulling) end() {
	pg.late.Stop()
	_ = pg.sub.Unsubscribe() // it may be gone already
}

// giveUp leaves a pull to itself: nobody waits for it any more, but the server
// may hand out messages until it ends. They go back at once, and the receive
// does not count. Without an ear for them they would be out of sight for the ack
// wait.
func (e *Engine) giveUp(pg *pulling) {
	if !e.held.begin() {
		pg.end()
		return
	}
	go func() {
		defer e.held.working.Done()
		defer pg.end()
		for {
			select {
			case msg := <-pg.in:
				if msg.Reply == "" {
					return
				}
				e.putBack(pg.at, msg)
			case <-pg.lost:
				return
			case <-pg.late.C:
				return
			case <-e.held.closing:
				for _, msg := range pg.drain() {
					e.putBack(pg.at, msg)
				}
				return
			}
		}
	}()
}

// putBack gives back what nobody received.
func (e *Engine) putBack(at place, msg *nats.Msg) {
	ctx, cancel := context.WithTimeout(context.Background(), e.cfg.AnswerTimeout)
	defer cancel()
	s, delivered, err := read(msg)
	switch {
	case err != nil:
	case at.dead == "":
		err = e.say(ctx, msg.Reply, nak(0))
	default:
		err = e.replace(ctx, at, msg, s, s.receives()+delivered-1, 0)
	}
	if err != nil { // it comes again after the ack wait
		e.log.WarnContext(ctx, "giving back a message that nobody waited for", keyQueue, at.queue, keyError, err)
	}
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

// drain gives the messages that the server had sent until now, and lets it send
// no more.
func (pg *pulling) drain() []*nats.Msg {
	closed := make(chan struct{})
	pg.sub.SetClosedHandler(func(string) { close(closed) })
	if err := pg.sub.Drain(); err != nil {
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
		case msg := <-pg.in:
			if msg.Reply != "" {
				got = append(got, msg)
			}
		default:
			return got
		}
	}
}
