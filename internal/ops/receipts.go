package ops

import (
	"context"
	"net/http"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// ReceiptActs is what people do to receipts.
type ReceiptActs interface {
	ApproveReceipt(ctx context.Context, id restock.ReceiptID, approval restock.Approval, act restock.Act) (restock.Receipt, error)
	RefuseReceipt(ctx context.Context, id restock.ReceiptID, act restock.Act) (restock.Receipt, error)
	BookReceipt(ctx context.Context, b restock.Booking, act restock.Act, key restock.Key) (restock.Receipt, error)
}

// ReceiptActBody is what approving and refusing a receipt take. Count and
// Product are for approving.
type ReceiptActBody struct {
	ActBody

	Count   int64  `json:"count,omitempty"`
	Product string `json:"product,omitempty"`
}

// BookingBody is what POST /v1/receipts takes: goods that came without a call.
type BookingBody struct {
	ActBody

	OrderID restock.OrderID `json:"order_id"`
	Attempt int             `json:"attempt,omitempty"`
	Count   int64           `json:"count"`
	Beyond  bool            `json:"beyond,omitempty"`
}

func (a *api) receiptRoutes(mux *web.Mux) {
	mux.HandleFunc("POST /v1/receipts", a.bookReceipt)
	mux.HandleFunc("POST /v1/receipts/{id}/approve", actOn(a, "receipt", "approve",
		func(ctx context.Context, id restock.ReceiptID, b ReceiptActBody, act restock.Act) (restock.Receipt, error) {
			return a.store.ApproveReceipt(ctx, id, restock.Approval{Count: b.Count, Product: b.Product}, act)
		}))
	mux.HandleFunc("POST /v1/receipts/{id}/refuse", actOn(a, "receipt", "refuse",
		func(ctx context.Context, id restock.ReceiptID, _ ReceiptActBody, act restock.Act) (restock.Receipt, error) {
			return a.store.RefuseReceipt(ctx, id, act)
		}))
}

func (a *api) bookReceipt(w http.ResponseWriter, r *http.Request) {
	body, act, text, err := readAct[BookingBody](w, r, actionBytesMax)
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/receipts", text)
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	receipt, err := a.store.BookReceipt(r.Context(), restock.Booking{
		OrderID: body.OrderID, Attempt: body.Attempt, Count: body.Count, Beyond: body.Beyond,
	}, act, key)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	a.log.InfoContext(r.Context(), "a person booked goods", "receipt_id", receipt.ID, "order_id", receipt.OrderID, "count", receipt.Applied,
		"by", act.By, "reason", act.Reason)
	web.WriteJSON(w, http.StatusCreated, receipt)
}
