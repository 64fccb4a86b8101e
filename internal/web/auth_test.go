package web_test

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/web"
)

const hint = "The token is in the data folder."

func knock(t *testing.T, configured, authorization string, cfg web.LogConfig) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/orders", http.NoBody)
	if authorization != "" {
		r.Header.Set("Authorization", authorization)
	}
	r.Header.Set("Traceparent", callersTrace) // the same, so that answers can be compared
	return serve(web.RequireBearer(http.HandlerFunc(ok), hint, configured).ServeHTTP, r, cfg)
}

// seen is all that a caller sees of an answer.
func seen(w *httptest.ResponseRecorder) answer {
	return answer{w.Code, w.Header(), w.Body.String()}
}

func TestRightTokenPasses(t *testing.T) {
	t.Parallel()
	for _, authorization := range []string{"Bearer geheim", "bearer  geheim"} {
		if got := knock(t, "geheim", authorization, web.LogConfig{}).Code; got != http.StatusOK {
			t.Errorf("%q: status %d, want 200", authorization, got)
		}
	}
}

func TestEveryWrongTokenGetsTheSameAnswer(t *testing.T) {
	t.Parallel()
	var book logBook
	cfg := web.LogConfig{Logger: book.logger(slog.LevelDebug)}
	want := knock(t, "geheim", "", cfg)
	if want.Code != http.StatusUnauthorized || !strings.Contains(want.Body.String(), hint) {
		t.Errorf("no token: %d %s, want 401 with the hint", want.Code, want.Body)
	}
	if got := want.Header().Get("WWW-Authenticate"); !strings.HasPrefix(got, "Bearer") {
		t.Errorf("WWW-Authenticate %q, want Bearer", got)
	}
	for _, authorization := range []string{
		"Bearer", "Bearer wrong", "Bearer gehei", "Bearer geheim2", "Basic geheim", "geheim",
	} {
		got := knock(t, "geheim", authorization, cfg)
		if diff := cmp.Diff(seen(want), seen(got), cmp.AllowUnexported(answer{})); diff != "" {
			t.Errorf("%q (-no token +got):\n%s", authorization, diff)
		}
	}
	if strings.Contains(book.String(), "gehei") {
		t.Errorf("the log has a token: %s", &book)
	}
}

func TestEmptyConfiguredTokenRefusesEverything(t *testing.T) {
	t.Parallel()
	for _, authorization := range []string{"", "Bearer", "Bearer ", "Bearer x"} {
		if got := knock(t, "", authorization, web.LogConfig{}).Code; got != http.StatusUnauthorized {
			t.Errorf("%q: status %d, want 401", authorization, got)
		}
	}
}
