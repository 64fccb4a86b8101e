package store

import (
	"context"

	"github.com/restock/restock"
)

// PublishDueAds sends a message for each advertisement that somebody has to look
// at by now, at most limit of them, and gives their number. Several processes
// may do so at once: each look is taken by one of them.
func (s *Store) PublishDueAds(ctx context.Context, limit int) (int, error) {
	due := func(ctx context.Context, tx *tx) ([]restock.AdvertisementID, error) {
		return collect(ctx, tx, `SELECT id FROM advertisements WHERE look_at <= ? ORDER BY look_at LIMIT ?`,
			[]any{micros(tx.now), limit}, scanID[restock.Advertisement])
	}
	var ads []restock.AdvertisementID
	err := s.view(ctx, func(ctx context.Context, tx *tx) (err error) {
		ads, err = due(ctx, tx)
		return err
	})
	if err != nil || len(ads) == 0 {
		return 0, err
	}
	n := 0
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		n = 0
		for _, id := range ads {
			taken, err := tx.Exec(ctx, `UPDATE advertisements SET look_at = NULL WHERE id = ? AND look_at <= ?`, id, micros(tx.now))
			if err != nil {
				return err
			}
			if taken == 0 {
				continue // another process was faster
			}
			if err := tx.publishAdDue(ctx, id); err != nil {
				return err
			}
			n++
		}
		return nil
	})
	return n, err
}

// PublishAdDue sends a message that an advertisement has to be looked at.
func (s *Store) PublishAdDue(ctx context.Context, id restock.AdvertisementID) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error { return tx.publishAdDue(ctx, id) })
}

// publishAdDue names a product too, for the people who see the message.
func (t *tx) publishAdDue(ctx context.Context, id restock.AdvertisementID) error {
	type shown struct {
		id  restock.ProductID
		sku restock.SKU
	}
	a, err := t.adSituation(ctx, id)
	if err != nil {
		return err
	}
	p := shown{a.Hold.ProductID, a.Hold.SKU}
	if p.id.IsZero() && len(a.Facts.Products) > 0 {
		p = shown{a.product, a.Facts.Products[0].SKU}
	}
	return t.publish(adStory(ctx, a), restock.AdDue, restock.EventData{
		AdvertisementID: id, ProductID: p.id, SKU: p.sku, StockoutID: a.Hold.StockoutID,
	})
}

// UntoldAds gives advertisements whose manager should be told something now and
// about which nobody writes, as decide says: an event may have been lost, or a
// change of the catalogue made none. At most limit are looked at.
func (s *Store) UntoldAds(ctx context.Context, limit int, decide adDecide) ([]restock.AdvertisementID, error) {
	var untold []restock.AdvertisementID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		// Where a hold is stopping or resuming, a message drives its mail.
		ads, err := collect(ctx, tx, `SELECT a.id FROM ad_holds h JOIN advertisements a ON a.id = h.advertisement_id
				WHERE h.slot = 1 AND h.state = 'stopped' AND NOT (`+adOut+`)
			UNION SELECT a.id FROM stockouts s JOIN products o ON o.id = s.product_id JOIN advertisements a ON a.id = o.advertisement_id
				WHERE s.closed_at IS NULL AND NOT EXISTS (SELECT 1 FROM ad_holds h WHERE h.advertisement_id = a.id AND h.slot = 1)
				AND `+adOut+` LIMIT ?`, []any{limit}, scanID[restock.Advertisement])
		if err != nil {
			return err
		}
		for _, id := range ads {
			a, err := tx.adSituation(ctx, id)
			if err != nil {
				return err
			}
			if turn := decide(a.AdSituation); !turn.Wait && (turn.Send != "" || turn.State != a.Hold.State) {
				untold = append(untold, id)
			}
		}
		return nil
	})
	return untold, err
}
