package hostile_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// mutation makes a request wrong, or at least strange.
type mutation struct {
	name string
	do   func(*maker, *request)
}

func mutations() []mutation {
	return []mutation{
		{"nothing", func(*maker, *request) {}},
		{"a value of another type", func(m *maker, r *request) { m.replace(r, m.strange) }},
		{"a value of another type", func(m *maker, r *request) { m.replace(r, m.strange) }},
		{"a number that does not fit", func(m *maker, r *request) { m.replace(r, func(any) any { return huge(m) }) }},
		{"null", func(m *maker, r *request) { m.replace(r, func(any) any { return nil }) }},
		{"a member less", func(m *maker, r *request) { m.members(r, func(o map[string]any, name string) { delete(o, name) }) }},
		{"a member more", func(m *maker, r *request) {
			m.members(r, func(o map[string]any, _ string) {
				o[pick(m, "note", "__proto__", "", "Quantity", "role", "$ref")] = m.strange(nil)
			})
		}},
		{"a member in other letters", func(m *maker, r *request) {
			m.members(r, func(o map[string]any, name string) {
				v := o[name]
				delete(o, name)
				o[pick(m, strings.ToUpper(name), strings.ToTitle(name[:min(1, len(name))])+name[min(1, len(name)):], name+" ", "\u212A"+name)] = v
			})
		}},
		{"a member twice", (*maker).twice},
		{"not UTF-8", func(m *maker, r *request) {
			m.intoText(r, pick(m, "\xff", "\xc3\x28", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80"))
		}},
		{"NUL", func(m *maker, r *request) { m.intoText(r, pick(m, `\u0000`, "\x00", `\ud800`, "\n", `\u202e`)) }},
		{"a long text", func(m *maker, r *request) {
			m.replace(r, func(any) any { return strings.Repeat(pick(m, "a", "가", "'"), 10_000) })
		}},
		{"deep", func(m *maker, r *request) {
			n := pick(m, 30, 40, 1000, 12_000)
			deep := strings.Repeat("[", n) + strings.Repeat("]", n)
			if m.one(2) {
				deep = strings.Repeat(`{"a":`, n) + "1" + strings.Repeat("}", n)
			}
			if m.one(2) {
				r.body = []byte(deep)
				return
			}
			m.replace(r, func(any) any { return json.RawMessage(deep) })
		}},
		{"another body", func(m *maker, r *request) {
			r.body = []byte(pick(m, "", " ", "null", "true", "[]", "{}", `""`, "0", "{", "}", "[{}]", "sku=donut&quantity=1", "<html></html>", "\uFEFF{}", "{}{}", "{} x", `{'a':1}`, "---\n- a", "!!binary x"))
		}},
		{"cut short", func(m *maker, r *request) {
			if len(r.body) > 0 {
				r.body = r.body[:m.dice.IntN(len(r.body))]
			}
		}},
		{"a byte changed", func(m *maker, r *request) {
			if len(r.body) > 0 {
				r.body = bytes.Clone(r.body)
				r.body[m.dice.IntN(len(r.body))] = byte(m.dice.IntN(256))
			}
		}},
		{"a large body", func(m *maker, r *request) {
			if m.one(4) { // they cost more than others
				r.body = slices.Concat(r.body, bytes.Repeat([]byte(pick(m, " ", "[", "a")), 70<<10))
			}
		}},
		{"an unknown query parameter", func(m *maker, r *request) {
			r.ask(pick(m, "sate=held", "Limit=1", "limit[]=1", "debug=true", "a", "=", "&&", "q=1", "token=x", "admin=1", ";limit=1"))
		}},
		{"a parameter twice", func(m *maker, r *request) {
			r.ask(r.query)
			if m.one(2) {
				r.ask("limit=1&limit=2")
			}
		}},
		{"a bad limit", func(m *maker, r *request) {
			r.query = ""
			r.ask("limit=" + pick(m, "0", "-1", "1001", "1e3", "1.0", "abc", "", "%31", "+5", "%2B5", "05", "99999999999999999999", "1%00", "NaN", "٣"))
		}},
		{"a strange parameter", func(m *maker, r *request) {
			r.ask(pick(m, "after", "product", "state", "queue", "type", "needed", "error", "reference", "dry_run") + "=" +
				pick(m, "", "%", "%zz", "%00", "%ff%fe", url.QueryEscape(strings.Repeat("x", 3000)), "..%2f..", "'%20OR%201=1--", "-1", "null", "true", "yes", "1", "TRUE", "%F0%9F%8D%A9",
					"00000000-0000-0000-0000-000000000000", m.uuid(), "held", "open", "9223372036854775808"))
		}},
		{"a broken id", func(m *maker, r *request) {
			parts := strings.Split(r.path, "/")
			parts[m.dice.IntN(len(parts))] = pick(m, "0", "-1", "null", "undefined", "00000000-0000-0000-0000-000000000000", strings.ToUpper(m.uuid()), m.uuid()+"0", m.uuid()[:35],
				"%00", "%2e%2e", "..", ".", "%2f", "%ff", "%", "%zz", "%20", "{id}", "*", "a%00b", strings.Repeat("9", 3000), "%F0%9F%8D%A9", "%E0%80%80", "x;y", "x?limit=0", "redrive")
			r.path = strings.Join(parts, "/")
		}},
		{"another path", func(m *maker, r *request) {
			r.path = pick(m, r.path+"/", "/"+r.path, strings.ToUpper(r.path), r.path+"/more", "/v1", "/v1/", "/v2/products", "/V1/products", "/", "/v1/../v1/status", "/v1//status", "/./checkout",
				"/product/", "/product", "/checkout/", "/docs/", "/docs/../openapi.yaml", "/dashboard", "/v1/products/a/b/c", "/%76%31/status", r.path+"%3Ftoken=x")
		}},
		{"another method", func(m *maker, r *request) {
			r.method = pick(m, "GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "FOO", "get", "PROPFIND")
		}},
		{"no token", func(_ *maker, r *request) { r.token = false }},
		{"a forged token", func(m *maker, r *request) {
			r.token = false
			token := m.known().token
			r.header = append(r.header, "Authorization: "+pick(m, "Bearer "+token[:len(token)-1], "Bearer "+token+"0", "Basic "+token, "Bearer", "Bearer ", "Bearer "+strings.ToUpper(token),
				token, "Bearer: "+token, "Bearer\t"+token, "Bearer "+strings.Repeat("a", 5000), "Bearer \x00"+token, "Digest x", "Bearer null", "bearer "+token[1:]))
		}},
		{"a strange header", func(m *maker, r *request) {
			r.header = append(r.header, pick(m, "Content-Encoding: gzip", "Content-Encoding: br, gzip", "Content-Encoding: identity", "Idempotency-Key: ", "Idempotency-Key: a b", "Idempotency-Key: "+strings.Repeat("k", 256),
				"Idempotency-Key: ключ", "Idempotency-Key: one\r\nIdempotency-Key: two", "Content-Type: multipart/form-data; boundary=x", "Content-Type: application/xml", "Content-Type: \x01", "Content-Type: application/json, text/html",
				"Accept: text/html", "Accept-Language: "+strings.Repeat("en;q=0.1,", 500), "Accept-Language: ;;;=", "X-HTTP-Method-Override: DELETE", "X-Forwarded-For: 1.2.3.4, x", "Origin: https://evil.example", "Origin: null",
				"Cookie: session=x", "Traceparent: 00-"+strings.Repeat("0", 32)+"-"+strings.Repeat("0", 16)+"-01", "Traceparent: zz", "Range: bytes=0-1", "If-None-Match: *", "Expect: 100-continue", "Connection: close", "Upgrade: h2c",
				"Sec-Fetch-Site: cross-site", "Access-Control-Request-Method: DELETE", "Content-Length-X: 1", "Transfer-Encoding-X: chunked", "Authorization: Bearer x"))
			if strings.HasPrefix(r.header[len(r.header)-1], "Authorization") {
				r.raw = true // which of two counts is not described
			}
		}},
		{"not HTTP", func(m *maker, r *request) {
			r.raw = true
			switch m.dice.IntN(6) {
			case 0:
				r.header = append(r.header, pick(m, "Content-Length: 5\r\nContent-Length: 6", "Content-Length: -1", "Content-Length: x", "Transfer-Encoding: gzip", "Transfer-Encoding: chunked\r\nContent-Length: 3"))
			case 1:
				r.header = append(r.header, pick(m, "Bad Header: x", ": x", "no colon", "X: \x00", "X-\x7f: y", " folded: x", "Host: other.example", "Expect: magic"))
			case 2:
				r.header = append(r.header, "X-Large: "+strings.Repeat("a", 80<<10))
			case 3:
				r.method = pick(m, "", "G T", "GET\x00", "(", strings.Repeat("A", 9000))
			case 4:
				r.path = pick(m, "", "*", "http://other.example/checkout", "//other.example/checkout", "\x00", "/a b", "checkout", "?x", "/\xff\xfe", "/%", strings.Repeat("/a", 40_000))
			default:
				r.query = pick(m, "a b", "\x00", "#x", "\xff", "a\tb")
			}
		}},
	}
}

func (r *request) ask(more string) {
	if r.query != "" {
		more = r.query + "&" + more
	}
	r.query = more
}

// hostile makes a request that something is wrong with, or some things.
func (m *maker) hostile(all []mutation) request {
	r := m.valid(m.places[m.dice.IntN(len(m.places))])
	n := 1
	if m.one(5) {
		n = 2 + m.dice.IntN(2)
	}
	var names []string
	for range n {
		chosen := all[m.dice.IntN(len(all))]
		chosen.do(m, &r)
		names = append(names, chosen.name)
	}
	r.mutation = strings.Join(names, ", ")
	if r.body != nil && r.method == http.MethodGet && m.one(2) {
		r.body = nil
	}
	return r
}

func (m *maker) strange(any) any {
	return pick[any](m, nil, true, 0, -1, 1.5, "", "x", []any{}, map[string]any{}, []any{nil}, map[string]any{"a": 1}, huge(m), "2026-13-45", "NaN")
}

// decode reads the body; false when there is no JSON in it.
func decode(r *request) (any, bool) {
	var v any
	decoder := json.NewDecoder(bytes.NewReader(r.body))
	decoder.UseNumber()
	if len(r.body) == 0 || decoder.Decode(&v) != nil {
		return nil, false
	}
	return v, true
}

func (r *request) encode(v any) {
	if body, err := json.Marshal(v); err == nil {
		r.body = body
	}
}

// replace puts another value at a place of the body that chance chooses.
func (m *maker) replace(r *request, with func(any) any) {
	v, ok := decode(r)
	if !ok {
		return
	}
	r.encode(m.replaced(v, with))
}

func (m *maker) replaced(v any, with func(any) any) any {
	if m.one(8) {
		return with(v)
	}
	switch v := v.(type) {
	case map[string]any:
		if len(v) > 0 {
			name := slices.Sorted(maps.Keys(v))[m.dice.IntN(len(v))]
			v[name] = m.replaced(v[name], with)
			return v
		}
	case []any:
		if len(v) > 0 {
			i := m.dice.IntN(len(v))
			v[i] = m.replaced(v[i], with)
			return v
		}
	}
	return with(v)
}

// members does something to one member of the body.
func (m *maker) members(r *request, do func(o map[string]any, name string)) {
	v, ok := decode(r)
	o, isObject := v.(map[string]any)
	if !ok || !isObject || len(o) == 0 {
		return
	}
	name := slices.Sorted(maps.Keys(o))[m.dice.IntN(len(o))]
	if inner, ok := o[name].([]any); ok && len(inner) > 0 && m.one(2) {
		if deeper, ok := inner[0].(map[string]any); ok && len(deeper) > 0 {
			o, name = deeper, slices.Sorted(maps.Keys(deeper))[m.dice.IntN(len(deeper))]
		}
	}
	do(o, name)
	r.encode(v)
}

// twice writes a member a second time.
func (m *maker) twice(r *request) {
	v, _ := decode(r)
	o, ok := v.(map[string]any)
	if !ok || len(o) == 0 {
		return
	}
	name := slices.Sorted(maps.Keys(o))[m.dice.IntN(len(o))]
	value, err := json.Marshal(pick(m, o[name], m.strange(nil)))
	if err != nil {
		return
	}
	r.body = slices.Concat(fmt.Appendf(nil, `{%q:%s,`, name, value), bytes.TrimSpace(r.body)[1:])
}

// intoText puts bytes into a text of the body as they are.
func (m *maker) intoText(r *request, what string) {
	var quotes []int
	for i, b := range r.body {
		if b == '"' {
			quotes = append(quotes, i)
		}
	}
	if len(quotes) == 0 {
		return
	}
	at := quotes[m.dice.IntN(len(quotes))] + 1
	r.body = slices.Concat(r.body[:at], []byte(what), r.body[at:])
}
