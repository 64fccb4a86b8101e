package replenish

import (
	"crypto/sha256"
	"fmt"
	"net/http"
	"regexp"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// Where the worker of another system orders, the factory calls an address of that
// system's making: the same for every order, and without a token of ours. In a
// token's place it may carry a static secret that was made for the factory. The
// secret says who calls. What the goods are of has to follow from the body, and
// what cannot be told is held.

// unsigned answers a report without a good token.
func (r *Replenisher) unsigned(w http.ResponseWriter, req *http.Request, c call) {
	texts, proofs := secretsIn(c.tokens)
	voucher, err := r.store.Vouch(req.Context(), proofs)
	stranger := voucher.Factory.IsZero()
	switch {
	case err != nil:
		r.failed(w, req, len(proofs) > 0, err)
	case stranger && (!voucher.Kept || c.problem != nil && restock.KindOf(c.problem) == restock.TooLarge):
		r.unauthenticated(w, req, c.problem)
	case stranger && voucher.Full:
		r.failed(w, req, false, errNoRoom())
	default:
		r.keep(w, req, c, texts, proofs)
	}
}

// vouchedStray books a report that carries a factory's secret to any path. It
// reports whether there was one.
func (r *Replenisher) vouchedStray(w http.ResponseWriter, req *http.Request, c call) bool {
	texts, proofs := secretsIn(c.tokens)
	if len(proofs) == 0 {
		return false
	}
	voucher, err := r.store.Vouch(req.Context(), proofs)
	if err != nil {
		r.failed(w, req, true, err)
		return true
	}
	if voucher.Factory.IsZero() {
		return false
	}
	r.keep(w, req, c, texts, proofs)
	return true
}

// failed answers what could not be stored, and may have been a factory's.
func (r *Replenisher) failed(w http.ResponseWriter, req *http.Request, likely bool, err error) {
	if likely {
		r.cfg.Observe(CallbackFailed)
	} else {
		r.refused(req)
	}
	web.SeedError(w, req, r.log, err, "")
}

func errNoRoom() error {
	return restock.Errorf(restock.Unavailable, restock.CodeRateLimited,
		"as many reports without a token as may wait for a person do; an operator decides about them: see `restock receipts list --state held`")
}

// secretsIn finds what may be a factory's secret among what may be tokens.
func secretsIn(tokens []string) (texts []string, proofs []restock.SecretProof) {
	for _, token := range tokens {
		if proof, ok := restock.ProofOf(token); ok {
			texts, proofs = append(texts, token), append(proofs, proof)
		}
	}
	return texts, proofs
}

// keep stores a report without a token, and answers it.
func (r *Replenisher) keep(w http.ResponseWriter, req *http.Request, c call, texts []string, proofs []restock.SecretProof) {
	conceal := r.concealToo(texts)
	path, _, _ := strings.Cut(req.PathValue("product"), "?") // which a mangled address has inside
	u := restock.Unsigned{Callback: r.callback(req, c, conceal), Path: conceal(path), Proofs: proofs}
	// The body echoes an address with a secret that changes, while the report stays
	// the same.
	u.Hash = sha256.Sum256(u.Body)
	receipt, err := r.store.ReceiveUnsigned(req.Context(), u, JudgeUnsigned)
	if err != nil {
		r.failed(w, req, len(proofs) > 0, err)
		return
	}
	if receipt.Unvouched() {
		r.cfg.Observe(CallbackUnvouched)
		if ok, unlogged := r.gate.lines.Allow(req); ok {
			r.log.WarnContext(req.Context(), "callback that nobody vouches for", keyReceipt, receipt.ID, keyState, receipt.State,
				keyRemote, req.RemoteAddr, keyUnlogged, unlogged)
		}
	} else {
		r.cfg.Observe(string(receipt.State))
		r.log.InfoContext(req.Context(), "callback received", keyFactory, receipt.Factory, keySKU, receipt.SKU, keyOrder, receipt.OrderID,
			keyReceipt, receipt.ID, keyState, receipt.State, keyApplied, receipt.Applied, keyHeld, receipt.Held, keyReason, receipt.Reason,
			keyRemote, req.RemoteAddr)
	}
	r.answer(w, req, receipt)
}

// concealToo cuts secrets out of a text beside what conceal does, wherever they
// stand.
func (r *Replenisher) concealToo(secrets []string) func(string) string {
	if len(secrets) == 0 {
		return r.conceal
	}
	quoted := make([]string, len(secrets))
	for i, secret := range secrets {
		quoted[i] = regexp.QuoteMeta(secret)
	}
	anywhere := regexp.MustCompile("(?i)" + strings.Join(quoted, "|"))
	return func(text string) string { return anywhere.ReplaceAllString(r.conceal(text), "***") }
}

// JudgeUnsigned applies the rules to a report whose address carries no token of
// ours, the first that matches. What a factory's secret vouches for is applied to
// the one attempt of an open order that it can be of, by the rules of Judge, or,
// where no order of ours is open for it, to the product. What it cannot be told of
// is held, and so is what nobody vouches for.
func JudgeUnsigned(e restock.UnsignedEvidence) restock.UnsignedVerdict {
	c := e.Unsigned.Callback
	if why := unbelieved(e); why != "" {
		return unsignedVerdict(restock.ReceiptHeld, 0, c.Count, "%s", why)
	}
	fits := fitting(e)
	switch {
	case len(fits) > 1:
		return unsignedVerdict(restock.ReceiptHeld, 0, c.Count, "%d attempts of open orders may be what it reports", len(fits))
	case len(fits) == 1:
		of := fits[0].Attempt
		return restock.UnsignedVerdict{Verdict: Judge(fits[0]), OrderID: of.OrderID, Attempt: of.Number}
	case e.Seen && e.Factory.Repeats != restock.RepeatsApply:
		return unsignedVerdict(restock.ReceiptHeld, 0, c.Count,
			"this report came before, and without a token it may be a repeat or the next delivery; a factory with `repeats: apply` is taken at its word")
	default:
		return unsignedVerdict(restock.ReceiptApplied, c.Count, 0, "")
	}
}

// unbelieved says why a report cannot be applied, whatever is on order.
func unbelieved(e restock.UnsignedEvidence) string {
	c, f, p := e.Unsigned.Callback, e.Factory, e.Product
	switch {
	case f.ID.IsZero():
		return "nobody vouches for it: its address carries neither a token nor the secret of a factory"
	case c.Factory != "" && c.Factory != f.Identifier && !strings.EqualFold(c.Factory, f.ID.String()):
		return fmt.Sprintf("it reports factory %q, and the secret is that of %q", clip(c.Factory), f.Identifier)
	case e.Unsigned.Named() == "":
		return "it names no product"
	case p.ID.IsZero():
		return fmt.Sprintf("it reports product %q, which is not in the catalogue", clip(e.Unsigned.Named()))
	case p.FactoryID != f.ID:
		return fmt.Sprintf("it reports product %q, which is not made by %q", p.SKU, f.Identifier)
	case c.Count <= 0:
		return "the count cannot be relied on: " + c.Problem
	case p.Stock.OnHand+c.Count > restock.QuantityMax:
		return fmt.Sprintf("with these pieces there would be more than %d", int64(restock.QuantityMax))
	}
	return ""
}

// fitting are the attempts that a report may be of. That product and factory are
// theirs is known by now, in whatever way the report spells them.
func fitting(e restock.UnsignedEvidence) []restock.Evidence {
	var fits []restock.Evidence
	for _, of := range e.Awaited {
		of.Callback, of.Seen = e.Unsigned.Callback, e.Seen
		of.Callback.Product, of.Callback.Factory = "", ""
		if mismatch(of) == "" {
			fits = append(fits, of)
		}
	}
	return fits
}

func unsignedVerdict(state restock.ReceiptState, apply, hold int64, format string, args ...any) restock.UnsignedVerdict {
	return restock.UnsignedVerdict{Verdict: restock.Verdict{State: state, Apply: apply, Hold: hold, Reason: fmt.Sprintf(format, args...)}}
}
