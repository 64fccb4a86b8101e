// Package metrics counts what happens, and shows it to Prometheus.
//
// The rooms know nothing of it: each has a function that it calls, and who wires
// them gives it one of these. What a function does is a few additions, so that
// counting costs sales nothing that can be measured.
//
// # Names
//
// Base units, and "restock_" in front. Labels have few values, all of them known
// beforehand, but for those that are bounded by a named limit.
//
// # What is in tables
//
// Levels, such as the depth of a queue, are read when somebody asks, at most once
// a second and never twice at the same time. Each query stops at a bound. The
// processes of one database would all tell the same; only those with the role ops
// do.
package metrics

import (
	"database/sql"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

const (
	// scrapesMax is how many may ask at once, and scrapeTimeout how long an answer
	// may take.
	scrapesMax    = 3
	scrapeTimeout = 5 * time.Second
)

// Build is what runs here.
type Build struct{ Version, Database, Queue string }

// Metrics is what one process counts.
type Metrics struct {
	registry *prometheus.Registry

	checkouts map[string]prometheus.Observer
	group     struct{ carts, took prometheus.Observer }
	commit    struct{ acts, took prometheus.Observer }
	requests  *prometheus.CounterVec
	calls     map[string]prometheus.Observer
	callbacks map[string]prometheus.Counter
	messages  *prometheus.HistogramVec
	mails     *prometheus.CounterVec
	webhooks  *prometheus.CounterVec
}

// The classes of what is counted, where a room has no word of its own.
const (
	Sent      = "sent"
	Postponed = "postponed" // the other side asked for time
	Failed    = "failed"
)

// The buckets, in seconds and in pieces. A checkout takes half a millisecond, a
// factory seconds.
func fast() []float64 {
	return []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}
}

func slow() []float64 { return []float64{.01, .05, .1, .25, .5, 1, 2.5, 5, 10, 15, 30, 60, 120} }

func sizes() []float64 { return []float64{1, 2, 4, 8, 16, 32, 64, 128, 256} }

// Classes are the values that labels may have, from the rooms that give them.
type Classes struct{ Checkouts, Callbacks, Calls, Mails []string }

// New makes the metrics of a process.
func New(b Build, c Classes) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry()}
	m.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), buildInfo(b))
	checkouts := m.histograms("restock_checkout_duration_seconds",
		"Time from a read checkout to its outcome, by outcome.", fast(), "outcome")
	m.checkouts = observers(checkouts, c.Checkouts)
	calls := m.histograms("restock_factory_call_duration_seconds",
		"Time of calls to factories, by what is known of the order then.", slow(), "outcome")
	m.calls = observers(calls, c.Calls)
	m.group.carts = m.histogram("restock_till_group_carts", "Carts that the till decided together.", sizes())
	m.group.took = m.histogram("restock_till_group_duration_seconds", "Time for a group of carts, its commit with it.", fast())
	m.commit.acts = m.histogram("restock_commit_acts", "Acts in one commit of the database.", sizes())
	m.commit.took = m.histogram("restock_commit_duration_seconds", "Time to decide, write and make durable one commit.", fast())
	m.messages = m.histograms("restock_message_duration_seconds",
		"Time to handle a message, by queue and outcome.", slow(), "queue", "outcome")
	m.requests = m.counters("restock_http_requests_total", "Answered requests, by listener and class of the status.", "listener", "code")
	m.mails = m.counters("restock_mails_total", "Mails that were tried, by kind and outcome.", "kind", "outcome")
	m.webhooks = m.counters("restock_webhooks_total", "Webhooks to operations that were tried, by outcome.", "outcome")
	for _, outcome := range []string{Sent, Postponed, Failed} {
		for _, kind := range c.Mails {
			m.mails.WithLabelValues(kind, outcome)
		}
	}
	for _, outcome := range []string{Sent, Failed} {
		m.webhooks.WithLabelValues(outcome)
	}
	callbacks := m.counters("restock_callbacks_total", "Reports of factories, by what became of them.", "class")
	m.callbacks = map[string]prometheus.Counter{}
	for _, class := range c.Callbacks {
		m.callbacks[class] = callbacks.WithLabelValues(class)
	}
	return m
}

// Handler answers with the metrics.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{
		ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: scrapesMax, Timeout: scrapeTimeout,
	})
}

// Checkout counts one checkout by its outcome.
func (m *Metrics) Checkout(outcome string, took time.Duration) { observe(m.checkouts, outcome, took) }

// Group counts a group of carts that the till decided together.
func (m *Metrics) Group(carts int, took time.Duration) {
	m.group.carts.Observe(float64(carts))
	m.group.took.Observe(took.Seconds())
}

// Commit counts one commit of the database.
func (m *Metrics) Commit(acts int, took time.Duration) {
	m.commit.acts.Observe(float64(acts))
	m.commit.took.Observe(took.Seconds())
}

// Call counts one call to a factory.
func (m *Metrics) Call(outcome string, took time.Duration) { observe(m.calls, outcome, took) }

// Callback counts one report of a factory.
func (m *Metrics) Callback(class string) {
	if c, ok := m.callbacks[class]; ok {
		c.Inc()
	}
}

// Handled gives a queue's function that counts its messages.
func (m *Metrics) Handled(queue string) func(outcome string, took time.Duration) {
	return func(outcome string, took time.Duration) {
		m.messages.WithLabelValues(queue, outcome).Observe(took.Seconds())
	}
}

// Answered gives a listener's function that counts its answers by the class of
// their status.
func (m *Metrics) Answered(listener string) func(status int) {
	classes := [...]string{"other", "1xx", "2xx", "3xx", "4xx", "5xx"}
	var all [len(classes)]prometheus.Counter
	for i, class := range classes {
		all[i] = m.requests.WithLabelValues(listener, class)
	}
	const hundred = 100
	return func(status int) {
		if class := status / hundred; class > 0 && class < len(all) {
			all[class].Inc()
			return
		}
		all[0].Inc()
	}
}

// Mail counts one mail that was tried.
func (m *Metrics) Mail(kind, outcome string) { m.mails.WithLabelValues(kind, outcome).Inc() }

// Webhook counts one webhook that was tried.
func (m *Metrics) Webhook(outcome string) { m.webhooks.WithLabelValues(outcome).Inc() }

// Gauge adds a level that a room tells when it is asked.
func (m *Metrics) Gauge(name, help string, read func() float64) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, read))
}

func (m *Metrics) histogram(name, help string, buckets []float64) prometheus.Observer {
	h := prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets})
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) histograms(name, help string, buckets []float64, labels ...string) *prometheus.HistogramVec {
	h := prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: name, Help: help, Buckets: buckets}, labels)
	m.registry.MustRegister(h)
	return h
}

func (m *Metrics) counters(name, help string, labels ...string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	m.registry.MustRegister(c)
	return c
}

// observers are there from the beginning, so that a rate over them has a zero to
// begin with.
func observers(vec *prometheus.HistogramVec, classes []string) map[string]prometheus.Observer {
	all := make(map[string]prometheus.Observer, len(classes))
	for _, class := range classes {
		all[class] = vec.WithLabelValues(class)
	}
	return all
}

func observe(all map[string]prometheus.Observer, class string, took time.Duration) {
	if o, ok := all[class]; ok {
		o.Observe(took.Seconds())
	}
}

func buildInfo(b Build) prometheus.Collector {
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "restock_build_info", Help: "What runs here; always 1.",
		ConstLabels: prometheus.Labels{"version": b.Version, "database": b.Database, "queue": b.Queue},
	})
	info.Set(1)
	return info
}

// Pools adds the pools of connections of a database.
func (m *Metrics) Pools(pools map[string]*sql.DB) {
	for name, db := range pools {
		m.registry.MustRegister(collectors.NewDBStatsCollector(db, name))
	}
}

// Retries adds how often acts were run again, by the reason. A database with one
// writer has none.
func (m *Metrics) Retries(read func() map[string]int64) {
	m.registry.MustRegister(&retries{read, prometheus.NewDesc("restock_act_retries_total",
		"Acts on the database that were run again, by the reason.", []string{"reason"}, nil)})
}

type retries struct {
	read func() map[string]int64
	desc *prometheus.Desc
}

// Describe is part of prometheus.Collector.
func (r *retries) Describe(out chan<- *prometheus.Desc) { out <- r.desc }

// Collect is part of prometheus.Collector.
func (r *retries) Collect(out chan<- prometheus.Metric) {
	for reason, n := range r.read() {
		out <- prometheus.MustNewConstMetric(r.desc, prometheus.CounterValue, float64(n), strings.ReplaceAll(reason, " ", "_"))
	}
}
