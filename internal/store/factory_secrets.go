package store

import (
	"context"
	"database/sql"

	"github.com/restock/restock"
)

// AddFactorySecret gives a factory one more static secret; those before it stay
// good until they are removed. Only its hash is stored. The error is of kind
// NotFound when there is no such factory, and of kind Conflict when it has
// FactorySecretsMax of them.
func (s *Store) AddFactorySecret(ctx context.Context, factory string, proof restock.SecretProof, act restock.Act) (restock.FactorySecret, error) {
	secret := restock.FactorySecret{ID: proof.ID, Factory: factory}
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		f, err := tx.factoryNamed(ctx, factory)
		if err == nil {
			f, err = tx.lockFactory(ctx, f.ID)
		}
		if err != nil {
			return err
		}
		secret.CreatedAt = tx.now
		var has int
		if err := tx.one(ctx, `SELECT COUNT(*) FROM factory_secrets WHERE factory_id = ?`, []any{f.ID}, &has); err != nil {
			return err
		}
		if has >= restock.FactorySecretsMax {
			return restock.Errorf(restock.Conflict, restock.CodeConflict,
				"%s has %d secrets, as many as it may; remove one that is not used any more with `restock factories secret remove`", factory, has)
		}
		if err := tx.must(ctx, `INSERT INTO factory_secrets (id, factory_id, hash, created_at) VALUES (?, ?, ?, ?)`,
			secret.ID, f.ID, proof.Hash[:], micros(tx.now)); err != nil {
			return err
		}
		return tx.audit(ctx, act, "factory.secret_make", factory, restock.ProductID{}, "secret "+secret.ID)
	})
	return secret, err
}

// RemoveFactorySecret ends a secret: from now on nobody is believed for it, in no
// process. It gives what was removed. The error is of kind NotFound when the factory
// has none of that id.
func (s *Store) RemoveFactorySecret(ctx context.Context, factory, id string, act restock.Act) (restock.FactorySecret, error) {
	var secret restock.FactorySecret
	err := s.update(ctx, urgent, func(ctx context.Context, tx *tx) error {
		f, err := tx.factoryNamed(ctx, factory)
		if err != nil {
			return err
		}
		found, err := collect(ctx, tx, voucherColumns+` WHERE c.id = ? AND c.factory_id = ?`, []any{id, f.ID}, scanSecret)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `DELETE FROM factory_secrets WHERE id = ? AND factory_id = ?`, id, f.ID)
		if err != nil {
			return err
		}
		if n == 0 || len(found) == 0 {
			return restock.Errorf(restock.NotFound, restock.CodeNotFound,
				"%s has no secret %q; `restock factories secret list` shows all", factory, id)
		}
		secret = found[0]
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
