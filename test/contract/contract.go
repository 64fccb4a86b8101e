// Package contract holds requests and answers against the description of the
// API, for tests that talk to the program over HTTP.
//
// Two promises are held. A1: every answer is one that the description has, with
// its status, media type, headers and members, and no others. A2: no request is
// accepted that the description calls wrong.
package contract

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/pb33f/libopenapi"
	"github.com/pb33f/libopenapi-validator/config"
	openapierrors "github.com/pb33f/libopenapi-validator/errors"
	"github.com/pb33f/libopenapi-validator/parameters"
	"github.com/pb33f/libopenapi-validator/requests"
	"github.com/pb33f/libopenapi-validator/responses"
	"github.com/pb33f/libopenapi-validator/schema_validation"
	v3 "github.com/pb33f/libopenapi/datamodel/high/v3"
	"github.com/restock/restock/internal/openapi"
	"go.yaml.in/yaml/v3"
)

// Exchange is a request and what it was answered with.
type Exchange struct {
	Method string
	Target string // path and query as they were sent
	Header http.Header
	Body   []byte

	Status     int
	Answer     http.Header
	AnswerBody []byte
}

func (x *Exchange) String() string {
	const most = 600
	return fmt.Sprintf("%s %s %q\nwas answered %d %s %q", x.Method, clip(x.Target, most), clip(string(x.Body), most),
		x.Status, x.Answer.Get("Content-Type"), clip(string(x.AnswerBody), most))
}

func clip(s string, most int) string {
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

// Contract is the description, ready to be held against exchanges.
type Contract struct {
	document   libopenapi.Document
	parameters parameters.ParameterValidator
	requests   requests.RequestBodyValidator
	responses  responses.ResponseBodyValidator
	routes     []*Route

	// alone: the validators make what they need of a schema at its first use, and
	// do so without a lock.
	alone sync.Mutex
}

// Route is one operation of the description.
type Route struct {
	Method, Path string
	Item         *v3.PathItem
	Operation    *v3.Operation
	parts        []string
}

// Open reads the description that is compiled into the program. Every caller
// gets the same one.
var Open = sync.OnceValues(func() (*Contract, error) { return New(openapi.Document()) })

// New reads a description. Where it says nothing of further members, there are
// none: it is open for those who read answers, and closed for us who write them.
func New(text []byte) (*Contract, error) {
	closed, err := closeObjects(text)
	if err != nil {
		return nil, err
	}
	document, err := libopenapi.NewDocument(closed)
	if err != nil {
		return nil, err
	}
	model, err := document.BuildV3Model()
	if err != nil {
		return nil, err
	}
	// Each schema is compiled when it is first needed: most tests need few.
	options := config.WithFormatAssertions()
	c := &Contract{
		document: document, parameters: parameters.NewParameterValidator(&model.Model, options),
		requests: requests.NewRequestBodyValidator(&model.Model, options), responses: responses.NewResponseBodyValidator(&model.Model, options),
	}
	for path, item := range model.Model.Paths.PathItems.FromOldest() {
		for method, operation := range item.GetOperations().FromOldest() {
			c.routes = append(c.routes, &Route{
				Method: strings.ToUpper(method), Path: path, Item: item, Operation: operation, parts: strings.Split(path, "/"),
			})
		}
	}
	// What is written out is meant before what a parameter stands for.
	slices.SortStableFunc(c.routes, func(a, b *Route) int { return strings.Count(a.Path, "{") - strings.Count(b.Path, "{") })
	return c, nil
}

// closeObjects adds additionalProperties: false to objects that do not say.
func closeObjects(text []byte) ([]byte, error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil {
		return nil, err
	}
	closeNode(&root)
	return yaml.Marshal(&root)
}

func closeNode(n *yaml.Node) {
	if n.Kind == yaml.MappingNode {
		members := map[string]*yaml.Node{}
		for i := 0; i+1 < len(n.Content); i += 2 {
			members[n.Content[i].Value] = n.Content[i+1]
		}
		properties := members["properties"]
		if t := members["type"]; t != nil && t.Value == "object" && properties != nil && properties.Kind == yaml.MappingNode && members["additionalProperties"] == nil {
			n.Content = append(n.Content, &yaml.Node{Kind: yaml.ScalarNode, Value: "additionalProperties"},
				&yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: "false"})
		}
	}
	for _, child := range n.Content {
		closeNode(child)
	}
}

// Validate holds the description against OpenAPI itself.
func (c *Contract) Validate() error {
	if ok, errs := schema_validation.ValidateOpenAPIDocument(c.document); !ok {
		return told(errs)
	}
	return nil
}

// Routes are all operations.
func (c *Contract) Routes() []*Route { return c.routes }

// Find gives the operation that a request is for. A HEAD is for the GET.
func (c *Contract) Find(method, path string) *Route {
	if method == http.MethodHead {
		method = http.MethodGet
	}
	parts := strings.Split(path, "/")
	for _, r := range c.routes {
		if r.Method == method && r.matches(parts) {
			return r
		}
	}
	return nil
}

func (r *Route) matches(parts []string) bool {
	if len(parts) != len(r.parts) {
		return false
	}
	for i, part := range r.parts {
		if strings.HasPrefix(part, "{") {
			if parts[i] == "" {
				return false
			}
			continue
		}
		if part != parts[i] {
			return false
		}
	}
	return true
}

// Strict reports whether what is not described is refused.
func (r *Route) Strict() bool { return strings.HasPrefix(r.Path, "/v1/") }

// anyMedia is how a route says that it reads JSON whatever the Content-Type.
const anyMedia = "*/*"

// Media is the media type as which a body of a route is read.
func (r *Route) Media(contentType string) string {
	if !r.readsBody() {
		return "application/octet-stream"
	}
	content := r.Operation.RequestBody.Content
	switch {
	case content.GetOrZero(anyMedia) == nil:
		return contentType
	case content.Len() == 1:
		return "application/json"
	case strings.HasPrefix(contentType, "application/json"):
		return "application/json"
	}
	return "application/yaml"
}

// Check gives what an exchange breaks.
func (c *Contract) Check(x *Exchange) error {
	target, err := url.ParseRequestURI(x.Target)
	if err != nil {
		return nil //nolint:nilerr // net/http answered it, in plain text
	}
	route := c.Find(x.Method, splittable(target))
	clean := path.Clean(target.Path)
	notHere := x.Status == http.StatusNotFound && mediaOf(x.Answer) == "application/json" // another process, or listener, has it
	if route == nil || notHere || clean != target.Path && clean+"/" != target.Path {
		return c.checkUnknown(x, target)
	}
	if x.Status/100 == 2 {
		if err := c.Invalid(route, x); err != nil {
			return fmt.Errorf("A2 no invalid request is accepted: %w\n%s", err, x)
		}
	}
	if err := c.CheckAnswer(route, x); err != nil {
		return fmt.Errorf("A1 every answer is described: %w\n%s", err, x)
	}
	return nil
}

// splittable is a path whose slashes are those between its parts.
func splittable(u *url.URL) string {
	if u.RawPath == "" {
		return u.Path
	}
	parts := strings.Split(u.EscapedPath(), "/")
	for i, part := range parts {
		if decoded, err := url.PathUnescape(part); err == nil {
			parts[i] = strings.ReplaceAll(decoded, "/", "\uFFFD")
		}
	}
	return strings.Join(parts, "/")
}

// checkUnknown checks what is told to who asks for what there is not. A callback
// is known by its token, wherever it goes.
func (c *Contract) checkUnknown(x *Exchange, target *url.URL) error {
	if strings.HasPrefix(target.Path, "/dashboard") {
		return nil // pages for people
	}
	like := c.Find(http.MethodGet, "/docs/{file}")
	if x.Method == http.MethodPost && x.Status == http.StatusOK {
		like = c.Find(http.MethodPost, callbackPath)
	} else if target.Path == "/v1" || strings.HasPrefix(target.Path, "/v1/") {
		if mediaOf(x.Answer) == "application/problem+json" { // else the path is not clean
			like = c.Find(http.MethodGet, "/v1/products/{product}")
		}
		if x.Status == http.StatusUnauthorized {
			return nil
		}
	}
	if x.Status != http.StatusNotFound && x.Status != http.StatusOK || x.Status == http.StatusOK && x.Method != http.MethodPost {
		return fmt.Errorf("A1 every answer is described: there is no such route, and it is not 404\n%s", x)
	}
	if err := c.CheckAnswer(like, x); err != nil {
		return fmt.Errorf("A1 every answer is described: %w\n%s", err, x)
	}
	return nil
}

func mediaOf(h http.Header) string {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	return media
}

// Invalid says why the description calls a request wrong; nil if it does not.
func (c *Contract) Invalid(route *Route, x *Exchange) error {
	request, err := x.request(route)
	if err != nil {
		return err
	}
	if err := route.checkManners(request, x.Body); err != nil {
		return err
	}
	if len(bytes.TrimSpace(x.Body)) == 0 && (route.Operation.RequestBody == nil || route.Operation.RequestBody.Required == nil || !*route.Operation.RequestBody.Required) {
		request.Header.Del("Content-Type")
	}
	for _, validate := range []func(*http.Request, *v3.PathItem, string) (bool, []*openapierrors.ValidationError){
		c.parameters.ValidatePathParamsWithPathItem, c.parameters.ValidateQueryParamsWithPathItem, c.parameters.ValidateHeaderParamsWithPathItem,
		c.requests.ValidateRequestBodyWithPathItem,
	} {
		c.alone.Lock()
		ok, errs := validate(request, route.Item, route.Path)
		c.alone.Unlock()
		if err := told(errs); !ok && !strings.Contains(err.Error(), tooLargeToValidate) {
			return err
		}
	}
	return nil
}

// tooLargeToValidate is what the validator says of a number such as 1e400, which
// is JSON, wherever it stands.
const tooLargeToValidate = "into Go value of type float64"

// checkManners checks what the description says of all requests in words.
func (r *Route) checkManners(request *http.Request, body []byte) error {
	if needsToken(r.Operation) && !strings.HasPrefix(strings.ToLower(request.Header.Get("Authorization")), "bearer ") {
		return errors.New("it has no token")
	}
	if values := request.Header.Values("Idempotency-Key"); len(values) > 1 && r.takes("header", "Idempotency-Key") {
		return errors.New("it has two keys")
	}
	if encoding := request.Header.Get("Content-Encoding"); encoding != "" && !strings.EqualFold(encoding, "identity") && r.readsBody() {
		return errors.New("its body is compressed")
	}
	if !r.Strict() {
		return nil
	}
	if err := r.checkQuery(request.URL.RawQuery); err != nil {
		return err
	}
	if request.Header.Get("Content-Type") == "application/json" && len(bytes.TrimSpace(body)) > 0 && r.readsBody() {
		if !utf8.Valid(body) {
			return errors.New("its body is not UTF-8")
		}
		return duplicates(json.NewDecoder(bytes.NewReader(body)))
	}
	return nil
}

func (r *Route) checkQuery(text string) error {
	query, err := url.ParseQuery(text)
	if err != nil {
		return err
	}
	for name, values := range query {
		if !r.takes("query", name) || len(values) > 1 || values[0] == "" && name != "after" {
			return fmt.Errorf("the query parameter %q is unknown, twice or empty", name)
		}
	}
	return nil
}

// readsBody reports whether a body can be wrong. A callback's cannot: it is kept,
// whatever it is.
func (r *Route) readsBody() bool { return r.Operation.RequestBody != nil && r.Path != callbackPath }

const callbackPath = "/product/{product}"

func needsToken(operation *v3.Operation) bool {
	for _, requirement := range operation.Security {
		if requirement.ContainsEmptyRequirement {
			return false
		}
		if _, ok := requirement.Requirements.Get("callback"); ok {
			return false // it stands in the address, or in the body
		}
	}
	return operation.Security == nil || len(operation.Security) > 0
}

// takes reports whether a route names a parameter.
func (r *Route) takes(in, name string) bool {
	return slices.ContainsFunc(r.Parameters(), func(p *v3.Parameter) bool { return p.In == in && p.Name == name })
}

// Parameters are those of the operation and of its path.
func (r *Route) Parameters() []*v3.Parameter {
	return slices.Concat(r.Item.Parameters, r.Operation.Parameters)
}

// duplicates finds a member that is there twice.
func duplicates(d *json.Decoder) error {
	token, err := d.Token()
	if err != nil {
		return err
	}
	open, ok := token.(json.Delim)
	if !ok {
		return nil
	}
	seen := map[string]bool{}
	for d.More() {
		if open == '{' {
			name, err := d.Token()
			if err != nil {
				return err
			}
			text := fmt.Sprint(name)
			if seen[text] {
				return fmt.Errorf("the member %q is there twice", text)
			}
			seen[text] = true
		}
		if err := duplicates(d); err != nil {
			return err
		}
	}
	_, err = d.Token()
	return err
}

func (x *Exchange) request(route *Route) (*http.Request, error) {
	method := x.Method
	if method == http.MethodHead {
		method = http.MethodGet
	}
	request, err := http.NewRequest(method, "http://restock.test"+x.Target, bytes.NewReader(x.Body)) //nolint:noctx // it is not sent.
	if err != nil {
		return nil, err
	}
	maps.Copy(request.Header, x.Header)
	request.Header.Set("Content-Type", route.Media(request.Header.Get("Content-Type")))
	return request, nil
}

// CheckAnswer gives what an answer of a route breaks.
func (c *Contract) CheckAnswer(route *Route, x *Exchange) error {
	if x.Method == http.MethodHead {
		if len(x.AnswerBody) > 0 {
			return errors.New("a HEAD is answered with a body")
		}
		if route.Operation.Responses.Codes.GetOrZero(strconv.Itoa(x.Status)) == nil {
			return errors.New("its status is not described")
		}
		return nil
	}
	request := &http.Request{Method: route.Method, URL: &url.URL{Path: route.Path}, Header: http.Header{}}
	response := &http.Response{StatusCode: x.Status, Header: x.Answer, Body: io.NopCloser(bytes.NewReader(x.AnswerBody))}
	c.alone.Lock()
	ok, errs := c.responses.ValidateResponseBodyWithPathItem(request, response, route.Item, route.Path)
	c.alone.Unlock()
	if !ok {
		return told(errs)
	}
	return checkCommon(route, x)
}

// checkCommon checks what the description says of all answers in words.
func checkCommon(route *Route, x *Exchange) error {
	media := mediaOf(x.Answer)
	described := route.Operation.Responses.Codes.GetOrZero(strconv.Itoa(x.Status))
	switch {
	case x.Answer.Get("Traceparent") == "":
		return errors.New("it has no traceparent")
	case x.Answer.Get("X-Content-Type-Options") != "nosniff":
		return errors.New("a browser may guess what it is")
	case strings.HasSuffix(media, "json") && !utf8.Valid(x.AnswerBody):
		return errors.New("its JSON is not UTF-8")
	case described != nil && (described.Content == nil || described.Content.Len() == 0) && len(x.AnswerBody) > 0:
		return errors.New("it has a body, and should have none")
	}
	return nil
}

// told is what the validator found, in one error.
func told(errs []*openapierrors.ValidationError) error {
	all := make([]error, 0, len(errs))
	for _, e := range errs {
		words := []string{e.Message}
		for _, s := range e.SchemaValidationErrors {
			words = append(words, s.FieldPath+": "+s.Reason)
		}
		if len(e.SchemaValidationErrors) == 0 {
			words = append(words, e.Reason)
		}
		all = append(all, errors.New(strings.Join(words, "; ")))
	}
	return errors.Join(all...)
}
