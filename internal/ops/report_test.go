package ops_test

import (
	"encoding/csv"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

func TestNoCellOfAReportIsAFormula(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{
		"부산도너츠":                       "부산도너츠",
		`Donut, "large"`:              `Donut, "large"`,
		`=HYPERLINK("http://x","y")`:  `'=HYPERLINK("http://x","y")`,
		"+1":                          "'+1",
		"-2+3":                        "'-2+3",
		"@SUM(A1)":                    "'@SUM(A1)",
		" =1":                         "' =1",
		"\u00a0=1":                    "'\u00a0=1",
		"\u200b=1":                    "'\u200b=1",
		"\ufeff=1":                    "'\ufeff=1",
		"\t=1":                        "' =1",
		"\r\n=1":                      "'  =1",
		"＝1":                          "'＝1",
		"＠x":                          "'＠x",
		"|calc":                       "'|calc",
		"a\r\n=1":                     "a  =1",
		"a\n\"\n=1":                   "a \" =1",
		"\u202egnp.tunod":             "gnp.tunod",
		"\xff":                        "\uFFFD",
		"👩\u200d🍳":                    "👩\u200d🍳",
		"a=1":                         "a=1",
		strings.Repeat("도", 10_000):   strings.Repeat("도", 10_000),
		"<script>alert(1)</script>, ": "<script>alert(1)</script>, ",
	} {
		if got := cells(t, name)[1]; got != want {
			t.Errorf("%q is written as %q, want %q", name, got, want)
		}
	}
}

// cells writes a report of one product and reads it as others would.
func cells(t testing.TB, name string) []string {
	t.Helper()
	var out strings.Builder
	if err := ops.WriteStockoutsCSV(&out, []restock.StockoutReport{{SKU: restock.SKU(name), Name: name, Currency: name}}, true); err != nil {
		t.Fatal(err)
	}
	if lines := strings.Count(out.String(), "\n"); lines != 2 || strings.Count(out.String(), "\r") != 2 {
		t.Errorf("%q makes %d lines: %q", name, lines, out.String())
	}
	records, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	if err != nil {
		t.Fatalf("%q: %v", name, err)
	}
	if len(records) != 2 || len(records[0]) != len(records[1]) {
		t.Fatalf("%q makes %d records", name, len(records))
	}
	return records[1]
}

// FuzzReport shows that no name of a product breaks a report, or makes a formula
// of a cell.
func FuzzReport(f *testing.F) {
	for _, name := range []string{"donut", "=1", "\r\n=1", " \u00a0\u200b@x", `","=1`, "\"\r\n\"=1", "\u202e=1", "\x00=1", "\xff=1", "\u2e79%"} {
		f.Add(name)
	}
	f.Fuzz(func(t *testing.T, name string) {
		for _, cell := range cells(t, name) {
			if strings.ContainsFunc(cell, unicode.IsControl) {
				t.Errorf("%q: a cell has control characters: %q", name, cell)
			}
			seen := strings.TrimLeftFunc(cell, func(r rune) bool { return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Z) || unicode.IsSpace(r) })
			if seen != "" && strings.ContainsAny(seen[:1], "=+-@|%") {
				t.Errorf("%q: a cell is a formula: %q", name, cell)
			}
		}
	})
}

func TestAReportHasAColumnForEachFigure(t *testing.T) {
	t.Parallel()
	var out strings.Builder
	if err := ops.WriteStockoutsCSV(&out, []restock.StockoutReport{{
		SKU: "A", Name: "Donut", Stockouts: 2, Open: true, MinutesOutOfStock: 90.5, BuyersRefused: 3, UnitsRefused: 4, ValueLost: 79600, Currency: "KRW",
		MinutesAdvertised: 12.25, Acknowledged: 1, MinutesToAcknowledge: 5, MinutesToAcknowledgeLongest: 6, Restocked: 1, MinutesToRestock: 7, MinutesToRestockLongest: 8,
	}}, true); err != nil {
		t.Fatal(err)
	}
	const want = "sku,name,stockouts,open,minutes_out_of_stock,buyers_refused,units_refused,value_lost,currency,minutes_advertised," +
		"acknowledged,minutes_to_acknowledge,minutes_to_acknowledge_longest,restocked,minutes_to_restock,minutes_to_restock_longest\r\n" +
		"A,Donut,2,true,90.5,3,4,79600,KRW,12.25,1,5,6,1,7,8\r\n"
	if diff := cmp.Diff(want, out.String()); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
}
