package web

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strconv"

	"github.com/restock/restock"
)

// The limits of a page.
const (
	PageLimitDefault  = 100
	PageLimitMax      = 1000
	pageAfterBytesMax = 256
)

// afterParameter says where a page begins.
const afterParameter = "after"

// Page is the part of a list that a caller asks for.
type Page struct {
	Limit int
	After string // List.Next of the page before; "" is the first page
}

// ParsePage reads ?limit and ?after. A bad one is Invalid: to clamp it in
// silence would make a caller believe that a short page was the last.
func ParsePage(r *http.Request) (Page, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return Page{}, restock.Errorf(restock.Invalid, restock.CodeInvalid, "The query cannot be read. Percent-encode it.")
	}
	page := Page{Limit: PageLimitDefault, After: query.Get(afterParameter)}
	if len(page.After) > pageAfterBytesMax {
		return Page{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"after is too long. Send what the page before gave as next.")
	}
	if !query.Has("limit") {
		return page, nil
	}
	page.Limit, err = strconv.Atoi(query.Get("limit"))
	if err != nil || page.Limit < 1 || page.Limit > PageLimitMax {
		return Page{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"limit must be a whole number from 1 to %d.", PageLimitMax)
	}
	return page, nil
}

// List is one page of a list as the API answers it.
type List[T any] struct {
	Items []T    `json:"items"`
	Next  string `json:"next,omitempty"` // to send as ?after; "" after the last page
}

// MarshalJSON writes no items as [], which a client can walk, and never as null.
func (l List[T]) MarshalJSON() ([]byte, error) {
	type plain List[T]
	if l.Items == nil {
		l.Items = []T{}
	}
	return json.Marshal(plain(l)) //nolint:wrapcheck // encoding/json wraps it with the type.
}
