package lambda

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-lambda-go/events"
)

const (
	// answerBytesMax is what Lambda carries of an answer, as JSON with its headers.
	answerBytesMax = 6 << 20
	// escapedMax is how much longer a byte can get in JSON, as \u0000.
	escapedMax = 6
	// streamTime is how long a stream of events waits for one: Lambda cannot stream,
	// so that the browser comes again and again.
	streamTime = time.Second

	defaultStage = "$default"
)

// request lets the handler answer an HTTP event.
func (f *Function) request(ctx context.Context, raw json.RawMessage) (any, error) {
	var e events.APIGatewayV2HTTPRequest
	if err := json.Unmarshal(raw, &e); err != nil {
		return nil, fmt.Errorf("the request cannot be read: %w", err)
	}
	answer := f.answer(ctx, e)
	f.after(ctx)
	out := answer.response()
	if answer.cut || !carried(out) {
		f.Logger.ErrorContext(ctx, "the answer is larger than Lambda carries", "method", e.RequestContext.HTTP.Method, "path", e.RawPath,
			"bytes_max", answerBytesMax, "traceparent", answer.header.Get("Traceparent"))
		return answer.tooLarge(), nil
	}
	return out, nil
}

// carried reports whether Lambda carries an answer.
func carried(out events.APIGatewayV2HTTPResponse) bool {
	if len(out.Body) < answerBytesMax/escapedMax/2 { // and its headers are shorter
		return true
	}
	var size counter
	encoder := json.NewEncoder(&size)
	encoder.SetEscapeHTML(false) // as the runtime does
	return encoder.Encode(out) == nil && size <= answerBytesMax
}

// counter counts what is written.
type counter int

func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

func (f *Function) answer(ctx context.Context, e events.APIGatewayV2HTTPRequest) *answer {
	ctx, cancel := before(ctx, requestMargin)
	defer cancel()
	if strings.Contains(header(e.Headers, "Accept"), "text/event-stream") {
		ctx, cancel = context.WithTimeout(ctx, streamTime)
		defer cancel()
	}
	a := &answer{header: http.Header{}, enough: cancel}
	r, err := newRequest(ctx, e)
	if err != nil {
		http.Error(a, err.Error(), http.StatusBadRequest)
		return a
	}
	f.HTTP.ServeHTTP(a, r)
	return a
}

func header(all map[string]string, name string) string {
	for key, value := range all {
		if strings.EqualFold(key, name) {
			return value
		}
	}
	return ""
}

// newRequest makes the request that a server would have read.
func newRequest(ctx context.Context, e events.APIGatewayV2HTTPRequest) (*http.Request, error) {
	body := []byte(e.Body)
	if e.IsBase64Encoded {
		var err error
		if body, err = base64.StdEncoding.DecodeString(e.Body); err != nil {
			return nil, fmt.Errorf("the body is not base64: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, e.RequestContext.HTTP.Method, "/", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("the method cannot be read: %w", err)
	}
	r.URL = address(e)
	r.RequestURI = r.URL.RequestURI()
	for name, value := range e.Headers { // several of one name were joined by commas, as HTTP allows
		r.Header.Set(name, value)
	}
	if len(e.Cookies) > 0 {
		r.Header.Set("Cookie", strings.Join(e.Cookies, "; "))
	}
	r.Host = r.Header.Get("Host")
	if r.Host == "" {
		r.Host = e.RequestContext.DomainName
	}
	r.Header.Del("Host") // where net/http has it
	r.RemoteAddr = net.JoinHostPort(e.RequestContext.HTTP.SourceIP, "0")
	if len(body) == 0 {
		r.Body = http.NoBody
	}
	return r, nil
}

// address is the path and the query, without the stage that API Gateway puts
// before the path. A path that is not encoded as it should be is taken as it is.
func address(e events.APIGatewayV2HTTPRequest) *url.URL {
	path := e.RawPath
	if stage := e.RequestContext.Stage; stage != "" && stage != defaultStage {
		if rest, ok := strings.CutPrefix(path, "/"+stage); ok && (rest == "" || rest[0] == '/') {
			path = rest
		}
	}
	if path == "" {
		path = "/"
	}
	u, err := url.ParseRequestURI(path)
	if err != nil || u.Host != "" || strings.Contains(path, "?") {
		u = &url.URL{Path: path}
	}
	u.RawQuery = e.RawQueryString
	return u
}

// answer is an http.ResponseWriter that keeps the answer. Who flushes an event
// has said enough.
type answer struct {
	header http.Header
	enough context.CancelFunc

	mu     sync.Mutex
	status int
	body   bytes.Buffer
	said   bool
	cut    bool // more was written than Lambda carries
}

func (a *answer) Header() http.Header { return a.header }

func (a *answer) WriteHeader(status int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.status == 0 && (status >= http.StatusOK || status == http.StatusSwitchingProtocols) {
		a.status = status
	}
}

func (a *answer) Write(p []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.cut = a.cut || a.body.Len()+len(p) > answerBytesMax; a.cut {
		return 0, io.ErrShortWrite
	}
	a.said = a.said || len(p) > 0 && p[0] != ':' // which begins a comment of server-sent events
	return a.body.Write(p)
}

// FlushError ends a stream after its first event, so that it leaves.
func (a *answer) FlushError() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.said {
		a.enough()
	}
	return nil
}

// Flush is FlushError for who knows only http.Flusher.
func (a *answer) Flush() { _ = a.FlushError() }

// SetReadDeadline and SetWriteDeadline are for streams; everything is here
// already, and stays here.
func (*answer) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline does nothing: nobody has to read for the answer to be taken.
func (*answer) SetWriteDeadline(time.Time) error { return nil }

// response is the answer as API Gateway and function URLs take it.
func (a *answer) response() events.APIGatewayV2HTTPResponse {
	a.mu.Lock()
	defer a.mu.Unlock()
	status := a.status
	if status == 0 {
		status = http.StatusOK
	}
	out := events.APIGatewayV2HTTPResponse{
		StatusCode: status, Headers: make(map[string]string, len(a.header)), Cookies: a.header.Values("Set-Cookie"),
	}
	if a.header.Get("Content-Type") == "" && a.body.Len() > 0 {
		out.Headers["Content-Type"] = http.DetectContentType(a.body.Bytes())
	}
	for _, name := range slices.Sorted(maps.Keys(a.header)) {
		if name != "Set-Cookie" {
			out.Headers[name] = strings.Join(a.header[name], ", ")
		}
	}
	out.Body = a.body.String()
	if !utf8.ValidString(out.Body) || a.header.Get("Content-Encoding") != "" {
		out.Body, out.IsBase64Encoded = base64.StdEncoding.EncodeToString(a.body.Bytes()), true
	}
	return out
}

// tooLarge says what became of an answer that Lambda does not carry: a part of it
// would be taken for the whole. It is a problem as internal/web writes them.
func (a *answer) tooLarge() events.APIGatewayV2HTTPResponse {
	out := events.APIGatewayV2HTTPResponse{
		StatusCode: http.StatusInternalServerError,
		Headers:    map[string]string{"Content-Type": "application/problem+json", "Cache-Control": "no-store"},
		Body: `{"type":"about:blank","title":"Internal Server Error","status":500,"code":"internal",` +
			`"detail":"The answer is larger than the 6 MB that a function can give, so none was given; what was asked for is done. Ask for fewer rows or a shorter time."}` + "\n",
	}
	if trace := a.header.Get("Traceparent"); trace != "" {
		out.Headers["Traceparent"] = trace
	}
	return out
}
