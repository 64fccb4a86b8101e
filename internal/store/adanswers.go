package store

import (
	"context"
	"fmt"

	"github.com/restock/restock"
)

// AdAnswer tells what an answer to a question of a hold would come to now. The
// error is of kind NotFound when there is no such hold.
func (s *Store) AdAnswer(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk) (restock.AdHold, restock.AdAnswer, error) {
	var (
		hold   restock.AdHold
		answer restock.AdAnswer
	)
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if hold, err = tx.adHold(ctx, id); err != nil {
			return err
		}
		a, err := tx.adSituation(ctx, hold.Advertisement.ID)
		answer = a.Answer(id, ask)
		return err
	})
	return hold, answer, err
}

// AcknowledgeAd notes that what a hold asked for is done, if that question is
// still open, and who said so.
func (s *Store) AcknowledgeAd(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk, by string) (restock.AdHold, restock.AdAnswer, error) {
	var (
		hold   restock.AdHold
		answer restock.AdAnswer
	)
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		var err error
		hold, answer, err = tx.acknowledgeAd(ctx, id, ask, by)
		return err
	})
	return hold, answer, err
}

// AcknowledgeAdHold is the same for an operator, who has heard it another way.
// The error is of kind Conflict when the hold asks nothing.
func (s *Store) AcknowledgeAdHold(ctx context.Context, id restock.AdHoldID, act restock.Act) (restock.AdHold, error) {
	var hold restock.AdHold
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		before, err := tx.adHold(ctx, id)
		if err != nil {
			return err
		}
		var answer restock.AdAnswer
		if hold, answer, err = tx.acknowledgeAd(ctx, id, before.Asks(), act.By); err != nil {
			return err
		}
		if answer != restock.AnswerTaken {
			return restock.Errorf(restock.Conflict, restock.CodeConflict, "hold %s waits for no answer now (%s); `restock ads show %s` tells more", id, answer, id)
		}
		return tx.audit(ctx, act, "ad.acknowledge", id.String(), hold.ProductID, fmt.Sprintf("%s of %s", before.Asks(), hold.Advertisement.Name))
	})
	return hold, err
}

func (t *tx) acknowledgeAd(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk, by string) (restock.AdHold, restock.AdAnswer, error) {
	hold, err := t.adHold(ctx, id)
	if err != nil {
		return hold, "", err
	}
	a, err := t.lockAd(ctx, hold.Advertisement.ID)
	if err != nil {
		return hold, "", err
	}
	answer := a.Answer(id, ask)
	if answer != restock.AnswerAwaited {
		return hold, answer, nil
	}
	column := "stop_acknowledged"
	if ask == restock.AskResume {
		column = "resume_acknowledged"
	}
	if err := t.must(ctx, `UPDATE ad_holds SET `+column+`_at = ?, `+column+`_by = ?, escalated_at = NULL, told_in = NULL WHERE id = ?`,
		micros(t.now), by, id); err != nil {
		return hold, "", err
	}
	hold, err = t.adHold(ctx, id)
	return hold, restock.AnswerTaken, err
}

// AdHolds lists holds, newest first.
func (s *Store) AdHolds(ctx context.Context, q restock.ListQuery) ([]restock.AdHold, string, error) {
	holds, next, err := page(ctx, s, `SELECT `+adHoldColumns+adHoldTables, `h.id DESC`, q, scanAdHold,
		func(h restock.AdHold) string { return h.ID.String() },
		narrowBy(q, `h.id`, `h.product_id`, `h.state`, "stopping", "stopped", "resuming", "resumed", "withdrawn"))
	if err != nil {
		return nil, "", err
	}
	return holds, next, s.view(ctx, func(ctx context.Context, tx *tx) error {
		for i := range holds {
			if err := tx.adMails(ctx, &holds[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// AdHold gives one hold with its mails.
func (s *Store) AdHold(ctx context.Context, id restock.AdHoldID) (restock.AdHold, error) {
	var hold restock.AdHold
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		hold, err = tx.adHold(ctx, id)
		return err
	})
	return hold, err
}
