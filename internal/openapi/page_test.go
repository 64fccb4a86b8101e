package openapi_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/restock/restock/internal/openapi"
	"github.com/restock/restock/internal/web"
	"go.yaml.in/yaml/v3"
)

func get(t *testing.T, path string) *httptest.ResponseRecorder {
	t.Helper()
	mux := web.NewMux()
	openapi.New(slog.New(slog.DiscardHandler)).Register(mux)
	w := httptest.NewRecorder()
	web.Headers(mux).ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

func TestTheDescriptionIsServedAsItIsWritten(t *testing.T) {
	t.Parallel()
	w := get(t, "/openapi.yaml")
	if w.Code != http.StatusOK || w.Header().Get("Content-Type") != "application/yaml" || w.Body.String() != string(openapi.Document()) {
		t.Errorf("%d %s, %d bytes", w.Code, w.Header().Get("Content-Type"), w.Body.Len())
	}
}

func TestThePageShowsEveryOperation(t *testing.T) {
	t.Parallel()
	page := get(t, "/docs").Body.String()
	var d struct {
		Paths map[string]map[string]struct {
			ID string `yaml:"operationId"`
		}
	}
	if err := yaml.Unmarshal(openapi.Document(), &d); err != nil && len(d.Paths) == 0 {
		t.Fatal(err)
	}
	operations := 0
	for path, item := range d.Paths {
		for method, o := range item {
			if o.ID == "" {
				continue // its parameters
			}
			operations++
			for _, want := range []string{`<article id="` + o.ID + `"`, `href="#` + o.ID + `"`, strings.ToUpper(method) + `</span> <span class="path">` + path + `</span>`} {
				if !strings.Contains(page, want) {
					t.Errorf("%s %s: the page has no %s", method, path, want)
				}
			}
		}
	}
	if operations < 60 {
		t.Errorf("only %d operations", operations)
	}
	for _, want := range []string{ // what stands behind references
		"key_reused", "구매 완료! 남은 재고", "Idempotency-Key", "1 to 999999999", "planned | awaiting_approval", "a slug, a SKU or a product&#39;s id",
	} {
		if !strings.Contains(strings.ToLower(page), strings.ToLower(want)) {
			t.Errorf("the page has no %q", want)
		}
	}
}

func TestThePageHasNothingInlineAndNothingFromElsewhere(t *testing.T) {
	t.Parallel()
	w := get(t, "/docs")
	policy := w.Header().Get("Content-Security-Policy")
	if w.Code != http.StatusOK || !strings.HasPrefix(policy, "default-src 'none'; style-src 'self';") || strings.Contains(policy, "unsafe") {
		t.Errorf("%d with the policy %q", w.Code, policy)
	}
	page := w.Body.String()
	for _, inline := range []string{"<script", "<style", " style=", " onclick=", "javascript:", "<img", "<iframe", "@import", "<form"} {
		if strings.Contains(page, inline) {
			t.Errorf("the page has %s", inline)
		}
	}
	for _, match := range regexp.MustCompile(`(?:src|href)="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(match[1], "#") && !strings.HasPrefix(match[1], "/docs/") && match[1] != "/openapi.yaml" {
			t.Errorf("the page leads to %s", match[1])
		}
	}
	style := regexp.MustCompile(`<link rel="stylesheet" href="([^"]+)">`).FindStringSubmatch(page)
	if style == nil {
		t.Fatal("the page has no style")
	}
	css := get(t, style[1])
	if css.Code != http.StatusOK || !strings.HasPrefix(css.Header().Get("Content-Type"), "text/css") || !strings.Contains(css.Header().Get("Cache-Control"), "immutable") ||
		strings.Contains(css.Body.String(), "url(") {
		t.Errorf("the style: %d %v", css.Code, css.Header())
	}
	if w := get(t, "/docs/other.css"); w.Code != http.StatusNotFound {
		t.Errorf("a file that is not there: %d", w.Code)
	}
}
