package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/ops"
)

type mailCommand struct {
	Test    mailTestCommand    `cmd:"" help:"Send one mail to operations, to see that it arrives."`
	Preview mailPreviewCommand `cmd:"" help:"Write every kind of mail to files, to see how they look."`
}

type mailTestCommand struct {
	settings `embed:""`
}

// Help is shown by restock mail test --help.
func (mailTestCommand) Help() string {
	return `Example:
  restock mail test --mail smtp://user:password@mail.example:587 --operations-email you@mail.example`
}

func (m *mailTestCommand) Run(c *console) error {
	if err := m.check(); err != nil {
		return err
	}
	sender, err := mail.Open(m.mailURL(), mail.Config{})
	if err != nil {
		return err
	}
	message := testMail(&m.settings, rand.Text(), time.Now())
	if err := sender.Send(c.ctx, message); err != nil {
		return err
	}
	c.printf("sent to %s\n", m.OperationsEmail)
	if note := m.mailNote(); note != "" {
		c.printf("%s\n", note)
	}
	return nil
}

func testMail(s *settings, id string, at time.Time) mail.Message {
	body := mail.Body{Title: "A test", Paragraphs: []string{"This is a test. Mails of restock arrive here."}}
	return body.In(mail.Message{
		ID: "test." + id + "@" + domainOf(s.MailFrom), From: s.MailFrom, To: s.OperationsEmail,
		Subject: "restock: a test", Date: at, Kind: "test",
	})
}

type mailPreviewCommand struct {
	Dir      string `arg:"" type:"path" help:"The folder; it is made if it is not there."`
	Timezone string `env:"RESTOCK_TIMEZONE" default:"Asia/Seoul" help:"Zone of the times in mails."`
}

// Help is shown by restock mail preview --help.
func (mailPreviewCommand) Help() string {
	return `Each mail is written as it is sent (.eml) and as a page (.html). Their links lead nowhere. Example:
  restock mail preview mails`
}

func (m *mailPreviewCommand) Run(c *console) error {
	zone, err := time.LoadLocation(m.Timezone)
	if err != nil {
		return fmt.Errorf("--timezone: %w", err)
	}
	const everybody, ownerWrites = 0o755, 0o644
	if err := os.MkdirAll(m.Dir, everybody); err != nil {
		return err
	}
	samples := mailSamples(zone)
	for _, s := range samples {
		content, err := mail.Bytes(s.Message)
		if err != nil {
			return fmt.Errorf("%s: %w", s.Name, err)
		}
		files := map[string][]byte{".eml": content}
		if s.Message.HTML != "" {
			files[".html"] = []byte(s.Message.HTML)
		}
		for ending, text := range files {
			if err := os.WriteFile(filepath.Join(m.Dir, s.Name+ending), text, ownerWrites); err != nil {
				return err
			}
		}
	}
	c.printf("%d mails are in %s\n", len(samples), m.Dir)
	return nil
}

// mailSamples are all kinds of mail, at a fixed moment.
func mailSamples(zone *time.Location) []mail.Sample {
	const from, operations, domain = "restock@shop.example", "operations@shop.example", "shop.example"
	at := time.Date(2026, 3, 2, 9, 30, 0, 0, zone)
	toManagers := ads.Config{From: from, ReplyTo: operations, Domain: domain, Zone: zone, PublicURL: "https://shop.example"}
	return slices.Concat(ads.Samples(toManagers, restock.Korean, at), ads.Samples(toManagers, restock.English, at), ops.Samples(ops.Config{From: from, To: operations, Domain: domain, Zone: zone}, at), []mail.Sample{
		{Name: "test", Message: testMail(&settings{MailFrom: from, OperationsEmail: operations}, "sample", at)},
	})
}
