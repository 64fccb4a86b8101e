package main

import (
	"errors"
	"fmt"
	"net/url"
	"text/tabwriter"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/web"
)

type orderingCommand struct {
	Status orderingStatusCommand `cmd:"" default:"withargs" help:"Whether orders are placed, and how each factory is doing."`
	Pause  orderingPauseCommand  `cmd:"" help:"Place no order any more, anywhere or at one factory."`
	Resume orderingResumeCommand `cmd:"" help:"Let orders be placed again."`
	Snooze orderingSnoozeCommand `cmd:"" help:"Order nothing of one product by itself until a time."`
}

type orderingStatusCommand struct {
	listing `embed:""`
}

// orderingStatus is what restock ordering status --json prints.
type orderingStatus struct {
	restock.OrderingSwitch
	Factories []restock.FactoryLoad `json:"factories"`
}

func (o *orderingStatusCommand) Run(c *console) error {
	var status orderingStatus
	if err := o.get(c, "/v1/ordering", nil, &status.OrderingSwitch); err != nil {
		return err
	}
	var page web.List[restock.FactoryLoad]
	if err := o.get(c, "/v1/factories", o.query(), &page); err != nil {
		return err
	}
	status.Factories = page.Items
	if o.JSON {
		return printJSON(c, status)
	}
	printSwitch(c, status.OrderingSwitch)
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "FACTORY\tBREAKER\tIN FLIGHT\tPLANNED\tWAITING\tLEAD TIME\tLEARNED\tPAUSED")
	for _, f := range page.Items {
		fmt.Fprintf(table, "%s\t%s\t%d of %d\t%d\t%d\t%s\t%s\t%s\n", printable(f.Identifier), breakerOf(f.Factory), f.InFlight, f.MaxInFlight,
			f.Planned, f.Waiting, f.LeadTime, learned(f.Factory), printable(orDefault(f.Paused, "-")))
	}
	if err := table.Flush(); err != nil {
		return err
	}
	if page.Next != "" {
		c.printf("more: --after %s\n", page.Next)
	}
	return nil
}

func printSwitch(c *console, s restock.OrderingSwitch) {
	if s.Paused == "" {
		c.printf("orders are placed\n")
		return
	}
	c.printf("ordering is paused: %s\nto go on: restock ordering resume --reason …\n", printable(s.Paused))
}

func breakerOf(f restock.Factory) string {
	if f.Breaker == restock.BreakerOpen {
		return "open until " + when(f.BreakerUntil)
	}
	return string(f.Breaker)
}

func learned(f restock.Factory) string {
	if f.LeadTimesSeen == 0 {
		return "-"
	}
	return fmt.Sprintf("%s of %d", f.LeadTimeLearned.Round(time.Second), f.LeadTimesSeen)
}

// switching is what pausing and resuming share.
type switching struct {
	person  `embed:""`
	Factory *string `placeholder:"IDENTIFIER" help:"Only at this factory; everywhere when left out."`
}

func (s *switching) turn(c *console, action string) error {
	body := ops.SwitchBody{ActBody: s.act()}
	if s.Factory != nil {
		if *s.Factory == "" { // such as a variable of the shell that is not set
			return fmt.Errorf("--factory names none; leave it out to %s ordering everywhere", action)
		}
		body.Factory = s.Factory
	}
	var state restock.OrderingSwitch
	if err := s.post(c, "/v1/ordering/"+action, body, &state); err != nil {
		return err
	}
	if s.JSON {
		return printJSON(c, state)
	}
	if body.Factory != nil {
		c.printf("%s: %sd\n", printable(*body.Factory), action)
	}
	printSwitch(c, state)
	return nil
}

type orderingPauseCommand struct {
	switching `embed:""`
}

// Help is shown by restock ordering pause --help.
func (orderingPauseCommand) Help() string {
	return `What is on its way goes on, and what is planned waits. Example:
  restock ordering pause --factory FF-500293 --reason "they move house"`
}

func (o *orderingPauseCommand) Run(c *console) error { return o.turn(c, "pause") }

type orderingResumeCommand struct {
	switching `embed:""`
}

// Help is shown by restock ordering resume --help.
func (orderingResumeCommand) Help() string {
	return `What was planned is placed now. Example:
  restock ordering resume --reason "the budget is there"`
}

func (o *orderingResumeCommand) Run(c *console) error { return o.turn(c, "resume") }

type orderingSnoozeCommand struct {
	person `embed:""`
	SKU    string `arg:"" help:"The product's SKU, slug or id."`
	Until  moment `placeholder:"WHEN" help:"Until when: 24h, 3d, or a time."`
	Wake   bool   `help:"End it now."`
}

// Help is shown by restock ordering snooze --help.
func (orderingSnoozeCommand) Help() string {
	return `Examples:
  restock ordering snooze CP-502101 --until 7d --reason "the season is over"
  restock ordering snooze CP-502101 --wake --reason "it begins again"`
}

func (o *orderingSnoozeCommand) Run(c *console) error {
	if o.Wake == (o.Until != "") {
		return errors.New("give --until, or --wake to end it")
	}
	body := ops.SnoozeBody{ActBody: o.act()}
	if !o.Wake {
		var err error
		if body.Until, err = o.Until.time(time.Now()); err != nil {
			return fmt.Errorf("--until: %w", err)
		}
	}
	var product restock.Product
	if err := o.post(c, "/v1/products/"+url.PathEscape(o.SKU)+"/snooze", body, &product); err != nil {
		return err
	}
	if o.JSON {
		return printJSON(c, product)
	}
	if o.Wake {
		c.printf("%s is ordered by itself again\n", product.SKU)
		return nil
	}
	c.printf("nothing is ordered of %s by itself until %s\n", product.SKU, when(product.SnoozedUntil))
	return nil
}

type auditCommand struct {
	List auditListCommand `cmd:"" default:"withargs" help:"List what people decided, newest first."`
}

type auditListCommand struct {
	listing `embed:""`
	Action  string `help:"Only this action, such as order.approve."`
	Subject string `help:"Only about this: the id of an order or receipt, a SKU, or a factory."`
}

// Help is shown by restock audit list --help.
func (auditListCommand) Help() string {
	return `Example:
  restock audit list --product CP-502101`
}

func (a *auditListCommand) Run(c *console) error {
	q := a.query()
	set(q, "state", a.Action)
	set(q, "reference", a.Subject)
	return show(c, &a.listing, "/v1/audit", q, "Nobody has decided anything by hand yet.", "AT\tWHO\tACTION\tSKU\tSUBJECT\tREASON\tDETAIL",
		func(e restock.AuditEntry) []any {
			return []any{when(e.At), e.Actor, e.Action, e.SKU, e.Subject, e.Reason, e.Detail}
		})
}
