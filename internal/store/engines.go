package store

import (
	"context"
	"slices"
	"strings"

	"github.com/restock/restock"
)

// UseEngine records which queue engine holds the messages from now on, and
// gives those before it that may still hold some. EmbeddedEngine is never
// among them: its messages lie in this database.
func (s *Store) UseEngine(ctx context.Context, name string) ([]string, error) {
	var before []string
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnSettings); err != nil {
			return err
		}
		last, err := tx.setting(ctx, settingQueueEngine)
		if err != nil {
			return err
		}
		if before, err = tx.enginesBefore(ctx); err != nil || last == name {
			return err
		}
		before = slices.DeleteFunc(before, func(b string) bool { return b == name })
		if last != "" && last != restock.EmbeddedEngine {
			before = append(before, last)
		}
		if err := tx.setSetting(ctx, settingEnginesBefore, strings.Join(before, "\n")); err != nil {
			return err
		}
		return tx.setSetting(ctx, settingQueueEngine, name)
	})
	return before, err
}

// ForgetEngine says that an engine used before holds nothing any more.
func (s *Store) ForgetEngine(ctx context.Context, name string, act restock.Act) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnSettings); err != nil {
			return err
		}
		before, err := tx.enginesBefore(ctx)
		if err != nil {
			return err
		}
		i := slices.Index(before, name)
		if i < 0 {
			return restock.Errorf(restock.NotFound, restock.CodeNotFound, "%q is no engine that was used before; `restock queue status` shows them", name)
		}
		if err := tx.setSetting(ctx, settingEnginesBefore, strings.Join(slices.Delete(before, i, i+1), "\n")); err != nil {
			return err
		}
		return tx.audit(ctx, act, "queue.forget", name, restock.ProductID{}, "")
	})
}

// Engines gives the engine in use and those before it.
func (s *Store) Engines(ctx context.Context) (restock.QueueEngines, error) {
	var e restock.QueueEngines
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if e.Engine, err = tx.setting(ctx, settingQueueEngine); err != nil {
			return err
		}
		e.Before, err = tx.enginesBefore(ctx)
		return err
	})
	return e, err
}

func (t *tx) enginesBefore(ctx context.Context) ([]string, error) {
	names, err := t.setting(ctx, settingEnginesBefore)
	return strings.Fields(names), err
}
