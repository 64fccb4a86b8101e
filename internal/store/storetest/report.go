package storetest

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func reportChecks() []check {
	return []check{
		{"ItTellsWhatAStockoutCost", reportStockout},
		{"OfAStockoutThatTheWindowCutsOnlyThePartInsideCounts", reportCut},
		{"SeveralStockoutsOfAProductAddUp", reportSeveral},
		{"ItHasPages", reportPages},
	}
}

func (s *shop) report(from, to time.Time) []restock.StockoutReport {
	s.t.Helper()
	items, next, err := s.ReportStockouts(s.ctx(), restock.ReportQuery{From: from, To: to})
	s.must(err)
	if next != "" {
		s.t.Errorf("there is another page after %q", next)
	}
	return items
}

func (s *shop) refuse(sku restock.SKU, quantity int64) {
	s.t.Helper()
	if o := s.buy(line(sku, quantity)); restock.KindOf(o.Err) != restock.OutOfStock {
		s.t.Fatalf("%d of %s: %v, want that it is refused", quantity, sku, o.Err)
	}
}

// stocked is a stockout of an hour and a half: for ten minutes nobody answers,
// two buyers are refused, the second at another price, and then it is back.
//
//	09:00 sold out · 09:10 stopped · 09:20 refused 2 · 10:05 refused 1 · 10:30 back
func (h harness) stocked(t *testing.T) (*shop, time.Time) {
	t.Helper()
	s := h.soldOut(t)
	began := s.clock.now()
	hold := s.mailed(stepStop)
	s.clock.advance(10 * time.Minute)
	_, _, err := s.AcknowledgeAd(s.ctx(), hold.ID, restock.AskStop, "link")
	s.must(err)
	s.clock.advance(10 * time.Minute)
	s.refuse("A", 2)
	dearer := catalogue(ordered("A", 3, 0, 10))
	dearer.Products[0].Price = 20000
	s.apply(dearer)
	s.clock.advance(45 * time.Minute)
	s.refuse("A", 1)
	s.clock.advance(25 * time.Minute)
	s.back()
	s.mailed(stepResume)
	return s, began
}

func reportStockout(t *testing.T, h harness) {
	s, began := h.stocked(t)
	s.clock.advance(time.Hour)
	want := []restock.StockoutReport{{
		SKU: "A", Name: "Donut A", Stockouts: 1, MinutesOutOfStock: 90, BuyersRefused: 2, UnitsRefused: 3, ValueLost: 2*19900 + 20000, Currency: "KRW",
		MinutesAdvertised: 10, Acknowledged: 1, MinutesToAcknowledge: 10, MinutesToAcknowledgeLongest: 10,
		Restocked: 1, MinutesToRestock: 90, MinutesToRestockLongest: 90,
	}}
	if diff := cmp.Diff(want, s.report(began.Add(-time.Hour), s.clock.now())); diff != "" {
		t.Errorf("the report (-want +got):\n%s", diff)
	}
	if got := s.report(began.Add(-time.Hour), began); len(got) > 0 {
		t.Errorf("before it there is %+v", got)
	}
	if got := s.report(began.Add(91*time.Minute), s.clock.now()); len(got) > 0 {
		t.Errorf("after it there is %+v", got)
	}
}

func reportCut(t *testing.T, h harness) {
	s, began := h.stocked(t)
	at := func(minutes int) time.Time { return began.Add(time.Duration(minutes) * time.Minute) }
	base := restock.StockoutReport{SKU: "A", Name: "Donut A", Currency: "KRW", Stockouts: 1}
	for _, c := range []struct {
		from, to int
		edit     func(*restock.StockoutReport)
	}{
		{-60, 5, func(r *restock.StockoutReport) { r.Open, r.MinutesOutOfStock, r.MinutesAdvertised = true, 5, 5 }},
		{0, 30, func(r *restock.StockoutReport) {
			r.Open, r.MinutesOutOfStock, r.MinutesAdvertised = true, 30, 10
			r.BuyersRefused, r.UnitsRefused, r.ValueLost = 1, 2, 2*19900
			r.Acknowledged, r.MinutesToAcknowledge, r.MinutesToAcknowledgeLongest = 1, 10, 10
		}},
		{5, 15, func(r *restock.StockoutReport) {
			r.Open, r.MinutesOutOfStock, r.MinutesAdvertised = true, 10, 5
			r.Acknowledged, r.MinutesToAcknowledge, r.MinutesToAcknowledgeLongest = 1, 10, 10
		}},
		{60, 120, func(r *restock.StockoutReport) {
			r.MinutesOutOfStock, r.BuyersRefused, r.UnitsRefused, r.ValueLost = 30, 1, 1, 20000
			r.Restocked, r.MinutesToRestock, r.MinutesToRestockLongest = 1, 90, 90
		}},
	} {
		want := base
		c.edit(&want)
		if diff := cmp.Diff([]restock.StockoutReport{want}, s.report(at(c.from), at(c.to))); diff != "" {
			t.Errorf("from minute %d to %d (-want +got):\n%s", c.from, c.to, diff)
		}
	}
	// One that is open counts until now, and no further.
	s.clock.advance(time.Minute)
	s.mustBuy("A", 10)
	s.clock.advance(7 * time.Minute)
	got := s.report(at(91), at(600))
	if len(got) != 1 || !got[0].Open || got[0].MinutesOutOfStock != 7 || got[0].Restocked != 0 || got[0].MinutesAdvertised != 7 {
		t.Errorf("the open one is %+v, want 7 minutes", got)
	}
}

func reportSeveral(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1), plain("B", 1)))
	began := s.clock.now()
	for _, lasted := range []time.Duration{10 * time.Minute, 20 * time.Minute} {
		s.mustBuy("A", 1)
		s.clock.advance(lasted)
		_, err := s.Adjust(s.ctx(), restock.AdjustmentRequest{Product: "A", Quantity: 1, Reason: "found"}, restock.Key{})
		s.must(err)
		s.clock.advance(time.Minute)
	}
	got := s.report(began, s.clock.now())
	want := []restock.StockoutReport{{
		SKU: "A", Name: "Donut A", Currency: "KRW", Stockouts: 2, MinutesOutOfStock: 30, Restocked: 2, MinutesToRestock: 15, MinutesToRestockLongest: 20,
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the report (-want +got); nobody advertises it:\n%s", diff)
	}
}

func reportPages(t *testing.T, h harness) {
	products := []restock.CatalogProduct{}
	for i := range 5 {
		products = append(products, plain(restock.SKU(fmt.Sprintf("P-%d", i)), 1))
	}
	s := h.shop(t, catalogue(products...))
	began := s.clock.now()
	for _, i := range []int{4, 0, 3, 1} {
		s.mustBuy(restock.SKU(fmt.Sprintf("P-%d", i)), 1)
	}
	s.clock.advance(time.Minute)
	var got []string
	for after := ""; ; {
		items, next, err := s.ReportStockouts(s.ctx(), restock.ReportQuery{From: began, To: s.clock.now(), After: after, Limit: 3})
		s.must(err)
		for _, item := range items {
			got = append(got, string(item.SKU))
		}
		if after = next; after == "" {
			break
		}
	}
	if diff := cmp.Diff([]string{"P-0", "P-1", "P-3", "P-4"}, got); diff != "" {
		t.Errorf("the products of all pages (-want +got):\n%s", diff)
	}
}
