package storetest

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

func deskChecks() []check {
	return []check{
		{"ALowProductIsNeededWhileItWouldBeOrdered", verdictLow},
		{"ARequestToStopIsNeededUntilItWasSentOrTheStockIsBack", verdictOut},
		{"ARequestToResumeIsNeededAfterAStop", verdictBack},
		{"AHeldOrderIsNeededUntilItIsTold", verdictHeld},
		{"AnOrderThatAwaitsApprovalIsNeededUntilItIsToldOrDecided", verdictAwaiting},
		{"ALateOrderIsNeededUntilItIsTold", verdictLate},
		{"AHeldReceiptIsNeededUntilItIsToldOrSettled", verdictReceipt},
		{"WhatThisVersionCannotHandleIsUnknown", verdictUnknown},
		{"ALetterIsShownWithWhatTheShopKnows", letterWhole},
		{"LettersAreSelectedAndPaged", lettersSelected},
		{"AFilterLooksAtOnlySoManyAndSaysWhereToGoOn", lettersScanned},
		{"ARedriveAndItsNoteAreOneAct", redriveAudited},
		{"ADiscardAndItsNoteAreOneAct", discardAudited},
		{"AStaleLetterIsRedrivenOnlyWhenThatIsMeant", redriveStale},
		{"WithoutItsNoteNothingIsSettled", deskAtomic},
		{"OfManyWhoRedriveALetterOneDoes", redriveOnce},
		{"WhatIsNoDeadLetterCannotBeSettled", settleNone},
		{"ALetterOfTwoQueuesMustBeNamedWithItsQueue", settleAmbiguous},
	}
}

// bury makes dead letters of all messages of a type, and gives the last.
func (s *shop) bury(typ restock.EventType) restock.EventID {
	s.t.Helper()
	queue, _ := typ.Queue()
	got, err := s.Queue().Receive(s.ctx(), queue, driver.Request{Max: 100, Visibility: time.Minute})
	s.must(err)
	var last restock.EventID
	for _, d := range got {
		if d.Type == string(typ) {
			s.must(s.Queue().Dead(s.ctx(), d, "because"))
			last = restock.EventID(d.ID)
		}
	}
	if last.IsZero() {
		s.t.Fatalf("there is no %s to give up", typ)
	}
	return last
}

// judged decides about orders as it is told, and about advertisements by what
// their managers were told.
func judged(order func(restock.Situation) restock.Decision) restock.Deciders {
	return restock.Deciders{Order: order, Ad: func(a restock.AdSituation) restock.AdTurn {
		if untold, _ := a.Untold(); untold {
			return restock.AdTurn{Send: restock.AdMailStop}
		}
		return restock.AdTurn{State: a.Hold.State}
	}}
}

func (s *shop) letter(id restock.EventID, decide func(restock.Situation) restock.Decision) restock.DeadLetter {
	s.t.Helper()
	l, err := s.DeadLetter(s.ctx(), "", id, judged(decide))
	s.must(err)
	return l
}

// wantVerdict compares a verdict, and what its reason says.
func (s *shop) wantVerdict(id restock.EventID, want restock.Need, reason string) {
	s.t.Helper()
	got := s.letter(id, yes(10)).Verdict
	if got.Needed != want || !strings.Contains(got.Reason, reason) || strings.ContainsAny(got.Reason, "\n") {
		s.t.Errorf("verdict %s because %q, want %s because …%s…", got.Needed, got.Reason, want, reason)
	}
}

func verdictLow(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 3, 1, 10)))
	s.mustBuy("A", 2)
	id := s.bury(restock.StockLow)
	var asked restock.Situation
	l := s.letter(id, func(situation restock.Situation) restock.Decision {
		asked = situation
		return restock.Decision{Reason: "it is a holiday"}
	})
	if want := (restock.NeedVerdict{Needed: restock.NeedStale, Reason: "it is a holiday"}); l.Verdict != want {
		t.Errorf("verdict %+v, want %+v", l.Verdict, want)
	}
	var planned restock.Situation
	_, err := s.Plan(s.ctx(), s.product("A").ID, func(situation restock.Situation) restock.Decision {
		planned = situation
		return restock.Decision{Reason: "no"}
	})
	s.must(err)
	if diff := cmp.Diff(planned, asked); diff != "" {
		t.Errorf("the desk asks otherwise than the handler (-handler +desk):\n%s", diff)
	}
	s.wantVerdict(id, restock.NeedNeeded, "the position is low")
	order := s.order("A", 10)
	s.wantVerdict(id, restock.NeedStale, "no slot is free; order "+order.String()+" is open")
	if got := s.letter(id, nil).Verdict; got.Needed != restock.NeedUnknown {
		t.Errorf("verdict %+v of a process that does not decide, want unknown", got)
	}
}

func verdictOut(t *testing.T, h harness) {
	s := h.soldOut(t)
	id := s.bury(restock.StockOut)
	s.wantVerdict(id, restock.NeedNeeded, "its manager was not asked to stop")
	stop := s.turn(stepStop)
	s.wantVerdict(id, restock.NeedNeeded, "not confirmed") // its process may have died
	s.must(s.EndAdMail(s.ctx(), stop))
	s.wantVerdict(id, restock.NeedStale, "was sent")
	s.back()
	s.wantVerdict(id, restock.NeedStale, "the stock is back since 2026-03-01T09:00:00Z")

	s = h.shop(t, catalogue(plain("A", 1)))
	s.mustBuy("A", 1)
	s.wantVerdict(s.bury(restock.StockOut), restock.NeedStale, "no advertisement")
}

func verdictBack(t *testing.T, h harness) {
	s := h.soldOut(t)
	s.back()
	s.wantVerdict(s.bury(restock.StockBack), restock.NeedStale, "its manager was not asked to stop")

	s = h.soldOut(t)
	stop := s.turn(stepStop)
	s.back()
	id := s.bury(restock.StockBack)
	s.wantVerdict(id, restock.NeedNeeded, "not told that it can resume")
	s.must(s.EndAdMail(s.ctx(), stop))
	s.wantVerdict(id, restock.NeedNeeded, "not told that it can resume")
	resume := s.turn(stepResume)
	s.wantVerdict(id, restock.NeedNeeded, "was not confirmed") // its process may have died
	s.must(s.EndAdMail(s.ctx(), resume))
	s.wantVerdict(id, restock.NeedStale, "was sent")

	s = h.soldOut(t)
	s.must(s.PublishAdDue(s.ctx(), s.ad("A")))
	id = s.bury(restock.AdDue)
	s.wantVerdict(id, restock.NeedNeeded, "its manager was not asked to stop")
	for want, turn := range map[string]restock.AdTurn{
		"needed: not asked to stop": {Send: restock.AdMailStop}, "stale: held back until": {LookAt: s.clock.now()}, "unknown: on its way": {Wait: true},
	} {
		l, err := s.DeadLetter(s.ctx(), "", id, restock.Deciders{Ad: step(turn)})
		s.must(err)
		need, reason, _ := strings.Cut(want, ": ")
		if string(l.Verdict.Needed) != need || !strings.Contains(l.Verdict.Reason, reason) {
			t.Errorf("verdict %+v, want %s because …%s…", l.Verdict, need, reason)
		}
	}
	s.mailed(stepStop)
	s.wantVerdict(id, restock.NeedStale, "was sent")
	for want, turn := range map[string]restock.AdTurn{"a reminder is due": {Send: restock.AdMailStopReminder}, "operations have to hear": {Escalate: true}} {
		l, err := s.DeadLetter(s.ctx(), "", id, restock.Deciders{Ad: step(turn)})
		s.must(err)
		if l.Verdict.Needed != restock.NeedNeeded || !strings.Contains(l.Verdict.Reason, want) {
			t.Errorf("verdict %+v, want needed because …%s…", l.Verdict, want)
		}
	}
}

func verdictHeld(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected)
	id := s.bury(restock.OrderHeldFor)
	s.wantVerdict(id, restock.NeedNeeded, "the order is held, and nobody was told")
	d := s.digest(true)
	s.wantVerdict(id, restock.NeedNeeded, "not confirmed")
	s.must(s.EndDigest(s.ctx(), d.ID, restock.ByMail))
	s.wantVerdict(id, restock.NeedStale, "was sent at 2026-03-01T")
	s.clock.advance(restock.ToldAgainAfter)
	s.wantVerdict(id, restock.NeedNeeded, "told again")
	_, err := s.WriteOffOrder(s.ctx(), a.OrderID, by("they lost it"))
	s.must(err)
	s.wantVerdict(id, restock.NeedStale, "the order is closed_short now")
}

func verdictAwaiting(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	order := s.awaiting("A", 10)
	id := s.bury(restock.OrderAwaiting)
	s.wantVerdict(id, restock.NeedNeeded, "nobody was told")
	s.told(true) // operations, since the catalogue names no buyer
	s.wantVerdict(id, restock.NeedStale, "was sent")
	_, err := s.ApproveOrder(s.ctx(), order, by("cheap"))
	s.must(err)
	s.wantVerdict(id, restock.NeedStale, "the order is planned now")
}

func verdictLate(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptAccepted)
	s.clock.advance(windowTime)
	s.sweep()
	id := s.bury(restock.OrderLate)
	s.wantVerdict(id, restock.NeedNeeded, "nobody was told")
	s.told(true)
	s.clock.advance(restock.ToldAgainAfter) // it is told once
	s.wantVerdict(id, restock.NeedStale, "was sent")
}

func verdictReceipt(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.problem(1)
	id := s.bury(restock.ReceiptKept)
	s.wantVerdict(id, restock.NeedNeeded, "the receipt is held, and nobody was told")
	s.told(true)
	s.wantVerdict(id, restock.NeedStale, "was sent")
	s.clock.advance(restock.ToldAgainAfter)
	s.wantVerdict(id, restock.NeedNeeded, "told again")
	_, err := s.RefuseReceipt(s.ctx(), s.letter(id, nil).ReceiptID, by("not ours"))
	s.must(err)
	s.wantVerdict(id, restock.NeedStale, "the receipt is refused now")
}

func verdictUnknown(t *testing.T, h harness) {
	for change, reason := range map[string]string{
		`UPDATE queue_messages SET type = 'stock.maybe'`:                                                   `"stock.maybe" are not known here`,
		`UPDATE queue_messages SET body = ` + h.blob(`{"version":2}`):                                      "version 2 of stock.low",
		`UPDATE queue_messages SET body = ` + h.blob(`null`):                                               "version 0 of stock.low",
		`UPDATE queue_messages SET body = ` + h.blob("a donut\n"):                                          "the body cannot be read",
		`UPDATE queue_messages SET body = ` + h.blob("\xff"):                                               "the body cannot be read",
		`UPDATE queue_messages SET body = ` + h.blob(`{"version":1}`):                                      "there is no product",
		`UPDATE queue_messages SET type = 'stock.out'; UPDATE queue_deliveries SET queue = 'ad-queue'`:     "there is no stockout",
		`UPDATE queue_messages SET type = 'order.held'; UPDATE queue_deliveries SET queue = 'ops-queue'`:   "there is no order",
		`UPDATE queue_messages SET type = 'receipt.held'; UPDATE queue_deliveries SET queue = 'ops-queue'`: "there is no receipt",
		`UPDATE queue_deliveries SET queue = 'ad-queue'`:                                                   "ad-queue has no handler for stock.low",
	} {
		s := h.unverified(t, catalogue(ordered("A", 0, 0, 10)))
		id := s.bury(restock.StockLow)
		for part := range strings.SplitSeq(change, ";") {
			s.exec(part)
		}
		s.wantVerdict(id, restock.NeedUnknown, reason)
		if _, _, err := s.DeadLetters(s.ctx(), restock.DeadQuery{}, judged(yes(10))); err != nil {
			t.Errorf("after %s: %v", change, err)
		}
	}
}

// blob writes bytes in SQL.
// blob is bytes as the database writes them.
func (h harness) blob(text string) string {
	if h.Blob != nil {
		return h.Blob(text)
	}
	return fmt.Sprintf("x'%x'", text)
}

func letterWhole(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	made := s.clock.now()
	order := s.awaiting("A", 10)
	got, err := s.Queue().Receive(s.ctx(), restock.OpsQueue, driver.Request{Max: 1, Visibility: time.Minute})
	s.must(err)
	s.clock.advance(time.Minute)
	s.must(s.Queue().Retry(s.ctx(), got[0], time.Minute, "no mail server"))
	s.clock.advance(time.Hour)
	id := s.bury(restock.OrderAwaiting)
	first, last := made.Add(time.Minute), s.clock.now()
	want := restock.DeadLetter{
		MessageID: id, Queue: restock.OpsQueue, DeadLetterQueue: "ops-queue-dlq", Type: "order.awaiting", Subject: "A",
		TraceParent: restock.TraceParentOf(order),
		ProductID:   s.product("A").ID, SKU: "A", Product: "Donut A", OrderID: order,
		Receives: 2, LastError: "because", CreatedAt: made, DeadAt: last, FirstFailedAt: first, LastFailedAt: last,
		Verdict: restock.NeedVerdict{Needed: restock.NeedNeeded, Reason: "the order is awaiting_approval, and nobody was told"},
	}
	list, next, err := s.DeadLetters(s.ctx(), restock.DeadQuery{}, judged(yes(10)))
	s.must(err)
	if diff := cmp.Diff([]restock.DeadLetter{want}, list); diff != "" || next != "" {
		t.Errorf("in the list, with %q next (-want +got):\n%s", next, diff)
	}
	want.BodyEncoding = "json"
	want.Failures = []restock.DeliveryFailure{{Receive: 1, At: first, Error: "no mail server"}, {Receive: 2, At: last, Error: "because"}}
	whole := s.letter(id, yes(10))
	var data restock.EventData
	s.must(json.Unmarshal(whole.Body, &data))
	if data.OrderID != order {
		t.Errorf("body %s, want it about order %s", whole.Body, order)
	}
	if diff := cmp.Diff(want, whole, cmpopts.IgnoreFields(restock.DeadLetter{}, "Body")); diff != "" {
		t.Errorf("alone (-want +got):\n%s", diff)
	}
}

// lettersSelected has six letters: of two products, on two queues, some stale.
func lettersSelected(t *testing.T, h harness) {
	shown := catalogue(ordered("A", 3, 0, 10), ordered("B", 3, 0, 10))
	shown.Advertisements = append(shown.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	shown.Products[1].Advertisement = "other"
	shown.Fill()
	s := h.shop(t, shown)
	for _, sku := range []restock.SKU{"A", "B"} {
		s.mustBuy(sku, 3)
		s.bury(restock.StockLow)
		s.clock.advance(time.Second)
		s.bury(restock.StockOut)
		s.clock.advance(time.Second)
	}
	middle := s.clock.now()
	s.clock.advance(time.Second)
	s.receive(s.placed("A", 10), 10, "ten")
	s.bury(restock.StockBack)
	s.problem(1)
	s.die(restock.OpsQueue)
	for _, c := range []struct {
		query restock.DeadQuery
		want  []string
	}{
		{restock.DeadQuery{}, []string{
			"stock.low A stale", "stock.out A stale", "stock.low B needed", "stock.out B needed", "stock.back A stale", "receipt.held  needed",
		}},
		{restock.DeadQuery{Queue: restock.StockQueue}, []string{"stock.low A stale", "stock.low B needed"}},
		{restock.DeadQuery{Type: "stock.out"}, []string{"stock.out A stale", "stock.out B needed"}},
		{restock.DeadQuery{Product: "b"}, []string{"stock.low B needed", "stock.out B needed"}}, // its slug
		{restock.DeadQuery{Product: s.product("A").ID.String(), Queue: restock.AdQueue}, []string{"stock.out A stale", "stock.back A stale"}},
		{restock.DeadQuery{Needed: restock.NeedNeeded}, []string{"stock.low B needed", "stock.out B needed", "receipt.held  needed"}},
		{restock.DeadQuery{Needed: restock.NeedStale, Type: "stock.low"}, []string{"stock.low A stale"}},
		{restock.DeadQuery{Needed: restock.NeedUnknown}, nil},
		{restock.DeadQuery{Error: "CANNOT be"}, []string{"receipt.held  needed"}},
		{restock.DeadQuery{Until: middle}, []string{"stock.low A stale", "stock.out A stale", "stock.low B needed", "stock.out B needed"}},
	} {
		for _, limit := range []int{0, 1, 2, 4} {
			c.query.Limit = limit
			if diff := cmp.Diff(c.want, s.walk(c.query, low)); diff != "" {
				t.Errorf("%+v (-want +got):\n%s", c.query, diff)
			}
		}
	}
	_, _, err := s.DeadLetters(s.ctx(), restock.DeadQuery{Product: "cake"}, judged(low))
	wantKind(t, err, restock.NotFound)
	_, _, err = s.DeadLetters(s.ctx(), restock.DeadQuery{After: "cake"}, judged(low))
	wantKind(t, err, restock.Invalid)
	latest, err := s.LatestDeath(s.ctx())
	if s.must(err); !latest.Equal(s.clock.now()) {
		t.Errorf("the last died at %v, want %v", latest, s.clock.now())
	}
}

// low orders what is low.
func low(s restock.Situation) restock.Decision {
	if !s.Product.Policy.Low(s.Product.Stock) {
		return restock.Decision{Reason: "the position is not low"}
	}
	return yes(10)(s)
}

// walk reads all pages of a list.
func (s *shop) walk(q restock.DeadQuery, decide func(restock.Situation) restock.Decision) []string {
	s.t.Helper()
	var all []string
	for {
		letters, next, err := s.DeadLetters(s.ctx(), q, judged(decide))
		s.must(err)
		if q.Limit > 0 && len(letters) > q.Limit {
			s.t.Errorf("a page of %d, want at most %d", len(letters), q.Limit)
		}
		for _, l := range letters {
			all = append(all, fmt.Sprintf("%s %s %s", l.Type, l.SKU, l.Verdict.Needed))
		}
		if q.After = next; next == "" {
			return all
		}
	}
}

func lettersScanned(t *testing.T, h harness) {
	const many = 510
	products := make([]restock.CatalogProduct, many)
	for n := range products {
		products[n] = ordered(restock.SKU(fmt.Sprintf("A-%03d", n)), 0, 0, 10)
	}
	s := h.unverified(t, catalogue(products...)) // each is low from the start
	s.exec(`UPDATE queue_deliveries SET state = 'dead', dead_at = visible_at, last_error = 'because'`)
	letters, next, err := s.DeadLetters(s.ctx(), restock.DeadQuery{Needed: restock.NeedStale, Limit: 10}, judged(yes(10)))
	s.must(err)
	if len(letters) != 0 || next == "" {
		t.Errorf("%d letters and %q next, want none so far and more to look at", len(letters), next)
	}
	if got := s.walk(restock.DeadQuery{Needed: restock.NeedNeeded, Limit: 1000}, yes(10)); len(got) != many {
		t.Errorf("%d letters on all pages, want %d", len(got), many)
	}
}

func redriveAudited(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	l, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("mended")}, judged(yes(10)))
	s.must(err)
	if l.MessageID != id || l.Queue != restock.StockQueue || l.SKU != "A" {
		t.Errorf("redrove %+v", l)
	}
	s.wantAudit("dead.redrive A by kim: mended")
	entries, _, err := s.Audit(s.ctx(), restock.ListQuery{Reference: id.String(), Product: "A", State: "dead.redrive", Limit: 10})
	s.must(err)
	if len(entries) != 1 || entries[0].Detail != "stock.low on stock-queue; needed: the position is low" {
		t.Errorf("audit %+v", entries)
	}
	got, err := s.Queue().Receive(s.ctx(), restock.StockQueue, driver.Request{Max: 10, Visibility: time.Minute})
	s.must(err)
	if len(got) != 1 || restock.EventID(got[0].ID) != id || got[0].Receives != 1 {
		t.Errorf("received %+v, want the message as new", got)
	}
}

func discardAudited(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	_, err := s.DiscardDeadLetter(s.ctx(), restock.StockQueue, id, restock.Discard{Act: by("by hand"), OnlyStale: true}, judged(yes(10)))
	wantKind(t, err, restock.Conflict)
	_, err = s.DiscardDeadLetter(s.ctx(), restock.StockQueue, id, restock.Discard{Act: by("by hand")}, judged(yes(10)))
	s.must(err)
	s.wantAudit("dead.discard A by kim: by hand")
	s.wantCount(`SELECT COUNT(*) FROM queue_deliveries WHERE state = 'discarded' AND discard_reason = 'by hand'`, 1)
	_, err = s.DeadLetter(s.ctx(), "", id, restock.Deciders{})
	wantKind(t, err, restock.NotFound)
}

func redriveStale(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	_, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("mended")}, judged(no("it is a holiday")))
	wantKind(t, err, restock.Conflict)
	if err == nil || !strings.Contains(err.Error(), "it is a holiday") || !strings.Contains(err.Error(), "--include-stale") {
		t.Errorf("error %v, want why, and how all the same", err)
	}
	s.wantAudit()
	_, err = s.DeadLetter(s.ctx(), "", id, restock.Deciders{})
	s.must(err)
	_, err = s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("all the same"), Stale: true}, judged(no("it is a holiday")))
	s.must(err)
	s.wantAudit("dead.redrive A by kim: all the same")
}

func deskAtomic(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	before := s.letter(id, yes(10))
	s.exec(`ALTER TABLE audit RENAME TO audit_away`)
	if _, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("mended")}, judged(yes(10))); err == nil {
		t.Error("a redrive without its note was answered with success")
	}
	if _, err := s.DiscardDeadLetter(s.ctx(), "", id, restock.Discard{Act: by("mended")}, judged(yes(10))); err == nil {
		t.Error("a discard without its note was answered with success")
	}
	if diff := cmp.Diff(before, s.letter(id, yes(10))); diff != "" {
		t.Errorf("the letter (-before +after):\n%s", diff)
	}
	s.exec(`ALTER TABLE audit_away RENAME TO audit`)
	_, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("mended")}, judged(yes(10)))
	s.must(err)
	s.wantAudit("dead.redrive A by kim: mended")
}

func redriveOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	var mu sync.Mutex
	done := 0
	atOnce(20, func(int) {
		_, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("mended")}, judged(yes(10)))
		mu.Lock()
		defer mu.Unlock()
		switch {
		case err == nil:
			done++
		case restock.KindOf(err) != restock.Conflict:
			t.Error(err)
		}
	})
	if done != 1 {
		t.Errorf("%d redrove it, want 1", done)
	}
	s.wantAudit("dead.redrive A by kim: mended")
}

func settleNone(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	_, err := s.RedriveDeadLetter(s.ctx(), restock.AdQueue, id, restock.Redrive{Act: by("x")}, judged(yes(10)))
	wantKind(t, err, restock.NotFound)
	_, err = s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("x")}, judged(yes(10)))
	s.must(err)
	for want, id := range map[restock.Kind]restock.EventID{restock.NotFound: {1}, restock.Conflict: id} {
		_, err := s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("x")}, judged(yes(10)))
		wantKind(t, err, want)
		_, err = s.DiscardDeadLetter(s.ctx(), "", id, restock.Discard{Act: by("x")}, judged(yes(10)))
		wantKind(t, err, want)
		_, err = s.DeadLetter(s.ctx(), "", id, judged(yes(10)))
		wantKind(t, err, restock.NotFound)
	}
	s.wantAudit("dead.redrive A by kim: x")
}

func settleAmbiguous(t *testing.T, h harness) {
	s := h.unverified(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.bury(restock.StockLow)
	s.exec(`INSERT INTO queue_deliveries (message_id, queue, state, receives, visible_at, last_error, dead_at)
		SELECT message_id, 'ops-queue', state, receives, visible_at, last_error, dead_at FROM queue_deliveries`)
	_, err := s.DeadLetter(s.ctx(), "", id, judged(yes(10)))
	wantKind(t, err, restock.Invalid)
	_, err = s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("x")}, judged(yes(10)))
	wantKind(t, err, restock.Invalid)
	_, err = s.DiscardDeadLetter(s.ctx(), "", id, restock.Discard{Act: by("x")}, judged(yes(10)))
	wantKind(t, err, restock.Invalid)
	_, err = s.DiscardDeadLetter(s.ctx(), restock.OpsQueue, id, restock.Discard{Act: by("x")}, judged(yes(10)))
	s.must(err)
	_, err = s.RedriveDeadLetter(s.ctx(), "", id, restock.Redrive{Act: by("x")}, judged(yes(10)))
	s.must(err)
	s.wantAudit("dead.redrive A by kim: x", "dead.discard A by kim: x")
}
