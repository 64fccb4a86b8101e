package main

import (
	"fmt"
	"net/url"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type ordersCommand struct {
	List      ordersListCommand      `cmd:"" default:"withargs" help:"List orders, newest first."`
	Show      ordersShowCommand      `cmd:"" help:"Show one order: attempts, receipts, and what a person can do."`
	Why       ordersWhyCommand       `cmd:"" help:"Tell why a product was ordered, or was not."`
	Plan      ordersPlanCommand      `cmd:"" help:"Tell what would be ordered now and what it costs, without effect."`
	Create    ordersCreateCommand    `cmd:"" help:"Order by hand."`
	Approve   ordersApproveCommand   `cmd:"" help:"Let an order be placed that awaits approval."`
	Reject    ordersRejectCommand    `cmd:"" help:"Close an order that no factory can have."`
	Retry     ordersRetryCommand     `cmd:"" help:"Place a held order with another attempt."`
	Wait      ordersWaitCommand      `cmd:"" help:"Let a held or overdue order wait for its goods."`
	WriteOff  ordersWriteOffCommand  `cmd:"" name:"write-off" help:"Close an order whose goods nobody expects any more."`
	Reconcile ordersReconcileCommand `cmd:"" help:"Settle unknown orders from what the factory says it has."`
}

const ordersPath = "/v1/replenishment-orders"

type ordersListCommand struct {
	listing `embed:""`
	State   string `help:"Only in this state, such as accepted, overdue or held."`
}

func (o *ordersListCommand) Run(c *console) error {
	q := o.query()
	set(q, "state", o.State)
	return show(c, &o.listing, ordersPath, q, "No orders yet: one is made when stock runs low; `restock status` shows what is low",
		"ORDER\tSKU\tSTATE\tRECEIVED\tCREATED\tEXPECTED\tNOTE",
		func(o restock.Order) []any {
			return []any{
				o.ID, o.SKU, o.State, fmt.Sprintf("%d of %d", o.Received, o.Quantity),
				when(o.CreatedAt), when(o.ExpectedAt), o.HeldReason,
			}
		})
}

type ordersShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"order" help:"The order's id."`
}

func (o *ordersShowCommand) Run(c *console) error {
	path := ordersPath + "/" + url.PathEscape(o.ID)
	if o.JSON {
		return showOne(c, &o.remote, path)
	}
	var order restock.Order
	if err := o.get(c, path, nil, &order); err != nil {
		return err
	}
	printOrder(c, order)
	return nil
}

func printOrder(c *console, o restock.Order) {
	c.printf("order %s: %d × %s, %s\n", o.ID, o.Quantity, o.SKU, o.State)
	c.printf("  made %s because %s\n", when(o.CreatedAt), printable(o.Reason))
	c.printf("  received %d, expected %s\n", o.Received, when(o.ExpectedAt))
	if trace := restock.TraceID(o.TraceParent); trace != "" {
		c.printf("  trace %s\n", trace)
	}
	if !o.ClosedAt.IsZero() {
		c.printf("  closed %s\n", when(o.ClosedAt))
	} else if len(o.Attempts) > 0 {
		accepted := 0
		for _, a := range o.Attempts {
			if a.MayBeAccepted() {
				accepted++
			}
		}
		c.printf("  the factory may have %d attempts, of at most %d\n", accepted, 1+o.ReorderBudget)
	}
	if o.HeldReason != "" {
		c.printf("  note: %s\n", printable(o.HeldReason))
	}
	for _, a := range o.Attempts {
		c.printf("  attempt %d at %s: %s, sent %s, HTTP %d %s\n", a.Number, a.Factory.Identifier, a.State, when(a.SentAt), a.Status, printable(a.Error))
	}
	for _, r := range o.Receipts {
		c.printf("  receipt %s: %s, claimed %s, applied %d, held %d, %s %s\n",
			r.ID, r.State, printable(r.Claimed), r.Applied, r.Held, when(r.CreatedAt), printable(r.Reason))
	}
	for _, next := range orderSteps(o) {
		c.printf("  next: restock %s\n", next)
	}
}

// orderSteps are the commands that a person can give in an order's state.
func orderSteps(o restock.Order) []string {
	id := o.ID.String() + " --reason …"
	var steps []string
	switch o.State {
	case restock.OrderAwaitingApproval:
		steps = append(steps, "orders approve "+id, "orders reject "+id)
	case restock.OrderPlanned:
		steps = append(steps, "orders write-off "+id)
	case restock.OrderHeld:
		steps = append(steps, "orders retry "+id, "orders wait --until 24h "+id, "orders write-off "+id)
	case restock.OrderOverdue:
		steps = append(steps, "orders wait --until 24h "+id, "orders write-off "+id)
	case restock.OrderUnknown, restock.OrderAccepted, restock.OrderPartlyReceived:
		steps = append(steps, "orders write-off "+id)
	case restock.OrderSending, restock.OrderReceived, restock.OrderClosedShort:
	}
	if len(o.Attempts) > 0 && o.State != restock.OrderSending && o.State != restock.OrderReceived {
		steps = append(steps, "receipts book --count N --order "+id)
	}
	for _, r := range o.Receipts {
		if r.State == restock.ReceiptHeld || r.Held > 0 {
			steps = append(steps, "receipts approve "+r.ID.String()+" --reason …")
		}
	}
	return steps
}

type ordersWhyCommand struct {
	listing `embed:""`
	SKU     string `arg:"" help:"The product's SKU, slug or id."`
}

func (o *ordersWhyCommand) Run(c *console) error {
	o.Product = ""
	return show(c, &o.listing, "/v1/products/"+url.PathEscape(o.SKU)+"/decisions", o.query(),
		"No decision yet: one is made when the position falls to the reorder point", "WHEN\tORDERED\tTIMES\tON HAND\tRESERVED\tON ORDER\tWHY",
		func(d restock.Decision) []any {
			return []any{when(d.LastAt), d.Quantity, d.Count, d.OnHand, d.Reserved, d.OnOrder, d.Reason}
		})
}

type ordersPlanCommand struct {
	listing `embed:""`
}

// Help is shown by restock orders plan --help.
func (ordersPlanCommand) Help() string {
	return `Nothing is ordered by asking. Example:
  restock orders plan --product CP-502101`
}

func (o *ordersPlanCommand) Run(c *console) error {
	return show(c, &o.listing, "/v1/replenishment-plan", o.query(), "Nothing would be ordered now; `restock status` shows what is low",
		"SKU\tQUANTITY\tCOST\tAPPROVAL\tON HAND\tRESERVED\tON ORDER\tWHY",
		func(p restock.PlannedOrder) []any {
			approval := "-"
			if p.Approval {
				approval = "needed"
			}
			return []any{p.SKU, p.Quantity, fmt.Sprintf("%d %s", p.Cost, p.Currency), approval, p.OnHand, p.Reserved, p.OnOrder, p.Reason}
		})
}

type ordersCreateCommand struct {
	person   `embed:""`
	SKU      string `arg:"" help:"The product's SKU, slug or id."`
	Quantity int64  `help:"How many pieces; what the product's policy would order when left out."`
}

// Help is shown by restock orders create --help.
func (ordersCreateCommand) Help() string {
	return `Example:
  restock orders create CP-502101 --quantity 50 --reason "a fair at the weekend"`
}

func (o *ordersCreateCommand) Run(c *console) error {
	var done restock.Decision
	if err := o.post(c, ordersPath, ops.OrderBody{ActBody: o.act(), SKU: o.SKU, Quantity: o.Quantity}, &done); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(c, done)
	}
	c.printf("order %s: %d × %s\n", done.OrderID, done.Quantity, done.SKU)
	if done.Approval {
		c.printf("it awaits approval: restock orders approve %s --reason …\n", done.OrderID)
	}
	return nil
}

// orderAct is what the actions on one order share.
type orderAct struct {
	person `embed:""`
	ID     string `arg:"" name:"order" help:"The order's id."`
}

// do sends an action and tells how the order stands then.
func (o *orderAct) do(c *console, action string, body ops.OrderActBody) (restock.Order, error) {
	body.ActBody = o.act()
	var order restock.Order
	if err := o.post(c, ordersPath+"/"+url.PathEscape(o.ID)+"/"+action, body, &order); err != nil {
		return order, err
	}
	if o.JSON {
		return order, printJSON(c, order)
	}
	c.printf("order %s: %d × %s, %s\n", order.ID, order.Quantity, order.SKU, order.State)
	return order, nil
}

type ordersApproveCommand struct {
	orderAct `embed:""`
}

// Help is shown by restock orders approve --help.
func (ordersApproveCommand) Help() string {
	return `Example:
  restock orders approve 01a2… --reason "the price is fine"`
}

func (o *ordersApproveCommand) Run(c *console) error {
	_, err := o.do(c, "approve", ops.OrderActBody{})
	return err
}

type ordersRejectCommand struct {
	orderAct `embed:""`
	Snooze   moment `placeholder:"WHEN" help:"Order nothing of the product by itself until then; 24h when left out, unless the order was made by hand. 0 is not at all."`
}

// Help is shown by restock orders reject --help.
func (ordersRejectCommand) Help() string {
	return `A product that is still low would be ordered again at once, so it is snoozed too. Examples:
  restock orders reject 01a2… --reason "too dear"
  restock orders reject 01a2… --snooze 7d --reason "the season is over"`
}

func (o *ordersRejectCommand) Run(c *console) error {
	until, err := o.until(c)
	if err != nil {
		return err
	}
	order, err := o.do(c, "reject", ops.OrderActBody{SnoozeUntil: until})
	if err != nil || o.JSON {
		return err
	}
	if until.IsZero() {
		c.printf("a product that is low is ordered again; to prevent that: restock ordering snooze %s --until 24h --reason …\n", order.SKU)
		return nil
	}
	c.printf("nothing is ordered of it until %s; to end that: restock ordering snooze %s --wake --reason …\n", when(until), order.SKU)
	return nil
}

// until is how long the product is snoozed; zero is not at all.
func (o *ordersRejectCommand) until(c *console) (time.Time, error) {
	const byItself moment = "24h"
	snooze := o.Snooze
	if snooze == "" {
		var order restock.Order
		if err := o.get(c, ordersPath+"/"+url.PathEscape(o.ID), nil, &order); err != nil {
			return time.Time{}, err
		}
		if snooze = byItself; order.Cause == restock.CauseManual {
			snooze = "0"
		}
	}
	if snooze == "0" {
		return time.Time{}, nil
	}
	until, err := snooze.time(time.Now())
	if err != nil {
		return until, fmt.Errorf("--snooze: %w", err)
	}
	return until, nil
}

type ordersRetryCommand struct {
	orderAct `embed:""`
}

// Help is shown by restock orders retry --help.
func (ordersRetryCommand) Help() string {
	return `The factory may have earlier attempts, and deliver these too. Example:
  restock orders retry 01a2… --reason "they have mended their intake"`
}

func (o *ordersRetryCommand) Run(c *console) error {
	_, err := o.do(c, "retry", ops.OrderActBody{})
	return err
}

type ordersWaitCommand struct {
	orderAct `embed:""`
	Until    moment `required:"" placeholder:"WHEN" help:"When it is looked at again: 24h, 3d, or a time."`
}

// Help is shown by restock orders wait --help.
func (ordersWaitCommand) Help() string {
	return `Example:
  restock orders wait 01a2… --until 3d --reason "the lorry is late"`
}

func (o *ordersWaitCommand) Run(c *console) error {
	until, err := o.Until.time(time.Now())
	if err != nil {
		return fmt.Errorf("--until: %w", err)
	}
	_, err = o.do(c, "wait", ops.OrderActBody{Until: until})
	return err
}

type ordersWriteOffCommand struct {
	orderAct `embed:""`
}

// Help is shown by restock orders write-off --help.
func (ordersWriteOffCommand) Help() string {
	return `Goods that still come are booked all the same. A product that is low then is ordered again. Example:
  restock orders write-off 01a2… --reason "they have lost it"`
}

func (o *ordersWriteOffCommand) Run(c *console) error {
	order, err := o.do(c, "write-off", ops.OrderActBody{})
	if err == nil && !o.JSON {
		c.printf("a product that is low is ordered again; to prevent that: restock ordering snooze %s --until 24h --reason …\n", order.SKU)
	}
	return err
}
