package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
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
		found, err := collect(ctx, t, `SELECT "key", body_hash, effect FROM idempotency_keys WHERE "key" IN (`+places(n)+`)`, args, scanEffect)
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

// errKeyTaken says that another process did something under one of the keys
// meanwhile. The act is run again, and then finds it.
var errKeyTaken = errors.New("an idempotency key was used at the same time")

// remember stores what was done under keys, in the transaction that did it, in
// the order of the keys, so that two who use the same keys do not wait for each
// other in a circle.
func (t *tx) remember(ctx context.Context, effects []effect) error {
	const columns = 4
	slices.SortFunc(effects, func(a, b effect) int { return strings.Compare(a.key.Name, b.key.Name) })
	for len(effects) > 0 {
		n := min(len(effects), keysPerStatement)
		args := make([]any, 0, n*columns)
		for _, e := range effects[:n] {
			args = append(args, e.key.Name, e.key.Hash[:], e.made[:], micros(t.now))
		}
		query := `INSERT INTO idempotency_keys ("key", body_hash, effect, created_at) VALUES ` +
			strings.Repeat(`(?, ?, ?, ?), `, n-1) + `(?, ?, ?, ?) ON CONFLICT DO NOTHING`
		stored, err := t.Exec(ctx, query, args...)
		if err != nil {
			return fmt.Errorf("store idempotency keys: %w", err)
		}
		if stored != int64(n) {
			return errKeyTaken
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

// once runs lock, which locks the products that the act touches, and then do for
// a key that is new. For one that was used with the same body it runs shown,
// which reads what was made then, also when the products are not to be found any
// more. What makes nothing gives a zero id, and is not remembered.
//
// The products come before the key: who repeats a request that still runs waits
// for it at the first product, and then finds its key.
func (t *tx) once(ctx context.Context, key restock.Key, lock func() error, do func() ([16]byte, error), shown func([16]byte) error) error {
	missing := lock()
	if missing != nil && restock.KindOf(missing) != restock.NotFound {
		return missing
	}
	if key.Name != "" {
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
	}
	if missing != nil {
		return missing
	}
	made, err := do()
	if key.Name == "" {
		return err
	}
	if err != nil || made == [16]byte{} {
		return err
	}
	return t.remember(ctx, []effect{{key, made}})
}

// PurgeKeys forgets up to limit idempotency keys that are older than before,
// and gives how many there were.
func (s *Store) PurgeKeys(ctx context.Context, before time.Time, limit int) (int, error) {
	var purged int64
	old, err := s.oldKeys(ctx, before, limit)
	if err != nil || len(old) == 0 {
		return 0, err
	}
	slices.Sort(old) // so that two who purge do not wait for each other in a circle
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		purged = 0
		for part := range slices.Chunk(old, keysPerStatement) {
			n, err := tx.Exec(ctx, `DELETE FROM idempotency_keys WHERE created_at < ? AND "key" IN (`+places(len(part))+`)`,
				append([]any{micros(before)}, anys(part)...)...)
			if err != nil {
				return err
			}
			purged += n
		}
		return nil
	})
	return int(purged), err
}

func (s *Store) oldKeys(ctx context.Context, before time.Time, limit int) ([]string, error) {
	var keys []string
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		keys, err = collect(ctx, tx, `SELECT "key" FROM idempotency_keys WHERE created_at < ? ORDER BY created_at LIMIT ?`,
			[]any{micros(before), limit}, func(rows *sql.Rows) (string, error) {
				var key string
				err := rows.Scan(&key)
				return key, err
			})
		return err
	})
	return keys, err
}
