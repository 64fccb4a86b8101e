package replenish

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/web"
)

// dock is the receiving side of a shop, with an order on its way.
type dock struct {
	*watched
	replenisher *Replenisher
	mux         *http.ServeMux
	order       restock.Attempt
	address     string // the order's CallbackUrl
}

func newDock(t *testing.T) *dock {
	t.Helper()
	d := &dock{watched: openStore(t, "http://127.0.0.1:4000/", newClock().now), mux: http.NewServeMux()}
	d.replenisher = replenisher(d.watched, nil)
	d.replenisher.Register(d.mux)
	d.mux.Handle("/", d.replenisher.Strays(http.HandlerFunc(web.SeedNotFound)))
	d.order = d.attempt()
	d.address = d.replenisher.callbackURL(d.order)
	return d
}

// echo is the body that a factory sends back.
func (d *dock) echo(count string) string {
	return fmt.Sprintf(`{"MessageGroupId":"stock-arrival-group","MessageAttributeProductId":"CP-1","MessageAttributeProductCnt":%q,`+
		`"MessageAttributeFactoryId":%q,"MessageAttributeRequester":"김재고","CallbackUrl":%q}`, count, factoryID, d.address)
}

// path is what the factory asks for at our address.
func (d *dock) path() string {
	u, err := url.Parse(d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	return strings.TrimPrefix(u.RequestURI(), "/base")
}

func (d *dock) post(path, body string, header ...string) *httptest.ResponseRecorder {
	return d.postWithin(d.t.Context(), path, body, header...)
}

// postWithin posts for as long as the sender stays.
func (d *dock) postWithin(stays context.Context, path, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequestWithContext(stays, http.MethodPost, path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	d.mux.ServeHTTP(w, r)
	return w
}

// answer is what a factory is told.
type answer struct {
	Message string `json:"message"`
	Result  string `json:"result"`
	Applied int64  `json:"applied"`
	Held    int64  `json:"held"`
}

func (d *dock) wantAnswer(w *httptest.ResponseRecorder, want answer) {
	d.t.Helper()
	var got answer
	if err := json.Unmarshal(w.Body.Bytes(), &got); err != nil || w.Code != http.StatusOK {
		d.t.Fatalf("answered %d %s, %v", w.Code, w.Body, err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		d.t.Errorf("answer (-want +got):\n%s", diff)
	}
}

func (d *dock) wantOnHand(want int64) {
	d.t.Helper()
	if got := d.product("CP-1").Stock.OnHand; got != want {
		d.t.Errorf("on hand %d, want %d", got, want)
	}
}

func (d *dock) receipts() []restock.Receipt {
	d.t.Helper()
	all, _, err := d.Receipts(d.t.Context(), restock.ListQuery{Limit: 1000})
	if err != nil {
		d.t.Fatal(err)
	}
	return all
}

func TestGoodsAreBookedAndTheFactoryIsTold(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	d.buy(7)
	w := d.post(d.path(), d.echo("10"))
	d.wantAnswer(w, answer{Message: "입고 완료! 남은 재고: 13", Result: "applied", Applied: 10})
	if got := w.Header().Get("Content-Language"); got != "ko" {
		t.Errorf("Content-Language %q", got)
	}
	d.wantOnHand(13)
	if o := d.watched.order(d.order.OrderID); o.State != restock.OrderReceived {
		t.Errorf("the order is %s", o.State)
	}
	again := d.post(d.path(), d.echo("10"), "Accept-Language", "en")
	d.wantAnswer(again, answer{Message: "Arrival booked! Remaining stock: 13", Result: "duplicate"})
	d.wantOnHand(13)
}

func TestWhatCannotBeAppliedIsHeldAndNeverRefused(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	for name, body := range map[string]string{
		"no body":            "",
		"not JSON":           "count=10",
		"HTML":               "<html></html>",
		"a list":             "[10]",
		"cut short":          `{"MessageAttributeProductCnt":"10`,
		"zero":               `{"MessageAttributeProductCnt":"0"}`,
		"negative":           `{"MessageAttributeProductCnt":-10}`,
		"an exponent":        `{"MessageAttributeProductCnt":"1e1"}`,
		"a fraction":         `{"MessageAttributeProductCnt":10.5}`,
		"too long":           `{"MessageAttributeProductCnt":"99999999999999999999"}`,
		"a key twice":        `{"MessageAttributeProductCnt":"10","MessageAttributeProductCnt":"1"}`,
		"two counts":         `{"MessageAttributeProductCnt":"10","OrderStockCnt":"1"}`,
		"an object":          `{"MessageAttributeProductCnt":{"n":10}}`,
		"no text":            "\xff\xfe\x00",
		"deep":               strings.Repeat(`{"a":`, 20_000) + "1" + strings.Repeat("}", 20_000),
		"another product":    `{"MessageAttributeProductId":"CP-2","MessageAttributeProductCnt":"10"}`,
		"another factory":    `{"MessageAttributeFactoryId":"FF-2","MessageAttributeProductCnt":"10"}`,
		"another requester":  `{"MessageAttributeRequester":"somebody","MessageAttributeProductCnt":"10"}`,
		"code in the count":  `{"MessageAttributeProductCnt":"10'; DROP TABLE products; --"}`,
		"an empty count":     `{"MessageAttributeProductCnt":""}`,
		"a count of letters": `{"MessageAttributeProductCnt":"열"}`,
	} {
		before := len(d.receipts())
		w := d.post(d.path(), body)
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "입고 보류! 남은 재고: 10") {
			t.Errorf("%s: answered %d %s", name, w.Code, w.Body)
		}
		if got := d.receipts(); len(got) != before+1 || got[0].State != restock.ReceiptHeld || got[0].Reason == "" {
			t.Errorf("%s: %d receipts, the last %+v", name, len(got)-before, got[0])
		}
	}
	d.wantOnHand(10)
}

func TestCountsAreReadAsSendersWriteThem(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"MessageAttributeProductCnt":"10"}`, `{"MessageAttributeProductCnt":10}`, `{"OrderStockCnt":"10"}`,
		`{"OrderStockCnt":10,"MessageAttributeProductCnt":"10"}`, ` {"MessageAttributeProductCnt" : "10" } `,
	} {
		d := newDock(t)
		d.wantAnswer(d.post(d.path(), body, "Content-Type", "text/plain"),
			answer{Message: "입고 완료! 남은 재고: 20", Result: "applied", Applied: 10})
	}
}

// TestAMangledAddressIsFoundByTheEchoInTheBody spoils the address in the ways
// of old programs; the body carries the address as we gave it.
func TestAMangledAddressIsFoundByTheEchoInTheBody(t *testing.T) {
	t.Parallel()
	for name, mangle := range map[string]func(string) string{
		"upper case":           strings.ToUpper,
		"lower case":           strings.ToLower,
		"upper case, no query": func(p string) string { return strings.ToUpper(strings.SplitN(p, "?", 2)[0]) },
		"only the root":        func(string) string { return "/" },
		"cut in the path":      func(string) string { return "/produ" },
		"cut before the slug":  func(string) string { return "/product/" },
		"a slash too many":     func(string) string { return "/product/donut/" },
		"no query":             func(p string) string { return strings.SplitN(p, "?", 2)[0] },
		"cut":                  func(p string) string { return p[:len(p)-20] },
		"encoded":              func(p string) string { return strings.NewReplacer("?", "%3F", "=", "%3D").Replace(p) },
		"another product":      func(p string) string { return strings.Replace(p, "donut", "bagel", 1) },
		"an empty token":       func(string) string { return "/product/donut?token=" },
		"a broken query":       func(string) string { return "/product/donut?token=%zz" },
		"a token of the past":  func(string) string { return "/product/donut?token=" + strings.Repeat("a", tokenTextLen) },
		"spoiled and repeated": func(p string) string { return p + "x&token=y" },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDock(t)
			d.wantAnswer(d.post(mangle(d.path()), d.echo("10")), answer{Message: "입고 완료! 남은 재고: 20", Result: "applied", Applied: 10})
		})
	}
}

// TestAMangledAddressIsFoundByItself spoils the address and sends a body that
// echoes nothing.
func TestAMangledAddressIsFoundByItself(t *testing.T) {
	t.Parallel()
	encode := strings.NewReplacer("?", "%3F", "=", "%3D").Replace
	for name, mangle := range map[string]func(string) string{
		"lower case": strings.ToLower,
		"upper case": strings.ToUpper,
		"the query in upper case": func(p string) string {
			path, query, _ := strings.Cut(p, "?")
			return path + "?" + strings.ToUpper(query)
		},
		"encoded":               encode,
		"encoded in lower case": func(p string) string { return strings.NewReplacer("?", "%3f", "=", "%3d").Replace(p) },
		"encoded twice":         func(p string) string { return strings.NewReplacer("?", "%253F", "=", "%253D").Replace(p) },
		"encoded in upper case": func(p string) string { return strings.ToUpper(encode(p)) },
		"all of it encoded":     func(p string) string { return "/" + url.QueryEscape(p) },
		"letters encoded": func(p string) string {
			path, token, _ := strings.Cut(p, "token=")
			return fmt.Sprintf("%s%%74oken=%%%02x%s", path, token[0], token[1:])
		},
		"without a path":            func(p string) string { return "/" + p[len("/product/donut"):] },
		"without a slug":            func(p string) string { return "/product/" + p[len("/product/donut"):] },
		"below another path":        func(p string) string { return "/hooks" + p },
		"with another parameter":    func(p string) string { return strings.Replace(p, "?", "?utm=1&", 1) + "&x=%zz" },
		"with a repeated parameter": func(p string) string { return strings.Replace(p, "?", "?token=lost&", 1) },
		"with a slash at the end":   func(p string) string { return strings.Replace(p, "?", "/?", 1) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDock(t)
			d.wantAnswer(d.post(mangle(d.path()), `{"MessageAttributeProductCnt":"10"}`), answer{Message: "입고 완료! 남은 재고: 20", Result: "applied", Applied: 10})
			if n := d.replenisher.CallbacksRefused(); n != 0 {
				t.Errorf("%d are counted as refused", n)
			}
		})
	}
}

// TestAStrayWithoutAGoodTokenIsNotFound compares whole answers with those of a
// shop that looks at nothing.
func TestAStrayWithoutAGoodTokenIsNotFound(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	bad := d.replenisher.cfg.Keys.sign(d.order.OrderID, 1)[1:]
	large := strings.Repeat("x", 2*callbackBytesMax)
	for _, path := range []string{"/", "/produ", "/product/", "/product/donut/again", "/PRODUCT/DONUT?TOKEN=" + bad, "/donut%3Ftoken%3D" + bad, "/?token="} {
		for _, body := range []string{"", "{}", large, `{"CallbackUrl":"https://x/?token=` + bad + `"}`} {
			for _, method := range []string{http.MethodPost, http.MethodGet, http.MethodPut} {
				request := func() *http.Request { return httptest.NewRequest(method, path, strings.NewReader(body)) }
				want, got := httptest.NewRecorder(), httptest.NewRecorder()
				web.SeedNotFound(want, request())
				d.mux.ServeHTTP(got, request())
				if got.Code != want.Code || got.Body.String() != want.Body.String() || !cmp.Equal(got.Header(), want.Header()) {
					t.Errorf("I10 %s %s with %.50q: answered %d %v %s", method, path, body, got.Code, got.Header(), got.Body)
				}
			}
		}
	}
	// Two addresses have such a token, whatever the body; one body has it at the
	// five others. An empty one is none.
	if n := d.replenisher.CallbacksRefused(); n != 2*4+5 {
		t.Errorf("%d are counted as refused, want only those with a token", n)
	}
	if n := len(d.receipts()); n != 0 {
		t.Errorf("I10 %d receipts, want none", n)
	}
}

func TestAStrayWithAnOversizedBodyIsHeldWithItsBeginning(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	w := d.post(strings.ToUpper(d.path()), d.echo("10")+strings.Repeat(" ", 2*callbackBytesMax))
	d.wantAnswer(w, answer{Message: "입고 보류! 남은 재고: 10", Result: "held"})
	if got := d.receipts(); len(got) != 1 || !strings.Contains(got[0].Reason, "larger than") {
		t.Errorf("receipts %+v", got)
	}
}

func TestAnOversizedBodyWithAGoodTokenIsHeldWithItsBeginning(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	body := d.echo("10") + strings.Repeat(" ", 2*callbackBytesMax)
	w := d.post(d.path(), body)
	d.wantAnswer(w, answer{Message: "입고 보류! 남은 재고: 10", Result: "held"})
	got := d.receipts()
	if len(got) != 1 || !strings.Contains(got[0].Reason, "larger than") {
		t.Fatalf("receipts %+v", got)
	}
	_, kept, err := d.Receipt(t.Context(), got[0].ID)
	if err != nil || len(kept) > restock.BodyBytesKept || !strings.HasPrefix(string(kept), `{"MessageGroupId"`) {
		t.Errorf("%d bytes are kept, %v", len(kept), err)
	}
	// Without a token nothing is stored.
	if w := d.post("/product/donut", strings.Repeat("x", 2*callbackBytesMax)); w.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("answered %d without a token", w.Code)
	}
	if n := len(d.receipts()); n != 1 {
		t.Errorf("%d receipts, want 1", n)
	}
}

// TestAReportCountsThoughItsSenderHungUp: a factory calls once, and does not always
// wait for the answer. One that was too slow with its body has hung up, too.
func TestAReportCountsThoughItsSenderHungUp(t *testing.T) {
	t.Parallel()
	left, leave := context.WithCancel(t.Context())
	leave()
	ours := func(path string) func(*dock) (string, string) {
		return func(d *dock) (string, string) { return path + d.path(), d.echo("10") }
	}
	vouched := func(path string) func(*dock) (string, string) {
		return func(d *dock) (string, string) {
			target := path + "?token=" + d.vouch()
			return target, theirs(10, "https://shop.example"+target)
		}
	}
	for name, report := range map[string]func(*dock) (target, body string){
		"with our token": ours(""), "with our token, at a mangled address": ours("/elsewhere"),
		"with a factory's secret": vouched("/product/donut"), "with a factory's secret, at a mangled address": vouched("/elsewhere"),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDock(t)
			target, body := report(d)
			d.postWithin(left, target, body)
			d.wantOnHand(20)
		})
	}
}

func TestACompressedBodyIsHeldUnread(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	w := d.post(d.path(), d.echo("10"), "Content-Encoding", "gzip")
	d.wantAnswer(w, answer{Message: "입고 보류! 남은 재고: 10", Result: "held"})
	if w := d.post("/product/donut", d.echo("10"), "Content-Encoding", "gzip"); w.Code != http.StatusUnauthorized {
		t.Errorf("answered %d without a token in the address, want 401: the body is not read", w.Code)
	}
	d.wantOnHand(10)
}

// TestWhoHasNoTokenLearnsNothing compares whole answers.
func TestWhoHasNoTokenLearnsNothing(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	good := d.replenisher.cfg.Keys.sign(d.order.OrderID, 1)
	first := d.post("/product/donut", `{"MessageAttributeProductCnt":"10"}`)
	if first.Code != http.StatusUnauthorized || !strings.Contains(first.Body.String(), "restock orders list") {
		t.Errorf("answered %d %s: it does not say how to book by hand", first.Code, first.Body)
	}
	for _, path := range []string{
		"/product/nobody", "/product/CP-1", "/product/donut?token=", "/product/donut?token=x", "/product/donut?token=" + good[1:],
		"/product/donut?token=" + good[:len(good)-1] + "7", "/product/donut?Token=" + good[1:], "/product/donut?token=" + good + good,
		"/product/donut?token=x&token=" + good + "a", "/product/donut?toke=" + good, "/product/" + good, "/product/%00", "/product/donut?" + strings.Repeat("a=b&", 100),
	} {
		for _, body := range []string{"", `{}`, `{"MessageAttributeProductCnt":"10"}`, `{"CallbackUrl":"http://x/?token=x"}`, "\xff"} {
			w := d.post(path, body)
			if diff := cmp.Diff(first.Body.Bytes(), w.Body.Bytes()); diff != "" || w.Code != first.Code {
				t.Errorf("%s with %q: %d (-first +this):\n%s", path, body, w.Code, diff)
			}
			if diff := cmp.Diff(first.Header(), w.Header()); diff != "" {
				t.Errorf("%s with %q: headers (-first +this):\n%s", path, body, diff)
			}
		}
	}
	if n := len(d.receipts()); n != 0 {
		t.Errorf("%d receipts, want none", n)
	}
}

func TestAGoodTokenOfAnOrderThatIsNotKnownIsHeld(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	w := d.post("/product/donut?token="+d.replenisher.cfg.Keys.sign(restock.OrderID{9}, 1), d.echo("10"))
	d.wantAnswer(w, answer{Message: "입고 보류! 남은 재고: 0", Result: "held", Held: 10})
	d.wantOnHand(10)
}

func TestAStoredBodyCarriesNoToken(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	token := d.replenisher.cfg.Keys.sign(d.order.OrderID, 1)
	for _, body := range []string{
		d.echo("10"), strings.ToUpper(d.echo("10")), d.address, "not JSON " + url.QueryEscape(d.address),
		`{"MessageAttributeProductCnt":"` + d.address + `"}`, `{"MessageAttributeProductId":"` + d.address + `"}`,
		`{"MessageAttributeRequester":"` + strings.ToUpper(token) + `"}`, `{"token":"` + token + `","MessageAttributeProductCnt":"10"}`,
		`{"` + token + `":1,"` + token + `":2}`, "aaa" + token + token + "a",
		strings.ReplaceAll(d.echo("10"), "=", `\u003d`),
	} {
		d.post(d.path(), body)
	}
	got := d.receipts()
	if len(got) != 11 {
		t.Errorf("%d receipts, want 11", len(got))
	}
	for _, r := range got {
		_, kept, err := d.Receipt(t.Context(), r.ID)
		if err != nil {
			t.Fatal(err)
		}
		text := strings.ToLower(string(kept) + r.Claimed + r.Reason)
		if strings.Contains(text, token[:20]) {
			t.Errorf("I10 a token is kept: %s", text)
		}
		if len(kept) == 0 {
			t.Error("nothing is kept")
		}
	}
}

func TestAnArrivalThatCannotBeStoredIsAskedForAgain(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	if err := d.Close(); err != nil {
		t.Fatal(err)
	}
	w := d.post(d.path(), d.echo("10"))
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") == "" {
		t.Errorf("answered %d with Retry-After %q, want 503 and when to come again", w.Code, w.Header().Get("Retry-After"))
	}
}

func TestOnlyPostReportsGoods(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	for _, method := range []string{http.MethodGet, http.MethodPut, http.MethodDelete} {
		w := httptest.NewRecorder()
		d.mux.ServeHTTP(w, httptest.NewRequest(method, d.path(), strings.NewReader(d.echo("10"))))
		if w.Code < 400 {
			t.Errorf("%s was answered %d", method, w.Code)
		}
	}
	d.wantOnHand(10)
}

// TestTheSimulatedFactoryIsUnderstood sends an order to the simulator and lets
// it call back over a real connection.
func TestTheSimulatedFactoryIsUnderstood(t *testing.T) {
	t.Parallel()
	simulator := factory.NewSimulator(factory.SimulatorConfig{LeadTime: time.Nanosecond})
	working, stop := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- simulator.Run(working) }()
	t.Cleanup(func() {
		stop()
		if err := <-stopped; err != nil {
			t.Error(err)
		}
	})
	factoryServer := httptest.NewServer(simulator)
	t.Cleanup(factoryServer.Close)
	s := openStore(t, factoryServer.URL+"/api/manufactures", nil)
	mux := http.NewServeMux()
	booked := make(chan struct{}, 1)
	shop := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mux.ServeHTTP(w, r)
		booked <- struct{}{}
	}))
	t.Cleanup(shop.Close)
	r := replenisher(s, func(cfg *Config) { cfg.PublicURL = shop.URL })
	r.Register(mux)
	running(t, r)
	id := s.plan()
	<-booked
	if o := s.order(id); o.State != restock.OrderReceived || o.Received != 10 {
		t.Errorf("order %+v", o)
	}
	if got := s.product("CP-1").Stock; got.OnHand != 20 || got.OnOrder != 0 {
		t.Errorf("stock %+v", got)
	}
	s.next()
}
