package factory

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/netip"
	"net/url"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The defaults of Config.
const (
	DialTimeout    = 2 * time.Second
	TLSTimeout     = 2 * time.Second
	TotalTimeout   = 15 * time.Second
	AnswerBytesMax = 1 << 20
	RetryAfterMax  = time.Hour
)

// Config adjusts a Client. The zero Config works.
type Config struct {
	DialTimeout    time.Duration // to resolve and connect
	TLSTimeout     time.Duration
	TotalTimeout   time.Duration // from the first step to the last byte of the answer
	AnswerBytesMax int64         // an answer with more is not complete
	RetryAfterMax  time.Duration // the longest wait that a factory can ask for

	// Nets are the networks that may be dialled; none means all.
	Nets []netip.Prefix
	// TLS is for factories with certificates of their own.
	TLS *tls.Config
	// Proxy is asked for a proxy. By default there is none, whatever the
	// environment says: an order must go where the catalogue says.
	Proxy func(*http.Request) (*url.URL, error)
	Now   func() time.Time
}

// Client places orders. It keeps nothing between two orders and may be used by
// many goroutines at once.
type Client struct {
	config Config
	dialer *net.Dialer
}

// NewClient makes a Client.
func NewClient(config Config) *Client {
	config.DialTimeout = cmp.Or(config.DialTimeout, DialTimeout)
	config.TLSTimeout = cmp.Or(config.TLSTimeout, TLSTimeout)
	config.TotalTimeout = cmp.Or(config.TotalTimeout, TotalTimeout)
	config.AnswerBytesMax = cmp.Or(config.AnswerBytesMax, AnswerBytesMax)
	config.RetryAfterMax = cmp.Or(config.RetryAfterMax, RetryAfterMax)
	if config.Now == nil {
		config.Now = time.Now
	}
	return &Client{config: config, dialer: newDialer(config.DialTimeout, config.Nets)}
}

// Place writes one attempt to the network, at most once, and says what is known
// of it:
//
//   - not sent: proven, no byte of the request was written;
//   - accepted: a complete 2xx whose body is the factory's answer;
//   - rejected: a complete 4xx, but for those in mayBeAccepted;
//   - unknown: everything else. The factory may have accepted it.
//
// It returns within the total timeout, also when ctx ends sooner.
func (c *Client) Place(ctx context.Context, factoryURL string, r Request) restock.Answer {
	ctx, cancel := context.WithTimeoutCause(ctx, c.config.TotalTimeout,
		fmt.Errorf("no complete answer within %v", c.config.TotalTimeout))
	defer cancel()

	proof := new(seal)
	request, err := newOrder(httptrace.WithClientTrace(ctx, proof.trace()), factoryURL, r)
	if err != nil {
		return restock.Answer{State: restock.AttemptNotSent, Error: Redact(err.Error())}
	}
	transport := c.transport(proof)
	defer transport.CloseIdleConnections()
	// Not http.Client, which follows redirects.
	response, err := transport.RoundTrip(request)
	if err != nil {
		return unanswered(ctx, proof, err)
	}
	defer func() { _ = response.Body.Close() }() // nothing more is expected of it
	return c.judge(ctx, response)
}

var errBadURL = errors.New("the factory's url must be http:// or https:// with a host; correct it in the catalogue")

// newOrder makes the request. Without GetBody, and without an Idempotency-Key
// header, Go never takes a POST for one that it may send again.
func newOrder(ctx context.Context, factoryURL string, r Request) (*http.Request, error) {
	target, ok := parseTarget(factoryURL)
	if !ok {
		return nil, errBadURL
	}
	body, err := r.MarshalJSON()
	if err != nil {
		return nil, fmt.Errorf("writing the order: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("addressing the order: %w", err)
	}
	request.GetBody = nil
	request.Header.Set("Content-Type", contentTypeJSON)
	request.Header.Set("Accept", contentTypeJSON)
	request.Header.Set("User-Agent", userAgent)
	setTrace(ctx, request)
	return request, nil
}

// traceHeader carries a W3C traceparent.
const traceHeader = "Traceparent"

// setTrace lets the other side log under the same trace. A factory that does
// not know the header ignores it.
func setTrace(ctx context.Context, request *http.Request) {
	if trace := restock.TraceParent(ctx); trace != "" {
		request.Header.Set(traceHeader, trace)
	}
}

// transport is made for one attempt, so that its connection can serve no other.
func (c *Client) transport(proof *seal) *http.Transport {
	transport := newTransport(func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := c.dialer.DialContext(ctx, network, address)
		if err != nil {
			return nil, err
		}
		return sealedConn{Conn: conn, seal: proof}, nil
	})
	transport.TLSClientConfig = c.config.TLS.Clone()
	transport.TLSHandshakeTimeout = c.config.TLSTimeout
	transport.Proxy = c.config.Proxy
	return transport
}

// unanswered says what is known when no answer came.
func unanswered(ctx context.Context, proof *seal, err error) restock.Answer {
	if proof.unwritten() {
		return restock.Answer{
			State: restock.AttemptNotSent,
			Error: Redact("factory not reached, nothing was sent: " + causeOf(ctx, err)),
		}
	}
	return restock.Answer{
		State: restock.AttemptUnknown,
		Error: Redact("no answer, the factory may have accepted: " + causeOf(ctx, err)),
	}
}

// causeOf prefers the reason why the context ended to what the network made of it.
func causeOf(ctx context.Context, err error) string {
	cause := context.Cause(ctx)
	switch {
	case errors.Is(cause, context.Canceled):
		return "given up because this process stops"
	case cause != nil:
		return cause.Error()
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the connection ended early"
	default:
		return err.Error()
	}
}

// judge reads the answer and decides what it means.
func (c *Client) judge(ctx context.Context, response *http.Response) restock.Answer {
	answer := restock.Answer{
		State:      restock.AttemptUnknown,
		Status:     response.StatusCode,
		RetryAfter: web.RetryAfter(response.Header.Get("Retry-After"), c.config.Now(), c.config.RetryAfterMax),
	}
	body, err := c.readAnswer(response)
	if err != nil {
		answer.Error = Redact(fmt.Sprintf("factory answered %d, not completely: %s", answer.Status, causeOf(ctx, err)))
		return answer
	}
	ref := parseAccepted(body)
	switch class := answer.Status / 100; {
	case class == 2 && ref != "":
		return restock.Answer{State: restock.AttemptAccepted, Status: answer.Status, FactoryRef: ref}
	case class == 2:
		answer.Error = fmt.Sprintf("factory answered %d without an order's id: %s", answer.Status, excerpt(body))
	case class == 4 && !mayBeAccepted(answer.Status):
		answer.State = restock.AttemptRejected
		answer.Error = fmt.Sprintf("factory refused with %d: %s", answer.Status, excerpt(body))
	default:
		answer.Error = fmt.Sprintf("factory answered %d, it may have accepted: %s", answer.Status, excerpt(body))
	}
	return answer
}

// mayBeAccepted names the 4xx that are no refusal by the factory: a gateway says
// 408 when it gave up waiting for a factory that may be at work, and 425 asks
// for a repeat of what may have arrived already.
func mayBeAccepted(status int) bool {
	return status == http.StatusRequestTimeout || status == http.StatusTooEarly
}

var errAnswerTooLong = errors.New("the answer is too long")

// readAnswer reads the whole body. A 101 has none: what follows it is another
// protocol, which has no end and heeds no context.
func (c *Client) readAnswer(response *http.Response) ([]byte, error) {
	if response.StatusCode == http.StatusSwitchingProtocols {
		return nil, nil
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, c.config.AnswerBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("reading the answer: %w", err)
	}
	if int64(len(body)) > c.config.AnswerBytesMax {
		return nil, errAnswerTooLong
	}
	return body, nil
}
