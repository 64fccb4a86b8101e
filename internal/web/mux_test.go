package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/internal/web"
)

func strictMux() *web.Mux {
	mux := web.NewStrictMux(func(w http.ResponseWriter, r *http.Request, err error) { web.Problem(w, r, nil, err) })
	mux.HandleFunc("GET /things?limit&after", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	mux.HandleFunc("POST /things/{id}/act", func(w http.ResponseWriter, r *http.Request) { web.WriteJSON(w, http.StatusOK, r.PathValue("id")) })
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	return mux
}

func TestAStrictRouteTakesTheQueryThatItNamesAndNoOther(t *testing.T) {
	t.Parallel()
	mux := strictMux()
	for target, want := range map[string]int{
		"/things":                 http.StatusNoContent,
		"/things?":                http.StatusNoContent,
		"/things?limit=1&after=x": http.StatusNoContent,
		"/things?after=":          http.StatusNoContent, // the first page
		"/things?limit=":          http.StatusBadRequest,
		"/things?limit=1&limit=2": http.StatusBadRequest,
		"/things?Limit=1":         http.StatusBadRequest,
		"/things?sate=held":       http.StatusBadRequest,
		"/things?limit=%zz":       http.StatusBadRequest,
		"/things?limit=1;after=x": http.StatusBadRequest,
		"/nothing?sate=held":      http.StatusNotFound, // nobody is there to take a query
	} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
		if w.Code != want {
			t.Errorf("%s was answered %d %s, want %d", target, w.Code, w.Body, want)
		}
	}
}

// A factory that calls an address with a slash too many follows no redirect, and
// its call would be lost.
func TestAPathThatIsNotCleanIsAnsweredAndNotRedirected(t *testing.T) {
	t.Parallel()
	mux := strictMux()
	for _, path := range []string{"//", "//things", "/things//1/act", "/x/../things", "/./things", "/things/1/../2/act"} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodPost, "/", nil)
		r.URL.Path = path
		mux.ServeHTTP(w, r)
		if w.Code != http.StatusNotFound {
			t.Errorf("POST %s was answered %d, want 404", path, w.Code)
		}
	}
}

func TestAMuxTellsItsRoutesAlsoThoseThatAreMounted(t *testing.T) {
	t.Parallel()
	outer := web.NewMux()
	outer.HandleFunc("GET /livez", func(http.ResponseWriter, *http.Request) {})
	inner := strictMux()
	inner.Mount(outer, web.RequireBearer(inner, "", "secret"))
	want := []string{"GET /livez", "GET /things?limit&after", "POST /things/{id}/act", "/"}
	if diff := cmp.Diff(outer.Routes(), want); diff != "" {
		t.Errorf("routes (-got +want):\n%s", diff)
	}
	plain := http.NewServeMux() // which knows no queries
	inner.Mount(plain, web.RequireBearer(inner, "", "secret"))
	for _, mux := range []http.Handler{outer, plain} {
		for token, want := range map[string]int{"secret": http.StatusOK, "other": http.StatusUnauthorized} {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodPost, "/things/7/act", nil)
			r.Header.Set("Authorization", "Bearer "+token)
			mux.ServeHTTP(w, r)
			if w.Code != want {
				t.Errorf("with the token %s: %d %s, want %d", token, w.Code, w.Body, want)
			}
		}
	}
}
