package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/store"
)

func channelChecks() []check {
	return []check{
		{"EachTakesADigestInItsOwnTime", channelsApart},
		{"WhatWaitedForOneIsOneMessage", channelAway},
		{"ARepeatHasTheSameID", channelRepeat},
		{"OneThatWasNotThereHearsNothingOfBefore", channelNew},
		{"ACopyIsOfOrdersAlone", channelCopy},
		{"WithoutABuyerThereIsNoCopy", channelNoBuyer},
		{"ADeadLetterOfTheOpsQueueIsToldByWebhookAlone", channelOpsQueue},
		{"AnUndeliveredMailToOthersIsToldByMail", channelUndelivered},
		{"AThousandDeadLettersAreOneLine", channelThousand},
		{"DeadLettersAreGroupedByQueueAndType", channelGroups},
	}
}

// toldOn is a digest that a channel takes.
func (s *shop) toldOn(c restock.Channel, want bool) restock.Digest {
	s.t.Helper()
	d := s.begin(toldBy(c, true), want)
	if want {
		s.must(s.EndDigest(s.ctx(), d.ID, c))
	}
	return d
}

// failsOn is a digest that a channel does not take.
func (s *shop) failsOn(c restock.Channel) restock.Digest {
	s.t.Helper()
	d := s.begin(toldBy(c, true), true)
	s.must(s.FailDigest(s.ctx(), d.ID, c))
	return d
}

func channels() []restock.Channel {
	return []restock.Channel{restock.ByMail, restock.ByWebhook, restock.ByCopy}
}

// without are the other channels.
func without(c restock.Channel) []restock.Channel {
	return slices.DeleteFunc(channels(), func(other restock.Channel) bool { return other == c })
}

// channelShop has a buyer, and products whose orders all channels tell of.
func (h harness) channelShop(t *testing.T) *shop {
	t.Helper()
	const products = 10
	c := catalogue(many(products)...)
	c.BuyerEmail = "buyer@donut.example"
	return h.shop(t, c)
}

// trouble has the factory refuse an order.
func (s *shop) trouble(n int) {
	s.t.Helper()
	s.order(restock.SKU(fmt.Sprintf("P-%04d", n)), 10)
	s.settle(s.claim(), restock.AttemptRejected)
}

// wantSame compares what two channels tell, whoever hears it.
func (s *shop) wantSame(first, second restock.Digest) {
	s.t.Helper()
	if diff := cmp.Diff(first, second, cmpopts.IgnoreFields(restock.Digest{}, "Audience", "To")); diff != "" {
		s.t.Errorf("digests (-first +second):\n%s", diff)
	}
}

func channelsApart(t *testing.T, h harness) {
	for _, first := range channels() {
		for _, other := range without(first) {
			s := h.channelShop(t)
			s.trouble(1)
			d := s.begin(toldBy(first, true), true)
			s.wantSame(d, s.begin(toldBy(other, true), true)) // while it is told on the first
			s.must(s.EndDigest(s.ctx(), d.ID, first))
			s.toldOn(first, false)
			s.must(s.FailDigest(s.ctx(), d.ID, other))
			if again := s.toldOn(other, true); again.ID != d.ID || again.Total != 1 {
				t.Errorf("the %s is told %+v again, want %s", other, again, d.ID)
			}
			s.toldOn(other, false)
			s.toldOn(first, false)
		}
	}
}

// channelAway lets one channel fail for hours: the others hear of each problem,
// and the one gets what it tried, and then one message of all the rest.
func channelAway(t *testing.T, h harness) {
	for _, away := range channels() {
		s := h.channelShop(t)
		others := func() {
			t.Helper()
			for _, there := range without(away) {
				if d := s.toldOn(there, true); d.Total != 1 {
					t.Errorf("the %s is told %+v, want of one problem", there, d)
				}
				s.toldOn(there, false)
			}
		}
		s.trouble(0)
		tried := s.failsOn(away)
		const more = 5
		for n := range 1 + more {
			others()
			if again := s.failsOn(away); again.ID != tried.ID || again.Total != 1 {
				t.Errorf("the %s tries %+v, want what it tried before", away, again)
			}
			s.clock.advance(gap)
			if n < more {
				s.trouble(1 + n)
			}
		}
		if d := s.toldOn(away, true); d.ID != tried.ID {
			t.Errorf("the %s repeats %s as %s", away, tried.ID, d.ID)
		}
		rest := s.failsOn(away)
		if rest.ID == tried.ID || rest.Total != more {
			t.Errorf("the %s is told %+v, want the %d problems of meanwhile", away, rest, more)
		}
		s.trouble(1 + more)
		others()
		if d := s.toldOn(away, true); d.ID != rest.ID || d.Total != more {
			t.Errorf("the %s repeats %+v, want %s and nothing that came since", away, d, rest.ID)
		}
		if d := s.toldOn(away, true); d.Total != 1 {
			t.Errorf("the %s is told %+v, want the last problem", away, d)
		}
		s.toldOn(away, false)
		s.wantCount(`SELECT COUNT(*) FROM digests WHERE sent_at IS NULL OR hooked_at IS NULL OR copied_at IS NULL`, 0)
	}
}

func channelRepeat(t *testing.T, h harness) {
	for _, c := range channels() {
		s := h.channelShop(t)
		s.trouble(1)
		first := s.begin(toldBy(c, true), true)
		s.begin(toldBy(c, true), false) // somebody is telling it
		s.clock.advance(mailing)
		if diff := cmp.Diff(first, s.begin(toldBy(c, true), true)); diff != "" {
			t.Errorf("by %s after a crash (-first +repeat):\n%s", c, diff)
		}
		s.must(s.EndDigest(s.ctx(), first.ID, c))
		s.clock.advance(mailing)
		s.toldOn(c, false)
	}
}

// channelCopy has problems of each sort: a copy is of the orders alone, and
// nothing that is not an order's makes one, nor does what awaits approval.
func channelCopy(t *testing.T, h harness) {
	s := h.channelShop(t)
	s.trouble(1)
	s.problem(1)
	s.die(restock.StockQueue)
	if d := s.toldOn(restock.ByMail, true); d.Total != 3 || d.To != "" || d.Audience != restock.Operations {
		t.Errorf("operations are told %+v, want of all", d)
	}
	d := s.toldOn(restock.ByCopy, true)
	if d.Total != 1 || d.Problems[0].Kind != restock.ProblemOrderHeld || d.To != "buyer@donut.example" || d.Audience != restock.Buyer {
		t.Errorf("the buyer is told %+v, want of the order alone", d)
	}
	s.clock.advance(gap)
	s.problem(2)
	s.told(true)
	if d := s.toldOn(restock.ByCopy, true); !d.Empty() {
		t.Errorf("the buyer is told %+v, want nothing", d)
	}
	s.awaiting("P-0002", 10)
	s.toldBuyer(true)
	s.toldOn(restock.ByCopy, false)
	s.wantCount(`SELECT COUNT(*) FROM digests WHERE copied_at IS NULL`, 0)
}

// channelNoBuyer: no copy waits for somebody who is not named, nor for one who
// is named no longer.
func channelNoBuyer(t *testing.T, h harness) {
	c := catalogue(many(2)...)
	s := h.shop(t, c)
	s.trouble(0)
	s.told(true)
	s.toldOn(restock.ByCopy, false)
	s.wantCount(`SELECT COUNT(*) FROM digests WHERE copied_at IS NULL`, 0)

	c.BuyerEmail = "buyer@donut.example"
	_, err := s.ApplyCatalog(s.ctx(), c, store.CreateAndEdit)
	s.must(err)
	s.clock.advance(gap)
	s.trouble(1)
	if d := s.failsOn(restock.ByCopy); d.Total != 1 {
		t.Errorf("the buyer is told %+v, want of what came since", d)
	}
	s.exec(`UPDATE settings SET value = '' WHERE name = 'buyer_email'`)
	if d := s.toldOn(restock.ByCopy, true); !d.Empty() || d.To != "" {
		t.Errorf("a buyer who is named no longer is told %+v", d)
	}
	s.toldOn(restock.ByCopy, false)
	if d := s.told(true); d.Total != 1 {
		t.Errorf("operations are told %+v, want of the order", d)
	}
}

func channelNew(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 1)))
	s.problem(1)
	s.told(true)
	s.problem(2)
	s.clock.advance(gap)
	s.must(s.FailDigest(s.ctx(), s.digest(true).ID, restock.ByMail))
	s.toldOn(restock.ByWebhook, false)
	s.problem(3)
	s.clock.advance(gap)
	if d := s.toldOn(restock.ByWebhook, true); d.Total != 1 {
		t.Errorf("the new webhook is told %+v, want what came since", d)
	}
	s.told(true)
	if d := s.told(true); d.Total != 1 {
		t.Errorf("the mail tells %+v, want the third problem", d)
	}
}

func channelOpsQueue(t *testing.T, h harness) {
	s, a := h.sending(t)
	s.settle(a, restock.AttemptRejected) // order.held goes to the ops queue
	s.toldOn(restock.ByMail, true)
	s.toldOn(restock.ByWebhook, true)
	s.die(restock.OpsQueue)
	s.clock.advance(gap)
	s.told(false) // without a webhook nobody hears of it
	if d := s.begin(toldBy(restock.ByMail, true), true); !d.Empty() {
		t.Errorf("the mail tells %+v, want nothing", d)
	} else {
		s.must(s.EndDigest(s.ctx(), d.ID, restock.ByMail))
	}
	d := s.toldOn(restock.ByWebhook, true)
	if d.Total != 1 || d.Problems[0].Kind != restock.ProblemDeadLetter || d.Problems[0].Subject != restock.OpsQueue {
		t.Errorf("the webhook is told %+v, want of the dead letter", d)
	}
	s.toldOn(restock.ByMail, false)
	s.toldOn(restock.ByWebhook, false)
	s.wantCount(`SELECT COUNT(*) FROM incidents`, 0)
}

// channelUndelivered has two dead letters of the ops queue, one about a mail that
// somebody else than operations did not get.
func channelUndelivered(t *testing.T, h harness) {
	s := h.channelShop(t)
	s.trouble(1)
	s.trouble(2)
	s.die(restock.OpsQueue)
	const cause = restock.UndeliveredPrefix + "it came back from ads@donut.example"
	_, last := s.dieAll(restock.OpsQueue, cause)
	letters := func(d restock.Digest) []string {
		var all []string
		for _, p := range d.Problems {
			if p.Kind == restock.ProblemDeadLetter {
				all = append(all, p.Summary)
			}
		}
		return all
	}
	mail, hook := s.toldOn(restock.ByMail, true), s.toldOn(restock.ByWebhook, true)
	told, alone := "ops-queue-dlq: order.held: "+cause+" 1", "ops-queue-dlq: order.held: it cannot be read"
	if diff := cmp.Diff([]string{told}, letters(mail)); diff != "" {
		t.Errorf("the mail tells of dead letters (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{told, alone}, letters(hook)); diff != "" {
		t.Errorf("the webhook tells of dead letters (-want +got):\n%s", diff)
	}
	if n := len(letters(s.toldOn(restock.ByCopy, true))); n > 0 {
		t.Errorf("the buyer is told of %d dead letters", n)
	}
	done, err := s.Queue().Redrive(s.ctx(), restock.OpsQueue, last)
	s.must(err)
	if !done {
		t.Fatal("it is not redriven")
	}
	s.over() // the other letter is none that a mail told of
	for _, c := range without(restock.ByCopy) {
		s.clock.advance(gap)
		if d := s.toldOn(c, true); d.Total != 0 || len(d.Recovered) != 1 {
			t.Errorf("the %s tells %+v, want that there are no dead letters", c, d)
		}
	}
}

// dieAll gives up whatever can be received from a queue, each with its own
// error, and gives the last of them.
func (s *shop) dieAll(queue, cause string) (int, driver.ID) {
	s.t.Helper()
	n := 0
	var last driver.ID
	for {
		got, err := s.Queue().Receive(s.ctx(), queue, driver.Request{Max: 100, Visibility: time.Minute})
		s.must(err)
		if len(got) == 0 {
			return n, last
		}
		for _, d := range got {
			n++
			s.clock.advance(time.Millisecond)
			s.must(s.Queue().Dead(s.ctx(), d, fmt.Sprint(cause, " ", n)))
			last = d.ID
		}
	}
}

func many(n int) []restock.CatalogProduct {
	products := make([]restock.CatalogProduct, 0, n)
	for i := range n {
		products = append(products, ordered(restock.SKU(fmt.Sprintf("P-%04d", i)), 0, 0, 10))
	}
	return products
}

func channelThousand(t *testing.T, h harness) {
	const letters = 1000
	s := h.shop(t, catalogue(many(letters)...))
	began := s.clock.now()
	n, last := s.dieAll(restock.StockQueue, "it cannot be read")
	if n != letters {
		t.Fatalf("%d messages died, want %d", n, letters)
	}
	for _, c := range without(restock.ByCopy) {
		d := s.toldOn(c, true)
		if d.Total != letters || len(d.Problems) != 1 {
			t.Fatalf("the %s tells %d problems in %d lines, want %d in 1", c, d.Total, len(d.Problems), letters)
		}
		want := restock.Problem{
			Kind: restock.ProblemDeadLetter, ID: last.String(), SKU: d.Problems[0].SKU, Subject: restock.StockQueue, Type: string(restock.StockLow),
			Summary: "stock-queue-dlq: stock.low: it cannot be read 1000", Since: began.Add(time.Millisecond), Count: letters,
		}
		if diff := cmp.Diff(want, d.Problems[0]); diff != "" {
			t.Errorf("the %s tells (-want +got):\n%s", c, diff)
		}
	}
	s.clock.advance(gap)
	for _, c := range channels() {
		s.toldOn(c, false)
	}
}

func channelGroups(t *testing.T, h harness) {
	s := h.shop(t, catalogue(append(many(3), ordered("A", 2, 2, 10))...))
	s.mustBuy("A", 2) // stock.out
	s.die(restock.AdQueue)
	s.problem(1)
	n, _ := s.dieAll(restock.StockQueue, "no")
	d := s.told(true)
	got := map[string]int64{}
	for _, p := range d.Problems {
		got[string(p.Kind)+" "+p.Subject] += p.Count
	}
	want := map[string]int64{"dead_letter stock-queue": int64(n), "dead_letter ad-queue": 1, "receipt_held ": 1}
	if diff := cmp.Diff(want, got); diff != "" || d.Total != int64(n)+2 {
		t.Errorf("%d problems, by kind and queue (-want +got):\n%s", d.Total, diff)
	}
	if d.Problems[0].Subject != restock.StockQueue {
		t.Errorf("first is %+v, want the most", d.Problems[0])
	}
}
