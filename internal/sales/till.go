package sales

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/restock/restock"
)

// The limits of the till.
const (
	// queueMax is how many buyers may stand in line; one more is told at once to
	// come back, rather than left to a time-out.
	queueMax = 4096
	// groupMax is how many carts are committed together.
	groupMax = 256
	// groupsInFlight is how many groups are decided, written or synced at once.
	groupsInFlight = 2
)

// till collects the buyers who come while a commit is under way and serves
// them all with the next one, in the order of their arrival. A buyer alone is
// served at once: nobody ever waits for company.
type till struct {
	store  Store
	queue  chan *buyer
	closed chan struct{}
}

// buyer is one cart and the place where its outcome is waited for.
type buyer struct {
	ctx     context.Context //nolint:containedctx // it belongs to the request that waits.
	cart    restock.Cart
	outcome chan restock.Outcome
}

func newTill(store Store) *till {
	return &till{store: store, queue: make(chan *buyer, queueMax), closed: make(chan struct{})}
}

// sell puts a cart in line and waits for its outcome. The error of the outcome
// is of kind Unavailable when the line is full or the till is closed.
func (t *till) sell(ctx context.Context, cart restock.Cart) restock.Outcome {
	b := &buyer{ctx: ctx, cart: cart, outcome: make(chan restock.Outcome, 1)}
	select {
	case t.queue <- b:
	default:
		return unavailable("too many buyers are waiting; try again in a moment", nil)
	}
	select {
	case outcome := <-b.outcome:
		return outcome
	case <-t.closed:
	}
	select {
	case outcome := <-b.outcome: // it was served just before the till closed
		return outcome
	default:
		return unavailable("the shop is closing; try again in a moment", nil)
	}
}

func unavailable(message string, err error) restock.Outcome {
	return restock.Outcome{Err: &restock.Error{
		Kind: restock.Unavailable, Code: restock.CodeUnavailable, Message: message, Err: err,
	}}
}

// run serves group after group. Up to groupsInFlight of them are under way at
// once: while the disk makes one durable, the next is decided. Who comes
// meanwhile waits for the one after, so that groups grow with the crowd.
func (t *till) run(ctx context.Context) error {
	defer close(t.closed)
	var serving sync.WaitGroup
	defer serving.Wait()
	places := make(chan struct{}, groupsInFlight)
	for {
		places <- struct{}{}
		group := t.next(ctx)
		if group == nil {
			return nil
		}
		serving.Go(func() {
			t.serve(context.WithoutCancel(ctx), group) // those in line are served even while stopping
			<-places
		})
	}
}

// next waits for buyers. After the end of ctx it gives those who are still in
// line, and then nil.
func (t *till) next(ctx context.Context) []*buyer {
	select {
	case b := <-t.queue:
		return t.group(b)
	case <-ctx.Done():
	}
	select {
	case b := <-t.queue:
		return t.group(b)
	default:
		return nil
	}
}

// group takes everybody who is in line now.
func (t *till) group(first *buyer) []*buyer {
	group := []*buyer{first}
	for len(group) < groupMax {
		select {
		case b := <-t.queue:
			group = append(group, b)
		default:
			return group
		}
	}
	return group
}

// serve sells to a group in one transaction. If that fails for a reason that
// one cart may have brought along, each is tried alone.
func (t *till) serve(ctx context.Context, group []*buyer) {
	present := whoStayed(group)
	if len(present) == 0 {
		return
	}
	if len(present) == 1 {
		ctx = restock.WithTraceParent(ctx, restock.TraceParent(present[0].ctx))
	}
	carts := make([]restock.Cart, len(present))
	for i, b := range present {
		carts[i] = b.cart
	}
	outcomes, err := t.store.Sell(ctx, carts)
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
			t.serve(ctx, []*buyer{b})
		}
	}
}

// whoStayed leaves out buyers who gave up: selling now would sell to nobody.
func whoStayed(group []*buyer) []*buyer {
	present := make([]*buyer, 0, len(group))
	for _, b := range group {
		if err := b.ctx.Err(); err != nil {
			b.outcome <- unavailable("the request was given up", err)
			continue
		}
		present = append(present, b)
	}
	return present
}
