package main

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/web"
)

// listing is what all list commands share.
type listing struct {
	remote  `embed:""`
	Product string `help:"Only of this product: its slug, SKU or id."`
	Limit   int    `default:"20" help:"How many to show, at most 1000."`
	After   string `placeholder:"CURSOR" help:"Go on after the last page; it prints its cursor."`
}

func (l *listing) query() url.Values {
	q := url.Values{"limit": {strconv.Itoa(l.Limit)}}
	set(q, "product", l.Product)
	set(q, "after", l.After)
	return q
}

func set(q url.Values, name, value string) {
	if value != "" {
		q.Set(name, value)
	}
}

// show prints a page of a list, as JSON or as a table.
func show[T any](c *console, l *listing, path string, q url.Values, empty, header string, row func(T) []any) error {
	var page web.List[T]
	if err := l.get(c, path, q, &page); err != nil {
		return err
	}
	if l.JSON {
		return printJSON(c, page)
	}
	if len(page.Items) == 0 {
		c.printf("%s\n", empty)
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, header)
	for _, item := range page.Items {
		cells := row(item)
		texts := make([]string, len(cells))
		for i, cell := range cells {
			texts[i] = printable(fmt.Sprint(cell))
		}
		fmt.Fprintln(table, strings.Join(texts, "\t"))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if page.Next != "" {
		c.printf("more: --after %s\n", page.Next)
	}
	return nil
}

// printable keeps strangers' words from moving the cursor or breaking a table.
func printable(s string) string {
	return strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return '·'
		}
		return c
	}, s)
}

// showOne prints one thing as JSON: it has more than a line can tell.
func showOne(c *console, r *remote, path string) error {
	var v any
	if err := r.get(c, path, nil, &v); err != nil {
		return err
	}
	return printJSON(c, v)
}

func when(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return t.Local().Format("2006-01-02 15:04:05")
}

const nothingYet = "There is nothing to sell yet: restock catalog example > catalog.yaml, then restock catalog apply catalog.yaml"

type productsCommand struct {
	List productsListCommand `cmd:"" default:"withargs" help:"List products by SKU."`
	Show productsShowCommand `cmd:"" help:"Show one product."`
}

type productsListCommand struct {
	listing `embed:""`
}

func (p *productsListCommand) Run(c *console) error {
	return show(c, &p.listing, "/v1/products", p.query(), nothingYet, "SKU\tNAME\tPRICE\tON HAND\tRESERVED\tAVAILABLE\tON ORDER\tORDERING",
		func(p restock.Product) []any {
			return []any{p.SKU, p.Name, p.Price, p.Stock.OnHand, p.Stock.Reserved, p.Stock.Available(), p.Stock.OnOrder, p.Policy.Ordering}
		})
}

type productsShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"product" help:"Its slug, SKU or id."`
}

func (p *productsShowCommand) Run(c *console) error {
	return showOne(c, &p.remote, "/v1/products/"+url.PathEscape(p.ID))
}

type salesCommand struct {
	List salesListCommand `cmd:"" default:"withargs" help:"List sales, newest first."`
	Show salesShowCommand `cmd:"" help:"Show one sale."`
}

type salesListCommand struct {
	listing   `embed:""`
	Reference string `help:"Only with this reference of the shop."`
}

func (s *salesListCommand) Run(c *console) error {
	q := s.query()
	set(q, "reference", s.Reference)
	empty := "Nothing was sold yet."
	var status ops.StatusReport
	if err := s.get(c, "/v1/status", nil, &status); err == nil {
		empty = "Nothing was sold yet: curl -X POST " + status.PublicURL + "/checkout"
	}
	return show(c, &s.listing, "/v1/sales", q, empty, "SALE\tSOLD AT\tITEMS\tTOTAL\tREFERENCE",
		func(s restock.Sale) []any {
			items := make([]string, 0, len(s.Lines))
			for _, l := range s.Lines {
				items = append(items, fmt.Sprintf("%d × %s", l.Quantity, l.SKU))
			}
			return []any{s.ID, when(s.SoldAt), strings.Join(items, ", "), fmt.Sprintf("%d %s", s.Total, s.Currency), s.Reference}
		})
}

type salesShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"sale" help:"The sale's id."`
}

func (s *salesShowCommand) Run(c *console) error {
	return showOne(c, &s.remote, "/v1/sales/"+url.PathEscape(s.ID))
}

type ordersCommand struct {
	List ordersListCommand `cmd:"" default:"withargs" help:"List orders, newest first."`
	Show ordersShowCommand `cmd:"" help:"Show one order with its attempts and receipts."`
	Why  ordersWhyCommand  `cmd:"" help:"Tell why a product was ordered, or was not."`
}

type ordersListCommand struct {
	listing `embed:""`
	State   string `help:"Only in this state, such as accepted, overdue or held."`
}

func (o *ordersListCommand) Run(c *console) error {
	q := o.query()
	set(q, "state", o.State)
	return show(c, &o.listing, "/v1/replenishment-orders", q, "No orders yet: one is made when stock runs low; `restock status` shows what is low",
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
	if o.JSON {
		return showOne(c, &o.remote, "/v1/replenishment-orders/"+url.PathEscape(o.ID))
	}
	var order restock.Order
	if err := o.get(c, "/v1/replenishment-orders/"+url.PathEscape(o.ID), nil, &order); err != nil {
		return err
	}
	c.printf("order %s: %d × %s, %s\n", order.ID, order.Quantity, order.SKU, order.State)
	c.printf("  made %s because %s\n", when(order.CreatedAt), order.Reason)
	c.printf("  received %d, expected %s\n", order.Received, when(order.ExpectedAt))
	if order.HeldReason != "" {
		c.printf("  note: %s\n", order.HeldReason)
	}
	for _, a := range order.Attempts {
		c.printf("  attempt %d at %s: %s, sent %s, HTTP %d %s\n", a.Number, a.Factory.Identifier, a.State, when(a.SentAt), a.Status, a.Error)
	}
	for _, r := range order.Receipts {
		c.printf("  receipt %s: %s, claimed %s, applied %d, held %d, %s %s\n", r.ID, r.State, r.Claimed, r.Applied, r.Held, when(r.CreatedAt), r.Reason)
	}
	return nil
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

type receiptsCommand struct {
	List receiptsListCommand `cmd:"" default:"withargs" help:"List receipts, newest first."`
	Show receiptsShowCommand `cmd:"" help:"Show one receipt with the body that was kept."`
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

type stockoutsCommand struct {
	List stockoutsListCommand `cmd:"" default:"withargs" help:"List stockouts, newest first."`
}

type stockoutsListCommand struct {
	listing `embed:""`
	State   string `help:"Only open or closed ones."`
}

func (s *stockoutsListCommand) Run(c *console) error {
	q := s.query()
	set(q, "state", s.State)
	return show(c, &s.listing, "/v1/stockouts", q, "No stockout so far.", "STOCKOUT\tSKU\tFROM\tTO\tBUYERS REFUSED\tUNITS REFUSED",
		func(s restock.Stockout) []any {
			return []any{s.ID, s.SKU, when(s.OpenedAt), when(s.ClosedAt), s.RefusedBuyers, s.RefusedUnits}
		})
}
