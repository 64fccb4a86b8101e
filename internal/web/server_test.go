package web_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// short is a limit that a test waits for; nothing but the limit ends the wait.
// long is one that no test comes to, however slow the machine is.
const short, long = 50 * time.Millisecond, time.Hour

func TestListenOnPortZeroTellsTheRealOne(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: http.HandlerFunc(ok)})
	if got := get(t, s.URL()).status; got != http.StatusOK {
		t.Errorf("GET %s = %d, want 200", s.URL(), got)
	}
}

func TestURLOfAWildcardAddressCanBeCalled(t *testing.T) {
	t.Parallel()
	server := web.NewServer(web.Config{})
	if err := server.Listen(t.Context(), "0.0.0.0:0"); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(server.URL(), "http://localhost:") {
		t.Errorf("URL = %s, want http://localhost:…", server.URL())
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
}

func TestAddressInUseIsFoundByListen(t *testing.T) {
	t.Parallel()
	first := start(t, web.Config{})
	second := web.NewServer(web.Config{Name: "second"})
	err := second.Listen(t.Context(), first.Addr())
	if err == nil || !strings.Contains(err.Error(), first.Addr()) {
		t.Errorf("Listen on a taken address = %v, want an error with the address", err)
	}
}

func TestRunWithoutListenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	err := web.NewServer(web.Config{}).Run(t.Context())
	if err == nil || !strings.Contains(err.Error(), "call Listen") {
		t.Errorf("Run = %v, want what to do", err)
	}
}

func TestHeaderTooLargeIs431(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: http.HandlerFunc(ok)})
	header := http.Header{"X-Large": {strings.Repeat("x", 2*web.DefaultHeaderBytesMax)}}
	got, err := send(t, newClient(t), http.MethodGet, s.URL(), header, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	if got.status != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("status %d, want 431", got.status)
	}
}

func TestSlowHeaderIsReaped(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: http.HandlerFunc(ok), ReadHeaderTimeout: short})
	conn := dial(t, s.Addr())
	if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\nX-Slow: "); err != nil {
		t.Fatal(err)
	}
	// Only the server's hanging up ends this read.
	if _, err := io.Copy(io.Discard, conn); err != nil && !isReset(err) {
		t.Errorf("reading from a reaped connection: %v", err)
	}
}

func TestSlowBodyIsRefused(t *testing.T) {
	t.Parallel()
	kinds := make(chan restock.Kind, 1)
	s := start(t, web.Config{ReadTimeout: short, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			_, err := web.ReadBody(w, r, 100)
			kinds <- restock.KindOf(err)
		})})
	conn := dial(t, s.Addr())
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	if got := <-kinds; got != restock.Invalid {
		t.Errorf("kind %d, want Invalid", got)
	}
}

func TestStopFinishesRunningRequestAndRefusesNewOnes(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}), make(chan struct{})
	s := start(t, web.Config{ShutdownTimeout: long, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(entered)
		<-finish
		if r.Context().Err() != nil {
			t.Error("the stop ended the context of a running request")
		}
		ok(w, r)
	})})
	answers := make(chan answer, 1)
	go func() {
		got, err := send(t, newClient(t), http.MethodGet, s.URL(), nil, http.NoBody)
		if err != nil {
			t.Error(err)
		}
		answers <- got
	}()
	<-entered
	s.stop()
	waitUntilRefused(t, s.Addr())
	close(finish)
	if got := (<-answers).status; got != http.StatusOK {
		t.Errorf("running request: status %d, want 200", got)
	}
	if err := <-s.result; err != nil {
		t.Errorf("Run = %v, want nil", err)
	}
}

func TestStopTellsRequestsThatTakeTooLong(t *testing.T) {
	t.Parallel()
	entered := make(chan struct{})
	s := start(t, web.Config{ShutdownTimeout: short, CutTimeout: long, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			web.Problem(w, r, nil, r.Context().Err())
		})})
	answers := make(chan answer, 1)
	go func() {
		got, err := send(t, newClient(t), http.MethodGet, s.URL(), nil, http.NoBody)
		if err != nil {
			t.Error(err)
		}
		answers <- got
	}()
	<-entered
	s.stop()
	if got := (<-answers).status; got != http.StatusServiceUnavailable {
		t.Errorf("cut off request: status %d, want 503", got)
	}
	if err := <-s.result; !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Run = %v, want that requests were cut off", err)
	}
}

func TestConnectionsAboveTheMaximumWait(t *testing.T) {
	t.Parallel()
	entered, finish := make(chan struct{}, 2), make(chan struct{})
	s := start(t, web.Config{ConnectionsMax: 1, Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			entered <- struct{}{}
			<-finish
			ok(w, r)
		})})
	first, second := dial(t, s.Addr()), dial(t, s.Addr())
	for _, conn := range []net.Conn{first, second} {
		if _, err := io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Fatal(err)
		}
	}
	<-entered
	select {
	case <-entered:
		t.Error("two requests ran, on one connection allowed")
	default:
	}
	close(finish)
	for _, conn := range []net.Conn{first, second} {
		if got := readStatus(t, conn); got != http.StatusOK {
			t.Errorf("status %d, want 200", got)
		}
	}
}

func TestIdleConnectionsMakeRoom(t *testing.T) {
	t.Parallel()
	var book logBook
	s := start(t, web.Config{
		Handler: http.HandlerFunc(ok), Logger: book.logger(slog.LevelInfo),
		ConnectionsMax: 2, IdleTimeout: time.Hour,
	})
	// Every client keeps its connection; only the server can make room.
	for range 6 {
		if got := get(t, s.URL()).status; got != http.StatusOK {
			t.Errorf("status %d, want 200", got)
		}
	}
	if got := len(book.lines(t, "all connections in use; idle ones are closed and new ones wait")); got != 1 {
		t.Errorf("%d lines about the crowd, want 1", got)
	}
}

func readStatus(t *testing.T, conn net.Conn) int {
	t.Helper()
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := res.Body.Close(); err != nil {
		t.Error(err)
	}
	return res.StatusCode
}

// waitUntilRefused returns when the server no longer takes connections.
func waitUntilRefused(t *testing.T, addr string) {
	t.Helper()
	var dialer net.Dialer
	for t.Context().Err() == nil {
		conn, err := dialer.DialContext(t.Context(), "tcp", addr)
		if err != nil {
			return
		}
		if err := conn.Close(); err != nil {
			t.Error(err)
		}
	}
}

func isReset(err error) bool {
	_, ok := errors.AsType[*net.OpError](err)
	return ok
}
