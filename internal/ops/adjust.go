package ops

import (
	"net/http"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// AdjustmentBody is what POST /v1/adjustments takes: a signed quantity, or what
// a stocktake counted.
type AdjustmentBody struct {
	SKU      string `json:"sku"`
	Quantity *int64 `json:"quantity,omitempty"`
	Counted  *int64 `json:"counted,omitempty"`
	Reason   string `json:"reason"`
	// FreeYoungest lets the youngest reservations go if too little is left.
	FreeYoungest bool `json:"free_youngest,omitempty"`
}

// adjust answers POST /v1/adjustments.
func (a *api) adjust(w http.ResponseWriter, r *http.Request) {
	body, err := web.ReadBody(w, r, actionBytesMax)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	request, err := parseAdjustment(body)
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/adjustments", body)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	adjustment, err := a.store.Adjust(r.Context(), request, key)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "stock adjusted", "sku", adjustment.SKU, "quantity", adjustment.Quantity, "reason", adjustment.Reason)
	web.WriteJSON(w, http.StatusCreated, adjustment)
}

func parseAdjustment(body []byte) (restock.AdjustmentRequest, error) {
	var b AdjustmentBody
	if err := web.DecodeJSON(body, &b); err != nil {
		return restock.AdjustmentRequest{}, err
	}
	switch {
	case b.SKU == "":
		return restock.AdjustmentRequest{}, invalid("sku is missing")
	case b.Reason == "" || len(b.Reason) > reasonBytesMax:
		return restock.AdjustmentRequest{}, invalid("a reason of 1 to %d bytes is needed", reasonBytesMax)
	case (b.Quantity == nil) == (b.Counted == nil):
		return restock.AdjustmentRequest{}, invalid("give quantity, the signed difference, or counted, what is there; not both")
	case b.Quantity != nil && (*b.Quantity == 0 || *b.Quantity > restock.QuantityMax || *b.Quantity < -restock.QuantityMax):
		return restock.AdjustmentRequest{}, invalid("quantity must be from -%d to %[1]d and not 0", int64(restock.QuantityMax))
	case b.Counted != nil && (*b.Counted < 0 || *b.Counted > restock.QuantityMax):
		return restock.AdjustmentRequest{}, invalid("counted must be 0 to %d", int64(restock.QuantityMax))
	}
	request := restock.AdjustmentRequest{Product: b.SKU, Counted: b.Counted, Reason: b.Reason, FreeYoungest: b.FreeYoungest}
	if b.Quantity != nil {
		request.Quantity = *b.Quantity
	}
	return request, nil
}

func invalid(format string, args ...any) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, format, args...)
}
