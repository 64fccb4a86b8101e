package sales

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func one(product string, quantity int64) restock.Cart {
	return restock.Cart{Lines: []restock.Line{{Product: product, Quantity: quantity}}}
}

func TestACartIsReadAsBuyersWriteIt(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]restock.Cart{
		"":                                     one("", 1),
		" \r\n\t":                              one("", 1),
		"{}":                                   one("", 1),
		`{"quantity":3}`:                       one("", 3),
		`{"sku":"CP-1"}`:                       one("CP-1", 1),
		`{"sku":"CP-1","quantity":2}`:          one("CP-1", 2),
		` {"sku" : "donut" } `:                 one("donut", 1),
		`{"sku":"\uBD80산"}`:                    one("부산", 1),
		`{"quantity":999999999}`:               one("", 999_999_999),
		`{"reference":"order 7","quantity":1}`: {Reference: "order 7", Lines: []restock.Line{{Quantity: 1}}},
		`{"items":[{"sku":"A"},{"sku":"B","quantity":2},{"sku":"A","quantity":3}],"reference":"r"}`: {
			Reference: "r", Lines: []restock.Line{{Product: "A", Quantity: 1}, {Product: "B", Quantity: 2}, {Product: "A", Quantity: 3}},
		},
		`{"sku":"CP-1","colour":"pink"}`: one("CP-1", 1), // a newer client may say more
		`{"sku":"SKU","quantity":1}`:     one("SKU", 1),
	} {
		got, err := parseCart([]byte(body))
		if err != nil {
			t.Errorf("parseCart(%q): %v", body, err)
			continue
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("parseCart(%q) (-want +got):\n%s", body, diff)
		}
	}
}

func TestAMalformedCartIsInvalid(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", referenceBytesMax+1)
	many := `{"items":[` + strings.Repeat(`{"sku":"A"},`, linesMax) + `{"sku":"A"}]}`
	for _, body := range []string{
		"x", "null", "true", "1", `"CP-1"`, "[]", `[{"sku":"A"}]`, "sku=CP-1&quantity=1", "<xml/>",
		"{", `{"sku":"A"`, `{"sku":"A"} x`, `{"sku":"A"}{}`, `{"sku":"A"},`, "\xff\xfe{}", "{\"sku\":\"\xff\"}", "\ufeff{}",
		`{"sku":""}`, `{"sku":7}`, `{"sku":["A"]}`, `{"sku":{}}`,
		`{"quantity":0}`, `{"quantity":-1}`, `{"quantity":-0}`, `{"quantity":1.0}`, `{"quantity":1.5}`, `{"quantity":1e0}`, `{"quantity":1E3}`,
		`{"quantity":"1"}`, `{"quantity":""}`, `{"quantity":true}`, `{"quantity":[1]}`, `{"quantity":{}}`,
		`{"quantity":1000000000}`, `{"quantity":9223372036854775807}`, `{"quantity":9223372036854775808}`, `{"quantity":18446744073709551617}`,
		`{"quantity":` + strings.Repeat("9", 1000) + `}`, `{"quantity":NaN}`, `{"quantity":0x10}`, `{"quantity":+1}`, `{"quantity":01}`,
		`{"sku":null}`, `{"quantity":null}`, `{"items":null}`, `{"items":[{"sku":"A","quantity":null}]}`,
		`{"items":[]}`, `{"items":{}}`, `{"items":"A"}`, `{"items":[{}]}`, `{"items":[null]}`, `{"items":[{"quantity":1}]}`,
		`{"items":[{"sku":"A"},{"sku":"B","quantity":0}]}`, `{"items":[{"sku":"A"}],"sku":"B"}`, `{"items":[{"sku":"A"}],"quantity":1}`, many,
		`{"Sku":"A"}`, `{"items":[{"Sku":"A"}]}`, `{"items":[{"sku":"A"},{"SKU":"B"}]}`, `{"s\u006Bu":"A","Quantity":2}`, `{"\u0053ku":"A"}`, `{"ſku":"A"}`,
		`{"reference":7}`, `{"reference":"` + long + `"}`,
		strings.Repeat(`{"items":[`, 20_000),
	} {
		cart, err := parseCart([]byte(body))
		if err == nil || restock.KindOf(err) != restock.Invalid {
			t.Errorf("parseCart(%.80q) = %+v, %v, want an error of kind Invalid", body, cart, err)
			continue
		}
		if len(err.Error()) > 400 {
			t.Errorf("parseCart(%.80q): the error has %d bytes", body, len(err.Error()))
		}
	}
}

func TestTheLongestCartIsRead(t *testing.T) {
	t.Parallel()
	body := `{"items":[` + strings.Repeat(`{"sku":"A"},`, linesMax-1) + `{"sku":"A"}],"reference":"` + strings.Repeat("x", referenceBytesMax) + `"}`
	cart, err := parseCart([]byte(body))
	if err != nil || len(cart.Lines) != linesMax {
		t.Errorf("%d lines, %v", len(cart.Lines), err)
	}
}

// FuzzCheckoutBody begins with the bodies in testdata/fuzz too.
func FuzzCheckoutBody(f *testing.F) {
	f.Add([]byte(""))
	f.Add([]byte(`{"sku":"CP-502101","quantity":2,"reference":"order 7"}`))
	f.Add([]byte(`{"items":[{"sku":"A","quantity":1},{"sku":"B"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		cart, err := parseCart(body)
		if err != nil {
			if restock.KindOf(err) != restock.Invalid {
				t.Errorf("error %v of kind %d, want Invalid", err, restock.KindOf(err))
			}
			return
		}
		if len(cart.Lines) < 1 || len(cart.Lines) > linesMax || len(cart.Reference) > referenceBytesMax {
			t.Errorf("%d lines and a reference of %d bytes", len(cart.Lines), len(cart.Reference))
		}
		for _, line := range cart.Lines {
			if line.Quantity < 1 || line.Quantity > restock.QuantityMax {
				t.Errorf("quantity %d", line.Quantity)
			}
		}
		if len(bytes.TrimSpace(body)) > 0 && !json.Valid(body) {
			t.Errorf("%q is no JSON and was read as %+v", body, cart)
		}
		// Written plainly, it is the same cart.
		if again, err := parseCart(plainly(t, cart)); err != nil || !cmp.Equal(cart, again) {
			t.Errorf("%+v was read again as %+v, %v", cart, again, err)
		}
	})
}

func plainly(t *testing.T, cart restock.Cart) []byte {
	t.Helper()
	if len(cart.Lines) == 1 && cart.Lines[0].Product == "" {
		reference, err := json.Marshal(cart.Reference)
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Appendf(nil, `{"quantity":%d,"reference":%s}`, cart.Lines[0].Quantity, reference)
	}
	type plainItem struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	}
	var body struct {
		Items     []plainItem `json:"items"`
		Reference string      `json:"reference"`
	}
	body.Reference = cart.Reference
	for _, l := range cart.Lines {
		body.Items = append(body.Items, plainItem{l.Product, l.Quantity})
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}
