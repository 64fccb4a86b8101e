package web_test

import (
	"net/http"
	"net/http/httptest"
	"testing"
	"testing/synctest"
	"time"

	"github.com/restock/restock/internal/web"
)

func TestAnswersAreNotSniffedNorKept(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
	web.Headers(http.HandlerFunc(ok)).ServeHTTP(w, r)
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

func TestDeadlineEndsAWaitWith503(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := httptest.NewRecorder()
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", http.NoBody)
		web.Deadline(time.Minute, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			web.Problem(w, r, nil, r.Context().Err())
		})).ServeHTTP(w, r)
		if w.Code != http.StatusServiceUnavailable {
			t.Errorf("status %d, want 503", w.Code)
		}
	})
}

func TestRetryAfterIsReadAndBounded(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	const padded = " 120 "
	for value, want := range map[string]time.Duration{
		"": 0, "0": 0, "120": 2 * time.Minute, padded: 2 * time.Minute, "-5": 0, "1.5": 0, "soon": 0, "3601": time.Hour, "9223372036854775807": time.Hour,
		"99999999999999999999":                            0,
		now.Add(90 * time.Second).Format(http.TimeFormat): 90 * time.Second,
		now.Add(-time.Hour).Format(http.TimeFormat):       0,
		now.Add(48 * time.Hour).Format(http.TimeFormat):   time.Hour,
	} {
		if got := web.RetryAfter(value, now, time.Hour); got != want {
			t.Errorf("%q: %s, want %s", value, got, want)
		}
	}
}
