package main

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/restock/restock"
)

// drillSeen is what came of a row so far.
type drillSeen struct {
	orders   int
	order    restock.Order
	onHand   int64
	held     int64
	late     int // receipts that were applied late
	receipts []restock.ReceiptState
	posts    int
	accepted int
	shipped  int64
	repeated int // calls with a callback address that was sent before
	told     []string
	lost     []int // statuses of callbacks that were not taken
	quiet    bool  // nothing is on its way
}

// String tells it in one line; in parentheses how each call to the factory was
// answered, and what became of it.
func (s drillSeen) String() string {
	if s.orders == 0 {
		return "nothing was ordered"
	}
	var text strings.Builder
	fmt.Fprintf(&text, "%s, %d on hand", words(s.order.State), s.onHand)
	if s.held > 0 {
		fmt.Fprintf(&text, ", %d held", s.held)
	}
	if s.late > 0 {
		text.WriteString(", late")
	}
	calls := make([]string, 0, len(s.order.Attempts))
	for _, a := range s.order.Attempts {
		answer := "no answer:"
		if a.Status > 0 {
			answer = strconv.Itoa(a.Status)
		}
		calls = append(calls, answer+" "+words(a.State))
	}
	fmt.Fprintf(&text, " (%s)", strings.Join(calls, ", "))
	return text.String()
}

func words[T ~string](state T) string { return strings.ReplaceAll(string(state), "_", " ") }

// observe looks at the store, the factory and the mails.
func (s *drillStage) observe(ctx context.Context) error {
	seen := drillSeen{}
	orders, _, err := s.app.store.Orders(ctx, restock.ListQuery{Product: drillSKU})
	if err != nil {
		return err
	}
	if seen.orders = len(orders); seen.orders > 0 {
		if seen.order, err = s.app.store.Order(ctx, orders[0].ID); err != nil {
			return err
		}
	}
	for _, r := range seen.order.Receipts {
		seen.receipts = append(seen.receipts, r.State)
		seen.held += r.Held
		if r.Late && r.Applied > 0 {
			seen.late++
		}
	}
	p, err := s.app.store.Product(ctx, drillSKU)
	if err != nil {
		return err
	}
	seen.onHand = p.Stock.OnHand
	if seen.told, err = drillTitles(s.app.cfg.path(mailFolder)); err != nil {
		return err
	}
	seen.quiet, err = s.isQuiet(ctx, seen.order)
	s.observeFactory(&seen)
	s.seen = seen
	return err
}

func (s *drillStage) observeFactory(seen *drillSeen) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, n := range s.posts {
		seen.posts += n
		seen.repeated += n - 1
	}
	seen.accepted, seen.shipped = s.accepted, s.shipped
	for _, status := range s.callback {
		if status != http.StatusOK {
			seen.lost = append(seen.lost, status)
		}
	}
}

// isQuiet reports whether no call, no answer, no callback and no message is on
// its way, and nothing is due.
func (s *drillStage) isQuiet(ctx context.Context, o restock.Order) (bool, error) {
	for _, a := range o.Attempts {
		if a.AnsweredAt.IsZero() {
			return false, nil
		}
	}
	if s.simulator.Running() > 0 {
		return false, nil
	}
	overdue, err := s.app.store.OverdueOrders(ctx, 1)
	if err != nil || len(overdue) > 0 {
		return false, err
	}
	low, err := s.app.store.LowProducts(ctx, restock.ProductID{}, 1)
	if err != nil || len(low) > 0 {
		return false, err
	}
	stats, err := s.app.store.Queue().Stats(ctx)
	for _, q := range stats {
		if q.Waiting+q.InFlight > 0 {
			return false, err
		}
	}
	return err == nil, err
}

// differs compares what came with what must. Each complaint begins with the
// promise of ordering that it is about: P1 an attempt is written at most once,
// P2 a bounded number of attempts, P3 each ends well or in an alarm, P4 stock
// rises by what was ordered and no more, P5 nothing reported is dropped.
func (s drillSeen) differs(want drillOutcome) []string {
	var problems []string
	differ := func(what string, got, want any) {
		if g, w := fmt.Sprint(got), fmt.Sprint(want); g != w {
			problems = append(problems, fmt.Sprintf("%s: got %s, want %s", what, g, w))
		}
	}
	attempts := make([]restock.AttemptState, 0, len(s.order.Attempts))
	for _, a := range s.order.Attempts {
		attempts = append(attempts, a.State)
	}
	differ("P2 orders", s.orders, 1)
	differ("P3 the order's state", s.order.State, want.order)
	differ("P3 the attempts' states", attempts, want.attempts)
	differ("P5 the receipts' states", slices.Sorted(slices.Values(s.receipts)), slices.Sorted(slices.Values(want.receipts)))
	differ("P4 pieces on hand", s.onHand, want.onHand)
	differ("P5 pieces held", s.held, want.held)
	differ("P2 calls that the factory saw", s.posts, want.posts)
	differ("P3 what operations were told", s.told, slices.Sorted(slices.Values(want.told)))
	return problems
}

// breaks names the promises that no misbehaviour may break and that broke.
func (s drillSeen) breaks() []string {
	var problems []string
	broke := func(so bool, format string, args ...any) {
		if so {
			problems = append(problems, fmt.Sprintf(format, args...))
		}
	}
	const most = 1 + restock.ReorderBudget
	broke(s.repeated > 0, "P1 %d calls were attempts that had been sent before", s.repeated)
	broke(s.accepted > most, "P2 the factory accepted %d attempts of one order, at most %d are allowed", s.accepted, most)
	broke(s.onHand > s.shipped, "P4 %d pieces are on hand, only %d were shipped", s.onHand, s.shipped)
	broke(len(s.lost) > 0, "P5 callbacks were answered %v and not 200 (0 is no answer)", s.lost)
	return problems
}

func brokenChecks(checks []restock.Check) []string {
	var problems []string
	for _, check := range checks {
		if check.Broken > 0 {
			problems = append(problems, fmt.Sprintf("%s %s: %v", check.Promise, check.Name, check.Violations))
		}
	}
	return problems
}
