package dashboard

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func noon(minute int) time.Time { return time.Date(2026, 3, 1, 12, minute, 0, 0, time.UTC) }

// hourChart is drawn on a plain of 100 by 100 for an hour, with 110 as its
// height.
func hourChart(h restock.StockHistory, p restock.Product) chart {
	h.Since, h.Until = noon(0), noon(60)
	c := chart{Left: 0, Right: 120, Top: 0, Bottom: 110, zone: time.UTC}
	return c.draw(h, p, 30, 4)
}

func TestAChartStepsFromChangeToChange(t *testing.T) {
	t.Parallel()
	c := hourChart(restock.StockHistory{Points: []restock.StockPoint{
		{At: noon(0), OnHand: 100}, {At: noon(15), OnHand: 40}, {At: noon(30), OnHand: 0}, {At: noon(45), OnHand: 60},
	}}, restock.Product{Policy: restock.Policy{Ordering: restock.OrderingAuto, ReorderPoint: 50}})
	if diff := cmp.Diff("M0,10H30V70H60V110H90V50H120", c.Line); diff != "" {
		t.Errorf("the line (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff("M0,10H30V70H60V110H90V50H120V110H0Z", c.Area); diff != "" {
		t.Errorf("the area (-want +got):\n%s", diff)
	}
	if !c.HasReorder || c.Reorder.At != 60 {
		t.Errorf("the reorder point is %+v", c.Reorder)
	}
	if c.End.Y != 50 || c.End.Quantity != 60 {
		t.Errorf("it ends with %+v", c.End)
	}
	if diff := cmp.Diff([]level{{110, "0"}, {60, "50"}, {10, "100"}}, c.Levels); diff != "" {
		t.Errorf("levels (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]level{{0, "12:00"}, {30, "12:15"}, {60, "12:30"}, {90, "12:45"}}, c.Times); diff != "" {
		t.Errorf("times (-want +got):\n%s", diff)
	}
}

func TestAChartShadesStockoutsAndMarksOrdersAndArrivals(t *testing.T) {
	t.Parallel()
	c := hourChart(restock.StockHistory{
		Points: []restock.StockPoint{{At: noon(0), OnHand: 100}, {At: noon(30), OnHand: 0}, {At: noon(45), OnHand: 60}},
		Stockouts: []restock.Stockout{
			{OpenedAt: noon(-60), ClosedAt: noon(15)},                 // began before
			{OpenedAt: noon(30), ClosedAt: noon(30).Add(time.Second)}, // is seen all the same
			{OpenedAt: noon(55)},                                      // is open
		},
		Orders:   []restock.Order{{CreatedAt: noon(30), Quantity: 60}},
		Arrivals: []restock.Arrival{{At: noon(45), Quantity: 60}},
	}, restock.Product{Policy: restock.Policy{Ordering: restock.OrderingOff, ReorderPoint: 500}})
	var bands [][2]float64
	for _, b := range c.Bands {
		bands = append(bands, [2]float64{b.X, b.Width})
	}
	if diff := cmp.Diff([][2]float64{{0, 30}, {60, 3}, {110, 10}}, bands); diff != "" {
		t.Errorf("stockouts (-want +got):\n%s", diff)
	}
	if len(c.Orders) != 1 || c.Orders[0].X != 60 || c.Orders[0].Y != 110 {
		t.Errorf("orders %+v", c.Orders)
	}
	if len(c.Arrivals) != 1 || c.Arrivals[0].X != 90 || c.Arrivals[0].Y != 50 {
		t.Errorf("arrivals %+v", c.Arrivals)
	}
	if c.HasReorder {
		t.Errorf("a reorder point that orders nothing is drawn: %+v", c.Reorder)
	}
}

// TestAChartHoldsWhateverItIsGiven: of nothing, of a moment, of a hundred years,
// of very much.
func TestAChartHoldsWhateverItIsGiven(t *testing.T) {
	t.Parallel()
	now := noon(0)
	for name, h := range map[string]restock.StockHistory{
		"nothing":          {Since: now, Until: now},
		"a moment":         {Since: now, Until: now, Points: []restock.StockPoint{{At: now, OnHand: 0}}},
		"a hundred years":  {Since: now.AddDate(-100, 0, 0), Until: now, Points: []restock.StockPoint{{At: now.AddDate(-100, 0, 0), OnHand: 3}}},
		"very much":        {Since: now.Add(-time.Hour), Until: now, Points: []restock.StockPoint{{At: now.Add(-time.Hour), OnHand: 1 << 60}}},
		"before its time":  {Since: now, Until: now.Add(time.Hour), Points: []restock.StockPoint{{At: now.Add(-time.Hour), OnHand: 3}}},
		"a clock set back": {Since: now.Add(time.Hour), Until: now, Points: []restock.StockPoint{{At: now.Add(time.Hour), OnHand: 3}, {At: now, OnHand: 2}}},
	} {
		for _, c := range []chart{wideChart(h, restock.Product{}, time.UTC), narrowChart(h, restock.Product{}, time.UTC)} {
			if len(c.Levels) < 2 || len(c.Levels) > 12 || len(c.Times) > 14 {
				t.Errorf("%s: %d levels and %d times", name, len(c.Levels), len(c.Times))
			}
			for _, l := range append(c.Times, c.Levels...) {
				if l.At < 0 || l.At > float64(c.Width) {
					t.Errorf("%s: %q is at %v", name, l.Text, l.At)
				}
			}
		}
	}
}

func TestABarShowsWhatIsThere(t *testing.T) {
	t.Parallel()
	p := restock.Product{
		Stock:  restock.Stock{OnHand: 60, Reserved: 20, OnOrder: 40},
		Policy: restock.Policy{Ordering: restock.OrderingAuto, ReorderPoint: 50},
	}
	got := barOf(p)
	want := stockBar{Available: 59, Reserved: 29, OnOrder: 59, ReservedAt: 59, OnOrderAt: 88, ReorderAt: 74, HasReorder: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if got := barOf(restock.Product{}); got.Available != 0 || got.OnOrder != 0 {
		t.Errorf("of nothing: %+v", got)
	}
}
