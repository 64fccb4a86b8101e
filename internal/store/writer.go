package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ncruces/go-sqlite3"
	"github.com/restock/restock"
)

// The limits of the writer.
const (
	groupMax   = 256  // acts in one commit
	waitingMax = 4096 // acts in each lane that wait for their turn
	// backgroundShare and backgroundTime bound the background acts that a commit
	// takes along, so that neither lane starves the other and no buyer waits long
	// for an import.
	backgroundShare = 8
	backgroundTime  = time.Millisecond
)

// writer owns the one connection that writes. Whoever finds it free commits
// everything that is waiting, his own act among it, in one transaction; who
// comes meanwhile waits, and one of them commits the next group. So an act
// alone is committed at once, on the caller's goroutine, and groups grow with
// the crowd.
//
// Each act stands in a savepoint of its own, so that one that fails takes
// nothing else with it. A commit only writes the log; the durable part is the
// disk's, and the next group is already decided while the disk is busy with
// this one. Nobody is answered, and nobody is woken, before that.
type writer struct {
	store *Store
	conn  *sql.Conn
	stmts *preparedStatements
	disk  *disk

	mu         sync.Mutex
	idle       *sync.Cond // signalled when nobody is committing
	busy       bool
	closed     bool
	answering  sync.WaitGroup // groups that were written and not answered yet
	urgent     []*act
	background []*act
}

// act is one piece of work and the place where its answer is waited for.
type act struct {
	ctx    context.Context //nolint:containedctx // it belongs to the caller who waits.
	fn     func(context.Context, *tx) error
	result chan error
	lead   chan struct{} // the next group is this caller's to commit
	tx     *tx
}

// run runs the act in the transaction that it was given.
func (a *act) run() error {
	ctx := context.WithoutCancel(a.ctx)
	return protect(func() error {
		if err := a.fn(ctx, a.tx); err != nil {
			return err
		}
		return a.tx.flush(ctx)
	})
}

// errClosed answers acts that come after the store was closed.
func errClosed() error {
	return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "restock is stopping; try again in a moment")
}

func errCrowded() error {
	return restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "too much is waiting for the database; try again in a moment")
}

func newWriter(s *Store, conn *sql.Conn, d *disk) *writer {
	w := &writer{store: s, conn: conn, stmts: &preparedStatements{conn: conn, ready: map[string]*sql.Stmt{}}, disk: d}
	w.idle = sync.NewCond(&w.mu)
	return w
}

// close lets nobody in any more and waits for those who are.
func (w *writer) close() error {
	w.mu.Lock()
	w.closed = true
	for w.busy {
		w.idle.Wait()
	}
	w.mu.Unlock()
	w.answering.Wait()
	return errors.Join(w.stmts.close(), w.conn.Close())
}

// do runs an act and waits until it is durable. When ctx ends before the act's
// turn comes, it does not happen; after that its outcome is waited for, because
// a caller must not be told less than what is durable.
func (w *writer) do(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	a := &act{ctx: ctx, fn: fn, result: make(chan error, 1), lead: make(chan struct{}, 1)}
	first, err := w.enter(a, l)
	if err != nil {
		return err
	}
	if first {
		w.commit()
	}
	for {
		select {
		case err := <-a.result:
			return err
		case <-a.lead:
			w.commit()
		}
	}
}

// enter puts an act in its lane, and reports whether the writer is free.
func (w *writer) enter(a *act, l lane) (bool, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	lane := &w.urgent
	if l == background {
		lane = &w.background
	}
	switch {
	case w.closed:
		return false, errClosed()
	case len(*lane) >= waitingMax:
		return false, errCrowded()
	}
	*lane = append(*lane, a)
	first := !w.busy
	w.busy = true
	return first, nil
}

// next takes the first act of a lane.
func (w *writer) next(lane *[]*act) *act {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(*lane) == 0 {
		return nil
	}
	a := (*lane)[0]
	(*lane)[0] = nil
	*lane = (*lane)[1:]
	return a
}

// leave hands the connection to the next who waits.
func (w *writer) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case len(w.urgent) > 0:
		w.urgent[0].lead <- struct{}{}
	case len(w.background) > 0:
		w.background[0].lead <- struct{}{}
	default:
		w.busy = false
		w.idle.Broadcast()
	}
}

// commit runs whatever is waiting in one transaction, leaves the connection to
// the next, and answers all of it once it is durable.
func (w *writer) commit() {
	began := time.Now()
	group, err := w.write(context.Background()) // a caller who leaves must not break the group
	defer func() {                              // nobody waits for it
		if err == nil {
			w.store.seen(len(group), time.Since(began))
		}
	}()
	written := w.disk.written()
	w.answering.Add(1)
	defer w.answering.Done()
	w.leave()
	if err == nil {
		err = w.disk.durable(written)
	}
	for _, a := range group {
		if err == nil {
			w.store.wake(a.tx)
		}
		a.result <- err
	}
}

// write runs and commits a group. An error says that nothing of it happened.
func (w *writer) write(ctx context.Context) ([]*act, error) {
	if _, err := w.stmts.exec(ctx, `BEGIN IMMEDIATE`, nil); err != nil {
		// All who wait are told: each would wait as long again, one after another.
		return w.all(), fmt.Errorf("begin: %w", err)
	}
	if a := w.alone(); a != nil {
		return []*act{a}, w.finish(ctx, w.runAlone(a))
	}
	group, err := w.runGroup(ctx)
	return group, w.finish(ctx, err)
}

// finish commits what was run without an error, and else undoes all of it.
func (w *writer) finish(ctx context.Context, err error) error {
	if err == nil {
		if _, err = w.stmts.exec(ctx, `COMMIT`, nil); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// SQLite may have rolled back by itself; then this says so and is harmless.
	_, _ = w.stmts.exec(ctx, `ROLLBACK`, nil)
	if errors.Is(err, sqlite3.IOERR) {
		w.disk.fail(err)
	}
	return err
}

// runAlone runs an act that shares its transaction with nobody: it needs no
// savepoint.
func (w *writer) runAlone(a *act) error {
	if err := a.ctx.Err(); err != nil {
		return err
	}
	a.tx = w.store.newTx(w.stmts)
	return a.run()
}

// all takes everybody who is waiting.
func (w *writer) all() []*act {
	w.mu.Lock()
	defer w.mu.Unlock()
	group := slices.Concat(w.urgent, w.background)
	w.urgent, w.background = nil, nil
	return group
}

// runGroup runs acts until none is waiting or the group is full, and gives
// those that stand or fall with the commit. An error says that the whole
// transaction is lost.
func (w *writer) runGroup(ctx context.Context) ([]*act, error) {
	var group []*act
	run := func(a *act) error {
		err, broken := w.runOne(ctx, a)
		if err != nil && !broken {
			a.result <- err
			return nil
		}
		group = append(group, a)
		return err
	}
	for range groupMax {
		a := w.next(&w.urgent)
		if a == nil {
			break
		}
		if err := run(a); err != nil {
			return group, err
		}
	}
	start := time.Now()
	for range backgroundShare {
		a := w.next(&w.background)
		if a == nil {
			break
		}
		if err := run(a); err != nil {
			return group, err
		}
		if time.Since(start) > backgroundTime {
			break
		}
	}
	return group, nil
}

// alone gives the act that waits if it is the only one.
func (w *writer) alone() *act {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.urgent)+len(w.background) != 1 {
		return nil
	}
	a := slices.Concat(w.urgent, w.background)[0]
	w.urgent, w.background = nil, nil
	return a
}

// runOne runs one act in a savepoint, which it undoes when the act fails.
// When even that fails the transaction is broken: on a full disk SQLite rolls
// all of it back, and with it the savepoints.
func (w *writer) runOne(ctx context.Context, a *act) (err error, broken bool) {
	if err := a.ctx.Err(); err != nil {
		return err, false // nobody waits any more
	}
	if _, err := w.stmts.exec(ctx, `SAVEPOINT act`, nil); err != nil {
		return fmt.Errorf("savepoint: %w", err), true
	}
	a.tx = w.store.newTx(w.stmts)
	err = a.run()
	if err != nil {
		if _, undoErr := w.stmts.exec(ctx, `ROLLBACK TO act`, nil); undoErr != nil {
			return errors.Join(err, undoErr), true
		}
	}
	if _, releaseErr := w.stmts.exec(ctx, `RELEASE act`, nil); releaseErr != nil {
		return errors.Join(err, releaseErr), true
	}
	return err, false
}

// protect turns a panic of one act into its error, so that those who wait
// behind it are served.
func protect(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a store act: %v", p)
		}
	}()
	return fn()
}
