package openapi

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	_ "embed"
	"encoding/hex"
	"fmt"
	"html/template"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/restock/restock/internal/web"
	"go.yaml.in/yaml/v3"
)

// The routes.
const (
	documentPath = "/openapi.yaml"
	pagePath     = "/docs"
)

// policy lets the page do nothing but be read: no script, and its style from here.
const policy = "default-src 'none'; style-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

//go:embed page.html
var pageSource string

//go:embed page.css
var pageStyle []byte

// Pages serves the description, and the page that shows it. The page is made
// when somebody asks for it first.
type Pages struct {
	log    *slog.Logger
	style  string // the name of the style, with its hash, so that it can be kept
	sheet  []byte // the style itself
	render func() ([]byte, error)
}

// New makes the pages.
func New(log *slog.Logger) *Pages {
	const shown = 8
	sheet := web.Palette(pageStyle)
	hash := sha256.Sum256(sheet)
	p := &Pages{log: log, style: "page." + hex.EncodeToString(hash[:shown]) + ".css", sheet: sheet}
	p.render = sync.OnceValues(p.make)
	return p
}

// Register adds the routes.
func (p *Pages) Register(mux web.Router) {
	mux.HandleFunc("GET "+documentPath, func(w http.ResponseWriter, _ *http.Request) {
		write(w, "application/yaml", Document())
	})
	mux.HandleFunc("GET "+pagePath, p.page)
	mux.HandleFunc("GET "+pagePath+"/{file}", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("file") != p.style {
			web.SeedNotFound(w, r)
			return
		}
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		write(w, "text/css; charset=utf-8", p.sheet)
	})
}

func write(w http.ResponseWriter, media string, body []byte) {
	w.Header().Set("Content-Type", media)
	_, _ = w.Write(body) // who has gone cannot be told so.
}

func (p *Pages) page(w http.ResponseWriter, r *http.Request) {
	page, err := p.render()
	if err != nil {
		web.Problem(w, r, p.log, err)
		return
	}
	h := w.Header()
	h.Set("Content-Security-Policy", policy)
	h.Set("Referrer-Policy", "no-referrer")
	write(w, "text/html; charset=utf-8", page)
}

// shown is what the page is made of.
type shown struct {
	Title, Version, Summary string
	Description             template.HTML
	Document, Style         string
	Groups                  []group
	Schemes                 []scheme
}

type group struct {
	ID, Name    string
	Description template.HTML
	Routes      []route
}

type route struct {
	ID, Method, Path, Summary string
	Description               template.HTML
	Who                       string
	Parameters                []field
	Body                      *body
	Answers                   []answer
}

// field is a parameter or a member of an object.
type field struct {
	Name, Where string
	Type        string
	Required    bool
	Description template.HTML
	Inner       []field
}

type body struct {
	Description template.HTML
	Required    bool
	Fields      []field
	Examples    []example
}

type example struct{ Name, Text string }

type answer struct {
	Status      string
	Description template.HTML
	Media       string
	Codes       []string
	Headers     []string
	Type        string
	Fields      []field
	Examples    []example
}

type scheme struct {
	Name, How   string
	Description template.HTML
}

func (p *Pages) make() ([]byte, error) {
	d, err := parse(Document())
	if err != nil {
		return nil, err
	}
	page := shown{
		Title: d.Info.Title, Version: d.Info.Version, Summary: d.Info.Summary, Description: prose(d.Info.Description),
		Document: documentPath, Style: pagePath + "/" + p.style,
	}
	for _, s := range d.Components.SecuritySchemes {
		how := cmp.Or(s.Value.Scheme, s.Value.In+" "+s.Value.Name)
		page.Schemes = append(page.Schemes, scheme{s.Name, how, prose(s.Value.Description)})
	}
	for _, tag := range d.Tags {
		g := group{ID: anchor(tag.Name), Name: tag.Name, Description: prose(tag.Description)}
		if g.Routes, err = d.routesOf(tag.Name); err != nil {
			return nil, err
		}
		page.Groups = append(page.Groups, g)
	}
	parsed, err := template.New("page").Parse(pageSource)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = parsed.Execute(&out, page)
	return out.Bytes(), err
}

func anchor(name string) string { return strings.ReplaceAll(strings.ToLower(name), " ", "-") }

func (d *document) routesOf(tag string) ([]route, error) {
	var routes []route
	for _, path := range d.Paths {
		for _, m := range path.Value.methods() {
			if !slices.Contains(m.Value.Tags, tag) {
				continue
			}
			r, err := d.route(path.Name, m.Name, path.Value.Parameters, m.Value)
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", m.Name, path.Name, err)
			}
			routes = append(routes, r)
		}
	}
	return routes, nil
}

func (d *document) route(path, method string, parameters []*parameter, o *operation) (route, error) {
	r := route{ID: o.ID, Method: method, Path: path, Summary: o.Summary, Description: prose(o.Description), Who: d.who(o)}
	for _, given := range slices.Concat(parameters, o.Parameters) {
		p, err := look(d.Components.Parameters, given.Ref, given)
		if err != nil {
			return r, err
		}
		f, err := d.field(p.Name, p.Schema, p.Required, 0)
		if err != nil {
			return r, err
		}
		f.Where = p.In
		if p.Description != "" {
			f.Description = prose(p.Description)
		}
		r.Parameters = append(r.Parameters, f)
	}
	var err error
	if r.Body, err = d.body(o.RequestBody); err != nil {
		return r, err
	}
	for _, given := range o.Responses {
		a, err := d.answer(given.Name, given.Value)
		if err != nil {
			return r, err
		}
		r.Answers = append(r.Answers, a)
	}
	return r, nil
}

// who says which tokens open a route.
func (d *document) who(o *operation) string {
	security := d.Security
	if o.Security != nil {
		security = *o.Security
	}
	var ways []string
	for _, requirement := range security {
		if len(requirement) == 0 {
			ways = append(ways, "open")
		}
		for name := range requirement {
			ways = append(ways, name)
		}
	}
	if len(ways) == 0 {
		return "open"
	}
	return strings.Join(ways, " or ")
}

func (d *document) body(given *requestBody) (*body, error) {
	if given == nil {
		return nil, nil //nolint:nilnil // a route without a body
	}
	found, err := look(d.Components.RequestBodies, given.Ref, given)
	if err != nil || len(found.Content) == 0 {
		return nil, err
	}
	b := &body{Description: prose(found.Description), Required: found.Required}
	for _, m := range found.Content {
		if b.Fields == nil {
			if b.Fields, err = d.fields(m.Value.Schema, 0); err != nil {
				return nil, err
			}
		}
		examples, err := m.Value.examples()
		if err != nil {
			return nil, err
		}
		b.Examples = append(b.Examples, examples...)
	}
	return b, nil
}

func (d *document) answer(status string, given *response) (answer, error) {
	r, err := look(d.Components.Responses, given.Ref, given)
	if err != nil {
		return answer{}, err
	}
	a := answer{Status: status, Description: prose(r.Description)}
	for _, h := range r.Headers {
		a.Headers = append(a.Headers, h.Name)
	}
	for _, m := range r.Content {
		if a.Media != "" {
			continue // the first is the usual one
		}
		a.Media = m.Name
		if a.Codes, err = d.codes(m.Value.Schema); err != nil {
			return a, err
		}
		if given.Ref == "" { // what many share is shown by its codes
			if a.Examples, err = m.Value.examples(); err != nil {
				return a, err
			}
			if a.Type, err = d.typeOf(m.Value.Schema); err != nil {
				return a, err
			}
			if a.Fields, err = d.fields(m.Value.Schema, 0); err != nil {
				return a, err
			}
		}
	}
	return a, nil
}

// codes are the values of code that an answer can have.
func (d *document) codes(s *schema) ([]string, error) {
	s, err := d.resolve(s)
	if err != nil || s == nil {
		return nil, err
	}
	var codes []string
	for _, part := range append(s.AllOf, s.OneOf...) {
		more, err := d.codes(part)
		if err != nil {
			return nil, err
		}
		codes = append(codes, more...)
	}
	for _, p := range s.Properties {
		if p.Name != "code" || p.Value.Ref != "" {
			continue
		}
		for _, v := range p.Value.Enum {
			codes = append(codes, fmt.Sprint(v))
		}
		if p.Value.Const != nil {
			codes = append(codes, fmt.Sprint(p.Value.Const))
		}
	}
	return codes, nil
}

func (d *document) resolve(s *schema) (*schema, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // anything
	}
	return look(d.Components.Schemas, s.Ref, s)
}

// depthShown is how deep members of members are shown.
const depthShown = 6

// fields are the members of an object, or of the objects of a list.
func (d *document) fields(given *schema, depth int) ([]field, error) {
	s, err := d.resolve(given)
	if err != nil || s == nil || depth > depthShown {
		return nil, err
	}
	var all []field
	for _, part := range slices.Concat(s.AllOf, s.OneOf) {
		more, err := d.fields(part, depth)
		if err != nil {
			return nil, err
		}
		all = append(all, more...)
	}
	for _, p := range s.Properties {
		f, err := d.field(p.Name, p.Value, slices.Contains(s.Required, p.Name), depth)
		if err != nil {
			return nil, err
		}
		all = append(all, f)
	}
	if s.Items != nil {
		return d.fields(s.Items, depth)
	}
	return all, nil
}

func (d *document) field(name string, given *schema, required bool, depth int) (field, error) {
	s, err := d.resolve(given)
	if err != nil || s == nil {
		return field{Name: name, Required: required}, err
	}
	description := s.Description
	if given.Description != "" {
		description = given.Description
	}
	f := field{Name: name, Required: required, Description: prose(description)}
	if f.Type, err = d.typeOf(given); err != nil {
		return f, err
	}
	f.Inner, err = d.fields(given, depth+1)
	return f, err
}

// typeOf says in a few words what a value is.
func (d *document) typeOf(given *schema) (string, error) {
	s, err := d.resolve(given)
	switch {
	case err != nil || s == nil:
		return "", err
	case s.Const != nil:
		return fmt.Sprintf("%q", fmt.Sprint(s.Const)), nil
	case len(s.Enum) > 0:
		words := make([]string, len(s.Enum))
		for i, v := range s.Enum {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, " | "), nil
	case s.Items != nil:
		of, err := d.typeOf(s.Items)
		return strings.Join(strings.Fields("list "+bounds("", s.MinItems, s.MaxItems)+" of "+of), " "), err
	case len(s.OneOf) > 0:
		return "one of these", nil
	case len(s.AllOf) > 0:
		return d.typeOf(s.AllOf[0])
	}
	words := []string{cmp.Or(s.Format, typeName(s.Type))}
	if s.Format == "int64" {
		words[0] = "integer"
	}
	words = append(words, bounds("", s.Minimum, s.Maximum), bounds("characters", s.MinLength, s.MaxLength))
	if s.Default != nil {
		words = append(words, fmt.Sprintf("= %v", s.Default))
	}
	return strings.Join(slices.DeleteFunc(words, func(w string) bool { return w == "" }), " "), nil
}

func typeName(t any) string {
	if list, ok := t.([]any); ok {
		words := make([]string, len(list))
		for i, v := range list {
			words[i] = fmt.Sprint(v)
		}
		return strings.Join(words, " or ")
	}
	if t == nil {
		return "anything"
	}
	return fmt.Sprint(t)
}

func bounds(of string, least, most *int64) string {
	switch {
	case least != nil && most != nil:
		return strings.TrimSpace(fmt.Sprintf("%d to %d %s", *least, *most, of))
	case least != nil && *least > 0:
		return strings.TrimSpace(fmt.Sprintf("from %d %s", *least, of))
	case most != nil:
		return strings.TrimSpace(fmt.Sprintf("up to %d %s", *most, of))
	}
	return ""
}

func (m media) examples() ([]example, error) {
	var all []example
	if !m.Example.IsZero() {
		text, err := written(&m.Example)
		if err != nil {
			return nil, err
		}
		all = append(all, example{Text: text})
	}
	for _, e := range m.Examples {
		text, err := written(&e.Value.Value)
		if err != nil {
			return nil, err
		}
		all = append(all, example{Name: e.Name, Text: text})
	}
	return all, nil
}

// written is an example as it would be sent: JSON in the order of the document,
// or plain text.
func written(n *yaml.Node) (string, error) {
	if n.Kind == yaml.ScalarNode {
		return n.Value, nil
	}
	var out strings.Builder
	if err := writeJSON(&out, n, ""); err != nil {
		return "", err
	}
	return out.String(), nil
}
