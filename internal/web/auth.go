package web

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/restock/restock"
)

// RequireBearer lets a request through that carries one of the tokens as
// "Authorization: Bearer <token>". Every other gets the same 401, whose text
// ends with hint: a sentence that says where the token is found. An empty token
// lets nobody through.
func RequireBearer(next http.Handler, hint string, tokens ...string) http.Handler {
	want := make([][sha256.Size]byte, 0, len(tokens))
	for _, token := range tokens {
		if token != "" {
			want = append(want, sha256.Sum256([]byte(token)))
		}
	}
	refusal := restock.Errorf(restock.Unauthorized, restock.CodeUnauthorized,
		"Send the header \"Authorization: Bearer <token>\". %s", hint)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// Hashes have one length, so that the comparison tells nothing of the token's.
		got := sha256.Sum256([]byte(bearerOf(r.Header)))
		good := 0
		for i := range want {
			good |= subtle.ConstantTimeCompare(got[:], want[i][:])
		}
		if good != 1 {
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
