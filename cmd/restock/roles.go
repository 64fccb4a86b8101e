package main

import (
	"context"
	"net/http"
	"slices"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/web"
)

// allRoles stands for every role.
const allRoles = "all"

// role is one part of the service, which can run in a process of its own.
type role struct {
	name   string
	public func(*app, web.Router)                // routes for buyers, factories and ad managers
	strays func(*app, http.Handler) http.Handler // answers what no route of public knows
	admin  func(*app, web.Router)                // routes for operators
	run    func(*app) []func(context.Context) error
	keys   bool // it signs or verifies callback addresses, or links in mails
	// operators: it has the operator's routes that commands ask for.
	operators bool
}

// roles is the one table of what there is to run.
func roles() []role {
	return []role{
		{
			name:   "sales",
			public: func(a *app, mux web.Router) { a.shop.Register(mux) },
			admin:  func(a *app, mux web.Router) { a.shop.RegisterBackend(mux) },
			run:    func(a *app) []func(context.Context) error { return runs(a.shop.Run, a.shop.RunExpiry) },
		},
		{
			name: "replenish",
			keys: true,
			run: func(a *app) []func(context.Context) error {
				return runs(a.consumer(restock.StockQueue, a.replenisher.Handlers()), a.replenisher.RunPlacer, a.replenisher.RunSweep, a.followStock)
			},
		},
		{
			name:   "arrivals",
			keys:   true,
			public: func(a *app, mux web.Router) { a.replenisher.Register(mux) },
			strays: func(a *app, unknown http.Handler) http.Handler { return a.replenisher.Strays(unknown) },
			run:    func(a *app) []func(context.Context) error { return runs(a.replenisher.RunHeartbeat) },
		},
		{
			name:   "ads",
			keys:   true,
			public: func(a *app, mux web.Router) { a.ads.Register(mux) },
			run: func(a *app) []func(context.Context) error {
				return runs(a.consumer(restock.AdQueue, a.ads.Handlers()), a.ads.RunSweep)
			},
		},
		{
			name:      "ops",
			operators: true,
			admin:     func(a *app, mux web.Router) { a.office.Register(mux); a.hooks.Register(mux) },
			run: func(a *app) []func(context.Context) error {
				return append(a.collectors(), a.consumer(restock.OpsQueue, a.office.Handlers()),
					a.office.RunAlerts, a.office.RunBuyer, a.office.RunWebhook, a.office.RunWatch, a.office.RunPurge)
			},
		},
		{
			name: "hooks",
			run: func(a *app) []func(context.Context) error {
				return runs(a.hooks.RunFanOut, a.hooks.RunDeliveries, a.hooks.RunPurge)
			},
		},
		{
			name:  "dashboard",
			admin: func(a *app, mux web.Router) { a.dashboard.Register(mux) },
			run:   func(a *app) []func(context.Context) error { return runs(a.dashboard.Run) },
		},
		{
			name: "relay",
			run:  func(a *app) []func(context.Context) error { return a.relays() },
		},
	}
}

func runs(all ...func(context.Context) error) []func(context.Context) error { return all }

// followStock books what another system changes of the stock.
func (a *app) followStock(ctx context.Context) error {
	return a.store.RunFollow(ctx, a.cfg.SweepInterval)
}

func roleNames() []string {
	all := roles()
	names := make([]string, 0, len(all))
	for _, r := range all {
		names = append(names, r.name)
	}
	return names
}

// chosenRoles gives the roles that the settings name.
func chosenRoles(names []string) []role {
	return slices.DeleteFunc(roles(), func(r role) bool {
		return !slices.Contains(names, allRoles) && !slices.Contains(names, r.name)
	})
}

// consumer makes the loop that handles the messages of one queue.
func (a *app) consumer(name string, handlers map[string]queue.Handler) func(context.Context) error {
	return queue.New(a.engine.driver, name, handlers, queue.Config{Logger: a.log, BackoffBase: a.cfg.RetryBase, Context: traceOf, Observe: a.metrics.Handled(name)}).Run
}

// traceOf gives the handling of a message the trace of what it came of. A broker
// may hold what strangers wrote: what is no traceparent is none.
func traceOf(ctx context.Context, m queue.Message) context.Context {
	trace, _ := restock.ParseTraceParent(m.TraceParent)
	return restock.WithTraceParent(ctx, trace)
}
