package jetstream

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

// Depths tells how much lies on each queue: what the stream has, less what the
// consumer has handed out. So also a message shows that no consumer would ever
// hand out. JetStream does not tell a message that is being handled from one
// that waits for its next try; both count as in flight. OldestAt is when the
// first message on the queue was published, in flight or not.
func (e *Engine) Depths(ctx context.Context) ([]driver.Depth, error) {
	depths, err := e.depths(ctx)
	if err != nil {
		return nil, fmt.Errorf("look how much lies on NATS: %w", e.explain(err))
	}
	return depths, nil
}

func (e *Engine) depths(ctx context.Context) ([]driver.Depth, error) {
	alive, err := e.count(ctx, e.places.stream)
	if err != nil {
		return nil, err
	}
	dead, err := e.count(ctx, e.places.dead)
	if err != nil {
		return nil, err
	}
	var depths []driver.Depth
	for _, at := range e.places.inOrder {
		if at.dead == "" {
			continue
		}
		consumer, err := e.consumer(ctx, at)
		if err != nil {
			return nil, err
		}
		total := alive.of(at)
		inFlight := min(int64(consumer.CachedInfo().NumAckPending), total)
		d := driver.Depth{Queue: at.queue, Waiting: total - inFlight, InFlight: inFlight, Dead: dead.of(e.places.byQueue[at.dead])}
		if total > 0 {
			if d.OldestAt, err = e.oldest(ctx, alive.stream, at); err != nil {
				return nil, err
			}
		}
		depths = append(depths, d)
	}
	return depths, nil
}

// counts is how many messages each subject of a stream has.
type counts struct {
	stream    jetstream.Stream
	bySubject map[string]uint64
}

func (c counts) of(at place) int64 { return int64(c.bySubject[at.subject]) } //nolint:gosec // no stream has so many

func (e *Engine) count(ctx context.Context, name string) (counts, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	stream, err := e.js.Stream(ctx, name)
	if err != nil {
		return counts{}, fmt.Errorf("stream %s: %w", name, err)
	}
	info, err := stream.Info(ctx, jetstream.WithSubjectFilter(">"))
	if err != nil {
		return counts{}, fmt.Errorf("stream %s: %w", name, err)
	}
	return counts{stream: stream, bySubject: info.State.Subjects}, nil
}

func (e *Engine) consumer(ctx context.Context, at place) (jetstream.Consumer, error) { //nolint:ireturn // the library has it so
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	consumer, err := e.js.Consumer(ctx, at.stream, at.queue)
	if err != nil {
		return nil, fmt.Errorf("consumer %s of stream %s: %w", at.queue, at.stream, err)
	}
	return consumer, nil
}

// oldest is when the first message of a queue was published. None is there any
// more when it was handled just now.
func (e *Engine) oldest(ctx context.Context, stream jetstream.Stream, at place) (time.Time, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	first, err := stream.GetMsg(ctx, 1, jetstream.WithGetMsgSubject(at.subject))
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return time.Time{}, nil
	}
	if err != nil {
		return time.Time{}, fmt.Errorf("first message of %s: %w", at.queue, err)
	}
	return stored{at: first.Time, header: first.Header}.published(), nil
}
