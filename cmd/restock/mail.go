package main

import (
	"crypto/rand"
	"time"

	"github.com/restock/restock/internal/mail"
)

type mailCommand struct {
	Test mailTestCommand `cmd:"" help:"Send one mail to operations, to see that it arrives."`
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
	message := mail.Message{
		ID: "test." + rand.Text() + "@" + domainOf(m.MailFrom), From: m.MailFrom, To: m.OperationsEmail,
		Subject: "restock: a test", Text: "This is a test. Mails of restock arrive here.\n", Date: time.Now(), Kind: "test",
	}
	if err := sender.Send(c.ctx, message); err != nil {
		return err
	}
	c.printf("sent to %s\n", m.OperationsEmail)
	if note := m.mailNote(); note != "" {
		c.printf("%s\n", note)
	}
	return nil
}
