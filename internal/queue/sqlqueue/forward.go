package sqlqueue

import (
	"context"
	"fmt"
	"slices"
	"strings"

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

// sqlWaitAgain is for a message that was done here because it was handed to a
// broker, and comes back from there unhandled.
const sqlWaitAgain = `UPDATE queue_deliveries SET state = 'waiting', receives = 0, visible_at = ?, done_at = NULL
	WHERE message_id = ? AND queue = ? AND state = 'done'`

// Publish does what driver.Broker says of it, in one transaction for all. A
// message that waits on its queue already, or is a dead letter of it, is left
// so.
func (f *Forwarder) Publish(ctx context.Context, messages []driver.Outgoing) []error {
	errs := make([]error, len(messages))
	var woken []string
	err := f.queue.update(ctx, func(ctx context.Context, tx Execer) error {
		woken = nil // the store may run this again
		var letters []letter
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
				letters = append(letters, letter{queue, m.Message})
			}
			woken = append(woken, queues...)
		}
		return f.publish(ctx, tx, letters)
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

func (f *Forwarder) put(ctx context.Context, tx Execer, queue string, m driver.Message) error {
	added, err := f.queue.publish(ctx, tx, queue, m)
	if err != nil || added {
		return err
	}
	if _, err := tx.Exec(ctx, sqlWaitAgain, micros(f.queue.leaseTime()), m.ID[:], queue); err != nil {
		return fmt.Errorf("put message %s on %s again: %w", m.ID, queue, err)
	}
	return nil
}

// letter is a message and the queue that it goes to.
type letter struct {
	queue   string
	message driver.Message
}

// publish goes queue by queue, as all do who publish to several: each locks the
// row that counts the messages of its queue.
func (f *Forwarder) publish(ctx context.Context, tx Execer, letters []letter) error {
	slices.SortStableFunc(letters, func(a, b letter) int { return strings.Compare(a.queue, b.queue) })
	for _, l := range letters {
		if err := f.put(ctx, tx, l.queue, l.message); err != nil {
			return err
		}
	}
	return nil
}
