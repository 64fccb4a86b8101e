package story_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// hook receives webhooks, verifies them as a receiver would, and fails while it
// is told to.
type hook struct {
	server   *httptest.Server
	verifier *standardwebhooks.Webhook

	mu     sync.Mutex
	down   bool
	asked  map[string]int // tries by id
	bodies [][]byte       // of what was taken
	err    error
}

func openHook(secret string) (*hook, error) {
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return nil, fmt.Errorf("the secret: %w", err)
	}
	h := &hook{verifier: verifier, asked: map[string]int{}}
	h.server = httptest.NewServer(h)
	return h, nil
}

func (h *hook) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.err = errors.Join(h.err, err, h.verifier.Verify(body, r.Header))
	h.asked[r.Header.Get(standardwebhooks.HeaderWebhookID)]++
	if h.down {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	h.bodies = append(h.bodies, body)
	w.WriteHeader(http.StatusNoContent)
}

func (s *stage) hookCommand(ts *testscript.TestScript, args []string) error {
	if err := want(args, 1, 2); err != nil {
		return err
	}
	switch args[0] {
	case "open":
		const secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
		var err error
		if s.hook, err = openHook(secret); err != nil {
			return err
		}
		ts.Setenv("HOOK", s.hook.server.URL+"/T0/hush")
		const ownerOnly = 0o600
		return os.WriteFile(ts.MkAbs("hook-secret"), []byte(secret+"\n"), ownerOnly) //nolint:wrapcheck // the path is in it.
	case "down", "up":
		s.hook.mu.Lock()
		defer s.hook.mu.Unlock()
		s.hook.down = args[0] == "down"
		return nil
	case "secret":
		if len(args) != 2 {
			return errors.New("hook secret SECRET")
		}
		verifier, err := standardwebhooks.NewWebhook(args[1])
		s.hook.mu.Lock()
		defer s.hook.mu.Unlock()
		s.hook.verifier = verifier
		return err //nolint:wrapcheck // it says that the secret is none.
	case "tried":
		return s.hook.awaitTries(args[1:])
	}
	n, err := number(args, 0)
	if err != nil {
		return err
	}
	body, err := s.hook.awaitBody(n)
	if err != nil {
		return err
	}
	_, err = ts.Stdout().Write(body)
	return err //nolint:wrapcheck // a strings.Builder.
}

// awaitTries waits until one message was tried so often.
func (h *hook) awaitTries(args []string) error {
	n, err := number(args, 0)
	if err != nil {
		return err
	}
	return until(context.Background(), waitTimeout, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		for _, tries := range h.asked {
			if tries >= n {
				return nil
			}
		}
		return fmt.Errorf("no message was tried %d times: %v", n, h.asked)
	})
}

func (h *hook) awaitBody(n int) ([]byte, error) {
	var body []byte
	err := until(context.Background(), waitTimeout, func(context.Context) error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if len(h.bodies) < n {
			return fmt.Errorf("%d webhooks were taken, want %d", len(h.bodies), n)
		}
		body = h.bodies[n-1]
		return nil
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return body, errors.Join(err, h.err)
}
