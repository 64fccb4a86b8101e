package sqlqueue_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
)

// TestTheSuiteNoticesABrokenEngine is the control of the suite: each fault must
// fail the check that is there for it. Where the check then waits in vain, the
// fault ends its context, which an engine that is well does not.
func TestTheSuiteNoticesABrokenEngine(t *testing.T) {
	t.Parallel()
	for _, fault := range faults() {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			db := queuetest.OpenSQLite(t)
			h := harness(db)
			ctx, giveUp := context.WithCancel(t.Context())
			defer giveUp()
			fault.inject(db, &h, giveUp)
			err := checkNamed(t, fault.noticedBy).Run(ctx, h)
			if err == nil || !strings.Contains(err.Error(), fault.says) {
				t.Errorf("%s says %v, want %q in it", fault.noticedBy, err, fault.says)
			}
		})
	}
}

func checkNamed(t *testing.T, name string) queuetest.Check {
	t.Helper()
	for _, check := range queuetest.Checks() {
		if check.Name == name {
			return check
		}
	}
	t.Fatalf("the suite has no check %s", name)
	return queuetest.Check{}
}

type fault struct {
	name, noticedBy, says string
	inject                func(db *queuetest.Database, h *queuetest.Harness, giveUp func())
}

func faults() []fault {
	return []fault{
		{"done is not stored", "AMessageArrivesWholeAndIsDoneOnce", "want none", onDriver(func(f *faulty) {
			f.done = func(context.Context, driver.Delivery) error { return nil }
		})},
		{"a body is cut", "AMessageArrivesWholeAndIsDoneOnce", "want {", onDriver(func(f *faulty) {
			f.received = func(d *driver.Delivery) { d.Body = d.Body[:len(d.Body)/2] }
		})},
		{"a claim is not counted", "RetryCountsTheReceive", "receive 1, want 2", onDriver(func(f *faulty) {
			f.received = func(d *driver.Delivery) { d.Receives = 1 }
		})},
		{"a message is given twice", "NoMessageIsHeldTwiceAtOnce", "at once", func(_ *queuetest.Database, h *queuetest.Harness, _ func()) {
			h.Driver = &doubling{Driver: h.Driver}
		}},
		{"max is ignored", "ReceiveTakesAtMostMax", "at most 2", onDriver(func(f *faulty) {
			f.asked = func(r *driver.Request) { r.Max = 10 }
		})},
		{"no fencing", "AnUnansweredMessageComesAgainAndItsOldHandleIsRefused", "no error, want ErrStale", onDriver(func(f *faulty) {
			f.done = func(ctx context.Context, d driver.Delivery) error {
				if err := f.Driver.Done(ctx, d); !errors.Is(err, driver.ErrStale) {
					return err
				}
				return nil
			}
		})},
		{"later uses up a receive", "LaterGivesTheReceiveBack", "receive 2, want 1", onDriver(func(f *faulty) {
			f.later = func(ctx context.Context, d driver.Delivery, delay time.Duration) error {
				return f.Retry(ctx, d, delay, "later")
			}
		})},
		{"a stop loses what it interrupts", "AStopWithMessagesInFlightLosesNone", "missing", losesWhatIsInterrupted},
		{"a dead message is dropped", "AnUnknownTypeIsKept", "is a dead letter", onDriver(func(f *faulty) {
			f.dead = func(ctx context.Context, d driver.Delivery, _ string) error {
				defer f.giveUp()
				return f.Done(ctx, d)
			}
		})},
		{"the cause of death is lost", "AFailingMessageIsDeadAfterReceivesMax", "want the last error", onDriver(func(f *faulty) {
			f.dead = func(ctx context.Context, d driver.Delivery, _ string) error { return f.Driver.Dead(ctx, d, "") }
		})},
		{"nobody is woken", "APublishWakesWhoWaits", "receive: context canceled", sleepsOn},
		{"a message is not counted", "EveryMessageIsSomewhereAtEveryMoment", "are missing", onDesk(func(d *faultyDesk) {
			d.miscount = 1
		})},
		{"every redrive says yes", "RedrivenTwiceAtOnceIsDeliveredOnce", "say that they did it", onDesk(func(d *faultyDesk) {
			d.alwaysYes = true
		})},
	}
}

// losesWhatIsInterrupted deletes what a stop gives back. The check waits for it in
// vain when everything else is done.
func losesWhatIsInterrupted(db *queuetest.Database, h *queuetest.Harness, giveUp func()) {
	const published = 20 // by the check
	var mu sync.Mutex
	gone := make(map[driver.ID]bool)
	onDriver(func(f *faulty) {
		f.done = func(ctx context.Context, d driver.Delivery) error {
			err := f.Driver.Done(ctx, d)
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				gone[d.ID] = true
			}
			if len(gone) == published {
				giveUp()
			}
			return err
		}
		f.later = func(ctx context.Context, d driver.Delivery, _ time.Duration) error { return f.done(ctx, d) }
	})(db, h, giveUp)
}

// sleepsOn lets no receive be woken by what is published while it waits.
func sleepsOn(_ *queuetest.Database, h *queuetest.Harness, giveUp func()) {
	s := &sleeper{Driver: h.Driver, asleep: make(chan struct{}), published: make(chan struct{}), giveUp: giveUp}
	h.Driver = s
	publish := h.Publish
	h.Publish = func(ctx context.Context, m driver.Message) error {
		select {
		case <-s.asleep:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer close(s.published)
		return publish(ctx, m)
	}
}

// sleeper is a driver that looks when it is asked, and then sleeps through the
// first publish.
type sleeper struct {
	driver.Driver

	asleep, published chan struct{}
	giveUp            func()
}

func (s *sleeper) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	r.Wait = 0
	got, err := s.Driver.Receive(ctx, queue, r)
	if len(got) > 0 || err != nil {
		return got, err
	}
	close(s.asleep)
	select {
	case <-s.published:
		s.giveUp() // the message is there, and nobody comes for it
	case <-ctx.Done():
	}
	<-ctx.Done()
	return nil, ctx.Err()
}

func onDriver(breakIt func(*faulty)) func(*queuetest.Database, *queuetest.Harness, func()) {
	return func(_ *queuetest.Database, h *queuetest.Harness, giveUp func()) {
		f := &faulty{Driver: h.Driver, giveUp: giveUp}
		f.done, f.later, f.dead = h.Driver.Done, h.Driver.Later, h.Driver.Dead
		f.asked, f.received = func(*driver.Request) {}, func(*driver.Delivery) {}
		breakIt(f)
		h.Driver = f
	}
}

// faulty is a driver with some of its methods replaced.
type faulty struct {
	driver.Driver
	asked    func(*driver.Request)
	received func(*driver.Delivery)
	done     func(context.Context, driver.Delivery) error
	later    func(context.Context, driver.Delivery, time.Duration) error
	dead     func(context.Context, driver.Delivery, string) error
	giveUp   func() // ends the check
}

func (f *faulty) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	f.asked(&r)
	got, err := f.Driver.Receive(ctx, queue, r)
	for i := range got {
		f.received(&got[i])
	}
	return got, err
}

func (f *faulty) Done(ctx context.Context, d driver.Delivery) error { return f.done(ctx, d) }

func (f *faulty) Later(ctx context.Context, d driver.Delivery, delay time.Duration) error {
	return f.later(ctx, d, delay)
}

func (f *faulty) Dead(ctx context.Context, d driver.Delivery, cause string) error {
	return f.dead(ctx, d, cause)
}

// doubling gives what it gave once more to the next who asks.
type doubling struct {
	driver.Driver
	mu    sync.Mutex
	again []driver.Delivery
}

func (d *doubling) Receive(ctx context.Context, queue string, r driver.Request) ([]driver.Delivery, error) {
	d.mu.Lock()
	again := d.again
	d.again = nil
	d.mu.Unlock()
	if len(again) > 0 {
		return again, nil
	}
	got, err := d.Driver.Receive(ctx, queue, r)
	if len(got) > 0 {
		d.mu.Lock()
		d.again = got[:1]
		d.mu.Unlock()
	}
	return got, err
}

func onDesk(breakIt func(*faultyDesk)) func(*queuetest.Database, *queuetest.Harness, func()) {
	return func(_ *queuetest.Database, h *queuetest.Harness, _ func()) {
		d := &faultyDesk{Desk: h.Desk}
		breakIt(d)
		h.Desk = d
	}
}

type faultyDesk struct {
	queuetest.Desk
	miscount  int64
	alwaysYes bool
}

func (d *faultyDesk) Stats(ctx context.Context) ([]driver.Stats, error) {
	stats, err := d.Desk.Stats(ctx)
	for i := range stats {
		stats[i].Published += d.miscount
	}
	return stats, err
}

func (d *faultyDesk) Redrive(ctx context.Context, queue string, id driver.ID) (bool, error) {
	ok, err := d.Desk.Redrive(ctx, queue, id)
	return ok || d.alwaysYes, err
}
