package web_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

func TestPageLimits(t *testing.T) {
	t.Parallel()
	for query, want := range map[string]web.Page{
		"":                                     {Limit: 100},
		"limit=1&after=a%2Bb":                  {Limit: 1, After: "a+b"},
		"limit=1000":                           {Limit: 1000},
		"limit=1001":                           {},
		"limit=0":                              {},
		"limit=-1":                             {},
		"limit=":                               {},
		"limit=ten":                            {},
		"limit=1e2":                            {},
		"limit=99999999999999999999":           {},
		"after=%zz":                            {},
		"after=" + strings.Repeat("x", 10_000): {},
	} {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/sales?"+query, http.NoBody)
		got, err := web.ParsePage(r)
		if got != want {
			t.Errorf("%.30s: %+v, want %+v", query, got, want)
		}
		if (want == web.Page{}) != (restock.KindOf(err) == restock.Invalid) {
			t.Errorf("%.30s: error %v", query, err)
		}
	}
}

func TestListHasItemsAlways(t *testing.T) {
	t.Parallel()
	for want, list := range map[string]web.List[int]{
		`{"items":[]}`:                    {},
		`{"items":[1,2],"next":"cursor"}`: {Items: []int{1, 2}, Next: "cursor"},
	} {
		got, err := json.Marshal(list)
		if err != nil {
			t.Fatal(err)
		}
		if string(got) != want {
			t.Errorf("list %s, want %s", got, want)
		}
	}
}
