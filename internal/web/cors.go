package web

import (
	"net/http"
	"slices"
)

// corsMaxAge is how long a browser may remember a preflight, in seconds.
const corsMaxAge = "600"

// CORS lets browser pages of the given origins read the answers of a route; "*"
// is every origin. No credentials are ever allowed. A preflight request is
// answered here with the methods of the route.
func CORS(origins []string, methods string, next http.Handler) http.Handler {
	anyone := slices.Contains(origins, "*")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		origin := r.Header.Get("Origin")
		switch {
		case anyone:
			h.Set("Access-Control-Allow-Origin", "*")
		case slices.Contains(origins, origin):
			h.Set("Access-Control-Allow-Origin", origin)
			h.Add("Vary", "Origin")
		default:
			h.Add("Vary", "Origin")
		}
		if r.Method != http.MethodOptions {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", methods)
		h.Set("Access-Control-Allow-Headers", "Content-Type, Idempotency-Key, Accept-Language, Traceparent")
		h.Set("Access-Control-Max-Age", corsMaxAge)
		w.WriteHeader(http.StatusNoContent)
	})
}
