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

	// visibility is short, and long enough for a busy machine to say in time that
	// a message is still at work.
	visibility = 2 * time.Second
)

// single is the routes of a topic with one queue.
func single() []driver.Route { return []driver.Route{{Queue: stockQueue, Rest: true}} }

// open opens an engine and ends it with the test.
func open(tb testing.TB, url string, routes []driver.Route, cfg jetstream.Config) *jetstream.Engine {
	tb.Helper()
	if cfg.Logger == nil {
		cfg.Logger = quiet()
	}
	if cfg.Visibility == 0 {
		cfg.Visibility = visibility
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

// provisioned opens an engine and makes what it needs.
func provisioned(tb testing.TB, url string, routes []driver.Route, cfg jetstream.Config) *jetstream.Engine {
	tb.Helper()
	e := open(tb, url, routes, cfg)
	if _, err := e.Provision(tb.Context(), true); err != nil {
		tb.Fatal(err)
	}
	return e
}

func TestConformance(t *testing.T) {
	t.Parallel()
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		server := queuetest.StartNATS(t)
		e := provisioned(t, server.URL(), single(), jetstream.Config{})
		return queuetest.OnBroker(t, e, stockQueue, visibility)
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
	queuetest.Run(t, func(t *testing.T) queuetest.Harness {
		t.Helper()
		stream := "check-" + strings.ToLower(t.Name()[strings.LastIndex(t.Name(), "/")+1:])
		e := open(t, cluster.URL()+"?replicas=3&stream="+stream, single(), jetstream.Config{})
		until(t, "the queues are made", func() bool {
			_, err := e.Provision(t.Context(), true)
			return err == nil
		})
		return queuetest.OnBroker(t, e, stockQueue, visibility)
	})
}
