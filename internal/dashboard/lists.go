package dashboard

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/restock/restock"
)

// The rows of a page of any other list: of lines, and of cards with a form.
const (
	listRows = 50
	cardRows = 20
)

// newest is above every id, so that a list begins where its ids end and never
// looks for its first row.
const newest = "ffffffff-ffff-ffff-ffff-ffffffffffff"

// afterOf is where a page of a list begins.
func afterOf(r *http.Request, name string) string {
	if after := r.URL.Query().Get(name); after != "" {
		return after
	}
	return newest
}

// place is the address of a page with lists, each at some point of its own.
type place struct {
	path   string
	values map[string]string
}

// at is the same place with another value.
func (p place) at(name, value string) string {
	query := url.Values{}
	for other, v := range p.values {
		query.Set(other, v)
	}
	query.Set(name, value)
	for other := range query {
		if query.Get(other) == "" {
			query.Del(other)
		}
	}
	if len(query) == 0 {
		return p.path
	}
	return p.path + "?" + query.Encode()
}

// onward is where a list goes on; "" at its end.
func (p place) onward(name, next string) string {
	if next == "" {
		return ""
	}
	return p.at(name, next)
}

// back is where a list begins; "" when it is shown from its beginning.
func (p place) back(name string) string {
	if p.values[name] == "" {
		return ""
	}
	return p.at(name, "")
}

// productAddress is where the page of a product is.
func productAddress(sku restock.SKU) string { return root + "/products/" + url.PathEscape(string(sku)) }

// ProductAddress gives templates the page of a product; "" for none.
func (v *view) ProductAddress(sku restock.SKU) string {
	if sku == "" {
		return ""
	}
	return productAddress(sku)
}

// waitingData is what waits for a person.
type waitingData struct {
	Awaiting, Held         []restock.Order
	Receipts               []restock.Receipt
	NextAwaiting, NextHeld string
	NextReceipts           string
	First                  string // back to the beginning, on a later page
	ProductOf              map[restock.OrderID]restock.Product
}

// waiting reads GET /dashboard/waiting.
func (d *Dashboard) waiting(r *http.Request) (*view, error) {
	ctx := r.Context()
	query := r.URL.Query()
	here := place{path: root + "/waiting", values: map[string]string{
		"awaiting": query.Get("awaiting"), "held": query.Get("held"), "receipts": query.Get("receipts"),
	}}
	data := waitingData{ProductOf: map[restock.OrderID]restock.Product{}}
	var next string
	var err error
	if data.Awaiting, next, err = d.store.Orders(ctx, restock.ListQuery{
		State: string(restock.OrderAwaitingApproval), After: afterOf(r, "awaiting"), Limit: cardRows,
	}); err != nil {
		return nil, err
	}
	data.NextAwaiting = here.onward("awaiting", next)
	if data.Held, next, err = d.store.Orders(ctx, restock.ListQuery{
		State: string(restock.OrderHeld), After: afterOf(r, "held"), Limit: cardRows,
	}); err != nil {
		return nil, err
	}
	data.NextHeld = here.onward("held", next)
	if data.Receipts, next, err = d.store.HeldReceipts(ctx, restock.ListQuery{After: afterOf(r, "receipts"), Limit: cardRows}); err != nil {
		return nil, err
	}
	data.NextReceipts = here.onward("receipts", next)
	if r.URL.RawQuery != "" {
		data.First = here.path
	}
	for _, o := range slices.Concat(data.Awaiting, data.Held) {
		if data.ProductOf[o.ID], err = d.store.Product(ctx, o.ProductID.String()); err != nil {
			return nil, err
		}
	}
	return &view{Title: "waiting", Nav: "waiting", Data: data}, nil
}

// ordersData is a page of orders.
type ordersData struct {
	State       string
	States      []restock.OrderState
	Orders      []restock.Order
	Next, First string
}

// orderStates are the states by which orders are listed.
func orderStates() []restock.OrderState {
	return []restock.OrderState{
		restock.OrderPlanned, restock.OrderAwaitingApproval, restock.OrderSending, restock.OrderUnknown, restock.OrderAccepted,
		restock.OrderOverdue, restock.OrderPartlyReceived, restock.OrderHeld, restock.OrderReceived, restock.OrderClosedShort,
	}
}

// orders reads GET /dashboard/orders.
func (d *Dashboard) orders(r *http.Request) (*view, error) {
	query := r.URL.Query()
	data := ordersData{State: query.Get("state"), States: orderStates()}
	here := place{path: root + "/orders", values: map[string]string{"state": data.State, "after": query.Get("after")}}
	var next string
	var err error
	data.Orders, next, err = d.store.Orders(r.Context(), restock.ListQuery{State: data.State, After: afterOf(r, "after"), Limit: listRows})
	data.Next, data.First = here.onward("after", next), here.back("after")
	return &view{Title: "orders", Nav: "orders", Data: data}, err
}

// orderData is one order with all that became of it.
type orderData struct {
	Order   restock.Order
	Product restock.Product
	Audit   []restock.AuditEntry
}

// order reads GET /dashboard/orders/{id}.
func (d *Dashboard) order(r *http.Request) (*view, error) {
	id, err := restock.ParseID[restock.Order](r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var data orderData
	if data.Order, err = d.store.Order(r.Context(), id); err != nil {
		return nil, err
	}
	if data.Product, err = d.store.Product(r.Context(), data.Order.ProductID.String()); err != nil {
		return nil, err
	}
	data.Audit, _, err = d.store.Audit(r.Context(), restock.ListQuery{Reference: id.String(), Limit: auditRows})
	return &view{Title: "order", About: string(data.Order.SKU), Nav: "orders", Data: data}, err
}

// receiptData is one report of a factory with its body.
type receiptData struct {
	Receipt restock.Receipt
	Body    string
	Known   bool // its order is
	Audit   []restock.AuditEntry
}

// receipt reads GET /dashboard/receipts/{id}.
func (d *Dashboard) receipt(r *http.Request) (*view, error) {
	id, err := restock.ParseID[restock.Receipt](r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	receipt, body, err := d.store.Receipt(r.Context(), id)
	if err != nil {
		return nil, err
	}
	data := receiptData{Receipt: receipt, Body: shown(body)}
	_, err = d.store.Order(r.Context(), receipt.OrderID)
	data.Known = err == nil
	if err != nil && restock.KindOf(err) != restock.NotFound {
		return nil, err
	}
	data.Audit, _, err = d.store.Audit(r.Context(), restock.ListQuery{Reference: id.String(), Limit: auditRows})
	return &view{Title: "receipt", About: string(receipt.SKU), Nav: "waiting", Data: data}, err
}

// shown is a body as text, whatever it is.
func shown(body []byte) string {
	if !utf8.Valid(body) {
		return strings.ToValidUTF8(string(body), "�")
	}
	return string(body)
}

// queuesData is what is on its way, and what could not be handled.
type queuesData struct {
	Queues      []restock.QueueDepth
	Letters     []restock.DeadLetter
	Queue       string
	Needed      string
	Next, First string
}

// queues reads GET /dashboard/queues.
func (d *Dashboard) queues(r *http.Request) (*view, error) {
	ctx := r.Context()
	query := r.URL.Query()
	data := queuesData{Queue: query.Get("queue"), Needed: query.Get("needed")}
	here := place{path: root + "/queues", values: map[string]string{"queue": data.Queue, "needed": data.Needed, "after": query.Get("after")}}
	var err error
	if data.Queues, err = d.store.QueueDepths(ctx); err != nil {
		return nil, err
	}
	var next string
	data.Letters, next, err = d.store.DeadLetters(ctx, restock.DeadQuery{
		Queue: data.Queue, Needed: restock.Need(data.Needed), After: query.Get("after"), Limit: listRows,
	})
	data.Next, data.First = here.onward("after", next), here.back("after")
	return &view{Title: "queues", Nav: "queues", Data: data}, err
}

// letterData is one dead letter.
type letterData struct {
	Letter restock.DeadLetter
	Body   string
	Gone   bool // it is no dead letter any more
	Audit  []restock.AuditEntry
}

// letter reads GET /dashboard/dead-letters/{id}.
func (d *Dashboard) letter(r *http.Request) (*view, error) {
	id, err := restock.ParseID[restock.Event](r.PathValue("id"))
	if err != nil {
		return nil, err
	}
	var data letterData
	data.Letter, err = d.store.DeadLetter(r.Context(), r.URL.Query().Get("queue"), id)
	if restock.KindOf(err) == restock.NotFound {
		err, data.Gone = nil, true
		data.Letter.MessageID = id
	}
	if err != nil {
		return nil, err
	}
	data.Body = indented(data.Letter)
	data.Audit, _, err = d.store.Audit(r.Context(), restock.ListQuery{Reference: id.String(), Limit: auditRows})
	return &view{Title: "dead_letter", About: data.Letter.Type, Nav: "queues", Data: data}, err
}

// indented is a body for people.
func indented(l restock.DeadLetter) string {
	var text string
	if l.BodyEncoding != "json" && json.Unmarshal(l.Body, &text) == nil {
		return text
	}
	var value any
	if len(l.Body) == 0 || json.Unmarshal(l.Body, &value) != nil {
		return string(l.Body)
	}
	pretty, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return string(l.Body)
	}
	return string(pretty)
}

// mailData is what was told to people outside.
type mailData struct {
	Holds []restock.AdHold
	Mails []restock.SentMail
}

// mail reads GET /dashboard/mail.
func (d *Dashboard) mail(r *http.Request) (*view, error) {
	var data mailData
	var holds, mails error
	data.Holds, holds = d.store.AdHoldsOpenFirst(r.Context(), listRows)
	data.Mails, mails = d.store.SentMails(r.Context(), listRows)
	return &view{Title: "mail", Nav: "mail", Data: data}, errors.Join(holds, mails)
}

// auditData is a page of what people decided.
type auditData struct {
	Entries     []restock.AuditEntry
	Next, First string
}

// audit reads GET /dashboard/audit.
func (d *Dashboard) audit(r *http.Request) (*view, error) {
	here := place{path: root + "/audit", values: map[string]string{"after": r.URL.Query().Get("after")}}
	var data auditData
	var next string
	var err error
	data.Entries, next, err = d.store.Audit(r.Context(), restock.ListQuery{After: afterOf(r, "after"), Limit: listRows})
	data.Next, data.First = here.onward("after", next), here.back("after")
	return &view{Title: "audit", Nav: "audit", Data: data}, err
}

// promises reads GET /dashboard/checks; what it shows is in every view.
func (d *Dashboard) promises(*http.Request) (*view, error) {
	return &view{Title: "checks", Nav: "checks"}, nil
}

// SubjectAddress gives templates the page of what an act was done to; "" when
// there is none.
func (v *view) SubjectAddress(e restock.AuditEntry) string {
	thing, _, _ := strings.Cut(e.Action, ".")
	places := map[string]string{"order": "/orders/", "receipt": "/receipts/", "dead": "/dead-letters/"}
	place, ok := places[thing]
	if _, err := restock.ParseID[restock.AuditEntry](e.Subject); !ok || err != nil || e.Subject == "" {
		return ""
	}
	return root + place + e.Subject
}
