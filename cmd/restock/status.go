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
	c.printf("orders open: %s · receipts held: %d · ad holds: %s\n", counts(status.Orders), status.ReceiptsHeld, counts(status.AdHolds))
	if status.OrderingPaused != "" {
		printSwitch(c, restock.OrderingSwitch{Paused: status.OrderingPaused})
	}
	if status.Mail != "" {
		c.printf("mail: %s\n", status.Mail)
	}
	if status.DigestsWaiting > 0 {
		c.printf("mail: %d to operations could not be sent yet\n", status.DigestsWaiting)
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
	if len(status.Watch) > 0 {
		fmt.Fprintln(table, "\nON WATCH\tAVAILABLE\tRESERVED\tON ORDER\tREORDER AT")
	}
	for _, p := range status.Watch {
		fmt.Fprintf(table, "%s %s\t%d\t%d\t%d\t%d\n", p.SKU, p.Name, p.Stock.Available(), p.Stock.Reserved, p.Stock.OnOrder, p.Policy.ReorderPoint)
	}
	_ = table.Flush() // the console is all there is to tell
	dead := int64(0)
	for _, q := range status.Queues {
		dead += q.Dead
	}
	if dead > 0 {
		c.printf("\n%d dead letters wait for you: restock dead list\n", dead)
	}
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
