package messages_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/snssqs"
)

// engine is where the messages of a world are.
type engine struct {
	name string
	pace pace
	// outbox: they go through a relay.
	outbox bool
	// server starts a broker, and broker connects to it; nil is the database
	// itself, as it is for what waits when a shop goes back to it.
	server func(t *testing.T) string
	broker func(ctx context.Context, server string, w *world) (driver.Broker, error)
	// copied tells one copy of a message on a queue from another.
	copied func(d driver.Delivery) string
}

// engines are all of them.
func engines() []engine {
	only := func(driver.Delivery) string { return "" }
	return []engine{
		{name: "embedded", pace: inBubble(), copied: only},
		{name: "relayed", pace: inBubble(), outbox: true, copied: only},
		{name: "jetstream", pace: besideBroker(), outbox: true, server: startNATS, broker: onJetStream, copied: inStream},
		{name: "snssqs", pace: besideSQS(), outbox: true, server: startSNSSQS, broker: onSNSSQS, copied: unknown},
	}
}

// startNATS starts a server that lives as long as the test.
func startNATS(t *testing.T) string {
	t.Helper()
	return queuetest.StartNATS(t).URL()
}

func startSNSSQS(t *testing.T) string {
	t.Helper()
	return queuetest.StartSNSSQS(t)
}

func onJetStream(ctx context.Context, server string, w *world) (driver.Broker, error) {
	e, err := jetstream.Open(ctx, server, routes(), jetstream.Config{Logger: w.log, Visibility: w.pace.visibility})
	if err == nil {
		_, err = e.Provision(ctx, true)
	}
	return e, err
}

// onSNSSQS connects to a topic and queues of its own.
func onSNSSQS(ctx context.Context, server string, w *world) (driver.Broker, error) {
	name := fmt.Sprintf("world%d", w.dice)
	anyone := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{AccessKeyID: "test", SecretAccessKey: "test"}, nil
	})
	at := "aws:" + name + "?" + url.Values{"region": {"ap-northeast-2"}, "endpoint": {server}, "prefix": {name + "-"}}.Encode()
	e, err := snssqs.Open(ctx, at, routes(), snssqs.Config{Logger: w.log, Credentials: anyone})
	if err == nil {
		_, err = e.Provision(ctx, true)
	}
	return e, err
}

// unknown is for an engine that does not tell copies apart: each receive may be
// of another.
func unknown(d driver.Delivery) string { return d.Handle }

// inStream is the number of a message in its stream, which is one word of the
// subject that an answer goes to: the sixth, after $JS.ACK, stream, consumer and
// receive, or, in the longer form with domain and account, the eighth.
func inStream(d driver.Delivery) string {
	const short, number, longer = 9, 5, 2
	words := strings.Split(d.Handle, ".")
	switch {
	case len(words) == short:
		return words[number]
	case len(words) > short+longer:
		return words[number+longer]
	}
	return d.Handle
}

// routes says which events go to which queue, as the program does.
func routes() []driver.Route {
	var all []driver.Route
	for _, name := range restock.Queues() {
		route := driver.Route{Queue: name, Rest: name == restock.StockQueue}
		for _, t := range restock.EventTypes() {
			if q, ok := t.Queue(); ok && q == name {
				route.Types = append(route.Types, string(t))
			}
		}
		all = append(all, route)
	}
	return all
}

// badTarget is the way from a relay to its broker: messages get lost on it, or
// arrive and the relay does not hear of it, and at times there is no way at all.
type badTarget struct {
	queue.Publisher

	w *world

	mu    sync.Mutex
	tries map[driver.ID]int
}

var errAway = errors.New("the broker is away")

func (b *badTarget) Publish(ctx context.Context, messages []driver.Outgoing) []error {
	errs := make([]error, len(messages))
	var sent []driver.Outgoing
	var at []int
	for i, m := range messages {
		if errs[i] = b.before(m); errs[i] == nil {
			sent, at = append(sent, m), append(at, i)
		}
	}
	if len(sent) == 0 {
		return errs
	}
	for i, err := range b.Publisher.Publish(ctx, sent) {
		if err == nil && !b.w.quiet.Load() && chance(b.diceOf(sent[i], "after"), 10) {
			b.w.tally.count(unknownToUs)
			err = errRoad
		}
		errs[at[i]] = err
	}
	return errs
}

// before says why a message does not reach the broker.
func (b *badTarget) before(m driver.Outgoing) error {
	if b.w.brokerOff.Load() {
		return errAway
	}
	b.mu.Lock()
	if b.tries == nil {
		b.tries = map[driver.ID]int{}
	}
	b.tries[m.ID]++
	b.mu.Unlock()
	if !b.w.quiet.Load() && chance(b.diceOf(m, "before"), 10) {
		b.w.tally.count(notPublished)
		b.w.book.note(m.Subject, "%s does not reach the broker", b.w.book.name(m.Message))
		return errRoad
	}
	return nil
}

func (b *badTarget) diceOf(m driver.Outgoing, when string) *rand.Rand {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.w.dice.about("publish", b.w.book.name(m.Message), b.tries[m.ID], when)
}
