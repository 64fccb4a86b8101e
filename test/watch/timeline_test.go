package watch_test

import (
	"cmp"
	"context"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// How time passes: trouble begins after a while in which all was well.
const (
	interval = 30 * time.Second
	onset    = 30 * time.Minute
	span     = 6 * time.Hour
	// growth is how long it took from the first scrape to the second.
	growth = 10 * time.Minute
)

func began() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }

// timeline is series over time, and a place for Prometheus to read them.
type timeline []storage.Series

// course says what a series is at a time after the onset; before it is at 0.
type course func(sinceOnset time.Duration) float64

// between makes the series of two scrapes of one process: before the onset it is
// as at the first; levels are then as at the second, and counters go on growing
// as they did from the first to the second. Changes replace the course of series.
func between(first, second scrape, changes map[string]course) timeline {
	var all timeline
	for key, end := range second.series {
		start, step := first.series[key].value, 0.0
		if end.counter {
			step = end.value - start
		}
		at := func(since time.Duration) float64 {
			switch {
			case since < 0:
				return start
			case end.counter:
				return start + grown(step)(since)
			}
			return end.value
		}
		if changed := changes[key]; changed != nil {
			at = func(since time.Duration) float64 { return start + changed(max(since, 0)) }
		}
		all = append(all, line(end.labels, at))
	}
	for key, start := range first.series {
		if _, there := second.series[key]; !there { // it ended
			all = append(all, line(start.labels, func(since time.Duration) float64 {
				if since < 0 {
					return start.value
				}
				return math.Float64frombits(value.StaleNaN)
			}))
		}
	}
	return all
}

// line is one series.
func line(l labels.Labels, at course) storage.Series {
	var samples []chunks.Sample
	for since := time.Duration(0); since <= span; since += interval {
		samples = append(samples, point{began().Add(since).UnixMilli(), at(since - onset)})
	}
	return storage.NewListSeries(l, samples)
}

// up is what Prometheus itself notes about a process.
func up(instance string, at course) storage.Series {
	return line(labels.FromStrings("__name__", "up", "job", "restock", "instance", instance), at)
}

func always(v float64) course { return func(time.Duration) float64 { return v } }

// level is v from the onset on, where the series was 0 before.
func level(v float64) course {
	return func(since time.Duration) float64 {
		if since == 0 {
			return 0
		}
		return v
	}
}

// grown grows as much from the first scrape to the second, and so on.
func grown(step float64) course {
	return func(since time.Duration) float64 { return step * float64(since) / float64(growth) }
}

// perSecond grows steadily.
func perSecond(rate float64) course {
	return func(since time.Duration) float64 { return rate * since.Seconds() }
}

// point is one sample.
type point struct {
	t int64
	f float64
}

func (p point) T() int64                    { return p.t }
func (point) ST() int64                     { return 0 }
func (p point) F() float64                  { return p.f }
func (point) H() *histogram.Histogram       { return nil }
func (point) FH() *histogram.FloatHistogram { return nil }
func (point) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (p point) Copy() chunks.Sample         { return p }

// Querier is part of storage.Queryable.
func (l timeline) Querier(int64, int64) (storage.Querier, error) { return querier{l}, nil }

type querier struct{ all timeline }

func (q querier) Select(_ context.Context, _ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	var found []storage.Series
	for _, s := range q.all {
		if !slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) }) {
			found = append(found, s)
		}
	}
	slices.SortFunc(found, func(a, b storage.Series) int { return labels.Compare(a.Labels(), b.Labels()) })
	return &set{all: found, at: -1}
}

func (querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

func (querier) Close() error { return nil }

type set struct {
	all []storage.Series
	at  int
}

func (s *set) Next() bool                      { s.at++; return s.at < len(s.all) }
func (s *set) At() storage.Series              { return s.all[s.at] }
func (*set) Err() error                        { return nil }
func (*set) Warnings() annotations.Annotations { return nil }

func promQL() parser.Parser { return parser.NewParser(parser.Options{}) }

// evaluate runs an expression over the whole time.
func (l timeline) evaluate(t *testing.T, expr string) promql.Matrix {
	t.Helper()
	engine := promql.NewEngine(promql.EngineOpts{
		MaxSamples: 50_000_000, Timeout: time.Minute, LookbackDelta: 5 * time.Minute, Parser: promQL(),
	})
	query, err := engine.NewRangeQuery(t.Context(), l, nil, expr, began(), began().Add(span), interval)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	defer query.Close()
	result := query.Exec(t.Context())
	matrix, err := result.Matrix()
	if err := cmp.Or(result.Err, err); err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	matrix = slices.Clone(matrix)
	for i := range matrix { // the engine uses its points again
		matrix[i].Floats = slices.Clone(matrix[i].Floats)
	}
	return matrix
}

// fires reports whether an expression was true of one thing for so long.
func (l timeline) fires(t *testing.T, expr string, hold time.Duration) bool {
	t.Helper()
	for _, one := range l.evaluate(t, expr) {
		since, last := int64(0), int64(-1)
		for _, p := range one.Floats {
			if last < 0 || p.T-last > interval.Milliseconds() {
				since = p.T
			}
			if last = p.T; last-since >= hold.Milliseconds() {
				return true
			}
		}
	}
	return false
}
