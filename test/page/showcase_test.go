package page

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
)

// showcase is a shop with a week behind it: the store's own acts, under a clock
// that runs through the week in a moment.
type showcase struct {
	t       *testing.T
	store   *store.Store
	now     time.Time
	random  *rand.Rand
	arrives map[restock.OrderID]time.Time
	ids     map[string]restock.ProductID
	held    bool // one callback has brought too much
}

// goods are what the shop sells, and how much of each on an ordinary hour.
func goods() []struct {
	restock.CatalogProduct
	hourly float64
} {
	product := func(sku restock.SKU, slug, name string, price, cost, stock, point, quantity int64) restock.CatalogProduct {
		return restock.CatalogProduct{
			SKU: sku, Slug: slug, Name: name, Price: price, UnitCost: cost, OpeningStock: stock, Factory: "FF-500293", ReorderPoint: point, OrderQuantity: quantity,
		}
	}
	donut := product("CP-502101", "donut", "부산도너츠", 19900, 7000, 120, 40, 120)
	donut.Advertisement = "donut-main"
	cream := product("CP-502102", "cream", "크림도너츠 6개입", 22900, 9000, 60, 20, 60)
	box := product("CP-502106", "gift", "Gift Box (large)", 49900, 21000, 14, 4, 12)
	box.Ordering = restock.OrderingReview
	coffee := product("CP-502105", "coffee", "Drip Coffee 200g", 12900, 5100, 90, 30, 80)
	coffee.Factory = "FF-500411"
	beans := product("CP-502109", "beans", "원두 1kg", 32900, 15000, 22, 8, 20)
	beans.Factory = "FF-500411"
	mug := product("CP-502108", "mug", "Stoneware Mug", 18900, 7000, 140, 0, 0)
	tote := product("CP-502107", "tote", "Canvas Tote", 15900, 5000, 26, 0, 0)
	tote.Advertisement = "tote-search"
	mug.Ordering, tote.Ordering = restock.OrderingOff, restock.OrderingOff
	matcha := product("CP-502104", "matcha", "말차 도너츠", 24900, 9900, 45, 12, 40)
	glazed := product("CP-502103", "glazed", "글레이즈드 도너츠 12개입", 17900, 6000, 70, 18, 60)
	return []struct {
		restock.CatalogProduct
		hourly float64
	}{
		{donut, 2.2},
		{cream, 0.7},
		{glazed, 0.8},
		{matcha, 0.5},
		{coffee, 0.75},
		{box, 0.1},
		{beans, 0.22},
		{mug, 0.4},
		{tote, 0.06},
	}
}

// openShowcase makes the week and opens the shop at its end.
func openShowcase(t *testing.T) *blackbox.Shop {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	post := blackbox.OpenPost(t, true)
	return blackbox.OpenShop(t, binary, blackbox.Setup{
		Factory: blackbox.NewFactory(t, nil, nil),
		Flags:   []string{"--callback-window", "100h", "--roles", "sales,arrivals,ops,dashboard", "--mail", post.URL()}, Env: post.Env(),
		Prepare: func(data string) { liveAWeek(t, data) },
	})
}

func liveAWeek(t *testing.T, data string) {
	t.Helper()
	const week = 6*24*time.Hour + 9*time.Hour
	end := time.Now()
	c := &showcase{
		t: t, now: end.Add(-week), random: rand.New(rand.NewPCG(7, 7)), arrives: map[restock.OrderID]time.Time{}, ids: map[string]restock.ProductID{},
	}
	c.must(os.MkdirAll(data, 0o700))
	var err error
	c.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(data, "restock.db"), store.Config{Now: func() time.Time { return c.now }})
	c.must(err)
	c.open()
	for c.now.Before(end.Add(-45 * time.Minute)) {
		c.quarter()
		c.now = c.now.Add(15 * time.Minute)
	}
	c.today()
	c.must(c.store.Close())
}

func (c *showcase) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *showcase) open() {
	c.t.Helper()
	catalog := restock.Catalog{
		Currency: "KRW", BuyerEmail: "buyer@donut.example", DefaultProduct: "CP-502101",
		Factories: []restock.CatalogFactory{
			{Identifier: "FF-500293", Name: "부산도너츠 공장", URL: "http://127.0.0.1:9/api/manufactures", Requester: "김재고", LeadTime: 9 * time.Hour, MaxInFlight: 99, RatePerSecond: 1e6},
			{Identifier: "FF-500411", Name: "Seoul Roastery", URL: "http://127.0.0.1:9/api/manufactures", Requester: "김재고", LeadTime: 14 * time.Hour, MaxInFlight: 99, RatePerSecond: 1e6},
		},
		Advertisements: []restock.CatalogAdvertisement{
			{Name: "donut-main", ManagerEmail: "ads@donut.example"}, {Name: "tote-search", ManagerEmail: "tote@donut.example"},
		},
	}
	for _, g := range goods() {
		catalog.Products = append(catalog.Products, g.CatalogProduct)
	}
	catalog.Fill()
	c.must(catalog.Check())
	_, err := c.store.ApplyCatalog(c.t.Context(), catalog, store.CreateMissing)
	c.must(err)
	for _, g := range goods() {
		p, err := c.store.Product(c.t.Context(), string(g.SKU))
		c.must(err)
		c.ids[string(g.SKU)] = p.ID
	}
}

// quarter is a quarter of an hour in the shop.
func (c *showcase) quarter() {
	c.t.Helper()
	for _, g := range goods() {
		wish := g.hourly / 4 * (0.4 + 1.2*c.random.Float64()) * daytime(c.now)
		if g.SKU == "CP-502101" && (c.since(75*time.Hour, 8*time.Hour) || c.since(4*time.Hour, 4*time.Hour)) { // the video
			wish = 5 * (0.7 + 0.6*c.random.Float64())
		}
		quantity := int64(wish)
		if c.random.Float64() < wish-float64(quantity) {
			quantity++
		}
		for range quantity {
			c.sell(g.SKU, 1)
		}
		c.replenish(g.SKU)
	}
	for id, at := range c.arrives {
		if !at.After(c.now) {
			delete(c.arrives, id)
			c.deliver(id)
		}
	}
	c.advertise()
	c.handle()
}

// sell sells, or finds that there is nothing left.
func (c *showcase) sell(sku restock.SKU, quantity int64) {
	c.t.Helper()
	_, err := c.store.Sell(c.t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: string(sku), Quantity: quantity}}}})
	c.must(err)
	c.now = c.now.Add(time.Duration(c.random.IntN(20)) * time.Second)
}

// empty sells until so much is left.
func (c *showcase) empty(sku restock.SKU, left int64) {
	c.t.Helper()
	p, err := c.store.Product(c.t.Context(), string(sku))
	c.must(err)
	for n := p.Stock.Available(); n > left; n-- {
		c.sell(sku, 1)
	}
}

// since reports whether it is the time after so much of the week.
func (c *showcase) since(before, long time.Duration) bool {
	from := time.Now().Add(-before)
	return c.now.After(from) && c.now.Before(from.Add(long))
}

// daytime is how lively the hour is.
func daytime(at time.Time) float64 {
	hours := []float64{.1, .05, .05, .05, .1, .2, .5, .9, 1.2, 1.3, 1.4, 1.7, 1.8, 1.5, 1.3, 1.3, 1.4, 1.6, 1.9, 2, 1.7, 1.2, .7, .3}
	return hours[at.In(time.FixedZone("KST", 9*60*60)).Hour()]
}

// replenish orders what is low and places it, as the service does.
func (c *showcase) replenish(sku restock.SKU) {
	c.t.Helper()
	ctx := c.t.Context()
	p, err := c.store.Product(ctx, string(sku))
	c.must(err)
	if !p.Policy.Low(p.Stock) {
		return
	}
	_, err = c.store.Plan(ctx, c.ids[string(sku)], replenish.Decide)
	c.must(err)
	a, err := c.store.ClaimAttempt(ctx, "showcase", time.Minute)
	c.must(err)
	if a.OrderID.IsZero() {
		return
	}
	answer := restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: 201, FactoryRef: a.OrderID.String()}, DueAt: c.now.Add(100 * time.Hour),
	}
	if a.SKU == "CP-502109" && c.since(30*time.Hour, 30*time.Hour) {
		answer = restock.Answered{Answer: restock.Answer{State: restock.AttemptRejected, Status: 400, Error: "factory refused with 400: 원두 수급 중단"}}
	} else {
		c.arrives[a.OrderID] = c.now.Add(a.Factory.LeadTime + time.Duration(c.random.IntN(120)-40)*time.Minute)
	}
	c.now = c.now.Add(time.Second)
	c.must(c.store.SettleAttempt(ctx, a, answer))
}

// deliver is the factory's callback. One brings more than was ordered.
func (c *showcase) deliver(id restock.OrderID) {
	c.t.Helper()
	o, err := c.store.Order(c.t.Context(), id)
	c.must(err)
	a := o.Attempts[len(o.Attempts)-1]
	count := a.Quantity
	if c.since(70*time.Hour, 70*time.Hour) && a.SKU == "CP-502103" && !c.held {
		c.held = true
		count += 12
	}
	callback := restock.Callback{
		OrderID: id, Attempt: a.Number, Product: string(a.SKU), Count: count, Claimed: fmt.Sprint(count), Remote: "203.0.113.7:40112", PublicURL: "https://shop.example",
		Body: fmt.Appendf(nil, `{"MessageAttributeProductId":%q,"MessageAttributeProductCnt":"%d","CallbackUrl":"https://shop.example/product/…?token=***"}`, a.SKU, count),
	}
	copy(callback.Hash[:], id[:])
	_, err = c.store.Receive(c.t.Context(), callback, replenish.Judge)
	c.must(err)
}

// advertise asks for the advertisement to be stopped while there is nothing.
func (c *showcase) advertise() {
	c.t.Helper()
	ctx := c.t.Context()
	p, err := c.store.Product(ctx, "CP-502101")
	c.must(err)
	sending, _, err := c.store.TurnAd(ctx, p.AdvertisementID, time.Minute, func(s restock.AdSituation) restock.AdTurn {
		switch {
		case s.Out && !s.Hold.State.Open():
			return restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop}
		case !s.Out && s.Hold.State == restock.AdHoldStopped:
			return restock.AdTurn{State: restock.AdHoldResuming, Send: restock.AdMailResume}
		}
		return restock.AdTurn{State: s.Hold.State}
	})
	c.must(err)
	if sending.Kind == "" {
		return
	}
	c.must(c.store.EndAdMail(ctx, sending))
	if c.since(2*time.Hour, 2*time.Hour) {
		return // nobody has answered yet
	}
	_, _, err = c.store.AcknowledgeAd(ctx, sending.Hold.ID, sending.Kind.Ask(), "ads@donut.example")
	c.must(err)
}

// handle takes what the week has put on the queues.
func (c *showcase) handle() {
	c.t.Helper()
	for _, name := range restock.Queues() {
		for {
			got, err := c.store.Queue().Receive(c.t.Context(), name, driver.Request{Max: 10, Visibility: time.Minute})
			c.must(err)
			for _, d := range got {
				c.must(c.store.Queue().Done(c.t.Context(), d))
			}
			if len(got) == 0 {
				break
			}
		}
	}
}

// today is what lies open when somebody looks: an act of a person, a reservation,
// a message that died, and one that waits.
func (c *showcase) today() {
	c.t.Helper()
	ctx := c.t.Context()
	_, err := c.store.Adjust(ctx, restock.AdjustmentRequest{Product: "CP-502108", Quantity: -2, Reason: "broken"}, restock.Key{})
	c.must(err)
	_, err = c.store.Snooze(ctx, "CP-502104", c.now.Add(8*time.Hour), restock.Act{By: "이구매", Reason: "새 포장을 기다림"})
	c.must(err)
	c.empty("CP-502109", 6)
	c.replenish("CP-502109") // which the factory refuses
	if !c.held {
		c.empty("CP-502103", 6)
		c.replenish("CP-502103")
		for id := range c.arrives {
			if o, err := c.store.Order(ctx, id); err == nil && o.ProductID == c.ids["CP-502103"] {
				delete(c.arrives, id)
				c.deliver(id)
			}
		}
	}
	c.empty("CP-502106", 2)
	c.replenish("CP-502106")
	c.empty("CP-502101", 0)
	c.replenish("CP-502101")
	c.advertise()
	c.handle()
	c.empty("CP-502107", 0)
	got, err := c.store.Queue().Receive(ctx, restock.AdQueue, driver.Request{Max: 1, Visibility: time.Minute})
	c.must(err)
	for n := range got {
		c.must(c.store.Queue().Dead(ctx, got[n], "the mail to tote@donut.example was refused: 550 5.1.1 mailbox unavailable"))
	}
}
