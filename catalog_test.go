package restock_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func TestFillSetsWhatWasLeftOut(t *testing.T) {
	t.Parallel()
	c := restock.Catalog{
		Factories:      []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1/"}},
		Advertisements: []restock.CatalogAdvertisement{{Name: "ad", ManagerEmail: "ads@donut.example"}},
		Products:       []restock.CatalogProduct{{SKU: "CP-1", Name: "도너츠", OrderQuantity: 3, Factory: "FF-1"}},
	}
	c.Fill()
	want := restock.Catalog{
		Currency: "KRW",
		Factories: []restock.CatalogFactory{{
			Identifier: "FF-1", Name: "FF-1", URL: "http://127.0.0.1/", Language: restock.Korean, LeadTime: 40 * time.Second,
			Requester: "restock", MaxInFlight: 4, RatePerSecond: 5, Overdue: restock.OverdueReorder, Repeats: restock.RepeatsHold,
		}},
		Advertisements: []restock.CatalogAdvertisement{{
			Name: "ad", ManagerEmail: "ads@donut.example", Language: restock.Korean, StopWhen: restock.StopWhenAll,
		}},
		Products: []restock.CatalogProduct{{
			SKU: "CP-1", Slug: "cp-1", Name: "도너츠", OrderQuantity: 3, Factory: "FF-1", Ordering: restock.OrderingAuto,
			MinimumOrder: 1, PackSize: 1, MaxPerPurchase: 100, ResumeLevel: 1, OpenOrdersMax: 1,
		}},
	}
	if diff := cmp.Diff(want, c); diff != "" {
		t.Errorf("filled (-want +got):\n%s", diff)
	}
	if err := c.Check(); err != nil {
		t.Error(err)
	}
	again := c
	again.Fill()
	if diff := cmp.Diff(c, again); diff != "" {
		t.Errorf("filled twice (-once +twice):\n%s", diff)
	}
}

func TestFillChoosesNoDefaultProductAndOrdersNothingUnasked(t *testing.T) {
	t.Parallel()
	c := restock.Catalog{Products: []restock.CatalogProduct{{SKU: "A", Name: "a"}, {SKU: "B", Name: "b"}}}
	c.Fill()
	if c.DefaultProduct != "" || c.Products[0].Ordering != restock.OrderingOff {
		t.Errorf("default %q, ordering %q", c.DefaultProduct, c.Products[0].Ordering)
	}
}

// good is a catalogue without a mistake.
func good() restock.Catalog {
	c := restock.Catalog{
		BuyerEmail:     "buyer@donut.example",
		Factories:      []restock.CatalogFactory{{Identifier: "FF-1", URL: "https://factory.example/api"}},
		Advertisements: []restock.CatalogAdvertisement{{Name: "ad", ManagerEmail: "ads@donut.example"}},
		Products: []restock.CatalogProduct{
			{SKU: "A", Name: "a", OrderQuantity: 3, Factory: "FF-1", Advertisement: "ad"}, {SKU: "B", Name: "b"},
		},
	}
	c.Fill()
	return c
}

func TestCheckNamesEachMistake(t *testing.T) {
	t.Parallel()
	for _, m := range []struct {
		want string
		make func(c *restock.Catalog)
	}{
		{"buyer_email", func(c *restock.Catalog) { c.BuyerEmail = "nobody" }},
		{"buyer_email", func(c *restock.Catalog) { c.BuyerEmail = "Name <a@b.example>" }},
		{"daily_limit", func(c *restock.Catalog) { c.DailyLimit = -1 }},
		{"identifier is missing", func(c *restock.Catalog) { c.Factories[0].Identifier = "" }},
		{`factory "FF-1" occurs twice`, func(c *restock.Catalog) { c.Factories = append(c.Factories, c.Factories[0]) }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "" }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "ftp://factory.example" }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "file:///etc/passwd" }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "http://:@" }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "http://user:pw@factory.example" }},
		{"url must be", func(c *restock.Catalog) { c.Factories[0].URL = "http://factory.example/%zz" }},
		{"manager_email", func(c *restock.Catalog) { c.Factories[0].ManagerEmail = "a@b.example\r\nBcc: all@b.example" }},
		{"language", func(c *restock.Catalog) { c.Factories[0].Language = "de" }},
		{"lead_time", func(c *restock.Catalog) { c.Factories[0].LeadTime = -1 }},
		{"max_in_flight", func(c *restock.Catalog) { c.Factories[0].MaxInFlight = -1 }},
		{"rate_per_second", func(c *restock.Catalog) { c.Factories[0].RatePerSecond = -0.5 }},
		{"name is missing", func(c *restock.Catalog) { c.Advertisements[0].Name = "" }},
		{"manager_email", func(c *restock.Catalog) { c.Advertisements[0].ManagerEmail = "" }},
		{"language", func(c *restock.Catalog) { c.Advertisements[0].Language = "KO" }},
		{"stop_when", func(c *restock.Catalog) { c.Advertisements[0].StopWhen = "some" }},
		{`product "A" occurs twice`, func(c *restock.Catalog) { c.Products[1].SKU = "A" }},
		{`slug "a" occurs twice`, func(c *restock.Catalog) { c.Products[1].Slug = "a" }},
		{"sku is missing", func(c *restock.Catalog) { c.Products[0].SKU = "" }},
		{"slug", func(c *restock.Catalog) { c.Products[0].Slug = "A b" }},
		{"slug", func(c *restock.Catalog) { c.Products[0].Slug = "../x" }},
		{"slug", func(c *restock.Catalog) { c.Products[0].Slug = strings.Repeat("a", 65) }},
		{"name must have", func(c *restock.Catalog) { c.Products[0].Name = "" }},
		{"name must have", func(c *restock.Catalog) { c.Products[0].Name = strings.Repeat("a", restock.NameLenMax+1) }},
		{"price must be", func(c *restock.Catalog) { c.Products[0].Price = -1 }},
		{"price must be", func(c *restock.Catalog) { c.Products[0].Price = restock.PriceMax + 1 }},
		{"unit_cost must be", func(c *restock.Catalog) { c.Products[0].UnitCost = -1 }},
		{"opening_stock must be", func(c *restock.Catalog) { c.Products[0].OpeningStock = -1 }},
		{"opening_stock must be", func(c *restock.Catalog) { c.Products[0].OpeningStock = restock.QuantityMax + 1 }},
		{"reorder_point must be", func(c *restock.Catalog) { c.Products[0].ReorderPoint = -1 }},
		{"minimum_order must be", func(c *restock.Catalog) { c.Products[0].MinimumOrder = -1 }},
		{"pack_size must be", func(c *restock.Catalog) { c.Products[0].PackSize = -1 }},
		{"maximum_stock must be", func(c *restock.Catalog) { c.Products[0].MaximumStock = -1 }},
		{"max_per_purchase must be", func(c *restock.Catalog) { c.Products[0].MaxPerPurchase = -1 }},
		{"resume_level must be", func(c *restock.Catalog) { c.Products[0].ResumeLevel = -1 }},
		{"open_orders_max must be", func(c *restock.Catalog) { c.Products[0].OpenOrdersMax = -1 }},
		{"ordering must be", func(c *restock.Catalog) { c.Products[0].Ordering = "sometimes" }},
		{"needs order_quantity or order_up_to", func(c *restock.Catalog) { c.Products[0].OrderQuantity = 0 }},
		{"not both", func(c *restock.Catalog) { c.Products[0].OrderUpTo = 9 }},
		{"above reorder_point", func(c *restock.Catalog) {
			c.Products[0].OrderQuantity, c.Products[0].OrderUpTo, c.Products[0].ReorderPoint = 0, 9, 9
		}},
		{"needs a factory", func(c *restock.Catalog) { c.Products[0].Factory = "" }},
	} {
		c := good()
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		m.make(&c)
		err := c.Check()
		if err == nil || restock.KindOf(err) != restock.Invalid || !strings.Contains(err.Error(), m.want) {
			t.Errorf("want a mistake that says %q, got %v", m.want, err)
		}
	}
}

func TestCheckTellsAllMistakesAtOnceWithinABound(t *testing.T) {
	t.Parallel()
	c := good()
	c.BuyerEmail, c.DailyLimit, c.Products[0].Price = "nobody", -1, -1
	err := c.Check()
	for _, want := range []string{"3 mistakes", "buyer_email", "daily_limit", "price", "Nothing was changed"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the error does not say %q: %v", want, err)
		}
	}
	for i := range 10_000 {
		c.Products = append(c.Products, restock.CatalogProduct{SKU: restock.SKU(fmt.Sprint(i)), Price: -1})
	}
	if err := c.Check(); err == nil || len(err.Error()) > 20_000 {
		t.Error("the error of a long list of mistakes is not bounded")
	}
}
