// Package hooks tells other programs of events: those that subscribed, by
// webhooks, and those that rather ask, from the log.
//
// # Delivery
//
// At least once, in no promised order. The log of events is written in the
// transactions that they are of. From there each event is put once into the queue
// of each subscription that wants it, and posted from there until the receiver
// answers 2xx, by a schedule. What that does not bring there is a dead letter of
// the subscription's own queue, on the dead-letter desk like any other.
//
// # What one receiver can do to others
//
// Nothing: each subscription has its queue, a bounded number of posts of its own
// at the same time, and a limit of time for each. One that fails again and again
// is asked more slowly. Addresses inside are not dialled, redirects not followed,
// and the bodies of answers not read.
//
// # Advertisements
//
// A subscription may be the program that switches an advertisement: its events
// then say what the advertisement should do, and to take one is the answer that
// an ad manager would give by the link in a mail.
package hooks

import (
	"cmp"
	"context"
	"crypto/tls"
	"log/slog"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/internal/webhook"
)

// Store is what this room needs of the store.
type Store interface {
	Subscriptions
	Deliveries
	// Events reads the log.
	Events(ctx context.Context, q restock.EventQuery) (restock.EventPage, error)
	// PurgeEvents and PurgeWebhooks remove what is older than a time.
	PurgeEvents(ctx context.Context, before time.Time, limit int) (int, error)
	PurgeWebhooks(ctx context.Context, before time.Time, limit int) (int, error)
}

// Subscriptions is what operators see and do.
type Subscriptions interface {
	CreateWebhook(ctx context.Context, w restock.Webhook, act restock.Act, key restock.Key) (restock.Webhook, error)
	Webhooks(ctx context.Context, q restock.ListQuery) ([]restock.Webhook, string, error)
	Webhook(ctx context.Context, id restock.WebhookID) (restock.Webhook, error)
	ChangeWebhook(ctx context.Context, id restock.WebhookID, c restock.WebhookChange, act restock.Act) (restock.Webhook, error)
	RotateWebhookSecret(ctx context.Context, id restock.WebhookID, secret string, act restock.Act) (restock.Webhook, error)
	RemoveWebhook(ctx context.Context, id restock.WebhookID, act restock.Act) (restock.Webhook, error)
	Deliveries(ctx context.Context, id restock.WebhookID, q restock.ListQuery) ([]restock.Delivery, string, error)
	Delivery(ctx context.Context, id restock.WebhookID, event restock.EventID) (restock.Delivery, error)
	Replay(ctx context.Context, id restock.WebhookID, event restock.EventID, act restock.Act) (restock.Delivery, error)
}

// Deliveries is what sending needs.
type Deliveries interface {
	ActiveWebhooks(ctx context.Context) ([]restock.WebhookID, error)
	WebhookTarget(ctx context.Context, id restock.WebhookID) (restock.WebhookTarget, error)
	// FanOut puts new events into the queues of the subscriptions, and gives how
	// many it looked at. EventsLogged signals that there may be some.
	FanOut(ctx context.Context) (int, error)
	EventsLogged() <-chan struct{}
	RecordDelivery(ctx context.Context, id restock.WebhookID, event restock.EventID, p restock.Posted) error
	// BeginSwitch says what an event asks of the program that switches an
	// advertisement, and lets nobody else ask it until EndSwitch.
	BeginSwitch(ctx context.Context, id restock.AdvertisementID, typ restock.EventType, data restock.EventData, lease time.Duration,
	) (ask restock.AdAsk, busy bool, err error)
	EndSwitch(ctx context.Context, id restock.AdvertisementID, ask restock.AdAsk, by string, done bool) error
}

// Consume makes the loop that handles the messages of one queue.
type Consume func(name string, handlers map[string]queue.Handler, cfg queue.Config) func(context.Context) error

// The defaults of Config.
const (
	DefaultRetention      = 7 * 24 * time.Hour
	DefaultEventRetention = 30 * 24 * time.Hour
	DefaultPerReceiver    = 4
	DefaultLookInterval   = time.Second
)

// DefaultSchedule is when a post that failed is tried again; in all three days,
// as Standard Webhooks advises. The first of each time is right after the one
// before.
func DefaultSchedule() []time.Duration {
	return []time.Duration{
		5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
}

const (
	// strikes is after how many failures in a row a receiver is asked more slowly,
	// and slowMax the longest pause that one post then waits.
	strikes  = 5
	slowBase = 100 * time.Millisecond
	slowMax  = 10 * time.Second

	purgeInterval = time.Hour
	// purgeSoon is how soon what a removed subscription leaves is removed.
	purgeSoon = 10 * time.Second
)

// Config adjusts the room. The zero Config works, but refuses all operators.
type Config struct {
	Logger *slog.Logger
	// Token is what the operator's requests must carry; TokenHint says in a refusal
	// where it is found.
	Token, TokenHint string
	Guard            webhook.Guard
	TLS              *tls.Config // for receivers with certificates of their own
	// Schedule is the delays between the tries of one post.
	Schedule []time.Duration
	// PostTimeout bounds one post, and PerReceiver how many are on their way to one
	// receiver at the same time, for each process.
	PostTimeout time.Duration
	PerReceiver int
	// Retention is how long the log of deliveries is kept, and EventRetention that
	// of events.
	Retention, EventRetention time.Duration
	// LookInterval is how often what other processes did is looked for.
	LookInterval time.Duration
	Now          func() time.Time
}

// Hooks is the room.
type Hooks struct {
	store   Store
	consume Consume
	cfg     Config
	log     *slog.Logger
}

// New makes the room.
func New(store Store, consume Consume, cfg Config) *Hooks {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if len(cfg.Schedule) == 0 {
		cfg.Schedule = DefaultSchedule()
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.PostTimeout = cmp.Or(cfg.PostTimeout, webhook.TotalTimeout)
	cfg.PerReceiver = cmp.Or(cfg.PerReceiver, DefaultPerReceiver)
	cfg.Retention = cmp.Or(cfg.Retention, DefaultRetention)
	cfg.EventRetention = cmp.Or(cfg.EventRetention, DefaultEventRetention)
	cfg.LookInterval = cmp.Or(cfg.LookInterval, DefaultLookInterval)
	return &Hooks{store: store, consume: consume, cfg: cfg, log: cfg.Logger}
}

// The keys of the facts in log lines.
const (
	keyWebhook = "webhook_id"
	keyEvent   = "event_id"
	keyHost    = "host"
	keyTook    = "took"
	keyError   = "error"
	keyWhat    = "what"
	keyAsk     = "ask"
)
