package main

import (
	"encoding/json"
	"net/http"
	"net/url"

	"github.com/restock/restock/internal/queue"
)

type deadCommand struct {
	List    deadListCommand    `cmd:"" default:"withargs" help:"List dead letters, the longest dead first."`
	Show    deadShowCommand    `cmd:"" help:"Show one with its body and every failure."`
	Redrive deadRedriveCommand `cmd:"" help:"Put it back on its queue, as if it had never been received."`
	Discard deadDiscardCommand `cmd:"" help:"Give it up, with a reason; it stays in the database."`
}

type deadListCommand struct {
	listing `embed:""`
	Queue   string `help:"Only of this queue: stock-queue, ad-queue or ops-queue."`
}

func (d *deadListCommand) Run(c *console) error {
	q := d.query()
	set(q, "queue", d.Queue)
	return show(c, &d.listing, "/v1/dead-letters", q, "No dead letters: every message was handled or still waits; see `restock status`",
		"MESSAGE\tQUEUE\tTYPE\tSUBJECT\tRECEIVES\tDEAD SINCE\tLAST ERROR",
		func(d queue.DeadLetter) []any {
			return []any{d.MessageID, d.DeadLetterQueue, d.Type, d.Subject, d.Receives, when(d.DeadAt), d.LastError}
		})
}

// deadOne names one dead letter.
type deadOne struct {
	remote `embed:""`
	ID     string `arg:"" name:"message" help:"The message's id, from restock dead list."`
	Queue  string `help:"Its queue, if it is dead on several."`
}

func (d *deadOne) query() url.Values {
	q := url.Values{}
	set(q, "queue", d.Queue)
	return q
}

func (d *deadOne) path() string { return "/v1/dead-letters/" + url.PathEscape(d.ID) }

type deadShowCommand struct {
	deadOne `embed:""`
}

func (d *deadShowCommand) Run(c *console) error {
	var letter queue.DeadLetter
	if err := d.get(c, d.path(), d.query(), &letter); err != nil {
		return err
	}
	if d.JSON {
		return printJSON(c, letter)
	}
	c.printf("message %s in %s\n", letter.MessageID, letter.DeadLetterQueue)
	c.printf("  %s about %s, made %s, dead since %s\n", letter.Type, letter.Subject, when(letter.CreatedAt), when(letter.DeadAt))
	c.printf("  body: %s\n", letter.Body)
	for _, f := range letter.Failures {
		c.printf("  receive %d, %s: %s\n", f.Receive, when(f.At), f.Error)
	}
	c.printf("When the cause is mended: restock dead redrive %s\n", letter.MessageID)
	return nil
}

type deadRedriveCommand struct {
	deadOne `embed:""`
}

func (d *deadRedriveCommand) Run(c *console) error {
	return d.act(c, "/redrive", "", "is back on its queue; `restock status` shows how it goes")
}

type deadDiscardCommand struct {
	deadOne `embed:""`
	Reason  string `required:"" help:"Why it is not needed any more."`
}

func (d *deadDiscardCommand) Run(c *console) error {
	return d.act(c, "/discard", d.Reason, "is discarded")
}

func (d *deadOne) act(c *console, action, reason, said string) error {
	body, err := json.Marshal(map[string]string{"reason": reason})
	if err != nil {
		return err
	}
	var result map[string]string
	if err := d.call(c, http.MethodPost, d.path()+action, d.query(), body, &result); err != nil {
		return err
	}
	if d.JSON {
		return printJSON(c, result)
	}
	c.printf("message %s %s\n", d.ID, said)
	return nil
}
