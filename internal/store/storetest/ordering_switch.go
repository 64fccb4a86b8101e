package storetest

import (
	"testing"
	"time"

	"github.com/restock/restock"
)

func switchChecks() []check {
	return []check{
		{"APauseHasItsReasonAndIsEndedByAPerson", pauseAll},
		{"AFactoryIsPausedAlone", pauseFactory},
		{"AProductSleepsUntilItsTimeOrUntilItIsWoken", snoozeProduct},
		{"FactoriesAreListedWithWhatIsOnItsWay", factoriesListed},
	}
}

func (s *shop) paused() string {
	s.t.Helper()
	w, err := s.OrderingSwitch(s.ctx())
	s.must(err)
	return w.Paused
}

func pauseAll(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	for _, reason := range []string{"no money", "still no money"} {
		s.must(s.PauseOrdering(s.ctx(), "", by(reason)))
		if got := s.paused(); got != reason {
			t.Errorf("paused because %q, want %q", got, reason)
		}
	}
	s.order("A", 10)
	s.wantNoClaim()
	s.must(s.ResumeOrdering(s.ctx(), "", by("money came")))
	s.must(s.ResumeOrdering(s.ctx(), "", by("so it did")))
	if got := s.paused(); got != "" {
		t.Errorf("paused because %q, want that it goes on", got)
	}
	s.claim()
	s.wantAudit("ordering.resume  by kim: so it did", "ordering.resume  by kim: money came",
		"ordering.pause  by kim: still no money", "ordering.pause  by kim: no money")
}

func pauseFactory(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	wantKind(t, s.PauseOrdering(s.ctx(), "FF-none", by("?")), restock.NotFound)
	wantKind(t, s.ResumeOrdering(s.ctx(), "FF-none", by("?")), restock.NotFound)
	s.must(s.PauseOrdering(s.ctx(), factoryID, by("they move")))
	s.wantCount(`SELECT COUNT(*) FROM factories WHERE paused = 'they move'`, 1)
	if got := s.paused(); got != "" {
		t.Errorf("all ordering is paused because %q", got)
	}
	s.order("A", 10)
	s.wantNoClaim()
	s.must(s.ResumeOrdering(s.ctx(), factoryID, by("they moved")))
	s.claim()
	s.wantCount(`SELECT COUNT(*) FROM factories WHERE paused = ''`, 1)
	s.wantAudit("ordering.resume  by kim: they moved", "ordering.pause  by kim: they move")
}

func snoozeProduct(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	until := s.clock.now().Add(time.Hour)
	p, err := s.Snooze(s.ctx(), "A", until, by("winter"))
	s.must(err)
	if !p.SnoozedUntil.Equal(until) || !s.product("A").SnoozedUntil.Equal(until) {
		t.Errorf("snoozed until %v, want %v", p.SnoozedUntil, until)
	}
	for _, bad := range []time.Time{s.clock.now(), s.clock.now().Add(restock.SnoozeMax + time.Second)} {
		_, err = s.Snooze(s.ctx(), "A", bad, by("?"))
		wantKind(t, err, restock.Invalid)
	}
	_, err = s.Snooze(s.ctx(), "cake", until, by("?"))
	wantKind(t, err, restock.NotFound)
	low := s.published(restock.StockLow, "A")
	p, err = s.Snooze(s.ctx(), "A", time.Time{}, by("summer"))
	s.must(err)
	if !p.SnoozedUntil.IsZero() || !s.product("A").SnoozedUntil.IsZero() {
		t.Errorf("snoozed until %v, want that it is awake", p.SnoozedUntil)
	}
	s.wantPublished(restock.StockLow, "A", low+1)
	s.wantAudit("product.wake A by kim: summer", "product.snooze A by kim: winter")
}

func factoriesListed(t *testing.T, h harness) {
	c := catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10), ordered("C", 0, 0, 10))
	c.Factories = append(c.Factories, restock.CatalogFactory{Identifier: "FF-9", URL: "http://127.0.0.1:4001/"})
	c.Fill()
	s := h.shop(t, c)
	s.placed("A", 10)
	s.order("B", 10)
	s.claim()
	s.order("C", 10)
	first, next, err := s.Factories(s.ctx(), restock.ListQuery{Limit: 1})
	s.must(err)
	rest, end, err := s.Factories(s.ctx(), restock.ListQuery{Limit: 1, After: next})
	s.must(err)
	if len(first) != 1 || len(rest) != 1 || end != "" || rest[0].Identifier != "FF-9" || rest[0].InFlight+rest[0].Planned+rest[0].Waiting != 0 {
		t.Fatalf("pages %+v and %+v, %q", first, rest, end)
	}
	if f := first[0]; f.Identifier != factoryID || f.InFlight != 1 || f.Planned != 1 || f.Waiting != 1 || f.LeadTime != leadTime {
		t.Errorf("factory %+v, want one order in each state", f)
	}
}
