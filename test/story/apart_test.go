package story_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"

	"github.com/rogpeppe/go-internal/testscript"
)

// setting is in what arrangement a story is played: where the rows and the
// messages are, and whether each role has a process of its own.
type setting struct {
	database string  // its address; "" is the default
	engine   *engine // nil is the default
	apart    bool
}

// roles are those of restock serve, each on its own when they are apart.
func roles() []string { return []string{"sales", "replenish", "arrivals", "ads", "ops", "relay"} }

// gateway stands before processes that are apart, as a load balancer does: what
// a factory reports goes to arrivals, all else that is public to sales.
type gateway struct {
	server          *httptest.Server
	sales, arrivals atomic.Pointer[httputil.ReverseProxy]
}

func openGateway() *gateway {
	g := &gateway{}
	g.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		target := &g.sales
		if r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/product/") {
			target = &g.arrivals
		}
		proxy := target.Load()
		if proxy == nil {
			http.Error(w, "nobody serves this yet", http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	return g
}

func (g *gateway) close() {
	if g != nil {
		g.server.Close()
	}
}

// serveApart runs each role in a process of its own, on one data folder.
func (s *stage) serveApart(ts *testscript.TestScript, args []string) error {
	g := openGateway()
	first := &process{}
	for i, role := range roles() {
		flags := append([]string{"serve", "--listen", "127.0.0.1:0", "--roles", role, "--public-url", g.server.URL}, args...)
		p, err := s.start(ts, serverName+"-"+role, flags)
		if err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
		if err := p.awaitOwnAddress(context.Background()); err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
		if i == 0 {
			p.gateway = g
			first, s.processes[serverName] = p, p
		} else {
			first.mates = append(first.mates, p)
		}
		if err := p.awaitReady(context.Background()); err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
		at, err := url.Parse(p.url)
		if err != nil {
			return fmt.Errorf("role %s: %w", role, err)
		}
		switch role {
		case "sales":
			g.sales.Store(httputil.NewSingleHostReverseProxy(at))
		case "arrivals":
			g.arrivals.Store(httputil.NewSingleHostReverseProxy(at))
		}
	}
	s.introduce(ts, g.server.URL)
	_, err := io.WriteString(ts.Stdout(), first.said())
	return err //nolint:wrapcheck // a strings.Builder.
}

// awaitOwnAddress reads where the process itself listens, which is not where the
// public finds it.
func (p *process) awaitOwnAddress(ctx context.Context) error {
	pattern := regexp.MustCompile(`operators +(http://[^/\s]+)/`)
	return until(ctx, startTimeout, func(context.Context) error {
		found := pattern.FindStringSubmatch(p.said())
		if found == nil {
			return errors.New("it has not said where operators reach it")
		}
		p.url = found[1]
		return nil
	})
}

// introduce tells the story where the server is.
func (s *stage) introduce(ts *testscript.TestScript, public string) {
	ts.Setenv("SERVER", public)
	data := ts.Getenv("RESTOCK_DATA")
	if server := filepath.Join(data, "server"); fileExists(server) { // only the operator's side writes it
		ts.Setenv("ADMIN", strings.TrimSpace(ts.ReadFile(server)))
	}
	ts.Setenv("TOKEN", strings.TrimSpace(ts.ReadFile(filepath.Join(data, "operator-token"))))
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}
