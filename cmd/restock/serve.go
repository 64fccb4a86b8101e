package main

import (
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/webhook"
)

type serveCommand struct {
	settings `embed:""`
}

// Help is shown by restock serve --help.
func (serveCommand) Help() string {
	return `Example:
  restock catalog example > catalog.yaml
  restock factory &
  restock serve --catalog catalog.yaml
  curl -X POST http://127.0.0.1:8080/checkout`
}

func (s *serveCommand) Run(c *console) error {
	log := newLog(c.errOut, s.LogLevel)
	a, err := openApp(c.ctx, s.settings, log)
	if err != nil {
		return err
	}
	a.greet(c)
	err = a.run(c.ctx)
	return errors.Join(err, a.close())
}

// greet says where everything is.
func (a *app) greet(c *console) {
	c.printf("restock %s serves %s\n", version, strings.Join(a.cfg.Roles, ", "))
	c.printf("  buyers and factories  %s\n", a.publicURL())
	c.printf("  operators             %s/v1/status, token in %s\n", a.admin.URL(), a.cfg.tokenPath())
	if slices.ContainsFunc(chosenRoles(a.cfg.Roles), func(r role) bool { return r.name == "dashboard" }) {
		c.printf("  dashboard             %s/dashboard\n", a.admin.URL())
	}
	c.printf("  database              %s\n", store.Redact(a.cfg.databaseURL()))
	if a.engine.broker != nil {
		c.printf("  messages              %s\n", a.engine.name)
	}
	c.printf("  mail                  %s\n", orDefault(a.cfg.mailNote(), "sent by "+mailHost(a.cfg.Mail)))
	if host := webhook.Host(a.cfg.OperationsWebhook); host != "" {
		c.printf("  webhook               operations are told at %s, too\n", host)
	}
	status, err := a.store.Status(context.WithoutCancel(c.ctx))
	if err == nil && status.Products == 0 {
		c.printf("There is nothing to sell yet: restock catalog example > catalog.yaml, then restock catalog apply catalog.yaml\n")
	}
}

// mailHost is a mail URL without its password.
func mailHost(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "//")
	if !ok {
		return raw
	}
	if _, host, ok := strings.Cut(rest, "@"); ok {
		rest = host
	}
	return scheme + "//" + rest
}

type configCommand struct {
	Check configCheckCommand `cmd:"" help:"Check the configuration of serve, and print it with its secrets hidden."`
}

type configCheckCommand struct {
	settings `embed:""`
}

func (s *configCheckCommand) Run(c *console) error {
	if err := s.check(); err != nil {
		return err
	}
	c.printf("listen           %s\nadmin-listen     %s\ndatabase         %s\nqueue            %s\nmail             %s\nroles            %s\n",
		s.Listen, orDefault(s.AdminListen, s.Listen), store.Redact(s.databaseURL()), engineName(s.Queue), mailHost(s.mailURL()), strings.Join(s.Roles, ","))
	c.printf("public-url       %s\noperations       %s\ntimezone         %s\n", orDefault(s.PublicURL, "http://"+s.Listen), s.OperationsEmail, s.Timezone)
	if s.OperationsWebhook != "" {
		c.printf("webhook          %s\n", webhook.Host(s.OperationsWebhook))
	}
	c.printf("The configuration is in order.\n")
	return nil
}
