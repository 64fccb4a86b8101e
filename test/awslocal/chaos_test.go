package awslocal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
)

// TestFunctionsThatDieLoseNothing: for a while under load, and until some have done
// so, functions crash, stand still until they are stopped, and are throttled, at
// random. What the clients
// bought and what the factory delivered is what the shop has, to the piece.
func TestFunctionsThatDieLoseNothing(t *testing.T) {
	s := open(t)
	last := 6 * time.Second
	if os.Getenv("RESTOCK_TEST_FULL") != "" {
		last = time.Minute
	}
	f, address, stop, err := s.OpenFactory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	f.Repeats = true
	for _, p := range chaosProducts {
		f.Deliver(p)
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	parameters := Parameters()
	parameters["FunctionTimeout"], parameters["FactoryTimeout"] = "12", "4s"
	parameters["VisibilityTimeout"], parameters["RequestTimeout"] = "13", "4"
	chaos := &Chaos{Crash: 8, Hang: 1, Throttle: 6, Seed: seed}
	cloud, err := s.Deploy(t.Context(), Config{Template: shipped(t), Parameters: parameters, Catalog: chaosCatalog(address), Chaos: chaos})
	if err != nil {
		t.Fatal(err)
	}
	defer cloud.Close()
	story := &Story{Cloud: cloud, Factory: f}

	chaos.Begin()
	buying, enough := context.WithTimeout(t.Context(), patience)
	defer enough()
	var mu sync.Mutex
	bought := map[string]int64{}
	var buyers sync.WaitGroup
	for n := range chaosBuyers {
		buyers.Go(func() {
			for i := 0; buying.Err() == nil; i++ {
				sku := chaosProducts[(n+i)%len(chaosProducts)]
				if sold(t, story, sku) {
					mu.Lock()
					bought[sku]++
					mu.Unlock()
				}
			}
		})
	}
	began := time.Now()
	for buying.Err() == nil && (time.Since(began) < last || badDays(cloud) < chaosLeast || len(f.Taken()) == 0) {
		pause(buying, lookPace)
	}
	enough()
	chaos.End()
	buyers.Wait()

	settle(t, story)
	for id, c := range cloud.Counts() {
		t.Logf("%s: %+v", id, c)
	}
	died := badDays(cloud)
	if died < chaosLeast {
		t.Errorf("%d events had a bad day, want %d", died, chaosLeast)
	}
	delivered, seen, total := map[string]int64{}, map[string]bool{}, int64(0)
	for _, o := range f.Taken() {
		if seen[o.CallbackURL] {
			t.Errorf("the factory got an order twice: %s of %d", o.SKU, o.Quantity)
		}
		seen[o.CallbackURL] = true
		delivered[o.SKU] += o.Quantity
	}
	for i, sku := range chaosProducts {
		total += bought[sku]
		got := stockOf(t, story, sku)
		if want := chaosOpening + delivered[sku] - bought[sku]; got != want {
			t.Errorf("%s (%d): stock %d, want %d = %d + %d delivered - %d bought", sku, i, got, want, chaosOpening, delivered[sku], bought[sku])
		}
	}
	if total == 0 || len(seen) == 0 {
		t.Errorf("%d were bought, and %d orders made", total, len(seen))
	}
	t.Logf("%d bought, %d orders, %d events had a bad day", total, len(seen), died)
	if err := story.command(t.Context(), "verify", "--db", cloud.DatabaseURL()); err != nil {
		t.Error(err)
	}
}

const (
	chaosBuyers  = 4
	chaosOpening = 10
	chaosLeast   = 5 // events with a bad day
)

// badDays counts the events that met one.
func badDays(c *Cloud) (n int) {
	for _, counts := range c.Counts() {
		n += counts.Crashes + counts.Timeouts + counts.Throttles
	}
	return n
}

var chaosProducts = []string{"C-1", "C-2", "C-3", "C-4"}

func chaosCatalog(factoryURL string) []byte {
	var c strings.Builder
	fmt.Fprintf(&c, "currency: KRW\nfactories:\n  - {identifier: FF-1, name: F, manager_email: f@donut.example, url: %s/api/manufactures, lead_time: 100s, requester: 김재고}\n"+
		"advertisements:\n  - {name: a, manager_email: %s}\nproducts:\n", factoryURL, adManager)
	for _, sku := range chaosProducts {
		fmt.Fprintf(&c, "  - {sku: %[1]s, name: %[1]s, price: 100, opening_stock: %d, factory: FF-1, advertisement: a, reorder_point: 5, order_quantity: 20}\n", sku, chaosOpening)
	}
	return []byte(c.String())
}

// sold buys one piece, and asks again with the same key until there is an answer.
func sold(t *testing.T, s *Story, sku string) bool {
	t.Helper()
	key := uuid.NewString()
	for {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Cloud.API()+"/checkout", strings.NewReader(`{"sku":"`+sku+`","quantity":1}`))
		if err != nil {
			t.Error(err)
			return false
		}
		r.Header.Set("Idempotency-Key", key)
		response, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return false
		}
		response.Body.Close()
		switch {
		case response.StatusCode == http.StatusOK:
			return true
		case response.StatusCode == http.StatusConflict:
			return false
		case response.StatusCode < http.StatusInternalServerError:
			t.Errorf("checkout answered %d", response.StatusCode)
			return false
		}
	}
}

// settle waits until all that was begun has come to its end: what was taken on the
// way to a dead process comes again, and what became a dead letter is redriven.
func settle(t *testing.T, s *Story) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	quietFor := 0
	for quietFor < 3 {
		if ctx.Err() != nil {
			t.Fatal("what was begun does not come to its end")
		}
		if letters, err := s.letters(ctx); err == nil && len(letters) > 0 {
			t.Logf("redriven: %v", letters)
			if err := s.operator(ctx, http.MethodPost, "/v1/dead-letters/redrive", `{"all":true,"stale":true,"reason":"bad days are over"}`, nil); err != nil {
				t.Error(err)
			}
			quietFor = 0
		}
		quietFor++
		for _, r := range s.Cloud.stack.made(typeQueue) {
			if s.Cloud.depth(ctx, r) != nothing {
				quietFor = 0
			}
		}
		if s.Factory.Working() > 0 {
			quietFor = 0
		}
		ticks := s.Cloud.ticks.Load()
		for scheduled := len(s.Cloud.schedules()) > 0; scheduled && s.Cloud.ticks.Load() == ticks && ctx.Err() == nil; {
			pause(ctx, lookPace)
		}
		pause(ctx, minute)
	}
}

func stockOf(t *testing.T, s *Story, sku string) int64 {
	t.Helper()
	_, body, err := s.ask(t.Context(), http.MethodGet, s.Cloud.API()+"/product/"+sku, "", "")
	if err != nil {
		t.Fatal(err)
	}
	var p struct {
		Stock int64 `json:"stock"`
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return p.Stock
}
