// Package sqlqueue is the embedded queue engine: messages are rows in the
// store's own database. A message and the change that caused it are one
// commit, a redrive is an UPDATE, and there is one file to back up.
//
// # URL
//
// "db:", the default.
//
// # Delivery
//
// At least once, as package driver says. A receive is one guarded UPDATE that
// raises the fencing counter "claim"; the counter is the handle. Looking at an
// empty queue is a read and takes no lock. A consumer in this process is woken
// by Wake, at once; messages that another process published are seen within
// Config.PollInterval. On a server, consumers of any number of processes skip
// what another one is just claiming, and do not wait for each other.
//
// Leases and delays are measured by the monotonic clock of the process, so a
// wall clock that jumps ends no lease early. A database that is shared by
// machines has no such clock: there they are measured by the wall clocks, which
// have to agree. When two differ by d, a lease of the one ends d too early or too
// late for the other, and so does a delay. Keep d far below the visibility (30 s
// by default), as any NTP client does. A lease that ends early costs what every
// early end costs: the message is handled twice, the first answer is refused, and
// the effects are guarded by the rows that they change.
//
// # Ordering
//
// The longest visible message first, but nothing is promised: retries and
// several consumers change the order.
//
// # Limits
//
// A message id is known to its queue until Purge removes the message; until
// then a second publish of that id is ignored. A body has at most BodyBytesMax
// bytes. Error texts are cut to ErrorBytesMax. The message rows of one id are
// shared by all its queues: the first publish decides the content.
//
// What is not promised: that a message is handled only once. A handler that
// outlives its lease runs beside the next one; its answer is refused, its
// effects are its own affair.
package sqlqueue

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// The limits of this engine.
const (
	BodyBytesMax  = 256 << 10 // as on SQS, so that a message fits on every engine
	ErrorBytesMax = 2_000

	pollIntervalDefault = time.Second
	// receiveMax bounds one claim, which is one write transaction.
	receiveMax = 100
	// claimTimeout bounds a claim that has begun.
	claimTimeout = 10 * time.Second
)

// errUnbound is an error of the program: Bind comes before the first use.
var errUnbound = errors.New("the queue is not bound to a database")

// Execer is one open transaction, or one snapshot for reading. It says each
// statement in the dialect of its database.
type Execer interface {
	// Exec gives the number of rows that matched (on MySQL: clientFoundRows).
	Exec(ctx context.Context, query string, args ...any) (rowsAffected int64, err error)
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// DB is what the store gives to the queue.
type DB interface {
	// Update runs fn in one write transaction and commits it unless fn fails. It
	// may join it with others, and run it again when that fails.
	Update(ctx context.Context, fn func(ctx context.Context, tx Execer) error) error
	// View runs fn on one snapshot that sees every commit before it.
	View(ctx context.Context, fn func(ctx context.Context, tx Execer) error) error
}

// SharedDB is a DB that can tell whether other machines use the database too.
type SharedDB interface {
	DB
	Shared() bool
}

// Config adjusts a Queue. Its zero value works.
type Config struct {
	// PollInterval is how soon messages from other processes are seen; 1 s.
	PollInterval time.Duration
	// Now is the clock; time.Now.
	Now func() time.Time
}

// Queue is all the queues of one database, and their dead-letter desk.
type Queue struct {
	db      DB
	poll    time.Duration
	now     func() time.Time
	started time.Time
	wakes   wakes
}

var _ driver.Driver = (*Queue)(nil)

// New makes a Queue that can publish in transactions of others. Bind it to
// receive and to use the desk.
func New(cfg Config) *Queue {
	if cfg.PollInterval <= 0 {
		cfg.PollInterval = pollIntervalDefault
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Queue{poll: cfg.PollInterval, now: cfg.Now, started: cfg.Now()}
}

// Bind gives the queue its database, once, before anything but Publish and
// Wake is called. The store needs the queue to publish, and the queue needs the
// store to receive: one of the two has to come second.
func (q *Queue) Bind(db DB) { q.db = db }

// Wake tells waiting consumers to look. Call it after the commit of what was
// published; consumers that were not told find it within the poll interval.
func (q *Queue) Wake(queues ...string) {
	for _, queue := range queues {
		q.wakes.wake(queue)
	}
}

func (q *Queue) update(ctx context.Context, fn func(ctx context.Context, tx Execer) error) error {
	if q.db == nil {
		return errUnbound
	}
	return q.db.Update(ctx, fn) //nolint:wrapcheck // callers say what they were doing.
}

func (q *Queue) view(ctx context.Context, fn func(ctx context.Context, tx Execer) error) error {
	if q.db == nil {
		return errUnbound
	}
	return q.db.View(ctx, fn) //nolint:wrapcheck // callers say what they were doing.
}

// leaseTime is now for leases and delays. Time.Sub uses the monotonic reading
// of real clocks, so that it goes on evenly when the wall clock is set. Machines
// that share a database have only their wall clocks in common: a monotonic one
// stands still while a virtual machine does, and would be behind for ever.
func (q *Queue) leaseTime() time.Time {
	if db, ok := q.db.(SharedDB); ok && db.Shared() {
		return q.now()
	}
	return q.started.Add(q.now().Sub(q.started))
}

func micros(t time.Time) int64 { return t.UnixMicro() }

func fromMicros(us int64) time.Time { return time.UnixMicro(us).UTC() }
