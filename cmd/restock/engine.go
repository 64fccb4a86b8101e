package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/snssqs"
)

// engineCheckTimeout bounds the look at a broker when a process starts.
const engineCheckTimeout = 10 * time.Second

// engine is where messages are: in the database, or on a broker beside it.
type engine struct {
	name   string
	driver driver.Driver   // what consumers take from
	broker driver.Broker   // nil while messages stay in the database
	before []formerEngine  // brokers that were used before, and may hold messages
	target queue.Publisher // where what waits in the relay queue goes
}

type formerEngine struct {
	name   string
	broker driver.Broker
}

// routes says which events go to which queue. What no version knows goes to the
// stock queue, where it is kept as a dead letter that operations hear of.
func routes() []driver.Route {
	all := make([]driver.Route, 0, len(restock.Queues()))
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

// brokerScheme reports whether a queue URL names a broker that we know.
func brokerScheme(raw string) bool {
	scheme, _, ok := strings.Cut(raw, ":")
	return ok && openers()[scheme] != nil
}

// engineName is a queue URL without its password.
func engineName(raw string) string {
	if raw == restock.EmbeddedEngine {
		return raw
	}
	u, err := url.Parse(raw)
	if err != nil {
		return mailHost(raw)
	}
	u.User = nil
	return u.String()
}

// opener connects to a broker.
type opener func(ctx context.Context, raw string, log *slog.Logger) (driver.Broker, error)

// openers connect to the brokers, by the scheme of their URLs.
func openers() map[string]opener {
	return map[string]opener{"aws": openSNSSQS, "nats": openJetStream, "tls": openJetStream}
}

func openSNSSQS(ctx context.Context, raw string, log *slog.Logger) (driver.Broker, error) {
	return snssqs.Open(ctx, raw, routes(), snssqs.Config{Logger: log})
}

func openJetStream(ctx context.Context, raw string, log *slog.Logger) (driver.Broker, error) {
	return jetstream.Open(ctx, raw, routes(), jetstream.Config{Logger: log})
}

func openBroker(ctx context.Context, raw string, log *slog.Logger) (driver.Broker, error) {
	scheme, _, _ := strings.Cut(raw, ":")
	open, ok := openers()[scheme]
	if !ok {
		return nil, unknownEngine(raw)
	}
	broker, err := open(ctx, raw, log)
	if err != nil {
		return nil, fmt.Errorf("the queue engine %s: %w", engineName(raw), err)
	}
	return broker, nil
}

func unknownEngine(raw string) error {
	return fmt.Errorf("--queue: %q is not known; use db:, aws:TOPIC or nats://HOST:PORT", engineName(raw))
}

func (a *app) openBroker(ctx context.Context, raw string) (driver.Broker, error) {
	broker, err := openBroker(ctx, raw, a.log)
	if err == nil {
		a.closers = append(a.closers, broker.Close)
	}
	return broker, err
}

// openEngine connects to where messages are, and to where they were before.
func (a *app) openEngine(ctx context.Context) error {
	embedded := a.store.Queue()
	e := &engine{name: engineName(a.cfg.Queue), driver: embedded, target: embedded.Forward(routes())}
	a.engine = e
	if a.cfg.Queue != restock.EmbeddedEngine {
		broker, err := a.openBroker(ctx, a.cfg.Queue)
		if err != nil {
			return err
		}
		e.broker, e.target = broker, broker
		e.driver = queue.Recorded(broker, embedded, a.log)
		a.running = append(a.running, a.checkBroker)
	}
	before, err := a.store.UseEngine(ctx, e.name)
	if err != nil {
		return err
	}
	for _, name := range before {
		if err := a.openFormer(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

// openFormer connects to an engine that was used before, by the URL that is
// given for it, or else by its name.
func (a *app) openFormer(ctx context.Context, name string) error {
	raw := name
	for _, given := range a.cfg.QueueBefore {
		if engineName(given) == name {
			raw = given
		}
	}
	broker, err := a.openBroker(ctx, raw)
	if err != nil {
		return fmt.Errorf("%w; messages may wait there: give its URL with --queue-before", err)
	}
	a.log.WarnContext(ctx, "messages may wait on the queue engine used before; they are moved from there, see restock queue status", "engine", name)
	a.engine.before = append(a.engine.before, formerEngine{name, broker})
	return nil
}

// checkBroker says what the broker lacks, once. It is no reason not to serve:
// sales need no broker, and what waits for one waits in the database.
func (a *app) checkBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, engineCheckTimeout)
	defer cancel()
	findings, err := a.engine.broker.Provision(ctx, false)
	if err != nil && !errors.Is(err, context.Canceled) {
		a.log.ErrorContext(ctx, "the queue engine does not answer; messages wait in the database meanwhile", "engine", a.engine.name, "error", err)
	}
	for _, f := range findings {
		a.log.ErrorContext(ctx, "the queue engine is not as it should be: restock queue provision mends it", "what", f.What, "have", f.Have, "want", f.Want)
	}
	return nil
}

// relays moves messages to where they belong: from the database to the broker,
// and from engines that were used before to the present one.
func (a *app) relays() []func(context.Context) error {
	e, embedded := a.engine, a.store.Queue()
	all := runs(queue.NewRelay(embedded, restock.RelayQueue, e.target, "", a.log).Run)
	for _, name := range restock.Queues() {
		if e.broker != nil { // what was redriven, or waited here before there was a broker
			all = append(all, queue.NewRelay(embedded, name, e.broker, name, a.log).Run)
		}
		for _, former := range e.before {
			all = append(all, queue.NewDrain(former.broker, name, e.target, a.log).Run,
				queue.NewCollector(former.broker, name, embedded, a.log).Run)
		}
	}
	return all
}

// collectors bring a broker's dead letters to the desk.
func (a *app) collectors() []func(context.Context) error {
	if a.engine.broker == nil {
		return nil
	}
	var all []func(context.Context) error
	for _, name := range restock.Queues() {
		all = append(all, queue.NewCollector(a.engine.broker, name, a.store.Queue(), a.log).Run)
	}
	return all
}

// reached are the brokers that this process can ask.
func (e *engine) reached() map[string]ops.Depths {
	all := map[string]ops.Depths{}
	if e.broker != nil {
		all[e.name] = e.broker
	}
	for _, former := range e.before {
		all[former.name] = former.broker
	}
	return all
}

// closeAll ends connections, the last opened first.
func closeAll(closers []func() error) error {
	var errs []error
	for _, end := range slices.Backward(closers) {
		errs = append(errs, end())
	}
	return errors.Join(errs...)
}
