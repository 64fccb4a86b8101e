package messages_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
)

// open opens the rooms as the program does.
func (w *world) open() error {
	var err error
	w.store, err = store.Open(w.ctx, "sqlite:"+w.path, store.Config{
		NewID: w.newID, Outbox: w.engine.outbox, Sync: func(string) error { return nil }, // power cuts are another test's affair
		Queue: sqlqueue.New(sqlqueue.Config{PollInterval: w.pace.patience}),
	})
	if err != nil {
		return err
	}
	if w.rows, err = sql.Open("sqlite3", "file:"+w.path+"?_pragma=busy_timeout(10000)&_pragma=query_only(on)"); err != nil {
		return err
	}
	w.rows.SetMaxOpenConns(1)
	if w.engine.broker != nil {
		if w.broker, err = w.engine.broker(w.ctx, w.server, w); err != nil {
			return err
		}
	}
	if _, err = w.store.ApplyCatalog(w.ctx, w.catalog(), store.CreateMissing); err != nil {
		return err
	}
	return w.furnish()
}

func (w *world) furnish() error {
	const operations, domain = "operations@shop.example", "shop.example"
	smtp, err := mail.Open("smtp://"+w.mailbox.address+"?tls=none", mail.Config{LocalName: "localhost"})
	if err != nil {
		return err
	}
	sender := &line{Sender: smtp, w: w, sent: map[string]int{}}
	w.replenisher = replenish.New(slowStore{w.store, w}, factory.NewClient(factory.Config{}), replenish.Config{
		PublicURL: "http://shop.example", Keys: replenish.Keys{{ID: 7, Secret: make([]byte, 32)}},
	})
	w.arrivals = http.NewServeMux()
	w.replenisher.Register(w.arrivals)
	w.desk = ads.New(w.store, sender, ads.Config{
		From: "shop@" + domain, ReplyTo: operations, Domain: domain, PublicURL: "http://shop.example", Links: noLinks{},
		// Nobody is reminded: that would be mail without end in a year.
		Pace:         ads.Pace{Spacing: w.pace.spacing, Reminder: 100 * year, Escalation: 101 * year},
		LookInterval: w.pace.alerts, SweepInterval: w.pace.alerts,
	})
	w.office = ops.New(officeStore{w.store}, w.store.Queue(), sender, ops.Config{
		From: "shop@" + domain, To: operations, Domain: domain, AlertInterval: w.pace.alerts, AlertGap: w.pace.alerts,
	})
	w.handlers = map[string]map[string]queue.Handler{
		restock.StockQueue: w.replenisher.Handlers(), restock.AdQueue: w.desk.Handlers(), restock.OpsQueue: w.office.Handlers(),
	}
	return nil
}

// noLinks makes links that nobody opens.
type noLinks struct{}

func (noLinks) Sign([]byte) string                          { return "link" }
func (noLinks) Open(context.Context, string) ([]byte, bool) { return nil, false }

// slowStore takes its time to decide, so that a visibility can run out
// meanwhile.
type slowStore struct {
	*store.Store

	w *world
}

func (s slowStore) Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error) {
	s.w.mu.Lock()
	s.w.planned++
	dice := s.w.dice.about("plan", s.w.planned)
	s.w.mu.Unlock()
	if !s.w.quiet.Load() && chance(dice, 30) {
		s.w.sleep(ctx, upTo(dice, 2*s.w.pace.visibility))
	}
	return s.Store.Plan(ctx, id, decide)
}

// officeStore gives the office the catalogue in its words, as main does.
type officeStore struct{ *store.Store }

func (s officeStore) ApplyCatalog(ctx context.Context, c restock.Catalog, _ bool) ([]restock.CatalogChange, error) {
	return s.Store.ApplyCatalog(ctx, c, store.CreateMissing)
}

// catalog is what the shop sells. The last product is made by a factory that
// refuses all orders, and the manager of the one before has no mailbox.
func (w *world) catalog() restock.Catalog {
	const fast = 1000
	c := restock.Catalog{Factories: []restock.CatalogFactory{
		{Identifier: "FF-1", URL: w.maker.URL, MaxInFlight: fast, RatePerSecond: fast},
		{Identifier: "FF-2", URL: w.refuser.URL, MaxInFlight: fast, RatePerSecond: fast},
	}}
	for n := range w.size.products {
		sku := fmt.Sprintf("CP-%d", n+1)
		r := w.dice.about("product", sku)
		manager, maker := strings.ToLower(sku)+"@ads.example", "FF-1"
		switch n {
		case w.size.products - 2:
			manager = nobody + "-" + manager
		case w.size.products - 1:
			maker = "FF-2"
		}
		c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "ad of " + sku, ManagerEmail: manager, Language: restock.English})
		c.Products = append(c.Products, restock.CatalogProduct{
			SKU: restock.SKU(sku), Name: "Donut", Price: 1900, OpeningStock: 1 + r.Int64N(5), Factory: maker, Advertisement: "ad of " + sku,
			ReorderPoint: r.Int64N(3), OrderQuantity: 3 + r.Int64N(4),
		})
	}
	c.Fill()
	return c
}

// skuOf is the product whose advertisement somebody manages; "" for others.
func skuOf(address string) string {
	name, _, _ := strings.Cut(strings.TrimPrefix(address, nobody+"-"), "@")
	if !strings.HasPrefix(name, "cp-") {
		return ""
	}
	return strings.ToUpper(name)
}

// processesPerQueue is how many consumers each queue has.
const processesPerQueue = 2

// start starts all processes and people.
func (w *world) start() {
	taken := driver.Driver(w.store.Queue())
	if w.broker != nil {
		taken = queue.Recorded(w.broker, w.store.Queue(), w.log)
	}
	for _, name := range restock.Queues() {
		for n := range processesPerQueue {
			road := w.newRoad(taken, fmt.Sprintf("%s-%d", name, n))
			w.process(queue.New(road, name, w.handlers[name], queue.Config{
				Logger: w.log, Visibility: w.pace.visibility, BackoffBase: w.pace.backoff[0], BackoffMax: w.pace.backoff[1],
			}).Run)
		}
	}
	for _, mover := range w.movers() {
		w.process(mover.Run)
	}
	w.process(w.office.RunAlerts)
	w.process(w.desk.RunSweep)
	w.process(w.place)
	w.process(w.weather)
	w.process(w.operate)
	for n := range w.size.products {
		w.people.Go(func() { w.buy(n) })
	}
}

func (w *world) process(run func(context.Context) error) {
	w.processes.Go(func() { w.must(run(w.ctx)) })
}

// movers bring messages to the broker, and its dead letters to the desk.
func (w *world) movers() []*queue.Mover {
	if !w.engine.outbox {
		return nil
	}
	desk := w.store.Queue()
	var target queue.Publisher = desk.Forward(routes())
	if w.broker != nil {
		target = w.broker
	}
	var all []*queue.Mover
	for n := range processesPerQueue {
		target := &badTarget{Publisher: target, w: w}
		all = append(all, queue.NewRelay(w.newRoad(desk, fmt.Sprintf("relay-%d", n)), restock.RelayQueue, target, "", w.log))
	}
	for _, name := range restock.Queues() {
		if w.broker != nil {
			all = append(all, queue.NewRelay(desk, name, w.broker, name, w.log), queue.NewCollector(w.broker, name, desk, w.log))
		}
	}
	return all
}
