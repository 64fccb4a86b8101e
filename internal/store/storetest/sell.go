package storetest

import (
	"math"
	"slices"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
)

func sellChecks() []check {
	return []check{
		{"TheLastUnitIsSoldOnce", lastUnitOnce},
		{"ACartIsSoldWholeOrNotAtAll", cartsAllOrNothing},
		{"TheSameProductOnTwoLinesCountsAsTheirSum", sameProductTwice},
		{"RemainingIsWhatIsAvailableAfterTheSale", remainingAfterSale},
		{"CartsInOppositeOrderNeverBlockEachOther", oppositeOrder},
		{"AnUnknownProductHarmsNobodyElseInTheGroup", unknownProductInGroup},
		{"NobodyTakesMoreThanMaxPerPurchase", maxPerPurchase},
		{"AGroupIsDecidedInItsOrder", groupInOrder},
		{"ABuyerTurnedAwayIsCountedOnTheStockoutOrTheDay", refusalsCounted},
		{"ABuyerWhoWantsMoreThanIsLeftIsCountedOnTheDayInAnyGroup", refusalsInOneGroup},
		{"ASaleIsKeptAsItWasSold", saleIsKept},
		{"AProductIsFoundBySlugSKUAndID", productNames},
	}
}

func lastUnitOnce(t *testing.T, h harness) {
	const buyers, units = 1000, 10
	s := h.shop(t, catalogue(plain("A", units)))
	var mu sync.Mutex
	var remaining []int64
	refused := 0
	atOnce(buyers, func(int) {
		outcomes, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err != nil:
			t.Error(err)
		case outcomes[0].Err == nil:
			remaining = append(remaining, outcomes[0].Sale.Lines[0].Remaining)
		case restock.KindOf(outcomes[0].Err) == restock.OutOfStock:
			refused++
		default:
			t.Error(outcomes[0].Err)
		}
	})
	slices.Sort(remaining)
	if diff := cmp.Diff([]int64{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, remaining); diff != "" {
		t.Errorf("what the buyers were told is left (-want +got):\n%s", diff)
	}
	if refused != buyers-units {
		t.Errorf("%d buyers were refused, want %d", refused, buyers-units)
	}
	s.wantStock("A", 0, 0)
	s.wantCount(`SELECT COUNT(*) FROM sales`, units)
	s.wantPublished(restock.StockOut, "A", 1)
	s.wantCount(`SELECT SUM(refused_buyers) FROM stockouts`, buyers-units)
}

func cartsAllOrNothing(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 3)))
	outcome := s.buy(line("A", 1), line("B", 9))
	wantKind(t, outcome.Err, restock.OutOfStock)
	if diff := cmp.Diff(restock.Shortage{SKU: "B", Asked: 9, Available: 3}, outcome.Short); diff != "" {
		t.Errorf("shortage (-want +got):\n%s", diff)
	}
	s.wantStock("A", 5, 0)
	s.wantStock("B", 3, 0)
	s.wantCount(`SELECT COUNT(*) FROM sales`, 0)
	s.wantCount(`SELECT COUNT(*) FROM movements WHERE kind = 'sale'`, 0)
}

func sameProductTwice(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	outcome := s.buy(line("A", 3), restock.Line{Product: "a", Quantity: 3}) // by SKU and by slug
	wantKind(t, outcome.Err, restock.OutOfStock)
	if outcome.Short.Asked != 6 {
		t.Errorf("asked for %d, want 6", outcome.Short.Asked)
	}
	s.wantStock("A", 5, 0)
	s.must(s.buy(line("A", 3), restock.Line{Product: "a", Quantity: 2}).Err)
	s.wantStock("A", 0, 0)
	s.wantCount(`SELECT -SUM(quantity) FROM movements WHERE kind = 'sale'`, 5)
	s.wantCount(`SELECT COUNT(*) FROM sale_lines`, 2)
}

func remainingAfterSale(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 10), plain("B", 10)))
	outcome := s.buy(line("A", 2), line("B", 1), line("A", 3))
	s.must(outcome.Err)
	var remaining []int64
	for _, l := range outcome.Sale.Lines {
		remaining = append(remaining, l.Remaining)
	}
	if diff := cmp.Diff([]int64{5, 9, 5}, remaining); diff != "" {
		t.Errorf("remaining (-want +got):\n%s", diff)
	}
}

func oppositeOrder(t *testing.T, h harness) {
	const buyers = 200
	s := h.shop(t, catalogue(plain("A", buyers), plain("B", buyers)))
	atOnce(buyers, func(i int) {
		lines := []restock.Line{line("A", 1), line("B", 1)}
		if i%2 == 0 {
			slices.Reverse(lines)
		}
		outcomes, err := s.Sell(s.ctx(), []restock.Cart{cart(lines...)})
		if err != nil || outcomes[0].Err != nil {
			t.Errorf("%v, %v", err, outcomes)
		}
	})
	s.wantStock("A", 0, 0)
	s.wantStock("B", 0, 0)
}

func unknownProductInGroup(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	got := s.buyAll(cart(line("A", 1)), cart(line("A", 1), line("NOBODY", 1)), cart(line("A", 2)))
	s.must(got[0].Err)
	wantKind(t, got[1].Err, restock.NotFound)
	s.must(got[2].Err)
	s.wantStock("A", 2, 0)
}

func maxPerPurchase(t *testing.T, h harness) {
	p := plain("A", 1000)
	p.MaxPerPurchase = 10
	s := h.shop(t, catalogue(p))
	for _, lines := range [][]restock.Line{
		{line("A", 11)},
		{line("A", 6), line("A", 5)},
		{line("A", 0)},
		{line("A", -1)},
		{line("A", 1), line("A", -1)},
		{line("A", math.MaxInt64), line("A", math.MaxInt64)},
		{line("A", math.MinInt64)},
		{},
	} {
		wantKind(t, s.buy(lines...).Err, restock.Invalid)
	}
	s.wantStock("A", 1000, 0)
	s.wantCount(`SELECT COUNT(*) FROM refusals`, 0)
	s.must(s.buy(line("A", 6), line("A", 4)).Err)
	s.wantStock("A", 990, 0)
}

func groupInOrder(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	got := s.buyAll(cart(line("A", 3)), cart(line("A", 3)), cart(line("A", 2)), cart(line("A", 1)))
	s.must(got[0].Err)
	wantKind(t, got[1].Err, restock.OutOfStock)
	if got[1].Short.Available != 2 {
		t.Errorf("the second was told that %d are left, want 2", got[1].Short.Available)
	}
	s.must(got[2].Err)
	wantKind(t, got[3].Err, restock.OutOfStock)
	s.wantStock("A", 0, 0)
}

func refusalsCounted(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 3), plain("NEVER", 0)))
	s.buy(line("A", 5)) // something is left, but not enough
	s.buy(line("A", 4))
	s.wantCount(`SELECT SUM(buyers) * 1000 + SUM(units) FROM refusals`, 2009)
	s.mustBuy("A", 3)
	s.buy(line("A", 2)) // nothing is left
	s.wantCount(`SELECT refused_buyers * 1000 + refused_units FROM stockouts`, 1002)
	s.wantCount(`SELECT SUM(buyers) FROM refusals`, 2)
	s.buy(line("NEVER", 7)) // there is no stockout to count it on
	s.wantCount(`SELECT units FROM refusals r JOIN products p ON p.id = r.product_id WHERE p.sku = 'NEVER'`, 7)
	s.clock.advance(24 * 3600e9)
	s.buy(line("NEVER", 1))
	s.wantCount(`SELECT COUNT(DISTINCT day) FROM refusals`, 2)
}

func refusalsInOneGroup(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 3)))
	// The first finds three and wants five; the last finds none.
	s.buyAll(cart(line("A", 5)), cart(line("A", 3)), cart(line("A", 2)))
	s.wantCount(`SELECT COALESCE(SUM(buyers) * 1000 + SUM(units), 0) FROM refusals`, 1005)
	s.wantCount(`SELECT refused_buyers * 1000 + refused_units FROM stockouts`, 1002)
}

func saleIsKept(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	c := cart(line("A", 1), line("B", 2))
	c.Reference = "order 7 ' \"; DROP TABLE sales"
	sold := s.buyAll(c)[0]
	s.must(sold.Err)
	if sold.Sale.Total != 3*19900 || sold.Sale.Currency != restock.DefaultCurrency || !sold.Sale.SoldAt.Equal(s.clock.now()) {
		t.Errorf("sale %+v", sold.Sale)
	}
	got, err := s.Sale(s.ctx(), sold.Sale.ID)
	s.must(err)
	if diff := cmp.Diff(sold.Sale, got); diff != "" {
		t.Errorf("the stored sale (-sold +stored):\n%s", diff)
	}
	s.mustBuy("A", 1)
	found, _, err := s.Sales(s.ctx(), restock.ListQuery{Reference: c.Reference, Limit: 10})
	s.must(err)
	if diff := cmp.Diff([]restock.Sale{sold.Sale}, found, cmpopts.EquateApproxTime(0)); diff != "" {
		t.Errorf("found by reference (-want +got):\n%s", diff)
	}
	_, err = s.Sale(s.ctx(), restock.SaleID{1})
	wantKind(t, err, restock.NotFound)
}

func productNames(t *testing.T, h harness) {
	c := catalogue(plain("A", 5), plain("B", 5))
	c.Products[0].Slug, c.DefaultProduct = "donut", "B"
	s := h.shop(t, c)
	a := s.product("A")
	for ref, want := range map[string]restock.SKU{"A": "A", "donut": "A", a.ID.String(): "A", "": "B"} {
		if got, err := s.Product(s.ctx(), ref); err != nil || got.SKU != want {
			t.Errorf("Product(%q) = %s, %v, want %s", ref, got.SKU, err, want)
		}
	}
	for _, ref := range []string{"a", "Donut", "nobody", "01990000-0000-7000-8000-000000000000", "' OR 1=1 --"} {
		_, err := s.Product(s.ctx(), ref)
		wantKind(t, err, restock.NotFound)
	}
	s.must(s.buy(restock.Line{Quantity: 1}).Err)
	s.wantStock("B", 4, 0)
}
