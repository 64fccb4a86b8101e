package web

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"

	"github.com/restock/restock"
)

// Router is what a room registers its routes on.
type Router interface {
	Handle(pattern string, handler http.Handler)
	HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request))
}

// Mux is a ServeMux that knows its routes, so that they can be held against what
// is written about them. A pattern may end with the names of the query parameters
// that its route takes, such as "GET /v1/sales?limit&after".
//
// It never redirects to a path without "//" or "..": a POST would be lost on the
// way. Such a path is one that the route "/" answers, if there is one.
type Mux struct {
	mux     *http.ServeMux
	routes  []string
	unknown http.Handler // of "/"
	// refuse answers a request with a query that its route does not take; nil
	// takes any.
	refuse func(http.ResponseWriter, *http.Request, error)
}

// NewMux makes a Mux whose routes take any query.
func NewMux() *Mux { return &Mux{mux: http.NewServeMux()} }

// NewStrictMux makes a Mux whose routes take the query parameters that their
// patterns name, each at most once, and no other: a filter with a typing error
// would select everything.
func NewStrictMux(refuse func(http.ResponseWriter, *http.Request, error)) *Mux {
	return &Mux{mux: http.NewServeMux(), refuse: refuse}
}

// Handle adds a route.
func (m *Mux) Handle(pattern string, handler http.Handler) {
	m.routes = append(m.routes, pattern)
	pattern, query, _ := strings.Cut(pattern, "?")
	if pattern == "/" {
		m.unknown = handler
	}
	if m.refuse != nil && strings.Contains(pattern, " ") { // one without a method is of what nobody serves
		handler = m.taking(strings.FieldsFunc(query, func(r rune) bool { return r == '&' }), handler)
	}
	m.mux.Handle(pattern, handler)
}

// HandleFunc adds a route.
func (m *Mux) HandleFunc(pattern string, handler func(http.ResponseWriter, *http.Request)) {
	m.Handle(pattern, http.HandlerFunc(handler))
}

// Routes are the patterns as they were given, in their order.
func (m *Mux) Routes() []string { return slices.Clone(m.routes) }

// Mount gives another router all routes of m, answered by handler, which is m
// with a guard before it.
func (m *Mux) Mount(on Router, handler http.Handler) {
	for _, pattern := range m.routes {
		if _, knows := on.(*Mux); !knows {
			pattern, _, _ = strings.Cut(pattern, "?")
		}
		on.Handle(pattern, handler)
	}
}

func (m *Mux) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if m.unknown != nil && !isClean(r.URL.Path) {
		m.unknown.ServeHTTP(w, r)
		return
	}
	m.mux.ServeHTTP(w, r)
}

// isClean reports whether a ServeMux takes a path as it is.
func isClean(p string) bool {
	cleaned := path.Clean(p)
	return strings.HasPrefix(p, "/") && (p == cleaned || cleaned != "/" && p == cleaned+"/")
}

// taking refuses query parameters that a route does not take.
func (m *Mux) taking(names []string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := checkQuery(r, names); err != nil {
			m.refuse(w, r, err)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func checkQuery(r *http.Request, names []string) error {
	if r.URL.RawQuery == "" {
		return nil
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return invalidf("The query cannot be read. Percent-encode it.")
	}
	for name, values := range query {
		switch {
		case !slices.Contains(names, name) && len(names) == 0:
			return invalidf("There is no query parameter %q here; this route takes none.", cut(name))
		case !slices.Contains(names, name):
			return invalidf("There is no query parameter %q here; take %s.", cut(name), strings.Join(names, ", "))
		case len(values) > 1:
			return invalidf("The query parameter %s is there %d times. Send one.", name, len(values))
		case values[0] == "" && name != afterParameter: // an empty after is the first page
			return invalidf("The query parameter %s is empty. Leave it out.", name)
		}
	}
	return nil
}

func invalidf(format string, args ...any) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, format, args...)
}
