package replenish

import (
	"encoding/base32"
	"strings"
	"testing"

	"github.com/restock/restock"
)

func TestATokenSaysItsAttempt(t *testing.T) {
	t.Parallel()
	for _, attempt := range []int{1, 2, 255, 256, 65535} {
		token := testKeys().sign(testOrder, attempt)
		if len(token) != tokenTextLen || token != strings.ToLower(token) || strings.Trim(token, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("token %q is not lower-case base32 of %d characters", token, tokenTextLen)
		}
		for _, spelling := range []string{token, strings.ToUpper(token), strings.ToUpper(token[:9]) + token[9:]} {
			order, got, ok := testKeys().verify(spelling)
			if !ok || order != testOrder || got != attempt {
				t.Errorf("verify(%q) = %s, %d, %t", spelling, order, got, ok)
			}
		}
	}
}

// TestATokenOfEachKeyIsConcealed: where a token may begin is told by its first two
// letters, which depend on the key's id.
func TestATokenOfEachKeyIsConcealed(t *testing.T) {
	t.Parallel()
	for id := range keyIDs {
		keys := Keys{{ID: byte(id), Secret: testKeys()[0].Secret}}
		r := replenisher(&witness{}, func(cfg *Config) { cfg.Keys = keys })
		token := keys.sign(testOrder, 1)
		for _, spelling := range []string{token, strings.ToUpper(token)} {
			if got := r.conceal("aaa" + spelling + "ae " + spelling); got != "aaa***ae ***" {
				t.Errorf("key %d: concealed as %q", id, got)
			}
		}
	}
}

func TestARetiredKeyVerifiesButDoesNotSign(t *testing.T) {
	t.Parallel()
	both := testKeys()
	old := both[:1].sign(testOrder, 1)
	if _, _, ok := both.verify(old); !ok {
		t.Error("a retired key no longer verifies")
	}
	if _, _, ok := both[1:].verify(both.sign(testOrder, 1)); !ok {
		t.Error("the last key does not sign")
	}
}

func TestATokenThatIsNotOursIsRefused(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	token := keys.sign(testOrder, 1)
	other := Keys{{ID: 200, Secret: []byte(strings.Repeat("its", 11))}}
	unknown := Keys{{ID: 7, Secret: keys[1].Secret}}
	for name, forged := range map[string]string{
		"empty":            "",
		"cut":              token[:tokenTextLen-1],
		"cut in the front": token[1:],
		"longer":           token + "a",
		"twice":            token + token,
		"padded":           token + "======",
		"with a blank":     " " + token,
		"with a line":      token[:20] + "\n" + token[20:],
		"with a line end":  token + "\n",
		"in hexadecimal":   "01c8" + strings.Repeat("00", 34),
		"of zeros":         strings.Repeat("a", tokenTextLen),
		"not base32":       strings.Repeat("1", tokenTextLen),
		"another key":      other.sign(testOrder, 1),
		"an unknown key":   unknown.sign(testOrder, 1),
		"not UTF-8":        strings.Repeat("\xff", tokenTextLen),
		// Letters that fold to ASCII ones (K is the sign of Kelvin).
		"folded letters": strings.Replace(strings.ToUpper(token), "K", "\u212a", 1) + "\u212a",
	} {
		if order, attempt, ok := keys.verify(forged); ok || !order.IsZero() || attempt != 0 {
			t.Errorf("%s: verify(%q) = %s, %d, %t", name, forged, order, attempt, ok)
		}
	}
}

func TestEachBitOfATokenCounts(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	token := keys.sign(testOrder, 1)
	raw, err := tokenEncoding().DecodeString(strings.ToUpper(token))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(raw) {
		raw[bit/8] ^= 1 << (bit % 8)
		if _, _, ok := keys.verify(tokenEncoding().EncodeToString(raw)); ok {
			t.Errorf("bit %d does not count", bit)
		}
		raw[bit/8] ^= 1 << (bit % 8)
	}
}

// TestATokenHasOneSpelling changes each character, also to those that decode to
// the same bytes because the last one has bits to spare.
func TestATokenHasOneSpelling(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	token := keys.sign(testOrder, 1)
	for i := range token {
		for _, c := range "abcdefghijklmnopqrstuvwxyz234567" {
			changed := token[:i] + string(c) + token[i+1:]
			if _, _, ok := keys.verify(changed); ok != (changed == token) {
				t.Errorf("%q instead of %q at %d: accepted %t", c, token[i], i, ok)
			}
		}
	}
	hexAlphabet := base32.NewEncoding("0123456789abcdefghijklmnopqrstuv").WithPadding(base32.NoPadding)
	raw, err := tokenEncoding().DecodeString(strings.ToUpper(token))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := keys.verify(hexAlphabet.EncodeToString(raw)); ok {
		t.Error("a token in another alphabet is accepted")
	}
}

func TestKeysSurviveTheirFile(t *testing.T) {
	t.Parallel()
	keys := append(testKeys(), NewKeys()[0])
	keys[2].ID = 0
	got, err := ParseKeys(keys.Format())
	if err != nil {
		t.Fatal(err)
	}
	token := keys.sign(testOrder, 1)
	if _, _, ok := got.verify(token); !ok || len(got) != 3 {
		t.Errorf("%d keys were read, and verify: %t", len(got), ok)
	}
	prints := got.Fingerprints()
	for id, want := range keys.Fingerprints() {
		if prints[id] != want {
			t.Errorf("fingerprint %d is %s, want %s", id, prints[id], want)
		}
	}
	if len(prints) != 3 || prints[1] == prints[200] || strings.Contains(keys.Format(), prints[1]) {
		t.Errorf("fingerprints %v tell the key, or do not tell keys apart", prints)
	}
}

func TestABadKeyFileIsRefusedWithoutTellingIt(t *testing.T) {
	t.Parallel()
	secret := strings.Repeat("ab", 32)
	for _, text := range []string{
		"", "# only a comment\n", "1", "x " + secret, "256 " + secret, "-1 " + secret, "1 " + secret[2:], "1 " + secret + "zz",
		"1 " + secret + "\n1 " + secret, secret,
	} {
		keys, err := ParseKeys(text)
		if err == nil || restock.KindOf(err) != restock.Invalid {
			t.Errorf("ParseKeys(%q) = %d keys, %v", text, len(keys), err)
			continue
		}
		if strings.Contains(err.Error(), "abab") {
			t.Errorf("the error tells the secret: %v", err)
		}
	}
}

func TestTheNextKeyTakesAnIDThatIsFree(t *testing.T) {
	t.Parallel()
	keys := testKeys() // 1, 200
	for _, want := range []byte{201, 202} {
		key, err := keys.Next()
		if err != nil || key.ID != want || len(key.Secret) < keyBytesMin {
			t.Fatalf("the next key is %d with %d bytes, %v; want %d", key.ID, len(key.Secret), err, want)
		}
		keys = append(keys, key)
	}
	old := keys.sign(testOrder, 1)
	for len(keys) < keyIDs {
		key, err := keys.Next()
		if err != nil {
			t.Fatalf("%d keys and no next: %v", len(keys), err)
		}
		keys = append(keys, key)
	}
	if n := len(keys.Fingerprints()); n != keyIDs {
		t.Errorf("%d ids for %d keys", n, keyIDs)
	}
	if key, err := keys.Next(); restock.KindOf(err) != restock.Conflict {
		t.Errorf("a key too many: %d, %v", key.ID, err)
	}
	read, err := ParseKeys(keys.Format())
	if err != nil {
		t.Fatal(err)
	}
	if _, _, ok := read.verify(old); !ok {
		t.Error("an old key no longer verifies")
	}
	if _, _, ok := keys[keyIDs-1:].verify(read.sign(testOrder, 1)); !ok {
		t.Error("the newest key does not sign")
	}
}
