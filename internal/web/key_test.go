package web_test

import (
	"crypto/sha256"
	"net/http"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

func keyed(t *testing.T, values ...string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://shop.example/checkout", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	for _, value := range values {
		r.Header.Add("Idempotency-Key", value)
	}
	return r
}

func TestAKeyIsVisibleASCIIAndThereOnce(t *testing.T) {
	t.Parallel()
	for _, valid := range []string{
		"k", "!", "~", "8e03978e-40d5-43dd-bc93-6894a57f9324", `"quoted"`, "a/b?c=d&e", strings.Repeat("k", 255),
	} {
		key, err := web.IdempotencyKey(keyed(t, valid), "POST /checkout", []byte("body"))
		want := restock.Key{Name: "POST /checkout " + valid, Hash: sha256.Sum256([]byte("body"))}
		if err != nil || key != want {
			t.Errorf("%q: %v, %v, want %v", valid, key, err, want)
		}
	}
	for name, values := range map[string][]string{
		"empty":            {""},
		"a blank":          {" "},
		"two words":        {"two words"},
		"a tab":            {"a\tb"},
		"a line break":     {"a\nb"},
		"NUL":              {"a\x00b"},
		"DEL":              {"a\x7fb"},
		"Korean":           {"열쇠"},
		"Latin-1":          {"caf\xe9"},
		"too long":         {strings.Repeat("k", 256)},
		"twice":            {"k", "k"},
		"twice, one empty": {"k", ""},
	} {
		key, err := web.IdempotencyKey(keyed(t, values...), "POST /checkout", nil)
		if restock.KindOf(err) != restock.Invalid || err == nil || key != (restock.Key{}) {
			t.Errorf("%s: %v, %v, want no key and that it is invalid", name, key, err)
		}
	}
}

func TestWithoutTheHeaderThereIsNoKey(t *testing.T) {
	t.Parallel()
	key, err := web.IdempotencyKey(keyed(t), "POST /checkout", []byte("body"))
	if err != nil || key != (restock.Key{}) {
		t.Errorf("%v, %v, want the zero key", key, err)
	}
}

func TestAKeyBelongsToItsRouteAndItsBody(t *testing.T) {
	t.Parallel()
	keys := map[restock.Key]bool{}
	for _, route := range []string{"POST /checkout", "POST /v1/reservations"} {
		for _, body := range []string{"", " ", "{}"} {
			key, err := web.IdempotencyKey(keyed(t, "k"), route, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			keys[key] = true
		}
	}
	if len(keys) != 6 {
		t.Errorf("%d different keys, want 6", len(keys))
	}
}

func FuzzIdempotencyKey(f *testing.F) {
	f.Add("8e03978e-40d5-43dd-bc93-6894a57f9324", []byte(`{"sku":"CP-502101"}`))
	f.Fuzz(func(t *testing.T, value string, body []byte) {
		const route = "POST /checkout"
		key, err := web.IdempotencyKey(keyed(t, value), route, body)
		outside := func(r rune) bool { return r <= ' ' || r > '~' }
		valid := value != "" && len(value) <= 255 && !strings.ContainsFunc(value, outside)
		switch {
		case valid && (err != nil || key.Name != route+" "+value || key.Hash != sha256.Sum256(body)):
			t.Errorf("%q: %v, %v, want a key with this name", value, key, err)
		case !valid && (restock.KindOf(err) != restock.Invalid || key != restock.Key{}):
			t.Errorf("%q: %v, %v, want that it is invalid", value, key, err)
		case !valid && strings.Contains(err.Error(), "\n"):
			t.Errorf("%q comes back in the text: %v", value, err)
		}
		again, _ := web.IdempotencyKey(keyed(t, value), route, body)
		if again != key {
			t.Errorf("%q: %v, and again %v", value, key, again)
		}
	})
}
