package replenish

import (
	"context"
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

// Sweep is one look of RunSweep.
func (r *Replenisher) Sweep(ctx context.Context) error {
	overdue, err := r.store.OverdueOrders(ctx, chaseMax)
	if err != nil {
		return fmt.Errorf("find overdue orders: %w", err)
	}
	for _, id := range overdue {
		if err := r.store.Chase(ctx, id, r.window, Overdue); err != nil {
			return fmt.Errorf("chase order %s: %w", id, err)
		}
		r.log.WarnContext(ctx, "order chased", keyOrder, id)
	}
	low, err := r.store.LowProducts(ctx, restock.ProductID{}, planMax)
	if err != nil {
		return fmt.Errorf("find low products: %w", err)
	}
	for _, id := range low {
		if err := r.plan(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// Overdue decides about an order without a callback: another attempt while the
// reorder budget lasts, else a person.
func Overdue(o restock.Order) restock.Overdue {
	accepted := 0
	for _, a := range o.Attempts {
		if a.State != restock.AttemptRejected && a.State != restock.AttemptNotSent {
			accepted++
		}
	}
	if accepted <= restock.ReorderBudget {
		return restock.Overdue{Reorder: true}
	}
	return restock.Overdue{
		Reason: fmt.Sprintf("%d attempts were not delivered in time; ask the factory, since it may still deliver", accepted),
	}
}

func levelOf(state restock.AttemptState) slog.Level {
	if state == restock.AttemptAccepted {
		return slog.LevelInfo
	}
	return slog.LevelWarn
}
