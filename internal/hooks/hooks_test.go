package hooks_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/hooks"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
	"github.com/restock/restock/internal/webhook"
)

const (
	token = "the-operators-token"
	// patience bounds a wait for what must come.
	patience = 2 * time.Minute
)

// house is a shop, the room that tells other programs, and its API.
type house struct {
	t     *testing.T
	store *store.Store
	api   http.Handler
	next  atomic.Int64 // the product that is sold next
}

// loopback lets receivers be on this machine, as all are here.
func loopback() webhook.Guard {
	return webhook.Guard{Inner: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}
}

// open opens a shop with n products of one piece each, all in one advertisement
// that stops when any of them is sold out, and lets the room run.
func open(t *testing.T, n int, cfg hooks.Config) *house {
	t.Helper()
	h := &house{t: t}
	var err error
	h.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{})
	h.must(err)
	c := restock.Catalog{Advertisements: []restock.CatalogAdvertisement{{Name: "donut-main", ManagerEmail: "ads@donut.example", StopWhen: restock.StopWhenAny}}}
	for i := range n {
		c.Products = append(c.Products, restock.CatalogProduct{
			SKU: restock.SKU(fmt.Sprintf("P-%03d", i)), Name: "도너츠", Price: 19900, OpeningStock: 1, Advertisement: "donut-main",
		})
	}
	c.Fill()
	_, err = h.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
	h.must(err)
	cfg.Token = token
	if cfg.LookInterval == 0 {
		cfg.LookInterval = 10 * time.Millisecond
	}
	cfg.PostTimeout = time.Hour // no post is given up because the machine is slow
	room := hooks.New(h.store, func(name string, handlers map[string]queue.Handler, cfg queue.Config) func(context.Context) error {
		cfg.ShutdownTimeout = time.Millisecond
		return queue.New(h.store.Queue(), name, handlers, cfg).Run
	}, cfg)
	mux := http.NewServeMux()
	room.Register(mux)
	h.api = mux
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	var running sync.WaitGroup
	for _, run := range []func(context.Context) error{room.RunFanOut, room.RunDeliveries, room.RunPurge} {
		running.Go(func() {
			if err := run(ctx); err != nil {
				t.Error(err)
			}
		})
	}
	t.Cleanup(func() {
		stop()
		running.Wait()
		if err := h.store.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (h *house) must(err error) {
	h.t.Helper()
	if err != nil {
		h.t.Fatal(err)
	}
}

// sellOut sells a product out, which is one event, and gives its SKU.
func (h *house) sellOut() string {
	h.t.Helper()
	sku := fmt.Sprintf("P-%03d", h.next.Add(1)-1)
	outcomes, err := h.store.Sell(h.t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: sku, Quantity: 1}}}})
	h.must(err)
	h.must(outcomes[0].Err)
	return sku
}

// ask calls the API.
func (h *house) ask(method, path string, body any) (int, []byte) {
	h.t.Helper()
	var text []byte
	if body != nil {
		var err error
		text, err = json.Marshal(body)
		h.must(err)
	}
	r := httptest.NewRequestWithContext(h.t.Context(), method, path, bytes.NewReader(text))
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.api.ServeHTTP(w, r)
	return w.Code, w.Body.Bytes()
}

func (h *house) subscribe(b hooks.CreateBody) restock.Webhook {
	h.t.Helper()
	status, text := h.ask(http.MethodPost, "/v1/webhooks", b)
	if status != http.StatusCreated {
		h.t.Fatalf("subscribing: %d %s", status, text)
	}
	var w restock.Webhook
	h.must(json.Unmarshal(text, &w))
	return w
}

// delivered gives the deliveries of a subscription by the subject.
func (h *house) delivered(id restock.WebhookID) map[string]restock.Delivery {
	h.t.Helper()
	status, text := h.ask(http.MethodGet, "/v1/webhooks/"+id.String()+"/deliveries?limit=1000", nil)
	if status != http.StatusOK {
		h.t.Fatalf("deliveries: %d %s", status, text)
	}
	var page web.List[restock.Delivery]
	h.must(json.Unmarshal(text, &page))
	bySubject := map[string]restock.Delivery{}
	for _, d := range page.Items {
		bySubject[d.Subject] = d
	}
	return bySubject
}

// until waits for what must come.
func (h *house) until(promise string, ok func() bool) {
	h.t.Helper()
	for end := time.Now().Add(patience); !ok(); {
		if time.Now().After(end) {
			h.t.Fatalf("it did not come about that %s", promise)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// receiver records what is posted to it.
type receiver struct {
	*httptest.Server

	mu     sync.Mutex
	posts  []post
	before func(n int) // runs before the answer to post n, from 1
	status atomic.Int64
	pause  atomic.Int64 // seconds, as Retry-After
}

type post struct {
	id   string
	head http.Header
	body []byte
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{}
	r.status.Store(http.StatusNoContent)
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		body, err := io.ReadAll(q.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		r.posts = append(r.posts, post{q.Header.Get(webhook.HeaderID), q.Header.Clone(), body})
		n, before := len(r.posts), r.before
		r.mu.Unlock()
		if before != nil {
			before(n)
		}
		if pause := r.pause.Load(); pause > 0 {
			w.Header().Set("Retry-After", strconv.FormatInt(pause, 10))
		}
		w.WriteHeader(int(r.status.Load()))
	}))
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) onPost(before func(n int)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.before = before
}

func (r *receiver) got() []post {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.posts)
}

// subjects is what it got events about.
func (r *receiver) subjects(t *testing.T) []string {
	t.Helper()
	subjects := []string{}
	for _, p := range r.got() {
		var e restock.Event
		if err := json.Unmarshal(p.body, &e); err != nil {
			t.Error(err)
		}
		subjects = append(subjects, e.Subject)
	}
	slices.Sort(subjects)
	return subjects
}

func TestAnEventIsPostedOnceAndVerifiesWithAPublicLibrary(t *testing.T) {
	t.Parallel()
	h := open(t, 2, hooks.Config{Guard: loopback()})
	r, other := newReceiver(t), newReceiver(t)
	w := h.subscribe(hooks.CreateBody{URL: r.URL + "/hook?key=1", Events: []restock.EventType{restock.StockOut}, Description: "the shop"})
	h.subscribe(hooks.CreateBody{URL: other.URL, Events: []restock.EventType{restock.StockBack}})
	sku := h.sellOut()
	h.until("the event is posted", func() bool { return h.delivered(w.ID)[sku].State == restock.DeliveryTaken })
	posts := r.got()
	if len(posts) != 1 {
		t.Fatalf("%d posts, want 1", len(posts))
	}
	verify(t, w.Secret, posts[0])
	var got map[string]any
	h.must(json.Unmarshal(posts[0].body, &got))
	product, err := h.store.Product(t.Context(), sku)
	h.must(err)
	delivery := h.delivered(w.ID)[sku]
	want := map[string]any{
		"id": posts[0].id, "type": "stock.out", "subject": sku, "time": delivery.EventAt.Format(time.RFC3339Nano),
		"data": map[string]any{
			"version": 1.0, "product_id": product.ID.String(), "sku": sku, "stockout_id": product.Stock.StockoutID.String(),
			"available": 0.0, "position": 0.0,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the body (-want +got):\n%s", diff)
	}
	if delivery.EventID.String() != posts[0].id || delivery.Tries != 1 || delivery.Status != http.StatusNoContent || delivery.Error != "" {
		t.Errorf("the log has %+v", delivery)
	}

	// After a rotation both secrets verify, for those who have not heard of it.
	status, text := h.ask(http.MethodPost, "/v1/webhooks/"+w.ID.String()+"/rotate-secret", nil)
	var rotated restock.Webhook
	h.must(json.Unmarshal(text, &rotated))
	if status != http.StatusOK || rotated.Secret == w.Secret || rotated.Secret == "" {
		t.Fatalf("rotating: %d %s", status, text)
	}
	h.sellOut()
	h.until("the second event is posted", func() bool { return len(r.got()) == 2 })
	verify(t, w.Secret, r.got()[1])
	verify(t, rotated.Secret, r.got()[1])
	if n := len(other.got()); n != 0 {
		t.Errorf("who asked for another type got %d", n)
	}
}

func verify(t *testing.T, secret string, p post) {
	t.Helper()
	verifier, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		t.Fatal(err)
	}
	if err := verifier.Verify(p.body, p.head); err != nil {
		t.Errorf("the public library says %v of %v", err, p.head)
	}
	if err := verifier.Verify(append(slices.Clone(p.body), ' '), p.head); err == nil {
		t.Error("the public library takes another body, too")
	}
}

// TestABadReceiverHarmsNobodyElse subscribes receivers that do everything wrong
// beside one that does not.
func TestABadReceiverHarmsNobodyElse(t *testing.T) {
	t.Parallel()
	const events, perReceiver = 30, 2
	h := open(t, events, hooks.Config{
		Guard: webhook.Guard{Inner: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}}, PerReceiver: perReceiver,
		Schedule: []time.Duration{time.Hour},
	})
	inside := newInside(t)
	ended := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-ended }
	var hanging, most atomic.Int64
	bad := map[string]http.HandlerFunc{
		"fails": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) },
		"hangs": func(w http.ResponseWriter, r *http.Request) {
			most.Store(max(most.Load(), hanging.Add(1)))
			defer hanging.Add(-1)
			hang(w, r)
		},
		"answers slowly": func(w http.ResponseWriter, _ *http.Request) {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-Slow: " + strings.Repeat("x", 1000)) {
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
				select {
				case <-ended:
					return
				case <-time.After(100 * time.Millisecond):
				}
			}
		},
		"redirects inside": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, inside.URL+"/secrets", http.StatusTemporaryRedirect)
		},
		"answers without end": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadGateway)
			for chunk := make([]byte, 1<<16); ; {
				if _, err := w.Write(chunk); err != nil {
					return
				}
			}
		},
		"breaks off": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"has endless headers": func(w http.ResponseWriter, _ *http.Request) {
			for i := range 1000 {
				w.Header().Add(fmt.Sprintf("X-%d", i), strings.Repeat("x", 1000))
			}
		},
	}
	subscriptions := map[string]restock.Webhook{}
	for name, handler := range bad {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		subscriptions[name] = h.subscribe(hooks.CreateBody{URL: server.URL, Description: name})
	}
	t.Cleanup(func() { close(ended) }) // before the servers close
	subscriptions["is inside"] = h.subscribe(hooks.CreateBody{URL: strings.Replace(inside.URL, "127.0.0.2", "localtest.invalid", 1)})
	subscriptions["is inside by its address"] = h.insist(inside.URL)
	good := newReceiver(t)
	w := h.subscribe(hooks.CreateBody{URL: good.URL})
	want := []string{}
	for range events {
		want = append(want, h.sellOut())
	}
	h.until("the good one has all", func() bool { return len(good.got()) >= events })
	if diff := cmp.Diff(want, good.subjects(t)); diff != "" {
		t.Errorf("what the good one got (-want +got):\n%s", diff)
	}
	for _, name := range []string{"fails", "redirects inside", "answers without end", "breaks off", "has endless headers", "is inside by its address"} {
		id := subscriptions[name].ID
		h.until("who "+name+" was tried and failed", func() bool {
			for _, d := range h.delivered(id) {
				if d.Tries > 0 {
					return d.Error != "" && d.State == restock.DeliveryWaiting
				}
			}
			return false
		})
	}
	if n := inside.reached.Load(); n != 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
	if n := most.Load(); n > perReceiver {
		t.Errorf("%d posts were on their way to the one that hangs at the same time, want at most %d", n, perReceiver)
	}
	if n := len(h.delivered(w.ID)); n != events {
		t.Errorf("the good one has %d deliveries, want %d", n, events)
	}
}

// inside is a server at an address that nobody may reach.
type inside struct {
	*httptest.Server

	reached atomic.Int64
}

func newInside(t *testing.T) *inside {
	t.Helper()
	i := &inside{}
	i.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp4", "127.0.0.2:0")
	if err != nil {
		t.Skipf("this machine has no second loopback address: %v", err)
	}
	i.Listener.Close()
	i.Listener = listener
	i.Config.ConnState = func(net.Conn, http.ConnState) { i.reached.Add(1) } // to connect is too much already
	i.Start()
	t.Cleanup(i.Close)
	return i
}

// insist subscribes an address that the API refuses, as one that became known
// when the setting was another.
func (h *house) insist(rawURL string) restock.Webhook {
	h.t.Helper()
	if status, text := h.ask(http.MethodPost, "/v1/webhooks", hooks.CreateBody{URL: rawURL}); status != http.StatusBadRequest {
		h.t.Errorf("the API takes an address inside: %d %s", status, text)
	}
	w, err := h.store.CreateWebhook(h.t.Context(), restock.Webhook{URL: rawURL, Secret: webhook.NewSecret()}, restock.Act{By: "kim"}, restock.Key{})
	h.must(err)
	return w
}

func TestWhatFailsIsTriedByTheScheduleThenDeadThenReplayed(t *testing.T) {
	t.Parallel()
	h := open(t, 1, hooks.Config{Guard: loopback(), Schedule: []time.Duration{time.Millisecond, time.Millisecond}})
	r := newReceiver(t)
	r.status.Store(http.StatusServiceUnavailable)
	w := h.subscribe(hooks.CreateBody{URL: r.URL})
	sku := h.sellOut()
	h.until("it is given up", func() bool { return h.delivered(w.ID)[sku].State == restock.DeliveryDead })
	d := h.delivered(w.ID)[sku]
	if d.Tries != 3 || d.Status != http.StatusServiceUnavailable || !strings.Contains(d.Error, "503") {
		t.Errorf("the delivery is %+v, want three tries", d)
	}
	path := "/v1/webhooks/" + w.ID.String() + "/deliveries/" + d.EventID.String()
	status, text := h.ask(http.MethodGet, path, nil)
	h.must(json.Unmarshal(text, &d))
	if status != http.StatusOK || len(d.Attempts) != 3 {
		t.Errorf("shown whole it has %d failures: %s", len(d.Attempts), text)
	}
	letters, _, err := h.store.DeadLetters(t.Context(), restock.DeadQuery{}, restock.Deciders{})
	h.must(err)
	if len(letters) != 1 || letters[0].DeadLetterQueue != restock.WebhookQueue(w.ID)+restock.DeadLetterSuffix {
		t.Errorf("dead letters %+v, want one of this webhook", letters)
	}
	r.status.Store(http.StatusOK)
	if status, text := h.ask(http.MethodPost, path+"/replay", hooks.ByBody{By: "kim"}); status != http.StatusOK {
		t.Fatalf("replay: %d %s", status, text)
	}
	h.until("it is taken", func() bool { return h.delivered(w.ID)[sku].State == restock.DeliveryTaken })
	ids := map[string]bool{}
	for _, p := range r.got() {
		ids[p.id] = true
	}
	if len(ids) != 1 {
		t.Errorf("its posts had the ids %v, want always the same", ids)
	}
}

// TestAReceiverThatAsksForAPauseIsLeftInPeace: neither what it refused nor what
// came since is posted before the pause is over; other receivers get theirs.
func TestAReceiverThatAsksForAPauseIsLeftInPeace(t *testing.T) {
	t.Parallel()
	h := open(t, 2, hooks.Config{Guard: loopback(), Schedule: []time.Duration{time.Millisecond, time.Millisecond}})
	r, control := newReceiver(t), newReceiver(t)
	r.status.Store(http.StatusTooManyRequests)
	const pause = 30 * time.Minute
	r.pause.Store(int64(pause / time.Second))
	w := h.subscribe(hooks.CreateBody{URL: r.URL})
	h.subscribe(hooks.CreateBody{URL: control.URL})
	began := time.Now()
	refused := h.sellOut()
	putOff := func(sku string, tries int64) {
		t.Helper()
		h.until(sku+" is put off", func() bool {
			d := h.delivered(w.ID)[sku]
			return d.State == restock.DeliveryWaiting && d.Tries == tries && d.NextAt.After(began.Add(pause-patience))
		})
	}
	putOff(refused, 1)
	putOff(h.sellOut(), 0)
	h.until("the other has both", func() bool { return len(control.got()) == 2 })
	if n := len(r.got()); n != 1 {
		t.Errorf("a receiver that asked for %s was posted to %d times, want once", pause, n)
	}
	if d := h.delivered(w.ID)[refused]; d.Status != http.StatusTooManyRequests || !strings.Contains(d.Error, "30m") {
		t.Errorf("the delivery %+v does not say that there is a pause", d)
	}
}

// TestAPausedWebhookGetsItsEventsLater: from the answer on, though whoever posts to
// it looks for such changes only now and then.
func TestAPausedWebhookGetsItsEventsLater(t *testing.T) {
	t.Parallel()
	h := open(t, 2, hooks.Config{Guard: loopback(), LookInterval: 2 * time.Second})
	r, control := newReceiver(t), newReceiver(t)
	w := h.subscribe(hooks.CreateBody{URL: r.URL})
	h.subscribe(hooks.CreateBody{URL: control.URL})
	pause := func(paused bool) {
		if status, text := h.ask(http.MethodPatch, "/v1/webhooks/"+w.ID.String(), map[string]bool{"paused": paused}); status != http.StatusOK {
			t.Fatalf("pausing: %d %s", status, text)
		}
	}
	first := h.sellOut()
	h.until("the first is taken", func() bool { return h.delivered(w.ID)[first].State == restock.DeliveryTaken })
	pause(true)
	second := h.sellOut()
	h.until("the other has both", func() bool { return len(control.got()) == 2 })
	h.until("it waits", func() bool { return h.delivered(w.ID)[second].State == restock.DeliveryWaiting })
	pause(false)
	h.until("it is taken", func() bool { return h.delivered(w.ID)[second].State == restock.DeliveryTaken })
	if diff := cmp.Diff([]string{first, second}, r.subjects(t)); diff != "" {
		t.Errorf("what it got (-want +got):\n%s", diff)
	}
}

// TestTheProgramThatSwitchesAnAdvertisementAnswersItsHold lets the machine of the
// holds run beside programs that take events, of which only one may answer.
func TestTheProgramThatSwitchesAnAdvertisementAnswersItsHold(t *testing.T) {
	t.Parallel()
	h := open(t, 2, hooks.Config{Guard: loopback(), Schedule: []time.Duration{time.Millisecond, time.Hour}})
	switching, other := newReceiver(t), newReceiver(t)
	well := make(chan struct{}) // the first post fails, and the second is answered when it is closed
	getWell := sync.OnceFunc(func() { close(well) })
	t.Cleanup(getWell)
	switching.onPost(func(n int) {
		if n > 1 {
			<-well
		}
	})
	switching.status.Store(http.StatusInternalServerError)
	w := h.subscribe(hooks.CreateBody{URL: switching.URL, Acknowledges: "donut-main"})
	plain := h.subscribe(hooks.CreateBody{URL: other.URL})
	sku := h.sellOut()
	product, err := h.store.Product(t.Context(), sku)
	h.must(err)
	turn := func() restock.AdHold {
		sending, _, err := h.store.TurnAd(t.Context(), product.AdvertisementID, time.Minute, ads.Pace{Reminder: time.Hour, Escalation: 4 * time.Hour, Spacing: 1}.Turn)
		h.must(err)
		h.must(h.store.EndAdMail(t.Context(), sending))
		return sending.Hold
	}
	hold := turn()
	acknowledged := func(q func(restock.AdHold) restock.AdQuestion) string {
		now, err := h.store.AdHold(t.Context(), hold.ID)
		h.must(err)
		return q(now).AcknowledgedBy
	}
	stop := func(a restock.AdHold) restock.AdQuestion { return a.Stop }
	h.until("the other one has taken it, and this one was tried", func() bool {
		return h.delivered(plain.ID)[sku].State == restock.DeliveryTaken && h.delivered(w.ID)[sku].Tries > 0
	})
	if by := acknowledged(stop); by != "" {
		t.Errorf("the hold is answered by %q, though the program that switches failed", by)
	}
	switching.status.Store(http.StatusAccepted)
	getWell()
	h.until("the hold is answered", func() bool { return acknowledged(stop) == restock.WebhookQueue(w.ID) })
	last := switching.got()[len(switching.got())-1]
	if !bytes.Contains(last.body, []byte(`"advertisement":{"name":"donut-main","ask":"stop"}`)) {
		t.Errorf("it was posted %s, which does not say what to do", last.body)
	}
	if bytes.Contains(other.got()[0].body, []byte(`"advertisement"`)) {
		t.Errorf("the other one is asked to switch, too: %s", other.got()[0].body)
	}
	_, err = h.store.Adjust(t.Context(), restock.AdjustmentRequest{Product: sku, Quantity: 5, Reason: "found"}, restock.Key{})
	h.must(err)
	turn()
	h.until("the resume is answered", func() bool {
		return acknowledged(func(a restock.AdHold) restock.AdQuestion { return a.Resume }) == restock.WebhookQueue(w.ID)
	})
}

func TestEventsCanBeAskedForInstead(t *testing.T) {
	t.Parallel()
	h := open(t, 3, hooks.Config{EventRetention: 48 * time.Hour})
	var page restock.EventPage
	read := func(query string) {
		t.Helper()
		status, text := h.ask(http.MethodGet, "/v1/events?"+query, nil)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %s", query, status, text)
		}
		page = restock.EventPage{}
		h.must(json.Unmarshal(text, &page))
	}
	read("after=latest")
	if len(page.Items) != 0 || page.KeptFor != "48h0m0s" {
		t.Errorf("at first there is %+v", page)
	}
	want := []string{h.sellOut(), h.sellOut(), h.sellOut()}
	var got []string
	for more := true; more; more = page.More {
		read("limit=2&type=stock.out,stock.back&after=" + page.Next)
		for _, e := range page.Items {
			got = append(got, e.Subject)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if _, err := h.store.PurgeEvents(t.Context(), time.Now().Add(time.Hour), 2); err != nil {
		t.Fatal(err)
	}
	for query, want := range map[string]int{
		"after=0": http.StatusGone, "after=1": http.StatusGone, "after=2": http.StatusOK, "": http.StatusOK,
		"after=99": http.StatusBadRequest, "after=x": http.StatusBadRequest, "type=stock.up": http.StatusBadRequest, "limit=0": http.StatusBadRequest,
	} {
		status, text := h.ask(http.MethodGet, "/v1/events?"+query, nil)
		if status != want {
			t.Errorf("%q is answered with %d %s, want %d", query, status, text, want)
		}
		if want == http.StatusGone && !bytes.Contains(text, []byte(`"code":"events_gone"`)) {
			t.Errorf("%q is answered with %s, want the code events_gone", query, text)
		}
	}
}

func TestWhatCannotBeSubscribedIsRefusedWithItsReason(t *testing.T) {
	t.Parallel()
	h := open(t, 1, hooks.Config{})
	for _, c := range []struct {
		body any
		want int
		says string
	}{
		{hooks.CreateBody{}, http.StatusBadRequest, "http"},
		{hooks.CreateBody{URL: "ftp://shop.example/"}, http.StatusBadRequest, "https://"},
		{hooks.CreateBody{URL: "unix:///run/docker.sock"}, http.StatusBadRequest, "https://"},
		{hooks.CreateBody{URL: "https://me:hunter2@shop.example/"}, http.StatusBadRequest, "password"},
		{hooks.CreateBody{URL: "https://shop.example/" + strings.Repeat("x", 2000)}, http.StatusBadRequest, "bytes"},
		{hooks.CreateBody{URL: "http://127.0.0.1:8080/"}, http.StatusBadRequest, "--webhook-allow"},
		{hooks.CreateBody{URL: "http://[::ffff:169.254.169.254]/"}, http.StatusBadRequest, "--webhook-allow"},
		{hooks.CreateBody{URL: "https://shop.example/", Events: []restock.EventType{"stock.up"}}, http.StatusBadRequest, "stock.out"},
		{hooks.CreateBody{URL: "https://shop.example/", Events: []restock.EventType{restock.StockOut, restock.StockOut}}, http.StatusBadRequest, "twice"},
		{hooks.CreateBody{URL: "https://shop.example/", Description: strings.Repeat("x", 501)}, http.StatusBadRequest, "500"},
		{hooks.CreateBody{URL: "https://shop.example/", Acknowledges: "nobody"}, http.StatusNotFound, "nobody"},
		{hooks.CreateBody{URL: "https://shop.example/", By: strings.Repeat("x", 300)}, http.StatusBadRequest, "by"},
		{[]int{1}, http.StatusBadRequest, "JSON"},
		{hooks.CreateBody{URL: "https://shop.example/hook"}, http.StatusCreated, "whsec_"},
	} {
		status, text := h.ask(http.MethodPost, "/v1/webhooks", c.body)
		if status != c.want || !strings.Contains(string(text), c.says) || strings.Contains(string(text), "hunter2") {
			t.Errorf("%+v is answered with %d %s, want %d and %q in it", c.body, status, text, c.want, c.says)
		}
	}
}

func TestEveryRouteAsksForTheOperatorsToken(t *testing.T) {
	t.Parallel()
	h := open(t, 1, hooks.Config{})
	w := h.subscribe(hooks.CreateBody{URL: "https://shop.example/hook"})
	one := "/v1/webhooks/" + w.ID.String()
	for _, route := range []string{
		"GET /v1/events", "GET /v1/webhooks", "POST /v1/webhooks", "GET " + one, "PATCH " + one, "DELETE " + one, "POST " + one + "/rotate-secret",
		"GET " + one + "/deliveries", "GET " + one + "/deliveries/x", "POST " + one + "/deliveries/x/replay",
	} {
		method, path, _ := strings.Cut(route, " ")
		for _, header := range []string{"", "Bearer ", "Bearer wrong", "Basic " + token} {
			r := httptest.NewRequestWithContext(t.Context(), method, path, http.NoBody)
			r.Header.Set("Authorization", header)
			answer := httptest.NewRecorder()
			h.api.ServeHTTP(answer, r)
			if answer.Code != http.StatusUnauthorized {
				t.Errorf("%s with %q is answered with %d", route, header, answer.Code)
			}
		}
	}
	if status, text := h.ask(http.MethodGet, one, nil); status != http.StatusOK || bytes.Contains(text, []byte("whsec_")) {
		t.Errorf("the webhook is shown as %d %s", status, text)
	}
	if status, _ := h.ask(http.MethodDelete, one, nil); status != http.StatusOK {
		t.Errorf("removing is answered with %d", status)
	}
	if status, _ := h.ask(http.MethodGet, one+"/deliveries", nil); status != http.StatusNotFound {
		t.Errorf("after that its deliveries are answered with %d", status)
	}
}

// TestTheLastThingThatAProgramIsAskedIsTrue lets the stock come back while the post
// that asks to stop is still on its way.
func TestTheLastThingThatAProgramIsAskedIsTrue(t *testing.T) {
	t.Parallel()
	h := open(t, 1, hooks.Config{Guard: loopback()})
	var mu sync.Mutex
	var asked []restock.AdAsk
	arrived, answer := make(chan struct{}, 8), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b struct {
			Advertisement struct {
				Ask restock.AdAsk `json:"ask"`
			} `json:"advertisement"`
		}
		if err := json.NewDecoder(r.Body).Decode(&b); err != nil {
			t.Error(err)
		}
		mu.Lock()
		asked = append(asked, b.Advertisement.Ask)
		mu.Unlock()
		arrived <- struct{}{}
		<-answer
		w.WriteHeader(http.StatusNoContent)
	}))
	t.Cleanup(server.Close)
	w := h.subscribe(hooks.CreateBody{URL: server.URL, Acknowledges: "donut-main"})
	plain := newReceiver(t)
	h.subscribe(hooks.CreateBody{URL: plain.URL})
	sku := h.sellOut()
	<-arrived
	_, err := h.store.Adjust(t.Context(), restock.AdjustmentRequest{Product: sku, Quantity: 5, Reason: "found"}, restock.Key{})
	h.must(err)
	h.until("the other one has both events", func() bool { return len(plain.got()) == 2 })
	mu.Lock()
	if len(asked) != 1 {
		t.Errorf("it is asked %v, though its first answer is still awaited", asked)
	}
	mu.Unlock()
	close(answer)
	h.until("both are taken", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) == 2 && h.delivered(w.ID)[sku].State == restock.DeliveryTaken
	})
	if diff := cmp.Diff([]restock.AdAsk{restock.AskStop, restock.AskResume}, asked); diff != "" {
		t.Errorf("what it was asked (-want +got):\n%s", diff)
	}
}
