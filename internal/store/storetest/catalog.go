package storetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
)

func catalogChecks() []check {
	return []check{
		{"WhatIsMissingIsCreated", catalogCreates},
		{"WhatExistsStaysUnlessEditingIsAsked", catalogKeeps},
		{"EditingChangesWhatDiffersAndNothingElse", catalogEdits},
		{"ADryRunTellsAndChangesNothing", catalogDryRun},
		{"ADryRunOfAFirstCatalogueTellsAllOfIt", catalogFirstDryRun},
		{"AMissingPartnerIsNamed", catalogPartner},
		{"ATakenSlugIsNamed", catalogSlug},
		{"AFailedApplyTellsOnlyWhatItDid", catalogFails},
		{"WhatIsExportedAppliesWithoutAChange", catalogRoundTrip},
		{"ALongCatalogueIsAppliedWhole", catalogLong},
		{"CallbackKeysOfAnotherDatabaseAreAConflict", callbackKeys},
	}
}

func fields(changes []restock.CatalogChange) []string {
	var all []string
	for _, c := range changes {
		all = append(all, strings.TrimSuffix(c.Kind+" "+c.Name+" "+c.Field, " "))
	}
	slices.Sort(all)
	return all
}

func catalogCreates(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	c := catalogue(ordered("A", 5, 0, 10), plain("B", 0))
	c.DefaultProduct, c.BuyerEmail, c.DailyLimit = "A", "buyer@donut.example", 5_000_000
	changes, err := s.ApplyCatalog(s.ctx(), c, store.CreateMissing)
	s.must(err)
	want := []string{
		"advertisement " + adName, "factory " + factoryID, "product A", "product B",
		"setting buyer_email value", "setting currency value", "setting daily_limit value", "setting default_product value",
	}
	if diff := cmp.Diff(want, fields(changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	p := s.product("A")
	if p.Stock.OnHand != 5 || p.FactoryID.IsZero() || p.AdvertisementID.IsZero() || p.Price != 19900 || p.Currency != "KRW" ||
		p.Policy != c.Products[0].Policy() || p.Slug != "a" {
		t.Errorf("product %+v", p)
	}
	moved, _, err := s.Movements(s.ctx(), restock.ListQuery{Product: "A", Limit: 10})
	s.must(err)
	if len(moved) != 1 || moved[0].Kind != restock.MovementOpening || moved[0].Quantity != 5 || moved[0].OnHandAfter != 5 {
		t.Errorf("movements %+v", moved)
	}
}

func catalogKeeps(t *testing.T, h harness) {
	c := catalogue(ordered("A", 5, 0, 10))
	s := h.shop(t, c)
	c.Products[0].Price, c.Products[0].OpeningStock, c.Factories[0].URL, c.BuyerEmail = 1, 500, "http://other.example/", "buyer@donut.example"
	changes, err := s.ApplyCatalog(s.ctx(), c, store.CreateMissing)
	s.must(err)
	if diff := cmp.Diff([]string{"setting buyer_email value"}, fields(changes)); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	if p := s.product("A"); p.Price != 19900 || p.Stock.OnHand != 5 {
		t.Errorf("product %+v", p)
	}
}

func catalogEdits(t *testing.T, h harness) {
	c := catalogue(ordered("A", 5, 0, 10), ordered("B", 5, 0, 10))
	s := h.shop(t, c)
	if changes := s.apply(c); len(changes) != 0 {
		t.Errorf("the same catalogue changes %v", changes)
	}
	c.Products[0].Price, c.Products[0].Name, c.Products[0].OpeningStock = 21000, "새 도너츠", 99
	c.Products[0].Advertisement, c.Factories[0].LeadTime = "", 2*leadTime
	c.Advertisements[0].StopWhen = restock.StopWhenAny
	c.Products = c.Products[:1]
	want := []string{"advertisement " + adName + " stop_when", "factory " + factoryID + " lead_time", "product A advertisement_id", "product A name", "product A price"}
	if diff := cmp.Diff(want, fields(s.apply(c))); diff != "" {
		t.Errorf("changes (-want +got):\n%s", diff)
	}
	p := s.product("A")
	if p.Price != 21000 || p.Name != "새 도너츠" || p.Stock.OnHand != 5 || !p.AdvertisementID.IsZero() {
		t.Errorf("product %+v", p)
	}
	s.product("B") // what the file does not name stays
}

func catalogDryRun(t *testing.T, h harness) {
	c := catalogue(ordered("A", 5, 0, 10))
	s := h.shop(t, c)
	before, err := s.ExportCatalog(s.ctx())
	s.must(err)
	c.Products[0].Price = 1
	c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-2", URL: "http://127.0.0.1:4001/"})
	next := ordered("B", 1, 0, 10)
	next.Factory = "FF-2"
	c.Products = append(c.Products, next)
	c.Fill()
	told, err := s.ApplyCatalog(s.ctx(), c, store.DryRun)
	s.must(err)
	after, err := s.ExportCatalog(s.ctx())
	s.must(err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Errorf("a dry run changed the store (-before +after):\n%s", diff)
	}
	if diff := cmp.Diff(told, s.apply(c)); diff != "" {
		t.Errorf("it told other changes than were made (-told +made):\n%s", diff)
	}
}

func catalogFirstDryRun(t *testing.T, h harness) {
	for _, products := range [][]restock.CatalogProduct{{ordered("A", 5, 0, 10)}, {ordered("A", 5, 0, 10), plain("B", 0)}, {}} {
		s := h.shop(t, restock.Catalog{})
		c := catalogue(products...)
		told, err := s.ApplyCatalog(s.ctx(), c, store.DryRun)
		s.must(err)
		if diff := cmp.Diff(told, s.apply(c)); diff != "" {
			t.Errorf("%d products: it told other changes than were made (-told +made):\n%s", len(products), diff)
		}
	}
}

func catalogPartner(t *testing.T, h harness) {
	for _, mode := range []store.ApplyMode{store.CreateMissing, store.CreateAndEdit, store.DryRun} {
		for _, edit := range []func(*restock.CatalogProduct){
			func(p *restock.CatalogProduct) { p.Factory = "FF-NOWHERE" },
			func(p *restock.CatalogProduct) { p.Advertisement = "NOWHERE" },
		} {
			s := h.shop(t, restock.Catalog{})
			c := catalogue(ordered("A", 5, 0, 10))
			edit(&c.Products[0])
			_, err := s.ApplyCatalog(s.ctx(), c, mode)
			wantKind(t, err, restock.Invalid)
			if err == nil || !strings.Contains(err.Error(), "NOWHERE") {
				t.Errorf("error %v does not name what is missing", err)
			}
			s.wantCount(`SELECT COUNT(*) FROM products`, 0)
		}
	}
}

func catalogSlug(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	taken := plain("B", 5)
	taken.Slug = "a"
	_, err := s.ApplyCatalog(s.ctx(), catalogue(taken), store.CreateMissing)
	wantKind(t, err, restock.Invalid)
	if err == nil || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), "product B") {
		t.Errorf("error %v names neither the product nor the slug", err)
	}
	s.wantCount(`SELECT COUNT(*) FROM products`, 1)
	s.wantCount(`SELECT COUNT(*) FROM movements`, 1)
	s.apply(catalogue(plain("B", 5)))
	_, err = s.ApplyCatalog(s.ctx(), catalogue(taken), store.CreateAndEdit)
	wantKind(t, err, restock.Invalid)
	if got := s.product("B").Slug; got != "b" {
		t.Errorf("slug %q, want it as it was", got)
	}
}

func catalogFails(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	taken := plain("C", 5)
	taken.Slug = "a"
	changes, err := s.ApplyCatalog(s.ctx(), catalogue(plain("B", 5), taken), store.CreateAndEdit)
	wantKind(t, err, restock.Invalid)
	for _, c := range changes {
		if c.Kind != "product" {
			continue
		}
		if _, err := s.Product(s.ctx(), c.Name); err != nil {
			t.Errorf("it tells that product %s was created: %v", c.Name, err)
		}
	}
}

func catalogRoundTrip(t *testing.T, h harness) {
	c := catalogue(ordered("A", 5, 0, 10), plain("B", 0))
	c.DefaultProduct, c.BuyerEmail, c.DailyLimit = "B", "buyer@donut.example", 7
	s := h.shop(t, c)
	s.mustBuy("A", 2)
	got, err := s.ExportCatalog(s.ctx())
	s.must(err)
	if diff := cmp.Diff(c, got); diff != "" {
		t.Errorf("exported (-applied +exported):\n%s", diff)
	}
	if changes := s.apply(got); len(changes) != 0 {
		t.Errorf("it changes %v", changes)
	}
	other := h.shop(t, got)
	again, err := other.ExportCatalog(other.ctx())
	other.must(err)
	if diff := cmp.Diff(got, again); diff != "" {
		t.Errorf("on another database (-want +got):\n%s", diff)
	}
}

func catalogLong(t *testing.T, h harness) {
	const many = 450
	products := make([]restock.CatalogProduct, 0, many)
	for i := range many {
		products = append(products, plain(restock.SKU(fmt.Sprintf("SKU-%04d", i)), 1))
	}
	s := h.shop(t, catalogue(products[0]))
	changes, err := s.ApplyCatalog(s.ctx(), catalogue(products...), store.CreateMissing)
	s.must(err)
	if len(changes) != many-1 {
		t.Errorf("%d changes, want %d", len(changes), many-1)
	}
	s.wantCount(`SELECT COUNT(*) FROM products`, many)
}

func callbackKeys(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	has := func(want bool) {
		t.Helper()
		got, err := s.HasCallbackKeys(s.ctx())
		s.must(err)
		if got != want {
			t.Errorf("has callback keys: %t, want %t", got, want)
		}
	}
	has(false)
	s.must(s.UseCallbackKeys(s.ctx(), map[byte]string{1: "one"}))
	has(true)
	s.must(s.UseCallbackKeys(s.ctx(), map[byte]string{1: "one"}))
	s.must(s.UseCallbackKeys(s.ctx(), map[byte]string{0: "zero", 1: "one", 255: "last"}))
	for _, keys := range []map[byte]string{
		{1: "another", 0: "zero", 255: "last"}, {0: "zero", 255: "last"}, {}, nil, {0: "zero", 1: "one", 2: "two"},
	} {
		wantKind(t, s.UseCallbackKeys(s.ctx(), keys), restock.Conflict)
	}
	s.wantCount(`SELECT COUNT(*) FROM callback_keys`, 3)
}
