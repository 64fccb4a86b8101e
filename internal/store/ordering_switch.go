package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/restock/restock"
)

// PauseOrdering stops all placing, or that at one factory, until it is
// resumed. What is on its way goes on; what is planned waits.
func (s *Store) PauseOrdering(ctx context.Context, factory string, act restock.Act) error {
	return s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		if factory != "" {
			if err := tx.pauseFactory(ctx, factory, act.Reason); err != nil {
				return err
			}
		} else if err := tx.pauseAll(ctx, act.Reason); err != nil {
			return err
		}
		return tx.audit(ctx, act, "ordering.pause", orAll(factory), restock.ProductID{}, "")
	})
}

// ResumeOrdering ends what PauseOrdering began. To resume what is not paused
// changes nothing.
func (s *Store) ResumeOrdering(ctx context.Context, factory string, act restock.Act) error {
	return s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		if factory != "" {
			if err := tx.pauseFactory(ctx, factory, ""); err != nil {
				return err
			}
		} else if _, err := tx.Exec(ctx, `DELETE FROM settings WHERE name = ?`, settingOrderingPaused); err != nil {
			return err
		}
		tx.ordersReady = true
		return tx.audit(ctx, act, "ordering.resume", orAll(factory), restock.ProductID{}, "")
	})
}

func orAll(factory string) string {
	if factory == "" {
		return "all"
	}
	return factory
}

// pauseAll waits for the claims that are under way: they have locked the row of
// their factory, and who locks it later sees the pause.
func (t *tx) pauseAll(ctx context.Context, reason string) error {
	if err := t.setSetting(ctx, settingOrderingPaused, reason); err != nil || !t.locks {
		return err
	}
	_, err := collect(ctx, t, `SELECT id FROM factories ORDER BY id`+t.forUpdate(), nil, scanID[restock.Factory])
	return err
}

func (t *tx) pauseFactory(ctx context.Context, identifier, reason string) error {
	n, err := t.Exec(ctx, `UPDATE factories SET paused = ? WHERE identifier = ?`, reason, identifier)
	if err == nil && n == 0 {
		return unknownFactory(identifier)
	}
	return err
}

func unknownFactory(identifier string) error {
	return restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no factory %q; `restock ordering status` shows all", identifier)
}

// OrderingSwitch says whether orders are placed at all.
func (s *Store) OrderingSwitch(ctx context.Context) (restock.OrderingSwitch, error) {
	var w restock.OrderingSwitch
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		w.Paused, err = tx.setting(ctx, settingOrderingPaused)
		return err
	})
	return w, err
}

// Snooze lets nothing be ordered of a product by itself until a time; the zero
// time ends that.
func (s *Store) Snooze(ctx context.Context, product string, until time.Time, act restock.Act) (restock.Product, error) {
	var p restock.Product
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		id, err := tx.productID(ctx, product)
		if err != nil {
			return err
		}
		if p, err = tx.lockOne(ctx, id); err != nil {
			return err
		}
		if until.IsZero() {
			return tx.wakeProduct(ctx, &p, act)
		}
		if err := tx.snooze(ctx, &p, until); err != nil {
			return err
		}
		return tx.audit(ctx, act, "product.snooze", string(p.SKU), p.ID, "until "+stamp(until))
	})
	return p, err
}

// snooze does nothing for the zero time.
func (t *tx) snooze(ctx context.Context, p *restock.Product, until time.Time) error {
	if until.IsZero() {
		return nil
	}
	if err := within("until", t.now, until, restock.SnoozeMax); err != nil {
		return err
	}
	p.SnoozedUntil = until
	return t.must(ctx, `UPDATE products SET snoozed_until = ? WHERE id = ?`, micros(until), p.ID)
}

// wakeProduct ends a snooze. That the product is low was seen while it slept,
// so it is said once more.
func (t *tx) wakeProduct(ctx context.Context, p *restock.Product, act restock.Act) error {
	p.SnoozedUntil = time.Time{}
	if err := t.must(ctx, `UPDATE products SET snoozed_until = NULL WHERE id = ?`, p.ID); err != nil {
		return err
	}
	if p.Policy.Low(p.Stock) {
		if err := t.publish(ctx, restock.StockLow, restock.EventData{
			ProductID: p.ID, SKU: p.SKU, Available: p.Stock.Available(), Position: p.Stock.Position(),
		}); err != nil {
			return err
		}
	}
	return t.audit(ctx, act, "product.wake", string(p.SKU), p.ID, "")
}

// Factories lists factories by identifier, with what is on its way to each.
func (s *Store) Factories(ctx context.Context, q restock.ListQuery) ([]restock.FactoryLoad, string, error) {
	return page(ctx, s, `SELECT (SELECT COUNT(*) FROM order_attempts a WHERE a.factory_id = f.id AND a.state = 'sending'),
		(SELECT COUNT(*) FROM replenishment_orders o WHERE o.state = 'planned' AND o.factory_id = f.id),
		(SELECT COUNT(*) FROM replenishment_orders o WHERE o.state IN ('unknown', 'accepted', 'overdue', 'partly_received')
			AND o.factory_id = f.id), `+factoryColumns+` FROM factories f`, `f.identifier`, q,
		func(rows *sql.Rows) (restock.FactoryLoad, error) {
			var f restock.FactoryLoad
			err := rows.Scan(append([]any{&f.InFlight, &f.Planned, &f.Waiting}, factoryFields(&f.Factory)...)...)
			return f, err
		},
		func(f restock.FactoryLoad) string { return f.Identifier },
		func(_ context.Context, _ *tx, l *list) error {
			if q.After != "" {
				l.and(`f.identifier > ?`, q.After)
			}
			return nil
		})
}

// factoryNamed finds a factory by its identifier.
func (t *tx) factoryNamed(ctx context.Context, identifier string) (restock.Factory, error) {
	var f restock.Factory
	err := t.one(ctx, `SELECT `+factoryColumns+` FROM factories f WHERE f.identifier = ?`, []any{identifier}, factoryFields(&f)...)
	if errors.Is(err, sql.ErrNoRows) {
		return f, unknownFactory(identifier)
	}
	return f, err
}

func isNoRows(err error) bool { return errors.Is(err, sql.ErrNoRows) }
