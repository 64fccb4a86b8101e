package hostile_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock/internal/openapi"
	"go.yaml.in/yaml/v3"
)

// description is the document as plain values, which the requests are made from.
type description map[string]any

func readDescription() (description, error) {
	var d map[string]any
	err := yaml.Unmarshal(openapi.Document(), &d)
	return d, err
}

// at follows names into the document, and references on the way.
func (d description) at(v any, names ...string) any {
	v = d.resolve(v)
	for _, name := range names {
		m, _ := v.(map[string]any)
		v = d.resolve(m[name])
	}
	return v
}

func (d description) resolve(v any) any {
	m, ok := v.(map[string]any)
	if !ok {
		return v
	}
	ref, ok := m["$ref"].(string)
	if !ok {
		return v
	}
	return d.at(map[string]any(d), strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
}

func (d description) list(v any, names ...string) []any {
	list, _ := d.at(v, names...).([]any)
	return list
}

// place is one operation of the document.
type place struct {
	method, path string
	operation    any
	parameters   []any
	body         any // the schema of its JSON; nil is none
}

func (d description) places() []place {
	var all []place
	paths, _ := d.at(map[string]any(d), "paths").(map[string]any)
	for _, path := range slices.Sorted(maps.Keys(paths)) {
		item, _ := paths[path].(map[string]any)
		for _, method := range slices.Sorted(maps.Keys(item)) {
			if method == "parameters" {
				continue
			}
			p := place{method: strings.ToUpper(method), path: path, operation: item[method]}
			p.parameters = append(d.list(item, "parameters"), d.list(item[method], "parameters")...)
			content, _ := d.at(item[method], "requestBody", "content").(map[string]any)
			for _, media := range []string{"*/*", "application/json", "application/x-www-form-urlencoded"} {
				if content[media] != nil {
					p.body = d.at(content[media], "schema")
				}
			}
			all = append(all, p)
		}
	}
	return all
}

// request is what is sent.
type request struct {
	place  place
	method string
	path   string
	query  string
	header []string // lines, in their order
	body   []byte

	token    bool // the right one is in it
	raw      bool // it is not HTTP as it should be
	mutation string
}

// known is what the shop has at present, for requests that mean something.
type known struct {
	token string
	ids   map[string][]string // by the name of what they are of
	calls []string            // tokens that factories call back with
}

// maker makes requests from the document and from chance.
type maker struct {
	d      description
	dice   *rand.Rand
	known  func() known
	places []place
	now    time.Time
}

func (m *maker) one(n int) bool { return m.dice.IntN(n) == 0 }

func pick[T any](m *maker, from ...T) T { return from[m.dice.IntN(len(from))] }

// valid makes a request that the document calls right.
func (m *maker) valid(p place) request {
	k := m.known()
	r := request{place: p, method: p.method, path: p.path, token: true}
	var query []string
	for _, given := range p.parameters {
		parameter := m.d.at(given)
		name, _ := m.d.at(parameter, "name").(string)
		in, _ := m.d.at(parameter, "in").(string)
		switch in {
		case "path":
			r.path = strings.ReplaceAll(r.path, "{"+name+"}", m.parameter(k, p.path, name))
		case "query":
			if name == "limit" || m.one(3) {
				query = append(query, name+"="+url.QueryEscape(fmt.Sprint(m.queryValue(k, name, m.d.at(parameter, "schema")))))
			}
		case "header":
			if name == "Idempotency-Key" && m.one(2) {
				r.header = append(r.header, fmt.Sprintf("Idempotency-Key: key-%d", m.dice.IntN(10_000)))
			}
		}
	}
	if p.path == "/product/{product}" && p.method == http.MethodPost && len(k.calls) > 0 && m.one(2) {
		query = append(query, "token="+k.calls[m.dice.IntN(len(k.calls))])
		r.body = fmt.Appendf(nil, `{"MessageAttributeProductCnt":%s}`, pick(m, `"1"`, "2", `"0"`, `"-1"`, "null", "1.5", "[]", `"99999999999"`))
	}
	r.query = strings.Join(query, "&")
	if !m.one(20) {
		r.header = append(r.header, "Content-Type: "+pick(m, "application/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", "text/plain"))
	}
	if m.one(3) {
		r.header = append(r.header, "Accept-Language: "+pick(m, "en", "ko", "fr;q=0.3, en;q=0.9"))
	}
	if p.body != nil && r.body == nil {
		body, err := json.Marshal(m.value(k, p.path, "", p.body, 0))
		if err != nil {
			panic(err) // an error of this test
		}
		r.body = body
	}
	if p.path == "/v1/catalog" && p.method == http.MethodPost {
		r.header = []string{"Content-Type: application/json"}
	}
	return r
}

// parameter is a value for a part of a path.
func (m *maker) parameter(k known, path, name string) string {
	if name == "product" {
		return pick(m, "donut", "CP-502101", "bagel", "BG-1", "cake")
	}
	of, _, _ := strings.Cut(strings.TrimPrefix(path, "/v1/"), "/")
	if ids := k.ids[of]; name == "id" && len(ids) > 0 && !m.one(8) {
		return ids[m.dice.IntN(len(ids))]
	}
	if ids := k.ids["events"]; name == "event" && len(ids) > 0 {
		return ids[m.dice.IntN(len(ids))]
	}
	if name != "file" {
		return m.uuid()
	}
	return "page.css"
}

func (m *maker) uuid() string {
	return fmt.Sprintf("%08x-%04x-7%03x-8%03x-%012x", m.dice.Uint32(), m.dice.IntN(1<<16), m.dice.IntN(1<<12), m.dice.IntN(1<<12), m.dice.Int64N(1<<48))
}

func (m *maker) queryValue(k known, name string, schema any) any {
	switch name {
	case "limit": // long pages cost the time that another request could be sent in
		return 1 + m.dice.IntN(3)
	case "product":
		return pick(m, "donut", "CP-502101", "BG-1")
	case "after":
		return ""
	case "type":
		return "stock.out"
	case "from":
		return m.now.Add(-time.Hour).UTC().Format(time.RFC3339)
	case "queue":
		return pick(m, "stock-queue", "ad-queue", "ops-queue")
	}
	return m.value(k, "", name, schema, 0)
}

// value makes a value that a schema calls right. What a name means in this shop
// is filled in, so that requests come further than the check of their form.
func (m *maker) value(k known, path, name string, schema any, depth int) any {
	if v, ok := m.meant(k, path, name); ok {
		return v
	}
	s, _ := m.d.at(schema).(map[string]any)
	if enum := m.d.list(s, "enum"); len(enum) > 0 {
		return enum[m.dice.IntN(len(enum))]
	}
	if c, ok := s["const"]; ok {
		return c
	}
	switch kind(s) {
	case "object":
		return m.object(k, path, s, depth)
	case "array":
		n := m.dice.IntN(3) + int(number(s["minItems"], 0))
		list := make([]any, 0, n)
		for range n {
			list = append(list, m.value(k, path, name, s["items"], depth+1))
		}
		return list
	case "integer":
		least, most := number(s["minimum"], 0), number(s["maximum"], 1e9)
		return int64(least) + m.dice.Int64N(min(int64(most)-int64(least), 5)+1)
	case "number":
		return 1 + m.dice.Float64()
	case "boolean":
		return m.one(2)
	}
	return m.text(s)
}

func kind(s map[string]any) string {
	switch t := s["type"].(type) {
	case string:
		return t
	case []any:
		return fmt.Sprint(t[0])
	}
	return ""
}

func number(v any, otherwise float64) float64 {
	switch v := v.(type) {
	case int:
		return float64(v)
	case float64:
		return v
	}
	return otherwise
}

func (m *maker) text(s map[string]any) string {
	switch {
	case s["format"] == "date-time":
		return m.now.Add(time.Duration(m.dice.IntN(48)) * time.Hour).UTC().Format(time.RFC3339)
	case strings.Contains(fmt.Sprint(s["pattern"]), "A-Fa-f"):
		return m.uuid()
	}
	return pick(m, "a", "도너츠", "x y", "Ω≈ç", "\"quoted\"", "<b>", "0", "true", "null", "'; DROP TABLE products; --")
}

func (m *maker) object(k known, path string, s map[string]any, depth int) any {
	properties, _ := s["properties"].(map[string]any)
	required := m.d.list(s, "required")
	result := map[string]any{}
	for _, name := range slices.Sorted(maps.Keys(properties)) {
		if slices.Contains(required, any(name)) || m.one(2) && depth < 3 {
			result[name] = m.value(k, path, name, properties[name], depth+1)
		}
	}
	// What excludes each other.
	if _, cart := result["items"]; cart && path != "/v1/sales/{id}/return" {
		delete(result, "sku")
		delete(result, "quantity")
	}
	if path == "/v1/adjustments" {
		delete(result, pick(m, "quantity", "counted"))
		if result["quantity"] == nil && result["counted"] == nil {
			result["quantity"] = pick(m, 1, 2, 3, -1)
		}
	}
	return result
}

// meant gives what a name means in this shop.
func (m *maker) meant(k known, path, name string) (any, bool) {
	switch name {
	case "sku":
		if path == "/v1/catalog" {
			return fmt.Sprintf("N-%d", m.dice.IntN(50)), true
		}
		return pick(m, "CP-502101", "donut", "BG-1"), true
	case "slug":
		return fmt.Sprintf("n-%d", m.dice.IntN(50)), true
	case "factory":
		return "FF-500293", true
	case "advertisement":
		return "donut-main", true
	case "identifier":
		return "FF-500293", true
	case "url":
		return "http://127.0.0.1:9/api/manufactures", true // where nobody listens
	case "manager_email", "buyer_email":
		return "somebody@donut.example", true
	case "currency":
		return "KRW", true
	case "default_product":
		return "CP-502101", true
	case "order_id":
		if ids := k.ids["replenishment-orders"]; len(ids) > 0 {
			return ids[m.dice.IntN(len(ids))], true
		}
	case "ids":
		if ids := k.ids["dead-letters"]; len(ids) > 0 {
			return []any{ids[m.dice.IntN(len(ids))]}, true
		}
	case "dry_run":
		return !m.one(4), true
	case "order_up_to":
		return 0, true
	case "queue":
		return pick(m, "stock-queue", "ad-queue"), true
	case "acknowledges", "after", "callback_url":
		return "", true
	case "events":
		return pick(m, []any{}, []any{"stock.out"}, []any{"stock.back", "stock.low"}), true
	}
	return nil, false
}

// huge are numbers that do not fit.
func huge(m *maker) json.RawMessage {
	return json.RawMessage(pick(m, "9223372036854775807", "9223372036854775808", "-9223372036854775809", "1e400", "-1e400", "1e18", "1000000000", "-1",
		"-999999999", "0", "-0", "1.5", "0.0000001", "1.0", "1e2", "18446744073709551617", "1"+strings.Repeat("0", 400), fmt.Sprint(math.MaxInt32+1)))
}
