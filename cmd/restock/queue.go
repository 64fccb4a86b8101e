package main

import (
	"errors"
	"fmt"
	"log/slog"
	"text/tabwriter"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue/driver"
)

type queueCommand struct {
	Status    queueStatusCommand    `cmd:"" default:"withargs" help:"What lies on the queue engine, and on those used before."`
	Provision queueProvisionCommand `cmd:"" help:"Make or mend the topic, the queues and their policies at a broker."`
	Forget    queueForgetCommand    `cmd:"" help:"Say that an engine used before is empty, or gone for good."`
}

type queueStatusCommand struct {
	remote `embed:""`
}

func (q *queueStatusCommand) Run(c *console) error {
	var report ops.QueueReport
	if err := q.get(c, "/v1/queue", nil, &report); err != nil {
		return err
	}
	if q.JSON {
		return printJSON(c, report)
	}
	if report.Engine.Name == restock.EmbeddedEngine {
		c.printf("Messages are kept in the database; `restock status` counts them.\n")
	} else {
		printEngine(c, "engine", report.Engine)
	}
	for _, before := range report.Before {
		printEngine(c, "used before", before)
		c.printf("What waits there is moved while the role relay runs. When it is empty: restock queue forget %s --reason …\n", before.Name)
	}
	return nil
}

func printEngine(c *console, title string, e ops.EngineReport) {
	c.printf("%s %s\n", title, e.Name)
	if e.Error != "" {
		c.printf("  does not answer: %s\n", e.Error)
		return
	}
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "QUEUE\tWAITING\tIN FLIGHT\tDEAD, NOT ON THE DESK YET\tOLDEST")
	for _, d := range e.Depths {
		fmt.Fprintf(table, "%s\t%d\t%d\t%d\t%s\n", d.Queue, d.Waiting, d.InFlight, d.Dead, when(d.OldestAt))
	}
	_ = table.Flush() // the console is all there is to tell
}

type queueForgetCommand struct {
	person `embed:""`
	Engine string `arg:"" help:"The engine, as restock queue status names it."`
}

func (q *queueForgetCommand) Run(c *console) error {
	var result map[string]string
	if err := q.post(c, "/v1/queue/forget", ops.ForgetBody{ActBody: q.act(), Engine: q.Engine}, &result); err != nil {
		return err
	}
	if q.JSON {
		return printJSON(c, result)
	}
	c.printf("%s is forgotten\n", q.Engine)
	return nil
}

type queueProvisionCommand struct {
	Queue string `env:"RESTOCK_QUEUE" required:"" placeholder:"URL" help:"The broker: aws:TOPIC or nats://HOST:PORT."`
	Check bool   `help:"Change nothing; fail when something is missing or differs."`
	JSON  bool   `name:"json" help:"Print JSON for scripts."`
}

// Help is shown by restock queue provision --help.
func (queueProvisionCommand) Help() string {
	return `Creates what is missing, changes what differs, and deletes nothing.

Examples:
  restock queue provision --queue 'nats://127.0.0.1:4222'
  restock queue provision --queue 'aws:stock?region=ap-northeast-2' --check`
}

func (q *queueProvisionCommand) Run(c *console) error {
	if q.Queue == restock.EmbeddedEngine {
		c.printf("Messages are kept in the database: there is nothing to make.\n")
		return nil
	}
	if !brokerScheme(q.Queue) {
		return unknownEngine(q.Queue)
	}
	broker, err := openBroker(c.ctx, q.Queue, slog.New(slog.NewTextHandler(c.errOut, nil)))
	if err != nil {
		return err
	}
	findings, err := broker.Provision(c.ctx, !q.Check)
	err = errors.Join(err, broker.Close())
	if q.JSON {
		if findings == nil {
			findings = []driver.Finding{}
		}
		return errors.Join(printJSON(c, map[string]any{"findings": findings}), err)
	}
	for _, f := range findings {
		c.printf("%s\n", describe(f))
	}
	switch {
	case err != nil:
		return err
	case len(findings) == 0:
		c.printf("Everything is there and as it should be.\n")
	case q.Check:
		return fmt.Errorf("%d things are missing or differ; without --check they are made and mended", len(findings))
	}
	return nil
}

func describe(f driver.Finding) string {
	verb := "differs"
	switch {
	case f.Have == "" && f.Mended:
		verb = "made"
	case f.Have == "":
		verb = "is missing"
	case f.Mended:
		verb = "mended"
	}
	text := fmt.Sprintf("%s: %s", f.What, verb)
	if f.Have != "" {
		text += fmt.Sprintf(", from %s to %s", f.Have, f.Want)
	}
	return text
}
