package queuetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// nothingMissing lets several workers do random things to a queue, and counts
// all the while: published = waiting + in flight + done + dead + discarded +
// purged, in every snapshot.
func nothingMissing(ctx context.Context, h Harness) error {
	const workers, steps = 4, 60
	seed := rand.Uint64() // a test that can be repeated, not a secret.
	errs := make(chan error, workers)
	var running sync.WaitGroup
	for i := range uint64(workers) {
		running.Go(func() {
			a := actor{h: h, random: rand.New(rand.NewPCG(seed, i))} // as above.
			for range steps {
				if err := a.step(ctx); err != nil {
					errs <- err
					return
				}
			}
		})
	}
	finished := make(chan struct{})
	go func() {
		running.Wait()
		close(finished)
	}()
	err := h.countUntil(ctx, finished)
	<-finished
	close(errs)
	for failed := range errs {
		err = errors.Join(err, failed)
	}
	if err != nil {
		return fmt.Errorf("seed %d: %w", seed, err)
	}
	return nil
}

// countUntil counts again and again until finished, and once after it.
func (h Harness) countUntil(ctx context.Context, finished <-chan struct{}) error {
	for last := false; ; {
		stats, err := h.Desk.Stats(ctx)
		if err != nil {
			return fmt.Errorf("stats: %w", err)
		}
		for _, s := range stats {
			if s.Missing() != 0 {
				return fmt.Errorf("%d of %d messages are missing: %+v", s.Missing(), s.Published, s)
			}
		}
		if last {
			return nil
		}
		select {
		case <-finished:
			last = true
		default:
		}
	}
}

// actor does random things, as consumers and operators do them.
type actor struct {
	h      Harness
	random *rand.Rand
	sent   []driver.Message
	held   []driver.Delivery
}

func (a *actor) step(ctx context.Context) error {
	switch a.random.IntN(8) {
	case 0, 1:
		return a.publish(ctx)
	case 2, 3:
		return a.receive(ctx)
	case 4, 5:
		return a.answer(ctx)
	case 6:
		return a.tidyDesk(ctx)
	default:
		_, err := a.h.Desk.Purge(ctx, time.Now(), 1+a.random.IntN(5))
		return err //nolint:wrapcheck // the text of the engine says enough.
	}
}

// publish sends something new, or now and then something again.
func (a *actor) publish(ctx context.Context) error {
	m := message("test.known")
	if len(a.sent) > 0 && a.random.IntN(10) < 3 {
		m = a.sent[a.random.IntN(len(a.sent))]
	}
	a.sent = append(a.sent, m)
	return a.h.Publish(ctx, m)
}

// receive takes some; a short visibility makes some of the handles stale.
func (a *actor) receive(ctx context.Context) error {
	visibility := time.Duration(a.random.IntN(20)) * time.Millisecond
	got, err := a.h.Driver.Receive(ctx, a.h.Queue, driver.Request{Max: 1 + a.random.IntN(3), Visibility: visibility})
	a.held = append(a.held, got...)
	return err //nolint:wrapcheck // the text of the engine says enough.
}

// answer answers for something held, with any answer, perhaps for the second
// time.
func (a *actor) answer(ctx context.Context) error {
	if len(a.held) == 0 {
		return nil
	}
	d := a.held[a.random.IntN(len(a.held))]
	var err error
	switch a.random.IntN(6) {
	case 0, 1:
		err = a.h.Driver.Done(ctx, d)
	case 2:
		err = a.h.Driver.Retry(ctx, d, 0, "because")
	case 3:
		err = a.h.Driver.Later(ctx, d, 0)
	case 4:
		err = a.h.Driver.Dead(ctx, d, "because")
	default:
		err = a.h.Driver.Extend(ctx, d, time.Millisecond)
	}
	if errors.Is(err, driver.ErrStale) {
		return nil
	}
	return err //nolint:wrapcheck // the text of the engine says enough.
}

// tidyDesk redrives or discards one dead letter, perhaps beside somebody else.
func (a *actor) tidyDesk(ctx context.Context) error {
	letters, _, err := a.h.Desk.DeadLetters(ctx, driver.Filter{Queue: a.h.Queue, Limit: 5})
	if err != nil || len(letters) == 0 {
		return err //nolint:wrapcheck // the text of the engine says enough.
	}
	id := letters[a.random.IntN(len(letters))].MessageID
	if a.random.IntN(3) == 0 {
		_, err = a.h.Desk.Discard(ctx, a.h.Queue, id, "not needed")
	} else {
		_, err = a.h.Desk.Redrive(ctx, a.h.Queue, id)
	}
	if errors.Is(err, driver.ErrNotFound) { // purged meanwhile
		return nil
	}
	return err //nolint:wrapcheck // the text of the engine says enough.
}
