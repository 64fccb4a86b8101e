package replenish

// What the fuzz targets need stands in this file: scripts/fuzz builds it without the
// other tests, whose database would take minutes to build with a fuzzer's counters.

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/web"
)

func testKeys() Keys {
	return Keys{{ID: 1, Secret: []byte(strings.Repeat("old", 11))}, {ID: 200, Secret: []byte(strings.Repeat("new", 11))}}
}

var testOrder = restock.OrderID{0x01, 0x99, 0xab, 0xcd, 5, 6, 0x70, 8, 9, 10, 11, 12, 13, 14, 15, 0xff}

func replenisher(s Store, edit func(*Config)) *Replenisher {
	const patient = time.Hour // no test comes to it, however slow the machine is
	cfg := Config{PublicURL: "https://shop.example/base/", Keys: testKeys(), Random: func() float64 { return 0 }, CallTimeout: patient}
	if edit != nil {
		edit(&cfg)
	}
	return New(s, factory.NewClient(factory.Config{DialTimeout: patient, TotalTimeout: patient}), cfg)
}

// witness is a store that counts what is received, and keeps the last. It knows one
// secret of a factory, if any. Any other call of it is a call of nil, and panics.
type witness struct {
	Store

	kept     bool // reports without a token are
	secret   restock.SecretProof
	received atomic.Int64
	vouched  atomic.Int64 // of these, the ones with the secret
	last     atomic.Pointer[restock.Callback]
}

func (w *witness) Receive(_ context.Context, c restock.Callback, _ func(restock.Evidence) restock.Verdict) (restock.Receipt, error) {
	w.received.Add(1)
	w.last.Store(&c)
	return restock.Receipt{State: restock.ReceiptHeld}, nil
}

func (w *witness) Vouch(_ context.Context, proofs []restock.SecretProof) (restock.Voucher, error) {
	v := restock.Voucher{Kept: w.kept}
	if w.kept && slices.Contains(proofs, w.secret) {
		v.Factory, v.ID = restock.FactoryID{1}, w.secret.ID
	}
	return v, nil
}

func (w *witness) ReceiveUnsigned(ctx context.Context, u restock.Unsigned,
	_ func(restock.UnsignedEvidence) restock.UnsignedVerdict,
) (restock.Receipt, error) {
	w.received.Add(1)
	w.last.Store(&u.Callback)
	receipt := restock.Receipt{State: restock.ReceiptHeld}
	if v, _ := w.Vouch(ctx, u.Proofs); !v.Factory.IsZero() {
		w.vouched.Add(1)
		receipt.State, receipt.Factory = restock.ReceiptApplied, "FF-1"
	}
	return receipt, nil
}

// guarded is the receiving side on a store that only watches.
func guarded(keys TokenKeys) (*http.ServeMux, *witness) {
	store := &witness{}
	return guard(keys, store), store
}

// guard is the receiving side on a store that knows a secret.
func guard(keys TokenKeys, store *witness) *http.ServeMux {
	r := replenisher(store, func(cfg *Config) { cfg.Keys = keys })
	mux := http.NewServeMux()
	r.Register(mux)
	mux.Handle("/", r.Strays(http.HandlerFunc(web.SeedNotFound)))
	return mux
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

// FuzzToken sends a token by every way: it is received if and only if it was
// signed here.
func FuzzToken(f *testing.F) {
	keys := testKeys()
	f.Add(keys.sign(testOrder, 1))
	f.Add(strings.ToUpper(keys.sign(restock.OrderID{}, 65535)))
	f.Add(keys[:1].sign(testOrder, 2))
	f.Add("")
	mux, store := guarded(keys)
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
			store.received.Store(0)
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
	mux, store := guarded(testKeys())
	strange, untouched := guarded(strangers)
	f.Fuzz(func(t *testing.T, body []byte) {
		for _, target := range []string{"/product/donut?token=" + token, "/PRODUCT/DONUT?TOKEN=" + strings.ToUpper(token)} {
			store.received.Store(0)
			if got := answered(mux, target, string(body)); !strings.HasPrefix(got, "200") || store.received.Load() != 1 {
				t.Errorf("I7 with a good token it was answered %s and stored %d times", got, store.received.Load())
			} else if kept := fmt.Sprintf("%+v %s", *store.last.Load(), store.last.Load().Body); strings.Contains(lower(kept), token) {
				t.Errorf("I10 a token is kept: %s", kept)
			}
		}
		for _, target := range []string{"/product/donut", "/product/donut?token=" + token, "/"} {
			got := answered(strange, target, string(body))
			if !strings.HasPrefix(got, "4") || untouched.received.Load() != 0 {
				t.Errorf("I10 without a good token it was answered %s and stored %d times", got, untouched.received.Load())
			}
		}
	})
}

// FuzzSecret sends what may be a factory's secret by every way: it vouches for a
// report if and only if it is the one that was made, in either case, and it is never
// kept.
func FuzzSecret(f *testing.F) {
	const made = "k5dq2vznaaaabbbbccccddddeeeeffff"
	proof, ok := restock.ProofOf(made)
	if !ok {
		f.Fatal("the secret is none")
	}
	for _, text := range []string{made, strings.ToUpper(made), made[:31], made + "a", made[:8] + made[:24], testKeys().sign(testOrder, 1), ""} {
		f.Add(text)
	}
	store := &witness{kept: true, secret: proof}
	mux := guard(testKeys(), store)
	f.Fuzz(func(t *testing.T, text string) {
		good := lower(text) == made
		if _, wellFormed := restock.ProofOf(text); good && !wellFormed {
			t.Errorf("%q is the secret, and is not well-formed", text)
		}
		if _, _, token := testKeys().verify(text); token || !good && strings.ContainsAny(text, "%&?#") {
			return // with a good one inside, as the address of FuzzToken
		}
		for _, way := range ways() {
			store.vouched.Store(0)
			target, body := way.carry(text)
			got := answered(mux, target, body)
			if (store.vouched.Load() == 1) != good {
				t.Errorf("I10 secret %q in %s, good: %t, vouched for %d", text, target, good, store.vouched.Load())
			}
			// What is no stray is kept all the same: it is expected here.
			if want := good || !way.stray; strings.HasPrefix(got, "200") != want {
				t.Errorf("I7 secret %q in %s, good: %t, was answered %s", text, target, good, got)
			}
			if kept := store.last.Load(); kept != nil && strings.Contains(lower(fmt.Sprintf("%+v %s", *kept, kept.Body)), made) {
				t.Errorf("I10 a secret is kept: %+v %s", *kept, kept.Body)
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
