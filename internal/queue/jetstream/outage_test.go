package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

// until polls what nothing signals.
func until(tb testing.TB, what string, met func() bool) {
	tb.Helper()
	deadline := time.Now().Add(patience)
	for !met() {
		if time.Now().After(deadline) {
			tb.Fatalf("still waiting until %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// published says whether a message was taken.
func published(tb testing.TB, b driver.Broker, m driver.Message) bool {
	tb.Helper()
	return errors.Join(b.Publish(tb.Context(), []driver.Outgoing{topic(m)})...) == nil
}

// TestAnOutageLosesNothing: publishes fail while the server is away, consumers
// go on by themselves when it is back, and what it had taken is still there.
func TestAnOutageLosesNothing(t *testing.T) {
	t.Parallel()
	const before, during, after = 20, 5, 20
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{Visibility: visibility, Now: standing()})
	for n := range byte(before) {
		publish(t, e, topic(message(n+1, stockLow)))
	}
	held, err := receiveFor(t, e, stockQueue, 0)
	if err != nil {
		t.Fatal(err)
	}
	server.Stop()
	for n := range byte(during) {
		if err := e.Publish(t.Context(), []driver.Outgoing{topic(message(100+n, stockLow))})[0]; err == nil || !strings.Contains(err.Error(), "no connection to NATS") {
			t.Errorf("publish without a server: %v, want that there is no connection", err)
		}
	}
	if err := e.Done(t.Context(), held); err == nil || errors.Is(err, driver.ErrStale) {
		t.Errorf("done without a server: %v, want that its fate is not known", err)
	}
	if _, err := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1}); err == nil {
		t.Error("a receive without a server is no error")
	}
	if _, err := e.Depths(t.Context()); err == nil {
		t.Error("depths without a server are no error")
	}

	var mu sync.Mutex
	handled := make(map[byte]bool)
	ctx, stop := context.WithCancel(t.Context())
	consumer := queue.New(e, stockQueue, map[string]queue.Handler{stockLow: func(_ context.Context, m queue.Message) error {
		mu.Lock()
		defer mu.Unlock()
		handled[m.ID[15]] = true
		return nil
	}}, queue.Config{Visibility: visibility, Logger: quiet()})
	ended := make(chan error, 1)
	go func() { ended <- consumer.Run(ctx) }()

	server.Start()
	for n := range byte(after) {
		until(t, "the server takes messages again", func() bool { return published(t, e, message(200+n, stockLow)) })
	}
	until(t, "everything is handled", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(handled) == before+after
	})
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	for n := range byte(during) {
		if handled[100+n] {
			t.Errorf("message %d was handled, though its publish failed: it was buffered", 100+n)
		}
	}
}

// TestAServerThatComesLater is no error at the start.
func TestAServerThatComesLater(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	server.Stop()
	e := open(t, server.URL(), single(), jetstream.Config{})
	if published(t, e, message(1, stockLow)) {
		t.Error("a message was published without a server")
	}
	if _, err := e.Provision(t.Context(), true); err == nil {
		t.Error("queues were made without a server")
	}
	server.Start()
	until(t, "the queues are made", func() bool {
		_, err := e.Provision(t.Context(), true)
		return err == nil
	})
	publish(t, e, topic(message(1, stockLow)))
	receive(t, e, stockQueue)
}

// TestWhatIsMissingIsToldWithWhatToDo.
func TestWhatIsMissingIsToldWithWhatToDo(t *testing.T) {
	t.Parallel()
	e := open(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	_, receiveErr := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1})
	_, depthErr := e.Depths(t.Context())
	for what, err := range map[string]error{
		"publish": e.Publish(t.Context(), []driver.Outgoing{topic(message(1, stockLow))})[0], "receive": receiveErr, "depths": depthErr,
	} {
		if err == nil || !strings.Contains(err.Error(), "restock queue provision") || errors.Is(err, driver.ErrRefused) {
			t.Errorf("%s without a stream: %v, want what to do", what, err)
		}
	}
}

// TestAWrongPasswordIsTold by every call, and is no end: it may be put right at
// the server.
func TestAWrongPasswordIsTold(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATSWith(t, fmt.Sprintf("jetstream { store_dir: %q }\nauthorization { user: shop, password: right }", t.TempDir()))
	url := strings.Replace(server.URL(), "nats://", "nats://shop:wrong@", 1)
	e := open(t, url, single(), jetstream.Config{})
	until(t, "the error names the reason", func() bool {
		err := e.Publish(t.Context(), []driver.Outgoing{topic(message(1, stockLow))})[0]
		if err == nil || strings.Contains(err.Error(), "wrong") {
			t.Fatalf("publish: %v, want an error without the password", err)
		}
		return strings.Contains(strings.ToLower(err.Error()), "authorization violation")
	})
	provisioned(t, strings.Replace(url, "wrong", "right", 1), single(), jetstream.Config{})
}

// TestACrashInTheMiddleLeavesTwoNeverNone: moving a message means writing the
// copy and taking the original away. Here the second cannot be done.
func TestACrashInTheMiddleLeavesTwoNeverNone(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		move func(ctx context.Context, e *jetstream.Engine, d driver.Delivery) error
		on   string // where the copy is
		want map[string][]int
	}{
		"Later": {func(ctx context.Context, e *jetstream.Engine, d driver.Delivery) error { return e.Later(ctx, d, 0) }, stockQueue, map[string][]int{stockQueue: {1, 2}}},
		"Dead": {
			func(ctx context.Context, e *jetstream.Engine, d driver.Delivery) error {
				return e.Dead(ctx, d, "because")
			},
			stockQueue + driver.DeadLetterSuffix,
			map[string][]int{stockQueue: {2}, stockQueue + driver.DeadLetterSuffix: {1}},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := queuetest.StartNATSWith(t, fmt.Sprintf(`jetstream { store_dir: %q }
authorization { users: [
  { user: whole, password: x }
  { user: half, password: x, permissions: { publish: { deny: "$JS.ACK.>" } } }
] }`, t.TempDir()))
			url := func(user string) string { return strings.Replace(server.URL(), "nats://", "nats://"+user+":x@", 1) }
			cfg := jetstream.Config{Visibility: visibility, Now: standing()}
			whole := provisioned(t, url("whole"), single(), cfg)
			half := open(t, url("half"), single(), cfg)
			m := message(1, stockLow)
			publish(t, whole, topic(m))
			d, err := receiveFor(t, half, stockQueue, 0)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // a second try makes no second copy
				if err := brokenOff(t, half, func(ctx context.Context) error { return c.move(ctx, half, d) }); err == nil || errors.Is(err, driver.ErrStale) {
					t.Errorf("%s: %v, want that its fate is not known", name, err)
				}
			}
			got := make(map[string][]int)
			for _, queue := range []string{stockQueue, c.on} {
				there := receive(t, whole, queue)
				if there.ID != m.ID {
					t.Errorf("on %s is %s, want %s", queue, there.ID, m.ID)
				}
				got[queue] = append(got[queue], there.Receives)
				if err := whole.Done(t.Context(), there); err != nil {
					t.Error(err)
				}
			}
			for _, receives := range got {
				slices.Sort(receives)
			}
			if diff := cmp.Diff(got, c.want); diff != "" {
				t.Errorf("receives of the original, which is at its second, and of the copy (-got +want):\n%s", diff)
			}
			for _, queue := range []string{stockQueue, stockQueue + driver.DeadLetterSuffix} {
				nothing(t, whole, queue, 0)
			}
		})
	}
}

// brokenOff lets a move of a message write its copy, and ends it when it waits for
// the answer about the original.
func brokenOff(tb testing.TB, e *jetstream.Engine, move func(context.Context) error) error {
	tb.Helper()
	const words = 2 // the copy, which is answered, and then the original
	said := jetstream.Requests(e)
	ctx, breakOff := context.WithCancel(tb.Context())
	defer breakOff()
	moved := make(chan error, 1)
	go func() { moved <- move(ctx) }()
	until(tb, "the original is to be taken away", func() bool {
		return len(moved) > 0 || jetstream.Requests(e) >= said+words
	})
	breakOff()
	return <-moved
}

// TestTwoEnginesShareTheWork: each message is handled by one of them, and
// failing ones again by either.
func TestTwoEnginesShareTheWork(t *testing.T) {
	t.Parallel()
	const messages = 200
	server := queuetest.StartNATS(t)
	provisioned(t, server.URL(), single(), jetstream.Config{})
	var mu sync.Mutex
	tries := make(map[driver.ID]int)
	atWork := make(map[driver.ID]bool)
	handled := make(chan driver.ID, messages)
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	handler := func(_ context.Context, m queue.Message) error {
		mu.Lock()
		tries[m.ID]++
		first := tries[m.ID] == 1
		if atWork[m.ID] {
			t.Errorf("message %s is held twice", m.ID)
		}
		atWork[m.ID] = true
		mu.Unlock()
		time.Sleep(time.Millisecond) // the work, in which the other might get it too
		mu.Lock()
		atWork[m.ID] = false
		mu.Unlock()
		switch {
		case first && m.ID[15]%4 == 0:
			return errors.New("once more")
		case first && m.ID[15]%4 == 1:
			return queue.Later(time.Millisecond)
		}
		handled <- m.ID
		return nil
	}
	var engines []*jetstream.Engine
	for range 2 {
		e := open(t, server.URL(), single(), jetstream.Config{})
		engines = append(engines, e)
		consumer := queue.New(e, stockQueue, map[string]queue.Handler{stockLow: handler}, queue.Config{
			Concurrency: 8, Visibility: held, BackoffBase: time.Millisecond, BackoffMax: 5 * time.Millisecond, Logger: quiet(),
		})
		running.Go(func() {
			if err := consumer.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	for n := range messages {
		publish(t, engines[n%2], topic(message(byte(n), stockLow)))
	}
	seen := make(map[driver.ID]bool)
	timer := time.After(patience)
	for len(seen) < messages && !t.Failed() {
		select {
		case id := <-handled:
			if seen[id] {
				t.Errorf("message %s was handled twice", id)
			}
			seen[id] = true
		case <-timer:
			t.Errorf("%d of %d messages were handled", len(seen), messages)
		}
	}
	stop()
	running.Wait()
	if d := depthsOf(t, engines[0])[0]; d.Waiting+d.InFlight != 0 {
		t.Errorf("left behind: %+v", d)
	}
}

// TestACloseEndsWhatWaits.
func TestACloseEndsWhatWaits(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	waits := make(chan error, 1)
	began := jetstream.Requests(e)
	go func() {
		_, err := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1, Visibility: held, Wait: patience})
		waits <- err
	}()
	until(t, "the receive waits", func() bool { return jetstream.Requests(e) > began })
	if err := e.Close(); err != nil {
		t.Error(err)
	}
	select {
	case err := <-waits:
		if err == nil {
			t.Error("a receive of a closed engine is no error")
		}
	case <-time.After(patience):
		t.Error("a receive goes on after Close")
	}
	if err := e.Publish(t.Context(), []driver.Outgoing{topic(message(1, stockLow))})[0]; err == nil {
		t.Error("a closed engine publishes")
	}
}
