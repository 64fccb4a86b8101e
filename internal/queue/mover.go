package queue

import (
	"context"
	"errors"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	moveBatch      = 100
	moveVisibility = time.Minute
	// moveTimeout bounds one hand-over; it ends before the visibility does.
	moveTimeout = 30 * time.Second

	moveBackoffBase = 100 * time.Millisecond
	moveBackoffMax  = 5 * time.Second
)

// Publisher takes messages: a broker's topic, or the queues of our database.
// The errors are those of driver.Broker.
type Publisher interface {
	Publish(ctx context.Context, messages []driver.Outgoing) []error
}

// Desk is our own table of what failed, for engines outside our database.
type Desk interface {
	// RecordFailure notes a delivery that failed.
	RecordFailure(ctx context.Context, d driver.Delivery, cause string) error
	// Bury makes a message from a dead-letter queue a dead letter of its queue.
	Bury(ctx context.Context, queue string, d driver.Delivery) error
}

// Mover takes messages off one queue and hands them over to somebody else: at
// least once, and never out of sight. A message is done on its queue when the
// other side has it durably. While the other side is away, one message at a
// time asks whether it is back, so that a backlog costs nothing.
//
// Several movers of one queue, in any number of processes, share the work: what
// one has taken is invisible to the others until it has answered or died.
type Mover struct {
	source driver.Driver
	queue  string
	// hand gives for each delivery what became of it, as Publisher does.
	hand func(context.Context, []driver.Delivery) []error
	// back makes a message visible again after a delay.
	back func(context.Context, driver.Delivery, time.Duration) error
	log  *slog.Logger
	away backoff
}

// NewRelay moves the messages of an embedded queue to a broker. With only, they
// go to that queue of the broker alone; with "", to the topic.
func NewRelay(source driver.Driver, queue string, target Publisher, only string, log *slog.Logger) *Mover {
	m := newMover(source, queue, publishTo(target, only), log)
	m.back = source.Later // an outage must not look like failures of the message
	return m
}

// NewDrain moves the messages of a broker's queue to the same queue elsewhere.
func NewDrain(source driver.Driver, queue string, target Publisher, log *slog.Logger) *Mover {
	m := newMover(source, queue, publishTo(target, queue), log)
	m.back = retry(source)
	return m
}

// NewCollector moves the messages of a broker's dead-letter queue to the desk.
func NewCollector(source driver.Driver, queue string, desk Desk, log *slog.Logger) *Mover {
	m := newMover(source, queue+driver.DeadLetterSuffix, func(ctx context.Context, taken []driver.Delivery) []error {
		errs := make([]error, len(taken))
		for i, d := range taken {
			errs[i] = desk.Bury(ctx, queue, d)
		}
		return errs
	}, log)
	m.back = retry(source)
	return m
}

func newMover(source driver.Driver, queue string, hand func(context.Context, []driver.Delivery) []error, log *slog.Logger) *Mover {
	return &Mover{
		source: source, queue: queue, hand: hand, log: log.With(keyQueue, queue),
		away: backoff{base: moveBackoffBase, limit: moveBackoffMax, random: rand.Float64},
	}
}

func publishTo(target Publisher, only string) func(context.Context, []driver.Delivery) []error {
	return func(ctx context.Context, taken []driver.Delivery) []error {
		messages := make([]driver.Outgoing, len(taken))
		for i, d := range taken {
			messages[i] = driver.Outgoing{Message: d.Message, Queue: only}
		}
		return target.Publish(ctx, messages)
	}
}

// retry leaves a message on a broker for a while. Later would make a copy of it.
func retry(source driver.Driver) func(context.Context, driver.Delivery, time.Duration) error {
	return func(ctx context.Context, d driver.Delivery, delay time.Duration) error {
		return source.Retry(ctx, d, delay, "") //nolint:wrapcheck // settle logs it with the message.
	}
}

// Run moves messages until ctx ends, and returns nil.
func (m *Mover) Run(ctx context.Context) error {
	failures := 0
	for ctx.Err() == nil {
		most := moveBatch
		if failures > 0 {
			most = 1 // somebody has to ask whether it is back
		}
		_, err := m.move(ctx, most, receiveWait)
		switch {
		case err == nil:
			if failures > 0 {
				m.log.InfoContext(ctx, "messages move again", "after_failures", failures)
			}
			failures = 0
		case ctx.Err() == nil:
			m.log.WarnContext(ctx, "messages cannot be moved now; they wait", keyError, err, "failures", failures+1)
			Sleep(ctx, m.away.delay(failures))
			failures++
		}
	}
	return nil
}

// Empty moves messages until there are none, and gives how many it moved. The
// error is the first that was met; what is left stays where it is.
func (m *Mover) Empty(ctx context.Context, wait time.Duration, progress func(moved int)) (int, error) {
	total := 0
	for {
		moved, err := m.move(ctx, moveBatch, wait)
		total += moved
		if moved > 0 && progress != nil {
			progress(total)
		}
		if err != nil || moved == 0 {
			return total, err
		}
	}
}

// move takes what there is, hands it over and settles it. The error says that
// the source or the other side is away.
func (m *Mover) move(ctx context.Context, most int, wait time.Duration) (int, error) {
	taken, err := m.source.Receive(ctx, m.queue, driver.Request{Max: most, Visibility: moveVisibility, Wait: wait})
	if len(taken) == 0 {
		return 0, err //nolint:wrapcheck // the engine says what it was doing.
	}
	// What was taken is settled also while stopping: it would be out of sight.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), moveTimeout)
	defer cancel()
	errs := m.hand(ctx, taken)
	moved := 0
	var settling sync.WaitGroup
	var away error
	for i, d := range taken {
		switch {
		case errs[i] == nil:
			moved++
		case !errors.Is(errs[i], driver.ErrRefused):
			away = errs[i]
		}
		settling.Go(func() { m.settle(ctx, d, errs[i]) })
	}
	settling.Wait()
	return moved, away
}

// settle answers for one message by what became of it. An answer that fails
// is made good by the visibility: the message comes once more.
func (m *Mover) settle(ctx context.Context, d driver.Delivery, became error) {
	var err error
	switch {
	case became == nil:
		err = m.source.Done(ctx, d)
	case errors.Is(became, driver.ErrRefused):
		m.log.ErrorContext(ctx, "a message was refused and is a dead letter now", keyMessageID, d.ID, keyType, d.Type, keyError, became)
		err = m.source.Dead(ctx, d, became.Error())
	default:
		err = m.back(ctx, d, moveBackoffBase)
	}
	if err != nil {
		m.log.WarnContext(ctx, "answering for a moved message; it may come twice", keyMessageID, d.ID, keyError, err)
	}
}

// recorded is a broker whose failed deliveries are recorded on our desk.
type recorded struct {
	driver.Driver
	desk Desk
	log  *slog.Logger
}

// Recorded makes a driver of a broker that notes on the desk what failed and
// why: the broker itself keeps no such record.
func Recorded(d driver.Driver, desk Desk, log *slog.Logger) driver.Driver {
	return &recorded{Driver: d, desk: desk, log: log}
}

// Retry records the cause and gives the message back.
func (r *recorded) Retry(ctx context.Context, d driver.Delivery, delay time.Duration, cause string) error {
	r.record(ctx, d, cause)
	return r.Driver.Retry(ctx, d, delay, cause) //nolint:wrapcheck // the engine says what it was doing.
}

// Dead records the cause and gives the message up. The record comes first: who
// finds the dead letter finds its whole story.
func (r *recorded) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	r.record(ctx, d, cause)
	return r.Driver.Dead(ctx, d, cause) //nolint:wrapcheck // the engine says what it was doing.
}

// record does what it can: a record that fails must not keep a message.
func (r *recorded) record(ctx context.Context, d driver.Delivery, cause string) {
	if err := r.desk.RecordFailure(ctx, d, cause); err != nil {
		r.log.WarnContext(ctx, "a failed delivery is not on record", keyMessageID, d.ID, keyError, err)
	}
}
