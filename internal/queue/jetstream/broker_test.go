package jetstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

const (
	// patience bounds every wait for something that must come.
	patience = 2 * time.Minute
	// held is the visibility of what a test keeps until its end.
	held = time.Hour
)

// standing is a clock that stands: by it no lease of this process ends, however
// slow the machine is. The server goes by its own.
func standing() func() time.Time {
	now := time.Now()
	return func() time.Time { return now }
}

func shop() []driver.Route {
	return []driver.Route{
		{Queue: stockQueue, Types: []string{stockLow}},
		{Queue: adQueue, Types: []string{stockOut}},
		{Queue: opsQueue, Types: []string{stockOut}, Rest: true},
	}
}

func message(n byte, messageType string) driver.Message {
	return driver.Message{
		ID: driver.ID{0: 1, 15: n}, Type: messageType, Subject: "CP-502101",
		Time: time.Now().UTC(), Body: []byte(`{}`),
	}
}

func publish(tb testing.TB, b driver.Broker, messages ...driver.Outgoing) {
	tb.Helper()
	if err := errors.Join(b.Publish(tb.Context(), messages)...); err != nil {
		tb.Fatal(err)
	}
}

func topic(m driver.Message) driver.Outgoing { return driver.Outgoing{Message: m} }

// receive waits for one message, and keeps it.
func receive(tb testing.TB, d driver.Driver, queue string) driver.Delivery {
	tb.Helper()
	got, err := receiveFor(tb, d, queue, held)
	if err != nil {
		tb.Fatal(err)
	}
	return got
}

func receiveFor(tb testing.TB, d driver.Driver, queue string, visibility time.Duration) (driver.Delivery, error) {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	for {
		got, err := d.Receive(ctx, queue, driver.Request{Max: 1, Visibility: visibility, Wait: patience})
		if err != nil {
			return driver.Delivery{}, err
		}
		if len(got) > 0 {
			return got[0], nil
		}
	}
}

// nothing says that nothing comes within wait.
func nothing(tb testing.TB, d driver.Driver, queue string, wait time.Duration) {
	tb.Helper()
	got, err := d.Receive(tb.Context(), queue, driver.Request{Max: 10, Visibility: held, Wait: wait})
	if err != nil {
		tb.Fatal(err)
	}
	if len(got) > 0 {
		tb.Fatalf("received %d messages from %s, want none; the first is %+v", len(got), queue, got[0])
	}
}

// client is somebody else on the same server.
func client(tb testing.TB, url string) natsjs.JetStream {
	tb.Helper()
	return clientToldBy(tb, url, func(error) {})
}

// clientToldBy is a client that passes on what its server complains of.
func clientToldBy(tb testing.TB, url string, complaint func(error)) natsjs.JetStream {
	tb.Helper()
	nc, err := nats.Connect(url, nats.Timeout(patience), nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { complaint(err) }))
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(nc.Close)
	js, err := natsjs.New(nc, natsjs.WithDefaultTimeout(patience))
	if err != nil {
		tb.Fatal(err)
	}
	return js
}

func TestMessagesGoWhereTheRoutesSay(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), shop(), jetstream.Config{})
	publish(t, e,
		topic(message(1, stockLow)), topic(message(2, stockOut)), topic(message(3, "from.the.future")),
		driver.Outgoing{Message: message(4, stockLow), Queue: adQueue})
	got := make(map[string][]byte)
	want := map[string][]byte{stockQueue: {1}, adQueue: {2, 4}, opsQueue: {2, 3}}
	for queue, messages := range want {
		for range messages {
			got[queue] = append(got[queue], receive(t, e, queue).ID[15])
		}
		slices.Sort(got[queue])
		nothing(t, e, queue, 0)
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("messages on the queues (-got +want):\n%s", diff)
	}
}

func TestWhatCanNeverBePublishedIsRefused(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), shop()[:2], jetstream.Config{})
	large := message(1, stockLow)
	large.Body = make([]byte, jetstream.MessageBytesMax)
	errs := e.Publish(t.Context(), []driver.Outgoing{
		topic(large),
		topic(message(2, "of nobody")),
		{Message: message(3, stockLow), Queue: "closed-queue"},
		topic(message(4, stockLow)),
	})
	for i, err := range errs[:3] {
		if !errors.Is(err, driver.ErrRefused) {
			t.Errorf("message %d: %v, want ErrRefused", i+1, err)
		}
	}
	if errs[3] != nil {
		t.Errorf("the good one among them: %v", errs[3])
	}
}

// TestWhatTheServerNeverTakesIsRefused: its stream or its connection may allow
// less than we do.
func TestWhatTheServerNeverTakesIsRefused(t *testing.T) {
	t.Parallel()
	for name, config := range map[string]string{
		"a smaller payload": "max_payload: 64KB\n",
		"a smaller stream":  "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := queuetest.StartNATSWith(t, fmt.Sprintf("%sjetstream { store_dir: %q }", config, t.TempDir()))
			e := provisioned(t, server.URL(), single(), jetstream.Config{})
			if config == "" {
				alterStream(t, client(t, server.URL()), "restock", func(c *natsjs.StreamConfig) { c.MaxMsgSize = 64 << 10 })
			}
			large := message(1, stockLow)
			large.Body = make([]byte, 100<<10)
			errs := e.Publish(t.Context(), []driver.Outgoing{topic(large), topic(message(2, stockLow))})
			if !errors.Is(errs[0], driver.ErrRefused) || errs[1] != nil {
				t.Errorf("publish: %v; want ErrRefused for the first", errs)
			}
		})
	}
}

// TestAnIDIsPublishedOnce within the window, and a redrive is no repetition.
func TestAnIDIsPublishedOnce(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	m := message(1, stockLow)
	publish(t, e, topic(m), topic(m))
	publish(t, e, topic(m))
	d := receive(t, e, stockQueue)
	nothing(t, e, stockQueue, 0)
	if err := e.Dead(t.Context(), d, "because"); err != nil {
		t.Fatal(err)
	}
	publish(t, e, driver.Outgoing{Message: m, Queue: stockQueue}) // within the window
	if again := receive(t, e, stockQueue); again.ID != m.ID || again.Receives != 1 {
		t.Errorf("redriven: %s, receive %d; want %s, receive 1", again.ID, again.Receives, m.ID)
	}
}

// TestADeadLetterSaysWhatHappened, whatever a cause holds, and has one name at
// every receive.
func TestADeadLetterSaysWhatHappened(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	for n, cause := range []string{
		"factory: 503", "", "two\r\nlines\r\nNats-Rollup: all\r\n\r\n", "부산도너츠 100 %\x00\xff",
		strings.Repeat("도", jetstream.CauseBytesMax),
	} {
		m := message(byte(n+1), stockLow)
		publish(t, e, topic(m))
		d := receive(t, e, stockQueue)
		if err := e.Retry(t.Context(), d, 0, "once more"); err != nil {
			t.Fatal(err)
		}
		if err := e.Dead(t.Context(), receive(t, e, stockQueue), cause); err != nil {
			t.Fatal(err)
		}
		dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
		want := cause
		if len(cause) > jetstream.CauseBytesMax {
			want = strings.Repeat("도", (jetstream.CauseBytesMax-3)/3) + "…"
		}
		if diff := cmp.Diff(dead.Message, m); diff != "" || dead.Cause != want || dead.Receives != 2 {
			t.Errorf("dead with %q after %d receives, want %q after 2; message (-got +want):\n%s", dead.Cause, dead.Receives, want, diff)
		}
		for _, back := range []func() error{
			func() error { return e.Retry(t.Context(), dead, 0, "the desk is away") },
			func() error { return e.Later(t.Context(), dead, 0) },
		} {
			if err := back(); err != nil {
				t.Fatal(err)
			}
			again := receive(t, e, stockQueue+driver.DeadLetterSuffix)
			if again.Copy != dead.Copy || again.Copy == "" || again.Receives != dead.Receives || again.Cause != dead.Cause {
				t.Errorf("the same dead letter again: %+v, want %+v", again, dead)
			}
			dead = again
		}
		if err := e.Dead(t.Context(), dead, "twice"); err == nil {
			t.Error("a dead letter died")
		}
		if err := e.Done(t.Context(), dead); err != nil {
			t.Fatal(err)
		}
	}
}

// TestAMessageThatNobodyGivesUpIsADeadLetterAtLast: its consumers die before
// they can. It is not handed out for ever, and nobody names a cause.
func TestAMessageThatNobodyGivesUpIsADeadLetterAtLast(t *testing.T) {
	t.Parallel()
	const receivesMax, backstop = 2, 5
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{
		ReceivesMax: receivesMax, Visibility: 100 * time.Millisecond, Now: standing(),
	})
	m := message(1, stockLow)
	publish(t, e, topic(m))
	for n := 1; n <= receivesMax+backstop; n++ {
		if d, err := receiveFor(t, e, stockQueue, 0); err != nil || d.Receives != n {
			t.Fatalf("receive %d, %v; want receive %d", d.Receives, err, n)
		}
	}
	until(t, "it is not handed out any more", func() bool {
		nothing(t, e, stockQueue, 0)
		return depthsOf(t, e)[0].Dead == 1
	})
	dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
	if dead.ID != m.ID || dead.Cause != "" || dead.Receives != receivesMax+backstop {
		t.Errorf("dead letter %+v, want %s without a cause after %d receives", dead, m.ID, receivesMax+backstop)
	}
	if err := e.Done(t.Context(), dead); err != nil {
		t.Error(err)
	}
	nothing(t, e, stockQueue, 0)
}

// TestLaterIsExact: whatever the delay and however often, no receive is used up,
// and nothing comes early.
func TestLaterIsExact(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	m := message(1, stockLow)
	publish(t, e, topic(m))
	d := receive(t, e, stockQueue)
	for receives := 1; receives <= 3; receives++ {
		for _, delay := range []time.Duration{-1, 0, 300 * time.Millisecond} {
			before := time.Now()
			if err := e.Later(t.Context(), d, delay); err != nil {
				t.Fatal(err)
			}
			d = receive(t, e, stockQueue)
			if waited := time.Since(before); waited < delay {
				t.Errorf("came again after %s, want at least %s", waited, delay)
			}
			if diff := cmp.Diff(d.Message, m); diff != "" || d.Receives != receives {
				t.Errorf("receive %d, want %d; message (-got +want):\n%s", d.Receives, receives, diff)
			}
		}
		if err := e.Retry(t.Context(), d, 0, "because"); err != nil {
			t.Fatal(err)
		}
		d = receive(t, e, stockQueue)
	}
	if err := e.Done(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	nothing(t, e, stockQueue, 500*time.Millisecond)
}

// TestALongVisibilityHoldsAndEnds: the server knows only the ack wait, so the
// engine says that the message is at work, and stops saying so.
func TestALongVisibilityHoldsAndEnds(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{Visibility: steady})
	publish(t, e, topic(message(1, stockLow)))
	const long = 2 * steady // longer than the server would wait
	before := time.Now()
	d, err := receiveFor(t, e, stockQueue, long)
	if err != nil {
		t.Fatal(err)
	}
	again := receive(t, e, stockQueue)
	if held := time.Since(before); held < long {
		t.Errorf("held for %s, want at least %s", held, long)
	}
	if err := e.Done(t.Context(), d); !errors.Is(err, driver.ErrStale) {
		t.Errorf("done with the old handle: %v, want ErrStale", err)
	}
	if err := e.Done(t.Context(), again); err != nil {
		t.Error(err)
	}
	if n := jetstream.Timers(e); n != 0 {
		t.Errorf("%d timers run for what was answered or lost", n)
	}
}

// TestWhatNobodyAnswersIsForgotten, so that a process that lives long does not
// grow.
func TestWhatNobodyAnswersIsForgotten(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	var ahead time.Duration
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{
		Now: func() time.Time {
			mu.Lock()
			defer mu.Unlock()
			return time.Now().Add(ahead)
		},
	})
	const messages = 10
	for n := range byte(messages) {
		publish(t, e, topic(message(n+1, stockLow)))
		if _, err := receiveFor(t, e, stockQueue, held); err != nil {
			t.Fatal(err)
		}
	}
	if n := jetstream.Held(e); n != messages {
		t.Fatalf("%d deliveries are held, want %d", n, messages)
	}
	mu.Lock()
	ahead = 2 * held
	mu.Unlock()
	publish(t, e, topic(message(messages+1, stockLow)))
	receive(t, e, stockQueue)
	if n := jetstream.Held(e); n != 1 {
		t.Errorf("%d deliveries are held after their time, want the one just received", n)
	}
}

// TestALateAnswerOfAnotherProcessIsRefused: JetStream itself would take it, and
// the message would be gone from whoever has it.
func TestALateAnswerOfAnotherProcessIsRefused(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	cfg := jetstream.Config{Visibility: 300 * time.Millisecond}
	slow := provisioned(t, server.URL(), single(), cfg)
	cfg.Now = standing()
	other := open(t, server.URL(), single(), cfg)
	publish(t, slow, topic(message(1, stockLow)))
	late, err := receiveFor(t, slow, stockQueue, 0)
	if err != nil {
		t.Fatal(err)
	}
	current := receive(t, other, stockQueue)
	for name, err := range map[string]error{
		"Done":   slow.Done(t.Context(), late),
		"Retry":  slow.Retry(t.Context(), late, 0, "because"),
		"Later":  slow.Later(t.Context(), late, 0),
		"Dead":   slow.Dead(t.Context(), late, "because"),
		"Extend": slow.Extend(t.Context(), late, time.Minute),
	} {
		if !errors.Is(err, driver.ErrStale) {
			t.Errorf("%s: %v, want ErrStale", name, err)
		}
	}
	if err := other.Done(t.Context(), current); err != nil {
		t.Error(err)
	}
}

// TestAnAnswerThatComesTooLateProlongsNothing: the server was told that the
// message is at work when somebody else had it already, and says yes.
func TestAnAnswerThatComesTooLateProlongsNothing(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	line := newLine(t, strings.TrimPrefix(server.URL(), "nats://"))
	var late atomic.Bool
	now := time.Now()
	cfg := jetstream.Config{Visibility: 300 * time.Millisecond, Now: func() time.Time {
		if late.Load() {
			return now.Add(time.Minute)
		}
		return now
	}}
	slow := provisioned(t, line.url(), single(), cfg)
	cfg.Now = standing()
	other := open(t, server.URL(), single(), cfg)
	publish(t, other, topic(message(1, stockLow)))
	old, err := receiveFor(t, slow, stockQueue, 0)
	if err != nil {
		t.Fatal(err)
	}
	line.stand()
	asked := jetstream.Requests(slow)
	extended := make(chan error, 1)
	go func() { extended <- slow.Extend(t.Context(), old, time.Minute) }()
	until(t, "the server is told", func() bool { return jetstream.Requests(slow) > asked })
	current := receive(t, other, stockQueue)
	late.Store(true)
	line.run()
	if err := <-extended; !errors.Is(err, driver.ErrStale) {
		t.Errorf("extend: %v, want ErrStale", err)
	}
	if err := slow.Done(t.Context(), old); !errors.Is(err, driver.ErrStale) {
		t.Errorf("done: %v, want ErrStale", err)
	}
	if err := other.Done(t.Context(), current); err != nil {
		t.Error(err)
	}
}

// line is a connection to a server on which what clients say can stand still.
type line struct {
	listener net.Listener
	gate     sync.RWMutex // locked: nothing moves
}

func newLine(tb testing.TB, server string) *line {
	tb.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		tb.Fatal(err)
	}
	l := &line{listener: listener}
	var running sync.WaitGroup
	running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() { l.connect(client, server) })
		}
	})
	tb.Cleanup(func() {
		_ = listener.Close()
		running.Wait()
	})
	return l
}

func (l *line) url() string { return "nats://" + l.listener.Addr().String() }

func (l *line) stand() { l.gate.Lock() }
func (l *line) run()   { l.gate.Unlock() }

func (l *line) connect(client net.Conn, server string) {
	upstream, err := net.Dial("tcp", server)
	if err != nil {
		_ = client.Close()
		return
	}
	var both sync.WaitGroup
	both.Go(func() {
		_, _ = io.Copy(client, upstream) // until one side ends
		_ = client.Close()
	})
	said := make([]byte, 32<<10)
	for {
		n, err := client.Read(said)
		if err != nil {
			break
		}
		l.gate.RLock()
		_, err = upstream.Write(said[:n])
		l.gate.RUnlock()
		if err != nil {
			break
		}
	}
	_ = upstream.Close()
	both.Wait()
}

// TestMessagesOfOthersAreKept: what no program of ours sent has an id too, the
// same at every receive, and can be given back, given up and put right.
func TestMessagesOfOthersAreKept(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{})
	_, err := client(t, server.URL()).PublishMsg(t.Context(), &nats.Msg{
		Subject: "restock.queue.stock-queue", Header: nats.Header{"Color": {"red"}}, Data: []byte("half empty"),
	})
	if err != nil {
		t.Fatal(err)
	}
	first := receive(t, e, stockQueue)
	const want = `{"message":"half empty","attributes":{"Color":"red"}}`
	if first.Type != driver.TypeForeign || string(first.Body) != want || first.Receives != 1 {
		t.Errorf("received %+v with the body %s, want %s", first, first.Body, want)
	}
	if err := e.Later(t.Context(), first, 0); err != nil {
		t.Fatal(err)
	}
	second := receive(t, e, stockQueue)
	if err := e.Dead(t.Context(), second, "unknown"); err != nil {
		t.Fatal(err)
	}
	dead := receive(t, e, stockQueue+driver.DeadLetterSuffix)
	publish(t, e, driver.Outgoing{Message: dead.Message, Queue: stockQueue})
	redriven := receive(t, e, stockQueue)
	for name, d := range map[string]driver.Delivery{"later": second, "dead": dead, "redriven": redriven} {
		if diff := cmp.Diff(d.Message, first.Message); diff != "" {
			t.Errorf("%s (-got +want):\n%s", name, diff)
		}
	}
}

func TestDepthsTellWhatLiesWhere(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), shop(), jetstream.Config{})
	before := time.Now()
	for n := range byte(5) {
		publish(t, e, topic(message(n+1, stockLow)))
	}
	after := time.Now()
	receive(t, e, stockQueue)
	if err := errors.Join(
		e.Done(t.Context(), receive(t, e, stockQueue)),
		e.Dead(t.Context(), receive(t, e, stockQueue), "because"),
	); err != nil {
		t.Fatal(err)
	}
	depths := depthsOf(t, e)
	if at := depths[0].OldestAt; at.Before(before) || at.After(after) {
		t.Errorf("the oldest is of %s, want one of %s to %s", at, before, after)
	}
	depths[0].OldestAt = time.Time{}
	want := []driver.Depth{{Queue: stockQueue, Waiting: 2, InFlight: 1, Dead: 1}, {Queue: adQueue}, {Queue: opsQueue}}
	if diff := cmp.Diff(depths, want); diff != "" {
		t.Errorf("depths (-got +want):\n%s", diff)
	}
}

func depthsOf(tb testing.TB, b driver.Broker) []driver.Depth {
	tb.Helper()
	depths, err := b.Depths(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	return depths
}

// TestTheOldestIsAsOldAsItsFirstCopy: a message that is put off again and again
// does not stay young.
func TestTheOldestIsAsOldAsItsFirstCopy(t *testing.T) {
	t.Parallel()
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	publish(t, e, topic(message(1, stockLow)))
	first := depthsOf(t, e)[0].OldestAt
	for range 3 {
		if err := e.Later(t.Context(), receive(t, e, stockQueue), 0); err != nil {
			t.Fatal(err)
		}
	}
	if at := depthsOf(t, e)[0].OldestAt; !at.Equal(first) || at.IsZero() {
		t.Errorf("the oldest is of %s, want %s", at, first)
	}
}

// TestWhatTheServerGaveUpShows: somebody limited the deliveries, so a message
// lies in the stream that is handed out to nobody.
func TestWhatTheServerGaveUpShows(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{Visibility: 100 * time.Millisecond})
	alterConsumer(t, client(t, server.URL()), stockQueue, func(c *natsjs.ConsumerConfig) { c.MaxDeliver = 1 })
	publish(t, e, topic(message(1, stockLow)))
	if _, err := receiveFor(t, e, stockQueue, 0); err != nil {
		t.Fatal(err)
	}
	nothing(t, e, stockQueue, 500*time.Millisecond)
	if d := depthsOf(t, e)[0]; d.Waiting+d.InFlight != 1 || d.OldestAt.IsZero() {
		t.Errorf("depth %+v, want the message and its age", d)
	}

	// As the handbook says: a new consumer hands it out again.
	if err := client(t, server.URL()).DeleteConsumer(t.Context(), "restock", stockQueue); err != nil {
		t.Fatal(err)
	}
	provision(t, e, true)
	if d := receive(t, e, stockQueue); d.ID != message(1, stockLow).ID {
		t.Errorf("received %s, want the message that was given up", d.ID)
	}
}

// TestAPullThatIsGivenUpLosesNoReceive: what the server hands out at this very
// moment is taken all the same.
func TestAPullThatIsGivenUpLosesNoReceive(t *testing.T) {
	t.Parallel()
	const rounds = 100
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	for n := range byte(rounds) {
		ctx, cancel := context.WithCancel(t.Context())
		took := make(chan []driver.Delivery, 1)
		go func() {
			got, _ := e.Receive(ctx, stockQueue, driver.Request{Max: 10, Visibility: held, Wait: patience}) // it may say that ctx ended
			took <- got
		}()
		published := make(chan []error, 1)
		go func() { published <- e.Publish(t.Context(), []driver.Outgoing{topic(message(n+1, stockLow))}) }()
		time.Sleep(time.Duration(n%20) * 100 * time.Microsecond) // somewhere in the publish
		cancel()
		got := <-took
		if err := errors.Join(<-published...); err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			got = append(got, receive(t, e, stockQueue))
		}
		if got[0].Receives != 1 {
			t.Errorf("round %d: receive %d, want 1", n, got[0].Receives)
		}
		if err := e.Done(t.Context(), got[0]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestWhoWaitsDoesNotSpin while others hold as many messages as the consumer
// allows.
func TestWhoWaitsDoesNotSpin(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{})
	alterConsumer(t, client(t, server.URL()), stockQueue, func(c *natsjs.ConsumerConfig) { c.MaxAckPending = 1 })
	publish(t, e, topic(message(1, stockLow)), topic(message(2, stockLow)))
	held := receive(t, e, stockQueue)
	before := jetstream.Requests(e)
	var waiting sync.WaitGroup
	for range 4 {
		waiting.Go(func() { nothing(t, e, stockQueue, time.Second) })
	}
	waiting.Wait()
	if n := jetstream.Requests(e) - before; n > 200 {
		t.Errorf("%d messages were sent to the server in a second of waiting", n)
	}
	if err := e.Done(t.Context(), held); err != nil {
		t.Fatal(err)
	}
	receive(t, e, stockQueue)
}

func TestRoutesAreLookedAt(t *testing.T) {
	t.Parallel()
	for want, routes := range map[string][]driver.Route{
		"at least one route":           nil,
		`"stock.queue"`:                {{Queue: "stock.queue"}},
		`""`:                           {{}},
		"there are two of it":          {{Queue: "a"}, {Queue: "a"}},
		`"a-dlq": there are two`:       {{Queue: "a"}, {Queue: "a-dlq"}},
		`"` + strings.Repeat("a", 201): {{Queue: strings.Repeat("a", 201)}},
	} {
		if _, err := jetstream.Open(t.Context(), "nats://127.0.0.1:1", routes, jetstream.Config{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("routes %+v: %v, want %s in it", routes, err, want)
		}
	}
	e := provisioned(t, queuetest.StartNATS(t).URL(), single(), jetstream.Config{})
	if _, err := e.Receive(t.Context(), "closed-queue", driver.Request{Max: 1}); err == nil || !strings.Contains(err.Error(), "closed-queue") {
		t.Errorf("receive from a queue that is not there: %v", err)
	}
}
