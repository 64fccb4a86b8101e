package ops

import (
	"context"
	"net/http"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// reconciliationBytesMax bounds a reconciliation of restock.ReconcileRowsMax rows.
const reconciliationBytesMax = 8 << 20

// Switch is how people stop ordering and let it go on.
type Switch interface {
	PauseOrdering(ctx context.Context, factory string, act restock.Act) error
	ResumeOrdering(ctx context.Context, factory string, act restock.Act) error
	OrderingSwitch(ctx context.Context) (restock.OrderingSwitch, error)
	Snooze(ctx context.Context, product string, until time.Time, act restock.Act) (restock.Product, error)
	Factories(ctx context.Context, q restock.ListQuery) ([]restock.FactoryLoad, string, error)
	Audit(ctx context.Context, q restock.ListQuery) ([]restock.AuditEntry, string, error)
}

// SwitchBody is what pausing and resuming take. Without a factory it is all of
// ordering.
type SwitchBody struct {
	ActBody

	Factory *string `json:"factory,omitempty"`
}

// factory is "" for all of ordering. An empty name is a mistake, and must not
// stop everything.
func (b SwitchBody) factory() (string, error) {
	if b.Factory == nil {
		return "", nil
	}
	if *b.Factory == "" {
		return "", invalid("factory is empty; leave it out for all factories")
	}
	return *b.Factory, nil
}

// SnoozeBody is what POST /v1/products/{product}/snooze takes. Without a time
// the product wakes.
type SnoozeBody struct {
	ActBody

	Until time.Time `json:"until,omitzero"`
}

func (a *api) switchRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/ordering", a.orderingSwitch)
	mux.HandleFunc("POST /v1/ordering/pause", a.turn("paused", a.store.PauseOrdering))
	mux.HandleFunc("POST /v1/ordering/resume", a.turn("resumed", a.store.ResumeOrdering))
	mux.HandleFunc("POST /v1/products/{product}/snooze", a.snooze)
	mux.HandleFunc("GET /v1/factories?limit&after", list(a, a.store.Factories))
	mux.HandleFunc("GET /v1/audit?limit&after&product&state&reference", list(a, a.store.Audit))
}

func (a *api) orderingSwitch(w http.ResponseWriter, r *http.Request) {
	state, err := a.store.OrderingSwitch(r.Context())
	if err != nil {
		a.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, state)
}

// turn answers pausing and resuming with how the switch stands then.
func (a *api) turn(result string, do func(context.Context, string, restock.Act) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		body, act, _, err := readAct[SwitchBody](w, r, actionBytesMax)
		var factory string
		if err == nil {
			factory, err = body.factory()
		}
		if err == nil {
			err = do(r.Context(), factory, act)
		}
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.log.WarnContext(r.Context(), "ordering "+result, "factory", factory, "by", act.By, "reason", act.Reason)
		a.orderingSwitch(w, r)
	}
}

func (a *api) snooze(w http.ResponseWriter, r *http.Request) {
	body, act, _, err := readAct[SnoozeBody](w, r, actionBytesMax)
	var product restock.Product
	if err == nil {
		product, err = a.store.Snooze(r.Context(), r.PathValue("product"), body.Until, act)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "ordering snoozed", "sku", product.SKU, "until", product.SnoozedUntil, "by", act.By, "reason", act.Reason)
	web.WriteJSON(w, http.StatusOK, product)
}

// acting is a body that says who acts, and why.
type acting interface {
	act() (restock.Act, error)
}

// readAct reads the body of an action, and gives it as it came too, for the
// hash of an Idempotency-Key.
func readAct[B any](w http.ResponseWriter, r *http.Request, bytesMax int64) (B, restock.Act, []byte, error) {
	var body B
	text, err := web.ReadBody(w, r, bytesMax)
	if err != nil {
		return body, restock.Act{}, nil, err
	}
	if err := web.DecodeJSON(text, &body); err != nil {
		return body, restock.Act{}, nil, err
	}
	who, ok := any(body).(acting)
	if !ok {
		return body, restock.Act{}, nil, restock.Errorf(restock.Internal, restock.CodeInternal, "a body of %T has no reason", body)
	}
	act, err := who.act()
	return body, act, text, err
}
