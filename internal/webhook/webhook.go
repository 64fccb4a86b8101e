// Package webhook posts messages to a URL as Standard Webhooks do
// (https://www.standardwebhooks.com): the headers webhook-id,
// webhook-timestamp and, with a secret, webhook-signature.
//
// # Delivery
//
// At least once. When the answer is lost, the sender reports a failure although
// the message may have been taken; the repeat then carries the same webhook-id,
// so that the receiver can tell that it is the same. A message was taken when the
// receiver answered with a status from 200 to 299.
//
// # Limits
//
// Redirects are not followed and no proxy is asked: a message goes where its
// configuration says. Each step has a timeout, and the body of an answer is not
// read. No error holds more of the URL than its host: some receivers know their
// senders by a secret in the path, and show it in their answers.
package webhook

import (
	"bytes"
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The headers of a message.
const (
	HeaderID        = "Webhook-Id"
	HeaderTimestamp = "Webhook-Timestamp"
	HeaderSignature = "Webhook-Signature"
)

// The defaults of Config, and the limits.
const (
	DialTimeout  = 3 * time.Second
	TotalTimeout = 10 * time.Second

	// RetryAfterMax is the longest that a receiver can ask by Retry-After not to be
	// asked again.
	RetryAfterMax = time.Hour

	answerHeaderBytesMax = 64 << 10

	secretPrefix   = "whsec_"
	secretBytesMin = 24
	secretBytesMax = 64
	signatureV1    = "v1,"
)

// Message is what is posted.
type Message struct {
	// ID is the same when the message is posted again.
	ID string
	// Body is JSON.
	Body []byte
}

// Secret signs messages. The zero Secret signs none.
type Secret struct{ key []byte }

// ParseSecret reads `whsec_` and the key in base64. Its errors do not show it.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < secretBytesMin || len(key) > secretBytesMax {
		return Secret{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"a webhook's secret is %s and %d to %d random bytes in base64; make one with: echo %s$(head -c 32 /dev/urandom | base64)",
			secretPrefix, secretBytesMin, secretBytesMax, secretPrefix)
	}
	return Secret{key}, nil
}

// NewSecret makes a secret as ParseSecret reads it.
func NewSecret() string {
	const secretBytes = 32
	key := make([]byte, secretBytes)
	_, _ = rand.Read(key) // never fails, by its documentation
	return secretPrefix + base64.StdEncoding.EncodeToString(key)
}

// String keeps the secret out of logs.
func (Secret) String() string { return "***" }

// sign gives the signature of a message that is posted at a time.
func (s Secret) sign(m Message, timestamp string) string {
	mac := hmac.New(sha256.New, s.key)
	for _, part := range []string{m.ID, ".", timestamp, "."} {
		_, _ = mac.Write([]byte(part)) // a hash takes everything
	}
	_, _ = mac.Write(m.Body)
	return signatureV1 + base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// Config adjusts a Sender. The zero Config works.
type Config struct {
	Secret Secret
	// SecretsBefore sign, too, while receivers learn of a new secret.
	SecretsBefore []Secret
	DialTimeout   time.Duration // to resolve and connect
	TotalTimeout  time.Duration // from the first step to the status of the answer
	// Allow refuses addresses with an error. It is asked after the name was
	// resolved, for each address, so that no name gets around it. By default all
	// are allowed: the URL is the operator's own.
	Allow func(netip.AddrPort) error
	// TLS is for receivers with certificates of their own.
	TLS *tls.Config
	Now func() time.Time
}

// Sender posts messages to one URL. It may be used by many goroutines at once.
type Sender struct {
	target    *url.URL
	cfg       Config
	transport *http.Transport
}

// Check reports a URL that cannot be posted to. The error does not show it.
func Check(rawURL string) error {
	_, err := parse(rawURL)
	return err
}

func parse(rawURL string) (*url.URL, error) {
	target, err := url.Parse(rawURL)
	switch {
	case err != nil, target.Hostname() == "", target.Scheme != "http" && target.Scheme != "https":
		return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the webhook's URL must be http:// or https:// with a host")
	case target.User != nil:
		return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"the webhook's URL must hold no user and password; messages are signed with a secret instead")
	}
	target.Fragment = ""
	return target, nil
}

// Host is the part of a webhook's URL that may be shown.
func Host(rawURL string) string {
	target, err := parse(rawURL)
	if err != nil {
		return ""
	}
	return target.Scheme + "://" + target.Host
}

// New makes a Sender. The error is of kind Invalid.
func New(rawURL string, cfg Config) (*Sender, error) {
	target, err := parse(rawURL)
	if err != nil {
		return nil, err
	}
	cfg.DialTimeout = cmp.Or(cfg.DialTimeout, DialTimeout)
	cfg.TotalTimeout = cmp.Or(cfg.TotalTimeout, TotalTimeout)
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sender{target: target, cfg: cfg, transport: newTransport(cfg)}, nil
}

// newTransport opens a connection for each message: messages are rare, and on a
// connection that was kept Go would send a message again by itself.
func newTransport(cfg Config) *http.Transport {
	dialer := &net.Dialer{Timeout: cfg.DialTimeout}
	if cfg.Allow != nil {
		dialer.Control = func(_, address string, _ syscall.RawConn) error {
			target, err := netip.ParseAddrPort(address)
			if err != nil {
				return fmt.Errorf("address %q is not allowed", address)
			}
			return cfg.Allow(netip.AddrPortFrom(target.Addr().Unmap(), target.Port()))
		}
	}
	return &http.Transport{
		DialContext:            dialer.DialContext,
		TLSClientConfig:        cfg.TLS.Clone(),
		TLSHandshakeTimeout:    cfg.DialTimeout,
		DisableKeepAlives:      true,
		DisableCompression:     true, // an answer must not grow while it is read
		MaxResponseHeaderBytes: answerHeaderBytesMax,
	}
}

// Send posts a message, and gives nil when the receiver took it. It returns
// within the total timeout.
func (s *Sender) Send(ctx context.Context, m Message) error {
	_, err := s.Post(ctx, m)
	return err
}

// Post is Send that also gives the status of the answer, 0 when there was none.
func (s *Sender) Post(ctx context.Context, m Message) (int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, s.cfg.TotalTimeout, fmt.Errorf("no answer within %v", s.cfg.TotalTimeout))
	defer cancel()
	request, err := s.request(ctx, m)
	if err != nil {
		return 0, fmt.Errorf("webhook at %s: %w", s.target.Host, err)
	}
	// Not http.Client, which follows redirects and puts the URL into its errors.
	response, err := s.transport.RoundTrip(request)
	if err != nil {
		return 0, fmt.Errorf("webhook at %s: %w", s.target.Host, causeOf(ctx, err))
	}
	defer func() { _ = response.Body.Close() }() // nothing more is expected of it
	return response.StatusCode, s.judge(response)
}

func (s *Sender) request(ctx context.Context, m Message) (*http.Request, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.target.String(), bytes.NewReader(m.Body))
	if err != nil {
		return nil, errors.New("the message cannot be addressed") // its own text shows the URL
	}
	timestamp := strconv.FormatInt(s.cfg.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "restock")
	request.Header.Set(HeaderID, m.ID)
	request.Header.Set(HeaderTimestamp, timestamp)
	var signatures []string
	for _, secret := range append([]Secret{s.cfg.Secret}, s.cfg.SecretsBefore...) {
		if len(secret.key) > 0 {
			signatures = append(signatures, secret.sign(m, timestamp))
		}
	}
	if len(signatures) > 0 { // one that verifies is enough
		request.Header.Set(HeaderSignature, strings.Join(signatures, " "))
	}
	return request, nil
}

// causeOf prefers the reason why the context ended to what the network made of it.
func causeOf(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

func (s *Sender) judge(response *http.Response) error {
	switch class := response.StatusCode / 100; class {
	case 2:
		return nil
	case 3:
		return fmt.Errorf("webhook at %s: answered %d; redirects are not followed, configure the address that takes messages",
			s.target.Host, response.StatusCode)
	}
	err := fmt.Errorf("webhook at %s: answered %d %s", s.target.Host, response.StatusCode, http.StatusText(response.StatusCode))
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return err
	}
	if pause := web.RetryAfter(response.Header.Get("Retry-After"), s.cfg.Now(), RetryAfterMax); pause > 0 {
		return &busyError{cause: err, pause: pause}
	}
	return err
}

// busyError is the answer of a receiver that asks for a pause.
type busyError struct {
	cause error
	pause time.Duration
}

func (e *busyError) Error() string {
	return fmt.Sprintf("%v, and asked for a pause of %s", e.cause, e.pause.Round(time.Second))
}

func (e *busyError) Unwrap() error { return e.cause }

// PauseOf gives how long a receiver that answered 429 or 503 asked not to be asked
// again, at most RetryAfterMax, and 0 when it did not.
func PauseOf(err error) time.Duration {
	busy, ok := errors.AsType[*busyError](err)
	if !ok {
		return 0
	}
	return busy.pause
}
