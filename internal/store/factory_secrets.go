package store

import (
	"context"
	"database/sql"
	"strings"

	"github.com/restock/restock"
)

// AddFactorySecret gives a factory one more static secret; those before it stay
// good until they are removed. Only its hash is stored. A key that was used gives the
// secret that it made then, which has another id than the proof. The error is of
// kind NotFound when there is no such factory, and of kind Conflict when it has
// FactorySecretsMax of them.
func (s *Store) AddFactorySecret(ctx context.Context, factory string, proof restock.SecretProof, act restock.Act, key restock.Key,
) (restock.FactorySecret, error) {
	var secret restock.FactorySecret
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		var f restock.Factory
		return tx.once(ctx, key, func() error {
			var err error
			f, err = tx.factoryNamed(ctx, factory)
			return err
		}, func() (made [16]byte, err error) {
			if err := tx.addSecret(ctx, f.ID, proof, act); err != nil {
				return made, err
			}
			secret, err = tx.secret(ctx, f.ID, proof.ID)
			copy(made[:], proof.ID)
			return made, err
		}, func(made [16]byte) error {
			var err error
			secret, err = tx.secret(ctx, f.ID, strings.TrimRight(string(made[:]), "\x00"))
			return err
		})
	})
	return secret, err
}

func (t *tx) addSecret(ctx context.Context, factory restock.FactoryID, proof restock.SecretProof, act restock.Act) error {
	f, err := t.lockFactory(ctx, factory)
	if err != nil {
		return err
	}
	var has int
	if err := t.one(ctx, `SELECT COUNT(*) FROM factory_secrets WHERE factory_id = ?`, []any{f.ID}, &has); err != nil {
		return err
	}
	if has >= restock.FactorySecretsMax {
		return restock.Errorf(restock.Conflict, restock.CodeConflict,
			"%s has %d secrets, as many as it may; remove one that is not used any more with `restock factories secret remove`", f.Identifier, has)
	}
	if err := t.must(ctx, `INSERT INTO factory_secrets (id, factory_id, hash, created_at) VALUES (?, ?, ?, ?)`,
		proof.ID, f.ID, proof.Hash[:], micros(t.now)); err != nil {
		return err
	}
	return t.audit(ctx, act, "factory.secret_make", f.Identifier, restock.ProductID{}, "secret "+proof.ID)
}

// secret reads one secret of a factory.
func (t *tx) secret(ctx context.Context, factory restock.FactoryID, id string) (restock.FactorySecret, error) {
	found, err := collect(ctx, t, voucherColumns+` WHERE c.id = ? AND c.factory_id = ?`, []any{id, factory}, scanSecret)
	if err != nil {
		return restock.FactorySecret{}, err
	}
	if len(found) == 0 {
		return restock.FactorySecret{}, restock.Errorf(restock.NotFound, restock.CodeNotFound,
			"the factory has no secret %q; `restock factories secret list` shows all", id)
	}
	return found[0], nil
}

// RemoveFactorySecret ends a secret: from now on nobody is believed for it, in no
// process. It gives what was removed. The error is of kind NotFound when the factory
// has none of that id.
func (s *Store) RemoveFactorySecret(ctx context.Context, factory, id string, act restock.Act) (restock.FactorySecret, error) {
	var secret restock.FactorySecret
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		f, err := tx.factoryNamed(ctx, factory)
		if err == nil {
			f, err = tx.lockFactory(ctx, f.ID)
		}
		if err != nil {
			return err
		}
		if secret, err = tx.secret(ctx, f.ID, id); err != nil {
			return err
		}
		if err := tx.must(ctx, `DELETE FROM factory_secrets WHERE id = ? AND factory_id = ?`, id, f.ID); err != nil {
			return err
		}
		return tx.audit(ctx, act, "factory.secret_remove", factory, restock.ProductID{}, "secret "+id)
	})
	return secret, err
}

const voucherColumns = `SELECT c.id, f.identifier, c.created_at, c.used_at FROM factory_secrets c JOIN factories f ON f.id = c.factory_id`

func scanSecret(rows *sql.Rows) (restock.FactorySecret, error) {
	var c restock.FactorySecret
	err := rows.Scan(&c.ID, &c.Factory, instant{&c.CreatedAt}, instant{&c.UsedAt})
	return c, err
}

// FactorySecrets lists the secrets of all factories, without telling them.
func (s *Store) FactorySecrets(ctx context.Context, q restock.ListQuery) ([]restock.FactorySecret, string, error) {
	return page(ctx, s, voucherColumns, `c.id`, q, scanSecret,
		func(c restock.FactorySecret) string { return c.ID },
		func(_ context.Context, _ *tx, l *list) error {
			if q.After != "" {
				l.and(`c.id > ?`, q.After)
			}
			return nil
		})
}
