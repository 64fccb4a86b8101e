package main

import (
	"net/url"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type receiptsCommand struct {
	List    receiptsListCommand    `cmd:"" default:"withargs" help:"List receipts, newest first."`
	Show    receiptsShowCommand    `cmd:"" help:"Show one receipt with the body that was kept."`
	Approve receiptsApproveCommand `cmd:"" help:"Book what is held of a receipt."`
	Refuse  receiptsRefuseCommand  `cmd:"" help:"Send away what is held of a receipt."`
	Book    receiptsBookCommand    `cmd:"" help:"Book goods that came without a call."`
}

type receiptsListCommand struct {
	listing `embed:""`
	State   string `help:"Only in this state: applied, duplicate, held or refused."`
}

func (r *receiptsListCommand) Run(c *console) error {
	q := r.query()
	set(q, "state", r.State)
	return show(c, &r.listing, "/v1/receipts", q, "No receipts yet: a factory reports at the callback address of an order; see `restock orders list`",
		"RECEIPT\tSKU\tSTATE\tCLAIMED\tAPPLIED\tHELD\tAT\tREASON",
		func(r restock.Receipt) []any {
			return []any{r.ID, r.SKU, r.State, r.Claimed, r.Applied, r.Held, when(r.CreatedAt), r.Reason}
		})
}

type receiptsShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"receipt" help:"The receipt's id."`
}

func (r *receiptsShowCommand) Run(c *console) error {
	return showOne(c, &r.remote, "/v1/receipts/"+url.PathEscape(r.ID))
}

// receiptAct is what the actions on one receipt share.
type receiptAct struct {
	person `embed:""`
	ID     string `arg:"" name:"receipt" help:"The receipt's id."`
}

func (r *receiptAct) do(c *console, action string, body ops.ReceiptActBody) error {
	body.ActBody = r.act()
	var receipt restock.Receipt
	if err := r.post(c, "/v1/receipts/"+url.PathEscape(r.ID)+"/"+action, body, &receipt); err != nil {
		return err
	}
	return printReceipt(c, &r.remote, receipt)
}

func printReceipt(c *console, r *remote, receipt restock.Receipt) error {
	if r.JSON {
		return printJSON(c, receipt)
	}
	c.printf("receipt %s of %s: %s, applied %d, held %d, refused %d\n",
		receipt.ID, receipt.SKU, receipt.State, receipt.Applied, receipt.Held, receipt.Refused)
	return nil
}

type receiptsApproveCommand struct {
	receiptAct `embed:""`
	Count      int64  `help:"How many pieces came; all that is held when left out. What is not approved is refused."`
	Product    string `help:"Whose goods they are, when the order is not known: a slug, SKU or id."`
}

// Help is shown by restock receipts approve --help.
func (receiptsApproveCommand) Help() string {
	return `Examples:
  restock receipts approve 01a2… --reason "counted at the gate"
  restock receipts approve 01a2… --count 8 --reason "two were broken"`
}

func (r *receiptsApproveCommand) Run(c *console) error {
	return r.do(c, "approve", ops.ReceiptActBody{Count: r.Count, Product: r.Product})
}

type receiptsRefuseCommand struct {
	receiptAct `embed:""`
}

// Help is shown by restock receipts refuse --help.
func (receiptsRefuseCommand) Help() string {
	return `Example:
  restock receipts refuse 01a2… --reason "nothing came"`
}

func (r *receiptsRefuseCommand) Run(c *console) error { return r.do(c, "refuse", ops.ReceiptActBody{}) }

type receiptsBookCommand struct {
	person  `embed:""`
	Order   string `required:"" help:"The order that the goods are of."`
	Attempt int    `help:"Which attempt; the latest when left out."`
	Count   int64  `required:"" help:"How many pieces came."`
	Beyond  bool   `help:"Also more than the attempt was asked for."`
}

// Help is shown by restock receipts book --help.
func (receiptsBookCommand) Help() string {
	return `A call that comes late finds the attempt complete. Example:
  restock receipts book --order 01a2… --count 10 --reason "came by lorry, no call"`
}

func (r *receiptsBookCommand) Run(c *console) error {
	id, err := restock.ParseID[restock.Order](r.Order)
	if err != nil {
		return err
	}
	var receipt restock.Receipt
	body := ops.BookingBody{ActBody: r.act(), OrderID: id, Attempt: r.Attempt, Count: r.Count, Beyond: r.Beyond}
	if err := r.post(c, "/v1/receipts", body, &receipt); err != nil {
		return err
	}
	return printReceipt(c, &r.remote, receipt)
}
