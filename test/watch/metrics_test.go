package watch_test

import (
	"flag"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// updateDocument writes the table of metrics anew:
//
//	go test ./test/watch -run TestTheDocument -write-metrics
var updateDocument = flag.Bool("write-metrics", false, "write the table of docs/metrics.md anew")

const metricsDocument = "docs/metrics.md"

// families is all that the shops tell, by name.
func families(t *testing.T) map[string]*dto.MetricFamily {
	t.Helper()
	all := map[string]*dto.MetricFamily{}
	for _, s := range scrapes(t) {
		for name, f := range s.families {
			if all[name] == nil || len(f.GetMetric()) > len(all[name].GetMetric()) {
				all[name] = f
			}
		}
	}
	return all
}

func scrapes(t *testing.T) []scrape {
	t.Helper()
	var all []scrape
	for _, p := range []pair{healthy(t), troubled(t), broker(t), server(t)} {
		all = append(all, p.first, p.second)
	}
	return all
}

// TestTheMetricsAreNamedAsPrometheusAsks is what promtool check metrics does.
func TestTheMetricsAreNamedAsPrometheusAsks(t *testing.T) {
	t.Parallel()
	for _, s := range scrapes(t) {
		problems, err := promlint.New(strings.NewReader(s.text)).Lint()
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range problems {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// seriesMax bounds what one process may tell, whatever is in its shop.
const seriesMax = 1500

func TestOneProcessTellsABoundedNumberOfSeries(t *testing.T) {
	t.Parallel()
	for _, s := range scrapes(t) {
		if n := len(s.series); n > seriesMax || n < 100 {
			t.Errorf("%d series, want 100 to %d", n, seriesMax)
		}
	}
}

// TestNoSecretAndNoBuyerIsInTheMetrics: they are shown without a token.
func TestNoSecretAndNoBuyerIsInTheMetrics(t *testing.T) {
	t.Parallel()
	for _, s := range scrapes(t) {
		for _, word := range []string{"token=", "@", "guessed", "postgres://"} {
			if strings.Contains(s.text, word) {
				t.Errorf("/metrics tells %q", word)
			}
		}
	}
}

// TestTheDocumentListsTheMetricsThatAreTold holds docs/metrics.md to the command.
func TestTheDocumentListsTheMetricsThatAreTold(t *testing.T) {
	t.Parallel()
	const begin, end = "<!-- table -->\n", "<!-- end of table -->\n"
	document := read(t, metricsDocument)
	head, rest, found := strings.Cut(document, begin)
	table, tail, closed := strings.Cut(rest, end)
	if !found || !closed {
		t.Fatalf("%s has no place for the table", metricsDocument)
	}
	want := metricsTable(families(t))
	if *updateDocument {
		if err := os.WriteFile(root+metricsDocument, []byte(head+begin+want+end+tail), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if table != want {
		t.Errorf("the table of %s is not what the command tells; -write-metrics writes it anew:\n%s", metricsDocument, want)
	}
}

func metricsTable(all map[string]*dto.MetricFamily) string {
	var text strings.Builder
	text.WriteString("| name | type | labels | meaning |\n|---|---|---|---|\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if !strings.HasPrefix(name, "restock_") {
			continue
		}
		f := all[name]
		var labels []string
		for _, pair := range f.GetMetric()[0].GetLabel() {
			labels = append(labels, "`"+pair.GetName()+"`")
		}
		fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", name, strings.ToLower(f.GetType().String()), strings.Join(labels, " "), f.GetHelp())
	}
	return text.String()
}
