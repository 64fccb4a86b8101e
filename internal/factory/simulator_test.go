package factory_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// called is one callback as the receiving side or the hook saw it.
type called struct {
	job    factory.Job
	status int
	err    error
}

// start runs a simulator until the test ends.
func start(t *testing.T, simulator *factory.Simulator) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	stopped := make(chan error, 1)
	go func() { stopped <- simulator.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-stopped; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
}

func post(simulator http.Handler, body string) *httptest.ResponseRecorder {
	answer := httptest.NewRecorder()
	simulator.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodPost, "/api/manufactures", strings.NewReader(body)))
	return answer
}

func orderTo(callbackURL string) string {
	return `{ "MessageAttributeProductId":"CP-502101", "MessageAttributeProductCnt":3,` +
		`"MessageAttributeRequester":"김재고", "extra":{"b":1,"a":2},` + "\n" + `"CallbackUrl":"` + callbackURL + `"}`
}

func TestSimulatorAnswersAsTheRealFactory(t *testing.T) {
	t.Parallel()
	simulator := factory.NewSimulator(factory.SimulatorConfig{NewID: func() string { return "5b0c" }})
	answer := post(simulator, `{"MessageAttributeRequester":"김재고","CallbackUrl":"nonsense"}`)
	want := `{"data":{"id":"5b0c","reqestor":"김재고","data":{"MessageAttributeRequester":"김재고","CallbackUrl":"nonsense"}}}` + "\n"
	if diff := cmp.Diff(answer.Body.String(), want); answer.Code != http.StatusCreated || diff != "" {
		t.Errorf("status %d, body (-got +want):\n%s", answer.Code, diff)
	}
}

func TestSimulatorEchoesTheBytesOnce(t *testing.T) {
	t.Parallel()
	type received struct{ body, contentType string }
	arrivals := make(chan received, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		arrivals <- received{string(body), r.Header.Get("Content-Type")}
		w.WriteHeader(http.StatusInternalServerError) // it does not care
	}))
	t.Cleanup(receiver.Close)
	calls := make(chan called, 10)
	simulator := factory.NewSimulator(factory.SimulatorConfig{
		LeadTime:   time.Millisecond,
		OnCallback: func(job factory.Job, status int, err error) { calls <- called{job, status, err} },
	})
	start(t, simulator)

	body := orderTo(receiver.URL + "/product/donut?token=abc")
	post(simulator, body)
	got := <-calls
	if got.status != http.StatusInternalServerError || got.err != nil {
		t.Errorf("got status %d, error %v", got.status, got.err)
	}
	if diff := cmp.Diff(<-arrivals, received{body, "application/json"}, cmp.AllowUnexported(received{})); diff != "" {
		t.Errorf("callback (-got +want):\n%s", diff)
	}
	post(simulator, body) // when this one is done, a second call of the first would be seen
	<-calls
	<-arrivals
	if len(arrivals) != 0 || len(calls) != 0 {
		t.Error("an order was called back twice")
	}
}

func TestSimulatorAndClientUnderstandEachOther(t *testing.T) {
	t.Parallel()
	accepted := make(chan factory.Job, 1)
	simulator := factory.NewSimulator(factory.SimulatorConfig{OnAccept: func(job factory.Job) { accepted <- job }})
	server := httptest.NewServer(simulator)
	t.Cleanup(server.Close)

	answer := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.URL+"/api/manufactures", order())
	job := <-accepted
	if answer.State != restock.AttemptAccepted || answer.FactoryRef != job.ID {
		t.Errorf("got %+v for job %s", answer, job.ID)
	}
	want := factory.Report{
		ProductID: "CP-502101", FactoryID: "FF-500293", Requester: "김재고",
		CallbackURL: order().CallbackURL, Count: 3, Claimed: "3",
	}
	if diff := cmp.Diff(job.Report, want); diff != "" {
		t.Errorf("report (-got +want):\n%s", diff)
	}
}

// carrier stands for the network inside a synctest bubble.
type carrier func(*http.Request) (*http.Response, error)

func (c carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c(r) }

// counting answers 200 to every callback.
func counting(calls *atomic.Int64) carrier {
	return func(*http.Request) (*http.Response, error) {
		calls.Add(1)
		return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody}, nil
	}
}

func TestSimulatorCallsBackAfterTheLeadTime(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		simulator := factory.NewSimulator(factory.SimulatorConfig{Transport: counting(&calls)})
		post(simulator, orderTo("http://127.0.0.1/")) // before Run; its time passes
		time.Sleep(factory.SimulatorLeadTime / 2)
		start(t, simulator)
		post(simulator, orderTo("http://127.0.0.1/"))

		for _, step := range []struct {
			after time.Duration
			calls int64
		}{
			{factory.SimulatorLeadTime/2 - 1, 0},
			{1, 1},
			{factory.SimulatorLeadTime/2 - 1, 1},
			{1, 2},
			{24 * time.Hour, 2},
		} {
			time.Sleep(step.after)
			synctest.Wait()
			if got := calls.Load(); got != step.calls {
				t.Errorf("after another %v: got %d calls, want %d", step.after, got, step.calls)
			}
		}
	})
}

func TestSimulatorForgetsItsJobsWhenItStops(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		simulator := factory.NewSimulator(factory.SimulatorConfig{Transport: counting(&calls)})
		ctx, cancel := context.WithCancel(t.Context())
		stopped := make(chan error, 1)
		go func() { stopped <- simulator.Run(ctx) }()
		post(simulator, orderTo("http://127.0.0.1/"))
		synctest.Wait()
		cancel()
		if err := <-stopped; err != nil {
			t.Fatalf("Run: %v", err)
		}
		if got := counts(t, simulator); got != (jobCounts{}) {
			t.Errorf("got %+v after the end, want nothing", got)
		}

		start(t, simulator)
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := calls.Load(); got != 0 {
			t.Errorf("got %d calls after a restart, want none", got)
		}
	})
}

func TestSimulatorBoundsItsJobs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		simulator := factory.NewSimulator(factory.SimulatorConfig{JobsMax: 2, CallbacksMax: 1, Transport: counting(&calls)})
		start(t, simulator)
		for i, want := range []int{http.StatusCreated, http.StatusCreated, http.StatusServiceUnavailable} {
			if got := post(simulator, orderTo("http://127.0.0.1/")); got.Code != want {
				t.Errorf("order %d: got %d, want %d", i, got.Code, want)
			}
		}
		if got, want := counts(t, simulator), (jobCounts{Running: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		time.Sleep(factory.SimulatorLeadTime)
		synctest.Wait()
		if got, want := counts(t, simulator), (jobCounts{Done: 2}); got != want {
			t.Errorf("got %+v, want %+v", got, want)
		}
		if got := post(simulator, orderTo("http://127.0.0.1/")); got.Code != http.StatusCreated {
			t.Errorf("after the jobs were done: got %d, want 201", got.Code)
		}
	})
}

type jobCounts struct {
	Running int64 `json:"running"`
	Done    int64 `json:"done"`
}

func counts(t *testing.T, simulator http.Handler) jobCounts {
	t.Helper()
	answer := httptest.NewRecorder()
	simulator.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/", nil))
	var got jobCounts
	if err := json.Unmarshal(answer.Body.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	return got
}

func TestSimulatorCallsOnlyAllowedNetworks(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(receiver.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(receiver.URL, "http://"), ":")
	elsewhere := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}

	for _, test := range []struct {
		url  string
		nets []netip.Prefix
	}{
		{receiver.URL, elsewhere},
		{"http://localhost:" + port, elsewhere}, // the check is after the resolver
		{"http://0.0.0.0:" + port, nil},
		{"http://:" + port, nil},
		{"http://192.0.2.1/", nil},
		{"http://[::ffff:192.0.2.1]/", nil},
		{"http://169.254.169.254/latest/meta-data", nil},
		{"file:///etc/passwd", nil},
		{"unix:///run/some.socket", nil},
		{"", nil},
	} {
		calls := make(chan called, 1)
		simulator := factory.NewSimulator(factory.SimulatorConfig{
			LeadTime: time.Nanosecond, CallbackNets: test.nets,
			OnCallback: func(job factory.Job, status int, err error) { calls <- called{job, status, err} },
		})
		start(t, simulator)
		post(simulator, orderTo(test.url))
		if got := <-calls; got.err == nil || got.status != 0 {
			t.Errorf("%q: got status %d, want an error", test.url, got.status)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the receiver was reached %d times", n)
	}
}

func TestSimulatorDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	statuses := []int{301, 302, 303, 307, 308}
	for _, status := range statuses {
		mux.Handle(fmt.Sprintf("/%d", status), http.RedirectHandler("/elsewhere", status))
	}
	receiver := httptest.NewServer(mux)
	t.Cleanup(receiver.Close)
	calls := make(chan called, 1)
	simulator := factory.NewSimulator(factory.SimulatorConfig{
		LeadTime:   time.Nanosecond,
		OnCallback: func(job factory.Job, status int, err error) { calls <- called{job, status, err} },
	})
	start(t, simulator)
	for _, status := range statuses {
		post(simulator, orderTo(fmt.Sprintf("%s/%d", receiver.URL, status)))
		if got := <-calls; got.status != status || followed.Load() != 0 {
			t.Errorf("%d: got status %d, %d redirects followed", status, got.status, followed.Load())
		}
	}
}

func TestSimulatorLogsOneLineEachAndNoToken(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var calls atomic.Int64
		var log bytes.Buffer // written by one goroutine after another, as the bubble orders them
		simulator := factory.NewSimulator(factory.SimulatorConfig{
			Transport: counting(&calls), Logger: slog.New(slog.NewTextHandler(&log, nil)),
		})
		start(t, simulator)
		post(simulator, orderTo("http://127.0.0.1/product/donut?token="+mark))
		time.Sleep(factory.SimulatorLeadTime)
		synctest.Wait()
		lines := strings.Split(strings.TrimSpace(log.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], `msg="order accepted"`) || !strings.Contains(lines[1], `msg="called back"`) {
			t.Errorf("got log:\n%s", log.String())
		}
		if strings.Contains(log.String(), mark) {
			t.Errorf("the log shows the token:\n%s", log.String())
		}
	})
}

func TestSimulatorRefusesOnlyWhatItCannotTake(t *testing.T) {
	t.Parallel()
	simulator := factory.NewSimulator(factory.SimulatorConfig{})
	for _, test := range []struct {
		method, path, body string
		status             int
	}{
		{http.MethodPost, "/api/manufactures", `{}`, http.StatusCreated},
		{http.MethodPost, "/api/manufactures", `[1]`, http.StatusCreated},
		{http.MethodPost, "/api/manufactures", `{"MessageAttributeProductCnt":"-1e9"}`, http.StatusCreated},
		{http.MethodPost, "/api/manufactures", `{`, http.StatusBadRequest},
		{http.MethodPost, "/api/manufactures", strings.Repeat(" ", factory.SimulatorBodyBytesMax) + "{}", http.StatusRequestEntityTooLarge},
		{http.MethodGet, "/api/manufactures", "", http.StatusNotFound},
		{http.MethodPost, "/", "{}", http.StatusNotFound},
		{http.MethodGet, "/elsewhere", "", http.StatusNotFound},
	} {
		answer := httptest.NewRecorder()
		simulator.ServeHTTP(answer, httptest.NewRequestWithContext(context.Background(), test.method, test.path, strings.NewReader(test.body)))
		if answer.Code != test.status || !json.Valid(answer.Body.Bytes()) {
			t.Errorf("%s %s %.40s: got %d %s, want %d", test.method, test.path, test.body, answer.Code, answer.Body, test.status)
		}
	}
}
