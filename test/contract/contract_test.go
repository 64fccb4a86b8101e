package contract_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/restock/restock/test/contract"
	"go.yaml.in/yaml/v3"
)

func open(t *testing.T) *contract.Contract {
	t.Helper()
	c, err := contract.Open()
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestTheDescriptionIsOpenAPI(t *testing.T) {
	t.Parallel()
	if err := open(t).Validate(); err != nil {
		t.Error(err)
	}
}

// TestTheExamplesAreWhatTheyShow: an example of an answer is an answer, and one
// of a body is accepted.
func TestTheExamplesAreWhatTheyShow(t *testing.T) {
	t.Parallel()
	c := open(t)
	shown := 0
	for _, r := range c.Routes() {
		target := strings.NewReplacer("{product}", "donut", "{id}", anID, "{event}", anID, "{file}", "page.css").Replace(r.Path)
		for status, response := range r.Operation.Responses.Codes.FromOldest() {
			for media, content := range response.Content.FromOldest() {
				for _, body := range examples(t, content) {
					shown++
					x := answered(r.Method, target, status, media, body)
					if !strings.HasPrefix(status, "2") || r.Method == http.MethodGet {
						x.Body = nil
					}
					if err := c.CheckAnswer(r, x); err != nil {
						t.Errorf("%s %s: the example of %s: %v", r.Method, r.Path, status, err)
					}
				}
			}
		}
		if r.Operation.RequestBody == nil || r.Operation.RequestBody.Content == nil {
			continue
		}
		for media, content := range r.Operation.RequestBody.Content.FromOldest() {
			for _, body := range examples(t, content) {
				shown++
				x := answered(r.Method, target, "200", "application/json", "{}")
				x.Body = []byte(body)
				x.Header.Set("Content-Type", media)
				if err := c.Invalid(r, x); err != nil {
					t.Errorf("%s %s: the example of its body: %v", r.Method, r.Path, err)
				}
			}
		}
	}
	if shown < 60 {
		t.Errorf("only %d examples", shown)
	}
}

const anID = "019aa7ce-5b1e-7c7b-b6d2-0d8a3f0a9b11"

func answered(method, target, status, media, body string) *contract.Exchange {
	x := &contract.Exchange{
		Method: method, Target: target, Header: http.Header{"Authorization": {"Bearer x"}},
		Answer: http.Header{
			"Content-Type": {media}, "Traceparent": {"00-x"}, "X-Content-Type-Options": {"nosniff"}, "Content-Language": {"ko"},
			"Retry-After": {"1"},
		},
		AnswerBody: []byte(body),
	}
	x.Answer.Set("WWW-Authenticate", "Bearer")
	_, _ = fmt.Sscan(status, &x.Status)
	return x
}

// examples gives those of a media type as they would be sent.
func examples(t *testing.T, content *v3.MediaType) []string {
	t.Helper()
	var nodes []any
	if content.Example != nil {
		var v any
		if err := content.Example.Decode(&v); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, v)
	}
	for _, e := range content.Examples.FromOldest() {
		var v any
		if err := e.Value.Decode(&v); err != nil {
			t.Fatal(err)
		}
		nodes = append(nodes, v)
	}
	texts := make([]string, len(nodes))
	for i, v := range nodes {
		if text, ok := v.(string); ok {
			var isYAML any
			if err := yaml.Unmarshal([]byte(text), &isYAML); err != nil {
				t.Error(err)
			}
			texts[i] = text
			continue
		}
		text, err := json.Marshal(v)
		if err != nil {
			t.Fatal(err)
		}
		texts[i] = string(text)
	}
	return texts
}

// TestTheContractFindsWhatIsWrong is the control of all that is held against it.
func TestTheContractFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	const adjustment = `{"adjustment_id":"` + anID + `","sku":"A","quantity":1,"on_hand":1,"reason":"x","at":"2026-11-25T09:00:00Z"}`
	good := func() *contract.Exchange {
		x := answered(http.MethodPost, "/v1/adjustments", "201", "application/json", adjustment)
		x.Body = []byte(`{"sku":"A","quantity":1,"reason":"x"}`)
		return x
	}
	if err := open(t).Check(good()); err != nil {
		t.Fatal(err)
	}
	body := func(text string) func(*contract.Exchange) {
		return func(x *contract.Exchange) { x.Body = []byte(text) }
	}
	answer := func(from, to string) func(*contract.Exchange) {
		return func(x *contract.Exchange) { x.AnswerBody = []byte(strings.ReplaceAll(adjustment, from, to)) }
	}
	for _, wrong := range []struct {
		name, promise string
		do            func(*contract.Exchange)
	}{
		{"a member that nobody described", "A1", answer(`"sku"`, `"more":1,"sku"`)},
		{"a member less", "A1", answer(`"on_hand":1,`, ``)},
		{"another type", "A1", answer(`"on_hand":1`, `"on_hand":"1"`)},
		{"a number out of bounds", "A1", answer(`"on_hand":1`, `"on_hand":-1`)},
		{"no time", "A1", answer(`2026-11-25T09:00:00Z`, `yesterday`)},
		{"no id", "A1", answer(anID, `7`)},
		{"null", "A1", answer(`"reason":"x"`, `"reason":null`)},
		{"another status", "A1", func(x *contract.Exchange) { x.Status = http.StatusAccepted }},
		{"another media type", "A1", func(x *contract.Exchange) { x.Answer.Set("Content-Type", "text/html") }},
		{"no trace", "A1", func(x *contract.Exchange) { x.Answer.Del("Traceparent") }},
		{"401 without a word how", "A1", func(x *contract.Exchange) {
			x.Status, x.AnswerBody = http.StatusUnauthorized, []byte(`{"type":"about:blank","title":"Unauthorized","status":401,"detail":"x","code":"unauthorized"}`)
			x.Answer.Set("Content-Type", "application/problem+json")
			x.Answer.Del("WWW-Authenticate")
		}},
		{"another code", "A1", func(x *contract.Exchange) {
			x.Status, x.AnswerBody = http.StatusBadRequest, []byte(`{"type":"about:blank","title":"Bad Request","status":400,"detail":"x","code":"conflict"}`)
			x.Answer.Set("Content-Type", "application/problem+json")
		}},
		{"a route that is not there", "A1", func(x *contract.Exchange) { x.Target = "/v1/adjustment" }},
		{"a method that is not there", "A1", func(x *contract.Exchange) { x.Method = http.MethodPut }},
		{"no quantity", "A2", body(`{"sku":"A","reason":"x"}`)},
		{"quantity and count", "A2", body(`{"sku":"A","quantity":1,"counted":1,"reason":"x"}`)},
		{"a quantity of nothing", "A2", body(`{"sku":"A","quantity":0,"reason":"x"}`)},
		{"a large quantity", "A2", body(`{"sku":"A","quantity":1000000000,"reason":"x"}`)},
		{"a fraction", "A2", body(`{"sku":"A","quantity":1.5,"reason":"x"}`)},
		{"a number as text", "A2", body(`{"sku":"A","quantity":"1","reason":"x"}`)},
		{"null for a member", "A2", body(`{"sku":"A","quantity":1,"reason":"x","free_youngest":null}`)},
		{"an unknown member", "A2", body(`{"sku":"A","quantity":1,"reason":"x","by":"kim"}`)},
		{"other letters", "A2", body(`{"sku":"A","quantity":1,"Reason":"x"}`)},
		{"a member twice", "A2", body(`{"sku":"A","quantity":1,"quantity":1,"reason":"x"}`)},
		{"not UTF-8", "A2", body("{\"sku\":\"A\",\"quantity\":1,\"reason\":\"\xff\"}")},
		{"no JSON", "A2", body(`sku=A`)},
		{"no body", "A2", body(``)},
		{"no token", "A2", func(x *contract.Exchange) { x.Header.Del("Authorization") }},
		{"an unknown parameter", "A2", func(x *contract.Exchange) { x.Target += "?dry_run=true" }},
		{"two keys", "A2", func(x *contract.Exchange) { x.Header["Idempotency-Key"] = []string{"a", "b"} }},
		{"a key with spaces", "A2", func(x *contract.Exchange) { x.Header.Set("Idempotency-Key", "a b") }},
		{"a compressed body", "A2", func(x *contract.Exchange) { x.Header.Set("Content-Encoding", "gzip") }},
	} {
		x := good()
		wrong.do(x)
		if err := open(t).Check(x); err == nil || !strings.HasPrefix(err.Error(), wrong.promise+" ") {
			t.Errorf("%s: got %v, want %s broken", wrong.name, err, wrong.promise)
		}
	}
}

func TestEveryOperationSaysWhatItIs(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, r := range open(t).Routes() {
		o := r.Operation
		if o.OperationId == "" || seen[o.OperationId] || o.Summary == "" || len(o.Tags) != 1 {
			t.Errorf("%s %s: operationId %q has to be there once, with a summary and one tag", r.Method, r.Path, o.OperationId)
		}
		seen[o.OperationId] = true
		makes := r.Method == http.MethodPost && r.Operation.Responses.Codes.GetOrZero("201") != nil
		hasKey := slices.ContainsFunc(r.Parameters(), func(p *v3.Parameter) bool { return p.Name == "Idempotency-Key" })
		if makes && !hasKey {
			t.Errorf("%s %s creates and takes no Idempotency-Key", r.Method, r.Path)
		}
	}
}
