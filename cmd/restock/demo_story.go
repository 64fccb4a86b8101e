package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"
	netmail "net/mail"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/web"
)

// demo is the stage of the story: a service, a factory, and who tells it.
type demo struct {
	console   *console
	dir       string
	start     time.Time
	app       *app
	simulator *factory.Simulator
	factory   *web.Server
	accepted  atomic.Int64 // orders that the factory took
	seen      map[string]bool
}

// tell runs the story. Each step waits for what really happened and fails when
// it does not.
func (m *demo) tell(ctx context.Context) error {
	m.seen = map[string]bool{}
	m.say("restock is at %s, a simulated factory at %s, everything is kept in %s", m.app.publicURL(), m.factory.URL(), m.dir)
	for _, step := range []func(context.Context) error{
		m.sellOut, m.refuse, m.order, m.stop, m.arrive, m.resume, m.sellAgain,
		m.breakMail, m.deadLetter, m.mendMail, m.redrive, m.verify,
	} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	m.say("The end, after %s.", time.Since(m.start).Round(time.Millisecond))
	return nil
}

// say tells one line of the story.
func (m *demo) say(format string, args ...any) {
	m.console.printf("%6.2fs  %s\n", time.Since(m.start).Seconds(), fmt.Sprintf(format, args...))
}

// look tells where to see for oneself.
func (m *demo) look(format string, args ...any) {
	m.console.printf("         ↳ %s\n", fmt.Sprintf(format, args...))
}

func (m *demo) sellOut(ctx context.Context) error {
	m.look("curl -X POST %s/checkout", m.app.publicURL())
	for n := range 3 {
		status, answer, err := m.checkout(ctx, "")
		if err != nil || status != http.StatusOK {
			return errors.Join(fmt.Errorf("buyer %d was answered %d %s", n+1, status, answer), err)
		}
		m.say("buyer %d: %s", n+1, messageOf(answer))
	}
	return nil
}

func (m *demo) refuse(ctx context.Context) error {
	const more = 20
	for n := range 1 + more {
		status, answer, err := m.checkout(ctx, "")
		if err != nil || status != http.StatusConflict {
			return errors.Join(fmt.Errorf("a buyer of nothing was answered %d %s", status, answer), err)
		}
		if n == 0 {
			m.say("buyer 4: %s (HTTP %d)", messageOf(answer), status)
		}
	}
	m.say("%d more buyers are refused; they are counted on the stockout", more)
	m.look("restock stockouts list --data %s", m.dir)
	return nil
}

func (m *demo) order(ctx context.Context) error {
	var orders []restock.Order
	err := m.wait(ctx, "an order accepted by the factory", func() (bool, error) {
		var err error
		orders, _, err = m.app.store.Orders(ctx, restock.ListQuery{Limit: 10})
		return len(orders) == 1 && orders[0].State == restock.OrderAccepted, err
	})
	if err != nil {
		return err
	}
	o := orders[0]
	m.say("one order for %d × %s was placed at the factory, because %s", o.Quantity, o.SKU, o.Reason)
	m.look("restock orders show %s --data %s", o.ID, m.dir)
	return nil
}

func (m *demo) stop(ctx context.Context) error {
	return m.mail(ctx, "ad-stop", "ads@donut.example", "the ad manager is asked to stop the advertisement")
}

func (m *demo) arrive(ctx context.Context) error {
	var receipts []restock.Receipt
	err := m.wait(ctx, "the factory's callback", func() (bool, error) {
		var err error
		receipts, _, err = m.app.store.Receipts(ctx, restock.ListQuery{Limit: 10})
		return len(receipts) == 1, err
	})
	if err != nil {
		return err
	}
	p, err := m.app.store.Product(ctx, "")
	if err != nil {
		return err
	}
	m.say("the factory called back at the order's own signed address: %d %s, available now %d",
		receipts[0].Applied, receipts[0].State, p.Stock.Available())
	m.look("restock receipts show %s --data %s", receipts[0].ID, m.dir)
	if n := m.accepted.Load(); n != 1 {
		return fmt.Errorf("the factory took %d orders, want one, however many buyers are refused", n)
	}
	m.say("the factory took one order in all, though 21 buyers found nothing")
	return nil
}

func (m *demo) resume(ctx context.Context) error {
	return m.mail(ctx, "ad-resume", "ads@donut.example", "the ad manager hears that the advertisement can resume")
}

func (m *demo) sellAgain(ctx context.Context) error {
	status, answer, err := m.checkout(ctx, "")
	if err != nil || status != http.StatusOK {
		return errors.Join(fmt.Errorf("the purchase after the arrival was answered %d %s", status, answer), err)
	}
	m.say("buyer 25: %s", messageOf(answer))
	return nil
}

// breakMail takes the mail folder away: every mail fails until it is back.
func (m *demo) breakMail(ctx context.Context) error {
	folder := m.mails()
	if err := os.Rename(folder, folder+".away"); err != nil {
		return err
	}
	const ownerOnly = 0o600
	if err := os.WriteFile(folder, nil, ownerOnly); err != nil {
		return err
	}
	m.say("now the mail breaks down: its folder is replaced by a file")
	status, answer, err := m.checkout(ctx, "CP-502102")
	if err != nil || status != http.StatusOK {
		return errors.Join(fmt.Errorf("the last Cream Donut was answered %d %s", status, answer), err)
	}
	m.say("the last Cream Donut is sold all the same: %s", messageOf(answer))
	return nil
}

func (m *demo) deadLetter(ctx context.Context) error {
	var letters []queue.DeadLetter
	err := m.wait(ctx, "a dead letter in ad-queue-dlq", func() (bool, error) {
		var err error
		letters, _, err = m.app.store.Queue().DeadLetters(ctx, queue.Filter{})
		return len(letters) == 1, err
	})
	if err != nil {
		return err
	}
	l := letters[0]
	m.say("the message %s about %s failed %d times and waits in %s", l.Type, l.Subject, l.Receives, l.DeadLetterQueue)
	m.look("restock dead show %s --data %s", l.MessageID, m.dir)
	return nil
}

func (m *demo) mendMail(ctx context.Context) error {
	folder := m.mails()
	if err := errors.Join(os.Remove(folder), os.Rename(folder+".away", folder)); err != nil {
		return err
	}
	m.say("the mail is mended")
	return m.mail(ctx, "ops-alert", "operations@donut.example", "operations hear of the dead letter")
}

func (m *demo) redrive(ctx context.Context) error {
	letters, _, err := m.app.store.Queue().DeadLetters(ctx, queue.Filter{})
	if err != nil || len(letters) != 1 {
		return errors.Join(fmt.Errorf("%d dead letters, want 1", len(letters)), err)
	}
	id := letters[0].MessageID
	act := restock.Act{By: "operator", Reason: "the mail is mended"}
	if _, err := m.app.store.RedriveDeadLetter(ctx, "", restock.EventID(id), restock.Redrive{Act: act}, restock.Deciders{Order: replenish.Decide, Ad: m.app.ads.Turn}); err != nil {
		return fmt.Errorf("the dead letter was not redriven: %w", err)
	}
	m.say("an operator redrives it")
	m.look("restock dead redrive %s --data %s", id, m.dir)
	if err := m.mail(ctx, "ad-stop", "spring-ads@donut.example", "it is handled, and the second ad manager is asked to stop"); err != nil {
		return err
	}
	return m.wait(ctx, "every message handled", func() (bool, error) {
		stats, err := m.app.store.Queue().Stats(ctx)
		for _, s := range stats {
			if s.Waiting+s.InFlight+s.Dead > 0 {
				return false, err
			}
		}
		return err == nil, err
	})
}

func (m *demo) verify(ctx context.Context) error {
	checks, err := m.app.store.Verify(ctx)
	if err != nil {
		return err
	}
	if broken(checks) {
		printChecks(m.console, checks)
		return errors.New("a promise is broken")
	}
	p, err := m.app.store.Product(ctx, "")
	if err != nil {
		return err
	}
	m.say("conservation: 3 opening + 3 received − 4 sold = %d on hand; all %d checks on the raw rows hold", p.Stock.OnHand, len(checks))
	m.look("restock verify --data %s", m.dir)
	return nil
}

func (m *demo) mails() string { return filepath.Join(m.dir, mailFolder) }

// mail waits for a mail of a kind that was not told yet, and tells it.
func (m *demo) mail(ctx context.Context, kind, to, what string) error {
	var path string
	err := m.wait(ctx, what, func() (bool, error) {
		found, err := filepath.Glob(filepath.Join(m.mails(), "*-"+kind+"-"+to+"-*.eml"))
		for _, f := range found {
			if !m.seen[f] {
				path = f
			}
		}
		return path != "", err
	})
	if err != nil {
		return err
	}
	m.seen[path] = true
	subject, err := subjectOf(path)
	if err != nil {
		return err
	}
	m.say("%s: “%s”", what, subject)
	m.look("%s", path)
	return nil
}

func subjectOf(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close() // it is only read.
	message, err := netmail.ReadMessage(f)
	if err != nil {
		return "", err
	}
	return new(mime.WordDecoder).DecodeHeader(message.Header.Get("Subject"))
}

// messageOf gives the words of the shop's answer.
func messageOf(answer string) string {
	var v struct {
		Message string `json:"message"`
	}
	if err := json.Unmarshal([]byte(answer), &v); err != nil || v.Message == "" {
		return strings.TrimSpace(answer)
	}
	return v.Message
}
