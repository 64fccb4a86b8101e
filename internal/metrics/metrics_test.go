package metrics_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/metrics"
)

// ask gives what a scrape tells.
func ask(t *testing.T, m *metrics.Metrics) string {
	t.Helper()
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
	if w.Code != http.StatusOK {
		t.Fatalf("/metrics answered %d %s", w.Code, w.Body)
	}
	return w.Body.String()
}

func want(t *testing.T, told string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if !strings.Contains("\n"+told, "\n"+line+"\n") {
			t.Errorf("/metrics does not tell %q:\n%s", line, told)
		}
	}
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

func TestWhatHappensIsCounted(t *testing.T) {
	t.Parallel()
	m := metrics.New(metrics.Build{Version: "1", Database: "sqlite", Queue: "db"},
		metrics.Classes{Checkouts: []string{"sold", "failed"}, Calls: []string{"accepted"}, Callbacks: []string{"applied"}, Mails: []string{"ad-stop"}})
	m.Checkout("sold", time.Millisecond)
	m.Checkout("never heard of", time.Millisecond)
	m.Group(3, time.Millisecond)
	m.Commit(2, time.Millisecond)
	m.Call("accepted", time.Second)
	m.Callback("applied")
	m.Callback("never heard of")
	m.Mail("ad-stop", metrics.Sent)
	m.Webhook(metrics.Failed)
	m.Handled("ad-queue")("done", time.Second)
	answered := m.Answered("public")
	for _, status := range []int{200, 204, 404, 503, 0, 999} {
		answered(status)
	}
	m.Gauge("restock_till_waiting_carts", "Carts.", func() float64 { return 7 })
	m.Retries(func() map[string]int64 { return map[string]int64{"connection lost": 5} })
	told := ask(t, m)
	want(t, told,
		`restock_build_info{database="sqlite",queue="db",version="1"} 1`,
		`restock_checkout_duration_seconds_count{outcome="sold"} 1`,
		`restock_checkout_duration_seconds_count{outcome="failed"} 0`,
		`restock_till_group_carts_sum 3`, `restock_commit_acts_sum 2`,
		`restock_factory_call_duration_seconds_sum{outcome="accepted"} 1`,
		`restock_callbacks_total{class="applied"} 1`,
		`restock_mails_total{kind="ad-stop",outcome="sent"} 1`,
		`restock_mails_total{kind="ad-stop",outcome="failed"} 0`,
		`restock_webhooks_total{outcome="failed"} 1`,
		`restock_message_duration_seconds_count{outcome="done",queue="ad-queue"} 1`,
		`restock_http_requests_total{code="2xx",listener="public"} 2`,
		`restock_http_requests_total{code="4xx",listener="public"} 1`,
		`restock_http_requests_total{code="5xx",listener="public"} 1`,
		`restock_http_requests_total{code="other",listener="public"} 2`,
		`restock_till_waiting_carts 7`, `restock_act_retries_total{reason="connection_lost"} 5`,
	)
	if strings.Contains(told, "never heard of") {
		t.Error("a class that nobody named beforehand became a series")
	}
	problems, err := promlint.New(strings.NewReader(told)).Lint()
	if err != nil || len(problems) > 0 {
		t.Errorf("promlint: %v, %v", problems, err)
	}
}

// clock is set by hand.
type clock struct{ at atomic.Int64 }

func (c *clock) now() time.Time          { return time.Unix(1_800_000_000, c.at.Load()) }
func (c *clock) advance(d time.Duration) { c.at.Add(int64(d)) }

func TestLevelsAreToldAsTheyAre(t *testing.T) {
	t.Parallel()
	c := &clock{}
	m := metrics.New(metrics.Build{}, metrics.Classes{})
	l := restock.Levels{
		Overview: restock.Overview{
			Products: map[restock.Urgency]int64{restock.UrgencyOut: 2}, HeldReceipts: 3, AdHolds: 4, OrderingPaused: "a stocktake", DigestsWaiting: 5,
			Incidents: []restock.Incident{{Kind: restock.IncidentQueueOld}, {Kind: restock.IncidentQueueOld}},
		},
		Orders: map[restock.OrderState]int64{restock.OrderHeld: 6},
		Queues: []restock.QueueDepth{
			{Queue: "ad-queue", Waiting: 7, InFlight: 1, Dead: 8, OldestAt: c.now().Add(-time.Minute)},
			{Queue: "ops-queue", OldestAt: c.now().Add(time.Hour)}, // the clock was set back
			{Queue: restock.RelayQueue, Waiting: 1, OldestAt: c.now().Add(-2 * time.Minute)},
		},
		Factories: []restock.Factory{
			{Identifier: "FF-1", Breaker: restock.BreakerOpen},
			{Identifier: "FF-2", Breaker: restock.BreakerHalfOpen, Paused: "x"},
			{Identifier: "FF-3"},
			{Identifier: "not\xfftext"},
		},
	}
	l.Watch = []restock.Product{{SKU: "A"}}
	l.Watch[0].Stock = restock.Stock{OnHand: 5, Reserved: 2, OnOrder: 10}
	l.Watch[0].Policy.ReorderPoint = 4
	m.Levels(func(context.Context) (restock.Levels, error) { return l, nil }, c.now, discard())
	want(t, ask(t, m),
		`restock_levels_read_success 1`, `restock_products{urgency="out_of_stock"} 2`,
		`restock_product_available_pieces{sku="A"} 3`, `restock_product_on_order_pieces{sku="A"} 10`, `restock_product_reorder_point_pieces{sku="A"} 4`,
		`restock_orders{state="held"} 6`, `restock_receipts_held 3`, `restock_ad_holds 4`, `restock_digests_waiting 5`, `restock_ordering_paused 1`,
		`restock_incidents{kind="queue_old"} 2`, `restock_incidents{kind="engine_away"} 0`,
		`restock_queue_messages{queue="ad-queue",state="waiting"} 7`, `restock_queue_messages{queue="ad-queue",state="in_flight"} 1`,
		`restock_dead_letters{queue="ad-queue"} 8`, `restock_queue_oldest_age_seconds{queue="ad-queue"} 60`,
		`restock_queue_oldest_age_seconds{queue="ops-queue"} 0`, `restock_outbox_lag_seconds 120`,
		`restock_factory_breaker_open{factory="FF-1"} 1`, `restock_factory_breaker_open{factory="FF-2"} 0.5`,
		`restock_factory_breaker_open{factory="FF-3"} 0`, `restock_factory_paused{factory="FF-2"} 1`,
	)
}

// TestLevelsAreReadOnceASecondHoweverManyAsk: a storm of scrapes costs sales
// nothing.
func TestLevelsAreReadOnceASecondHoweverManyAsk(t *testing.T) {
	t.Parallel()
	c := &clock{}
	m := metrics.New(metrics.Build{}, metrics.Classes{})
	var reads, inside atomic.Int64
	m.Levels(func(context.Context) (restock.Levels, error) {
		if inside.Add(1) > 1 {
			t.Error("the levels are read twice at the same time")
		}
		defer inside.Add(-1)
		reads.Add(1)
		return restock.Levels{}, nil
	}, c.now, discard())
	storm := func() {
		var all sync.WaitGroup
		for range 50 {
			all.Go(func() {
				w := httptest.NewRecorder()
				m.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/metrics", http.NoBody))
			})
		}
		all.Wait()
	}
	for i := range int64(3) {
		storm()
		if got := reads.Load(); got != i+1 {
			t.Errorf("I11 what is read is bounded: %d readings, want %d", got, i+1)
		}
		c.advance(time.Second)
	}
}

// TestWithoutADatabaseTheRestIsToldAndTheLogSaysWhyOnce: the levels are missing,
// and not zero.
func TestWithoutADatabaseTheRestIsToldAndTheLogSaysWhyOnce(t *testing.T) {
	t.Parallel()
	c := &clock{}
	var log strings.Builder
	m := metrics.New(metrics.Build{}, metrics.Classes{Checkouts: []string{"sold"}})
	err := errors.New("it is away")
	m.Levels(func(ctx context.Context) (restock.Levels, error) {
		if _, ok := ctx.Deadline(); !ok {
			t.Error("reading the levels has no deadline")
		}
		return restock.Levels{Overview: restock.Overview{HeldReceipts: 1}}, err
	}, c.now, slog.New(slog.NewTextHandler(&log, nil)))
	for range 3 {
		told := ask(t, m)
		want(t, told, `restock_levels_read_success 0`, `restock_checkout_duration_seconds_count{outcome="sold"} 0`)
		if strings.Contains(told, "restock_receipts_held ") {
			t.Error("a level is told that was not read")
		}
		c.advance(time.Minute)
	}
	err = nil
	want(t, ask(t, m), `restock_levels_read_success 1`, `restock_receipts_held 1`)
	if n := strings.Count(log.String(), "it is away"); n != 1 {
		t.Errorf("the log says %d times that the levels cannot be read, want once:\n%s", n, &log)
	}
}

func TestABrokerThatIsAwayIsTold(t *testing.T) {
	t.Parallel()
	c := &clock{}
	m := metrics.New(metrics.Build{}, metrics.Classes{})
	err := io.ErrUnexpectedEOF
	asked := 0
	m.Engine("nats://a", func(context.Context) ([]restock.QueueDepth, error) {
		asked++
		return []restock.QueueDepth{{Queue: "ad-queue", Waiting: 3, Dead: 1}}, err
	}, c.now)
	told := ask(t, m)
	want(t, told, `restock_engine_up{engine="nats://a"} 0`)
	if strings.Contains(told, "restock_engine_messages{") {
		t.Error("messages are told of a broker that does not answer")
	}
	err = nil
	c.advance(time.Second)
	if want(t, ask(t, m), `restock_engine_up{engine="nats://a"} 0`); asked != 1 {
		t.Errorf("it was asked %d times within a second, want once", asked)
	}
	c.advance(5 * time.Second)
	want(t, ask(t, m), `restock_engine_up{engine="nats://a"} 1`, `restock_engine_messages{engine="nats://a",queue="ad-queue",state="waiting"} 3`,
		`restock_engine_messages{engine="nats://a",queue="ad-queue",state="dead"} 1`)
}
