package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/internal/web"
)

// crossed asks a route with CORS, and gives the answer's headers of CORS and
// whether the route itself was asked.
func crossed(t *testing.T, origins []string, method, origin string) (*httptest.ResponseRecorder, bool) {
	t.Helper()
	asked := false
	handler := web.CORS(origins, "POST", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked = true
		w.WriteHeader(http.StatusConflict)
	}))
	r := httptest.NewRequest(method, "/checkout", http.NoBody)
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	return w, asked
}

func TestAnAnswerCanBeReadByTheOriginsThatMay(t *testing.T) {
	t.Parallel()
	const shop, other = "https://donut.example", "https://evil.example"
	list := []string{"https://www.donut.example", shop}
	for name, c := range map[string]struct {
		origins []string
		origin  string
		allowed string
		vary    string
	}{
		"everybody":                  {[]string{"*"}, other, "*", ""},
		"everybody, no page":         {[]string{"*"}, "", "*", ""},
		"everybody beside a list":    {[]string{shop, "*"}, other, "*", ""},
		"one of the list":            {list, shop, shop, "Origin"},
		"not of the list":            {list, other, "", "Origin"},
		"a longer name":              {list, shop + ".evil.example", "", "Origin"},
		"another scheme":             {list, "http://donut.example", "", "Origin"},
		"another port":               {list, shop + ":8443", "", "Origin"},
		"a page without an origin":   {list, "null", "", "Origin"},
		"not a page":                 {list, "", "", "Origin"},
		"nobody":                     {nil, shop, "", "Origin"},
		"nobody, and not a page":     {nil, "", "", "Origin"},
		"nobody, a page without one": {nil, "null", "", "Origin"},
		"an origin of a star":        {list, "*", "", "Origin"},
	} {
		for _, method := range []string{http.MethodPost, http.MethodOptions} {
			w, asked := crossed(t, c.origins, method, c.origin)
			got := []string{w.Header().Get("Access-Control-Allow-Origin"), w.Header().Get("Vary")}
			if diff := cmp.Diff([]string{c.allowed, c.vary}, got); diff != "" {
				t.Errorf("%s, %s: allowed origin and Vary (-want +got):\n%s", name, method, diff)
			}
			if w.Header().Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("%s, %s: credentials are allowed", name, method)
			}
			if asked != (method == http.MethodPost) {
				t.Errorf("%s, %s: the route was asked: %t", name, method, asked)
			}
		}
	}
}

func TestAPreflightSaysWhatAPageMaySend(t *testing.T) {
	t.Parallel()
	w, _ := crossed(t, []string{"*"}, http.MethodOptions, "https://donut.example")
	if w.Code != http.StatusNoContent || w.Body.Len() > 0 {
		t.Errorf("answered %d %q, want 204", w.Code, w.Body)
	}
	want := http.Header{
		"Access-Control-Allow-Origin":  {"*"},
		"Access-Control-Allow-Methods": {"POST"},
		"Access-Control-Allow-Headers": {"Content-Type, Idempotency-Key, Accept-Language, Traceparent"},
		"Access-Control-Max-Age":       {"600"},
	}
	if diff := cmp.Diff(want, w.Header()); diff != "" {
		t.Errorf("headers (-want +got):\n%s", diff)
	}
	w, _ = crossed(t, []string{"*"}, http.MethodPost, "https://donut.example")
	if w.Code != http.StatusConflict || w.Header().Get("Access-Control-Allow-Methods") != "" {
		t.Errorf("the route's own answer is %d with %v", w.Code, w.Header())
	}
}

func TestVaryOfTheRouteStays(t *testing.T) {
	t.Parallel()
	handler := web.CORS([]string{"https://donut.example"}, "GET", http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		web.SetLanguage(w, web.Language(r))
	}))
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/product/donut", http.NoBody))
	if diff := cmp.Diff([]string{"Origin", "Accept-Language"}, w.Header().Values("Vary")); diff != "" {
		t.Errorf("Vary (-want +got):\n%s", diff)
	}
}
