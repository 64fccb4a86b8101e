package main

import (
	"cmp"
	"fmt"
	"net/url"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

type adsCommand struct {
	List adsListCommand `cmd:"" default:"withargs" help:"List when advertisements were stopped, newest first."`
	Show adsShowCommand `cmd:"" help:"Show one stop with its mails."`
	Ack  adsAckCommand  `cmd:"" help:"Note that what an ad manager was asked is done."`
}

const adHoldsPath = "/v1/ad-holds"

type adsListCommand struct {
	listing `embed:""`
	State   string `help:"Only in this state: stopping, stopped, resuming, resumed or withdrawn."`
}

func (a *adsListCommand) Run(c *console) error {
	q := a.query()
	set(q, "state", a.State)
	return show(c, &a.listing, adHoldsPath, q, "No advertisement was stopped yet: that is asked for when its products are sold out",
		"HOLD\tADVERTISEMENT\tSKU\tSTATE\tTOLD\tAT\tANSWERED\tUNANSWERED SINCE",
		func(h ops.AdHoldReport) []any {
			return []any{h.ID, h.Advertisement.Name, h.SKU, h.State, cmp.Or(string(h.Told), "-"), when(h.ToldAt), when(h.AcknowledgedAt), when(h.EscalatedAt)}
		})
}

type adsShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"hold" help:"The hold's id."`
}

func (a *adsShowCommand) Run(c *console) error {
	path := adHoldsPath + "/" + url.PathEscape(a.ID)
	if a.JSON {
		return showOne(c, &a.remote, path)
	}
	var hold ops.AdHoldReport
	if err := a.get(c, path, nil, &hold); err != nil {
		return err
	}
	printAdHold(c, hold.AdHold)
	return nil
}

func printAdHold(c *console, h restock.AdHold) {
	c.printf("hold %s of %s (%s): %s\n", h.ID, printable(h.Advertisement.Name), h.Advertisement.ManagerEmail, h.State)
	c.printf("  begun %s with %s\n", when(h.BegunAt), printable(string(h.SKU)))
	for _, q := range []struct {
		name string
		restock.AdQuestion
	}{{"stop", h.Stop}, {"resume", h.Resume}} {
		if q.Mail.Tries == 0 {
			continue
		}
		c.printf("  %-10s %s\n", q.name, mailFate(q.Mail))
		if q.Reminder.Tries > 0 {
			c.printf("  %-10s %s\n", "reminder", mailFate(q.Reminder))
		}
		if !q.AcknowledgedAt.IsZero() {
			c.printf("  %-10s %s, by %s\n", "answered", when(q.AcknowledgedAt), printable(q.AcknowledgedBy))
		}
	}
	if !h.EscalatedAt.IsZero() {
		c.printf("  nobody answers; operations were told of it from %s on\n", when(h.EscalatedAt))
		c.printf("  next: restock ads ack %s --reason …\n", h.ID)
	}
}

func mailFate(m restock.AdMail) string {
	switch {
	case !m.SentAt.IsZero():
		return "sent " + when(m.SentAt)
	case m.Unsure:
		return fmt.Sprintf("not confirmed: tried %d times, last %s", m.Tries, when(m.TriedAt))
	}
	return fmt.Sprintf("not sent: tried %d times, last %s", m.Tries, when(m.TriedAt))
}

type adsAckCommand struct {
	person `embed:""`
	ID     string `arg:"" name:"hold" help:"The hold's id."`
}

// Help is shown by restock ads ack --help.
func (adsAckCommand) Help() string {
	return `For an ad manager who answered another way than by the link in the mail. Example:
  restock ads ack 01a2… --reason "she said so on the phone"`
}

func (a *adsAckCommand) Run(c *console) error {
	var hold ops.AdHoldReport
	if err := a.post(c, adHoldsPath+"/"+url.PathEscape(a.ID)+"/acknowledge", a.act(), &hold); err != nil {
		return err
	}
	if a.JSON {
		return printJSON(c, hold)
	}
	printAdHold(c, hold.AdHold)
	return nil
}
