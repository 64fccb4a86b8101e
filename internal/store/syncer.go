package store

import (
	"fmt"

	"github.com/restock/restock"
)

// unsyncedMax is how many groups may be written and not yet durable; then the
// writer waits.
const unsyncedMax = 16

// syncer makes committed groups durable and answers them. The connection runs
// with synchronous=NORMAL, under which a commit writes the log and does not
// sync it; FULL is the same and a sync after each commit. Here that sync
// happens on a goroutine of its own, one for all groups written so far, so that
// the next group is decided and written while the disk is busy.
//
// What reads see may not be durable yet. But every effect outside begins with
// an act of its own, and its sync covers all that was written before it.
type syncer struct {
	store  *Store
	sync   func() error
	groups chan []*act
	done   chan struct{}
	failed chan struct{} // closed when a sync failed
}

func newSyncer(s *Store, sync func() error) *syncer {
	y := &syncer{
		store: s, sync: sync, groups: make(chan []*act, unsyncedMax),
		done: make(chan struct{}), failed: make(chan struct{}),
	}
	go y.run()
	return y
}

func (y *syncer) close() {
	close(y.groups)
	<-y.done
}

func (y *syncer) run() {
	defer close(y.done)
	var failure error
	for first := range y.groups {
		groups := y.more(first)
		if failure == nil {
			if err := y.sync(); err != nil {
				failure = errNotDurable(err)
				y.store.log.Error("the disk did not take what was written; stopping", "error", err)
				close(y.failed)
			}
		}
		for _, group := range groups {
			y.answer(group, failure)
		}
	}
}

// more takes the groups that were written meanwhile: one sync covers them all.
func (y *syncer) more(first []*act) [][]*act {
	groups := [][]*act{first}
	for {
		select {
		case group, ok := <-y.groups:
			if !ok {
				return groups
			}
			groups = append(groups, group)
		default:
			return groups
		}
	}
}

func (y *syncer) answer(group []*act, failure error) {
	for _, a := range group {
		if failure == nil {
			y.store.wake(a.tx)
		}
		a.result <- failure
	}
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
