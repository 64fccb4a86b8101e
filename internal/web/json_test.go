package web_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

type who struct {
	By string `json:"by"`
}

type order struct {
	who

	Who      who             `json:"who"`
	Quantity *int64          `json:"quantity,omitempty"`
	Until    time.Time       `json:"until,omitzero"`
	Order    restock.OrderID `json:"order_id"`
	Lines    []who           `json:"lines"`
	Words    []string        `json:"words"`
	Hidden   string          `json:"-"`
}

func TestDecodeJSONReadsWhatHasAPlace(t *testing.T) {
	t.Parallel()
	three := int64(3)
	want := order{
		Who: who{By: "kim"}, Quantity: &three, Until: time.Date(2026, 11, 25, 9, 0, 0, 0, time.UTC),
		Lines: []who{{By: "a"}, {}}, Words: []string{"도너츠", "\u0000"},
	}
	var got order
	err := web.DecodeJSON([]byte(` {"who":{"by":"kim"},"quantity":3,"until":"2026-11-25T09:00:00Z","order_id":"",
		"lines":[{"by":"a"},{}],"words":["\ub3c4너츠","\u0000"]} `), &got)
	if diff := cmp.Diff(got, want, cmp.AllowUnexported(order{})); err != nil || diff != "" {
		t.Errorf("%v (-got +want)\n%s", err, diff)
	}
}

func TestDecodeJSONRefusesWhatHasNoPlace(t *testing.T) {
	t.Parallel()
	for body, says := range map[string]string{
		``:                                    "not JSON",
		`{`:                                   "not JSON",
		`{"by":"a",}`:                         "not JSON",
		`null`:                                "null",
		`{"by":null}`:                         "null",
		`{"who":{"by":null}}`:                 "who: ",
		`{"lines":[null]}`:                    "null",
		`{"By":"a"}`:                          `no member "By"`,
		`{"hidden":"a"}`:                      `no member "hidden"`,
		`{"-":"a"}`:                           `no member "-"`,
		`{"quantities":1}`:                    "take by, who, quantity",
		`{"lines":[{"bye":"a"}]}`:             `no member "bye"`,
		`{"by":"a","by":"b"}`:                 `"by" is there twice`,
		`{"by":"a","\u0062y":"b"}`:            `"by" is there twice`,
		`{"by":"a"} {}`:                       "more after",
		`{"by":"a"}x`:                         "more after",
		`{"by":1}`:                            "not what this route takes",
		`{"quantity":1.5}`:                    "not what this route takes",
		`{"quantity":9223372036854775808}`:    "not what this route takes",
		`{"order_id":"7"}`:                    "not what this route takes",
		`{"until":"tomorrow"}`:                "not what this route takes",
		`[]`:                                  "not what this route takes",
		"{\"by\":\"\xff\"}":                   "UTF-8",
		strings.Repeat(`{"who":`, 40):         "no member",
		strings.Repeat(`[`, 1_000_000):        "deeper than",
		`{"words":` + strings.Repeat("[", 90): "deeper than",
	} {
		var v order
		err := web.DecodeJSON([]byte(body), &v)
		if restock.KindOf(err) != restock.Invalid || !strings.Contains(err.Error(), says) {
			t.Errorf("%.60s: %v, want an error that says %q", body, err, says)
		}
	}
}
