package sales

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// The limits of one checkout.
const (
	checkoutBytesMax  = 64 << 10
	linesMax          = 100
	referenceBytesMax = 200
)

// checkout answers POST /checkout.
func (s *Shop) checkout(w http.ResponseWriter, r *http.Request) {
	cart, err := readCart(w, r)
	if err != nil {
		s.cfg.Observe(outcomeOf(err), 0)
		s.fail(w, r, err)
		return
	}
	began := s.cfg.Now()
	outcome := s.till.sell(r.Context(), cart)
	s.cfg.Observe(outcomeOf(outcome.Err), s.cfg.Now().Sub(began))
	switch {
	case outcome.Err == nil:
		s.sold(w, r, outcome.Sale)
	case restock.KindOf(outcome.Err) == restock.OutOfStock:
		s.refused(w, r, outcome)
	default:
		s.fail(w, r, outcome.Err)
	}
}

func outcomeOf(err error) string {
	if err == nil {
		return OutcomeSold
	}
	switch restock.KindOf(err) { //nolint:exhaustive // the others are the buyer's mistakes.
	case restock.OutOfStock:
		return OutcomeOutOfStock
	case restock.Unavailable:
		return OutcomeUnavailable
	case restock.Internal:
		return OutcomeFailed
	default:
		return OutcomeInvalid
	}
}

// sold answers a purchase. The bytes are put together by hand: this answer is
// written more often than all others, and reflection would be a tenth of what a
// sale costs. A test holds it against encoding/json.
func (s *Shop) sold(w http.ResponseWriter, r *http.Request, sale restock.Sale) {
	language := web.Language(r)
	web.SetLanguage(w, language)
	w.Header()["Content-Type"] = jsonHeader()
	w.WriteHeader(http.StatusOK)
	// A client that is gone cannot be told so.
	_, _ = w.Write(appendSold(make([]byte, 0, soldBytesUsual), sale, language))
}

const soldBytesUsual = 512

func jsonHeader() []string { return []string{"application/json"} }

func appendSold(b []byte, sale restock.Sale, language restock.Language) []byte {
	message := `{"message":"구매 완료! 남은 재고: `
	if language == restock.English {
		message = `{"message":"Purchase complete! Remaining stock: `
	}
	b = append(b, message...)
	b = strconv.AppendInt(b, sale.Lines[0].Remaining, 10)
	b = append(b, `","sale_id":"`...)
	b, _ = sale.ID.AppendText(b) // it never fails
	b = append(b, '"')
	if sale.Reference != "" {
		b = append(b, `,"reference":`...)
		b = appendString(b, sale.Reference)
	}
	b = append(b, `,"items":[`...)
	for i, line := range sale.Lines {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(b, `{"sku":`...)
		b = appendString(b, string(line.SKU))
		b = append(b, `,"quantity":`...)
		b = strconv.AppendInt(b, line.Quantity, 10)
		b = append(b, `,"unit_price":`...)
		b = strconv.AppendInt(b, line.UnitPrice, 10)
		b = append(b, `,"remaining":`...)
		b = strconv.AppendInt(b, line.Remaining, 10)
		b = append(b, '}')
	}
	b = append(b, `],"total":`...)
	b = strconv.AppendInt(b, sale.Total, 10)
	b = append(b, `,"currency":`...)
	b = appendString(b, sale.Currency)
	b = append(b, `,"sold_at":"`...)
	b = sale.SoldAt.AppendFormat(b, time.RFC3339Nano)
	return append(b, "\"}\n"...)
}

// appendString writes a JSON string; plain ASCII, which most are, as it is.
func appendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			quoted, err := json.Marshal(s)
			if err != nil {
				return append(b, `""`...) // a string always has a JSON form
			}
			return append(b, quoted...)
		}
	}
	b = append(b, '"')
	b = append(b, s...)
	return append(b, '"')
}

func (s *Shop) refused(w http.ResponseWriter, r *http.Request, o restock.Outcome) {
	language := web.Language(r)
	web.SetLanguage(w, language)
	message := "구매 실패! 남은 재고: %d"
	if language == restock.English {
		message = "Purchase failed! Remaining stock: %d"
	}
	web.WriteJSON(w, s.cfg.RefusedStatus, struct {
		Message   string       `json:"message"`
		Code      restock.Code `json:"code"`
		SKU       restock.SKU  `json:"sku"`
		Remaining int64        `json:"remaining"`
	}{fmt.Sprintf(message, o.Short.Available), restock.CodeOutOfStock, o.Short.SKU, o.Short.Available})
}

func readCart(w http.ResponseWriter, r *http.Request) (restock.Cart, error) {
	body, err := web.ReadBody(w, r, checkoutBytesMax)
	if err != nil {
		return restock.Cart{}, err
	}
	cart, err := parseCart(body)
	if err != nil {
		return cart, err
	}
	cart.Key, err = web.IdempotencyKey(r, "POST /checkout", body)
	return cart, err
}

// item is one line of a checkout's body, as it was written: text is not a
// number, and null, which JavaScript makes of NaN, is not "left out".
type item struct {
	SKU      json.RawMessage `json:"sku"`
	Quantity json.RawMessage `json:"quantity"`
}

// parseCart reads the body of a checkout as JSON, whatever its Content-Type: a
// form's, which curl -d sends, is as good as any. A blank body is one of the
// default product. The error is of kind Invalid, and then nothing was sold.
func parseCart(body []byte) (restock.Cart, error) {
	body = bytes.TrimSpace(body)
	if len(body) == 0 {
		return restock.Cart{Lines: []restock.Line{{Quantity: 1}}}, nil
	}
	if body[0] != '{' || !utf8.Valid(body) {
		return restock.Cart{}, invalid("the body must be a JSON object such as %s", `{"sku":"CP-502101","quantity":1}`)
	}
	var request struct {
		item
		Items     json.RawMessage `json:"items"`
		Reference string          `json:"reference"`
	}
	decoder := json.NewDecoder(bytes.NewReader(body))
	if err := decoder.Decode(&request); err != nil {
		return restock.Cart{}, invalid("the body is not the JSON that a checkout takes: %v", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return restock.Cart{}, invalid("the body has more after its JSON object")
	}
	if err := spelled(body); err != nil {
		return restock.Cart{}, err
	}
	if len(request.Reference) > referenceBytesMax {
		return restock.Cart{}, invalid("reference has more than %d bytes", referenceBytesMax)
	}
	items, err := chosen(request.item, request.Items)
	if err != nil {
		return restock.Cart{}, err
	}
	cart := restock.Cart{Reference: request.Reference}
	for i, it := range items {
		line, err := it.line()
		if err != nil {
			return restock.Cart{}, fmt.Errorf("item %d: %w", i+1, err)
		}
		cart.Lines = append(cart.Lines, line)
	}
	return cart, nil
}

// spelled refuses the members of a checkout in other letters, such as "Sku", which
// encoding/json takes for them: who reads the description would not.
func spelled(body []byte) error {
	if plainlySpelled(body) {
		return nil
	}
	var request map[string]json.RawMessage
	if err := json.Unmarshal(body, &request); err != nil {
		return invalid("the body is not the JSON that a checkout takes: %v", err)
	}
	var items []map[string]json.RawMessage
	_ = json.Unmarshal(request["items"], &items) // what else it can be has been refused
	for _, members := range append(items, request) {
		for name := range members {
			for _, known := range checkoutMembers() {
				if name != known && strings.EqualFold(name, known) {
					return invalid("the member %q must be written %q", clip(name), known)
				}
			}
		}
	}
	return nil
}

func checkoutMembers() []string { return []string{"sku", "quantity", "items", "reference"} }

// plainlySpelled sees at a glance that most bodies have no member in other
// letters: as many as in small letters, and none in disguise.
func plainlySpelled(body []byte) bool {
	for _, c := range body {
		if c == '\\' || c >= utf8.RuneSelf {
			return false
		}
	}
	small := bytes.ToLower(body)
	for _, name := range checkoutMembers() {
		quoted := []byte(`"` + name + `"`)
		if bytes.Count(small, quoted) != bytes.Count(body, quoted) {
			return false
		}
	}
	return true
}

// chosen gives the lines of a body, which names one product or lists items.
func chosen(single item, list json.RawMessage) ([]item, error) {
	if len(list) == 0 {
		return []item{single}, nil
	}
	var items []item
	if err := json.Unmarshal(list, &items); err != nil {
		return nil, invalid("items is not a list of objects with sku and quantity: %v", err)
	}
	switch {
	case len(single.SKU)+len(single.Quantity) > 0:
		return nil, invalid("give sku and quantity, or items, not both")
	case len(items) == 0 || len(items) > linesMax:
		return nil, invalid("items must have 1 to %d entries", linesMax)
	}
	for _, it := range items {
		if len(it.SKU) == 0 {
			return nil, invalid("each of the items needs a sku")
		}
	}
	return items, nil
}

func (it item) line() (restock.Line, error) {
	line := restock.Line{Quantity: 1}
	if len(it.SKU) > 0 {
		if it.SKU[0] != '"' || json.Unmarshal(it.SKU, &line.Product) != nil || line.Product == "" {
			return line, invalid("sku must be a text such as \"CP-502101\", not %s", clip(string(it.SKU)))
		}
	}
	if len(it.Quantity) > 0 {
		n, err := strconv.ParseInt(string(it.Quantity), 10, 64)
		if err != nil || n < 1 || n > restock.QuantityMax {
			return line, invalid("quantity must be a whole number from 1 to %d, not %s", int64(restock.QuantityMax), clip(string(it.Quantity)))
		}
		line.Quantity = n
	}
	return line, nil
}

// clip keeps what a caller sent short enough to be repeated in an error.
func clip(s string) string {
	const most = 40
	if len(s) <= most {
		return s
	}
	return s[:most] + "…"
}

func invalid(format string, args ...any) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, format, args...)
}
