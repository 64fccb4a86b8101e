package store

import (
	"cmp"
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// The limits towards a database server, for each process.
const (
	urgentConnsMax     = 8
	backgroundConnsMax = 4
	readingConnsMax    = 8
	studyingConnsMax   = 1
	// connLifetime lets a pool find a new primary, and lets go of servers that
	// were taken out behind the same name.
	connLifetime = 15 * time.Minute
	connIdleTime = 5 * time.Minute

	// lockTimeout bounds the wait for a row that somebody else has locked, and
	// actTimeout a whole act once it has its connection.
	lockTimeout = 5 * time.Second
	actTimeout  = 20 * time.Second
	// dialTimeout bounds the wait for a server that is not there.
	dialTimeout = 5 * time.Second

	// triesMax is how often an act is tried that the server gave up for another
	// one, and collisionsMax how often one that found a row which it was about to
	// insert.
	triesMax      = 10
	collisionsMax = 4
	// lostMax is how often an act is tried whose connection broke before it was
	// committed.
	lostMax = 3
	// pauseBase is the longest pause before the second try. It doubles.
	pauseBase = 2 * time.Millisecond
	// awayPatience is how long an act that may be repeated waits for a server that
	// went away, and awayPause how long it leaves the server alone.
	awayPatience = 10 * time.Second
	awayPause    = 100 * time.Millisecond
)

// server is a database on a server, which other processes use too. Each act is
// a transaction of its own. Urgent acts and background work have connections of
// their own, so that neither waits for the other; who finds none waits in line.
//
// An act that the server gave up, for a deadlock or for a row that another
// process inserted first, is run again from its beginning. One whose connection
// broke is run again only if it was not about to be committed: after that nobody
// knows, and the caller is told that the database was not available.
type server struct {
	store   *Store
	dialect sqlqueue.Dialect
	judge   func(error) trouble

	urgent, background *crew
	reading            *sql.DB
	studying           *sql.DB // for what takes long

	mu     sync.Mutex
	closed bool
	acts   sync.WaitGroup

	retries  [troubles]atomic.Int64
	patience time.Duration                          // awayPatience
	pause    func(most time.Duration) time.Duration // a random part of it
}

// crew is the connections of one lane, and how many acts want one.
type crew struct {
	*sql.DB

	waiting atomic.Int64
}

// trouble is why a statement failed, as far as it matters.
type trouble int

const (
	otherTrouble trouble = iota
	deadlock             // the server gave this transaction up for another
	collision            // a row with this key is there already
	lost                 // the connection is gone
	readOnly             // the server takes no writes: it was the primary before
	lockOrder            // a product was found too late to be locked in order
	troubles             // how many there are
)

// connectors opens connections that act, others that read, and those that change
// the schema, for which nothing takes too long.
type connectors struct{ acting, reading, schema driver.Connector }

func openServer(s *Store, d sqlqueue.Dialect, judge func(error) trouble, c connectors, cfg Config) *server {
	db := &server{
		store: s, dialect: d, judge: judge, reading: pool(c.reading, cmp.Or(cfg.Connections, readingConnsMax)), studying: pool(c.schema, studyingConnsMax),
		patience: awayPatience, pause: rand.N[time.Duration],
	}
	if !cfg.ReadOnly {
		db.urgent = &crew{DB: pool(c.acting, cmp.Or(cfg.Connections, urgentConnsMax))}
		db.background = &crew{DB: pool(c.acting, cmp.Or(cfg.Connections, backgroundConnsMax))}
	}
	return db
}

func pool(c driver.Connector, size int) *sql.DB {
	db := sql.OpenDB(c)
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	db.SetConnMaxLifetime(connLifetime)
	db.SetConnMaxIdleTime(connIdleTime)
	return db
}

// close lets nobody in any more and waits for those who are.
func (db *server) close() error {
	db.mu.Lock()
	db.closed = true
	db.mu.Unlock()
	db.acts.Wait()
	errs := []error{db.reading.Close(), db.studying.Close()}
	for _, c := range []*crew{db.urgent, db.background} {
		if c != nil {
			errs = append(errs, c.Close())
		}
	}
	return errors.Join(errs...)
}

// failed never happens: whether a commit is durable is the server's affair.
func (*server) failed() <-chan struct{} { return nil }

func (db *server) enter() error {
	db.mu.Lock()
	defer db.mu.Unlock()
	if db.closed {
		return errClosed()
	}
	db.acts.Add(1)
	return nil
}

func (db *server) update(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	return db.act(ctx, l, db.persist, fn)
}

// insist is update for an act that does no harm when it happens twice, and whose
// caller will not come again: while the server is away it is tried again and
// again, whatever became of it before.
func (db *server) insist(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	ctx, cancel := context.WithTimeout(ctx, db.patience)
	defer cancel()
	return db.act(ctx, l, func(ctx context.Context, c *crew, fn func(context.Context, *tx) error) error {
		for {
			err := db.persist(ctx, c, fn)
			if why := db.judge(err); why != lost && why != readOnly || ctx.Err() != nil {
				return err
			}
			pause := time.NewTimer(awayPause)
			select {
			case <-pause.C:
			case <-ctx.Done():
				pause.Stop()
				return err
			}
		}
	}, fn)
}

// act lets an act in, if there is room for it, and gives it to how.
func (db *server) act(ctx context.Context, l lane, how func(context.Context, *crew, func(context.Context, *tx) error) error,
	fn func(context.Context, *tx) error,
) error {
	if db.urgent == nil {
		return errReadOnly
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.acts.Done()
	c := db.urgent
	if l == background {
		c = db.background
	}
	if c.waiting.Add(1) > waitingMax {
		c.waiting.Add(-1)
		return errCrowded()
	}
	defer c.waiting.Add(-1)
	return unavailable("update", how(ctx, c, fn))
}

// persist tries an act until it is committed or has failed for good.
func (db *server) persist(ctx context.Context, c *crew, fn func(context.Context, *tx) error) error {
	var locks []restock.ProductID // those that an earlier try found too late
	for try := 1; ; try++ {
		began := time.Now()
		done, err := db.try(ctx, c, locks, fn)
		if err == nil {
			db.store.seen(1, time.Since(began))
			db.store.wake(done)
			return nil
		}
		why := db.why(err)
		if !worthAnother(why, try) || errors.As(err, new(*unknownOutcomeError)) {
			return err
		}
		if late, ok := errors.AsType[*lateLockError](err); ok {
			locks = append(locks, late.all...)
		}
		db.retries[why].Add(1)
		db.store.log.Debug("an act is run again", "try", try, "error", err)
		if err := db.rest(ctx, why, try); err != nil {
			return err
		}
	}
}

func (db *server) why(err error) trouble {
	if errors.As(err, new(*lateLockError)) {
		return lockOrder
	}
	if errors.Is(err, errKeyTaken) {
		return collision
	}
	return db.judge(err)
}

func worthAnother(why trouble, try int) bool {
	switch why {
	case deadlock, lockOrder:
		return try < triesMax
	case collision:
		return try < collisionsMax
	case lost:
		return try < lostMax
	case otherTrouble, readOnly, troubles:
	}
	return false
}

// rest pauses before an act that met others is tried again, so that they do not
// meet again.
func (db *server) rest(ctx context.Context, why trouble, try int) error {
	if why != deadlock {
		return nil
	}
	pause := time.NewTimer(db.pause(pauseBase << min(try, triesMax)))
	defer pause.Stop()
	select {
	case <-pause.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// unknownOutcomeError is a commit that nobody knows the outcome of.
type unknownOutcomeError struct{ err error }

func (u *unknownOutcomeError) Error() string {
	return fmt.Sprintf("the connection broke during the commit, which may have happened: %v", u.err)
}

func (u *unknownOutcomeError) Unwrap() error { return u.err }

// try runs an act in one transaction. The caller may leave while it waits for a
// connection; after that the outcome is waited for, because a caller must not be
// told less than what is durable.
func (db *server) try(ctx context.Context, c *crew, locks []restock.ProductID, fn func(context.Context, *tx) error) (*tx, error) {
	actCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	conn, begun, err := db.begin(ctx, actCtx, c.DB, nil)
	if err != nil {
		return nil, err
	}
	defer conn.Close() // it goes back to the pool.
	limit := time.AfterFunc(actTimeout, cancel)
	defer limit.Stop()
	t := db.store.newTx(db.statements(begun))
	t.locks = true
	t.looked, t.linked = map[restock.ProductID]bool{}, map[restock.ProductID]bool{}
	err = protect(func() error {
		if _, err := t.lock(actCtx, locks...); err != nil {
			return err
		}
		if err := fn(actCtx, t); err != nil {
			return err
		}
		return t.flush(actCtx)
	})
	if err == nil {
		if err = begun.Commit(); err != nil && (db.judge(err) == lost || actCtx.Err() != nil) {
			err = &unknownOutcomeError{err}
		}
	}
	if err != nil {
		_ = begun.Rollback() // a connection that cannot is closed, which does the same
		if why := db.judge(err); why == readOnly || why == lost {
			discard(conn)
		}
		return nil, err
	}
	return t, nil
}

// begin takes a connection and begins a transaction. Connections that broke
// while they were idle are thrown away: after a restart of the server all are.
func (db *server) begin(ctx, actCtx context.Context, pool *sql.DB, opts *sql.TxOptions) (*sql.Conn, *sql.Tx, error) {
	for broken := 0; ; broken++ {
		conn, err := pool.Conn(ctx)
		if err != nil {
			return nil, nil, fmt.Errorf("get a connection: %w", err)
		}
		begun, err := conn.BeginTx(actCtx, opts)
		if err == nil {
			return conn, begun, nil
		}
		discard(conn)
		if db.judge(err) != lost || broken >= pool.Stats().MaxOpenConnections {
			return nil, nil, fmt.Errorf("begin: %w", err)
		}
	}
}

// discard closes a connection instead of giving it back.
func discard(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn }) // that is what it is for
	_ = conn.Close()                                           // it is gone already
}

func (db *server) view(ctx context.Context, fn func(context.Context, *tx) error) error {
	return db.look(ctx, db.reading, &sql.TxOptions{ReadOnly: true}, fn)
}

func (db *server) study(ctx context.Context, fn func(context.Context, *tx) error) error {
	return db.look(ctx, db.studying, &sql.TxOptions{ReadOnly: true, Isolation: sql.LevelRepeatableRead}, fn)
}

func (db *server) look(ctx context.Context, pool *sql.DB, opts *sql.TxOptions, fn func(context.Context, *tx) error) error {
	conn, snapshot, err := db.begin(ctx, ctx, pool, opts)
	if err != nil {
		return unavailable("begin reading", err)
	}
	defer conn.Close()        // it goes back to the pool.
	defer snapshot.Rollback() //nolint:errcheck // it changed nothing.
	return unavailable("view", fn(ctx, db.store.newTx(db.statements(snapshot))))
}

func (db *server) statements(begun *sql.Tx) statements {
	return serverStatements{tx: begun, dialect: db.dialect}
}

// serverStatements says statements in the words of a server, with arguments of
// the few types that every driver stores alike.
type serverStatements struct {
	tx      *sql.Tx
	dialect sqlqueue.Dialect
}

func (s serverStatements) exec(ctx context.Context, query string, args []any) (sql.Result, error) {
	args, err := plainArgs(args)
	if err != nil {
		return nil, err
	}
	return s.tx.ExecContext(ctx, s.dialect.Statement(query), args...)
}

func (s serverStatements) query(ctx context.Context, query string, args []any) (*sql.Rows, error) {
	args, err := plainArgs(args)
	if err != nil {
		return nil, err
	}
	return s.tx.QueryContext(ctx, s.dialect.Statement(query), args...)
}

// retried gives how often acts were run again, by the reason.
func (db *server) retried() map[string]int64 {
	return map[string]int64{
		"deadlock": db.retries[deadlock].Load(), "collision": db.retries[collision].Load(),
		"connection lost": db.retries[lost].Load(), "lock order": db.retries[lockOrder].Load(),
	}
}

// pools are the connections by what they are for.
func (db *server) pools() map[string]*sql.DB {
	all := map[string]*sql.DB{"reading": db.reading}
	if db.urgent != nil {
		all["urgent"], all["background"] = db.urgent.DB, db.background.DB
	}
	return all
}

// Retries gives how often acts were run again, by the reason; nil for a
// database that has one writer.
func (s *Store) Retries() map[string]int64 {
	if db, ok := s.db.(*server); ok {
		return db.retried()
	}
	return nil
}
