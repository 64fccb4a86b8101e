package replenish

import (
	"bytes"
	"context"
	"encoding/base32"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
	"github.com/restock/restock/test/blackbox"
)

// witness is a store that counts what is received, and keeps the last. Any other call of it is a
// call of nil, and panics.
type witness struct {
	Store

	received atomic.Int64
	last     atomic.Pointer[restock.Callback]
}

func (w *witness) Receive(_ context.Context, c restock.Callback, _ func(restock.Evidence) restock.Verdict) (restock.Receipt, error) {
	w.received.Add(1)
	w.last.Store(&c)
	return restock.Receipt{State: restock.ReceiptHeld}, nil
}

// guarded is the receiving side on a store that only watches.
func guarded(keys TokenKeys) (*http.ServeMux, *witness) {
	store := &witness{}
	r := replenisher(store, func(cfg *Config) { cfg.Keys = keys })
	mux := http.NewServeMux()
	r.Register(mux)
	mux.Handle("/", r.Strays(http.HandlerFunc(web.SeedNotFound)))
	return mux, store
}

// answered is a whole answer, byte for byte.
func answered(mux http.Handler, target, body string) string {
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest(http.MethodPost, target, strings.NewReader(body)))
	var all bytes.Buffer
	fmt.Fprintf(&all, "%d\n", w.Code)
	_ = w.Header().Write(&all) // sorted by name
	all.Write(w.Body.Bytes())
	return all.String()
}

// TestForgedTokensChangeNothing tries 100,000 tokens, or a million with
// RESTOCK_TEST_FULL=1, by all ways in which a token comes.
func TestForgedTokensChangeNothing(t *testing.T) {
	t.Parallel()
	n := 100_000
	switch {
	case blackbox.RaceDetector:
		blackbox.RunWithoutRaceDetector(t)
		n = 20_000
	case os.Getenv("RESTOCK_TEST_FULL") == "1":
		n = 1_000_000
	}
	const forgers = 4
	keys := openRing(t, func() (string, error) { return testKeys().Format(), nil })
	mux, store := guarded(keys)
	refusal, notFound := answered(mux, "/product/donut", ""), answered(mux, "/nowhere", "")
	seed := rand.Uint64()
	var all sync.WaitGroup
	for i := range forgers {
		all.Go(func() {
			f := newForger(rand.New(rand.NewPCG(seed, uint64(i))))
			for range n / forgers {
				target, body, stray := f.call()
				want := refusal
				if stray {
					want = notFound
				}
				if got := answered(mux, target, body); got != want || store.received.Load() > 0 {
					t.Errorf("I10 seed %d: %s with %s was answered\n%s\nwant\n%s\nand %d were stored", seed, target, body, got, want, store.received.Load())
					return
				}
			}
		})
	}
	all.Wait()
	// The control: what is genuine comes in by the same ways.
	for _, way := range ways() {
		before := store.received.Load()
		target, body := way.carry(testKeys().sign(testOrder, 1))
		if answered(mux, target, body); store.received.Load() != before+1 {
			t.Errorf("a good token in %s with %s is not received", target, body)
		}
	}
}

// way is how a token comes.
type way struct {
	carry func(token string) (target, body string)
	stray bool // to no route
}

func ways() []way {
	in := func(before, after string, stray bool) way {
		return way{func(token string) (string, string) { return before + url.QueryEscape(token) + after, "" }, stray}
	}
	echo := func(target string, stray bool) way {
		return way{func(token string) (string, string) {
			body, err := json.Marshal(map[string]string{
				"MessageAttributeProductCnt": "10", "CallbackUrl": "https://shop.example/product/donut?token=" + url.QueryEscape(token),
			})
			if err != nil {
				panic(err)
			}
			return target, string(body)
		}, stray}
	}
	return []way{
		in("/product/donut?token=", "", false), in("/product/donut?TOKEN=", "", false), in("/product/bagel?x=1&Token=", "&y=2", false),
		in("/product/donut%3Ftoken%3D", "", false), in("/PRODUCT/DONUT?TOKEN=", "", true), in("/?token=", "", true),
		in("/product/donut/%3Ftoken%3D", "", true),
		echo("/product/donut", false), echo("/product/donut?token=lost", false), echo("/", true), echo("/produ", true),
	}
}

// forger makes tokens as somebody would who knows how they are built and has
// seen genuine ones, of which the shop gives none away twice, but no key.
type forger struct {
	random  *rand.Rand
	genuine []string
	ways    []way
	own     Keys
}

func newForger(random *rand.Rand) *forger {
	keys := testKeys()
	other := testOrder
	other[15]--
	return &forger{
		random: random, ways: ways(),
		genuine: []string{keys.sign(testOrder, 1), keys.sign(testOrder, 2), keys.sign(other, 1), keys[:1].sign(testOrder, 1)},
		own:     Keys{{ID: 200, Secret: []byte(strings.Repeat("own", 11))}},
	}
}

func (f *forger) call() (target, body string, stray bool) {
	w := f.ways[f.random.IntN(len(f.ways))]
	target, body = w.carry(f.token())
	return target, body, w.stray
}

// token forges one. What happens to be genuine in another case is no forgery.
func (f *forger) token() string {
	for {
		token := f.forge()
		forged := true
		for _, genuine := range f.genuine {
			forged = forged && !strings.EqualFold(token, genuine)
		}
		if forged {
			return token
		}
	}
}

func (f *forger) forge() string {
	const kinds = 18
	model := f.genuine[f.random.IntN(len(f.genuine))]
	if kind := f.random.IntN(kinds); kind < kinds/2 {
		return f.forgeBytes(kind, model)
	} else {
		return f.forgeText(kind-kinds/2, model)
	}
}

// forgeBytes changes what a token says.
func (f *forger) forgeBytes(kind int, model string) string {
	raw, _ := decodeToken(model)
	another, _ := decodeToken(f.genuine[f.random.IntN(len(f.genuine))])
	switch kind {
	case 0: // nothing of ours
		f.fill(raw)
	case 1: // all but the version and the key's id
		f.fill(raw[2:])
	case 2: // another MAC
		f.fill(raw[tokenBody:])
	case 3: // another order under the same MAC
		f.fill(raw[2:18])
	case 4: // another attempt
		f.fill(raw[18:tokenBody])
	case 5: // one bit
		raw[f.random.IntN(len(raw))] ^= 1 << f.random.IntN(8)
	case 6: // another version, another key: one that is there, or none
		raw[f.random.IntN(2)] = []byte{0, 1, 2, 200, byte(f.random.Uint32())}[f.random.IntN(5)]
	case 7: // the parts of two genuine ones
		at := []int{2, 18, tokenBody, f.random.IntN(len(raw))}[f.random.IntN(4)]
		copy(raw[at:], another[at:])
	default: // signed with a key of one's own
		return f.own.sign(restock.OrderID(raw[2:18]), f.random.IntN(1<<16))
	}
	return strings.ToLower(tokenEncoding().EncodeToString(raw))
}

// forgeText changes how it is written.
func (f *forger) forgeText(kind int, model string) string {
	raw, _ := decodeToken(model)
	const alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	at := f.random.IntN(len(model))
	switch kind {
	case 0: // cut
		return model[:at]
	case 1:
		return model[at+1:]
	case 2: // longer
		return model + alphabet[f.random.IntN(len(alphabet)):]
	case 3: // padded, or with what decoders skip
		return []string{model + "=", model + "======", model + "\n", "\r\n" + model, model[:at] + "\n" + model[at:], " " + model, model + "\x00"}[f.random.IntN(7)]
	case 4: // the bits beside the last byte
		last := strings.IndexByte(alphabet, model[len(model)-1])
		return model[:len(model)-1] + string(alphabet[last^(1+f.random.IntN(3))])
	case 5: // in another alphabet
		return []string{
			hex.EncodeToString(raw), base32.HexEncoding.EncodeToString(raw), strings.ToLower(base32.HexEncoding.WithPadding(base32.NoPadding).EncodeToString(raw)),
		}[f.random.IntN(3)]
	case 6: // letters that look the same, or fold to the same
		return strings.NewReplacer("o", "0", "l", "1", "b", "8", "k", "\u212a", "s", "\u017f").Replace(model[:at]) + "9" + model[at:]
	case 7: // a letter of the other case is another one only where case counts
		return strings.ToUpper(model[:at]) + string(alphabet[f.random.IntN(len(alphabet))]) + model[at+1:]
	default: // twice, or with more around it
		return []string{model + model, "token=" + model + "x", "%" + model, model + ";" + model}[f.random.IntN(4)]
	}
}

func (f *forger) fill(b []byte) {
	for i := range b {
		b[i] = byte(f.random.Uint32())
	}
}

// FuzzToken sends a token by every way: it is received if and only if it was
// signed here.
func FuzzToken(f *testing.F) {
	keys := testKeys()
	f.Add(keys.sign(testOrder, 1))
	f.Add(strings.ToUpper(keys.sign(restock.OrderID{}, 65535)))
	f.Add(keys[:1].sign(testOrder, 2))
	f.Add("")
	f.Fuzz(func(t *testing.T, token string) {
		order, attempt, good := keys.verify(token)
		if good && !strings.EqualFold(keys.sign(order, attempt), token) && !strings.EqualFold(keys[:1].sign(order, attempt), token) {
			t.Errorf("I10 %q was accepted and never signed", token)
		}
		if !good && (!order.IsZero() || attempt != 0) {
			t.Errorf("I10 a refused token gives %s, %d", order, attempt)
		}
		// An address that is decoded more than once may have a good one inside.
		if !good && strings.ContainsAny(token, "%&?#") {
			return
		}
		for _, way := range ways() {
			mux, store := guarded(keys)
			target, body := way.carry(token)
			got := answered(mux, target, body)
			if n := store.received.Load(); n > 1 || (n == 1) != good {
				t.Errorf("I10 token %q in %s, good: %t, is received %d times", token, target, good, n)
			}
			if strings.HasPrefix(got, "200") != good {
				t.Errorf("I10 token %q in %s, good: %t, was answered %s", token, target, good, got)
			}
		}
	})
}

// FuzzCallback sends any body: with a good token it is stored once, without one
// never.
func FuzzCallback(f *testing.F) {
	token := testKeys().sign(testOrder, 1)
	for _, body := range []string{
		"", "{}", "[10]", "count=10", `{"MessageAttributeProductCnt":"10"}`, `{"MessageAttributeProductCnt":10,"OrderStockCnt":"1"}`,
		`{"MessageAttributeProductCnt":"10","CallbackUrl":"https://shop.example/product/donut?token=` + token + `"}`,
		`{"MessageAttributeProductId":"CP-1","MessageAttributeProductCnt":"10`, "\xff\xfe", strings.Repeat("{", 1000),
		`{"token":"` + token + `"}`, "a" + strings.ToUpper(token) + "b",
	} {
		f.Add([]byte(body))
	}
	// What the seeds echo is signed with keys that are not these.
	strangers := Keys{{ID: 1, Secret: bytes.Repeat([]byte{7}, keyBytesMin)}}
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, target := range []string{"/product/donut?token=" + token, "/PRODUCT/DONUT?TOKEN=" + strings.ToUpper(token)} {
			mux, store := guarded(testKeys())
			if got := answered(mux, target, string(body)); !strings.HasPrefix(got, "200") || store.received.Load() != 1 {
				t.Errorf("I7 with a good token it was answered %s and stored %d times", got, store.received.Load())
			} else if kept := fmt.Sprintf("%+v %s", *store.last.Load(), store.last.Load().Body); strings.Contains(lower(kept), token) {
				t.Errorf("I10 a token is kept: %s", kept)
			}
		}
		for _, target := range []string{"/product/donut", "/product/donut?token=" + token, "/"} {
			mux, store := guarded(strangers)
			got := answered(mux, target, string(body))
			if !strings.HasPrefix(got, "4") || store.received.Load() != 0 {
				t.Errorf("I10 without a good token it was answered %s and stored %d times", got, store.received.Load())
			}
		}
	})
}

// lower folds the letters that a token is made of, and no others.
func lower(s string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' {
			return r + 'a' - 'A'
		}
		return r
	}, s)
}
