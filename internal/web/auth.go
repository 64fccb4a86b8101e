package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/restock/restock"
)

// RequireBearer lets a request through that carries the token as
// "Authorization: Bearer <token>". Every other gets the same 401, whose text
// ends with hint: a sentence that says where the token is found. An empty token
// lets nobody through.
func RequireBearer(token, hint string, next http.Handler) http.Handler {
	want := sha256.Sum256([]byte(token))
	refusal := restock.Errorf(restock.Unauthorized, restock.CodeUnauthorized,
		"Send the header \"Authorization: Bearer <token>\". %s", hint)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Hashes have one length, so that the comparison tells nothing of the token's.
		got := sha256.Sum256([]byte(bearerOf(r.Header)))
		if subtle.ConstantTimeCompare(got[:], want[:]) != 1 || token == "" {
			Problem(w, r, nil, refusal)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func bearerOf(h http.Header) string {
	scheme, token, _ := strings.Cut(h.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return ""
	}
	return strings.TrimSpace(token)
}
