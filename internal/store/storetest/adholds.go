package storetest

import (
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func adHoldChecks() []check {
	return []check{
		{"StopThenResumeIsOneHold", stopThenResume},
		{"WhatChangesNothingWritesNothing", nothingToWrite},
		{"GoodsBackBeforeTheStopSendNothing", backBeforeStop},
		{"ASecondMailWaitsWhileTheFirstIsOnItsWay", waitWhileMailing},
		{"AMailThatMayHaveGoneIsRepeatedAsItWas", repeatAfterCrash},
		{"WhatIsKnownOfAMailThatFailedIsKept", failedMails},
		{"AHoldThatWasWithdrawnGivesWayToTheOneBefore", withdrawn},
		{"WhoComesLateChangesNothing", lateSenders},
		{"WithoutAnAdvertisementNobodyIsAsked", noAdvertisement},
		{"TheMailSaysWhatIsTrue", mailFacts},
		{"AMailThatItCanResumeNamesWhatIsBackWhateverTheClocksSay", backBeforeTheHold},
		{"AMailNamesOnlySoManyProducts", manyFacts},
		{"AnAdvertisementOfSeveralStopsWhenAllAreOutOrAny", stopWhenAllOrAny},
		{"TheManagerWhoWasAskedToStopHearsThatItCanResume", sameManagerHears},
		{"OnlyTheLastEventOfAProductConcernsAnybody", lastEventCounts},
		{"OnlyOneOfManyBeginsTheMail", oneBegins},
		{"WhatIsNotThereIsNotFound", unknownAds},
		{"ANewHoldEndsTheOneBefore", holdsFollow},
		{"AnAnswerIsTakenOnce", answerOnce},
		{"AnAnswerThatIsTooLateChangesNothing", answerTooLate},
		{"AnOperatorAnswersForTheManager", operatorAnswers},
		{"AnUnansweredQuestionIsToldEveryDayUntilItIsAnswered", unanswered},
		{"EachLookThatIsDueIsOneMessage", dueLooks},
		{"WhatNoEventToldIsFound", untoldAds},
		{"HoldsAreListed", adHoldList},
	}
}

// step makes a decision that is always the same.
func step(t restock.AdTurn) func(restock.AdSituation) restock.AdTurn {
	return func(restock.AdSituation) restock.AdTurn { return t }
}

// The steps that the checks take.
var (
	stepStop   = restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop}
	stepAgain  = restock.AdTurn{State: restock.AdHoldStopping, Send: restock.AdMailStop}
	stepResume = restock.AdTurn{State: restock.AdHoldResuming, Send: restock.AdMailResume}
)

// soldOut gives a shop with a product that is sold out.
func (h harness) soldOut(t *testing.T) *shop {
	t.Helper()
	s := h.shop(t, catalogue(ordered("A", 3, 0, 10)))
	s.mustBuy("A", 3)
	return s
}

// back ends the stockout of A.
func (s *shop) back() {
	s.t.Helper()
	s.receive(s.placed("A", 10), 10, "ten")
}

// ad is the advertisement that shows a product.
func (s *shop) ad(sku restock.SKU) restock.AdvertisementID {
	s.t.Helper()
	return s.product(sku).AdvertisementID
}

// turn takes a step with the manager of A's advertisement.
func (s *shop) turn(t restock.AdTurn) restock.AdSending {
	s.t.Helper()
	sending, _, err := s.TurnAd(s.ctx(), s.ad("A"), mailing, step(t))
	s.must(err)
	if sending.Kind != t.Send {
		s.t.Fatalf("the mail %q is begun, want %q", sending.Kind, t.Send)
	}
	return sending
}

// mailed takes a step and sends its mail.
func (s *shop) mailed(t restock.AdTurn) restock.AdHold {
	s.t.Helper()
	sending := s.turn(t)
	s.must(s.EndAdMail(s.ctx(), sending))
	return sending.Hold
}

// situation is what the next step with the manager of an advertisement depends on.
func (s *shop) adSituation(id restock.AdvertisementID) restock.AdSituation {
	s.t.Helper()
	var seen restock.AdSituation
	_, _, err := s.TurnAd(s.ctx(), id, mailing, func(a restock.AdSituation) restock.AdTurn {
		seen = a
		return restock.AdTurn{State: a.Hold.State, LookAt: a.LookAt}
	})
	s.must(err)
	return seen
}

func (s *shop) wantHold(id restock.AdHoldID, state restock.AdHoldState, told restock.AdAsk) restock.AdHold {
	s.t.Helper()
	hold, err := s.AdHold(s.ctx(), id)
	s.must(err)
	if hold.State != state || hold.Told() != told {
		s.t.Errorf("the hold is %s and told %q, want %s and %q", hold.State, hold.Told(), state, told)
	}
	return hold
}

func stopThenResume(t *testing.T, h harness) {
	s := h.soldOut(t)
	hold := s.mailed(stepStop)
	s.wantHold(hold.ID, restock.AdHoldStopped, restock.AskStop)
	s.back()
	if resumed := s.mailed(stepResume); resumed.ID != hold.ID {
		t.Errorf("the mail that it can resume is of hold %s, want %s", resumed.ID, hold.ID)
	}
	s.wantHold(hold.ID, restock.AdHoldResumed, restock.AskResume)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE slot IS NULL`, 1)
	s.mustBuy("A", 10) // the next stockout is another conversation
	if next := s.mailed(stepStop); next.ID == hold.ID {
		t.Error("a new stockout has the hold of the one before")
	}
}

func nothingToWrite(t *testing.T, h harness) {
	s := h.soldOut(t)
	decided := 0
	_, turn, err := s.TurnAd(s.ctx(), s.ad("A"), mailing, func(restock.AdSituation) restock.AdTurn {
		decided++
		return restock.AdTurn{}
	})
	s.must(err)
	if decided != 1 || turn != (restock.AdTurn{}) {
		t.Errorf("decided %d times, %+v; want once, without the writer", decided, turn)
	}
	later := s.clock.now().Add(time.Hour)
	s.turn(restock.AdTurn{LookAt: later})
	if got := s.adSituation(s.ad("A")); !got.LookAt.Equal(later) {
		t.Errorf("look at %s, want %s", got.LookAt, later)
	}
	s.wantCount(`SELECT COUNT(*) FROM ad_holds`, 0)
}

func backBeforeStop(t *testing.T, h harness) {
	s := h.soldOut(t)
	if got := s.adSituation(s.ad("A")); !got.Out {
		t.Error("it has nothing to sell, and that is not seen")
	}
	s.back()
	if got := s.adSituation(s.ad("A")); got.Out || !got.Hold.ID.IsZero() {
		t.Errorf("situation %+v", got)
	}
}

func waitWhileMailing(t *testing.T, h harness) {
	s := h.soldOut(t)
	sending := s.turn(stepStop)
	if got := s.adSituation(s.ad("A")); !got.MailingUntil.Equal(s.clock.now().Add(mailing)) {
		t.Errorf("a mail is on its way until %s", got.MailingUntil)
	}
	_, turn, err := s.TurnAd(s.ctx(), s.ad("A"), mailing, step(restock.AdTurn{Wait: true, State: restock.AdHoldStopping}))
	s.must(err)
	if !turn.Wait {
		t.Error("nobody waits")
	}
	s.must(s.EndAdMail(s.ctx(), sending))
	if got := s.adSituation(s.ad("A")); got.MailingUntil.After(s.clock.now()) {
		t.Errorf("the mail was sent, and is on its way until %s", got.MailingUntil)
	}
}

func repeatAfterCrash(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.turn(stepStop) // and its process dies: the mail may have been sent
	if first.Unsure {
		t.Error("before the first try somebody may have got it")
	}
	s.clock.advance(mailing)
	s.placed("A", 7) // the mail would say more now
	again := s.turn(stepAgain)
	want := first
	want.Unsure, want.Until = true, again.Until
	want.Hold.Stop.Mail.Tries, want.Hold.Stop.Mail.TriedAt = 2, s.clock.now()
	if diff := cmp.Diff(want, again); diff != "" {
		t.Errorf("the repeat is another mail (-want +got):\n%s", diff)
	}
}

func failedMails(t *testing.T, h harness) {
	s := h.soldOut(t)
	sending := s.turn(stepStop)
	s.must(s.FailAdMail(s.ctx(), sending, false))
	if got := s.adSituation(s.ad("A")); got.MailingUntil.After(s.clock.now()) {
		t.Error("a mail that failed keeps others waiting")
	}
	s.wantHold(sending.Hold.ID, restock.AdHoldStopping, "")
	s.must(s.FailAdMail(s.ctx(), s.turn(stepAgain), true))
	s.wantHold(sending.Hold.ID, restock.AdHoldStopping, restock.AskStop)
	again := s.turn(stepAgain)
	s.must(s.FailAdMail(s.ctx(), again, false)) // the one before may have arrived
	s.wantHold(sending.Hold.ID, restock.AdHoldStopping, restock.AskStop)
	if !again.Unsure || again.Hold.Stop.Mail.Tries != 3 {
		t.Errorf("the third try %+v", again)
	}

	s = h.soldOut(t)
	sending = s.turn(stepStop)
	s.must(s.FailAdMail(s.ctx(), sending, false))
	s.withdraw(restock.AdTurn{})
	s.wantHold(sending.Hold.ID, restock.AdHoldWithdrawn, "")

	s = h.soldOut(t)
	hold := s.mailed(stepStop)
	s.must(s.FailAdMail(s.ctx(), s.turn(stepResume), false))
	s.turn(restock.AdTurn{State: restock.AdHoldStopped})
	s.wantHold(hold.ID, restock.AdHoldStopped, restock.AskStop)
	s.wantCount(`SELECT COUNT(*) FROM ad_mails WHERE kind = 'resume'`, 0) // the next one is another mail
}

// withdraw withdraws the last hold of A's advertisement, and then takes a step.
func (s *shop) withdraw(then restock.AdTurn) restock.AdHoldID {
	s.t.Helper()
	var before restock.AdHoldID
	_, _, err := s.TurnAd(s.ctx(), s.ad("A"), mailing, func(a restock.AdSituation) restock.AdTurn {
		if a.Hold.State == restock.AdHoldStopping {
			return restock.AdTurn{State: restock.AdHoldWithdrawn}
		}
		before = a.Hold.ID
		return then
	})
	s.must(err)
	return before
}

func withdrawn(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.mailed(stepStop)
	s.back()
	s.mailed(stepResume)
	s.mustBuy("A", 10)
	second := s.turn(stepStop)
	s.must(s.FailAdMail(s.ctx(), second, false))
	at := s.clock.now().Add(time.Hour)
	if got := s.withdraw(restock.AdTurn{State: restock.AdHoldResumed, LookAt: at}); got != first.ID {
		t.Errorf("the last hold is %s, want %s", got, first.ID)
	}
	s.wantHold(second.Hold.ID, restock.AdHoldWithdrawn, "")
	if got := s.adSituation(s.ad("A")); got.Hold.ID != first.ID || got.Hold.State != restock.AdHoldResumed || !got.LookAt.Equal(at) {
		t.Errorf("situation %+v", got)
	}

	s = h.soldOut(t)
	first = s.mailed(stepStop)
	s.back()
	s.turn(stepResume) // nobody knows what became of it
	s.mustBuy("A", 10)
	s.clock.advance(mailing)
	s.must(s.FailAdMail(s.ctx(), s.turn(stepStop), false))
	s.withdraw(restock.AdTurn{State: restock.AdHoldResuming})
	s.wantHold(first.ID, restock.AdHoldResuming, restock.AskResume)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE slot = 1`, 1)
}

// lateSenders lets a process end its mail after another took over.
func lateSenders(t *testing.T, h harness) {
	s := h.soldOut(t)
	slow := s.turn(stepStop)
	s.clock.advance(mailing)
	fast := s.turn(stepAgain)
	s.must(s.FailAdMail(s.ctx(), slow, false)) // it wakes up
	if got := s.adSituation(s.ad("A")); !got.MailingUntil.Equal(fast.Until) {
		t.Errorf("on its way until %s, want %s", got.MailingUntil, fast.Until)
	}
	s.wantHold(slow.Hold.ID, restock.AdHoldStopping, restock.AskStop)
	s.back()
	s.clock.advance(mailing)
	resume := s.turn(stepResume)
	s.must(s.EndAdMail(s.ctx(), fast))
	s.wantHold(slow.Hold.ID, restock.AdHoldResuming, restock.AskResume)
	s.must(s.EndAdMail(s.ctx(), resume))
	s.must(s.EndAdMail(s.ctx(), slow))
	s.must(s.EndAdMail(s.ctx(), resume))
	s.wantHold(slow.Hold.ID, restock.AdHoldResumed, restock.AskResume)
}

func noAdvertisement(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.mustBuy("A", 1)
	ads, err := s.AdvertisementsOf(s.ctx(), restock.StockOut, s.product("A").Stock.StockoutID)
	s.must(err)
	if len(ads) > 0 {
		t.Errorf("advertisements %v, want none", ads)
	}
}

func mailFacts(t *testing.T, h harness) {
	s := h.soldOut(t)
	opened := s.clock.now()
	a := s.placed("A", 10)
	begun := s.clock.now()
	got := s.turn(stepStop).Hold
	stop := restock.AdMail{
		DueAt: begun, Tries: 1, TriedAt: begun, Unsure: true,
		Facts: restock.AdFacts{Name: adName, Language: restock.Korean, Total: 1, Products: []restock.AdProduct{
			{SKU: "A", Name: "Donut A", Since: opened, OnOrder: 10, ExpectedAt: a.SentAt.Add(leadTime)},
		}},
	}
	want := restock.AdHold{
		ID: got.ID, State: restock.AdHoldStopping, ProductID: s.product("A").ID, SKU: "A", StockoutID: s.product("A").Stock.StockoutID, BegunAt: begun,
		Advertisement: restock.Advertisement{
			ID: s.ad("A"), Name: adName, ManagerEmail: "ads@donut.example", Language: restock.Korean, StopWhen: restock.StopWhenAll,
		},
		Stop: restock.AdQuestion{Mail: stop},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
	s.clock.advance(mailing)
	s.receive(a, 10, "ten")
	resume := s.turn(stepResume).Hold
	want.State = restock.AdHoldResuming
	want.Resume.Mail = restock.AdMail{
		DueAt: s.clock.now(), Tries: 1, TriedAt: s.clock.now(), Unsure: true,
		Facts: restock.AdFacts{Name: adName, Language: restock.Korean, Total: 1, Products: []restock.AdProduct{
			{SKU: "A", Name: "Donut A", Since: s.clock.now()},
		}},
	}
	if diff := cmp.Diff(want, resume); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
}

// backBeforeTheHold: the act that ends a stockout may have an earlier time than
// the hold, though it is the later one: of another process, or one that waited.
func backBeforeTheHold(t *testing.T, h harness) {
	s := h.soldOut(t)
	a := s.placed("A", 10)
	s.mailed(stepStop)
	s.clock.advance(-time.Minute)
	s.receive(a, 10, "ten")
	closed := s.clock.now()
	s.clock.advance(time.Hour)
	want := restock.AdFacts{Name: adName, Language: restock.Korean, Total: 1, Products: []restock.AdProduct{{SKU: "A", Name: "Donut A", Since: closed}}}
	if diff := cmp.Diff(want, s.turn(stepResume).Hold.Resume.Mail.Facts); diff != "" {
		t.Errorf("the mail that it can resume (-want +got):\n%s", diff)
	}
}

func manyFacts(t *testing.T, h harness) {
	c := catalogue()
	for sku := range strings.SplitSeq("ABCDEFGH", "") {
		p := ordered(restock.SKU(sku), 1, 0, 10)
		p.Name = strings.Repeat("이름", restock.AdNameRunesMax)
		c.Products = append(c.Products, p)
	}
	c.Fill()
	s := h.shop(t, c)
	for _, p := range c.Products {
		s.clock.advance(time.Second)
		s.mustBuy(p.SKU, 1)
	}
	facts := s.turn(stepStop).Hold.Stop.Mail.Facts
	if len(facts.Products) != restock.AdProductsMax || facts.Total != 8 || facts.Products[0].SKU != "A" ||
		len([]rune(facts.Products[0].Name)) != restock.AdNameRunesMax {
		t.Errorf("%d of %d products, the first %+v", len(facts.Products), facts.Total, facts.Products[0])
	}
}

func stopWhenAllOrAny(t *testing.T, h harness) {
	for _, when := range []restock.StopWhen{restock.StopWhenAll, restock.StopWhenAny} {
		c := catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10), ordered("NEVER", 0, 0, 10))
		c.Advertisements[0].StopWhen = when
		s := h.shop(t, c)
		wantOut := func(want bool, what string) {
			t.Helper()
			if got := s.adSituation(s.ad("A")).Out; got != want {
				t.Errorf("%s: %s, it should be stopped: %t, want %t", when, what, got, want)
			}
		}
		enough := when == restock.StopWhenAny
		wantOut(false, "before anything is sold")
		s.mustBuy("A", 1)
		wantOut(enough, "one is sold out")
		s.mustBuy("B", 1)
		wantOut(true, "all are sold out")
		s.back()
		wantOut(enough, "one is back")
		s.receive(s.placed("B", 10), 10, "ten")
		wantOut(false, "both are back")
		s.mustBuy("A", 10)
		s.mustBuy("B", 10)
		s.receive(s.placed("NEVER", 10), 10, "the first ever")
		wantOut(enough, "one that was never there has come")
	}
}

func sameManagerHears(t *testing.T, h harness) {
	s := h.soldOut(t)
	stockout, was := s.product("A").Stock.StockoutID, s.ad("A")
	s.mailed(stepStop)
	c := catalogue(ordered("A", 3, 0, 10))
	c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	c.Products[0].Advertisement = "other"
	c.Fill()
	s.apply(c)
	ads, err := s.AdvertisementsOf(s.ctx(), restock.StockOut, stockout)
	s.must(err)
	if len(ads) != 2 {
		t.Fatalf("advertisements %v, want the one that shows it now and the one that was stopped", ads)
	}
	if got := s.adSituation(was); got.Out || len(got.Facts.Products) > 0 {
		t.Errorf("the one that was stopped: %+v", got)
	}
	if got := s.adSituation(s.ad("A")); !got.Out || !got.Hold.ID.IsZero() {
		t.Errorf("the one that shows it now: %+v", got)
	}
}

func lastEventCounts(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.product("A").Stock.StockoutID
	want := func(typ restock.EventType, id restock.StockoutID, want int) {
		t.Helper()
		ads, err := s.AdvertisementsOf(s.ctx(), typ, id)
		s.must(err)
		if len(ads) != want {
			t.Errorf("%s concerns %d advertisements, want %d", typ, len(ads), want)
		}
	}
	want(restock.StockOut, first, 1)
	s.back()
	want(restock.StockOut, first, 0)
	want(restock.StockBack, first, 1)
	s.clock.advance(time.Second)
	s.mustBuy("A", 10)
	want(restock.StockBack, first, 0)
	want(restock.StockOut, s.product("A").Stock.StockoutID, 1)
}

func oneBegins(t *testing.T, h harness) {
	s := h.soldOut(t)
	id := s.ad("A")
	var mu sync.Mutex
	begun := 0
	atOnce(20, func(int) {
		sending, _, err := s.TurnAd(s.ctx(), id, mailing, func(a restock.AdSituation) restock.AdTurn {
			if a.MailingUntil.After(a.Now) {
				return restock.AdTurn{Wait: true}
			}
			return stepStop
		})
		if err != nil {
			t.Error(err)
		}
		if sending.Kind != "" {
			mu.Lock()
			begun++
			mu.Unlock()
		}
	})
	if begun != 1 {
		t.Errorf("%d begin the mail, want 1", begun)
	}
}

func unknownAds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	_, _, err := s.TurnAd(s.ctx(), restock.AdvertisementID{1}, mailing, step(stepStop))
	wantKind(t, err, restock.NotFound)
	_, err = s.AdvertisementsOf(s.ctx(), restock.StockOut, restock.StockoutID{1})
	wantKind(t, err, restock.NotFound)
	_, err = s.AdHold(s.ctx(), restock.AdHoldID{1})
	wantKind(t, err, restock.NotFound)
	_, _, err = s.AdAnswer(s.ctx(), restock.AdHoldID{1}, restock.AskStop)
	wantKind(t, err, restock.NotFound)
	_, _, err = s.AcknowledgeAd(s.ctx(), restock.AdHoldID{1}, restock.AskStop, "nobody")
	wantKind(t, err, restock.NotFound)
	_, err = s.AcknowledgeAdHold(s.ctx(), restock.AdHoldID{1}, by("nothing"))
	wantKind(t, err, restock.NotFound)
}

func holdsFollow(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.mailed(stepStop)
	s.back()
	s.turn(stepResume) // nobody knows what became of it
	s.mustBuy("A", 10)
	s.clock.advance(mailing)
	second := s.mailed(stepStop)
	s.wantHold(first.ID, restock.AdHoldResumed, restock.AskResume)
	s.wantHold(second.ID, restock.AdHoldStopped, restock.AskStop)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE slot = 1`, 1)
}

// acknowledged looks and then answers, and wants the same of both.
func (s *shop) acknowledged(id restock.AdHoldID, ask restock.AdAsk, seen, taken restock.AdAnswer) {
	s.t.Helper()
	_, got, err := s.AdAnswer(s.ctx(), id, ask)
	s.must(err)
	if got != seen {
		s.t.Errorf("the answer %s would be %s, want %s", ask, got, seen)
	}
	hold, got, err := s.AcknowledgeAd(s.ctx(), id, ask, "the manager")
	s.must(err)
	if got != taken || (taken == restock.AnswerTaken && hold.Question(ask).AcknowledgedBy != "the manager") {
		s.t.Errorf("the answer %s is %s, want %s; %+v", ask, got, taken, hold)
	}
}

func answerOnce(t *testing.T, h harness) {
	s := h.soldOut(t)
	hold := s.mailed(stepStop)
	s.acknowledged(hold.ID, restock.AskResume, restock.AnswerOut, restock.AnswerOut)
	at := s.clock.now()
	s.acknowledged(hold.ID, restock.AskStop, restock.AnswerAwaited, restock.AnswerTaken)
	s.clock.advance(time.Hour)
	s.acknowledged(hold.ID, restock.AskStop, restock.AnswerKnown, restock.AnswerKnown)
	if got := s.wantHold(hold.ID, restock.AdHoldStopped, restock.AskStop); !got.Stop.AcknowledgedAt.Equal(at) {
		t.Errorf("acknowledged at %s, want %s", got.Stop.AcknowledgedAt, at)
	}
	s.back()
	s.acknowledged(hold.ID, restock.AskResume, restock.AnswerOutdated, restock.AnswerOutdated) // nobody asked yet
	s.mailed(stepResume)
	s.acknowledged(hold.ID, restock.AskResume, restock.AnswerAwaited, restock.AnswerTaken)
	s.acknowledged(hold.ID, restock.AskResume, restock.AnswerKnown, restock.AnswerKnown)
}

func answerTooLate(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.mailed(stepStop)
	s.back()
	s.acknowledged(first.ID, restock.AskStop, restock.AnswerBack, restock.AnswerBack)
	s.mailed(stepResume)
	s.mustBuy("A", 10)
	s.acknowledged(first.ID, restock.AskResume, restock.AnswerOut, restock.AnswerOut)
	s.acknowledged(first.ID, restock.AskStop, restock.AnswerOutdated, restock.AnswerOutdated)
	second := s.mailed(stepStop)
	s.acknowledged(first.ID, restock.AskStop, restock.AnswerOutdated, restock.AnswerOutdated)
	s.back2()
	s.acknowledged(first.ID, restock.AskResume, restock.AnswerOutdated, restock.AnswerOutdated)
	s.acknowledged(second.ID, restock.AskStop, restock.AnswerBack, restock.AnswerBack)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE stop_acknowledged_at IS NOT NULL OR resume_acknowledged_at IS NOT NULL`, 0)
}

// back2 ends the second stockout of A.
func (s *shop) back2() {
	s.t.Helper()
	s.receive(s.placed("A", 10), 10, "ten more")
}

func operatorAnswers(t *testing.T, h harness) {
	s := h.soldOut(t)
	hold := s.mailed(stepStop)
	s.turn(restock.AdTurn{State: restock.AdHoldStopped, Escalate: true})
	got, err := s.AcknowledgeAdHold(s.ctx(), hold.ID, by("on the phone"))
	s.must(err)
	if got.Stop.AcknowledgedBy != by("").By || !got.EscalatedAt.IsZero() {
		t.Errorf("hold %+v", got)
	}
	_, err = s.AcknowledgeAdHold(s.ctx(), hold.ID, by("again"))
	wantKind(t, err, restock.Conflict)
	entries, _, err := s.Audit(s.ctx(), restock.ListQuery{})
	s.must(err)
	if len(entries) != 1 || entries[0].Action != "ad.acknowledge" || entries[0].Subject != hold.ID.String() || entries[0].SKU != "A" ||
		entries[0].Reason != "on the phone" || entries[0].Detail != "stop of "+adName {
		t.Errorf("audit %+v", entries)
	}
	s.back()
	_, err = s.AcknowledgeAdHold(s.ctx(), hold.ID, by("nothing is asked"))
	wantKind(t, err, restock.Conflict)
}

func unanswered(t *testing.T, h harness) {
	s := h.soldOut(t)
	hold := s.mailed(stepStop)
	since := s.clock.now()
	s.told(false)
	s.clock.advance(4 * time.Hour)
	s.turn(restock.AdTurn{State: restock.AdHoldStopped, Escalate: true})
	want := []restock.Problem{{
		Kind: restock.ProblemAdUnanswered, ID: hold.ID.String(), SKU: "A", Since: since,
		Count: 1, Summary: "ads@donut.example has not said that " + adName + " is stopped, though there is nothing to sell",
	}}
	for range 2 {
		if diff := cmp.Diff(want, s.told(true).Problems); diff != "" {
			t.Errorf("problems (-want +got):\n%s", diff)
		}
		s.clock.advance(restock.ToldAgainAfter - time.Millisecond)
		s.told(false)
		s.clock.advance(time.Millisecond)
	}
	s.back()
	s.mailed(stepResume) // nobody need stop it any more
	since = s.clock.now()
	s.told(false)
	s.turn(restock.AdTurn{State: restock.AdHoldResumed, Escalate: true})
	want[0].Since = since
	want[0].Summary = "ads@donut.example has not said that " + adName + " runs again, though it can"
	if diff := cmp.Diff(want, s.told(true).Problems); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
	s.acknowledged(hold.ID, restock.AskResume, restock.AnswerAwaited, restock.AnswerTaken)
	s.clock.advance(restock.ToldAgainAfter)
	s.told(false)
	s.turn(restock.AdTurn{State: restock.AdHoldResumed, Escalate: true})
	s.mustBuy("A", 10)
	s.mailed(stepStop) // and nobody need resume it
	s.clock.advance(restock.ToldAgainAfter)
	s.told(false)
}

func dueLooks(t *testing.T, h harness) {
	c := catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10))
	c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	c.Products[1].Advertisement = "other"
	c.Fill()
	s := h.shop(t, c)
	s.mustBuy("A", 1)
	s.mustBuy("B", 1)
	s.mailed(stepStop)
	s.turn(restock.AdTurn{State: restock.AdHoldStopped, LookAt: s.clock.now().Add(time.Hour)})
	_, _, err := s.TurnAd(s.ctx(), s.ad("B"), mailing, step(restock.AdTurn{LookAt: s.clock.now().Add(2 * time.Hour)}))
	s.must(err)
	publish := func() int64 {
		t.Helper()
		var mu sync.Mutex
		published := 0
		atOnce(8, func(int) {
			n, err := s.PublishDueAds(s.ctx(), 10)
			if err != nil {
				t.Error(err)
			}
			mu.Lock()
			defer mu.Unlock()
			published += n
		})
		return int64(published)
	}
	for i, want := range []int64{0, 1, 0, 1} {
		if got := publish(); got != want {
			t.Errorf("look %d: %d messages, want %d", i, got, want)
		}
		s.clock.advance([]time.Duration{time.Hour, time.Minute, 59 * time.Minute, 0}[i])
	}
	s.wantPublished(restock.AdDue, "A", 1)
	s.wantPublished(restock.AdDue, "B", 1)
}

func untoldAds(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10)))
	stopUntold := func(a restock.AdSituation) restock.AdTurn {
		if untold, _ := a.Untold(); untold {
			return restock.AdTurn{Send: restock.AdMailStop}
		}
		return restock.AdTurn{State: a.Hold.State}
	}
	want := func(want int, what string) {
		t.Helper()
		got, err := s.UntoldAds(s.ctx(), 10, stopUntold)
		s.must(err)
		if len(got) != want || want == 1 && got[0] != s.ad("A") {
			t.Errorf("%s: untold %v, want %d", what, got, want)
		}
	}
	want(0, "before anything is sold")
	s.mustBuy("A", 1)
	want(0, "one of two is sold out")
	c := catalogue(ordered("A", 1, 0, 10), ordered("B", 1, 0, 10))
	c.Advertisements[0].StopWhen = restock.StopWhenAny
	s.apply(c)
	want(1, "that is enough by now")
	got, err := s.UntoldAds(s.ctx(), 10, step(restock.AdTurn{Wait: true}))
	s.must(err)
	if len(got) > 0 {
		t.Errorf("untold %v, though somebody writes", got)
	}
	s.must(s.PublishAdDue(s.ctx(), s.ad("A")))
	s.wantPublished(restock.AdDue, "A", 1)
	sending := s.turn(stepStop)
	want(0, "a message drives the mail")
	s.must(s.EndAdMail(s.ctx(), sending))
	want(0, "it was told")
	s.back()
	want(1, "it is back")
	sending = s.turn(stepResume)
	want(0, "a message drives the mail")
	s.must(s.EndAdMail(s.ctx(), sending))
	want(0, "it was told that it is back")
}

func adHoldList(t *testing.T, h harness) {
	s := h.soldOut(t)
	first := s.mailed(stepStop)
	s.back()
	s.mailed(stepResume)
	s.mustBuy("A", 10)
	second := s.mailed(stepStop)
	ids := func(q restock.ListQuery) []restock.AdHoldID {
		t.Helper()
		holds, _, err := s.AdHolds(s.ctx(), q)
		s.must(err)
		var ids []restock.AdHoldID
		for _, h := range holds {
			whole, err := s.AdHold(s.ctx(), h.ID)
			s.must(err)
			if diff := cmp.Diff(whole, h); diff != "" {
				t.Errorf("listed (-whole +listed):\n%s", diff)
			}
			ids = append(ids, h.ID)
		}
		return ids
	}
	for _, l := range []struct {
		q    restock.ListQuery
		want []restock.AdHoldID
	}{
		{restock.ListQuery{}, []restock.AdHoldID{second.ID, first.ID}},
		{restock.ListQuery{State: "resumed"}, []restock.AdHoldID{first.ID}},
		{restock.ListQuery{Product: "A", Limit: 1}, []restock.AdHoldID{second.ID}},
		{restock.ListQuery{After: second.ID.String()}, []restock.AdHoldID{first.ID}},
		{restock.ListQuery{State: "withdrawn"}, nil},
	} {
		if diff := cmp.Diff(l.want, ids(l.q)); diff != "" {
			t.Errorf("%+v (-want +got):\n%s", l.q, diff)
		}
	}
	_, _, err := s.AdHolds(s.ctx(), restock.ListQuery{State: "held"})
	wantKind(t, err, restock.Invalid)
}
