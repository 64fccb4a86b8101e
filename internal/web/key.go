package web

import (
	"crypto/sha256"
	"net/http"

	"github.com/restock/restock"
)

// keyHeader carries the caller's name for one request, however often it has to
// be sent (draft-ietf-httpapi-idempotency-key-header).
const keyHeader = "Idempotency-Key"

// keyLenMax bounds a key.
const keyLenMax = 255

// IdempotencyKey reads the key of a request on a route, with the hash of its
// body. Without the header it is the zero Key. The error is of kind Invalid.
func IdempotencyKey(r *http.Request, route string, body []byte) (restock.Key, error) {
	values := r.Header[keyHeader]
	if len(values) == 0 {
		return restock.Key{}, nil
	}
	if len(values) > 1 || !validKey(values[0]) {
		return restock.Key{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"The header Idempotency-Key must be there once, with 1 to %d visible ASCII characters.", keyLenMax)
	}
	return restock.Key{Name: route + " " + values[0], Hash: sha256.Sum256(body)}, nil
}

func validKey(key string) bool {
	if key == "" || len(key) > keyLenMax {
		return false
	}
	for i := range len(key) {
		if key[i] <= ' ' || key[i] > '~' {
			return false
		}
	}
	return true
}
