package store_test

import (
	"context"
	"flag"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/store"
)

// writeSchema makes a file for testdata, when a schema is released:
//
//	go test ./internal/store -run TestOldSchema -write-schema testdata/schema-4.db
var writeSchema = flag.String("write-schema", "", "write the story by the present schema to this file")

// storyTime is when the story of the files in testdata happened.
func storyTime() time.Time { return time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC) }

// past is what of the story a later program must still know.
type past struct {
	Sales     []restock.Sale
	Order     restock.Order
	Stockouts []restock.Stockout
	Dead      []driver.DeadLetter
	Receipt   string
}

func TestOldSchemaIsBroughtUpToDateAndSellsOn(t *testing.T) {
	t.Parallel()
	fresh := filepath.Join(t.TempDir(), "fresh.db")
	tellStory(t, fresh)
	if *writeSchema != "" {
		copyFile(t, fresh, *writeSchema)
		shrink(t, *writeSchema)
	}
	files, err := filepath.Glob("testdata/schema-*.db")
	if err != nil || len(files) == 0 {
		t.Fatalf("files of old schemas: %v, %v", files, err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			path := filepath.Join(t.TempDir(), "old.db")
			copyFile(t, file, path)
			for range 2 { // and once more, with nothing left to do
				s := openStory(t, path)
				wantClean(t, s)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
			}
			s := openStory(t, path)
			if diff := cmp.Diff(past{
				Sales: make([]restock.Sale, 3), Stockouts: make([]restock.Stockout, 2), Dead: make([]driver.DeadLetter, 1),
				Receipt: "four of ten",
			}, outline(remember(t, s))); diff != "" {
				t.Errorf("what is remembered (-want +got):\n%s", diff)
			}
			goOn(t, s)
			wantClean(t, s)
		})
	}
}

// TestMailsOfTheOldSchemaGoOnAndAWebhookHearsNothingOfThem opens the file in
// which one mail was sent and one is on its way.
func TestMailsOfTheOldSchemaGoOnAndAWebhookHearsNothingOfThem(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	copyFile(t, "testdata/schema-4.db", path)
	at := storyTime().Add(time.Minute)
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{Now: func() time.Time { return at }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	hook := byMail()
	hook.Channel, hook.Webhook = restock.ByWebhook, true
	if d, told, err := s.BeginDigest(t.Context(), hook); told || err != nil {
		t.Errorf("the webhook is told %+v, %v", d, err)
	}
	copied := byMail()
	copied.Channel = restock.ByCopy
	if d, told, err := s.BeginDigest(t.Context(), copied); told || err != nil {
		t.Errorf("the buyer is told %+v, %v", d, err)
	}
	d, told, err := s.BeginDigest(t.Context(), byMail())
	const onItsWay = "01a21329-bac7-7ea7-88b7-106bdbd01c10"
	if err != nil || !told || d.ID.String() != onItsWay || d.Total != 1 || d.Problems[0].Kind != restock.ProblemReceiptHeld {
		t.Errorf("the mail is %+v, %t, %v; want that of the stray report again, %s", d, told, err, onItsWay)
	}
	if err := s.EndDigest(t.Context(), d.ID, restock.ByMail); err != nil {
		t.Error(err)
	}
	if d, told, err := s.BeginDigest(t.Context(), byMail()); told || err != nil {
		t.Errorf("after it comes %+v, %v", d, err)
	}
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	content, err := os.ReadFile(from)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(to, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// shrink makes the pages of a file smaller, since most of its tables are nearly
// empty.
func shrink(t *testing.T, path string) {
	t.Helper()
	db := openRaw(t, path)
	db.SetMaxOpenConns(1)
	for _, query := range []string{
		`PRAGMA journal_mode = delete`, `PRAGMA page_size = 1024`, `VACUUM`, `PRAGMA journal_mode = wal`,
	} {
		if _, err := db.ExecContext(t.Context(), query); err != nil {
			t.Fatal(err)
		}
	}
}

func openStory(t *testing.T, path string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{Now: storyTime})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	return s
}

func wantClean(t *testing.T, s *store.Store) {
	t.Helper()
	checks, err := s.Verify(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range checks {
		if c.Broken > 0 {
			t.Errorf("%s %s: %q", c.Promise, c.Name, c.Violations)
		}
	}
}

func storyCatalog() restock.Catalog {
	product := func(sku restock.SKU, stock int64) restock.CatalogProduct {
		return restock.CatalogProduct{
			SKU: sku, Name: "도너츠 " + string(sku), Price: 19900, UnitCost: 7000, OpeningStock: stock,
			Factory: "FF-500293", Advertisement: "donut-main", OrderQuantity: 10,
		}
	}
	c := restock.Catalog{
		DefaultProduct: "CP-1", BuyerEmail: "buyer@donut.example",
		Factories:      []restock.CatalogFactory{{Identifier: "FF-500293", URL: "http://127.0.0.1:4000/api/manufactures", Requester: "김재고"}},
		Advertisements: []restock.CatalogAdvertisement{{Name: "donut-main", ManagerEmail: "ads@donut.example"}},
		Products:       []restock.CatalogProduct{product("CP-1", 3), product("CP-2", 2)},
	}
	c.Fill()
	return c
}

// tellStory fills a new file: two products are sold out, a part of an order
// for one of them came, the message of the other is a dead letter, of which
// operations were told. A mail about a stray report is on its way.
func tellStory(t *testing.T, path string) {
	t.Helper()
	s := openStory(t, path)
	ctx := t.Context()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, err := s.ApplyCatalog(ctx, storyCatalog(), store.CreateMissing)
	must(err)
	must(s.UseCallbackKeys(ctx, map[byte]string{1: "fingerprint"}))
	buy(t, s, "CP-1", 1, restock.Invalid)
	buy(t, s, "CP-1", 2, restock.Invalid)
	buy(t, s, "CP-2", 3, restock.OutOfStock)
	buy(t, s, "CP-2", 2, restock.Invalid)
	buy(t, s, "CP-2", 1, restock.OutOfStock)
	got, err := s.Queue().Receive(ctx, restock.StockQueue, driver.Request{Max: 1, Visibility: time.Minute})
	must(err)
	must(s.Queue().Dead(ctx, got[0], "it cannot be read"))
	p, err := s.Product(ctx, "CP-1")
	must(err)
	_, err = s.Plan(ctx, p.ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Reason: "the position is low"}
	})
	must(err)
	a, err := s.ClaimAttempt(ctx, "owner", time.Minute)
	must(err)
	must(s.SettleAttempt(ctx, a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted, Status: 201, FactoryRef: "ref"}, DueAt: storyTime().Add(time.Hour),
	}))
	sending, _, err := s.TurnAd(ctx, p.AdvertisementID, time.Minute, func(restock.AdSituation) restock.AdTurn {
		return restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop}
	})
	must(err)
	must(s.EndAdMail(ctx, sending))
	report(t, s, a.OrderID, 4, "four of ten")
	told, _, err := s.BeginDigest(ctx, byMail())
	must(err)
	must(s.EndDigest(ctx, told.ID, restock.ByMail))
	stray(t, s)
	_, _, err = s.BeginDigest(ctx, byMail())
	must(err)
	must(s.Close())
}

func byMail() restock.DigestRequest {
	return restock.DigestRequest{Audience: restock.Operations, Channel: restock.ByMail, Lease: time.Minute}
}

// stray is a report about an order that nobody knows; it is held.
func stray(t *testing.T, s *store.Store) {
	t.Helper()
	c := restock.Callback{OrderID: restock.OrderID{1}, Attempt: 1, Count: 1, Claimed: "1", Body: []byte("stray")}
	if _, err := s.Receive(t.Context(), c, nil); err != nil {
		t.Fatal(err)
	}
}

// buy sells, or is refused for the reason given; Invalid stands for a sale.
func buy(t *testing.T, s *store.Store, sku string, quantity int64, refused restock.Kind) {
	t.Helper()
	outcomes, err := s.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: sku, Quantity: quantity}}, Reference: "shop-7"}})
	if err != nil {
		t.Fatal(err)
	}
	if err := outcomes[0].Err; (err == nil) != (refused == restock.Invalid) || err != nil && restock.KindOf(err) != refused {
		t.Fatalf("%d of %s: %v", quantity, sku, err)
	}
}

func report(t *testing.T, s *store.Store, id restock.OrderID, count int64, body string) {
	t.Helper()
	c := restock.Callback{OrderID: id, Attempt: 1, Count: count, Claimed: body, Body: []byte(body)}
	copy(c.Hash[:], body)
	r, err := s.Receive(t.Context(), c, func(e restock.Evidence) restock.Verdict {
		return restock.Verdict{State: restock.ReceiptApplied, Apply: e.Callback.Count}
	})
	if err != nil || r.Applied != count {
		t.Fatalf("receipt %+v, %v", r, err)
	}
}

// remember reads what is left of the story.
func remember(t *testing.T, s *store.Store) past {
	t.Helper()
	var p past
	all := restock.ListQuery{Limit: 100}
	read := func(fn func(context.Context) error) {
		t.Helper()
		if err := fn(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	read(func(ctx context.Context) (err error) { p.Sales, _, err = s.Sales(ctx, all); return err })
	read(func(ctx context.Context) (err error) { p.Stockouts, _, err = s.Stockouts(ctx, all); return err })
	read(func(ctx context.Context) (err error) {
		p.Dead, _, err = s.Queue().DeadLetters(ctx, driver.Filter{})
		return err
	})
	read(func(ctx context.Context) error {
		orders, _, err := s.Orders(ctx, all)
		if err == nil && len(orders) == 1 {
			p.Order, err = s.Order(ctx, orders[0].ID)
		}
		return err
	})
	for _, r := range p.Order.Receipts {
		read(func(ctx context.Context) error {
			_, body, err := s.Receipt(ctx, r.ID)
			p.Receipt = string(body)
			return err
		})
	}
	return p
}

// outline keeps only how much there is, after a look at the order.
func outline(p past) past {
	if o := p.Order; o.State == restock.OrderPartlyReceived && o.Received == 4 && len(o.Attempts) == 1 && o.Attempts[0].Requester == "김재고" {
		p.Order = restock.Order{}
	}
	clear(p.Sales)
	clear(p.Stockouts)
	clear(p.Dead)
	return p
}

// goOn sells, receives and redrives on what the old program left.
func goOn(t *testing.T, s *store.Store) {
	t.Helper()
	p := remember(t, s)
	buy(t, s, "CP-1", 3, restock.Invalid)
	report(t, s, p.Order.ID, 6, "six of ten")
	if got := remember(t, s).Order.State; got != restock.OrderReceived {
		t.Errorf("the order is %s, want received", got)
	}
	buy(t, s, "CP-1", 7, restock.Invalid)
	buy(t, s, "CP-1", 1, restock.OutOfStock)
	done, err := s.Queue().Redrive(t.Context(), p.Dead[0].Queue, p.Dead[0].MessageID)
	if err != nil || !done {
		t.Errorf("redriven: %t, %v", done, err)
	}
	if err := s.UseCallbackKeys(t.Context(), map[byte]string{1: "another"}); restock.KindOf(err) != restock.Conflict {
		t.Errorf("another callback key: %v", err)
	}
}
