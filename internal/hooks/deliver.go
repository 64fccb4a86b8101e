package hooks

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/webhook"
)

// RunFanOut puts events into the queues of the subscriptions until ctx ends.
func (h *Hooks) RunFanOut(ctx context.Context) error {
	for {
		n, err := h.store.FanOut(ctx)
		if err != nil && ctx.Err() == nil {
			h.log.ErrorContext(ctx, "events could not be put into the queues of the webhooks; trying again", keyError, err)
		}
		if err == nil && n > 0 {
			continue // there may be more
		}
		if !wait(ctx, h.cfg.LookInterval, h.store.EventsLogged()) {
			return nil
		}
	}
}

// RunDeliveries posts what is in the queues of the subscriptions until ctx ends.
// Each has a consumer of its own, so that none waits for another.
func (h *Hooks) RunDeliveries(ctx context.Context) error {
	var consumers sync.WaitGroup
	defer consumers.Wait()
	running := map[restock.WebhookID]context.CancelFunc{}
	defer func() {
		for _, stop := range running {
			stop()
		}
	}()
	for {
		active, err := h.store.ActiveWebhooks(ctx)
		switch {
		case err == nil:
			h.employ(ctx, active, running, &consumers)
		case ctx.Err() == nil:
			h.log.ErrorContext(ctx, "the webhooks could not be listed; trying again", keyError, err)
		}
		if !wait(ctx, h.cfg.LookInterval, nil) {
			return nil
		}
	}
}

// employ starts the consumers of new subscriptions, and ends those of others.
func (h *Hooks) employ(ctx context.Context, active []restock.WebhookID, running map[restock.WebhookID]context.CancelFunc, consumers *sync.WaitGroup) {
	wanted := make(map[restock.WebhookID]bool, len(active))
	for _, id := range active {
		wanted[id] = true
		if running[id] != nil {
			continue
		}
		working, stop := context.WithCancel(ctx)
		running[id] = stop
		run := h.consumer(id)
		consumers.Go(func() {
			if err := run(working); err != nil {
				h.log.ErrorContext(ctx, "a webhook is not sent to any more", keyWebhook, id, keyError, err)
			}
		})
	}
	for id, stop := range running {
		if !wanted[id] {
			stop()
			delete(running, id)
		}
	}
}

func (h *Hooks) consumer(id restock.WebhookID) func(context.Context) error {
	r := &receiver{Hooks: h, id: id}
	handlers := map[string]queue.Handler{}
	for _, typ := range restock.EventTypes() {
		handlers[string(typ)] = r.deliver
	}
	return h.consume(restock.WebhookQueue(id), handlers, queue.Config{
		Logger: h.log, Concurrency: h.cfg.PerReceiver, Schedule: h.cfg.Schedule, HandlerTimeout: h.cfg.PostTimeout + slowMax + handlerMargin,
	})
}

// handlerMargin is for what a handler does beside the post and the pause.
const handlerMargin = 30 * time.Second

// receiver posts to one subscription.
type receiver struct {
	*Hooks

	id     restock.WebhookID
	failed atomic.Int64 // posts in a row
	rests  atomic.Int64 // until when it asked not to be asked, microseconds since 1970
}

// body is what is posted: the event, and for the program that switches an
// advertisement what that should do.
type body struct {
	restock.Event

	Advertisement *advertisement `json:"advertisement,omitempty"`
}

type advertisement struct {
	Name string        `json:"name"`
	Ask  restock.AdAsk `json:"ask"` // stop or resume
}

// deliver posts one event. What it returns steers the queue.
func (r *receiver) deliver(ctx context.Context, m queue.Message) error {
	if pause := time.UnixMicro(r.rests.Load()).Sub(r.cfg.Now()); pause > 0 {
		return queue.Later(min(pause, webhook.RetryAfterMax)) // or the clock was set back
	}
	target, err := r.store.WebhookTarget(ctx, r.id)
	if restock.KindOf(err) == restock.NotFound {
		return nil // it was removed meanwhile
	}
	if err != nil {
		return err
	}
	if target.Paused { // since this consumer looked; it ends at its next look
		return queue.Later(r.cfg.LookInterval)
	}
	b, err := read(m)
	if err != nil {
		return err
	}
	if !target.AdvertisementID.IsZero() && (b.Type == restock.StockOut || b.Type == restock.StockBack) {
		err = r.switches(ctx, target, b)
	} else {
		err = r.post(ctx, target, b)
	}
	if _, later := queue.AsLater(err); later {
		return err
	}
	if err == nil {
		r.failed.Store(0)
		return nil
	}
	if pause := webhook.PauseOf(err); pause > 0 {
		r.rests.Store(r.cfg.Now().Add(pause).UnixMicro())
		return queue.After(err, pause)
	}
	r.slowDown(ctx)
	return err
}

// slowDown keeps a receiver that fails again and again from being asked with each
// of its messages at once: its own posts wait, nobody else's.
func (r *receiver) slowDown(ctx context.Context) {
	n := r.failed.Add(1) - strikes
	if n < 0 {
		return
	}
	pause := slowBase
	for range n {
		if pause *= 2; pause >= slowMax {
			pause = slowMax
			break
		}
	}
	wait(ctx, pause, nil)
}

// switches posts an event to the program that switches an advertisement, with
// what it should do, and notes that it does.
func (r *receiver) switches(ctx context.Context, target restock.WebhookTarget, b body) error {
	ask, busy, err := r.store.BeginSwitch(ctx, target.AdvertisementID, b.Type, b.Data, r.cfg.PostTimeout+handlerMargin)
	switch {
	case err != nil:
		return err
	case busy:
		return queue.Later(busyPause)
	case ask == "":
		return r.post(ctx, target, b)
	}
	b.Advertisement = &advertisement{Name: target.Acknowledges, Ask: ask}
	err = r.post(ctx, target, b)
	// What became of it is noted also when the message was lost meanwhile.
	noted := r.store.EndSwitch(context.WithoutCancel(ctx), target.AdvertisementID, ask, restock.WebhookQueue(r.id), err == nil)
	if err == nil {
		r.log.InfoContext(ctx, "a program switched an advertisement", keyWebhook, r.id, keyAsk, ask, keyError, noted)
		return noted
	}
	return err
}

// busyPause is when to look again while another post asks the same program.
const busyPause = 500 * time.Millisecond

func read(m queue.Message) (body, error) {
	b := body{Event: restock.Event{
		ID: restock.EventID(m.ID), Type: restock.EventType(m.Type), Time: m.Time, Subject: m.Subject, TraceParent: m.TraceParent,
	}}
	if err := json.Unmarshal(m.Body, &b.Data); err != nil {
		return b, queue.Discard(fmt.Errorf("the body cannot be read: %w", err))
	}
	return b, nil
}

// post sends one message and notes what came of it.
func (r *receiver) post(ctx context.Context, target restock.WebhookTarget, b body) error {
	sender, err := r.sender(target)
	if err != nil {
		return err
	}
	text, err := json.Marshal(b)
	if err != nil {
		return queue.Discard(fmt.Errorf("the body cannot be written: %w", err))
	}
	message := webhook.Message{ID: b.ID.String(), Body: text}
	began, clock := r.cfg.Now(), time.Now()
	status, err := sender.Post(ctx, message)
	if err != nil && ctx.Err() != nil {
		return err // our own stop; the receiver may be well
	}
	posted := restock.Posted{At: began, Took: time.Since(clock), Status: status}
	if err != nil {
		posted.Error = err.Error()
		r.log.WarnContext(ctx, "a webhook did not take an event", keyWebhook, r.id, keyEvent, message.ID, keyTook, posted.Took, keyError, err)
	} else {
		r.log.InfoContext(ctx, "webhook sent", keyWebhook, r.id, keyEvent, message.ID, keyHost, webhook.Host(target.URL), keyTook, posted.Took)
	}
	if noted := r.store.RecordDelivery(context.WithoutCancel(ctx), r.id, b.ID, posted); noted != nil {
		// That the log lacks it is no reason to send it again.
		r.log.WarnContext(ctx, "a delivery could not be noted", keyWebhook, r.id, keyEvent, message.ID, keyError, noted)
	}
	return err
}

func (r *receiver) sender(target restock.WebhookTarget) (*webhook.Sender, error) {
	secret, err := webhook.ParseSecret(target.Secret)
	if err != nil {
		return nil, err
	}
	before := make([]webhook.Secret, len(target.SecretsBefore))
	for i, text := range target.SecretsBefore {
		if before[i], err = webhook.ParseSecret(text); err != nil {
			return nil, err
		}
	}
	return webhook.New(target.URL, webhook.Config{
		Secret: secret, SecretsBefore: before, Allow: r.cfg.Guard.Allow, TLS: r.cfg.TLS, TotalTimeout: r.cfg.PostTimeout, Now: r.cfg.Now,
	})
}

// RunPurge removes events and deliveries that are older than their retention, and
// what removed subscriptions leave.
func (h *Hooks) RunPurge(ctx context.Context) error {
	for next := (time.Time{}); ; {
		now := h.cfg.Now()
		before := time.Unix(0, 0)
		if old := !now.Before(next) || next.Sub(now) > purgeInterval; old { // or the clock was set back
			next, before = now.Add(purgeInterval), now.Add(-h.cfg.Retention)
			h.purge(ctx, "events", now.Add(-h.cfg.EventRetention), h.store.PurgeEvents)
		}
		h.purge(ctx, "deliveries of webhooks", before, h.store.PurgeWebhooks)
		if !wait(ctx, purgeSoon, nil) {
			return nil
		}
	}
}

func (h *Hooks) purge(ctx context.Context, what string, before time.Time, remove func(context.Context, time.Time, int) (int, error)) {
	if err := queue.Purge(ctx, before, remove); err != nil && ctx.Err() == nil {
		h.log.ErrorContext(ctx, "old rows could not be removed; trying again", keyWhat, what, keyError, err)
	}
}

// wait waits for a signal or a time; false when ctx ended.
func wait(ctx context.Context, d time.Duration, signal <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-signal:
	case <-ctx.Done():
		return false
	}
	return true
}
