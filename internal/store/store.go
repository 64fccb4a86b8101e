// Package store keeps stock, sales, orders and receipts in an SQL database.
//
// A method is one business act and one transaction: it locks the products it
// touches, in the order of their ids, before it reads anything, changes what
// the act changes, and inserts the messages that follow from it. Either all of
// that is durable when the method returns, or none of it happened.
//
// Nothing about stock is computed from what was read before the lock, and
// every change of stock ends in one function, settle, which compares before
// and after and opens and closes what follows: an order that is due, a
// stockout, its end.
package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/google/uuid"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// Config is what a store can be given; the zero Config works.
type Config struct {
	Logger *slog.Logger
	Now    func() time.Time // default time.Now
	NewID  func() [16]byte  // default UUIDv7
	Queue  *sqlqueue.Queue  // default a new one
	// Outbox: a broker has the queues, and all messages wait for it in one.
	Outbox bool
	// StockTable is the table of another system that owns the stock, in the same
	// MySQL; what was given once holds until NoStockTable is given.
	StockTable string
	// VFS names a registered file system of SQLite, and Sync makes a file durable
	// in place of fdatasync: together they are a simulated disk.
	VFS  string
	Sync func(path string) error
	// Zone is where the shop is: money is limited by its days. Default UTC.
	Zone *time.Location
	// Observe is told of each commit: how many acts it was, and how long it took
	// until it was durable.
	Observe func(acts int, took time.Duration)
	// ReadOnly opens a database that is there already, as it is, for reading.
	ReadOnly bool
	// Migrated: somebody else keeps the schema up to date, so that opening takes no
	// look at it.
	Migrated bool
	// Connections bounds those to a server, for each of urgent acts, background
	// work and reading; by default they are as many as one busy process needs.
	Connections int
}

// Store is an open database. It is safe for concurrent use.
type Store struct {
	log    *slog.Logger
	now    func() time.Time
	newID  func() [16]byte
	queue  *sqlqueue.Queue
	outbox bool
	shared string // the table of another system that owns the stock; "" is none
	db     database
	sync   func(path string) error
	zone   *time.Location
	seen   func(acts int, took time.Duration)
	orders chan struct{} // signalled when an order may be ready to be placed
	events chan struct{} // signalled when an event was logged
}

// database is an SQLite file or a database server.
type database interface {
	update(ctx context.Context, l lane, fn func(context.Context, *tx) error) error
	view(ctx context.Context, fn func(context.Context, *tx) error) error
	// study is view for what looks at all rows, and may take minutes.
	study(ctx context.Context, fn func(context.Context, *tx) error) error
	failed() <-chan struct{}
	pools() map[string]*sql.DB
	close() error
}

// Open opens the database at rawURL, which is sqlite:PATH, mysql://… or
// postgres://…, and brings its schema up to date. The error says what to do when
// the URL is of another kind, the file is damaged or the server is not there.
func Open(ctx context.Context, rawURL string, cfg Config) (*Store, error) {
	a, err := parseAddress(rawURL)
	if err != nil {
		return nil, err
	}
	s := newStore(cfg)
	if cfg.ReadOnly {
		if err := a.requireCurrent(ctx); err != nil {
			return nil, err
		}
	} else if !cfg.Migrated {
		if err := a.migrate(ctx, s.log); err != nil {
			return nil, err
		}
	}
	if s.db, err = a.open(ctx, s, cfg); err != nil {
		return nil, err
	}
	if err := s.refuseMarked(ctx, a, cfg.ReadOnly); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	if err := s.shareStock(ctx, cfg.StockTable); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// refuseMarked: nobody sells from a database that a copy fills, and nobody from
// a file whose shop went on elsewhere.
func (s *Store) refuseMarked(ctx context.Context, a address, reading bool) error {
	var moved, unfinished string
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if moved, err = tx.setting(ctx, settingMoved); err != nil {
			return err
		}
		unfinished, err = tx.setting(ctx, settingUnfinished)
		return err
	})
	switch {
	case err != nil || reading:
		return err
	case moved != "":
		return errMoved(a.shown, moved)
	case unfinished != "":
		return errPart(a.shown, unfinished)
	}
	return nil
}

func errPart(shown, of string) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict,
		"%s has only a part of %s, which is being copied there; wait, or repeat the `restock move` or `restock restore` that was interrupted", shown, of)
}

// dialect is what the database speaks.
func (s *Store) dialect() sqlqueue.Dialect {
	if db, ok := s.db.(*server); ok {
		return db.dialect
	}
	return sqlqueue.SQLite
}

func newStore(cfg Config) *Store {
	s := &Store{log: cfg.Logger, now: cfg.Now, newID: cfg.NewID, queue: cfg.Queue, outbox: cfg.Outbox, sync: cfg.Sync, zone: cfg.Zone, seen: cfg.Observe, orders: make(chan struct{}, 1), events: make(chan struct{}, 1)}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.zone == nil {
		s.zone = time.UTC
	}
	if s.seen == nil {
		s.seen = func(int, time.Duration) {}
	}
	if s.newID == nil {
		s.newID = func() [16]byte { return uuid.Must(uuid.NewV7()) }
	}
	if s.queue == nil {
		s.queue = sqlqueue.New(sqlqueue.Config{Now: s.now})
	}
	s.queue.Bind(queueDB{s})
	return s
}

// Close waits for the acts under way and closes the database.
func (s *Store) Close() error { return s.db.close() }

// Queue is the embedded queue whose messages are rows of this database.
func (s *Store) Queue() *sqlqueue.Queue { return s.queue }

// Failed is closed when the disk failed to make something durable. Nothing is
// answered from then on; the process has to end.
func (s *Store) Failed() <-chan struct{} { return s.db.failed() }

// OrdersReady signals when an order may have become ready to be placed. It
// can miss orders of other processes, so who waits here also looks on a timer.
func (s *Store) OrdersReady() <-chan struct{} { return s.orders }

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	return s.view(ctx, func(ctx context.Context, tx *tx) error {
		var one int
		return tx.one(ctx, `SELECT 1`, nil, &one)
	})
}

// lane says how urgent an act is.
type lane int

const (
	urgent     lane = iota // somebody waits for the answer: sales, receipts
	background             // claims, sweeps, imports: a share of every commit
)

// update runs one act in a transaction. fn may run more than once, so it sets
// its results afresh each time.
func (s *Store) update(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	return s.db.update(ctx, l, fn)
}

// insist is update for an act that does no harm when it happens twice, and whose
// caller will not come again: it happens also when the caller left.
func (s *Store) insist(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	ctx = context.WithoutCancel(ctx)
	if db, ok := s.db.(*server); ok {
		return db.insist(ctx, l, fn)
	}
	return s.update(ctx, l, fn)
}

// view runs fn on one read-only snapshot.
func (s *Store) view(ctx context.Context, fn func(context.Context, *tx) error) error {
	return s.db.view(ctx, fn)
}

// Pools are the pools of connections, by what they are for.
func (s *Store) Pools() map[string]*sql.DB { return s.db.pools() }

// wake tells those who wait for what an act published.
func (s *Store) wake(t *tx) {
	if len(t.published) > 0 {
		s.queue.Wake(t.published...)
	}
	if t.ordersReady {
		signal(s.orders)
	}
	if t.logged {
		signal(s.events)
	}
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default: // already signalled
	}
}

// queueDB lets the embedded queue run its own statements in our transactions.
type queueDB struct{ store *Store }

func (d queueDB) Update(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	return d.store.update(ctx, background, func(ctx context.Context, tx *tx) error { return fn(ctx, tx) })
}

// Shared reports whether the database is on a server.
func (d queueDB) Shared() bool {
	_, ok := d.store.db.(*server)
	return ok
}

func (d queueDB) View(ctx context.Context, fn func(context.Context, sqlqueue.Execer) error) error {
	return d.store.view(ctx, func(ctx context.Context, tx *tx) error { return fn(ctx, tx) })
}

// unavailable wraps a failure of the database that another try may not meet.
func unavailable(doing string, err error) error {
	if err == nil {
		return nil
	}
	if _, ok := errors.AsType[*restock.Error](err); ok {
		return err
	}
	return &restock.Error{
		Kind: restock.Unavailable, Code: restock.CodeUnavailable,
		Message: "the database cannot do this now; try again", Err: fmt.Errorf("%s: %w", doing, err),
	}
}
