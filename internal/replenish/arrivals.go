package replenish

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/web"
)

// callbackBytesMax is the largest body that is read. A larger one with a good
// token is held, with its beginning kept as evidence.
const callbackBytesMax = restock.BodyBytesKept

// What becomes of a report beside the states of a receipt.
const (
	CallbackFailed          = "failed"          // it could not be stored, and a factory calls once
	CallbackUnauthenticated = "unauthenticated" // it came without a good token, and was not kept
	CallbackUnvouched       = "unvouched"       // it came without a token and without a factory's secret, and is held
)

// CallbackClasses lists what can become of a report.
func CallbackClasses() []string {
	return []string{
		string(restock.ReceiptApplied), string(restock.ReceiptDuplicate), string(restock.ReceiptHeld), string(restock.ReceiptRefused),
		CallbackFailed, CallbackUnauthenticated, CallbackUnvouched,
	}
}

// tokenParameter is where the token stands in a callback address.
const tokenParameter = "token"

// Register adds the receiving route.
func (r *Replenisher) Register(mux web.Router) {
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
	c, req := readCall(w, req)
	if order, attempt, ok := r.authenticate(req.Context(), c.tokens); ok {
		r.book(w, req, c, order, attempt)
		return
	}
	r.unsigned(w, req, c)
}

// Strays answers what no other route knows. A POST with a good token, or with the
// secret of a factory, is a callback whose address was mangled on its way, be it in capitals, cut, or
// with its question mark encoded; everything else is for unknown.
func (r *Replenisher) Strays(unknown http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if req.Method != http.MethodPost {
			unknown.ServeHTTP(w, req)
			return
		}
		c, req := readCall(plain{w}, req)
		if order, attempt, ok := r.authenticate(req.Context(), c.tokens); ok {
			r.book(w, req, c, order, attempt)
			return
		}
		if r.vouchedStray(w, req, c) {
			return
		}
		if len(c.tokens) > 0 {
			r.refused(req)
		}
		unknown.ServeHTTP(w, req)
	})
}

// plain hides what else a writer can do: reading too large a body does not
// close the connection then, so that a stray is answered as if it had not been
// read.
type plain struct{ http.ResponseWriter }

// call is a callback as it came.
type call struct {
	body    []byte
	problem error // the body is too large, compressed or cut short
	report  factory.Report
	tokens  []string // in its address, then in the address that the body echoes
}

// callback is what there is to store of it.
func (r *Replenisher) callback(req *http.Request, c call, conceal func(string) string) restock.Callback {
	problem := c.report.Problem
	if c.problem != nil { // held with what there is
		problem, c.report.Count = c.problem.Error(), 0
	}
	body := conceal(string(c.body))
	return restock.Callback{
		PublicURL: r.cfg.PublicURL,
		Product:   conceal(c.report.ProductID), Factory: conceal(c.report.FactoryID), Requester: conceal(c.report.Requester),
		Count: c.report.Count, Claimed: conceal(c.report.Claimed), Problem: conceal(problem),
		Body: []byte(body), Hash: sha256.Sum256(c.body), Remote: req.RemoteAddr,
	}
}

// readCall reads a callback, and gives its request as it is to be answered: to the
// end, also when the factory has hung up, which calls once. Whose body is too slow
// has hung up, too, as the server sees it.
func readCall(w http.ResponseWriter, req *http.Request) (call, *http.Request) {
	body, err := web.ReadBody(w, req, callbackBytesMax)
	report := factory.ParseCallback(body)
	c := call{body, err, report, append(tokensIn(req.URL.RequestURI()), tokensIn(report.CallbackURL)...)}
	return c, req.WithContext(context.WithoutCancel(req.Context()))
}

// The limits of looking for tokens.
const (
	tokensMax   = 4 // in one address
	decodingMax = 3 // times that an address is percent-decoded
)

// tokensIn finds what may be the token in an address: the values of parameters
// of that name in any case, as they stand, and decoded.
func tokensIn(address string) []string {
	var tokens []string
	for range decodingMax {
		for part := range strings.FieldsFuncSeq(address, isSeparator) {
			name, value, _ := strings.Cut(part, "=")
			if strings.EqualFold(name, tokenParameter) && value != "" && !slices.Contains(tokens, value) && len(tokens) < tokensMax {
				tokens = append(tokens, value)
			}
		}
		decoded, err := url.PathUnescape(address)
		if err != nil || decoded == address {
			break
		}
		address = decoded
	}
	return tokens
}

func isSeparator(c rune) bool { return c == '?' || c == '&' || c == '#' }

// authenticate takes the first good token.
func (r *Replenisher) authenticate(ctx context.Context, tokens []string) (restock.OrderID, int, bool) {
	order, attempt, ok := r.firstGood(tokens)
	if !ok && r.cfg.Keys.learn(ctx, tokens) {
		return r.firstGood(tokens)
	}
	return order, attempt, ok
}

func (r *Replenisher) firstGood(tokens []string) (restock.OrderID, int, bool) {
	for _, token := range tokens {
		if order, attempt, ok := r.cfg.Keys.verify(token); ok {
			return order, attempt, ok
		}
	}
	return restock.OrderID{}, 0, false
}

// book stores a callback whose token is good, and answers it.
func (r *Replenisher) book(w http.ResponseWriter, req *http.Request, c call, order restock.OrderID, attempt int) {
	report := r.callback(req, c, r.conceal)
	report.OrderID, report.Attempt = order, attempt
	receipt, err := r.store.Receive(req.Context(), report, Judge)
	if err != nil {
		r.cfg.Observe(CallbackFailed)
		web.SeedError(w, req, r.log, err, "")
		return
	}
	r.cfg.Observe(string(receipt.State))
	// The factory need not know of traces; the order does.
	r.log.InfoContext(web.Follow(req.Context(), receipt.TraceParent), "callback received", keyOrder, order, keyAttempt, attempt, keyReceipt, receipt.ID,
		keyState, receipt.State, keyApplied, receipt.Applied, keyHeld, receipt.Held, keyReason, receipt.Reason, keyRemote, req.RemoteAddr)
	r.answer(w, req, receipt)
}

// tokenRun is where a token may be: letters and digits of its alphabet, as many
// as it has or more.
var tokenRun = regexp.MustCompile(fmt.Sprintf("[A-Za-z2-7]{%d,}", tokenTextLen))

// conceal cuts tokens out of what a factory sent: those that stand as the
// parameter of an address, and good ones wherever they stand.
func (r *Replenisher) conceal(text string) string {
	return tokenRun.ReplaceAllStringFunc(factory.Redact(text), func(run string) string {
		for at := 0; at+tokenTextLen <= len(run); at++ {
			if !beginsToken(run[at:]) {
				continue
			}
			if _, _, good := r.cfg.Keys.verify(run[at : at+tokenTextLen]); good {
				run = run[:at] + "***" + run[at+tokenTextLen:]
			}
		}
		return run
	})
}

// unauthenticated answers every request without a good token alike, whatever
// product it names: who has no token learns nothing.
func (r *Replenisher) unauthenticated(w http.ResponseWriter, req *http.Request, problem error) {
	r.refused(req)
	if problem != nil && restock.KindOf(problem) == restock.TooLarge {
		web.SeedError(w, req, r.log, problem, "")
		return
	}
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

// arrivalText is the answer in words. It tells the stock to whom a secret or a
// token let in.
func arrivalText(receipt restock.Receipt, language restock.Language) string {
	held := receipt.State == restock.ReceiptHeld
	switch {
	case held && receipt.Unvouched() && language == restock.English:
		return "Arrival held! A person decides."
	case held && receipt.Unvouched():
		return "입고 보류! 담당자가 확인합니다."
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
