package store

import (
	"context"
	"database/sql"
	"errors"

	"github.com/restock/restock"
)

// UseCallbackKeys compares the callback keys of this process, as key id →
// fingerprint, with those that this database has signed with, and remembers
// new ones. The error is of kind Conflict when a key is missing or differs: the
// factory's callbacks could not be told from forgeries.
func (s *Store) UseCallbackKeys(ctx context.Context, fingerprints map[byte]string) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		known, err := tx.callbackKeys(ctx)
		if err != nil {
			return err
		}
		for id, fingerprint := range known {
			if fingerprints[id] != fingerprint {
				return restock.Errorf(restock.Conflict, restock.CodeConflict,
					"callback key %d, with which this database has signed addresses, is missing or another; "+
						"give the key file that belongs to it with --callback-keys-file", id)
			}
		}
		for id, fingerprint := range fingerprints {
			if known[id] != "" {
				continue
			}
			if err := tx.must(ctx, `INSERT INTO callback_keys (key_id, fingerprint, created_at) VALUES (?, ?, ?)`,
				int64(id), fingerprint, micros(tx.now)); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) callbackKeys(ctx context.Context) (map[byte]string, error) {
	known := map[byte]string{}
	_, err := collect(ctx, t, `SELECT key_id, fingerprint FROM callback_keys`, nil, func(rows *sql.Rows) (byte, error) {
		var id byte
		var fingerprint string
		err := rows.Scan(&id, &fingerprint)
		known[id] = fingerprint
		return id, err
	})
	return known, err
}

// HasCallbackKeys reports whether this database has signed addresses before.
func (s *Store) HasCallbackKeys(ctx context.Context) (bool, error) {
	var has bool
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		err := tx.one(ctx, `SELECT EXISTS (SELECT 1 FROM callback_keys)`, nil, &has)
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return has, err
}
