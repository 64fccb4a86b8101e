package main

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	netmail "net/mail"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/dashboard"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/hooks"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/metrics"
	"github.com/restock/restock/internal/openapi"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/replenish"
	"github.com/restock/restock/internal/sales"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/web"
	"github.com/restock/restock/internal/webhook"
	"golang.org/x/sync/errgroup"
)

// app is the running service: the rooms, wired together.
type app struct {
	cfg     settings
	log     *slog.Logger
	locks   []func() error
	closers []func() error // of what is connected, in the order of opening
	store   *store.Store
	engine  *engine
	public  *web.Server
	admin   *web.Server // the same as public when there is one listener
	running []func(context.Context) error

	publicRoutes, adminRoutes *web.Mux
	metrics                   *metrics.Metrics

	function *function // which one of AWS Lambda this process is, or nil

	shop        *sales.Shop
	keyring     *replenish.Keyring
	replenisher *replenish.Replenisher
	ads         *ads.Desk
	office      *ops.Office
	hooks       *hooks.Hooks
	dashboard   *dashboard.Dashboard
}

// openApp makes the service ready to run: locked, migrated, listening.
func openApp(ctx context.Context, cfg settings, log *slog.Logger) (*app, error) {
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("the configuration has mistakes:\n%w", err)
	}
	a := &app{cfg: cfg, log: log}
	if err := a.open(ctx); err != nil {
		return nil, errors.Join(err, a.close())
	}
	return a, nil
}

func (a *app) open(ctx context.Context) error {
	const ownerOnly = 0o700
	if err := os.MkdirAll(a.cfg.Data, ownerOnly); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	if !store.OnServer(a.cfg.databaseURL()) { // on a server, any number of processes may share a role
		if err := a.lockRoles(); err != nil {
			return err
		}
	}
	zone, err := time.LoadLocation(a.cfg.Timezone)
	if err != nil {
		return err
	}
	a.openMetrics()
	if err := a.openStore(ctx, zone); err != nil {
		return err
	}
	if err := a.openEngine(ctx); err != nil {
		return err
	}
	if err := a.listen(ctx); err != nil { // first: the public URL follows from the port
		return err
	}
	if err := a.applyCatalog(ctx); err != nil {
		return err
	}
	if err := a.furnish(ctx); err != nil {
		return err
	}
	a.route()
	return a.tellWhere()
}

// tellWhere lets the commands of this machine find the operator's routes.
func (a *app) tellWhere() error {
	if !slices.ContainsFunc(chosenRoles(a.cfg.Roles), func(r role) bool { return r.operators }) {
		return nil // another process has them
	}
	_, err := writeSecret(a.cfg.path(serverFile), a.admin.URL()+"\n")
	return err
}

// openStore opens the database, one process after another: the first brings the
// schema up to date.
func (a *app) openStore(ctx context.Context, zone *time.Location) error {
	turn, err := lock(a.cfg.path(openingLock), syscall.LOCK_EX)
	if err != nil {
		return err
	}
	defer turn.Close()
	a.store, err = store.Open(ctx, a.cfg.databaseURL(), store.Config{
		Logger: a.log, Zone: zone, Outbox: a.cfg.Queue != restock.EmbeddedEngine, Observe: a.metrics.Commit, StockTable: a.cfg.StockTable,
	})
	return err
}

// lockRoles keeps a second server with one of our roles away from a data
// folder. Servers with other roles may share it. The locks are gone with the
// process, however it ends.
func (a *app) lockRoles() error {
	locks, taken, err := lockRoles(a.cfg.Data, chosenRoles(a.cfg.Roles))
	if taken != "" {
		return restock.Errorf(restock.Conflict, restock.CodeConflict,
			"another restock serves %s from this data folder; stop it, choose other --roles, or give another folder with --data", taken)
	}
	a.locks = locks
	return err
}

// lockRoles takes the locks of roles on a data folder, all or none, which hold
// until they are closed. taken names a role that somebody else has.
func lockRoles(data string, roles []role) (locks []func() error, taken string, err error) {
	for _, r := range roles {
		f, err := lock(filepath.Join(data, lockFile+"-"+r.name), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			locks = append(locks, f.Close)
			continue
		}
		if errors.Is(err, syscall.EWOULDBLOCK) {
			taken, err = r.name, nil
		}
		return nil, taken, errors.Join(err, closeAll(locks))
	}
	return locks, "", nil
}

func lock(path string, how int) (*os.File, error) {
	const ownerOnly = 0o600
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, ownerOnly)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), how); err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
	}
	return f, nil
}

// applyCatalog creates what the catalogue names and is missing.
func (a *app) applyCatalog(ctx context.Context) error {
	if a.cfg.Catalog == "" {
		return nil
	}
	f, err := os.Open(a.cfg.Catalog)
	if err != nil {
		return err
	}
	defer f.Close() // it is only read
	created := 0
	err = ops.ReadCatalog(bufio.NewReader(f), func(part restock.Catalog) error {
		if err := checkReach(a.publicURL(), part.Factories); err != nil {
			return err
		}
		changes, err := a.store.ApplyCatalog(ctx, part, store.CreateMissing)
		created += len(changes)
		return err
	})
	if err != nil {
		return fmt.Errorf("%s: %w", a.cfg.Catalog, err)
	}
	a.log.InfoContext(ctx, "catalogue applied", "file", a.cfg.Catalog, "created", created)
	return nil
}

// listen opens the listeners.
func (a *app) listen(ctx context.Context) error {
	var err error
	a.publicRoutes = web.NewMux()
	if a.public, err = a.server(ctx, "public", a.cfg.Listen, a.publicRoutes); err != nil {
		return err
	}
	a.admin, a.adminRoutes = a.public, a.publicRoutes
	if a.cfg.AdminListen == "" || a.cfg.AdminListen == a.cfg.Listen {
		return nil
	}
	a.adminRoutes = web.NewMux()
	a.admin, err = a.server(ctx, "admin", a.cfg.AdminListen, a.adminRoutes)
	return err
}

func (a *app) server(ctx context.Context, name, address string, routes http.Handler) (*web.Server, error) {
	handler := web.Log(web.Headers(routes), web.LogConfig{Logger: a.log, Observe: a.metrics.Answered(name)})
	s := web.NewServer(web.Config{Name: name, Handler: handler, Logger: a.log})
	return s, s.Listen(ctx, address)
}

func (a *app) publicURL() string {
	if a.cfg.PublicURL != "" {
		return a.cfg.PublicURL
	}
	return a.public.URL()
}

// openSecrets gives the operator's token and the sender of mails, and opens the
// keyring, as far as this process needs them.
func (a *app) openSecrets(ctx context.Context) (token string, sender mail.Sender, err error) {
	if a.needs(needsKeys) {
		if err := a.openKeyring(ctx); err != nil {
			return "", nil, err
		}
	}
	if a.needs(needsToken) {
		if token, err = readSecret(a.cfg.tokenPath(), a.freshSecret(a.cfg.OperatorTokenFile, newToken)); err != nil {
			return "", nil, fmt.Errorf("the operator's token: %w", err)
		}
	}
	if a.needs(needsMail) {
		if sender, err = mail.Open(a.cfg.mailURL(), mail.Config{}); err != nil {
			return "", nil, err
		}
		sender = countedSender{sender, a.metrics.Mail}
	}
	if a.function != nil { // the setup has looked at the factories
		return token, sender, nil
	}
	catalog, err := a.store.ExportCatalog(ctx)
	if err != nil {
		return "", nil, err
	}
	return token, sender, checkReach(a.publicURL(), catalog.Factories)
}

// tokenHint says where the operator's token is to be found.
func (a *app) tokenHint() string {
	if a.function != nil {
		return "The operator's token is in the stack's secret of that name."
	}
	return tokenHint(a.cfg.tokenPath())
}

// beat is how often the receiving side says that it is there; 0 is the default.
func (a *app) beat() time.Duration {
	if a.function != nil {
		return functionBeat
	}
	return 0
}

// furnish makes the rooms.
func (a *app) furnish(ctx context.Context) error {
	zone, err := time.LoadLocation(a.cfg.Timezone)
	if err != nil {
		return err
	}
	token, sender, err := a.openSecrets(ctx)
	if err != nil {
		return err
	}
	domain := domainOf(a.cfg.MailFrom)
	proxies, err := parseNets("--trusted-proxies", a.cfg.TrustedProxies)
	if err != nil {
		return err
	}
	if a.shop, err = a.openShop(strings.TrimSpace(token), proxies); err != nil {
		return err
	}
	orders, placer := failpoints(a.store, factory.NewClient(factory.Config{TotalTimeout: a.cfg.FactoryTimeout}))
	a.replenisher = replenish.New(orders, countedPlacer{placer, a.metrics.Call}, replenish.Config{
		Observe: a.metrics.Callback,
		Logger:  a.log, PublicURL: a.publicURL(), Keys: a.keyring, TrustedProxies: proxies,
		SweepInterval: a.cfg.SweepInterval, WindowMin: a.cfg.CallbackWindow, CallTimeout: a.cfg.FactoryTimeout,
		BeatInterval: a.beat(),
	})
	a.ads = ads.New(a.store, sender, ads.Config{
		Logger: a.log, From: a.cfg.MailFrom, ReplyTo: a.cfg.OperationsEmail, Domain: domain, Zone: zone,
		Pace:      ads.Pace{Reminder: a.cfg.AdReminder, Escalation: a.cfg.AdEscalation, Spacing: a.cfg.AdSpacing},
		PublicURL: a.publicURL(), Links: a.keyring.Links(), SweepInterval: a.cfg.SweepInterval, RetryBase: a.cfg.RetryBase,
	})
	hook, err := a.openWebhook()
	if err != nil {
		return err
	}
	a.office = ops.New(officeStore{a.store, a.publicURL(), a.metrics.Callback}, a.store.Queue(), sender, ops.Config{
		Logger: a.log, Orderer: a.replenisher, Decide: a.deciders(), Token: strings.TrimSpace(token), TokenHint: a.tokenHint(),
		From: a.cfg.MailFrom, To: a.cfg.OperationsEmail, Domain: domain, Zone: zone,
		MailNote: a.cfg.mailNote(), PublicURL: a.publicURL(), Version: version, AlertGap: a.cfg.AlertGap,
		Webhook: hook, QueueAgeLimit: a.cfg.QueueAgeLimit, RelayAgeLimit: a.cfg.RelayAgeLimit, EngineAwayLimit: a.cfg.EngineAway,
		WebhookAgeLimit: a.cfg.WebhookAgeLimit, Retention: a.cfg.Retention, KeyRetention: a.cfg.KeyRetention,
		CallbacksRefused: a.replenisher.CallbacksRefused, Engines: a.engine.reached(),
	})
	if a.hooks, err = a.openHooks(strings.TrimSpace(token)); err != nil {
		return err
	}
	a.dashboard, err = a.openDashboard(strings.TrimSpace(token), proxies, zone)
	return err
}

func (a *app) openShop(operatorToken string, proxies []netip.Prefix) (*sales.Shop, error) {
	salesToken := ""
	if a.cfg.SalesTokenFile != "" {
		var err error
		if salesToken, err = readSecret(a.cfg.SalesTokenFile, nil); err != nil {
			return nil, fmt.Errorf("the sales token: %w", err)
		}
		if salesToken = strings.TrimSpace(salesToken); salesToken == "" {
			return nil, fmt.Errorf("the sales token: %s is empty", a.cfg.SalesTokenFile)
		}
	}
	groups := 0
	if store.OnServer(a.cfg.databaseURL()) {
		groups = 1
	}
	return sales.New(a.store, sales.Config{
		GroupsInFlight: groups,
		Logger:         a.log, RefusedStatus: a.cfg.RefusedStatus, CORSOrigins: a.cfg.CORSOrigins,
		CheckoutRate: a.cfg.CheckoutRate, TrustedProxies: proxies,
		Observe: a.metrics.Checkout, ObserveGroup: a.metrics.Group, SalesToken: salesToken, OperatorToken: operatorToken, TokenHint: a.tokenHint(),
	}), nil
}

// openWebhook gives nil while operations have none.
func (a *app) openWebhook() (ops.Webhook, error) {
	if a.cfg.OperationsWebhook == "" {
		return nil, nil //nolint:nilnil // ops takes nil for "none"
	}
	var cfg webhook.Config
	if a.cfg.OperationsWebhookSecretFile != "" {
		text, err := readSecret(a.cfg.OperationsWebhookSecretFile, nil)
		if err != nil {
			return nil, fmt.Errorf("the webhook's secret: %w", err)
		}
		if cfg.Secret, err = webhook.ParseSecret(text); err != nil {
			return nil, fmt.Errorf("%s: %w", a.cfg.OperationsWebhookSecretFile, err)
		}
	}
	hook, err := webhook.New(a.cfg.OperationsWebhook, cfg)
	return countedWebhook{hook, a.metrics.Webhook}, err
}

func tokenHint(path string) string {
	return "The operator's token is in the server's file " + path + "."
}

// mailNote says that nobody receives mails that are only written to files.
func (s *settings) mailNote() string {
	if !mail.Local(s.mailURL()) {
		return ""
	}
	return "nobody receives mail: it is written to " + strings.TrimPrefix(s.mailURL(), "file:") + "; give --mail smtp://… to send it"
}

// freshSecret makes a secret only where we keep it ourselves: a file that was
// named and is not there is a mistake.
func (a *app) freshSecret(named string, fresh func() string) func() string {
	if named != "" {
		return nil
	}
	return fresh
}

func newToken() string {
	const tokenBytes = 32
	random := make([]byte, tokenBytes)
	_, _ = rand.Read(random) // never fails, by its documentation
	return hex.EncodeToString(random) + "\n"
}

func domainOf(address string) string {
	parsed, err := netmail.ParseAddress(address)
	if err != nil {
		return "localhost"
	}
	_, domain, _ := strings.Cut(parsed.Address, "@")
	return domain
}

// route gives the listeners the routes of the chosen roles.
func (a *app) route() {
	health := web.NewHealth(a.log, a.checks()...)
	health.Register(a.publicRoutes)
	if a.admin != a.public {
		health.Register(a.adminRoutes)
		a.adminRoutes.HandleFunc("/", web.SeedNotFound)
	}
	openapi.New(a.log).Register(a.adminRoutes)
	a.routeMetrics()
	// Whatever the seed does not know is not found there, in its own words.
	unknown := http.Handler(http.HandlerFunc(web.SeedNotFound))
	chosen := chosenRoles(a.cfg.Roles)
	if slices.ContainsFunc(chosen, func(r role) bool { return r.keys }) {
		a.running = append(a.running, a.keyring.Run)
	}
	for _, r := range chosen {
		if r.public != nil {
			r.public(a, a.publicRoutes)
		}
		if r.admin != nil {
			r.admin(a, a.adminRoutes)
		}
		if r.run != nil {
			a.running = append(a.running, r.run(a)...)
		}
		if r.strays != nil {
			unknown = r.strays(a, unknown)
		}
	}
	a.publicRoutes.Handle("/", unknown)
}

// run serves until ctx ends or a part fails, and then stops in order: first
// the listeners, so that nothing new comes, then the loops.
func (a *app) run(ctx context.Context) error {
	loops, stopLoops := context.WithCancel(context.WithoutCancel(ctx))
	defer stopLoops()
	group, groupCtx := errgroup.WithContext(loops)
	for _, loop := range append(a.running, a.watchDisk) {
		group.Go(func() error { return loop(groupCtx) })
	}
	listening, stopListening := context.WithCancel(ctx)
	defer stopListening()
	context.AfterFunc(groupCtx, stopListening) // a loop that failed ends the service
	servers, serversCtx := errgroup.WithContext(listening)
	servers.Go(func() error { return a.public.Run(serversCtx) })
	if a.admin != a.public {
		servers.Go(func() error { return a.admin.Run(serversCtx) })
	}
	err := servers.Wait()
	stopLoops()
	return errors.Join(err, group.Wait())
}

// runAll runs loops until ctx ends or one fails.
func runAll(ctx context.Context, loops []func(context.Context) error) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, loop := range loops {
		group.Go(func() error { return loop(ctx) })
	}
	return group.Wait()
}

// watchDisk ends the service when the disk failed: what was written then cannot
// be trusted, and a restart finds out what is there.
func (a *app) watchDisk(ctx context.Context) error {
	select {
	case <-a.store.Failed():
		return errors.New("the disk failed to make a commit durable; look at the disk, then start again")
	case <-ctx.Done():
		return nil
	}
}

func (a *app) close() error {
	errs := []error{closeAll(a.closers)}
	if a.store != nil {
		errs = append(errs, a.store.Close())
	}
	return errors.Join(append(errs, closeAll(a.locks))...)
}

// officeStore gives the operator's side the store's catalogue in its words.
type officeStore struct {
	*store.Store
	publicURL string
	refused   func(class string)
}

func (s officeStore) RefuseReceipt(ctx context.Context, id restock.ReceiptID, act restock.Act) (restock.Receipt, error) {
	return refuseReceipt(ctx, s.Store, s.refused, id, act)
}

func (s officeStore) ApplyCatalog(ctx context.Context, c restock.Catalog, dryRun bool) ([]restock.CatalogChange, error) {
	if err := checkReach(s.publicURL, c.Factories); err != nil {
		return nil, err
	}
	mode := store.CreateAndEdit
	if dryRun {
		mode = store.DryRun
	}
	return s.Store.ApplyCatalog(ctx, c, mode)
}
