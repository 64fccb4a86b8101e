package ops_test

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/blackbox"
	"pgregory.net/rapid"
)

// full is whether there is time for all.
func full() bool { return os.Getenv("RESTOCK_TEST_FULL") == "1" }

// shortenRandom makes fewer runs, unless somebody says how many.
func shortenRandom() {
	const name = "rapid.checks"
	checks, asked := "12", false
	if full() && !blackbox.RaceDetector {
		checks = "80"
	}
	flag.Visit(func(f *flag.Flag) { asked = asked || f.Name == name })
	if !asked {
		_ = flag.Set(name, checks)
	}
}

// TestALetterIsStaleIfHandlingItHasNoEffect lets random things happen to a
// shop, gives up all of its messages, and holds each verdict against what the
// handler of the message then really does.
func TestALetterIsStaleIfHandlingItHasNoEffect(t *testing.T) {
	t.Parallel()
	empty := emptyDatabase(t)
	seen := map[string]int{}
	if full() && blackbox.RaceDetector {
		blackbox.RunWithoutRaceDetector(t)
	}
	shortenRandom()
	wanted := []string{
		"stock.low needed", "stock.low stale is open", "stock.low stale is off", "stock.low stale is above", "stock.low stale is snoozed",
		"stock.out needed", "stock.out stale is back", "stock.out stale was sent", "stock.out stale has no", "stock.out stale held back",
		"stock.back needed", "stock.back stale not asked", "stock.back stale was sent",
	}
	missing := func() []string {
		return slices.DeleteFunc(slices.Clone(wanted), func(kind string) bool { return seen[kind] > 0 })
	}
	const roundsMax = 20 // what is rare has come in one of them
	for range roundsMax {
		rapid.Check(t, func(rt *rapid.T) {
			w := openWorld(t, rt, empty)
			defer w.close()
			rt.Repeat(map[string]func(*rapid.T){
				"buy": w.buy, "buy more": w.buy, "order": w.order, "place": w.place, "deliver": w.deliver, "by hand": w.byHand,
				"snooze": w.snooze, "change policy": w.changePolicy, "pass time": w.passTime, "write": w.write, "answer": w.answer,
				"tell": w.tell, "decide": w.decide, "adjust": w.adjust, "report": w.report,
				"hold one": w.holdOne, "out again at once": w.outAgainAtOnce,
			})
			w.holdAll()
			for verdict, n := range w.seen {
				seen[verdict] += n
			}
		})
		if !full() || blackbox.RaceDetector || len(missing()) == 0 {
			return
		}
	}
	t.Errorf("of all letters, none was of the kinds %q: %v", missing(), seen)
}

// kindOf names what a verdict says, without its numbers.
func kindOf(l restock.DeadLetter) string {
	kind := l.Type + " " + string(l.Verdict.Needed)
	if l.Verdict.Needed == restock.NeedNeeded {
		return kind
	}
	for _, words := range []string{"is open", "is off", "is above", "is snoozed", "is back", "held back", "was sent", "has no", "not asked"} {
		if strings.Contains(l.Verdict.Reason, words) {
			return kind + " " + words
		}
	}
	return kind
}

func emptyDatabase(t *testing.T) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "empty.db")
	s, err := store.Open(t.Context(), "sqlite:"+path, store.Config{})
	if err == nil {
		err = s.Close()
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// world is a shop to which things happen, with the rooms that handle its
// messages.
type world struct {
	*testing.T
	rt       *rapid.T
	store    *store.Store
	clock    *clock
	box      *outbox
	catalog  restock.Catalog
	handlers map[string]queue.Handler
	ads      *ads.Desk
	attempts []restock.Attempt
	serial   int
	seen     map[string]int
}

func openWorld(t *testing.T, rt *rapid.T, empty []byte) *world {
	path := filepath.Join(t.TempDir(), "restock.db")
	w := &world{T: t, rt: rt, clock: &clock{at: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)}, box: &outbox{}, seen: map[string]int{}}
	w.must(os.WriteFile(path, empty, 0o600))
	var err error
	w.store, err = store.Open(t.Context(), "sqlite:"+path, store.Config{Now: w.clock.now})
	w.must(err)
	w.catalog = restock.Catalog{
		Factories:      []restock.CatalogFactory{{Identifier: "FF-1", URL: "http://127.0.0.1:4000/", RatePerSecond: 1e6, MaxInFlight: 1000}},
		Advertisements: []restock.CatalogAdvertisement{{Name: "main", ManagerEmail: "ads@donut.example"}},
		Products: []restock.CatalogProduct{{
			SKU: "CP-1", Name: "Donut", Price: 1, UnitCost: 7, OpeningStock: rapid.Int64Range(0, 5).Draw(rt, "opening stock"),
			Factory: "FF-1", OrderQuantity: 4, Advertisement: rapid.SampledFrom([]string{"main", "main", ""}).Draw(rt, "advertisement"),
		}},
		DailyLimit: rapid.SampledFrom([]int64{0, 0, 50}).Draw(rt, "daily limit"),
	}
	w.apply()
	w.handlers = replenish.New(w.store, nil, replenish.Config{}).Handlers()
	w.ads = ads.New(w.store, w.box, ads.Config{Domain: "donut.example", Zone: time.UTC, Links: noLinks{}, Now: w.clock.now, Pace: ads.Pace{Spacing: 3 * time.Hour}})
	maps.Copy(w.handlers, w.ads.Handlers())
	return w
}

// noLinks makes links that nobody opens.
type noLinks struct{}

func (noLinks) Sign([]byte) string                          { return "link" }
func (noLinks) Open(context.Context, string) ([]byte, bool) { return nil, false }

func (w *world) deciders() restock.Deciders {
	return restock.Deciders{Order: replenish.Decide, Ad: w.ads.Turn}
}

func (w *world) close() { w.must(w.store.Close()) }

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.rt.Fatal(err)
	}
}

// mayFail is for what people ask in vain.
func (w *world) mayFail(err error) {
	switch restock.KindOf(err) {
	case restock.Internal, restock.Unavailable:
		w.must(err)
	default:
	}
}

func (w *world) apply() {
	w.catalog.Fill()
	w.must(w.catalog.Check())
	_, err := w.store.ApplyCatalog(w.Context(), w.catalog, store.CreateAndEdit)
	w.must(err)
}

func (w *world) product() restock.Product {
	p, err := w.store.Product(w.Context(), "CP-1")
	w.must(err)
	return p
}

func (w *world) act() restock.Act { return restock.Act{By: "kim", Reason: "a test"} }

func (w *world) buy(rt *rapid.T) {
	_, err := w.store.Sell(w.Context(), []restock.Cart{{Lines: []restock.Line{{Product: "CP-1", Quantity: rapid.Int64Range(1, 4).Draw(rt, "pieces")}}}})
	w.must(err)
}

func (w *world) order(*rapid.T) {
	_, err := w.store.Plan(w.Context(), w.product().ID, replenish.Decide)
	w.must(err)
}

func (w *world) byHand(*rapid.T) {
	_, err := w.store.PlanByHand(w.Context(), restock.ManualOrder{Product: "CP-1", By: "kim", Reason: "a test"}, restock.Key{}, replenish.Decide)
	w.mayFail(err)
}

func (w *world) place(rt *rapid.T) {
	a, err := w.store.ClaimAttempt(w.Context(), "owner", time.Minute)
	w.must(err)
	if a.OrderID.IsZero() {
		return
	}
	w.attempts = append(w.attempts, a)
	state := rapid.SampledFrom([]restock.AttemptState{restock.AttemptAccepted, restock.AttemptAccepted, restock.AttemptRejected}).Draw(rt, "answer")
	w.must(w.store.SettleAttempt(w.Context(), a, restock.Answered{
		Answer: restock.Answer{State: state, Status: 201}, DueAt: w.clock.now().Add(time.Hour),
	}))
	w.clock.advance(time.Millisecond)
}

func (w *world) deliver(rt *rapid.T) {
	if len(w.attempts) == 0 {
		return
	}
	a := rapid.SampledFrom(w.attempts).Draw(rt, "attempt")
	w.receive(a, rapid.Int64Range(1, a.Quantity+1).Draw(rt, "pieces"))
}

// report tells of an order that nobody made.
func (w *world) report(*rapid.T) {
	w.receive(restock.Attempt{OrderID: restock.OrderID{9}, Number: 1}, 1)
}

func (w *world) receive(a restock.Attempt, count int64) {
	w.serial++
	c := restock.Callback{OrderID: a.OrderID, Attempt: a.Number, Count: count, Claimed: fmt.Sprint(count), Body: fmt.Append(nil, w.serial)}
	copy(c.Hash[:], c.Body)
	_, err := w.store.Receive(w.Context(), c, func(e restock.Evidence) restock.Verdict {
		apply := min(max(0, e.Attempt.Quantity-e.Attempt.Received), count)
		if apply == 0 {
			return restock.Verdict{State: restock.ReceiptHeld, Hold: count, Reason: "held"}
		}
		return restock.Verdict{State: restock.ReceiptApplied, Apply: apply, Hold: count - apply}
	})
	w.must(err)
}

func (w *world) snooze(rt *rapid.T) {
	until := time.Time{}
	if rapid.Bool().Draw(rt, "asleep") {
		until = w.clock.now().Add(time.Hour)
	}
	_, err := w.store.Snooze(w.Context(), "CP-1", until, w.act())
	w.must(err)
}

func (w *world) changePolicy(rt *rapid.T) {
	p := &w.catalog.Products[0]
	p.Ordering = rapid.SampledFrom([]restock.Ordering{restock.OrderingAuto, restock.OrderingAuto, restock.OrderingReview, restock.OrderingOff}).Draw(rt, "ordering")
	p.ReorderPoint = rapid.Int64Range(0, 9).Draw(rt, "reorder point")
	p.ResumeLevel = rapid.Int64Range(1, 4).Draw(rt, "resume level")
	p.MaximumStock = rapid.SampledFrom([]int64{0, 0, 7}).Draw(rt, "maximum stock")
	p.OpenOrdersMax = rapid.Int64Range(1, 2).Draw(rt, "open orders")
	p.Advertisement = rapid.SampledFrom([]string{"main", "main", "main", ""}).Draw(rt, "advertisement")
	w.apply()
}

func (w *world) passTime(rt *rapid.T) {
	w.clock.advance(rapid.SampledFrom([]time.Duration{time.Second, time.Hour, restock.ToldAgainAfter}).Draw(rt, "time"))
	due, err := w.store.OverdueOrders(w.Context(), 100)
	w.must(err)
	for _, id := range due {
		w.must(w.store.Chase(w.Context(), id, func(restock.Factory) time.Duration { return time.Hour }, func(restock.Lateness) restock.Overdue {
			return rapid.SampledFrom([]restock.Overdue{
				{Reorder: true}, {Reason: "not delivered"}, {WaitUntil: w.clock.now().Add(time.Hour)},
			}).Draw(rt, "overdue")
		}))
	}
}

// write takes the next step with the ad manager: a mail is sent, or fails, or the
// process dies before it can say which.
func (w *world) write(rt *rapid.T) {
	if id := w.product().AdvertisementID; !id.IsZero() {
		sending, _, err := w.store.TurnAd(w.Context(), id, time.Minute, w.ads.Turn)
		w.must(err)
		if sending.Kind == "" {
			return
		}
		switch rapid.SampledFrom([]string{"sent", "sent", "failed", "may have arrived", "died"}).Draw(rt, "outcome") {
		case "sent":
			w.must(w.store.EndAdMail(w.Context(), sending))
		case "failed":
			w.must(w.store.FailAdMail(w.Context(), sending, false))
		case "may have arrived":
			w.must(w.store.FailAdMail(w.Context(), sending, true))
		}
	}
}

// outAgainAtOnce tells the manager to stop and to resume, and sells all again before
// the spacing has passed: what seldom happens by chance.
func (w *world) outAgainAtOnce(*rapid.T) {
	id := w.product().AdvertisementID
	if id.IsZero() {
		return
	}
	w.clock.advance(restock.ToldAgainAfter)
	w.setStock(0)
	w.writeAll(id)
	w.setStock(w.product().Policy.ResumeLevel)
	w.writeAll(id)
	w.setStock(0)
}

// writeAll sends what the manager is to be told now.
func (w *world) writeAll(id restock.AdvertisementID) {
	for {
		sending, _, err := w.store.TurnAd(w.Context(), id, time.Minute, w.ads.Turn)
		w.must(err)
		if sending.Kind == "" {
			return
		}
		w.must(w.store.EndAdMail(w.Context(), sending))
	}
}

func (w *world) setStock(available int64) {
	if difference := available - w.product().Stock.Available(); difference != 0 {
		_, err := w.store.Adjust(w.Context(), restock.AdjustmentRequest{Product: "CP-1", Quantity: difference, Reason: "a test"}, restock.Key{})
		w.must(err)
	}
}

// answer says for the ad manager that it is done.
func (w *world) answer(*rapid.T) {
	holds, _, err := w.store.AdHolds(w.Context(), restock.ListQuery{Limit: 1})
	w.must(err)
	for _, h := range holds {
		_, _, err := w.store.AcknowledgeAd(w.Context(), h.ID, h.Asks(), "a test")
		w.must(err)
	}
}

// tell writes to operations, or dies before it can say so.
func (w *world) tell(rt *rapid.T) {
	d, ok, err := w.store.BeginDigest(w.Context(), restock.DigestRequest{
		Audience: restock.Operations, Channel: restock.ByMail, Gap: time.Nanosecond, Lease: time.Minute,
	})
	w.must(err)
	if ok && rapid.Bool().Draw(rt, "sent") {
		w.must(w.store.EndDigest(w.Context(), d.ID, restock.ByMail))
	}
}

// decide lets a person decide about an order or a receipt.
func (w *world) decide(rt *rapid.T) {
	orders, _, err := w.store.Orders(w.Context(), restock.ListQuery{Limit: 20})
	w.must(err)
	if len(orders) > 0 {
		id := rapid.SampledFrom(orders).Draw(rt, "order").ID
		switch rapid.SampledFrom([]string{"approve", "reject", "write off"}).Draw(rt, "act") {
		case "approve":
			_, err = w.store.ApproveOrder(w.Context(), id, w.act())
		case "reject":
			_, err = w.store.RejectOrder(w.Context(), id, time.Time{}, w.act())
		default:
			_, err = w.store.WriteOffOrder(w.Context(), id, w.act())
		}
		w.mayFail(err)
	}
	receipts, _, err := w.store.Receipts(w.Context(), restock.ListQuery{State: "held", Limit: 20})
	w.must(err)
	if len(receipts) > 0 {
		_, err = w.store.RefuseReceipt(w.Context(), rapid.SampledFrom(receipts).Draw(rt, "receipt").ID, w.act())
		w.mayFail(err)
	}
}

func (w *world) adjust(rt *rapid.T) {
	_, err := w.store.Adjust(w.Context(), restock.AdjustmentRequest{
		Product: "CP-1", Quantity: rapid.SampledFrom([]int64{-2, -1, 1, 5}).Draw(rt, "pieces"), Reason: "a test",
	}, restock.Key{})
	w.mayFail(err)
}

// giveUpAll makes a dead letter of every message.
func (w *world) giveUpAll() {
	for _, name := range restock.Queues() {
		for {
			got, err := w.store.Queue().Receive(w.Context(), name, driver.Request{Max: 100, Visibility: time.Hour})
			w.must(err)
			if len(got) == 0 {
				break
			}
			for _, d := range got {
				w.must(w.store.Queue().Dead(w.Context(), d, "because"))
			}
		}
	}
	w.clock.advance(2 * time.Minute) // whoever was writing a mail is done, or dead
}

func (w *world) letters() []restock.DeadLetter {
	letters, _, err := w.store.DeadLetters(w.Context(), restock.DeadQuery{Limit: 1000}, w.deciders())
	w.must(err)
	return letters
}

// holdOne gives all messages up and holds the verdict about one.
func (w *world) holdOne(rt *rapid.T) {
	w.giveUpAll()
	if letters := w.letters(); len(letters) > 0 {
		w.hold(rapid.SampledFrom(letters).Draw(rt, "letter"))
	}
}

// holdAll does that for all, one after the other in any order.
func (w *world) holdAll() {
	w.giveUpAll()
	for _, l := range rapid.Permutation(w.letters()).Draw(w.rt, "letters") {
		w.hold(l)
	}
}

// hold compares the verdict about a letter with what its handler then does. The
// letter stays, so that it comes again.
func (w *world) hold(l restock.DeadLetter) {
	now, err := w.store.DeadLetter(w.Context(), l.Queue, l.MessageID, w.deciders())
	w.must(err)
	var effect bool
	if handler, ok := w.handlers[l.Type]; ok {
		effect = w.handle(handler, now)
	} else {
		effect = w.wouldTell(now)
	}
	if (now.Verdict.Needed == restock.NeedNeeded) != effect || now.Verdict.Needed == restock.NeedUnknown {
		w.rt.Fatalf("%s is %s because %s; handling it has an effect: %t", l.Type, now.Verdict.Needed, now.Verdict.Reason, effect)
	}
	w.seen[kindOf(now)]++
}

// handle runs a handler and reports whether it made an order, sent a mail, or
// handed a question to operations.
func (w *world) handle(handler queue.Handler, l restock.DeadLetter) bool {
	before, known := w.effects()
	w.must(handler(w.Context(), queue.Message{ID: queue.ID(l.MessageID), Type: l.Type, Subject: l.Subject, Body: l.Body}))
	after, escalated := w.effects()
	for question := range escalated {
		if !known[question] {
			return true
		}
	}
	return after > before
}

// effects are the orders and the mails so far, and the questions that operations
// have now.
func (w *world) effects() (int, map[string]bool) {
	orders, _, err := w.store.Orders(w.Context(), restock.ListQuery{Limit: 1000})
	w.must(err)
	holds, _, err := w.store.AdHolds(w.Context(), restock.ListQuery{Limit: 1000})
	w.must(err)
	escalated := map[string]bool{}
	for _, h := range holds {
		if !h.EscalatedAt.IsZero() {
			escalated[h.ID.String()+string(h.Asks())] = true
		}
	}
	return len(orders) + len(w.box.sent()), escalated
}

// wouldTell begins the mails to operations until there is nothing to tell, as
// the handler does, and reports whether one tells of a letter's problem.
func (w *world) wouldTell(l restock.DeadLetter) bool {
	kind, id := restock.ProblemOrderHeld, l.OrderID.String()
	switch restock.EventType(l.Type) {
	case restock.OrderAwaiting:
		kind = restock.ProblemAwaiting
	case restock.OrderLate:
		kind = restock.ProblemOrderLate
	case restock.ReceiptKept:
		kind, id = restock.ProblemReceiptHeld, l.ReceiptID.String()
	}
	told := false
	for {
		w.clock.advance(time.Second)
		d, ok, err := w.store.BeginDigest(w.Context(), restock.DigestRequest{
			Audience: restock.Operations, Channel: restock.ByMail, Gap: time.Nanosecond, Lease: time.Minute,
		})
		w.must(err)
		if !ok {
			return told
		}
		for _, p := range d.Problems {
			told = told || p.Kind == kind && p.ID == id
		}
		w.must(w.store.EndDigest(w.Context(), d.ID, restock.ByMail))
	}
}
