package web_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

const bodyMax = 10

// echo reads the body behind all the middleware and tells it, or the problem
// and what was read of it.
func echo(w http.ResponseWriter, r *http.Request) {
	body, err := web.ReadBody(w, r, bodyMax)
	w.Header().Set("X-Read", string(body))
	if err != nil {
		web.Problem(w, r, nil, err)
	}
}

// chunked hides its length, so that it is sent without a Content-Length.
type chunked struct{ io.Reader }

// endless is a body that never ends.
type endless struct{}

func (endless) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = 'x'
	}
	return len(p), nil
}

func TestReadBodyIsBounded(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: web.Log(http.HandlerFunc(echo), web.LogConfig{})})
	for name, c := range map[string]struct {
		body   io.Reader
		status int
		read   string
	}{
		"none":                 {http.NoBody, http.StatusOK, ""},
		"just fits":            {strings.NewReader("0123456789"), http.StatusOK, "0123456789"},
		"just fits, chunked":   {chunked{strings.NewReader("0123456789")}, http.StatusOK, "0123456789"},
		"one too many":         {strings.NewReader("0123456789x"), http.StatusRequestEntityTooLarge, "0123456789"},
		"one too many, hidden": {chunked{strings.NewReader("0123456789x")}, http.StatusRequestEntityTooLarge, "0123456789"},
	} {
		got, err := send(t, newClient(t), http.MethodPost, s.URL(), nil, c.body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if got.status != c.status || got.header.Get("X-Read") != c.read {
			t.Errorf("%s: %d, read %q; want %d, %q", name, got.status, got.header.Get("X-Read"), c.status, c.read)
		}
	}
}

func TestEndlessBodyIsAnsweredAndDropped(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: web.Log(http.HandlerFunc(echo), web.LogConfig{})})
	conn := dial(t, s.Addr())
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000000\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		_, _ = io.Copy(conn, endless{}) // ends only when the server hangs up
	}()
	if got := readStatus(t, conn); got != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d, want 413", got)
	}
	<-sent
}

func TestCompressedBodyIsRefused(t *testing.T) {
	t.Parallel()
	s := start(t, web.Config{Handler: http.HandlerFunc(echo)})
	for encoding, want := range map[string]int{
		"gzip": http.StatusBadRequest, "identity, br": http.StatusBadRequest,
		"identity": http.StatusOK, "Identity": http.StatusOK, "": http.StatusOK,
	} {
		header := http.Header{"Content-Encoding": {encoding}}
		got, err := send(t, newClient(t), http.MethodPost, s.URL(), header, strings.NewReader("x"))
		if err != nil {
			t.Fatal(err)
		}
		if got.status != want {
			t.Errorf("Content-Encoding %q: status %d, want %d", encoding, got.status, want)
		}
	}
}

func TestBodyCutShortIsInvalid(t *testing.T) {
	t.Parallel()
	kinds := make(chan restock.Kind, 1)
	s := start(t, web.Config{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := web.ReadBody(w, r, bodyMax)
		kinds <- restock.KindOf(err)
	})})
	conn := dial(t, s.Addr())
	if _, err := io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabc"); err != nil {
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if got := <-kinds; got != restock.Invalid {
		t.Errorf("kind %d, want Invalid", got)
	}
}
