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
	return printPage(c, l, page, empty, header, row)
}

// printPage prints what was read of a list.
func printPage[T any](c *console, l *listing, page web.List[T], empty, header string, row func(T) []any) error {
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

type stockoutsCommand struct {
	List   stockoutsListCommand   `cmd:"" default:"withargs" help:"List stockouts, newest first."`
	Report stockoutsReportCommand `cmd:"" help:"What stockouts cost, by product: buyers refused, money lost, advertising in vain."`
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
