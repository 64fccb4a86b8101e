package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type statusCommand struct {
	remote `embed:""`
}

func (s *statusCommand) Run(c *console) error {
	var status ops.StatusReport
	if err := s.get(c, "/v1/status", nil, &status); err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c, status)
	}
	if status.Products == 0 {
		c.printf("%s\n", nothingYet)
		return nil
	}
	printStatus(c, status)
	return nil
}

func printStatus(c *console, status ops.StatusReport) {
	c.printf("restock %s: %d products, %d out of stock, %d low\n", status.Version, status.Products, status.OutOfStock, status.Low)
	c.printf("products: %s\n", urgencies(status.Page.Overview))
	c.printf("orders open: %s · receipts held: %d · ad holds: %s\n", counts(status.Orders), status.ReceiptsHeld, counts(status.AdHolds))
	if status.OrderingPaused != "" {
		printSwitch(c, restock.OrderingSwitch{Paused: status.OrderingPaused})
	}
	if status.Mail != "" {
		c.printf("mail: %s\n", status.Mail)
	}
	if status.DigestsWaiting > 0 {
		c.printf("mail: %d to operations and the buyer could not be sent yet\n", status.DigestsWaiting)
	}
	if status.WebhooksWaiting > 0 {
		c.printf("webhook: %d to operations could not be sent yet\n", status.WebhooksWaiting)
	}
	if status.CallbacksRefused > 0 {
		c.printf("callbacks without a good token since the start: %d; the log says from where\n", status.CallbacksRefused)
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "\nQUEUE\tWAITING\tIN FLIGHT\tDONE\tDEAD\tOLDEST")
	for _, q := range status.Queues {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%d\t%s\n", q.Queue, q.Waiting, q.InFlight, q.Done+q.Purged, q.Dead, when(q.OldestWaitingAt))
	}
	_ = table.Flush() // the console is all there is to tell
	for _, engine := range status.Engines {
		c.printf("\n")
		printEngine(c, "queue engine", engine)
	}
	if len(status.Incidents) > 0 {
		fmt.Fprintln(table, "\nINCIDENT\tABOUT\tSINCE\tSEEN\tDETAIL")
	}
	for _, i := range status.Incidents {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\n", strings.ReplaceAll(string(i.Kind), "_", " "), i.Subject, when(i.BeganAt), when(i.SeenAt), i.Detail)
	}
	_ = table.Flush() // the console is all there is to tell
	printFirstPage(c, status.Page)
	dead := int64(0)
	for _, q := range status.Queues {
		dead += q.Dead
	}
	if dead > 0 {
		c.printf("\n%d dead letters wait for you: restock dead list\n", dead)
	}
}

// printFirstPage prints what the first page of the dashboard shows.
func printFirstPage(c *console, page restock.FirstPage) {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	section := func(header string, there bool) {
		if there {
			fmt.Fprintln(table, "\n"+header)
		}
	}
	section("PRODUCT\tSTATE\tON HAND\tRESERVED\tON ORDER\tREORDER AT\tEXPECTED", len(page.Products) > 0)
	for _, p := range page.Products {
		expected, _ := p.Expected()
		fmt.Fprintf(table, "%s %s\t%s\t%d\t%d\t%d\t%d\t%s\n", p.SKU, printable(p.Name), spaced(p.Urgency()), p.Stock.OnHand, p.Stock.Reserved,
			p.Stock.OnOrder, p.Policy.ReorderPoint, when(expected.ExpectedAt))
	}
	b := page.Beside
	section("WAITS FOR YOU\tPRODUCT\tPIECES\tLOOK", len(b.Awaiting)+len(b.Held)+len(b.Receipts) > 0)
	for _, o := range slices.Concat(b.Awaiting, b.Held) {
		fmt.Fprintf(table, "order %s\t%s\t%d\trestock orders show %s\n", spaced(o.State), o.SKU, o.Quantity, o.ID)
	}
	for _, r := range b.Receipts {
		fmt.Fprintf(table, "receipt held\t%s\t%s\trestock receipts show %s\n", r.SKU, printable(r.Claimed), r.ID)
	}
	section("AD HOLD\tSTATE\tSINCE\tMANAGER", len(b.Holds) > 0)
	for _, h := range b.Holds {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", printable(h.Advertisement.Name), spaced(h.State), when(h.BegunAt), printable(h.Advertisement.ManagerEmail))
	}
	section("MAIL\tTO\tABOUT\tSENT", len(b.Mails) > 0)
	for _, m := range b.Mails {
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", spaced(m.Kind), orDefault(printable(m.To), "operations"), m.SKU, when(m.SentAt))
	}
	_ = table.Flush() // the console is all there is to tell
}

// urgencies counts the products by urgency, as far as they are counted.
func urgencies(o restock.Overview) string {
	parts := make([]string, 0, len(o.Products))
	for _, u := range restock.Urgencies() {
		n, more := o.Products[u], ""
		if n >= restock.ProductCountMax {
			more = "+"
		}
		parts = append(parts, fmt.Sprintf("%d%s %s", n, more, spaced(u)))
	}
	return strings.Join(parts, " · ")
}

// spaced is a name for people.
func spaced[T ~string | restock.Urgency](name T) string {
	return strings.ReplaceAll(fmt.Sprint(name), "_", " ")
}

func counts(byState map[string]int64) string {
	if len(byState) == 0 {
		return "none"
	}
	var parts []string
	for _, state := range slices.Sorted(maps.Keys(byState)) {
		parts = append(parts, fmt.Sprintf("%d %s", byState[state], strings.ReplaceAll(state, "_", " ")))
	}
	return strings.Join(parts, ", ")
}
