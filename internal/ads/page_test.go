package ads_test

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/store"
)

// browse asks for pages as a mail program's browser does.
func browse(desk *ads.Desk, method, target string, form url.Values, language string) *httptest.ResponseRecorder {
	mux := http.NewServeMux()
	desk.Register(mux)
	request := httptest.NewRequest(method, target, strings.NewReader(form.Encode()))
	if form != nil {
		request.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	request.Header.Set("Accept-Language", language)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, request)
	return w
}

// linkOf finds the link of a mail; the HTML must have the same.
func linkOf(t *testing.T, m mail.Message) string {
	t.Helper()
	link := regexp.MustCompile(`https://shop\.example/ad-answer\?token=([a-z2-7]+)`).FindString(m.Text)
	if link == "" || strings.Count(m.HTML, `href="`+link+`"`) != 1 {
		t.Fatalf("link %q; text %s; HTML %s", link, m.Text, m.HTML)
	}
	return strings.TrimPrefix(link, "https://shop.example")
}

func tokenOf(t *testing.T, link string) string {
	t.Helper()
	u, err := url.Parse(link)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("token")
}

// click opens the link of a mail and presses the button on its page, if there is one.
func (k *talk) click(m mail.Message) (status int, page string) {
	k.t.Helper()
	seen := browse(k.desk, http.MethodGet, linkOf(k.t, m), nil, "en")
	field := regexp.MustCompile(`<input type="hidden" name="token" value="([a-z2-7]+)">`).FindStringSubmatch(seen.Body.String())
	if field == nil {
		return seen.Code, seen.Body.String()
	}
	pressed := browse(k.desk, http.MethodPost, ads.AnswerPath, url.Values{"token": {field[1]}}, "en")
	return pressed.Code, pressed.Body.String()
}

func (k *talk) acknowledged() (stop, resume time.Time) {
	k.t.Helper()
	holds, _, err := k.store.AdHolds(k.t.Context(), restock.ListQuery{Limit: 1})
	k.must(err)
	return holds[0].Stop.AcknowledgedAt, holds[0].Resume.AcknowledgedAt
}

func TestToOpenALinkChangesNothing(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	link := linkOf(t, k.box.sent()[0])
	for range 3 { // scanners open it again and again
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			if w := browse(k.desk, method, link, nil, "ko"); w.Code != http.StatusOK {
				t.Errorf("%s: status %d", method, w.Code)
			}
		}
	}
	// Nor does a POST without the form, however it carries the token.
	token := tokenOf(t, link)
	for _, body := range []url.Values{nil, {}, {"token": {""}}, {"other": {token}}} {
		if w := browse(k.desk, http.MethodPost, link, body, "ko"); w.Code != http.StatusNotFound {
			t.Errorf("a POST of %v: status %d", body, w.Code)
		}
	}
	if stop, _ := k.acknowledged(); !stop.IsZero() {
		t.Error("the stop is acknowledged")
	}
	status, page := k.click(k.box.sent()[0])
	if stop, resume := k.acknowledged(); status != http.StatusOK || stop.IsZero() || !resume.IsZero() || !strings.Contains(page, "Thank you") {
		t.Errorf("after the button: status %d, %s", status, page)
	}
}

func TestALinkIsGoodForOneAnswer(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	stop := k.box.sent()[0]
	k.click(stop)
	first, _ := k.acknowledged()
	k.clock.advance(time.Minute)
	token := url.Values{"token": {tokenOf(t, linkOf(t, stop))}}
	for _, w := range []*httptest.ResponseRecorder{
		browse(k.desk, http.MethodPost, ads.AnswerPath, token, "en"), browse(k.desk, http.MethodGet, linkOf(t, stop), nil, "en"),
	} {
		if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "Already answered") || strings.Contains(w.Body.String(), "<button") {
			t.Errorf("used again: %d %s", w.Code, w.Body)
		}
	}
	if again, resume := k.acknowledged(); !again.Equal(first) || !resume.IsZero() {
		t.Errorf("acknowledged at %s, want %s", again, first)
	}
	// It is no answer to the other question.
	k.count("CP-1", 5)
	k.drain()
	if w := browse(k.desk, http.MethodPost, ads.AnswerPath, token, "en"); !strings.Contains(w.Body.String(), "Back in stock") {
		t.Errorf("the link to stop after the stock is back: %s", w.Body)
	}
	if _, resume := k.acknowledged(); !resume.IsZero() {
		t.Error("the link to stop has acknowledged that it was resumed")
	}
	k.click(k.box.sent()[1])
	if _, resume := k.acknowledged(); resume.IsZero() {
		t.Error("the link to resume is not taken")
	}
}

func TestALinkOpenedAfterTheStockIsBackAsksNothing(t *testing.T) {
	t.Parallel()
	for language, want := range map[restock.Language][3]string{
		restock.English: {"Back in stock", "Sold out again", "An older mail"},
		restock.Korean:  {"다시 판매되고 있습니다", "다시 품절되었습니다", "지난 메일입니다"},
	} {
		k := soldOut(t, language, nil)
		k.drain()
		look := func(m mail.Message, want string) {
			t.Helper()
			status, page := k.click(m)
			if status != http.StatusOK || !strings.Contains(page, want) || strings.Contains(page, "<form") || !strings.Contains(page, `lang="`+string(language)+`"`) {
				t.Errorf("status %d, page %s; want %q and no form", status, page, want)
			}
		}
		k.count("CP-1", 5)
		look(k.box.sent()[0], want[0]) // before the mail that it can resume
		k.drain()
		look(k.box.sent()[0], want[0])
		k.count("CP-1", 0)
		look(k.box.sent()[1], want[1])
		k.drain()
		k.pass(pace.Spacing)
		look(k.box.sent()[0], want[2])
		if stop, resume := k.acknowledged(); !stop.IsZero() || !resume.IsZero() {
			t.Error("something is acknowledged")
		}
	}
}

func TestForgedAndExpiredLinksChangeNothing(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.drain()
	token := tokenOf(t, linkOf(t, k.box.sent()[0]))
	try := func(name, token string, status int, words ...string) {
		t.Helper()
		for language, want := range map[string]string{"ko": words[0], "en": words[len(words)-1]} {
			form := url.Values{"token": {token}}
			for _, w := range []*httptest.ResponseRecorder{
				browse(k.desk, http.MethodGet, ads.AnswerPath+"?"+form.Encode(), nil, language), browse(k.desk, http.MethodPost, ads.AnswerPath, form, language),
			} {
				if w.Code != status || !strings.Contains(w.Body.String(), want) || strings.Contains(w.Body.String(), "<form") {
					t.Errorf("%s in %s: %d %s", name, language, w.Code, w.Body)
				}
			}
		}
	}
	flipped := []byte(token)
	for at := range flipped {
		was := flipped[at]
		flipped[at] = map[bool]byte{true: 'b', false: 'a'}[was == 'a']
		try("another letter", string(flipped), http.StatusNotFound, "알 수 없는 링크입니다", "This link is not known")
		flipped[at] = was
	}
	for name, forged := range map[string]string{
		"none": "", "cut": token[:len(token)-1], "longer": token + "a", "padded": token + "=", "with a line": token[:9] + "\n" + token[9:],
		"of another server": tokenOf(t, linkOf(t, ads.MailsAbout(config(t, time.Now), restock.Korean, "p", "s", "a")[0])),
		"of zeros":          strings.Repeat("a", len(token)), "not base32": "!!!", "endless": strings.Repeat("a", 5000),
	} {
		try(name, forged, http.StatusNotFound, "알 수 없는 링크입니다", "This link is not known")
	}
	if w := browse(k.desk, http.MethodPost, ads.AnswerPath, url.Values{"token": {token}, "x": {strings.Repeat("x", 1<<20)}}, "en"); w.Code != http.StatusNotFound {
		t.Errorf("a form of a megabyte: %d", w.Code)
	}
	k.clock.advance(ads.DefaultLinkLife - time.Second)
	if w := browse(k.desk, http.MethodGet, ads.AnswerPath+"?token="+token, nil, "en"); !strings.Contains(w.Body.String(), "<button") {
		t.Errorf("a second before it expires: %s", w.Body)
	}
	k.clock.advance(time.Second)
	try("expired", token, http.StatusGone, "기한이 지난 링크입니다") // in the manager's language
	if stop, _ := k.acknowledged(); !stop.IsZero() {
		t.Error("the stop is acknowledged")
	}
}

// unwell is a store whose database is away.
type unwell struct{ *store.Store }

func (unwell) AdAnswer(context.Context, restock.AdHoldID, restock.AdAsk) (restock.AdHold, restock.AdAnswer, error) {
	return restock.AdHold{}, "", restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "secret words of the database")
}

func (unwell) AcknowledgeAd(context.Context, restock.AdHoldID, restock.AdAsk, string) (restock.AdHold, restock.AdAnswer, error) {
	return restock.AdHold{}, "", errors.New("secret words of the database")
}

func TestAPageThatCannotBeShownSaysSoKindly(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	cfg := config(t, k.clock.now)
	desk := ads.New(unwell{k.store}, k.box, cfg)
	k.must(ads.New(k.store, k.box, cfg).Handlers()[k.out.Type](t.Context(), k.out))
	link := linkOf(t, k.box.sent()[0])
	for status, w := range map[int]*httptest.ResponseRecorder{
		http.StatusServiceUnavailable:  browse(desk, http.MethodGet, link, nil, "en"),
		http.StatusInternalServerError: browse(desk, http.MethodPost, ads.AnswerPath, url.Values{"token": {tokenOf(t, link)}}, "en"),
	} {
		if w.Code != status || !strings.Contains(w.Body.String(), "Not possible right now") || strings.Contains(w.Body.String(), "secret") {
			t.Errorf("%d %s", w.Code, w.Body)
		}
	}
}

func TestThePageNeedsNothingButItself(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	w := browse(k.desk, http.MethodGet, linkOf(t, k.box.sent()[0]), nil, "en")
	page := w.Body.String()
	style := regexp.MustCompile(`(?s)<style>(.*?)</style>`).FindStringSubmatch(page)
	hash := sha256.Sum256([]byte(style[1]))
	want := "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(hash[:]) + "'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
	if got := w.Header().Get("Content-Security-Policy"); got != want {
		t.Errorf("policy %q, want %q", got, want)
	}
	if got := w.Header().Get("Referrer-Policy"); got != "no-referrer" {
		t.Errorf("the address, and the token in it, goes to others: %q", got)
	}
	for _, foreign := range []string{"<script", "<img", "<link", "http:", "https:", "@import", "url(", " style=", "onclick"} {
		if strings.Contains(page, foreign) {
			t.Errorf("the page has %q:\n%s", foreign, page)
		}
	}
	if !strings.Contains(page, `name="viewport"`) || strings.Count(page, "<button") != 1 {
		t.Errorf("page %s", page)
	}
}

func TestTheHTMLOfAMailNeedsNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	for _, language := range []restock.Language{restock.Korean, restock.English} {
		for _, m := range ads.MailsAbout(config(t, time.Now), language, "Donut", "CP-1", "donut-main") {
			rest := strings.ReplaceAll(m.HTML, "https://shop.example/ad-answer", "")
			for _, foreign := range []string{"<script", "<img", "<link", "http:", "https:", "@import", "url("} {
				if strings.Contains(rest, foreign) {
					t.Errorf("%s has %q:\n%s", m.Kind, foreign, m.HTML)
				}
			}
			if !strings.Contains(m.HTML, `name="viewport"`) {
				t.Errorf("%s: %s", m.Kind, m.HTML)
			}
		}
	}
}
