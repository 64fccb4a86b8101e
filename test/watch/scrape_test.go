package watch_test

import (
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/labels"
)

// scrape is what /metrics told at one moment.
type scrape struct {
	text     string
	families map[string]*dto.MetricFamily
	series   map[string]sample // by the text of their labels
}

// sample is the value of one series.
type sample struct {
	labels  labels.Labels
	value   float64
	counter bool // it only grows
}

// scrapeOf asks a process for its metrics, as Prometheus does.
func scrapeOf(t *testing.T, url, instance string) scrape {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url+"/metrics", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("/metrics answered %d %s, %v", response.StatusCode, body, err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(string(body)))
	if err != nil {
		t.Fatalf("/metrics cannot be read: %v", err)
	}
	s := scrape{text: string(body), families: families, series: map[string]sample{}}
	for name, family := range families {
		for _, m := range family.GetMetric() {
			s.add(name, instance, m)
		}
	}
	return s
}

// add takes in one metric, a histogram as the series that it is stored as.
func (s scrape) add(name, instance string, m *dto.Metric) {
	put := func(suffix string, value float64, counter bool, more ...string) {
		l := map[string]string{"__name__": name + suffix, "job": "restock", "instance": instance}
		for _, pair := range m.GetLabel() {
			l[pair.GetName()] = pair.GetValue()
		}
		for i := 0; i < len(more); i += 2 {
			l[more[i]] = more[i+1]
		}
		set := labels.FromMap(l)
		s.series[set.String()] = sample{set, value, counter}
	}
	switch {
	case m.GetHistogram() != nil:
		h := m.GetHistogram()
		for _, b := range h.GetBucket() {
			put("_bucket", float64(b.GetCumulativeCount()), true, "le", strconv.FormatFloat(b.GetUpperBound(), 'g', -1, 64))
		}
		put("_bucket", float64(h.GetSampleCount()), true, "le", "+Inf")
		put("_count", float64(h.GetSampleCount()), true)
		put("_sum", h.GetSampleSum(), true)
	case m.GetCounter() != nil:
		put("", m.GetCounter().GetValue(), true)
	case m.GetGauge() != nil:
		put("", m.GetGauge().GetValue(), false)
	case m.GetSummary() != nil:
		put("_count", float64(m.GetSummary().GetSampleCount()), true)
	}
}

// value is that of one series; its name and labels must be told.
func (s scrape) value(t *testing.T, name string, pairs ...string) float64 {
	t.Helper()
	found := s.matching(t, name, pairs...)
	if len(found) != 1 {
		t.Fatalf("%d series %s %q, want 1", len(found), name, pairs)
	}
	return s.series[found[0]].value
}

// matching finds the series with a name and labels, of which there must be some.
func (s scrape) matching(t *testing.T, name string, pairs ...string) []string {
	t.Helper()
	var found []string
	for key, one := range s.series {
		if one.labels.Get("__name__") != name {
			continue
		}
		fits := true
		for i := 0; i < len(pairs); i += 2 {
			fits = fits && one.labels.Get(pairs[i]) == pairs[i+1]
		}
		if fits {
			found = append(found, key)
		}
	}
	if len(found) == 0 {
		t.Fatalf("/metrics has no series %s %q; it has %s", name, pairs, strings.Join(slices.Sorted(maps.Keys(s.families)), " "))
	}
	return found
}
