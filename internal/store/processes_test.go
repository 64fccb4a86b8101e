package store_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/store"
)

// onServers runs a test on each kind of server.
func onServers(t *testing.T, run func(t *testing.T, d *serverDatabases)) {
	t.Helper()
	for name, d := range map[string]*serverDatabases{"MariaDB": mariaDBs(), "PostgreSQL": postgreSQLs()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			run(t, d)
		})
	}
}

// processes opens one database as often as there are processes.
func (d *serverDatabases) processes(t *testing.T, n int) []*store.Store {
	t.Helper()
	all := []*store.Store{d.open(t, store.Config{})}
	address, _ := d.urls.Load(all[0])
	for range n - 1 {
		s, err := store.Open(t.Context(), address.(string), store.Config{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { closeOpen(t, s) })
		all = append(all, s)
	}
	return all
}

func fill(t *testing.T, s *store.Store, products ...restock.CatalogProduct) {
	t.Helper()
	c := storyCatalog()
	c.Products, c.DefaultProduct = products, ""
	c.Factories[0].MaxInFlight, c.Factories[0].RatePerSecond = 1000, 1_000_000
	c.Fill()
	if _, err := s.ApplyCatalog(t.Context(), c, store.CreateAndEdit); err != nil {
		t.Fatal(err)
	}
}

func donut(sku restock.SKU, stock int64) restock.CatalogProduct {
	return restock.CatalogProduct{
		SKU: sku, Name: "도너츠 " + string(sku), Price: 19900, UnitCost: 7000, OpeningStock: stock,
		Factory: "FF-500293", Advertisement: "donut-main", OrderQuantity: 10,
	}
}

func cartOf(skus ...restock.SKU) restock.Cart {
	var c restock.Cart
	for _, sku := range skus {
		c.Lines = append(c.Lines, restock.Line{Product: string(sku), Quantity: 1})
	}
	return c
}

// crowd runs n buyers at once.
func crowd(n int, fn func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() { fn(i) })
	}
	all.Wait()
}

// TestTwoProcessesSellOneProductAndNeverTooMuch lets 64 buyers in two processes
// want more of one product than there is.
func TestTwoProcessesSellOneProductAndNeverTooMuch(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		const buyers, each, stock = 64, 12, 500
		both := d.processes(t, 2)
		fill(t, both[0], donut("HOT", stock))
		var sold, refused atomic.Int64
		crowd(buyers, func(i int) {
			for range each {
				outcomes, err := both[i%2].Sell(t.Context(), []restock.Cart{cartOf("HOT")})
				switch {
				case err != nil:
					t.Error(err)
				case outcomes[0].Err == nil:
					sold.Add(1)
				default:
					refused.Add(1)
				}
			}
		})
		if sold.Load() != stock || refused.Load() != buyers*each-stock {
			t.Errorf("I1 never oversell, nor refuse what is there: %d sold and %d refused of %d", sold.Load(), refused.Load(), stock)
		}
		if got := stockOf(t, both[1], "HOT"); got != 0 {
			t.Errorf("on hand %d, want 0", got)
		}
		stockouts, _, err := both[0].Stockouts(t.Context(), restock.ListQuery{})
		if err != nil || len(stockouts) != 1 || stockouts[0].RefusedBuyers != refused.Load() {
			t.Errorf("stockouts %+v, %v, want one with %d refusals", stockouts, err, refused.Load())
		}
		wantClean(t, both[0])
	})
}

// TestCartsInOppositeOrderMeetWithoutHarm sells the same products in all
// orders, in groups, in two processes.
func TestCartsInOppositeOrderMeetWithoutHarm(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		const buyers, each = 64, 6
		skus := []restock.SKU{"A", "B", "C", "D", "E"}
		both := d.processes(t, 2)
		products := make([]restock.CatalogProduct, len(skus))
		for i, sku := range skus {
			products[i] = donut(sku, 10_000)
		}
		fill(t, both[0], products...)
		var sold atomic.Int64
		crowd(buyers, func(i int) {
			random := rand.New(rand.NewPCG(1, uint64(i)))
			for range each {
				group := make([]restock.Cart, 3)
				for n := range group {
					order := slices.Clone(skus)
					random.Shuffle(len(order), func(a, b int) { order[a], order[b] = order[b], order[a] })
					group[n] = cartOf(order...)
				}
				outcomes, err := both[i%2].Sell(t.Context(), group)
				if err != nil {
					t.Error(err)
					continue
				}
				for _, o := range outcomes {
					if o.Err != nil {
						t.Error(o.Err)
					}
					sold.Add(1)
				}
			}
		})
		for _, sku := range skus {
			if got := stockOf(t, both[0], string(sku)); got != 10_000-sold.Load() {
				t.Errorf("%s: on hand %d after %d sales", sku, got, sold.Load())
			}
		}
		wantClean(t, both[1])
		wantNoDeadlocks(t, both...)
	})
}

// wantNoDeadlocks holds that the order of the locks does what it is for.
func wantNoDeadlocks(t *testing.T, stores ...*store.Store) {
	t.Helper()
	for _, s := range stores {
		if n := s.Retries()["deadlock"]; n > 0 {
			t.Errorf("%d acts were given up in a deadlock", n)
		}
	}
}

// TestOneKeyHasOneEffectInTwoProcesses repeats a few purchases under their keys
// from everywhere at once, some of them with another cart.
func TestOneKeyHasOneEffectInTwoProcesses(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		const buyers, keys = 64, 8
		both := d.processes(t, 2)
		fill(t, both[0], donut("A", 1000), donut("B", 1000))
		var mu sync.Mutex
		answers := map[string]map[restock.SaleID]bool{}
		crowd(buyers, func(i int) {
			group := make([]restock.Cart, 0, keys)
			for n := range keys {
				sku := restock.SKU("A")
				if i%4 == 3 { // another request under the same key
					sku = "B"
				}
				c := cartOf(sku)
				c.Key = restock.Key{Name: fmt.Sprintf("POST /checkout key-%d", (n+i)%keys)}
				copy(c.Key.Hash[:], sku)
				group = append(group, c)
			}
			outcomes, err := both[i%2].Sell(t.Context(), group)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			for n, o := range outcomes {
				switch {
				case o.Err == nil:
					key := group[n].Key.Name
					if answers[key] == nil {
						answers[key] = map[restock.SaleID]bool{}
					}
					answers[key][o.Sale.ID] = true
				case restock.KindOf(o.Err) != restock.Conflict:
					t.Error(o.Err)
				}
			}
		})
		for key, sales := range answers {
			if len(sales) != 1 {
				t.Errorf("%s has %d effects", key, len(sales))
			}
		}
		left := stockOf(t, both[0], "A") + stockOf(t, both[0], "B")
		if len(answers) != keys || left != 2000-keys {
			t.Errorf("%d keys were answered and %d pieces are left, want %d and %d", len(answers), left, keys, 2000-keys)
		}
		wantClean(t, both[0])
	})
}

// TestASaleAndACancelledOrderThatCrossTogetherTellOnce: neither alone makes the
// product low, each is in a process of its own, and there is one message.
func TestASaleAndACancelledOrderThatCrossTogetherTellOnce(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		const products = 20
		both := d.processes(t, 2)
		var catalog []restock.CatalogProduct
		for i := range products {
			p := donut(restock.SKU(fmt.Sprint("P", i)), 8)
			p.ReorderPoint = 6
			catalog = append(catalog, p)
		}
		fill(t, both[0], catalog...)
		by := restock.Act{By: "a person", Reason: "it will not come"}
		crowd(products, func(i int) {
			sku := fmt.Sprint("P", i)
			decision, err := both[0].PlanByHand(t.Context(), restock.ManualOrder{Product: sku, Quantity: 4, By: by.By, Reason: "more"}, restock.Key{},
				func(restock.Situation) restock.Decision {
					return restock.Decision{Order: true, Quantity: 4, Reason: "by hand"}
				})
			if err != nil {
				t.Error(err)
				return
			}
			crowd(2, func(act int) {
				if act == 0 {
					_, err := both[0].WriteOffOrder(t.Context(), decision.OrderID, by)
					if err != nil {
						t.Error(err)
					}
					return
				}
				outcomes, err := both[1].Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: sku, Quantity: 4}}}})
				if err != nil || outcomes[0].Err != nil {
					t.Error(err, outcomes)
				}
			})
		})
		told := lines(t, d.plain(t, both[0]), `SELECT m.subject FROM queue_messages m WHERE m.type = 'stock.low' ORDER BY m.subject`)
		want := make([]string, 0, products)
		for _, p := range catalog {
			want = append(want, string(p.SKU))
		}
		slices.Sort(want)
		if diff := cmp.Diff(want, told); diff != "" {
			t.Errorf("products that were told to be low (-want +got):\n%s", diff)
		}
		wantClean(t, both[1])
	})
}

// TestAllActsAtOnceInThreeProcesses lets everything happen to a few products at
// the same time, and then looks whether all promises hold.
func TestAllActsAtOnceInThreeProcesses(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		allActsAtOnce(t, d)
	})
}

func allActsAtOnce(t *testing.T, d *serverDatabases) {
	t.Helper()
	const actors, each = 24, 25
	stores := d.processes(t, 3)
	skus := []restock.SKU{"A", "B", "C"}
	fill(t, stores[0], donut("A", 60), donut("B", 60), donut("C", 60))
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	crowd(actors, func(i int) {
		a := &actor{
			t: t, s: stores[i%len(stores)], random: rand.New(rand.NewPCG(seed, uint64(i))), skus: skus, name: fmt.Sprint("actor ", i),
		}
		for range each {
			a.act()
		}
	})
	for _, s := range stores {
		wantClean(t, s)
		t.Logf("run again: %v", s.Retries())
	}
}

// actor does what the parts of the service and people do.
type actor struct {
	t      *testing.T
	s      *store.Store
	random *rand.Rand
	skus   []restock.SKU
	name   string

	reservations []restock.ReservationID
	sales        []restock.SaleID
}

func (a *actor) sku() restock.SKU { return a.skus[a.random.IntN(len(a.skus))] }

// ok takes refusals for what they are; that the database could not is a failure.
func (a *actor) ok(err error) bool {
	switch restock.KindOf(err) {
	case restock.Unavailable, restock.Internal:
		if err != nil {
			a.t.Errorf("%s: %v", a.name, errors.Unwrap(err))
		}
	}
	return err == nil
}

func (a *actor) act() {
	ctx := a.t.Context()
	by := restock.Act{By: a.name, Reason: "because"}
	switch a.random.IntN(16) {
	case 0, 1, 2:
		outcomes, err := a.s.Sell(ctx, []restock.Cart{cartOf(a.sku(), a.sku()), cartOf(a.sku())})
		if a.ok(err) {
			for _, o := range outcomes {
				if o.Err == nil {
					a.sales = append(a.sales, o.Sale.ID)
				}
			}
		}
	case 3, 4:
		r, err := a.s.Reserve(ctx, cartOf(a.sku(), a.sku()), time.Minute)
		if a.ok(err) {
			a.reservations = append(a.reservations, r.ID)
		}
	case 5:
		if len(a.reservations) > 0 {
			_, err := a.s.ConfirmReservation(ctx, a.reservations[a.random.IntN(len(a.reservations))])
			a.ok(err)
		}
	case 6:
		if len(a.reservations) > 0 {
			_, err := a.s.ReleaseReservation(ctx, a.reservations[a.random.IntN(len(a.reservations))])
			a.ok(err)
		}
	case 7:
		if len(a.sales) > 0 {
			_, err := a.s.ReturnSale(ctx, a.sales[a.random.IntN(len(a.sales))], nil, "back", restock.Key{Name: fmt.Sprint("return ", a.random.IntN(50))})
			a.ok(err)
		}
	case 8:
		counted := int64(a.random.IntN(30))
		_, err := a.s.Adjust(ctx, restock.AdjustmentRequest{
			Product: string(a.sku()), Counted: &counted, Reason: "counted", FreeYoungest: true,
		}, restock.Key{})
		a.ok(err)
	case 9, 10:
		p, err := a.s.Product(ctx, string(a.sku()))
		if a.ok(err) {
			_, err = a.s.Plan(ctx, p.ID, func(s restock.Situation) restock.Decision {
				if int64(len(s.OpenOrders)) >= s.Product.Policy.OpenOrdersMax {
					return restock.Decision{Reason: "no slot"}
				}
				return restock.Decision{Order: true, Quantity: 10, Reason: "low"}
			})
			a.ok(err)
		}
	case 11, 12:
		a.place(ctx)
	case 13:
		a.mail(ctx)
	case 14:
		a.ok(a.s.Beat(ctx, a.name, time.Minute))
		_, err := a.s.ExpireReservations(ctx, 10)
		a.ok(err)
	default:
		orders, _, err := a.s.Orders(ctx, restock.ListQuery{Limit: 20})
		if a.ok(err) && len(orders) > 0 {
			_, err := a.s.WriteOffOrder(ctx, orders[a.random.IntN(len(orders))].ID, by)
			a.ok(err)
		}
	}
}

// place calls the factory, whose callback may come before its answer.
func (a *actor) place(ctx context.Context) {
	attempt, err := a.s.ClaimAttempt(ctx, a.name, time.Minute)
	if !a.ok(err) || attempt.OrderID.IsZero() {
		return
	}
	steps := []func(){
		func() {
			a.ok(a.s.SettleAttempt(ctx, attempt, restock.Answered{
				Answer: restock.Answer{State: restock.AttemptAccepted, Status: 201}, DueAt: time.Now().Add(time.Hour),
			}))
		},
		func() {
			for _, body := range []string{"five", "five", "and five"} {
				c := restock.Callback{OrderID: attempt.OrderID, Attempt: attempt.Number, Count: 5, Claimed: body, Body: []byte(body)}
				copy(c.Hash[:], body)
				_, err := a.s.Receive(ctx, c, func(e restock.Evidence) restock.Verdict {
					if e.Seen {
						return restock.Verdict{State: restock.ReceiptDuplicate, Reason: "seen"}
					}
					return restock.Verdict{State: restock.ReceiptApplied, Apply: min(5, e.Attempt.Quantity-e.Attempt.Received)}
				})
				a.ok(err)
			}
		},
	}
	if a.random.IntN(2) == 0 {
		slices.Reverse(steps)
	}
	crowd(len(steps), func(i int) { steps[i]() })
}

func (a *actor) mail(ctx context.Context) {
	stockouts, _, err := a.s.Stockouts(ctx, restock.ListQuery{Limit: 3})
	a.ok(err)
	pace := ads.Pace{Reminder: time.Hour, Escalation: 2 * time.Hour, Spacing: time.Microsecond}
	for _, o := range stockouts {
		of, err := a.s.AdvertisementsOf(ctx, map[bool]restock.EventType{true: restock.StockOut, false: restock.StockBack}[o.ClosedAt.IsZero()], o.ID)
		a.ok(err)
		for _, id := range of {
			sending, _, err := a.s.TurnAd(ctx, id, time.Minute, pace.Turn)
			if !a.ok(err) || sending.Kind == "" {
				continue
			}
			if a.random.IntN(4) == 0 {
				a.ok(a.s.FailAdMail(ctx, sending, a.random.IntN(2) == 0))
				continue
			}
			a.ok(a.s.EndAdMail(ctx, sending))
			_, _, err = a.s.AcknowledgeAd(ctx, sending.Hold.ID, sending.Kind.Ask(), a.name)
			a.ok(err)
		}
	}
	_, err = a.s.PublishDueAds(ctx, 10)
	a.ok(err)
	untold, err := a.s.UntoldAds(ctx, 10, pace.Turn)
	if a.ok(err) && len(untold) > 0 {
		a.ok(a.s.PublishAdDue(ctx, untold[0]))
	}
	if digest, send, err := a.s.BeginDigest(ctx, restock.DigestRequest{
		Audience: restock.Operations, Channel: restock.ByMail, Lease: time.Minute,
	}); a.ok(err) && send {
		a.ok(a.s.EndDigest(ctx, digest.ID, restock.ByMail))
	}
}

// TestProductsThatAreFoundLateAreLockedInOrder lets one act find out about many
// products only as it goes, against the order of their ids.
func TestProductsThatAreFoundLateAreLockedInOrder(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		const many = 30
		both := d.processes(t, 2)
		s := both[0]
		products := make([]restock.CatalogProduct, many)
		for i := range products {
			products[i] = donut(restock.SKU(fmt.Sprintf("P%02d", i)), 10)
		}
		fill(t, s, products...)
		last := products[many-1].SKU
		for i := range many - 1 { // reservations of the last product, each with another
			if _, err := s.Reserve(t.Context(), cartOf(last, products[many-2-i].SKU), time.Hour); i < 10 && err != nil {
				t.Fatal(err)
			}
		}
		counted := int64(0)
		a, err := s.Adjust(t.Context(), restock.AdjustmentRequest{Product: string(last), Counted: &counted, Reason: "stolen", FreeYoungest: true}, restock.Key{})
		if err != nil || len(a.Released) != 10 {
			t.Errorf("%d reservations were freed, want 10: %v", len(a.Released), err)
		}
		var rows []restock.ReconcileRow
		for i := range products { // orders in the opposite order of their products
			p, err := s.Product(t.Context(), string(products[many-1-i].SKU))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Plan(t.Context(), p.ID, func(restock.Situation) restock.Decision {
				return restock.Decision{Order: true, Quantity: 10, Reason: "low"}
			}); err != nil {
				t.Fatal(err)
			}
			attempt, err := s.ClaimAttempt(t.Context(), "owner", time.Microsecond) // who sends it is gone
			if err != nil || attempt.OrderID.IsZero() {
				t.Fatalf("claimed %v, %v", attempt.OrderID, err)
			}
			rows = append(rows, restock.ReconcileRow{OrderID: attempt.OrderID, Attempt: attempt.Number, Status: restock.ReconcileAccepted})
		}
		var accepted atomic.Int64
		crowd(8, func(i int) {
			result, err := both[i%2].Reconcile(t.Context(), "FF-500293", rows, func(restock.Factory) time.Duration { return time.Hour },
				restock.Act{By: "kim", Reason: "their list"})
			if err != nil || result.Accepted+result.Unchanged != many {
				t.Errorf("%+v, %v, want %d lines settled", result, err, many)
			}
			accepted.Add(int64(result.Accepted))
		})
		if accepted.Load() != many {
			t.Errorf("%d attempts were accepted, want each of %d once", accepted.Load(), many)
		}
		wantClean(t, s)
		wantNoDeadlocks(t, both...)
	})
}
