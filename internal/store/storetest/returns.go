package storetest

import (
	"math"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func returnChecks() []check {
	return []check{
		{"ASaleComesBackInParts", returnParts},
		{"NoMoreComesBackThanWasSold", returnTooMuch},
		{"WhatComesBackByManyAtOnceComesBackOnce", returnAtOnce},
		{"AProductOnTwoLinesComesBackAsTheirSum", returnTwoLines},
		{"AConfirmedReservationCanComeBack", returnConfirmed},
		{"AReturnEndsAStockout", returnEndsStockout},
		{"VerifySeesAReturnThatWasNotBooked", returnCorruption},
	}
}

func (s *shop) giveBack(id restock.SaleID, lines ...restock.Line) (restock.Return, error) {
	return s.ReturnSale(s.ctx(), id, lines, "it was cold", restock.Key{})
}

func returnParts(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	outcome := s.buy(line("A", 3), line("B", 2))
	s.must(outcome.Err)
	sale := outcome.Sale
	s.clock.advance(time.Hour)
	back, err := s.giveBack(sale.ID, restock.Line{Product: "a", Quantity: 1})
	s.must(err)
	want := restock.Return{
		ID: back.ID, SaleID: sale.ID, Reason: "it was cold", At: s.clock.now(),
		Lines: []restock.ReturnLine{{ProductID: s.product("A").ID, SKU: "A", Quantity: 1}},
	}
	if diff := cmp.Diff(want, back); diff != "" {
		t.Errorf("answered (-want +got):\n%s", diff)
	}
	s.wantStock("A", 3, 0)
	s.wantStock("B", 3, 0)
	back, err = s.giveBack(sale.ID) // whatever is not back yet
	s.must(err)
	if len(back.Lines) != 2 || back.Lines[0].Quantity != 2 || back.Lines[1].Quantity != 2 {
		t.Errorf("the rest was %+v, want 2 of each", back.Lines)
	}
	s.wantStock("A", 5, 0)
	s.wantStock("B", 5, 0)
	stored, err := s.Sale(s.ctx(), sale.ID)
	s.must(err)
	for _, l := range stored.Lines {
		if l.Returned != l.Quantity {
			t.Errorf("the sale says that %d of %d %s came back", l.Returned, l.Quantity, l.SKU)
		}
	}
	moves, _, err := s.Movements(s.ctx(), restock.ListQuery{Product: "A", Limit: 1})
	s.must(err)
	if m := moves[0]; m.Kind != restock.MovementReturn || m.Quantity != 2 || m.OnHandAfter != 5 || m.Reference != back.ID.String() {
		t.Errorf("the ledger's last row is %+v", m)
	}
}

func returnTooMuch(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	sale := s.mustBuy("A", 3)
	for _, lines := range [][]restock.Line{
		{line("A", 4)},
		{line("A", 2), restock.Line{Product: "a", Quantity: 2}},
		{line("A", 1), line("B", 1)},
		{line("B", 1)},
		{line("A", math.MaxInt64)},
	} {
		_, err := s.giveBack(sale.ID, lines...)
		wantKind(t, err, restock.Conflict)
	}
	_, err := s.giveBack(sale.ID, line("NOBODY", 1))
	wantKind(t, err, restock.NotFound)
	_, err = s.giveBack(restock.SaleID{1}, line("A", 1))
	wantKind(t, err, restock.NotFound)
	s.wantStock("A", 2, 0)
	_, err = s.giveBack(sale.ID, line("A", 2))
	s.must(err)
	_, err = s.giveBack(sale.ID, line("A", 2))
	wantKind(t, err, restock.Conflict)
	_, err = s.giveBack(sale.ID, line("A", 1))
	s.must(err)
	_, err = s.giveBack(sale.ID)
	wantKind(t, err, restock.Conflict)
	s.wantStock("A", 5, 0)
	s.wantStock("B", 5, 0)
}

func returnAtOnce(t *testing.T, h harness) {
	const many, pieces = 30, 7
	s := h.shop(t, catalogue(plain("A", pieces)))
	sale := s.mustBuy("A", pieces)
	var mu sync.Mutex
	done := 0
	atOnce(many, func(int) {
		_, err := s.giveBack(sale.ID, line("A", 1))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			done++
		case restock.KindOf(err) != restock.Conflict:
			t.Error(err)
		}
	})
	if done != pieces {
		t.Errorf("%d pieces came back, want %d", done, pieces)
	}
	s.wantStock("A", pieces, 0)
}

func returnTwoLines(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 9)))
	outcome := s.buy(line("A", 2), line("A", 3))
	s.must(outcome.Err)
	_, err := s.giveBack(outcome.Sale.ID, line("A", 6))
	wantKind(t, err, restock.Conflict)
	_, err = s.giveBack(outcome.Sale.ID, line("A", 4))
	s.must(err)
	stored, err := s.Sale(s.ctx(), outcome.Sale.ID)
	s.must(err)
	if got := []int64{stored.Lines[0].Returned, stored.Lines[1].Returned}; !cmp.Equal(got, []int64{2, 2}) {
		t.Errorf("returned of the lines %v, want 2 and 2", got)
	}
	back, err := s.giveBack(outcome.Sale.ID)
	s.must(err)
	if len(back.Lines) != 1 || back.Lines[0].Quantity != 1 {
		t.Errorf("the rest was %+v, want one piece on one line", back.Lines)
	}
	s.wantStock("A", 9, 0)
}

func returnConfirmed(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	r := s.hold(line("A", 2), line("A", 1))
	sale, err := s.ConfirmReservation(s.ctx(), r.ID)
	s.must(err)
	_, err = s.giveBack(sale.ID)
	s.must(err)
	s.wantReserved("A", 5, 0)
	again, err := s.ConfirmReservation(s.ctx(), r.ID) // it stays the sale that it was
	s.must(err)
	if again.ID != sale.ID {
		t.Errorf("confirmed again it is sale %s, want %s", again.ID, sale.ID)
	}
	s.wantReserved("A", 5, 0)
}

func returnEndsStockout(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 2, 0, 10)))
	sale := s.mustBuy("A", 2)
	s.wantPublished(restock.StockOut, "A", 1)
	_, err := s.giveBack(sale.ID, line("A", 1))
	s.must(err)
	s.wantPublished(restock.StockBack, "A", 1)
	s.mustBuy("A", 1)
	s.wantPublished(restock.StockOut, "A", 2)
	s.wantPublished(restock.StockLow, "A", 2) // the return had lifted the position
}

func returnCorruption(t *testing.T, h harness) {
	const rule = "returns and adjustments are in the ledger"
	s := h.shop(t, catalogue(plain("A", 9), plain("B", 9)))
	sale := s.mustBuy("A", 3)
	s.mustBuy("B", 3)
	_, err := s.giveBack(sale.ID, line("A", 2))
	s.must(err)
	for _, c := range []corruption{
		{rule, "sale_lines", `UPDATE sale_lines SET returned = 3 WHERE returned = 2`},
		{rule, "sale_lines", `UPDATE sale_lines SET returned = 0`},
		{rule, "sale_lines", `UPDATE sale_lines SET returned = 1`},
		{rule, "sale_returns", `DELETE FROM sale_returns`},
		{rule, "sale_returns", `UPDATE sale_returns SET quantity = quantity + 1`},
		{rule, "sale_returns", `UPDATE sale_returns SET product_id = (SELECT id FROM products WHERE sku = 'B')`},
		{rule, "movements", `UPDATE movements SET kind = 'adjustment' WHERE kind = 'return'`},
		{rule, "movements", `DELETE FROM movements WHERE kind = 'return'`},
	} {
		s.wantSeen(c)
	}
}
