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
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// inVain cuts short what a check would wait for in vain.
const inVain = time.Second

// TestTheSuiteNoticesABrokenEngine is the control of the suite: each fault must
// fail the check that is there for it.
func TestTheSuiteNoticesABrokenEngine(t *testing.T) {
	t.Parallel()
	for _, fault := range faults() {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			db := queuetest.OpenSQLite(t)
			h := harness(db)
			fault.inject(db, &h)
			ctx := t.Context()
			if fault.patience > 0 {
				var cancel context.CancelFunc
				ctx, cancel = context.WithTimeout(ctx, fault.patience)
				defer cancel()
			}
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
	patience              time.Duration // 0 is that of the check
	inject                func(*queuetest.Database, *queuetest.Harness)
}

func faults() []fault {
	return []fault{
		{"done is not stored", "AMessageArrivesWholeAndIsDoneOnce", "want none", 0, onDriver(func(f *faulty) {
			f.done = func(context.Context, driver.Delivery) error { return nil }
		})},
		{"a body is cut", "AMessageArrivesWholeAndIsDoneOnce", "want {", 0, onDriver(func(f *faulty) {
			f.received = func(d *driver.Delivery) { d.Body = d.Body[:len(d.Body)/2] }
		})},
		{"a claim is not counted", "RetryCountsTheReceive", "receive 1, want 2", 0, onDriver(func(f *faulty) {
			f.received = func(d *driver.Delivery) { d.Receives = 1 }
		})},
		{"a message is given twice", "NoMessageIsHeldTwiceAtOnce", "at once", 0, func(_ *queuetest.Database, h *queuetest.Harness) {
			h.Driver = &doubling{Driver: h.Driver}
		}},
		{"max is ignored", "ReceiveTakesAtMostMax", "at most 2", 0, onDriver(func(f *faulty) {
			f.asked = func(r *driver.Request) { r.Max = 10 }
		})},
		{"no fencing", "AnUnansweredMessageComesAgainAndItsOldHandleIsRefused", "no error, want ErrStale", 0, onDriver(func(f *faulty) {
			f.done = func(ctx context.Context, d driver.Delivery) error {
				if err := f.Driver.Done(ctx, d); !errors.Is(err, driver.ErrStale) {
					return err
				}
				return nil
			}
		})},
		{"later uses up a receive", "LaterGivesTheReceiveBack", "receive 2, want 1", 0, onDriver(func(f *faulty) {
			f.later = func(ctx context.Context, d driver.Delivery, delay time.Duration) error {
				return f.Retry(ctx, d, delay, "later")
			}
		})},
		{"a stop loses what it interrupts", "AStopWithMessagesInFlightLosesNone", "missing", 6 * inVain, onDriver(func(f *faulty) {
			f.later = func(ctx context.Context, d driver.Delivery, _ time.Duration) error { return f.Done(ctx, d) }
		})},
		{"a dead message is dropped", "AnUnknownTypeIsKept", "is a dead letter", inVain, onDriver(func(f *faulty) {
			f.dead = func(ctx context.Context, d driver.Delivery, _ string) error { return f.Done(ctx, d) }
		})},
		{"the cause of death is lost", "AFailingMessageIsDeadAfterReceivesMax", "want the last error", 0, onDriver(func(f *faulty) {
			f.dead = func(ctx context.Context, d driver.Delivery, _ string) error { return f.Driver.Dead(ctx, d, "") }
		})},
		{"nobody is woken", "APublishWakesWhoWaits", "receive: context deadline exceeded", inVain, func(db *queuetest.Database, h *queuetest.Harness) {
			asleep := sqlqueue.New(sqlqueue.Config{PollInterval: pollNever})
			asleep.Bind(db)
			h.Driver = asleep
		}},
		{"a message is not counted", "EveryMessageIsSomewhereAtEveryMoment", "are missing", 0, onDesk(func(d *faultyDesk) {
			d.miscount = 1
		})},
		{"every redrive says yes", "RedrivenTwiceAtOnceIsDeliveredOnce", "say that they did it", 0, onDesk(func(d *faultyDesk) {
			d.alwaysYes = true
		})},
	}
}

func onDriver(breakIt func(*faulty)) func(*queuetest.Database, *queuetest.Harness) {
	return func(_ *queuetest.Database, h *queuetest.Harness) {
		f := &faulty{Driver: h.Driver}
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

func onDesk(breakIt func(*faultyDesk)) func(*queuetest.Database, *queuetest.Harness) {
	return func(_ *queuetest.Database, h *queuetest.Harness) {
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
