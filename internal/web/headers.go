package web

import (
	"context"
	"net/http"
	"time"
)

// Headers makes every answer say that it is what its Content-Type says, and
// that nobody may keep it: stock is old a moment later. A route whose answers
// may be kept sets its own Cache-Control.
func Headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// Deadline ends a request's context after limit, so that no wait inside is
// longer. What then fails with the context's error is answered 503.
func Deadline(limit time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), limit)
		defer cancel()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}
