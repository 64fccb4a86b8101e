package storetest

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func adjustChecks() []check {
	return []check{
		{"AnAdjustmentIsInTheLedgerWithItsReason", adjustByQuantity},
		{"AStocktakeIsAnAdjustmentOfTheDifference", adjustByCount},
		{"AnAdjustmentNeverGoesBelowNothing", adjustBounds},
		{"AnAdjustmentBelowWhatIsReservedNamesTheReservations", adjustBelowReserved},
		{"TheYoungestReservationsGoIfTheyMay", adjustFreesYoungest},
		{"AnAdjustmentIsNoticedLikeASale", adjustNoticed},
		{"StocktakesAtOnceAgreeWithTheLedger", adjustAtOnce},
		{"VerifySeesAnAdjustmentThatWasNotBooked", adjustCorruption},
	}
}

// adjust changes on hand by a quantity, as it has to be possible.
func (s *shop) adjust(sku restock.SKU, quantity int64) restock.Adjustment {
	s.t.Helper()
	a, err := s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: string(sku), Quantity: quantity, Reason: "found"}, restock.Key{})
	s.must(err)
	return a
}

func (s *shop) stocktake(sku restock.SKU, counted int64, freeYoungest bool) (restock.Adjustment, error) {
	return s.Adjust(s.ctx(), restock.AdjustmentRequest{
		Product: string(sku), Counted: &counted, Reason: "stocktake", FreeYoungest: freeYoungest,
	}, restock.Key{})
}

func adjustByQuantity(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	got, err := s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: "a", Quantity: -2, Reason: "two were damaged"}, restock.Key{})
	s.must(err)
	want := restock.Adjustment{ID: got.ID, SKU: "A", Quantity: -2, OnHand: 3, Reason: "two were damaged", At: s.clock.now()}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	s.clock.advance(time.Second)
	s.adjust("A", 7)
	s.wantStock("A", 10, 0)
	listed, _, err := s.Adjustments(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	if len(listed) != 2 || listed[0].Quantity != 7 || !cmp.Equal(listed[1], want) {
		t.Errorf("listed %+v", listed)
	}
	moves, _, err := s.Movements(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	m := moves[1]
	if m.Kind != restock.MovementAdjustment || m.Quantity != -2 || m.OnHandAfter != 3 || m.Reference != got.ID.String() {
		t.Errorf("the ledger's row is %+v", m)
	}
	s.wantCount(`SELECT COUNT(*) FROM movements WHERE kind = 'adjustment' AND note = 'two were damaged'`, 1)
	_, err = s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: "NOBODY", Quantity: 1, Reason: "x"}, restock.Key{})
	wantKind(t, err, restock.NotFound)
}

func adjustByCount(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	a, err := s.stocktake("A", 8, false)
	s.must(err)
	if a.Quantity != 3 || a.OnHand != 8 || a.Counted == nil || *a.Counted != 8 {
		t.Errorf("booked %+v, want 3 more", a)
	}
	s.mustBuy("A", 2)
	a, err = s.stocktake("A", 6, false) // as it should be
	s.must(err)
	if a.Quantity != 0 || a.OnHand != 6 {
		t.Errorf("booked %+v, want that it agreed", a)
	}
	s.wantStock("A", 6, 0)
	s.wantCount(`SELECT COUNT(*) FROM adjustments WHERE counted = 6 AND quantity = 0`, 1)
	s.wantCount(`SELECT COUNT(*) FROM movements WHERE kind = 'adjustment'`, 1)
	a, err = s.stocktake("A", 0, false)
	s.must(err)
	if a.Quantity != -6 {
		t.Errorf("booked %+v, want 6 less", a)
	}
}

func adjustBounds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	for _, quantity := range []int64{-6, restock.QuantityMax - 4, -restock.QuantityMax} {
		_, err := s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: "A", Quantity: quantity, Reason: "x", FreeYoungest: true}, restock.Key{})
		wantKind(t, err, restock.Conflict)
	}
	s.wantStock("A", 5, 0)
	s.wantCount(`SELECT COUNT(*) FROM adjustments`, 0)
	s.adjust("A", restock.QuantityMax-5)
	s.wantStock("A", restock.QuantityMax, 0)
	s.adjust("A", -restock.QuantityMax)
	s.wantStock("A", 0, 0)
}

func adjustBelowReserved(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 30), plain("B", 30)))
	first, second := s.hold(line("A", 2)), s.hold(line("A", 1), line("B", 1), line("A", 1))
	other, ended := s.hold(line("B", 5)), s.hold(line("A", 1))
	_, err := s.ReleaseReservation(s.ctx(), ended.ID)
	s.must(err)
	_, err = s.stocktake("A", 3, false)
	wantKind(t, err, restock.Conflict)
	for id, named := range map[restock.ReservationID]bool{first.ID: true, second.ID: true, other.ID: false, ended.ID: false} {
		if err != nil && strings.Contains(err.Error(), id.String()) != named {
			t.Errorf("%v: does it name %s? want %t", err, id, named)
		}
	}
	s.wantReserved("A", 30, 4)
	_, err = s.stocktake("A", 4, false) // that is just enough
	s.must(err)
	s.adjust("A", 20)
	var many []restock.Reservation
	for range 15 {
		many = append(many, s.hold(line("A", 1)))
	}
	_, err = s.stocktake("A", 0, false)
	wantKind(t, err, restock.Conflict)
	named := 0
	for _, r := range many {
		if err != nil && strings.Contains(err.Error(), r.ID.String()) {
			named++
		}
	}
	if named != 10 || err == nil || !strings.Contains(err.Error(), "and more") {
		t.Errorf("%v: it names %d reservations, want 10 and that there are more", err, named)
	}
}

func adjustFreesYoungest(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 10), plain("B", 10)))
	oldest := s.hold(line("A", 3))
	other := s.hold(line("B", 4))
	middle := s.hold(line("A", 1), line("B", 2), line("A", 1))
	youngest := s.hold(line("A", 2))
	a, err := s.stocktake("A", 4, true) // 7 are reserved: two have to go
	s.must(err)
	if diff := cmp.Diff([]restock.ReservationID{youngest.ID, middle.ID}, a.Released); diff != "" {
		t.Errorf("released (-want +got):\n%s", diff)
	}
	s.wantReserved("A", 4, 3)
	s.wantReserved("B", 10, 4)
	for _, r := range []restock.Reservation{youngest, middle} {
		s.wantState(r, restock.ReservationReleased)
		_, err := s.ConfirmReservation(s.ctx(), r.ID)
		wantKind(t, err, restock.Conflict)
	}
	for _, r := range []restock.Reservation{oldest, other} {
		_, err := s.ConfirmReservation(s.ctx(), r.ID)
		s.must(err)
	}
	a, err = s.stocktake("A", 5, true) // nobody has to go
	s.must(err)
	if len(a.Released) > 0 {
		t.Errorf("released %v for nothing", a.Released)
	}
	s.wantReserved("A", 5, 0)
	s.wantReserved("B", 6, 0)
}

func adjustNoticed(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 5, 2, 10)))
	s.adjust("A", -3)
	s.wantPublished(restock.StockLow, "A", 1)
	s.adjust("A", -2)
	s.wantPublished(restock.StockOut, "A", 1)
	s.adjust("A", 1)
	s.wantPublished(restock.StockBack, "A", 1)
	s.hold(line("A", 1))
	s.wantPublished(restock.StockOut, "A", 2)
	stockout := s.product("A").Stock.StockoutID
	_, err := s.stocktake("A", 0, true) // what is free again is gone, and was never available
	s.must(err)
	s.wantReserved("A", 0, 0)
	if got := s.product("A").Stock.StockoutID; got != stockout {
		t.Errorf("the stockout is %s, want that %s goes on", got, stockout)
	}
	s.wantPublished(restock.StockBack, "A", 1)
	s.wantPublished(restock.StockOut, "A", 2)
}

func adjustAtOnce(t *testing.T, h harness) {
	const many = 60
	s := h.shop(t, catalogue(plain("A", 50)))
	atOnce(many, func(i int) {
		var err error
		switch i % 3 {
		case 0:
			_, err = s.stocktake("A", int64(40+i%7), false)
		case 1:
			_, err = s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
		default:
			_, err = s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: "A", Quantity: 1, Reason: "found"}, restock.Key{})
		}
		if err != nil {
			t.Error(err)
		}
	})
	s.wantCount(`SELECT COUNT(*) FROM adjustments`, 2*many/3)
	s.wantCount(`SELECT COUNT(*) FROM adjustments a WHERE a.counted IS NOT NULL AND a.counted <> a.on_hand`, 0)
}

func adjustCorruption(t *testing.T, h harness) {
	const rule = "returns and adjustments are in the ledger"
	s := h.shop(t, catalogue(plain("A", 9), plain("B", 9)))
	s.adjust("A", 3)
	s.adjust("A", -1)
	for _, c := range []corruption{
		{rule, "adjustments", `DELETE FROM adjustments WHERE quantity = 3`},
		{rule, "adjustments", `UPDATE adjustments SET quantity = quantity - 1`},
		{rule, "adjustments", `UPDATE adjustments SET product_id = (SELECT id FROM products WHERE sku = 'B')`},
		{rule, "movements", `UPDATE movements SET quantity = quantity + 1 WHERE kind = 'adjustment'`},
		{rule, "movements", `UPDATE movements SET kind = 'receipt' WHERE kind = 'adjustment'`},
		{rule, "movements", `DELETE FROM movements WHERE kind = 'adjustment'`},
	} {
		s.wantSeen(c)
	}
}
