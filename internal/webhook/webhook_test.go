package webhook_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/webhook"
)

const (
	secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
	// patience bounds a wait for an answer that must come.
	patience = 2 * time.Minute
)

func message() webhook.Message {
	return webhook.Message{ID: "0199abcd-0506-7008-090a-0b0c0d0e0fff", Body: []byte(`{"type":"operations.digest"}`)}
}

func sender(t *testing.T, url string, cfg webhook.Config) *webhook.Sender {
	t.Helper()
	s, err := webhook.New(url, patient(cfg))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patient gives a slow machine the time that it needs, where a test does not look
// at how much there is.
func patient(cfg webhook.Config) webhook.Config {
	cfg.DialTimeout = patience
	if cfg.TotalTimeout == 0 {
		cfg.TotalTimeout = patience
	}
	return cfg
}

func parsed(t *testing.T, text string) webhook.Secret {
	t.Helper()
	s, err := webhook.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// post is one request as the receiver got it.
type post struct {
	path   string
	header http.Header
	body   string
}

// receive starts a receiver that keeps what it gets.
func receive(t *testing.T) (string, <-chan post) {
	t.Helper()
	posts := make(chan post, 10)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		posts <- post{r.Method + " " + r.URL.String(), r.Header, string(body)}
		w.WriteHeader(http.StatusAccepted)
	}))
	t.Cleanup(server.Close)
	return server.URL, posts
}

func TestAMessageIsSignedAsTheStandardSays(t *testing.T) {
	t.Parallel()
	url, posts := receive(t)
	for _, text := range []string{secret, secret + "\n"} { // as an editor leaves it in a file
		if err := sender(t, url+"/hook?to=ops", webhook.Config{Secret: parsed(t, text)}).Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
		got := <-posts
		if got.path != "POST /hook?to=ops" || got.body != string(message().Body) || got.header.Get("Content-Type") != "application/json" {
			t.Errorf("posted %+v", got)
		}
		verifier, err := standardwebhooks.NewWebhook(secret)
		if err != nil {
			t.Fatal(err)
		}
		if err := verifier.Verify([]byte(got.body), got.header); err != nil {
			t.Errorf("the receiver's library: %v", err)
		}
		if err := verifier.Verify([]byte(got.body+" "), got.header); err == nil {
			t.Error("another body passes too")
		}
		got.header.Set(webhook.HeaderID, "another")
		if err := verifier.Verify([]byte(got.body), got.header); err == nil {
			t.Error("another id passes too")
		}
	}
}

// TestARepeatHasItsIDAndItsOwnTime: receivers refuse old timestamps, so each
// try has its own.
func TestARepeatHasItsIDAndItsOwnTime(t *testing.T) {
	t.Parallel()
	url, posts := receive(t)
	at := time.Unix(1_700_000_000, 999)
	s := sender(t, url, webhook.Config{Secret: parsed(t, secret), Now: func() time.Time { return at }})
	var got []string
	for range 2 {
		if err := s.Send(t.Context(), message()); err != nil {
			t.Fatal(err)
		}
		p := <-posts
		got = append(got, p.header.Get(webhook.HeaderID)+" "+p.header.Get(webhook.HeaderTimestamp))
		at = at.Add(time.Hour)
	}
	want := []string{message().ID + " 1700000000", message().ID + " 1700003600"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("id and time (-want +got):\n%s", diff)
	}
}

func TestWithoutASecretNothingIsSigned(t *testing.T) {
	t.Parallel()
	url, posts := receive(t)
	if err := sender(t, url, webhook.Config{}).Send(t.Context(), message()); err != nil {
		t.Fatal(err)
	}
	got := <-posts
	if _, signed := got.header["Webhook-Signature"]; signed || got.header.Get(webhook.HeaderID) == "" || got.header.Get(webhook.HeaderTimestamp) == "" {
		t.Errorf("headers %v, want an id and a time alone", got.header)
	}
}

func TestOnlyA2xxIsTaken(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int64
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { elsewhere.Add(1) }))
	t.Cleanup(other.Close)
	for _, status := range []int{200, 201, 202, 204, 301, 302, 303, 307, 308, 400, 401, 404, 410, 413, 429, 500, 503} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", other.URL)
			w.WriteHeader(status)
			if status != http.StatusNoContent {
				fmt.Fprintf(w, "cannot POST %s", r.URL)
			}
		}))
		err := sender(t, server.URL+"/T0/hush", webhook.Config{}).Send(t.Context(), message())
		server.Close()
		if taken := status/100 == 2; (err == nil) != taken {
			t.Errorf("%d: error %v", status, err)
		}
		if err != nil && (!strings.Contains(err.Error(), fmt.Sprint("answered ", status)) || strings.Contains(err.Error(), "hush")) {
			t.Errorf("%d: error %v, want the status, and no path", status, err)
		}
	}
	if n := elsewhere.Load(); n != 0 {
		t.Errorf("%d redirects were followed", n)
	}
}

func TestAPauseIsTakenFromTheAnswersThatMayAskForOne(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		header string
		want   time.Duration
	}{
		{http.StatusTooManyRequests, "120", 2 * time.Minute},
		{http.StatusServiceUnavailable, "120", 2 * time.Minute},
		{http.StatusServiceUnavailable, "86400", webhook.RetryAfterMax},
		{http.StatusServiceUnavailable, "", 0},
		{http.StatusTooManyRequests, "soon", 0},
		{http.StatusInternalServerError, "120", 0},
		{http.StatusOK, "120", 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", c.header)
			w.WriteHeader(c.status)
		}))
		err := sender(t, server.URL, webhook.Config{}).Send(t.Context(), message())
		server.Close()
		if got := webhook.PauseOf(err); got != c.want {
			t.Errorf("%d with %q: a pause of %s, want %s (%v)", c.status, c.header, got, c.want, err)
		}
	}
}

func TestAReceiverThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	over := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/body" { // the status is all that counts
			w.WriteHeader(http.StatusOK)
			w.(http.Flusher).Flush()
		}
		<-over
	}))
	t.Cleanup(func() { close(over); server.Close() })
	err := sender(t, server.URL, webhook.Config{TotalTimeout: 50 * time.Millisecond}).Send(t.Context(), message())
	if err == nil || !strings.Contains(err.Error(), "no answer within 50ms") {
		t.Errorf("error %v", err)
	}
	if err := sender(t, server.URL+"/body", webhook.Config{}).Send(t.Context(), message()); err != nil {
		t.Errorf("answered with 200, then a body without an end: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	stop := errors.New("the process stops")
	cancel(stop)
	if err := sender(t, server.URL, webhook.Config{}).Send(ctx, message()); !errors.Is(err, stop) {
		t.Errorf("error %v, want that the process stops", err)
	}
}

func TestAnAnswerThatIsNoHTTPIsAnError(t *testing.T) {
	t.Parallel()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	answers := []string{"", "SSH-2.0-x\r\n", "HTTP/1.1 200 OK\r\nX: " + strings.Repeat("x", 1<<20)}
	go func() {
		for _, answer := range answers {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			_, _ = conn.Write([]byte(answer)) // it may be hung up on
			_ = conn.Close()
		}
	}()
	for _, answer := range answers {
		if err := sender(t, "http://"+listener.Addr().String(), webhook.Config{}).Send(t.Context(), message()); err == nil {
			t.Errorf("%.20q was taken", answer)
		}
	}
}

func TestAllowIsAskedForTheAddressThatIsDialled(t *testing.T) {
	t.Parallel()
	url, posts := receive(t)
	_, port, _ := strings.Cut(strings.TrimPrefix(url, "http://"), ":")
	refused := errors.New("an inner address")
	for _, host := range []string{"127.0.0.1", "localhost", "[::ffff:127.0.0.1]"} {
		allow := func(a netip.AddrPort) error {
			if a.Addr().IsLoopback() {
				return refused
			}
			return nil
		}
		err := sender(t, "http://"+host+":"+port, webhook.Config{Allow: allow}).Send(t.Context(), message())
		if !errors.Is(err, refused) {
			t.Errorf("%s: error %v, want that it is refused", host, err)
		}
	}
	if len(posts) != 0 {
		t.Errorf("%d messages came", len(posts))
	}
	asked := ""
	allow := func(a netip.AddrPort) error { asked = a.String(); return nil }
	if err := sender(t, url, webhook.Config{Allow: allow}).Send(t.Context(), message()); err != nil || "http://"+asked != url {
		t.Errorf("asked for %q: %v", asked, err)
	}
}

func TestAURLThatCannotBePostedToIsAMistakeThatIsNotShown(t *testing.T) {
	t.Parallel()
	for _, url := range []string{
		"", "hush", "ftp://shop.example/hush", "http://", "https:///hush", "http://:80/hush", "http://a b/hush", "https://me:hush@shop.example", "unix:/hush",
	} {
		_, err := webhook.New(url, webhook.Config{})
		if restock.KindOf(err) != restock.Invalid || webhook.Check(url) == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: error %v of kind %d", url, err, restock.KindOf(err))
		}
		if got := webhook.Host(url); got != "" {
			t.Errorf("Host(%q) = %q", url, got)
		}
	}
	if got := webhook.Host("https://hooks.example:8443/T0/hush?k=hush"); got != "https://hooks.example:8443" {
		t.Errorf("host %q", got)
	}
	if err := webhook.Check("https://hooks.example/T0/hush?k=hush#part"); err != nil {
		t.Error(err)
	}
}

func TestASecretIsNotShown(t *testing.T) {
	t.Parallel()
	short := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 23))
	long := "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, 65))
	for _, text := range []string{"", "whsec_", "hush", "whsec_hush!", strings.TrimPrefix(secret, "whsec_"), short, long} {
		_, err := webhook.ParseSecret(text)
		if restock.KindOf(err) != restock.Invalid || err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("%q: error %v", text, err)
		}
	}
	for _, verb := range []string{"%v", "%s", "%+v"} {
		if got := fmt.Sprintf(verb, parsed(t, secret)); got != "***" {
			t.Errorf(verb+" prints %q", got)
		}
	}
}
