package replenish

import (
	"bytes"
	"strings"
	"testing"
)

func TestALinkGivesWhatItCarries(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	for _, carried := range [][]byte{{0}, []byte("which question of which hold"), bytes.Repeat([]byte{0xff}, 60)} {
		text := keys.signLink(carried)
		if strings.Trim(text, "abcdefghijklmnopqrstuvwxyz234567") != "" {
			t.Errorf("text %q is not lower-case base32", text)
		}
		for _, spelling := range []string{text, strings.ToUpper(text)} {
			if got, ok := openedBy(keys, spelling); !ok || !bytes.Equal(got, carried) {
				t.Errorf("opened %q: %q, %t", spelling, got, ok)
			}
		}
		old := keys[:1].signLink(carried)
		if got, ok := openedBy(keys, old); !ok || !bytes.Equal(got, carried) {
			t.Error("a link of a key that signs no more is not known")
		}
	}
}

func openedBy(keys Keys, text string) ([]byte, bool) {
	raw, ok := decodeLink(text)
	if !ok {
		return nil, false
	}
	return keys.openLink(raw)
}

func TestEachBitOfALinkCounts(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	raw, err := tokenEncoding().DecodeString(strings.ToUpper(keys.signLink([]byte("carried"))))
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(raw) {
		forged := bytes.Clone(raw)
		forged[bit/8] ^= 1 << (bit % 8)
		if got, ok := openedBy(keys, strings.ToLower(tokenEncoding().EncodeToString(forged))); ok {
			t.Errorf("with bit %d turned it carries %q", bit, got)
		}
	}
	text := keys.signLink([]byte("carried"))
	for name, forged := range map[string]string{
		"empty": "", "cut": text[:len(text)-1], "a MAC alone": text[:28], "padded": text + "====", "with a line": text[:9] + "\n" + text[9:],
		"spare bits": text[:len(text)-1] + "7", "endless": strings.Repeat("a", linkTextMax+1), "not base32": strings.Repeat("1", len(text)),
		"another key's": Keys{{ID: 200, Secret: []byte(strings.Repeat("its", 11))}}.signLink([]byte("carried")),
		"of no key":     Keys{{ID: 7, Secret: keys[1].Secret}}.signLink([]byte("carried")),
	} {
		if _, ok := openedBy(keys, forged); ok && forged != text {
			t.Errorf("%s: %q is taken", name, forged)
		}
	}
}

// TestALinkIsNoCallbackAndACallbackNoLink: the same keys sign both, and each is
// good for one thing only, whatever it carries.
func TestALinkIsNoCallbackAndACallbackNoLink(t *testing.T) {
	t.Parallel()
	keys := testKeys()
	token := keys.sign(testOrder, 1)
	if _, ok := openedBy(keys, token); ok {
		t.Error("the token of a callback address opens as a link")
	}
	// The bytes of a token that a link would carry, so that it has a token's length.
	raw, _ := decodeToken(token)
	for _, carried := range [][]byte{raw[1:tokenBody], raw[2:tokenBody], raw[:tokenBody-1], raw} {
		link := keys.signLink(carried)
		if order, _, ok := keys.verify(link); ok {
			t.Errorf("a link verifies as the token of order %s", order)
		}
	}
	if bytes.Equal(macOf(tokenDomain, keys[1].Secret, raw), macOf(linkDomain, keys[1].Secret, raw)) || len(tokenDomain) != len(linkDomain) {
		t.Error("the domains do not keep the MACs apart")
	}
}

func TestALinkOfAKeyThatCameMeanwhileIsKnown(t *testing.T) {
	t.Parallel()
	v := &vault{text: testKeys()[:1].Format()}
	ring := v.ring(t, new(bytes.Buffer))
	later := testKeys()
	v.change(func() { v.text = later.Format() })
	if got, ok := ring.Links().Open(t.Context(), later.signLink([]byte("carried"))); !ok || string(got) != "carried" {
		t.Errorf("opened %q, %t", got, ok)
	}
	if got, ok := ring.Links().Open(t.Context(), ring.Links().Sign([]byte("its own"))); !ok || string(got) != "its own" {
		t.Errorf("its own link: %q, %t", got, ok)
	}
}
