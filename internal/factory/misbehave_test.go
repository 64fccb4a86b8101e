package factory_test

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
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

// only has every order treated in one way.
func only(m factory.Misbehaviour) func(factory.Job) factory.Misbehaviour {
	return func(factory.Job) factory.Misbehaviour { return m }
}

// recorder notes every callback as "when path?query product count", the body
// instead when it is the order's own.
type recorder struct {
	mu    sync.Mutex
	start time.Time
	order string
	calls []string
}

func (r *recorder) RoundTrip(request *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	what := "as ordered"
	if string(body) != r.order {
		report := factory.ParseCallback(body)
		what = report.ProductID + " × " + report.Claimed
		if report.CallbackURL != factory.ParseCallback([]byte(r.order)).CallbackURL || report.Requester != "김재고" {
			what += ", more was changed than that"
		}
	}
	r.calls = append(r.calls, fmt.Sprintf("%v %s %s", time.Since(r.start), request.URL.RequestURI(), what))
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
}

func orderOf(count int) string {
	return fmt.Sprintf(`{"MessageAttributeProductId":"CP-502101","MessageAttributeProductCnt":"%d",`+
		`"MessageAttributeRequester":"김재고","CallbackUrl":"http://127.0.0.1/product/donut?token=%s"}`, count, mark)
}

func TestEachMisbehaviourCallsBackInItsWay(t *testing.T) {
	t.Parallel()
	const address = "/product/donut?token=" + mark
	for _, test := range []struct {
		misbehaviour factory.Misbehaviour
		count        int
		calls        []string
	}{
		{factory.WellBehaved, 10, []string{"40s " + address + " as ordered"}},
		{factory.Silent, 10, nil},
		{factory.Amnesia, 10, nil},
		{factory.Busy, 10, nil},
		{factory.Refuse, 10, nil},
		{factory.Redirect, 10, nil},
		{factory.HTML, 10, []string{"40s " + address + " as ordered"}},
		{factory.Accept5xx, 10, []string{"40s " + address + " as ordered"}},
		{factory.Late, 10, []string{"41m40s " + address + " as ordered"}},
		{factory.Double, 10, []string{"40s " + address + " as ordered", "47s " + address + " as ordered"}},
		{factory.Partial, 10, []string{
			"40s " + address + " CP-502101 × 1", "47s " + address + " CP-502101 × 2", "54s " + address + " CP-502101 × 7",
		}},
		{factory.Partial, 4, []string{"40s " + address + " CP-502101 × 1", "47s " + address + " CP-502101 × 3"}},
		{factory.Partial, 2, []string{"40s " + address + " CP-502101 × 2"}},
		{factory.EqualPartials, 10, []string{"40s " + address + " CP-502101 × 5", "47s " + address + " CP-502101 × 5"}},
		{factory.EqualPartials, 5, []string{
			"40s " + address + " CP-502101 × 2", "47s " + address + " CP-502101 × 2", "54s " + address + " CP-502101 × 1",
		}},
		{factory.Excess, 10, []string{"40s " + address + " CP-502101 × 20"}},
		{factory.WrongProduct, 10, []string{"40s " + address + " CP-502101-OTHER × 10"}},
		{factory.UnreadableCount, 10, []string{"40s " + address + " CP-502101 × a few"}},
		{factory.HTML + "+" + factory.Excess, 10, []string{"40s " + address + " CP-502101 × 20"}},
		{factory.Excess + "+" + factory.Accept5xx, 10, []string{"40s " + address + " CP-502101 × 20"}},
		{factory.Mangled, 10, []string{"40s /product/donut?token=" + mark[:len(mark)-10] + " as ordered"}},
		{factory.MangledCase, 10, []string{"40s /product/DONUT?TOKEN=" + strings.ToUpper(mark) + " as ordered"}},
		{factory.MangledEncoded, 10, []string{"40s /product/donut%3Ftoken=" + mark + " as ordered"}},
	} {
		t.Run(fmt.Sprintf("%s of %d", test.misbehaviour, test.count), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				seen := &recorder{start: time.Now(), order: orderOf(test.count)}
				simulator := factory.NewSimulator(factory.SimulatorConfig{
					Transport: seen, Misbehave: only(test.misbehaviour),
					Pace: factory.Pace{Late: 41 * time.Minute, Gap: 7 * time.Second},
				})
				start(t, simulator)
				post(simulator, seen.order)
				time.Sleep(24 * time.Hour)
				synctest.Wait()
				if diff := cmp.Diff(seen.calls, test.calls); diff != "" {
					t.Errorf("calls (-got +want):\n%s", diff)
				}
				if got := counts(t, simulator); got.Running != 0 {
					t.Errorf("%d jobs are running after a day", got.Running)
				}
			})
		})
	}
}

// Both parts of equal partials are one body, or they would not be told from a repeat.
func TestEqualPartialsAreByteIdentical(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var bodies []string // written by one goroutine
		simulator := factory.NewSimulator(factory.SimulatorConfig{
			Misbehave: only(factory.EqualPartials),
			Transport: carrier(func(r *http.Request) (*http.Response, error) {
				body, err := io.ReadAll(r.Body)
				bodies = append(bodies, string(body))
				return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, err
			}),
		})
		start(t, simulator)
		post(simulator, orderOf(8))
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(bodies) != 2 || bodies[0] != bodies[1] {
			t.Errorf("got %q, want two equal bodies", bodies)
		}
	})
}

func TestARestartForgetsWhatIsAtWorkAndNothingLater(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		choose, err := factory.NewMisbehaviours([]string{"good", "amnesia", "good"}, 0)
		if err != nil {
			t.Fatal(err)
		}
		simulator := factory.NewSimulator(factory.SimulatorConfig{Transport: counting(&calls), Misbehave: choose})
		start(t, simulator)
		for range 2 {
			if answer := post(simulator, orderOf(3)); answer.Code != http.StatusCreated {
				t.Errorf("got %d, want 201", answer.Code)
			}
			synctest.Wait()
		}
		if got := counts(t, simulator); got != (jobCounts{}) {
			t.Errorf("got %+v after the restart, want nothing", got)
		}
		post(simulator, orderOf(3))
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := calls.Load(); got != 1 {
			t.Errorf("got %d calls, want only that of the order after the restart", got)
		}
	})
}

func TestEachMisbehaviourAnswersInItsWay(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		misbehaviour factory.Misbehaviour
		state        restock.AttemptState
		status       int
		retryAfter   time.Duration
		accepts      bool
	}{
		{factory.WellBehaved, restock.AttemptAccepted, http.StatusCreated, 0, true},
		{factory.Silent, restock.AttemptAccepted, http.StatusCreated, 0, false},
		{factory.Slow, restock.AttemptAccepted, http.StatusCreated, 0, true},
		{factory.Drip, restock.AttemptUnknown, http.StatusCreated, 0, true},
		{factory.AcceptHang, restock.AttemptUnknown, 0, 0, true},
		{factory.AcceptReset, restock.AttemptUnknown, 0, 0, true},
		{factory.Accept5xx, restock.AttemptUnknown, http.StatusInternalServerError, 0, true},
		{factory.Busy, restock.AttemptRejected, http.StatusTooManyRequests, 2 * time.Second, false},
		{factory.Refuse, restock.AttemptRejected, http.StatusBadRequest, 0, false},
		{factory.HTML, restock.AttemptUnknown, http.StatusOK, 0, true},
		{factory.Excess + "+" + factory.AcceptReset, restock.AttemptUnknown, 0, 0, true},
		{factory.Amnesia + "+" + factory.Accept5xx, restock.AttemptUnknown, http.StatusInternalServerError, 0, false},
		{factory.Redirect, restock.AttemptUnknown, http.StatusTemporaryRedirect, 0, false},
		{factory.Amnesia, restock.AttemptAccepted, http.StatusCreated, 0, false},
	} {
		t.Run(string(test.misbehaviour), func(t *testing.T) {
			t.Parallel()
			limit := patient
			if m := test.misbehaviour; m == factory.AcceptHang || m == factory.Drip {
				limit = 200 * time.Millisecond // the rest of the answer never comes
			}
			var b *badFactory
			var answer restock.Answer
			inTime(t, limit, func(limit time.Duration) bool {
				b = newBadFactory(t, test.misbehaviour, limit)
				answer = b.client.Place(t.Context(), b.url, order())
				return limit == patient || b.accepted.Load() && answer.Status == test.status
			})
			if answer.State != test.state || answer.Status != test.status || answer.RetryAfter != test.retryAfter {
				t.Errorf("got %+v, want %s with status %d and %v", answer, test.state, test.status, test.retryAfter)
			}
			if test.accepts {
				if got := <-b.calls; got.job.Misbehaviour != test.misbehaviour {
					t.Errorf("called back for %q, want %q", got.job.Misbehaviour, test.misbehaviour)
				}
			}
			if got := b.posts.Load(); got != 1 {
				t.Errorf("the factory saw %d POSTs, want 1", got)
			}
		})
	}
}

// badFactory is a misbehaving simulator on a real port, and a client with
// little patience.
type badFactory struct {
	client *factory.Client
	url    string
	posts  atomic.Int64
	calls  chan called

	accepted atomic.Bool
}

func newBadFactory(t *testing.T, m factory.Misbehaviour, patience time.Duration) *badFactory {
	t.Helper()
	b := &badFactory{calls: make(chan called, 10)}
	b.client = factory.NewClient(factory.Config{DialTimeout: patience, TotalTimeout: patience})
	simulator := factory.NewSimulator(factory.SimulatorConfig{
		LeadTime: time.Nanosecond, Misbehave: only(m),
		Pace:       factory.Pace{Slow: time.Nanosecond, Drip: time.Hour, Gap: time.Nanosecond, RetryAfter: 1001 * time.Millisecond, Hang: time.Hour},
		Transport:  counting(new(atomic.Int64)),
		OnAccept:   func(factory.Job) { b.accepted.Store(true) },
		OnCallback: func(job factory.Job, status int, err error) { b.calls <- called{job, status, err} },
	})
	start(t, simulator)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b.posts.Add(1)
		simulator.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	b.url = server.URL + "/api/manufactures"
	return b
}

func TestThe5xxTakeTurns(t *testing.T) {
	t.Parallel()
	simulator := factory.NewSimulator(factory.SimulatorConfig{Misbehave: only(factory.Accept5xx)})
	var got []int
	for range 4 {
		got = append(got, post(simulator, orderOf(3)).Code)
	}
	if diff := cmp.Diff(got, []int{500, 502, 504, 500}); diff != "" {
		t.Errorf("statuses (-got +want):\n%s", diff)
	}
}

// A body of which nothing can be changed is called back as it came.
func TestMisbehavioursTakeAnyBody(t *testing.T) {
	t.Parallel()
	for _, m := range factory.Misbehaviours() {
		if m == factory.AcceptHang || m == factory.AcceptReset || m == factory.Slow || m == factory.Drip {
			continue // they are about the connection, whatever the body
		}
		simulator := factory.NewSimulator(factory.SimulatorConfig{Misbehave: only(m), LeadTime: time.Nanosecond})
		start(t, simulator)
		for _, body := range []string{`{}`, `[1]`, `null`, `{"CallbackUrl":"x","CallbackUrl":"/"}`, `{"MessageAttributeProductCnt":"-1"}`} {
			if answer := post(simulator, body); answer.Code == http.StatusNotFound {
				t.Errorf("%s of %s: got %d", m, body, answer.Code)
			}
		}
	}
}

func TestMisbehavioursAreTakenInTurnOrAtRandomFromTheSeed(t *testing.T) {
	t.Parallel()
	take := func(seed uint64, n int, choices ...string) []factory.Misbehaviour {
		choose, err := factory.NewMisbehaviours(choices, seed)
		if err != nil {
			t.Fatal(err)
		}
		var taken []factory.Misbehaviour
		for range n {
			taken = append(taken, choose(factory.Job{}))
		}
		return taken
	}
	if diff := cmp.Diff(take(1, 3, "silent", " double"), []factory.Misbehaviour{factory.Silent, factory.Double, factory.Silent}); diff != "" {
		t.Errorf("in turn (-got +want):\n%s", diff)
	}
	if diff := cmp.Diff(take(1, 2), []factory.Misbehaviour{factory.WellBehaved, factory.WellBehaved}); diff != "" {
		t.Errorf("none (-got +want):\n%s", diff)
	}
	const draws = 1000
	got := take(7, draws, "good=9", "silent")
	if !slices.Equal(got, take(7, draws, "good=9", "silent")) {
		t.Error("the same seed gave another sequence")
	}
	if slices.Equal(got, take(8, draws, "good=9", "silent")) {
		t.Error("another seed gave the same sequence")
	}
	silent := 0
	for _, m := range got {
		if m == factory.Silent {
			silent++
		}
	}
	if silent < draws/20 || silent > draws/5 {
		t.Errorf("%d of %d were silent, want about a tenth", silent, draws)
	}
}

func TestAnUnknownMisbehaviourIsRefusedWithAllNames(t *testing.T) {
	t.Parallel()
	_, err := factory.NewMisbehaviours([]string{"silent", "sulk"}, 0)
	if err == nil || !strings.Contains(err.Error(), `"sulk"`) {
		t.Fatalf("got %v, want a complaint about sulk", err)
	}
	for _, m := range factory.Misbehaviours() {
		if !strings.Contains(err.Error(), string(m)) {
			t.Errorf("the complaint does not name %s: %v", m, err)
		}
		if m.Meaning() == "" {
			t.Errorf("%s means nothing", m)
		}
	}
	for _, choice := range []string{"silent+double", "drip+slow", "busy+double", "busy+slow", "double+", "silent+sulk", "silent=0", "silent=-1", "silent=x", "silent=", "silent=99999999", "", "=3"} {
		if _, err := factory.NewMisbehaviours([]string{choice}, 0); err == nil {
			t.Errorf("%q was taken", choice)
		}
	}
}
