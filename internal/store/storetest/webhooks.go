package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

func webhookChecks() []check {
	return []check{
		{"EventsAreReadInTheOrderOfTheirCommitsAndNoneIsSkipped", eventsInOrder},
		{"EventsOfSomeTypesHaveTheSameCursor", eventsOfTypes},
		{"ACursorThatIsTooOldOrNoneSaysSo", eventCursors},
		{"EventsAreKeptUntilEveryWebhookHasThem", eventsKept},
		{"EachEventIsPutOnceIntoTheQueueOfEachThatWantsIt", fanOutOnce},
		{"WhatHappenedBeforeIsNotSent", fanOutFromNow},
		{"AWebhookThatFailsKeepsNoOtherFromItsEvents", fanOutApart},
		{"OnlySoManyWebhooksAreMade", webhooksBounded},
		{"OnlySoManyWebhooksAreMadeAtOnce", webhooksBoundedAtOnce},
		{"ASecretIsShownOnceAndTheOneBeforeSignsForADay", secretsRotate},
		{"ASecretKeepsItsTimeThoughAnotherRotationComes", secretsRotateAgain},
		{"AKeyMakesOneWebhook", webhookKey},
		{"AFailingWebhookIsKnownUntilItTakesSomething", webhookFails},
		{"ADeliveryIsReplayedWhateverBecameOfIt", replays},
		{"ARemovedWebhookLeavesNothing", removedLeavesNothing},
		{"OldDeliveriesAreForgotten", oldDeliveriesGo},
		{"TheDeadLetterOfAWebhookIsNeeded", webhookDeadLetter},
		{"AProgramThatSwitchesAnswersTheHold", switchAnswers},
		{"AProgramThatSwitchedBeforeTheHoldBeganHasAnsweredIt", switchAnswersLater},
		{"WhatIsOutdatedAnswersNothing", switchOutdated},
		{"OnlyOneAsksTheProgramThatSwitchesAtATime", oneSwitches},
	}
}

var operator = restock.Act{By: "kim"}

// hook makes a subscription.
func (s *shop) hook(types ...restock.EventType) restock.Webhook {
	s.t.Helper()
	w, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://shop.example/hook", Events: types, Secret: "whsec_1"}, operator, restock.Key{})
	s.must(err)
	return w
}

// fanOut puts all events into the queues.
func (s *shop) fanOut() {
	s.t.Helper()
	for {
		n, err := s.FanOut(s.ctx())
		s.must(err)
		if n == 0 {
			return
		}
	}
}

func (s *shop) deliveries(id restock.WebhookID) []restock.Delivery {
	s.t.Helper()
	all, _, err := s.Deliveries(s.ctx(), id, restock.ListQuery{})
	s.must(err)
	return all
}

// taken receives what waits for a subscription.
func (s *shop) received(id restock.WebhookID) []driver.Delivery {
	s.t.Helper()
	got, err := s.Queue().Receive(s.ctx(), restock.WebhookQueue(id), driver.Request{Max: 100, Visibility: time.Minute})
	s.must(err)
	return got
}

func (s *shop) events(q restock.EventQuery) restock.EventPage {
	s.t.Helper()
	page, err := s.Events(s.ctx(), q)
	s.must(err)
	return page
}

func eventTypes(events []restock.Event) []string {
	names := []string{}
	for _, e := range events {
		names = append(names, string(e.Type)+" "+e.Subject)
	}
	return names
}

// eventsInOrder lets many sell at once, so that transactions commit in another
// order than they began in, while a reader follows.
func eventsInOrder(t *testing.T, h harness) {
	writers, each := 4, 5
	if full() {
		writers, each = 16, 25
	}
	products := []restock.CatalogProduct{}
	for i := range writers * each {
		products = append(products, plain(restock.SKU(fmt.Sprintf("P-%03d", i)), 1))
	}
	s := h.shop(t, catalogue(products...))
	after := s.events(restock.EventQuery{After: restock.EventsLatest}).Next
	var selling sync.WaitGroup
	ctx, stop := context.WithCancel(s.ctx())
	defer stop()
	for w := range writers {
		selling.Go(func() {
			for i := range each {
				sku := restock.SKU(fmt.Sprintf("P-%03d", w*each+i))
				if outcomes, err := s.Sell(ctx, []restock.Cart{cart(line(sku, 1))}); err != nil || outcomes[0].Err != nil {
					t.Errorf("%s was not sold: %v", sku, err)
				}
			}
		})
	}
	done := make(chan struct{})
	go func() { selling.Wait(); close(done) }()
	var followed []string
	follow := func() {
		for {
			page := s.events(restock.EventQuery{After: after, Limit: 3})
			followed = append(followed, eventTypes(page.Items)...)
			after = page.Next
			if !page.More {
				return
			}
		}
	}
	for going := true; going; {
		select {
		case <-done:
			going = false
		default:
		}
		follow()
	}
	all := eventTypes(s.events(restock.EventQuery{Limit: 1000}).Items)
	if diff := cmp.Diff(all, followed); diff != "" {
		t.Errorf("what a reader met who followed (-log +followed):\n%s", diff)
	}
	slices.Sort(followed)
	if got := len(slices.Compact(followed)); got != writers*each {
		t.Errorf("%d products had an event, want %d", got, writers*each)
	}
}

func eventsOfTypes(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10)))
	s.mustBuy("A", 1)
	s.mustBuy("B", 1)
	out := s.events(restock.EventQuery{Types: []restock.EventType{restock.StockOut}, Limit: 1})
	if diff := cmp.Diff([]string{"stock.out A"}, eventTypes(out.Items)); diff != "" || !out.More {
		t.Errorf("the first page (-want +got), more %t:\n%s", out.More, diff)
	}
	rest := s.events(restock.EventQuery{After: out.Next, Limit: 10})
	if diff := cmp.Diff([]string{"stock.low B", "stock.out B"}, eventTypes(rest.Items)); diff != "" || rest.More {
		t.Errorf("all after it (-want +got), more %t:\n%s", rest.More, diff)
	}
	if got := rest.Items[1]; got.Data.SKU != "B" || got.Data.StockoutID != s.product("B").Stock.StockoutID || !got.Time.Equal(s.clock.now()) || got.ID.IsZero() {
		t.Errorf("the event is %+v", got)
	}
	if end := s.events(restock.EventQuery{After: rest.Next}); len(end.Items) > 0 || end.Next != rest.Next {
		t.Errorf("at the end there is %+v", end)
	}
}

func eventCursors(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1), plain("B", 1)))
	s.mustBuy("A", 1)
	first := s.events(restock.EventQuery{}).Next
	s.clock.advance(time.Hour)
	s.mustBuy("B", 1)
	for _, after := range []string{"x", "-1", "1.5", "999", "0x1", strings.Repeat("9", 30)} {
		_, err := s.Events(s.ctx(), restock.EventQuery{After: after})
		wantKind(t, err, restock.Invalid)
	}
	if n, err := s.PurgeEvents(s.ctx(), s.clock.now(), 100); n != 1 || err != nil {
		t.Errorf("%d events were removed, %v, want 1", n, err)
	}
	if n, err := s.PurgeEvents(s.ctx(), s.clock.now(), 100); n != 0 || err != nil {
		t.Errorf("%d events more were removed, %v", n, err)
	}
	// Who has seen what was removed goes on, and so does who begins.
	for _, after := range []string{first, ""} {
		if diff := cmp.Diff([]string{"stock.out B"}, eventTypes(s.events(restock.EventQuery{After: after}).Items)); diff != "" {
			t.Errorf("after %q (-want +got):\n%s", after, diff)
		}
	}
	_, err := s.Events(s.ctx(), restock.EventQuery{After: "0"})
	if e, ok := errors.AsType[*restock.Error](err); !ok || e.Code != restock.CodeEventsGone {
		t.Errorf("a cursor from before what is kept: %v, want %s", err, restock.CodeEventsGone)
	}
}

func eventsKept(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1), plain("B", 1)))
	w := s.hook()
	s.mustBuy("A", 1)
	s.fanOut()
	if failing, err := s.FailingWebhooks(s.ctx()); len(failing) > 0 || err != nil {
		t.Errorf("failing are %+v, %v, want none", failing, err)
	}
	s.mustBuy("B", 1)
	sold := s.clock.now()
	s.clock.advance(time.Hour)
	// While no process sends, that is known.
	if failing, err := s.FailingWebhooks(s.ctx()); err != nil || len(failing) != 1 || !failing[0].FailingSince.Equal(sold) || !strings.Contains(failing[0].LastError, "hooks") {
		t.Errorf("failing are %+v, %v, want the one whose event waits", failing, err)
	}
	if n, err := s.PurgeEvents(s.ctx(), s.clock.now(), 100); n != 1 || err != nil {
		t.Errorf("%d events were removed, %v, want the one that is in its queue", n, err)
	}
	s.fanOut()
	if got := len(s.deliveries(w.ID)); got != 2 {
		t.Errorf("%d deliveries, want 2", got)
	}
	if n, err := s.PurgeEvents(s.ctx(), s.clock.now(), 100); n != 1 || err != nil {
		t.Errorf("%d events were removed then, %v, want 1", n, err)
	}
}

func fanOutOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10)))
	all, out, none := s.hook(), s.hook(restock.StockOut), s.hook(restock.ReceiptKept)
	s.mustBuy("A", 1)
	s.mustBuy("B", 1)
	var many sync.WaitGroup
	for range 4 {
		many.Go(func() { s.fanOut() })
	}
	many.Wait()
	for id, want := range map[restock.WebhookID][]string{
		all.ID: {"stock.out B", "stock.low B", "stock.out A", "stock.low A"}, out.ID: {"stock.out B", "stock.out A"}, none.ID: {},
	} {
		got := []string{}
		for _, d := range s.deliveries(id) {
			if d.State != restock.DeliveryWaiting || d.Tries != 0 || d.NextAt.IsZero() {
				t.Errorf("a delivery is %+v, want that it waits", d)
			}
			got = append(got, string(d.Type)+" "+d.Subject)
		}
		slices.Sort(got)
		slices.Sort(want)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("deliveries (-want +got):\n%s", diff)
		}
		received := s.received(id)
		if len(received) != len(want) {
			t.Errorf("%d messages in its queue, want %d", len(received), len(want))
		}
	}
}

func fanOutFromNow(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1), plain("B", 1)))
	s.mustBuy("A", 1)
	w := s.hook()
	s.mustBuy("B", 1)
	s.fanOut()
	if got := s.deliveries(w.ID); len(got) != 1 || got[0].Subject != "B" {
		t.Errorf("deliveries %+v, want the one of B", got)
	}
}

func webhooksBounded(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	var first restock.Webhook
	for i := range restock.WebhooksMax {
		if w := s.hook(); i == 0 {
			first = w
		}
	}
	_, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://shop.example/"}, operator, restock.Key{})
	wantKind(t, err, restock.Conflict)
	_, err = s.RemoveWebhook(s.ctx(), first.ID, operator)
	s.must(err)
	s.hook()
	_, err = s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://shop.example/", Acknowledges: "nobody"}, operator, restock.Key{})
	wantKind(t, err, restock.Conflict)
}

// webhooksBoundedAtOnce has more of them made at once than there is room for.
func webhooksBoundedAtOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	const room, more = 3, 5
	for range restock.WebhooksMax - room {
		s.hook()
	}
	var made, refused atomic.Int64
	atOnce(room+more, func(int) {
		_, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://shop.example/", Secret: "whsec_1"}, operator, restock.Key{})
		switch {
		case err == nil:
			made.Add(1)
		case restock.KindOf(err) == restock.Conflict:
			refused.Add(1)
		default:
			t.Error(err)
		}
	})
	if made.Load() != room || refused.Load() != more {
		t.Errorf("%d were made and %d refused, want %d and %d", made.Load(), refused.Load(), room, more)
	}
	s.wantCount(`SELECT COUNT(*) FROM webhooks`, restock.WebhooksMax)
}

// fanOutApart spoils the row of one of two subscriptions.
func fanOutApart(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10)))
	broken, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://shop.example/", Description: "broken", Secret: "whsec_1"}, operator, restock.Key{})
	s.must(err)
	well := s.hook() // it comes second
	s.exec(`UPDATE webhooks SET paused = 2 WHERE description = 'broken'`)
	s.mustBuy("A", 1)
	waiting := func(id restock.WebhookID) int {
		t.Helper()
		got, err := s.Queue().Receive(s.ctx(), restock.WebhookQueue(id), driver.Request{Max: 100, Visibility: time.Minute})
		s.must(err)
		return len(got)
	}
	if _, err := s.FanOut(s.ctx()); err == nil || !strings.Contains(err.Error(), broken.ID.String()) {
		t.Errorf("error %v, want it to name the webhook %s", err, broken.ID)
	}
	if n := waiting(well.ID); n != 2 {
		t.Errorf("%d events for the subscription beside the broken one, want stock.low and stock.out", n)
	}
	s.exec(`UPDATE webhooks SET paused = 0`)
	_, err = s.FanOut(s.ctx())
	s.must(err)
	if n := waiting(broken.ID); n != 2 {
		t.Errorf("%d events when it is mended, want both", n)
	}
}

func secretsRotate(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	w := s.hook()
	if w.Secret != "whsec_1" {
		t.Errorf("who made it sees %q", w.Secret)
	}
	rotated, err := s.RotateWebhookSecret(s.ctx(), w.ID, "whsec_2", operator)
	s.must(err)
	if rotated.Secret != "whsec_2" {
		t.Errorf("who rotated it sees %q", rotated.Secret)
	}
	shown, err := s.Webhook(s.ctx(), w.ID)
	s.must(err)
	listed, _, err := s.Webhooks(s.ctx(), restock.ListQuery{})
	s.must(err)
	if shown.Secret != "" || len(listed) != 1 || listed[0].Secret != "" {
		t.Errorf("the secret is shown again: %+v, %+v", shown, listed)
	}
	s.wantSecrets(w.ID, "whsec_2", "whsec_1")
	s.clock.advance(restock.WebhookSecretOverlap)
	s.wantSecrets(w.ID, "whsec_2")
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE action = 'webhook.create' OR action = 'webhook.rotate-secret'`, 2)
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE detail LIKE '%whsec%' OR reason LIKE '%whsec%'`, 0)
}

func (s *shop) wantSecrets(id restock.WebhookID, want ...string) {
	s.t.Helper()
	target, err := s.WebhookTarget(s.ctx(), id)
	s.must(err)
	if diff := cmp.Diff(want, append([]string{target.Secret}, target.SecretsBefore...)); diff != "" {
		s.t.Errorf("secrets that sign (-want +got):\n%s", diff)
	}
}

// secretsRotateAgain: each secret signs for its time, and there is a bound.
func secretsRotateAgain(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	w := s.hook()
	rotate := func(secret string) error {
		_, err := s.RotateWebhookSecret(s.ctx(), w.ID, secret, operator)
		return err
	}
	const hour = time.Hour
	s.must(rotate("whsec_2"))
	s.clock.advance(hour)
	s.must(rotate("whsec_3"))
	s.wantSecrets(w.ID, "whsec_3", "whsec_2", "whsec_1")
	wantKind(t, rotate("whsec_4"), restock.Conflict)
	s.clock.advance(restock.WebhookSecretOverlap - hour - time.Millisecond)
	s.wantSecrets(w.ID, "whsec_3", "whsec_2", "whsec_1")
	wantKind(t, rotate("whsec_4"), restock.Conflict)
	s.clock.advance(time.Millisecond)
	s.wantSecrets(w.ID, "whsec_3", "whsec_2")
	s.must(rotate("whsec_4"))
	s.wantSecrets(w.ID, "whsec_4", "whsec_3", "whsec_2")
	s.clock.advance(hour)
	s.wantSecrets(w.ID, "whsec_4", "whsec_3")
	s.clock.advance(restock.WebhookSecretOverlap - hour)
	s.wantSecrets(w.ID, "whsec_4")
	_, err := s.RemoveWebhook(s.ctx(), w.ID, operator)
	s.must(err)
	s.wantCount(`SELECT COUNT(*) FROM webhooks WHERE secret <> '' OR secret_before <> '' OR secret_older <> ''`, 0)
}

func webhookKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	key := restock.Key{Name: "POST /v1/webhooks k", Hash: [32]byte{1}}
	one, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://a.example/", Secret: "whsec_1"}, operator, key)
	s.must(err)
	again, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://a.example/", Secret: "whsec_2"}, operator, key)
	s.must(err)
	if diff := cmp.Diff(one, again); diff != "" {
		t.Errorf("the answer to the repeat (-first +second):\n%s", diff)
	}
	key.Hash = [32]byte{2}
	if _, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://b.example/"}, operator, key); err == nil {
		t.Error("the key made another webhook with another body")
	}
}

// sent makes one event and a subscription to it.
func (h harness) sent(t *testing.T) (*shop, restock.Webhook, restock.EventID) {
	t.Helper()
	s := h.shop(t, catalogue(plain("A", 1)))
	w := s.hook()
	s.mustBuy("A", 1)
	s.fanOut()
	return s, w, s.deliveries(w.ID)[0].EventID
}

func webhookFails(t *testing.T, h harness) {
	s, w, event := h.sent(t)
	began := s.clock.now()
	for range 2 {
		s.must(s.RecordDelivery(s.ctx(), w.ID, event, restock.Posted{At: s.clock.now(), Took: 1500 * time.Millisecond, Status: 500, Error: "answered 500"}))
		s.clock.advance(time.Hour)
	}
	failing, err := s.FailingWebhooks(s.ctx())
	s.must(err)
	if len(failing) != 1 || failing[0].Failures != 2 || !failing[0].FailingSince.Equal(began) || failing[0].LastError != "answered 500" {
		t.Errorf("failing are %+v", failing)
	}
	d, err := s.Delivery(s.ctx(), w.ID, event)
	s.must(err)
	if d.Tries != 2 || d.Status != 500 || d.TookMS != 1500 || d.Error != "answered 500" || !d.TriedAt.Equal(began.Add(time.Hour)) {
		t.Errorf("the delivery is %+v", d)
	}
	s.must(s.RecordDelivery(s.ctx(), w.ID, event, restock.Posted{At: s.clock.now(), Status: 204}))
	if failing, err = s.FailingWebhooks(s.ctx()); len(failing) > 0 || err != nil {
		t.Errorf("failing are %+v, %v, after it took something", failing, err)
	}
	if w, err = s.Webhook(s.ctx(), w.ID); err != nil || !w.TakenAt.Equal(s.clock.now()) || w.Failures != 0 || w.LastError != "" {
		t.Errorf("the webhook is %+v, %v", w, err)
	}
}

func replays(t *testing.T, h harness) {
	s, w, event := h.sent(t)
	_, err := s.Replay(s.ctx(), w.ID, event, operator)
	wantKind(t, err, restock.Conflict) // it waits
	for _, end := range []func(driver.Delivery) error{
		func(d driver.Delivery) error { return s.Queue().Done(s.ctx(), d) },
		func(d driver.Delivery) error { return s.Queue().Dead(s.ctx(), d, "given up") },
		func(d driver.Delivery) error { return s.Queue().Done(s.ctx(), d) },
	} {
		got := s.received(w.ID)
		if len(got) != 1 || got[0].Receives != 1 || restock.EventID(got[0].ID) != event {
			t.Fatalf("received %+v, want the event for the first time", got)
		}
		s.must(end(got[0]))
		d, err := s.Replay(s.ctx(), w.ID, event, operator)
		s.must(err)
		if d.State != restock.DeliveryWaiting {
			t.Errorf("after the replay it is %s", d.State)
		}
		s.verify()
	}
	// Also when the queue has forgotten it.
	s.must(s.Queue().Done(s.ctx(), s.received(w.ID)[0]))
	s.clock.advance(time.Hour)
	if n, err := s.Queue().Purge(s.ctx(), s.clock.now(), 100); n != 1 || err != nil {
		t.Fatalf("%d messages were purged, %v", n, err)
	}
	if d, err := s.Delivery(s.ctx(), w.ID, event); err != nil || d.State != restock.DeliveryTaken {
		t.Errorf("the delivery is %+v, %v, want that it is taken", d, err)
	}
	_, err = s.Replay(s.ctx(), w.ID, event, operator)
	s.must(err)
	if got := s.received(w.ID); len(got) != 1 {
		t.Errorf("received %d messages, want 1", len(got))
	}
	s.wantCount(`SELECT COUNT(*) FROM audit WHERE action = 'webhook.replay'`, 4)
	_, err = s.Replay(s.ctx(), w.ID, restock.EventID{1}, operator)
	wantKind(t, err, restock.NotFound)
	_, err = s.Replay(s.ctx(), restock.WebhookID{1}, event, operator)
	wantKind(t, err, restock.NotFound)
}

func removedLeavesNothing(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10), ordered("C", 1, 0, 10)))
	w, other := s.hook(), s.hook()
	for _, sku := range []restock.SKU{"A", "B", "C"} {
		s.mustBuy(sku, 1)
	}
	s.fanOut()
	got := s.received(w.ID)
	s.must(s.Queue().Done(s.ctx(), got[0]))
	s.must(s.Queue().Dead(s.ctx(), got[1], "given up"))
	_, err := s.RemoveWebhook(s.ctx(), w.ID, operator)
	s.must(err)
	_, err = s.Webhook(s.ctx(), w.ID)
	wantKind(t, err, restock.NotFound)
	_, err = s.RemoveWebhook(s.ctx(), w.ID, operator)
	wantKind(t, err, restock.NotFound)
	if ids, err := s.ActiveWebhooks(s.ctx()); err != nil || len(ids) != 1 || ids[0] != other.ID {
		t.Errorf("active are %v, %v, want the other one", ids, err)
	}
	for _, want := range []int{4, 2, 0} {
		if n, err := s.PurgeWebhooks(s.ctx(), time.Unix(0, 0), 4); n != want || err != nil {
			t.Errorf("%d deliveries were removed, %v, want %d", n, err, want)
		}
		s.verify()
	}
	s.wantCount(`SELECT COUNT(*) FROM webhooks`, 1)
	s.wantCount(`SELECT COUNT(*) FROM webhook_deliveries`, 6)
	s.wantCount(`SELECT COUNT(*) FROM queue_totals WHERE queue = '`+restock.WebhookQueue(w.ID)+`'`, 0)
	s.wantCount(`SELECT COUNT(*) FROM queue_deliveries WHERE queue = '`+restock.WebhookQueue(w.ID)+`'`, 0)
	if got := s.received(other.ID); len(got) != 6 {
		t.Errorf("the other one receives %d, want 6", len(got))
	}
}

func oldDeliveriesGo(t *testing.T, h harness) {
	s, w, _ := h.sent(t)
	s.clock.advance(time.Hour)
	if n, err := s.PurgeWebhooks(s.ctx(), s.clock.now(), 100); n != 0 || err != nil {
		t.Errorf("%d deliveries that wait were removed, %v", n, err)
	}
	s.must(s.Queue().Done(s.ctx(), s.received(w.ID)[0]))
	s.clock.advance(time.Minute)
	if _, err := s.Queue().Purge(s.ctx(), s.clock.now(), 100); err != nil {
		t.Fatal(err)
	}
	if n, err := s.PurgeWebhooks(s.ctx(), s.clock.now(), 100); n != 1 || err != nil {
		t.Errorf("%d deliveries were removed, %v, want 1", n, err)
	}
	if got := s.deliveries(w.ID); len(got) != 0 {
		t.Errorf("deliveries %+v are left", got)
	}
}

func webhookDeadLetter(t *testing.T, h harness) {
	s, w, event := h.sent(t)
	s.must(s.Queue().Dead(s.ctx(), s.received(w.ID)[0], "webhook at shop.example: answered 500"))
	l, err := s.DeadLetter(s.ctx(), restock.WebhookQueue(w.ID), event, restock.Deciders{})
	s.must(err)
	if l.Verdict.Needed != restock.NeedNeeded || l.SKU != "A" {
		t.Errorf("the dead letter is %+v, want that it is needed", l)
	}
	_, err = s.RedriveDeadLetter(s.ctx(), restock.WebhookQueue(w.ID), event, restock.Redrive{Act: operator}, restock.Deciders{})
	s.must(err)
	if got := s.received(w.ID); len(got) != 1 {
		t.Errorf("received %d messages after the redrive, want 1", len(got))
	}
}

// asks is what an event asks of the program that switches A's advertisement.
func (s *shop) asks(typ restock.EventType, stockout restock.StockoutID) restock.AdAsk {
	s.t.Helper()
	ask, busy, err := s.BeginSwitch(s.ctx(), s.ad("A"), typ, restock.EventData{StockoutID: stockout}, leaseTime)
	s.must(err)
	if busy {
		s.t.Error("somebody else asks, though nobody does")
	}
	s.must(s.EndSwitch(s.ctx(), s.ad("A"), ask, "webhook-1", false))
	return ask
}

// switched lets the program do what it is asked.
func (s *shop) switched(want restock.AdAsk) {
	s.t.Helper()
	typ, last := restock.StockOut, s.product("A").Stock.StockoutID
	if want == restock.AskResume {
		typ = restock.StockBack
		all, _, err := s.Stockouts(s.ctx(), restock.ListQuery{Product: "A"})
		s.must(err)
		last = all[0].ID
	}
	ask, busy, err := s.BeginSwitch(s.ctx(), s.ad("A"), typ, restock.EventData{StockoutID: last}, leaseTime)
	if ask != want || busy || err != nil {
		s.t.Fatalf("it is asked %q, %t, %v, want %q", ask, busy, err, want)
	}
	s.must(s.EndSwitch(s.ctx(), s.ad("A"), ask, "webhook-1", true))
}

func oneSwitches(t *testing.T, h harness) {
	s := h.soldOut(t)
	data := restock.EventData{StockoutID: s.product("A").Stock.StockoutID}
	begin := func() (asked int) {
		var mu sync.Mutex
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				ask, busy, err := s.BeginSwitch(s.ctx(), s.ad("A"), restock.StockOut, data, leaseTime)
				mu.Lock()
				defer mu.Unlock()
				if err != nil || ask != restock.AskStop {
					t.Errorf("it is asked %q, %v", ask, err)
				}
				if !busy {
					asked++
				}
			})
		}
		all.Wait()
		return asked
	}
	for _, again := range []func(){
		func() {},
		func() { s.must(s.EndSwitch(s.ctx(), s.ad("A"), restock.AskStop, "webhook-1", false)) },
		func() { s.clock.advance(leaseTime) }, // its process died
		func() { s.clock.advance(-24 * time.Hour) },
	} {
		again()
		if n := begin(); n != 1 {
			t.Errorf("%d of 8 ask at the same time, want one", n)
		}
	}
}

func switchAnswers(t *testing.T, h harness) {
	s := h.soldOut(t)
	stockout := s.product("A").Stock.StockoutID
	hold := s.mailed(stepStop)
	if ask := s.asks(restock.StockOut, stockout); ask != restock.AskStop {
		t.Errorf("stock.out asks %q", ask)
	}
	s.switched(restock.AskStop)
	got := s.wantHold(hold.ID, restock.AdHoldStopped, restock.AskStop)
	if got.Stop.AcknowledgedBy != "webhook-1" || !got.Stop.AcknowledgedAt.Equal(s.clock.now()) {
		t.Errorf("the stop is answered by %q at %s", got.Stop.AcknowledgedBy, got.Stop.AcknowledgedAt)
	}
	s.back()
	if ask := s.asks(restock.StockBack, stockout); ask != restock.AskResume {
		t.Errorf("stock.back asks %q", ask)
	}
	s.mailed(stepResume)
	s.switched(restock.AskResume)
	if got, err := s.AdHold(s.ctx(), hold.ID); err != nil || got.Resume.AcknowledgedBy != "webhook-1" {
		t.Errorf("the resume is answered by %q, %v", got.Resume.AcknowledgedBy, err)
	}
}

func switchAnswersLater(t *testing.T, h harness) {
	s := h.soldOut(t)
	s.switched(restock.AskStop)
	switched := s.clock.now()
	s.clock.advance(time.Second)
	hold := s.mailed(stepStop)
	if got, err := s.AdHold(s.ctx(), hold.ID); err != nil || !got.Stop.AcknowledgedAt.Equal(switched) || got.Stop.AcknowledgedBy != "webhook-1" {
		t.Errorf("the hold is %+v, %v, want that it is answered", got.Stop, err)
	}
	s.clock.advance(time.Second)
	s.back()
	s.switched(restock.AskResume)
	s.mailed(stepResume)
	if got, err := s.AdHold(s.ctx(), hold.ID); err != nil || got.Resume.AcknowledgedBy != "webhook-1" {
		t.Errorf("the resume is %+v, %v, want that it is answered", got.Resume, err)
	}
	// What was switched in this stockout answers nothing of the next.
	s.clock.advance(time.Second)
	s.must(s.EndSwitch(s.ctx(), s.ad("A"), restock.AskStop, "webhook-1", true)) // outdated: there is something to sell
	s.clock.advance(time.Second)
	s.mustBuy("A", 10)
	next := s.mailed(stepStop)
	if got, err := s.AdHold(s.ctx(), next.ID); err != nil || !got.Stop.AcknowledgedAt.IsZero() {
		t.Errorf("the next hold is %+v, %v, want that nobody answered", got.Stop, err)
	}
}

func switchOutdated(t *testing.T, h harness) {
	c := catalogue(ordered("A", 3, 0, 10), ordered("B", 3, 0, 10))
	s := h.shop(t, c)
	s.mustBuy("A", 3)
	stockout := s.product("A").Stock.StockoutID
	// B is still there, and the advertisement stops when all are out.
	if ask := s.asks(restock.StockOut, stockout); ask != "" {
		t.Errorf("stock.out of one of two asks %q", ask)
	}
	s.wantCount(`SELECT COUNT(*) FROM ad_switches`, 0)
	s.mustBuy("B", 3)
	if ask := s.asks(restock.StockOut, s.product("B").Stock.StockoutID); ask != restock.AskStop {
		t.Errorf("stock.out of the last asks %q", ask)
	}
	s.back()
	if ask := s.asks(restock.StockOut, stockout); ask != "" {
		t.Errorf("stock.out asks %q after the stock is back", ask)
	}
	if ask := s.asks(restock.StockOut, restock.StockoutID{9}); ask != "" {
		t.Errorf("an unknown stockout asks %q", ask)
	}
	s.must(s.EndSwitch(s.ctx(), restock.AdvertisementID{9}, restock.AskStop, "webhook-1", true))
	ask, busy, err := s.BeginSwitch(s.ctx(), restock.AdvertisementID{9}, restock.StockOut, restock.EventData{StockoutID: stockout}, leaseTime)
	if ask != "" || busy || err != nil {
		t.Errorf("an advertisement that is not there asks %q, %t, %v", ask, busy, err)
	}
	_, err = s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://a.example/", Acknowledges: "nobody"}, operator, restock.Key{})
	wantKind(t, err, restock.NotFound)
	w, err := s.CreateWebhook(s.ctx(), restock.Webhook{URL: "https://a.example/", Acknowledges: adName}, operator, restock.Key{})
	s.must(err)
	target, err := s.WebhookTarget(s.ctx(), w.ID)
	s.must(err)
	if target.AdvertisementID != s.ad("A") || target.Acknowledges != adName {
		t.Errorf("it switches %s, %q", target.AdvertisementID, target.Acknowledges)
	}
	none := ""
	changed, err := s.ChangeWebhook(s.ctx(), w.ID, restock.WebhookChange{Acknowledges: &none}, operator)
	s.must(err)
	if changed.Acknowledges != "" {
		t.Errorf("it still switches %q", changed.Acknowledges)
	}
}
