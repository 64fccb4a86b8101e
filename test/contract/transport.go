package contract

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
)

// How many exchanges of one route and status are checked when there are many:
// the first ones, and then one of so many.
const (
	sampledFirst = 20
	sampledThen  = 100
)

// Transport sends requests and holds each exchange against the description.
// One that broke off is none.
type Transport struct {
	Base http.RoundTripper
	// Report is told what an exchange breaks.
	Report func(error)
	// Sample checks only some of many equal exchanges: for load.
	Sample bool

	mu   sync.Mutex
	seen map[string]int
}

// Watched is a transport that reports to a test.
func Watched(tb testing.TB, base http.RoundTripper) *Transport {
	tb.Helper()
	return &Transport{Base: base, Report: func(err error) {
		tb.Helper()
		tb.Error(err)
	}}
}

// Sampled is Watched for load.
func Sampled(tb testing.TB, base http.RoundTripper) *Transport {
	tb.Helper()
	w := Watched(tb, base)
	w.Sample = true
	return w
}

// CloseIdleConnections closes those of the base.
func (t *Transport) CloseIdleConnections() {
	if base, ok := t.Base.(interface{ CloseIdleConnections() }); ok {
		base.CloseIdleConnections()
	}
}

// RoundTrip sends a request once.
func (t *Transport) RoundTrip(request *http.Request) (*http.Response, error) {
	x := &Exchange{Method: request.Method, Target: request.URL.RequestURI(), Header: request.Header.Clone()}
	sent := new(heard)
	if request.Body != nil && request.Body != http.NoBody {
		copied := *request // a transport leaves its request as it is
		copied.Body = &listening{ReadCloser: request.Body, heard: sent}
		request = &copied
	}
	response, err := t.Base.RoundTrip(request)
	if err != nil || !t.chosen(x, response.StatusCode) {
		return response, err
	}
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		response.Body = rest{io.MultiReader(bytes.NewReader(answer), failing{err}), response.Body}
		return response, nil //nolint:nilerr // who reads the answer meets it.
	}
	response.Body = rest{bytes.NewReader(answer), response.Body}
	x.Body, x.Status, x.Answer, x.AnswerBody = sent.text(), response.StatusCode, response.Header, answer
	t.check(x)
	return response, nil
}

func (t *Transport) chosen(x *Exchange, status int) bool {
	if !t.Sample {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.seen == nil {
		t.seen = map[string]int{}
	}
	path, _, _ := strings.Cut(x.Target, "?")
	key := x.Method + " " + path + " " + http.StatusText(status)
	t.seen[key]++
	return t.seen[key] <= sampledFirst || t.seen[key]%sampledThen == 0
}

func (t *Transport) check(x *Exchange) {
	c, err := Open()
	if err == nil {
		err = c.Check(x)
	}
	if err != nil {
		t.Report(err)
	}
}

// listening hears what is read.
type listening struct {
	io.ReadCloser

	heard *heard
}

// heard is what was read. A transport may read on while the answer is there.
type heard struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (h *heard) add(p []byte) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.buffer.Write(p)
}

func (h *heard) text() []byte {
	h.mu.Lock()
	defer h.mu.Unlock()
	return bytes.Clone(h.buffer.Bytes())
}

func (l *listening) Read(p []byte) (int, error) {
	n, err := l.ReadCloser.Read(p)
	l.heard.add(p[:n])
	return n, err
}

// rest is what is read, and what is closed.
type rest struct {
	io.Reader
	io.Closer
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }
