package replenish

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/web"
)

// callbackBytesMax is the largest body that is read. A larger one with a good
// token is held, with its beginning kept as evidence.
const callbackBytesMax = restock.BodyBytesKept

// tokenParameter is where the token stands in a callback address.
const tokenParameter = "token"

// Register adds the receiving route.
func (r *Replenisher) Register(mux *http.ServeMux) {
	mux.HandleFunc("POST /product/{product}", r.arrival)
}

// callbackURL is the address at which the factory reports an attempt.
func (r *Replenisher) callbackURL(a restock.Attempt) string {
	return strings.TrimRight(r.cfg.PublicURL, "/") + "/product/" + url.PathEscape(a.Slug) +
		"?" + tokenParameter + "=" + r.cfg.Keys.sign(a.OrderID, a.Number)
}

// arrival answers POST /product/{product}. The factory calls once, so with a
// good token nothing is ever refused: what cannot be applied is held. The
// answer comes after the receipt is durable.
func (r *Replenisher) arrival(w http.ResponseWriter, req *http.Request) {
	body, readErr := web.ReadBody(w, req, callbackBytesMax)
	report := factory.ParseCallback(body)
	order, attempt, ok := r.authenticate(req, report)
	if !ok {
		r.unauthenticated(w, req, readErr)
		return
	}
	problem := report.Problem
	if readErr != nil { // too large, compressed or cut short: held with what there is
		problem, report.Count = readErr.Error(), 0
	}
	receipt, err := r.store.Receive(req.Context(), restock.Callback{
		OrderID: order, Attempt: attempt,
		Product: report.ProductID, Factory: report.FactoryID, Requester: report.Requester,
		Count: report.Count, Claimed: report.Claimed, Problem: problem,
		Body: []byte(factory.Redact(string(body))), Hash: sha256.Sum256(body), Remote: req.RemoteAddr,
	}, Judge)
	if err != nil {
		web.SeedError(w, req, r.log, err, "")
		return
	}
	r.log.InfoContext(req.Context(), "callback received", keyOrder, order, keyAttempt, attempt, keyReceipt, receipt.ID,
		keyState, receipt.State, keyApplied, receipt.Applied, keyHeld, receipt.Held, keyReason, receipt.Reason, keyRemote, req.RemoteAddr)
	r.answer(w, req, receipt)
}

// authenticate takes the token from the address, or, when the address was
// mangled on its way, from the echo of it in the body.
func (r *Replenisher) authenticate(req *http.Request, report factory.Report) (restock.OrderID, int, bool) {
	if order, attempt, ok := r.cfg.Keys.verify(req.URL.Query().Get(tokenParameter)); ok {
		return order, attempt, ok
	}
	token := ""
	if echoed, err := url.Parse(report.CallbackURL); err == nil {
		token = echoed.Query().Get(tokenParameter)
	}
	return r.cfg.Keys.verify(token)
}

// unauthenticated answers every request without a good token alike, whatever
// product it names: who has no token learns nothing.
func (r *Replenisher) unauthenticated(w http.ResponseWriter, req *http.Request, readErr error) {
	if readErr != nil && restock.KindOf(readErr) == restock.TooLarge {
		web.SeedError(w, req, r.log, readErr, "")
		return
	}
	r.log.WarnContext(req.Context(), "callback without a good token", keyRemote, req.RemoteAddr)
	web.SeedError(w, req, r.log, errNoToken(), "")
}

func errNoToken() error {
	return restock.Errorf(restock.Unauthorized, restock.CodeUnauthorized,
		"goods are reported at the CallbackUrl of their order, with its token; goods that came without a call "+
			"are booked by an operator: see `restock orders list`")
}

// answer says what was done with a report.
func (r *Replenisher) answer(w http.ResponseWriter, req *http.Request, receipt restock.Receipt) {
	language := web.Language(req)
	web.SetLanguage(w, language)
	web.WriteJSON(w, http.StatusOK, struct {
		Message string               `json:"message"`
		Result  restock.ReceiptState `json:"result"`
		ID      restock.ReceiptID    `json:"receipt_id"`
		Applied int64                `json:"applied"`
		Held    int64                `json:"held"`
		Reason  string               `json:"reason,omitempty"`
	}{arrivalText(receipt, language), receipt.State, receipt.ID, receipt.Applied, receipt.Held, receipt.Reason})
}

func arrivalText(receipt restock.Receipt, language restock.Language) string {
	held := receipt.State == restock.ReceiptHeld
	switch {
	case held && language == restock.English:
		return fmt.Sprintf("Arrival held! Remaining stock: %d", receipt.Available)
	case held:
		return fmt.Sprintf("입고 보류! 남은 재고: %d", receipt.Available)
	case language == restock.English:
		return fmt.Sprintf("Arrival booked! Remaining stock: %d", receipt.Available)
	default:
		return fmt.Sprintf("입고 완료! 남은 재고: %d", receipt.Available)
	}
}
