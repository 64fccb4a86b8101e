package main

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"time"

	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/web"
	"golang.org/x/sync/errgroup"
)

type factoryCommand struct {
	Listen       string        `default:"127.0.0.1:4000" help:"Where orders are taken."`
	LeadTime     time.Duration `default:"40s" help:"Time from an order to its callback."`
	CallbackNets []string      `placeholder:"CIDR" help:"Networks that may be called back; only this machine when left out."`
	Misbehave    []string      `placeholder:"NAME[=N]" help:"Treat orders badly: in turn, or with weights at random; the names are above."`
	Seed         uint64        `default:"1" help:"Repeats the same random misbehaviours."`
}

// Help is shown by restock factory --help.
func (factoryCommand) Help() string {
	return `It answers POST /api/manufactures with 201, and after the lead time posts the order,
unchanged, to its CallbackUrl, once. Its orders live in memory: a restart forgets them.

With --misbehave it does what factories do on bad days. Each order takes the next of the
names given. With a weight, as in silent=2, each takes one at random. One about the answer
and one about the callbacks can be mixed, as in drip+double. The names:
` + misbehaviourLines() + `
Example:
  restock factory --lead-time 5s
  restock factory --lead-time 5s --misbehave double,silent
  restock factory --lead-time 5s --misbehave good=8,accept-reset+double,partial=2 --seed 7`
}

func misbehaviourLines() string {
	var lines strings.Builder
	for _, name := range factory.Misbehaviours() {
		fmt.Fprintf(&lines, "  %-17s %s\n", name, name.Meaning())
	}
	return lines.String()
}

func (f *factoryCommand) Run(c *console) error {
	log := newLog(c.errOut, slog.LevelInfo)
	nets, err := parseNets("--callback-nets", f.CallbackNets)
	if err != nil {
		return err
	}
	misbehave, err := factory.NewMisbehaviours(f.Misbehave, f.Seed)
	if err != nil {
		return fmt.Errorf("--misbehave: %w", err)
	}
	simulator := factory.NewSimulator(factory.SimulatorConfig{LeadTime: f.LeadTime, CallbackNets: nets, Misbehave: misbehave, Logger: log})
	server := web.NewServer(web.Config{Name: "factory", Handler: simulator, Logger: log})
	if err := server.Listen(c.ctx, f.Listen); err != nil {
		return err
	}
	c.printf("a simulated factory takes orders at %s/api/manufactures and calls back after %s\n", server.URL(), f.LeadTime)
	if len(f.Misbehave) > 0 {
		c.printf("it misbehaves: %s\n", strings.Join(f.Misbehave, ", "))
	}
	group, ctx := errgroup.WithContext(c.ctx)
	group.Go(func() error { return simulator.Run(ctx) })
	group.Go(func() error { return server.Run(ctx) })
	return group.Wait()
}

func parseNets(flag string, texts []string) ([]netip.Prefix, error) {
	var nets []netip.Prefix
	for _, text := range texts {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, fmt.Errorf("%s: %q must be a network such as 10.0.0.0/8", flag, text)
		}
		nets = append(nets, prefix)
	}
	return nets, nil
}
