package ops_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
)

const token = "open sesame"

// outbox records what is sent, or fails as it is told.
type outbox struct {
	mu    sync.Mutex
	mails []mail.Message
	err   error
	told  chan<- struct{} // closed at the next mail
}

func (o *outbox) Send(_ context.Context, m mail.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.mails = append(o.mails, m)
	if o.told != nil {
		close(o.told)
		o.told = nil
	}
	return nil
}

func (o *outbox) notify(told chan<- struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.told = told
}

func (o *outbox) sent() []mail.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return append([]mail.Message(nil), o.mails...)
}

func (o *outbox) fail(err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.err = err
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// officeStore gives the office the catalogue in its words, as main does.
type officeStore struct{ *store.Store }

func (s officeStore) ApplyCatalog(ctx context.Context, c restock.Catalog, dryRun bool) ([]restock.CatalogChange, error) {
	mode := store.CreateAndEdit
	if dryRun {
		mode = store.DryRun
	}
	return s.Store.ApplyCatalog(ctx, c, mode)
}

// desk is an office on a real store.
type desk struct {
	t      *testing.T
	store  *store.Store
	clock  *clock
	box    *outbox
	office *ops.Office
	mux    *http.ServeMux
}

func open(t *testing.T, adjust ...func(*ops.Config)) *desk {
	t.Helper()
	d := &desk{t: t, clock: &clock{at: time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)}, box: &outbox{}, mux: http.NewServeMux()}
	var err error
	d.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{Now: d.clock.now})
	d.must(err)
	t.Cleanup(func() {
		if d.store.Ping(context.WithoutCancel(t.Context())) == nil { // a test may have closed it
			d.must(d.store.Close())
		}
	})
	c := restock.Catalog{
		Factories: []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1:4000/", RatePerSecond: 1e6}},
		Products:  []restock.CatalogProduct{{SKU: "CP-1", Slug: "donut", Name: "부산도너츠", Price: 19900, OpeningStock: 30, OrderQuantity: 10, Factory: "FF-1"}},
	}
	c.Fill()
	_, err = d.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
	d.must(err)
	cfg := ops.Config{
		Token: token, TokenHint: "It is in the data folder.", From: "shop@donut.example", To: "ops@donut.example", Domain: "donut.example",
		Decide: restock.Deciders{Order: replenish.Decide}, RedriveRate: 1e6, Zone: time.FixedZone("KST", 9*60*60), MailNote: "nobody receives mail", Version: "1.2.3", Now: d.clock.now,
	}
	for _, change := range adjust {
		change(&cfg)
	}
	d.office = ops.New(officeStore{d.store}, d.store.Queue(), d.box, cfg)
	d.office.Register(d.mux)
	return d
}

func (d *desk) must(err error) {
	d.t.Helper()
	if err != nil {
		d.t.Fatal(err)
	}
}

// do sends a request with the operator's token.
func (d *desk) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	return d.doAs("Bearer "+token, method, path, body, header...)
}

func (d *desk) doAs(authorization, method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return w
}

// read decodes the answer to a GET.
func read[T any](d *desk, path string) T {
	d.t.Helper()
	w := d.do(http.MethodGet, path, "")
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		d.t.Fatalf("GET %s: %d %s, %v", path, w.Code, w.Body, err)
	}
	return v
}

// wantProblem compares an error of the API.
func (d *desk) wantProblem(w *httptest.ResponseRecorder, status int, code restock.Code) {
	d.t.Helper()
	var got struct {
		Type   string       `json:"type"`
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Detail string       `json:"detail"`
		Code   restock.Code `json:"code"`
	}
	err := json.Unmarshal(w.Body.Bytes(), &got)
	if err != nil || w.Code != status || got.Status != status || got.Code != code || got.Title == "" || got.Detail == "" {
		d.t.Errorf("answered %d %s, want %d with the code %s", w.Code, w.Body, status, code)
	}
	if got := w.Header().Get("Content-Type"); got != "application/problem+json" {
		d.t.Errorf("Content-Type %q", got)
	}
}

func (d *desk) buy(quantity int64) {
	d.t.Helper()
	outcomes, err := d.store.Sell(d.t.Context(), []restock.Cart{{Lines: []restock.Line{{Quantity: quantity}}, Reference: "order 7"}})
	d.must(err)
	d.must(outcomes[0].Err)
}

// problem makes a held receipt.
func (d *desk) problem(n int, body string) restock.Receipt {
	d.t.Helper()
	c := restock.Callback{OrderID: restock.OrderID{1, byte(n >> 8), byte(n)}, Attempt: 1, Claimed: "10", Count: 10, Body: []byte(body)}
	copy(c.Hash[:], fmt.Sprint(n, body))
	r, err := d.store.Receive(d.t.Context(), c, nil)
	d.must(err)
	return r
}

// planOf orders 10 pieces.
func (d *desk) planOf(sku string) restock.OrderID {
	d.t.Helper()
	p, err := d.store.Product(d.t.Context(), sku)
	d.must(err)
	decision, err := d.store.Plan(d.t.Context(), p.ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Reason: "a test"}
	})
	d.must(err)
	return decision.OrderID
}

// refused plans an order that the factory refuses.
func (d *desk) refused() restock.OrderID {
	d.t.Helper()
	return d.refusedOf("CP-1")
}

func (d *desk) refusedOf(sku restock.SKU) restock.OrderID {
	d.t.Helper()
	id := d.planOf(string(sku))
	a, err := d.store.ClaimAttempt(d.t.Context(), "owner", time.Minute)
	d.must(err)
	d.must(d.store.SettleAttempt(d.t.Context(), a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptRejected, Status: http.StatusBadRequest, Error: "factory refused with 400"},
	}))
	return id
}

// die gives up the next message of a queue.
func (d *desk) die(name string) queue.ID {
	d.t.Helper()
	return d.dieOf(name, "it cannot be read")
}

func (d *desk) dieOf(name, cause string) queue.ID {
	d.t.Helper()
	got, err := d.store.Queue().Receive(d.t.Context(), name, driver.Request{Max: 1, Visibility: time.Minute})
	d.must(err)
	if len(got) != 1 {
		d.t.Fatalf("%d messages on %s", len(got), name)
	}
	d.must(d.store.Queue().Dead(d.t.Context(), got[0], cause))
	return got[0].ID
}
