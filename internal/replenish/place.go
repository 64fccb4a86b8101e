package replenish

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// How the placer waits.
const (
	placeIdle    = time.Second // looks for orders of other processes
	placeErrored = time.Second // after the database failed

	// backoff before an attempt that was proven not sent, or refused for now, is
	// tried again: rand(0, min(backoffMax, backoffBase·2ⁿ)), "full jitter" as in
	// the AWS Architecture Blog, "Exponential Backoff And Jitter".
	backoffBase = time.Second
	backoffMax  = 5 * time.Minute
)

// RunPlacer places planned orders until ctx ends; calls on the wire are waited
// for, up to the factory client's deadline.
func (r *Replenisher) RunPlacer(ctx context.Context) error {
	var sending sync.WaitGroup
	defer sending.Wait()
	places := make(chan struct{}, r.cfg.CallsMax)
	settled := make(chan struct{}, 1)
	for {
		wait := r.placeReady(ctx, places, settled, &sending)
		timer := time.NewTimer(wait)
		select {
		case <-r.store.OrdersReady():
		case <-settled: // a place in flight is free again
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return nil
		}
		timer.Stop()
	}
}

// PlaceReady claims and sends, one after another, all that may be placed now, and
// gives how many there were: for a caller that has no time of its own to wait. No
// more are claimed when ctx ends; a call on the wire is waited for.
func (r *Replenisher) PlaceReady(ctx context.Context) (int, error) {
	for placed := 0; ; placed++ {
		attempt, err := r.store.ClaimAttempt(ctx, r.owner, r.lease())
		if err != nil || attempt.OrderID.IsZero() {
			return placed, err
		}
		r.send(context.WithoutCancel(ctx), attempt)
	}
}

// placeReady claims and sends all that may be placed now, and gives how long
// to wait for more.
func (r *Replenisher) placeReady(ctx context.Context, places chan struct{}, settled chan struct{}, sending *sync.WaitGroup) time.Duration {
	for ctx.Err() == nil {
		select {
		case places <- struct{}{}:
		default:
			return placeIdle // settled will wake us
		}
		attempt, err := r.store.ClaimAttempt(ctx, r.owner, r.lease())
		if err != nil || attempt.OrderID.IsZero() {
			<-places
			return r.waitToPlace(ctx, err)
		}
		sending.Go(func() {
			r.send(context.WithoutCancel(ctx), attempt)
			<-places
			select {
			case settled <- struct{}{}:
			default:
			}
		})
	}
	return 0
}

func (r *Replenisher) lease() time.Duration { return r.cfg.CallTimeout + leaseMargin }

func (r *Replenisher) waitToPlace(ctx context.Context, err error) time.Duration {
	if err != nil {
		if ctx.Err() == nil {
			r.log.ErrorContext(ctx, "orders cannot be claimed; trying again", keyError, err)
		}
		return placeErrored
	}
	next, err := r.store.NextPlacing(ctx)
	if err != nil || next.IsZero() {
		return placeIdle
	}
	// A planned order that is due but cannot be claimed waits for a place in
	// flight; settled will wake us.
	if until := next.Sub(r.cfg.Now()); until > 0 {
		return min(until, placeIdle)
	}
	return placeIdle
}

// send writes one attempt to the network and records what came of it. It is
// called once per claim, and nothing in it repeats.
func (r *Replenisher) send(ctx context.Context, a restock.Attempt) {
	ctx = restock.WithTraceParent(ctx, a.TraceParent)
	start := r.cfg.Now()
	answer := r.placer.Place(ctx, a.Factory.URL, factory.Request{
		ProductID: string(a.SKU), Count: a.Quantity, FactoryID: a.Factory.Identifier, Requester: a.Requester,
		CallbackURL: r.callbackURL(a),
	})
	level := levelOf(answer.State)
	r.log.Log(ctx, level, "factory called", keyOrder, a.OrderID, keyAttempt, a.Number, keySKU, a.SKU,
		keyFactory, a.Factory.Identifier, keyQuantity, a.Quantity, keyState, answer.State, keyStatus, answer.Status,
		keyError, answer.Error, keyDuration, r.cfg.Now().Sub(start))
	if err := r.store.SettleAttempt(ctx, a, r.answered(a, answer)); err != nil {
		// The lease will run out and make it unknown; a callback still settles it.
		r.log.ErrorContext(ctx, "the factory's answer could not be stored", keyOrder, a.OrderID, keyAttempt, a.Number, keyError, err)
	}
}

// answered adds what follows from an answer.
func (r *Replenisher) answered(a restock.Attempt, answer restock.Answer) restock.Answered {
	now := r.cfg.Now()
	full := restock.Answered{Answer: answer, PublicURL: r.cfg.PublicURL}
	if answer.RetryAfter > 0 {
		full.FactoryFrom = now.Add(answer.RetryAfter)
	}
	if answer.State == restock.AttemptUnknown && slices.Contains(a.Factory.RefusedStatuses, answer.Status) {
		full.State = restock.AttemptRejected
	}
	switch full.State { //nolint:exhaustive // Place gives only these four.
	case restock.AttemptAccepted, restock.AttemptUnknown:
		full.DueAt = a.SentAt.Add(r.window(a.Factory))
	case restock.AttemptNotSent:
		full.RetryAt = now.Add(r.backoff(a.Tries))
	case restock.AttemptRejected:
		if refusedForNow(answer.Status) {
			full.RetryAt = now.Add(max(answer.RetryAfter, r.backoff(a.Number)))
		}
	}
	return full
}

// refusedForNow reports whether a refusal is about the moment and not about the
// order: too many requests, or trouble of the factory's own that its setting
// takes for a refusal.
func refusedForNow(status int) bool {
	return status == http.StatusTooManyRequests || status >= http.StatusInternalServerError
}

func (r *Replenisher) backoff(n int) time.Duration {
	ceiling := backoffMax
	if shift := max(n-1, 0); shift < 16 {
		ceiling = min(backoffMax, backoffBase<<shift)
	}
	return time.Duration(r.cfg.Random() * float64(ceiling))
}
