package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

// CreateWebhook makes a subscription to what happens from now on, with the secret
// that it was given. The error is of kind NotFound when there is no such
// advertisement, and Conflict when there are too many subscriptions.
func (s *Store) CreateWebhook(ctx context.Context, w restock.Webhook, act restock.Act, key restock.Key) (restock.Webhook, error) {
	var made restock.Webhook
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		return tx.once(ctx, key, func() error { return nil }, func() ([16]byte, error) {
			var err error
			made, err = tx.createWebhook(ctx, w, act)
			return made.ID, err
		}, func(id [16]byte) error {
			var err error
			made, err = tx.webhookWithSecret(ctx, id)
			return err
		})
	})
	return made, err
}

func (t *tx) createWebhook(ctx context.Context, w restock.Webhook, act restock.Act) (restock.Webhook, error) {
	// Who counts waits until who counted before has committed.
	if err := t.takeTurn(ctx, turnSettings); err != nil {
		return w, err
	}
	var there int
	if err := t.one(ctx, `SELECT COUNT(*) FROM webhooks WHERE deleted_at IS NULL`, nil, &there); err != nil {
		return w, err
	}
	if there >= restock.WebhooksMax {
		return w, restock.Errorf(restock.Conflict, restock.CodeConflict,
			"there are %d webhooks, as many as there may be; `restock webhooks remove` makes room", there)
	}
	ad, err := t.advertisementNamed(ctx, w.Acknowledges)
	if err != nil {
		return w, err
	}
	w.ID = t.newID()
	if err := t.must(ctx, `INSERT INTO webhooks (id, url, description, event_types, acknowledges, secret, paused, created_at, after_seq, last_error)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, (SELECT last_seq FROM event_log WHERE id = 1), '')`,
		w.ID, w.URL, w.Description, joinTypes(w.Events), ad, w.Secret, w.Paused, micros(t.now)); err != nil {
		return w, err
	}
	if err := t.audit(ctx, act, "webhook.create", w.ID.String(), restock.ProductID{}, joinTypes(w.Events)); err != nil {
		return w, err
	}
	return t.webhookWithSecret(ctx, w.ID)
}

// advertisementNamed finds an advertisement; "" is none.
func (t *tx) advertisementNamed(ctx context.Context, name string) (restock.AdvertisementID, error) {
	var id restock.AdvertisementID
	if name == "" {
		return id, nil
	}
	err := t.one(ctx, `SELECT id FROM advertisements WHERE name = ?`, []any{name}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return id, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no advertisement %q; `restock catalog export` shows all", name)
	}
	return id, err
}

func joinTypes(types []restock.EventType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return strings.Join(names, " ")
}

func splitTypes(text string) []restock.EventType {
	names := strings.Fields(text)
	types := make([]restock.EventType, len(names))
	for i, n := range names {
		types[i] = restock.EventType(n)
	}
	return types
}

const webhookColumns = `SELECT w.id, w.url, w.description, w.event_types, COALESCE(a.name, ''), w.paused, w.created_at,
		w.taken_at, w.failing_since, w.failures, w.last_error, w.secret, w.secret_before, w.before_until, w.secret_older, w.older_until, w.acknowledges
	FROM webhooks w LEFT JOIN advertisements a ON a.id = w.acknowledges`

func scanTarget(rows *sql.Rows) (webhookRow, error) {
	var w webhookRow
	var types string
	err := rows.Scan(&w.ID, &w.URL, &w.Description, &types, &w.Acknowledges, &w.Paused, instant{&w.CreatedAt},
		instant{&w.TakenAt}, instant{&w.FailingSince}, &w.Failures, &w.LastError, &w.Secret,
		&w.before.secret, instant{&w.before.until}, &w.older.secret, instant{&w.older.until}, &w.AdvertisementID)
	w.Events = splitTypes(types)
	return w, err
}

type webhookRow struct {
	restock.WebhookTarget

	before, older earlierSecret
}

// earlierSecret signs, too, until a time.
type earlierSecret struct {
	secret string
	until  time.Time
}

// signs reports whether it does at a time.
func (e earlierSecret) signs(now time.Time) bool { return e.until.After(now) }

func scanWebhook(rows *sql.Rows) (restock.Webhook, error) {
	row, err := scanTarget(rows)
	row.Secret = "" // it is shown once
	return row.Webhook, err
}

func (t *tx) webhookRow(ctx context.Context, id restock.WebhookID) (webhookRow, error) {
	found, err := collect(ctx, t, webhookColumns+` WHERE w.id = ? AND w.deleted_at IS NULL`, []any{id}, scanTarget)
	if err != nil {
		return webhookRow{}, err
	}
	if len(found) == 0 {
		return webhookRow{}, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no webhook %s; `restock webhooks list` shows all", id)
	}
	return found[0], nil
}

// lockWebhook reads a subscription that nobody else changes meanwhile.
func (t *tx) lockWebhook(ctx context.Context, id restock.WebhookID) (webhookRow, error) {
	if t.locks {
		var locked restock.WebhookID
		err := t.one(ctx, `SELECT id FROM webhooks WHERE id = ?`+t.forUpdate(), []any{id}, &locked)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return webhookRow{}, err
		}
	}
	return t.webhookRow(ctx, id)
}

func (t *tx) webhookWithSecret(ctx context.Context, id restock.WebhookID) (restock.Webhook, error) {
	row, err := t.webhookRow(ctx, id)
	return row.Webhook, err
}

// Webhooks lists subscriptions, the newest first.
func (s *Store) Webhooks(ctx context.Context, q restock.ListQuery) ([]restock.Webhook, string, error) {
	return page(ctx, s, webhookColumns, `w.id DESC`, q, scanWebhook, func(w restock.Webhook) string { return w.ID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			l.and(`w.deleted_at IS NULL`)
			q.State, q.Product = "", ""
			return narrowBy(q, `w.id`, `''`, `''`)(ctx, tx, l)
		})
}

// Webhook gives one subscription, without its secret.
func (s *Store) Webhook(ctx context.Context, id restock.WebhookID) (restock.Webhook, error) {
	t, err := s.WebhookTarget(ctx, id)
	t.Secret = ""
	return t.Webhook, err
}

// WebhookTarget gives what a delivery needs to know.
func (s *Store) WebhookTarget(ctx context.Context, id restock.WebhookID) (restock.WebhookTarget, error) {
	var row webhookRow
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if row, err = tx.webhookRow(ctx, id); err != nil {
			return err
		}
		for _, e := range []earlierSecret{row.before, row.older} {
			if e.signs(tx.now) {
				row.SecretsBefore = append(row.SecretsBefore, e.secret)
			}
		}
		return nil
	})
	return row.WebhookTarget, err
}

// ChangeWebhook changes a subscription.
func (s *Store) ChangeWebhook(ctx context.Context, id restock.WebhookID, c restock.WebhookChange, act restock.Act) (restock.Webhook, error) {
	var w restock.Webhook
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		row, err := tx.lockWebhook(ctx, id)
		if err != nil {
			return err
		}
		w = row.Webhook
		amend(&w.URL, c.URL)
		amend(&w.Description, c.Description)
		amend(&w.Events, c.Events)
		amend(&w.Acknowledges, c.Acknowledges)
		amend(&w.Paused, c.Paused)
		ad, err := tx.advertisementNamed(ctx, w.Acknowledges)
		if err != nil {
			return err
		}
		if err := tx.must(ctx, `UPDATE webhooks SET url = ?, description = ?, event_types = ?, acknowledges = ?, paused = ? WHERE id = ?`,
			w.URL, w.Description, joinTypes(w.Events), ad, w.Paused, id); err != nil {
			return err
		}
		w.Secret = ""
		return tx.audit(ctx, act, "webhook.change", id.String(), restock.ProductID{}, changed(c))
	})
	return w, err
}

func amend[T any](value, to *T) {
	if to != nil {
		*value = *to
	}
}

// changed names what is changed, without the values: addresses may hold secrets.
func changed(c restock.WebhookChange) string {
	var names []string
	for _, f := range []struct {
		name string
		is   bool
	}{
		{"url", c.URL != nil},
		{"description", c.Description != nil},
		{"events", c.Events != nil},
		{"acknowledges", c.Acknowledges != nil},
		{"paused", c.Paused != nil},
	} {
		if f.is {
			names = append(names, f.name)
		}
	}
	return strings.Join(names, " ")
}

// RotateWebhookSecret gives a subscription another secret. The one before signs,
// too, for restock.WebhookSecretOverlap, however soon the next rotation is. The
// error is of kind Conflict while restock.WebhookSecretsBefore sign already.
func (s *Store) RotateWebhookSecret(ctx context.Context, id restock.WebhookID, secret string, act restock.Act) (restock.Webhook, error) {
	var w restock.Webhook
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		row, err := tx.lockWebhook(ctx, id)
		if err != nil {
			return err
		}
		if row.before.signs(tx.now) && row.older.signs(tx.now) {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"%d earlier secrets of webhook %s sign, too, as many as may; rotate again after %s, or remove the webhook and make another one, if no secret of it may sign any more",
				restock.WebhookSecretsBefore, id, row.older.until.Format(time.RFC3339))
		}
		var older earlierSecret
		if row.before.signs(tx.now) {
			older = row.before
		}
		if err := tx.must(ctx, `UPDATE webhooks SET secret = ?, secret_before = ?, before_until = ?, secret_older = ?, older_until = ? WHERE id = ?`,
			secret, row.Secret, micros(tx.now.Add(restock.WebhookSecretOverlap)), older.secret, micros(older.until), id); err != nil {
			return err
		}
		w = row.Webhook
		w.Secret = secret
		return tx.audit(ctx, act, "webhook.rotate-secret", id.String(), restock.ProductID{}, "")
	})
	return w, err
}

// RemoveWebhook ends a subscription: nothing more is sent. What is left of it is
// removed by PurgeWebhooks.
func (s *Store) RemoveWebhook(ctx context.Context, id restock.WebhookID, act restock.Act) (restock.Webhook, error) {
	var w restock.Webhook
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		row, err := tx.lockWebhook(ctx, id)
		if err != nil {
			return err
		}
		w = row.Webhook
		w.Secret = ""
		if err := tx.must(ctx, `UPDATE webhooks SET deleted_at = ?, secret = '', secret_before = '', secret_older = '' WHERE id = ?`, micros(tx.now), id); err != nil {
			return err
		}
		return tx.audit(ctx, act, "webhook.remove", id.String(), restock.ProductID{}, "")
	})
	return w, err
}

// ActiveWebhooks are those that are sent to now.
func (s *Store) ActiveWebhooks(ctx context.Context) ([]restock.WebhookID, error) {
	var ids []restock.WebhookID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT id FROM webhooks WHERE deleted_at IS NULL AND paused = 0 ORDER BY id`, nil, scanID[restock.Webhook])
		return err
	})
	return ids, err
}

// fanOutMax bounds the events that one transaction puts into a queue.
const fanOutMax = 100

// FanOut puts events that are new into the queues of the subscriptions that want
// them, some for each, and gives how many events were looked at. How far a
// subscription has come is a part of the same transaction, so an event is put
// there once, however often and by however many processes this is done. One that
// fails keeps no other from its events.
func (s *Store) FanOut(ctx context.Context) (int, error) {
	behind, err := s.behindWebhooks(ctx)
	if err != nil {
		return 0, err
	}
	looked := 0
	var failed []error
	for _, id := range behind {
		n, err := s.fanOut(ctx, id)
		if ctx.Err() != nil {
			return looked, ctx.Err()
		}
		if err != nil {
			failed = append(failed, fmt.Errorf("webhook %s: %w", id, err))
		}
		looked += n
	}
	return looked, errors.Join(failed...)
}

func (s *Store) behindWebhooks(ctx context.Context) ([]restock.WebhookID, error) {
	var ids []restock.WebhookID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ids, err = collect(ctx, tx, `SELECT w.id FROM webhooks w JOIN event_log l ON l.last_seq > w.after_seq WHERE w.deleted_at IS NULL ORDER BY w.id`,
			nil, scanID[restock.Webhook])
		return err
	})
	return ids, err
}

func (s *Store) fanOut(ctx context.Context, id restock.WebhookID) (int, error) {
	looked := 0
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		looked = 0
		w, err := tx.lockWebhook(ctx, id)
		if restock.KindOf(err) == restock.NotFound {
			return nil // it was removed meanwhile
		}
		if err != nil {
			return err
		}
		var after, last int64
		if err := tx.one(ctx, `SELECT w.after_seq, l.last_seq FROM webhooks w, event_log l WHERE w.id = ?`, []any{id}, &after, &last); err != nil {
			return err
		}
		events, err := tx.eventsAfter(ctx, after, last, nil, fanOutMax)
		if err != nil || len(events) == 0 {
			return err
		}
		for _, e := range events {
			if !w.Wants(e.Type) {
				continue
			}
			if err := tx.enqueue(ctx, id, e); err != nil {
				return err
			}
		}
		looked = len(events)
		return tx.must(ctx, `UPDATE webhooks SET after_seq = ? WHERE id = ?`, events[len(events)-1].seq, id)
	})
	return looked, err
}

// enqueue puts an event into the queue of a subscription.
func (t *tx) enqueue(ctx context.Context, id restock.WebhookID, e seqEvent) error {
	queue := restock.WebhookQueue(id)
	if err := t.queue.Publish(ctx, t, queue, driver.Message{
		ID: driver.ID(e.ID), Type: string(e.Type), Subject: e.Subject, Time: e.Time, TraceParent: e.TraceParent, Body: e.body,
	}); err != nil {
		return err
	}
	t.published = append(t.published, queue)
	_, err := t.Exec(ctx, `INSERT INTO webhook_deliveries (webhook_id, event_id, type, subject, event_at, queued_at, error)
		VALUES (?, ?, ?, ?, ?, ?, '') ON CONFLICT DO NOTHING`, id, e.ID, string(e.Type), e.Subject, micros(e.Time), micros(t.now))
	return err
}

// RecordDelivery notes what a post came to.
func (s *Store) RecordDelivery(ctx context.Context, id restock.WebhookID, event restock.EventID, p restock.Posted) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if _, err := tx.Exec(ctx, `UPDATE webhook_deliveries SET tries = tries + 1, tried_at = ?, status = ?, took = ?, error = ?
			WHERE webhook_id = ? AND event_id = ?`, micros(p.At), p.Status, p.Took.Microseconds(), p.Error, id, event); err != nil {
			return err
		}
		if p.Error == "" {
			_, err := tx.Exec(ctx, `UPDATE webhooks SET taken_at = ?, failing_since = NULL, failures = 0, last_error = '' WHERE id = ?`, micros(tx.now), id)
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE webhooks SET failing_since = COALESCE(failing_since, ?), failures = failures + 1, last_error = ? WHERE id = ?`,
			micros(p.At), p.Error, id)
		return err
	})
}

const deliveryColumns = `SELECT d.event_id, d.type, d.subject, d.event_at, d.queued_at, d.tries, d.tried_at, d.status, d.took, d.error,
		COALESCE(q.state, 'done'), q.visible_at
	FROM webhook_deliveries d LEFT JOIN queue_deliveries q ON q.message_id = d.event_id AND q.queue = ?`

// deliveryStates say what the states of a queue mean here.
func deliveryStates() map[string]restock.DeliveryState {
	return map[string]restock.DeliveryState{
		"waiting": restock.DeliveryWaiting, "done": restock.DeliveryTaken, "dead": restock.DeliveryDead, "discarded": restock.DeliveryDiscarded,
	}
}

func scanDelivery(rows *sql.Rows) (restock.Delivery, error) {
	var (
		d     restock.Delivery
		took  int64
		state string
	)
	err := rows.Scan(&d.EventID, &d.Type, &d.Subject, instant{&d.EventAt}, instant{&d.QueuedAt}, &d.Tries, instant{&d.TriedAt}, &d.Status,
		&took, &d.Error, &state, instant{&d.NextAt})
	d.TookMS = took / time.Millisecond.Microseconds()
	if d.State = deliveryStates()[state]; d.State != restock.DeliveryWaiting {
		d.NextAt = time.Time{}
	}
	return d, err
}

// Deliveries lists what became of the events of a subscription, the newest event
// first.
func (s *Store) Deliveries(ctx context.Context, id restock.WebhookID, q restock.ListQuery) ([]restock.Delivery, string, error) {
	return page(ctx, s, deliveryColumns, `d.event_id DESC`, q, scanDelivery, func(d restock.Delivery) string { return d.EventID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			if _, err := tx.webhookRow(ctx, id); err != nil {
				return err
			}
			l.args = append(l.args, restock.WebhookQueue(id)) // of the join
			l.and(`d.webhook_id = ?`, id)
			return narrowBy(restock.ListQuery{State: queueState(q.State), After: q.After}, `d.event_id`, `''`, `COALESCE(q.state, 'done')`,
				"waiting", "done", "dead", "discarded")(ctx, tx, l)
		})
}

// queueState says a state in the words of the queue.
func queueState(state string) string {
	if restock.DeliveryState(state) == restock.DeliveryTaken {
		return "done"
	}
	return state
}

// Delivery gives one of them, with its failures.
func (s *Store) Delivery(ctx context.Context, id restock.WebhookID, event restock.EventID) (restock.Delivery, error) {
	var d restock.Delivery
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		d, err = tx.delivery(ctx, id, event)
		return err
	})
	return d, err
}

func (t *tx) delivery(ctx context.Context, id restock.WebhookID, event restock.EventID) (restock.Delivery, error) {
	if _, err := t.webhookRow(ctx, id); err != nil {
		return restock.Delivery{}, err
	}
	queue := restock.WebhookQueue(id)
	found, err := collect(ctx, t, deliveryColumns+` WHERE d.webhook_id = ? AND d.event_id = ?`, []any{queue, id, event}, scanDelivery)
	if err != nil {
		return restock.Delivery{}, err
	}
	if len(found) == 0 {
		return restock.Delivery{}, restock.Errorf(restock.NotFound, restock.CodeNotFound,
			"webhook %s has no delivery of event %s; `restock webhooks deliveries %s` shows those that are kept", id, event, id)
	}
	failures, err := t.queue.Desk(t).Failures(ctx, queue, driver.ID(event))
	for _, f := range failures {
		found[0].Attempts = append(found[0].Attempts, restock.DeliveryFailure(f))
	}
	return found[0], err
}

// Replay sends an event to a subscription once more, whatever became of it
// before. The error is of kind Conflict while it is waiting anyhow, and NotFound
// when the event is not kept any more.
func (s *Store) Replay(ctx context.Context, id restock.WebhookID, event restock.EventID, act restock.Act) (restock.Delivery, error) {
	var d restock.Delivery
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		if _, err := tx.lockWebhook(ctx, id); err != nil {
			return err
		}
		before, err := tx.delivery(ctx, id, event)
		if err != nil {
			return err
		}
		if before.State == restock.DeliveryWaiting {
			return restock.Errorf(restock.Conflict, restock.CodeConflict, "event %s is waiting to be sent to webhook %s already", event, id)
		}
		queue := restock.WebhookQueue(id)
		again, err := tx.queue.Desk(tx).Again(ctx, queue, driver.ID(event))
		if err != nil {
			return err
		}
		if !again {
			if err := tx.requeue(ctx, id, event); err != nil {
				return err
			}
		}
		tx.published = append(tx.published, queue)
		if err := tx.audit(ctx, act, "webhook.replay", id.String(), restock.ProductID{}, event.String()); err != nil {
			return err
		}
		d, err = tx.delivery(ctx, id, event)
		return err
	})
	return d, err
}

// requeue puts an event that the queue forgot into it again, from the log.
func (t *tx) requeue(ctx context.Context, id restock.WebhookID, event restock.EventID) error {
	found, err := collect(ctx, t, eventColumns+` WHERE id = ?`, []any{event}, scanEvent)
	if err != nil {
		return err
	}
	if len(found) == 0 {
		return restock.Errorf(restock.NotFound, restock.CodeEventsGone, "event %s is not kept any more", event)
	}
	return t.enqueue(ctx, id, found[0])
}

// PurgeWebhooks removes up to limit deliveries of subscriptions that were
// removed, or that are older than before and that their queue forgot. It gives
// how many there were.
func (s *Store) PurgeWebhooks(ctx context.Context, before time.Time, limit int) (int, error) {
	var all []oldDeliveries
	found := 0
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if all, err = collect(ctx, tx, `SELECT id, CASE WHEN deleted_at IS NULL THEN 0 ELSE 1 END FROM webhooks ORDER BY id`, nil, func(rows *sql.Rows) (oldDeliveries, error) {
			var o oldDeliveries
			err := rows.Scan(&o.webhook, &o.removed)
			return o, err
		}); err != nil {
			return err
		}
		for i := range all {
			if !all[i].removed && before.Unix() <= 0 {
				continue // nothing is that old
			}
			if all[i].events, err = tx.oldDeliveries(ctx, all[i], before, limit-found); err != nil {
				return err
			}
			found += len(all[i].events)
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	all = slices.DeleteFunc(all, func(o oldDeliveries) bool { return !o.removed && len(o.events) == 0 })
	if len(all) == 0 {
		return 0, nil
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		for _, o := range all {
			if err := tx.forgetDeliveries(ctx, o); err != nil {
				return err
			}
		}
		return nil
	})
	return found, err
}

// oldDeliveries is what can be forgotten of one subscription.
type oldDeliveries struct {
	webhook restock.WebhookID
	removed bool
	events  []driver.ID
}

func (t *tx) oldDeliveries(ctx context.Context, o oldDeliveries, before time.Time, limit int) ([]driver.ID, error) {
	if limit <= 0 {
		return nil, nil
	}
	query, args := `SELECT d.event_id FROM webhook_deliveries d WHERE d.webhook_id = ?`, []any{o.webhook}
	if !o.removed {
		query += ` AND d.event_at < ? AND NOT EXISTS (SELECT 1 FROM queue_deliveries q WHERE q.message_id = d.event_id AND q.queue = ?)`
		args = append(args, micros(before), restock.WebhookQueue(o.webhook))
	}
	return collect(ctx, t, query+` ORDER BY d.event_id LIMIT ?`, append(args, limit), func(rows *sql.Rows) (driver.ID, error) {
		id, err := scanID[restock.Event](rows)
		return driver.ID(id), err
	})
}

// forgetDeliveries removes deliveries, of a subscription that was removed with
// what its queue has of them, and at the end the subscription itself.
func (t *tx) forgetDeliveries(ctx context.Context, o oldDeliveries) error {
	desk := t.queue.Desk(t)
	if o.removed {
		if err := desk.Forget(ctx, restock.WebhookQueue(o.webhook), o.events); err != nil {
			return err
		}
	}
	for _, event := range o.events {
		if _, err := t.Exec(ctx, `DELETE FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?`, o.webhook, event[:]); err != nil {
			return err
		}
	}
	if !o.removed {
		return nil
	}
	n, err := t.Exec(ctx, `DELETE FROM webhooks WHERE id = ?
		AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.webhook_id = webhooks.id)`, o.webhook)
	if err != nil || n == 0 {
		return err
	}
	return desk.ForgetQueue(ctx, restock.WebhookQueue(o.webhook))
}

// notPutThere is what is wrong with a subscription whose events nobody sends.
const notPutThere = "its events are not put into its queue; let a process run with the role hooks"

// FailingWebhooks are the subscriptions that took nothing since they first
// failed, and those whose events wait in the log.
func (s *Store) FailingWebhooks(ctx context.Context) ([]restock.Webhook, error) {
	var failing []restock.Webhook
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if failing, err = collect(ctx, tx, webhookColumns+` WHERE w.deleted_at IS NULL AND w.failing_since IS NOT NULL ORDER BY w.id`, nil, scanWebhook); err != nil {
			return err
		}
		behind, err := collect(ctx, tx, webhookColumns+` JOIN event_log l ON l.last_seq > w.after_seq
			WHERE w.deleted_at IS NULL AND w.failing_since IS NULL ORDER BY w.id`, nil, scanWebhook)
		if err != nil {
			return err
		}
		for _, w := range behind {
			if err := tx.one(ctx, `SELECT e.created_at FROM events e JOIN webhooks w ON e.seq > w.after_seq WHERE w.id = ? ORDER BY e.seq LIMIT 1`,
				[]any{w.ID}, instant{&w.FailingSince}); err != nil && !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			w.LastError = notPutThere
			failing = append(failing, w)
		}
		return nil
	})
	return failing, err
}

// BeginSwitch says what the program that switches an advertisement is asked by an
// event: to stop when there is nothing to sell, to resume when there is something
// again. It is "" when the event does not change that now.
//
// Until EndSwitch, or until the lease has passed, nobody else asks it for
// anything, so that what it is asked last is true: busy says that somebody does.
func (s *Store) BeginSwitch(ctx context.Context, id restock.AdvertisementID, typ restock.EventType, data restock.EventData, lease time.Duration,
) (ask restock.AdAsk, busy bool, err error) {
	// Of many events most ask for nothing; a look without the writer tells.
	err = s.view(ctx, func(ctx context.Context, tx *tx) error {
		a, err := tx.adSituation(ctx, id)
		if err == nil {
			ask, err = tx.switchAsk(ctx, a, typ, data)
		}
		return err
	})
	if restock.KindOf(err) == restock.NotFound {
		return "", false, nil
	}
	if err != nil || ask == "" {
		return "", false, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		ask, busy = "", false
		a, err := tx.lockAd(ctx, id)
		if err != nil {
			return err
		}
		if ask, err = tx.switchAsk(ctx, a, typ, data); err != nil || ask == "" {
			return err
		}
		var until time.Time
		err = tx.one(ctx, `SELECT posting_until FROM ad_switches WHERE advertisement_id = ?`, []any{id}, instant{&until})
		switch {
		case errors.Is(err, sql.ErrNoRows):
			return tx.must(ctx, `INSERT INTO ad_switches (advertisement_id, ask, switched_at, switched_by, posting_until) VALUES (?, '', 0, '', ?)`,
				id, micros(tx.now.Add(lease)))
		case err != nil:
			return err
		}
		// One that is longer than any was given before the clock was set back.
		if busy = until.After(tx.now) && !until.After(tx.now.Add(lease+clockSkewMax)); busy {
			return nil
		}
		return tx.must(ctx, `UPDATE ad_switches SET posting_until = ? WHERE advertisement_id = ?`, micros(tx.now.Add(lease)), id)
	})
	return ask, busy, err
}

// switchAsk is what an event asks of the program that switches an advertisement.
func (t *tx) switchAsk(ctx context.Context, a adRow, typ restock.EventType, data restock.EventData) (restock.AdAsk, error) {
	concerned, _, err := t.advertisementsOf(ctx, typ, data.StockoutID)
	switch {
	case restock.KindOf(err) == restock.NotFound:
		return "", nil
	case err != nil || !slices.Contains(concerned, a.Advertisement.ID):
		return "", err
	case typ == restock.StockOut && a.Out:
		return restock.AskStop, nil
	case typ == restock.StockBack && !a.Out:
		return restock.AskResume, nil
	}
	return "", nil
}

// EndSwitch ends what BeginSwitch began. When the program did what it was asked,
// that answers the open question of the hold as the link in the mail does; a hold
// that begins later is answered when it does, while that is still what was done
// last.
func (s *Store) EndSwitch(ctx context.Context, id restock.AdvertisementID, ask restock.AdAsk, by string, done bool) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		a, err := tx.lockAd(ctx, id)
		if restock.KindOf(err) == restock.NotFound {
			return nil
		}
		if err != nil {
			return err
		}
		if !done {
			_, err := tx.Exec(ctx, `UPDATE ad_switches SET posting_until = 0 WHERE advertisement_id = ?`, id)
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE ad_switches SET posting_until = 0, ask = ?, switched_at = ?, switched_by = ? WHERE advertisement_id = ?`,
			string(ask), micros(tx.now), by, id); err != nil {
			return err
		}
		if a.Out != (ask == restock.AskStop) || a.Hold.ID.IsZero() || a.Hold.Asks() != ask {
			return nil // it is outdated, and another event says so; or the hold is still to come
		}
		_, _, err = tx.acknowledgeAd(ctx, a.Hold.ID, ask, by)
		return err
	})
}

// answerBySwitch answers a question that was just asked, if a program did that
// before: a stop since there is nothing to sell, a resume since the hold began.
func (t *tx) answerBySwitch(ctx context.Context, a adRow, hold restock.AdHoldID, ask restock.AdAsk) error {
	var since, column string
	switch ask {
	case restock.AskStop:
		column = "stop_acknowledged"
		first := "MAX"
		if a.Advertisement.StopWhen == restock.StopWhenAny {
			first = "MIN"
		}
		since = `(SELECT ` + first + `(s.opened_at) FROM products p JOIN stockouts s ON s.id = p.stockout_id WHERE p.advertisement_id = w.advertisement_id)`
	case restock.AskResume:
		column, since = "resume_acknowledged", `h.created_at AND w.switched_at >= COALESCE(h.stop_acknowledged_at, 0)`
	default:
		return nil
	}
	var at time.Time
	var by string
	err := t.one(ctx, `SELECT w.switched_at, w.switched_by FROM ad_switches w, ad_holds h
		WHERE w.advertisement_id = ? AND h.id = ? AND w.ask = ? AND w.switched_at >= `+since, []any{a.Advertisement.ID, hold, string(ask)}, instant{&at}, &by)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	if _, err := t.Exec(ctx, `UPDATE ad_holds SET `+column+`_at = ?, `+column+`_by = ? WHERE id = ? AND `+column+`_at IS NULL`, micros(at), by, hold); err != nil {
		return fmt.Errorf("answer by what was switched: %w", err)
	}
	return nil
}
