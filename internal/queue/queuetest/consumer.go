package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
)

func deadAfterReceivesMax(ctx context.Context, h Harness) error {
	const receivesMax = 3
	sent, err := h.publish(ctx, 1, "test.known")
	if err != nil {
		return err
	}
	tries := 0 // one message: its receives come one after the other
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error {
		tries++
		return fmt.Errorf("no. %d", tries)
	}), queue.Config{ReceivesMax: receivesMax})
	letter, err := h.deadLetter(ctx, sent[0].ID)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if tries != receivesMax {
		return fmt.Errorf("handled %d times, want %d", tries, receivesMax)
	}
	if letter.LastError != "no. 3" || letter.Receives != receivesMax {
		return fmt.Errorf("dead with %q after %d receives, want the last error and %d",
			letter.LastError, letter.Receives, receivesMax)
	}
	return errors.Join(sameContent(letter, sent[0]), sameFailures(letter, "no. 1", "no. 2", "no. 3"))
}

func sameContent(got driver.DeadLetter, want driver.Message) error {
	if got.MessageID != want.ID || got.Type != want.Type || got.Subject != want.Subject ||
		got.TraceParent != want.TraceParent || !got.CreatedAt.Equal(want.Time) {
		return fmt.Errorf("dead letter %+v of %+v", got, want)
	}
	var gotBody, wantBody any
	err := errors.Join(json.Unmarshal(got.Body, &gotBody), json.Unmarshal(want.Body, &wantBody))
	if err != nil || fmt.Sprint(gotBody) != fmt.Sprint(wantBody) {
		return fmt.Errorf("dead letter has the body %s, want %s (%w)", got.Body, want.Body, errOrNil(err))
	}
	return nil
}

func sameFailures(letter driver.DeadLetter, causes ...string) error {
	got := make([]string, len(letter.Failures))
	for i, f := range letter.Failures {
		got[i] = f.Error
		if f.Receive != i+1 || f.At.IsZero() {
			return fmt.Errorf("failure %d is %+v, want receive %d with its time", i, f, i+1)
		}
	}
	if !slices.Equal(got, causes) {
		return fmt.Errorf("recorded failures %q, want %q", got, causes)
	}
	return nil
}

func discardIsDeadAtOnce(ctx context.Context, h Harness) error {
	sent, err := h.publish(ctx, 1, "test.known")
	if err != nil {
		return err
	}
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error {
		return fmt.Errorf("wrapped: %w", queue.Discard(errors.New("unreadable")))
	}), queue.Config{})
	letter, err := h.deadLetter(ctx, sent[0].ID)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if letter.Receives != 1 || !strings.Contains(letter.LastError, "unreadable") {
		return fmt.Errorf("dead with %q after %d receives, want the cause after 1", letter.LastError, letter.Receives)
	}
	return sameContent(letter, sent[0])
}

func laterNeverKills(ctx context.Context, h Harness) error {
	const receivesMax = 2
	if _, err := h.publish(ctx, 1, "test.known"); err != nil {
		return err
	}
	tries, handled := 0, make(chan struct{}, 1)
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error {
		tries++
		if tries <= 3*receivesMax {
			return queue.Later(0)
		}
		handled <- struct{}{}
		return nil
	}), queue.Config{ReceivesMax: receivesMax})
	_, err := signalled(ctx, "handled messages", 1, handled)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	letters, err := h.deadLetters(ctx)
	if len(letters) > 0 {
		return fmt.Errorf("%d dead letters, want none", len(letters))
	}
	return err
}

func unknownTypeIsKept(ctx context.Context, h Harness) error {
	sent, err := h.publish(ctx, 1, "test.from.the.future")
	if err != nil {
		return err
	}
	stop := h.consume(ctx, known(func(context.Context, queue.Message) error { return nil }), queue.Config{})
	letter, err := h.deadLetter(ctx, sent[0].ID)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	if !strings.Contains(letter.LastError, "test.from.the.future") {
		return fmt.Errorf("dead with %q, want the type in it", letter.LastError)
	}
	return sameContent(letter, sent[0])
}

// poisonAmongGood puts messages that fail and one that panics between good
// ones, before a single worker.
func poisonAmongGood(ctx context.Context, h Harness) error {
	const good = 20
	poison := make(map[driver.ID]bool)
	for i := range good {
		if i%5 == 0 {
			m := message("test.poison")
			poison[m.ID] = true
			if err := h.Publish(ctx, m); err != nil {
				return fmt.Errorf("publish: %w", err)
			}
		}
		if _, err := h.publish(ctx, 1, "test.known"); err != nil {
			return err
		}
	}
	handled := make(chan driver.ID, good)
	handlers := known(func(_ context.Context, m queue.Message) error {
		handled <- m.ID
		return nil
	})
	handlers["test.poison"] = func(context.Context, queue.Message) error { panic("poison") }
	stop := h.consume(ctx, handlers, queue.Config{Concurrency: 1})
	_, err := signalled(ctx, "handled messages", good, handled)
	for id := range poison {
		_, deadErr := h.deadLetter(ctx, id)
		err = errors.Join(err, deadErr)
	}
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	letters, err := h.deadLetters(ctx)
	if len(letters) != len(poison) {
		return fmt.Errorf("%d dead letters, want %d", len(letters), len(poison))
	}
	return err
}

// duplicatesHaveOneEffect publishes 30 % of the messages twice. The handler
// recognises what it has done by the message id, as all handlers must.
func duplicatesHaveOneEffect(ctx context.Context, h Harness) error {
	const published = 60
	for i := range published {
		sent, err := h.publish(ctx, 1, "test.known")
		if err == nil && i%10 < 3 {
			err = h.Publish(ctx, sent[0])
		}
		if err != nil {
			return fmt.Errorf("publish: %w", err)
		}
	}
	var mu sync.Mutex
	runs := make(map[driver.ID]int)
	effects := make(chan driver.ID, published)
	stop := h.consume(ctx, known(func(_ context.Context, m queue.Message) error {
		mu.Lock()
		defer mu.Unlock()
		runs[m.ID]++
		if runs[m.ID] == 1 {
			effects <- m.ID
		}
		return nil
	}), queue.Config{})
	_, err := signalled(ctx, "effects", published, effects)
	if err := errors.Join(err, stop()); err != nil {
		return err
	}
	mu.Lock()
	defer mu.Unlock()
	if !h.Deduplicates {
		if err := h.finishRepeats(ctx, runs); err != nil {
			return err
		}
	}
	if err := h.empty(ctx); err != nil {
		return err
	}
	if most := slices.Max(slices.Collect(maps.Values(runs))); h.Deduplicates && most > 1 {
		return fmt.Errorf("a message was handled %d times by an engine that deduplicates", most)
	}
	return nil
}

// finishRepeats answers for repeats of what was handled. They may be left when a
// consumer ends: only the first of several copies has an effect to wait for.
func (h Harness) finishRepeats(ctx context.Context, handled map[driver.ID]int) error {
	for {
		got, err := h.Driver.Receive(ctx, h.Queue, driver.Request{Max: 10, Visibility: held})
		if err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		if len(got) == 0 {
			return nil
		}
		for _, d := range got {
			if handled[d.ID] == 0 {
				return fmt.Errorf("message %s was not handled", d.ID)
			}
			if err := h.done(ctx, d); err != nil {
				return err
			}
		}
	}
}

// bury makes one dead letter.
func (h Harness) bury(ctx context.Context) (driver.DeadLetter, error) {
	d, err := h.publishAndReceive(ctx, held)
	if err != nil {
		return driver.DeadLetter{}, err
	}
	if err := h.Driver.Dead(ctx, d, "because"); err != nil {
		return driver.DeadLetter{}, fmt.Errorf("dead: %w", err)
	}
	return h.deadLetter(ctx, d.ID)
}

func redriveIsHandled(ctx context.Context, h Harness) error {
	letter, err := h.bury(ctx)
	if err != nil {
		return err
	}
	if ok, err := h.Desk.Redrive(ctx, h.Queue, letter.MessageID); !ok || err != nil {
		return fmt.Errorf("redrive: %t, %w, want true", ok, errOrNil(err))
	}
	err = h.inTime(ctx, 1, func(d driver.Delivery) error {
		if d.ID != letter.MessageID {
			return fmt.Errorf("received %s, want %s", d.ID, letter.MessageID)
		}
		return h.done(ctx, d)
	})
	if err != nil {
		return err
	}
	if ok, err := h.Desk.Redrive(ctx, h.Queue, letter.MessageID); ok || err != nil {
		return fmt.Errorf("redrive of a message that is done: %t, %w, want false", ok, errOrNil(err))
	}
	return h.empty(ctx)
}

func redriveTwice(ctx context.Context, h Harness) error {
	const operators = 8
	letter, err := h.bury(ctx)
	if err != nil {
		return err
	}
	type answer struct {
		ok  bool
		err error
	}
	answers := make(chan answer, operators)
	for range operators {
		go func() {
			ok, err := h.Desk.Redrive(ctx, h.Queue, letter.MessageID)
			answers <- answer{ok: ok, err: err}
		}()
	}
	redriven := 0
	for range operators {
		a := <-answers
		if a.err != nil {
			return fmt.Errorf("redrive: %w", a.err)
		}
		if a.ok {
			redriven++
		}
	}
	if redriven != 1 {
		return fmt.Errorf("%d of %d redrives say that they did it, want 1", redriven, operators)
	}
	if _, err := h.receive(ctx, held); err != nil {
		return err
	}
	return h.empty(ctx)
}

// stopLosesNone stops a consumer in the middle of its handlers, more than once.
// Half of them obey their context; the others are abandoned.
func stopLosesNone(ctx context.Context, h Harness) error {
	const published, stops = 20, 2
	began := time.Now()
	sent, err := h.publish(ctx, published, "test.known")
	if err != nil {
		return err
	}
	release := make(chan struct{})
	defer close(release)
	for range stops {
		if err := h.interrupt(ctx, release); err != nil {
			return err
		}
	}
	// A stop costs a receive, and so does each visibility that a machine was too slow
	// for; one more would be too many.
	receivesMax := 2*stops + int(time.Since(began)/h.Visibility)
	handled := make(chan driver.ID, published*2)
	stop := h.consume(ctx, known(func(_ context.Context, m queue.Message) error {
		handled <- m.ID
		return nil
	}), queue.Config{ReceivesMax: receivesMax})
	missing := make(map[driver.ID]bool)
	for _, m := range sent {
		missing[m.ID] = true
	}
	for len(missing) > 0 && err == nil {
		var ids []driver.ID
		ids, err = signalled(ctx, fmt.Sprintf("messages handled after the stop (%d missing)", len(missing)), 1, handled)
		for _, id := range ids {
			delete(missing, id)
		}
	}
	return errors.Join(err, stop())
}

// interrupt runs a consumer until its handlers run, and stops it.
func (h Harness) interrupt(ctx context.Context, release <-chan struct{}) error {
	const workers = 4
	began := make(chan int, workers)
	tickets := make(chan int, workers)
	for i := range workers {
		tickets <- i
	}
	stop := h.consume(ctx, known(func(ctx context.Context, _ queue.Message) error {
		ticket := <-tickets
		began <- ticket
		if ticket%2 == 0 {
			<-ctx.Done()
			return ctx.Err()
		}
		<-release
		return errors.New("far too late")
	}), queue.Config{Concurrency: workers, ShutdownTimeout: time.Millisecond, Visibility: h.Visibility})
	_, err := signalled(ctx, "running handlers", workers, began)
	return errors.Join(err, stop())
}

// neverHeldTwice runs many workers on a queue whose messages fail now and then,
// and watches that no two hold the same message.
func neverHeldTwice(ctx context.Context, h Harness) error {
	const published, consumers = 100, 4
	var mu sync.Mutex
	held, tries := make(map[driver.ID]int), make(map[driver.ID]int)
	var broken error
	handled := make(chan driver.ID, published)
	handler := func(ctx context.Context, m queue.Message) error {
		mu.Lock()
		held[m.ID]++
		tries[m.ID]++
		if held[m.ID] > 1 {
			broken = fmt.Errorf("message %s is held %d times at once", m.ID, held[m.ID])
		}
		first := tries[m.ID] == 1
		mu.Unlock()
		time.Sleep(2 * time.Millisecond) // the work, in which another worker might get it too
		mu.Lock()
		held[m.ID]--
		mu.Unlock()
		if first && m.ID[0]%4 == 0 {
			return errors.New("once more")
		}
		select {
		case handled <- m.ID:
		case <-ctx.Done(): // nobody listens any more: something is broken
		}
		return nil
	}
	stops := make([]func() error, 0, consumers)
	for range consumers {
		stops = append(stops, h.consume(ctx, known(handler), queue.Config{}))
	}
	_, err := h.publish(ctx, published, "test.known")
	if err == nil {
		_, err = signalled(ctx, "handled messages", published, handled)
	}
	for _, stop := range stops {
		err = errors.Join(err, stop())
	}
	mu.Lock()
	defer mu.Unlock()
	return errors.Join(err, broken)
}
