package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/restock/restock"
)

// The limits of the writer.
const (
	groupMax      = 256 // acts in one commit
	urgentMax     = 4096
	backgroundMax = 1024
	// backgroundShare and backgroundTime bound the background acts that a commit
	// takes along, so that neither lane starves the other and no buyer waits long
	// for an import.
	backgroundShare = 8
	backgroundTime  = time.Millisecond
)

// errClosed answers acts that come after the store was closed.
var errClosed = &restock.Error{
	Kind: restock.Unavailable, Code: restock.CodeUnavailable, Message: "restock is stopping; try again in a moment",
}

// writer owns the one connection that writes. It runs acts one after another
// and commits as many as are waiting together. Each act stands in a savepoint
// of its own, so that one that fails takes nothing else with it. An act alone
// is committed at once: nobody ever waits for company.
//
// A commit only writes the log; the syncer then makes it durable while the
// writer is already at the next group. Nobody is answered, and nobody is woken,
// before that.
type writer struct {
	store      *Store
	conn       *sql.Conn
	stmts      *preparedStatements
	syncer     *syncer
	urgent     chan *act
	background chan *act
	closing    chan struct{}
	closeOnce  sync.Once
	done       chan struct{}
}

// act is one piece of work and the place where its answer is waited for.
type act struct {
	ctx    context.Context //nolint:containedctx // it belongs to the caller who waits.
	fn     func(context.Context, *tx) error
	result chan error
	tx     *tx
}

func newWriter(s *Store, conn *sql.Conn, sync func() error) *writer {
	w := &writer{
		store: s, conn: conn, syncer: newSyncer(s, sync),
		stmts:  &preparedStatements{conn: conn, ready: map[string]*sql.Stmt{}},
		urgent: make(chan *act, urgentMax), background: make(chan *act, backgroundMax),
		closing: make(chan struct{}), done: make(chan struct{}),
	}
	go w.run()
	return w
}

func (w *writer) close() error {
	w.closeOnce.Do(func() { close(w.closing) })
	<-w.done
	w.syncer.close()
	return errors.Join(w.stmts.close(), w.conn.Close())
}

// do hands an act to the loop and waits for its commit. When ctx ends before
// the loop took the act, the act does not happen; once taken, its outcome is
// waited for, because a caller must not be told less than what is durable.
func (w *writer) do(ctx context.Context, l lane, fn func(context.Context, *tx) error) error {
	a := &act{ctx: ctx, fn: fn, result: make(chan error, 1)}
	lane := w.urgent
	if l == background {
		lane = w.background
	}
	select {
	case lane <- a:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.closing:
		return errClosed
	}
	select {
	case err := <-a.result:
		return err
	case <-w.syncer.done:
	}
	// It may have been answered just before the end.
	select {
	case err := <-a.result:
		return err
	default:
		return errClosed
	}
}

func (w *writer) run() {
	defer close(w.done)
	for {
		select {
		case a := <-w.urgent:
			w.commit(a)
		case a := <-w.background:
			w.commit(a)
		case <-w.closing:
			return
		}
	}
}

// commit runs first, and whatever else is waiting, in one transaction, and
// answers all of them once it is durable.
func (w *writer) commit(first *act) {
	ctx := context.Background() // a caller who leaves must not break the group
	if _, err := w.stmts.exec(ctx, `BEGIN IMMEDIATE`, nil); err != nil {
		first.result <- fmt.Errorf("begin: %w", err)
		return
	}
	group, err := w.runGroup(ctx, first)
	if err == nil {
		_, err = w.stmts.exec(ctx, `COMMIT`, nil)
	}
	if err != nil {
		err = fmt.Errorf("commit: %w", err)
		// SQLite may have rolled back by itself; then this says so and is harmless.
		_, _ = w.stmts.exec(ctx, `ROLLBACK`, nil)
	}
	if err == nil {
		w.syncer.groups <- group
		return
	}
	for _, a := range group {
		a.result <- err
	}
}

// runGroup runs acts until none is waiting or the group is full, and gives
// those that stand or fall with the commit. An error says that the whole
// transaction is lost.
func (w *writer) runGroup(ctx context.Context, first *act) ([]*act, error) {
	group := make([]*act, 0, groupMax)
	urgent, shared := 0, 0
	var sharing time.Time // since when background acts are taken along
	for a := first; a != nil; {
		err, broken := w.runOne(ctx, a)
		switch {
		case broken:
			return append(group, a), err
		case err != nil:
			a.result <- err
		default:
			group = append(group, a)
		}
		if a = nil; urgent < groupMax {
			a = take(w.urgent)
			urgent++
		}
		if a == nil && shared < backgroundShare && (shared == 0 || time.Since(sharing) < backgroundTime) {
			if shared == 0 {
				sharing = time.Now()
			}
			a = take(w.background)
			shared++
		}
	}
	return group, nil
}

func take(lane chan *act) *act {
	select {
	case a := <-lane:
		return a
	default:
		return nil
	}
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
	err = protect(func() error { return a.fn(context.WithoutCancel(a.ctx), a.tx) })
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

// protect turns a panic of one act into its error, so that the loop that all
// others wait for goes on.
func protect(fn func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic in a store act: %v", p)
		}
	}()
	return fn()
}
