// Package storetest is the suite that every database of the store must pass:
// what the store promises, shown through its exported methods, with plain SQL
// only where a promise is about rows that no method shows.
//
// # Time
//
// The clock of every store is set by the checks, so that a window of an hour
// passes at once. Nothing here waits for time.
//
// # Length
//
// RESTOCK_TEST_FULL=1 runs the long form of the checks that have one.
package storetest

import (
	"context"
	"database/sql"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

// Open opens an empty database with a configuration; it is closed when the
// test ends.
type Open = func(t *testing.T, cfg store.Config) *store.Store

// Raw gives plain SQL on the database of an open store, to look at its rows.
type Raw = func(t *testing.T, s *store.Store) *sql.DB

// Databases is how the suite comes to databases of one kind.
type Databases struct {
	Open Open
	Raw  Raw
	// Unchecked is Raw for rows that are to be spoiled: from then on no constraint
	// is checked in that database. Nil is Raw.
	Unchecked Raw
	// Blob writes bytes as SQL does there; nil is x'…'.
	Blob func(text string) string
}

// check is one promise.
type check struct {
	name string
	run  func(t *testing.T, h harness)
}

// Run holds a database to all promises, each on an empty one of its own.
func Run(t *testing.T, dbs Databases) {
	t.Helper()
	if dbs.Unchecked == nil {
		dbs.Unchecked = dbs.Raw
	}
	for _, group := range []struct {
		name   string
		checks []check
	}{
		{"Sell", sellChecks()},
		{"Key", keyChecks()},
		{"Reservation", reservationChecks()},
		{"Return", returnChecks()},
		{"Adjust", adjustChecks()},
		{"Detect", detectChecks()},
		{"Plan", planChecks()},
		{"Claim", claimChecks()},
		{"Settle", settleChecks()},
		{"Chase", chaseChecks()},
		{"Receive", receiveChecks()},
		{"Ordering", orderingChecks()},
		{"PeopleOrder", peopleOrderChecks()},
		{"PeopleReceipt", peopleReceiptChecks()},
		{"Unsigned", unsignedChecks()},
		{"Switch", switchChecks()},
		{"Reconcile", reconcileChecks()},
		{"Outage", outageChecks()},
		{"Trace", traceChecks()},
		{"AdHold", adHoldChecks()},
		{"Digest", digestChecks()},
		{"Engine", engineChecks()},
		{"Desk", deskChecks()},
		{"Channel", channelChecks()},
		{"Incident", incidentChecks()},
		{"Catalog", catalogChecks()},
		{"List", listChecks()},
		{"Dashboard", dashboardChecks()},
		{"Webhook", webhookChecks()},
		{"Report", reportChecks()},
		{"Verify", verifyChecks()},
		{"Act", actChecks()},
		{"Random", randomChecks()},
	} {
		t.Run(group.name, func(t *testing.T) {
			t.Parallel()
			for _, c := range group.checks {
				t.Run(c.name, func(t *testing.T) {
					t.Parallel()
					c.run(t, harness{dbs})
				})
			}
		})
	}
}

func full() bool { return os.Getenv("RESTOCK_TEST_FULL") == "1" }

type harness struct{ Databases }

// clock is the time of one store. It stands still until it is moved.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// shop is an open store with a catalogue, and what a check asks of it.
type shop struct {
	*store.Store
	t     *testing.T
	clock *clock
	rows  *sql.DB
}

// shop opens an empty store, fills it with a catalogue, and verifies all
// promises when the check is over.
func (h harness) shop(t *testing.T, c restock.Catalog) *shop {
	t.Helper()
	s := h.unverified(t, c)
	t.Cleanup(func() { s.verify() })
	return s
}

func (h harness) unverified(t *testing.T, c restock.Catalog) *shop {
	t.Helper()
	s := &shop{t: t, clock: newClock()}
	s.Store = h.Open(t, store.Config{Now: s.clock.now})
	s.rows = h.Raw(t, s.Store)
	if len(c.Products) > 0 {
		s.apply(c)
	}
	return s
}

// unchecked is a shop whose rows are to be spoiled.
func (h harness) unchecked(t *testing.T, c restock.Catalog) *shop {
	t.Helper()
	s := h.unverified(t, c)
	s.rows = h.Unchecked(t, s.Store)
	return s
}

const (
	factoryID  = "FF-500293"
	adName     = "donut-main"
	leadTime   = 40 * time.Second
	leaseTime  = 20 * time.Second
	windowTime = 2 * time.Minute
	mailing    = time.Minute
)

// catalogue makes a shop with one factory, one advertisement and the products.
func catalogue(products ...restock.CatalogProduct) restock.Catalog {
	c := restock.Catalog{
		Factories: []restock.CatalogFactory{{
			Identifier: factoryID, URL: "http://127.0.0.1:4000/api/manufactures", LeadTime: leadTime,
			Requester: "김재고", MaxInFlight: 1000, RatePerSecond: 1_000_000,
		}},
		Advertisements: []restock.CatalogAdvertisement{{Name: adName, ManagerEmail: "ads@donut.example"}},
		Products:       products,
	}
	c.Fill()
	return c
}

// plain makes a product that is only sold.
func plain(sku restock.SKU, stock int64) restock.CatalogProduct {
	return restock.CatalogProduct{SKU: sku, Name: "Donut " + string(sku), Price: 19900, OpeningStock: stock}
}

// ordered makes a product of which quantity is ordered when its position falls
// to point.
func ordered(sku restock.SKU, stock, point, quantity int64) restock.CatalogProduct {
	p := plain(sku, stock)
	p.Factory, p.Advertisement = factoryID, adName
	p.ReorderPoint, p.OrderQuantity, p.UnitCost = point, quantity, 7000
	return p
}

func (s *shop) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
}

// ctx outlives the test, since the last look comes when it is over.
func (s *shop) ctx() context.Context { return context.WithoutCancel(s.t.Context()) }

func (s *shop) apply(c restock.Catalog) []restock.CatalogChange {
	s.t.Helper()
	s.must(c.Check())
	changes, err := s.ApplyCatalog(s.ctx(), c, store.CreateAndEdit)
	s.must(err)
	return changes
}

func (s *shop) verify() {
	s.t.Helper()
	checks, err := s.Verify(s.ctx())
	s.must(err)
	for _, c := range checks {
		if c.Broken > 0 {
			s.t.Errorf("%s %s: %d broken: %q", c.Promise, c.Name, c.Broken, c.Violations)
		}
	}
}

// count runs a query for one number.
func (s *shop) count(query string) int64 {
	s.t.Helper()
	var n int64
	s.must(s.rows.QueryRowContext(s.ctx(), query).Scan(&n))
	return n
}

func (s *shop) wantCount(query string, want int64) {
	s.t.Helper()
	if got := s.count(query); got != want {
		s.t.Errorf("%s = %d, want %d", query, got, want)
	}
}

// published is how many messages of a type there are about a product.
func (s *shop) published(typ restock.EventType, sku restock.SKU) int64 {
	s.t.Helper()
	return s.count(`SELECT COUNT(*) FROM queue_messages WHERE type = '` + string(typ) + `' AND subject = '` + string(sku) + `'`)
}

func (s *shop) wantPublished(typ restock.EventType, sku restock.SKU, want int64) {
	s.t.Helper()
	if got := s.published(typ, sku); got != want {
		s.t.Errorf("%d messages %s about %s, want %d", got, typ, sku, want)
	}
}

func (s *shop) product(sku restock.SKU) restock.Product {
	s.t.Helper()
	p, err := s.Product(s.ctx(), string(sku))
	s.must(err)
	return p
}

// wantStock compares on hand and on order.
func (s *shop) wantStock(sku restock.SKU, onHand, onOrder int64) {
	s.t.Helper()
	stock := s.product(sku).Stock
	got := []int64{stock.OnHand, stock.OnOrder}
	if diff := cmp.Diff([]int64{onHand, onOrder}, got); diff != "" {
		s.t.Errorf("%s: on hand and on order (-want +got):\n%s", sku, diff)
	}
}

func line(sku restock.SKU, quantity int64) restock.Line {
	return restock.Line{Product: string(sku), Quantity: quantity}
}

func cart(lines ...restock.Line) restock.Cart { return restock.Cart{Lines: lines} }

// buy sells one cart.
func (s *shop) buy(lines ...restock.Line) restock.Outcome {
	s.t.Helper()
	return s.buyAll(cart(lines...))[0]
}

// buyAll sells carts as one group.
func (s *shop) buyAll(carts ...restock.Cart) []restock.Outcome {
	s.t.Helper()
	outcomes, err := s.Sell(s.ctx(), carts)
	s.must(err)
	if len(outcomes) != len(carts) {
		s.t.Fatalf("%d outcomes for %d carts", len(outcomes), len(carts))
	}
	return outcomes
}

// mustBuy sells a quantity that has to be there.
func (s *shop) mustBuy(sku restock.SKU, quantity int64) restock.Sale {
	s.t.Helper()
	outcome := s.buy(line(sku, quantity))
	s.must(outcome.Err)
	return outcome.Sale
}

func wantKind(t *testing.T, err error, want restock.Kind) {
	t.Helper()
	if err == nil || restock.KindOf(err) != want {
		t.Errorf("error %v of kind %d, want kind %d", err, restock.KindOf(err), want)
	}
}

// yes decides to order a quantity while a slot is free, whatever the position.
func yes(quantity int64) func(restock.Situation) restock.Decision {
	return func(s restock.Situation) restock.Decision {
		if int64(len(s.OpenOrders)) >= s.Product.Policy.OpenOrdersMax {
			return restock.Decision{Reason: "no slot is free"}
		}
		return restock.Decision{Order: true, Quantity: quantity, Reason: "the position is low"}
	}
}

func no(reason string) func(restock.Situation) restock.Decision {
	return func(restock.Situation) restock.Decision { return restock.Decision{Reason: reason} }
}

// order plans an order that has to come about.
func (s *shop) order(sku restock.SKU, quantity int64) restock.OrderID {
	s.t.Helper()
	d, err := s.Plan(s.ctx(), s.product(sku).ID, yes(quantity))
	s.must(err)
	if !d.Order || d.OrderID.IsZero() {
		s.t.Fatalf("no order of %s: %s", sku, d.Reason)
	}
	return d.OrderID
}

// claim takes the next order, which has to be there, and lets a moment pass,
// so that the next claim is within the factory's pace.
func (s *shop) claim() restock.Attempt {
	s.t.Helper()
	a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
	s.must(err)
	if a.OrderID.IsZero() {
		s.t.Fatal("no order can be claimed")
	}
	s.clock.advance(time.Millisecond)
	return a
}

func (s *shop) wantNoClaim() {
	s.t.Helper()
	a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
	s.must(err)
	if !a.OrderID.IsZero() {
		s.t.Errorf("claimed attempt %d of an order in the state %s, want none", a.Number, s.orderOf(a).State)
	}
}

// settle records an answer as the placer would.
func (s *shop) settle(a restock.Attempt, state restock.AttemptState) {
	s.t.Helper()
	s.must(s.SettleAttempt(s.ctx(), a, s.answer(a, state)))
}

func (s *shop) answer(a restock.Attempt, state restock.AttemptState) restock.Answered {
	answer := restock.Answered{Answer: restock.Answer{State: state}}
	switch state {
	case restock.AttemptAccepted:
		answer.Status, answer.FactoryRef, answer.DueAt = 201, "ref-1", a.SentAt.Add(windowTime)
	case restock.AttemptUnknown:
		answer.Error, answer.DueAt = "no answer", a.SentAt.Add(windowTime)
	case restock.AttemptNotSent:
		answer.Error, answer.RetryAt = "not reached", s.clock.now().Add(time.Second)
	case restock.AttemptRejected:
		answer.Status, answer.Error = 400, "factory refused with 400"
	}
	return answer
}

// placed orders and lets the factory accept.
func (s *shop) placed(sku restock.SKU, quantity int64) restock.Attempt {
	s.t.Helper()
	s.order(sku, quantity)
	a := s.claim()
	s.settle(a, restock.AttemptAccepted)
	return a
}

func (s *shop) orderOf(a restock.Attempt) restock.Order {
	s.t.Helper()
	o, err := s.Order(s.ctx(), a.OrderID)
	s.must(err)
	return o
}

// wantOrder compares an order's state and the states of its attempts.
func (s *shop) wantOrder(id restock.OrderID, want restock.OrderState, attempts ...restock.AttemptState) {
	s.t.Helper()
	o, err := s.Order(s.ctx(), id)
	s.must(err)
	var states []restock.AttemptState
	for _, a := range o.Attempts {
		states = append(states, a.State)
	}
	if o.State != want || !cmp.Equal(states, attempts) {
		s.t.Errorf("the order is %s with attempts %v, want %s with %v", o.State, states, want, attempts)
	}
}

// callback makes what the factory reports about an attempt.
func callback(a restock.Attempt, count int64, body string) restock.Callback {
	c := restock.Callback{
		OrderID: a.OrderID, Attempt: a.Number, Count: count, Claimed: body, Body: []byte(body), Remote: "192.0.2.1:4000",
	}
	copy(c.Hash[:], body)
	return c
}

// receive reports goods, with a body of its own, and applies up to what is
// missing.
func (s *shop) receive(a restock.Attempt, count int64, body string) restock.Receipt {
	s.t.Helper()
	r, err := s.Receive(s.ctx(), callback(a, count, body), upToMissing)
	s.must(err)
	return r
}

// upToMissing is a simple judge: a repeat is never applied, and no more than
// what is missing.
func upToMissing(e restock.Evidence) restock.Verdict {
	missing := max(0, e.Attempt.Quantity-e.Attempt.Received)
	late := e.Attempt.State == restock.AttemptOverdue || !e.Order.Open()
	switch {
	case e.Seen && missing == 0:
		return restock.Verdict{State: restock.ReceiptDuplicate, Late: late, Reason: "seen"}
	case e.Seen || missing == 0 || e.Callback.Count <= 0:
		return restock.Verdict{State: restock.ReceiptHeld, Hold: e.Callback.Count, Late: late, Reason: "held"}
	}
	apply := min(missing, e.Callback.Count)
	return restock.Verdict{State: restock.ReceiptApplied, Apply: apply, Hold: e.Callback.Count - apply, Late: late}
}

// chase looks at an order as the sweep does, with a reorder budget.
func (s *shop) chase(id restock.OrderID) {
	s.t.Helper()
	s.must(s.Chase(s.ctx(), id, window, withinBudget))
}

func window(restock.Factory) time.Duration { return windowTime }

func withinBudget(l restock.Lateness) restock.Overdue {
	accepted := 0
	for _, a := range l.Order.Attempts {
		if a.MayBeAccepted() {
			accepted++
		}
	}
	if accepted <= l.Order.ReorderBudget {
		return restock.Overdue{Reorder: true}
	}
	return restock.Overdue{Reason: "not delivered in time"}
}

// sweep chases whatever is due, as replenish does.
func (s *shop) sweep() int {
	s.t.Helper()
	due, err := s.OverdueOrders(s.ctx(), 1000)
	s.must(err)
	for _, id := range due {
		s.chase(id)
	}
	return len(due)
}

// atOnce runs fn n times at once, and waits for all.
func atOnce(n int, fn func(i int)) {
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		all.Go(func() {
			<-start
			fn(i)
		})
	}
	close(start)
	all.Wait()
}

// together runs acts so that they stand in one commit: an act that waits for
// them holds the writer until all of them are in line.
func (s *shop) together(acts ...func()) {
	s.t.Helper()
	holding, release := make(chan struct{}), make(chan struct{})
	var all sync.WaitGroup
	id := s.product(s.anySKU()).ID
	all.Go(func() {
		_, err := s.Plan(s.ctx(), id, func(restock.Situation) restock.Decision {
			close(holding)
			<-release
			return restock.Decision{Reason: "it only holds the door"}
		})
		if err != nil {
			s.t.Error(err)
		}
	})
	<-holding
	for _, act := range acts {
		all.Go(act)
	}
	close(release)
	all.Wait()
}

func (s *shop) anySKU() restock.SKU {
	s.t.Helper()
	products, _, err := s.Products(s.ctx(), restock.ListQuery{Limit: 1})
	s.must(err)
	if len(products) == 0 {
		s.t.Fatal("there is no product")
	}
	return products[0].SKU
}
