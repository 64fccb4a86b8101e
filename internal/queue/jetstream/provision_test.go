package jetstream_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	natsjs "github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

func alterStream(tb testing.TB, js natsjs.JetStream, name string, alter func(*natsjs.StreamConfig)) {
	tb.Helper()
	stream, err := js.Stream(tb.Context(), name)
	if err != nil {
		tb.Fatal(err)
	}
	config := stream.CachedInfo().Config
	alter(&config)
	if _, err := js.UpdateStream(tb.Context(), config); err != nil {
		tb.Fatal(err)
	}
}

func alterConsumer(tb testing.TB, js natsjs.JetStream, queue string, alter func(*natsjs.ConsumerConfig)) {
	tb.Helper()
	consumer, err := js.Consumer(tb.Context(), "restock", queue)
	if err != nil {
		tb.Fatal(err)
	}
	config := consumer.CachedInfo().Config
	alter(&config)
	if _, err := js.UpdateConsumer(tb.Context(), "restock", config); err != nil {
		tb.Fatal(err)
	}
}

func provision(tb testing.TB, e *jetstream.Engine, mend bool) []driver.Finding {
	tb.Helper()
	findings, err := e.Provision(tb.Context(), mend)
	if err != nil {
		tb.Fatal(err)
	}
	return findings
}

func TestProvisionMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	e := open(t, queuetest.StartNATS(t).URL(), shop(), jetstream.Config{Visibility: 4 * time.Second})
	want := []driver.Finding{
		{What: "stream restock-dlq", Want: "WorkQueue, File, replicas 1, subjects restock.queue.stock-queue-dlq restock.queue.ad-queue-dlq restock.queue.ops-queue-dlq"},
		{What: "stream restock", Want: "WorkQueue, File, replicas 1, subjects restock.queue.stock-queue restock.queue.ad-queue restock.queue.ops-queue"},
		{What: "consumer stock-queue", Want: "of restock.queue.stock-queue, ack wait 5s"},
		{What: "consumer stock-queue-dlq", Want: "of restock.queue.stock-queue-dlq, ack wait 5s"},
		{What: "consumer ad-queue", Want: "of restock.queue.ad-queue, ack wait 5s"},
		{What: "consumer ad-queue-dlq", Want: "of restock.queue.ad-queue-dlq, ack wait 5s"},
		{What: "consumer ops-queue", Want: "of restock.queue.ops-queue, ack wait 5s"},
		{What: "consumer ops-queue-dlq", Want: "of restock.queue.ops-queue-dlq, ack wait 5s"},
	}
	for range 2 { // looking changes nothing
		if diff := cmp.Diff(provision(t, e, false), want); diff != "" {
			t.Errorf("findings (-got +want):\n%s", diff)
		}
	}
	for i := range want {
		want[i].Mended = true
	}
	if diff := cmp.Diff(provision(t, e, true), want); diff != "" {
		t.Errorf("findings with mend (-got +want):\n%s", diff)
	}
	for _, mend := range []bool{true, false} {
		if again := provision(t, e, mend); len(again) != 0 {
			t.Errorf("findings the second time: %+v", again)
		}
	}
}

// TestProvisionFindsAndMendsEachDifference that somebody made, one by one.
func TestProvisionFindsAndMendsEachDifference(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{Visibility: 4 * time.Second})
	js := client(t, server.URL())
	stream := func(alter func(*natsjs.StreamConfig)) func(*testing.T) {
		return func(t *testing.T) { t.Helper(); alterStream(t, js, "restock", alter) }
	}
	consumer := func(alter func(*natsjs.ConsumerConfig)) func(*testing.T) {
		return func(t *testing.T) { t.Helper(); alterConsumer(t, js, stockQueue, alter) }
	}
	for _, c := range []struct {
		alter            func(*testing.T)
		what, have, want string
	}{
		{stream(func(c *natsjs.StreamConfig) { c.Subjects = []string{"restock.more"} }), "stream restock: subjects", "restock.more", "restock.more restock.queue.stock-queue"},
		{stream(func(c *natsjs.StreamConfig) { c.Discard = natsjs.DiscardOld }), "stream restock: discard", "DiscardOld", "DiscardNew"},
		{stream(func(c *natsjs.StreamConfig) { c.MaxAge = time.Hour }), "stream restock: age of messages", "1h0m0s", "unlimited"},
		{stream(func(c *natsjs.StreamConfig) { c.MaxMsgs = 1000 }), "stream restock: number of messages", "1000", "unlimited"},
		{stream(func(c *natsjs.StreamConfig) { c.MaxMsgsPerSubject = 1 }), "stream restock: number of messages of a subject", "1", "unlimited"},
		{stream(func(c *natsjs.StreamConfig) { c.MaxBytes = 1 << 20 }), "stream restock: bytes of all messages", "1048576", "unlimited"},
		{stream(func(c *natsjs.StreamConfig) { c.MaxMsgSize = -1 }), "stream restock: bytes of a message", "unlimited", "524288"},
		{stream(func(c *natsjs.StreamConfig) { c.Duplicates = time.Second }), "stream restock: duplicate window", "1s", "2m0s"},
		{stream(func(c *natsjs.StreamConfig) { c.NoAck = true }), "stream restock: acknowledgement of what is published", "false", "true"},
		{stream(func(c *natsjs.StreamConfig) { c.AllowRollup = true }), "stream restock: messages that purge others", "true", "false"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.AckWait = time.Minute }), "consumer stock-queue: ack wait", "1m0s", "5s"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.MaxDeliver = 3 }), "consumer stock-queue: deliveries", "3", "unlimited"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.MaxAckPending = 7 }), "consumer stock-queue: unanswered messages", "7", "100000"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.InactiveThreshold = time.Hour }), "consumer stock-queue: removed when idle for", "1h0m0s", "unlimited"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.HeadersOnly = true }), "consumer stock-queue: headers only", "true", "false"},
		{consumer(func(c *natsjs.ConsumerConfig) { c.FilterSubject = "restock.more" }), "consumer stock-queue: subject", "restock.more", "restock.queue.stock-queue"},
	} {
		c.alter(t)
		want := []driver.Finding{{What: c.what, Have: c.have, Want: c.want}}
		if diff := cmp.Diff(provision(t, e, false), want); diff != "" {
			t.Errorf("%s (-got +want):\n%s", c.what, diff)
		}
		want[0].Mended = true
		if diff := cmp.Diff(provision(t, e, true), want); diff != "" {
			t.Errorf("%s with mend (-got +want):\n%s", c.what, diff)
		}
		if again := provision(t, e, false); len(again) != 0 {
			t.Errorf("%s is still there: %+v", c.what, again)
		}
	}
}

// TestABackoffIsFoundAndRefused: it would replace the time that leases count
// on, so nothing is received before it is mended.
func TestABackoffIsFoundAndRefused(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	provisioned(t, server.URL(), single(), jetstream.Config{})
	alterConsumer(t, client(t, server.URL()), stockQueue, func(c *natsjs.ConsumerConfig) {
		c.BackOff = []time.Duration{time.Second, time.Minute}
	})
	e := open(t, server.URL(), single(), jetstream.Config{})
	if _, err := e.Receive(t.Context(), stockQueue, driver.Request{Max: 1}); err == nil || !strings.Contains(err.Error(), "restock queue provision") {
		t.Errorf("receive: %v, want what to do", err)
	}
	found := provision(t, e, true)
	if len(found) == 0 || !strings.Contains(fmt.Sprint(found), "backoff") {
		t.Errorf("findings %+v, want the backoff", found)
	}
	nothing(t, e, stockQueue, 0)
}

// TestProvisionSaysWhatCannotBeMended, mends the rest, and loses nothing.
func TestProvisionSaysWhatCannotBeMended(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	js := client(t, server.URL())
	if _, err := js.CreateStream(t.Context(), natsjs.StreamConfig{
		Name: "restock", Subjects: []string{"restock.queue.stock-queue"}, Storage: natsjs.MemoryStorage, MaxMsgSize: jetstream.MessageBytesMax,
		AllowMsgTTL: true, MaxAge: time.Hour,
	}); err != nil {
		t.Fatal(err)
	}
	e := open(t, server.URL(), single(), jetstream.Config{})
	got := make(map[string]driver.Finding)
	for _, f := range provision(t, e, true) {
		got[f.What] = f
	}
	for what, mended := range map[string]bool{
		"stream restock: retention": false, "stream restock: storage": false, "stream restock: life of single messages": false,
		"stream restock: discard": true, "stream restock: age of messages": true,
		"consumer stock-queue": true,
	} {
		f, ok := got[what]
		if !ok || f.Mended != mended || strings.Contains(f.Want, "cannot be changed") == mended {
			t.Errorf("%s: %+v (found: %t), want mended %t", what, f, ok, mended)
		}
	}
	publish(t, e, topic(message(1, stockLow)))
	receive(t, e, stockQueue)
}

// TestAPausedConsumerIsFound, and left: somebody wanted it so.
func TestAPausedConsumerIsFound(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	e := provisioned(t, server.URL(), single(), jetstream.Config{})
	js := client(t, server.URL())
	if _, err := js.PauseConsumer(t.Context(), "restock", stockQueue, time.Now().Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	found := provision(t, e, true)
	if len(found) != 1 || found[0].What != "consumer stock-queue: paused" || found[0].Mended {
		t.Errorf("findings %+v, want that it is paused", found)
	}
}

func TestAServerThatTakesTooLittleIsFound(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATSWith(t, fmt.Sprintf("max_payload: 64KB\njetstream { store_dir: %q }", t.TempDir()))
	e := provisioned(t, server.URL(), single(), jetstream.Config{})
	found := provision(t, e, true)
	if len(found) != 1 || found[0].What != "server: max_payload" || found[0].Have != "65536" || found[0].Mended {
		t.Errorf("findings %+v, want that the payload is too small", found)
	}
}

func TestAServerWithoutJetStreamIsTold(t *testing.T) {
	t.Parallel()
	e := open(t, queuetest.StartNATSWith(t, "").URL(), single(), jetstream.Config{})
	_, err := e.Provision(t.Context(), true)
	for what, err := range map[string]error{
		"provision": err,
		"publish":   e.Publish(t.Context(), []driver.Outgoing{topic(message(1, stockLow))})[0],
	} {
		if err == nil || !strings.Contains(strings.ToLower(err.Error()), "jetstream") {
			t.Errorf("%s: %v, want that JetStream is missing", what, err)
		}
	}
}

// TestSeveralProvisionAtOnce, as the processes of a deployment do.
func TestSeveralProvisionAtOnce(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	var running sync.WaitGroup
	for range 4 {
		e := open(t, server.URL(), shop(), jetstream.Config{})
		running.Go(func() {
			if _, err := e.Provision(t.Context(), true); err != nil {
				t.Error(err)
			}
		})
	}
	running.Wait()
	if left := provision(t, open(t, server.URL(), shop(), jetstream.Config{}), false); len(left) != 0 {
		t.Errorf("findings %+v, want none", left)
	}
}

// TestAnotherVersionsQueuesStay: two versions run beside each other for a while.
func TestAnotherVersionsQueuesStay(t *testing.T) {
	t.Parallel()
	server := queuetest.StartNATS(t)
	newer := provisioned(t, server.URL(), shop(), jetstream.Config{})
	older := provisioned(t, server.URL(), single(), jetstream.Config{})
	for _, e := range []*jetstream.Engine{newer, older} {
		if left := provision(t, e, false); len(left) != 0 {
			t.Errorf("findings %+v, want none", left)
		}
	}
	publish(t, newer, topic(message(1, stockOut)))
	receive(t, newer, adQueue)
}
