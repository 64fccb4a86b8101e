package ads_test

import (
	"context"
	"encoding/json"
	"errors"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/store"
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
	return append([]mail.Message(nil), o.mails...)
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
	out   queue.Message // stock.out of its stockout
	back  queue.Message // stock.back of it
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
	zone := time.FixedZone("KST", 9*60*60)
	k.desk = ads.New(k.store, k.box, ads.Config{
		From: "shop@donut.example", ReplyTo: "ops@donut.example", Domain: "donut.example", Zone: zone,
	})
	_, err = k.store.Sell(t.Context(), []restock.Cart{{Lines: []restock.Line{{Quantity: 3}}}})
	k.must(err)
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

func TestTheWholeConversationInKorean(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	a := k.order()
	k.must(k.handle(k.out))
	k.clock.advance(10 * time.Minute)
	k.arrive(a)
	k.must(k.handle(k.back))
	mails := k.box.sent()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	want := []mail.Message{
		{
			ID: mails[0].ID, From: "shop@donut.example", ReplyTo: "ops@donut.example", To: "ads@donut.example", Kind: ads.KindStop,
			Date:    time.Date(2026, 3, 1, 0, 30, 0, 0, time.UTC),
			Subject: "광고 중지 요청: donut-main (부산도너츠 품절)",
			Text: "부산도너츠 (CP-1) 상품이 2026-03-01 09:30:00 KST부터 품절입니다.\n\n" +
				"10개가 발주되어 있으며 2026-03-01 09:30:40 KST 입고 예정입니다.\n\n" +
				"광고 donut-main을(를) 중지해 주세요. 다시 시작할 수 있게 되면 바로 알려 드리겠습니다.\n\n— restock\n",
		},
		{
			ID: mails[1].ID, From: "shop@donut.example", ReplyTo: "ops@donut.example", To: "ads@donut.example", Kind: ads.KindResume,
			InReplyTo: mails[0].ID, Date: time.Date(2026, 3, 1, 0, 40, 0, 0, time.UTC),
			Subject: "광고 재개 가능: donut-main (부산도너츠 재입고)",
			Text: "부산도너츠 (CP-1) 상품이 2026-03-01 09:40:00 KST부터 다시 판매되고 있습니다.\n\n" +
				"광고 donut-main을(를) 다시 시작하셔도 됩니다.\n\n— restock\n",
		},
	}
	if diff := cmp.Diff(want, mails); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	for _, m := range mails {
		if !strings.HasPrefix(m.ID, m.Kind+".") || !strings.HasSuffix(m.ID, "@donut.example") {
			t.Errorf("Message-ID %q", m.ID)
		}
	}
}

func TestTheMailsInEnglish(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, nil)
	k.must(k.handle(k.out))
	k.arrive(k.order())
	k.must(k.handle(k.back))
	mails := k.box.sent()
	if len(mails) != 2 {
		t.Fatalf("%d mails, want 2", len(mails))
	}
	got := []string{mails[0].Subject, mails[0].Text, mails[1].Subject, mails[1].Text}
	want := []string{
		"Please stop the advertisement donut-main: 부산도너츠 is sold out",
		"부산도너츠 (CP-1) has been sold out since 2026-03-01 09:30:00 KST.\n\nNothing is on order yet.\n\n" +
			"Please stop the advertisement donut-main. We will write again as soon as it can resume.\n\n— restock\n",
		"The advertisement donut-main can resume: 부산도너츠 is back",
		"부산도너츠 (CP-1) has been available again since 2026-03-01 09:30:00 KST.\n\nThe advertisement donut-main can resume.\n\n— restock\n",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestNothingOnOrderIsSaidInKoreanToo(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.must(k.handle(k.out))
	if text := k.box.sent()[0].Text; !strings.Contains(text, "아직 발주된 수량이 없습니다.") {
		t.Errorf("text %q", text)
	}
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
	if n := len(k.box.sent()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
}

func TestGoodsBackBeforeTheMailWriteNothing(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.arrive(k.order())
	k.must(k.handle(k.back)) // the messages come in the other order
	k.must(k.handle(k.out))
	if got := k.box.sent(); len(got) != 0 {
		t.Errorf("mails %+v, want none", got)
	}
}

func TestAMailThatMayHaveGoneIsRepeatedAsTheSameMail(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	// Its process dies after the mail and before it was recorded.
	broken := ads.New(dying{k.store}, k.box, ads.Config{From: "shop@donut.example", Domain: "donut.example"})
	if err := broken.Handlers()[k.out.Type](t.Context(), k.out); err == nil || queue.IsDiscard(err) {
		t.Errorf("error %v, want it tried again", err)
	}
	if _, ok := queue.AsLater(k.handle(k.out)); !ok {
		t.Error("a second mail was sent while the first may be on its way")
	}
	k.clock.advance(time.Hour)
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
	k.arrive(k.order())
	k.clock.advance(time.Hour)
	k.must(k.handle(k.back))
	if mails = k.box.sent(); len(mails) != 3 || mails[2].Kind != ads.KindResume {
		t.Errorf("mails %+v, want one that it can resume", mails)
	}
}

// dying is a store whose process ends before a mail is recorded.
type dying struct{ *store.Store }

func (dying) EndStop(context.Context, restock.AdHoldID) error { return errors.New("the process died") }

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
	if n := len(k.box.sent()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

func TestAMailThatFailedForNowIsTriedAgainAtOnce(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	k.box.err = errors.New("451 greylisted")
	for range 3 {
		err := k.handle(k.out)
		if _, later := queue.AsLater(err); err == nil || later || queue.IsDiscard(err) {
			t.Errorf("error %v, want a receive that failed", err)
		}
	}
	k.box.err = nil
	k.must(k.handle(k.out))
	k.arrive(k.order())
	k.box.err = errors.New("451 greylisted")
	if err := k.handle(k.back); err == nil {
		t.Error("no error")
	}
	k.box.err = nil
	k.must(k.handle(k.back))
	if n := len(k.box.sent()); n != 2 {
		t.Errorf("%d mails, want 2", n)
	}
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
	mails := k.box.sent()
	if len(mails) != 2 || mails[0].Kind != ads.KindStop || mails[1].Kind != ads.KindResume {
		t.Errorf("mails %+v, want stop and then resume", mails)
	}
}

func TestWithoutAnAdvertisementNobodyIsAsked(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, func(c *restock.Catalog) { c.Products[0].Advertisement = "" })
	k.must(k.handle(k.out))
	k.must(k.handle(k.back))
	if n := len(k.box.sent()); n != 0 {
		t.Errorf("%d mails, want none", n)
	}
}

func TestAMessageThatCannotBeActedOnIsDiscarded(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.Korean, nil)
	for _, body := range []string{"", "donuts are out of stock", "[]", `{"version":2}`, `{"version":0}`, `{"stockout_id":7,"version":1}`} {
		for _, typ := range []restock.EventType{restock.StockOut, restock.StockBack} {
			if err := k.handle(queue.Message{Type: string(typ), Body: []byte(body)}); !queue.IsDiscard(err) {
				t.Errorf("%s with %q: %v, want it discarded", typ, body, err)
			}
		}
	}
	if err := k.handle(message(t, restock.StockOut, restock.StockoutID{1})); !queue.IsDiscard(err) {
		t.Errorf("of no known stockout: %v, want it discarded", err)
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
	if n := len(k.box.sent()); n != 1 {
		t.Errorf("%d mails, want 1", n)
	}
}

// TestNamesCannotAddHeaders sends through the writer of .eml files what a
// catalogue may hold.
func TestNamesCannotAddHeaders(t *testing.T) {
	t.Parallel()
	k := soldOut(t, restock.English, func(c *restock.Catalog) {
		c.Products[0].Name = "donut\r\nBcc: everybody@donut.example\r\n\r\nbody"
		c.Advertisements[0].Name = "main\nX-Injected: yes"
		c.Products[0].Advertisement = c.Advertisements[0].Name
	})
	folder := t.TempDir()
	files, err := mail.Open("file:"+folder, mail.Config{})
	k.must(err)
	desk := ads.New(k.store, files, ads.Config{From: "shop@donut.example", Domain: "donut.example"})
	k.must(desk.Handlers()[k.out.Type](t.Context(), k.out))
	written := readMail(t, folder)
	header, _, _ := strings.Cut(written, "\r\n\r\n")
	for line := range strings.SplitSeq(header, "\r\n") {
		if strings.HasPrefix(line, "Bcc:") || strings.HasPrefix(line, "X-Injected:") {
			t.Errorf("an injected header: %q", line)
		}
	}
}
