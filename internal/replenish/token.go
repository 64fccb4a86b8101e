package replenish

import (
	"context"
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
	keyIDs        = 256
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
func NewKeys() Keys { return Keys{newKey(1)} }

func newKey(id byte) Key {
	secret := make([]byte, keyBytesMin)
	_, _ = rand.Read(secret) // never fails, by its documentation
	return Key{ID: id, Secret: secret}
}

// Next makes the fresh key that may follow these. Its id is the first free one
// after the id of the key that signs now.
func (k Keys) Next() (Key, error) {
	last := k[len(k)-1].ID
	for step := 1; step < keyIDs; step++ {
		id := last + byte(step) // after 255 comes 0
		if _, taken := k.find(id); !taken {
			return newKey(id), nil
		}
	}
	return Key{}, restock.Errorf(restock.Conflict, restock.CodeConflict,
		"all %d ids of callback keys are taken, and none that has signed may be used again; go on with key %d, which signs now", keyIDs, last)
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
		b.WriteString(key.Line())
	}
	return b.String()
}

// Line is the key's line in the file.
func (k Key) Line() string { return fmt.Sprintf("%d %s\n", k.ID, hex.EncodeToString(k.Secret)) }

// Fingerprint tells the key from others without telling it.
func (k Key) Fingerprint() string {
	sum := sha256.Sum256(append([]byte("restock callback key "), k.Secret...))
	return hex.EncodeToString(sum[:fingerprintOf])
}

// Fingerprints tells keys apart without telling them.
func (k Keys) Fingerprints() map[byte]string {
	prints := make(map[byte]string, len(k))
	for _, key := range k {
		prints[key.ID] = key.Fingerprint()
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
	raw, wellFormed := decodeToken(token)
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

// decodeToken gives the bytes of a token, or as many zeros.
func decodeToken(token string) (raw []byte, wellFormed bool) {
	raw = make([]byte, tokenBody+macLen)
	if len(token) != tokenTextLen {
		return raw, false
	}
	decoded, err := tokenEncoding().DecodeString(strings.ToUpper(token))
	wellFormed = err == nil && len(decoded) == len(raw) &&
		strings.EqualFold(tokenEncoding().EncodeToString(decoded), token) // no bits beside the last byte
	if wellFormed {
		copy(raw, decoded)
	}
	return raw, wellFormed
}

// beginsToken reports whether a token can begin where a text does, which has two
// letters at least: the version is the first eight of their ten bits. A body of
// the longest kind would cost a MAC for each of its letters without it.
func beginsToken(text string) bool {
	const lower = 'a' - 'A' // digits have that bit
	second := text[1] | lower
	return text[0]|lower == 'a' && 'e' <= second && second <= 'h'
}

// unknown finds the id of a key that a well-formed token names and that is not
// among these.
func (k Keys) unknown(tokens []string) (byte, bool) {
	for _, token := range tokens {
		raw, wellFormed := decodeToken(token)
		if _, known := k.find(raw[1]); wellFormed && raw[0] == tokenVersion && !known {
			return raw[1], true
		}
	}
	return 0, false
}

// learn is what keys that are fixed do about others: nothing.
func (Keys) learn(context.Context, []string) bool { return false }

func mac(secret, message []byte) []byte { return macOf(tokenDomain, secret, message) }

// macOf makes a MAC for one use of the keys. All domains are equally long, so
// that none followed by a message can be another one followed by another.
func macOf(domain string, secret, message []byte) []byte {
	h := hmac.New(sha256.New, secret)
	h.Write([]byte(domain))
	h.Write(message)
	return h.Sum(nil)[:macLen]
}

func tokenEncoding() *base32.Encoding { return base32.StdEncoding.WithPadding(base32.NoPadding) }
