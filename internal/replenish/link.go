package replenish

import (
	"context"
	"crypto/hmac"
	"strings"
)

// linkDomain keeps the MACs of links apart from those of callback addresses,
// which the same keys make: neither is ever good for the other.
const linkDomain = "ad1"

// Links sign what the links in mails carry, with the callback keys: a link is
// good for as long as its key is known, and a key that has signed is never
// forgotten. A signed text is, in lower-case base32 without padding:
//
//	key id 1 byte · what is carried · MAC 16
//
// The MAC is the first 16 bytes of HMAC-SHA256(key, "ad1" ‖ the bytes before).
// What it means and how long it is good for stands in what is carried.
type Links struct{ keyring *Keyring }

// Links gives the signer of links.
func (k *Keyring) Links() Links { return Links{k} }

// Sign makes the text of a link.
func (l Links) Sign(carried []byte) string { return l.keyring.keys.Load().signLink(carried) }

// Open gives what a link of ours carries. Like a callback's, a key that another
// process has begun to sign with is looked for in the file.
func (l Links) Open(ctx context.Context, text string) ([]byte, bool) {
	raw, ok := decodeLink(text)
	if !ok {
		return nil, false
	}
	if _, known := l.keyring.keys.Load().find(raw[0]); !known && l.keyring.learning.Allow() {
		l.keyring.refresh(ctx)
	}
	return l.keyring.keys.Load().openLink(raw)
}

func (k Keys) signLink(carried []byte) string {
	key := k[len(k)-1]
	raw := append([]byte{key.ID}, carried...)
	raw = append(raw, macOf(linkDomain, key.Secret, raw)...)
	return strings.ToLower(tokenEncoding().EncodeToString(raw))
}

func (k Keys) openLink(raw []byte) ([]byte, bool) {
	secret, known := k.find(raw[0])
	if !known {
		secret = k[0].Secret
	}
	signed := len(raw) - macLen
	genuine := hmac.Equal(macOf(linkDomain, secret, raw[:signed]), raw[signed:])
	return raw[1:signed], genuine && known
}

// linkTextMax bounds what is looked at of a stranger's link.
const linkTextMax = 200

// decodeLink gives the bytes of a text that can be a link's.
func decodeLink(text string) ([]byte, bool) {
	if len(text) > linkTextMax {
		return nil, false
	}
	raw, err := tokenEncoding().DecodeString(strings.ToUpper(text))
	// No bits beside the last byte: one link has one text.
	ok := err == nil && len(raw) > 1+macLen && strings.EqualFold(tokenEncoding().EncodeToString(raw), text)
	return raw, ok
}
