package web_test

import (
	"bytes"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

const callersTrace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"

// serve sends one request through the log, without a network.
func serve(h http.HandlerFunc, r *http.Request, cfg web.LogConfig) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	web.Log(h, cfg).ServeHTTP(w, r)
	return w
}

func TestOneLinePerRequest(t *testing.T) {
	t.Parallel()
	var book logBook
	r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/checkout?token=geheim", http.NoBody)
	r.Header.Set("Traceparent", callersTrace)
	r.Header.Set("Authorization", "Bearer geheim")
	times := []time.Time{time.Unix(10, 0), time.Unix(12, 0)}
	now := func() time.Time {
		next := times[0]
		times = times[1:]
		return next
	}
	serve(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "sold out")
	}, r, web.LogConfig{Logger: book.logger(slog.LevelInfo), Now: now})

	if strings.Contains(book.String(), "geheim") {
		t.Errorf("the log has a secret: %s", &book)
	}
	lines := book.lines(t, "request")
	if len(lines) != 1 {
		t.Fatalf("%d lines, want 1", len(lines))
	}
	delete(lines[0], slog.TimeKey)
	want := map[string]any{
		slog.LevelKey: "INFO", slog.MessageKey: "request",
		web.KeyMethod: "POST", web.KeyPath: "/checkout", web.KeyStatus: 409.0, web.KeyBytes: 8.0,
		web.KeyDuration: 2e9, web.KeyRemote: r.RemoteAddr, web.KeyTrace: "4bf92f3577b34da6a3ce929d0e0e4736",
	}
	if diff := cmp.Diff(want, lines[0]); diff != "" {
		t.Errorf("line (-want +got):\n%s", diff)
	}
}

// TestAQueryInThePathIsNotLogged: a query that was percent-encoded on its way,
// once or more often, is a part of the path.
func TestAQueryInThePathIsNotLogged(t *testing.T) {
	t.Parallel()
	for target, want := range map[string]string{
		"/product/donut%3Ftoken%3Dgeheim":         "/product/donut…",
		"/product/donut%3ftoken=geheim":           "/product/donut…",
		"/product/donut%253Ftoken%253Dgeheim":     "/product/donut…",
		"/PRODUCT/DONUT%25253FTOKEN%25253Dgeheim": "/PRODUCT/DONUT…",
		"/product/donut/token%3Dgeheim":           "/product/donut/…",
		"/product/donut/Token%253dgeheim":         "/product/donut/…",
		"/product/token":                          "/product/token",
		"/product/100%25":                         "/product/100%",
	} {
		var book logBook
		logger := book.logger(slog.LevelDebug)
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, target, http.NoBody)
		serve(func(_ http.ResponseWriter, r *http.Request) {
			web.Problem(httptest.NewRecorder(), r, logger, errors.New("no"))
			panic("no")
		}, r, web.LogConfig{Logger: logger})
		if strings.Contains(book.String(), "geheim") {
			t.Errorf("I10 %s: the log has a secret: %s", target, &book)
		}
		for _, message := range []string{"request", "request not served", "panic in a request"} {
			if got := book.lines(t, message)[0][web.KeyPath]; got != want {
				t.Errorf("%s: %q is logged as %q, want %q", target, message, got, want)
			}
		}
	}
}

func TestLevelsOfRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		path   string
		status int
		want   string
	}{
		{"/checkout", http.StatusOK, "INFO"},
		{"/checkout", http.StatusConflict, "INFO"},
		{"/checkout", http.StatusServiceUnavailable, "WARN"},
		{web.LivePath, http.StatusOK, "DEBUG"},
		{web.ReadyPath, http.StatusOK, "DEBUG"},
		{web.ReadyPath, http.StatusServiceUnavailable, "WARN"},
	} {
		var book logBook
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, c.path, http.NoBody)
		serve(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(c.status) }, r,
			web.LogConfig{Logger: book.logger(slog.LevelDebug)})
		if got := book.lines(t, "request")[0][slog.LevelKey]; got != c.want {
			t.Errorf("%s answered %d: level %s, want %s", c.path, c.status, got, c.want)
		}
	}
}

func TestTraceIsTakenOverOrBegun(t *testing.T) {
	t.Parallel()
	fresh := "00-" + strings.Repeat("ab", 16) + "-" + strings.Repeat("ab", 8) + "-00"
	for name, c := range map[string]struct {
		sent []string
		want string
	}{
		"none":          {nil, fresh},
		"valid":         {[]string{callersTrace}, callersTrace},
		"broken":        {[]string{"00-xyz"}, fresh},
		"two of them":   {[]string{callersTrace, callersTrace}, fresh},
		"later version": {[]string{"cc" + callersTrace[2:] + "-more"}, callersTrace},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		r.Header["Traceparent"] = c.sent
		inside := ""
		w := serve(func(_ http.ResponseWriter, r *http.Request) { inside = restock.TraceParent(r.Context()) }, r,
			web.LogConfig{Random: bytes.NewReader(bytes.Repeat([]byte{0xab}, 24))})
		if inside != c.want {
			t.Errorf("%s: trace in the context %q, want %q", name, inside, c.want)
		}
		if got := w.Header().Get("Traceparent"); got != c.want {
			t.Errorf("%s: trace in the answer %q, want %q", name, got, c.want)
		}
	}
}

func TestPanicIs500AndLeavesOtherRequestsAlive(t *testing.T) {
	t.Parallel()
	var book logBook
	waiting, finish := make(chan struct{}), make(chan struct{})
	mux := http.NewServeMux()
	mux.HandleFunc("/panic", func(http.ResponseWriter, *http.Request) { panic("kaputt") })
	mux.HandleFunc("/other", func(w http.ResponseWriter, r *http.Request) {
		close(waiting)
		<-finish
		ok(w, r)
	})
	s := start(t, web.Config{Handler: web.Log(mux, web.LogConfig{Logger: book.logger(slog.LevelInfo)})})
	others := make(chan answer, 1)
	go func() {
		got, err := send(t, newClient(t), http.MethodGet, s.URL()+"/other", nil, http.NoBody)
		if err != nil {
			t.Error(err)
		}
		others <- got
	}()
	<-waiting

	got := get(t, s.URL()+"/panic?token=geheim")
	close(finish)
	if got.status != http.StatusInternalServerError || strings.Contains(got.body, "kaputt") {
		t.Errorf("answer %d %s, want 500 without the cause", got.status, got.body)
	}
	if other := (<-others).status; other != http.StatusOK {
		t.Errorf("the other request: status %d, want 200", other)
	}
	lines := book.lines(t, "panic in a request")
	if len(lines) != 1 || lines[0][web.KeyError] != "kaputt" || lines[0][web.KeyStack] == "" {
		t.Errorf("lines about the panic: %v, want one with cause and stack", lines)
	}
	if strings.Contains(book.String(), "geheim") {
		t.Errorf("the log has the query: %s", &book)
	}
}

func TestPanicInMidAnswerDropsTheConnection(t *testing.T) {
	t.Parallel()
	h := web.Log(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if err := http.NewResponseController(w).Flush(); err != nil {
			t.Error(err)
		}
		panic("kaputt")
	}), web.LogConfig{})
	// Two in a row on one connection allowed: a panic also gives its place back.
	s := start(t, web.Config{Handler: h, ConnectionsMax: 1})
	for range 2 {
		_, err := send(t, newClient(t), http.MethodGet, s.URL(), nil, http.NoBody)
		if !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("reading half an answer: %v, want an unexpected EOF", err)
		}
	}
}

// TestARequestThatBelongsToAnOlderStoryIsLoggedUnderIt: the report of a factory
// belongs to the purchase that its order came of, whatever trace it came with.
func TestARequestThatBelongsToAnOlderStoryIsLoggedUnderIt(t *testing.T) {
	t.Parallel()
	const story = "00-0000000000000000000000000000000a-00000000000000aa-00"
	for name, c := range map[string]struct{ followed, trace, own string }{
		"another": {story, "0000000000000000000000000000000a", "4bf92f3577b34da6a3ce929d0e0e4736"},
		"its own": {callersTrace, "4bf92f3577b34da6a3ce929d0e0e4736", ""},
		"none":    {"", "4bf92f3577b34da6a3ce929d0e0e4736", ""},
		"no such": {"x", "4bf92f3577b34da6a3ce929d0e0e4736", ""},
	} {
		var book logBook
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/product/donut", http.NoBody)
		r.Header.Set("Traceparent", callersTrace)
		var inside string
		w := serve(func(_ http.ResponseWriter, r *http.Request) {
			inside = restock.TraceParent(web.Follow(r.Context(), c.followed))
		}, r, web.LogConfig{Logger: book.logger(slog.LevelInfo)})
		line := book.lines(t, "request")[0]
		own, _ := line[web.KeyRequestTrace].(string)
		if line[web.KeyTrace] != c.trace || own != c.own {
			t.Errorf("%s: the line tells %v and %q, want %s and %q", name, line[web.KeyTrace], own, c.trace, c.own)
		}
		if restock.TraceID(inside) != c.trace || w.Header().Get("Traceparent") != callersTrace {
			t.Errorf("%s: inside it is %q, and the answer has %q", name, inside, w.Header().Get("Traceparent"))
		}
	}
}

func TestEachAnswerIsObserved(t *testing.T) {
	t.Parallel()
	var seen []int
	for _, answer := range []http.HandlerFunc{
		func(http.ResponseWriter, *http.Request) {},
		func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusConflict) },
		func(http.ResponseWriter, *http.Request) { panic("a fault") },
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		serve(answer, r, web.LogConfig{Observe: func(status int) { seen = append(seen, status) }})
	}
	if diff := cmp.Diff([]int{200, 409, 500}, seen); diff != "" {
		t.Errorf("observed (-want +got):\n%s", diff)
	}
}
