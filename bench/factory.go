package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

const (
	// lastUnits is how many products are sold out, one after the other.
	lastUnits     = 300
	lastUnitGoal  = 10 * time.Millisecond
	lastUnitPause = 20 * time.Millisecond // so that the next one finds an idle service
	factoryWait   = 10 * time.Second
)

// measureFactory sells the last unit of one product after the other on an
// otherwise idle service, and takes the time until the factory is asked for
// more. The clock begins when the buyer sends the request.
func measureFactory(ctx context.Context, b *bench) (err error) {
	asked := make(chan time.Time, 1)
	maker := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked <- time.Now()
		w.WriteHeader(http.StatusCreated)
		_ = json.NewEncoder(w).Encode(map[string]any{"data": map[string]string{"id": "0"}})
	}))
	defer maker.Close()
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	var catalog strings.Builder
	fmt.Fprintf(&catalog, "factories:\n  - {identifier: F, url: %q, lead_time: 1h, max_in_flight: 1000, rate_per_second: 1000}\nproducts:\n", maker.URL)
	for i := range lastUnits {
		fmt.Fprintf(&catalog, "  - {sku: P-%d, name: Product %d, price: 100, opening_stock: 1, factory: F, order_quantity: 3}\n", i, i)
	}
	file := filepath.Join(b.dir, "last-units.yaml")
	if err := os.WriteFile(file, []byte(catalog.String()), 0o600); err != nil {
		return err
	}
	ours, err := b.start(ctx, b.binary, "serve", "--listen", "%s", "--data", data, "--catalog", file, "--log-level", "error")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	var took []time.Duration
	for i := range lastUnits {
		d, err := sellLast(ctx, ours.url, i, asked)
		if err != nil {
			return err
		}
		took = append(took, d)
	}
	slices.Sort(took)
	p99 := took[len(took)*99/100]
	b.rows = append(b.rows, row{
		what: "last unit sold, from the buyer's request to the request at the factory, embedded, otherwise idle: p99 of 10 ms", goal: "≤ 1.00",
		ratio:  float64(p99) / float64(lastUnitGoal),
		detail: fmt.Sprintf("p50 %.1f ms, p99 %.1f ms, of %d", milliseconds(took[len(took)/2]), milliseconds(p99), len(took)),
	})
	return nil
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func sellLast(ctx context.Context, url string, product int, asked <-chan time.Time) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, factoryWait)
	defer cancel()
	time.Sleep(lastUnitPause)
	begin := time.Now()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/checkout", strings.NewReader(fmt.Sprintf(`{"sku":"P-%d"}`, product)))
	if err != nil {
		return 0, err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("the last unit of product %d was not sold: %s", product, response.Status)
	}
	select {
	case at := <-asked:
		return at.Sub(begin), nil
	case <-ctx.Done():
		return 0, errors.New("the factory was not asked")
	}
}
