package sales

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/restock/restock"
)

// The limits of the till.
const (
	// queueMax is how many buyers may stand in line; one more is told at once to
	// come back, rather than left to a time-out.
	queueMax = 4096
	// groupMax is how many carts are committed together.
	groupMax = 256
	// groupsInFlight is how many groups are decided, written or synced at once, if
	// nothing else is said.
	groupsInFlight = 2
)

// till serves buyers in groups, in the order of their arrival. Who finds it
// free serves everybody in line, himself the first, with one transaction; who
// comes meanwhile waits in line for the next. So a buyer alone is served at
// once, on his own goroutine, and groups grow with the crowd.
type till struct {
	store     Store
	observe   func(carts int, took time.Duration)
	now       func() time.Time
	groupsMax int // at once

	mu     sync.Mutex
	free   *sync.Cond // signalled when a group was served
	line   []*buyer
	groups int // under way
	closed bool
}

// buyer is one cart and the place where its outcome is waited for.
type buyer struct {
	ctx     context.Context //nolint:containedctx // it belongs to the request that waits.
	cart    restock.Cart
	outcome chan restock.Outcome
	lead    chan []*buyer // the group that this buyer has to serve
}

func newTill(store Store, groups int) *till {
	t := &till{store: store, groupsMax: groups, observe: func(int, time.Duration) {}, now: time.Now}
	t.free = sync.NewCond(&t.mu)
	return t
}

// sell puts a cart in line and waits for its outcome. The error of the outcome
// is of kind Unavailable when the line is full or the till is closed.
func (t *till) sell(ctx context.Context, cart restock.Cart) restock.Outcome {
	b := &buyer{ctx: ctx, cart: cart, outcome: make(chan restock.Outcome, 1)}
	group, err := t.enter(b)
	if err != nil {
		return restock.Outcome{Err: err}
	}
	if group != nil {
		t.serveFrom(group)
	} else {
		select {
		case group := <-b.lead:
			t.serveFrom(group)
		case outcome := <-b.outcome:
			return outcome
		}
	}
	return <-b.outcome
}

// enter puts a buyer in line. If the till is free it gives the group to serve.
func (t *till) enter(b *buyer) ([]*buyer, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.closed:
		return nil, unavailable("the shop is closing; try again in a moment", nil)
	case len(t.line) >= queueMax:
		return nil, unavailable("too many buyers are waiting; try again in a moment", nil)
	}
	if t.groups == t.groupsMax {
		b.lead = make(chan []*buyer, 1)
		t.line = append(t.line, b)
		return nil, nil
	}
	t.groups++
	return []*buyer{b}, nil // whoever is free to serve finds nobody before him
}

// serveFrom serves a group, and then leaves the till to the first in line.
func (t *till) serveFrom(group []*buyer) {
	defer t.next()
	t.serve(context.WithoutCancel(group[0].ctx), group)
}

func (t *till) next() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.line) == 0 {
		t.groups--
		t.free.Broadcast()
		return
	}
	n := min(len(t.line), groupMax)
	next := t.line[:n:n]
	t.line = t.line[n:]
	next[0].lead <- next
}

func (t *till) inLine() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return len(t.line)
}

// run keeps the till open until ctx ends; then nobody enters any more, and who
// is in line is served before it returns.
func (t *till) run(ctx context.Context) error {
	<-ctx.Done()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
	for t.groups > 0 {
		t.free.Wait()
	}
	return nil
}

func unavailable(message string, err error) *restock.Error {
	return &restock.Error{Kind: restock.Unavailable, Code: restock.CodeUnavailable, Message: message, Err: err}
}

// serve sells to a group in one transaction. If that fails for a reason that
// one cart may have brought along, each is tried alone.
func (t *till) serve(ctx context.Context, group []*buyer) {
	present := whoStayed(group)
	if len(present) == 0 {
		return
	}
	carts := make([]restock.Cart, len(present))
	for i, b := range present {
		carts[i] = b.cart
		carts[i].TraceParent = restock.TraceParent(b.ctx)
	}
	began := t.now()
	outcomes, err := t.store.Sell(ctx, carts)
	t.observe(len(carts), t.now().Sub(began))
	if err == nil && len(outcomes) != len(present) {
		err = errors.New("the store answered another number of carts than it was asked")
	}
	switch {
	case err == nil:
		for i, b := range present {
			b.outcome <- outcomes[i]
		}
	case len(present) == 1:
		present[0].outcome <- restock.Outcome{Err: fmt.Errorf("sell: %w", err)}
	default:
		for _, b := range present {
			t.serve(context.WithoutCancel(b.ctx), []*buyer{b})
		}
	}
}

// whoStayed leaves out buyers who gave up: selling now would sell to nobody.
func whoStayed(group []*buyer) []*buyer {
	present := make([]*buyer, 0, len(group))
	for _, b := range group {
		if err := b.ctx.Err(); err != nil {
			b.outcome <- restock.Outcome{Err: unavailable("the request was given up", err)}
			continue
		}
		present = append(present, b)
	}
	return present
}
