package ops

import (
	"cmp"
	"encoding/csv"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// ReportWindow is how long a report's window is when only its end is given.
const ReportWindow = 30 * 24 * time.Hour

// StockoutsReport is what GET /v1/stockouts/report answers.
type StockoutsReport struct {
	From  time.Time                `json:"from"`
	To    time.Time                `json:"to"`
	Items []restock.StockoutReport `json:"items"`
	Next  string                   `json:"next,omitempty"`
}

// reportStockouts answers GET /v1/stockouts/report?from&to, as JSON or, with
// format=csv, as one page of CSV whose next cursor is in the header Link.
func (a *api) reportStockouts(w http.ResponseWriter, r *http.Request) {
	page, err := web.ParsePage(r)
	query := restock.ReportQuery{After: page.After, Limit: page.Limit}
	if err == nil {
		query.From, query.To, err = a.reportWindow(r.FormValue("from"), r.FormValue("to"))
	}
	format := cmp.Or(r.FormValue("format"), "json")
	if err == nil && format != "json" && format != "csv" {
		err = invalid("format must be json or csv")
	}
	if err != nil {
		a.fail(w, r, err)
		return
	}
	items, next, err := a.store.ReportStockouts(r.Context(), query)
	if err != nil {
		a.fail(w, r, err)
		return
	}
	if items == nil {
		items = []restock.StockoutReport{}
	}
	if format == "json" {
		web.WriteJSON(w, http.StatusOK, StockoutsReport{From: query.From, To: query.To, Items: items, Next: next})
		return
	}
	if next != "" {
		q := r.URL.Query()
		q.Set("after", next)
		q.Set("from", query.From.Format(time.RFC3339Nano))
		q.Set("to", query.To.Format(time.RFC3339Nano))
		w.Header().Set("Link", "<"+r.URL.Path+"?"+q.Encode()+`>; rel="next"`)
	}
	w.Header().Set("Content-Type", "text/csv; charset=utf-8; header=present")
	w.Header().Set("Content-Disposition", `attachment; filename="stockouts.csv"`)
	if err := WriteStockoutsCSV(w, items, true); err != nil {
		a.log.DebugContext(r.Context(), "a report was not read to its end", keyError, err)
	}
}

func (a *api) reportWindow(fromText, toText string) (from, to time.Time, err error) {
	to = a.cfg.Now().UTC()
	if toText != "" {
		if to, err = time.Parse(time.RFC3339, toText); err != nil {
			return from, to, invalid("to must be a time such as 2026-03-01T00:00:00+09:00")
		}
	}
	from = to.Add(-ReportWindow)
	if fromText != "" {
		if from, err = time.Parse(time.RFC3339, fromText); err != nil {
			return from, to, invalid("from must be a time such as 2026-03-01T00:00:00+09:00")
		}
	}
	if !from.Before(to) {
		return from, to, invalid("from must be before to")
	}
	return from, to, nil
}

// WriteStockoutsCSV writes a report as RFC 4180 says. No cell of it is a formula,
// whatever the names of the products are.
func WriteStockoutsCSV(out io.Writer, items []restock.StockoutReport, header bool) error {
	w := csv.NewWriter(out)
	w.UseCRLF = true
	if header {
		if err := w.Write([]string{
			"sku", "name", "stockouts", "open", "minutes_out_of_stock", "buyers_refused", "units_refused", "value_lost", "currency",
			"minutes_advertised", "acknowledged", "minutes_to_acknowledge", "minutes_to_acknowledge_longest",
			"restocked", "minutes_to_restock", "minutes_to_restock_longest",
		}); err != nil {
			return err
		}
	}
	for _, r := range items {
		if err := w.Write([]string{
			textCell(string(r.SKU)), textCell(r.Name), count(r.Stockouts), strconv.FormatBool(r.Open), minutes(r.MinutesOutOfStock),
			count(r.BuyersRefused), count(r.UnitsRefused), count(r.ValueLost), textCell(r.Currency),
			minutes(r.MinutesAdvertised), count(r.Acknowledged), minutes(r.MinutesToAcknowledge), minutes(r.MinutesToAcknowledgeLongest),
			count(r.Restocked), minutes(r.MinutesToRestock), minutes(r.MinutesToRestockLongest),
		}); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}

func count(n int64) string { return strconv.FormatInt(n, 10) }

func minutes(m restock.Minutes) string { return strconv.FormatFloat(float64(m), 'f', -1, 64) }

// textCell makes a cell of somebody's words. Spreadsheets take a cell for a
// formula that begins with certain signs, some also after blanks, or in their wide
// form, or on a line of its own within the cell (OWASP, "CSV Injection"): such a
// cell gets an apostrophe in front, which they show as text. Line ends and other
// control characters become blanks, and marks that turn the words around them are
// left out.
func textCell(s string) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return ' '
		case unicode.Is(unicode.Bidi_Control, r):
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, "\uFFFD"))
	// What cannot be seen may be skipped by who looks for a formula.
	first := strings.TrimLeftFunc(s, func(r rune) bool { return unicode.IsSpace(r) || unicode.Is(unicode.Cf, r) })
	if first != "" && strings.ContainsRune("=+-@|%＝＋－＠", []rune(first)[0]) {
		return "'" + s
	}
	return s
}
