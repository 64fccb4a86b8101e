// Package jetstream is the queue engine on NATS JetStream: several machines,
// replicated disks, any number of processes.
//
// # URL
//
//	nats://[user:password@]host:port[,host:port…][?option=value&…]
//	tls://…   the same, and encrypted or not at all
//
// A user without a password is a token. Without a port it is 4222. The options:
//
//	stream=restock    the name of the stream, and the beginning of all our subjects
//	replicas=1        on how many servers of a cluster each message is kept
//	creds=FILE        credentials of a NATS account (JWT and seed)
//	ca=FILE           the authorities to trust, instead of the system's
//	cert=FILE&key=FILE  our own certificate, for servers that ask for one
//
// # Delivery
//
// At least once, as package driver says. A stream with work-queue retention
// holds the messages, one subject and one durable consumer for each queue; a
// second stream beside it holds the dead letters. A message is copied to its
// queues by whoever publishes it. Publish says nil when the server has answered
// that it has the message; nothing is buffered while the connection is away.
//
// A receive is one pull that takes what there is, or waits for the first
// message; a publish wakes it. The handle is the subject on which the server
// expects the answer, another one at every receive. JetStream would take the
// answer to an older receive too, so this process keeps the leases
// (driver.Leases) and sends no answer that is late.
//
// The server never gives a message up (MaxDeliver is unlimited): the message
// would stay in the stream and be handed out to nobody, and with replicas there
// were servers that lost it (nats-server issue 7817). Who gives up is the
// consumer, and behind it this engine: a message that was received
// receivesBackstop times more than Config.ReceivesMax is moved to its dead
// letters instead of being handed out. No BackOff is set either: it would
// replace the ack wait that a lease counts on, and the delay between two tries
// comes with each Retry.
//
// # Ordering
//
// None is promised. A message that was given back with Later goes to the end.
//
// # Limits
//
// A consumer has one visibility for all its messages, the ack wait that
// Provision gave it: at least Config.Visibility. A shorter one is rounded up to
// it; for a longer one the engine tells the server at half of the time that it
// is still at work, until the time that was asked for has passed.
//
// A message has at most MessageBytesMax bytes with its headers. A cause is cut
// to CauseBytesMax. A second publish of an id within DuplicateWindow is ignored,
// unless it names its queue, as a redrive does.
//
// What is not promised: that a message is held by one consumer only. When the
// leadership of a consumer moves to another server, that server hands out again
// what was received but not yet answered, without waiting for its visibility.
// Leases and delays are counted by the clocks of the servers; a clock that jumps
// ahead there ends them early.
package jetstream

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

// The limits of this engine.
const (
	// MessageBytesMax bounds a message with its headers. A copy of it, with what
	// is noted on it, must still fit below the max_payload of a server, which is
	// 1 MiB unless somebody changed it.
	MessageBytesMax = 512 << 10
	// CauseBytesMax is what is kept of the cause of a dead letter.
	CauseBytesMax = 2_000
	// DuplicateWindow is for how long an id is known after it was published.
	DuplicateWindow = 2 * time.Minute

	// deadBytesMax has room for a message and what is noted on it: the cause,
	// each byte of which may take three.
	deadBytesMax = MessageBytesMax + 3*CauseBytesMax + 2<<10
	// receivesBackstop is how many receives beyond ReceivesMax a message gets: the
	// consumer gives up first, if it lives.
	receivesBackstop = 5
	// unansweredMax bounds the received but unanswered messages of a queue, those
	// that wait for their next try included. Beyond it, new ones wait.
	unansweredMax = 100_000
	// receiveMax bounds one pull.
	receiveMax = 256

	answerTimeoutDefault = 5 * time.Second
	// connectTimeout bounds the making of a connection to one server.
	connectTimeout = 2 * time.Second
	// provisionTimeout bounds the making of one stream or consumer, which a
	// cluster has to agree on.
	provisionTimeout = 30 * time.Second

	// reconnectWait and reconnectJitter pace the tries to connect again.
	reconnectWait   = 250 * time.Millisecond
	reconnectJitter = 250 * time.Millisecond
	// A connection that says nothing for pingInterval is asked, and given up
	// when it owes pingsMax answers.
	pingInterval = 10 * time.Second
	pingsMax     = 2
)

// Config adjusts an Engine. Its zero value works.
type Config struct {
	Logger *slog.Logger // slog.Default
	// Visibility is how soon the message of a dead process is tried again; it
	// decides the ack wait of the consumers that Provision makes. 30 s.
	Visibility time.Duration
	// ReceivesMax is after how many receives consumers give a message up; 5.
	ReceivesMax int
	// AnswerTimeout bounds each call that waits for an answer of the server; 5 s.
	AnswerTimeout time.Duration
	Now           func() time.Time // for leases and delays; time.Now
}

func (c Config) withDefaults() Config {
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Visibility <= 0 {
		c.Visibility = driver.VisibilityDefault
	}
	if c.ReceivesMax <= 0 {
		c.ReceivesMax = driver.ReceivesMaxDefault
	}
	if c.AnswerTimeout <= 0 {
		c.AnswerTimeout = answerTimeoutDefault
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	return c
}

// Engine is one topic with its queues and their dead-letter queues.
type Engine struct {
	places places
	cfg    Config
	log    *slog.Logger
	now    func() time.Time
	nc     *nats.Conn
	js     jetstream.JetStream
	link   link
	leases driver.Leases
	held   holds
	terms  terms
}

var _ driver.Broker = (*Engine)(nil)

// Open makes the engine that the URL describes. A server that is away is no
// error: it is looked for until Close, and calls fail until it is there.
func Open(ctx context.Context, url string, routes []driver.Route, cfg Config) (*Engine, error) {
	at, err := parseURL(url)
	if err != nil {
		return nil, err
	}
	where, err := newPlaces(at.stream, at.replicas, routes)
	if err != nil {
		return nil, err
	}
	if err := ctx.Err(); err != nil {
		return nil, fmt.Errorf("open the queue on NATS: %w", err)
	}
	cfg = cfg.withDefaults()
	e := &Engine{places: where, cfg: cfg, log: cfg.Logger, now: cfg.Now}
	e.leases.Now = cfg.Now
	e.link.open()
	e.held.open()
	if e.nc, err = nats.Connect(at.servers, append(at.options(), e.connection()...)...); err != nil {
		return nil, fmt.Errorf("open the queue on NATS: %w", err)
	}
	e.js, err = jetstream.New(e.nc,
		jetstream.WithDefaultTimeout(cfg.AnswerTimeout),
		jetstream.WithPublishAsyncTimeout(cfg.AnswerTimeout))
	if err != nil {
		e.nc.Close()
		return nil, fmt.Errorf("open the queue on NATS: %w", err)
	}
	if !e.nc.IsConnected() {
		e.log.WarnContext(ctx, "NATS cannot be reached; looking for a server", keyError, e.whyAway())
	}
	return e, nil
}

// connection is how every connection behaves: it is renewed for ever, and
// takes nothing while it is away, so that nothing is published that nobody
// answers for.
func (e *Engine) connection() []nats.Option {
	return []nats.Option{
		nats.Name("restock"),
		nats.Timeout(connectTimeout),
		nats.RetryOnFailedConnect(true),
		nats.IgnoreAuthErrorAbort(), // a password that is changed may be changed back
		nats.MaxReconnects(-1),
		nats.ReconnectWait(reconnectWait),
		nats.ReconnectJitter(reconnectJitter, reconnectJitter),
		nats.ReconnectBufSize(-1),
		nats.PingInterval(pingInterval),
		nats.MaxPingsOutstanding(pingsMax),
		nats.NoCallbacksAfterClientClose(),
		nats.ConnectHandler(func(nc *nats.Conn) {
			e.log.Info("connected to NATS", keyServer, nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectHandler(func(nc *nats.Conn) {
			e.log.Info("connected to NATS again", keyServer, nc.ConnectedUrlRedacted())
		}),
		nats.ReconnectErrHandler(func(_ *nats.Conn, err error) { e.link.note(err) }),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			e.link.lose()
			e.log.Warn("the connection to NATS is gone; looking for a server", keyError, errOrClosed(err))
		}),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			e.log.Warn("NATS reports an error", keyError, err)
		}),
	}
}

// The keys of what is logged.
const (
	keyServer = "server"
	keyError  = "error"
	keyQueue  = "queue"
	keyCopy   = "copy"
)

func errOrClosed(err error) error {
	if err == nil {
		return errors.New("the server closed it")
	}
	return err
}

// whyAway is why the last try to connect failed.
func (e *Engine) whyAway() error {
	return cmp.Or(e.nc.LastError(), e.link.why(), errors.New("no server has answered yet"))
}

// Close ends the connection. What is held becomes visible again after its
// visibility.
func (e *Engine) Close() error {
	e.held.close()
	e.nc.Close()
	e.link.lose()
	return nil
}

// explain says of an error of a call what lies behind it, and what to do.
func (e *Engine) explain(err error) error {
	switch {
	case errors.Is(err, nats.ErrConnectionClosed):
		return fmt.Errorf("the queue on NATS was closed: %w", err)
	case !e.nc.IsConnected():
		return fmt.Errorf("there is no connection to NATS (%w): %w", e.whyAway(), err)
	case errors.Is(err, nats.ErrNoResponders), errors.Is(err, jetstream.ErrNoStreamResponse):
		return fmt.Errorf("nobody answers on NATS: stream or consumer is missing (restock queue provision), "+
			"JetStream is off, or its leader is away: %w", err)
	case errors.Is(err, jetstream.ErrStreamNotFound), errors.Is(err, jetstream.ErrConsumerNotFound):
		return fmt.Errorf("%w: run restock queue provision", err)
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, nats.ErrTimeout):
		return fmt.Errorf("NATS gave no answer in time: %w", err)
	}
	return err
}

// link tells who waits for an answer that the connection is gone: it would not
// come any more.
type link struct {
	mu   sync.Mutex
	gone chan struct{}
	last error
}

func (l *link) open() { l.gone = make(chan struct{}) }

// lost gives what is closed when the connection of now is gone.
func (l *link) lost() <-chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.gone
}

// note remembers why a try to connect failed.
func (l *link) note(err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last = err
}

func (l *link) why() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *link) lose() {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.gone)
	l.gone = make(chan struct{})
}
