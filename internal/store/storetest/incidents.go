package storetest

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

// hold is how long a condition must be clear until its incident is over.
const hold = 2 * time.Minute

func incidentChecks() []check {
	return []check{
		{"ManyLooksOpenOne", incidentOnce},
		{"ASuspicionOpensNoneAndKeepsOneOpen", incidentSuspected},
		{"ItEndsWhenItIsNotSeenForAWhile", incidentEnds},
		{"WhatALookDoesNotListIsClearIfTheLookIsComplete", incidentUnlisted},
		{"AClockThatIsSetBackClosesNone", incidentClockBack},
		{"ItIsToldOnceAndSoIsItsEnd", incidentTold},
		{"OneThatWasNeverToldTellsNothing", incidentNeverTold},
		{"AConditionThatComesAndGoesIsOneMail", incidentFlaps},
		{"ItsEndIsToldWhereItWasTold", incidentToldSomewhere},
		{"AMailThatMayHaveGoneHasToldIt", incidentMailLost},
		{"WhatCameAgainHasNotRecovered", incidentAgain},
		{"TheEndOfDeadLettersIsToldOnce", incidentDeadLetters},
		{"DeadLettersThatSolvedThemselvesTellNothing", incidentDeadLettersUntold},
		{"DeadLettersThatCameBetweenTwoLooksAreNotOverYet", incidentDeadLettersBetween},
		{"WhatIsToldAndOverIsForgotten", incidentForgotten},
		{"AForgottenDigestLetsWhatStillWaitsBeToldAgain", digestForgotten},
	}
}

func condition(state restock.ConditionState, since time.Time) restock.Condition {
	return restock.Condition{Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, State: state, Since: since, Detail: "5 wait"}
}

// observe looks at one condition, that began just now.
func (s *shop) observe(state restock.ConditionState) {
	s.t.Helper()
	s.must(s.Observe(s.ctx(), restock.Look{Conditions: []restock.Condition{condition(state, s.clock.now())}}, hold))
}

// over looks until an incident is closed.
func (s *shop) over() {
	s.t.Helper()
	s.observe(restock.Clear)
	s.clock.advance(hold)
	s.observe(restock.Clear)
	s.wantOpen()
}

func (s *shop) open() []restock.Incident {
	s.t.Helper()
	status, err := s.Status(s.ctx())
	s.must(err)
	return status.Incidents
}

// wantOpen compares the incidents that are open; ids are not compared.
func (s *shop) wantOpen(want ...restock.Incident) {
	s.t.Helper()
	if diff := cmp.Diff(want, s.open(), cmpopts.IgnoreFields(restock.Incident{}, "ID")); diff != "" {
		s.t.Errorf("open incidents (-want +got):\n%s", diff)
	}
}

func incidentOnce(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	began := s.clock.now().Add(-time.Hour)
	atOnce(20, func(int) {
		look := restock.Look{Conditions: []restock.Condition{condition(restock.Present, began)}}
		if err := s.Observe(s.ctx(), look, hold); err != nil {
			t.Error(err)
		}
	})
	want := restock.Incident{Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, Detail: "5 wait", BeganAt: began, SeenAt: s.clock.now()}
	s.wantOpen(want)
	s.clock.advance(time.Minute)
	c := condition(restock.Present, began.Add(time.Minute)) // the oldest is another one by now
	c.Detail = "6 wait"
	other := c
	other.Subject = restock.StockQueue
	s.must(s.Observe(s.ctx(), restock.Look{Conditions: []restock.Condition{c, other}}, hold))
	want.Detail, want.SeenAt = "6 wait", s.clock.now()
	second := want
	second.Subject, second.BeganAt = other.Subject, other.Since
	s.wantOpen(want, second)
}

func incidentSuspected(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Suspected)
	s.observe(restock.Clear)
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 0)
	s.observe(restock.Present)
	began := s.clock.now()
	s.observe(restock.Clear)
	s.clock.advance(hold)
	s.observe(restock.Suspected)
	s.observe(restock.Clear) // it begins anew
	s.wantOpen(restock.Incident{
		Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, Detail: "5 wait", BeganAt: began, SeenAt: s.clock.now(), EndedAt: s.clock.now(),
	})
}

func incidentEnds(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	began := s.clock.now()
	s.clock.advance(time.Hour)
	s.observe(restock.Clear)
	s.observe(restock.Clear)
	s.clock.advance(hold - time.Millisecond)
	s.observe(restock.Clear)
	s.wantOpen(restock.Incident{
		Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, Detail: "5 wait", BeganAt: began, SeenAt: began,
		EndedAt: s.clock.now().Add(time.Millisecond - hold),
	})
	s.clock.advance(time.Millisecond)
	s.observe(restock.Clear)
	s.wantOpen()
	s.observe(restock.Present)
	if n := len(s.open()); n != 1 {
		t.Errorf("%d are open, want a new one", n)
	}
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 2)
}

func incidentUnlisted(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	for range 3 {
		s.must(s.Observe(s.ctx(), restock.Look{}, hold))
		s.clock.advance(hold)
	}
	if open := s.open(); len(open) != 1 || !open[0].EndedAt.IsZero() {
		t.Errorf("after looks that did not see it: %+v", open)
	}
	s.must(s.Observe(s.ctx(), restock.Look{Complete: true}, hold))
	s.clock.advance(hold)
	s.must(s.Observe(s.ctx(), restock.Look{Complete: true}, hold))
	s.wantOpen()
}

func incidentClockBack(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	s.observe(restock.Clear)
	s.clock.advance(-24 * time.Hour)
	s.observe(restock.Clear)
	s.clock.advance(hold - time.Millisecond)
	s.observe(restock.Clear)
	if n := len(s.open()); n != 1 {
		t.Errorf("%d are open, want 1", n)
	}
	s.clock.advance(time.Millisecond) // not a day
	s.observe(restock.Clear)
	s.wantOpen()
}

func incidentTold(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	began := s.clock.now()
	want := restock.Problem{
		Kind: restock.ProblemQueueOld, ID: s.open()[0].ID.String(), Subject: restock.AdQueue, Summary: "5 wait", Since: began, Count: 1,
	}
	for _, c := range without(restock.ByCopy) {
		d := s.toldOn(c, true)
		if diff := cmp.Diff([]restock.Problem{want}, d.Problems); diff != "" || d.Total != 1 || len(d.Recovered) > 0 {
			t.Errorf("the %s tells %+v (-want +got):\n%s", c, d, diff)
		}
	}
	s.clock.advance(restock.ToldAgainAfter)
	s.observe(restock.Present)
	for _, c := range without(restock.ByCopy) {
		s.toldOn(c, false) // it goes on
	}
	s.clock.advance(time.Minute)
	until := s.clock.now()
	s.over()
	over := restock.Recovery{Kind: restock.IncidentQueueOld, Subject: restock.AdQueue, Since: began, Until: until}
	for _, c := range without(restock.ByCopy) {
		d := s.toldOn(c, true)
		if diff := cmp.Diff([]restock.Recovery{over}, d.Recovered); diff != "" || d.Total != 0 {
			t.Errorf("the %s tells %+v, recovered (-want +got):\n%s", c, d, diff)
		}
	}
	s.clock.advance(gap)
	s.over()
	for _, c := range without(restock.ByCopy) {
		s.toldOn(c, false)
	}
}

func incidentNeverTold(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.problem(1)
	s.told(true)
	s.observe(restock.Present)
	s.told(false) // the gap
	s.over()
	s.clock.advance(gap)
	s.told(false)
	s.wantCount(`SELECT COUNT(*) FROM digests`, 1)
}

func incidentFlaps(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	s.told(true)
	for range 30 {
		s.observe(restock.Present)
		s.told(false)
		s.clock.advance(hold / 2)
		s.observe(restock.Clear)
		s.told(false)
		s.clock.advance(hold / 2)
	}
	s.over()
	if d := s.told(true); len(d.Recovered) != 1 || d.Total != 0 {
		t.Errorf("told %+v, want the end", d)
	}
	s.clock.advance(gap)
	s.told(false)
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 1)
}

func incidentToldSomewhere(t *testing.T, h harness) {
	for _, heard := range without(restock.ByCopy) {
		deaf := restock.ByMail
		if heard == restock.ByMail {
			deaf = restock.ByWebhook
		}
		s := h.shop(t, restock.Catalog{})
		s.observe(restock.Present)
		s.toldOn(heard, true)
		s.failsOn(deaf)
		s.clock.advance(gap)
		s.over()
		if d := s.toldOn(heard, true); len(d.Recovered) != 1 {
			t.Errorf("the %s heard of it, and is told %+v, want its end", heard, d)
		}
		for range 2 { // what it tried, and what came since
			if d := s.toldOn(deaf, true); !d.Empty() {
				t.Errorf("the %s never heard of it, and is told %+v", deaf, d)
			}
		}
		s.toldOn(deaf, false)
	}

	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	for _, c := range without(restock.ByCopy) {
		s.failsOn(c)
	}
	s.over()
	s.clock.advance(gap)
	for _, c := range without(restock.ByCopy) {
		if d := s.toldOn(c, true); !d.Empty() { // what was tried
			t.Errorf("nobody heard of it, and the %s tells %+v", c, d)
		}
		s.toldOn(c, false)
	}
}

func incidentMailLost(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	lost := s.digest(true) // the process dies before it is recorded
	s.over()
	s.clock.advance(gap)
	if repeat := s.told(true); repeat.ID != lost.ID || !repeat.Empty() {
		t.Errorf("the repeat is %+v, want %s with nothing left to tell", repeat, lost.ID)
	}
	if d := s.told(true); len(d.Recovered) != 1 {
		t.Errorf("told %+v, want that it is over: the mail may have gone", d)
	}
}

// incidentAgain has a channel away while an incident ends and begins again: it is
// told of one that goes on.
func incidentAgain(t *testing.T, h harness) {
	s := h.shop(t, restock.Catalog{})
	s.observe(restock.Present)
	s.toldOn(restock.ByMail, true)
	s.toldOn(restock.ByWebhook, true)
	s.clock.advance(gap)
	s.over()
	if d := s.toldOn(restock.ByWebhook, true); len(d.Recovered) != 1 {
		t.Errorf("the webhook is told %+v, want the end", d)
	}
	s.clock.advance(gap)
	s.observe(restock.Present)
	again := s.clock.now()
	d := s.toldOn(restock.ByMail, true)
	if d.Total != 1 || !d.Problems[0].Since.Equal(again) || len(d.Recovered) > 0 {
		t.Errorf("the mail tells %+v, want only that it began again", d)
	}
	if d := s.toldOn(restock.ByWebhook, true); d.Total != 1 || len(d.Recovered) > 0 {
		t.Errorf("the webhook is told %+v, want that it began again", d)
	}
}

// redrive puts a dead letter back, and handles it if it is told to.
func (s *shop) redrive(queue string, id driver.ID, handle bool) {
	s.t.Helper()
	done, err := s.Queue().Redrive(s.ctx(), queue, id)
	s.must(err)
	if !done {
		s.t.Fatal("not redriven")
	}
	if !handle {
		return
	}
	got, err := s.Queue().Receive(s.ctx(), queue, driver.Request{Max: 1, Visibility: time.Minute})
	s.must(err)
	if len(got) != 1 {
		s.t.Fatalf("%d messages on %s", len(got), queue)
	}
	s.must(s.Queue().Done(s.ctx(), got[0]))
}

func incidentDeadLetters(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10), ordered("B", 0, 0, 10)))
	first := s.die(restock.StockQueue)
	began := s.clock.now()
	s.told(true)
	s.clock.advance(gap)
	s.redrive(restock.StockQueue, first, false)
	s.observe(restock.Clear)
	s.clock.advance(hold / 2)
	second, third := s.die(restock.StockQueue), s.die(restock.StockQueue) // it was no use
	if d := s.told(true); d.Total != 2 || len(d.Recovered) > 0 {
		t.Errorf("told %+v, want two dead letters", d)
	}
	s.clock.advance(hold)
	s.observe(restock.Clear)
	s.redrive(restock.StockQueue, second, true)
	s.clock.advance(gap)
	s.observe(restock.Clear)
	s.told(false) // one is left
	_, err := s.Queue().Discard(s.ctx(), restock.StockQueue, third, "not needed")
	s.must(err)
	until := s.clock.now()
	s.observe(restock.Clear)
	s.told(false)
	s.clock.advance(hold)
	s.observe(restock.Clear)
	want := []restock.Recovery{{Kind: restock.IncidentDeadLetters, Since: began, Until: until}}
	if d := s.told(true); d.Total != 0 || !cmp.Equal(want, d.Recovered) {
		t.Errorf("told %+v, want %+v", d, want)
	}
	s.clock.advance(gap)
	s.observe(restock.Clear)
	s.told(false)
}

func incidentDeadLettersUntold(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.die(restock.StockQueue)
	d := s.digest(true)
	s.must(s.FailDigest(s.ctx(), d.ID, restock.ByMail)) // the mail server is away
	s.redrive(restock.StockQueue, id, true)
	s.over()
	if d := s.told(true); !d.Empty() {
		t.Errorf("told %+v, want nothing: nobody had heard of it", d)
	}
	s.clock.advance(gap)
	s.told(false)
}

func incidentDeadLettersBetween(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 0, 0, 10)))
	id := s.die(restock.StockQueue)
	s.told(true)
	s.clock.advance(gap)
	s.redrive(restock.StockQueue, id, false)
	s.observe(restock.Clear)
	s.clock.advance(hold)
	s.die(restock.StockQueue)
	s.told(true)
	s.redrive(restock.StockQueue, id, true)
	s.clock.advance(gap)
	s.observe(restock.Clear)
	s.told(false)
	s.clock.advance(hold)
	s.observe(restock.Clear)
	s.told(true)
}

// purgeAlerts forgets what was done before now.
func (s *shop) purgeAlerts(want int) {
	s.t.Helper()
	s.clock.advance(gap)
	n, err := s.PurgeAlerts(s.ctx(), s.clock.now(), 100)
	s.must(err)
	if n != want {
		s.t.Errorf("%d digests and incidents were forgotten, want %d", n, want)
	}
}

// incidentForgotten looks at each moment what may go: nothing that some channel
// has still to tell.
func incidentForgotten(t *testing.T, h harness) {
	s := h.channelShop(t)
	s.observe(restock.Present)
	s.toldOn(restock.ByMail, true)
	s.purgeAlerts(0) // the webhook waits
	s.toldOn(restock.ByWebhook, true)
	s.purgeAlerts(0) // the copy waits, though there is nothing in it
	s.toldOn(restock.ByCopy, true)
	s.purgeAlerts(1) // the digest; the incident is open
	s.over()
	s.purgeAlerts(0) // its end has to be told
	for _, c := range without(restock.ByCopy) {
		if d := s.toldOn(c, true); len(d.Recovered) != 1 {
			t.Errorf("the %s is told %+v, want of the end", c, d)
		}
		s.purgeAlerts(0)
	}
	s.toldOn(restock.ByCopy, true)
	s.purgeAlerts(2)
	s.wantCount(`SELECT COUNT(*) FROM digests`, 0)
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 0)
	for _, c := range channels() {
		s.toldOn(c, false)
	}

	s.observe(restock.Present)
	s.over() // before anybody was told
	s.purgeAlerts(1)
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 0)
}

// digestForgotten has an order that waits for a person, and is told every day, also
// when the digest that told it is not there any more.
func digestForgotten(t *testing.T, h harness) {
	s := h.channelShop(t)
	s.trouble(1)
	first := s.toldOn(restock.ByMail, true)
	for _, c := range without(restock.ByMail) {
		s.toldOn(c, true)
	}
	s.clock.advance(restock.ToldAgainAfter)
	s.purgeAlerts(1)
	again := s.toldOn(restock.ByMail, true)
	if again.ID == first.ID || again.Total != 1 || again.Problems[0].ID != first.Problems[0].ID {
		t.Errorf("told %+v, want once more of the order", again)
	}
	for _, c := range without(restock.ByMail) {
		s.toldOn(c, true)
	}
	s.clock.advance(gap)
	s.toldOn(restock.ByMail, false) // once a day
}
