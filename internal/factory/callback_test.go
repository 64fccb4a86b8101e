package factory_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/factory"
)

const callbackBody = `{"MessageAttributeProductId":"CP-502101",` +
	`"MessageAttributeProductCnt":"3","MessageAttributeFactoryId":"FF-500293",` +
	`"MessageAttributeRequester":"김재고","CallbackUrl":"https://shop.example/product/donut?token=abc",` +
	`"MessageGroupId":"stock-arrival-group"}`

func TestRequestIsWrittenAsTheFactoryExpects(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(factory.Request{
		ProductID: "CP-502101", Count: 3, FactoryID: "FF-500293", Requester: "김재고",
		CallbackURL: "https://shop.example/product/donut?token=abc",
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(body), callbackBody); diff != "" {
		t.Errorf("request (-got +want):\n%s", diff)
	}
}

func TestParseCallbackReadsWhatTheFactoryEchoes(t *testing.T) {
	t.Parallel()
	got := factory.ParseCallback([]byte(callbackBody))
	want := factory.Report{
		ProductID: "CP-502101", FactoryID: "FF-500293", Requester: "김재고",
		CallbackURL: "https://shop.example/product/donut?token=abc",
		Count:       3, Claimed: "3",
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("report (-got +want):\n%s", diff)
	}
}

func TestParseCallbackReadsOnlyPlainPositiveCounts(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		body    string
		count   int64
		claimed string
	}{
		{`{"MessageAttributeProductCnt":3}`, 3, "3"},
		{`{"MessageAttributeProductCnt":"0012"}`, 12, "0012"},
		{`{"MessageAttributeProductCnt":"999999999"}`, factory.CountMax, "999999999"},
		{`{"OrderStockCnt":"7"}`, 7, "7"},
		{`{"OrderStockCnt":7,"MessageAttributeProductCnt":"7"}`, 7, "7"},
		{`{"OrderStockCnt":8,"MessageAttributeProductCnt":"7"}`, 0, "7"},
		{`{"MessageAttributeProductCnt":"1e3"}`, 0, "1e3"},
		{`{"MessageAttributeProductCnt":1e3}`, 0, "1e3"},
		{`{"MessageAttributeProductCnt":3.0}`, 0, "3.0"},
		{`{"MessageAttributeProductCnt":3.5}`, 0, "3.5"},
		{`{"MessageAttributeProductCnt":-3}`, 0, "-3"},
		{`{"MessageAttributeProductCnt":"+3"}`, 0, "+3"},
		{`{"MessageAttributeProductCnt":0}`, 0, "0"},
		{`{"MessageAttributeProductCnt":"000"}`, 0, "000"},
		{`{"MessageAttributeProductCnt":""}`, 0, ""},
		{`{"MessageAttributeProductCnt":null}`, 0, ""},
		{`{"MessageAttributeProductCnt":"1000000000"}`, 0, "1000000000"},
		{`{"MessageAttributeProductCnt":99999999999999999999}`, 0, "99999999999999999999"},
		{`{"MessageAttributeProductCnt":"３"}`, 0, "３"},
		{`{"MessageAttributeProductCnt":"0x3"}`, 0, "0x3"},
		{`{"MessageAttributeProductCnt":"1_0"}`, 0, "1_0"},
		{`{"MessageAttributeProductCnt":[3]}`, 0, "[3]"},
		{`{"MessageAttributeProductCnt":true}`, 0, "true"},
		{`{"MessageAttributeProductCnt":"3","MessageAttributeProductCnt":"300"}`, 0, "3"},
		{`{"MessageAttributeProductCnt":"3","CallbackUrl":"a","CallbackUrl":"b"}`, 0, "3"},
		{`{"MessageAttributeProductCnt":"3"} {"MessageAttributeProductCnt":"3"}`, 0, "3"},
		{`{"MessageAttributeProductCnt":"3",`, 0, "3"},
		{`{"messageattributeproductcnt":"3"}`, 0, ""},
		{`{}`, 0, ""},
		{`[]`, 0, ""},
		{`null`, 0, ""},
		{`3`, 0, ""},
		{``, 0, ""},
		{` `, 0, ""},
		{`<html>`, 0, ""},
		{`MessageAttributeProductCnt=3`, 0, ""},
		{strings.Repeat(`{"a":`, 20_000), 0, ""},
	} {
		got := factory.ParseCallback([]byte(test.body))
		name := test.body[:min(len(test.body), 80)]
		if got.Count != test.count || got.Claimed != test.claimed {
			t.Errorf("%s: got count %d claimed %q, want %d %q", name, got.Count, got.Claimed, test.count, test.claimed)
		}
		if (got.Problem == "") != (test.count > 0) {
			t.Errorf("%s: got problem %q", name, got.Problem)
		}
	}
}

// The token in the body may be the only way to the order.
func TestParseCallbackKeepsTheAddressOfABrokenBody(t *testing.T) {
	t.Parallel()
	for _, body := range []string{
		`{"CallbackUrl":"https://a.example/?token=x","MessageAttributeProductCnt":"3"`,
		`{"CallbackUrl":"https://a.example/?token=x","MessageAttributeProductCnt":`,
		`{"CallbackUrl":"https://a.example/?token=x","CallbackUrl":"https://b.example/?token=y"}`,
		`{"CallbackUrl":"https://a.example/?token=x"} trailing`,
	} {
		got := factory.ParseCallback([]byte(body))
		if got.CallbackURL != "https://a.example/?token=x" || got.Problem == "" || got.Count != 0 {
			t.Errorf("%s: got %+v", body, got)
		}
	}
}

func FuzzParseCallback(f *testing.F) {
	f.Add([]byte(callbackBody))
	f.Add([]byte(`{"OrderStockCnt":3,"MessageAttributeProductCnt":"3"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		got := factory.ParseCallback(body)
		if (got.Problem == "") != (got.Count > 0) {
			t.Errorf("count %d with problem %q", got.Count, got.Problem)
		}
		if got.Count < 0 || got.Count > factory.CountMax {
			t.Errorf("count %d is out of bounds", got.Count)
		}
		if got.Count > 0 && !json.Valid(body) {
			t.Error("counted a body that is not JSON")
		}
		if got.Claimed != factory.Redact(got.Claimed) || got.Problem != factory.Redact(got.Problem) {
			t.Errorf("a token is shown: %q %q", got.Claimed, got.Problem)
		}
	})
}
