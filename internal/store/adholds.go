package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/restock/restock"
)

// BeginStop commits the intent to ask for the advertisement to be stopped and
// gives what the mail needs, if the stockout is still open and its product has
// an advertisement. Nobody else writes about this stockout until mailing has
// passed or EndStop is called. The error is of kind Conflict while another
// mail of the same hold is on its way.
//
// The intent comes before the mail, so that the end of the stockout finds a
// hold even if the mail was sent by a process that died right after.
func (s *Store) BeginStop(ctx context.Context, id restock.StockoutID, mailing time.Duration) (restock.AdHold, bool, error) {
	return s.beginMail(ctx, id, func(ctx context.Context, tx *tx, h restock.AdHold) (bool, error) {
		if due, _ := stopDue(h); !due {
			return false, nil
		}
		if !h.ID.IsZero() {
			return true, tx.leaseHold(ctx, h, restock.AdHoldStopping, mailing)
		}
		return true, tx.must(ctx, `INSERT INTO ad_holds (id, stockout_id, product_id, advertisement_id, state, mailing_until, created_at,
			stop_on_order, stop_expected_at) VALUES (?, ?, ?, ?, 'stopping', ?, ?, ?, ?)`,
			restock.AdHoldID(tx.newID()), id, h.ProductID, h.Advertisement.ID, micros(tx.now.Add(mailing)), micros(tx.now),
			h.OnOrder, micros(h.ExpectedAt))
	})
}

// BeginResume commits the intent to say that the advertisement can resume, if
// the stockout has ended and a stop was asked for, or may have been.
func (s *Store) BeginResume(ctx context.Context, id restock.StockoutID, mailing time.Duration) (restock.AdHold, bool, error) {
	return s.beginMail(ctx, id, func(ctx context.Context, tx *tx, h restock.AdHold) (bool, error) {
		if due, _ := resumeDue(h); !due {
			return false, nil
		}
		return true, tx.leaseHold(ctx, h, restock.AdHoldResuming, mailing)
	})
}

// stopDue says whether the mail that asks to stop has to be sent, and why. The
// desk asks too, so that its verdict is what a handler would do.
func stopDue(h restock.AdHold) (bool, string) {
	switch {
	case !h.ClosedAt.IsZero():
		return false, "the stock is back since " + h.ClosedAt.Format(time.RFC3339)
	case h.Advertisement.ID.IsZero():
		return false, "the product has no advertisement"
	case h.ID.IsZero():
		return true, "the product is out of stock, and nobody asked for its advertisement to stop"
	case h.State == restock.AdHoldStopping:
		return true, "the product is out of stock, and the mail that asks to stop was not confirmed"
	}
	return false, "the mail that asks to stop was sent"
}

// resumeDue says whether the mail that it can resume has to be sent, and why.
func resumeDue(h restock.AdHold) (bool, string) {
	switch {
	case h.ClosedAt.IsZero():
		return false, "the product is still out of stock"
	case h.ID.IsZero():
		return false, "nobody asked for the advertisement to stop"
	case h.State == restock.AdHoldResumed:
		return false, "the mail that it can resume was sent"
	}
	return true, "the stock is back, and nobody said that the advertisement can resume"
}

// EndStop records that the mail that asks to stop was sent.
func (s *Store) EndStop(ctx context.Context, id restock.AdHoldID) error {
	return s.endMail(ctx, `UPDATE ad_holds SET stop_sent_at = ?, mailing_until = 0, state = 'stopped'
		WHERE id = ? AND state = 'stopping'`, id)
}

// EndResume records that the mail that it can resume was sent.
func (s *Store) EndResume(ctx context.Context, id restock.AdHoldID) error {
	return s.endMail(ctx, `UPDATE ad_holds SET resume_sent_at = ?, mailing_until = 0, state = 'resumed'
		WHERE id = ? AND state = 'resuming'`, id)
}

// FailMail ends a mail that was not sent, so that others need not wait.
func (s *Store) FailMail(ctx context.Context, id restock.AdHoldID) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		_, err := tx.Exec(ctx, `UPDATE ad_holds SET mailing_until = 0 WHERE id = ?`, id)
		return err
	})
}

func (s *Store) endMail(ctx context.Context, query string, id restock.AdHoldID) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		_, err := tx.Exec(ctx, query, micros(tx.now), id)
		return err
	})
}

func (s *Store) beginMail(ctx context.Context, id restock.StockoutID,
	begin func(context.Context, *tx, restock.AdHold) (bool, error),
) (restock.AdHold, bool, error) {
	var (
		hold restock.AdHold
		send bool
	)
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		hold, send = restock.AdHold{}, false
		if err := tx.lockStockout(ctx, id); err != nil {
			return err
		}
		h, mailingUntil, err := tx.hold(ctx, id)
		if err != nil {
			return err
		}
		if mailingUntil.After(tx.now) {
			return restock.Errorf(restock.Conflict, restock.CodeConflict, "a mail about stockout %s is on its way", id)
		}
		if send, err = begin(ctx, tx, h); err != nil || !send {
			return err
		}
		hold, _, err = tx.hold(ctx, id)
		return err
	})
	return hold, send, err
}

// lockStockout locks the product of a stockout: who begins or ends a stockout, or
// writes about it, does so under that lock.
func (t *tx) lockStockout(ctx context.Context, id restock.StockoutID) error {
	var product restock.ProductID
	err := t.one(ctx, `SELECT product_id FROM stockouts WHERE id = ?`, []any{id}, &product)
	if isNoRows(err) {
		return errNoStockout(id)
	}
	if err == nil {
		_, err = t.lockOne(ctx, product)
	}
	return err
}

func errNoStockout(id restock.StockoutID) error {
	return restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no stockout %s", id)
}

func (t *tx) leaseHold(ctx context.Context, h restock.AdHold, state restock.AdHoldState, mailing time.Duration) error {
	_, err := t.Exec(ctx, `UPDATE ad_holds SET state = ?, mailing_until = ? WHERE id = ? AND state IN ('stopping', 'stopped', 'resuming')
		AND NOT (? = 'stopping' AND state <> 'stopping')`,
		string(state), micros(t.now.Add(mailing)), h.ID, string(state))
	return err
}

// hold reads all that a mail about a stockout says. Its ID is zero while
// nothing was asked for.
func (t *tx) hold(ctx context.Context, id restock.StockoutID) (restock.AdHold, time.Time, error) {
	h := restock.AdHold{StockoutID: id}
	var mailing time.Time
	var state, adName, adEmail, adLanguage sql.Null[string]
	err := t.one(ctx, `SELECT h.id, h.state, h.mailing_until, s.product_id, p.sku, p.name, s.opened_at, s.closed_at,
			p.on_hand - p.reserved,
			CASE WHEN h.state = 'stopping' THEN COALESCE(h.stop_on_order, p.on_order) ELSE p.on_order END, a.id, a.name, a.manager_email, a.language,
			CASE WHEN h.state = 'stopping' AND h.stop_on_order IS NOT NULL THEN h.stop_expected_at ELSE
				(SELECT MIN(o.expected_at) FROM replenishment_orders o WHERE o.product_id = p.id AND o.outstanding > 0) END
		FROM stockouts s JOIN products p ON p.id = s.product_id
		LEFT JOIN ad_holds h ON h.stockout_id = s.id
		LEFT JOIN advertisements a ON a.id = COALESCE(h.advertisement_id, p.advertisement_id)
		WHERE s.id = ?`, []any{id},
		&h.ID, &state, instant{&mailing}, &h.ProductID, &h.SKU, &h.ProductName, instant{&h.OpenedAt}, instant{&h.ClosedAt},
		&h.Available, &h.OnOrder, &h.Advertisement.ID, &adName, &adEmail, &adLanguage, instant{&h.ExpectedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return h, mailing, errNoStockout(id)
	}
	h.State = restock.AdHoldState(state.V)
	h.Advertisement.Name, h.Advertisement.ManagerEmail = adName.V, adEmail.V
	h.Advertisement.Language = restock.Language(adLanguage.V)
	return h, mailing, err
}
