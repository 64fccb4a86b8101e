package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"sync"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// The defaults of Config, and what bounds the waits that have no setting.
const (
	concurrencyDefault     = 4
	visibilityDefault      = driver.VisibilityDefault
	handlerTimeoutDefault  = 2 * time.Minute
	receivesMaxDefault     = driver.ReceivesMaxDefault
	backoffBaseDefault     = time.Second
	backoffMaxDefault      = 5 * time.Minute
	shutdownTimeoutDefault = 10 * time.Second

	receiveWait = 20 * time.Second // for one receive; SQS allows no more

	// driverBackoffBase and driverBackoffMax pace the calls to a driver that fails.
	driverBackoffBase = 100 * time.Millisecond
	driverBackoffMax  = 10 * time.Second

	// abandonTimeout is how long handlers have to return once their context was
	// cancelled at shutdown.
	abandonTimeout = time.Second
)

// Config adjusts a Consumer. Its zero value works.
type Config struct {
	Logger      *slog.Logger  // slog.Default
	Concurrency int           // handlers at the same time; 4
	Visibility  time.Duration // how soon the message of a dead process is tried again; 30 s
	// HandlerTimeout bounds one run of a handler; 2 min.
	HandlerTimeout time.Duration
	// ReceivesMax is the receive after whose failure a message is dead; 5.
	ReceivesMax int
	// BackoffBase and BackoffMax bound the delay between two tries; 1 s and 5 min.
	BackoffBase, BackoffMax time.Duration
	// Schedule gives the delays between the tries instead, each less up to a tenth
	// of it at random; a message is dead after one try more than it has.
	Schedule []time.Duration
	// ShutdownTimeout is how long running handlers may go on after the end of
	// Run's context; 10 s.
	ShutdownTimeout time.Duration
	Random          func() float64   // in [0, 1); safe for concurrent use
	Now             func() time.Time // for the duration in the log
	// Context gives the context that a message is handled in, and logged, what
	// the message says of it, such as its trace.
	Context func(context.Context, Message) context.Context
	// Observe is told what became of each message, and how long that took.
	Observe func(outcome string, took time.Duration)
}

func (c Config) withDefaults() Config {
	c.Concurrency = positive(c.Concurrency, concurrencyDefault)
	c.Visibility = positive(c.Visibility, visibilityDefault)
	c.HandlerTimeout = positive(c.HandlerTimeout, handlerTimeoutDefault)
	c.ReceivesMax = positive(c.ReceivesMax, receivesMaxDefault)
	if len(c.Schedule) > 0 {
		c.ReceivesMax = len(c.Schedule) + 1
	}
	c.BackoffBase = positive(c.BackoffBase, backoffBaseDefault)
	c.BackoffMax = positive(c.BackoffMax, backoffMaxDefault)
	c.ShutdownTimeout = positive(c.ShutdownTimeout, shutdownTimeoutDefault)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Random == nil {
		c.Random = rand.Float64
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Observe == nil {
		c.Observe = func(string, time.Duration) {}
	}
	if c.Context == nil {
		c.Context = func(ctx context.Context, _ Message) context.Context { return ctx }
	}
	return c
}

func positive[T int | time.Duration](value, otherwise T) T {
	if value > 0 {
		return value
	}
	return otherwise
}

// Consumer runs handlers on the messages of one queue.
type Consumer struct {
	driver   driver.Driver
	queue    string
	handlers map[string]Handler
	cfg      Config
	log      *slog.Logger
	retry    backoff // between two receives of a message
	away     backoff // between two calls of a driver that fails
}

// New makes a consumer of one queue, with a handler for each message type.
func New(d driver.Driver, queue string, handlers map[string]Handler, cfg Config) *Consumer {
	cfg = cfg.withDefaults()
	return &Consumer{
		driver:   d,
		queue:    queue,
		handlers: handlers,
		cfg:      cfg,
		log:      cfg.Logger.With(keyQueue, queue),
		retry:    backoff{base: cfg.BackoffBase, limit: cfg.BackoffMax, schedule: cfg.Schedule, random: cfg.Random},
		away:     backoff{base: driverBackoffBase, limit: driverBackoffMax, random: cfg.Random},
	}
}

// Run handles messages until ctx ends, and returns nil. Then nothing new is
// taken, and running handlers get ShutdownTimeout to finish. The contexts of
// those that did not are cancelled, and their messages become visible again. A
// driver that fails is asked again and again: an engine that is away is no
// reason to end.
func (c *Consumer) Run(ctx context.Context) error {
	working, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	var running sync.WaitGroup
	c.take(ctx, working, &running)

	finished := make(chan struct{})
	go func() {
		running.Wait()
		close(finished)
	}()
	if !within(c.cfg.ShutdownTimeout, finished) {
		cancel()
		if !within(abandonTimeout, finished) {
			c.log.Error("handlers did not end; their messages become visible again after the visibility timeout")
		}
	}
	return nil
}

// within waits for done, but not longer than limit.
func within(limit time.Duration, done <-chan struct{}) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

// take receives messages for as many workers as are free, until ctx ends.
func (c *Consumer) take(ctx, working context.Context, running *sync.WaitGroup) {
	free := make(chan struct{}, c.cfg.Concurrency)
	for range c.cfg.Concurrency {
		free <- struct{}{}
	}
	failures := 0
	for {
		workers := acquire(ctx, free)
		if workers == 0 {
			return
		}
		deliveries, err := c.driver.Receive(ctx, c.queue,
			driver.Request{Max: workers, Visibility: c.cfg.Visibility, Wait: receiveWait})
		for range workers - len(deliveries) {
			free <- struct{}{}
		}
		for _, d := range deliveries {
			running.Go(func() {
				defer func() { free <- struct{}{} }()
				c.start(ctx, working, d)
			})
		}
		if err == nil {
			failures = 0
		} else if ctx.Err() == nil {
			c.log.Error("receiving messages; will try again", keyError, err)
			Sleep(ctx, c.away.delay(failures))
			failures++
		}
	}
}

// acquire waits for one free worker and takes all that are free; 0 means that
// ctx ended.
func acquire(ctx context.Context, free <-chan struct{}) int {
	if ctx.Err() != nil { // select picks at random when both are ready
		return 0
	}
	select {
	case <-ctx.Done():
		return 0
	case <-free:
	}
	workers := 1
	for {
		select {
		case <-free:
			workers++
		default:
			return workers
		}
	}
}

// Sleep waits, and reports whether the time passed before ctx ended.
func Sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// purgeSlice is how many rows Purge has removed in one transaction.
const purgeSlice = 500

// Purge removes what is older than a time, slice by slice, so that other work goes
// on in between. It ends at the first slice that was not full, or failed.
func Purge(ctx context.Context, before time.Time, remove func(ctx context.Context, before time.Time, limit int) (int, error)) error {
	for {
		n, err := remove(ctx, before, purgeSlice)
		if err != nil || n < purgeSlice {
			return err
		}
	}
}

// start handles a delivery, unless the stop came while it was being received:
// then the receive is given back, so that another process has it at once.
func (c *Consumer) start(ctx, working context.Context, d driver.Delivery) {
	began := c.cfg.Now()
	working = c.cfg.Context(working, d.Message)
	var v verdict
	if ctx.Err() != nil {
		v = verdict{outcome: outcomeInterrupted}
	} else {
		v = c.decide(working, d)
	}
	err := c.answer(working, d, v)
	c.report(working, d, v, c.cfg.Now().Sub(began), err)
}

// outcome is what became of a delivery.
type outcome string

const (
	outcomeDone        outcome = "done"
	outcomeRetry       outcome = "retry"
	outcomeLater       outcome = "later"
	outcomeDead        outcome = "dead"
	outcomeInterrupted outcome = "interrupted" // by our own stop: not the message's fault
	outcomeLost        outcome = "lost"        // somebody else has it; our answer was refused
	outcomeUnanswered  outcome = "unanswered"  // the engine did not take our answer
)

// verdict is what to tell the driver about a delivery.
type verdict struct {
	outcome outcome
	delay   time.Duration // for retry and later
	err     error         // why it is not done
}

// decide runs the handler, if there is one and the message still has a chance.
func (c *Consumer) decide(working context.Context, d driver.Delivery) verdict {
	handler, ok := c.handlers[d.Type]
	if !ok {
		return verdict{outcome: outcomeDead, err: unknownTypeError(d.Type)}
	}
	if d.Receives > c.cfg.ReceivesMax {
		// Nobody lived to say what is wrong with it: it may be what killed them.
		return verdict{outcome: outcomeDead, err: receivesUsedUpError(d.Receives - 1)}
	}
	err := c.handle(working, d, handler)
	if err != nil && working.Err() != nil && !IsDiscard(err) {
		return verdict{outcome: outcomeInterrupted, err: err}
	}
	return c.judge(d, err)
}

// judge turns what a handler returned into a verdict.
func (c *Consumer) judge(d driver.Delivery, err error) verdict {
	if err == nil {
		return verdict{outcome: outcomeDone}
	}
	if delay, ok := AsLater(err); ok {
		return verdict{outcome: outcomeLater, delay: max(delay, 0), err: err}
	}
	if IsDiscard(err) || d.Receives >= c.cfg.ReceivesMax {
		return verdict{outcome: outcomeDead, err: err}
	}
	delay := c.retry.delay(d.Receives - 1)
	if after, ok := errors.AsType[*afterError](err); ok {
		delay = max(delay, after.delay)
	}
	return verdict{outcome: outcomeRetry, delay: delay, err: err}
}

// handle runs the handler with a deadline, and holds the message meanwhile.
func (c *Consumer) handle(ctx context.Context, d driver.Delivery, handler Handler) (err error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.HandlerTimeout)
	held := make(chan struct{})
	go func() {
		defer close(held)
		c.hold(ctx, cancel, d)
	}()
	defer func() {
		if value := recover(); value != nil {
			err = &panicError{value: value, stack: debug.Stack()}
		}
		cancel()
		<-held // so that no extension comes after the answer
	}()
	return handler(ctx, d.Message)
}

// hold extends the visibility at half of it until ctx ends, and ends ctx when
// the message is lost. A handler that outlives its deadline is not held: then
// its message is free for others, whatever it still does.
func (c *Consumer) hold(ctx context.Context, cancel context.CancelFunc, d driver.Delivery) {
	half := c.cfg.Visibility / 2
	ticker := time.NewTicker(max(half, 1))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		err := c.extend(ctx, d, half)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, driver.ErrStale):
			cancel()
			return
		default:
			c.log.WarnContext(ctx, "extending the visibility; will try again", keyMessageID, d.ID, keyError, err)
		}
	}
}

func (c *Consumer) extend(ctx context.Context, d driver.Delivery, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	return c.driver.Extend(ctx, d, c.cfg.Visibility) //nolint:wrapcheck // hold logs it with the message.
}

// answer tells the driver the verdict. An engine that is away is asked again,
// but only as long as the message may still be ours, and until handlers are
// abandoned. The stop interrupts no single try: a handled message should not
// be handled again.
func (c *Consumer) answer(working context.Context, d driver.Delivery, v verdict) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(working), c.cfg.Visibility)
	defer cancel()
	for failures := 0; ; failures++ {
		err := c.tell(ctx, d, v)
		if err == nil || errors.Is(err, driver.ErrStale) || ctx.Err() != nil || working.Err() != nil {
			return err
		}
		c.log.WarnContext(ctx, "answering for a message; will try again", keyMessageID, d.ID, keyError, err)
		Sleep(working, min(c.away.delay(failures), c.cfg.Visibility))
	}
}

//nolint:wrapcheck // report logs it with the message.
func (c *Consumer) tell(ctx context.Context, d driver.Delivery, v verdict) error {
	switch v.outcome {
	case outcomeDone:
		return c.driver.Done(ctx, d)
	case outcomeRetry:
		return c.driver.Retry(ctx, d, v.delay, v.err.Error())
	case outcomeDead:
		return c.driver.Dead(ctx, d, v.err.Error())
	case outcomeLater, outcomeInterrupted:
		return c.driver.Later(ctx, d, v.delay)
	case outcomeLost, outcomeUnanswered: // what an answer comes to, not an answer
	}
	return nil
}
