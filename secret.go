package restock

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"strings"
	"time"
)

// FactorySecret is a static secret of a factory. It stands in a callback address
// that another system's worker gives to the factory, where a token of ours would
// stand, and says who calls. It says nothing of an order.
type FactorySecret struct {
	// ID is how the secret begins; that much of it is no secret.
	ID        string    `json:"secret_id"`
	Factory   string    `json:"factory"` // its identifier
	CreatedAt time.Time `json:"created_at"`
	// UsedAt is when a report came with it last, to the minute.
	UsedAt time.Time `json:"used_at,omitzero"`
	// Secret and CallbackURL are known when it is made, and never again.
	Secret      string `json:"secret,omitempty"`
	CallbackURL string `json:"callback_url,omitempty"`
}

// FactorySecretsMax is how many secrets a factory may have at once: one, and
// others while they take turns.
const FactorySecretsMax = 4

// A secret is 20 random bytes in lower-case base32: its first eight letters name
// it, and the 24 after them, 120 bits, are nobody's to guess.
const (
	secretBytes   = 20
	secretTextLen = secretBytes * 8 / 5
	secretIDLen   = 8
)

// NewFactorySecret makes the text of a secret.
func NewFactorySecret() string {
	raw := make([]byte, secretBytes)
	_, _ = rand.Read(raw) // never fails, by its documentation
	return strings.ToLower(base32.StdEncoding.EncodeToString(raw))
}

// SecretProof is what is looked at of something that may be a factory's secret.
type SecretProof struct {
	ID   string
	Hash [sha256.Size]byte // of all of it
}

// ProofOf reads the text of a secret, in either case. It reports whether the
// text can be one.
func ProofOf(text string) (SecretProof, bool) {
	if len(text) != secretTextLen {
		return SecretProof{}, false
	}
	for i := range len(text) {
		if c := text[i]; (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '2' || c > '7') {
			return SecretProof{}, false
		}
	}
	text = strings.ToLower(text)
	return SecretProof{ID: text[:secretIDLen], Hash: sha256.Sum256([]byte("restock factory secret " + text))}, true
}
