package main

import (
	"cmp"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/hooks"
)

type webhooksCommand struct {
	List       webhooksListCommand       `cmd:"" default:"withargs" help:"List the subscriptions of other programs, newest first."`
	Add        webhooksAddCommand        `cmd:"" help:"Subscribe a URL to events; prints the secret that signs them."`
	Show       webhooksShowCommand       `cmd:"" help:"Show one subscription."`
	Change     webhooksChangeCommand     `cmd:"" help:"Change the URL, the events or the description of a subscription."`
	Pause      webhooksPauseCommand      `cmd:"" help:"Send nothing for now; events wait."`
	Resume     webhooksResumeCommand     `cmd:"" help:"Send again, with what waited."`
	Rotate     webhooksRotateCommand     `cmd:"" help:"Make a new secret; the old one signs, too, for a day."`
	Remove     webhooksRemoveCommand     `cmd:"" help:"End a subscription, with all that waits for it."`
	Deliveries webhooksDeliveriesCommand `cmd:"" help:"What became of the events of a subscription, newest first."`
	Replay     webhooksReplayCommand     `cmd:"" help:"Send an event to a subscription once more."`
}

const webhooksPath = "/v1/webhooks"

// webhookNamed is what the commands about one subscription share.
type webhookNamed struct {
	decider `embed:""`
	ID      string `arg:"" name:"webhook" help:"The subscription's id."`
}

func (w *webhookNamed) path() string { return webhooksPath + "/" + url.PathEscape(w.ID) }

// ask sends one act and prints what the subscription is then.
func (w *webhookNamed) ask(c *console, method, path string, body any, said string) error {
	text, err := json.Marshal(body)
	if err != nil {
		return err
	}
	var hook restock.Webhook
	if err := w.call(c, method, path, nil, text, &hook); err != nil {
		return err
	}
	if w.JSON {
		return printJSON(c, hook)
	}
	c.printf("%s %s\n", said, hook.ID)
	if hook.Secret != "" {
		printSecret(c, hook)
	}
	return nil
}

func (w *webhookNamed) by() hooks.ByBody { return hooks.ByBody{By: w.actBecause("").By} }

type webhooksListCommand struct {
	listing `embed:""`
}

func (w *webhooksListCommand) Run(c *console) error {
	return show(c, &w.listing, webhooksPath, w.query(), "No program subscribed to events yet: restock webhooks add https://…",
		"WEBHOOK\tURL\tEVENTS\tSTATE\tTOOK LAST\tFAILING SINCE\tLAST ERROR",
		func(w restock.Webhook) []any {
			return []any{w.ID, w.URL, eventsOf(w), stateOf(w), when(w.TakenAt), when(w.FailingSince), cmp.Or(w.LastError, "-")}
		})
}

func eventsOf(w restock.Webhook) string {
	if len(w.Events) == 0 {
		return "all"
	}
	names := make([]string, len(w.Events))
	for i, e := range w.Events {
		names[i] = string(e)
	}
	return strings.Join(names, ",")
}

func stateOf(w restock.Webhook) string {
	switch {
	case w.Paused:
		return "paused"
	case !w.FailingSince.IsZero():
		return "failing"
	}
	return "active"
}

type webhooksAddCommand struct {
	decider      `embed:""`
	URL          string   `arg:"" name:"url" help:"Where events are posted to."`
	Events       []string `placeholder:"TYPE" help:"Only these types of event, such as stock.out; all when left out."`
	Description  string   `help:"Whose it is, for people."`
	Acknowledges string   `placeholder:"AD" help:"The name of the advertisement that this program switches: to take stock.out is then the answer of its manager."`
}

// Help is shown by restock webhooks add --help.
func (webhooksAddCommand) Help() string {
	return `Example:
  restock webhooks add https://shop.example/hooks --events stock.out,stock.back`
}

func (w *webhooksAddCommand) Run(c *console) error {
	body := hooks.CreateBody{URL: w.URL, Description: w.Description, Acknowledges: w.Acknowledges, Events: typesNamed(w.Events), By: w.actBecause("").By}
	var hook restock.Webhook
	if err := w.post(c, webhooksPath, body, &hook); err != nil {
		return err
	}
	if w.JSON {
		return printJSON(c, hook)
	}
	c.printf("webhook %s\n", hook.ID)
	printSecret(c, hook)
	return nil
}

func typesNamed(names []string) []restock.EventType {
	types := make([]restock.EventType, len(names))
	for i, n := range names {
		types[i] = restock.EventType(n)
	}
	return types
}

func printSecret(c *console, w restock.Webhook) {
	c.printf("secret %s\n", w.Secret)
	c.printf("It is shown only now. Give it to the receiver, which verifies with it; docs/webhooks.md says how.\n")
}

type webhooksShowCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"webhook" help:"The subscription's id."`
}

func (w *webhooksShowCommand) Run(c *console) error {
	return showOne(c, &w.remote, webhooksPath+"/"+url.PathEscape(w.ID))
}

type webhooksChangeCommand struct {
	webhookNamed `embed:""`
	URL          *string   `name:"url" help:"Where events are posted to."`
	Events       *[]string `placeholder:"TYPE" help:"Only these types of event; all is all."`
	Description  *string   `help:"Whose it is, for people."`
	Acknowledges *string   `placeholder:"AD" help:"The name of the advertisement that this program switches; '' is none."`
}

func (w *webhooksChangeCommand) Run(c *console) error {
	body := hooks.ChangeBody{By: w.actBecause("").By}
	body.URL, body.Description, body.Acknowledges = w.URL, w.Description, w.Acknowledges
	if w.Events != nil {
		types := []restock.EventType{}
		if len(*w.Events) != 1 || (*w.Events)[0] != "all" {
			types = typesNamed(*w.Events)
		}
		body.Events = &types
	}
	return w.ask(c, http.MethodPatch, w.path(), body, "changed")
}

type webhooksPauseCommand struct {
	webhookNamed `embed:""`
}

func (w *webhooksPauseCommand) Run(c *console) error { return w.setPaused(c, true, "paused") }

type webhooksResumeCommand struct {
	webhookNamed `embed:""`
}

func (w *webhooksResumeCommand) Run(c *console) error { return w.setPaused(c, false, "resumed") }

func (w *webhookNamed) setPaused(c *console, paused bool, said string) error {
	body := hooks.ChangeBody{By: w.actBecause("").By}
	body.Paused = &paused
	return w.ask(c, http.MethodPatch, w.path(), body, said)
}

type webhooksRotateCommand struct {
	webhookNamed `embed:""`
}

func (w *webhooksRotateCommand) Run(c *console) error {
	return w.ask(c, http.MethodPost, w.path()+"/rotate-secret", w.by(), "a new secret for")
}

type webhooksRemoveCommand struct {
	webhookNamed `embed:""`
}

func (w *webhooksRemoveCommand) Run(c *console) error {
	return w.ask(c, http.MethodDelete, w.path(), w.by(), "removed")
}

type webhooksDeliveriesCommand struct {
	remote `embed:""`
	ID     string `arg:"" name:"webhook" help:"The subscription's id."`
	State  string `help:"Only waiting, taken, dead or discarded ones."`
	Limit  int    `default:"20" help:"How many to show, at most 1000."`
	After  string `placeholder:"CURSOR" help:"Go on after the last page; it prints its cursor."`
}

func (w *webhooksDeliveriesCommand) Run(c *console) error {
	page := &listing{remote: w.remote, Limit: w.Limit, After: w.After}
	q := page.query()
	set(q, "state", w.State)
	return show(c, page, webhooksPath+"/"+url.PathEscape(w.ID)+"/deliveries", q, "Nothing was to be sent there so far.",
		"EVENT\tTYPE\tABOUT\tAT\tSTATE\tTRIES\tLAST\tSTATUS\tNEXT\tERROR",
		func(d restock.Delivery) []any {
			return []any{d.EventID, d.Type, d.Subject, when(d.EventAt), d.State, d.Tries, when(d.TriedAt), d.Status, when(d.NextAt), cmp.Or(d.Error, "-")}
		})
}

type webhooksReplayCommand struct {
	webhookNamed `embed:""`
	Event        string `arg:"" help:"The event's id."`
}

func (w *webhooksReplayCommand) Run(c *console) error {
	var d restock.Delivery
	if err := w.post(c, w.path()+"/deliveries/"+url.PathEscape(w.Event)+"/replay", w.by(), &d); err != nil {
		return err
	}
	if w.JSON {
		return printJSON(c, d)
	}
	c.printf("event %s is sent again to %s\n", d.EventID, w.ID)
	return nil
}
