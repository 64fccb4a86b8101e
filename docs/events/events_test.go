// Package events_test makes the descriptions of the events, as JSON Schema, from
// the Go types that are published, and finds when they are stale:
//
//	go test ./docs/events -update
package events_test

import (
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

var update = flag.Bool("update", false, "write the descriptions anew")

// schema is a JSON Schema, with its members in the order in which they are read.
type schema struct {
	Schema      string             `json:"$schema,omitempty"`
	ID          string             `json:"$id,omitempty"`
	Title       string             `json:"title,omitempty"`
	Description string             `json:"description,omitempty"`
	Type        string             `json:"type,omitempty"`
	Const       any                `json:"const,omitempty"`
	Format      string             `json:"format,omitempty"`
	Pattern     string             `json:"pattern,omitempty"`
	Required    []string           `json:"required,omitempty"`
	Properties  map[string]*schema `json:"properties,omitempty"`
}

const uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"

// names are the members that an event of a type has beside those of all.
func names(t restock.EventType) []string {
	switch t {
	case restock.StockOut, restock.StockBack:
		return []string{"stockout_id"}
	case restock.AdDue:
		return []string{"ad_id"}
	case restock.OrderHeldFor, restock.OrderAwaiting, restock.OrderLate:
		return []string{"order_id"}
	case restock.ReceiptKept:
		return []string{"receipt_id"} // a report without a token may be of no order
	case restock.StockLow:
	}
	return nil
}

// comments are what the source says of its constants and fields, by their names.
type comments map[string]string

func readComments(t *testing.T) comments {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "../../event.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	found := comments{}
	ast.Inspect(file, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.ValueSpec:
			if len(n.Names) == 1 {
				found[n.Names[0].Name] = said(n.Doc, n.Comment)
				if len(n.Values) == 1 {
					if value, ok := n.Values[0].(*ast.BasicLit); ok {
						found[strings.Trim(value.Value, `"`)] = said(n.Doc, n.Comment)
					}
				}
			}
		case *ast.TypeSpec:
			if structure, ok := n.Type.(*ast.StructType); ok {
				for _, f := range structure.Fields.List {
					for _, name := range f.Names {
						found[n.Name.Name+"."+name.Name] = said(f.Doc, f.Comment)
					}
				}
			}
		}
		return true
	})
	return found
}

func said(groups ...*ast.CommentGroup) string {
	for _, g := range groups {
		if text := strings.TrimSpace(g.Text()); text != "" {
			return strings.Join(strings.Fields(text), " ")
		}
	}
	return ""
}

// describe makes the schema of a struct.
func describe(t *testing.T, c comments, of reflect.Type, required []string) *schema {
	t.Helper()
	s := &schema{Type: "object", Properties: map[string]*schema{}}
	for f := range of.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "" || slices.Contains(required, name) {
			s.Required = append(s.Required, name)
		}
		p := describeValue(t, c, f.Type, options == "" && !slices.Contains(required, name))
		p.Description = c[of.Name()+"."+f.Name]
		s.Properties[name] = p
	}
	for _, name := range required {
		if s.Properties[name] == nil {
			t.Fatalf("%s has no %s", of, name)
		}
	}
	return s
}

// describeValue describes a member; an id that is always there may be "".
func describeValue(t *testing.T, c comments, of reflect.Type, orNone bool) *schema {
	t.Helper()
	switch {
	case of == reflect.TypeFor[time.Time]():
		return &schema{Type: "string", Format: "date-time"}
	case of == reflect.TypeFor[restock.EventData]():
		t.Fatal("the data of an event depends on its type")
	case of.Kind() == reflect.Array && of.Elem().Kind() == reflect.Uint8 && orNone && of != reflect.TypeFor[restock.EventID]():
		return &schema{Type: "string", Pattern: "^(" + uuid + ")?$"}
	case of.Kind() == reflect.Array && of.Elem().Kind() == reflect.Uint8:
		return &schema{Type: "string", Pattern: "^" + uuid + "$"}
	case of.Kind() == reflect.String:
		return &schema{Type: "string"}
	case of.Kind() == reflect.Int || of.Kind() == reflect.Int64:
		return &schema{Type: "integer"}
	}
	t.Fatalf("an event has a member of type %s", of)
	return nil
}

func eventSchema(t *testing.T, c comments, typ restock.EventType) *schema {
	t.Helper()
	event := reflect.TypeFor[restock.Event]()
	s := &schema{
		Schema: "https://json-schema.org/draft/2020-12/schema", ID: "restock:event:" + string(typ),
		Title: string(typ), Description: c[string(typ)], Type: "object", Properties: map[string]*schema{},
	}
	for f := range event.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if options == "" {
			s.Required = append(s.Required, name)
		}
		var p *schema
		switch name {
		case "data":
			p = describe(t, c, f.Type, names(typ))
			p.Properties["version"].Const = restock.EventVersion
		case "type":
			p = &schema{Const: string(typ)}
		default:
			p = describeValue(t, c, f.Type, options == "")
		}
		p.Description = c["Event."+f.Name]
		s.Properties[name] = p
	}
	return s
}

// TestTheEventsAreDescribedAsTheyAre: a type that changes without its description
// would surprise whoever reads it.
func TestTheEventsAreDescribedAsTheyAre(t *testing.T) {
	t.Parallel()
	c := readComments(t)
	want := map[string]string{}
	for _, typ := range restock.EventTypes() {
		text, err := json.MarshalIndent(eventSchema(t, c, typ), "", "  ")
		if err != nil {
			t.Fatal(err)
		}
		want[string(typ)+".json"] = string(text) + "\n"
	}
	if *update {
		for name, text := range want {
			if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	paths, err := filepath.Glob("*.json")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(paths, slices.Sorted(maps.Keys(want))); diff != "" {
		t.Errorf("the descriptions are not those of the events; run go test ./docs/events -update (-got +want):\n%s", diff)
	}
	for _, path := range paths {
		got, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(got), want[path]); diff != "" {
			t.Errorf("%s is stale; run go test ./docs/events -update (-got +want):\n%s", path, diff)
		}
		if !strings.Contains(string(got), `"description": "`) {
			t.Errorf("%s says nothing", path)
		}
	}
}
