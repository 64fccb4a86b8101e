package jetstream_test

import (
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/jetstream"
	"github.com/restock/restock/internal/queue/queuetest"
)

const (
	stockQueue = "stock-queue"
	adQueue    = "ad-queue"
	opsQueue   = "ops-queue"

	stockLow = "stock.low"
	stockOut = "stock.out"

	// visibility is for what is to run out: short, and long enough for a slow machine
	// to say in time that a message is still at work.
	visibility = 3 * time.Second
	// steady is a visibility beyond which the engine itself has to keep a message, with
	// a word to the server in every half of it.
	steady = 8 * time.Second
)

// single is the routes of a topic with one queue.
func single() []driver.Route { return []driver.Route{{Queue: stockQueue, Rest: true}} }

// open opens an engine that waits for its server, and ends it with the test.
func open(tb testing.TB, url string, routes []driver.Route, cfg jetstream.Config) *jetstream.Engine {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	if cfg.AnswerTimeout == 0 {
		cfg.AnswerTimeout = patience
	}
	e, err := jetstream.Open(tb.Context(), url, routes, cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := e.Close(); err != nil {
			tb.Error(err)
		}
	})
	return e
}

// provisioned opens an engine and makes what it needs, when it is connected: on a
// slow machine Open does not wait for that.
func provisioned(tb testing.TB, url string, routes []driver.Route, cfg jetstream.Config) *jetstream.Engine {
	tb.Helper()
	e := open(tb, url, routes, cfg)
	until(tb, "the engine is connected", func() bool { return jetstream.Connected(e) })
	if _, err := e.Provision(tb.Context(), true); err != nil {
		tb.Fatal(err)
	}
	return e
}

// visibilityOf is how long a visibility is that a check lets run out.
func visibilityOf(c queuetest.Check) time.Duration {
	if c.Name == "ExtendHoldsTheMessage" {
		return steady
	}
	return visibility
}

// configOf lets the server wait for answers as long as usual, unless a check lets
// a visibility run out.
func configOf(c queuetest.Check) jetstream.Config {
	if c.Expires {
		return jetstream.Config{Visibility: visibilityOf(c)}
	}
	return jetstream.Config{}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T, c queuetest.Check) queuetest.Harness {
		t.Helper()
		server := queuetest.StartNATS(t)
		e := provisioned(t, server.URL(), single(), configOf(c))
		return queuetest.OnBroker(t, e, stockQueue, visibilityOf(c))
	})
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// TestConformanceOnACluster: with replicas, deliveries and answers take another
// way through the servers.
func TestConformanceOnACluster(t *testing.T) {
	if os.Getenv("RESTOCK_TEST_FULL") == "" {
		t.Skip("it takes long; RESTOCK_TEST_FULL=1 runs it")
	}
	t.Parallel()
	cluster := queuetest.StartNATSCluster(t)
	queuetest.Run(t, func(t *testing.T, c queuetest.Check) queuetest.Harness {
		t.Helper()
		stream := "check-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:])
		e := open(t, cluster.URL()+"?replicas=3&stream="+stream, single(), configOf(c))
		until(t, "the queues are made", func() bool {
			_, err := e.Provision(t.Context(), true)
			return err == nil
		})
		return queuetest.OnBroker(t, e, stockQueue, visibilityOf(c))
	})
}
