// Package queuetest is the suite that every queue engine must pass: what
// package driver promises, alone and under a queue.Consumer.
//
// Each check is a function that returns an error, so that a test can also hold
// it against a driver that is broken on purpose and see that it notices.
//
// # Time
//
// Engines run on real clocks that cannot be set from here, so the checks that
// let a visibility run out use a short one, and all wait for what must come, up
// to a patience that only a broken engine uses up. No check asserts that
// something was fast: what a check keeps it has for an hour, and what it has to
// answer within a short visibility comes again to a machine that was too slow.
package queuetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
)

const (
	// patience bounds every wait for something that must come. It is no limit of
	// how fast that comes.
	patience = 2 * time.Minute
	// held is the visibility of what a check keeps until its end.
	held = time.Hour
)

// Desk is the dead-letter desk beside the engine.
type Desk interface {
	DeadLetters(ctx context.Context, f driver.Filter) ([]driver.DeadLetter, string, error)
	DeadLetter(ctx context.Context, queue string, id driver.ID) (driver.DeadLetter, error)
	Redrive(ctx context.Context, queue string, id driver.ID) (bool, error)
	Discard(ctx context.Context, queue string, id driver.ID, reason string) (bool, error)
	Stats(ctx context.Context) ([]driver.Stats, error)
	Purge(ctx context.Context, before time.Time, limit int) (int, error)
}

// Harness is an engine with one empty queue.
type Harness struct {
	Driver  driver.Driver
	Desk    Desk
	Queue   string
	Publish func(ctx context.Context, m driver.Message) error // to Queue; durable when it returns
	// Visibility is a short visibility that the engine keeps reliably.
	Visibility time.Duration
	// Deduplicates: a second publish of an id is ignored. Without it, handlers
	// may see a message twice and have to recognise it.
	Deduplicates bool
	// Counts: Stats sees every message of Queue at every moment.
	Counts bool
}

// Check is one promise of the suite.
type Check struct {
	Name string // the promise
	Run  func(ctx context.Context, h Harness) error
	// Counts: it needs an engine whose harness Counts.
	Counts bool
	// Expires: it lets the Visibility of its harness run out. An engine that has to
	// say again and again that a message is at work may do that seldom, and so have
	// time for it, where this is not set.
	Expires bool
}

// Checks is the suite.
func Checks() []Check {
	return []Check{
		{Name: "AMessageArrivesWholeAndIsDoneOnce", Run: arrivesWhole, Expires: true},
		{Name: "ReceiveTakesAtMostMax", Run: takesAtMostMax},
		{Name: "APublishWakesWhoWaits", Run: publishWakes},
		{Name: "AReceiveEndsWithItsContext", Run: receiveEndsWithContext},
		{Name: "RetryCountsTheReceive", Run: retryCounts},
		{Name: "RetryWaitsForItsDelay", Run: retryWaits},
		{Name: "LaterGivesTheReceiveBack", Run: laterGivesBack},
		{Name: "AnUnansweredMessageComesAgainAndItsOldHandleIsRefused", Run: oldHandleRefused, Expires: true},
		{Name: "AnAnswerIsFinal", Run: answerIsFinal},
		{Name: "ExtendHoldsTheMessage", Run: extendHolds, Expires: true},
		{Name: "AFailingMessageIsDeadAfterReceivesMax", Run: deadAfterReceivesMax},
		{Name: "DiscardIsDeadAtOnce", Run: discardIsDeadAtOnce},
		{Name: "LaterNeverMakesADeadLetter", Run: laterNeverKills},
		{Name: "AnUnknownTypeIsKept", Run: unknownTypeIsKept},
		{Name: "PoisonDoesNotStopTheOthers", Run: poisonAmongGood},
		{Name: "DuplicatesHaveOneEffect", Run: duplicatesHaveOneEffect},
		{Name: "ARedrivenMessageIsHandled", Run: redriveIsHandled, Expires: true},
		{Name: "RedrivenTwiceAtOnceIsDeliveredOnce", Run: redriveTwice},
		{Name: "AStopWithMessagesInFlightLosesNone", Run: stopLosesNone, Expires: true},
		{Name: "NoMessageIsHeldTwiceAtOnce", Run: neverHeldTwice},
		{Name: "EveryMessageIsSomewhereAtEveryMoment", Run: nothingMissing, Counts: true},
	}
}

// Run runs the suite, with a new harness for each check. What needs an engine
// that counts is for those whose first harness does.
func Run(t *testing.T, open func(t *testing.T, c Check) Harness) {
	t.Helper()
	counts := open(t, Check{}).Counts
	for _, check := range Checks() {
		if check.Counts && !counts {
			continue
		}
		t.Run(check.Name, func(t *testing.T) {
			t.Parallel()
			h := open(t, check)
			if err := check.Run(t.Context(), h); err != nil {
				t.Error(err)
			}
		})
	}
}

// message makes a message of a type with everything filled in. Its time has the
// coarsest resolution that an engine may keep: microseconds.
func message(messageType string) driver.Message {
	m := driver.Message{
		Type:        messageType,
		Subject:     "CP-502101",
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Time:        time.Now().UTC().Truncate(time.Microsecond),
	}
	rand.Read(m.ID[:]) // never fails, says its documentation
	m.Body = fmt.Appendf(nil, `{"name":"부산도너츠","id":%q}`, m.ID)
	return m
}

// publish publishes n messages of a type.
func (h Harness) publish(ctx context.Context, n int, messageType string) ([]driver.Message, error) {
	messages := make([]driver.Message, n)
	for i := range messages {
		messages[i] = message(messageType)
		if err := h.Publish(ctx, messages[i]); err != nil {
			return nil, fmt.Errorf("publish: %w", err)
		}
	}
	return messages, nil
}

// receive waits for one message.
func (h Harness) receive(ctx context.Context, visibility time.Duration) (driver.Delivery, error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for {
		got, err := h.Driver.Receive(ctx, h.Queue, driver.Request{Max: 1, Visibility: visibility, Wait: patience})
		if err != nil {
			return driver.Delivery{}, fmt.Errorf("receive: %w", err)
		}
		if len(got) > 0 {
			return got[0], nil
		}
	}
}

// publishAndReceive publishes one message and receives it.
func (h Harness) publishAndReceive(ctx context.Context, visibility time.Duration) (driver.Delivery, error) {
	if _, err := h.publish(ctx, 1, "test.known"); err != nil {
		return driver.Delivery{}, err
	}
	return h.receive(ctx, visibility)
}

// inTime receives the only message, for the short visibility, and answers while
// that lasts. It is the receive that receives says, unless this machine was too
// slow for one before: then the message comes again. An answer that is refused
// sooner is an error.
func (h Harness) inTime(ctx context.Context, receives int, answer func(driver.Delivery) error) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for late := 0; ; {
		asked := time.Now()
		got, err := h.Driver.Receive(ctx, h.Queue, driver.Request{Max: 1, Visibility: h.Visibility, Wait: h.Visibility / 10})
		if err != nil {
			return fmt.Errorf("receive (%d were too late): %w", late, err)
		}
		if len(got) > 0 {
			if n := got[0].Receives; n < receives || n > receives+late {
				return fmt.Errorf("receive %d of %s, want receive %d (%d were too late)", n, got[0].ID, receives, late)
			}
			err = answer(got[0])
		}
		tooLate := time.Since(asked) >= h.Visibility
		switch {
		case tooLate && (errors.Is(err, driver.ErrStale) || len(got) == 0):
			late++
		case err != nil || len(got) > 0:
			return err
		}
	}
}

// empty says that nothing comes, for longer than the visibility.
func (h Harness) empty(ctx context.Context) error {
	got, err := h.Driver.Receive(ctx, h.Queue,
		driver.Request{Max: 10, Visibility: held, Wait: 2 * h.Visibility})
	if err != nil {
		return fmt.Errorf("receive: %w", err)
	}
	if len(got) > 0 {
		return fmt.Errorf("received %d messages, want none; the first is %s, receive %d",
			len(got), got[0].ID, got[0].Receives)
	}
	return nil
}

// consume runs a consumer with quick retries. What it returns stops it and waits.
func (h Harness) consume(ctx context.Context, handlers map[string]queue.Handler, cfg queue.Config) func() error {
	ctx, cancel := context.WithCancel(ctx)
	if cfg.Visibility == 0 {
		cfg.Visibility = held
	}
	if cfg.ShutdownTimeout == 0 {
		cfg.ShutdownTimeout = time.Second
	}
	cfg.BackoffBase, cfg.BackoffMax = time.Millisecond, 5*time.Millisecond
	cfg.Logger = slog.New(slog.DiscardHandler)
	ended := make(chan error, 1)
	go func() { ended <- queue.New(h.Driver, h.Queue, handlers, cfg).Run(ctx) }()
	return sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
}

// known is the handlers for the one type that the checks know.
func known(handler queue.Handler) map[string]queue.Handler {
	return map[string]queue.Handler{"test.known": handler}
}

// deadLetter waits until a message is a dead letter.
func (h Harness) deadLetter(ctx context.Context, id driver.ID) (driver.DeadLetter, error) {
	var letter driver.DeadLetter
	err := until(ctx, "message "+id.String()+" is a dead letter", func(ctx context.Context) (bool, error) {
		var err error
		letter, err = h.Desk.DeadLetter(ctx, h.Queue, id)
		if errors.Is(err, driver.ErrNotFound) {
			return false, nil
		}
		return err == nil, err //nolint:wrapcheck // until says what it was for.
	})
	return letter, err
}

// deadLetters lists all dead letters of the queue.
func (h Harness) deadLetters(ctx context.Context) ([]driver.DeadLetter, error) {
	var all []driver.DeadLetter
	f := driver.Filter{Queue: h.Queue}
	for {
		page, next, err := h.Desk.DeadLetters(ctx, f)
		if err != nil {
			return nil, fmt.Errorf("list dead letters: %w", err)
		}
		all = append(all, page...)
		if next == "" {
			return all, nil
		}
		f.After = next
	}
}

// until polls a condition that nothing signals.
func until(ctx context.Context, what string, met func(context.Context) (bool, error)) error {
	const pause = 2 * time.Millisecond
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		ok, err := met(ctx)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("still waiting until %s: %w", what, ctx.Err())
		case err != nil:
			return fmt.Errorf("waiting until %s: %w", what, err)
		case ok:
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
		}
	}
}

// signalled waits for n signals.
func signalled[T any](ctx context.Context, what string, n int, signal <-chan T) ([]T, error) {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var got []T
	for len(got) < n {
		select {
		case v := <-signal:
			got = append(got, v)
		case <-timer.C:
			return got, fmt.Errorf("%s: %d of %d after %s", what, len(got), n, patience)
		case <-ctx.Done():
			return got, fmt.Errorf("%s: %d of %d: %w", what, len(got), n, ctx.Err())
		}
	}
	return got, nil
}
