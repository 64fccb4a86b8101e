package awslocal

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Template is a CloudFormation template, with the functions of SAM.
type Template struct {
	Parameters map[string]Parameter
	Conditions map[string]any
	Globals    map[string]any // of functions
	Resources  map[string]*Resource
}

// Parameter is one that the stack can be given.
type Parameter struct {
	Type    string
	Default any
}

// Resource is one part of the stack.
type Resource struct {
	ID         string
	Type       string
	Condition  string
	DependsOn  []string
	Properties map[string]any
}

// ReadTemplate reads a template from a file.
func ReadTemplate(path string) (*Template, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return ParseTemplate(source)
}

// ParseTemplate reads a template. The short forms of functions, as in !Ref, become
// the long ones.
func ParseTemplate(source []byte) (*Template, error) {
	var document yaml.Node
	if err := yaml.Unmarshal(source, &document); err != nil {
		return nil, fmt.Errorf("the template: %w", err)
	}
	root, ok := plain(document.Content[0]).(map[string]any)
	if !ok {
		return nil, errors.New("the template is no map")
	}
	t := &Template{Parameters: map[string]Parameter{}, Conditions: object(root["Conditions"]), Resources: map[string]*Resource{}}
	t.Globals = object(object(root["Globals"])["Function"])
	for name, p := range object(root["Parameters"]) {
		of := object(p)
		t.Parameters[name] = Parameter{Type: fmt.Sprint(of["Type"]), Default: of["Default"]}
	}
	for id, r := range object(root["Resources"]) {
		of := object(r)
		resource := &Resource{ID: id, Type: text(of["Type"]), Condition: text(of["Condition"]), Properties: object(of["Properties"])}
		for _, on := range list(of["DependsOn"]) {
			resource.DependsOn = append(resource.DependsOn, text(on))
		}
		if resource.Type == typeFunction {
			resource.Properties = merged(t.Globals, resource.Properties)
		}
		t.Resources[id] = resource
	}
	return t, nil
}

// merged lays properties over those of all functions.
func merged(common, own map[string]any) map[string]any {
	all := maps.Clone(common)
	for name, value := range own {
		if inner, ok := value.(map[string]any); ok && isMap(all[name]) {
			value = merged(object(all[name]), inner)
		}
		all[name] = value
	}
	return all
}

func isMap(value any) bool { _, ok := value.(map[string]any); return ok }

// plain makes maps, lists and scalars of a node.
func plain(n *yaml.Node) any {
	var value any
	switch n.Kind {
	case yaml.AliasNode:
		return plain(n.Alias)
	case yaml.MappingNode:
		of := make(map[string]any, len(n.Content)/2)
		for i := 0; i+1 < len(n.Content); i += 2 {
			of[n.Content[i].Value] = plain(n.Content[i+1])
		}
		value = of
	case yaml.SequenceNode:
		of := make([]any, len(n.Content))
		for i, c := range n.Content {
			of[i] = plain(c)
		}
		value = of
	default:
		if isShort(n) || n.Decode(&value) != nil {
			value = n.Value
		}
	}
	if !isShort(n) {
		return value
	}
	return long(n.Tag[1:], value)
}

// isShort says whether a value is a function in its short form, as in !Ref.
func isShort(n *yaml.Node) bool {
	return strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!")
}

// long gives a function in its long form.
func long(name string, value any) any {
	switch name {
	case "Ref", "Condition":
		return map[string]any{name: value}
	case "GetAtt":
		if path, ok := value.(string); ok {
			id, attribute, _ := strings.Cut(path, ".")
			value = []any{id, attribute}
		}
		return map[string]any{"Fn::GetAtt": value}
	default:
		return map[string]any{"Fn::" + name: value}
	}
}

// Clone copies a template, so that a copy can be damaged.
func (t *Template) Clone() *Template {
	c := *t
	c.Resources = make(map[string]*Resource, len(t.Resources))
	for id, r := range t.Resources {
		copied := *r
		copied.Properties = deep(r.Properties).(map[string]any)
		c.Resources[id] = &copied
	}
	return &c
}

func deep(value any) any {
	switch value := value.(type) {
	case map[string]any:
		c := make(map[string]any, len(value))
		for k, v := range value {
			c[k] = deep(v)
		}
		return c
	case []any:
		c := make([]any, len(value))
		for i, v := range value {
			c[i] = deep(v)
		}
		return c
	}
	return value
}

// of lists the resources of a type, in the order of their ids.
func (t *Template) of(kinds ...string) []*Resource {
	var all []*Resource
	for _, id := range slices.Sorted(maps.Keys(t.Resources)) {
		if slices.Contains(kinds, t.Resources[id].Type) {
			all = append(all, t.Resources[id])
		}
	}
	return all
}

func object(value any) map[string]any {
	of, _ := value.(map[string]any)
	return of
}

// list reads a value that may stand alone.
func list(value any) []any {
	switch value := value.(type) {
	case nil:
		return nil
	case []any:
		return value
	}
	return []any{value}
}

func text(value any) string {
	if value == nil {
		return ""
	}
	return fmt.Sprint(value)
}
