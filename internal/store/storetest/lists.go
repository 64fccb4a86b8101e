package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func listChecks() []check {
	return []check{
		{"PagesHaveNoGapsAndNoRepeats", pagesComplete},
		{"PagesStayCompleteWhileRowsAreAdded", pagesWhileGrowing},
		{"AListWithoutALimitIsBounded", listWithoutLimit},
		{"ListsNarrowByProductAndState", listsNarrow},
		{"ABadCursorIsInvalid", badCursor},
		{"TheStatusCountsWhatIsGoingOn", status},
		{"AnUnknownOrderIsNotFound", unknownOrder},
	}
}

// busy makes a shop with n of everything that is listed.
func busy(t *testing.T, h harness, n int) *shop {
	t.Helper()
	products := make([]restock.CatalogProduct, 0, n)
	for i := range n {
		products = append(products, ordered(restock.SKU(fmt.Sprintf("P%02d", i)), 1, 0, 2))
	}
	s := h.shop(t, catalogue(products...))
	for _, p := range products {
		s.mustBuy(p.SKU, 1)
		s.receive(s.placed(p.SKU, 2), 2, "two")
	}
	return s
}

// walk reads all pages of a list and gives the keys of its items.
func walk[T any](s *shop, read func(context.Context, restock.ListQuery) ([]T, string, error), q restock.ListQuery, key func(T) string) []string {
	s.t.Helper()
	var keys []string
	for {
		items, next, err := read(s.ctx(), q)
		s.must(err)
		if len(items) > q.Limit {
			s.t.Errorf("%d items on a page of %d", len(items), q.Limit)
		}
		for _, item := range items {
			keys = append(keys, key(item))
		}
		if next == "" {
			return keys
		}
		if len(items) == 0 {
			s.t.Fatal("an empty page says that there is another")
		}
		q.After = next
	}
}

// walks are all lists.
func walks(s *shop, limit int) map[string][]string {
	q := restock.ListQuery{Limit: limit}
	return map[string][]string{
		"products":  walk(s, s.Products, q, func(p restock.Product) string { return string(p.SKU) }),
		"orders":    walk(s, s.Orders, q, func(o restock.Order) string { return o.ID.String() }),
		"receipts":  walk(s, s.Receipts, q, func(r restock.Receipt) string { return r.ID.String() }),
		"stockouts": walk(s, s.Stockouts, q, func(o restock.Stockout) string { return o.ID.String() }),
		"movements": walk(s, s.Movements, q, func(m restock.Movement) string { return fmt.Sprint(m.ID) }),
		"decisions": walk(s, s.Decisions, q, func(d restock.Decision) string { return d.ID.String() }),
		"sales":     walk(s, s.Sales, q, func(s restock.Sale) string { return s.ID.String() }),
	}
}

func pagesComplete(t *testing.T, h harness) {
	const n = 7
	s := busy(t, h, n)
	whole := walks(s, 1000)
	for name, keys := range whole {
		want := n
		if name == "movements" {
			want = 3 * n // opening, sale, receipt
		}
		if unique := slices.Compact(slices.Sorted(slices.Values(keys))); len(unique) != want || len(keys) != want {
			t.Errorf("%s: %d items, %d different, want %d", name, len(keys), len(unique), want)
		}
	}
	for _, limit := range []int{1, 2, 3, n - 1, n, n + 1} {
		if diff := cmp.Diff(whole, walks(s, limit)); diff != "" {
			t.Errorf("in pages of %d (-whole +pages):\n%s", limit, diff)
		}
	}
}

func pagesWhileGrowing(t *testing.T, h harness) {
	s := busy(t, h, 6)
	before := walk(s, s.Sales, restock.ListQuery{Limit: 100}, func(s restock.Sale) string { return s.ID.String() })
	growing := func(ctx context.Context, q restock.ListQuery) ([]restock.Sale, string, error) {
		s.buy(line("P00", 1))
		return s.Sales(ctx, q)
	}
	got := walk(s, growing, restock.ListQuery{Limit: 2}, func(s restock.Sale) string { return s.ID.String() })
	if diff := cmp.Diff(before, got[1:]); diff != "" { // the first was sold just before the first page
		t.Errorf("(-before +got):\n%s", diff)
	}
}

func listWithoutLimit(t *testing.T, h harness) {
	s := busy(t, h, 2)
	for _, limit := range []int{0, -1} {
		items, _, err := s.Products(s.ctx(), restock.ListQuery{Limit: limit})
		s.must(err)
		if len(items) != 2 {
			t.Errorf("limit %d: %d products, want 2", limit, len(items))
		}
	}
}

func listsNarrow(t *testing.T, h harness) {
	s := busy(t, h, 3)
	s.mustBuy("P01", 2)
	s.order("P01", 2)
	id := s.product("P01").ID.String()
	for _, product := range []string{"P01", "p01", id} {
		for name, got := range map[string]int{
			"orders":             len(walk(s, s.Orders, restock.ListQuery{Product: product, Limit: 9}, func(o restock.Order) string { return string(o.SKU) })),
			"sales":              len(walk(s, s.Sales, restock.ListQuery{Product: product, Limit: 9}, func(s restock.Sale) string { return s.ID.String() })),
			"stockouts":          len(walk(s, s.Stockouts, restock.ListQuery{Product: product, Limit: 9}, func(o restock.Stockout) string { return string(o.SKU) })),
			"decisions":          len(walk(s, s.Decisions, restock.ListQuery{Product: product, Limit: 9}, func(d restock.Decision) string { return string(d.SKU) })),
			"receipts + 1":       1 + len(walk(s, s.Receipts, restock.ListQuery{Product: product, Limit: 9}, func(r restock.Receipt) string { return string(r.SKU) })),
			"movements - 2":      len(walk(s, s.Movements, restock.ListQuery{Product: product, Limit: 9}, func(m restock.Movement) string { return string(m.SKU) })) - 2,
			"planned + received": states(s, "planned", "received"),
		} {
			if got != 2 && name != "planned + received" || name == "planned + received" && got != 4 {
				t.Errorf("%s of %s: %d", name, product, got)
			}
		}
	}
	open := walk(s, s.Stockouts, restock.ListQuery{State: "open", Limit: 9}, func(o restock.Stockout) string { return string(o.SKU) })
	if diff := cmp.Diff([]string{"P01"}, open); diff != "" {
		t.Errorf("open stockouts (-want +got):\n%s", diff)
	}
	_, _, err := s.Orders(s.ctx(), restock.ListQuery{Product: "NOBODY", Limit: 9})
	wantKind(t, err, restock.NotFound)
}

func states(s *shop, states ...string) int {
	n := 0
	for _, state := range states {
		n += len(walk(s, s.Orders, restock.ListQuery{State: state, Limit: 9}, func(o restock.Order) string { return string(o.SKU) }))
	}
	return n
}

func badCursor(t *testing.T, h harness) {
	s := busy(t, h, 1)
	q := restock.ListQuery{After: "not a cursor'--", Limit: 9}
	var errs []error
	_, _, err := s.Orders(s.ctx(), q)
	errs = append(errs, err)
	_, _, err = s.Receipts(s.ctx(), q)
	errs = append(errs, err)
	_, _, err = s.Stockouts(s.ctx(), q)
	errs = append(errs, err)
	_, _, err = s.Movements(s.ctx(), q)
	errs = append(errs, err)
	_, _, err = s.Decisions(s.ctx(), q)
	errs = append(errs, err)
	_, _, err = s.Sales(s.ctx(), q)
	errs = append(errs, err)
	for _, err := range errs {
		wantKind(t, err, restock.Invalid)
	}
}

func status(t *testing.T, h harness) {
	c := catalogue(ordered("A", 1, 0, 10), ordered("B", 5, 5, 10), plain("C", 9), plain("D", 0))
	c.Advertisements[0].StopWhen = restock.StopWhenAny
	s := h.shop(t, c)
	s.mustBuy("A", 1)
	s.mailed(stepStop)
	s.receive(s.placed("A", 10), 99, "ninety-nine")
	s.mustBuy("A", 10)
	s.order("B", 3)
	s.problem(1)
	s.digest(true)
	got, err := s.Status(s.ctx())
	s.must(err)
	var watch []restock.SKU
	for _, p := range got.Watch {
		watch = append(watch, p.SKU)
	}
	got.Watch = nil
	want := restock.Status{
		Products: 4, OutOfStock: 2, Low: 1, Orders: map[string]int64{"planned": 1}, ReceiptsHeld: 2,
		AdHolds: map[string]int64{"stopped": 1}, DigestsWaiting: 1,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("status (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]restock.SKU{"A", "D"}, watch); diff != "" { // B is not low: its order counts
		t.Errorf("watched (-want +got):\n%s", diff)
	}
}

func unknownOrder(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	_, err := s.Order(s.ctx(), restock.OrderID{1})
	wantKind(t, err, restock.NotFound)
}
