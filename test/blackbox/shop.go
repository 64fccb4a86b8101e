package blackbox

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/test/contract"
)

// WaitMax bounds every wait for what the program does by itself, on a slow
// machine, too.
const WaitMax = 3 * time.Minute

// answerMax bounds one answer of the server.
const answerMax = 3 * time.Minute

// PublicURL is where the factory believes the shop to be. It does not change
// when the server comes back on another port.
const PublicURL = "http://shop.test"

// Donut is the product of every shop's catalogue.
const Donut = "CP-502101"

// Shop is a running restock with one product of three pieces and one factory,
// which makes ten more.
type Shop struct {
	Server  *Server
	Factory *Factory
	Data    string

	t       *testing.T
	url     string
	bare    bool
	promise string
}

// Setup is what a shop can differ in.
type Setup struct {
	Factory  *Factory
	Products string   // more lines of the catalogue's products
	Sections string   // more sections of the catalogue
	Flags    []string // of serve
	Env      []string // of the first process
	Bare     bool     // the process gets no environment at all
	// Prepare makes what is in the data folder before the first process starts.
	Prepare func(data string)
	Promise string // what is broken if it does not start
}

// OpenShop starts a shop; its last process ends with the test.
func OpenShop(t *testing.T, binary string, setup Setup) *Shop {
	t.Helper()
	folder := t.TempDir()
	s := &Shop{t: t, bare: setup.Bare, promise: cmp.Or(setup.Promise, "the server has to start"), Factory: setup.Factory, Data: filepath.Join(folder, "data")}
	catalogue := filepath.Join(folder, "catalog.yaml")
	text := fmt.Sprintf("default_product: %s\nfactories:\n"+
		"  - {identifier: FF-500293, url: %q, lead_time: 100ms, rate_per_second: 1000}\nproducts:\n"+
		"  - {sku: %s, slug: donut, name: 부산도너츠, price: 19900, opening_stock: 3, factory: FF-500293, reorder_point: 0, order_quantity: 10}\n%s%s",
		Donut, s.Factory.URL, Donut, setup.Products, setup.Sections)
	if err := os.WriteFile(catalogue, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	log, err := os.Create(filepath.Join(folder, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	s.Server = &Server{Binary: binary, Log: log, Args: append([]string{
		"serve", "--listen", "127.0.0.1:0", "--data", s.Data, "--catalog", catalogue, "--public-url", PublicURL,
		"--sweep-interval", "100ms", "--retry-base", "50ms", "--alert-gap", "100ms", "--log-level", "warn",
	}, setup.Flags...)}
	t.Cleanup(func() {
		s.Server.Abandon()
		if t.Failed() {
			t.Logf("the server said:\n%s", s.Server.LastWords())
		}
		_ = log.Close()
	})
	if setup.Prepare != nil {
		setup.Prepare(s.Data)
	}
	s.Start(setup.Env...)
	return s
}

// Start starts a process on what the last one left, with additions to the
// environment.
func (s *Shop) Start(env ...string) {
	s.t.Helper()
	s.Server.Env = append(environment(), env...)
	if s.bare {
		s.Server.Env = []string{}
	}
	if err := s.Server.Start(); err != nil {
		s.t.Fatalf("%s: %v; its last words:\n%s", s.promise, err, s.Server.LastWords())
	}
	address, err := os.ReadFile(filepath.Join(s.Data, "server"))
	if err != nil {
		s.t.Fatal(err)
	}
	s.url = strings.TrimSpace(string(address))
}

// environment is the test's own without settings of whoever runs it.
func environment() []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "RESTOCK_") {
			env = append(env, entry)
		}
	}
	return env
}

// URL is where the present process listens.
func (s *Shop) URL() string { return s.url }

// AwaitDeath waits until the process is gone.
func (s *Shop) AwaitDeath() {
	s.t.Helper()
	timer := time.NewTimer(WaitMax)
	defer timer.Stop()
	select {
	case <-s.Server.Ended():
	case <-timer.C:
		s.t.Fatalf("the server is still there after %v; orders %+v", WaitMax, s.Orders())
	}
}

// Answer is what somebody was told over HTTP.
type Answer struct {
	Status int
	Body   string
}

// Buy posts a purchase.
func (s *Shop) Buy(body string) (Answer, error) {
	return s.post(s.url+"/checkout", []byte(body))
}

// SellOut buys all three pieces in one purchase. It can break off, where the
// process dies of what the purchase starts.
func (s *Shop) SellOut() error {
	a, err := s.Buy(`{"quantity":3}`)
	if err == nil && a.Status != http.StatusOK {
		err = fmt.Errorf("the purchase was answered with %d %s", a.Status, a.Body)
	}
	return err
}

// Deliver makes the factory call back about an order, with its own body or another.
func (s *Shop) Deliver(o Order, body []byte) (Answer, error) {
	target, err := callbackTo(s.url, o.Callback)
	if err != nil {
		return Answer{}, err
	}
	return s.post(target, body)
}

// post sends a body once.
func (s *Shop) post(target string, body []byte) (Answer, error) {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodPost, target, bytes.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Content-Type", "application/json")
	return Exchange(s.t, request)
}

// Exchange has a connection of its own, so that Go repeats nothing by itself. It
// holds the request and its answer against the description of the API.
func Exchange(tb testing.TB, request *http.Request) (Answer, error) {
	tb.Helper()
	client := &http.Client{Timeout: answerMax, Transport: contract.Watched(tb, &http.Transport{DisableKeepAlives: true})}
	response, err := client.Do(request) //nolint:gosec // to the server of the test.
	if err != nil {
		return Answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // it was read
	body, err := io.ReadAll(response.Body)
	return Answer{response.StatusCode, string(body)}, err
}

// Operate sends a request to the operator's API, with the token.
func (s *Shop) Operate(method, path, body string) (Answer, error) {
	token, err := os.ReadFile(filepath.Join(s.Data, "operator-token"))
	if err != nil {
		return Answer{}, err
	}
	request, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	if err != nil {
		return Answer{}, err
	}
	request.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return Exchange(s.t, request)
}

// Get reads from the operator's API, which must answer.
func (s *Shop) Get(path string, v any) {
	s.t.Helper()
	answer, err := s.Operate(http.MethodGet, path, "")
	if err == nil && answer.Status != http.StatusOK {
		err = fmt.Errorf("%d %s", answer.Status, answer.Body)
	}
	if err == nil {
		err = json.Unmarshal([]byte(answer.Body), v)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", path, err)
	}
}

// Orders are all orders with their attempts and receipts, newest first.
func (s *Shop) Orders() []restock.Order {
	s.t.Helper()
	var page struct {
		Items []restock.Order `json:"items"`
	}
	s.Get("/v1/replenishment-orders?limit=1000", &page)
	for i := range page.Items {
		s.Get("/v1/replenishment-orders/"+page.Items[i].ID.String(), &page.Items[i])
	}
	return page.Items
}

// Product is a product by its SKU.
func (s *Shop) Product(sku string) restock.Product {
	s.t.Helper()
	var p restock.Product
	s.Get("/v1/products/"+sku, &p)
	return p
}

// Until looks again and again until ok, for what nobody signals. The complaint
// when it does not come says which promise that breaks.
func (s *Shop) Until(promise string, ok func() bool) {
	s.t.Helper()
	const interval = 20 * time.Millisecond
	ctx, cancel := context.WithTimeout(s.t.Context(), WaitMax)
	defer cancel()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for !ok() {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			s.t.Fatalf("%s: not so after %v; orders %+v", promise, WaitMax, s.Orders())
		}
	}
}

// Quiet waits until no message is waiting or in flight.
func (s *Shop) Quiet() {
	s.t.Helper()
	s.Until("I5 every message ends as handled or dead", func() bool {
		for _, q := range s.Queues() {
			if q.Waiting+q.InFlight > 0 {
				return false
			}
		}
		return true
	})
}

// Queues are the queues' counts.
func (s *Shop) Queues() []queue.Stats {
	s.t.Helper()
	var status struct {
		Queues []queue.Stats `json:"queues"`
	}
	s.Get("/v1/status", &status)
	return status.Queues
}

// Verify runs restock verify beside the server, and gives its complaint.
func (s *Shop) Verify() error {
	out, err := exec.CommandContext(s.t.Context(), s.Server.Binary, "verify", "--data", s.Data).CombinedOutput() //nolint:gosec // what Build made.
	if err != nil {
		return fmt.Errorf("restock verify: %w\n%s", err, out)
	}
	return nil
}

// Mails are the mails that were written so far, as text.
func (s *Shop) Mails() []string {
	s.t.Helper()
	paths, err := filepath.Glob(filepath.Join(s.Data, "mail", "*.eml"))
	if err != nil {
		s.t.Fatal(err)
	}
	mails := make([]string, 0, len(paths))
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			s.t.Fatal(err)
		}
		mails = append(mails, string(text))
	}
	return mails
}
