// Package openapi is the description of what restock answers over HTTP: the
// document openapi.yaml, compiled in, and a page that shows it to people.
//
// The document is written by hand, beside the routes and not out of them: it is
// a promise to other people's programs, and tests hold the program to it.
package openapi

import (
	_ "embed"
	"fmt"

	"go.yaml.in/yaml/v3"
)

//go:embed openapi.yaml
var text []byte

// Document is the description, OpenAPI 3.1 as YAML.
func Document() []byte { return text }

// document is as much of the description as the page shows.
type document struct {
	Info struct {
		Title, Version, Summary, Description string
	}
	Tags []struct {
		Name, Description string
	}
	Security   []map[string][]string
	Paths      ordered[pathItem]
	Components struct {
		Schemas         map[string]*schema
		Parameters      map[string]*parameter
		Responses       map[string]*response
		RequestBodies   map[string]*requestBody `yaml:"requestBodies"`
		Headers         map[string]*header
		SecuritySchemes ordered[struct {
			Type, Scheme, In, Name, Description string
		}] `yaml:"securitySchemes"`
	}
}

type pathItem struct {
	Parameters             []*parameter
	Get, Post, Put, Delete *operation
	Patch, Options         *operation
}

// methods are the operations of a path in the order in which they are shown.
func (p pathItem) methods() ordered[*operation] {
	var all ordered[*operation]
	for _, m := range []named[*operation]{
		{"GET", p.Get},
		{"POST", p.Post},
		{"PUT", p.Put},
		{"PATCH", p.Patch},
		{"DELETE", p.Delete},
		{"OPTIONS", p.Options},
	} {
		if m.Value != nil {
			all = append(all, m)
		}
	}
	return all
}

type operation struct {
	ID          string `yaml:"operationId"`
	Tags        []string
	Summary     string
	Description string
	Security    *[]map[string][]string
	Parameters  []*parameter
	RequestBody *requestBody `yaml:"requestBody"`
	Responses   ordered[*response]
}

type parameter struct {
	Ref         string `yaml:"$ref"`
	Name, In    string
	Description string
	Required    bool
	Schema      *schema
	Example     any
}

type requestBody struct {
	Ref         string `yaml:"$ref"`
	Description string
	Required    bool
	Content     ordered[media]
}

type response struct {
	Ref         string `yaml:"$ref"`
	Description string
	Headers     ordered[*header]
	Content     ordered[media]
}

type header struct {
	Ref         string `yaml:"$ref"`
	Description string
}

type media struct {
	Schema   *schema
	Example  yaml.Node
	Examples ordered[struct{ Value yaml.Node }]
}

type schema struct {
	Ref              string `yaml:"$ref"`
	Description      string
	Type             any
	Format, Pattern  string
	Enum             []any
	Const, Default   any
	Minimum, Maximum *int64
	MinLength        *int64 `yaml:"minLength"`
	MaxLength        *int64 `yaml:"maxLength"`
	MinItems         *int64 `yaml:"minItems"`
	MaxItems         *int64 `yaml:"maxItems"`
	Required         []string
	Properties       ordered[*schema]
	Items            *schema
	AllOf            []*schema `yaml:"allOf"`
	OneOf            []*schema `yaml:"oneOf"`
}

// ordered is a mapping in the order of the document.
type ordered[T any] []named[T]

type named[T any] struct {
	Name  string
	Value T
}

// UnmarshalYAML reads a mapping.
func (o *ordered[T]) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind != yaml.MappingNode {
		return fmt.Errorf("line %d: not a mapping", node.Line)
	}
	for i := 0; i+1 < len(node.Content); i += 2 {
		n := named[T]{Name: node.Content[i].Value}
		if err := node.Content[i+1].Decode(&n.Value); err != nil {
			return err
		}
		*o = append(*o, n)
	}
	return nil
}

func parse(text []byte) (*document, error) {
	var d document
	if err := yaml.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("reading the description: %w", err)
	}
	return &d, nil
}

// look follows a reference to a component.
func look[T any](components map[string]*T, ref string, given *T) (*T, error) {
	if ref == "" {
		return given, nil
	}
	name := ref[lastSlash(ref)+1:]
	found, ok := components[name]
	if !ok {
		return nil, fmt.Errorf("the description has no %s", ref)
	}
	return found, nil
}

func lastSlash(s string) int {
	for i := len(s) - 1; i >= 0; i-- {
		if s[i] == '/' {
			return i
		}
	}
	return -1
}
