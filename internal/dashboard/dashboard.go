package dashboard

import (
	"cmp"
	"context"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
	"golang.org/x/time/rate"
)

// The addresses that more than one part of this room knows.
const (
	root       = "/dashboard"
	loginPath  = root + "/login"
	eventsPath = root + "/events"
)

// The keys of the facts in log lines.
const (
	keyRemote = "remote"
	keyBy     = "by"
	keyRole   = "role"
	keyAction = "action"
	keyID     = "id"
	keyReason = "reason"
	keyReport = "report"
	keyError  = "error"
	keyPage   = "page"
)

// Config adjusts a Dashboard.
type Config struct {
	Logger *slog.Logger
	// OperatorToken and ViewerToken open a session. An empty one opens none.
	OperatorToken, ViewerToken string
	// TokenFile is where the operator's token is found, for the page to sign in.
	TokenFile string
	// TrustedProxies tell the addresses of those who sign in.
	TrustedProxies []netip.Prefix
	Zone           *time.Location // of the times that are shown; default UTC
	// MailNote is shown, for instance that nobody receives mail.
	MailNote string
	Version  string
	// LiveInterval is how often a page that is open is looked at, and
	// VerifyInterval how old the check of the promises may become while somebody
	// looks.
	LiveInterval, VerifyInterval time.Duration
	// ReadTimeout bounds the reading for one page, and an act.
	ReadTimeout time.Duration
	Now         func() time.Time
	Random      io.Reader
}

// The defaults of Config.
const (
	DefaultLiveInterval   = time.Second
	DefaultVerifyInterval = 10 * time.Minute
	DefaultReadTimeout    = 10 * time.Second
)

// Dashboard is the operator's web page.
type Dashboard struct {
	store Store
	cfg   Config
	log   *slog.Logger

	sessions *sessions
	logins   *web.Pace
	origins  *http.CrossOriginProtection
	assets   assets
	texts    *templates
	words    map[restock.Language]words
	pages    *http.ServeMux // what is read, for whoever is signed in
	live     *live
	counts   *counts
	checks   *verifier

	cspReports atomic.Int64
	reportLog  rate.Sometimes
}

// New makes a dashboard.
func New(store Store, cfg Config) (*Dashboard, error) {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	cfg.LiveInterval = cmp.Or(cfg.LiveInterval, DefaultLiveInterval)
	cfg.VerifyInterval = cmp.Or(cfg.VerifyInterval, DefaultVerifyInterval)
	cfg.ReadTimeout = cmp.Or(cfg.ReadTimeout, DefaultReadTimeout)
	d := &Dashboard{
		store: store, cfg: cfg, log: cfg.Logger,
		sessions:  newSessions(cfg.Now, cfg.Random),
		logins:    web.NewBurstPace(loginPerSecond, loginBurst, cfg.TrustedProxies),
		origins:   http.NewCrossOriginProtection(),
		counts:    &counts{read: store.Overview, now: cfg.Now},
		checks:    newVerifier(store.Verify, cfg),
		reportLog: rate.Sometimes{Interval: time.Minute},
		words:     map[restock.Language]words{restock.Korean: wordsOf(restock.Korean), restock.English: wordsOf(restock.English)},
	}
	d.logins.Now = cfg.Now
	slot := make([]byte, secretBytes)
	if _, err := io.ReadFull(cfg.Random, slot); err != nil {
		return nil, fmt.Errorf("the dashboard: %w", err)
	}
	var err error
	if d.assets, err = loadAssets(); err != nil {
		return nil, fmt.Errorf("the files of the dashboard: %w", err)
	}
	if d.texts, err = loadTemplates(d.assets, hex.EncodeToString(slot)); err != nil {
		return nil, fmt.Errorf("the templates of the dashboard: %w", err)
	}
	d.pages = d.routePages()
	d.live = newLive(d.pages, cfg.Now, cfg.LiveInterval)
	return d, nil
}

// Register adds the pages.
func (d *Dashboard) Register(mux web.Router) {
	handler := guarded(speaking(d.routes()))
	mux.Handle(root, handler)
	mux.Handle(root+"/", handler)
}

// Run holds the promises against the raw rows now and then, while somebody
// looks, until ctx ends.
func (d *Dashboard) Run(ctx context.Context) error { return d.checks.run(ctx, d.log) }

// Refused counts what browsers reported that they refused to run or to load.
func (d *Dashboard) Refused() int64 { return d.cspReports.Load() }

func (d *Dashboard) routes() http.Handler {
	mux := http.NewServeMux()
	pages := web.Deadline(d.cfg.ReadTimeout, d.pages)
	mux.HandleFunc("GET /dashboard/", d.signedIn(pages.ServeHTTP))
	mux.HandleFunc("GET /dashboard", d.signedIn(pages.ServeHTTP))
	mux.HandleFunc("GET "+eventsPath, d.signedIn(d.events))
	mux.HandleFunc("GET "+loginPath, d.loginPage)
	mux.HandleFunc("POST "+loginPath, d.login)
	mux.HandleFunc("POST /dashboard/sign-out", d.signedIn(d.signOut))
	mux.HandleFunc("POST /dashboard/csp-report", d.cspReport)
	mux.HandleFunc("GET /dashboard/static/{file}", d.assets.serve)
	d.routeActs(mux)
	mux.HandleFunc("/dashboard/", func(w http.ResponseWriter, r *http.Request) {
		d.refuse(w, r, http.StatusMethodNotAllowed, "no_such_act")
	})
	return mux
}
