package queuetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

func arrivesWhole(ctx context.Context, h Harness) error {
	sent, err := h.publish(ctx, 1, "test.known")
	if err != nil {
		return err
	}
	err = h.inTime(ctx, 1, func(got driver.Delivery) error {
		if err := same(got.Message, sent[0]); err != nil {
			return err
		}
		if got.Queue != h.Queue {
			return fmt.Errorf("received from %q, want %q", got.Queue, h.Queue)
		}
		return h.done(ctx, got)
	})
	if err != nil {
		return err
	}
	return h.empty(ctx)
}

func (h Harness) done(ctx context.Context, d driver.Delivery) error {
	if err := h.Driver.Done(ctx, d); err != nil {
		return fmt.Errorf("done: %w", err)
	}
	return nil
}

func same(got, want driver.Message) error {
	if got.ID != want.ID || got.Type != want.Type || got.Subject != want.Subject ||
		got.TraceParent != want.TraceParent || !got.Time.Equal(want.Time) || !bytes.Equal(got.Body, want.Body) {
		return fmt.Errorf("received %+v, want %+v", got, want)
	}
	return nil
}

func takesAtMostMax(ctx context.Context, h Harness) error {
	const published, most = 5, 2
	if _, err := h.publish(ctx, published, "test.known"); err != nil {
		return err
	}
	seen := make(map[driver.ID]bool)
	return until(ctx, "all messages came", func(ctx context.Context) (bool, error) {
		got, err := h.Driver.Receive(ctx, h.Queue, driver.Request{Max: most, Visibility: held})
		if err != nil {
			return false, fmt.Errorf("receive: %w", err)
		}
		if len(got) > most {
			return false, fmt.Errorf("received %d messages, want at most %d", len(got), most)
		}
		for _, d := range got {
			if seen[d.ID] {
				return false, fmt.Errorf("message %s came twice", d.ID)
			}
			seen[d.ID] = true
		}
		return len(seen) == published, nil
	})
}

// publishWakes races publishes against receives, so that a wake-up that is lost
// between the look and the wait shows after some rounds as a receive that
// sleeps on.
func publishWakes(ctx context.Context, h Harness) error {
	const rounds = 50
	for range rounds {
		failed := make(chan error, 1)
		go func() {
			_, err := h.publish(ctx, 1, "test.known")
			failed <- err
		}()
		d, err := h.receive(ctx, held)
		if err := errors.Join(err, <-failed); err != nil {
			return err
		}
		if err := h.done(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

func receiveEndsWithContext(ctx context.Context, h Harness) error {
	receiving, cancel := context.WithCancel(ctx)
	ended := make(chan int, 1)
	go func() {
		got, _ := h.Driver.Receive(receiving, h.Queue, // it may say that its context ended, or not
			driver.Request{Max: 1, Visibility: held, Wait: 2 * patience})
		ended <- len(got)
	}()
	cancel()
	got, err := signalled(ctx, "ended receives", 1, ended)
	if err == nil && got[0] != 0 {
		return fmt.Errorf("received %d messages from an empty queue", got[0])
	}
	return err
}

func retryCounts(ctx context.Context, h Harness) error {
	d, err := h.publishAndReceive(ctx, held)
	if err != nil {
		return err
	}
	for receive := 2; receive <= 4; receive++ {
		if err := h.Driver.Retry(ctx, d, 0, "because"); err != nil {
			return fmt.Errorf("retry: %w", err)
		}
		if d, err = h.receive(ctx, held); err != nil {
			return err
		}
		if d.Receives != receive {
			return fmt.Errorf("receive %d, want %d", d.Receives, receive)
		}
	}
	return nil
}

func retryWaits(ctx context.Context, h Harness) error {
	d, err := h.publishAndReceive(ctx, held)
	if err != nil {
		return err
	}
	before := time.Now()
	if err := h.Driver.Retry(ctx, d, h.Visibility, "because"); err != nil {
		return fmt.Errorf("retry: %w", err)
	}
	if _, err = h.receive(ctx, held); err != nil {
		return err
	}
	if waited := time.Since(before); waited < h.Visibility {
		return fmt.Errorf("came again after %s, want at least %s", waited, h.Visibility)
	}
	return nil
}

func laterGivesBack(ctx context.Context, h Harness) error {
	d, err := h.publishAndReceive(ctx, held)
	if err != nil {
		return err
	}
	for range 3 {
		if err := h.Driver.Later(ctx, d, 0); err != nil {
			return fmt.Errorf("later: %w", err)
		}
		if d, err = h.receive(ctx, held); err != nil {
			return err
		}
		if d.Receives != 1 {
			return fmt.Errorf("receive %d, want 1", d.Receives)
		}
	}
	return nil
}

// oldHandleRefused lets the visibility run out, as a worker does that stands
// still, and then comes back with the old handle.
func oldHandleRefused(ctx context.Context, h Harness) error {
	old, err := h.publishAndReceive(ctx, h.Visibility)
	if err != nil {
		return err
	}
	err = h.inTime(ctx, old.Receives+1, func(current driver.Delivery) error {
		if current.ID != old.ID {
			return fmt.Errorf("received %s, want %s", current.ID, old.ID)
		}
		if err := refused(ctx, h.Driver, old); err != nil {
			return err
		}
		return h.done(ctx, current)
	})
	if err != nil {
		return err
	}
	return refused(ctx, h.Driver, old)
}

// refused says that a handle works for nothing any more.
func refused(ctx context.Context, d driver.Driver, stale driver.Delivery) error {
	answers := map[string]error{
		"Done":   d.Done(ctx, stale),
		"Retry":  d.Retry(ctx, stale, 0, "because"),
		"Later":  d.Later(ctx, stale, 0),
		"Dead":   d.Dead(ctx, stale, "because"),
		"Extend": d.Extend(ctx, stale, held),
	}
	for name, err := range answers {
		if !errors.Is(err, driver.ErrStale) {
			return fmt.Errorf("%s with a stale handle: %w, want ErrStale", name, errOrNil(err))
		}
	}
	return nil
}

func errOrNil(err error) error {
	if err == nil {
		return errors.New("no error")
	}
	return err
}

func answerIsFinal(ctx context.Context, h Harness) error {
	answers := map[string]func(driver.Delivery) error{
		"Done":  func(d driver.Delivery) error { return h.Driver.Done(ctx, d) },
		"Retry": func(d driver.Delivery) error { return h.Driver.Retry(ctx, d, held, "because") },
		"Later": func(d driver.Delivery) error { return h.Driver.Later(ctx, d, held) },
		"Dead":  func(d driver.Delivery) error { return h.Driver.Dead(ctx, d, "because") },
	}
	for name, answer := range answers {
		d, err := h.publishAndReceive(ctx, held)
		if err != nil {
			return err
		}
		if err := answer(d); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if err := refused(ctx, h.Driver, d); err != nil {
			return fmt.Errorf("after %s: %w", name, err)
		}
	}
	return nil
}

func extendHolds(ctx context.Context, h Harness) error {
	if _, err := h.publish(ctx, 1, "test.known"); err != nil {
		return err
	}
	var d driver.Delivery
	err := h.inTime(ctx, 1, func(got driver.Delivery) error {
		d = got
		if err := h.Driver.Extend(ctx, d, held); err != nil {
			return fmt.Errorf("extend: %w", err)
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := h.empty(ctx); err != nil {
		return err
	}
	return h.done(ctx, d)
}
