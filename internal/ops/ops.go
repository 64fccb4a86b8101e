// Package ops is the operator's side: the API under /v1 with its reading routes
// and actions, the mails and webhooks to operations, the watch over the queues,
// and the dead-letter desk.
//
// Operations hear of what was processed abnormally from the state of the
// tables, not from messages one by one: a thousand dead letters are one mail,
// and a problem that solved itself is none. What is over is told once.
package ops

import (
	"cmp"
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/web"
	"golang.org/x/time/rate"
)

// Acts is what people decide, each with a note of who did, and why.
type Acts interface {
	OrderActs
	ReceiptActs
	AdActs
	Switch
	Secrets
	Desk
}

// Store is what operators read and do.
type Store interface {
	Acts
	Alerts
	Engines
	Product(ctx context.Context, ref string) (restock.Product, error)
	Products(ctx context.Context, q restock.ListQuery) ([]restock.Product, string, error)
	Order(ctx context.Context, id restock.OrderID) (restock.Order, error)
	Orders(ctx context.Context, q restock.ListQuery) ([]restock.Order, string, error)
	Receipt(ctx context.Context, id restock.ReceiptID) (restock.Receipt, []byte, error)
	Receipts(ctx context.Context, q restock.ListQuery) ([]restock.Receipt, string, error)
	Stockouts(ctx context.Context, q restock.ListQuery) ([]restock.Stockout, string, error)
	ReportStockouts(ctx context.Context, q restock.ReportQuery) ([]restock.StockoutReport, string, error)
	Movements(ctx context.Context, q restock.ListQuery) ([]restock.Movement, string, error)
	Decisions(ctx context.Context, q restock.ListQuery) ([]restock.Decision, string, error)
	Sale(ctx context.Context, id restock.SaleID) (restock.Sale, error)
	Sales(ctx context.Context, q restock.ListQuery) ([]restock.Sale, string, error)
	Reservations(ctx context.Context, q restock.ListQuery) ([]restock.Reservation, string, error)
	Refusals(ctx context.Context, q restock.ListQuery) ([]restock.Refusals, string, error)
	Adjustments(ctx context.Context, q restock.ListQuery) ([]restock.Adjustment, string, error)
	// Adjust changes on hand by hand.
	Adjust(ctx context.Context, request restock.AdjustmentRequest, key restock.Key) (restock.Adjustment, error)
	// PurgeKeys forgets idempotency keys that are older than a time.
	PurgeKeys(ctx context.Context, before time.Time, limit int) (int, error)
	Status(ctx context.Context) (restock.Status, error)
	// FirstPage is what the first page of the dashboard shows.
	FirstPage(ctx context.Context, products int) (restock.FirstPage, error)
	Verify(ctx context.Context) ([]restock.Check, error)
	// ApplyCatalog and ExportCatalog change and show what is sold.
	ApplyCatalog(ctx context.Context, c restock.Catalog, dryRun bool) ([]restock.CatalogChange, error)
	ExportCatalog(ctx context.Context) (restock.Catalog, error)
}

// Queues is what the operator's side sees of the queues themselves.
type Queues interface {
	Stats(ctx context.Context) ([]queue.Stats, error)
	// Purge removes messages that were done before a time, in slices of limit.
	Purge(ctx context.Context, before time.Time, limit int) (int, error)
}

// The defaults of Config.
const (
	DefaultAlertInterval = time.Second
	DefaultAlertGap      = time.Minute
	DefaultQueueAge      = 15 * time.Minute
	DefaultRelayAge      = 5 * time.Minute
	DefaultEngineAway    = time.Minute
	DefaultWebhookAge    = time.Hour
	DefaultRetention     = 7 * 24 * time.Hour
	DefaultKeyRetention  = 48 * time.Hour
	// DefaultAlertRetention is a quarter of a year, for who looks back.
	DefaultAlertRetention = 90 * 24 * time.Hour
	DefaultRedriveRate    = 50
)

// Config adjusts the operator's side.
type Config struct {
	Logger *slog.Logger
	// Orderer is the room that orders. Without one its routes answer that this
	// process does not order.
	Orderer Orderer
	// Decide is what the handlers decide by, so that the desk can say whether a
	// dead letter still matters.
	Decide restock.Deciders
	// RedriveRate is how many dead letters are redriven a second, by all callers
	// together.
	RedriveRate float64
	// Token is what the operator's requests must carry. An empty one refuses all.
	Token string
	// TokenHint says in a refusal where the token is to be found.
	TokenHint string
	From, To  string // of the mails to operations
	Domain    string // of their Message-IDs
	Zone      *time.Location
	// MailNote is shown in the status, for instance that nobody receives mail.
	MailNote string
	// Engines are the brokers that this process reaches, by their names.
	Engines map[string]Depths
	// PublicURL is shown in the status.
	PublicURL string
	Version   string
	// CallbacksRefused is shown in the status: callbacks without a good token,
	// since the process began.
	CallbacksRefused func() int64
	// AlertInterval is how often problems are looked for, and AlertGap the least
	// time between two mails about new ones.
	AlertInterval, AlertGap time.Duration
	// Webhook is told what operations are told by mail; nil while there is none.
	Webhook Webhook
	// WatchInterval is how often the queues are looked at; by default it follows
	// from the shortest of the limits. QueueAgeLimit is how
	// long the oldest message of a queue may wait, and RelayAgeLimit the same on
	// the way to the engine; EngineAwayLimit is how long the engine may not answer.
	WatchInterval, QueueAgeLimit, RelayAgeLimit, EngineAwayLimit time.Duration
	// WebhookAgeLimit is how long a subscription may take nothing of what is sent.
	WebhookAgeLimit time.Duration
	// Retention is how long handled messages are kept, and KeyRetention how long
	// an Idempotency-Key is remembered. AlertRetention is how long what was told
	// everywhere, or is over, can still be looked up.
	Retention, KeyRetention, AlertRetention time.Duration
	Now                                     func() time.Time
}

// Office is the operator's side.
type Office struct {
	store    Store
	queues   Queues
	mail     mail.Sender
	cfg      Config
	log      *slog.Logger
	redrives *rate.Limiter
	watch    watch
	// hookRests is until when the webhook's receiver asked not to be asked, in
	// microseconds since 1970.
	hookRests atomic.Int64
}

// New makes an office.
func New(store Store, queues Queues, sender mail.Sender, cfg Config) *Office {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	cfg.AlertInterval = cmp.Or(cfg.AlertInterval, DefaultAlertInterval)
	cfg.AlertGap = cmp.Or(cfg.AlertGap, DefaultAlertGap)
	cfg.QueueAgeLimit = cmp.Or(cfg.QueueAgeLimit, DefaultQueueAge)
	cfg.RelayAgeLimit = cmp.Or(cfg.RelayAgeLimit, DefaultRelayAge)
	cfg.EngineAwayLimit = cmp.Or(cfg.EngineAwayLimit, DefaultEngineAway)
	cfg.WebhookAgeLimit = cmp.Or(cfg.WebhookAgeLimit, DefaultWebhookAge)
	cfg.WatchInterval = cmp.Or(cfg.WatchInterval, watchInterval(cfg))
	cfg.Retention = cmp.Or(cfg.Retention, DefaultRetention)
	cfg.KeyRetention = cmp.Or(cfg.KeyRetention, DefaultKeyRetention)
	cfg.AlertRetention = cmp.Or(cfg.AlertRetention, DefaultAlertRetention)
	if cfg.CallbacksRefused == nil {
		cfg.CallbacksRefused = func() int64 { return 0 }
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.RedriveRate == 0 {
		cfg.RedriveRate = DefaultRedriveRate
	}
	return &Office{
		store: store, queues: queues, mail: sender, cfg: cfg, log: cfg.Logger,
		redrives: rate.NewLimiter(rate.Limit(cfg.RedriveRate), DeskSliceMax),
	}
}

// Handlers are the handlers of the ops queue. Each message only says that
// there may be something to tell.
func (o *Office) Handlers() map[string]queue.Handler {
	tell := func(ctx context.Context, _ queue.Message) error { return o.Tell(ctx) }
	return map[string]queue.Handler{
		string(restock.OrderHeldFor):  tell,
		string(restock.OrderAwaiting): tell,
		string(restock.OrderLate):     tell,
		string(restock.ReceiptKept):   tell,
		queue.TypeForeign:             o.foreign,
	}
}

// Register adds the operator's routes.
func (o *Office) Register(mux web.Router) {
	routes := (&api{Office: o}).routes()
	routes.Mount(mux, web.RequireBearer(routes, o.cfg.TokenHint, o.cfg.Token))
}
