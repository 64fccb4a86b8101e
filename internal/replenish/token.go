package replenish

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"github.com/restock/restock"
)

// A token makes a callback address known as ours and says which attempt it
// belongs to. It is, in lower-case base32 without padding:
//
//	version 1 byte · key id 1 · order id 16 · attempt 2 · MAC 16
//
// The MAC is the first 16 bytes of HMAC-SHA256(key, "cb1" ‖ the bytes before).
// It covers what is carried and nothing else, so it is checked without the
// database; what the attempt froze is enforced when the receipt is judged.
const (
	tokenVersion  = 1
	tokenBody     = 1 + 1 + 16 + 2
	macLen        = 16
	tokenTextLen  = (8*(tokenBody+macLen) + 4) / 5
	keyBytesMin   = 32
	fingerprintOf = 8 // bytes
)

// tokenDomain keeps these MACs apart from any other use of the keys.
const tokenDomain = "cb1"

// Key is one secret that signs callback addresses.
type Key struct {
	ID     byte
	Secret []byte
}

// Keys are all keys that verify; the last signs. A retired key stops signing
// but never stops verifying: an order may be delivered years later.
type Keys []Key

// NewKeys makes one fresh key.
func NewKeys() Keys {
	secret := make([]byte, keyBytesMin)
	_, _ = rand.Read(secret) // never fails, by its documentation
	return Keys{{ID: 1, Secret: secret}}
}

// ParseKeys reads a key file: a line per key, its id and its secret in
// hexadecimal; the last line signs. Lines that begin with # are comments.
func ParseKeys(text string) (Keys, error) {
	var keys Keys
	seen := map[byte]bool{}
	for n, line := range strings.Split(text, "\n") {
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		var key Key
		var secret string
		if _, err := fmt.Sscanf(line, "%d %s", &key.ID, &secret); err != nil {
			return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid, "callback keys, line %d: want an id from 0 to 255 and a secret in hexadecimal", n+1)
		}
		var err error
		if key.Secret, err = hex.DecodeString(secret); err != nil || len(key.Secret) < keyBytesMin || seen[key.ID] {
			return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid,
				"callback keys, line %d: the secret must be at least %d bytes in hexadecimal, and each id occur once", n+1, keyBytesMin)
		}
		seen[key.ID] = true
		keys = append(keys, key)
	}
	if len(keys) == 0 {
		return nil, restock.Errorf(restock.Invalid, restock.CodeInvalid, "the file of callback keys has no key")
	}
	return keys, nil
}

// Format writes what ParseKeys reads.
func (k Keys) Format() string {
	var b strings.Builder
	b.WriteString("# Callback keys of restock: keep them secret and back them up with the database.\n" +
		"# id secret; the last one signs, all verify.\n")
	for _, key := range k {
		fmt.Fprintf(&b, "%d %s\n", key.ID, hex.EncodeToString(key.Secret))
	}
	return b.String()
}

// Fingerprints tells keys apart without telling them.
func (k Keys) Fingerprints() map[byte]string {
	prints := make(map[byte]string, len(k))
	for _, key := range k {
		sum := sha256.Sum256(append([]byte("restock callback key "), key.Secret...))
		prints[key.ID] = hex.EncodeToString(sum[:fingerprintOf])
	}
	return prints
}

func (k Keys) find(id byte) ([]byte, bool) {
	for _, key := range k {
		if key.ID == id {
			return key.Secret, true
		}
	}
	return nil, false
}

// sign makes the token of an attempt.
func (k Keys) sign(order restock.OrderID, attempt int) string {
	key := k[len(k)-1]
	token := make([]byte, 0, tokenBody+macLen)
	token = append(token, tokenVersion, key.ID)
	token = append(token, order[:]...)
	token = binary.BigEndian.AppendUint16(token, uint16(attempt)) //nolint:gosec // bounded by the reorder budget.
	token = append(token, mac(key.Secret, token)...)
	return strings.ToLower(tokenEncoding().EncodeToString(token))
}

// verify reads a token. Each failure takes the same work and says the same.
func (k Keys) verify(token string) (restock.OrderID, int, bool) {
	raw := make([]byte, tokenBody+macLen)
	decoded, err := tokenEncoding().DecodeString(strings.ToUpper(token))
	wellFormed := err == nil && len(token) == tokenTextLen && len(decoded) == len(raw) &&
		strings.EqualFold(tokenEncoding().EncodeToString(decoded), token) // no bits beside the last byte
	if wellFormed {
		copy(raw, decoded)
	}
	secret, known := k.find(raw[1])
	if !known {
		secret = k[0].Secret
	}
	genuine := hmac.Equal(mac(secret, raw[:tokenBody]), raw[tokenBody:])
	if !wellFormed || !known || !genuine || raw[0] != tokenVersion {
		return restock.OrderID{}, 0, false
	}
	return restock.OrderID(raw[2:18]), int(binary.BigEndian.Uint16(raw[18:20])), true
}

func mac(secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(tokenDomain))
	h.Write(message)
	return h.Sum(nil)[:macLen]
}

func tokenEncoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }
