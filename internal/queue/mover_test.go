package queue_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

const relayQueue = "relay"

// outbox is an embedded queue whose messages wait for a broker.
type outbox struct {
	*sqlqueue.Queue
	t  *testing.T
	db *queuetest.Database
}

func newOutbox(t *testing.T) outbox {
	t.Helper()
	return newOutboxAt(t, nil)
}

// newOutboxAt makes an outbox with a clock of its own.
func newOutboxAt(t *testing.T, now func() time.Time) outbox {
	t.Helper()
	o := outbox{Queue: sqlqueue.New(sqlqueue.Config{Now: now}), t: t, db: queuetest.OpenSQLite(t)}
	o.Bind(o.db)
	return o
}

func (o outbox) put(ids ...byte) {
	o.t.Helper()
	for _, n := range ids {
		m := driver.Message{ID: driver.ID{0: 1, 15: n}, Type: stockLow, Subject: "CP-502101", Time: time.Now(), Body: []byte(`{}`)}
		if err := o.db.Publish(o.t.Context(), o.Queue, relayQueue, m); err != nil {
			o.t.Fatal(err)
		}
	}
}

func (o outbox) stats(name string) driver.Stats {
	o.t.Helper()
	stats, err := o.Stats(o.t.Context())
	if err != nil {
		o.t.Fatal(err)
	}
	for _, s := range stats {
		if s.Queue == name {
			return s
		}
	}
	return driver.Stats{Queue: name}
}

// broker takes messages, unless it is told to do otherwise.
type broker struct {
	mu     sync.Mutex
	got    map[driver.ID]int
	answer func(driver.Outgoing) error
	enough chan struct{} // closed when want messages are there
	want   int
}

func newBroker(want int) *broker {
	return &broker{got: make(map[driver.ID]int), want: want, enough: make(chan struct{})}
}

func (b *broker) Publish(_ context.Context, messages []driver.Outgoing) []error {
	b.mu.Lock()
	defer b.mu.Unlock()
	errs := make([]error, len(messages))
	for i, m := range messages {
		if b.answer != nil {
			if errs[i] = b.answer(m); errs[i] != nil {
				continue
			}
		}
		if b.got[m.ID]++; len(b.got) == b.want && b.got[m.ID] == 1 {
			close(b.enough)
		}
	}
	return errs
}

func runUntil(t *testing.T, done <-chan struct{}, movers ...*queue.Mover) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	for _, m := range movers {
		running.Go(func() {
			if err := m.Run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	select {
	case <-done:
	case <-time.After(2 * time.Minute):
		t.Error("the messages did not arrive")
	}
	stop()
	running.Wait()
}

// TestRelaySkipsNoMessageThatCommitsLate: ids are made before the commit, so a
// smaller one can appear after a larger one was sent.
func TestRelaySkipsNoMessageThatCommitsLate(t *testing.T) {
	t.Parallel()
	const messages = 60
	o, b := newOutbox(t), newBroker(messages)
	ids := rand.Perm(messages)
	half := make(chan struct{})
	b.answer = func(driver.Outgoing) error {
		if len(b.got) == messages/2-1 {
			select {
			case <-half:
			default:
				close(half)
			}
		}
		return nil
	}
	for _, n := range ids[:messages/2] {
		o.put(byte(n))
	}
	go func() {
		<-half
		for _, n := range ids[messages/2:] {
			o.put(byte(n))
		}
	}()
	runUntil(t, b.enough, queue.NewRelay(o, relayQueue, b, "", quiet()))
	if s := o.stats(relayQueue); s.Done != messages {
		t.Errorf("%d of %d messages are done: %+v", s.Done, messages, s)
	}
}

// TestSeveralRelaysShareTheWork: what one has taken, no other sends while it has
// time to answer. Here the time stands.
func TestSeveralRelaysShareTheWork(t *testing.T) {
	t.Parallel()
	const messages = 200
	now := time.Now()
	o, b := newOutboxAt(t, func() time.Time { return now }), newBroker(messages)
	for n := range messages {
		o.put(byte(n))
	}
	runUntil(t, b.enough,
		queue.NewRelay(o, relayQueue, b, "", quiet()), queue.NewRelay(o, relayQueue, b, "", quiet()),
		queue.NewRelay(o, relayQueue, b, "", quiet()), queue.NewRelay(o, relayQueue, b, "", quiet()))
	for id, times := range b.got {
		if times != 1 {
			t.Errorf("message %s was sent %d times", id, times)
		}
	}
}

// TestABrokerThatIsAwayCostsNoMessageItsLife, however long, and only one at a
// time asks for it.
func TestABrokerThatIsAwayCostsNoMessageItsLife(t *testing.T) {
	t.Parallel()
	const messages, refusals = 20, 3 * driver.ReceivesMaxDefault
	o, b := newOutbox(t), newBroker(messages)
	asked := 0
	b.answer = func(driver.Outgoing) error {
		if asked++; asked <= messages+refusals {
			return errors.New("no route to host")
		}
		return nil
	}
	for n := range messages {
		o.put(byte(n))
	}
	relay := queue.NewRelay(o, relayQueue, b, "", quiet())
	queue.SetAway(relay, time.Millisecond)
	runUntil(t, b.enough, relay)
	if s := o.stats(relayQueue); s.Done != messages || s.Dead != 0 {
		t.Errorf("want %d messages done and none dead: %+v", messages, s)
	}
	if want := messages + refusals + messages; asked > want {
		t.Errorf("the broker was asked %d times, want at most %d", asked, want)
	}
}

// TestAMessageThatTheBrokerRefusesIsADeadLetter, and holds nobody up.
func TestAMessageThatTheBrokerRefusesIsADeadLetter(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(t), newBroker(2)
	b.answer = func(m driver.Outgoing) error {
		if m.ID[15] == 2 {
			return fmt.Errorf("%w: 300 KiB", driver.ErrRefused)
		}
		return nil
	}
	o.put(1, 2, 3)
	runUntil(t, b.enough, queue.NewRelay(o, relayQueue, b, "", quiet()))
	letter, err := o.DeadLetter(t.Context(), relayQueue, driver.ID{0: 1, 15: 2})
	if err != nil {
		t.Fatal(err)
	}
	if want := "the broker refuses this message: 300 KiB"; letter.LastError != want {
		t.Errorf("dead with %q, want %q", letter.LastError, want)
	}
}

// TestWhatWaitedForABrokerMovesToTheQueuesOfTheDatabase, when a shop changes
// back, and unknown types are kept.
func TestWhatWaitedForABrokerMovesToTheQueuesOfTheDatabase(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	o.put(1, 2)
	future := driver.Message{ID: driver.ID{0: 1, 15: 9}, Type: "stock.of.the.future", Body: []byte(`{}`)}
	if err := o.db.Publish(t.Context(), o.Queue, relayQueue, future); err != nil {
		t.Fatal(err)
	}
	routes := []driver.Route{{Queue: stockQueue, Types: []string{stockLow}}, {Queue: "ops-queue", Rest: true}}
	relay := queue.NewRelay(o, relayQueue, o.Forward(routes), "", quiet())
	moved, err := relay.Empty(t.Context(), 0, nil)
	if err != nil || moved != 3 {
		t.Errorf("moved %d messages, %v, want 3", moved, err)
	}
	got := map[string]int64{relayQueue: o.stats(relayQueue).Waiting, stockQueue: o.stats(stockQueue).Waiting, "ops-queue": o.stats("ops-queue").Waiting}
	if d := cmp.Diff(got, map[string]int64{relayQueue: 0, stockQueue: 2, "ops-queue": 1}); d != "" {
		t.Errorf("waiting messages (-got +want):\n%s", d)
	}
}

// TestWhatWentToABrokerCanComeBack: a message that was handed over is done here,
// and yet nobody has handled it.
func TestWhatWentToABrokerCanComeBack(t *testing.T) {
	t.Parallel()
	o, b := newOutbox(t), newBroker(1)
	m := driver.Message{ID: driver.ID{0: 1}, Type: stockLow, Time: time.Now(), Body: []byte(`{}`)}
	if err := o.db.Publish(t.Context(), o.Queue, stockQueue, m); err != nil {
		t.Fatal(err)
	}
	runUntil(t, b.enough, queue.NewRelay(o, stockQueue, b, stockQueue, quiet()))
	for range 2 { // as often as the drain may bring it
		if err := errors.Join(o.Forward(nil).Publish(t.Context(), []driver.Outgoing{{Message: m, Queue: stockQueue}})...); err != nil {
			t.Fatal(err)
		}
		if s := o.stats(stockQueue); s.Waiting != 1 || s.Done != 0 || s.Missing() != 0 {
			t.Fatalf("a message that came back does not wait: %+v", s)
		}
	}
}

// TestACopyIsBuriedOnce: the same copy of a dead letter, seen again after a
// crash, does not undo what a person decided; a new death is a new dead letter.
func TestACopyIsBuriedOnce(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	ctx := t.Context()
	d := driver.Delivery{
		Message: driver.Message{ID: driver.ID{0: 1, 15: 1}, Type: stockLow, Subject: "CP-502101", Time: time.Now(), Body: []byte(`{}`)},
		Queue:   stockQueue, Receives: 5, Cause: "factory on fire", Copy: "a",
	}
	bury := func(copied string) {
		t.Helper()
		d.Copy = copied
		if err := o.Bury(ctx, stockQueue, d); err != nil {
			t.Fatal(err)
		}
	}
	bury("a")
	bury("a")
	if s := o.stats(stockQueue); s.Dead != 1 || s.Missing() != 0 {
		t.Fatalf("want one dead letter: %+v", s)
	}
	if ok, err := o.Redrive(ctx, stockQueue, d.ID); !ok || err != nil {
		t.Fatal(ok, err)
	}
	bury("a") // it waits: it will go to the broker in any case
	if s := o.stats(stockQueue); s.Waiting != 1 || s.Dead != 0 {
		t.Errorf("the redrive was undone: %+v", s)
	}
	taken, err := o.Receive(ctx, stockQueue, driver.Request{Max: 1, Visibility: time.Minute})
	if err != nil || len(taken) != 1 {
		t.Fatal(taken, err)
	}
	// The relay has sent it and not yet said so, and it has died again.
	d.Copy = "b"
	if err := o.Bury(ctx, stockQueue, d); !errors.Is(err, sqlqueue.ErrBusy) {
		t.Errorf("Bury of a message in the relay's hands = %v, want ErrBusy", err)
	}
	if err := o.Done(ctx, taken[0]); err != nil {
		t.Fatal(err)
	}
	bury("a")
	if s := o.stats(stockQueue); s.Dead != 0 {
		t.Errorf("an old copy made a dead letter: %+v", s)
	}
	bury("b")
	if s := o.stats(stockQueue); s.Dead != 1 || s.Missing() != 0 {
		t.Errorf("the second death is not on the desk: %+v", s)
	}
}

// TestFailuresOfABrokerAreOnRecordAndGoWithAge also when the message did not
// become a dead letter.
func TestFailuresOfABrokerAreOnRecordAndGoWithAge(t *testing.T) {
	t.Parallel()
	o := newOutbox(t)
	ctx := t.Context()
	d := driver.Delivery{Message: driver.Message{ID: driver.ID{0: 1, 15: 1}, Type: stockLow, Time: time.Now()}, Queue: stockQueue, Receives: 1}
	for _, cause := range []string{"one", "two"} {
		if err := o.RecordFailure(ctx, d, cause); err != nil {
			t.Fatal(err)
		}
		d.Receives++
	}
	d.Cause, d.Copy = "three", "a"
	if err := o.Bury(ctx, stockQueue, d); err != nil {
		t.Fatal(err)
	}
	letter, err := o.DeadLetter(ctx, stockQueue, d.ID)
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, len(letter.Failures))
	for i, f := range letter.Failures {
		got[i] = fmt.Sprintf("%d %s", f.Receive, f.Error)
	}
	if d := cmp.Diff(got, []string{"1 one", "2 two"}); d != "" {
		t.Errorf("failures (-got +want):\n%s", d)
	}
	healthy := driver.Delivery{Message: driver.Message{ID: driver.ID{0: 1, 15: 2}}, Queue: stockQueue, Receives: 1}
	if err := o.RecordFailure(ctx, healthy, "once"); err != nil {
		t.Fatal(err)
	}
	n, err := o.Purge(ctx, time.Now().Add(time.Hour), 0)
	if err != nil || n != 1 {
		t.Errorf("purged %d rows, %v, want the failure of the message that did not die", n, err)
	}
	letter, err = o.DeadLetter(ctx, stockQueue, d.ID)
	if err != nil || len(letter.Failures) != 2 {
		t.Errorf("the dead letter has %d failures left, %v, want 2", len(letter.Failures), err)
	}
}
