package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"golang.org/x/time/rate"
)

// The limits of a walk through dead letters.
const (
	// settleTimeout bounds one call, also when the command was told to stop.
	settleTimeout = 30 * time.Second
	// settlePause is how long to wait when others keep the server busy.
	settlePause = time.Second
	// discardRate is how many letters are discarded a second.
	discardRate = 1000
	// skippedKept bounds the skipped letters of which more than the number is
	// told, and skippedShown those that are printed.
	skippedKept, skippedShown = 1000, 20
)

// deadSelection says which letters are meant.
type deadSelection struct {
	decider `embed:""`
	IDs     []string `arg:"" optional:"" name:"message" help:"Messages by their ids; or select them by flags."`
	All     bool     `help:"All, without any other filter."`
	Queue   string   `help:"Only of this queue: stock-queue, ad-queue or ops-queue."`
	Product string   `help:"Only of this product: its slug, SKU or id."`
	Type    string   `help:"Only of this type, such as stock.low."`
	Needed  string   `placeholder:"VERDICT" help:"Only what is needed, stale or unknown."`
	Error   string   `placeholder:"WORDS" help:"Only with these words in the last error."`
	DryRun  bool     `help:"Only tell what would be done."`
}

// selection is what the flags and arguments say.
func (d *deadSelection) selection(act ops.ActBody) (ops.SelectionBody, error) {
	b := ops.SelectionBody{
		ActBody: act, Queue: d.Queue, Type: d.Type, SKU: d.Product, Needed: restock.Need(d.Needed), Error: d.Error, All: d.All, DryRun: d.DryRun,
	}
	for _, text := range d.IDs {
		id, err := restock.ParseID[restock.Event](text)
		if err != nil {
			return b, err
		}
		b.IDs = append(b.IDs, id)
	}
	return b, nil
}

// one reports whether one letter is named, and nothing else is asked for: its
// trouble is then an error.
func (d *deadSelection) one() bool {
	filtered := d.All || d.Product != "" || d.Type != "" || d.Needed != "" || d.Error != ""
	return len(d.IDs) == 1 && !d.DryRun && !filtered
}

// act settles the one letter that is named.
func (d *deadSelection) act(c *console, action string, body any, said string) error {
	path := deadPath + "/" + url.PathEscape(d.IDs[0]) + action
	if d.Queue != "" {
		path += "?" + url.Values{"queue": {d.Queue}}.Encode()
	}
	var result map[string]string
	if err := d.post(c, path, body, &result); err != nil {
		return err
	}
	if d.JSON {
		return printJSON(c, result)
	}
	c.printf("message %s %s\n", d.IDs[0], said)
	return nil
}

// settled is what came of all slices.
type settled struct {
	Redriven     int                 `json:"redriven"`
	Discarded    int                 `json:"discarded"`
	SkippedCount int                 `json:"skipped_count"`
	Skipped      []ops.SkippedLetter `json:"skipped"` // cut to skippedKept
	DryRun       bool                `json:"dry_run,omitempty"`
}

func (s *settled) done() int { return s.Redriven + s.Discarded }

func (s *settled) add(slice ops.DeskSlice) {
	s.Redriven += slice.Redriven
	s.Discarded += slice.Discarded
	s.SkippedCount += len(slice.Skipped)
	s.Skipped = append(s.Skipped, slice.Skipped[:min(len(slice.Skipped), skippedKept-len(s.Skipped))]...)
}

// walk has the letters of a selection settled, slice by slice, at a bounded
// rate. It can be stopped anywhere: what was settled is no dead letter any more
// when somebody begins again.
func (d *deadSelection) walk(c *console, all ops.SelectionBody, perSecond float64,
	call func(*console, ops.SelectionBody) (ops.DeskSlice, error),
) (settled, error) {
	total := settled{Skipped: []ops.SkippedLetter{}, DryRun: d.DryRun}
	slice := min(max(1, int(perSecond)), ops.DeskSliceMax)
	pace := rate.NewLimiter(rate.Limit(perSecond), slice)
	pace.AllowN(time.Now(), slice) // the first slice uses up what there is
	progress := newProgress(c, "messages settled")
	defer progress.end()
	ids := all.IDs
	all.Limit = slice
	for {
		all.IDs = ids[:min(slice, len(ids))]
		ids = ids[len(all.IDs):]
		answer, err := patiently(c, all, call)
		if err != nil {
			return total, err
		}
		total.add(answer)
		progress.add(answer.Redriven + answer.Discarded)
		if all.After = answer.Next; all.After == "" && len(ids) == 0 {
			return total, nil
		}
		if d.DryRun {
			continue
		}
		if err := pace.WaitN(c.ctx, min(answer.Redriven+answer.Discarded, slice)); err != nil {
			return total, errInterrupted
		}
	}
}

// errInterrupted ends a walk that was told to stop.
var errInterrupted = errors.New("interrupted; the same command goes on where it stopped")

// patiently has one slice settled, and waits while others keep the server busy.
// A slice that has begun is waited for, so that its letters are counted.
func patiently(c *console, body ops.SelectionBody, call func(*console, ops.SelectionBody) (ops.DeskSlice, error)) (ops.DeskSlice, error) {
	for {
		if c.ctx.Err() != nil {
			return ops.DeskSlice{}, errInterrupted
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(c.ctx), settleTimeout)
		answer, err := call(&console{ctx: ctx, out: c.out, errOut: c.errOut}, body)
		cancel()
		if p, ok := errors.AsType[*problem](err); !ok || p.Code != restock.CodeRateLimited {
			return answer, err
		}
		select {
		case <-c.ctx.Done():
		case <-time.After(settlePause):
		}
	}
}

// tell says what came of a walk, also of one that did not come to its end.
func (d *deadSelection) tell(c *console, total settled, walkErr error, did, would, hint string) error {
	if walkErr != nil && total.done()+total.SkippedCount == 0 {
		return walkErr
	}
	if d.JSON {
		return errors.Join(printJSON(c, total), walkErr)
	}
	if d.DryRun {
		did = would
	}
	c.printf("%d messages %s\n", total.done(), did)
	for _, s := range total.Skipped[:min(len(total.Skipped), skippedShown)] {
		c.printf("skipped %s\n", printable(strings.Join(strings.Fields(fmt.Sprint(s.MessageID, " ", s.Type, " ", s.SKU)), " ")+": "+s.Reason))
	}
	if more := total.SkippedCount - skippedShown; more > 0 {
		c.printf("… and %d more; --json prints up to %d\n", more, skippedKept)
	}
	if total.SkippedCount > 0 {
		c.printf("%d messages skipped; %s\n", total.SkippedCount, hint)
	}
	if walkErr == nil && len(d.IDs) > 0 && total.SkippedCount > 0 {
		return fmt.Errorf("%d of %d messages were skipped", total.SkippedCount, len(d.IDs))
	}
	return walkErr
}

type deadRedriveCommand struct {
	deadSelection `embed:""`
	IncludeStale  bool   `help:"Also what is not needed any more."`
	Rate          pace   `default:"20/s" help:"How many at most: 20/s, 100/m or 500/h."`
	Reason        string `help:"Why; it is kept with what was done."`
}

// Help is shown by restock dead redrive --help.
func (deadRedriveCommand) Help() string {
	return `What is stale is skipped: handling it would have no effect. The command can be interrupted and
begun again; each message is somewhere, and has its effect once. Examples:
  restock dead redrive 01a2…
  restock dead redrive --all --dry-run
  restock dead redrive --queue ad-queue --error "no such mailbox" --rate 5/s`
}

func (d *deadRedriveCommand) Run(c *console) error {
	act := d.actBecause(d.Reason)
	if d.one() {
		return d.act(c, "/redrive", ops.RedriveBody{ActBody: act, Stale: d.IncludeStale},
			"is back on its queue; `restock status` shows how it goes")
	}
	all, err := d.selection(act)
	if err != nil {
		return err
	}
	total, err := d.walk(c, all, float64(d.Rate), func(c *console, b ops.SelectionBody) (ops.DeskSlice, error) {
		var slice ops.DeskSlice
		err := d.post(c, deadPath+"/redrive", ops.RedriveSelectionBody{SelectionBody: b, Stale: d.IncludeStale}, &slice)
		return slice, err
	})
	return d.tell(c, total, err, "are back on their queues; `restock status` shows how it goes", "would be redriven",
		"what is stale is redriven too with --include-stale")
}

type deadDiscardCommand struct {
	deadSelection `embed:""`
	IncludeNeeded bool   `help:"Also what is still needed, or may be, though it was not named."`
	Reason        string `required:"" help:"Why it is not needed any more."`
}

// Help is shown by restock dead discard --help.
func (deadDiscardCommand) Help() string {
	return `What was not named is discarded only if it is stale. Examples:
  restock dead discard 01a2… --reason "settled by telephone"
  restock dead discard --all --reason "the stock is back"
  restock dead discard --queue ad-queue --include-needed --reason "the campaign is over"`
}

func (d *deadDiscardCommand) Run(c *console) error {
	act := d.actBecause(d.Reason)
	if d.one() {
		return d.act(c, "/discard", act, "is discarded")
	}
	all, err := d.selection(act)
	if err != nil {
		return err
	}
	total, err := d.walk(c, all, discardRate, func(c *console, b ops.SelectionBody) (ops.DeskSlice, error) {
		var slice ops.DeskSlice
		err := d.post(c, deadPath+"/discard", ops.DiscardSelectionBody{SelectionBody: b, IncludeNeeded: d.IncludeNeeded}, &slice)
		return slice, err
	})
	return d.tell(c, total, err, "are discarded", "would be discarded",
		"what is needed, or may be, is discarded by naming it or with --include-needed")
}

// pace is how many of something a second.
type pace float64

// UnmarshalText reads 20/s, 100/m, 500/h, or 20, which is a second too.
func (p *pace) UnmarshalText(text []byte) error {
	number, unit, given := strings.Cut(string(text), "/")
	if !given {
		unit = "s"
	}
	seconds, known := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !known || !(n > 0) || n > settleRateMax {
		return fmt.Errorf("%q is no rate; write 20/s, 100/m or 500/h, at most %d/s", text, settleRateMax)
	}
	*p = pace(n / seconds)
	return nil
}

// settleRateMax bounds a rate that is asked for; the server has its own.
const settleRateMax = 10_000
