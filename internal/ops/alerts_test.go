package ops_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
)

func TestOperationsAreToldOfEachProblemWithWhatToDoNext(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.buy(30) // low: a message on the stock queue
	dead := d.die(restock.StockQueue)
	order := d.refused()
	receipt := d.problem(1, "body")
	d.must(d.office.Tell(t.Context()))
	mails := d.box.sent()
	if len(mails) != 1 {
		t.Fatalf("%d mails, want one of all problems", len(mails))
	}
	m := mails[0]
	for _, want := range []string{
		"dead letter CP-1", "stock-queue-dlq: stock.low: it cannot be read", "restock dead show " + dead.String(),
		"order held CP-1", "factory refused with 400", "restock orders show " + order.String(),
		"receipt held", "restock receipts show " + receipt.ID.String(), "since 2026-03-01 09:30:00 KST",
	} {
		if !strings.Contains(m.Text, want) {
			t.Errorf("the mail does not say %q:\n%s", want, m.Text)
		}
	}
	if !strings.Contains(m.HTML, "restock dead show "+dead.String()) {
		t.Errorf("the HTML does not say what to do:\n%s", m.HTML)
	}
	m.Text, m.HTML = "", ""
	want := mail.Message{
		ID: m.ID, From: "shop@donut.example", To: "ops@donut.example", Kind: ops.KindAlert, Date: d.clock.now(),
		Subject: "restock: 3 problems need a look",
	}
	if diff := cmp.Diff(want, m); diff != "" {
		t.Errorf("mail (-want +got):\n%s", diff)
	}
	d.clock.advance(restock.ToldAgainAfter - time.Second)
	d.must(d.office.Tell(t.Context()))
	if n := len(d.box.sent()); n != 1 {
		t.Errorf("%d mails, want no other about the same", n)
	}
}

func TestOneProblemStandsInTheSubject(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.refused()
	d.must(d.office.Tell(t.Context()))
	if got := d.box.sent()[0].Subject; got != "restock: order held CP-1" {
		t.Errorf("subject %q", got)
	}
}

func TestAMailOfManyProblemsIsCut(t *testing.T) {
	t.Parallel()
	const more = 25
	d := open(t)
	for n := range restock.DigestProblemsMax + more {
		d.problem(n, "body")
	}
	d.must(d.office.Tell(t.Context()))
	mails := d.box.sent()
	if len(mails) != 1 {
		t.Fatalf("%d mails, want 1", len(mails))
	}
	if got := strings.Count(mails[0].Text, "receipt held"); got != restock.DigestProblemsMax {
		t.Errorf("%d problems are listed, want %d", got, restock.DigestProblemsMax)
	}
	for _, want := range []string{fmt.Sprintf("… and %d more", more), "restock status"} {
		if !strings.Contains(mails[0].Text, want) {
			t.Errorf("the mail does not say %q", want)
		}
	}
	if want := fmt.Sprintf("restock: %d problems need a look", restock.DigestProblemsMax+more); mails[0].Subject != want {
		t.Errorf("subject %q, want %q", mails[0].Subject, want)
	}
	if n := len(mails[0].Text); n > mail.BodyBytesMax {
		t.Errorf("the mail has %d bytes, more than can be sent", n)
	}
}

func TestAMailThatFailedIsRepeatedAsTheSameMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.problem(1, "body")
	for _, failure := range []error{errors.New("451 greylisted"), restock.Errorf(restock.Invalid, restock.CodeInvalid, "550 no such mailbox")} {
		d.box.fail(failure)
		if err := d.office.Tell(t.Context()); !errors.Is(err, failure) || !strings.Contains(err.Error(), "ops@donut.example") {
			t.Errorf("error %v, want who was not reached and why", err)
		}
	}
	d.problem(2, "body") // meanwhile
	d.box.fail(nil)
	d.must(d.office.Tell(t.Context()))
	d.clock.advance(time.Hour)
	d.must(d.office.Tell(t.Context()))
	mails := d.box.sent()
	if len(mails) != 2 || mails[0].ID == mails[1].ID || !strings.HasSuffix(mails[0].ID, "@donut.example") {
		t.Errorf("mails %+v, want two", mails)
	}
}

// dying is a store whose process ends before a mail is recorded.
type dying struct{ officeStore }

func (dying) EndDigest(context.Context, restock.DigestID, restock.Channel) error {
	return errors.New("the process died")
}

func TestAMailThatMayHaveGoneCarriesTheSameMessageID(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.problem(1, "body")
	broken := ops.New(dying{officeStore{d.store}}, d.store.Queue(), d.box, ops.Config{To: "ops@donut.example", Domain: "donut.example"})
	if err := broken.Tell(t.Context()); err == nil {
		t.Error("no error")
	}
	d.must(d.office.Tell(t.Context())) // somebody may be sending it
	d.clock.advance(time.Hour)
	d.must(d.office.Tell(t.Context()))
	mails := d.box.sent()
	if len(mails) != 2 || mails[0].ID != mails[1].ID || !mails[0].Date.Equal(mails[1].Date) {
		t.Errorf("mails %+v, want the same twice", mails)
	}
}

func TestWhatSolvedItselfMeanwhileIsNoMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	id := d.refused()
	d.box.fail(errors.New("the mail server is down"))
	if err := d.office.Tell(t.Context()); err == nil {
		t.Error("no error")
	}
	_, err := d.store.Receive(t.Context(), restock.Callback{OrderID: id, Attempt: 1, Count: 10},
		func(restock.Evidence) restock.Verdict {
			return restock.Verdict{State: restock.ReceiptApplied, Apply: 10}
		})
	d.must(err)
	d.box.fail(nil)
	d.must(d.office.Tell(t.Context()))
	d.must(d.office.Tell(t.Context()))
	if got := d.box.sent(); len(got) != 0 {
		t.Errorf("mails %+v, want none", got)
	}
}

func TestADeadLetterOfTheOpsQueueMakesNoMail(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.refused()
	d.must(d.office.Tell(t.Context()))
	d.die(restock.OpsQueue)
	d.clock.advance(time.Hour)
	d.must(d.office.Tell(t.Context()))
	if n := len(d.box.sent()); n != 1 {
		t.Errorf("%d mails, want only the one of the order", n)
	}
}

func TestEachMessageOfTheOpsQueueHasAHandlerThatTells(t *testing.T) {
	t.Parallel()
	handlers := open(t).office.Handlers()
	for _, typ := range []restock.EventType{restock.OrderHeldFor, restock.OrderAwaiting, restock.OrderLate, restock.ReceiptKept} {
		d := open(t)
		d.problem(1, "body")
		if handlers[string(typ)] == nil {
			t.Errorf("%s has no handler", typ)
			continue
		}
		d.must(d.office.Handlers()[string(typ)](t.Context(), queue.Message{}))
		if n := len(d.box.sent()); n != 1 {
			t.Errorf("%s: %d mails, want 1", typ, n)
		}
	}
}

// idle is a store that has nothing to tell and fails to say so at first.
type idle struct {
	ops.Store
	asked []time.Time
}

func (s *idle) BeginDigest(_ context.Context, r restock.DigestRequest) (restock.Digest, bool, error) {
	if r.Audience == restock.Buyer {
		return restock.Digest{}, false, nil
	}
	s.asked = append(s.asked, time.Now())
	if len(s.asked) <= 2 {
		return restock.Digest{}, false, errors.New("the database is busy")
	}
	return restock.Digest{}, false, nil
}

func TestAlertsGoOnAfterAFailureAndAskLessOften(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := &idle{}
		office := ops.New(s, nil, nil, ops.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second-time.Millisecond)
		defer cancel()
		start := time.Now()
		if err := office.RunAlerts(ctx); err != nil {
			t.Error(err)
		}
		var got []time.Duration
		for _, at := range s.asked {
			got = append(got, at.Sub(start))
		}
		want := []time.Duration{0, 5 * time.Second, 10 * time.Second, 11 * time.Second, 12 * time.Second, 13 * time.Second, 14 * time.Second}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("asked at (-want +got):\n%s", diff)
		}
	})
}

// purged tells when alerts were purged.
type purged struct {
	officeStore

	done chan int
}

func (p purged) PurgeAlerts(ctx context.Context, before time.Time, limit int) (int, error) {
	n, err := p.officeStore.PurgeAlerts(ctx, before, limit)
	p.done <- n
	return n, err
}

func TestWhatWasToldIsForgottenAfterItsRetention(t *testing.T) {
	t.Parallel()
	d := open(t)
	d.problem(1, "body")
	d.must(d.office.Tell(t.Context()))
	for _, row := range []struct {
		later time.Duration
		want  int
	}{{ops.DefaultAlertRetention - time.Second, 0}, {2 * time.Second, 1}, {0, 0}} {
		d.clock.advance(row.later)
		p := purged{officeStore{d.store}, make(chan int)}
		office := ops.New(p, d.store.Queue(), d.box, ops.Config{Now: d.clock.now})
		ctx, stop := context.WithCancel(t.Context())
		var running sync.WaitGroup
		running.Go(func() { d.must(office.RunPurge(ctx)) })
		if n := <-p.done; n != row.want {
			t.Errorf("%d digests were removed %s later, want %d", n, row.later, row.want)
		}
		stop()
		running.Wait()
	}
}
