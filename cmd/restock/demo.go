package main

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/web"
	"github.com/restock/restock/internal/webhook"
	"golang.org/x/sync/errgroup"
)

type demoCommand struct {
	Keep bool   `help:"Stay up afterwards, for curl."`
	Data string `type:"path" placeholder:"DIR" help:"Folder for the demo's data; a new temporary one when left out."`
}

// Help is shown by restock demo --help.
func (demoCommand) Help() string {
	return `It starts restock and a simulated factory on free ports of this machine, sells until
nothing is left, and follows what happens: the order, the mails, the callback, a dead
letter. Everything is real but the factory's patience. It exits with status 0 if every
step happened.

Example:
  restock demo --keep`
}

//go:embed demo.yaml
var demoCatalog string

// The demo's pace: a factory of seconds, impatient retries.
const (
	demoLeadTime    = 2 * time.Second
	demoRetryBase   = 50 * time.Millisecond
	demoAlertGap    = time.Second
	demoStepTimeout = 15 * time.Second
	demoLook        = 20 * time.Millisecond
)

func (d *demoCommand) Run(c *console) error {
	demo, err := d.prepare(c)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(c.ctx)
	defer stop()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return demo.simulator.Run(ctx) })
	group.Go(func() error { return demo.factory.Run(ctx) })
	group.Go(func() error { return demo.app.run(ctx) })
	err = demo.tell(ctx)
	if err == nil && d.Keep {
		demo.stay(ctx)
	}
	stop()
	err = errors.Join(err, group.Wait(), demo.app.close())
	c.printf("\nThe mails, the database and restock.log stay in %s until you remove it.\n", demo.dir)
	if err == nil && !d.Keep {
		c.printf("To look around while it runs: restock demo --keep\n")
	}
	return err
}

// prepare opens a service and a factory on free ports.
func (d *demoCommand) prepare(c *console) (*demo, error) {
	dir := d.Data
	if dir == "" {
		var err error
		if dir, err = os.MkdirTemp("", "restock-demo-"); err != nil {
			return nil, err
		}
	} else if entries, err := os.ReadDir(dir); err == nil && len(entries) > 0 {
		return nil, fmt.Errorf("%s is not empty; the demo begins with an empty folder", dir)
	}
	const ownerOnly = 0o700
	if err := os.MkdirAll(dir, ownerOnly); err != nil {
		return nil, err
	}
	logFile, err := os.Create(filepath.Join(dir, "restock.log"))
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.NewTextHandler(logFile, nil))
	m := &demo{console: c, dir: dir, start: time.Now()}
	m.simulator = factory.NewSimulator(factory.SimulatorConfig{
		LeadTime: demoLeadTime, Logger: log, OnAccept: func(factory.Job) { m.accepted.Add(1) },
	})
	m.factory = web.NewServer(web.Config{Name: "factory", Handler: m.simulator, Logger: log})
	if err := m.factory.Listen(c.ctx, "127.0.0.1:0"); err != nil {
		return nil, err
	}
	catalog := filepath.Join(dir, "catalog.yaml")
	text := strings.ReplaceAll(demoCatalog, "FACTORY_URL", m.factory.URL()+"/api/manufactures")
	if err := os.WriteFile(catalog, []byte(text), ownerOnly); err != nil {
		return nil, err
	}
	m.app, err = openApp(c.ctx, demoSettings(dir, catalog), log)
	return m, err
}

func demoSettings(dir, catalog string) settings {
	return settings{
		Listen: "127.0.0.1:0", Data: dir, Catalog: catalog, Queue: "db:", Mail: "file:", Roles: []string{allRoles},
		MailFrom: "restock@donut.example", OperationsEmail: "operations@donut.example", Timezone: "Asia/Seoul",
		RefusedStatus: http.StatusConflict, CallbackWindow: time.Minute, FactoryTimeout: factory.TotalTimeout, SweepInterval: time.Second,
		RetryBase: demoRetryBase, AlertGap: demoAlertGap,
		QueueAgeLimit: ops.DefaultQueueAge, RelayAgeLimit: ops.DefaultRelayAge, EngineAway: ops.DefaultEngineAway,
		AdReminder: ads.DefaultReminder, AdEscalation: ads.DefaultEscalation, AdSpacing: ads.DefaultSpacing,
		WebhookTimeout: webhook.TotalTimeout, WebhookAgeLimit: ops.DefaultWebhookAge, EventRetention: time.Hour,
		Retention: time.Hour, KeyRetention: keyRetentionMin, CORSOrigins: []string{"*"},
	}
}

// stay leaves the service up until the user ends it.
func (m *demo) stay(ctx context.Context) {
	m.console.printf("\nStill here, until Ctrl-C. Try, in another terminal:\n")
	m.console.printf("  curl -X POST %s/checkout\n", m.app.publicURL())
	m.console.printf("  curl %s/product/donut\n", m.app.publicURL())
	m.console.printf("  restock status --data %s\n", m.dir)
	m.console.printf("  restock orders list --data %s\n", m.dir)
	<-ctx.Done()
}

// wait looks until a step has happened.
func (m *demo) wait(ctx context.Context, what string, happened func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, demoStepTimeout)
	defer cancel()
	look := time.NewTicker(demoLook)
	defer look.Stop()
	for {
		ok, err := happened()
		if ok {
			return nil
		}
		select {
		case <-look.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("this did not happen within %s: %s", demoStepTimeout, what), err)
		}
	}
}

// checkout buys one piece in the demo's shop.
func (m *demo) checkout(ctx context.Context, sku string) (int, string, error) {
	return buy(ctx, m.app.publicURL(), sku)
}

// buy buys one piece, as curl would, and gives the shop's words.
func buy(ctx context.Context, shopURL, sku string) (int, string, error) {
	body := ""
	if sku != "" {
		body = fmt.Sprintf(`{"sku":%q}`, sku)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, shopURL+"/checkout", strings.NewReader(body))
	if err != nil {
		return 0, "", err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close() // it was read.
	answer, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	return response.StatusCode, strings.TrimSpace(string(answer)), err
}
