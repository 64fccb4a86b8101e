package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

type deadCommand struct {
	List    deadListCommand    `cmd:"" default:"withargs" help:"List dead letters, the longest dead first."`
	Show    deadShowCommand    `cmd:"" help:"Show one: its body, every failure, and whether it is still needed."`
	Redrive deadRedriveCommand `cmd:"" help:"Put letters back on their queues, as if they had never been received."`
	Discard deadDiscardCommand `cmd:"" help:"Give letters up, with a reason; they stay in the database."`
}

// Help is shown by restock dead --help.
func (deadCommand) Help() string {
	return `A dead letter is a message that could not be handled, however often it was tried. "Needed"
means that handling it now would have an effect; "stale" that it would have none, for instance
because the stock is back; "unknown" that this version cannot tell. When the cause is mended:

  restock dead show 01a2…
  restock dead redrive --all
  restock dead discard --all --reason "settled by telephone"

The second puts back what is still needed, the third gives up what is stale.`
}

const deadPath = "/v1/dead-letters"

type deadListCommand struct {
	listing `embed:""`
	Queue   string `help:"Only of this queue: stock-queue, ad-queue or ops-queue."`
	Type    string `help:"Only of this type, such as stock.low."`
	Needed  string `placeholder:"VERDICT" help:"Only what is needed, stale or unknown."`
	Error   string `placeholder:"WORDS" help:"Only with these words in the last error."`
}

// Help is shown by restock dead list --help.
func (deadListCommand) Help() string {
	return `Examples:
  restock dead list --needed needed
  restock dead list --product CP-502101 --error "no such mailbox"`
}

func (d *deadListCommand) Run(c *console) error {
	page, err := d.read(c)
	if err != nil {
		return err
	}
	now := time.Now()
	return printPage(c, &d.listing, page, d.none(),
		"MESSAGE\tQUEUE\tTYPE\tPRODUCT\tATTEMPTS\tAGE\tFIRST FAILED\tLAST FAILED\tSTILL NEEDED\tORDER\tLAST ERROR",
		func(l restock.DeadLetter) []any {
			return []any{
				l.MessageID, l.DeadLetterQueue, l.Type, productOf(l), l.Receives, age(now.Sub(l.CreatedAt)),
				when(l.FirstFailedAt), when(l.LastFailedAt), l.Verdict.Needed, orDefault(l.OrderID.String(), "-"), l.LastError,
			}
		})
}

// read gathers pages until there are as many letters as were asked for: the
// server judges only so many letters for one page.
func (d *deadListCommand) read(c *console) (web.List[restock.DeadLetter], error) {
	q := d.query()
	set(q, "queue", d.Queue)
	set(q, "type", d.Type)
	set(q, "needed", d.Needed)
	set(q, "error", d.Error)
	var all web.List[restock.DeadLetter]
	for {
		var page web.List[restock.DeadLetter]
		if err := d.get(c, deadPath, q, &page); err != nil {
			return all, err
		}
		all.Items, all.Next = append(all.Items, page.Items...), page.Next
		if page.Next == "" || len(all.Items) >= d.Limit {
			return all, nil
		}
		q.Set("limit", strconv.Itoa(d.Limit-len(all.Items)))
		q.Set("after", page.Next)
	}
}

// none says that the list is empty.
func (d *deadListCommand) none() string {
	if d.Queue != "" || d.Type != "" || d.Product != "" || d.Needed != "" || d.Error != "" {
		return "No dead letters like that; `restock dead list` shows all"
	}
	return "No dead letters: every message was handled or still waits; see `restock status`"
}

func productOf(l restock.DeadLetter) string { return orDefault(string(l.SKU), l.Subject) }

// age tells a length of time in its largest unit.
func age(d time.Duration) string {
	const day = 24 * time.Hour
	for _, unit := range []struct {
		length time.Duration
		name   string
	}{{day, "d"}, {time.Hour, "h"}, {time.Minute, "m"}} {
		if d >= unit.length {
			return fmt.Sprintf("%d%s", d/unit.length, unit.name)
		}
	}
	return fmt.Sprintf("%ds", max(0, d/time.Second))
}

type deadShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"message" help:"The message's id, from restock dead list."`
	Queue  string `help:"Its queue, if it is dead on several."`
}

// Help is shown by restock dead show --help.
func (deadShowCommand) Help() string {
	return `Example:
  restock dead show 01a2…`
}

func (d *deadShowCommand) Run(c *console) error {
	q := url.Values{}
	set(q, "queue", d.Queue)
	var letter restock.DeadLetter
	if err := d.get(c, deadPath+"/"+url.PathEscape(d.ID), q, &letter); err != nil {
		return err
	}
	if d.JSON {
		return printJSON(c, letter)
	}
	printLetter(c, letter)
	return nil
}

func printLetter(c *console, l restock.DeadLetter) {
	c.printf("message %s in %s\n", l.MessageID, printable(l.DeadLetterQueue))
	c.printf("  %s about %s %s\n", printable(l.Type), printable(productOf(l)), printable(l.Product))
	if !l.OrderID.IsZero() {
		c.printf("  order %s\n", l.OrderID)
	}
	if !l.ReceiptID.IsZero() {
		c.printf("  receipt %s\n", l.ReceiptID)
	}
	c.printf("  made %s, dead since %s, received %d times since it was last put on its queue\n", when(l.CreatedAt), when(l.DeadAt), l.Receives)
	c.printf("  still needed? %s: %s\n", l.Verdict.Needed, printable(l.Verdict.Reason))
	c.printf("  body: %s\n", printable(compact(l.Body)))
	for _, f := range l.Failures {
		c.printf("  receive %d, %s: %s\n", f.Receive, when(f.At), printable(f.Error))
	}
	if l.Verdict.Needed == restock.NeedStale {
		c.printf("Handling it would have no effect now: restock dead discard %s --reason …\n", l.MessageID)
		return
	}
	c.printf("When the cause is mended: restock dead redrive %s\n", l.MessageID)
}

// compact takes the blanks out of JSON.
func compact(text json.RawMessage) string {
	var out bytes.Buffer
	if err := json.Compact(&out, text); err != nil {
		return string(text)
	}
	return out.String()
}
