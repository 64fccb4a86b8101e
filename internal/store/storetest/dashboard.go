package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

func dashboardChecks() []check {
	return []check{
		{"AProductIsListedUnderWhatItsNumbersSay", urgencyFollows},
		{"ProductsComeByUrgencyWithoutGaps", urgencyPages},
		{"ABadPlaceInTheListIsInvalid", urgencyBadCursor},
		{"AProductOnOrderTellsWhenGoodsAreExpected", urgencyExpected},
		{"TheOverviewCountsWhatWaits", overviewCounts},
		{"ALargeCountIsToldAsSoMuchAndMore", overviewBounded},
		{"ASearchFindsTheBeginningsOfWords", searchWords},
		{"ASearchKnowsARenamedProductByItsNewNameAlone", searchRenamed},
		{"ASearchThatFindsTooMuchSaysSo", searchBounded},
		{"AHistoryTellsEachChange", historyExact},
		{"AHistoryBeginsWithWhatWasThere", historySince},
		{"ALongHistoryIsSampledAndItsMarksAreNot", historySampled},
		{"ASampledHistoryTurnsWhereTheStockTurned", historyTurns},
		{"OrdersComeWithAttemptsAndReceipts", ordersInFull},
		{"HeldReceiptsAreThoseOfWhichSomethingWaits", heldReceipts},
		{"TheDepthOfAQueueIsWhatLiesThere", queueDepths},
		{"OpenConversationsStandInFrontOfOldOnes", adHoldsOpenFirst},
		{"TheLatestMailsAreListed", sentMails},
		{"WhatMachinesWatchIsCounted", levelsCount},
		{"OnlySoManyProductsAreOnWatch", watchBounded},
	}
}

// listed gives the SKUs of a page with the urgency under which each is listed.
func (s *shop) listed(q restock.UrgencyQuery) []string {
	s.t.Helper()
	rows, _, err := s.ProductsByUrgency(s.ctx(), q)
	s.must(err)
	return rowNames(rows)
}

func rowNames(rows []restock.ProductRow) []string {
	names := make([]string, 0, len(rows))
	for _, r := range rows {
		names = append(names, fmt.Sprintf("%s %s", r.SKU, r.Urgency()))
	}
	return names
}

func urgencyFollows(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 2, 10)))
	want := func(u restock.Urgency) {
		t.Helper()
		for _, other := range restock.Urgencies() {
			var names []string
			if other == u {
				names = []string{"A " + u.String()}
			}
			if got := s.listed(restock.UrgencyQuery{Only: &other}); !slices.Equal(got, names) {
				t.Errorf("listed under %s: %q, want %q", other, got, names)
			}
		}
	}
	want(restock.UrgencyHealthy)
	s.mustBuy("A", 3)
	want(restock.UrgencyLow)
	a := s.placed("A", 10)
	want(restock.UrgencyOnOrder)
	s.mustBuy("A", 2)
	want(restock.UrgencyOut) // also while goods are on their way
	s.receive(a, 4, "four")
	want(restock.UrgencyOnOrder)
	s.receive(a, 6, "six")
	want(restock.UrgencyHealthy)
	c := catalogue(ordered("A", 5, 20, 10)) // an edited policy
	s.apply(c)
	want(restock.UrgencyLow)
}

// mixed is a shop with products of each urgency.
func mixed(t *testing.T, h harness) *shop {
	t.Helper()
	s := h.shop(t, catalogue(
		ordered("D", 9, 2, 10), plain("B", 0), ordered("C", 3, 2, 10), ordered("A", 3, 2, 10), plain("F", 4), plain("E", 0)))
	s.mustBuy("C", 1)
	s.placed("C", 10)
	s.mustBuy("A", 2)
	return s
}

func urgencyPages(t *testing.T, h harness) {
	s := mixed(t, h)
	want := []string{"B out_of_stock", "E out_of_stock", "A low", "C on_order", "D healthy", "F healthy"}
	for limit := 1; limit <= len(want)+1; limit++ {
		got := walk(s, func(ctx context.Context, q restock.ListQuery) ([]restock.ProductRow, string, error) {
			return s.ProductsByUrgency(ctx, restock.UrgencyQuery{After: q.After, Limit: q.Limit})
		}, restock.ListQuery{Limit: limit}, func(r restock.ProductRow) string { return rowNames([]restock.ProductRow{r})[0] })
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("in pages of %d (-want +got):\n%s", limit, diff)
		}
	}
	if got := s.listed(restock.UrgencyQuery{}); len(got) != len(want) {
		t.Errorf("without a limit: %q", got)
	}
}

func urgencyBadCursor(t *testing.T, h harness) {
	s := mixed(t, h)
	for _, after := range []string{"x", "7.A", "-1.A", "1"} {
		_, _, err := s.ProductsByUrgency(s.ctx(), restock.UrgencyQuery{After: after})
		wantKind(t, err, restock.Invalid)
	}
}

func urgencyExpected(t *testing.T, h harness) {
	c := catalogue(ordered("A", 3, 2, 10))
	c.Products[0].OpenOrdersMax = 2
	s := h.shop(t, c)
	s.mustBuy("A", 1)
	s.order("A", 4) // nobody has asked the factory yet
	rows, _, err := s.ProductsByUrgency(s.ctx(), restock.UrgencyQuery{})
	s.must(err)
	if _, ok := rows[0].Expected(); ok || len(rows[0].Open) != 1 || rows[0].Open[0].State != restock.OrderPlanned {
		t.Errorf("open orders %+v, want one that is planned and not expected", rows[0].Open)
	}
	a := s.claim()
	s.settle(a, restock.AttemptAccepted)
	s.order("A", 6)
	rows, _, err = s.ProductsByUrgency(s.ctx(), restock.UrgencyQuery{})
	s.must(err)
	expected, ok := rows[0].Expected()
	if !ok || expected.ID != a.OrderID || expected.Outstanding != 4 || len(rows[0].Open) != 2 {
		t.Errorf("expected %+v, %t, of %+v; want the order at the factory", expected, ok, rows[0].Open)
	}
}

func overviewCounts(t *testing.T, h harness) {
	c := catalogue(ordered("A", 2, 0, 3), ordered("B", 2, 0, 3), plain("C", 9), ordered("D", 2, 0, 3))
	c.Products[1].Ordering = restock.OrderingReview
	c.Products[1].Advertisement, c.Products[3].Advertisement = "", ""
	s := h.shop(t, c)
	s.mustBuy("A", 2)
	s.mailed(stepStop)
	since := s.clock.now()
	s.must(s.Observe(s.ctx(), restock.Look{Conditions: []restock.Condition{{
		Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, State: restock.Present, Since: since, Detail: "the oldest waits for an hour",
	}}}, time.Minute))
	a := s.placed("A", 3)
	s.receive(a, 5, "five") // three are applied, two are held
	s.problem(1)            // a whole receipt is held
	s.mustBuy("B", 2)
	_, err := s.Plan(s.ctx(), s.product("B").ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 3, Approval: true, Reason: "review"}
	})
	s.must(err)
	got, err := s.Queue().Receive(s.ctx(), restock.StockQueue, driver.Request{Max: 1, Visibility: time.Minute})
	s.must(err)
	s.must(s.Queue().Dead(s.ctx(), got[0], "it cannot be read"))
	s.must(s.PauseOrdering(s.ctx(), "", restock.Act{By: "kim", Reason: "stocktake"}))
	overview, err := s.Overview(s.ctx())
	s.must(err)
	want := restock.Overview{
		Products: map[restock.Urgency]int64{
			restock.UrgencyOut: 1, restock.UrgencyLow: 0, restock.UrgencyOnOrder: 0, restock.UrgencyHealthy: 3,
		},
		Awaiting: 1, HeldReceipts: 2, DeadLetters: 1, AdHolds: 1, OrderingPaused: "stocktake",
		Incidents: []restock.Incident{{
			Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, Detail: "the oldest waits for an hour", BeganAt: since, SeenAt: since,
		}},
	}
	if len(overview.Incidents) == 1 && overview.Incidents[0].ID != (restock.IncidentID{}) {
		want.Incidents[0].ID = overview.Incidents[0].ID
	}
	if diff := cmp.Diff(want, overview); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := overview.ForPeople(); got != 4 {
		t.Errorf("%d things wait for people, want 4", got)
	}
}

func overviewBounded(t *testing.T, h harness) {
	products := make([]restock.CatalogProduct, 0, restock.ProductCountMax+1)
	for i := range restock.ProductCountMax + 1 {
		products = append(products, plain(restock.SKU(fmt.Sprintf("P%04d", i)), 1))
	}
	s := h.shop(t, catalogue(products...))
	o, err := s.Overview(s.ctx())
	s.must(err)
	if got := o.Products[restock.UrgencyHealthy]; got != restock.ProductCountMax {
		t.Errorf("%d are counted, want %d", got, restock.ProductCountMax)
	}
}

// found searches and gives the SKUs.
func (s *shop) found(text string) []string {
	s.t.Helper()
	found, err := s.SearchProducts(s.ctx(), text, 50)
	s.must(err)
	skus := make([]string, 0, len(found.Rows))
	for _, r := range found.Rows {
		skus = append(skus, string(r.SKU))
	}
	return skus
}

func named(sku restock.SKU, stock int64, name string) restock.CatalogProduct {
	p := plain(sku, stock)
	p.Name = name
	return p
}

func searchWords(t *testing.T, h harness) {
	s := h.shop(t, catalogue(
		named("CP-502101", 3, "부산도너츠"), named("CP-502102", 0, "Cream Donut (large)"), named("CP-77", 5, "Éclair 100%_x"),
		named("XX-1", 5, "cream puff")))
	for _, c := range []struct {
		text string
		want []string
	}{
		{"도너츠", []string{"CP-502101"}},
		{"부산", []string{"CP-502101"}},
		{"cream", []string{"CP-502102", "XX-1"}}, // the urgent one first
		{"CREAM donut", []string{"CP-502102"}},
		{"donut cre", []string{"CP-502102"}},
		{"cp-5021", []string{"CP-502102", "CP-502101"}},
		{"502102", []string{"CP-502102"}},
		{"ream", []string{}}, // not the beginning of a word
		{"éclair", []string{"CP-77"}},
		{"100% x", []string{"CP-77"}},
		{"cream 도너츠", []string{}},
		{"%", []string{}},
		{"", []string{}},
		{"'; DROP TABLE products; --", []string{}},
	} {
		if diff := cmp.Diff(c.want, s.found(c.text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", c.text, diff)
		}
	}
}

func searchRenamed(t *testing.T, h harness) {
	s := h.shop(t, catalogue(named("A", 3, "Cream Donut")))
	s.apply(catalogue(named("A", 3, "Cream Puff")))
	for text, want := range map[string][]string{"puff": {"A"}, "donut": {}, "cream": {"A"}} {
		if diff := cmp.Diff(want, s.found(text)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
}

func searchBounded(t *testing.T, h harness) {
	products := make([]restock.CatalogProduct, 0, 250)
	for i := range cap(products) {
		products = append(products, named(restock.SKU(fmt.Sprintf("P%03d", i)), 1, "Donut"))
	}
	s := h.shop(t, catalogue(products...))
	for text, want := range map[string]struct {
		n    int
		more bool
	}{"donut": {20, true}, "p00": {10, false}, "donut p24": {10, false}} {
		found, err := s.SearchProducts(s.ctx(), text, 20)
		s.must(err)
		if len(found.Rows) != want.n || found.More != want.more {
			t.Errorf("%q: %d products, more %t, want %d, %t", text, len(found.Rows), found.More, want.n, want.more)
		}
	}
}

// sellOver sells n pieces one by one, with a moment between them.
func (s *shop) sellOver(sku restock.SKU, n int, moment time.Duration) {
	s.t.Helper()
	for range n {
		s.clock.advance(moment)
		s.mustBuy(sku, 1)
	}
}

func (s *shop) history(sku string, since time.Time) restock.StockHistory {
	s.t.Helper()
	h, err := s.StockHistory(s.ctx(), sku, since)
	s.must(err)
	return h
}

func onHand(h restock.StockHistory) []int64 {
	var all []int64
	for _, p := range h.Points {
		all = append(all, p.OnHand)
	}
	return all
}

func historyExact(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 2, 0, 5), plain("B", 9)))
	began := s.clock.now()
	s.sellOver("A", 2, time.Minute)
	s.mustBuy("B", 1)
	s.buy(line("A", 1))
	a := s.placed("A", 5)
	s.clock.advance(time.Minute)
	s.receive(a, 3, "three")
	s.clock.advance(time.Minute)
	got := s.history("A", began.Add(-time.Hour))
	if diff := cmp.Diff([]int64{2, 1, 0, 3}, onHand(got)); diff != "" {
		t.Errorf("on hand (-want +got):\n%s", diff)
	}
	if !got.Since.Equal(began) || !got.Until.Equal(s.clock.now()) || got.Sampled {
		t.Errorf("from %v to %v, sampled %t; want from the first change", got.Since, got.Until, got.Sampled)
	}
	if len(got.Orders) != 1 || got.Orders[0].ID != a.OrderID {
		t.Errorf("orders %+v", got.Orders)
	}
	if len(got.Arrivals) != 1 || got.Arrivals[0].Quantity != 3 || !got.Arrivals[0].At.Equal(s.clock.now().Add(-time.Minute)) {
		t.Errorf("arrivals %+v", got.Arrivals)
	}
	if len(got.Stockouts) != 1 || got.Stockouts[0].ClosedAt.IsZero() || got.Stockouts[0].RefusedBuyers != 1 {
		t.Errorf("stockouts %+v", got.Stockouts)
	}
	_, err := s.StockHistory(s.ctx(), "none", began)
	wantKind(t, err, restock.NotFound)
}

func historySince(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 9), plain("B", 0)))
	s.sellOver("A", 6, time.Minute)
	since := s.clock.now().Add(-150 * time.Second)
	got := s.history("A", since)
	if diff := cmp.Diff([]int64{6, 5, 4, 3}, onHand(got)); diff != "" {
		t.Errorf("on hand (-want +got):\n%s", diff)
	}
	if !got.Points[0].At.Equal(since) || !got.Since.Equal(since) {
		t.Errorf("the history begins at %v, want %v", got.Points[0].At, since)
	}
	if got := s.history("B", since); len(got.Points) > 0 {
		t.Errorf("of a product that never had any: %+v", got.Points)
	}
}

func historySampled(t *testing.T, h harness) {
	const before, after = 30, 410
	s := h.shop(t, catalogue(ordered("A", 1000, 0, 5), plain("B", 5000)))
	s.placed("A", 7)
	for range before {
		s.sellOver("A", 1, time.Second)
		s.mustBuy("B", 3)
	}
	middle := s.clock.now()
	s.sellOver("A", after, time.Second)
	for _, c := range []struct {
		since time.Time
		first int64
	}{{time.Time{}, 1000}, {middle, 1000 - before}} {
		got := s.history("A", c.since)
		if !got.Sampled || len(got.Points) > 700 || len(got.Points) < 200 {
			t.Errorf("since %v: sampled %t with %d points", c.since, got.Sampled, len(got.Points))
		}
		all := onHand(got)
		if all[0] != c.first || all[len(all)-1] != 1000-before-after {
			t.Errorf("since %v: from %d to %d, want from %d to %d", c.since, all[0], all[len(all)-1], c.first, 1000-before-after)
		}
		if !slices.IsSortedFunc(got.Points, func(a, b restock.StockPoint) int { return a.At.Compare(b.At) }) {
			t.Error("the points are not in the order of time")
		}
	}
	a := s.history("A", time.Time{}).Orders
	if len(a) != 1 {
		t.Fatalf("orders %+v", a)
	}
	o, err := s.Order(s.ctx(), a[0].ID)
	s.must(err)
	s.clock.advance(time.Second)
	s.receive(o.Attempts[0], 7, "seven")
	if got := s.history("A", time.Time{}).Arrivals; len(got) != 1 || got[0].Quantity != 7 {
		t.Errorf("arrivals %+v, want the seven", got)
	}
}

// historyTurns: between two sales that are told much can have happened that is
// not a sale, and much time can have passed.
func historyTurns(t *testing.T, h harness) {
	const many = 401
	s := h.shop(t, catalogue(ordered("A", 2*many, 0, 5), plain("B", many), plain("C", many), plain("D", many), plain("E", many)))
	from, want := map[time.Time]int64{}, map[time.Time]int64{} // just before some moments, and just after
	now := int64(2 * many)
	turn := func(change int64) {
		from[s.clock.now()] = now
		now += change
		want[s.clock.now()] = now
		s.clock.advance(5 * time.Hour)
	}
	sell := func(quantity int64) {
		s.mustBuy("A", quantity)
		now -= quantity
	}
	for range many {
		// Few numbers of the ledger are of A.
		s.must(s.buy(line("A", 1), line("B", 1), line("C", 1), line("D", 1), line("E", 1)).Err)
		s.clock.advance(time.Second)
	}
	now -= many
	s.adjust("A", 70)
	turn(70)
	sell(1)
	s.clock.advance(5 * time.Hour)
	s.adjust("A", -now)
	turn(-now) // and it is out of stock
	s.receive(s.placed("A", 5), 5, "five")
	turn(5)
	for range 3 {
		sell(1)
		s.clock.advance(time.Second)
	}
	sell(2)
	want[s.clock.now()] = 0 // out of stock again, by a sale
	s.clock.advance(5 * time.Hour)
	s.adjust("A", 3)
	turn(3)
	got := s.history("A", time.Time{})
	if !got.Sampled {
		t.Fatal("the history is not sampled")
	}
	for at, want := range want {
		drawn := int64(-1)
		for _, p := range got.Points {
			if !p.At.After(at) {
				drawn = p.OnHand
			}
		}
		if drawn != want {
			t.Errorf("at %v there were %d, and the history says %d", at, want, drawn)
		}
	}
	for at, before := range from {
		if !slices.ContainsFunc(got.Points, func(p restock.StockPoint) bool { return p.At.Equal(at) && p.OnHand == before }) {
			t.Errorf("until %v there were %d, and the history does not say so", at, before)
		}
	}
	if len(got.Stockouts) != 2 || len(got.Arrivals) != 1 || got.Arrivals[0].Quantity != 5 {
		t.Errorf("stockouts %+v, arrivals %+v", got.Stockouts, got.Arrivals)
	}
	if !slices.IsSortedFunc(got.Points, func(a, b restock.StockPoint) int { return a.At.Compare(b.At) }) {
		t.Error("the points are not in the order of time")
	}
}

func ordersInFull(t *testing.T, h harness) {
	s := busy(t, h, 3)
	orders, next, err := s.OrdersInFull(s.ctx(), restock.ListQuery{Limit: 2})
	s.must(err)
	if len(orders) != 2 || next == "" {
		t.Fatalf("%d orders, next %q", len(orders), next)
	}
	for _, o := range orders {
		whole, err := s.Order(s.ctx(), o.ID)
		s.must(err)
		if diff := cmp.Diff(whole, o); diff != "" {
			t.Errorf("(-alone +listed):\n%s", diff)
		}
	}
}

func heldReceipts(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 3, 0, 3), ordered("B", 3, 0, 3)))
	var want []string
	for i, sku := range []restock.SKU{"A", "B"} {
		s.mustBuy(sku, 3)
		r := s.receive(s.placed(sku, 3), 5, fmt.Sprint("five ", i)) // two more than was asked for
		want = append(want, r.ID.String())
		s.problem(i)
	}
	s.mustBuy("A", 3)
	s.receive(s.placed("A", 3), 3, "all is well")
	held, _, err := s.HeldReceipts(s.ctx(), restock.ListQuery{Limit: 100})
	s.must(err)
	if len(held) != 4 || held[1].ID.String() != want[1] || held[3].ID.String() != want[0] {
		t.Errorf("held %+v, want four, newest first", held)
	}
	key := func(r restock.Receipt) string { return r.ID.String() }
	whole := walk(s, s.HeldReceipts, restock.ListQuery{Limit: 100}, key)
	for limit := 1; limit <= 5; limit++ {
		if diff := cmp.Diff(whole, walk(s, s.HeldReceipts, restock.ListQuery{Limit: limit}, key)); diff != "" {
			t.Errorf("in pages of %d (-whole +pages):\n%s", limit, diff)
		}
	}
	_, err = s.RefuseReceipt(s.ctx(), held[1].ID, restock.Act{By: "kim", Reason: "not ours"})
	s.must(err)
	if left, _, err := s.HeldReceipts(s.ctx(), restock.ListQuery{Limit: 100}); err != nil || len(left) != 3 {
		t.Errorf("%d are held, %v, want 3", len(left), err)
	}
}

func queueDepths(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 3), ordered("B", 1, 0, 3), ordered("C", 1, 0, 3)))
	began := s.clock.now()
	for _, sku := range []restock.SKU{"A", "B", "C"} {
		s.mustBuy(sku, 1)
		s.clock.advance(time.Minute)
	}
	got, err := s.Queue().Receive(s.ctx(), restock.StockQueue, driver.Request{Max: 2, Visibility: time.Hour})
	s.must(err)
	s.must(s.Queue().Dead(s.ctx(), got[0], "it cannot be read"))
	depths, err := s.QueueDepths(s.ctx())
	s.must(err)
	want := []restock.QueueDepth{
		{Queue: restock.AdQueue, Waiting: 3, OldestAt: began},
		{Queue: restock.OpsQueue},
		{Queue: restock.StockQueue, Waiting: 1, InFlight: 1, Dead: 1, OldestAt: began.Add(time.Minute)},
	}
	if diff := cmp.Diff(want, depths); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// stopped sells A out and asks for its advertisement to be stopped.
func (s *shop) stopped() restock.AdHold {
	s.t.Helper()
	s.mustBuy("A", s.product("A").Stock.OnHand)
	return s.mailed(stepStop)
}

// resumed has goods of A come, and says that its advertisement can resume.
func (s *shop) resumed() {
	s.t.Helper()
	s.receive(s.placed("A", 3), 3, "three")
	s.clock.advance(time.Minute)
	s.mailed(stepResume)
}

func adHoldsOpenFirst(t *testing.T, h harness) {
	c := catalogue(ordered("A", 1, 0, 3), ordered("B", 1, 0, 3))
	c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	c.Products[1].Advertisement = "other"
	c.Fill()
	s := h.shop(t, c)
	s.mustBuy("B", 1)
	sending, _, err := s.TurnAd(s.ctx(), s.ad("B"), mailing, step(stepStop))
	s.must(err)
	s.must(s.EndAdMail(s.ctx(), sending))
	for range 2 {
		s.stopped()
		s.resumed()
	}
	for limit, want := range map[int]int{1: 1, 2: 2, 10: 3} {
		got, err := s.AdHoldsOpenFirst(s.ctx(), limit)
		s.must(err)
		if len(got) != want || got[0].SKU != "B" || got[0].State != restock.AdHoldStopped || got[0].Stop.Mail.SentAt.IsZero() {
			t.Errorf("of %d: %+v, want %d with the open one in front", limit, got, want)
		}
	}
}

func sentMails(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 3)))
	s.stopped()
	s.resumed()
	s.clock.advance(time.Minute)
	s.problem(1)
	s.told(true)
	s.clock.advance(time.Minute)
	s.mustBuy("A", 3)
	s.turn(stepStop) // on its way
	mails, err := s.SentMails(s.ctx(), 10)
	s.must(err)
	kinds := map[restock.MailKind]int{}
	for _, m := range mails {
		kinds[m.Kind]++
		if m.Kind != restock.MailDigest && (m.SKU != "A" || m.Advertisement != adName || m.To == "") {
			t.Errorf("the mail %+v does not say to whom it went", m)
		}
	}
	if diff := cmp.Diff(map[restock.MailKind]int{"ad_stop": 2, "ad_resume": 1, "digest": 1}, kinds); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if mails[0].Kind != "ad_stop" || !mails[0].SentAt.IsZero() || mails[1].Kind != restock.MailDigest || mails[1].SentAt.IsZero() {
		t.Errorf("the latest are %+v", mails[:2])
	}
	if few, err := s.SentMails(s.ctx(), 2); err != nil || len(few) != 2 {
		t.Errorf("%d mails, %v, want 2", len(few), err)
	}
}

func levelsCount(t *testing.T, h harness) {
	c := catalogue(ordered("A", 3, 0, 10), ordered("B", 2, 0, 10), plain("C", 9))
	s := h.shop(t, c)
	s.mustBuy("A", 3)
	s.mustBuy("B", 2)
	a := s.placed("A", 10)
	s.clock.advance(time.Second)
	s.order("B", 5)
	s.must(s.PauseOrdering(s.ctx(), factoryID, restock.Act{By: "kim", Reason: "stocktake"}))
	l, err := s.Levels(s.ctx())
	s.must(err)
	overview, err := s.Overview(s.ctx())
	s.must(err)
	if diff := cmp.Diff(overview, l.Overview); diff != "" {
		t.Errorf("the counts are not those of the overview (-want +got):\n%s", diff)
	}
	orders := map[restock.OrderState]int64{}
	for _, state := range restock.OpenOrderStates() {
		orders[state] = 0
	}
	orders[restock.OrderAccepted], orders[restock.OrderPlanned] = 1, 1
	if diff := cmp.Diff(orders, l.Orders); diff != "" {
		t.Errorf("orders by state (-want +got):\n%s", diff)
	}
	var watched []string
	for _, p := range l.Watch {
		watched = append(watched, fmt.Sprintf("%s %d %d", p.SKU, p.Stock.Available(), p.Stock.OnOrder))
	}
	if diff := cmp.Diff([]string{"A 0 10", "B 0 5"}, watched); diff != "" {
		t.Errorf("on watch (-want +got):\n%s", diff)
	}
	if len(l.Factories) != 1 || l.Factories[0].Paused != "stocktake" || len(l.Queues) != len(restock.Queues()) {
		t.Errorf("factories %+v and queues %+v", l.Factories, l.Queues)
	}
	s.receive(a, 10, "ten")
	page, err := s.FirstPage(s.ctx(), 2)
	s.must(err)
	if diff := cmp.Diff([]string{"B out_of_stock", "A healthy"}, rowNames(page.Products)); diff != "" || page.Overview.Products[restock.UrgencyOut] != 1 {
		t.Errorf("the first page has %+v (-want +got):\n%s", page.Overview, diff)
	}
}

func watchBounded(t *testing.T, h harness) {
	products := make([]restock.CatalogProduct, 0, 2*restock.WatchMax)
	for i := range cap(products) {
		products = append(products, plain(restock.SKU(fmt.Sprintf("P%02d", i)), 0))
	}
	s := h.shop(t, catalogue(products...))
	l, err := s.Levels(s.ctx())
	s.must(err)
	if len(l.Watch) != restock.WatchMax {
		t.Errorf("%d products are on watch, want %d", len(l.Watch), restock.WatchMax)
	}
}
