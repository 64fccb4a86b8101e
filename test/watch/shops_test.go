package watch_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

// pair is what a shop told before and after something happened.
type pair struct{ first, second scrape }

func (p pair) timeline(instance string, changes map[string]course) timeline {
	return append(between(p.first, p.second, changes), up(instance, always(1)))
}

// The shops, each played once for all tests.
//
//nolint:gochecknoglobals // a shop takes seconds.
var shops struct{ healthy, troubled, broker, server played }

type played struct {
	once   sync.Once
	pair   pair
	failed bool
}

func (p *played) get(t *testing.T, play func(*testing.T) pair) pair {
	t.Helper()
	p.once.Do(func() {
		p.failed = true
		p.pair = play(t)
		p.failed = false
	})
	if p.failed {
		t.Skip("the shop could not be played, as another test tells")
	}
	return p.pair
}

func healthy(t *testing.T) pair  { return shops.healthy.get(t, playHealthy) }
func troubled(t *testing.T) pair { return shops.troubled.get(t, playTroubled) }
func broker(t *testing.T) pair   { return shops.broker.get(t, playBroker) }
func server(t *testing.T) pair   { return shops.server.get(t, playServer) }

// playHealthy sells out, orders and receives.
func playHealthy(t *testing.T) pair {
	s := blackbox.OpenShop(t, command, blackbox.Setup{
		Factory:  blackbox.NewFactory(t, nil, nil),
		Sections: "advertisements:\n  - {name: donut-main, manager_email: ads@donut.example}\n",
		Products: "  - {sku: OTHER, name: Other, price: 1, opening_stock: 1000, factory: FF-500293, advertisement: donut-main}\n",
	})
	first := present(t, s, "healthy")
	for range 20 {
		buy(t, s, `{"sku":"OTHER","quantity":10}`, http.StatusOK)
	}
	buy(t, s, `{"quantity":3}`, http.StatusOK)
	buy(t, s, ``, http.StatusConflict)
	o := s.Factory.Await(t, 1)[0]
	deliver(t, s, o, o.Body)
	s.Quiet()
	s.Until("the order is received", func() bool { return s.Product(blackbox.Donut).Stock.OnHand == 10 })
	return pair{first, present(t, s, "healthy")}
}

// playTroubled has everything go wrong that can be had without a broker or a
// server: nobody takes mails or webhooks, one factory is down, another never
// calls, a third reports nonsense, strangers report goods, and people pause and
// leave things lying.
func playTroubled(t *testing.T) pair {
	s := blackbox.OpenShop(t, command, blackbox.Setup{
		Factory:  blackbox.NewFactory(t, nil, nil),
		Flags:    []string{"--mail", "smtp://127.0.0.1:1?tls=none", "--operations-webhook", "http://127.0.0.1:1/hook", "--callback-window", "1s"},
		Sections: "advertisements:\n  - {name: donut-main, manager_email: ads@donut.example}\n",
	})
	do(t, s, "catalog", "apply", catalogue(t, s))
	first := present(t, s, "troubled")
	for _, sku := range []string{"REVIEW", "OFF", "LATE", "DOWN-1", "DOWN-2", "DOWN-3", "DOWN-4", "DOWN-5"} {
		buy(t, s, `{"sku":"`+sku+`"}`, http.StatusOK)
	}
	buy(t, s, `{"quantity":3}`, http.StatusOK)
	for _, o := range s.Factory.Await(t, 2) {
		if strings.Contains(string(o.Body), blackbox.Donut) {
			deliver(t, s, o, []byte(`{"MessageAttributeProductCnt":"some"}`))
		}
	}
	for range 100 {
		if a, err := s.Deliver(blackbox.Order{Callback: blackbox.PublicURL + "/product/donut?token=guessed"}, []byte("{}")); err != nil || a.Status != http.StatusUnauthorized {
			t.Fatalf("a stranger's report was answered with %d %s, %v", a.Status, a.Body, err)
		}
	}
	later(t, s, "troubled", func(now scrape) bool {
		return now.value(t, "restock_factory_breaker_open", "factory", "FF-DOWN") > 0 &&
			now.value(t, "restock_receipts_held") > 0 &&
			now.value(t, "restock_orders", "state", "overdue") > 0 &&
			now.value(t, "restock_orders", "state", "awaiting_approval") > 0 &&
			now.value(t, "restock_dead_letters", "queue", "ad-queue") > 0 &&
			now.value(t, "restock_webhooks_total", "outcome", "failed") > 0 &&
			now.value(t, "restock_mails_total", "kind", "ops-alert", "outcome", "failed") > 0
	})
	do(t, s, "ordering", "pause", "--reason", "a stocktake")
	return pair{first, later(t, s, "troubled", func(now scrape) bool { return now.value(t, "restock_ordering_paused") > 0 })}
}

func catalogue(t *testing.T, s *blackbox.Shop) string {
	t.Helper()
	var text strings.Builder
	text.WriteString("factories:\n" +
		"  - {identifier: FF-DOWN, url: \"http://127.0.0.1:1/api/manufactures\", lead_time: 100ms, rate_per_second: 1000}\n" +
		"  - {identifier: FF-LATE, url: \"" + s.Factory.URL + "\", lead_time: 100ms, overdue: wait}\n" +
		"products:\n" +
		"  - {sku: REVIEW, name: R, price: 1, opening_stock: 1, factory: FF-LATE, order_quantity: 5, ordering: review}\n" +
		"  - {sku: OFF, name: O, price: 1, opening_stock: 1, factory: FF-LATE, ordering: \"off\", advertisement: donut-main}\n" +
		"  - {sku: LATE, name: L, price: 1, opening_stock: 1, factory: FF-LATE, order_quantity: 5}\n")
	for _, n := range "12345" {
		text.WriteString("  - {sku: DOWN-" + string(n) + ", name: D, price: 1, opening_stock: 1, factory: FF-DOWN, order_quantity: 5}\n")
	}
	path := filepath.Join(t.TempDir(), "more.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// playBroker has the broker go away, and sells then.
func playBroker(t *testing.T) pair {
	nats := queuetest.StartNATS(t)
	if out, err := exec.CommandContext(t.Context(), command, "queue", "provision", "--queue", nats.URL()).CombinedOutput(); err != nil {
		t.Fatalf("queue provision: %v\n%s", err, out)
	}
	s := blackbox.OpenShop(t, command, blackbox.Setup{
		Factory: blackbox.NewFactory(t, nil, nil), Flags: []string{"--queue", nats.URL()},
	})
	first := present(t, s, "broker")
	nats.Stop()
	buy(t, s, `{"quantity":3}`, http.StatusOK)
	return pair{first, later(t, s, "broker", func(now scrape) bool {
		return now.value(t, "restock_engine_up") == 0 && now.value(t, "restock_outbox_lag_seconds") > 0
	})}
}

// playServer sells on a database server.
func playServer(t *testing.T) pair {
	keys := filepath.Join(t.TempDir(), "keys")
	if out, err := exec.CommandContext(t.Context(), command, "callback-keys", "make", keys).CombinedOutput(); err != nil {
		t.Fatalf("callback-keys make: %v\n%s", err, out)
	}
	s := blackbox.OpenShop(t, command, blackbox.Setup{
		Factory: blackbox.NewFactory(t, nil, nil), Flags: []string{"--db", servers.PostgreSQL(t), "--callback-keys-file", keys},
	})
	first := present(t, s, "server")
	buy(t, s, `{"quantity":1}`, http.StatusOK)
	return pair{first, present(t, s, "server")}
}

func buy(t *testing.T, s *blackbox.Shop, body string, want int) {
	t.Helper()
	if a, err := s.Buy(body); err != nil || a.Status != want {
		t.Fatalf("the purchase %s was answered with %d %s, %v; want %d", body, a.Status, a.Body, err, want)
	}
}

func deliver(t *testing.T, s *blackbox.Shop, o blackbox.Order, body []byte) {
	t.Helper()
	if a, err := s.Deliver(o, body); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the report was answered with %d %s, %v", a.Status, a.Body, err)
	}
}

func do(t *testing.T, s *blackbox.Shop, args ...string) {
	t.Helper()
	run := exec.CommandContext(t.Context(), command, append(args, "--data", s.Data)...)
	if out, err := run.CombinedOutput(); err != nil {
		t.Fatalf("restock %q: %v\n%s", args, err, out)
	}
}

// levelsRead says whether a scrape has what is in tables. They are read with a
// limit, and what did not come within it is there at another scrape.
func levelsRead(s scrape) bool {
	for _, one := range s.series {
		if one.labels.Get("__name__") == "restock_levels_read_success" {
			return one.value == 1
		}
	}
	return false
}

// present scrapes the shop as it is.
func present(t *testing.T, s *blackbox.Shop, instance string) scrape {
	t.Helper()
	return later(t, s, instance, func(scrape) bool { return true })
}

// later scrapes again and again until the shop is where it should be.
func later(t *testing.T, s *blackbox.Shop, instance string, there func(scrape) bool) scrape {
	t.Helper()
	var now scrape
	again := time.NewTicker(200 * time.Millisecond)
	defer again.Stop()
	s.Until("the metrics tell what happened", func() bool {
		<-again.C // levels are read at most once a second
		now = scrapeOf(t, s.URL(), instance)
		return levelsRead(now) && there(now)
	})
	return now
}
