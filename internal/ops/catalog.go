package ops

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
	"go.yaml.in/yaml/v3"
)

// PartProductsMax is how many products of a catalogue travel in one request, so
// that neither side ever holds a large catalogue as a whole.
const PartProductsMax = 1000

// ReadCatalog reads a catalogue file of any size and gives it part by part,
// filled and checked. A file may have several YAML documents; the settings of
// the first hold for all. The error is of kind Invalid and names the line, or
// all mistakes of a part at once.
func ReadCatalog(r io.Reader, use func(restock.Catalog) error) error {
	decoder := yaml.NewDecoder(r)
	decoder.KnownFields(true)
	parts := catalogParts{use: use}
	for first := true; ; first = false {
		var c restock.Catalog
		err := decoder.Decode(&c)
		switch {
		case errors.Is(err, io.EOF) && !first:
			return parts.end()
		case err != nil && !errors.Is(err, io.EOF): // an empty file is an empty catalogue
			return invalid("the catalogue cannot be read: %v", err)
		}
		if err := parts.add(c); err != nil {
			return err
		}
	}
}

// catalogParts passes a catalogue on in parts. The settings of the first
// document hold for all; the default product goes with the last part, when the
// store has all products.
type catalogParts struct {
	use            func(restock.Catalog) error
	currency       string
	defaultProduct restock.SKU
	waiting        *restock.Catalog
}

func (p *catalogParts) add(c restock.Catalog) error {
	c.Currency = cmp.Or(c.Currency, p.currency)
	c.Fill()
	if err := c.Check(); err != nil {
		return err
	}
	p.currency = c.Currency
	p.defaultProduct = cmp.Or(c.DefaultProduct, p.defaultProduct)
	c.DefaultProduct = ""
	for more := true; more; {
		if err := p.flush(); err != nil {
			return err
		}
		var part restock.Catalog
		part, c, more = cut(c)
		p.waiting = &part
	}
	return nil
}

func (p *catalogParts) flush() error {
	if p.waiting == nil {
		return nil
	}
	part := *p.waiting
	p.waiting = nil
	return p.use(part)
}

func (p *catalogParts) end() error {
	if p.waiting != nil {
		p.waiting.DefaultProduct = p.defaultProduct
	}
	return p.flush()
}

// cut takes the first part of a catalogue and gives the rest.
func cut(c restock.Catalog) (restock.Catalog, restock.Catalog, bool) {
	if len(c.Products) <= PartProductsMax {
		return c, restock.Catalog{}, false
	}
	rest := restock.Catalog{Currency: c.Currency, Products: c.Products[PartProductsMax:]}
	c.Products = c.Products[:PartProductsMax]
	return c, rest, true
}

// FormatCatalog writes a catalogue as a file that ReadCatalog reads, large ones
// as several documents.
func FormatCatalog(w io.Writer, c restock.Catalog) error {
	encoder := yaml.NewEncoder(w)
	encoder.SetIndent(2)
	for more := true; more; {
		var part restock.Catalog
		part, c, more = cut(c)
		if err := encoder.Encode(part); err != nil {
			return fmt.Errorf("write the catalogue: %w", err)
		}
	}
	return encoder.Close()
}

func (a *api) exportCatalog(w http.ResponseWriter, r *http.Request) {
	catalog, err := a.store.ExportCatalog(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	w.Header().Set("Content-Type", "application/yaml")
	if err := FormatCatalog(w, catalog); err != nil {
		a.log.WarnContext(r.Context(), "the catalogue was not sent whole", keyError, err)
	}
}

// CatalogResult is what POST /v1/catalog answers.
type CatalogResult struct {
	DryRun  bool                    `json:"dry_run"`
	Changes []restock.CatalogChange `json:"changes"`
}

// applyCatalog answers POST /v1/catalog: a catalogue as YAML, or one part of it
// as JSON, as ReadCatalog gives it.
func (a *api) applyCatalog(w http.ResponseWriter, r *http.Request) {
	body, err := web.ReadBody(w, r, catalogBytesMax)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	result := CatalogResult{Changes: []restock.CatalogChange{}}
	if result.DryRun, err = isDryRun(r); err != nil {
		a.fail(w, r, err)
		return
	}
	apply := func(c restock.Catalog) error {
		changes, err := a.store.ApplyCatalog(r.Context(), c, result.DryRun)
		result.Changes = append(result.Changes, changes...)
		return err
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/json") {
		err = applyPart(body, apply)
	} else {
		err = ReadCatalog(bytes.NewReader(body), apply)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, result)
}

// isDryRun reads ?dry_run. Who writes it otherwise than true or false must not
// find the catalogue changed.
func isDryRun(r *http.Request) (bool, error) {
	switch text := r.URL.Query().Get("dry_run"); text {
	case "true":
		return true, nil
	case "", "false":
		return false, nil
	default:
		return false, invalid("dry_run must be true or false, not %q", text)
	}
}

// applyPart reads a part as JSON. It is checked again: whoever calls the API
// may send anything.
func applyPart(body []byte, apply func(restock.Catalog) error) error {
	var c restock.Catalog
	if err := web.DecodeJSON(body, &c); err != nil {
		return err
	}
	c.Fill()
	if err := c.Check(); err != nil {
		return err
	}
	return apply(c)
}
