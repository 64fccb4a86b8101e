package replenish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/restock/restock"
)

// The limits of one sweep.
const (
	chaseMax = 200
	planMax  = 200
)

// RunSweep looks at a fixed interval for what was missed: leases that ran out,
// callbacks that never came, and products that are low without an order.
func (r *Replenisher) RunSweep(ctx context.Context) error {
	ticker := time.NewTicker(r.cfg.SweepInterval)
	defer ticker.Stop()
	for {
		if err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "the sweep failed; it comes again", keyError, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// RunHeartbeat says at a fixed interval that this process is there to be called.
// The windows of orders run only while somebody is.
func (r *Replenisher) RunHeartbeat(ctx context.Context) error {
	ticker := time.NewTicker(r.cfg.BeatInterval)
	defer ticker.Stop()
	for {
		if err := r.Beat(ctx); err != nil && ctx.Err() == nil {
			r.log.ErrorContext(ctx, "the heartbeat cannot be stored; orders wait longer for their callbacks", keyError, err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}

// Beat is one beat of RunHeartbeat.
func (r *Replenisher) Beat(ctx context.Context) error {
	return r.store.Beat(ctx, r.owner, beatsMissed*r.cfg.BeatInterval)
}

// Sweep is one look of RunSweep. What fails about one order or product keeps
// nobody from the others; it comes again with the next look.
func (r *Replenisher) Sweep(ctx context.Context) error {
	overdue, err := r.store.OverdueOrders(ctx, chaseMax)
	if err != nil {
		return fmt.Errorf("find overdue orders: %w", err)
	}
	var failed []error
	for _, id := range overdue {
		if err := r.store.Chase(ctx, id, r.window, r.overdue); err != nil {
			failed = append(failed, fmt.Errorf("chase order %s: %w", id, err))
			continue
		}
		r.log.WarnContext(ctx, "order chased", keyOrder, id)
	}
	return errors.Join(append(failed, r.planLow(ctx))...)
}

// planLow plans a bounded number of products that are low without an order, and
// goes on there with the next sweep, so that those about which the answer is
// "no" do not stand before the others.
func (r *Replenisher) planLow(ctx context.Context) error {
	low, err := r.store.LowProducts(ctx, r.swept, planMax)
	if err != nil {
		return fmt.Errorf("find low products: %w", err)
	}
	r.swept = restock.ProductID{}
	if len(low) == planMax {
		r.swept = low[len(low)-1]
	}
	var failed []error
	for _, id := range low {
		if err := r.plan(ctx, id); err != nil {
			failed = append(failed, fmt.Errorf("product %s: %w", id, err))
		}
	}
	return errors.Join(failed...)
}

func (r *Replenisher) overdue(l restock.Lateness) restock.Overdue {
	return Overdue(l, r.cfg.PublicURL, r.cfg.Now().Add(r.window(l.Factory)))
}

// Overdue decides about an order without a callback at the end of its window: by
// the factory's policy another attempt while the reorder budget lasts, a further
// wait until nextLook, or a person. A broken path for callbacks must not buy
// everything twice, so another attempt is made only when the call must have
// come had it been made, and would find us at publicURL.
func Overdue(l restock.Lateness, publicURL string, nextLook time.Time) restock.Overdue {
	held := func(format string, args ...any) restock.Overdue {
		return restock.Overdue{Reason: fmt.Sprintf(format, args...)}
	}
	accepted := 0
	for _, a := range l.Order.Attempts {
		if a.MayBeAccepted() {
			accepted++
		}
	}
	const ask = "; ask the factory, since it may still deliver"
	switch f := l.Factory; {
	case f.OverduePolicy == restock.OverdueWait:
		return restock.Overdue{WaitUntil: nextLook, Reason: f.Identifier + " has not called back in time; waiting on, as its policy says"}
	case l.Order.State == restock.OrderOverdue:
		return held("the time to wait for %s is over%s", f.Identifier, ask)
	case l.HeldReceipts > 0:
		return held("%s did call, and %d of its reports are held: approve or refuse them, see `restock receipts list --state held`",
			f.Identifier, l.HeldReceipts)
	case l.Away > 0:
		return held("no callback, but nobody was here to be called for %s of the time, and it calls only once%s", l.Away.Round(time.Second), ask)
	case f.OverduePolicy == restock.OverdueHold:
		return held("%s has not called back in time%s", f.Identifier, ask)
	case accepted > l.Order.ReorderBudget:
		return held("%d attempts were not delivered in time%s", accepted, ask)
	case f.CalledBackAt != publicURL:
		return held("%s has not called back in time, and never yet at %s: see whether it can reach it%s", f.Identifier, publicURL, ask)
	case 2*l.OthersOverdue > l.Others:
		return held("%d of %d other orders of %s are overdue too: see whether its callbacks can reach us%s",
			l.OthersOverdue, l.Others, f.Identifier, ask)
	}
	return restock.Overdue{Reorder: true}
}

func levelOf(state restock.AttemptState) slog.Level {
	if state == restock.AttemptAccepted {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
