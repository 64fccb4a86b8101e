package ops

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// Orderer is what the operator's side needs of the room that orders.
type Orderer interface {
	// OrderByHand makes an order that a person asks for.
	OrderByHand(ctx context.Context, order restock.ManualOrder, key restock.Key) (restock.Decision, error)
	// Preview tells what would be ordered now, without effect.
	Preview(ctx context.Context, q restock.ListQuery) ([]restock.PlannedOrder, string, error)
	// Window is how long a factory has to call back.
	Window(f restock.Factory) time.Duration
	// AttemptAt tells whose callback address this is, if it is one of ours.
	AttemptAt(callbackURL string) (restock.OrderID, int, bool)
}

// OrderActs is what people do to orders.
type OrderActs interface {
	ApproveOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	RejectOrder(ctx context.Context, id restock.OrderID, snooze time.Time, act restock.Act) (restock.Order, error)
	RetryOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	WaitOrder(ctx context.Context, id restock.OrderID, until time.Time, act restock.Act) (restock.Order, error)
	WriteOffOrder(ctx context.Context, id restock.OrderID, act restock.Act) (restock.Order, error)
	Reconcile(ctx context.Context, factory string, rows []restock.ReconcileRow, window func(restock.Factory) time.Duration,
		act restock.Act) (restock.Reconciliation, error)
}

// ActBody is what every action of a person takes. By is "operator" when it is
// left out.
type ActBody struct {
	Reason string `json:"reason"`
	By     string `json:"by,omitempty"`
}

// defaultActor stands for a person who gave no name.
const defaultActor = "operator"

// act checks who does something, and why.
func (b ActBody) act() (restock.Act, error) {
	act := restock.Act{By: b.By, Reason: b.Reason}
	if act.By == "" {
		act.By = defaultActor
	}
	switch {
	case strings.TrimSpace(act.Reason) == "" || len(act.Reason) > restock.ReasonBytesMax:
		return act, invalid("a reason of 1 to %d bytes is needed; it is kept beside what was done", restock.ReasonBytesMax)
	case len(act.By) > restock.ActWordsMax:
		return act, invalid("by has more than %d bytes", restock.ActWordsMax)
	}
	return act, nil
}

// OrderBody is what POST /v1/replenishment-orders takes. Without a quantity
// it is what the product's policy would order.
type OrderBody struct {
	ActBody

	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity,omitempty"`
}

// OrderActBody is what the actions on one order take. Snooze is for reject and
// Until for wait.
type OrderActBody struct {
	ActBody

	SnoozeUntil time.Time `json:"snooze_until,omitzero"`
	Until       time.Time `json:"until,omitzero"`
}

// ReconciliationBody is what POST /v1/reconciliations takes.
type ReconciliationBody struct {
	ActBody

	Factory string              `json:"factory"`
	Rows    []ReconciliationRow `json:"rows"`
}

// ReconciliationRow names an attempt, or the address at which the factory was
// to report it.
type ReconciliationRow struct {
	restock.ReconcileRow

	CallbackURL string `json:"callback_url,omitempty"`
}

// read gives the row with the attempt that it names.
func (r ReconciliationRow) read(orderer Orderer) restock.ReconcileRow {
	row := r.ReconcileRow
	if r.CallbackURL == "" {
		return row
	}
	order, attempt, ok := orderer.AttemptAt(r.CallbackURL)
	if !ok {
		return restock.ReconcileRow{Status: row.Status, Problem: "its callback address is none of ours"}
	}
	row.OrderID, row.Attempt = order, attempt
	return row
}

func (a *api) orderRoutes(mux *web.Mux) {
	mux.HandleFunc("GET /v1/replenishment-plan?limit&after&product", a.ordering(func(w http.ResponseWriter, r *http.Request, o Orderer) {
		list(a, o.Preview)(w, r)
	}))
	mux.HandleFunc("POST /v1/replenishment-orders", a.ordering(a.orderByHand))
	mux.HandleFunc("POST /v1/reconciliations", a.ordering(a.reconcile))
	for name, do := range map[string]func(context.Context, restock.OrderID, OrderActBody, restock.Act) (restock.Order, error){
		"approve": func(ctx context.Context, id restock.OrderID, _ OrderActBody, act restock.Act) (restock.Order, error) {
			return a.store.ApproveOrder(ctx, id, act)
		},
		"reject": func(ctx context.Context, id restock.OrderID, b OrderActBody, act restock.Act) (restock.Order, error) {
			return a.store.RejectOrder(ctx, id, b.SnoozeUntil, act)
		},
		"retry": func(ctx context.Context, id restock.OrderID, _ OrderActBody, act restock.Act) (restock.Order, error) {
			return a.store.RetryOrder(ctx, id, act)
		},
		"wait": func(ctx context.Context, id restock.OrderID, b OrderActBody, act restock.Act) (restock.Order, error) {
			return a.store.WaitOrder(ctx, id, b.Until, act)
		},
		"write-off": func(ctx context.Context, id restock.OrderID, _ OrderActBody, act restock.Act) (restock.Order, error) {
			return a.store.WriteOffOrder(ctx, id, act)
		},
	} {
		mux.HandleFunc("POST /v1/replenishment-orders/{id}/"+name, actOn(a, "order", name, do))
	}
}

// ordering answers a route that needs the room that orders.
func (a *api) ordering(answer func(http.ResponseWriter, *http.Request, Orderer)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if a.cfg.Orderer == nil {
			a.fail(w, r, restock.Errorf(restock.Unavailable, restock.CodeUnavailable, "this process does not order; ask one that does"))
			return
		}
		answer(w, r, a.cfg.Orderer)
	}
}

// actOn answers an action of a person on one thing that the path names.
func actOn[I, B, T any](a *api, thing, name string, do func(context.Context, restock.ID[I], B, restock.Act) (T, error)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := restock.ParseID[I](r.PathValue("id"))
		if err != nil {
			a.fail(w, r, err)
			return
		}
		body, act, _, err := readAct[B](w, r, actionBytesMax)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		done, err := do(r.Context(), id, body, act)
		if err != nil {
			a.fail(w, r, err)
			return
		}
		a.log.InfoContext(r.Context(), "a person acted", "action", thing+" "+name, "id", id, "by", act.By, "reason", act.Reason)
		web.WriteJSON(w, http.StatusOK, done)
	}
}

func (a *api) orderByHand(w http.ResponseWriter, r *http.Request, orderer Orderer) {
	body, act, text, err := readAct[OrderBody](w, r, actionBytesMax)
	if err == nil {
		err = body.check()
	}
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/replenishment-orders", text)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	decision, err := orderer.OrderByHand(r.Context(), restock.ManualOrder{
		Product: body.SKU, Quantity: body.Quantity, By: act.By, Reason: act.Reason,
	}, key)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if !decision.Order {
		a.fail(w, r, restock.Errorf(restock.Conflict, restock.CodeConflict, "%s: %s", decision.SKU, decision.Reason))
		return
	}
	a.log.InfoContext(r.Context(), "a person ordered", "order_id", decision.OrderID, "sku", decision.SKU, "by", act.By, "reason", act.Reason)
	web.WriteJSON(w, http.StatusCreated, decision)
}

func (b OrderBody) check() error {
	switch {
	case b.SKU == "":
		return invalid("sku is missing")
	case b.Quantity < 0 || b.Quantity > restock.QuantityMax:
		return invalid("quantity must be 1 to %d, or left out for what the policy would order", int64(restock.QuantityMax))
	}
	return nil
}

func (a *api) reconcile(w http.ResponseWriter, r *http.Request, orderer Orderer) {
	body, act, _, err := readAct[ReconciliationBody](w, r, reconciliationBytesMax)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	rows := make([]restock.ReconcileRow, len(body.Rows))
	for i, row := range body.Rows {
		rows[i] = row.read(orderer)
	}
	result, err := a.store.Reconcile(r.Context(), body.Factory, rows, orderer.Window, act)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "orders reconciled", "factory", body.Factory, "accepted", result.Accepted, "absent", result.Absent,
		"unchanged", result.Unchanged, "by", act.By, "reason", act.Reason)
	web.WriteJSON(w, http.StatusOK, result)
}
