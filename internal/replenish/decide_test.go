package replenish

import (
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"pgregory.net/rapid"
)

func policy(edit func(*restock.Policy)) restock.Policy {
	p := restock.Policy{
		Ordering: restock.OrderingAuto, ReorderPoint: 5, OrderQuantity: 10, MinimumOrder: 1, PackSize: 1,
		MaxPerPurchase: 100, ResumeLevel: 1, OpenOrdersMax: 1,
	}
	if edit != nil {
		edit(&p)
	}
	return p
}

func TestQuantityToOrder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		edit  func(*restock.Policy)
		stock restock.Stock
		want  int64
	}{
		{"the fixed quantity", nil, restock.Stock{OnHand: 3}, 10},
		{"up to the level", upTo(20), restock.Stock{OnHand: 3}, 17},
		{"up to the level, counting what is on order and what is reserved", upTo(20), restock.Stock{OnHand: 5, Reserved: 2, OnOrder: 4}, 13},
		{"at least the minimum", func(p *restock.Policy) { p.MinimumOrder = 50 }, restock.Stock{}, 50},
		{"whole packs, rounded up", func(p *restock.Policy) { p.PackSize = 12 }, restock.Stock{}, 12},
		{"a minimum that is no whole pack", func(p *restock.Policy) { p.MinimumOrder, p.PackSize = 13, 12 }, restock.Stock{}, 24},
		{"not above the maximum", func(p *restock.Policy) { p.MaximumStock = 8 }, restock.Stock{OnHand: 3}, 5},
		{"whole packs under the maximum", func(p *restock.Policy) { p.MaximumStock, p.PackSize = 20, 6 }, restock.Stock{OnHand: 3}, 12},
		{"no room for a pack", func(p *restock.Policy) { p.MaximumStock, p.PackSize = 8, 6 }, restock.Stock{OnHand: 3}, 0},
		{"no room for the minimum", func(p *restock.Policy) { p.MaximumStock, p.MinimumOrder = 8, 6 }, restock.Stock{OnHand: 3}, 0},
		{"at the level already", upTo(20), restock.Stock{OnHand: 20}, 0},
		{"a policy that orders nothing", upTo(0), restock.Stock{}, 0},
		{"no more than the factory can echo", func(p *restock.Policy) { p.OrderQuantity, p.PackSize = 999_999_999, 500_000_000 }, restock.Stock{}, 500_000_000},
		{"above the maximum already", func(p *restock.Policy) { p.MaximumStock = 2 }, restock.Stock{OnHand: 3}, 0},
	} {
		if got := Quantity(policy(c.edit), c.stock); got != c.want {
			t.Errorf("%s: %d, want %d", c.name, got, c.want)
		}
	}
}

func upTo(level int64) func(*restock.Policy) {
	return func(p *restock.Policy) { p.OrderQuantity, p.OrderUpTo = 0, level }
}

func TestDecideActsOnThePresent(t *testing.T) {
	t.Parallel()
	open := []restock.OrderID{{1}}
	for _, c := range []struct {
		name   string
		edit   func(*restock.Policy)
		stock  restock.Stock
		open   []restock.OrderID
		nobody bool
		reason string // of a "no"
		want   restock.Decision
	}{
		{name: "low", stock: restock.Stock{OnHand: 5}, want: restock.Decision{Order: true, Quantity: 10}},
		{name: "out", want: restock.Decision{Order: true, Quantity: 10}},
		{name: "a person approves", edit: func(p *restock.Policy) { p.Ordering = restock.OrderingReview }, want: restock.Decision{Order: true, Quantity: 10, Approval: true}},
		{name: "the shelf is full again", stock: restock.Stock{OnHand: 6}, reason: "above the reorder point"},
		{name: "enough is on order", stock: restock.Stock{OnOrder: 6}, open: open, reason: "above the reorder point"},
		{name: "an order is open", open: open, reason: open[0].String()},
		{name: "a second slot is free", edit: func(p *restock.Policy) { p.OpenOrdersMax = 2 }, open: open, want: restock.Decision{Order: true, Quantity: 10}},
		{name: "ordering is off", edit: func(p *restock.Policy) { p.Ordering = restock.OrderingOff }, reason: "off"},
		{name: "nobody makes it", nobody: true, reason: "no factory"},
		{name: "nothing fits", edit: func(p *restock.Policy) { p.MaximumStock, p.PackSize = 5, 6 }, reason: "maximum stock"},
	} {
		p := restock.Product{SKU: "A", FactoryID: restock.FactoryID{1}, Policy: policy(c.edit), Stock: c.stock}
		if c.nobody {
			p.FactoryID = restock.FactoryID{}
		}
		got := Decide(restock.Situation{Product: p, OpenOrders: c.open})
		if got.Reason == "" || !strings.Contains(got.Reason, c.reason) {
			t.Errorf("%s: reason %q, want one that says %q", c.name, got.Reason, c.reason)
		}
		got.Reason = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestMoneyAndImportsAwaitApproval(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		edit     func(*restock.Situation)
		approval string
	}{
		{"no limit", nil, ""},
		{"within the shop's limit", func(s *restock.Situation) { s.DailyLimit, s.OrderedToday = 100, 30 }, ""},
		{"above the shop's limit", func(s *restock.Situation) { s.DailyLimit, s.OrderedToday = 100, 31 }, "daily limit 100 of the shop"},
		{"above its own limit", func(s *restock.Situation) { s.Product.Policy.DailyLimit, s.OrderedTodayOfIts = 100, 40 }, "daily limit 100 of A"},
		{"a cost that no integer holds", func(s *restock.Situation) {
			s.Product.UnitCost, s.Product.Policy.OrderQuantity, s.DailyLimit = restock.PriceMax, restock.QuantityMax, 100
		}, "daily limit"},
		{"a cost that is not known", func(s *restock.Situation) { s.Product.UnitCost, s.DailyLimit = 0, 100 }, "unit_cost is not known"},
		{"an import's first orders", func(s *restock.Situation) { s.Imported, s.ImportedOrders = true, restock.ImportedOrdersMax-1 }, ""},
		{"an import's further orders", func(s *restock.Situation) { s.Imported, s.ImportedOrders = true, restock.ImportedOrdersMax }, "import"},
		{"a sale's order beside an import", func(s *restock.Situation) { s.ImportedOrders = 1000 }, ""},
	} {
		s := restock.Situation{Product: restock.Product{SKU: "A", FactoryID: restock.FactoryID{1}, UnitCost: 7, Policy: policy(nil)}}
		if c.edit != nil {
			c.edit(&s)
		}
		got := Decide(s)
		if !got.Order || got.Approval != (c.approval != "") || !strings.Contains(got.Reason, c.approval) {
			t.Errorf("%s: %+v, want approval because %q", c.name, got, c.approval)
		}
	}
}

func TestSnoozeBindsWhatOrdersByItselfAndNoPerson(t *testing.T) {
	t.Parallel()
	now := time.Unix(1e9, 0)
	s := restock.Situation{Now: now, Product: restock.Product{
		SKU: "A", FactoryID: restock.FactoryID{1}, Policy: policy(nil), SnoozedUntil: now.Add(time.Second),
	}}
	if got := Decide(s); got.Order || !strings.Contains(got.Reason, "snoozed until") {
		t.Errorf("snoozed: %+v", got)
	}
	s.Manual = &restock.ManualOrder{By: "kim", Reason: "a feast"}
	if got := Decide(s); !got.Order || got.Quantity != 10 || !strings.Contains(got.Reason, "kim ordered by hand: a feast") {
		t.Errorf("by hand: %+v", got)
	}
	s.Manual, s.Now = nil, now.Add(time.Second)
	if got := Decide(s); !got.Order {
		t.Errorf("awake again: %+v", got)
	}
}

func TestAnOrderByHandKeepsTheFactorysRules(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		quantity int64
		edit     func(*restock.Situation)
		says     string
	}{
		{12, nil, ""},
		{0, nil, ""},
		{-1, nil, "the quantity must be"},
		{restock.QuantityMax + 1, nil, "the quantity must be"},
		{12, func(s *restock.Situation) { s.Product.Policy.MinimumOrder = 13 }, "below the minimum order 13"},
		{13, func(s *restock.Situation) { s.Product.Policy.PackSize = 12 }, "not whole packs of 12"},
		{12, func(s *restock.Situation) { s.Product.Policy.MaximumStock = 11 }, "above the maximum stock 11"},
		{12, func(s *restock.Situation) { s.Product.Policy.Ordering = restock.OrderingOff }, ""},
		{12, func(s *restock.Situation) { s.Product.Stock.OnHand = 1000 }, ""},
		{12, func(s *restock.Situation) { s.ManualOrders = restock.ManualOrdersMax }, "10 orders by hand are open"},
	} {
		s := restock.Situation{
			Product: restock.Product{SKU: "A", FactoryID: restock.FactoryID{1}, Policy: policy(nil)},
			Manual:  &restock.ManualOrder{Quantity: c.quantity, By: "kim", Reason: "a feast"}, OpenOrders: []restock.OrderID{{1}},
		}
		if c.edit != nil {
			c.edit(&s)
		}
		got := Decide(s)
		if got.Order != (c.says == "") || !strings.Contains(got.Reason, c.says) || got.Approval {
			t.Errorf("%d: %+v, want %q", c.quantity, got, c.says)
		}
	}
}

func TestQuantityKeepsEveryRuleAtOnce(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		most := int64(restock.QuantityMax)
		stock := restock.Stock{
			OnHand: rapid.Int64Range(0, most).Draw(t, "on hand"), OnOrder: rapid.Int64Range(0, most).Draw(t, "on order"),
		}
		p := restock.Policy{
			MinimumOrder: rapid.Int64Range(1, most).Draw(t, "minimum order"), PackSize: rapid.Int64Range(1, most).Draw(t, "pack size"),
			MaximumStock: rapid.Int64Range(0, most).Draw(t, "maximum stock"),
		}
		wanted := rapid.Int64Range(1, most).Draw(t, "quantity or level")
		if rapid.Bool().Draw(t, "up to") {
			p.OrderUpTo = wanted
			wanted -= stock.Position()
		} else {
			p.OrderQuantity = wanted
		}
		nothing := wanted <= 0
		wanted = max(wanted, p.MinimumOrder)
		packs := most / p.PackSize * p.PackSize // in one order
		got := Quantity(p, stock)
		switch {
		case nothing && got != 0:
			t.Fatalf("%d, though nothing is missing", got)
		case nothing || got == 0 && packs < p.MinimumOrder:
		case got > most:
			t.Fatalf("%d is more than a factory can echo", got)
		case got < 0, got%p.PackSize != 0:
			t.Fatalf("%d is no number of whole packs of %d", got, p.PackSize)
		case got > 0 && got < p.MinimumOrder:
			t.Fatalf("%d is below the minimum order %d", got, p.MinimumOrder)
		case got > 0 && p.MaximumStock > 0 && stock.Position()+got > p.MaximumStock:
			t.Fatalf("%d on top of %d is above the maximum stock %d", got, stock.Position(), p.MaximumStock)
		case got >= wanted+p.PackSize:
			t.Fatalf("%d is a pack of %d more than the %d that are wanted", got, p.PackSize, wanted)
		case p.MaximumStock == 0 && got < min(wanted, packs):
			t.Fatalf("%d is less than the %d that are wanted, without a maximum", got, wanted)
		}
	})
}
