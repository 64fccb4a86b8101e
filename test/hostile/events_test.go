package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/pb33f/jsonschema/v6"
)

// describedEvents are the descriptions in docs/events, by type.
func (h *hunt) describedEvents() map[string]*jsonschema.Schema {
	h.t.Helper()
	paths, err := filepath.Glob("../../docs/events/*.json")
	if err != nil {
		h.t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	described := map[string]*jsonschema.Schema{}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			h.t.Fatal(err)
		}
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
		if err != nil {
			h.t.Fatal(err)
		}
		if err := compiler.AddResource(path, document); err != nil {
			h.t.Fatal(err)
		}
		schema, err := compiler.Compile(path)
		if err != nil {
			h.t.Fatal(err)
		}
		described[strings.TrimSuffix(filepath.Base(path), ".json")] = schema
	}
	return described
}

// judgeEvents holds every event that the hunt set off against its description.
func (h *hunt) judgeEvents() {
	h.t.Helper()
	described := h.describedEvents()
	seen := map[string]int{}
	for after, more := "", true; more; {
		answer, err := h.shop.Operate(http.MethodGet, "/v1/events?limit=1000&after="+url.QueryEscape(after), "")
		if err != nil || answer.Status != http.StatusOK {
			h.t.Fatalf("A1 the log of events can be read: %d %s, %v", answer.Status, answer.Body, err)
		}
		var page struct {
			Items []json.RawMessage `json:"items"`
			Next  string            `json:"next"`
			More  bool              `json:"more"`
		}
		if err := json.Unmarshal([]byte(answer.Body), &page); err != nil {
			h.t.Fatal(err)
		}
		for _, item := range page.Items {
			h.judgeEvent(described, seen, item)
		}
		after, more = page.Next, page.More
	}
	h.t.Logf("events: %v", seen)
	for _, typ := range []string{"stock.low", "stock.out"} {
		if seen[typ] == 0 {
			h.t.Errorf("the hunt set off no %s, only %v", typ, slices.Sorted(maps.Keys(seen)))
		}
	}
}

func (h *hunt) judgeEvent(described map[string]*jsonschema.Schema, seen map[string]int, item json.RawMessage) {
	h.t.Helper()
	event, err := jsonschema.UnmarshalJSON(bytes.NewReader(item))
	if err != nil {
		h.t.Fatal(err)
	}
	members, _ := event.(map[string]any)
	typ := fmt.Sprint(members["type"])
	seen[typ]++
	schema := described[typ]
	if schema == nil {
		h.t.Errorf("A1 every event is described: there is no docs/events/%s.json", typ)
		return
	}
	if err := schema.Validate(event); err != nil {
		h.t.Errorf("A1 every event is as it is described: %v\n%s", err, item)
	}
}
