package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

// publishWindow is how many messages one Publish has on their way at once.
const publishWindow = 256

// errTooLarge is the server's code for a message that its stream never takes.
const errTooLarge jetstream.ErrorCode = 10054

// Publish copies each message to its queues, as driver.Broker says.
func (e *Engine) Publish(ctx context.Context, messages []driver.Outgoing) []error {
	errs := make([]error, len(messages))
	var under []sent
	settle := func(keep int) {
		for ; len(under) > keep; under = under[1:] {
			s := under[0]
			errs[s.index] = errors.Join(errs[s.index], e.acknowledged(ctx, s))
		}
	}
	for i, m := range messages {
		parcels, err := e.address(m)
		if err != nil {
			errs[i] = err
			continue
		}
		for _, p := range parcels {
			settle(publishWindow - 1)
			s := sent{index: i, parcel: p}
			s.future, s.err = e.js.PublishMsgAsync(p.msg, jetstream.WithExpectStream(p.at.stream))
			under = append(under, s)
		}
	}
	settle(0)
	return errs
}

// parcel is a message for one of its queues.
type parcel struct {
	at  place
	msg *nats.Msg
}

// sent is a parcel on its way.
type sent struct {
	parcel

	index  int // in the batch
	future jetstream.PubAckFuture
	err    error // it is not even on its way
}

// address makes the parcels of a message, one for each of its queues.
func (e *Engine) address(m driver.Outgoing) ([]parcel, error) {
	queues := driver.QueuesOf(e.places.routes, m)
	if len(queues) == 0 {
		return nil, fmt.Errorf("message %s: %w: no route takes its type %q", m.ID, driver.ErrRefused, m.Type)
	}
	parcels := make([]parcel, 0, len(queues))
	for _, queue := range queues {
		at, err := e.places.of(queue)
		if err != nil {
			return nil, fmt.Errorf("message %s: %w: %w", m.ID, driver.ErrRefused, err)
		}
		msg := encode(at.subject, m.Message)
		if m.Queue == "" {
			// What names its queue is no repetition: a redrive comes after a death.
			msg.Header.Set(jetstream.MsgIDHeader, m.ID.String()+"/"+queue)
		}
		if size := msg.Size(); size > MessageBytesMax {
			return nil, fmt.Errorf("message %s: %w: it has %d bytes with its headers, at most %d are allowed",
				m.ID, driver.ErrRefused, size, MessageBytesMax)
		}
		parcels = append(parcels, parcel{at: at, msg: msg})
	}
	return parcels, nil
}

// acknowledged waits until the server says that it has a parcel.
func (e *Engine) acknowledged(ctx context.Context, s sent) error {
	err := s.err
	if err == nil {
		select {
		case <-s.future.Ok():
			return nil
		case err = <-s.future.Err():
		case <-ctx.Done():
			err = ctx.Err()
		case <-time.After(2 * e.cfg.AnswerTimeout): // the future's own limit failed
			err = nats.ErrTimeout
		}
	}
	return fmt.Errorf("publish to %s on NATS: %w", s.at.queue, e.refusal(err))
}

// store publishes a copy that the engine makes of a message that it holds. The
// key tells a second try of the same from another copy.
func (e *Engine) store(ctx context.Context, stream, key string, msg *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	_, err := e.js.PublishMsg(ctx, msg, jetstream.WithExpectStream(stream), jetstream.WithMsgID(key))
	if err != nil {
		return e.refusal(err)
	}
	return nil
}

// refusal says which errors are for ever.
func (e *Engine) refusal(err error) error {
	api, ok := errors.AsType[*jetstream.APIError](err)
	if errors.Is(err, nats.ErrMaxPayload) || (ok && api.ErrorCode == errTooLarge) {
		return fmt.Errorf("%w: %w", driver.ErrRefused, err)
	}
	return e.explain(err)
}
