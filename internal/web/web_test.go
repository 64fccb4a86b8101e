package web_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock/internal/web"
)

// logBook collects log lines as JSON, from any goroutine.
type logBook struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBook) Write(line []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(line) //nolint:wrapcheck // A buffer does not fail.
}

func (b *logBook) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

func (b *logBook) logger(level slog.Level) *slog.Logger {
	return slog.New(slog.NewJSONHandler(b, &slog.HandlerOptions{Level: level}))
}

// lines gives the lines with this message.
func (b *logBook) lines(t *testing.T, message string) []map[string]any {
	t.Helper()
	var lines []map[string]any
	for line := range strings.Lines(b.String()) {
		var fields map[string]any
		if err := json.Unmarshal([]byte(line), &fields); err != nil {
			t.Fatalf("log line %q: %v", line, err)
		}
		if fields[slog.MessageKey] == message {
			lines = append(lines, fields)
		}
	}
	return lines
}

// running is a Server that runs until stop or the end of the test.
type running struct {
	*web.Server

	stop   context.CancelFunc
	result <-chan error
}

func start(t *testing.T, cfg web.Config) running {
	t.Helper()
	server := web.NewServer(cfg)
	if err := server.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	result, ended := make(chan error, 1), make(chan struct{})
	go func() {
		result <- server.Run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		stop()
		<-ended
	})
	return running{Server: server, stop: stop, result: result}
}

// newClient has connections of its own, closed with the test.
func newClient(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

type answer struct {
	status int
	header http.Header
	body   string
}

func send(t *testing.T, client *http.Client, method, url string, header http.Header, body io.Reader) (answer, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, body)
	if err != nil {
		t.Fatal(err)
	}
	maps.Copy(r.Header, header)
	res, err := client.Do(r)
	if err != nil {
		return answer{}, err //nolint:wrapcheck // The test looks at it.
	}
	text, err := io.ReadAll(res.Body)
	if closeErr := res.Body.Close(); closeErr != nil {
		t.Error(closeErr)
	}
	return answer{res.StatusCode, res.Header, string(text)}, err //nolint:wrapcheck // As above.
}

func get(t *testing.T, url string) answer {
	t.Helper()
	got, err := send(t, newClient(t), http.MethodGet, url, nil, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func dial(t *testing.T, addr string) net.Conn {
	t.Helper()
	var dialer net.Dialer
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return conn
}

func ok(w http.ResponseWriter, _ *http.Request) {
	web.WriteJSON(w, http.StatusOK, "ok")
}
