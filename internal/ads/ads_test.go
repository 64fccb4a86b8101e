package ads_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
)

// outbox records what is sent, or fails as it is told.
type outbox struct {
	mu    sync.Mutex
	mails []mail.Message
	err   error
	hold  func() // runs while a mail is on its way
}

func (o *outbox) Send(_ context.Context, m mail.Message) error {
	if o.hold != nil {
		o.hold()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.err != nil {
		return o.err
	}
	o.mails = append(o.mails, m)
	return nil
}

func (o *outbox) sent() []mail.Message {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.mails)
}

func (o *outbox) kinds() []string {
	var kinds []string
	for _, m := range o.sent() {
		kinds = append(kinds, m.Kind)
	}
	return kinds
}

type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// talk is a shop whose one product is advertised, and the desk that writes to
// the ad manager.
type talk struct {
	t     *testing.T
	store *store.Store
	clock *clock
	box   *outbox
	desk  *ads.Desk
	out   queue.Message // stock.out of its first stockout
	back  queue.Message // stock.back of it
}

// links gives a signer with a key of its own.
func links(t testing.TB) replenish.Links {
	t.Helper()
	text := replenish.NewKeys().Format()
	ring, err := replenish.OpenKeyring(t.Context(), func() (string, error) { return text, nil },
		func(context.Context, map[byte]string) error { return nil }, nil)
	if err != nil {
		t.Fatal(err)
	}
	return ring.Links()
}

func config(t testing.TB, now func() time.Time) ads.Config {
	t.Helper()
	return ads.Config{
		From: "shop@donut.example", ReplyTo: "ops@donut.example", Domain: "donut.example", Zone: time.FixedZone("KST", 9*60*60),
		PublicURL: "https://shop.example/", Links: links(t), Now: now, Pace: pace,
	}
}

func soldOut(t *testing.T, language restock.Language, edit func(*restock.Catalog)) *talk {
	t.Helper()
	k := &talk{t: t, clock: &clock{at: time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC)}, box: &outbox{}}
	var err error
	k.store, err = store.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "restock.db"), store.Config{Now: k.clock.now})
	k.must(err)
	t.Cleanup(func() {
		if err := k.store.Close(); err != nil {
			t.Error(err)
		}
	})
	c := restock.Catalog{
		Factories:      []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1:4000/", LeadTime: 40 * time.Second}},
		Advertisements: []restock.CatalogAdvertisement{{Name: "donut-main", ManagerEmail: "ads@donut.example", Language: language}},
		Products: []restock.CatalogProduct{{
			SKU: "CP-1", Name: "부산도너츠", Price: 19900, OpeningStock: 3, OrderQuantity: 10, Factory: "FF-1", Advertisement: "donut-main",
		}},
	}
	if edit != nil {
		edit(&c)
	}
	c.Fill()
	_, err = k.store.ApplyCatalog(t.Context(), c, store.CreateMissing)
	k.must(err)
	k.desk = ads.New(k.store, k.box, config(t, k.clock.now))
	for _, p := range c.Products {
		_, err = k.store.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Product: string(p.SKU), Quantity: 3}}}})
		k.must(err)
	}
	id := k.product().Stock.StockoutID
	k.out, k.back = message(t, restock.StockOut, id), message(t, restock.StockBack, id)
	return k
}

func message(t *testing.T, typ restock.EventType, id restock.StockoutID) queue.Message {
	t.Helper()
	body, err := json.Marshal(restock.EventData{Version: restock.EventVersion, SKU: "CP-1", StockoutID: id})
	if err != nil {
		t.Fatal(err)
	}
	return queue.Message{Type: string(typ), Body: body}
}

func (k *talk) must(err error) {
	k.t.Helper()
	if err != nil {
		k.t.Fatal(err)
	}
}

func (k *talk) product() restock.Product {
	k.t.Helper()
	p, err := k.store.Product(k.t.Context(), "CP-1")
	k.must(err)
	return p
}

func (k *talk) handle(m queue.Message) error {
	return k.desk.Handlers()[m.Type](k.t.Context(), m)
}

// drain has the desk handle all messages that are waiting, those that come again
// later too. The time stands still for a message that must wait for a mail.
func (k *talk) drain() {
	k.t.Helper()
	q := k.store.Queue()
	for range 10_000 {
		got, err := q.Receive(k.t.Context(), restock.AdQueue, driver.Request{Max: 1, Visibility: time.Minute})
		k.must(err)
		if len(got) == 0 {
			return
		}
		err = k.handle(got[0].Message)
		if _, later := queue.AsLater(err); later {
			k.must(q.Later(k.t.Context(), got[0], 0))
			continue
		}
		k.must(err)
		k.must(q.Done(k.t.Context(), got[0]))
	}
	k.t.Fatal("messages without end")
}

// pass lets time pass as the sweep sees it: what becomes due is handled.
func (k *talk) pass(d time.Duration) {
	k.t.Helper()
	k.clock.advance(d)
	_, err := k.store.PublishDueAds(k.t.Context(), 100)
	k.must(err)
	k.drain()
}

// order has 10 pieces made.
func (k *talk) order() restock.Attempt {
	k.t.Helper()
	_, err := k.store.Plan(k.t.Context(), k.product().ID, func(restock.Situation) restock.Decision {
		return restock.Decision{Order: true, Quantity: 10, Reason: "a test"}
	})
	k.must(err)
	a, err := k.store.ClaimAttempt(k.t.Context(), "owner", time.Minute)
	k.must(err)
	k.must(k.store.SettleAttempt(k.t.Context(), a, restock.Answered{
		Answer: restock.Answer{State: restock.AttemptAccepted}, DueAt: k.clock.now().Add(time.Hour),
	}))
	return a
}

func (k *talk) arrive(a restock.Attempt) {
	k.t.Helper()
	_, err := k.store.Receive(k.t.Context(), restock.Callback{OrderID: a.OrderID, Attempt: a.Number, Count: 10},
		func(restock.Evidence) restock.Verdict {
			return restock.Verdict{State: restock.ReceiptApplied, Apply: 10}
		})
	k.must(err)
}

// count books a stocktake of the product.
func (k *talk) count(sku string, n int64) {
	k.t.Helper()
	_, err := k.store.Adjust(k.t.Context(), restock.AdjustmentRequest{Product: sku, Counted: &n, Reason: "a test"}, restock.Key{})
	k.must(err)
}

func (k *talk) wantKinds(want ...string) {
	k.t.Helper()
	if diff := cmp.Diff(want, k.box.kinds(), cmpopts.EquateEmpty()); diff != "" {
		k.t.Errorf("mails (-want +got):\n%s", diff)
	}
}

func TestTheWholeConversation(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	a := k.order()
	k.drain()
	k.wantKinds(ads.KindStop)
	k.pass(time.Hour - time.Second)
	k.wantKinds(ads.KindStop)
	k.pass(time.Second)
	k.wantKinds(ads.KindStop, ads.KindStopReminder)
	k.pass(3*time.Hour - time.Second)
	k.wantHold(func(h restock.AdHold) bool { return h.EscalatedAt.IsZero() }, "operations are told too early")
	k.pass(time.Second)
	k.wantHold(func(h restock.AdHold) bool { return h.EscalatedAt.Equal(k.clock.now()) }, "operations are not told")
	k.pass(24 * time.Hour)
	k.wantKinds(ads.KindStop, ads.KindStopReminder)
	k.arrive(a)
	k.drain()
	k.wantKinds(ads.KindStop, ads.KindStopReminder, ads.KindResume)
	k.wantHold(func(h restock.AdHold) bool { return h.EscalatedAt.IsZero() }, "operations still wait for an answer about the stop")
	k.pass(time.Hour)
	k.pass(3 * time.Hour)
	k.wantKinds(ads.KindStop, ads.KindStopReminder, ads.KindResume, ads.KindResumeReminder)
	k.wantHold(func(h restock.AdHold) bool { return !h.EscalatedAt.IsZero() }, "operations do not hear that nobody resumes it")
	mails := k.box.sent()
	for i, answers := range []int{-1, 0, 0, 2} {
		want := ""
		if answers >= 0 {
			want = mails[answers].ID
		}
		if mails[i].InReplyTo != want {
			t.Errorf("%s answers %q, want %q", mails[i].Kind, mails[i].InReplyTo, want)
		}
	}
	if diff := cmp.Diff([]string{mails[0].ID}, mails[3].References); diff != "" {
		t.Errorf("references of the last mail (-want +got):\n%s", diff)
	}
	for i, of := range map[int]int{1: 0, 3: 2} {
		if mails[i].Subject != "Re: "+mails[of].Subject {
			t.Errorf("the subject of a reminder is %q, want that of %q", mails[i].Subject, mails[of].Subject)
		}
	}
}

// wantHold looks at the last hold.
func (k *talk) wantHold(ok func(restock.AdHold) bool, complaint string) {
	k.t.Helper()
	holds, _, err := k.store.AdHolds(k.t.Context(), restock.ListQuery{Limit: 1})
	k.must(err)
	if len(holds) != 1 || !ok(holds[0]) {
		k.t.Errorf("%s: %+v", complaint, holds)
	}
}

func TestAnAnswerEndsTheReminders(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	if status, _ := k.click(k.box.sent()[0]); status != 200 {
		t.Fatalf("the answer is answered with %d", status)
	}
	k.pass(time.Hour)
	k.pass(24 * time.Hour)
	k.wantKinds(ads.KindStop)
	k.count("CP-1", 5)
	k.drain()
	k.click(k.box.sent()[1])
	k.pass(24 * time.Hour)
	k.wantKinds(ads.KindStop, ads.KindResume)
}

func TestAMessageThatComesTwiceWritesOnce(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	for range 3 {
		k.must(k.handle(k.out))
	}
	k.arrive(k.order())
	for range 3 {
		k.must(k.handle(k.back))
		k.must(k.handle(k.out)) // and late
	}
	k.wantKinds(ads.KindStop, ads.KindResume)
}

func TestGoodsBackBeforeTheMailWriteNothing(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.arrive(k.order())
	k.must(k.handle(k.back)) // the messages come in the other order
	k.must(k.handle(k.out))
	k.wantKinds()
}

func TestAMailThatMayHaveGoneIsRepeatedAsTheSameMail(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	// Its process dies after the mail and before it was recorded.
	cfg := config(t, k.clock.now)
	broken := ads.New(dying{k.store}, k.box, cfg)
	if err := broken.Handlers()[k.out.Type](t.Context(), k.out); err == nil || queue.IsDiscard(err) {
		t.Errorf("error %v, want it tried again", err)
	}
	if _, ok := queue.AsLater(k.handle(k.out)); !ok {
		t.Error("a second mail was sent while the first may be on its way")
	}
	k.clock.advance(time.Hour)
	k.order() // the mail would say more now
	if err := broken.Handlers()[k.out.Type](t.Context(), k.out); err == nil {
		t.Error("no error")
	}
	mails := k.box.sent()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	if diff := cmp.Diff(mails[0], mails[1]); diff != "" {
		t.Errorf("the repeat is another mail (-first +repeat):\n%s", diff)
	}
	// The stockout ends: who may have been asked to stop hears that it can resume.
	k.count("CP-1", 5)
	k.clock.advance(time.Hour)
	k.must(k.handle(k.back))
	k.wantKinds(ads.KindStop, ads.KindStop, ads.KindResume)
}

// dying is a store whose process ends before a mail is recorded.
type dying struct{ *store.Store }

func (dying) EndAdMail(context.Context, restock.AdSending) error {
	return errors.New("the process died")
}

func TestARefusedMailIsADeadLetter(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.box.err = restock.Errorf(restock.Invalid, restock.CodeInvalid, "550 no such mailbox")
	err := k.handle(k.out)
	if !queue.IsDiscard(err) || !strings.Contains(err.Error(), "ads@donut.example") || !strings.Contains(err.Error(), "550") {
		t.Errorf("error %v, want it discarded, with whom and why", err)
	}
	k.box.err = nil
	k.must(k.handle(k.out)) // redriven at once: nothing blocks it
	k.wantKinds(ads.KindStop)
}

func TestARefusedMailToStopNeedsNoMailToResume(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.box.err = restock.Errorf(restock.Invalid, restock.CodeInvalid, "550 no such mailbox")
	if err := k.handle(k.out); !queue.IsDiscard(err) {
		t.Errorf("error %v", err)
	}
	k.box.err = nil
	k.count("CP-1", 5)
	k.must(k.handle(k.back))
	k.must(k.handle(k.out)) // redriven
	k.wantKinds()
}

func TestAMailThatFailedForNowIsTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.box.err = errors.New("connection reset")
	for range 3 {
		err := k.handle(k.out)
		if _, later := queue.AsLater(err); err == nil || later || queue.IsDiscard(err) {
			t.Errorf("error %v, want a receive that failed", err)
		}
	}
	k.box.err = nil
	k.must(k.handle(k.out))
	k.arrive(k.order())
	k.box.err = errors.New("connection reset")
	if err := k.handle(k.back); err == nil {
		t.Error("no error")
	}
	k.box.err = nil
	k.must(k.handle(k.back))
	k.wantKinds(ads.KindStop, ads.KindResume)
}

// TestTheLastMailToArriveIsTrue lets the goods come back while the mail that
// asks to stop is on its way.
func TestTheLastMailToArriveIsTrue(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	a := k.order()
	k.box.hold = func() {
		k.box.hold = nil
		k.arrive(a)
		if delay, ok := queue.AsLater(k.handle(k.back)); !ok || delay <= 0 {
			t.Errorf("the mail that it can resume was sent beside the one that asks to stop")
		}
	}
	k.must(k.handle(k.out))
	k.must(k.handle(k.back))
	k.wantKinds(ads.KindStop, ads.KindResume)
}

func TestWithoutAnAdvertisementNobodyIsAsked(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, func(c *restock.Catalog) { c.Products[0].Advertisement = "" })
	k.must(k.handle(k.out))
	k.must(k.handle(k.back))
	k.wantKinds()
}

func TestAMessageThatCannotBeActedOnIsDiscarded(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	for _, body := range []string{
		"", "donuts are out of stock", "[]", `{"version":2}`, `{"version":0}`, `{"stockout_id":7,"version":1}`,
		`{"version":1}`, `{"version":1,"stockout_id":"01000000-0000-0000-0000-000000000000","ad_id":"01000000-0000-0000-0000-000000000000"}`,
	} {
		for _, typ := range []restock.EventType{restock.StockOut, restock.StockBack, restock.AdDue} {
			if err := k.handle(queue.Message{Type: string(typ), Body: []byte(body)}); !queue.IsDiscard(err) {
				t.Errorf("%s with %q: %v, want it discarded", typ, body, err)
			}
		}
	}
}

func TestManyWorkersWriteOneMail(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			err := k.handle(k.out)
			if _, later := queue.AsLater(err); err != nil && !later {
				t.Error(err)
			}
		})
	}
	all.Wait()
	k.wantKinds(ads.KindStop)
}

// TestAThousandCrossingsAreThreeMails crosses zero in a real store, and has the
// messages handled in bursts, as they come.
func TestAThousandCrossingsAreThreeMails(t *testing.T) {
	t.Parallel()
	crossings := 50
	switch {
	case os.Getenv("RESTOCK_TEST_FULL") != "1":
	case blackbox.RaceDetector:
		blackbox.RunWithoutRaceDetector(t)
	default:
		crossings = 1000
	}
	for _, endsOut := range []bool{true, false} {
		k := soldOut(t, restock.Korean, nil)
		for i := range crossings {
			k.count("CP-1", int64((i+1)%2))
			k.clock.advance(time.Minute / time.Duration(crossings))
			if i%7 == 0 {
				k.drain()
			}
		}
		if !endsOut {
			k.count("CP-1", 1)
		}
		k.drain()
		k.wantKinds(ads.KindStop, ads.KindResume)
		k.pass(pace.Spacing)
		if endsOut {
			k.wantKinds(ads.KindStop, ads.KindResume, ads.KindStop)
		} else {
			k.wantKinds(ads.KindStop, ads.KindResume)
		}
	}
}

func TestASharedAdvertisementStopsWhenAllAreOutOrAny(t *testing.T) {
	t.Parallel()
	for _, when := range []restock.StopWhen{restock.StopWhenAll, restock.StopWhenAny} {
		k := soldOut(t, restock.English, func(c *restock.Catalog) {
			other := c.Products[0]
			other.SKU, other.Name = "CP-2", "Cream Donut"
			c.Products = append(c.Products, other)
			c.Advertisements[0].StopWhen = when
		})
		k.drain() // both are sold out
		k.wantKinds(ads.KindStop)
		k.clock.advance(time.Minute)
		k.count("CP-2", 5)
		k.drain()
		if when == restock.StopWhenAny {
			k.wantKinds(ads.KindStop)
			k.count("CP-1", 5)
			k.drain()
		}
		k.wantKinds(ads.KindStop, ads.KindResume)
		mails := k.box.sent()
		if want := "Please stop the advertisement donut-main: 부산도너츠 and 1 more are sold out"; mails[0].Subject != want {
			t.Errorf("subject %q, want %q", mails[0].Subject, want)
		}
		if !strings.Contains(mails[1].Text, "Cream Donut (CP-2)") || strings.Contains(mails[1].Text, "부산도너츠") != (when == restock.StopWhenAny) {
			t.Errorf("%s: the mail that it can resume names what is back:\n%s", when, mails[1].Text)
		}
	}
}

// TestWhatTheServerPutsOffIsTriedForADay lets a mail server greylist.
func TestWhatTheServerPutsOffIsTriedForADay(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	server := openServer(t)
	server.refuse(450, "come back later")
	sender, err := mail.Open(server.url(), mail.Config{})
	k.must(err)
	desk := ads.New(k.store, sender, config(t, k.clock.now))
	var pauses []time.Duration
	for {
		err := desk.Handlers()[k.out.Type](t.Context(), k.out)
		pause, later := queue.AsLater(err)
		if !later {
			if err == nil || queue.IsDiscard(err) || !strings.Contains(err.Error(), "come back later") {
				t.Errorf("after %d tries: %v, want a receive that failed", len(pauses), err)
			}
			break
		}
		if pauses = append(pauses, pause); len(pauses) > 12 {
			pause = time.Hour // nobody was there meanwhile
		}
		k.clock.advance(pause)
	}
	if pauses[0] != ads.DefaultRetryBase || pauses[1] != 2*ads.DefaultRetryBase || slices.Max(pauses) != 5*time.Minute {
		t.Errorf("pauses %v", pauses[:12])
	}
	k.wantHold(func(h restock.AdHold) bool { return h.Told() == "" }, "nobody was told")
	server.refuse(0, "")
	k.must(desk.Handlers()[k.out.Type](t.Context(), k.out))
	k.wantHold(func(h restock.AdHold) bool { return h.Told() == restock.AskStop }, "the manager was told")
}

// TestTheSweepFindsWhatNoMessageTold loses an event: the sweep sends one message
// for it, however long nobody handles that.
func TestTheSweepFindsWhatNoMessageTold(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	take := func() driver.Delivery {
		t.Helper()
		got, err := k.store.Queue().Receive(t.Context(), restock.AdQueue, driver.Request{Max: 1, Visibility: time.Minute, Wait: 2 * time.Minute})
		k.must(err)
		if len(got) != 1 {
			t.Fatalf("%d messages, want one", len(got))
		}
		return got[0]
	}
	k.must(k.store.Queue().Done(t.Context(), take())) // and nobody handled it
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(t, time.Now)
	sweeps := make(chan struct{})
	watched := watchedSweep{k.store, sweeps}
	cfg.SweepInterval = time.Millisecond
	var sweep sync.WaitGroup
	sweep.Go(func() { _ = ads.New(watched, k.box, cfg).RunSweep(ctx) })
	for range 5 {
		<-sweeps
	}
	cancel()
	sweep.Wait()
	due := take()
	if due.Type != string(restock.AdDue) || due.Subject != "CP-1" {
		t.Errorf("message %s of %s, want %s", due.Type, due.Subject, restock.AdDue)
	}
	k.must(k.handle(due.Message))
	k.must(k.store.Queue().Done(t.Context(), due))
	k.wantKinds(ads.KindStop)
	k.drain() // there is no other
	k.wantKinds(ads.KindStop)
}

// watchedSweep is a store that tells when a sweep begins, once somebody listens.
type watchedSweep struct {
	*store.Store
	sweeps chan struct{}
}

func (w watchedSweep) UntoldAds(ctx context.Context, limit int, decide func(restock.AdSituation) restock.AdTurn) ([]restock.AdvertisementID, error) {
	select {
	case w.sweeps <- struct{}{}:
	case <-ctx.Done():
	}
	return w.Store.UntoldAds(ctx, limit, decide)
}

// TestAChangeOfTheCatalogueIsTold moves what is sold out to another advertisement.
func TestAChangeOfTheCatalogueIsTold(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.drain()
	c, err := k.store.ExportCatalog(t.Context())
	k.must(err)
	c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	c.Products[0].Advertisement = "other"
	c.Fill()
	_, err = k.store.ApplyCatalog(t.Context(), c, store.CreateAndEdit)
	k.must(err)
	untold, err := k.store.UntoldAds(t.Context(), 10, pace.Turn)
	k.must(err)
	if len(untold) != 2 {
		t.Fatalf("untold %v, want both advertisements", untold)
	}
	for _, id := range untold {
		k.must(k.store.PublishAdDue(t.Context(), id))
	}
	k.drain()
	mails := k.box.sent()[1:]
	slices.SortFunc(mails, func(a, b mail.Message) int { return strings.Compare(a.To, b.To) })
	got := []string{mails[0].To, mails[0].Subject, strings.Split(mails[0].Text, "\n")[0], mails[1].To, mails[1].Subject}
	want := []string{
		"ads@donut.example", "The advertisement donut-main can resume", "Nothing keeps the advertisement donut-main from running any more.",
		"other@donut.example", "광고 중지 요청: other (부산도너츠 품절)",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
}
