package ops

import (
	"context"
	"net/http"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/web"
)

// The limits of the operator's routes.
const (
	actionBytesMax  = 64 << 10
	catalogBytesMax = 16 << 20
	reasonBytesMax  = restock.ReasonBytesMax
)

// api is the operator's API under /v1.
type api struct{ *Office }

func (a *api) routes() *web.Mux {
	mux := web.NewStrictMux(a.fail)
	mux.HandleFunc("GET /v1/status", a.status)
	mux.HandleFunc("GET /v1/verify", a.verify)
	mux.HandleFunc("GET /v1/products?limit&after&product", list(a, a.store.Products))
	mux.HandleFunc("GET /v1/products/{product}", show(a, "product", a.store.Product))
	mux.HandleFunc("GET /v1/products/{product}/decisions?limit&after&state", list(a, a.store.Decisions))
	mux.HandleFunc("GET /v1/products/{product}/movements?limit&after", list(a, a.store.Movements))
	mux.HandleFunc("GET /v1/decisions?limit&after&product&state", list(a, a.store.Decisions))
	mux.HandleFunc("GET /v1/movements?limit&after&product", list(a, a.store.Movements))
	mux.HandleFunc("GET /v1/sales?limit&after&product&reference", list(a, a.store.Sales))
	mux.HandleFunc("GET /v1/sales/{id}", show(a, "id", byID(a.store.Sale)))
	mux.HandleFunc("GET /v1/replenishment-orders?limit&after&product&state", list(a, a.store.Orders))
	mux.HandleFunc("GET /v1/replenishment-orders/{id}", show(a, "id", byID(a.store.Order)))
	mux.HandleFunc("GET /v1/receipts?limit&after&product&state", list(a, a.store.Receipts))
	mux.HandleFunc("GET /v1/receipts/{id}", show(a, "id", byID(a.receipt)))
	mux.HandleFunc("GET /v1/stockouts?limit&after&product&state", list(a, a.store.Stockouts))
	mux.HandleFunc("GET /v1/stockouts/report?from&to&format&limit&after", a.reportStockouts)
	mux.HandleFunc("GET /v1/refusals?limit&product", list(a, a.store.Refusals))
	mux.HandleFunc("GET /v1/reservations?limit&after&product&state", list(a, a.store.Reservations))
	mux.HandleFunc("GET /v1/adjustments?limit&after&product", list(a, a.store.Adjustments))
	mux.HandleFunc("POST /v1/adjustments", a.adjust)
	a.orderRoutes(mux)
	a.receiptRoutes(mux)
	a.switchRoutes(mux)
	a.secretRoutes(mux)
	a.adRoutes(mux)
	a.engineRoutes(mux)
	a.deskRoutes(mux)
	mux.HandleFunc("GET /v1/catalog", a.exportCatalog)
	mux.HandleFunc("POST /v1/catalog?dry_run", a.applyCatalog)
	for _, pattern := range []string{"/v1", "/v1/"} {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			a.fail(w, r, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no %s %s", r.Method, r.URL.Path))
		})
	}
	return mux
}

func (a *api) fail(w http.ResponseWriter, r *http.Request, err error) {
	web.Problem(w, r, a.log, err)
}

// list answers a page of a list. A {product} in the path narrows it.
func list[T any](a *api, read func(context.Context, restock.ListQuery) ([]T, string, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		page, err := web.ParsePage(r)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		query := restock.ListQuery{
			Product: r.PathValue("product"), State: r.FormValue("state"), Reference: r.FormValue("reference"),
			After: page.After, Limit: page.Limit,
		}
		if query.Product == "" {
			query.Product = r.FormValue("product")
		}
		items, next, err := read(r.Context(), query)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		web.WriteJSON(w, http.StatusOK, web.List[T]{Items: items, Next: next})
	}
}

// show answers one thing that is named in the path.
func show[T any](a *api, name string, read func(context.Context, string) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := read(r.Context(), r.PathValue(name))
		if err != nil {
			a.fail(w, r, err)
			return
		}
		web.WriteJSON(w, http.StatusOK, v)
	}
}

func byID[I, T any](read func(context.Context, restock.ID[I]) (T, error)) func(context.Context, string) (T, error) {
	return func(ctx context.Context, text string) (T, error) {
		id, err := restock.ParseID[I](text)
		if err != nil {
			var none T
			return none, err
		}
		return read(ctx, id)
	}
}

// receiptWithBody shows the evidence too; its body carries no token.
type receiptWithBody struct {
	restock.Receipt
	Body string `json:"body"`
}

func (a *api) receipt(ctx context.Context, id restock.ReceiptID) (receiptWithBody, error) {
	r, body, err := a.store.Receipt(ctx, id)
	return receiptWithBody{r, string(body)}, err
}

// StatusReport is what GET /v1/status answers.
type StatusReport struct {
	restock.Status
	// OrderingPaused is why no order is placed; "" while they are.
	OrderingPaused string        `json:"ordering_paused,omitempty"`
	Queues         []queue.Stats `json:"queues"`
	Mail           string        `json:"mail,omitempty"`
	// PublicURL is where buyers and factories reach us.
	PublicURL string `json:"public_url"`
	Version   string `json:"version"`
	// CallbacksRefused came without a good token since this process began.
	CallbacksRefused int64 `json:"callbacks_refused"`
	// Engines say how much lies on the brokers, if there are any.
	Engines []EngineReport `json:"engines"`
	// Page is what the first page of the dashboard shows.
	Page restock.FirstPage `json:"page"`
}

func (a *api) status(w http.ResponseWriter, r *http.Request) {
	status, err := a.store.Status(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	page, err := a.store.FirstPage(r.Context(), restock.WatchMax)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	ordering, err := a.store.OrderingSwitch(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	queues, err := a.queues.Stats(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if status.Watch == nil {
		status.Watch = []restock.Product{}
	}
	if queues == nil {
		queues = []queue.Stats{}
	}
	if status.Incidents == nil {
		status.Incidents = []restock.Incident{}
	}
	if a.cfg.Webhook == nil {
		status.WebhooksWaiting = 0 // left from when there was one
	}
	web.WriteJSON(w, http.StatusOK, StatusReport{
		Status: status, Page: listed(page), OrderingPaused: ordering.Paused, Queues: queues, Mail: a.cfg.MailNote, PublicURL: a.cfg.PublicURL, Version: a.cfg.Version,
		CallbacksRefused: a.cfg.CallbacksRefused(), Engines: a.engineReports(r.Context()),
	})
}

// listed has lists where there is nothing, so that a script can walk them.
func listed(p restock.FirstPage) restock.FirstPage {
	fill(&p.Overview.Incidents)
	fill(&p.Products)
	fill(&p.Beside.Awaiting)
	fill(&p.Beside.Held)
	fill(&p.Beside.Receipts)
	fill(&p.Beside.Queues)
	fill(&p.Beside.Holds)
	fill(&p.Beside.Mails)
	return p
}

func fill[T any](list *[]T) {
	if *list == nil {
		*list = []T{}
	}
}

func (a *api) verify(w http.ResponseWriter, r *http.Request) {
	checks, err := a.store.Verify(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, web.List[restock.Check]{Items: checks})
}
