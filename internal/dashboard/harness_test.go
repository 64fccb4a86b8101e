package dashboard_test

import (
	"context"
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/dashboard"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

const (
	operatorToken = "the-operators-token"
	viewerToken   = "the-viewers-token"
)

// deskStore is a store with the desk as the program judges it.
type deskStore struct{ *store.Store }

func deciders() restock.Deciders { return restock.Deciders{Order: replenish.Decide} }

func (s deskStore) DeadLetters(ctx context.Context, q restock.DeadQuery) ([]restock.DeadLetter, string, error) {
	return s.Store.DeadLetters(ctx, q, deciders())
}

func (s deskStore) DeadLetter(ctx context.Context, queue string, id restock.EventID) (restock.DeadLetter, error) {
	return s.Store.DeadLetter(ctx, queue, id, deciders())
}

func (s deskStore) RedriveDeadLetter(ctx context.Context, queue string, id restock.EventID, r restock.Redrive) (restock.DeadLetter, error) {
	return s.Store.RedriveDeadLetter(ctx, queue, id, r, deciders())
}

func (s deskStore) DiscardDeadLetter(ctx context.Context, queue string, id restock.EventID, d restock.Discard) (restock.DeadLetter, error) {
	return s.Store.DiscardDeadLetter(ctx, queue, id, d, deciders())
}

// clock is the time of a dashboard. It goes on from where it is moved to, unless
// it was stopped.
type clock struct {
	mu      sync.Mutex
	moved   time.Duration
	stopped time.Time // zero while it goes
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.stopped
	if at.IsZero() {
		at = time.Now()
	}
	return at.Add(c.moved)
}

// stop lets no time pass but what it is moved by, for what has to happen within
// a time however long the machine takes.
func (c *clock) stop() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stopped = time.Now()
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.moved += d
}

// site is a store with a dashboard in front of it.
type site struct {
	t         testing.TB
	store     *store.Store
	dashboard *dashboard.Dashboard
	clock     *clock
	url       string
}

// open opens a site; change may adjust the dashboard before it is made.
func open(t *testing.T, change func(*dashboard.Config)) *site {
	t.Helper()
	s := openStore(t, filepath.Join(t.TempDir(), "restock.db"))
	return serve(t, s, deskStore{s}, change)
}

// emptyFile is an empty database: the schema is what takes long.
var emptyFile = sync.OnceValues(func() ([]byte, error) {
	folder, err := os.MkdirTemp("", "dashboard-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(folder)
	path := filepath.Join(folder, "empty.db")
	s, err := store.Open(context.Background(), "sqlite:"+path, store.Config{})
	if err != nil {
		return nil, err
	}
	if err := s.Close(); err != nil { // the last to leave makes it one file
		return nil, err
	}
	return os.ReadFile(path)
})

func openStore(t testing.TB, path string) *store.Store {
	t.Helper()
	empty, err := emptyFile()
	if err == nil {
		err = os.WriteFile(path, empty, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	return reopenStore(t, path)
}

// reopenStore opens a database that is there. Nothing here is about power cuts,
// so nothing waits for the disk.
func reopenStore(t testing.TB, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{Sync: func(string) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// patient is a limit that no test comes to, however slow the machine is.
const patient = time.Hour

// serve puts a dashboard in front of a store, behind what stands in front of it in
// the program.
func serve(t testing.TB, s *store.Store, reads dashboard.Store, change func(*dashboard.Config)) *site {
	t.Helper()
	site := &site{t: t, store: s, clock: &clock{}}
	cfg := dashboard.Config{
		OperatorToken: operatorToken, ViewerToken: viewerToken, TokenFile: "/srv/restock/operator-token", Version: "1.2.3",
		LiveInterval: 10 * time.Millisecond, ReadTimeout: patient, Now: site.clock.now,
	}
	if change != nil {
		change(&cfg)
	}
	var err error
	if site.dashboard, err = dashboard.New(reads, cfg); err != nil {
		t.Fatal(err)
	}
	mux := http.NewServeMux()
	site.dashboard.Register(mux)
	server := web.NewServer(web.Config{
		Handler: web.Log(web.Headers(mux), web.LogConfig{}), ReadHeaderTimeout: patient, ReadTimeout: patient, WriteTimeout: patient, ShutdownTimeout: patient,
	})
	if err := server.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	site.url = server.URL()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 2)
	go func() { ended <- server.Run(ctx) }()
	go func() { ended <- site.dashboard.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		for range 2 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
	return site
}

// browser is somebody at the site, with a jar of cookies.
type browser struct {
	*site

	client   *http.Client
	language string
	token    string // of its session, once it was read
}

func (s *site) browser() *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	return &browser{site: s, language: "en", client: &http.Client{
		Jar: jar, Transport: transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// page is an answer.
type page struct {
	status int
	header http.Header
	body   string
}

func (b *browser) do(method, path string, form url.Values, header map[string]string) page {
	b.t.Helper()
	var body io.Reader = http.NoBody
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	r, err := http.NewRequestWithContext(b.t.Context(), method, b.url+path, body)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", b.language)
	if form != nil {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, value := range header {
		r.Header.Set(name, value)
	}
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		b.t.Fatal(err)
	}
	return page{response.StatusCode, response.Header, string(text)}
}

func (b *browser) get(path string) page {
	b.t.Helper()
	return b.do(http.MethodGet, path, nil, nil)
}

// ours is what a browser sends with a form of our own page.
func (b *browser) ours() map[string]string {
	return map[string]string{"Origin": b.url, "Sec-Fetch-Site": "same-origin"}
}

// send sends a form of our own page.
func (b *browser) send(path string, form url.Values) page {
	b.t.Helper()
	return b.do(http.MethodPost, path, form, b.ours())
}

// login signs in.
func (b *browser) login(name, token string) page {
	b.t.Helper()
	return b.send("/dashboard/login", url.Values{"name": {name}, "token": {token}})
}

// signIn gives somebody who is signed in.
func (s *site) signIn(name, token string) *browser {
	s.t.Helper()
	b := s.browser()
	if got := b.login(name, token); got.status != http.StatusSeeOther {
		s.t.Fatalf("signing in was answered %d: %s", got.status, text(got.body))
	}
	return b
}

func (s *site) operator() *browser { return s.signIn("Kim", operatorToken) }

var csrfInput = regexp.MustCompile(`name="csrf" value="([0-9a-f]{64})"`)

// csrf is the token in the forms of somebody's pages.
func (b *browser) csrf() string {
	b.t.Helper()
	if b.token != "" {
		return b.token
	}
	found := csrfInput.FindStringSubmatch(b.get("/dashboard").body)
	if found == nil {
		b.t.Fatal("the page has no form with a token")
	}
	b.token = found[1]
	return b.token
}

// act sends the form of an act, and gives what is said on the page after it.
func (b *browser) act(path string, form url.Values) string {
	b.t.Helper()
	if form == nil {
		form = url.Values{}
	}
	form.Set("csrf", b.csrf())
	if !form.Has("reason") {
		form.Set("reason", "because")
	}
	form.Set("back", "/dashboard/audit")
	got := b.send(path, form)
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/dashboard/audit" {
		b.t.Fatalf("%s was answered %d to %q: %s", path, got.status, got.header.Get("Location"), text(got.body))
	}
	return b.said()
}

var noticeText = regexp.MustCompile(`<p class="notice[^"]*">([^<]*)</p>`)

// said is what somebody is told once.
func (b *browser) said() string {
	b.t.Helper()
	var all []string
	for _, found := range noticeText.FindAllStringSubmatch(b.get("/dashboard/audit").body, -1) {
		all = append(all, html.UnescapeString(found[1]))
	}
	return strings.Join(all, "\n")
}

var (
	tags   = regexp.MustCompile(`<[^>]*>`)
	blanks = regexp.MustCompile(`\s+`)
)

// text is what a page says, without its tags.
func text(body string) string {
	_, body, _ = strings.Cut(body, "<body")
	return strings.TrimSpace(blanks.ReplaceAllString(html.UnescapeString(tags.ReplaceAllString("<body"+body, " ")), " "))
}

// wantText complains when a page does not say something.
func (p page) wantText(t *testing.T, want ...string) {
	t.Helper()
	got := text(p.body)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("%q is not on the page (%d): %s", w, p.status, got)
		}
	}
}

// The things of a busy shop that pages show.
type shop struct {
	*site

	awaiting, held, placed restock.OrderID
	heldReceipt            restock.ReceiptID
	orphan                 restock.ReceiptID
	letter                 restock.EventID
	hold                   restock.AdHoldID
}

func (s *site) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// names are the texts of a shop that come from outside.
type names struct{ product, factory, ad, requester, reason, body string }

func plainNames() names {
	return names{"Cream Donut", "Busan works", "donut-main", "Kim Jaego", "it is low", `{"MessageAttributeProductCnt":"9"}`}
}

// busy fills a site with one of everything that a page can show.
func (s *site) busy(n names) *shop {
	s.t.Helper()
	ctx := s.t.Context()
	product := func(sku restock.SKU, ordering restock.Ordering) restock.CatalogProduct {
		return restock.CatalogProduct{
			SKU: sku, Name: n.product + " " + string(sku), Price: 19900, UnitCost: 7000, OpeningStock: 5, Factory: "FF-1", Advertisement: n.ad,
			ReorderPoint: 1, OrderQuantity: 4, Ordering: ordering,
		}
	}
	c := restock.Catalog{
		BuyerEmail: "buyer@donut.example",
		Factories: []restock.CatalogFactory{{
			Identifier: "FF-1", Name: n.factory, URL: "http://127.0.0.1:4000/api/manufactures", Requester: n.requester,
			MaxInFlight: 100, RatePerSecond: 1e6, LeadTime: time.Minute,
		}},
		Advertisements: []restock.CatalogAdvertisement{{Name: n.ad, ManagerEmail: "ads@donut.example"}},
		Products: []restock.CatalogProduct{
			product("CP-1", restock.OrderingAuto), product("CP-2", restock.OrderingReview), product("CP-3", restock.OrderingAuto),
			product("CP-4", restock.OrderingAuto),
		},
	}
	for i := range c.Products[1:] {
		c.Products[1+i].Advertisement = ""
	}
	c.Fill()
	s.must(c.Check())
	_, err := s.store.ApplyCatalog(ctx, c, store.CreateMissing)
	s.must(err)
	shop := &shop{site: s}
	for _, sku := range []string{"CP-1", "CP-2", "CP-3"} {
		s.buy(sku, 5)
	}
	s.mailed("CP-1", restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop})
	shop.placed = s.order("CP-1", n.reason, false)
	shop.awaiting = s.order("CP-2", n.reason, true)
	first := s.claim(shop.placed)
	shop.held = s.order("CP-3", n.reason, false)
	second := s.claim(shop.held)
	s.settle(second, restock.Answered{Answer: restock.Answer{State: restock.AttemptRejected, Status: 400, Error: "refused: " + n.reason}})
	s.settle(first, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: 201, FactoryRef: n.reason}, DueAt: time.Now().Add(time.Hour),
	})
	shop.heldReceipt = s.report(shop.placed, 1, 3, 2, n)
	shop.orphan = s.report(restock.OrderID{7}, 1, 0, 9, n)
	shop.letter = s.deadLetter(n.reason)
	shop.hold = s.mailed("CP-1", restock.AdTurn{State: restock.AdHoldResuming, Send: restock.AdMailResume})
	return shop
}

func (s *site) buy(sku string, quantity int64) {
	s.t.Helper()
	outcomes, err := s.store.Sell(s.t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: sku, Quantity: quantity}}}})
	s.must(err)
	s.must(outcomes[0].Err)
}

func (s *site) product(sku string) restock.Product {
	s.t.Helper()
	p, err := s.store.Product(s.t.Context(), sku)
	s.must(err)
	return p
}

func (s *site) order(sku, reason string, approval bool) restock.OrderID {
	s.t.Helper()
	d, err := s.store.Plan(s.t.Context(), s.product(sku).ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 4, Approval: approval, Reason: reason}
	})
	s.must(err)
	return d.OrderID
}

func (s *site) claim(id restock.OrderID) restock.Attempt {
	s.t.Helper()
	a, err := s.store.ClaimAttempt(s.t.Context(), "owner", time.Hour)
	s.must(err)
	if a.OrderID != id {
		s.t.Fatalf("claimed order %s, want %s", a.OrderID, id)
	}
	return a
}

func (s *site) settle(a restock.Attempt, answer restock.Answered) {
	s.t.Helper()
	s.must(s.store.SettleAttempt(s.t.Context(), a, answer))
}

// report is a callback of which some is applied and some is held.
func (s *site) report(id restock.OrderID, attempt int, apply, hold int64, n names) restock.ReceiptID {
	s.t.Helper()
	c := restock.Callback{
		OrderID: id, Attempt: attempt, Count: apply + hold, Claimed: n.reason, Body: []byte(n.body), Remote: "192.0.2.1:4000", PublicURL: "http://shop.test",
	}
	copy(c.Hash[:], id[:])
	r, err := s.store.Receive(s.t.Context(), c, func(restock.Evidence) restock.Verdict {
		state := restock.ReceiptApplied
		if apply == 0 {
			state = restock.ReceiptHeld
		}
		return restock.Verdict{State: state, Apply: apply, Hold: hold, Reason: n.reason}
	})
	s.must(err)
	return r.ID
}

// deadLetter gives up the message that CP-3 is low.
func (s *site) deadLetter(cause string) restock.EventID {
	s.t.Helper()
	for {
		got, err := s.store.Queue().Receive(s.t.Context(), restock.StockQueue, driver.Request{Max: 1, Visibility: time.Hour})
		s.must(err)
		if len(got) == 0 {
			s.t.Fatal("there is no message to give up")
		}
		if got[0].Subject == "CP-3" {
			s.must(s.store.Queue().Dead(s.t.Context(), got[0], cause))
			return restock.EventID(got[0].ID)
		}
	}
}

// mailed takes a step with the manager of a product's advertisement, and sends its
// mail.
func (s *site) mailed(sku string, turn restock.AdTurn) restock.AdHoldID {
	s.t.Helper()
	sending, _, err := s.store.TurnAd(s.t.Context(), s.product(sku).AdvertisementID, time.Hour,
		func(restock.AdSituation) restock.AdTurn { return turn })
	s.must(err)
	if sending.Kind != turn.Send {
		s.t.Fatalf("the mail %q is to be sent, want %q", sending.Kind, turn.Send)
	}
	s.must(s.store.EndAdMail(s.t.Context(), sending))
	return sending.Hold.ID
}

// addresses are all pages of a busy shop.
func (s *shop) addresses() []string {
	return []string{
		"/dashboard", "/dashboard?only=low", "/dashboard?q=donut", "/dashboard?q=nothing+like+it", "/dashboard?after=1.CP-1",
		"/dashboard/products/CP-1", "/dashboard/products/CP-2?span=1h", "/dashboard/products/CP-3?span=all", "/dashboard/products/CP-4",
		"/dashboard/waiting", "/dashboard/orders", "/dashboard/orders?state=held",
		fmt.Sprintf("/dashboard/orders/%s", s.awaiting), fmt.Sprintf("/dashboard/orders/%s", s.held), fmt.Sprintf("/dashboard/orders/%s", s.placed),
		fmt.Sprintf("/dashboard/receipts/%s", s.heldReceipt), fmt.Sprintf("/dashboard/receipts/%s", s.orphan),
		"/dashboard/queues", "/dashboard/queues?queue=stock-queue&needed=needed",
		fmt.Sprintf("/dashboard/dead-letters/%s?queue=stock-queue", s.letter), "/dashboard/mail", "/dashboard/audit", "/dashboard/checks",
	}
}

// audit is who did what, and why, oldest first.
func (s *site) audit() []string {
	s.t.Helper()
	entries, _, err := s.store.Audit(s.t.Context(), restock.ListQuery{Limit: 1000})
	s.must(err)
	all := make([]string, 0, len(entries))
	for i := range entries {
		e := entries[len(entries)-1-i]
		all = append(all, e.Actor+" "+e.Action+": "+e.Reason)
	}
	return all
}
