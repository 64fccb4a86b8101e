package metrics

import (
	"context"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/restock/restock"
)

const (
	// engineKept is how old the depths of a broker may be that are told, and
	// engineTimeout how long it may take to ask for them.
	engineKept    = 5 * time.Second
	engineTimeout = 2 * time.Second
)

// Engine adds what lies on a broker.
func (m *Metrics) Engine(name string, depths func(context.Context) ([]restock.QueueDepth, error), now func() time.Time) {
	labels := prometheus.Labels{"engine": name}
	m.registry.MustRegister(&engine{
		depths: depths, now: now,
		up: prometheus.NewDesc("restock_engine_up", "Whether the broker answers; 0 means that its depths are missing.", nil, labels),
		messages: prometheus.NewDesc("restock_engine_messages", "Messages on a queue of the broker, and dead ones on its dead-letter queue.",
			[]string{"queue", "state"}, labels),
	})
}

// engine asks a broker when somebody asks for the metrics.
type engine struct {
	depths       func(context.Context) ([]restock.QueueDepth, error)
	now          func() time.Time
	up, messages *prometheus.Desc

	mu   sync.Mutex
	at   time.Time
	last []restock.QueueDepth
	err  error
}

// Describe is part of prometheus.Collector.
func (e *engine) Describe(out chan<- *prometheus.Desc) { out <- e.up; out <- e.messages }

// Collect is part of prometheus.Collector.
func (e *engine) Collect(out chan<- prometheus.Metric) {
	depths, err := e.look()
	out <- prometheus.MustNewConstMetric(e.up, prometheus.GaugeValue, truth(err == nil))
	if err != nil {
		return
	}
	for _, d := range depths {
		for state, n := range map[string]int64{"waiting": d.Waiting, "in_flight": d.InFlight, "dead": d.Dead} {
			out <- prometheus.MustNewConstMetric(e.messages, prometheus.GaugeValue, float64(n), d.Queue, state)
		}
	}
}

func (e *engine) look() ([]restock.QueueDepth, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if age := e.now().Sub(e.at); !e.at.IsZero() && age >= 0 && age < engineKept {
		return e.last, e.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), engineTimeout)
	defer cancel()
	e.last, e.err = e.depths(ctx)
	e.at = e.now()
	return e.last, e.err
}
