package web

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"strings"
	"unicode/utf8"
)

// jsonDepthMax bounds how deep a body is nested. What we read is flat.
const jsonDepthMax = 32

// DecodeJSON reads a body that must be one JSON value into the value that v
// points to, and nothing but what v has a place for: a member that v does not
// have, in exactly these letters, one that comes twice, and null are refused.
// Who writes "quantities" or "Quantity" means something, and must not get an
// answer as if nothing had been said. The error is of kind Invalid.
func DecodeJSON(body []byte, v any) error {
	if !utf8.Valid(body) {
		return invalidf("The body is not UTF-8.")
	}
	walk := jsonWalk{decoder: json.NewDecoder(bytes.NewReader(body))}
	walk.decoder.UseNumber()
	if err := walk.value(reflect.TypeOf(v), "", 0); err != nil {
		return err
	}
	if _, err := walk.decoder.Token(); !errors.Is(err, io.EOF) {
		return invalidf("The body has more after its JSON value.")
	}
	if err := json.Unmarshal(body, v); err != nil {
		return invalidf("The JSON of the body is not what this route takes: %v", err)
	}
	return nil
}

// jsonWalk goes through a JSON text beside the type that it is for.
type jsonWalk struct{ decoder *json.Decoder }

// value checks the next value. A nil type is of what has no members of its own:
// encoding/json says what is wrong with it.
func (w jsonWalk) value(t reflect.Type, at string, depth int) error {
	token, err := w.decoder.Token()
	switch {
	case err != nil:
		return invalidf("The body is not JSON: %v", err)
	case depth > jsonDepthMax:
		return invalidf("The body is nested deeper than %d levels.", jsonDepthMax)
	case token == nil:
		return invalidf("%snull is no value here. Leave the member out.", at)
	}
	switch token {
	case json.Delim('{'):
		return w.object(structOf(t), at, depth)
	case json.Delim('['):
		return w.list(elementOf(t), at, depth)
	}
	return nil
}

func (w jsonWalk) object(t reflect.Type, at string, depth int) error {
	seen := map[string]bool{}
	for w.decoder.More() {
		token, err := w.decoder.Token()
		name, ok := token.(string)
		if err != nil || !ok {
			return invalidf("The body is not JSON: %v", err)
		}
		if seen[name] {
			return invalidf("%sthe member %q is there twice.", at, cut(name))
		}
		seen[name] = true
		var member reflect.Type
		if t != nil {
			if member = memberOf(t, name); member == nil {
				return invalidf("%sthere is no member %q here; take %s.", at, cut(name), strings.Join(membersOf(t), ", "))
			}
		}
		if err := w.value(member, at+cut(name)+": ", depth+1); err != nil {
			return err
		}
	}
	return w.end()
}

func (w jsonWalk) list(t reflect.Type, at string, depth int) error {
	for w.decoder.More() {
		if err := w.value(t, at, depth+1); err != nil {
			return err
		}
	}
	return w.end()
}

func (w jsonWalk) end() error {
	if _, err := w.decoder.Token(); err != nil {
		return invalidf("The body is not JSON: %v", err)
	}
	return nil
}

// structOf is the struct that an object is read into; nil if it is none, or one
// that reads itself.
func structOf(t reflect.Type) reflect.Type {
	t = pointedTo(t)
	if t == nil || t.Kind() != reflect.Struct || readsItself(t) {
		return nil
	}
	return t
}

func elementOf(t reflect.Type) reflect.Type {
	t = pointedTo(t)
	if t == nil || t.Kind() != reflect.Slice || readsItself(t) {
		return nil
	}
	return t.Elem()
}

func pointedTo(t reflect.Type) reflect.Type {
	for t != nil && t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	return t
}

func readsItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(reflect.TypeFor[json.Unmarshaler]()) || p.Implements(reflect.TypeFor[encoding.TextUnmarshaler]())
}

func memberOf(t reflect.Type, name string) reflect.Type {
	for _, f := range reflect.VisibleFields(t) {
		if n, ok := memberName(f); ok && n == name {
			return f.Type
		}
	}
	return nil
}

func membersOf(t reflect.Type) []string {
	var names []string
	for _, f := range reflect.VisibleFields(t) {
		if n, ok := memberName(f); ok {
			names = append(names, n)
		}
	}
	return names
}

// memberName is the name of a field in JSON, if it has one.
func memberName(f reflect.StructField) (string, bool) {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	if name == "-" || !f.IsExported() || f.Anonymous && name == "" {
		return "", false
	}
	if name == "" {
		name = f.Name
	}
	return name, true
}
