package dashboard_test

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/dashboard"
	"github.com/restock/restock/internal/store"
)

func TestEveryPageIsThereInBothLanguages(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	for language, says := range map[string]string{"ko": "로그아웃", "en": "Sign out"} {
		b := shop.operator()
		b.language = language
		for _, address := range shop.addresses() {
			got := b.get(address)
			if got.status != http.StatusOK || got.header.Get("Content-Language") != language ||
				!strings.Contains(got.body, `<html lang="`+language+`">`) || got.header.Get("Content-Type") != "text/html; charset=utf-8" {
				t.Errorf("%s in %s was answered %d: %s", address, language, got.status, text(got.body))
			}
			got.wantText(t, says)
			if n := strings.Count(got.body, "<h1"); n != 1 {
				t.Errorf("%s has %d headings of the first rank", address, n)
			}
		}
	}
}

func TestTheOverviewTellsTheStateOfEverything(t *testing.T) {
	t.Parallel()
	shop := open(t, func(c *dashboard.Config) { c.MailNote = "nobody receives mail" }).busy(plainNames())
	shop.operator().get("/dashboard").wantText(t,
		"5 things wait for you. 2 products are out of stock.",
		"2 out of stock", "0 low", "1 on order", "1 healthy",
		"Cream Donut CP-2 out of stock CP-2 0 0 4 awaits approval",
		"Cream Donut CP-3 out of stock CP-3 0 0 4 held",
		"Cream Donut CP-1 on order CP-1 3 0 1",
		"awaits approval 4 × CP-2", "order held 4 × CP-3", "1 dead letter", "receipt held CP-1 · it is low", "receipt held unknown order · it is low",
		"stock-queue", "resume told donut-main CP-1 ads@donut.example", "stop the advertisement", "nobody receives mail", "restock 1.2.3")
}

func TestAProductTellsWhatHappenedAndWhy(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	got := shop.operator().get("/dashboard/products/CP-1")
	got.wantText(t,
		"Cream Donut CP-1", "Available 3", "On order 1", "Reorder point 1", "19,900 KRW",
		"partly received 4 pieces", "Attempt 1 accepted", "Busan works FF-1 · Kim Jaego", "the factory answered 201",
		"Callback booked 3 booked 2 held", "ordered 4 it is low", "receipt +3 3", "sale −5 0", "opening +5 5", "Buyers turned away")
	for _, part := range []string{
		`aria-label="On hand from 0 to 5, now 3. Stockouts: 1. Orders: 1. Arrivals: 1."`,
		`class="c-area" d="M`, `class="c-reorder" x1`, `class="c-stockout" x`, `<title>Goods came`, `<g class="c-order"><path`,
	} {
		if n := strings.Count(got.body, part); n != 2 { // wide and narrow
			t.Errorf("%s is there %d times, want twice", part, n)
		}
	}
}

func TestAnOrderAReceiptAndALetterAreShownInFull(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	b.get(fmt.Sprintf("/dashboard/orders/%s", shop.held)).wantText(t,
		"held 4 pieces Cream Donut CP-3", "Why it is low", "Attempt 1 rejected", "the factory answered 400", "refused: it is low")
	b.get(fmt.Sprintf("/dashboard/receipts/%s", shop.orphan)).wantText(t,
		"held Receipt", "unknown order", "Sent from 192.0.2.1:4000", `{"MessageAttributeProductCnt":"9"}`, "Count")
	b.get(fmt.Sprintf("/dashboard/dead-letters/%s?queue=stock-queue", shop.letter)).wantText(t,
		"stale stock.low Cream Donut CP-3", "stock-queue-dlq", "Redrive all the same", `"sku": "CP-3"`)
	b.get("/dashboard/queues").wantText(t, "stock-queue 0 2 1", "stale stock.low Cream Donut CP-3 stock-queue-dlq")
	b.get("/dashboard/mail").wantText(t, "resume told donut-main CP-1 ads@donut.example", "stop sent", "It runs again", "stop the advertisement · CP-1", "the advertisement can resume · CP-1")
}

func TestWhatIsNotThereIsNotFound(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	for address, status := range map[string]int{
		"/dashboard/nothing": http.StatusNotFound, "/dashboard/products/none": http.StatusNotFound, "/dashboard/orders/x": http.StatusBadRequest,
		"/dashboard/orders/00000000-0000-7000-8000-000000000001": http.StatusNotFound, "/dashboard?only=fine": http.StatusBadRequest,
		"/dashboard?after=9.x": http.StatusBadRequest, "/dashboard/queues?after=x": http.StatusBadRequest, "/dashboard/orders?state=fine": http.StatusBadRequest,
		"/dashboard/receipts/00000000-0000-7000-8000-000000000001": http.StatusNotFound, "/dashboard/products/CP-1?movements=x": http.StatusBadRequest,
		"/dashboard/static/none.css": http.StatusNotFound, "/dashboard/": http.StatusSeeOther,
	} {
		got := b.get(address)
		if got.status != status {
			t.Errorf("%s was answered %d, want %d", address, got.status, status)
		}
		if strings.Contains(got.body, "<body") {
			got.wantText(t, "To the overview", "Sign out")
		}
	}
}

// walkPages follows the links to the next page and gives what find finds on each.
func walkPages(t *testing.T, b *browser, address string, link, find *regexp.Regexp) []string {
	t.Helper()
	var all []string
	for range 1000 {
		body := b.get(address).body
		for _, found := range find.FindAllStringSubmatch(body, -1) {
			all = append(all, found[1])
		}
		next := link.FindStringSubmatch(body)
		if next == nil {
			return all
		}
		address = strings.ReplaceAll(next[1], "&amp;", "&")
	}
	t.Fatal("the pages have no end")
	return nil
}

func TestPagesOfAListHaveNoGaps(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	var products []restock.CatalogProduct
	for i := range 130 {
		products = append(products, restock.CatalogProduct{
			SKU: restock.SKU(fmt.Sprintf("P-%03d", i)), Name: "Donut", Price: 1, OpeningStock: int64(i%2) * 30,
		})
	}
	c := restock.Catalog{Products: products}
	c.Fill()
	_, err := s.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
	s.must(err)
	for range 30 {
		s.buy("P-001", 1)
		s.must(s.store.PauseOrdering(t.Context(), "", restock.Act{By: "Kim", Reason: "stocktake"}))
	}
	b := s.operator()
	for address, c := range map[string]struct {
		link, find string
		n          int
	}{
		"/dashboard":                   {`<a href="([^"]*)" rel="next">`, `<tr id="p-(P-\d+)"`, 130},
		"/dashboard?only=out_of_stock": {`<a href="([^"]*)" rel="next">`, `<tr id="p-(P-\d+)"`, 66},
		"/dashboard/audit":             {`<a href="([^"]*)" rel="next">`, `<tr id="a-([^"]*)"`, 30},
		"/dashboard/products/P-001":    {`<a href="([^"]*)">Older</a>`, `<tr id="m-([^"]*)"`, 31},
	} {
		got := walkPages(t, b, address, regexp.MustCompile(c.link), regexp.MustCompile(c.find))
		if unique := slices.Compact(slices.Sorted(slices.Values(got))); len(unique) != c.n || len(got) != c.n {
			t.Errorf("%s: %d rows, %d different, want %d", address, len(got), len(unique), c.n)
		}
	}
}

func TestASearchKeepsItsWords(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	got := b.get("/dashboard?q=" + url.QueryEscape(`cream cp-2`))
	if !strings.Contains(got.body, ` type="search" value="cream cp-2" `) {
		t.Error("the words are gone, and nobody can add to them")
	}
	got.wantText(t, "Found for “cream cp-2”", "Cream Donut CP-2")
	if strings.Contains(text(got.body), "CP-3") {
		t.Error("the search finds what it was not asked for")
	}
	b.get("/dashboard?q="+strings.Repeat("가", 500)).wantText(t, "No product was found.")
}

func TestALanguageIsChosenAndKept(t *testing.T) {
	t.Parallel()
	b := open(t, nil).operator()
	got := b.get("/dashboard/audit?after=&lang=ko")
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/dashboard/audit?after=" {
		t.Errorf("answered %d to %q", got.status, got.header.Get("Location"))
	}
	b.get("/dashboard/audit").wantText(t, "로그아웃")
	b.get("/dashboard?lang=fr").wantText(t, "로그아웃") // a language that we do not speak changes nothing
	b.get("/dashboard?lang=en")
	b.language = "ko"
	b.get("/dashboard").wantText(t, "Sign out")
	if got := b.get("/dashboard//evil.example?lang=en").header.Get("Location"); !strings.HasPrefix(got, "/dashboard") {
		t.Errorf("a language leads to %q", got)
	}
}

// inline is what a strict policy would refuse, and what would come from elsewhere.
var inline = regexp.MustCompile(`(?i)\sstyle\s*=|\son[a-z]+\s*=\s*["']|<style|javascript:|(?:src|href|action|data-events)\s*=\s*["']?\s*(?:https?:)?//|<script>|<script[^>]*>[^<]|<(?:iframe|object|embed|base|form[^>]+action="http)`)

func TestEveryAnswerIsGuardedAndNothingIsInline(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	pages := map[string]page{
		"login": shop.browser().get("/dashboard/login"), "refused": shop.browser().login("Kim", "x"),
		"forbidden": b.send("/dashboard/ordering/pause", url.Values{}), "report": b.send("/dashboard/csp-report", url.Values{"a": {"b"}}),
	}
	for _, address := range append(shop.addresses(), "/dashboard/nothing", "/dashboard/static/none.js") {
		pages[address] = b.get(address)
	}
	for _, asset := range regexp.MustCompile(`/dashboard/static/[^"]+`).FindAllString(pages["/dashboard"].body, -1) {
		pages[asset] = b.get(asset)
		if got := pages[asset]; got.status != http.StatusOK || got.header.Get("Cache-Control") != "public, max-age=31536000, immutable" {
			t.Errorf("%s was answered %d, %q", asset, got.status, got.header.Get("Cache-Control"))
		}
	}
	if len(pages) < 30 {
		t.Fatalf("%d pages", len(pages))
	}
	for name, p := range pages {
		for header, want := range map[string]string{
			"Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; ",
			"X-Frame-Options":         "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
			"Cross-Origin-Opener-Policy": "same-origin",
		} {
			if got := p.header.Get(header); !strings.HasPrefix(got, want) {
				t.Errorf("%s: %s is %q", name, header, got)
			}
		}
		if strings.Contains(p.header.Get("Content-Security-Policy"), "unsafe") {
			t.Errorf("%s: the policy is %q", name, p.header.Get("Content-Security-Policy"))
		}
		if strings.HasPrefix(name, "/dashboard/static/") {
			continue
		}
		if got := p.header.Get("Cache-Control"); got != "no-store" {
			t.Errorf("%s may be kept: %q", name, got)
		}
		if found := inline.FindString(p.body); found != "" {
			t.Errorf("%s has something inline or from elsewhere: %q", name, found)
		}
	}
}

// hostile are names that would run a script, or break out of where they stand.
func hostile() []string {
	return []string{
		`"><script>alert(1)</script>`, `'><img src=x onerror=alert(1)>`, `</title><svg onload=alert(1)>`, `javascript:alert(1)`,
		`{{.T "sign_out"}}<b>`, `--><script>alert(1)</script><!--`, `</pre></textarea><iframe src=//evil.example>`,
	}
}

// live is markup that a hostile name would have made.
var liveMarkup = regexp.MustCompile(`(?i)<script>alert|<img src=x|<svg onload|<iframe|<b>|href="javascript`)

func TestNoTextFromOutsideBecomesMarkup(t *testing.T) {
	t.Parallel()
	for _, name := range hostile() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			shop := open(t, nil).busy(names{name, name, name, name, name, name})
			b := shop.signIn(name, operatorToken)
			b.act("/dashboard/ordering/pause", url.Values{"reason": {name}})
			for _, address := range append(shop.addresses(), "/dashboard?q="+url.QueryEscape(name), "/dashboard/products/"+url.PathEscape(name),
				"/dashboard/"+url.PathEscape(name), "/dashboard/login?next="+url.QueryEscape(name)) {
				got := b.get(address)
				if found := liveMarkup.FindString(got.body); found != "" {
					t.Errorf("%s has %q", address, found)
				}
			}
			said := b.act("/dashboard/orders/"+url.PathEscape(name)+"/approve", nil)
			if !strings.HasPrefix(said, "Not done.") {
				t.Errorf("said %q", said)
			}
			b.get("/dashboard").wantText(t, name+" CP-1", "Ordering is paused. "+name)
		})
	}
}

func TestReportsOfBrowsersAreCounted(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	b := s.browser()
	report := func(body string) page {
		return b.do(http.MethodPost, "/dashboard/csp-report", url.Values{"report": {body}}, map[string]string{"Content-Type": "application/csp-report"})
	}
	for range 3 {
		if got := report(`{"csp-report":{}}`); got.status != http.StatusNoContent {
			t.Errorf("answered %d", got.status)
		}
	}
	if got := report(strings.Repeat("x", 20<<10)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a large report was answered %d", got.status)
	}
	if got := s.dashboard.Refused(); got != 3 {
		t.Errorf("%d are counted, want 3", got)
	}
}

func TestTheCheckOfThePromisesIsALineAndAPage(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	b.get("/dashboard") // somebody looks
	until(t, "the promises are checked", func() bool { return strings.Contains(b.get("/dashboard").body, "promises hold") })
	b.get("/dashboard/checks").wantText(t, "on hand is the sum of the ledger", "holds", "Check now")
	if got := b.send("/dashboard/checks", url.Values{"csrf": {b.csrf()}, "back": {"/dashboard/checks"}}); got.header.Get("Location") != "/dashboard/checks" {
		t.Errorf("answered %d", got.status)
	}
	b.get("/dashboard/checks").wantText(t, "The check has begun.")
}

// waitMax bounds the wait for what happens by itself; only what is broken uses it up.
const waitMax = 5 * time.Minute

// until looks again and again, for what happens by itself.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(waitMax)
	defer deadline.Stop()
	look := time.NewTicker(5 * time.Millisecond)
	defer look.Stop()
	for !ok() {
		select {
		case <-look.C:
		case <-deadline.C:
			t.Fatalf("%s: not so after %v", what, waitMax)
		}
	}
}

func TestTimesAreOfTheShopsZone(t *testing.T) {
	t.Parallel()
	zone := time.FixedZone("KST", 9*60*60)
	shop := open(t, func(c *dashboard.Config) { c.Zone = zone }).busy(plainNames())
	got := shop.operator().get("/dashboard/products/CP-1").body
	found := regexp.MustCompile(`<time datetime="([^"]+)" title="([^"]+)">([^<]+)</time>`).FindStringSubmatch(got)
	if found == nil {
		t.Fatal("there is no time on the page")
	}
	at, err := time.Parse(time.RFC3339, found[1])
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(at.In(zone).Format("2006-01-02 15:04:05 MST"), found[2]); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
