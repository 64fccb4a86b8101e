package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/restock/restock"
)

func orderingChecks() []check {
	return []check{
		{"FiveFailuresOpenTheBreakerAndOneProbeGoesThrough", breakerProbes},
		{"TheBreakerOfOneFactoryBarsNoOther", breakerAlone},
		{"ALateAnswerSaysNothingAboutTheProbe", lateAnswerBesideProbe},
		{"AProbeThatDiedIsFollowedByAnother", probeDies},
		{"WhoAsksForTimeIsLeftAloneWithAllOrders", retryAfterHolds},
		{"RetriesHaveABudgetAndFirstTriesDoNot", retryBudget},
		{"NothingIsPlacedWhilePaused", pausedPlacesNothing},
		{"AWindowStandsStillWhileNobodyIsThere", windowStandsStill},
		{"AJumpOfTheClockMakesNothingOverdue", clockJump},
		{"AnAbsenceBeforeTheClockWasSetBackIsNotForgotten", absenceBeforeSetBack},
		{"AClockThatWasSetBackBarsNoFactory", setBackBarsNothing},
		{"AFurtherProcessThatBeatsIsEnough", otherProcessBeats},
		{"AbsenceWithoutEndEndsWithAPerson", absenceEnds},
		{"ARestThatMayHaveBeenReportedToNobodyIsHeld", restHeldAfterGap},
		{"ARestIsHeldAlsoAfterAGapBeforeTheLastPart", restHeldAfterEarlierGap},
		{"LeadTimesAreLearned", leadTimesLearned},
		{"ACallIsInFlightUntilItIsAnswered", inFlightUntilAnswered},
		{"ACallBeforeTheAnswerTellsThatTheFactoryReachesUs", earlyCallTeaches},
		{"ABeatCoversTheTimeUntilTheNext", beatCoversAhead},
		{"OverdueOrdersOfTheFactoryAreCounted", othersCounted},
		{"GoodsThatAPersonBookedAreNoCall", bookedIsNoCall},
		{"AHeldReportStopsAnotherAttempt", reportStopsAttempt},
		{"AHeldReportOfWhatWasRefusedCountsForTheBudget", reportCounts},
		{"HeldReportsOfALateOrderAreCounted", heldReportsCounted},
		{"AWaitEndsAndIsLookedAtAgain", waitEnds},
		{"AnOrderByHandHasASlotOfItsOwn", manualSlots},
		{"AnOrderByHandIsMadeOncePerKey", manualOncePerKey},
		{"AnImportPlacesTwentyOrdersAndTheRestAwaitsApproval", importAwaitsApproval},
		{"MoneyOfTheDayIsCounted", moneyOfTheDay},
		{"APreviewHasNoEffect", previewHasNoEffect},
		{"EqualPartsAreAppliedWhereTheFactorySendsSuch", equalPartsApplied},
		{"AnAttemptWhoseProcessDiedIsKnownThoughItsOrderWentOn", orphanedLease},
	}
}

// busyShop has many products at one factory, each with a planned order.
func busyShop(t *testing.T, h harness, n int, edit func(*restock.Catalog)) *shop {
	products := make([]restock.CatalogProduct, 0, n)
	for i := range n {
		products = append(products, ordered(restock.SKU(fmt.Sprintf("P%02d", i)), 0, 0, 10))
	}
	c := catalogue(products...)
	if edit != nil {
		edit(&c)
	}
	s := h.shop(t, c)
	for _, p := range products {
		s.order(p.SKU, 10)
	}
	return s
}

func (s *shop) factory() restock.Factory {
	s.t.Helper()
	var f restock.Factory
	s.must(s.rows.QueryRowContext(s.ctx(), `SELECT breaker, lead_times_seen, lead_time_longest * 1000, lead_time_learned * 1000, called_back_at
		FROM factories WHERE identifier = '`+factoryID+`'`).Scan(&f.Breaker, &f.LeadTimesSeen, &f.LeadTimeLongest, &f.LeadTimeLearned, &f.CalledBackAt))
	return f
}

func breakerProbes(t *testing.T, h harness) {
	s := busyShop(t, h, 10, nil)
	for range 5 {
		s.settle(s.claim(), restock.AttemptUnknown)
	}
	s.wantNoClaim() // open
	s.clock.advance(5 * time.Second)
	probe := s.claim()
	s.clock.advance(time.Second)
	s.wantNoClaim() // one probe is on its way
	s.settle(probe, restock.AttemptUnknown)
	s.clock.advance(9 * time.Second)
	s.wantNoClaim() // the pause has doubled
	s.clock.advance(time.Second)
	s.settle(s.claim(), restock.AttemptRejected) // it refuses this one, and so it works
	s.settle(s.claim(), restock.AttemptAccepted)
	if got := s.factory().Breaker; got != restock.BreakerClosed {
		t.Errorf("the breaker is %s, want closed", got)
	}
}

func breakerAlone(t *testing.T, h harness) {
	s := busyShop(t, h, 7, func(c *restock.Catalog) {
		c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-2", URL: "http://127.0.0.1:4001/", RatePerSecond: 1e6})
		c.Products[6].Factory = "FF-2"
		c.Fill()
	})
	for range 5 {
		a := s.claim()
		for a.Factory.Identifier != factoryID { // the other's turn came first
			s.settle(a, restock.AttemptAccepted)
			a = s.claim()
		}
		s.settle(a, restock.AttemptNotSent)
	}
	s.wantCount(`SELECT COUNT(*) FROM factories WHERE breaker = 'open'`, 1)
	s.wantCount(`SELECT COUNT(*) FROM factories WHERE breaker = 'closed'`, 1)
	if s.count(`SELECT COUNT(*) FROM replenishment_orders o JOIN factories f ON f.id = o.factory_id
		WHERE o.state = 'planned' AND f.identifier = 'FF-2'`) == 1 {
		if a := s.claim(); a.Factory.Identifier != "FF-2" {
			t.Errorf("claimed at %s, want the healthy one", a.Factory.Identifier)
		}
	}
}

func probeDies(t *testing.T, h harness) {
	s := busyShop(t, h, 7, nil)
	for range 5 {
		s.settle(s.claim(), restock.AttemptUnknown)
	}
	s.clock.advance(5 * time.Second)
	s.claim()
	s.clock.advance(leaseTime - time.Second)
	s.wantNoClaim()
	s.clock.advance(time.Second)
	s.claim()
}

func retryAfterHolds(t *testing.T, h harness) {
	s := busyShop(t, h, 2, nil)
	a := s.claim()
	answer := s.answer(a, restock.AttemptRejected)
	answer.Status, answer.RetryAt, answer.FactoryFrom = 429, s.clock.now().Add(time.Minute), s.clock.now().Add(time.Minute)
	s.must(s.SettleAttempt(s.ctx(), a, answer))
	s.wantOrder(a.OrderID, restock.OrderPlanned, restock.AttemptRejected)
	s.clock.advance(time.Minute - time.Second)
	s.wantNoClaim()
	s.clock.advance(2 * time.Second)
	s.claim()
	s.claim()
}

func retryBudget(t *testing.T, h harness) {
	s := busyShop(t, h, 1, nil)
	retries := 0
	for range 100 {
		a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
		s.must(err)
		if a.OrderID.IsZero() {
			break
		}
		if a.Number > 1 {
			retries++
		}
		answer := s.answer(a, restock.AttemptRejected)
		answer.Status, answer.RetryAt = 429, s.clock.now()
		s.must(s.SettleAttempt(s.ctx(), a, answer))
		s.clock.advance(time.Millisecond)
	}
	if retries != 5 {
		t.Errorf("I9 %d retries at once, want 5", retries)
	}
	s.clock.advance(time.Minute) // fills one
	s.claim()
	s.wantNoClaim()
	for i := range 3 { // first tries are free
		s.apply(catalogue(ordered(restock.SKU(fmt.Sprintf("N%d", i)), 0, 0, 10)))
		s.order(restock.SKU(fmt.Sprintf("N%d", i)), 10)
		if a := s.claim(); a.Number != 1 || a.Tries != 1 {
			t.Errorf("claimed %+v, want a first try", a)
		}
	}
}

func pausedPlacesNothing(t *testing.T, h harness) {
	s := busyShop(t, h, 2, nil)
	s.exec(`INSERT INTO settings (name, value) VALUES ('ordering_paused', 'stocktake')`)
	s.wantNoClaim()
	s.exec(`UPDATE settings SET value = '' WHERE name = 'ordering_paused'`)
	s.exec(`UPDATE factories SET paused = 'holiday'`)
	s.wantNoClaim()
	s.exec(`UPDATE factories SET paused = ''`)
	s.claim()
}

const beatGap = 15 * time.Second

// beating lets time pass while a receiving process is there.
func (s *shop) beating(owner string, d time.Duration) {
	s.t.Helper()
	for end := s.clock.now().Add(d); ; {
		s.must(s.Beat(s.ctx(), owner, beatGap))
		left := end.Sub(s.clock.now())
		if left <= 0 {
			return
		}
		s.clock.advance(min(left, 5*time.Second))
	}
}

// toPerson holds an order when nobody was there for some of its window.
func toPerson(l restock.Lateness) restock.Overdue {
	if l.Away > 0 {
		return restock.Overdue{Reason: "away for " + l.Away.String()}
	}
	return restock.Overdue{Reorder: true}
}

func (s *shop) look(a restock.Attempt) restock.Order {
	s.t.Helper()
	s.must(s.Chase(s.ctx(), a.OrderID, window, toPerson))
	return s.orderOf(a)
}

func windowStandsStill(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.beating("a", time.Minute)
	s.clock.advance(time.Hour) // nobody is there
	if o := s.look(a); o.State != restock.OrderAccepted {
		t.Errorf("after an outage of our own the order is %s: %s", o.State, o.HeldReason)
	}
	s.beating("b", time.Minute-time.Second) // another process, or the same after a restart
	if o := s.look(a); o.State != restock.OrderAccepted {
		t.Errorf("before the window has run the order is %s: %s", o.State, o.HeldReason)
	}
	s.beating("b", 2*time.Second)
	if o := s.look(a); o.State != restock.OrderHeld || o.HeldReason != "away for 1h0m0s" {
		t.Errorf("at the end of its window the order is %s: %s", o.State, o.HeldReason)
	}
}

func clockJump(t *testing.T, h harness) {
	for _, jump := range []time.Duration{24*time.Hour - time.Minute, -24 * time.Hour} {
		s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
		s.beating("a", time.Second)
		a := s.placed("A", 10)
		s.beating("a", 10*time.Second)
		s.clock.advance(jump)
		s.must(s.Beat(s.ctx(), "a", beatGap))
		if o := s.look(a); o.State != restock.OrderAccepted {
			t.Errorf("after a jump of %v the order is %s: %s", jump, o.State, o.HeldReason)
		}
		s.receive(a, 10, "ten")
		s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
	}
}

func absenceBeforeSetBack(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.beating("a", time.Minute)
	s.clock.advance(time.Minute) // nobody is there; and the clock is set back beyond
	s.clock.advance(-2 * time.Minute)
	s.beating("a", windowTime+time.Second)
	for range 2 { // what the clock was set back by does not count as waited for
		if o := s.look(a); o.State == restock.OrderPlanned {
			t.Fatalf("I6 the order is made again, though nobody was there for a while")
		}
		s.beating("a", windowTime)
	}
	if o := s.look(a); o.State != restock.OrderHeld {
		t.Errorf("P3 the order is %s in the end, want held", o.State)
	}
}

func setBackBarsNothing(t *testing.T, h harness) {
	s := busyShop(t, h, 8, func(c *restock.Catalog) { c.Factories[0].RatePerSecond = 1 })
	for range 5 { // open the breaker, and use up pace
		s.settle(s.claim(), restock.AttemptNotSent)
		s.clock.advance(time.Second)
	}
	s.wantNoClaim()
	s.clock.advance(-24 * time.Hour)
	probe := s.claim()
	s.settle(probe, restock.AttemptAccepted)
	s.clock.advance(time.Second)
	s.claim() // and its pace goes on from now
}

func otherProcessBeats(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.must(s.Beat(s.ctx(), "a", beatGap)) // and dies
	s.must(s.Beat(s.ctx(), "b", beatGap))
	a := s.placed("A", 10)
	s.beating("b", windowTime)
	if o := s.look(a); o.State != restock.OrderPlanned {
		t.Errorf("with another process there all the time the order is %s: %s", o.State, o.HeldReason)
	}
}

func absenceEnds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.clock.advance(25 * time.Hour)
	if o := s.look(a); o.State != restock.OrderHeld {
		t.Errorf("P3 after a day without anybody the order is %s", o.State)
	}
}

func restHeldAfterGap(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.receive(a, 4, "four")
	s.clock.advance(time.Hour)
	s.look(a)
	s.wantOrder(a.OrderID, restock.OrderPartlyReceived, restock.AttemptAccepted)
	s.beating("a", windowTime)
	if o := s.look(a); o.State != restock.OrderHeld {
		t.Errorf("the order is %s, want held: the rest may have been reported to nobody", o.State)
	}
	s.receive(a, 6, "six")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
}

func restHeldAfterEarlierGap(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.beating("a", time.Second)
	a := s.placed("A", 10)
	s.clock.advance(time.Minute) // a part is reported to nobody
	s.beating("a", time.Second)
	s.receive(a, 4, "four")
	s.beating("a", windowTime+time.Second)
	if o := s.look(a); o.State != restock.OrderHeld {
		t.Errorf("I6 the order is %s, want held: another part may have been reported to nobody", o.State)
	}
}

func leadTimesLearned(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	for i, took := range []time.Duration{50 * time.Second, 100 * time.Second, 50 * time.Second} {
		s.order("A", 10)
		a := s.claim()
		answer := s.answer(a, restock.AttemptAccepted)
		answer.PublicURL = "https://shop.example"
		s.must(s.SettleAttempt(s.ctx(), a, answer))
		if i == 1 {
			if got := s.orderOf(a).ExpectedAt.Sub(a.SentAt); got != 50*time.Second {
				t.Errorf("expected after %v, want what was learned", got)
			}
		}
		s.clock.advance(took - time.Millisecond)
		s.receive(a, 10, fmt.Sprint("body", i))
		s.mustBuy("A", 10)
	}
	f := s.factory()
	if f.LeadTimesSeen != 3 || f.LeadTimeLongest != 100*time.Second || f.LeadTimeLearned != 58*time.Second || f.CalledBackAt != "https://shop.example" {
		t.Errorf("learned %d, longest %v, usual %v, at %q", f.LeadTimesSeen, f.LeadTimeLongest, f.LeadTimeLearned, f.CalledBackAt)
	}
}

func inFlightUntilAnswered(t *testing.T, h harness) {
	s := busyShop(t, h, 2, func(c *restock.Catalog) { c.Factories[0].MaxInFlight = 1 })
	a := s.claim()
	s.receive(a, 10, "ten") // its goods come before its answer
	s.wantNoClaim()
	s.settle(a, restock.AttemptAccepted)
	b := s.claim()
	s.settle(b, restock.AttemptNotSent)
	s.clock.advance(time.Second)
	s.claim() // again, and in flight again
	s.order(a.SKU, 10)
	s.wantNoClaim()
}

func earlyCallTeaches(t *testing.T, h harness) {
	s, a := h.sending(t)
	early := callback(a, 10, "ten")
	early.PublicURL = "https://shop.example"
	_, err := s.Receive(s.ctx(), early, upToMissing)
	s.must(err)
	if got := s.factory().CalledBackAt; got != "https://shop.example" {
		t.Errorf("called back at %q", got)
	}
}

func beatCoversAhead(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.must(s.Beat(s.ctx(), "a", beatGap))
	s.clock.advance(time.Second) // between two beats
	a := s.placed("A", 10)
	s.clock.advance(10 * time.Second)
	s.must(s.Chase(s.ctx(), a.OrderID, window, toPerson)) // nothing: its time has not come
	s.exec(`UPDATE replenishment_orders SET due_at = due_at - 110000000`)
	if o := s.look(a); o.State != restock.OrderPlanned {
		t.Errorf("the order is %s: %s; somebody was there all the time", o.State, o.HeldReason)
	}
}

func othersCounted(t *testing.T, h harness) {
	s := busyShop(t, h, 4, nil)
	a, b, c, d := s.claim(), s.claim(), s.claim(), s.claim()
	for _, attempt := range []restock.Attempt{a, b, c, d} {
		s.settle(attempt, restock.AttemptAccepted)
	}
	s.receive(d, 10, "ten")
	s.clock.advance(windowTime)
	var got []int64
	for _, attempt := range []restock.Attempt{a, b, c} {
		s.must(s.Chase(s.ctx(), attempt.OrderID, window, func(l restock.Lateness) restock.Overdue {
			got = append(got, l.Others, l.OthersOverdue)
			return restock.Overdue{Reorder: true}
		}))
	}
	if want := []int64{1, 0, 2, 1, 3, 2}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("others and of them overdue: %v, want %v", got, want)
	}
}

func heldReportsCounted(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.receive(a, 0, "unreadable")
	s.clock.advance(windowTime)
	var got int64
	s.must(s.Chase(s.ctx(), a.OrderID, window, func(l restock.Lateness) restock.Overdue {
		got = l.HeldReceipts
		return restock.Overdue{Reason: "a person has to look"}
	}))
	if got != 1 {
		t.Errorf("%d held reports, want 1", got)
	}
}

func waitEnds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.clock.advance(windowTime)
	wait := func(restock.Lateness) restock.Overdue {
		return restock.Overdue{WaitUntil: s.clock.now().Add(time.Hour), Reason: "waiting on"}
	}
	s.must(s.Chase(s.ctx(), a.OrderID, window, wait))
	s.wantOrder(a.OrderID, restock.OrderOverdue, restock.AttemptOverdue)
	s.wantPublished(restock.OrderLate, "A", 1)
	s.clock.advance(time.Hour)
	if n := s.sweep(); n != 1 {
		t.Errorf("%d orders looked at again, want 1", n)
	}
	s.receive(a, 10, "ten")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived)
}

func manual(quantity int64) restock.ManualOrder {
	return restock.ManualOrder{Product: "A", Quantity: quantity, By: "kim", Reason: "a feast"}
}

// whatIsAsked decides to order what a person asks for.
func whatIsAsked(s restock.Situation) restock.Decision {
	return restock.Decision{Order: true, Quantity: s.Manual.Quantity, Reason: s.Manual.Reason}
}

func manualSlots(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.order("A", 10)
	for range restock.ManualOrdersMax {
		_, err := s.PlanByHand(s.ctx(), manual(7), restock.Key{}, whatIsAsked)
		s.must(err)
	}
	_, err := s.PlanByHand(s.ctx(), manual(7), restock.Key{}, whatIsAsked)
	wantKind(t, err, restock.Conflict)
	s.wantStock("A", 0, 10+7*restock.ManualOrdersMax)
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders WHERE slot >= 0`, 1)
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders WHERE cause = 'manual' AND slot < 0`, restock.ManualOrdersMax)
	_, err = s.PlanByHand(s.ctx(), restock.ManualOrder{Product: "nobody's"}, restock.Key{}, whatIsAsked)
	wantKind(t, err, restock.NotFound)
}

func manualOncePerKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	key := restock.Key{Name: "POST /v1/replenishment-orders k1", Hash: [32]byte{1}}
	first, err := s.PlanByHand(s.ctx(), manual(7), key, whatIsAsked)
	s.must(err)
	again, err := s.PlanByHand(s.ctx(), manual(7), key, whatIsAsked)
	s.must(err)
	if first.OrderID != again.OrderID || first.ID != again.ID {
		t.Errorf("I4 the same key made %s and %s", first.OrderID, again.OrderID)
	}
	s.wantStock("A", 0, 7)
}

func importAwaitsApproval(t *testing.T, h harness) {
	const n = 50
	products := make([]restock.CatalogProduct, 0, n)
	for i := range n {
		products = append(products, ordered(restock.SKU(fmt.Sprintf("P%02d", i)), 0, 0, 10))
	}
	s := h.shop(t, catalogue(products...))
	decide := func(s restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 1, Approval: s.Imported && s.ImportedOrders >= restock.ImportedOrdersMax, Reason: "low"}
	}
	for _, p := range products {
		_, err := s.Plan(s.ctx(), s.product(p.SKU).ID, decide)
		s.must(err)
	}
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders WHERE state = 'planned' AND cause = 'import'`, restock.ImportedOrdersMax)
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders WHERE state = 'awaiting_approval'`, n-restock.ImportedOrdersMax)
	s.wantCount(`SELECT COUNT(*) FROM products WHERE low_by_import = 1`, 0)
	// What a sale makes low has nothing to do with it.
	s.apply(catalogue(ordered("SOLD", 10, 0, 10)))
	s.mustBuy("SOLD", 10)
	d, err := s.Plan(s.ctx(), s.product("SOLD").ID, decide)
	s.must(err)
	if d.Approval {
		t.Error("an order that a sale caused awaits approval")
	}
}

func moneyOfTheDay(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10))
	c.DailyLimit = 100_000
	s := h.shop(t, c)
	spent := func(sku restock.SKU) (all, its int64) {
		_, err := s.Plan(s.ctx(), s.product(sku).ID, func(now restock.Situation) restock.Decision {
			all, its = now.OrderedToday, now.OrderedTodayOfIts
			if now.DailyLimit != c.DailyLimit {
				t.Errorf("limit %d", now.DailyLimit)
			}
			return restock.Decision{Reason: "only to look"}
		})
		s.must(err)
		return all, its
	}
	s.order("A", 3)
	if all, its := spent("B"); all != 21_000 || its != 0 {
		t.Errorf("ordered today %d, of B %d", all, its)
	}
	if _, its := spent("A"); its != 21_000 {
		t.Errorf("ordered of A %d", its)
	}
	s.clock.advance(24 * time.Hour)
	if all, _ := spent("B"); all != 0 {
		t.Errorf("the next day has %d already", all)
	}
}

func previewHasNoEffect(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 5, 0, 10), ordered("C", 0, 0, 10)))
	planned, next, err := s.PreviewPlan(s.ctx(), restock.ListQuery{Limit: 10}, yes(10))
	s.must(err)
	if len(planned) != 2 || next != "" {
		t.Fatalf("%d lines and then %q, want the 2 that are low", len(planned), next)
	}
	for _, p := range planned {
		if !p.Order || p.Quantity != 10 || p.Cost != 70_000 || p.Currency != restock.DefaultCurrency {
			t.Errorf("planned %+v", p)
		}
	}
	first, next, err := s.PreviewPlan(s.ctx(), restock.ListQuery{Limit: 1}, yes(10))
	s.must(err)
	second, _, err := s.PreviewPlan(s.ctx(), restock.ListQuery{Limit: 1, After: next}, yes(10))
	s.must(err)
	if len(first) != 1 || len(second) != 1 || first[0].SKU == second[0].SKU {
		t.Errorf("pages %v and %v", first, second)
	}
	s.wantCount(`SELECT COUNT(*) FROM replenishment_orders`, 0)
	s.wantCount(`SELECT COUNT(*) FROM decisions`, 0)
}

// trusting applies equal parts.
func trusting(e restock.Evidence) restock.Verdict {
	missing := e.Attempt.Quantity - e.Attempt.Received
	if missing == 0 {
		return restock.Verdict{State: restock.ReceiptDuplicate}
	}
	return restock.Verdict{State: restock.ReceiptApplied, Apply: min(missing, e.Callback.Count)}
}

func equalPartsApplied(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 9)))
	a := s.placed("A", 9)
	for range 3 {
		r, err := s.Receive(s.ctx(), callback(a, 3, "three"), trusting)
		s.must(err)
		if r.State != restock.ReceiptApplied || r.Applied != 3 {
			t.Errorf("a part is %s with %d", r.State, r.Applied)
		}
	}
	for range 3 {
		r, err := s.Receive(s.ctx(), callback(a, 3, "three"), trusting)
		s.must(err)
		if r.State != restock.ReceiptDuplicate || r.Applied != 0 {
			t.Errorf("P4 a fourth part is %s with %d", r.State, r.Applied)
		}
	}
	s.wantStock("A", 9, 0)
	s.wantCount(`SELECT COUNT(*) FROM receipts`, 4)
	s.wantCount(`SELECT MAX(repeats) FROM receipts`, 2)
}

func orphanedLease(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()        // its process dies
	s.receive(a, 10, "ten")    // and the first delivers
	s.clock.advance(leaseTime) // the lease of the second is over
	s.sweep()
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived, restock.AttemptUnknown)
	s.receive(second, 10, "ten")
	s.wantOrder(a.OrderID, restock.OrderReceived, restock.AttemptReceived, restock.AttemptReceived)
	s.wantStock("A", 20, 0)
}

func lateAnswerBesideProbe(t *testing.T, h harness) {
	s := busyShop(t, h, 12, nil)
	late := s.claim()
	for range 5 {
		s.settle(s.claim(), restock.AttemptUnknown)
	}
	s.clock.advance(5 * time.Second)
	probe := s.claim()
	s.settle(late, restock.AttemptUnknown)
	s.clock.advance(leaseTime - time.Second)
	s.wantNoClaim() // the probe is on its way still
	s.settle(probe, restock.AttemptAccepted)
	s.claim()
}

func bookedIsNoCall(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	a, b := s.placed("A", 10), s.placed("B", 10)
	_, err := s.BookReceipt(s.ctx(), restock.Booking{OrderID: a.OrderID, Count: 10}, by("a lorry came, and no call"), restock.Key{})
	s.must(err)
	s.clock.advance(windowTime)
	s.must(s.Chase(s.ctx(), b.OrderID, window, func(l restock.Lateness) restock.Overdue {
		if l.Others != 0 {
			t.Errorf("%d others count as called about, want 0", l.Others)
		}
		return toPerson(l)
	}))
}

// reportStopsAttempt lets a report be held while its order waits to be made again.
func reportStopsAttempt(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	a := s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	s.receive(a, 0, "unreadable")
	s.wantOrder(a.OrderID, restock.OrderHeld, restock.AttemptOverdue)
	s.wantPublished(restock.OrderHeldFor, "A", 1)
	s.wantNoClaim()
	_, err := s.RetryOrder(s.ctx(), a.OrderID, by("none came"))
	s.must(err)
	s.receive(a, 0, "unreadable") // the first repeat is held too
	s.wantOrder(a.OrderID, restock.OrderHeld, restock.AttemptOverdue)
	_, err = s.RetryOrder(s.ctx(), a.OrderID, by("none came"))
	s.must(err)
	s.receive(a, 0, "unreadable") // others are only counted
	s.claim()
}

func reportCounts(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	s.placed("A", 10)
	s.clock.advance(windowTime)
	s.sweep()
	second := s.claim()
	refused := s.answer(second, restock.AttemptRejected)
	refused.Status, refused.RetryAt = 503, s.clock.now()
	s.must(s.SettleAttempt(s.ctx(), second, refused))
	s.receive(second, 0, "unreadable") // it was accepted all the same
	a, err := s.ClaimAttempt(s.ctx(), "owner", leaseTime)
	s.must(err)
	if !a.OrderID.IsZero() {
		t.Errorf("P2 attempt %d is sent, though the factory has both that the budget allows", a.Number)
	}
}
