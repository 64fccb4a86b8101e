package dashboard_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/dashboard"
)

// event is one that a page gets.
type event struct{ name, id, data string }

// stream is a page that is open.
type stream struct {
	t      testing.TB
	events chan event
	status int
	stop   context.CancelFunc
}

// follow opens the stream of a page, which has a version of its content.
func (b *browser) follow(address, have string) *stream {
	b.t.Helper()
	ctx, stop := context.WithCancel(b.t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet,
		b.url+"/dashboard/events?page="+url.QueryEscape(address)+"&have="+have, http.NoBody)
	if err != nil {
		b.t.Fatal(err)
	}
	r.Header.Set("Accept-Language", b.language)
	response, err := b.client.Do(r)
	if err != nil {
		b.t.Fatal(err)
	}
	s := &stream{t: b.t, events: make(chan event, 1000), status: response.StatusCode, stop: stop}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		defer close(s.events)
		defer response.Body.Close()
		lines := bufio.NewScanner(response.Body)
		lines.Buffer(nil, 1<<20)
		var e event
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "event":
				e.name = value
			case "id":
				e.id = value
			case "data":
				e.data += value + "\n"
			case "":
				if e.name != "" {
					s.events <- e
				}
				e = event{}
			}
		}
	}()
	b.t.Cleanup(func() {
		stop()
		<-ended
	})
	return s
}

// next waits for the next event.
func (s *stream) next() event {
	s.t.Helper()
	timer := time.NewTimer(waitMax)
	defer timer.Stop()
	select {
	case e, ok := <-s.events:
		if !ok {
			s.t.Fatal("the stream ended")
		}
		return e
	case <-timer.C:
		s.t.Fatal("no event came")
	}
	return event{}
}

// versionOf is the version of the content that a page carries.
func versionOf(t *testing.T, p page) string {
	t.Helper()
	_, rest, ok := strings.Cut(p.body, `data-version="`)
	version, _, _ := strings.Cut(rest, `"`)
	if !ok || version == "" {
		t.Fatal("the page has no version")
	}
	return version
}

func TestAnOpenPageIsSentWhatHasChanged(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	first := b.get("/dashboard/products/CP-4?span=all")
	s := b.follow("/dashboard/products/CP-4?span=all", "")
	now := s.next()
	if now.name != "page" || !strings.Contains(now.data, `<main id="main"`) || !strings.Contains(now.data, `<nav id="nav"`) ||
		strings.Contains(now.data, "<html") || strings.Contains(now.data, "Kim") {
		t.Errorf("the content is %+v", now)
	}
	shop.buy("CP-4", 2)
	for now = s.next(); !strings.Contains(text("<body"+now.data), "sale −2 3"); now = s.next() {
	}
	if versionOf(t, first) == now.id {
		t.Error("another content has the same version")
	}
}

func TestAPageThatIsUpToDateIsNotSent(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	const address = "/dashboard/audit" // nothing on it is about time
	s := b.follow(address, versionOf(t, b.get(address)))
	for range 3 { // each of these is looked at, and has no effect on that page
		b.get("/dashboard")
	}
	b.act("/dashboard/ordering/pause", url.Values{"reason": {"stocktake"}})
	if got := s.next(); !strings.Contains(got.data, "stocktake") {
		t.Errorf("the first that was sent is %s", text("<body"+got.data))
	}
}

func TestAFormInAnOpenPageHasTheTokenOfItsOwnSession(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	kim, lee := shop.operator(), shop.signIn("Lee", operatorToken)
	for _, b := range []*browser{kim, lee} {
		content := b.follow("/dashboard/waiting", "").next().data
		found := csrfInput.FindAllStringSubmatch(content, -1)
		if len(found) < 3 {
			t.Fatalf("%d forms", len(found))
		}
		for _, f := range found {
			if f[1] != b.csrf() {
				t.Error("a form has the token of another session")
			}
		}
		if !strings.Contains(content, `name="back" value="/dashboard/waiting"`) {
			t.Error("a form does not lead back to its page")
		}
	}
}

func TestAViewersOpenPageHasNoForms(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	shop.operator().follow("/dashboard/waiting", "").next()
	if got := shop.signIn("Park", viewerToken).follow("/dashboard/waiting", "").next(); strings.Contains(got.data, "<form") {
		t.Error("a viewer was sent an operator's forms")
	}
}

func TestAnOpenPageIsInTheLanguageOfItsBrowser(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	for language, says := range map[string]string{"ko": "결정 대기", "en": "Waiting"} {
		b := shop.operator()
		b.language = language
		if got := b.follow("/dashboard", "").next(); !strings.Contains(got.data, says) {
			t.Errorf("in %s it was sent %s", language, text("<body"+got.data))
		}
	}
}

func TestAStreamEndsWithItsSession(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	s := b.follow("/dashboard/audit", "")
	s.next()
	if got := b.send("/dashboard/sign-out", url.Values{"csrf": {b.csrf()}}); got.status != http.StatusSeeOther {
		t.Fatalf("signing out was answered %d", got.status)
	}
	shop.signIn("Lee", operatorToken).act("/dashboard/ordering/pause", url.Values{"reason": {"stocktake"}})
	for e := range s.events {
		if e.name == "end" {
			return
		}
		if strings.Contains(e.data, "stocktake") {
			t.Error("who signed out was sent what happened afterwards")
		}
	}
	t.Error("the stream ended without a word")
}

func TestAStreamShowsOurOwnPagesAlone(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	b := shop.operator()
	for _, address := range []string{"https://evil.example/", "/v1/status", "/dashboard/../v1/status", "/dashboard/events", "/dashboard/login", ""} {
		s := b.follow(address, "")
		if s.status != http.StatusOK {
			t.Fatalf("%q was answered %d", address, s.status)
		}
		if got := s.next(); !strings.Contains(got.data, `<main id="main"`) {
			t.Errorf("%q was sent %s", address, got.data)
		}
		s.stop()
	}
}

func TestOnlySoManyStreamsAreOpen(t *testing.T) {
	t.Parallel()
	b := open(t, func(c *dashboard.Config) { c.LiveInterval = time.Minute }).operator()
	const most = 200
	for n := range most {
		if s := b.follow("/dashboard/audit", ""); s.status != http.StatusOK {
			t.Fatalf("stream %d was answered %d", n+1, s.status)
		}
	}
	if s := b.follow("/dashboard/audit", ""); s.status != http.StatusServiceUnavailable {
		t.Errorf("one more was answered %d", s.status)
	}
}

// countingStore counts how often the first page is read.
type countingStore struct {
	deskStore

	reads *atomic.Int64
}

func (s countingStore) ProductsByUrgency(ctx context.Context, q restock.UrgencyQuery) ([]restock.ProductRow, string, error) {
	s.reads.Add(1)
	return s.deskStore.ProductsByUrgency(ctx, q)
}

// TestWhatTenLookAtIsReadOnce: what is open in many browsers is read as often as
// what is open in one.
func TestWhatTenLookAtIsReadOnce(t *testing.T) {
	t.Parallel()
	base := open(t, nil)
	base.busy(plainNames())
	reads := &atomic.Int64{}
	s := serve(t, base.store, countingStore{deskStore{base.store}, reads}, func(c *dashboard.Config) { c.LiveInterval = time.Hour })
	var all []*stream
	for n := range 5 {
		b := s.signIn(fmt.Sprint("person ", n), operatorToken)
		all = append(all, b.follow("/dashboard", ""), b.follow("/dashboard", ""))
	}
	for _, stream := range all {
		stream.next()
	}
	if got := reads.Load(); got != 1 {
		t.Errorf("ten browsers had it read %d times", got)
	}
}
