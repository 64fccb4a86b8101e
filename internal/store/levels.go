package store

import (
	"context"
	"database/sql"

	"github.com/restock/restock"
)

// Levels counts what machines watch.
func (s *Store) Levels(ctx context.Context) (restock.Levels, error) {
	overview, err := s.Overview(ctx)
	if err != nil {
		return restock.Levels{}, err
	}
	l := restock.Levels{Overview: overview, Orders: map[restock.OrderState]int64{}}
	if l.Queues, err = s.QueueDepths(ctx); err != nil {
		return l, err
	}
	err = s.view(ctx, func(ctx context.Context, tx *tx) error {
		for _, state := range restock.OpenOrderStates() {
			n, err := tx.bounded(ctx, restock.CountMax, `replenishment_orders WHERE state = ?`, string(state))
			if err != nil {
				return err
			}
			l.Orders[state] = n
		}
		for _, u := range []restock.Urgency{restock.UrgencyOut, restock.UrgencyLow, restock.UrgencyOnOrder} {
			found, err := collect(ctx, tx, `SELECT `+productColumns+` FROM products WHERE urgency = ? ORDER BY sku LIMIT ?`,
				[]any{int(u), restock.WatchMax - len(l.Watch)}, scanProduct)
			if err != nil {
				return err
			}
			l.Watch = append(l.Watch, found...)
		}
		var err error
		l.Factories, err = collect(ctx, tx, `SELECT `+factoryColumns+` FROM factories f
			ORDER BY CASE WHEN f.paused <> '' OR f.breaker <> 'closed' THEN 0 ELSE 1 END, f.identifier LIMIT ?`,
			[]any{restock.FactoriesWatched}, scanFactory)
		return err
	})
	return l, err
}

func scanFactory(rows *sql.Rows) (restock.Factory, error) {
	var f restock.Factory
	err := rows.Scan(factoryFields(&f)...)
	return f, err
}

// FirstPage reads what the first page of the dashboard shows.
func (s *Store) FirstPage(ctx context.Context, products int) (restock.FirstPage, error) {
	var p restock.FirstPage
	var err error
	if p.Overview, err = s.Overview(ctx); err != nil {
		return p, err
	}
	if p.Products, _, err = s.ProductsByUrgency(ctx, restock.UrgencyQuery{Limit: products}); err != nil {
		return p, err
	}
	p.Beside, err = s.Beside(ctx)
	return p, err
}

// Beside reads what stands beside the products there.
func (s *Store) Beside(ctx context.Context) (restock.Beside, error) {
	var b restock.Beside
	var err error
	waiting := restock.ListQuery{State: string(restock.OrderAwaitingApproval), Limit: restock.WaitingShown}
	if b.Awaiting, _, err = s.Orders(ctx, waiting); err != nil {
		return b, err
	}
	waiting.State = string(restock.OrderHeld)
	if b.Held, _, err = s.Orders(ctx, waiting); err != nil {
		return b, err
	}
	if b.Receipts, _, err = s.HeldReceipts(ctx, restock.ListQuery{Limit: restock.WaitingShown}); err != nil {
		return b, err
	}
	if b.Queues, err = s.QueueDepths(ctx); err != nil {
		return b, err
	}
	if b.Holds, err = s.AdHoldsOpenFirst(ctx, restock.HoldsShown); err != nil {
		return b, err
	}
	b.Mails, err = s.SentMails(ctx, restock.MailsShown)
	return b, err
}
