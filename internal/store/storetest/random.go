package storetest

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"pgregory.net/rapid"
)

func randomChecks() []check {
	return []check{{"AnySequenceOfActsEndsAsTheModelSays", randomActs}}
}

// randomActs does random acts to a store and to a small model of it, and
// compares the two and verifies all promises after each. A failure prints how
// to repeat it.
func randomActs(t *testing.T, h harness) {
	shortenRandom()
	rapid.Check(t, func(rt *rapid.T) {
		m := newModel(t, h)
		defer m.close()
		m.rt = rt
		rt.Repeat(map[string]func(*rapid.T){
			"buy": m.buy, "plan": m.plan, "claim": m.claim, "settle": m.settle, "receive": m.receive,
			"pass time": m.passTime, "change policy": m.changePolicy, "decide": m.decide, "book by hand": m.bookByHand,
			"settle a receipt": m.settleReceipt, "": m.compare,
		})
	})
}

// shortenRandom makes fewer runs, unless somebody says how many.
func shortenRandom() {
	const name = "rapid.checks"
	checks, asked := "8", false
	if full() {
		checks = "15"
	}
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == name })
	if !asked {
		_ = flag.Set(name, checks)
	}
}

// model says what must be true, in the plainest way.
type model struct {
	*shop
	rt       *rapid.T
	catalog  restock.Catalog
	products map[restock.SKU]*modelProduct
	orders   []*modelOrder
}

type modelProduct struct {
	onHand         int64
	out            bool // a stockout is open
	low, outs, ins int64
}

type modelOrder struct {
	id                 restock.OrderID
	sku                restock.SKU
	quantity, received int64
	state              restock.OrderState
	due, partAt        time.Time // partAt is when the last part of it was reported
	budget             int
	attempts           []*modelAttempt
}

type modelAttempt struct {
	restock.Attempt
	seen map[string]bool
}

func (o *modelOrder) outstanding() int64 {
	if !o.state.Open() {
		return 0
	}
	return max(0, o.quantity-o.received)
}

func newModel(t *testing.T, h harness) *model {
	t.Helper()
	a, b := ordered("A", 6, 3, 5), ordered("B", 0, 0, 4)
	b.OpenOrdersMax, b.ResumeLevel = 2, 3
	m := &model{catalog: catalogue(a, b), products: map[restock.SKU]*modelProduct{}}
	m.shop = h.unverified(t, m.catalog)
	m.products["A"] = &modelProduct{onHand: 6}
	m.products["B"] = &modelProduct{low: 1}
	return m
}

func (m *model) close() {
	if err := m.Close(); err != nil {
		m.t.Error(err)
	}
}

func (m *model) policy(sku restock.SKU) restock.Policy {
	return m.catalog.Products[slices.Index([]restock.SKU{"A", "B"}, sku)].Policy()
}

func (m *model) stock(sku restock.SKU) restock.Stock {
	s := restock.Stock{OnHand: m.products[sku].onHand}
	for _, o := range m.orders {
		if o.sku == sku {
			s.OnOrder += o.outstanding()
		}
	}
	return s
}

// act runs a change of the model and counts the messages that must follow.
func (m *model) act(sku restock.SKU, change func() (orderClosed bool)) {
	p, before, policy := m.products[sku], m.stock(sku), m.policy(sku)
	closed := change()
	after, now := m.stock(sku), m.policy(sku)
	if now.Low(after) && (closed || !policy.Low(before)) {
		p.low++
	}
	switch {
	case !p.out && after.Available() == 0 && before.Available() > 0:
		p.out = true
		p.outs++
	case p.out && after.Available() >= now.ResumeLevel:
		p.out = false
		p.ins++
	}
}

func (m *model) sku() restock.SKU {
	return rapid.SampledFrom([]restock.SKU{"A", "B"}).Draw(m.rt, "sku")
}

func (m *model) buy(rt *rapid.T) {
	carts := make([]restock.Cart, rapid.IntRange(1, 3).Draw(rt, "carts"))
	for i := range carts {
		for range rapid.IntRange(1, 3).Draw(rt, "lines") {
			carts[i].Lines = append(carts[i].Lines, line(m.sku(), rapid.Int64Range(0, 5).Draw(rt, "quantity")))
		}
	}
	left := map[restock.SKU]int64{"A": m.products["A"].onHand, "B": m.products["B"].onHand}
	want := make([]bool, len(carts))
	for i, c := range carts {
		want[i] = m.fits(c, left)
	}
	outcomes, err := m.Sell(m.ctx(), carts)
	if err != nil {
		rt.Fatal(err)
	}
	for i, o := range outcomes {
		if (o.Err == nil) != want[i] {
			rt.Fatalf("cart %d of %v: %v, want it sold: %t", i, carts, o.Err, want[i])
		}
	}
	for _, sku := range []restock.SKU{"A", "B"} {
		m.act(sku, func() bool { m.products[sku].onHand = left[sku]; return false })
	}
}

// fits takes a cart out of what is left, if it can be sold.
func (m *model) fits(c restock.Cart, left map[restock.SKU]int64) bool {
	asked := map[restock.SKU]int64{}
	for _, l := range c.Lines {
		if l.Quantity <= 0 {
			return false
		}
		asked[restock.SKU(l.Product)] += l.Quantity
	}
	for sku, n := range asked {
		if n > left[sku] {
			return false
		}
	}
	for sku, n := range asked {
		left[sku] -= n
	}
	return true
}

func (m *model) plan(rt *rapid.T) {
	sku, quantity := m.sku(), rapid.Int64Range(1, 6).Draw(rt, "quantity")
	open := 0
	for _, o := range m.orders {
		if o.sku == sku && o.state.Open() {
			open++
		}
	}
	want := int64(open) < m.policy(sku).OpenOrdersMax
	d, err := m.Plan(m.ctx(), m.product(sku).ID, yes(quantity))
	if err != nil || d.Order != want {
		rt.Fatalf("plan %s with %d open: %+v, %v", sku, open, d, err)
	}
	if !want {
		return
	}
	m.act(sku, func() bool {
		m.orders = append(m.orders, &modelOrder{
			id: d.OrderID, sku: sku, quantity: quantity, state: restock.OrderPlanned, due: m.clock.now(), budget: restock.ReorderBudget,
		})
		return false
	})
}

func (m *model) claim(rt *rapid.T) {
	ready := map[restock.OrderID]*modelOrder{}
	for _, o := range m.orders {
		if o.state == restock.OrderPlanned && !o.due.After(m.clock.now()) {
			ready[o.id] = o
		}
	}
	// The breaker and the budget of retries have checks of their own.
	m.exec(`UPDATE factories SET breaker = 'closed', breaker_failures = 0, breaker_until = 0, retry_tokens = 5`)
	a, err := m.ClaimAttempt(m.ctx(), "owner", leaseTime)
	if err != nil || a.OrderID.IsZero() != (len(ready) == 0) {
		rt.Fatalf("claimed %+v, %v, with %d orders ready", a, err, len(ready))
	}
	if a.OrderID.IsZero() {
		return
	}
	o := ready[a.OrderID]
	if o == nil {
		rt.Fatalf("claimed an order that was not ready: %+v", a)
	}
	o.state, o.due = restock.OrderSending, a.LeaseUntil
	last := len(o.attempts) - 1
	if last >= 0 && o.attempts[last].State == restock.AttemptNotSent {
		a.Received = o.attempts[last].Received
		o.attempts[last].Attempt = a
	} else {
		o.attempts = append(o.attempts, &modelAttempt{Attempt: a, seen: map[string]bool{}})
	}
	if a.Number != len(o.attempts) || a.Quantity != o.quantity-o.received {
		rt.Fatalf("claimed %+v of %+v", a, o)
	}
	m.clock.advance(time.Millisecond) // within the factory's pace
}

// attempt draws one attempt of all orders.
func (m *model) attempt(rt *rapid.T) (*modelOrder, *modelAttempt) {
	n := 0
	for _, o := range m.orders {
		n += len(o.attempts)
	}
	if n == 0 {
		rt.Skip("there is no attempt")
	}
	pick := rapid.IntRange(0, n-1).Draw(rt, "attempt")
	for _, o := range m.orders {
		if pick < len(o.attempts) {
			return o, o.attempts[pick]
		}
		pick -= len(o.attempts)
	}
	panic("unreachable")
}

func (m *model) settle(rt *rapid.T) {
	o, a := m.attempt(rt)
	state := rapid.SampledFrom([]restock.AttemptState{
		restock.AttemptAccepted, restock.AttemptUnknown, restock.AttemptNotSent, restock.AttemptRejected,
	}).Draw(rt, "answer")
	answer := m.answer(a.Attempt, state)
	if state == restock.AttemptRejected && rapid.Bool().Draw(rt, "429") {
		answer.RetryAt = m.clock.now().Add(time.Minute)
	}
	if err := m.SettleAttempt(m.ctx(), a.Attempt, answer); err != nil {
		rt.Fatal(err)
	}
	if a.State == restock.AttemptUnknown && state == restock.AttemptAccepted {
		a.State = restock.AttemptAccepted // a late answer proves it
		if o.state == restock.OrderUnknown && a.Number == len(o.attempts) {
			o.state = restock.OrderAccepted
		}
	}
	if a.State != restock.AttemptSending {
		return
	}
	a.State, a.DueAt = state, answer.DueAt
	if o.state != restock.OrderSending {
		return
	}
	switch {
	case state == restock.AttemptAccepted:
		o.state, o.due = restock.OrderAccepted, answer.DueAt
	case state == restock.AttemptUnknown:
		o.state, o.due = restock.OrderUnknown, answer.DueAt
	case !answer.RetryAt.IsZero():
		o.state, o.due = restock.OrderPlanned, answer.RetryAt
	default:
		o.state = restock.OrderHeld
	}
}

func (m *model) receive(rt *rapid.T) {
	o, a := m.attempt(rt)
	count := rapid.Int64Range(0, a.Quantity+1).Draw(rt, "count")
	body := fmt.Sprint("body ", rapid.IntRange(0, 4).Draw(rt, "body"))
	missing := max(0, a.Quantity-a.Received)
	var apply int64
	want := restock.ReceiptHeld
	switch {
	case a.seen[body] && missing == 0:
		want = restock.ReceiptDuplicate
	case !a.seen[body] && missing > 0 && count > 0:
		apply, want = min(missing, count), restock.ReceiptApplied
	}
	r, err := m.Receive(m.ctx(), callback(a.Attempt, count, body), upToMissing)
	if err != nil {
		rt.Fatal(err)
	}
	// A body's further repeats are answered as the first repeat was.
	if r.Applied != apply || r.Repeats == 0 && r.State != want {
		rt.Fatalf("%s with %d applied, want %s with %d", r.State, r.Applied, want, apply)
	}
	a.seen[body] = true
	if apply == 0 {
		if r.Repeats == 0 {
			m.proveAcceptance(a)
			if o.state == restock.OrderPlanned && want == restock.ReceiptHeld {
				o.state = restock.OrderHeld
			}
		}
		return
	}
	m.act(o.sku, func() bool { return m.book(o, a, apply, m.clock.now()) })
}

// proveAcceptance says that the factory has the order, whatever it answered.
func (m *model) proveAcceptance(a *modelAttempt) {
	switch a.State {
	case restock.AttemptSending, restock.AttemptUnknown, restock.AttemptRejected:
		a.State = restock.AttemptAccepted
	}
}

// book applies goods that were reported at a time, and reports whether their order
// closed. The silence after a part begins with its report, whenever a person
// approves that.
func (m *model) book(o *modelOrder, a *modelAttempt, n int64, reported time.Time) bool {
	m.products[o.sku].onHand += n
	a.Received += n
	o.received += n
	m.proveAcceptance(a)
	if a.Received >= a.Quantity {
		a.State = restock.AttemptReceived
	}
	switch {
	case !o.state.Open():
		return false
	case o.received >= o.quantity:
		o.state = restock.OrderReceived
		return true
	}
	o.state = restock.OrderPartlyReceived
	o.due = m.clock.now().Add(leadTime)
	if reported.After(o.partAt) {
		o.partAt = reported
	}
	return false
}

// passTime lets time pass and chases what is due by then.
func (m *model) passTime(rt *rapid.T) {
	m.clock.advance(rapid.SampledFrom([]time.Duration{
		time.Second, leaseTime, leadTime, time.Minute, windowTime,
	}).Draw(rt, "time"))
	var want []restock.OrderID
	for _, o := range m.orders {
		if m.leasesOver(o) || m.due(o) {
			want = append(want, o.id)
			m.act(o.sku, func() bool { return m.over(o) })
		}
	}
	due, err := m.OverdueOrders(m.ctx(), 100)
	if err != nil {
		rt.Fatal(err)
	}
	byID := func(a, b restock.OrderID) int { return slices.Compare(a[:], b[:]) }
	slices.SortFunc(want, byID)
	slices.SortFunc(due, byID)
	if diff := cmp.Diff(want, due); diff != "" {
		rt.Fatalf("overdue (-want +got):\n%s", diff)
	}
	for _, id := range due {
		if err := m.Chase(m.ctx(), id, window, withinBudget); err != nil {
			rt.Fatal(err)
		}
	}
}

// due reports whether the time of an order is over.
func (m *model) due(o *modelOrder) bool {
	switch o.state {
	case restock.OrderSending, restock.OrderUnknown, restock.OrderAccepted, restock.OrderOverdue, restock.OrderPartlyReceived:
		return !o.due.After(m.clock.now())
	default:
		return false
	}
}

// leasesOver reports whether a lease of an attempt is over; the attempt is
// unknown from then on, whatever goods of others made of its order, and its window
// began with the end of its lease, however late somebody looks.
func (m *model) leasesOver(o *modelOrder) bool {
	over := false
	for _, a := range o.attempts {
		if a.State == restock.AttemptSending && !a.LeaseUntil.After(m.clock.now()) {
			over = true
			a.State, a.DueAt = restock.AttemptUnknown, a.LeaseUntil.Add(windowTime)
		}
	}
	return over
}

// over is what becomes of an order whose time is over.
func (m *model) over(o *modelOrder) bool {
	if !m.due(o) {
		return false
	}
	switch o.state {
	case restock.OrderSending:
		o.state, o.due = restock.OrderUnknown, m.clock.now().Add(windowTime)
	case restock.OrderPartlyReceived:
		if until := o.restUntil(m.clock.now()); until.After(m.clock.now()) {
			o.due = until
			return false
		}
		o.state = restock.OrderClosedShort
		return true
	default:
		for _, a := range o.attempts {
			if a.State == restock.AttemptUnknown || a.State == restock.AttemptAccepted {
				a.State = restock.AttemptOverdue
			}
		}
		o.state = restock.OrderHeld
		if o.accepted() <= o.budget {
			o.state, o.due = restock.OrderPlanned, m.clock.now()
		}
	}
	return false
}

// restUntil is how long the rest of an order is waited for: a window since its
// last part, and then for the windows of its attempts.
func (o *modelOrder) restUntil(now time.Time) time.Time {
	until := o.partAt.Add(windowTime)
	if until.After(now) {
		return until
	}
	for _, a := range o.attempts {
		if (a.State == restock.AttemptUnknown || a.State == restock.AttemptAccepted) && a.DueAt.After(until) {
			until = a.DueAt
		}
	}
	return until
}

func (m *model) changePolicy(rt *rapid.T) {
	sku := m.sku()
	point := rapid.Int64Range(0, 8).Draw(rt, "reorder point")
	resume := rapid.Int64Range(1, 5).Draw(rt, "resume level")
	m.act(sku, func() bool {
		p := &m.catalog.Products[slices.Index([]restock.SKU{"A", "B"}, sku)]
		p.ReorderPoint, p.ResumeLevel = point, resume
		return false
	})
	m.apply(m.catalog)
}

// compare holds the store against the model, and its rows against the promises.
func (m *model) compare(rt *rapid.T) {
	for sku, p := range m.products {
		got, want := m.product(sku).Stock, m.stock(sku)
		got.StockoutID = restock.StockoutID{}
		if diff := cmp.Diff(want, got); diff != "" {
			rt.Fatalf("stock of %s (-want +got):\n%s", sku, diff)
		}
		if open := !m.product(sku).Stock.StockoutID.IsZero(); open != p.out {
			rt.Fatalf("%s has an open stockout: %t, want %t", sku, open, p.out)
		}
		messages := []int64{m.published(restock.StockLow, sku), m.published(restock.StockOut, sku), m.published(restock.StockBack, sku)}
		if diff := cmp.Diff([]int64{p.low, p.outs, p.ins}, messages); diff != "" {
			rt.Fatalf("messages low, out, back of %s (-want +got):\n%s", sku, diff)
		}
	}
	for _, o := range m.orders {
		m.compareOrder(rt, o)
	}
	if broken := m.broken(); len(broken) > 0 {
		rt.Fatalf("broken: %q", broken)
	}
}

func (m *model) compareOrder(rt *rapid.T, o *modelOrder) {
	got, err := m.Order(m.ctx(), o.id)
	if err != nil {
		rt.Fatal(err)
	}
	type state struct {
		Order    restock.OrderState
		Received int64
		Attempts []string
	}
	w, g := state{Order: o.state, Received: o.received}, state{Order: got.State, Received: got.Received}
	for _, a := range o.attempts {
		w.Attempts = append(w.Attempts, fmt.Sprintf("%d %s %d of %d", a.Number, a.State, a.Received, a.Quantity))
	}
	for _, a := range got.Attempts {
		g.Attempts = append(g.Attempts, fmt.Sprintf("%d %s %d of %d", a.Number, a.State, a.Received, a.Quantity))
	}
	if diff := cmp.Diff(w, g); diff != "" {
		rt.Fatalf("order (-want +got):\n%s", diff)
	}
}
