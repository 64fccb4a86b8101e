package dashboard

import (
	"net/http"

	"github.com/restock/restock"
)

// routePages are the pages that are read.
func (d *Dashboard) routePages() *http.ServeMux {
	mux := http.NewServeMux()
	for pattern, page := range map[string]struct {
		name string
		read func(*http.Request) (*view, error)
	}{
		"/dashboard":                    {"overview", d.overview},
		"/dashboard/products/{product}": {"product", d.product},
		"/dashboard/waiting":            {"waiting", d.waiting},
		"/dashboard/orders":             {"orders", d.orders},
		"/dashboard/orders/{id}":        {"order", d.order},
		"/dashboard/receipts/{id}":      {"receipt", d.receipt},
		"/dashboard/queues":             {"queues", d.queues},
		"/dashboard/dead-letters/{id}":  {"letter", d.letter},
		"/dashboard/mail":               {"mail", d.mail},
		"/dashboard/audit":              {"audit", d.audit},
		"/dashboard/checks":             {"checks", d.promises},
	} {
		mux.HandleFunc("GET "+pattern, d.page(page.name, page.read))
	}
	mux.HandleFunc("GET /dashboard/{$}", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, root, http.StatusSeeOther)
	})
	mux.HandleFunc("GET /dashboard/", func(w http.ResponseWriter, r *http.Request) {
		d.fail(w, r, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no page at %s", r.URL.Path))
	})
	return mux
}
