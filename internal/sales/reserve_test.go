package sales

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

const (
	operatorToken = "the-operator's"
	salesToken    = "the-shop's"
)

// counterparts are the two listeners of a shop in one, with what stands before
// them in the service.
type counterparts struct {
	t       *testing.T
	store   *store.Store
	handler http.Handler
}

func openBackend(t *testing.T, stock int64, cfg Config) *counterparts {
	t.Helper()
	cfg.OperatorToken = operatorToken
	c := &counterparts{t: t, store: openStore(t, stock)}
	shop := New(c.store, cfg)
	mux := http.NewServeMux()
	shop.Register(mux)
	shop.RegisterBackend(mux)
	working(t, shop.till)
	c.handler = web.Log(web.Headers(mux), web.LogConfig{})
	return c
}

func (c *counterparts) do(method, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	if strings.HasPrefix(path, "/v1/") {
		r.Header.Set("Authorization", "Bearer "+operatorToken)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	c.handler.ServeHTTP(w, r)
	return w
}

// post sends a body that has to be answered with a status, and reads the answer.
func (c *counterparts) post(status int, path, body string, header ...string) map[string]any {
	c.t.Helper()
	w := c.do(http.MethodPost, path, body, header...)
	if w.Code != status {
		c.t.Fatalf("POST %s %s: answered %d %s, want %d", path, body, w.Code, w.Body, status)
	}
	var answer map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		c.t.Fatal(err)
	}
	return answer
}

func (c *counterparts) wantStock(onHand, reserved int64) {
	c.t.Helper()
	p, err := c.store.Product(c.t.Context(), "CP-1")
	if err != nil {
		c.t.Fatal(err)
	}
	if p.Stock.OnHand != onHand || p.Stock.Reserved != reserved {
		c.t.Errorf("on hand %d with %d reserved, want %d with %d", p.Stock.OnHand, p.Stock.Reserved, onHand, reserved)
	}
}

func (c *counterparts) adjust(quantity int64) {
	c.t.Helper()
	request := restock.AdjustmentRequest{Product: "CP-1", Quantity: quantity, Reason: "found"}
	if _, err := c.store.Adjust(c.t.Context(), request, restock.Key{}); err != nil {
		c.t.Fatal(err)
	}
}

// TestAThousandCheckoutsUnderOneKeySellOnce sends them over real connections.
func TestAThousandCheckoutsUnderOneKeySellOnce(t *testing.T) {
	t.Parallel()
	const crowd, connections, stock = 1000, 200, 50
	c := openBackend(t, stock, Config{})
	server := httptest.NewServer(c.handler)
	defer server.Close()
	transport := &http.Transport{MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: transport}
	var (
		mu      sync.Mutex
		answers = map[string]int{}
		traces  = map[string]int{}
		all     sync.WaitGroup
	)
	for range crowd {
		all.Go(func() {
			response, body, err := checkout(t.Context(), client, server.URL, "one-key")
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			traces[response.Header.Get("Traceparent")]++
			response.Header.Del("Traceparent") // each request has its own
			response.Header.Del("Date")        // of net/http
			answers[fmt.Sprintln(response.StatusCode, response.Header, body)]++
		})
	}
	all.Wait()
	if len(answers) != 1 {
		t.Errorf("%d different answers, want one: %v", len(answers), answers)
	}
	if len(traces) != crowd {
		t.Errorf("%d different traces, want one per request", len(traces))
	}
	c.wantStock(stock-2, 0)
	sales, _, err := c.store.Sales(t.Context(), restock.ListQuery{Limit: 10})
	if err != nil || len(sales) != 1 {
		t.Errorf("%d sales, %v, want one", len(sales), err)
	}
}

func checkout(ctx context.Context, client *http.Client, url, key string) (*http.Response, string, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/checkout", strings.NewReader(`{"sku":"CP-1","quantity":2}`))
	if err != nil {
		return nil, "", err
	}
	request.Header.Set("Idempotency-Key", key)
	response, err := client.Do(request)
	if err != nil {
		return nil, "", err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	return response, string(body), err
}

func TestAKeyWithAnotherBodyIsRefusedAndDoesNothing(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 9, Config{})
	sale := c.post(http.StatusOK, "/checkout", `{"quantity":2}`, "Idempotency-Key", "k")
	giveBack := "/v1/sales/" + sale["sale_id"].(string) + "/return"
	c.post(http.StatusCreated, "/v1/reservations", `{"quantity":1}`, "Idempotency-Key", "k") // its own route, its own key
	c.post(http.StatusCreated, giveBack, `{"items":[{"sku":"CP-1"}],"reason":"cold"}`, "Idempotency-Key", "k")
	c.wantStock(8, 1)
	for path, body := range map[string]string{
		"/checkout":        `{"quantity": 2}`, // the same purchase, and not the same bytes
		"/v1/reservations": `{"quantity":2}`,
		giveBack:           `{"items":[{"sku":"CP-1"}],"reason":"broken"}`,
	} {
		got := c.post(http.StatusUnprocessableEntity, path, body, "Idempotency-Key", "k")
		if got["code"] != "key_reused" || !strings.Contains(fmt.Sprint(got["detail"]), `"k"`) {
			t.Errorf("%s: answered %v, want the code key_reused and the key", path, got)
		}
	}
	c.wantStock(8, 1)
}

func TestARepeatedAnswerHasTheSameBytes(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 9, Config{})
	sale := c.post(http.StatusOK, "/checkout", "")
	for path, body := range map[string]string{
		"/checkout":        `{"items":[{"sku":"CP-1","quantity":2},{"sku":"donut","quantity":1}],"reference":"<주문 7> & more"}`,
		"/v1/reservations": `{"items":[{"sku":"CP-1","quantity":2},{"sku":"donut","quantity":1}],"ttl_seconds":7200,"reference":"<주문 7>"}`,
		"/v1/sales/" + sale["sale_id"].(string) + "/return": `{"reason":"<cold> & broken"}`,
	} {
		first := c.do(http.MethodPost, path, body, "Idempotency-Key", "k")
		if first.Code >= http.StatusBadRequest {
			t.Fatalf("%s: answered %d %s", path, first.Code, first.Body)
		}
		again := c.do(http.MethodPost, path, body, "Idempotency-Key", "k")
		if diff := cmp.Diff(first.Body.String(), again.Body.String()); again.Code != first.Code || diff != "" {
			t.Errorf("%s: answered %d, then %d (-first +again):\n%s", path, first.Code, again.Code, diff)
		}
	}
}

func TestARefusedKeySellsWhenTheStockIsBack(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 1, Config{})
	body := `{"quantity":2}`
	for range 2 {
		c.post(http.StatusConflict, "/checkout", body, "Idempotency-Key", "k")
		c.post(http.StatusConflict, "/v1/reservations", body, "Idempotency-Key", "k")
	}
	c.adjust(4)
	first := c.post(http.StatusOK, "/checkout", body, "Idempotency-Key", "k")
	c.post(http.StatusCreated, "/v1/reservations", body, "Idempotency-Key", "k")
	again := c.post(http.StatusOK, "/checkout", body, "Idempotency-Key", "k")
	if diff := cmp.Diff(first, again); diff != "" {
		t.Errorf("sold, and again (-first +again):\n%s", diff)
	}
	c.wantStock(3, 2)
}

func TestAKeyThatCannotBeAKeyIsABadRequest(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 9, Config{})
	for _, path := range []string{"/checkout", "/v1/reservations"} {
		for _, key := range []string{"", " ", "two words", "열쇠", strings.Repeat("k", 256)} {
			if got := c.post(http.StatusBadRequest, path, "", "Idempotency-Key", key); got["code"] != "invalid" {
				t.Errorf("%s with %q: answered %v", path, key, got)
			}
		}
	}
	c.wantStock(9, 0)
}

func TestTheBackendNeedsAToken(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 9, Config{SalesToken: salesToken})
	reservation := c.post(http.StatusCreated, "/v1/reservations", "")
	path := "/v1/reservations/" + reservation["reservation_id"].(string)
	for _, r := range []struct{ method, path string }{
		{http.MethodPost, "/checkout"},
		{http.MethodPost, "/v1/reservations"},
		{http.MethodGet, path},
		{http.MethodPost, path + "/confirm"},
		{http.MethodPost, path + "/release"},
		{http.MethodPost, "/v1/sales/" + reservation["reservation_id"].(string) + "/return"},
	} {
		for _, token := range []string{"", "Bearer", "Bearer wrong", "Basic " + salesToken, "Bearer " + salesToken + "x"} {
			if w := c.do(r.method, r.path, "", "Authorization", token); w.Code != http.StatusUnauthorized {
				t.Errorf("%s %s with %q: answered %d", r.method, r.path, token, w.Code)
			}
		}
	}
	c.wantStock(9, 1)
	for _, token := range []string{salesToken, operatorToken} {
		if w := c.do(http.MethodGet, path, "", "Authorization", "Bearer "+token); w.Code != http.StatusOK {
			t.Errorf("with %q: answered %d", token, w.Code)
		}
	}
	c.post(http.StatusOK, "/checkout", "", "Authorization", "Bearer "+salesToken)
	c.post(http.StatusUnauthorized, "/checkout", "", "Authorization", "Bearer "+operatorToken)
	if w := c.do(http.MethodGet, "/product/donut", ""); w.Code != http.StatusOK {
		t.Errorf("the product page answered %d", w.Code)
	}
}

func TestNoTokenConfiguredOpensNothing(t *testing.T) {
	t.Parallel()
	mux := http.NewServeMux()
	New(openStore(t, 1), Config{}).RegisterBackend(mux)
	r := httptest.NewRequest(http.MethodPost, "/v1/reservations", http.NoBody)
	r.Header.Set("Authorization", "Bearer ")
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	if w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d, want 401", w.Code)
	}
}

func TestAReservationFromBasketToReturn(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{})
	made := c.post(http.StatusCreated, "/v1/reservations", `{"sku":"donut","quantity":3,"ttl_seconds":7200,"reference":"basket 7"}`)
	want := map[string]any{
		"reservation_id": made["reservation_id"], "state": "held", "reference": "basket 7", "total": 3 * 19900.0, "currency": "KRW",
		"items":      []any{map[string]any{"sku": "CP-1", "quantity": 3.0, "unit_price": 19900.0}},
		"created_at": made["created_at"], "expires_at": made["expires_at"],
	}
	if diff := cmp.Diff(want, made); diff != "" {
		t.Errorf("reserved (-want +got):\n%s", diff)
	}
	c.wantTTL(made, 2*time.Hour)
	path := "/v1/reservations/" + made["reservation_id"].(string)
	refused := c.post(http.StatusConflict, "/checkout", `{"quantity":3}`)
	if refused["remaining"] != 2.0 {
		t.Errorf("a buyer was answered %v, want that 2 are left", refused)
	}
	first := c.do(http.MethodPost, path+"/confirm", "")
	again := c.do(http.MethodPost, path+"/confirm", "")
	if first.Code != http.StatusOK || first.Body.String() != again.Body.String() {
		t.Errorf("confirmed %d %s, and again %d %s", first.Code, first.Body, again.Code, again.Body)
	}
	c.wantStock(2, 0)
	sale := c.post(http.StatusOK, path+"/confirm", "")
	if got := c.post(http.StatusConflict, path+"/release", ""); !strings.Contains(fmt.Sprint(got["detail"]), sale["sale_id"].(string)) {
		t.Errorf("a release was answered %v, want the sale that it became", got)
	}
	giveBack := "/v1/sales/" + sale["sale_id"].(string) + "/return"
	c.post(http.StatusCreated, giveBack, `{"items":[{"sku":"CP-1","quantity":2}],"reason":"cold"}`)
	c.post(http.StatusConflict, giveBack, `{"items":[{"sku":"CP-1","quantity":2}],"reason":"cold"}`)
	back := c.post(http.StatusCreated, giveBack, `{"reason":"the rest too"}`)
	if diff := cmp.Diff([]any{map[string]any{"sku": "CP-1", "quantity": 1.0}}, back["items"]); diff != "" {
		t.Errorf("the rest (-want +got):\n%s", diff)
	}
	c.post(http.StatusConflict, giveBack, `{"reason":"once more"}`)
	c.wantStock(5, 0)
}

func (c *counterparts) wantTTL(made map[string]any, want time.Duration) {
	c.t.Helper()
	begin, err := time.Parse(time.RFC3339Nano, made["created_at"].(string))
	if err != nil {
		c.t.Fatal(err)
	}
	end, err := time.Parse(time.RFC3339Nano, made["expires_at"].(string))
	if err != nil || end.Sub(begin) != want {
		c.t.Errorf("it lives %v, %v, want %v", end.Sub(begin), err, want)
	}
}

func TestABlankReservationIsOneOfTheDefaultProductForAQuarterOfAnHour(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{})
	for _, body := range []string{"", " \n", "{}"} {
		c.wantTTL(c.post(http.StatusCreated, "/v1/reservations", body), 15*time.Minute)
	}
	c.wantStock(5, 3)
	c.post(http.StatusBadRequest, "/v1/reservations", `{"ttl_seconds":null}`) // null is no value under /v1
}

func TestAReleasedReservationIsNotConfirmed(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{})
	made := c.post(http.StatusCreated, "/v1/reservations", `{"quantity":5}`)
	path := "/v1/reservations/" + made["reservation_id"].(string)
	for range 2 {
		if got := c.post(http.StatusOK, path+"/release", ""); got["state"] != "released" {
			t.Errorf("released: %v", got)
		}
	}
	if got := c.post(http.StatusConflict, path+"/confirm", ""); got["code"] != "conflict" {
		t.Errorf("confirmed: %v", got)
	}
	c.wantStock(5, 0)
}

func TestAWrongReservationReservesNothing(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 500, Config{})
	for body, status := range map[string]int{
		`{"ttl_seconds":0}`:                     http.StatusBadRequest,
		`{"ttl_seconds":-1}`:                    http.StatusBadRequest,
		`{"ttl_seconds":604801}`:                http.StatusBadRequest,
		`{"ttl_seconds":1.5}`:                   http.StatusBadRequest,
		`{"ttl_seconds":"60"}`:                  http.StatusBadRequest,
		`{"ttl_seconds":99999999999999999999}`:  http.StatusBadRequest,
		`{"quantity":0}`:                        http.StatusBadRequest,
		`{"quantity":101}`:                      http.StatusBadRequest,
		`{"items":[]}`:                          http.StatusBadRequest,
		`[]`:                                    http.StatusBadRequest,
		`{`:                                     http.StatusBadRequest,
		`{"sku":"NOBODY"}`:                      http.StatusNotFound,
		strings.Repeat(" ", checkoutBytesMax+1): http.StatusRequestEntityTooLarge,
		`{"items":[{"sku":"CP-1"},{"sku":"NOBODY"}]}`:                                 http.StatusNotFound,
		`{"items":[{"sku":"CP-1","quantity":60},` + `{"sku":"donut","quantity":60}]}`: http.StatusBadRequest,
	} {
		w := c.do(http.MethodPost, "/v1/reservations", body)
		if w.Code != status || w.Header().Get("Content-Type") != "application/problem+json" {
			t.Errorf("%.60s: answered %d %s, want %d as a problem", body, w.Code, w.Body, status)
		}
	}
	c.wantStock(500, 0)
	c.post(http.StatusCreated, "/v1/reservations", `{"ttl_seconds":604800}`)
}

func TestAnIDThatNobodyHas(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{})
	const nobody = "01990000-0000-7000-8000-000000000000"
	for _, end := range []string{"confirm", "release"} {
		c.post(http.StatusNotFound, "/v1/reservations/"+nobody+"/"+end, "")
		c.post(http.StatusBadRequest, "/v1/reservations/7/"+end, "")
	}
	c.post(http.StatusNotFound, "/v1/sales/"+nobody+"/return", `{"reason":"cold"}`)
	c.post(http.StatusBadRequest, "/v1/sales/7/return", `{"reason":"cold"}`)
	if w := c.do(http.MethodGet, "/v1/reservations/"+nobody, ""); w.Code != http.StatusNotFound {
		t.Errorf("answered %d, want 404", w.Code)
	}
}

func TestAWrongReturnBringsNothingBack(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{})
	sale := c.post(http.StatusOK, "/checkout", `{"quantity":5}`)
	for body, status := range map[string]int{
		"":                  http.StatusBadRequest,
		"{}":                http.StatusBadRequest,
		`{"reason":""}`:     http.StatusBadRequest,
		`{"reason":7}`:      http.StatusBadRequest,
		`{"reason":"x"} {}`: http.StatusBadRequest,
		`{"reason":"` + strings.Repeat("x", reasonBytesMax+1) + `"}`:                            http.StatusBadRequest,
		`{"reason":"x","items":[{"quantity":1}]}`:                                               http.StatusBadRequest,
		`{"reason":"x","items":[{"sku":"CP-1","quantity":0}]}`:                                  http.StatusBadRequest,
		`{"reason":"x","items":[{"sku":"CP-1","quantity":-1}]}`:                                 http.StatusBadRequest,
		`{"reason":"x","items":[{"sku":"CP-1","quantity":1.5}]}`:                                http.StatusBadRequest,
		`{"reason":"x","items":[{"sku":"NOBODY"}]}`:                                             http.StatusNotFound,
		`{"reason":"x","items":[{"sku":"CP-1","quantity":6}]}`:                                  http.StatusConflict,
		`{"reason":"x","items":[{"sku":"CP-1","quantity":3},{"sku":"donut","quantity":3}]}`:     http.StatusConflict,
		`{"reason":"x","items":[` + strings.Repeat(`{"sku":"CP-1"},`, 100) + `{"sku":"CP-1"}]}`: http.StatusBadRequest,
	} {
		w := c.do(http.MethodPost, "/v1/sales/"+sale["sale_id"].(string)+"/return", body)
		if w.Code != status {
			t.Errorf("%.60s: answered %d %s, want %d", body, w.Code, w.Body, status)
		}
	}
	c.wantStock(0, 0)
}

// TestAPreflightIsAnsweredWhateverProtectsTheCheckout is the order of the
// guards: a browser asks first, without a token, and must not be counted.
func TestAPreflightIsAnsweredWhateverProtectsTheCheckout(t *testing.T) {
	t.Parallel()
	c := openBackend(t, 5, Config{
		SalesToken: salesToken, CORSOrigins: []string{"https://donut.example"}, CheckoutRate: 0.001,
		TrustedProxies: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, // httptest's client
	})
	for range 5 {
		w := c.do(http.MethodOptions, "/checkout", "", "Origin", "https://donut.example", "Access-Control-Request-Method", "POST")
		if w.Code != http.StatusNoContent || w.Header().Get("Access-Control-Allow-Origin") != "https://donut.example" {
			t.Errorf("preflight: answered %d with %v", w.Code, w.Header())
		}
	}
	statuses := map[int]int{}
	for range 5 {
		w := c.do(http.MethodPost, "/checkout", "", "Origin", "https://donut.example", "Authorization", "Bearer "+salesToken)
		statuses[w.Code]++
		if w.Header().Get("Access-Control-Allow-Origin") != "https://donut.example" {
			t.Errorf("answer %d cannot be read by the page", w.Code)
		}
	}
	if statuses[http.StatusOK] == 0 || statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("statuses %v, want some sold and some told to wait", statuses)
	}
	if w := c.do(http.MethodPost, "/checkout", "", "X-Forwarded-For", "203.0.113.9", "Authorization", "Bearer "+salesToken); w.Code != http.StatusOK {
		t.Errorf("another address behind the proxy: answered %d", w.Code)
	}
}

// sweeper is a store in which only expiry works, and at first not even that.
type sweeper struct {
	Store

	swept []time.Time
}

var errSweep = errors.New("the disk is full")

func (s *sweeper) ExpireReservations(context.Context, int) (int, error) {
	s.swept = append(s.swept, time.Now())
	if len(s.swept) < 3 {
		return 0, errSweep
	}
	return 1, nil
}

func TestExpiryIsLookedForAgainAndAgainWhateverHappens(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		s := &sweeper{}
		shop := New(s, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		ctx, stop := context.WithTimeout(t.Context(), 10*expiryInterval+expiryInterval/2)
		defer stop()
		if err := shop.RunExpiry(ctx); err != nil {
			t.Errorf("stopped with %v", err)
		}
		if len(s.swept) != 11 {
			t.Errorf("looked %d times, want 11", len(s.swept))
		}
		if n := strings.Count(log.String(), errSweep.Error()); n != 2 {
			t.Errorf("%d failures are in the log, want 2:\n%s", n, &log)
		}
	})
}
