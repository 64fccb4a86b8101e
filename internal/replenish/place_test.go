package replenish

import (
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// accept answers as the factory does.
func accept(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, `{"data":{"id":"0199abcd-0506-7008-090a-0b0c0d0e0fff","reqestor":"x","data":`+string(body)+`}}`)
}

func serve(t *testing.T, handle http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	return server.URL + "/api/manufactures"
}

func TestAnOrderReachesTheFactoryAsItExpectsIt(t *testing.T) {
	t.Parallel()
	bodies := make(chan map[string]string, 1)
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		var got map[string]string
		body, _ := io.ReadAll(r.Body)
		if err := json.Unmarshal(body, &got); err != nil {
			t.Error(err)
		}
		bodies <- got
		r.Body = io.NopCloser(strings.NewReader(string(body)))
		accept(w, r)
	})
	s := openStore(t, address, nil)
	r := replenisher(s, nil)
	running(t, r)
	id := s.plan()
	if got := s.next(); got.OrderID != id || got.State != restock.AttemptAccepted {
		t.Fatalf("recorded %s: %s", got.State, got.Error)
	}
	got := <-bodies
	callback, err := url.Parse(got["CallbackUrl"])
	if err != nil || !strings.HasPrefix(got["CallbackUrl"], "https://shop.example/base/product/donut?token=") {
		t.Fatalf("callback address %q, %v", got["CallbackUrl"], err)
	}
	if order, attempt, ok := r.cfg.Keys.verify(callback.Query().Get("token")); !ok || order != id || attempt != 1 {
		t.Errorf("its token says %s, %d, %t", order, attempt, ok)
	}
	delete(got, "CallbackUrl")
	want := map[string]string{
		"MessageGroupId": "stock-arrival-group", "MessageAttributeProductId": "CP-1", "MessageAttributeProductCnt": "10",
		"MessageAttributeFactoryId": factoryID, "MessageAttributeRequester": "김재고",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("body (-want +got):\n%s", diff)
	}
	o := s.order(id)
	if a := o.Attempts[0]; o.State != restock.OrderAccepted || a.FactoryRef == "" || a.DueAt.Sub(a.SentAt) != windowFactor*40*time.Second {
		t.Errorf("order %+v", o)
	}
}

// TestAConnectionResetAfterTheBodyIsUnknownAndNotSentAgain takes a request
// whole and resets its connection.
func TestAConnectionResetAfterTheBodyIsUnknownAndNotSentAgain(t *testing.T) {
	t.Parallel()
	var calls atomic.Int64
	address := serve(t, func(w http.ResponseWriter, r *http.Request) {
		calls.Add(1)
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.(*net.TCPConn).SetLinger(0) // a reset, not an end
		_ = conn.Close()
	})
	other := serve(t, accept)
	s := openStore(t, address, nil)
	s.apply(restock.Catalog{
		Factories: []restock.CatalogFactory{{Identifier: "FF-2", URL: other}},
		Products:  []restock.CatalogProduct{{SKU: "CP-2", Name: "another", OrderQuantity: 1, Factory: "FF-2"}},
	})
	r := replenisher(s, nil)
	stop := running(t, r)
	id := s.plan()
	if got := s.next(); got.State != restock.AttemptUnknown {
		t.Fatalf("recorded %s: %s", got.State, got.Error)
	}
	// The placer goes on, and would send it again with the next.
	if err := r.plan(t.Context(), s.product("CP-2").ID); err != nil {
		t.Fatal(err)
	}
	if got := s.next(); got.SKU != "CP-2" || got.State != restock.AttemptAccepted {
		t.Fatalf("recorded %s of %s: %s", got.State, got.SKU, got.Error)
	}
	stop()
	if got := calls.Load(); got != 1 {
		t.Errorf("the factory was called %d times, want 1", got)
	}
	o := s.order(id)
	if o.State != restock.OrderUnknown || len(o.Attempts) != 1 || o.Attempts[0].Tries != 1 || strings.Contains(o.Attempts[0].Error, r.cfg.Keys.sign(id, 1)) {
		t.Errorf("order %+v", o)
	}
}

func TestARefusedConnectionIsTriedAgainUnderTheSameNumber(t *testing.T) {
	t.Parallel()
	// Nobody listens there; a port that was closed may be another's by now.
	s := openStore(t, "http://127.0.0.1:9/", nil)
	running(t, replenisher(s, nil))
	id := s.plan()
	for try := 1; try <= 3; try++ {
		got := s.next()
		if got.State != restock.AttemptNotSent || got.Number != 1 || got.Tries != try || got.OrderID != id {
			t.Errorf("recorded %s of attempt %d, try %d, want not sent of 1, try %d", got.State, got.Number, got.Tries, try)
		}
	}
	if o := s.order(id); len(o.Attempts) != 1 {
		t.Errorf("%d attempts, want 1", len(o.Attempts))
	}
	// Somebody listens now.
	s.apply(restock.Catalog{Factories: []restock.CatalogFactory{{Identifier: factoryID, URL: serve(t, accept)}}})
	for {
		if got := s.next(); got.State == restock.AttemptAccepted {
			if got.Number != 1 {
				t.Errorf("accepted attempt %d, want 1", got.Number)
			}
			break
		}
	}
}

func TestEachAnswerIsRecordedForWhatItIs(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		answer  http.HandlerFunc
		attempt restock.AttemptState
		order   restock.OrderState
	}{
		{"accepted", accept, restock.AttemptAccepted, restock.OrderAccepted},
		{"HTML", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>ok</html>") }, restock.AttemptUnknown, restock.OrderUnknown},
		{"500", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }, restock.AttemptUnknown, restock.OrderUnknown},
		{"503", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusServiceUnavailable)
		}, restock.AttemptUnknown, restock.OrderUnknown},
		{"redirect", func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		}, restock.AttemptUnknown, restock.OrderUnknown},
		{"400", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadRequest) }, restock.AttemptRejected, restock.OrderHeld},
		{"429", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", "3600")
			w.WriteHeader(http.StatusTooManyRequests)
		}, restock.AttemptRejected, restock.OrderPlanned},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var calls atomic.Int64
			s := openStore(t, serve(t, func(w http.ResponseWriter, r *http.Request) { calls.Add(1); c.answer(w, r) }), nil)
			stop := running(t, replenisher(s, nil))
			id := s.plan()
			got := s.next()
			stop()
			if o := s.order(id); got.State != c.attempt || o.State != c.order {
				t.Errorf("attempt %s (%s), order %s; want %s and %s", got.State, got.Error, o.State, c.attempt, c.order)
			}
			if n := calls.Load(); n != 1 {
				t.Errorf("%d calls, want 1", n)
			}
		})
	}
}

func TestTheFactoryIsToldToWaitAsLongAsItAsks(t *testing.T) {
	t.Parallel()
	c := newClock()
	r := replenisher(nil, func(cfg *Config) { cfg.Now = c.now; cfg.Random = func() float64 { return 0.999 } })
	for _, a := range []struct {
		number     int
		retryAfter time.Duration
		most       time.Duration
		least      time.Duration
	}{
		{1, time.Hour, time.Hour, time.Hour},
		{1, 0, time.Second, 900 * time.Millisecond},
		{2, 0, 2 * time.Second, 1900 * time.Millisecond},
		{9, 0, 256 * time.Second, 250 * time.Second},
		{60, 0, backoffMax, 299 * time.Second},
		{9000, time.Second, backoffMax, 299 * time.Second},
	} {
		got := r.answered(restock.Attempt{Number: a.number, Tries: 1},
			restock.Answer{State: restock.AttemptRejected, Status: http.StatusTooManyRequests, RetryAfter: a.retryAfter})
		if wait := got.RetryAt.Sub(c.now()); wait > a.most || wait < a.least || !got.DueAt.IsZero() {
			t.Errorf("attempt %d after %v: again in %v, want %v to %v", a.number, a.retryAfter, wait, a.least, a.most)
		}
	}
	if got := r.answered(restock.Attempt{Number: 1}, restock.Answer{State: restock.AttemptRejected, Status: http.StatusBadRequest}); !got.RetryAt.IsZero() {
		t.Errorf("a refusal is tried again at %v", got.RetryAt)
	}
}

// TestStoppingWaitsForTheCallOnTheWire stops the placer while the factory is
// thinking: the answer is still recorded.
func TestStoppingWaitsForTheCallOnTheWire(t *testing.T) {
	t.Parallel()
	called, release := make(chan struct{}), make(chan struct{})
	s := openStore(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		close(called)
		<-release
		accept(w, r)
	}), nil)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- replenisher(s, nil).RunPlacer(ctx) }()
	id := s.plan()
	<-called
	cancel()
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if o := s.order(id); o.State != restock.OrderAccepted {
		t.Errorf("the order is %s, want accepted", o.State)
	}
}

// placing is a placer that counts how many calls it has at once.
type placing struct {
	mu        sync.Mutex
	now, most int
	wait      func()
}

func (p *placing) Place(context.Context, string, factory.Request) restock.Answer {
	p.mu.Lock()
	p.now++
	p.most = max(p.most, p.now)
	p.mu.Unlock()
	p.wait()
	p.mu.Lock()
	p.now--
	p.mu.Unlock()
	return restock.Answer{State: restock.AttemptAccepted}
}

// endless is a store with n orders, and nothing else.
type endless struct {
	Store
	mu   sync.Mutex
	left int
	done chan struct{}
}

func (e *endless) OrdersReady() <-chan struct{}                   { return nil }
func (e *endless) NextPlacing(context.Context) (time.Time, error) { return time.Time{}, nil }
func (e *endless) ClaimAttempt(context.Context, string, time.Duration) (restock.Attempt, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.left == 0 {
		return restock.Attempt{}, nil
	}
	e.left--
	return restock.Attempt{OrderID: restock.OrderID{byte(e.left + 1)}, Number: 1}, nil
}

func (e *endless) SettleAttempt(context.Context, restock.Attempt, restock.Answered) error {
	e.done <- struct{}{}
	return nil
}

// TestCallsOfOneProcessAreBounded runs on a simulated clock, since a call takes
// a second.
func TestCallsOfOneProcessAreBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const orders, most = 20, 3
		p := &placing{wait: func() { time.Sleep(time.Second) }}
		s := &endless{left: orders, done: make(chan struct{}, orders)}
		r := New(s, p, Config{PublicURL: "https://shop.example", Keys: testKeys(), CallsMax: most})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error, 1)
		start := time.Now()
		go func() { done <- r.RunPlacer(ctx) }()
		for range orders {
			<-s.done
		}
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if p.most != most {
			t.Errorf("%d calls at once, want %d", p.most, most)
		}
		// A place that is free is taken at once, without waiting for a timer.
		if took := time.Since(start); took != 7*time.Second {
			t.Errorf("%d calls of a second, %d at once, took %v", orders, most, took)
		}
	})
}
