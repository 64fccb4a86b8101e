package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/restock/restock"
)

// effect is what was done under a key.
type effect struct {
	key  restock.Key
	made [16]byte // the id of what was made
}

// effects looks up what was done under keys. The answer has those that are
// known.
func (t *tx) effects(ctx context.Context, keys []restock.Key) (map[string]effect, error) {
	known := make(map[string]effect, len(keys))
	for len(keys) > 0 {
		n := min(len(keys), keysPerStatement)
		args := make([]any, n)
		for i, key := range keys[:n] {
			args[i] = key.Name
		}
		found, err := collect(ctx, t, `SELECT key, body_hash, effect FROM idempotency_keys WHERE key IN (`+places(n)+`)`, args, scanEffect)
		if err != nil {
			return nil, fmt.Errorf("look up idempotency keys: %w", err)
		}
		for _, e := range found {
			known[e.key.Name] = e
		}
		keys = keys[n:]
	}
	return known, nil
}

// keysPerStatement bounds the keys that one statement names.
const keysPerStatement = 64

func places(n int) string { return strings.Repeat(`?, `, n-1) + `?` }

func scanEffect(rows *sql.Rows) (effect, error) {
	var (
		e          effect
		hash, made []byte
	)
	err := rows.Scan(&e.key.Name, &hash, &made)
	copy(e.key.Hash[:], hash)
	copy(e.made[:], made)
	return e, err
}

// remember stores what was done under keys, in the transaction that did it.
func (t *tx) remember(ctx context.Context, effects []effect) error {
	const columns = 4
	for len(effects) > 0 {
		n := min(len(effects), keysPerStatement)
		args := make([]any, 0, n*columns)
		for _, e := range effects[:n] {
			args = append(args, e.key.Name, e.key.Hash[:], e.made[:], micros(t.now))
		}
		query := `INSERT INTO idempotency_keys (key, body_hash, effect, created_at) VALUES ` +
			strings.Repeat(`(?, ?, ?, ?), `, n-1) + `(?, ?, ?, ?)`
		if _, err := t.Exec(ctx, query, args...); err != nil {
			return fmt.Errorf("store idempotency keys: %w", err)
		}
		effects = effects[n:]
	}
	return nil
}

func errKeyReused(key restock.Key) error {
	name := key.Name[strings.LastIndexByte(key.Name, ' ')+1:]
	return restock.Errorf(restock.Conflict, restock.CodeKeyReused,
		"the Idempotency-Key %q was used with another body; use a new key for a new request", name)
}

// once runs do for a key that is new. For one that was used with the same
// body it runs shown, which reads what was made then. What makes nothing gives
// a zero id, and is not remembered.
func (t *tx) once(ctx context.Context, key restock.Key, do func() ([16]byte, error), shown func([16]byte) error) error {
	if key.Name == "" {
		_, err := do()
		return err
	}
	known, err := t.effects(ctx, []restock.Key{key})
	if err != nil {
		return err
	}
	if e, ok := known[key.Name]; ok {
		if e.key.Hash != key.Hash {
			return errKeyReused(key)
		}
		return shown(e.made)
	}
	made, err := do()
	if err != nil || made == [16]byte{} {
		return err
	}
	return t.remember(ctx, []effect{{key, made}})
}

// PurgeKeys forgets up to limit idempotency keys that are older than before,
// and gives how many there were.
func (s *Store) PurgeKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	var n int64
	old, err := s.hasOldKeys(ctx, before)
	if err != nil || !old {
		return 0, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		var err error
		n, err = tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE key IN
			(SELECT key FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?)`, micros(before), limit)
		return err
	})
	return int(n), err
}

func (s *Store) hasOldKeys(ctx context.Context, before time.Time) (bool, error) {
	var one int
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		return tx.one(ctx, `SELECT 1 FROM idempotency_keys WHERE created_at < ? LIMIT 1`, []any{micros(before)}, &one)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}
