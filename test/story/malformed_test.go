package story_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
)

const shopCatalog = `
default_product: CP-502101
products:
  - {sku: CP-502101, slug: donut, name: 부산도너츠, price: 19900, opening_stock: 5}
  - {sku: BG-1, slug: bagel, name: Bagel, price: 2500, opening_stock: 5}
`

// openShop runs a server that sells what the catalogue says, for one test.
func openShop(t *testing.T, catalog string, args ...string) *process {
	t.Helper()
	dir := t.TempDir()
	file := writeFile(t, filepath.Join(dir, "catalog.yaml"), catalog)
	args = append([]string{"serve", "--listen", "127.0.0.1:0", "--data", filepath.Join(dir, "data"), "--catalog", file}, args...)
	p, err := start(t.Context(), filepath.Join(dir, "server.log"), dir, userEnvironment(), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Error(err)
		}
	})
	if err := p.awaitReady(t.Context()); err != nil {
		t.Fatal(err)
	}
	return p
}

// malformed are bodies of POST /checkout that mean nothing, by what is wrong
// with them.
func malformed() map[string]string {
	const depth = 20_000
	return map[string]string{
		"null":                       `null`,
		"an array":                   `[{"sku":"donut"}]`,
		"a text":                     `"donut"`,
		"a number":                   `1`,
		"true":                       `true`,
		"a form":                     `sku=donut&quantity=1`,
		"HTML":                       `<html></html>`,
		"a byte order mark":          "\uFEFF{}",
		"not UTF-8":                  "{\"sku\":\"donut\xff\"}",
		"two objects":                `{"sku":"donut"} {"sku":"donut"}`,
		"something after it":         `{"sku":"donut"}x`,
		"a comma too many":           `{"sku":"donut",}`,
		"a member without a value":   `{"sku":}`,
		"single quotes":              `{'sku':'donut'}`,
		"an open brace":              `{`,
		"deep":                       `{"note":` + strings.Repeat("[", depth) + strings.Repeat("]", depth) + `}`,
		"deep and open":              strings.Repeat(`{"items":[`, depth/10),
		"quantity zero":              `{"quantity":0}`,
		"quantity negative":          `{"quantity":-1}`,
		"quantity negative zero":     `{"quantity":-0}`,
		"quantity a fraction":        `{"quantity":1.5}`,
		"quantity with a point":      `{"quantity":1.0}`,
		"quantity with an exponent":  `{"quantity":1e3}`,
		"quantity with a zero first": `{"quantity":01}`,
		"quantity with a plus":       `{"quantity":+1}`,
		"quantity as words":          `{"quantity":"one"}`,
		"quantity as numeric text":   `{"quantity":"1"}`,
		"quantity as empty text":     `{"quantity":""}`,
		"quantity true":              `{"quantity":true}`,
		"quantity a list":            `{"quantity":[1]}`,
		"quantity an object":         `{"quantity":{}}`,
		"quantity NaN":               `{"quantity":NaN}`,
		"quantity beyond nine":       `{"quantity":1000000000}`,
		"quantity of 64 bits":        `{"quantity":9223372036854775807}`,
		"quantity beyond 64 bits":    `{"quantity":18446744073709551617}`,
		"quantity of 400 digits":     `{"quantity":1` + strings.Repeat("0", 400) + `}`,
		"quantity 1e400":             `{"quantity":1e400}`,
		"sku empty":                  `{"sku":""}`,
		"sku a number":               `{"sku":502101}`,
		"sku a list":                 `{"sku":["donut"]}`,
		"reference a number":         `{"reference":7}`,
		"reference too long":         `{"reference":"` + strings.Repeat("r", 201) + `"}`,
		"items empty":                `{"items":[]}`,
		"items an object":            `{"items":{"sku":"donut"}}`,
		"items of texts":             `{"items":["donut"]}`,
		"items of null":              `{"items":[null]}`,
		"items without sku":          `{"items":[{"quantity":1}]}`,
		"items and sku":              `{"sku":"donut","items":[{"sku":"bagel"}]}`,
		"items and quantity":         `{"quantity":1,"items":[{"sku":"bagel"}]}`,
		"items too many":             `{"items":[` + strings.Repeat(`{"sku":"donut"},`, 100) + `{"sku":"donut"}]}`,
		"one item of two bad":        `{"items":[{"sku":"donut"},{"sku":"bagel","quantity":-1}]}`,
		"quantities that wrap round": `{"items":[{"sku":"donut","quantity":999999999},{"sku":"donut","quantity":999999999}]}`,
	}
}

// TestMalformedCheckoutsSellNothing: whatever is sent, what is not a purchase
// is told so in the seed's words, and the stock is what it was.
func TestMalformedCheckoutsSellNothing(t *testing.T) {
	t.Parallel()
	shop := openShop(t, shopCatalog)
	for name, body := range malformed() {
		for _, media := range []string{"application/json", "application/x-www-form-urlencoded"} {
			refuse(t, shop, name, media, body)
		}
	}
	// A purchase that was cut short anywhere on its way is not a smaller purchase.
	const whole = `{"items":[{"sku":"donut","quantity":2},{"sku":"bagel"}],"reference":"web-1"}`
	for n := 1; n < len(whole); n++ {
		refuse(t, shop, fmt.Sprintf("cut after %d bytes", n), "application/json", whole[:n])
	}
	wantStock(t, shop, "donut", "5")
	wantStock(t, shop, "bagel", "5")
}

func refuse(t *testing.T, shop *process, name, media, body string) {
	t.Helper()
	a, err := ask(t.Context(), http.MethodPost, shop.url+"/checkout", http.Header{"Content-Type": {media}}, strings.NewReader(body))
	if err != nil {
		t.Errorf("%s: %v", name, err)
		return
	}
	if a.status != http.StatusBadRequest {
		t.Errorf("%s (%s): answered %d %s, want 400", name, media, a.status, a.body)
		return
	}
	wantJSON(t, name, a, `{"message":"잘못된 요청입니다","code":"invalid","detail":"<text>"}`)
}

func wantJSON(t *testing.T, name string, a answer, want string) {
	t.Helper()
	diff, err := diffJSON(a.body, []byte(want))
	if err != nil || diff != "" {
		t.Errorf("%s: answered %d %s (-got +want)\n%s%v", name, a.status, a.body, diff, err)
	}
}

func wantStock(t *testing.T, shop *process, product, want string) {
	t.Helper()
	a, err := ask(t.Context(), http.MethodGet, shop.url+"/product/"+product, nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := field(a.body, "stock"); err != nil || got != want {
		t.Errorf("stock of %s is %s (%v), want %s", product, got, err, want)
	}
}

// TestNullIsNotAPurchase: JavaScript writes NaN and what it forgot as null. Who
// sends that did not ask for one of the default product.
func TestNullIsNotAPurchase(t *testing.T) {
	t.Parallel()
	shop := openShop(t, shopCatalog)
	for _, body := range []string{`{"quantity":null}`, `{"sku":null}`, `{"sku":"donut","quantity":null}`, `{"items":null}`} {
		refuse(t, shop, body, "application/json", body)
	}
	wantStock(t, shop, "donut", "5")
}

// TestOversizedCheckoutsSellNothing: a body over the limit is answered 413,
// whatever it says, and a compressed one is never unpacked.
func TestOversizedCheckoutsSellNothing(t *testing.T) {
	t.Parallel()
	const megabyte = 1 << 20
	shop := openShop(t, shopCatalog)
	for name, body := range map[string]string{
		"a long text":       `{"reference":"` + strings.Repeat("r", megabyte) + `"}`,
		"long white space":  `{"sku":"donut"}` + strings.Repeat(" ", megabyte),
		"blank":             strings.Repeat(" ", megabyte),
		"just over 64 KiB":  `{"sku":"donut"}` + strings.Repeat(" ", 64<<10),
		"many small things": `{"items":[` + strings.Repeat(`{"sku":"donut"},`, megabyte/16) + `{"sku":"donut"}]}`,
	} {
		a, err := askUntilHeard(t, shop, body)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if a.status != http.StatusRequestEntityTooLarge {
			t.Errorf("%s: answered %d, want 413", name, a.status)
		}
		wantJSON(t, name, a, `{"message":"요청이 너무 큽니다","code":"too_large","detail":"<text>"}`)
	}
	var zipped bytes.Buffer
	zip := gzip.NewWriter(&zipped)
	_, _ = zip.Write([]byte(`{"sku":"donut"}`))
	if err := zip.Close(); err != nil {
		t.Fatal(err)
	}
	a, err := ask(t.Context(), http.MethodPost, shop.url+"/checkout", http.Header{"Content-Encoding": {"gzip"}}, &zipped)
	if err != nil || a.status != http.StatusBadRequest {
		t.Errorf("compressed: answered %d %s (%v), want 400", a.status, a.body, err)
	}
	wantStock(t, shop, "donut", "5")
}

// askUntilHeard sends a body of which the server does not read the rest. Who is
// slow may meet the end of the connection before the answer, and asks again.
func askUntilHeard(t *testing.T, shop *process, body string) (a answer, err error) {
	t.Helper()
	const tries = 20
	for range tries {
		if a, err = ask(t.Context(), http.MethodPost, shop.url+"/checkout", nil, strings.NewReader(body)); err == nil {
			break
		}
	}
	return a, err
}

// TestUnusualCheckoutsSell: what is well-formed is sold, however it is written.
func TestUnusualCheckoutsSell(t *testing.T) {
	t.Parallel()
	shop := openShop(t, shopCatalog)
	for name, body := range map[string]string{
		"white space around": "\n\t {\"sku\":\"donut\"}\r\n ",
		"escaped":            `{"\u0073ku":"d\u006fnut"}`,
		"by SKU":             `{"sku":"CP-502101","quantity":1}`,
		"members unknown":    `{"sku":"donut","coupon":"NEW","nested":{"a":[1,{}]}}`,
		"one item":           `{"items":[{"sku":"donut","quantity":1}]}`,
	} {
		a, err := ask(t.Context(), http.MethodPost, shop.url+"/checkout", nil, strings.NewReader(body))
		if err != nil || a.status != http.StatusOK {
			t.Errorf("%s: answered %d %s (%v), want 200", name, a.status, a.body, err)
		}
	}
	wantStock(t, shop, "donut", "0")
	wantStock(t, shop, "bagel", "5")
}

// TestSumsStayWithinTheirBounds: the dearest product in the largest quantity
// that a catalogue allows must not be sold for less than nothing.
func TestSumsStayWithinTheirBounds(t *testing.T) {
	t.Parallel()
	shop := openShop(t, `
products:
  - {sku: GOLD, name: Gold, price: 1000000000000, opening_stock: 999999999, max_per_purchase: 999999999}
`)
	a, err := ask(t.Context(), http.MethodPost, shop.url+"/checkout", nil, strings.NewReader(`{"quantity":20000000}`))
	if err != nil {
		t.Fatal(err)
	}
	if a.status != http.StatusBadRequest {
		t.Errorf("a sale of 20,000,000 × 10¹² answered %d %s, want 400", a.status, a.body)
	}
	wantStock(t, shop, "gold", "999999999")
}

// TestAClientThatHangsUpBuysNothing: half a request is no purchase, and does not
// keep the shop from serving others.
func TestAClientThatHangsUpBuysNothing(t *testing.T) {
	t.Parallel()
	shop := openShop(t, shopCatalog)
	for range 20 {
		ctx, hangUp := context.WithCancel(t.Context())
		body := hangingUp{text: `{"sku":"donut",`, hangUp: hangUp}
		if a, err := ask(ctx, http.MethodPost, shop.url+"/checkout", nil, &body); err == nil && a.status == http.StatusOK {
			t.Errorf("half a request was answered %d %s", a.status, a.body)
		}
		hangUp()
	}
	wantStock(t, shop, "donut", "5")
}

// hangingUp is a body that ends its request in the middle.
type hangingUp struct {
	text   string
	hangUp context.CancelFunc
}

func (h *hangingUp) Read(b []byte) (int, error) {
	if h.text == "" {
		h.hangUp()
		return 0, context.Canceled
	}
	n := copy(b, h.text)
	h.text = h.text[n:]
	return n, nil
}
