package jetstream

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

// unlimited is how JetStream writes that there is no limit.
const unlimited = -1

// Provision looks at the streams and consumers, and with mend makes and changes
// them, as driver.Broker says.
func (e *Engine) Provision(ctx context.Context, mend bool) ([]driver.Finding, error) {
	defer e.terms.forget() // they may be other ones now
	var findings []driver.Finding
	add := func(more []driver.Finding, err error) error {
		findings = append(findings, more...)
		return err
	}
	if err := add(e.provisionServer(ctx)); err != nil {
		return nil, fmt.Errorf("look at NATS: %w", e.explain(err))
	}
	for _, name := range []string{e.places.dead, e.places.stream} {
		if err := add(e.provisionStream(ctx, name, mend)); err != nil {
			return findings, fmt.Errorf("provision stream %s on NATS: %w", name, e.explain(err))
		}
	}
	for _, at := range e.places.inOrder {
		if err := add(e.provisionConsumer(ctx, at, mend)); err != nil {
			return findings, fmt.Errorf("provision consumer %s on NATS: %w", at.queue, e.explain(err))
		}
	}
	return findings, nil
}

// provisionServer looks whether JetStream is on, and the server takes a dead
// letter of the largest size.
func (e *Engine) provisionServer(ctx context.Context) ([]driver.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, e.cfg.AnswerTimeout)
	defer cancel()
	if _, err := e.js.AccountInfo(ctx); err != nil {
		return nil, err
	}
	if have := e.nc.MaxPayload(); have < deadBytesMax {
		return []driver.Finding{{
			What: "server: max_payload",
			Have: strconv.FormatInt(have, 10),
			Want: fmt.Sprintf("at least %d (a setting of the server)", deadBytesMax),
		}}, nil
	}
	return nil, nil
}

// stream is how a stream should be. No limit throws anything away; what does
// not fit is refused, so that whoever publishes knows.
func (e *Engine) stream(name string) jetstream.StreamConfig {
	config := jetstream.StreamConfig{
		Name:              name,
		Description:       "restock: messages that wait for their consumers",
		Subjects:          e.places.subjects(name),
		Retention:         jetstream.WorkQueuePolicy,
		Storage:           jetstream.FileStorage,
		Replicas:          e.places.replicas,
		Discard:           jetstream.DiscardNew,
		MaxConsumers:      unlimited,
		MaxMsgs:           unlimited,
		MaxBytes:          unlimited,
		MaxMsgsPerSubject: unlimited,
		MaxMsgSize:        MessageBytesMax,
		Duplicates:        DuplicateWindow,
	}
	if name == e.places.dead {
		config.Description = "restock: dead letters on their way to the desk"
		config.MaxMsgSize = deadBytesMax
	}
	return config
}

func (e *Engine) provisionStream(ctx context.Context, name string, mend bool) ([]driver.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	want := e.stream(name)
	found, err := e.js.Stream(ctx, name)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		missing := driver.Finding{What: "stream " + name, Want: fmt.Sprintf("%s, %s, replicas %d, subjects %s",
			want.Retention, want.Storage, want.Replicas, strings.Join(want.Subjects, " "))}
		if mend {
			_, err := e.js.CreateStream(ctx, want)
			missing.Mended = err == nil
			return []driver.Finding{missing}, err
		}
		return []driver.Finding{missing}, nil
	}
	if err != nil {
		return nil, err
	}
	have := found.CachedInfo().Config
	// What is more stays: another version may have other queues.
	want.Subjects = union(have.Subjects, want.Subjects)
	want.Duplicates = max(want.Duplicates, have.Duplicates)
	return compare("stream "+name, streamTraits, have, want).settle(mend, func(mended jetstream.StreamConfig) error {
		_, err := e.js.UpdateStream(ctx, mended)
		return err
	})
}

func union(have, want []string) []string {
	all := slices.Clone(have)
	for _, s := range want {
		if !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

func (e *Engine) provisionConsumer(ctx context.Context, at place, mend bool) ([]driver.Finding, error) {
	ctx, cancel := context.WithTimeout(ctx, provisionTimeout)
	defer cancel()
	want := jetstream.ConsumerConfig{
		Durable:       at.queue,
		Description:   "restock",
		FilterSubject: at.subject,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       ackWait(e.cfg.Visibility),
		MaxDeliver:    unlimited,
		MaxAckPending: unansweredMax,
	}
	found, err := e.js.Consumer(ctx, at.stream, at.queue)
	if errors.Is(err, jetstream.ErrConsumerNotFound) || errors.Is(err, jetstream.ErrStreamNotFound) {
		missing := driver.Finding{What: "consumer " + at.queue, Want: fmt.Sprintf("of %s, ack wait %s", at.subject, want.AckWait)}
		if mend {
			_, err := e.js.CreateConsumer(ctx, at.stream, want)
			missing.Mended = err == nil
			return []driver.Finding{missing}, err
		}
		return []driver.Finding{missing}, nil
	}
	if err != nil {
		return nil, err
	}
	info := found.CachedInfo()
	differ := compare("consumer "+at.queue, consumerTraits, info.Config, want)
	if info.Paused {
		differ.fixed = append(differ.fixed, driver.Finding{
			What: "consumer " + at.queue + ": paused",
			Have: "for " + info.PauseRemaining.Round(time.Second).String(),
			Want: "never (somebody wanted it; end it with nats consumer resume)",
		})
	}
	return differ.settle(mend, func(mended jetstream.ConsumerConfig) error {
		_, err := e.js.UpdateConsumer(ctx, at.stream, mended)
		return err
	})
}
