package ops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
)

// broker stands for an engine outside: what it tells, or why it does not.
type broker struct {
	mu     sync.Mutex
	depths []queue.Depth
	err    error
}

const brokerName = "nats://127.0.0.1:4222"

func (b *broker) Depths(ctx context.Context) ([]queue.Depth, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if errors.Is(b.err, errHangs) {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return b.depths, b.err
}

var errHangs = errors.New("it hangs")

func (b *broker) tells(err error, depths ...queue.Depth) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err, b.depths = err, depths
}

// use opens an office whose messages are on the broker.
func (b *broker) use(t *testing.T) *desk {
	t.Helper()
	d := open(t, func(cfg *ops.Config) { cfg.Engines = map[string]ops.Depths{brokerName: b} })
	_, err := d.store.UseEngine(t.Context(), brokerName)
	d.must(err)
	return d
}

// look looks every ten seconds for a while, and tells operations of what there is.
func (d *desk) look(looks int) {
	d.t.Helper()
	for range looks {
		d.must(d.office.Look(d.t.Context()))
		d.must(d.office.Tell(d.t.Context()))
		d.clock.advance(10 * time.Second)
	}
}

// wantSubjects compares the subjects of the mails so far.
func (d *desk) wantSubjects(want ...string) {
	d.t.Helper()
	var got []string
	for _, m := range d.box.sent() {
		got = append(got, m.Subject)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("mails (-want +got):\n%s", diff)
	}
}

// handle handles all that waits on a queue.
func (d *desk) handle(name string) {
	d.t.Helper()
	for {
		got, err := d.store.Queue().Receive(d.t.Context(), name, driver.Request{Max: 10, Visibility: time.Minute})
		d.must(err)
		if len(got) == 0 {
			return
		}
		for _, m := range got {
			d.must(d.store.Queue().Done(d.t.Context(), m))
		}
	}
}

// The subjects of mails about the broker.
const (
	distantOld  = "restock: messages wait too long in ad-queue at " + brokerName
	distantWell = "restock: recovered: no message waits too long any more in ad-queue at " + brokerName
	engineGone  = "restock: queue engine cannot be reached: " + brokerName
)

func TestAQueueThatStandsStillIsToldOnceAndSoIsItsRecovery(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	d.handle(restock.AdQueue)
	d.clock.advance(ops.DefaultQueueAge)
	d.look(1) // not over the limit
	d.look(1) // over it, but one look may err
	d.wantSubjects()
	d.look(1)
	d.wantSubjects("restock: messages wait too long in stock-queue")
	const want = `* messages wait too long in stock-queue
  1 wait and 0 are in flight; the oldest may wait for 15m0s
  since 2026-03-01 09:30:00 KST
  look: restock status

— restock
`
	if diff := cmp.Diff(want, d.box.sent()[0].Text); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	d.look(30)
	got := read[ops.StatusReport](d, "/v1/status").Incidents
	if len(got) != 1 || got[0].Kind != restock.IncidentQueueOld || got[0].Subject != restock.StockQueue {
		t.Errorf("the status shows %+v", got)
	}
	d.handle(restock.StockQueue)
	d.look(7) // a minute and one look
	d.wantSubjects("restock: messages wait too long in stock-queue", "restock: recovered: no message waits too long any more in stock-queue")
	if text := d.box.sent()[1].Text; !strings.Contains(text, "* recovered: no message waits too long any more in stock-queue\n  was since 2026-03-01 09:30:00 KST, lasted 20m30s\n") {
		t.Errorf("mail:\n%s", text)
	}
	d.look(30)
	d.wantSubjects("restock: messages wait too long in stock-queue", "restock: recovered: no message waits too long any more in stock-queue")
}

// TestOldMessagesThatAreSoonHandledAreNotTold is what a start after a weekend
// looks like, and a redrive.
func TestOldMessagesThatAreSoonHandledAreNotTold(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30)
	d.clock.advance(48 * time.Hour)
	d.look(1)
	d.handle(restock.StockQueue)
	d.handle(restock.AdQueue)
	d.look(30)
	d.wantSubjects()
}

func TestAQueueThatComesAndGoesIsOneMail(t *testing.T) {
	t.Parallel()
	b := &broker{}
	d := b.use(t)
	old := queue.Depth{Queue: restock.AdQueue, Waiting: 1, OldestAt: d.clock.now().Add(-time.Hour)}
	for range 12 {
		b.tells(nil, old)
		d.look(3)
		b.tells(nil, queue.Depth{Queue: restock.AdQueue})
		d.look(3)
	}
	d.wantSubjects(distantOld)
	d.look(10)
	d.wantSubjects(distantOld, distantWell)
}

func TestAStuckRelayHasItsOwnLimit(t *testing.T) {
	t.Parallel()
	d := open(t)
	// What waits to be relayed is on a queue of that name.
	d.office = ops.New(officeStore{d.store}, relayed{d.store.Queue()}, d.box,
		ops.Config{Now: d.clock.now, Domain: "donut.example", RelayAgeLimit: time.Minute})
	d.buy(30)
	d.clock.advance(time.Minute)
	d.look(3)
	d.wantSubjects("restock: messages do not get to the broker from relay")
	d.handle(restock.StockQueue)
	d.handle(restock.AdQueue)
	d.look(8)
	d.wantSubjects("restock: messages do not get to the broker from relay", "restock: recovered: nothing is stuck any more in relay")
}

func TestAnEngineThatIsAwayIsToldAfterAWhile(t *testing.T) {
	t.Parallel()
	b := &broker{}
	d := b.use(t)
	full := queue.Depth{Queue: restock.AdQueue, Waiting: 3, OldestAt: d.clock.now().Add(-time.Hour)}
	b.tells(nil, full)
	d.look(2)
	d.wantSubjects(distantOld)
	d.clock.advance(time.Minute)
	b.tells(errors.New("connection refused"))
	d.look(3)
	b.tells(nil, full)
	d.look(3) // it was away for half a minute
	d.wantSubjects(distantOld)
	b.tells(errors.New("connection\nrefused " + strings.Repeat("x", 1000)))
	d.look(9)
	d.wantSubjects(distantOld, engineGone)
	if text := d.box.sent()[1].Text; !strings.Contains(text, "  connection refused "+strings.Repeat("x", 281)+"…\n  since 2026-03-01 09:32:20 KST\n") {
		t.Errorf("mail:\n%s", text)
	}
	got := read[ops.StatusReport](d, "/v1/status")
	if len(got.Incidents) != 2 || len(got.Engines) != 1 || got.Engines[0].Error == "" || len(got.Engines[0].Depths) != 0 {
		t.Errorf("status %+v, engines %+v", got.Incidents, got.Engines)
	}
	d.look(30) // nothing is known of its queues, so nothing is over
	b.tells(nil, queue.Depth{Queue: restock.AdQueue, InFlight: 1})
	d.look(8)
	d.wantSubjects(distantOld, engineGone, "restock: 2 recovered")
	got = read[ops.StatusReport](d, "/v1/status")
	want := []ops.EngineReport{{Name: brokerName, Depths: []queue.Depth{{Queue: restock.AdQueue, InFlight: 1}}}}
	if diff := cmp.Diff(want, got.Engines); diff != "" || len(got.Incidents) != 0 {
		t.Errorf("incidents %+v, engines (-want +got):\n%s", got.Incidents, diff)
	}
}

// TestAnEngineThatDoesNotTellAgesIsTakenAtItsWorst: SQS tells how many wait, not
// for how long.
func TestAnEngineThatDoesNotTellAgesIsTakenAtItsWorst(t *testing.T) {
	t.Parallel()
	b := &broker{}
	d := b.use(t)
	b.tells(nil, queue.Depth{Queue: restock.AdQueue, Waiting: 3}, queue.Depth{Queue: restock.StockQueue, Waiting: 1})
	d.look(85)
	b.tells(nil, queue.Depth{Queue: restock.AdQueue, Waiting: 7}, queue.Depth{Queue: restock.StockQueue})
	d.look(1)
	b.tells(nil, queue.Depth{Queue: restock.AdQueue, Waiting: 7}, queue.Depth{Queue: restock.StockQueue, Waiting: 1})
	d.look(10)
	d.wantSubjects(distantOld)
	const want = "  7 wait and 0 are in flight; the engine does not tell for how long: the queue was never seen empty since then, and 15m0s are allowed\n" +
		"  since 2026-03-01 09:30:00 KST\n"
	if text := d.box.sent()[0].Text; !strings.Contains(text, want) {
		t.Errorf("mail:\n%s", text)
	}
}

// TestAnEngineThatWasForgottenIsNoProblem: nobody waits for what is gone for good.
func TestAnEngineThatWasForgottenIsNoProblem(t *testing.T) {
	t.Parallel()
	b := &broker{err: errors.New("connection refused")}
	d := b.use(t)
	_, err := d.store.UseEngine(t.Context(), "nats://127.0.0.1:5222")
	d.must(err)
	d.look(9)
	d.wantSubjects(engineGone)
	d.must(d.store.ForgetEngine(t.Context(), brokerName, restock.Act{By: "me", Reason: "it was sold"}))
	d.look(9)
	d.wantSubjects(engineGone, "restock: recovered: queue engine answers, or is not used any more: "+brokerName)
	d.look(30)
	if got := read[ops.StatusReport](d, "/v1/status").Incidents; len(got) != 0 {
		t.Errorf("open incidents %+v", got)
	}
}

func TestTheEndOfDeadLettersIsToldOnce(t *testing.T) {
	t.Parallel()
	rc := receive(t)
	d := open(t, rc.hookedTo)
	d.buy(30)
	id := d.die(restock.StockQueue)
	d.handle(restock.AdQueue)
	d.look(1)
	d.must(d.office.Post(t.Context()))
	done, err := d.store.Queue().Redrive(t.Context(), restock.StockQueue, id)
	if d.must(err); !done {
		t.Fatal("not redriven")
	}
	d.handle(restock.StockQueue)
	d.look(20)
	d.wantSubjects("restock: dead letter CP-1", "restock: recovered: no dead letters")
	d.must(d.office.Post(t.Context()))
	hooks := rc.got()
	if len(hooks) != 2 || hooks[1].Data.Total != 0 || len(hooks[1].Data.Recovered) != 1 || hooks[1].Data.Recovered[0].Title != "no dead letters" {
		t.Errorf("webhooks %+v, want the dead letter and its end", hooks)
	}
}

// relayed shows what waits on the queues as if it all waited for the relay.
type relayed struct{ ops.Queues }

func (r relayed) Stats(ctx context.Context) ([]queue.Stats, error) {
	all, err := r.Queues.Stats(ctx)
	one := queue.Stats{Queue: "relay"}
	for _, s := range all {
		one.Waiting += s.Waiting
		if !s.OldestWaitingAt.IsZero() {
			one.OldestWaitingAt = s.OldestWaitingAt
		}
	}
	return []queue.Stats{one}, err
}

// seeing is a store that records when it is looked at, fails at first, and stops
// the looks when there were enough.
type seeing struct {
	ops.Store
	start  time.Time
	seen   []string
	enough int
	stop   func()
}

func (*seeing) Engines(context.Context) (restock.QueueEngines, error) {
	return restock.QueueEngines{Engine: brokerName}, nil
}

func (*seeing) FailingWebhooks(context.Context) ([]restock.Webhook, error) { return nil, nil }

func (s *seeing) Observe(_ context.Context, look restock.Look, hold time.Duration) error {
	s.seen = append(s.seen, fmt.Sprint(time.Since(s.start), " ", len(look.Conditions), " ", look.Complete, " ", hold))
	if len(s.seen) == s.enough {
		s.stop()
	}
	if len(s.seen) == 1 {
		return errors.New("the database is busy")
	}
	return nil
}

// slow is a desk whose figures take long.
type slow struct {
	ops.Queues
	takes time.Duration
}

func (s slow) Stats(context.Context) ([]queue.Stats, error) {
	time.Sleep(s.takes)
	return []queue.Stats{{Queue: restock.AdQueue}}, nil
}

func TestLooksComeAsOftenAsTheLimitsNeedAndTheDatabaseBears(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		cfg   ops.Config
		takes time.Duration
		want  []string
	}{
		{"the defaults", ops.Config{}, 0, []string{"0s 1 true 1m0s", "10s 1 true 1m0s", "20s 1 true 1m0s"}},
		{"a short limit", ops.Config{QueueAgeLimit: 24 * time.Second, AlertGap: time.Hour}, 0, []string{"0s 1 true 1h0m0s", "4s 1 true 1h0m0s", "8s 1 true 1h0m0s"}},
		{"hardly any limit", ops.Config{RelayAgeLimit: time.Millisecond}, 0, []string{"0s 1 true 1m0s", "1s 1 true 1m0s", "2s 1 true 1m0s"}},
		{"a slow look", ops.Config{}, time.Second, []string{"1s 1 true 1m0s", "22s 1 true 1m0s", "43s 1 true 1m0s"}},
		{"a very slow look", ops.Config{}, time.Minute, []string{"1m0s 1 true 1m0s", "3m0s 1 true 1m0s", "5m0s 1 true 1m0s"}},
		{"an engine that hangs", ops.Config{Engines: map[string]ops.Depths{brokerName: &broker{err: errHangs}}}, 0, []string{"5s 2 false 1m0s", "20s 2 false 1m0s", "35s 2 false 1m0s"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				defer stop()
				s := &seeing{start: time.Now(), enough: len(c.want), stop: stop}
				if err := ops.New(s, slow{takes: c.takes}, nil, c.cfg).RunWatch(ctx); err != nil {
					t.Error(err)
				}
				if diff := cmp.Diff(c.want, s.seen); diff != "" {
					t.Errorf("looks (-want +got):\n%s", diff)
				}
			})
		})
	}
}
