package replenish

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"golang.org/x/time/rate"
)

const (
	// keyringInterval is how often the key file is looked at.
	keyringInterval = time.Second
	// learnRateMax bounds how often a second strangers can have the file read,
	// with tokens that name a key that nobody has.
	learnRateMax = 10
	// complainInterval is how often the same trouble with the file is told.
	complainInterval = time.Minute
)

// KeysTakenUp is the line in the log that says that a new key signs.
const KeysTakenUp = "callback keys taken up"

// TokenKeys sign and verify tokens: Keys, or a Keyring that takes up new ones.
type TokenKeys interface {
	sign(order restock.OrderID, attempt int) string
	verify(token string) (restock.OrderID, int, bool)
	// learn looks for the key that one of the tokens names and that is not known.
	// It reports whether it is known now, so that the tokens deserve another try.
	learn(ctx context.Context, tokens []string) bool
}

// Keyring holds the keys of a running process and takes up those that are
// added to the key file meanwhile. A key signs only after the database knows
// its fingerprint: otherwise a restart with an older file could forget it, and
// the callbacks that it has signed would be lost. Whatever is wrong with the
// file, the present keys stay.
type Keyring struct {
	load     func() (string, error)
	register func(context.Context, map[byte]string) error
	log      *slog.Logger
	keys     atomic.Pointer[Keys]
	learning *rate.Limiter

	mu         sync.Mutex // one look at a time
	text       string     // of the file, whose keys these are
	complaint  string
	complainAt time.Time // when the same complaint may be told again
}

// OpenKeyring takes up the keys of the text that load gives. register compares
// their fingerprints with those that the database knows, and adds new ones.
func OpenKeyring(ctx context.Context, load func() (string, error),
	register func(context.Context, map[byte]string) error, log *slog.Logger,
) (*Keyring, error) {
	k := &Keyring{load: load, register: register, log: log, learning: rate.NewLimiter(learnRateMax, learnRateMax)}
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, err := k.look(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// Run takes up new keys until ctx ends.
func (k *Keyring) Run(ctx context.Context) error {
	ticker := time.NewTicker(keyringInterval)
	defer ticker.Stop()
	for {
		select {
		case <-ticker.C:
			k.refresh(ctx)
		case <-ctx.Done():
			return nil
		}
	}
}

// refresh looks at the file, and tells when it cannot be used.
func (k *Keyring) refresh(ctx context.Context) {
	k.mu.Lock()
	defer k.mu.Unlock()
	changed, err := k.look(ctx)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		k.complain(ctx, err)
	case changed:
		keys := *k.keys.Load()
		k.log.InfoContext(ctx, KeysTakenUp, keyKeys, len(keys), keyKeyID, keys[len(keys)-1].ID)
		fallthrough
	default:
		k.complaint = ""
	}
}

// look takes up the file's keys if it has changed.
func (k *Keyring) look(ctx context.Context) (changed bool, err error) {
	text, err := k.load()
	if err != nil {
		return false, fmt.Errorf("read the callback keys: %w", err)
	}
	if text == k.text && k.keys.Load() != nil {
		return false, nil
	}
	keys, err := ParseKeys(text)
	if err != nil {
		return false, err
	}
	if err := k.register(ctx, keys.Fingerprints()); err != nil {
		return false, err
	}
	k.text = text
	k.keys.Store(&keys)
	return true, nil
}

func (k *Keyring) complain(ctx context.Context, err error) {
	now := time.Now()
	if err.Error() == k.complaint && now.Before(k.complainAt) {
		return
	}
	k.complaint, k.complainAt = err.Error(), now.Add(complainInterval)
	if restock.KindOf(err) == restock.Unavailable {
		k.log.WarnContext(ctx, "the database does not take the new callback keys now; trying again", keyError, err)
		return
	}
	k.log.ErrorContext(ctx, "the file of callback keys cannot be used; the present keys stay. Put the file right now, "+
		"from the backup if need be: with this one the next start is refused; new keys are added with `restock callback-keys rotate`", keyError, err)
}

func (k *Keyring) sign(order restock.OrderID, attempt int) string {
	return k.keys.Load().sign(order, attempt)
}

func (k *Keyring) verify(token string) (restock.OrderID, int, bool) {
	return k.keys.Load().verify(token)
}

// learn reads the file at once: another process may have signed with a key
// that came since our last look.
func (k *Keyring) learn(ctx context.Context, tokens []string) bool {
	id, unknown := k.keys.Load().unknown(tokens)
	if !unknown || !k.learning.Allow() {
		return false
	}
	k.refresh(ctx)
	_, known := k.keys.Load().find(id)
	return known
}
