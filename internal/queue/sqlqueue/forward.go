package sqlqueue

import (
	"context"
	"fmt"
	"slices"

	"github.com/restock/restock/internal/queue/driver"
)

// Forwarder puts messages that were meant for a broker, or come from one, on
// the queues of this database: what was waiting moves along when a shop
// changes its engine.
type Forwarder struct {
	queue  *Queue
	routes []driver.Route
}

// Forward makes a Forwarder with the topic's routes.
func (q *Queue) Forward(routes []driver.Route) *Forwarder {
	return &Forwarder{queue: q, routes: routes}
}

// Publish does what driver.Broker says of it, in one transaction for all. A
// message that its queue has already is ignored.
func (f *Forwarder) Publish(ctx context.Context, messages []driver.Outgoing) []error {
	errs := make([]error, len(messages))
	var woken []string
	err := f.queue.update(ctx, func(ctx context.Context, tx Execer) error {
		woken = nil // the store may run this again
		for i, m := range messages {
			queues := driver.QueuesOf(f.routes, m)
			if errs[i] = valid(m.Queue, m.Message); len(queues) > 0 && m.Queue == "" {
				errs[i] = valid(queues[0], m.Message)
			}
			if errs[i] != nil {
				errs[i] = fmt.Errorf("%w: %w", driver.ErrRefused, errs[i])
				continue
			}
			for _, queue := range queues {
				if err := f.queue.Publish(ctx, tx, queue, m.Message); err != nil {
					return err
				}
			}
			woken = append(woken, queues...)
		}
		return nil
	})
	if err != nil {
		for i := range errs {
			errs[i] = err
		}
		return errs
	}
	slices.Sort(woken)
	f.queue.Wake(slices.Compact(woken)...)
	return errs
}
