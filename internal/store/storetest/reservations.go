package storetest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
)

func reservationChecks() []check {
	return []check{
		{"WhatIsReservedIsOnHandAndNotAvailable", reservedNotAvailable},
		{"AReservationIsWholeOrNotAtAll", reserveAllOrNothing},
		{"NobodyReservesWhatNobodyMayBuy", reserveInvalid},
		{"AConfirmedReservationIsOneSale", confirmOnce},
		{"AReservationIsSoldAtThePriceOfItsDay", confirmAtItsPrice},
		{"AReleasedReservationIsFree", releaseFrees},
		{"AReservationExpiresAtItsTime", expiresAtItsTime},
		{"WhatExpiredIsFreeThoughNobodySwept", confirmAfterExpiry},
		{"ASweepEndsTheOldestAndNoMoreThanItMay", expiryLimit},
		{"AReservationEndsOnce", endsOnce},
		{"ReservingTheLastUnitBeginsAStockout", reservedLastUnit},
		{"AnExpiryAtTheResumeLevelEndsTheStockout", expiryBelowResumeLevel},
		{"AReservationCanBringAProductToItsReorderPoint", reservedLow},
		{"WhoIsRefusedAReservationIsCounted", refusedReservations},
		{"RefusalsOfSomethingLeftAreToldOnceADay", refusalsTold},
		{"ReservationsAreListedByProductAndState", reservationList},
		{"VerifySeesReservedThatNobodyHolds", reservedCorruption},
	}
}

const ttl = 15 * time.Minute

// hold reserves a cart that has to be there.
func (s *shop) hold(lines ...restock.Line) restock.Reservation {
	s.t.Helper()
	r, err := s.Reserve(s.ctx(), cart(lines...), ttl)
	s.must(err)
	return r
}

func (s *shop) wantReserved(sku restock.SKU, onHand, reserved int64) {
	s.t.Helper()
	stock := s.product(sku).Stock
	if diff := cmp.Diff([]int64{onHand, reserved}, []int64{stock.OnHand, stock.Reserved}); diff != "" {
		s.t.Errorf("%s: on hand and reserved (-want +got):\n%s", sku, diff)
	}
}

func (s *shop) wantState(r restock.Reservation, want restock.ReservationState) restock.Reservation {
	s.t.Helper()
	got, err := s.Reservation(s.ctx(), r.ID)
	s.must(err)
	if got.State != want || got.ClosedAt.IsZero() != (want == restock.ReservationHeld) {
		s.t.Errorf("the reservation is %s, closed at %v; want %s", got.State, got.ClosedAt, want)
	}
	return got
}

// expired sweeps, and wants so many to have ended.
func (s *shop) expired(want int) {
	s.t.Helper()
	n, err := s.ExpireReservations(s.ctx(), 100)
	s.must(err)
	if n != want {
		s.t.Errorf("%d reservations expired, want %d", n, want)
	}
}

func reservedNotAvailable(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	c := cart(line("A", 3))
	c.Reference = "basket 7"
	r, err := s.Reserve(s.ctx(), c, ttl)
	s.must(err)
	want := restock.Reservation{
		ID: r.ID, State: restock.ReservationHeld, Reference: "basket 7", Total: 3 * 19900, Currency: restock.DefaultCurrency,
		Lines:     []restock.ReservedLine{{ProductID: s.product("A").ID, SKU: "A", Quantity: 3, UnitPrice: 19900}},
		CreatedAt: s.clock.now(), ExpiresAt: s.clock.now().Add(ttl),
	}
	if diff := cmp.Diff(want, r); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(want, s.wantState(r, restock.ReservationHeld)); diff != "" {
		t.Errorf("stored (-want +got):\n%s", diff)
	}
	s.wantReserved("A", 5, 3)
	s.wantCount(`SELECT COUNT(*) FROM movements WHERE kind <> 'opening'`, 0)
	refused := s.buy(line("A", 3))
	wantKind(t, refused.Err, restock.OutOfStock)
	if refused.Short.Available != 2 {
		t.Errorf("a buyer was told that %d are left, want 2", refused.Short.Available)
	}
	if sale := s.mustBuy("A", 2); sale.Lines[0].Remaining != 0 {
		t.Errorf("a buyer was told that %d remain, want 0", sale.Lines[0].Remaining)
	}
	s.wantReserved("A", 3, 3)
}

func reserveAllOrNothing(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 3)))
	_, err := s.Reserve(s.ctx(), cart(line("A", 1), line("B", 4)), ttl)
	wantKind(t, err, restock.OutOfStock)
	_, err = s.Reserve(s.ctx(), cart(line("A", 3), line("B", 1), restock.Line{Product: "a", Quantity: 3}), ttl)
	wantKind(t, err, restock.OutOfStock)
	s.wantReserved("A", 5, 0)
	s.wantReserved("B", 3, 0)
	s.wantCount(`SELECT COUNT(*) FROM reservations`, 0)
	r := s.hold(line("A", 3), line("B", 1), restock.Line{Product: "a", Quantity: 2})
	s.wantReserved("A", 5, 5)
	sale, err := s.ConfirmReservation(s.ctx(), r.ID)
	s.must(err)
	if len(sale.Lines) != 3 || sale.Total != 6*19900 {
		t.Errorf("sale %+v, want the three lines that were reserved", sale)
	}
	s.wantReserved("A", 0, 0)
	s.wantReserved("B", 2, 0)
}

func reserveInvalid(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1000)))
	for want, lines := range map[restock.Kind][]restock.Line{
		restock.Invalid:  {line("A", 60), line("A", 41)},
		restock.NotFound: {line("A", 1), line("NOBODY", 1)},
	} {
		_, err := s.Reserve(s.ctx(), cart(lines...), ttl)
		wantKind(t, err, want)
	}
	_, err := s.Reserve(s.ctx(), cart(), ttl)
	wantKind(t, err, restock.Invalid)
	nobody := restock.ReservationID{1}
	_, err = s.ConfirmReservation(s.ctx(), nobody)
	wantKind(t, err, restock.NotFound)
	_, err = s.ReleaseReservation(s.ctx(), nobody)
	wantKind(t, err, restock.NotFound)
	_, err = s.Reservation(s.ctx(), nobody)
	wantKind(t, err, restock.NotFound)
	s.wantReserved("A", 1000, 0)
}

func confirmOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	c := cart(line("A", 3))
	c.Reference = "basket 7"
	r, err := s.Reserve(s.ctx(), c, ttl)
	s.must(err)
	s.clock.advance(time.Minute)
	first, err := s.ConfirmReservation(s.ctx(), r.ID)
	s.must(err)
	if first.Reference != "basket 7" || first.Lines[0].Remaining != 2 || !first.SoldAt.Equal(s.clock.now()) {
		t.Errorf("sale %+v", first)
	}
	s.mustBuy("A", 1)
	atOnce(20, func(int) {
		again, err := s.ConfirmReservation(s.ctx(), r.ID)
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("again: %v (-first +again):\n%s", err, diff)
		}
	})
	if got := s.wantState(r, restock.ReservationConfirmed); got.SaleID != first.ID {
		t.Errorf("the reservation names sale %s, want %s", got.SaleID, first.ID)
	}
	stored, err := s.Sale(s.ctx(), first.ID)
	s.must(err)
	if diff := cmp.Diff(first, stored); diff != "" {
		t.Errorf("the sale (-answered +stored):\n%s", diff)
	}
	s.clock.advance(2 * ttl)
	s.expired(0)
	_, err = s.ReleaseReservation(s.ctx(), r.ID)
	wantKind(t, err, restock.Conflict)
	if err != nil && !strings.Contains(err.Error(), first.ID.String()) {
		t.Errorf("%v: it does not name the sale", err)
	}
	s.wantReserved("A", 1, 0)
	s.wantCount(`SELECT -SUM(quantity) FROM movements WHERE kind = 'sale'`, 4)
}

func confirmAtItsPrice(t *testing.T, h harness) {
	c := catalogue(plain("A", 5))
	s := h.shop(t, c)
	r := s.hold(line("A", 2))
	c.Products[0].Price = 25000
	s.apply(c)
	sale, err := s.ConfirmReservation(s.ctx(), r.ID)
	s.must(err)
	if sale.Total != 2*19900 || sale.Lines[0].UnitPrice != 19900 {
		t.Errorf("sold for %d, want the price at which it was reserved", sale.Total)
	}
}

func releaseFrees(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	r := s.hold(line("A", 3), line("B", 1), line("A", 1))
	released, err := s.ReleaseReservation(s.ctx(), r.ID)
	s.must(err)
	if released.State != restock.ReservationReleased || !released.ClosedAt.Equal(s.clock.now()) {
		t.Errorf("answered %+v, want it released now", released)
	}
	s.clock.advance(time.Second)
	again, err := s.ReleaseReservation(s.ctx(), r.ID)
	s.must(err)
	if diff := cmp.Diff(released, again); diff != "" {
		t.Errorf("released again (-first +again):\n%s", diff)
	}
	_, err = s.ConfirmReservation(s.ctx(), r.ID)
	wantKind(t, err, restock.Conflict)
	s.wantReserved("A", 5, 0)
	s.wantReserved("B", 5, 0)
	s.wantCount(`SELECT COUNT(*) FROM sale_lines`, 0)
	s.mustBuy("A", 5)
}

func expiresAtItsTime(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	r, punctual := s.hold(line("A", 3)), s.hold(line("A", 2))
	s.clock.advance(ttl - time.Microsecond)
	s.expired(0)
	_, err := s.ConfirmReservation(s.ctx(), punctual.ID) // the last moment
	s.must(err)
	s.clock.advance(time.Microsecond)
	s.expired(1)
	s.expired(0)
	if got := s.wantState(r, restock.ReservationExpired); !got.ClosedAt.Equal(s.clock.now()) {
		t.Errorf("closed at %v, want now", got.ClosedAt)
	}
	s.wantReserved("A", 3, 0)
	_, err = s.ConfirmReservation(s.ctx(), r.ID)
	wantKind(t, err, restock.Conflict)
	again, err := s.ReleaseReservation(s.ctx(), r.ID) // a release that comes late changes nothing
	s.must(err)
	if again.State != restock.ReservationExpired {
		t.Errorf("released after it expired, it is %s", again.State)
	}
	s.mustBuy("A", 3)
}

func confirmAfterExpiry(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	r := s.hold(line("A", 5), line("B", 2), line("B", 1))
	s.clock.advance(ttl)
	_, err := s.ConfirmReservation(s.ctx(), r.ID)
	wantKind(t, err, restock.Conflict)
	s.wantState(r, restock.ReservationExpired)
	s.wantReserved("A", 5, 0)
	s.wantReserved("B", 5, 0)
	s.wantPublished(restock.StockBack, "A", 1)
	s.wantCount(`SELECT COUNT(*) FROM sale_lines`, 0)
	s.expired(0)
}

func expiryLimit(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 10)))
	var all []restock.Reservation
	for range 5 {
		all = append(all, s.hold(line("A", 1)))
		s.clock.advance(time.Second)
	}
	s.clock.advance(ttl)
	n, err := s.ExpireReservations(s.ctx(), 2)
	s.must(err)
	if n != 2 {
		t.Errorf("%d expired, want 2", n)
	}
	for i, r := range all {
		want := restock.ReservationHeld
		if i < 2 {
			want = restock.ReservationExpired
		}
		s.wantState(r, want)
	}
	s.expired(3)
	s.wantReserved("A", 10, 0)
}

// endsOnce lets confirmations, releases and sweeps meet at the deadline.
func endsOnce(t *testing.T, h harness) {
	const rounds, many = 20, 12
	s := h.shop(t, catalogue(plain("A", rounds)))
	var mu sync.Mutex
	sales, freed := map[restock.SaleID]bool{}, 0
	for range rounds {
		r := s.hold(line("A", 1))
		s.clock.advance(ttl - 3)
		atOnce(many, func(i int) {
			s.clock.advance(1)
			switch i % 3 {
			case 0:
				sale, err := s.ConfirmReservation(s.ctx(), r.ID)
				if err == nil {
					mu.Lock()
					sales[sale.ID] = true
					mu.Unlock()
				} else if restock.KindOf(err) != restock.Conflict {
					t.Error(err)
				}
			case 1:
				if _, err := s.ReleaseReservation(s.ctx(), r.ID); err != nil && restock.KindOf(err) != restock.Conflict {
					t.Error(err)
				}
			default:
				if _, err := s.ExpireReservations(s.ctx(), 10); err != nil {
					t.Error(err)
				}
			}
		})
		got, err := s.Reservation(s.ctx(), r.ID)
		s.must(err)
		if got.State != restock.ReservationConfirmed {
			freed++
		}
	}
	if len(sales)+freed != rounds {
		t.Errorf("%d were sold and %d freed, of %d", len(sales), freed, rounds)
	}
	s.wantReserved("A", int64(freed), 0)
}

func reservedLastUnit(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 2, 0, 10)))
	s.hold(line("A", 2))
	s.wantPublished(restock.StockOut, "A", 1)
	s.wantPublished(restock.StockLow, "A", 1)
	stockout := s.product("A").Stock.StockoutID
	if stockout.IsZero() {
		t.Fatal("no stockout is open")
	}
	wantKind(t, s.buy(line("A", 1)).Err, restock.OutOfStock)
	s.wantCount(`SELECT refused_buyers FROM stockouts WHERE closed_at IS NULL`, 1)
	s.clock.advance(ttl)
	s.wantPublished(restock.StockBack, "A", 0)
	s.expired(1)
	s.wantPublished(restock.StockBack, "A", 1)
	if !s.product("A").Stock.StockoutID.IsZero() {
		t.Error("the stockout is still open")
	}
	r := s.hold(line("A", 1), line("A", 1)) // the same again, and this time it is sold
	_, err := s.ConfirmReservation(s.ctx(), r.ID)
	s.must(err)
	s.wantPublished(restock.StockOut, "A", 2)
	s.wantPublished(restock.StockBack, "A", 1)
	s.wantStock("A", 0, 0)
}

func expiryBelowResumeLevel(t *testing.T, h harness) {
	p := ordered("A", 6, 0, 10)
	p.ResumeLevel = 5
	s := h.shop(t, catalogue(p))
	r, other := s.hold(line("A", 2), line("A", 2)), s.hold(line("A", 2))
	s.wantPublished(restock.StockOut, "A", 1)
	_, err := s.ReleaseReservation(s.ctx(), r.ID)
	s.must(err)
	s.wantPublished(restock.StockBack, "A", 0) // 4 are available
	_, err = s.ReleaseReservation(s.ctx(), other.ID)
	s.must(err)
	s.wantPublished(restock.StockBack, "A", 1)
}

func reservedLow(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 2, 10)))
	s.hold(line("A", 2))
	s.wantPublished(restock.StockLow, "A", 0)
	r := s.hold(line("A", 1))
	s.wantPublished(restock.StockLow, "A", 1)
	_, err := s.ConfirmReservation(s.ctx(), r.ID) // the position stays as it is
	s.must(err)
	s.wantPublished(restock.StockLow, "A", 1)
}

func refusedReservations(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 3)))
	refuse := func(n int64) {
		t.Helper()
		_, err := s.Reserve(s.ctx(), cart(line("A", n)), ttl)
		wantKind(t, err, restock.OutOfStock)
	}
	first := s.clock.now()
	refuse(4)
	s.clock.advance(time.Hour)
	refuse(5)
	got, _, err := s.Refusals(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	want := []restock.Refusals{{SKU: "A", Day: first.Format(time.DateOnly), Buyers: 2, Units: 9, FirstAt: first}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refusals (-want +got):\n%s", diff)
	}
	s.hold(line("A", 3))
	s.clock.advance(time.Minute)
	since := s.clock.now()
	refuse(1)
	s.clock.advance(time.Minute)
	wantKind(t, s.buy(line("A", 2)).Err, restock.OutOfStock)
	out, _, err := s.Stockouts(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	if len(out) != 1 || out[0].RefusedBuyers != 2 || out[0].RefusedUnits != 3 || !out[0].FirstRefused.Equal(since) {
		t.Errorf("stockouts %+v, want one with 2 buyers of 3 pieces refused since %v", out, since)
	}
}

// refusalsTold refuses buyers though something is left: never enough.
func refusalsTold(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 3), plain("B", 3)))
	first := s.clock.now()
	for range restock.RefusalsTold - 1 {
		wantKind(t, s.buy(line("A", 4)).Err, restock.OutOfStock)
		s.clock.advance(time.Minute)
	}
	wantKind(t, s.buy(line("B", 4)).Err, restock.OutOfStock)
	s.told(false)
	s.buy(line("A", 5))
	d := s.told(true)
	want := []restock.Problem{{Kind: restock.ProblemRefusals, ID: s.product("A").ID.String(), SKU: "A", Since: first, Count: 1}}
	if diff := cmp.Diff(want, d.Problems, cmpopts.IgnoreFields(restock.Problem{}, "Summary")); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if len(d.Problems) == 1 && !strings.Contains(d.Problems[0].Summary, "10 buyers of 41 pieces") {
		t.Errorf("summary %q, want how many buyers and pieces", d.Problems[0].Summary)
	}
	s.clock.advance(gap)
	s.buy(line("A", 4)) // of the same day: that is known
	s.told(false)
	s.clock.advance(24 * time.Hour)
	for range restock.RefusalsTold {
		s.told(false)
		s.buy(line("A", 4))
	}
	s.told(true)
}

func reservationList(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 9), plain("B", 9)))
	a, both := s.hold(line("A", 1)), s.hold(line("A", 1), line("B", 2))
	b := s.hold(line("B", 1))
	_, err := s.ReleaseReservation(s.ctx(), a.ID)
	s.must(err)
	for _, c := range []struct {
		query restock.ListQuery
		want  []restock.ReservationID
	}{
		{restock.ListQuery{}, []restock.ReservationID{b.ID, both.ID, a.ID}},
		{restock.ListQuery{Product: "A"}, []restock.ReservationID{both.ID, a.ID}},
		{restock.ListQuery{Product: "B", State: "held"}, []restock.ReservationID{b.ID, both.ID}},
		{restock.ListQuery{State: "released"}, []restock.ReservationID{a.ID}},
		{restock.ListQuery{After: both.ID.String()}, []restock.ReservationID{a.ID}},
		{restock.ListQuery{State: "expired"}, nil},
	} {
		c.query.Limit = 10
		got, _, err := s.Reservations(s.ctx(), c.query)
		s.must(err)
		var ids []restock.ReservationID
		for _, r := range got {
			ids = append(ids, r.ID)
			if len(r.Lines) == 0 || r.Total == 0 {
				t.Errorf("%+v is listed without its lines", r)
			}
		}
		if diff := cmp.Diff(c.want, ids); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", c.query, diff)
		}
	}
}

// wantSeen spoils rows, wants verify to see it, and mends them.
func (s *shop) wantSeen(c corruption) {
	s.t.Helper()
	s.exec(`CREATE TABLE kept AS SELECT * FROM ` + c.table) //nolint:unqueryvet // a copy has every column.
	s.exec(c.sql)
	if broken := strings.Join(s.broken(), "\n"); !strings.Contains(broken, c.rule) {
		s.t.Errorf("%s: the rule %q does not see it; broken are %q", c.sql, c.rule, broken)
	}
	s.exec(`DELETE FROM ` + c.table)
	s.exec(`INSERT INTO ` + c.table + ` SELECT * FROM kept`) //nolint:unqueryvet // as above.
	s.exec(`DROP TABLE kept`)
}

func reservedCorruption(t *testing.T, h harness) {
	const rule = "reserved is what held reservations hold"
	s := h.shop(t, catalogue(plain("A", 9), plain("B", 9)))
	s.hold(line("A", 1), line("B", 1))
	s.hold(line("A", 2))
	freed := s.hold(line("A", 3))
	_, err := s.ReleaseReservation(s.ctx(), freed.ID)
	s.must(err)
	for _, c := range []corruption{
		{rule, "products", `UPDATE products SET reserved = reserved - 1 WHERE sku = 'A'`},
		{rule, "products", `UPDATE products SET reserved = 0`},
		{rule, "products", `UPDATE products SET reserved = reserved + 1 WHERE sku = 'B'`},
		{rule, "reservations", `UPDATE reservations SET state = 'expired' WHERE state = 'held'`},
		{rule, "reservations", `UPDATE reservations SET state = 'held'`},
		{rule, "reservations", `DELETE FROM reservations`},
		{rule, "reservation_lines", `UPDATE reservation_lines SET quantity = quantity + 1`},
		{rule, "reservation_lines", `DELETE FROM reservation_lines`},
	} {
		s.wantSeen(c)
	}
}
