package dashboard

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/restock/restock"
)

// verifyShare is how much of the time a check may run: on much data it takes
// long, and sales go on beside it.
const verifyShare = 20

// verified is what the latest check found.
type verified struct {
	At      time.Time
	Took    time.Duration
	Checks  []restock.Check
	Failed  bool // it could not be run
	Running bool
}

// Known reports whether a check was ever made.
func (v verified) Known() bool { return !v.At.IsZero() && !v.Failed }

// Broken are the checks that do not hold.
func (v verified) Broken() []restock.Check {
	var broken []restock.Check
	for _, c := range v.Checks {
		if c.Broken > 0 {
			broken = append(broken, c)
		}
	}
	return broken
}

// verifier checks the promises one at a time, while somebody looks.
type verifier struct {
	verify   func(context.Context) ([]restock.Check, error)
	now      func() time.Time
	interval time.Duration
	wake     chan struct{}

	mu   sync.Mutex
	last verified
}

func newVerifier(verify func(context.Context) ([]restock.Check, error), cfg Config) *verifier {
	return &verifier{verify: verify, now: cfg.Now, interval: cfg.VerifyInterval, wake: make(chan struct{}, 1)}
}

// look gives the latest check, and has a new one made when it is old.
func (v *verifier) look() verified {
	v.mu.Lock()
	last := v.last
	v.mu.Unlock()
	due := last.At.Add(max(v.interval, verifyShare*last.Took))
	if last.At.IsZero() || !v.now().Before(due) {
		v.ask()
	}
	return last
}

// ask has a check made now, if none is being made.
func (v *verifier) ask() {
	select {
	case v.wake <- struct{}{}:
	default:
	}
}

func (v *verifier) run(ctx context.Context, log *slog.Logger) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-v.wake:
			v.check(ctx, log)
			select { // who asked meanwhile has it
			case <-v.wake:
			default:
			}
		}
	}
}

func (v *verifier) check(ctx context.Context, log *slog.Logger) {
	began := v.now()
	v.set(func(last *verified) { last.Running = true })
	checks, err := v.verify(ctx)
	if err != nil && ctx.Err() == nil {
		log.ErrorContext(ctx, "the promises could not be checked", keyError, err)
	}
	now := v.now()
	v.set(func(last *verified) {
		*last = verified{At: now, Took: now.Sub(began), Checks: checks, Failed: err != nil}
	})
}

func (v *verifier) set(change func(*verified)) {
	v.mu.Lock()
	defer v.mu.Unlock()
	change(&v.last)
}
