package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func adHoldChecks() []check {
	return []check{
		{"StopThenResumeOncePerStockout", stopThenResume},
		{"GoodsBackBeforeTheStopSendNothing", backBeforeStop},
		{"ASecondMailWaitsWhileTheFirstIsOnItsWay", conflictWhileMailing},
		{"AProcessThatDiedInBetweenDoesNotLeaveTheAdvertisementStopped", crashBetween},
		{"AFailedMailCanBeTriedAtOnce", failedMailAgain},
		{"WithoutAnAdvertisementNobodyIsAsked", noAdvertisement},
		{"TheMailSaysWhatIsTrue", mailFacts},
		{"TheManagerWhoWasAskedToStopHearsThatItCanResume", sameManagerHears},
		{"OnlyOneOfManyBeginsTheMail", oneBegins},
		{"AnUnknownStockoutIsNotFound", unknownStockout},
		{"ARepeatedStopAfterItWasSentSendsNothing", repeatedStop},
	}
}

// soldOut gives a shop with a product that is sold out, and its stockout.
func (h harness) soldOut(t *testing.T) (*shop, restock.StockoutID) {
	t.Helper()
	s := h.shop(t, catalogue(ordered("A", 3, 0, 10)))
	s.mustBuy("A", 3)
	return s, s.product("A").Stock.StockoutID
}

// back ends the stockout.
func (s *shop) back() {
	s.t.Helper()
	s.receive(s.placed("A", 10), 10, "ten")
}

func (s *shop) beginStop(id restock.StockoutID, want bool) restock.AdHold {
	s.t.Helper()
	hold, send, err := s.BeginStop(s.ctx(), id, mailing)
	s.must(err)
	if send != want {
		s.t.Errorf("the mail that asks to stop: %t, want %t", send, want)
	}
	return hold
}

func (s *shop) beginResume(id restock.StockoutID, want bool) restock.AdHold {
	s.t.Helper()
	hold, send, err := s.BeginResume(s.ctx(), id, mailing)
	s.must(err)
	if send != want {
		s.t.Errorf("the mail that it can resume: %t, want %t", send, want)
	}
	return hold
}

func stopThenResume(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	s.beginResume(id, false) // too early
	hold := s.beginStop(id, true)
	if hold.State != restock.AdHoldStopping || hold.ID.IsZero() {
		t.Errorf("hold %+v", hold)
	}
	s.must(s.EndStop(s.ctx(), hold.ID))
	s.back()
	resume := s.beginResume(id, true)
	if resume.ID != hold.ID || resume.State != restock.AdHoldResuming {
		t.Errorf("hold %+v, want %s resuming", resume, hold.ID)
	}
	s.must(s.EndResume(s.ctx(), hold.ID))
	s.beginResume(id, false)
	s.beginStop(id, false)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds`, 1)
	s.mustBuy("A", 10) // the next stockout is another conversation
	next := s.beginStop(s.product("A").Stock.StockoutID, true)
	if next.ID == hold.ID {
		t.Error("a new stockout has the hold of the one before")
	}
}

func backBeforeStop(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	s.back()
	s.beginResume(id, false) // stock.back may be handled first
	s.beginStop(id, false)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds`, 0)
}

func conflictWhileMailing(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	hold := s.beginStop(id, true)
	_, _, err := s.BeginStop(s.ctx(), id, mailing)
	wantKind(t, err, restock.Conflict)
	s.back()
	_, _, err = s.BeginResume(s.ctx(), id, mailing)
	wantKind(t, err, restock.Conflict)
	s.must(s.EndStop(s.ctx(), hold.ID))
	s.beginResume(id, true)
}

func crashBetween(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	s.beginStop(id, true) // and its process dies: the mail may have been sent
	s.back()
	s.clock.advance(mailing)
	hold := s.beginResume(id, true) // and again
	s.clock.advance(mailing)
	again := s.beginResume(id, true)
	if again.ID != hold.ID {
		t.Error("the repeated mail belongs to another hold")
	}
	s.must(s.EndResume(s.ctx(), hold.ID))
	s.must(s.EndStop(s.ctx(), hold.ID)) // the first one wakes up
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE state = 'resumed'`, 1)
}

func failedMailAgain(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	hold := s.beginStop(id, true)
	s.must(s.FailMail(s.ctx(), hold.ID))
	again := s.beginStop(id, true)
	if diff := cmp.Diff(hold, again); diff != "" {
		t.Errorf("the repeat is another mail (-first +repeat):\n%s", diff)
	}
}

func noAdvertisement(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.mustBuy("A", 1)
	s.beginStop(s.product("A").Stock.StockoutID, false)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds`, 0)
}

func mailFacts(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	opened := s.clock.now()
	a := s.placed("A", 10)
	got := s.beginStop(id, true)
	want := restock.AdHold{
		ID: got.ID, StockoutID: id, ProductID: s.product("A").ID, SKU: "A", ProductName: "Donut A", State: restock.AdHoldStopping,
		OpenedAt: opened, OnOrder: 10, ExpectedAt: a.SentAt.Add(leadTime),
		Advertisement: restock.Advertisement{
			ID: got.Advertisement.ID, Name: adName, ManagerEmail: "ads@donut.example", Language: restock.Korean,
		},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("hold (-want +got):\n%s", diff)
	}
	s.must(s.EndStop(s.ctx(), got.ID))
	s.clock.advance(time.Minute)
	s.receive(a, 10, "ten")
	resume := s.beginResume(id, true)
	if !resume.ClosedAt.Equal(s.clock.now()) || resume.Available != 10 || resume.OnOrder != 0 || !resume.ExpectedAt.IsZero() {
		t.Errorf("hold %+v", resume)
	}
}

func sameManagerHears(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	s.must(s.EndStop(s.ctx(), s.beginStop(id, true).ID))
	c := catalogue(ordered("A", 3, 0, 10))
	c.Advertisements = append(c.Advertisements, restock.CatalogAdvertisement{Name: "other", ManagerEmail: "other@donut.example"})
	c.Products[0].Advertisement = "other"
	c.Fill()
	s.apply(c)
	s.back()
	if got := s.beginResume(id, true).Advertisement.Name; got != adName {
		t.Errorf("the manager of %s hears that it can resume, want %s", got, adName)
	}
}

func oneBegins(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	var mu sync.Mutex
	begun := 0
	atOnce(20, func(int) {
		_, send, err := s.BeginStop(s.ctx(), id, mailing)
		if err != nil && restock.KindOf(err) != restock.Conflict {
			t.Error(err)
		}
		if send {
			mu.Lock()
			begun++
			mu.Unlock()
		}
	})
	if begun != 1 {
		t.Errorf("%d begin the mail, want 1", begun)
	}
}

func unknownStockout(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	_, _, err := s.BeginStop(s.ctx(), restock.StockoutID{1}, mailing)
	wantKind(t, err, restock.NotFound)
	_, _, err = s.BeginResume(s.ctx(), restock.StockoutID{1}, mailing)
	wantKind(t, err, restock.NotFound)
}

func repeatedStop(t *testing.T, h harness) {
	s, id := h.soldOut(t)
	s.must(s.EndStop(s.ctx(), s.beginStop(id, true).ID))
	s.beginStop(id, false)
	s.clock.advance(mailing)
	s.beginStop(id, false)
	s.wantCount(`SELECT COUNT(*) FROM ad_holds WHERE state = 'stopped'`, 1)
	s.back()
	s.beginResume(id, true)
}
