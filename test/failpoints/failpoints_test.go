// Package failpoints_test kills the built command with -9 at each step between
// deciding and receiving, starts it again on what it left, and sees whether the
// order ends as it must. The steps around the database and the call are places
// to die in a binary with the build tag failpoints; those within the call are
// left to the factory, which kills the process at what it sees.
//
// `go test ./test/failpoints` runs a case of each kind; RESTOCK_TEST_FULL=1 runs all.
package failpoints_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// goods is how the factory goes on after the process died.
type goods int

const (
	// comes: the factory calls back as soon as we are there again.
	comes goods = iota
	// comesLate: it calls when the lease of the dead process is over.
	comesLate
	// comesOverdue: it calls when its window ended, about every order that it got.
	comesOverdue
	// neverOrdered: nothing reached it, so nothing comes of that attempt.
	neverOrdered
	// neverComes: it forgot all it ever accepted.
	neverComes
)

// killing is one case: where the process dies, and what comes then.
type killing struct {
	points []string // RESTOCK_FAILPOINT of one process after the other
	// factoryAt is where within the call the factory kills it, instead.
	factoryAt string
	goods     goods
	// known: the factory has delivered an order before, so that one which is
	// overdue is ordered again.
	known bool
	daily bool // runs without RESTOCK_TEST_FULL too
}

// The places within the call at which the factory kills.
const (
	atHeaders    = "headers seen"
	atBody       = "body read"
	atHalfAnswer = "half an answer"
	atAnswer     = "answered"
)

func (k killing) name() string {
	where := strings.Join(k.points, "+")
	if k.factoryAt != "" {
		where = "factory:" + k.factoryAt
	}
	what := map[goods]string{
		comes: "comes", comesLate: "comes late", comesOverdue: "comes overdue", neverOrdered: "never ordered", neverComes: "never comes",
	}
	if k.known {
		where += ", known"
	}
	return where + ", " + what[k.goods]
}

func killings() []killing {
	all := []killing{
		{points: []string{"plan:before"}},
		{points: []string{"plan:after"}, daily: true},
		{points: []string{"claim:before"}},
		{points: []string{"claim:after"}, goods: neverOrdered, daily: true},
		{points: []string{"place:before"}, goods: neverOrdered},
		{points: []string{"claim:after", "chase:before"}, goods: neverOrdered},
		{points: []string{"claim:after", "chase:after"}, goods: neverOrdered, daily: true},
		{points: []string{"claim:after", "chase:before:2"}, goods: neverOrdered},
		{points: []string{"plan:before", "plan:after", "claim:before", "claim:after"}, goods: neverOrdered},
		{points: []string{"receive:before"}, daily: true},
		{points: []string{"receive:after"}, daily: true},
		{points: []string{"receive:before", "receive:after"}},
		{points: []string{"settle:after", "receive:after"}},
		{points: []string{"chase:before"}, goods: comesOverdue},
		{points: []string{"chase:after"}, goods: comesOverdue, daily: true},
		{points: []string{"chase:before", "chase:after"}, goods: comesOverdue},
		{points: []string{"settle:after", "chase:after"}, goods: neverComes, daily: true},
	}
	// The first time is in the first attempt, and the second in the one that is made
	// when that one is overdue.
	for _, point := range []string{"chase:before", "chase:after", "claim:before:2", "claim:after:2", "place:after:2", "settle:before:2", "settle:after:2"} {
		all = append(all, killing{points: []string{point}, known: true, goods: comesOverdue, daily: point == "claim:after:2"})
	}
	for _, point := range []string{"place:after", "settle:before", "settle:after"} {
		all = append(all, killing{points: []string{point}, daily: point == "settle:before"})
	}
	for _, point := range []string{"place:after", "settle:before"} {
		all = append(all, killing{points: []string{point}, goods: comesLate, daily: point == "place:after"},
			killing{points: []string{point}, goods: comesOverdue})
	}
	for _, at := range []string{atHeaders, atBody, atHalfAnswer, atAnswer} {
		all = append(all, killing{factoryAt: at, daily: at == atBody}, killing{factoryAt: at, goods: comesOverdue})
	}
	return append(all, killing{factoryAt: atHeaders, goods: comesLate}, killing{factoryAt: atHalfAnswer, goods: comesLate, daily: true})
}

// TestKilledAtAnyStepTheOrderEndsRight is the promise of this package.
func TestKilledAtAnyStepTheOrderEndsRight(t *testing.T) {
	t.Parallel()
	binary, err := blackbox.Build(t.Context(), t.TempDir(), "failpoints")
	if err != nil {
		t.Fatal(err)
	}
	// Most of the time they wait for leases and windows: more at once than the
	// processors that -parallel counts.
	const atOnce = 8
	places := make(chan struct{}, atOnce)
	var running sync.WaitGroup
	for _, k := range killings() {
		if !k.daily && os.Getenv("RESTOCK_TEST_FULL") != "1" {
			continue
		}
		places <- struct{}{}
		running.Go(func() {
			defer func() { <-places }()
			t.Run(k.name(), func(t *testing.T) {
				s := begin(t, binary, k)
				s.killAll()
				s.end()
				s.judge()
			})
		})
	}
	running.Wait()
}

// story is one order on its way through a shop that is killed.
type story struct {
	*blackbox.Shop

	t         *testing.T
	k         killing
	killer    *killer
	earlier   int // orders that were received before
	delivered int // callbacks, one for each order that the factory got
	answer    blackbox.Answer
}

func begin(t *testing.T, binary string, k killing) *story {
	t.Helper()
	s := &story{t: t, k: k, killer: &killer{
		at: k.factoryAt, reached: make(chan struct{}), killed: make(chan struct{}), over: t.Context().Done(),
	}}
	window := "1h" // nothing is overdue before the test has done what it does
	if k.goods == comesOverdue || k.goods == neverOrdered || k.goods == neverComes {
		window = "500ms"
	}
	// A dead process keeps its attempt for as long as a call may take, and a margin.
	flags := []string{"--factory-timeout", "1s", "--callback-window", window}
	var env []string
	if len(k.points) > 0 {
		env = []string{"RESTOCK_FAILPOINT=" + k.points[0]}
	}
	setup := blackbox.Setup{Factory: s.killer.factory(t)}
	if !k.known {
		setup.Flags, setup.Env = flags, env
		s.Shop = blackbox.OpenShop(t, binary, setup)
		return s
	}
	s.Shop = blackbox.OpenShop(t, binary, setup)
	s.earlierOrder()
	if err := s.Server.Stop(); err != nil {
		t.Fatal(err)
	}
	s.Server.Args = append(s.Server.Args, flags...)
	s.Start(env...)
	return s
}

// earlierOrder goes all the way, in a process that waits long for its factory, and
// its goods are sold but for three.
func (s *story) earlierOrder() {
	s.t.Helper()
	if err := s.SellOut(); err != nil {
		s.t.Fatal(err)
	}
	s.Factory.Await(s.t, 1)
	s.untilState(restock.OrderAccepted) // the address that it was given is on record
	s.deliver()
	s.untilState(restock.OrderReceived)
	if a, err := s.Buy(`{"quantity":7}`); err != nil || a.Status != http.StatusOK {
		s.t.Fatalf("what came cannot be sold: %+v, %v", a, err)
	}
	s.earlier, s.delivered = 1, 0
}

// calls are what the factory got of this order.
func (s *story) calls() []blackbox.Order { return s.Factory.Orders()[s.earlier:] }

// killer is where within the call the factory stops until the process is gone.
type killer struct {
	at      string
	once    sync.Once
	reached chan struct{}
	killed  chan struct{}
	over    <-chan struct{} // the test is
}

func (k *killer) pass(at string) {
	if at != k.at {
		return
	}
	k.once.Do(func() {
		close(k.reached)
		select {
		case <-k.killed:
		case <-k.over:
		}
	})
}

// factory is one that accepts everything, in steps at which it can be stopped.
func (k *killer) factory(t *testing.T) *blackbox.Factory {
	return blackbox.NewFactory(t, func() { k.pass(atHeaders) }, func(conn net.Conn, o blackbox.Order) {
		k.pass(atBody)
		text := blackbox.Acceptance(o)
		_, _ = io.WriteString(conn, text[:len(text)/2])
		k.pass(atHalfAnswer)
		_, _ = io.WriteString(conn, text[len(text)/2:])
		k.pass(atAnswer)
	})
}

// killAll sells out and lets the process die at each place in turn. The next
// place, or none, is given to the next process.
func (s *story) killAll() {
	s.t.Helper()
	_ = s.SellOut() // it may die before it can answer
	deaths := max(1, len(s.k.points))
	for n := range deaths {
		if s.diesReceiving(n) {
			s.deliver()
		}
		if s.k.factoryAt != "" {
			<-s.killer.reached
			if err := s.Server.Kill(); err != nil {
				s.t.Fatal(err)
			}
			close(s.killer.killed)
		}
		s.AwaitDeath()
		if !s.Server.KilledHard() {
			s.t.Fatalf("the process did not die at %s, but %s", s.k.name(), s.Server.Death())
		}
		next := ""
		if n+1 < deaths {
			next = "RESTOCK_FAILPOINT=" + s.k.points[n+1]
		}
		s.Start(next)
	}
}

func (s *story) diesReceiving(n int) bool {
	return n < len(s.k.points) && strings.HasPrefix(s.k.points[n], "receive:")
}

// deliver calls back once about each order that the factory got; the process
// may die of it.
func (s *story) deliver() {
	s.t.Helper()
	s.delivered = 0
	for _, o := range s.Factory.Await(s.t, s.earlier+1)[s.earlier:] {
		s.answer, _ = s.Deliver(o, o.Body)
		s.delivered++
	}
}

// order is the shop's only order, but for the earlier one.
func (s *story) order() restock.Order {
	s.t.Helper()
	s.writtenOnce()
	orders := s.Orders()
	if len(orders) != s.earlier+1 {
		s.t.Fatalf("P2 an order has its own attempts and no second is made: there are %d orders: %+v", len(orders), orders)
	}
	return orders[0] // the newest
}

func (s *story) untilState(states ...restock.OrderState) restock.Order {
	s.t.Helper()
	var o restock.Order
	s.Until(fmt.Sprint("P3 every attempt ends, and is told: the order becomes ", states), func() bool {
		o = s.order()
		return slices.Contains(states, o.State)
	})
	return o
}

// end lets the factory do what it does, until the order is at its end.
func (s *story) end() {
	s.t.Helper()
	switch s.k.goods {
	case comes:
		s.deliver()
	case comesLate:
		s.untilState(restock.OrderUnknown)
		s.deliver()
	case comesOverdue:
		s.untilState(restock.OrderHeld)
		s.deliver()
	case neverOrdered:
		// Another attempt is within the budget; that one it delivers.
		s.Until("P3 every attempt ends, and is told: it is held, or attempted again", func() bool {
			return len(s.calls()) > 0 || s.order().State == restock.OrderHeld
		})
		if len(s.calls()) == 0 {
			return
		}
		s.deliver()
	case neverComes:
		return
	}
	if s.answer.Status != http.StatusOK {
		s.t.Fatalf("P5 nothing that the factory sends is dropped: it was answered %+v", s.answer)
	}
	s.untilState(restock.OrderReceived)
}

// judge compares the end with what must hold.
func (s *story) judge() {
	s.t.Helper()
	if s.k.goods == neverComes || s.k.goods == neverOrdered && s.delivered == 0 {
		s.judgeHeld()
	}
	o := s.order()
	s.judgeCalls(o)
	s.judgeStock(o)
	if err := s.Verify(); err != nil {
		s.t.Errorf("I2 the books agree: %v", err)
	}
}

// judgeHeld: an order that nobody delivers ends with a person, who is told.
func (s *story) judgeHeld() {
	s.t.Helper()
	o := s.untilState(restock.OrderHeld)
	s.Until("P3 every attempt ends, and is told: a mail says that "+o.ID.String()+" is held", func() bool {
		return slices.ContainsFunc(s.Mails(), func(mail string) bool { return strings.Contains(mail, "restock: order held") })
	})
}

// writtenOnce: the factory got no attempt twice.
func (s *story) writtenOnce() {
	s.t.Helper()
	seen := map[string]bool{}
	for _, got := range s.Factory.Orders() {
		if seen[got.Callback] {
			s.t.Fatalf("P1 an attempt is written at most once: the factory got %s twice", got.Callback)
		}
		seen[got.Callback] = true
	}
}

// judgeCalls: each attempt asked for what it froze, and there are no more of
// them than there may be.
func (s *story) judgeCalls(o restock.Order) {
	s.t.Helper()
	orders := s.calls()
	for _, got := range orders {
		if got.Count != "10" {
			s.t.Errorf("P1 an attempt asks for what it froze: the factory was asked for %s, want 10", got.Count)
		}
	}
	most := 1 + restock.ReorderBudget
	if s.k.goods == comes || s.k.goods == comesLate {
		most = 1
	}
	if len(o.Attempts) > most || len(orders) > len(o.Attempts) {
		s.t.Errorf("P2 an order has its first attempt and the budget: %d attempts, of which the factory got %d, want at most %d",
			len(o.Attempts), len(orders), most)
	}
	if s.k.goods == neverOrdered && len(orders) != len(o.Attempts)-1 {
		s.t.Errorf("P1 an attempt whose process died before it called is never sent: %d attempts, of which the factory got %d",
			len(o.Attempts), len(orders))
	}
	if s.k.goods != neverOrdered && len(orders) == 0 {
		s.t.Error("P3 the order was never placed")
	}
}

// judgeStock: each delivery is on the shelf once, and booked to its attempt.
func (s *story) judgeStock(o restock.Order) {
	s.t.Helper()
	const made = 10
	stock := s.Product(blackbox.Donut).Stock
	if want := int64(made * s.delivered); stock.OnHand != want {
		s.t.Errorf("P4 stock rises exactly once for each receipt: %d on hand after %d deliveries, want %d", stock.OnHand, s.delivered, want)
	}
	wantOnOrder := int64(0)
	if o.State.Open() {
		wantOnOrder = made
	}
	if stock.OnOrder != wantOnOrder {
		s.t.Errorf("I2 the books agree: %d on order while the order is %s, want %d", stock.OnOrder, o.State, wantOnOrder)
	}
	applied := 0
	for _, r := range o.Receipts {
		if r.Applied > 0 {
			applied++
		}
	}
	if applied != s.delivered {
		s.t.Errorf("P4 each delivery is applied once: %d receipts were applied, of %d deliveries", applied, s.delivered)
	}
	for _, a := range o.Attempts {
		if a.Received != 0 && a.State != restock.AttemptReceived || a.State == restock.AttemptSending {
			s.t.Errorf("P3 every attempt ends: attempt %d is %s with %d received", a.Number, a.State, a.Received)
		}
	}
}
