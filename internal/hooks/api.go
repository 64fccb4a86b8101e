package hooks

import (
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
	"github.com/restock/restock/internal/webhook"
)

// bodyBytesMax bounds what the routes here take.
const bodyBytesMax = 64 << 10

// CreateBody is what POST /v1/webhooks takes.
type CreateBody struct {
	URL          string              `json:"url"`
	Events       []restock.EventType `json:"events,omitempty"` // none are all
	Description  string              `json:"description,omitempty"`
	Acknowledges string              `json:"acknowledges,omitempty"` // the name of an advertisement
	By           string              `json:"by,omitempty"`
}

// ChangeBody is what PATCH /v1/webhooks/{id} takes.
type ChangeBody struct {
	restock.WebhookChange

	By string `json:"by,omitempty"`
}

// ByBody is what the other actions take, if anything.
type ByBody struct {
	By string `json:"by,omitempty"`
}

// Register adds the operator's routes.
func (h *Hooks) Register(mux web.Router) {
	routes := web.NewStrictMux(h.fail)
	routes.HandleFunc("GET /v1/events?limit&after&type", h.events)
	routes.HandleFunc("GET /v1/webhooks?limit&after", h.list)
	routes.HandleFunc("POST /v1/webhooks", h.create)
	routes.HandleFunc("GET /v1/webhooks/{id}", h.withID(h.show))
	routes.HandleFunc("PATCH /v1/webhooks/{id}", h.withID(h.change))
	routes.HandleFunc("DELETE /v1/webhooks/{id}", h.withID(h.remove))
	routes.HandleFunc("POST /v1/webhooks/{id}/rotate-secret", h.withID(h.rotate))
	routes.HandleFunc("GET /v1/webhooks/{id}/deliveries?limit&after&state", h.withID(h.deliveries))
	routes.HandleFunc("GET /v1/webhooks/{id}/deliveries/{event}", h.withID(h.delivery))
	routes.HandleFunc("POST /v1/webhooks/{id}/deliveries/{event}/replay", h.withID(h.replay))
	routes.Mount(mux, web.RequireBearer(routes, h.cfg.TokenHint, h.cfg.Token))
}

func (h *Hooks) fail(w http.ResponseWriter, r *http.Request, err error) {
	web.Problem(w, r, h.log, err)
}

// answer writes what was asked for, or why not.
func answer[T any](h *Hooks, w http.ResponseWriter, r *http.Request, status int, v T, err error) {
	if err != nil {
		h.fail(w, r, err)
		return
	}
	web.WriteJSON(w, status, v)
}

// withID reads the id in the path.
func (h *Hooks) withID(next func(http.ResponseWriter, *http.Request, restock.WebhookID)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id, err := restock.ParseID[restock.Webhook](r.PathValue("id"))
		if err != nil {
			h.fail(w, r, err)
			return
		}
		next(w, r, id)
	}
}

func (h *Hooks) events(w http.ResponseWriter, r *http.Request) {
	page, err := web.ParsePage(r)
	var types []restock.EventType
	if err == nil {
		types, err = typesOf(r.URL.Query()["type"])
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	events, err := h.store.Events(r.Context(), restock.EventQuery{After: page.After, Types: types, Limit: page.Limit})
	events.KeptFor = h.cfg.EventRetention.String()
	answer(h, w, r, http.StatusOK, events, err)
}

// typesOf reads ?type=, which has commas.
func typesOf(values []string) ([]restock.EventType, error) {
	var types []restock.EventType
	for _, value := range values {
		for name := range strings.SplitSeq(value, ",") {
			types = append(types, restock.EventType(name))
		}
	}
	return types, checkTypes(types)
}

func checkTypes(types []restock.EventType) error {
	known := restock.EventTypes()
	for i, t := range types {
		if !slices.Contains(known, t) {
			names := make([]string, len(known))
			for i, k := range known {
				names[i] = string(k)
			}
			return invalid("there is no event %q; take from %s", t, strings.Join(names, ", "))
		}
		if slices.Contains(types[:i], t) {
			return invalid("%s is named twice", t)
		}
	}
	return nil
}

func (h *Hooks) list(w http.ResponseWriter, r *http.Request) {
	page, err := web.ParsePage(r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	items, next, err := h.store.Webhooks(r.Context(), restock.ListQuery{After: page.After, Limit: page.Limit})
	answer(h, w, r, http.StatusOK, web.List[restock.Webhook]{Items: items, Next: next}, err)
}

func (h *Hooks) show(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	found, err := h.store.Webhook(r.Context(), id)
	answer(h, w, r, http.StatusOK, found, err)
}

func (h *Hooks) create(w http.ResponseWriter, r *http.Request) {
	var b CreateBody
	text, err := readBody(w, r, &b)
	if err == nil {
		err = h.check(restock.WebhookChange{URL: &b.URL, Events: &b.Events, Description: &b.Description})
	}
	var act restock.Act
	if err == nil {
		act, err = actOf(b.By)
	}
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/webhooks", text)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	made, err := h.store.CreateWebhook(r.Context(), restock.Webhook{
		URL: b.URL, Events: b.Events, Description: b.Description, Acknowledges: b.Acknowledges, Secret: webhook.NewSecret(),
	}, act, key)
	if err == nil {
		h.log.InfoContext(r.Context(), "webhook made", keyWebhook, made.ID, keyHost, webhook.Host(made.URL))
	}
	answer(h, w, r, http.StatusCreated, made, err)
}

func (h *Hooks) change(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	var b ChangeBody
	_, err := readBody(w, r, &b)
	if err == nil {
		err = h.check(b.WebhookChange)
	}
	var act restock.Act
	if err == nil {
		act, err = actOf(b.By)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	changed, err := h.store.ChangeWebhook(r.Context(), id, b.WebhookChange, act)
	answer(h, w, r, http.StatusOK, changed, err)
}

func (h *Hooks) remove(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	act, err := readAct(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	removed, err := h.store.RemoveWebhook(r.Context(), id, act)
	if err == nil {
		h.log.InfoContext(r.Context(), "webhook removed", keyWebhook, id)
	}
	answer(h, w, r, http.StatusOK, removed, err)
}

func (h *Hooks) rotate(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	act, err := readAct(w, r)
	if err != nil {
		h.fail(w, r, err)
		return
	}
	rotated, err := h.store.RotateWebhookSecret(r.Context(), id, webhook.NewSecret(), act)
	answer(h, w, r, http.StatusOK, rotated, err)
}

func (h *Hooks) deliveries(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	page, err := web.ParsePage(r)
	state := restock.DeliveryState(r.URL.Query().Get("state"))
	if err == nil && state != "" && !slices.Contains([]restock.DeliveryState{
		restock.DeliveryWaiting, restock.DeliveryTaken, restock.DeliveryDead, restock.DeliveryDiscarded,
	}, state) {
		err = invalid("there is no state %q here; take one of waiting, taken, dead, discarded", state)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	items, next, err := h.store.Deliveries(r.Context(), id, restock.ListQuery{State: string(state), After: page.After, Limit: page.Limit})
	answer(h, w, r, http.StatusOK, web.List[restock.Delivery]{Items: items, Next: next}, err)
}

func (h *Hooks) delivery(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	event, err := restock.ParseID[restock.Event](r.PathValue("event"))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	found, err := h.store.Delivery(r.Context(), id, event)
	answer(h, w, r, http.StatusOK, found, err)
}

func (h *Hooks) replay(w http.ResponseWriter, r *http.Request, id restock.WebhookID) {
	event, err := restock.ParseID[restock.Event](r.PathValue("event"))
	var act restock.Act
	if err == nil {
		act, err = readAct(w, r)
	}
	if err != nil {
		h.fail(w, r, err)
		return
	}
	replayed, err := h.store.Replay(r.Context(), id, event, act)
	answer(h, w, r, http.StatusOK, replayed, err)
}

// check says what is wrong with what somebody subscribes.
func (h *Hooks) check(c restock.WebhookChange) error {
	if c.URL != nil {
		if err := h.checkURL(*c.URL); err != nil {
			return err
		}
	}
	if c.Events != nil {
		if err := checkTypes(*c.Events); err != nil {
			return err
		}
	}
	if c.Description != nil && (len(*c.Description) > restock.WebhookDescriptionBytes || !utf8.ValidString(*c.Description)) {
		return invalid("the description has more than %d bytes", restock.WebhookDescriptionBytes)
	}
	return nil
}

// checkURL tells early what the dial would refuse later, where that can be seen
// without a look-up.
func (h *Hooks) checkURL(raw string) error {
	if len(raw) > restock.WebhookURLBytesMax {
		return invalid("the webhook's URL has more than %d bytes", restock.WebhookURLBytesMax)
	}
	if err := webhook.Check(raw); err != nil {
		return err
	}
	target, err := url.Parse(raw)
	if err != nil {
		return invalid("the webhook's URL cannot be read")
	}
	if addr, err := netip.ParseAddr(target.Hostname()); err == nil {
		if err := h.cfg.Guard.Allow(netip.AddrPortFrom(addr, 0)); err != nil {
			return invalid("%v", err)
		}
	}
	return nil
}

// defaultActor stands for a person who gave no name.
const defaultActor = "operator"

func actOf(by string) (restock.Act, error) {
	if by == "" {
		by = defaultActor
	}
	if len(by) > restock.ActWordsMax {
		return restock.Act{}, invalid("by has more than %d bytes", restock.ActWordsMax)
	}
	return restock.Act{By: by}, nil
}

// readAct reads who acts, which may be left out with the body.
func readAct(w http.ResponseWriter, r *http.Request) (restock.Act, error) {
	text, err := web.ReadBody(w, r, bodyBytesMax)
	if err != nil {
		return restock.Act{}, err
	}
	var b ByBody
	if len(text) > 0 {
		if err := web.DecodeJSON(text, &b); err != nil {
			return restock.Act{}, err
		}
	}
	return actOf(b.By)
}

func readBody(w http.ResponseWriter, r *http.Request, into any) ([]byte, error) {
	text, err := web.ReadBody(w, r, bodyBytesMax)
	if err != nil {
		return nil, err
	}
	return text, web.DecodeJSON(text, into)
}

func invalid(format string, args ...any) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, format, args...)
}
