package sqlqueue

import (
	"context"
	"fmt"

	"github.com/restock/restock/internal/queue/driver"
)

const (
	sqlInsertMessage = `INSERT INTO queue_messages (id, type, subject, trace_parent, body, created_at)
		VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`
	sqlInsertDelivery = `INSERT INTO queue_deliveries (message_id, queue, state, visible_at)
		VALUES (?, ?, 'waiting', ?) ON CONFLICT DO NOTHING`
	sqlInsertTotals = `INSERT INTO queue_totals (queue, published, purged) VALUES (?, 0, 0) ON CONFLICT DO NOTHING`
	sqlRaisePublish = `UPDATE queue_totals SET published = published + 1 WHERE queue = ?`
)

// Publish puts a message on a queue in the caller's transaction: both happen
// or neither. A message id that the queue has already is ignored. The caller
// calls Wake after its commit.
func (q *Queue) Publish(ctx context.Context, tx Execer, queue string, m driver.Message) error {
	_, err := q.publish(ctx, tx, queue, m)
	return err
}

// publish reports whether the queue did not have the message before.
func (q *Queue) publish(ctx context.Context, tx Execer, queue string, m driver.Message) (bool, error) {
	if err := valid(queue, m); err != nil {
		return false, fmt.Errorf("publish: %w", err)
	}
	added, err := q.insert(ctx, tx, queue, m)
	if err == nil && added {
		err = raisePublished(ctx, tx, queue)
	}
	if err != nil {
		return false, fmt.Errorf("publish %s %s to %s: %w", m.Type, m.ID, queue, err)
	}
	return added, nil
}

func valid(queue string, m driver.Message) error {
	switch {
	case queue == "":
		return fmt.Errorf("message %s has no queue to go to", m.ID)
	case m.ID.IsZero():
		return fmt.Errorf("a message of type %q has no id", m.Type)
	case m.Type == "":
		return fmt.Errorf("message %s has no type", m.ID)
	case len(m.Body) > BodyBytesMax:
		return fmt.Errorf("message %s has a body of %d bytes, at most %d are allowed", m.ID, len(m.Body), BodyBytesMax)
	}
	return nil
}

func (q *Queue) insert(ctx context.Context, tx Execer, queue string, m driver.Message) (bool, error) {
	if err := q.insertMessage(ctx, tx, m); err != nil {
		return false, err
	}
	n, err := tx.Exec(ctx, sqlInsertDelivery, m.ID[:], queue, micros(q.leaseTime()))
	return n > 0, err //nolint:wrapcheck // Publish says which message it was.
}

func (q *Queue) insertMessage(ctx context.Context, tx Execer, m driver.Message) error {
	created := m.Time
	if created.IsZero() {
		created = q.now()
	}
	body := m.Body
	if body == nil {
		body = []byte{} // an empty body, not NULL
	}
	_, err := tx.Exec(ctx, sqlInsertMessage, m.ID[:], m.Type, m.Subject, m.TraceParent, body, micros(created))
	return err //nolint:wrapcheck // the callers say which message it was.
}

func raisePublished(ctx context.Context, tx Execer, queue string) error {
	n, err := tx.Exec(ctx, sqlRaisePublish, queue)
	if err != nil || n > 0 {
		return err //nolint:wrapcheck // Publish says which message it was.
	}
	// The first message of this queue, perhaps in several processes at once.
	if _, err := tx.Exec(ctx, sqlInsertTotals, queue); err != nil {
		return err //nolint:wrapcheck // Publish says which message it was.
	}
	_, err = tx.Exec(ctx, sqlRaisePublish, queue)
	return err //nolint:wrapcheck // Publish says which message it was.
}
