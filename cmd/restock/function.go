package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	awslambda "github.com/aws/aws-lambda-go/lambda"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/lambda"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/queue/snssqs"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
)

// runtimeAddress is in the environment of every Lambda function, and of nothing
// else: this program is then the function's bootstrap.
const runtimeAddress = "AWS_LAMBDA_RUNTIME_API"

// The limits of a function.
const (
	// functionConnections are those to the database for each kind of act: an
	// instance serves one event at a time.
	functionConnections = 1
	// functionVisibility is longer than any function runs, so that no message is
	// held: the queue's visibility timeout does that.
	functionVisibility = time.Hour
	// placingPatience is how long a worker waits for the factory's pace; what may be
	// placed later is left to the schedule.
	placingPatience = 2 * time.Second
	// functionBeat is how often somebody says that callbacks are taken: the
	// schedule does, at least so often.
	functionBeat = time.Minute
)

// functionCommand runs one function of AWS Lambda. Lambda starts it; nobody else
// has a use for it.
type functionCommand struct {
	settings `embed:""`

	Function     string        `env:"RESTOCK_FUNCTION" help:"What this function does: sales, stock, arrivals, ads, ops, schedule, admin or setup."`
	ScheduleTime time.Duration `env:"RESTOCK_SCHEDULE_TIME" default:"20s" help:"How long one run of the schedule works."`
	// The secrets of a function are in its environment, which Lambda encrypts.
	OperatorToken string `env:"RESTOCK_OPERATOR_TOKEN" help:"The operator's token itself, for the admin function."`
	CallbackKeys  string `env:"RESTOCK_CALLBACK_KEYS" help:"The callback keys themselves, for functions that sign or verify."`
}

// function is one function of AWS Lambda.
type function struct {
	name  string
	needs need
	// routes are what it answers, and queue is whose messages it handles.
	routes func(*app, *web.Mux) http.Handler
	queue  string
	wire   func(*app, *functionCommand, *lambda.Function)
}

// need is what a function needs beside the database. What it does not need it
// does not have: neither the secret nor the time to open it.
type need int

const (
	needsKeys need = 1 << iota
	needsToken
	needsMail
	needsEngine // the one who looks after engines used before
)

// functions are all that there are, each with the role that it plays.
func functions() []function {
	return []function{
		{name: "sales", routes: rolesRoutes("sales")},
		{name: "stock", needs: needsKeys, queue: restock.StockQueue, wire: wireStock},
		{name: "arrivals", needs: needsKeys, routes: rolesRoutes("arrivals")},
		{name: "ads", needs: needsKeys | needsMail, queue: restock.AdQueue, routes: rolesRoutes("ads"), wire: wireAds},
		{name: "ops", needs: needsMail, queue: restock.OpsQueue, wire: wireOps},
		{name: "schedule", needs: needsKeys | needsMail | needsEngine, wire: wireSchedule},
		{name: "admin", needs: needsKeys | needsToken, routes: adminRoutes},
		{name: "setup"},
	}
}

func (c *functionCommand) Run(k *console) error {
	log := newFunctionLog(k.errOut, c.LogLevel)
	all := functions()
	i := slices.IndexFunc(all, func(f function) bool { return f.name == c.Function })
	if i < 0 {
		return fmt.Errorf("RESTOCK_FUNCTION: there is no function %q", c.Function)
	}
	f, err := c.open(k.ctx, all[i], log)
	if err != nil {
		return err
	}
	awslambda.StartWithOptions(f.Invoke, awslambda.WithContext(k.ctx))
	return nil
}

// open makes a function ready for its first event. Nothing is migrated, and
// nothing is connected to before it is needed.
func (c *functionCommand) open(ctx context.Context, f function, log *slog.Logger) (*lambda.Function, error) {
	if err := c.keepSecrets(f); err != nil {
		return nil, err
	}
	if err := c.check(); err != nil {
		return nil, fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	if f.name == "setup" {
		return &lambda.Function{Logger: log, Setup: func(ctx context.Context) error { return c.setUp(ctx, log) }}, nil
	}
	a := &app{cfg: c.settings, log: log, function: &f}
	if err := a.openFunction(ctx); err != nil {
		return nil, err
	}
	out := &lambda.Function{Logger: log, After: a.publishAtOnce()}
	if f.routes != nil {
		mux := web.NewMux()
		web.NewHealth(log, web.Check{Name: "database", Run: a.store.Ping}).Register(mux)
		mux.Handle("/", f.routes(a, mux))
		out.HTTP = web.Log(web.Headers(mux), web.LogConfig{Logger: log})
	}
	if f.wire != nil {
		f.wire(a, c, out)
	}
	return out, nil
}

// keepSecrets puts the secrets where the service reads them: into files that are
// gone with the instance.
func (c *functionCommand) keepSecrets(f function) error {
	const ownerOnly = 0o700
	c.Data = filepath.Join(os.TempDir(), "restock") // nothing else can be written to
	if err := os.MkdirAll(c.Data, ownerOnly); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	c.CallbackKeysFile = c.path(keysFile)
	if f.needs&needsToken != 0 {
		if len(c.OperatorToken) < operatorTokenMin {
			return fmt.Errorf("RESTOCK_OPERATOR_TOKEN: at least %d characters are needed", operatorTokenMin)
		}
		if _, err := writeSecret(c.path(tokenFile), c.OperatorToken+"\n"); err != nil {
			return err
		}
	}
	if f.needs&needsKeys != 0 {
		if _, err := replenish.ParseKeys(c.CallbackKeys); err != nil {
			return fmt.Errorf("RESTOCK_CALLBACK_KEYS: %w", err)
		}
		if _, err := writeSecret(c.keysPath(), c.CallbackKeys); err != nil {
			return err
		}
	}
	return nil
}

// operatorTokenMin keeps a forgotten secret from opening the operator's side.
const operatorTokenMin = 16

// setUp brings the schema up to date and creates what the catalogue names and is
// missing.
func (c *functionCommand) setUp(ctx context.Context, log *slog.Logger) error {
	a := &app{cfg: c.settings, log: log, function: &function{name: "setup"}}
	zone, err := time.LoadLocation(a.cfg.Timezone)
	if err != nil {
		return err
	}
	if a.store, err = store.Open(ctx, a.cfg.databaseURL(), store.Config{Logger: log, Zone: zone, Outbox: true, StockTable: a.cfg.StockTable}); err != nil {
		return err
	}
	err = a.applyCatalog(ctx)
	if err == nil {
		_, err = a.store.UseEngine(ctx, engineName(a.cfg.Queue))
	}
	return errors.Join(err, a.close())
}

// openFunction opens what the function needs.
func (a *app) openFunction(ctx context.Context) error {
	zone, err := time.LoadLocation(a.cfg.Timezone)
	if err != nil {
		return err
	}
	a.openMetrics() // nobody scrapes them here
	// The stock table is what the setup put into the database: an instance of before
	// that starts late would set it back.
	a.store, err = store.Open(ctx, a.cfg.databaseURL(), store.Config{
		Logger: a.log, Zone: zone, Outbox: true, Migrated: true, Connections: functionConnections, Observe: a.metrics.Commit,
	})
	if err != nil {
		return err
	}
	if err := a.openFunctionEngine(ctx); err != nil {
		return err
	}
	return a.furnish(ctx)
}

func (a *app) openFunctionEngine(ctx context.Context) error {
	if a.function.needs&needsEngine != 0 {
		return a.openEngine(ctx)
	}
	broker, err := a.openBroker(ctx, a.cfg.Queue)
	if err != nil {
		return err
	}
	a.engine = &engine{name: engineName(a.cfg.Queue), broker: broker, driver: broker, target: broker}
	return nil
}

// needs reports whether this process needs something: all but a function do.
func (a *app) needs(what need) bool { return a.function == nil || a.function.needs&what != 0 }

// publishAtOnce hands to the topic what the event has made, since nobody else
// would before the next tick. What it leaves, the schedule picks up.
func (a *app) publishAtOnce() func(context.Context) {
	embedded := a.store.Queue()
	made := embedded.Woken(restock.RelayQueue)
	relay := queue.NewRelay(embedded, restock.RelayQueue, a.engine.target, "", a.log)
	return func(ctx context.Context) {
		select {
		case <-made:
		default:
			return
		}
		made = embedded.Woken(restock.RelayQueue)
		if _, err := relay.Empty(ctx, 0, nil); err != nil {
			a.log.WarnContext(ctx, "messages could not be published at once; the schedule does it", "error", err)
		}
	}
}

// rolesRoutes are the public routes of roles.
func rolesRoutes(names ...string) func(*app, *web.Mux) http.Handler {
	return func(a *app, mux *web.Mux) http.Handler {
		unknown := http.Handler(http.HandlerFunc(web.SeedNotFound))
		for _, r := range chosenRoles(names) {
			r.public(a, mux)
			if r.strays != nil {
				unknown = r.strays(a, unknown)
			}
		}
		return unknown
	}
}

// adminRoutes are all routes for operators.
func adminRoutes(a *app, mux *web.Mux) http.Handler {
	for _, r := range roles() {
		if r.admin != nil {
			r.admin(a, mux)
		}
	}
	return http.HandlerFunc(web.SeedNotFound)
}

func (a *app) pushed(name string, handlers map[string]queue.Handler, then func(context.Context) error) *lambda.Queue {
	sns, _ := a.engine.broker.(*snssqs.Engine) // check has seen to it that it is one
	reader := sns.Pushed()
	return &lambda.Queue{
		Name: name, Reader: reader, Then: then,
		Consumer: queue.New(queue.Recorded(reader, a.store.Queue(), a.log), name, handlers, queue.Config{
			Logger: a.log, BackoffBase: a.cfg.RetryBase, Visibility: functionVisibility, Context: traceOf, Observe: a.metrics.Handled(name),
		}),
	}
}

// wireStock decides about orders and places those that may be placed now.
func wireStock(a *app, _ *functionCommand, f *lambda.Function) {
	f.Queue = a.pushed(restock.StockQueue, a.replenisher.Handlers(), a.placeWhileThereIsTime)
}

// placeWhileThereIsTime leaves to the schedule what may not be finished in time.
func (a *app) placeWhileThereIsTime(ctx context.Context) error {
	if deadline, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, deadline.Add(-a.cfg.FactoryTimeout))
		defer cancel()
	}
	for {
		_, err := a.replenisher.PlaceReady(ctx)
		if ctx.Err() != nil {
			return nil // time is up, which is no failure
		}
		if err != nil {
			return err
		}
		next, err := a.store.NextPlacing(ctx)
		wait := time.Until(next)
		if err != nil || next.IsZero() || wait <= 0 || wait > placingPatience {
			return err
		}
		if !queue.Sleep(ctx, wait) {
			return nil
		}
	}
}

func wireAds(a *app, _ *functionCommand, f *lambda.Function) {
	f.Queue = a.pushed(restock.AdQueue, a.ads.Handlers(), nil)
}

func wireOps(a *app, _ *functionCommand, f *lambda.Function) {
	f.Queue = a.pushed(restock.OpsQueue, a.office.Handlers(), nil)
}

// wireSchedule runs for a while the loops that a service runs for ever.
func wireSchedule(a *app, c *functionCommand, f *lambda.Function) {
	loops := slices.Concat(
		a.relays(), a.collectors(),
		runs(a.replenisher.RunHeartbeat, a.replenisher.RunPlacer, a.replenisher.RunSweep, a.followStock, a.shop.RunExpiry, a.ads.RunSweep,
			a.office.RunWatch, a.office.RunPurge, a.hooks.RunFanOut, a.hooks.RunDeliveries, a.hooks.RunPurge),
	)
	f.After = nil // it has just relayed
	f.Tick = func(whole context.Context) error {
		ctx, cancel := context.WithTimeout(whole, c.ScheduleTime)
		defer cancel()
		tell := func(ctx context.Context) error { return a.tellWhile(ctx, whole) }
		return errors.Join(runAll(ctx, append(slices.Clone(loops), tell)), a.countDesk(whole))
	}
}

// tellWhile tells operations until ctx ends. What is being told then is told to
// its end, in the time that the whole run has: SES may have taken a mail that was
// cut off, and would take it again.
func (a *app) tellWhile(ctx, whole context.Context) error {
	for {
		pause := tellPace
		if err := errors.Join(a.office.Tell(whole), a.office.Post(whole)); err != nil {
			a.log.ErrorContext(ctx, "operations could not be told; trying again", "error", err)
			pause = tellFailed
		}
		if !queue.Sleep(ctx, pause) {
			return nil
		}
	}
}

// How often it is looked for what operations must be told, and how often while
// that fails.
const (
	tellPace   = time.Second
	tellFailed = 5 * time.Second
)

// deskLine is the line in the log from which an alarm counts the dead letters.
const deskLine = "dead letters on the desk"

// countDesk says how many dead letters wait for a person. Those on a dead-letter
// queue are not there for long enough to be counted by anybody.
func (a *app) countDesk(ctx context.Context) error {
	stats, err := a.store.Queue().Stats(ctx)
	if err != nil {
		return err
	}
	var dead int64
	for _, s := range stats {
		dead += s.Dead
	}
	a.log.InfoContext(ctx, deskLine, "count", dead)
	return nil
}

// check reports settings that no function can work with.
func (c *functionCommand) check() error {
	var mistakes []error
	if !strings.HasPrefix(c.Queue, "aws:") {
		mistakes = append(mistakes, errors.New("RESTOCK_QUEUE: a function needs aws:TOPIC"))
	}
	if !store.OnServer(c.databaseURL()) {
		mistakes = append(mistakes, errors.New("RESTOCK_DB: a function needs a database on a server"))
	}
	if c.PublicURL == "" {
		mistakes = append(mistakes, errors.New("RESTOCK_PUBLIC_URL: a function cannot know where it is reached"))
	}
	return errors.Join(append(mistakes, c.settings.check())...)
}

// isFunction reports whether AWS Lambda has started this process.
func isFunction(environ []string) bool {
	return slices.ContainsFunc(environ, func(entry string) bool { return strings.HasPrefix(entry, runtimeAddress+"=") })
}
