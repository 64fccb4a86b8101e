package dashboard

import (
	"net/http"
	"strings"

	"github.com/restock/restock"
)

const (
	// productRows bounds the products of one page.
	productRows = 50
	// searchBytesMax bounds the words of a search.
	searchBytesMax = 200
)

// overviewData is what the first page shows.
type overviewData struct {
	Only     string // the urgency that is asked for; "" for all
	Search   string
	Products []productRow
	More     bool   // a search found more than is listed
	Next     string // the address of the next page; "" at the end
	First    string // of the first page, when this is another; ""
	Whole    bool   // this is the plain first page: beside the products stands all else

	restock.Beside
}

// productRow is a product with its bar.
type productRow struct {
	restock.ProductRow

	Bar stockBar
}

// overview reads GET /dashboard.
func (d *Dashboard) overview(r *http.Request) (*view, error) {
	query := r.URL.Query()
	data := overviewData{Only: query.Get("only"), Search: strings.TrimSpace(query.Get("q"))}
	after := query.Get("after")
	data.Whole = data.Search == "" && after == ""
	if len(data.Search) > searchBytesMax {
		data.Search = strings.ToValidUTF8(data.Search[:searchBytesMax], "")
	}
	if err := d.readProducts(r, &data, after); err != nil {
		return nil, err
	}
	if data.Whole {
		if err := d.readBeside(r, &data); err != nil {
			return nil, err
		}
	}
	return &view{Title: "overview", Nav: "overview", Search: data.Search, Data: data}, nil
}

func (d *Dashboard) readProducts(r *http.Request, data *overviewData, after string) error {
	rows, err := d.listed(r, data, after)
	data.Products = make([]productRow, len(rows))
	for i, row := range rows {
		data.Products[i] = productRow{row, barOf(row.Product)}
	}
	return err
}

// listed finds the products that are asked for: by words, or by urgency.
func (d *Dashboard) listed(r *http.Request, data *overviewData, after string) ([]restock.ProductRow, error) {
	if data.Search != "" {
		found, err := d.store.SearchProducts(r.Context(), data.Search, productRows)
		data.More = found.More
		return found.Rows, err
	}
	q := restock.UrgencyQuery{After: after, Limit: productRows}
	if data.Only != "" {
		only, err := restock.ParseUrgency(data.Only)
		if err != nil {
			return nil, err
		}
		q.Only = &only
	}
	rows, next, err := d.store.ProductsByUrgency(r.Context(), q)
	here := place{path: root, values: map[string]string{"only": data.Only, "after": after}}
	data.Next, data.First = here.onward("after", next), here.back("after")
	return rows, err
}

// readBeside reads what stands beside the products.
func (d *Dashboard) readBeside(r *http.Request, data *overviewData) (err error) {
	data.Beside, err = d.store.Beside(r.Context())
	return err
}
