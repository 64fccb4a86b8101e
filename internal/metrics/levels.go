package metrics

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/restock/restock"
)

const (
	// levelsKept is how old levels may be that are told, and levelsTimeout how long
	// it may take to read them.
	levelsKept    = time.Second
	levelsTimeout = 2 * time.Second
)

// Levels adds the levels that are in tables. At the first failure, and no more
// often than that, the log says why they are missing.
func (m *Metrics) Levels(read func(context.Context) (restock.Levels, error), now func() time.Time, log *slog.Logger) {
	m.registry.MustRegister(&levels{read: read, now: now, log: log})
}

// levels reads what is in tables when somebody asks.
type levels struct {
	read func(context.Context) (restock.Levels, error)
	now  func() time.Time
	log  *slog.Logger

	mu      sync.Mutex
	at      time.Time
	took    time.Duration
	last    restock.Levels
	err     error
	failing bool
}

func level(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("restock_"+name, help, labels, nil)
}

//nolint:gochecknoglobals // descriptions are constants in all but name.
var (
	levelsRead    = level("levels_read_success", "Whether the levels could be read from the database; 0 means that they are missing here.")
	levelsTook    = level("levels_read_duration_seconds", "Time that it took to read the levels.")
	products      = level("products", "Products by urgency, counted up to 1000 of each.", "urgency")
	available     = level("product_available_pieces", "What can be sold of a product on watch; at most 20 are, the most urgent ones.", "sku")
	onOrder       = level("product_on_order_pieces", "What is ordered and not received of a product on watch.", "sku")
	reorderPoint  = level("product_reorder_point_pieces", "At or below which position a product on watch is ordered.", "sku")
	orders        = level("orders", "Open replenishment orders by state, counted up to 100 of each.", "state")
	heldReceipts  = level("receipts_held", "Reports of factories that wait for a person, counted up to 100.")
	deadLetters   = level("dead_letters", "Messages that were given up and wait for a person, by queue.", "queue")
	queued        = level("queue_messages", "Messages on a queue of the database that are not handled, counted up to 10000.", "queue", "state")
	queueAge      = level("queue_oldest_age_seconds", "Age of the oldest message on a queue of the database that is not handled; 0 when there is none.", "queue")
	outboxLag     = level("outbox_lag_seconds", "Age of the oldest message that has not reached the broker; 0 when there is none, or no broker.")
	adHolds       = level("ad_holds", "Conversations with ad managers that are not at their end, counted up to 100.")
	incidents     = level("incidents", "Open incidents by kind, counted up to 10.", "kind")
	mailsWaiting  = level("digests_waiting", "Mails about problems that could not be sent yet, counted up to 100.")
	paused        = level("ordering_paused", "Whether a person has paused all ordering.")
	breaker       = level("factory_breaker_open", "Whether the breaker of a factory keeps orders back: 1 open, 0.5 while one probe is on its way, 0 closed.", "factory")
	factoryPaused = level("factory_paused", "Whether a person has paused a factory.", "factory")
)

// Describe is part of prometheus.Collector.
func (*levels) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{
		levelsRead, levelsTook, products, available, onOrder, reorderPoint, orders, heldReceipts, deadLetters, queued, queueAge,
		outboxLag, adHolds, incidents, mailsWaiting, paused, breaker, factoryPaused,
	} {
		out <- d
	}
}

// Collect is part of prometheus.Collector.
func (c *levels) Collect(out chan<- prometheus.Metric) {
	l, took, err := c.look()
	success := 1.0
	if err != nil {
		success = 0
	}
	tell := func(d *prometheus.Desc, v float64, labels ...string) {
		m, err := prometheus.NewConstMetric(d, prometheus.GaugeValue, v, labels...)
		if err != nil { // a name that is no text; the others are told all the same
			m = prometheus.NewInvalidMetric(d, err)
		}
		out <- m
	}
	tell(levelsRead, success)
	tell(levelsTook, took.Seconds())
	if err == nil {
		c.tell(l, tell)
	}
}

// look gives the levels, at most levelsKept old. Who comes while they are read
// waits for that reading.
func (c *levels) look() (restock.Levels, time.Duration, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	if age := now.Sub(c.at); !c.at.IsZero() && age >= 0 && age < levelsKept {
		return c.last, c.took, c.err
	}
	ctx, cancel := context.WithTimeout(context.Background(), levelsTimeout)
	defer cancel()
	c.last, c.err = c.read(ctx)
	c.at = c.now()
	c.took = c.at.Sub(now)
	if c.err != nil && !c.failing {
		c.log.WarnContext(ctx, "the levels for /metrics cannot be read; trying again at each scrape", "error", c.err)
	}
	c.failing = c.err != nil
	return c.last, c.took, c.err
}

type teller func(d *prometheus.Desc, v float64, labels ...string)

func (c *levels) tell(l restock.Levels, tell teller) {
	for u, n := range l.Products {
		tell(products, float64(n), u.String())
	}
	for _, p := range l.Watch {
		tell(available, float64(p.Stock.Available()), string(p.SKU))
		tell(onOrder, float64(p.Stock.OnOrder), string(p.SKU))
		tell(reorderPoint, float64(p.Policy.ReorderPoint), string(p.SKU))
	}
	for state, n := range l.Orders {
		tell(orders, float64(n), string(state))
	}
	tell(heldReceipts, float64(l.HeldReceipts))
	tell(adHolds, float64(l.AdHolds))
	tell(mailsWaiting, float64(l.DigestsWaiting))
	tell(paused, truth(l.OrderingPaused != ""))
	c.tellQueues(l.Queues, tell)
	kinds := map[restock.IncidentKind]int{}
	for _, kind := range restock.IncidentKinds() {
		kinds[kind] = 0
	}
	for _, i := range l.Incidents {
		kinds[i.Kind]++
	}
	for kind, n := range kinds {
		tell(incidents, float64(n), string(kind))
	}
	for _, f := range l.Factories {
		tell(breaker, map[restock.BreakerState]float64{restock.BreakerOpen: 1, restock.BreakerHalfOpen: 0.5}[f.Breaker], f.Identifier) //nolint:mnd // as its help says.
		tell(factoryPaused, truth(f.Paused != ""), f.Identifier)
	}
}

func (c *levels) tellQueues(queues []restock.QueueDepth, tell teller) {
	lag := 0.0
	for _, q := range queues {
		age := 0.0
		if !q.OldestAt.IsZero() {
			age = max(0, c.now().Sub(q.OldestAt).Seconds())
		}
		if q.Queue == restock.RelayQueue {
			lag = age
		}
		tell(queueAge, age, q.Queue)
		tell(queued, float64(q.Waiting), q.Queue, "waiting")
		tell(queued, float64(q.InFlight), q.Queue, "in_flight")
		tell(deadLetters, float64(q.Dead), q.Queue)
	}
	tell(outboxLag, lag)
}

func truth(is bool) float64 {
	if is {
		return 1
	}
	return 0
}
