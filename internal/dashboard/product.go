package dashboard

import (
	"net/http"
	"time"

	"github.com/restock/restock"
)

// The rows of a product's page.
const (
	movementRows = 25
	orderRows    = 10
	decisionRows = 10
	stockoutRows = 10
	auditRows    = 10
)

// span is a length of time that a chart can show.
type span struct {
	Name   string // in addresses
	Key    string // of the texts
	Length time.Duration
}

// spans are offered; that at standardSpan is shown when none is asked for.
func spans() []span {
	const day = 24 * time.Hour
	return []span{
		{"1h", "span_1h", time.Hour},
		{"1d", "span_1d", day},
		{"7d", "span_7d", 7 * day},
		{"30d", "span_30d", 30 * day},
		{"all", "span_all", 100 * 365 * day},
	}
}

const standardSpan = 2

// productData is what the page of a product shows.
type productData struct {
	Product restock.Product
	Span    span
	Spans   []span
	Charts  []chart // wide and narrow
	History restock.StockHistory

	Movements []restock.Movement
	Older     string // the address of older movements
	Newest    string
	Orders    []restock.Order
	OldOrders string
	NewOrders string
	Decisions []restock.Decision
	Stockouts []restock.Stockout
	Audit     []restock.AuditEntry
}

// product reads GET /dashboard/products/{product}.
func (d *Dashboard) product(r *http.Request) (*view, error) {
	ctx := r.Context()
	p, err := d.store.Product(ctx, r.PathValue("product"))
	if err != nil {
		return nil, err
	}
	sku := string(p.SKU)
	query := r.URL.Query()
	data := productData{Product: p, Span: spans()[standardSpan], Spans: spans()}
	for _, s := range data.Spans {
		if s.Name == query.Get("span") {
			data.Span = s
		}
	}
	since := d.cfg.Now().Add(-data.Span.Length)
	if data.History, err = d.store.StockHistory(ctx, sku, since); err != nil {
		return nil, err
	}
	data.Charts = []chart{wideChart(data.History, p, d.cfg.Zone), narrowChart(data.History, p, d.cfg.Zone)}
	here := place{path: productAddress(p.SKU), values: map[string]string{
		"span": query.Get("span"), "movements": query.Get("movements"), "orders": query.Get("orders"),
	}}
	var next string
	if data.Movements, next, err = d.store.Movements(ctx, restock.ListQuery{
		Product: sku, After: query.Get("movements"), Limit: movementRows,
	}); err != nil {
		return nil, err
	}
	data.Older, data.Newest = here.onward("movements", next), here.back("movements")
	if data.Orders, next, err = d.store.OrdersInFull(ctx, restock.ListQuery{
		Product: sku, After: query.Get("orders"), Limit: orderRows,
	}); err != nil {
		return nil, err
	}
	data.OldOrders, data.NewOrders = here.onward("orders", next), here.back("orders")
	return &view{Title: "product", About: p.Name, Nav: "overview", Data: &data}, d.readWhy(r, sku, &data)
}

// readWhy reads what explains the stock of a product.
func (d *Dashboard) readWhy(r *http.Request, sku string, data *productData) error {
	ctx := r.Context()
	var err error
	if data.Decisions, _, err = d.store.Decisions(ctx, restock.ListQuery{Product: sku, Limit: decisionRows}); err != nil {
		return err
	}
	if data.Stockouts, _, err = d.store.Stockouts(ctx, restock.ListQuery{Product: sku, Limit: stockoutRows}); err != nil {
		return err
	}
	data.Audit, _, err = d.store.Audit(ctx, restock.ListQuery{Product: sku, Limit: auditRows})
	return err
}
