package dashboard_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock/internal/dashboard"
)

func TestNothingIsShownWithoutASession(t *testing.T) {
	t.Parallel()
	shop := open(t, nil).busy(plainNames())
	stranger := shop.browser()
	for _, address := range append(shop.addresses(), "/dashboard/nothing") {
		got := stranger.get(address)
		want := "/dashboard/login?next=" + url.QueryEscape(address)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want || strings.Contains(got.body, "Cream Donut") {
			t.Errorf("%s was answered %d to %q: %s", address, got.status, got.header.Get("Location"), got.body)
		}
	}
	if got := stranger.get("/dashboard/events?page=/dashboard"); got.status != http.StatusUnauthorized || got.body != "" {
		t.Errorf("the stream was answered %d: %s", got.status, got.body)
	}
	for _, act := range shop.acts() {
		if got := stranger.send(act.path, url.Values{"reason": {"because"}, "csrf": {strings.Repeat("0", 64)}}); got.status != http.StatusUnauthorized {
			t.Errorf("%s was answered %d", act.path, got.status)
		}
	}
	if got := shop.audit(); len(got) > 0 {
		t.Errorf("a stranger acted: %q", got)
	}
}

func TestATokenAndANameOpenASession(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for _, c := range []struct {
		name, token string
		status      int
		says        string
	}{
		{"Kim", operatorToken, http.StatusSeeOther, ""},
		{" 김운영 ", viewerToken + "\n", http.StatusSeeOther, ""},
		{"Kim", operatorToken + "x", http.StatusUnauthorized, "This token opens nothing here."},
		{"Kim", "", http.StatusUnauthorized, "This token opens nothing here."},
		{"", operatorToken, http.StatusBadRequest, "Give your name"},
		{"a\x00b", operatorToken, http.StatusBadRequest, "Give your name"},
		{strings.Repeat("n", 201), operatorToken, http.StatusBadRequest, "Give your name"},
	} {
		b := s.browser()
		got := b.login(c.name, c.token)
		if got.status != c.status {
			t.Errorf("%q with %q was answered %d, want %d", c.name, c.token, got.status, c.status)
		}
		got.wantText(t, c.says)
		if in := b.get("/dashboard").status == http.StatusOK; in != (c.status == http.StatusSeeOther) {
			t.Errorf("%q with %q is in: %t", c.name, c.token, in)
		}
	}
}

func TestWithoutAViewersTokenNobodyIsAViewer(t *testing.T) {
	t.Parallel()
	s := open(t, func(c *dashboard.Config) { c.ViewerToken, c.OperatorToken = "", "" })
	if got := s.browser().login("Kim", ""); got.status != http.StatusUnauthorized {
		t.Errorf("an empty token was answered %d", got.status)
	}
}

func TestTheCookieOfASessionIsForThesePagesAlone(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	form := url.Values{"name": {"Kim"}, "token": {operatorToken}}
	for origin, secure := range map[string]bool{s.url: false, "https://" + strings.TrimPrefix(s.url, "http://"): true} {
		got := s.browser().do(http.MethodPost, "/dashboard/login", form, map[string]string{"Origin": origin})
		if got.status != http.StatusSeeOther {
			t.Fatalf("from %s: answered %d", origin, got.status)
		}
		cookies := (&http.Response{Header: got.header}).Cookies()
		if len(cookies) != 1 {
			t.Fatalf("cookies %v", cookies)
		}
		c := cookies[0]
		if !c.HttpOnly || c.SameSite != http.SameSiteStrictMode || c.Path != "/dashboard" || c.Secure != secure || c.Domain != "" || len(c.Value) != 64 {
			t.Errorf("from %s: cookie %+v", origin, c)
		}
	}
}

func TestLoginsAreLimited(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	s.clock.stop()
	b := s.browser()
	for n := range 5 {
		if got := b.login("Kim", "a guess"); got.status != http.StatusUnauthorized {
			t.Errorf("try %d was answered %d", n+1, got.status)
		}
	}
	got := b.login("Kim", operatorToken)
	if got.status != http.StatusTooManyRequests || got.header.Get("Retry-After") == "" {
		t.Errorf("the sixth was answered %d", got.status)
	}
	got.wantText(t, "Too many tries.")
}

func TestASessionEnds(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		steps []time.Duration
		in    bool
	}{
		"unused for less than an hour": {[]time.Duration{59 * time.Minute}, true},
		"unused for an hour":           {[]time.Duration{time.Hour}, false},
		"used again and again": {[]time.Duration{
			50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute,
		}, true},
		"after twelve hours, though used": {[]time.Duration{
			50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute,
			50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute, 50 * time.Minute,
		}, false},
		"of a clock that was set back": {[]time.Duration{-24 * time.Hour}, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := open(t, nil)
			s.clock.stop()
			b, status := s.operator(), 0
			for _, step := range c.steps {
				b.clock.advance(step)
				status = b.get("/dashboard/audit").status
			}
			if in := status == http.StatusOK; in != c.in {
				t.Errorf("it is answered %d", status)
			}
		})
	}
}

func TestSigningOutEndsTheSession(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	b, other := s.operator(), s.operator()
	if got := b.send("/dashboard/sign-out", url.Values{"csrf": {other.csrf()}}); got.status != http.StatusForbidden {
		t.Errorf("with the token of another session it was answered %d", got.status)
	}
	cookies := b.client.Jar.Cookies(mustURL(t, b.url+"/dashboard"))
	if got := b.send("/dashboard/sign-out", url.Values{"csrf": {b.csrf()}}); got.status != http.StatusSeeOther {
		t.Errorf("it was answered %d", got.status)
	}
	b.client.Jar.SetCookies(mustURL(t, b.url+"/dashboard"), cookies) // who kept the cookie has nothing of it
	if got := b.get("/dashboard"); got.status != http.StatusSeeOther {
		t.Errorf("after signing out a page was answered %d", got.status)
	}
	if got := other.get("/dashboard"); got.status != http.StatusOK {
		t.Errorf("the other session was answered %d", got.status)
	}
}

func mustURL(t *testing.T, address string) *url.URL {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func TestAfterSigningInOneIsWhereOneWanted(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	for next, want := range map[string]string{
		"/dashboard/products/CP-1?span=1h": "/dashboard/products/CP-1?span=1h",
		"/dashboard":                       "/dashboard",
		"":                                 "/dashboard",
		"https://evil.example/dashboard":   "/dashboard",
		"//evil.example/dashboard":         "/dashboard",
		`/\evil.example/dashboard`:         "/dashboard",
		`\\evil.example/dashboard`:         "/dashboard",
		"/dashboard/../v1/status":          "/dashboard",
		"/dashboard/%2e%2e/v1/status":      "/dashboard",
		"/dashboardx":                      "/dashboard",
		"/v1/status":                       "/dashboard",
		"javascript:alert(1)":              "/dashboard",
		"/dashboard\r\nSet-Cookie: a=b":    "/dashboard",
	} {
		form := url.Values{"name": {"Kim"}, "token": {operatorToken}, "next": {next}}
		b := serve(t, s.store, deskStore{s.store}, nil).browser() // each with logins of its own
		got := b.send("/dashboard/login", form)
		if got.status != http.StatusSeeOther || got.header.Get("Location") != want {
			t.Errorf("next %q led to %q, want %q", next, got.header.Get("Location"), want)
		}
	}
}

func TestALinkFromElsewhereFindsTheSession(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	// A browser keeps a strict cookie back when a link in a mail is followed.
	got := s.browser().do(http.MethodGet, "/dashboard/waiting?held=x", nil, map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate"})
	if got.status != http.StatusOK || !strings.Contains(got.body, `http-equiv="refresh" content="0"`) ||
		!strings.Contains(got.body, `href="/dashboard/waiting?held=x"`) {
		t.Errorf("answered %d: %s", got.status, got.body)
	}
}

func TestAForeignPageSignsNobodyIn(t *testing.T) {
	t.Parallel()
	s := open(t, nil)
	form := url.Values{"name": {"Kim"}, "token": {operatorToken}}
	for _, header := range []map[string]string{
		{"Origin": "https://evil.example"},
		{"Origin": "null"},
		{"Sec-Fetch-Site": "cross-site", "Origin": s.url},
		{"Sec-Fetch-Site": "same-site", "Origin": s.url},
		{},
	} {
		b := s.browser()
		if got := b.do(http.MethodPost, "/dashboard/login", form, header); got.status != http.StatusForbidden {
			t.Errorf("%v was answered %d", header, got.status)
		}
		if got := b.get("/dashboard"); got.status != http.StatusSeeOther {
			t.Errorf("%v is in: %d", header, got.status)
		}
	}
}
