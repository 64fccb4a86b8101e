package story_test

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// operator reads the operator's API of one server.
type operator struct {
	url, token string
}

func newOperator(data string) (operator, error) {
	address, err := os.ReadFile(filepath.Join(data, "server"))
	if err != nil {
		return operator{}, err //nolint:wrapcheck // the path is in it.
	}
	token, err := os.ReadFile(filepath.Join(data, "operator-token"))
	if err != nil {
		return operator{}, err //nolint:wrapcheck // the path is in it.
	}
	return operator{url: strings.TrimSpace(string(address)), token: strings.TrimSpace(string(token))}, nil
}

func (o operator) get(ctx context.Context, path string) (answer, error) {
	return ask(ctx, http.MethodGet, o.url+path, http.Header{"Authorization": {"Bearer " + o.token}}, nil)
}

// all reads a list to its end, page by page.
func all[T any](ctx context.Context, o operator, path string) ([]T, error) {
	const perPage = 1000
	var items []T
	after := ""
	for {
		a, err := o.get(ctx, fmt.Sprintf("%s?limit=%d&after=%s", path, perPage, url.QueryEscape(after)))
		if err != nil {
			return nil, err
		}
		var page struct {
			Items []T    `json:"items"`
			Next  string `json:"next"`
		}
		if err := a.read(&page); err != nil {
			return nil, fmt.Errorf("%s: %w", path, err)
		}
		items = append(items, page.Items...)
		if page.Next == "" {
			return items, nil
		}
		after = page.Next
	}
}

// The rows of the lists, as far as the tests read them.
type (
	product struct {
		ID    string `json:"product_id"`
		SKU   string `json:"sku"`
		Stock struct {
			OnHand   int64 `json:"on_hand"`
			Reserved int64 `json:"reserved"`
			OnOrder  int64 `json:"on_order"`
		} `json:"stock"`
	}
	sale struct {
		Message   string     `json:"message"`
		ID        string     `json:"sale_id"`
		Reference string     `json:"reference"`
		Lines     []saleLine `json:"items"`
		Total     int64      `json:"total"`
	}
	saleLine struct {
		SKU       string `json:"sku"`
		Quantity  int64  `json:"quantity"`
		UnitPrice int64  `json:"unit_price"`
		Remaining int64  `json:"remaining"`
	}
	movement struct {
		ID          int64  `json:"movement_id"`
		SKU         string `json:"sku"`
		Kind        string `json:"kind"`
		Quantity    int64  `json:"quantity"`
		OnHandAfter int64  `json:"on_hand_after"`
		Reference   string `json:"reference"`
	}
	replenishment struct {
		ID       string `json:"order_id"`
		SKU      string `json:"sku"`
		State    string `json:"state"`
		Quantity int64  `json:"quantity"`
		Received int64  `json:"received"`
	}
	receipt struct {
		ID      string `json:"receipt_id"`
		SKU     string `json:"sku"`
		State   string `json:"state"`
		Applied int64  `json:"applied"`
	}
	stockout struct {
		ID            string `json:"stockout_id"`
		SKU           string `json:"sku"`
		ClosedAt      string `json:"closed_at"`
		RefusedBuyers int64  `json:"refused_buyers"`
		RefusedUnits  int64  `json:"refused_units"`
	}
)

// takings are what was sold of one product, and for how much.
type takings struct{ Units, Revenue int64 }

// sumSales adds up sales per product.
func sumSales(sales []sale) map[string]takings {
	sums := map[string]takings{}
	for _, s := range sales {
		for _, l := range s.Lines {
			t := sums[l.SKU]
			sums[l.SKU] = takings{t.Units + l.Quantity, t.Revenue + l.Quantity*l.UnitPrice}
		}
	}
	return sums
}
