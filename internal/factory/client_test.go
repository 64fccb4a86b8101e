package factory_test

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// mark stands for a callback's token, which nobody may be shown.
const mark = "aeaqcmjq2lx7"

func order() factory.Request {
	return factory.Request{
		ProductID: "CP-502101", Count: 3, FactoryID: "FF-500293", Requester: "김재고",
		CallbackURL: "https://shop.example/product/donut?token=" + mark,
	}
}

// patient is a limit that no test comes to, however slow the machine is.
const patient = time.Hour

// patiently gives a client's configuration with such limits.
func patiently(c factory.Config) factory.Config {
	c.DialTimeout, c.TLSTimeout, c.TotalTimeout = patient, patient, patient
	return c
}

// rawFactory is a server below HTTP: it reads each request whole, then lets
// answer do anything to the connection, and closes it.
type rawFactory struct {
	url         string
	connections atomic.Int64
	requests    atomic.Int64
}

func newRawFactory(t *testing.T, answer func(net.Conn)) *rawFactory {
	t.Helper()
	listener := listen(t)
	raw := &rawFactory{url: "http://" + listener.Addr().String() + "/api/manufactures"}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			raw.connections.Add(1)
			serving.Go(func() { raw.serve(conn, answer) })
		}
	})
	return raw
}

func (f *rawFactory) serve(conn net.Conn, answer func(net.Conn)) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if _, err := io.Copy(io.Discard, request.Body); err != nil {
			return
		}
		f.requests.Add(1)
		answer(conn)
	}
}

func listen(t *testing.T) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// says answers with the bytes and ends the connection.
func says(bytes string) func(net.Conn) {
	return func(conn net.Conn) {
		_, _ = io.WriteString(conn, bytes)
		_ = conn.Close()
	}
}

func resets(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0) // closing sends a reset
	}
	_ = conn.Close()
}

// drips sends an answer that never ends, byte by byte.
func drips(conn net.Conn) {
	_, err := io.WriteString(conn, "HTTP/1.1 201 Created\r\nContent-Length: 100000\r\n\r\n")
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for err == nil {
		<-ticker.C
		_, err = io.WriteString(conn, " ")
	}
}

func TestPlaceWritesTheOrderOnceAndReadsTheAcceptance(t *testing.T) {
	t.Parallel()
	requests := make(chan *http.Request, 2)
	bodies := make(chan []byte, 2)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		requests <- r
		bodies <- body
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"data":{"id":"5b0c","reqestor":"김재고","data":{}}}`)
	}))
	t.Cleanup(server.Close)

	got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.URL+"/api/manufactures", order())
	want := restock.Answer{State: restock.AttemptAccepted, Status: http.StatusCreated, FactoryRef: "5b0c"}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("answer (-got +want):\n%s", diff)
	}
	request := <-requests
	if request.Method != http.MethodPost || request.URL.Path != "/api/manufactures" || request.ProtoMajor != 1 ||
		request.Header.Get("Content-Type") != "application/json" || request.Header.Get("Idempotency-Key") != "" {
		t.Errorf("got %s %s %s %v", request.Method, request.URL, request.Proto, request.Header)
	}
	if want := strings.ReplaceAll(callbackBody, "token=abc", "token="+mark); string(<-bodies) != want {
		t.Errorf("the body differs from %s", want)
	}
	if len(requests) != 0 {
		t.Error("the order was written twice")
	}
}

func TestPlaceJudgesAnswers(t *testing.T) {
	t.Parallel()
	const okBody = `{"data":{"id":"5b0c"}}`
	for _, test := range []struct {
		name, answer string
		state        restock.AttemptState
		status       int
	}{
		{"created", http11("201 Created", okBody), restock.AttemptAccepted, 201},
		{"plain 200", http11("200 OK", okBody), restock.AttemptAccepted, 200},
		{"number as id", http11("200 OK", `{"data":{"id":17}}`), restock.AttemptAccepted, 200},
		{"body to the end of the connection", "HTTP/1.0 201 Created\r\n\r\n" + okBody, restock.AttemptAccepted, 201},
		{"html with 200", http11("200 OK", "<html>maintenance</html>"), restock.AttemptUnknown, 200},
		{"empty 201", http11("201 Created", ""), restock.AttemptUnknown, 201},
		{"201 without id", http11("201 Created", `{"data":{}}`), restock.AttemptUnknown, 201},
		{"201 with empty id", http11("201 Created", `{"data":{"id":""}}`), restock.AttemptUnknown, 201},
		{"201 with an object as id", http11("201 Created", `{"data":{"id":{}}}`), restock.AttemptUnknown, 201},
		{"201 with null", http11("201 Created", `null`), restock.AttemptUnknown, 201},
		{"201 with more after the object", http11("201 Created", okBody+"x"), restock.AttemptUnknown, 201},
		{
			"201 truncated", "HTTP/1.1 201 Created\r\nContent-Length: 500\r\n\r\n" + okBody,
			restock.AttemptUnknown, 201,
		},
		{
			"201 truncated chunk", "HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n16\r\n" + okBody + "\r\n",
			restock.AttemptUnknown, 201,
		},
		{"204", "HTTP/1.1 204 No Content\r\n\r\n", restock.AttemptUnknown, 204},
		{"304", "HTTP/1.1 304 Not Modified\r\n\r\n", restock.AttemptUnknown, 304},
		{"400", http11("400 Bad Request", "no"), restock.AttemptRejected, 400},
		{"404", http11("404 Not Found", "<html>"), restock.AttemptRejected, 404},
		{"408", http11("408 Request Timeout", "slow"), restock.AttemptUnknown, 408},
		{"425", http11("425 Too Early", "early"), restock.AttemptUnknown, 425},
		{"429", http11("429 Too Many Requests", ""), restock.AttemptRejected, 429},
		{
			"400 truncated", "HTTP/1.1 400 Bad Request\r\nContent-Length: 500\r\n\r\nno",
			restock.AttemptUnknown, 400,
		},
		{"500", http11("500 Internal Server Error", okBody), restock.AttemptUnknown, 500},
		{"502 of a gateway", http11("502 Bad Gateway", "<html>"), restock.AttemptUnknown, 502},
		{"504 of a gateway", http11("504 Gateway Timeout", "<html>"), restock.AttemptUnknown, 504},
		{"503", http11("503 Service Unavailable", ""), restock.AttemptUnknown, 503},
		{"not HTTP", "SSH-2.0-OpenSSH\r\n", restock.AttemptUnknown, 0},
		{"half a header", "HTTP/1.1 201 Cre", restock.AttemptUnknown, 0},
		{"nothing", "", restock.AttemptUnknown, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			server := newRawFactory(t, says(test.answer))
			got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.url, order())
			if got.State != test.state || got.Status != test.status {
				t.Errorf("got %+v, want %s with status %d", got, test.state, test.status)
			}
			if (got.Error == "") != (test.state == restock.AttemptAccepted) {
				t.Errorf("got error %q for %s", got.Error, got.State)
			}
			if n := server.requests.Load(); n != 1 {
				t.Errorf("the factory got %d requests, want 1", n)
			}
		})
	}
}

func http11(status, body string) string {
	return fmt.Sprintf("HTTP/1.1 %s\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
}

func TestPlaceAfterAResetIsUnknownAndNotRepeated(t *testing.T) {
	t.Parallel()
	server := newRawFactory(t, resets)
	got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.url, order())
	if got.State != restock.AttemptUnknown {
		t.Errorf("got %+v, want unknown", got)
	}
	if connections, requests := server.connections.Load(), server.requests.Load(); connections != 1 || requests != 1 {
		t.Errorf("the factory got %d requests on %d connections, want 1 on 1", requests, connections)
	}
}

func TestPlaceNeverReusesAConnection(t *testing.T) {
	t.Parallel()
	server := newRawFactory(t, func(conn net.Conn) { // and offers to keep it
		_, _ = io.WriteString(conn, http11("201 Created", `{"data":{"id":"5b0c"}}`))
	})
	client := factory.NewClient(patiently(factory.Config{}))
	for range 3 {
		if got := client.Place(t.Context(), server.url, order()); got.State != restock.AttemptAccepted {
			t.Fatalf("got %+v, want accepted", got)
		}
	}
	if n := server.connections.Load(); n != 3 {
		t.Errorf("three orders on %d connections, want 3", n)
	}
}

// TestPlaceWritesAnOrderOnceThoughItsConnectionCloses has a factory that keeps
// its connection and closes it when the next order is there, without a word.
// Go's client sends a POST again then, on another connection, if it may believe
// that this is harmless.
func TestPlaceWritesAnOrderOnceThoughItsConnectionCloses(t *testing.T) {
	t.Parallel()
	var answered atomic.Int64
	server := newRawFactory(t, func(conn net.Conn) {
		n := answered.Add(1)
		if n != 2 { // the first, and what should never come
			_, _ = io.WriteString(conn, http11("201 Created", `{"data":{"id":"5b0c"}}`))
		}
		if n > 1 {
			_ = conn.Close()
		}
	})
	client := factory.NewClient(patiently(factory.Config{}))
	for _, want := range []restock.AttemptState{restock.AttemptAccepted, restock.AttemptUnknown} {
		if got := client.Place(t.Context(), server.url, order()); got.State != want {
			t.Errorf("P1 an order whose connection closed is %s, want %s", got.State, want)
		}
	}
	if n := server.requests.Load(); n != 2 {
		t.Errorf("P1 two orders are written to the network %d times", n)
	}
}

func TestPlaceDoesNotFollowRedirects(t *testing.T) {
	t.Parallel()
	var followed atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/elsewhere", func(http.ResponseWriter, *http.Request) { followed.Add(1) })
	statuses := []int{301, 302, 303, 307, 308}
	for _, status := range statuses {
		mux.Handle(fmt.Sprintf("/%d", status), http.RedirectHandler("/elsewhere", status))
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	for _, status := range statuses {
		got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), fmt.Sprintf("%s/%d", server.URL, status), order())
		if got.State != restock.AttemptUnknown || got.Status != status {
			t.Errorf("%d: got %+v, want unknown", status, got)
		}
	}
	if n := followed.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestPlaceProvesWhatWasNotSent(t *testing.T) {
	t.Parallel()
	plain := newRawFactory(t, resets)
	notTrusted := httptest.NewTLSServer(http.NotFoundHandler())
	t.Cleanup(notTrusted.Close)
	notTrusted.Config.ErrorLog = nil
	ended, cancel := context.WithCancel(t.Context())
	cancel()

	for _, test := range []struct {
		name   string
		ctx    context.Context // a row of a table
		url    string
		config factory.Config
	}{
		{"refused", t.Context(), "http://127.0.0.1:9", factory.Config{}}, // nobody listens there; a port that was closed may be another's by now
		{"not TLS", t.Context(), strings.Replace(plain.url, "http:", "https:", 1), factory.Config{}},
		{"certificate not trusted", t.Context(), notTrusted.URL, factory.Config{}},
		{"context over", ended, plain.url, factory.Config{}},
		{"network not allowed", t.Context(), "http://192.0.2.1/", factory.Config{Nets: factory.Loopback()}},
		{"no host", t.Context(), "http:///api?token=" + mark, factory.Config{}},
		{"other scheme", t.Context(), "file:///etc/passwd", factory.Config{}},
		{"no URL", t.Context(), "http://u:p%zz@host/?token=" + mark, factory.Config{}},
	} {
		got := factory.NewClient(test.config).Place(test.ctx, test.url, order())
		if got.State != restock.AttemptNotSent || got.Error == "" || got.Status != 0 {
			t.Errorf("%s: got %+v, want not sent", test.name, got)
		}
		if strings.Contains(got.Error, mark) {
			t.Errorf("%s: the error shows the token: %s", test.name, got.Error)
		}
	}
	if n := plain.requests.Load(); n != 0 {
		t.Errorf("the factory got %d requests, want none", n)
	}
}

func TestPlaceEndsAtItsDeadlineAsUnknown(t *testing.T) {
	t.Parallel()
	silent := func(conn net.Conn) { _, _ = conn.Read(make([]byte, 1)) } // until the client gives up
	for name, answer := range map[string]func(net.Conn){"drip": drips, "silence": silent} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, 100*time.Millisecond, func(limit time.Duration) bool {
				server := newRawFactory(t, answer)
				client := factory.NewClient(factory.Config{TotalTimeout: limit})
				got := client.Place(t.Context(), server.url, order())
				if got.State == restock.AttemptNotSent {
					return false
				}
				if got.State != restock.AttemptUnknown || !strings.Contains(got.Error, "within "+limit.String()) {
					t.Errorf("got %+v, want unknown because of the deadline", got)
				}
				return true
			})
		})
	}
}

// inTime does something that has to come to a point before a limit passes, which
// then ends it, and reports whether it came there. A slow machine does not at
// first: it has twice as long each time.
func inTime(t *testing.T, limit time.Duration, came func(limit time.Duration) bool) {
	t.Helper()
	for ; !came(limit); limit *= 2 {
		if limit > time.Minute {
			t.Fatalf("it did not come so far within %v", limit)
		}
	}
}

// After a 101 comes another protocol, which has no end to wait for.
func TestPlaceDoesNotReadBeyondASwitchOfProtocols(t *testing.T) {
	t.Parallel()
	server := newRawFactory(t, func(conn net.Conn) {
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n")
		_, _ = conn.Read(make([]byte, 1)) // until the client hangs up
	})
	got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.url, order())
	if got.State != restock.AttemptUnknown || got.Status != http.StatusSwitchingProtocols {
		t.Errorf("got %+v, want unknown", got)
	}
}

func TestPlaceCancelledInFlightIsUnknown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	server := newRawFactory(t, func(conn net.Conn) {
		cancel()
		_, _ = conn.Read(make([]byte, 1)) // until the client gives up
	})
	got := factory.NewClient(patiently(factory.Config{})).Place(ctx, server.url, order())
	if got.State != restock.AttemptUnknown {
		t.Errorf("got %+v, want unknown", got)
	}
}

// Whenever the context ends, an attempt of which the factory saw a byte is never
// called "not sent".
func TestPlaceNeverSaysNotSentOfWhatArrived(t *testing.T) {
	t.Parallel()
	const attempts = 200
	seed := rand.Uint64() // when to cancel is no secret
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0)) // when to cancel is no secret
	listener := listen(t)
	arrived := collectFirstLines(t, listener)
	client := factory.NewClient(patiently(factory.Config{}))
	notSent := make(map[string]bool)
	for i := range attempts {
		path := fmt.Sprintf("/%d", i)
		ctx, cancel := context.WithTimeout(t.Context(), time.Duration(random.IntN(400))*time.Microsecond)
		got := client.Place(ctx, "http://"+listener.Addr().String()+path, order())
		cancel()
		notSent[path] = got.State == restock.AttemptNotSent
	}
	_ = listener.Close()
	for line := range arrived {
		if path := strings.Fields(line + " - -")[1]; notSent[path] {
			t.Errorf("%s arrived and was called not sent", path)
		}
	}
}

// collectFirstLines never answers, and gives the first line of every connection
// on which something arrived. The channel closes some time after the listener.
func collectFirstLines(t *testing.T, listener net.Listener) <-chan string {
	t.Helper()
	lines := make(chan string, 1000)
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() {
				defer func() { _ = conn.Close() }()
				if all, _ := io.ReadAll(conn); len(all) > 0 {
					line, _, _ := bytes.Cut(all, []byte("\r\n"))
					lines <- string(line)
				}
			})
		}
	})
	go func() {
		serving.Wait()
		close(lines)
	}()
	return lines
}

func TestPlaceObeysRetryAfterWithinBounds(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)
	client := factory.NewClient(patiently(factory.Config{Now: func() time.Time { return now }}))
	for value, want := range map[string]time.Duration{
		"":                              0,
		"7":                             7 * time.Second,
		" 7 ":                           7 * time.Second,
		"0":                             0,
		"-5":                            0,
		"3600":                          time.Hour,
		"86400":                         time.Hour,
		"9223372036854775807":           time.Hour,
		"99999999999999999999":          0,
		"1e3":                           0,
		"soon":                          0,
		"Wed, 04 Mar 2026 05:06:17 GMT": 10 * time.Second,
		"Wed, 04 Mar 2026 05:06:00 GMT": 0,
		"Wed, 04 Mar 2099 05:06:00 GMT": time.Hour,
	} {
		server := newRawFactory(t, says("HTTP/1.1 429 Too Many Requests\r\nContent-Length: 0\r\nRetry-After: "+value+"\r\n\r\n"))
		got := client.Place(t.Context(), server.url, order())
		if got.State != restock.AttemptRejected || got.RetryAfter != want {
			t.Errorf("Retry-After %q: got %s and %v, want rejected and %v", value, got.State, got.RetryAfter, want)
		}
	}
}

func TestPlaceShowsNoTokenOfTheAnswer(t *testing.T) {
	t.Parallel()
	for _, status := range []string{"200 OK", "400 Bad Request", "500 Internal Server Error"} {
		body := "no \x1b[31m such\n\tcallback: https://shop.example/?ToKen%3D" + mark + strings.Repeat(" x", 1000)
		server := newRawFactory(t, says(http11(status, body)))
		got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.url, order())
		if strings.Contains(got.Error, mark) || !strings.Contains(got.Error, "such callback") || len(got.Error) > 300 {
			t.Errorf("%s: got error %q", status, got.Error)
		}
	}
	server := newRawFactory(t, says(http11("201 Created", `{"data":{"id":"?token=`+mark+`"}}`)))
	if got := factory.NewClient(patiently(factory.Config{})).Place(t.Context(), server.url, order()); got.FactoryRef != "?token=***" {
		t.Errorf("got reference %q", got.FactoryRef)
	}
}

func TestPlaceReadsABoundedAnswer(t *testing.T) {
	t.Parallel()
	server := newRawFactory(t, says(http11("201 Created", `{"data":{"id":"5b0c"}}`+strings.Repeat(" ", 100))))
	got := factory.NewClient(patiently(factory.Config{AnswerBytesMax: 100})).Place(t.Context(), server.url, order())
	if got.State != restock.AttemptUnknown || got.Status != http.StatusCreated {
		t.Errorf("got %+v, want unknown", got)
	}
}
