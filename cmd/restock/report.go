package main

import (
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/web"
)

type stockoutsReportCommand struct {
	remote `embed:""`
	From   moment `placeholder:"TIME" help:"Where the window begins; 30 days before its end when left out."`
	To     moment `placeholder:"TIME" help:"Where it ends; now when left out."`
	CSV    bool   `name:"csv" help:"Print CSV, for spreadsheets."`
}

// Help is shown by restock stockouts report --help.
func (stockoutsReportCommand) Help() string {
	return `Of a stockout that the window cuts, only the part inside counts. Example:
  restock stockouts report --from 2026-03-01 --to 2026-04-01 --csv > march.csv`
}

func (s *stockoutsReportCommand) Run(c *console) error {
	if s.CSV && s.JSON {
		return errors.New("take one of --csv and --json")
	}
	report, err := s.read(c)
	if err != nil {
		return err
	}
	switch {
	case s.JSON:
		return printJSON(c, report)
	case s.CSV:
		return ops.WriteStockoutsCSV(c.out, report.Items, true)
	}
	return printReport(c, report)
}

// read reads all pages, of one window.
func (s *stockoutsReportCommand) read(c *console) (ops.StockoutsReport, error) {
	q := url.Values{"limit": {strconv.Itoa(web.PageLimitMax)}}
	for _, f := range []struct {
		name string
		text moment
	}{{"from", s.From}, {"to", s.To}} {
		if f.text == "" {
			continue
		}
		at, err := f.text.date(time.Now())
		if err != nil {
			return ops.StockoutsReport{}, fmt.Errorf("--%s: %w", f.name, err)
		}
		q.Set(f.name, at.Format(time.RFC3339Nano))
	}
	report := ops.StockoutsReport{Items: []restock.StockoutReport{}}
	for {
		var page ops.StockoutsReport
		if err := s.get(c, "/v1/stockouts/report", q, &page); err != nil {
			return report, err
		}
		report.From, report.To, report.Items = page.From, page.To, append(report.Items, page.Items...)
		if page.Next == "" {
			return report, nil
		}
		q.Set("after", page.Next)
		q.Set("from", page.From.Format(time.RFC3339Nano))
		q.Set("to", page.To.Format(time.RFC3339Nano))
	}
}

// date is a moment in the past: an hour given in words is meant before now.
func (m moment) date(now time.Time) (time.Time, error) {
	at, err := m.time(now)
	if err == nil && at.After(now) && !strings.Contains(string(m), ":") && !strings.Contains(string(m), "-") {
		at = now.Add(now.Sub(at)) // 24h is a day ago here
	}
	return at, err
}

func printReport(c *console, report ops.StockoutsReport) error {
	c.printf("from %s to %s\n", when(report.From), when(report.To))
	if len(report.Items) == 0 {
		c.printf("No product was out of stock.\n")
		return nil
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SKU\tNAME\tSTOCKOUTS\tMINUTES OUT\tBUYERS REFUSED\tVALUE LOST\tMINUTES ADVERTISED\tTO ACKNOWLEDGE\tTO RESTOCK")
	for _, r := range report.Items {
		stockouts := strconv.FormatInt(r.Stockouts, 10)
		if r.Open {
			stockouts += " (open)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%v\t%d\t%d %s\t%v\t%s\t%s\n", printable(string(r.SKU)), printable(shortName(r.Name)), stockouts, r.MinutesOutOfStock,
			r.BuyersRefused, r.ValueLost, r.Currency, r.MinutesAdvertised, average(r.Acknowledged, r.MinutesToAcknowledge), average(r.Restocked, r.MinutesToRestock))
	}
	return table.Flush()
}

// shortName keeps a name from pushing all columns off the screen.
func shortName(name string) string {
	const runesMax = 30
	if runes := []rune(name); len(runes) > runesMax {
		return string(runes[:runesMax-1]) + "…"
	}
	return name
}

func average(of int64, m restock.Minutes) string {
	if of == 0 {
		return "-"
	}
	return fmt.Sprint(m)
}
