package store

import (
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/restock/restock"
)

// disk makes committed groups durable. The writing connection runs with
// synchronous=NORMAL, under which a commit writes the log and does not sync it;
// FULL is the same and a sync after each commit. Here that sync happens outside
// of the connection, one for all groups written so far, so that the next group
// is decided and written while the disk is busy.
//
// What reads see may not be durable yet. But every effect outside begins with
// an act of its own, and its sync covers all that was written before it.
type disk struct {
	sync   func() error
	log    *slog.Logger
	groups atomic.Uint64 // written to the log so far

	mu     sync.Mutex // held while the disk is busy
	synced uint64     // groups that are durable
	failed chan struct{}
	err    error // of the sync that failed
}

func newDisk(sync func() error, log *slog.Logger) *disk {
	return &disk{sync: sync, log: log, failed: make(chan struct{})}
}

// written counts a group that was committed, and gives its number. The caller
// still has the connection.
func (d *disk) written() uint64 { return d.groups.Add(1) }

// durable returns when a group is on the disk. Of those who wait for the disk
// the first to get it syncs for all.
func (d *disk) durable(group uint64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err != nil || d.synced >= group {
		return d.err
	}
	all := d.groups.Load()
	if err := d.sync(); err != nil {
		return d.give(err)
	}
	d.synced = all
	return nil
}

// fail ends the store after something else than a sync of the log failed: a
// checkpoint, or the sync with which SQLite begins the log again.
func (d *disk) fail(err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.err == nil {
		_ = d.give(err)
	}
}

func (d *disk) give(err error) error {
	d.err = errNotDurable(err)
	d.log.Error("the disk did not take what was written; stopping", "error", err)
	close(d.failed)
	return d.err
}

// errNotDurable follows a failed fsync. The kernel may have dropped what it
// could not write, so a later success would prove nothing: nothing is answered
// any more, and the process has to end.
func errNotDurable(err error) error {
	return &restock.Error{
		Kind: restock.Unavailable, Code: restock.CodeUnavailable,
		Message: "the disk failed; restock is stopping", Err: fmt.Errorf("fsync: %w", err),
	}
}
