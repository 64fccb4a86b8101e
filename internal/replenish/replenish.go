// Package replenish brings goods onto the shelf: from "stock is low" through
// the decision to order, the one call to the factory, and the callback that
// reports the goods, to the stock that is raised.
//
// # Placing
//
// The factory has no idempotency key and no status route, so nobody can order
// exactly once. Instead, "sending" is committed before the socket is touched,
// an attempt is written to the network at most once, and whatever is not a
// proven "not sent", a refusal or a well-formed 2xx is unknown and never
// blindly repeated. The callback is the status.
//
// # Receiving
//
// Each attempt has a callback address of its own, signed, so that a callback
// is known without trusting anybody. Every one is stored, and applied, held or
// counted as a duplicate; none is dropped.
//
// The rows of the store drive all of it. A message only says that there is
// something to look at, and each handler acts on what is true when it looks.
package replenish

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"time"

	mathrand "math/rand/v2"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/queue"
)

// Store is what replenishing needs of the store.
type Store interface {
	// Product finds a product by slug, SKU or id.
	Product(ctx context.Context, ref string) (restock.Product, error)
	// Plan decides about one locked product and stores order or "no".
	Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error)
	// PlanByHand does the same for an order that a person asks for.
	PlanByHand(ctx context.Context, m restock.ManualOrder, key restock.Key,
		decide func(restock.Situation) restock.Decision) (restock.Decision, error)
	// PreviewPlan tells what would be decided about low products.
	PreviewPlan(ctx context.Context, q restock.ListQuery, decide func(restock.Situation) restock.Decision) ([]restock.PlannedOrder, string, error)
	// LowProducts lists low products without an open order, after an id.
	LowProducts(ctx context.Context, after restock.ProductID, limit int) ([]restock.ProductID, error)
	// OrdersReady signals that an order may be ready to be placed.
	OrdersReady() <-chan struct{}
	// NextPlacing is when the next planned order may be placed.
	NextPlacing(ctx context.Context) (time.Time, error)
	// ClaimAttempt commits "sending" for one order, or gives the zero Attempt.
	ClaimAttempt(ctx context.Context, owner string, lease time.Duration) (restock.Attempt, error)
	// SettleAttempt records what came of it.
	SettleAttempt(ctx context.Context, a restock.Attempt, answer restock.Answered) error
	// Beat notes that this process is there to be called.
	Beat(ctx context.Context, owner string, gap time.Duration) error
	// OverdueOrders lists orders whose lease or window is over.
	OverdueOrders(ctx context.Context, limit int) ([]restock.OrderID, error)
	// Chase looks at one of them.
	Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
		decide func(restock.Lateness) restock.Overdue) error
	// Receive stores a callback and what judge makes of it.
	Receive(ctx context.Context, c restock.Callback, judge func(restock.Evidence) restock.Verdict) (restock.Receipt, error)
	// Vouch says what a report without a token of ours is worth, and ReceiveUnsigned
	// stores it.
	Vouch(ctx context.Context, proofs []restock.SecretProof) (restock.Voucher, error)
	ReceiveUnsigned(ctx context.Context, u restock.Unsigned, judge func(restock.UnsignedEvidence) restock.UnsignedVerdict) (restock.Receipt, error)
}

// Placer writes one attempt to the network, at most once.
type Placer interface {
	Place(ctx context.Context, factoryURL string, r factory.Request) restock.Answer
}

// The defaults of Config.
const (
	DefaultSweepInterval = 10 * time.Second
	DefaultWindowMin     = time.Minute
	DefaultCallsMax      = 1024
	DefaultBeatInterval  = 5 * time.Second
	// windowFactor is how many lead times a callback has before it is overdue,
	// until callbacks were observed. From then on it has learnedFactor times the
	// longest time observed, and at most windowGrowthMax times as much as before.
	windowFactor    = 3
	learnedFactor   = 1.5
	windowGrowthMax = 10
	// beatsMissed is how many heartbeats may be missing before nobody was there.
	beatsMissed = 3
	// leaseMargin is how much longer than the factory's total deadline a
	// sending attempt belongs to its owner.
	leaseMargin = 5 * time.Second
)

// Config adjusts replenishing; PublicURL and Keys are required.
type Config struct {
	Logger *slog.Logger
	// PublicURL is where the factory reaches our receiving routes. It comes from
	// configuration and never from a request.
	PublicURL string
	Keys      TokenKeys
	// TrustedProxies tell the address of a caller that they pass on.
	TrustedProxies []netip.Prefix
	// SweepInterval is how often what was missed is looked for.
	SweepInterval time.Duration
	// WindowMin is the least time that a factory has for its callback.
	WindowMin time.Duration
	// CallTimeout is the placer's total deadline; a sending attempt belongs to its
	// owner for a little longer.
	CallTimeout time.Duration
	// BeatInterval is how often the receiving side says that it is there.
	BeatInterval time.Duration
	// CallsMax bounds the calls in flight of this process to all factories.
	CallsMax int
	// Observe is told what became of each report of a factory.
	Observe func(class string)
	Now     func() time.Time
	Random  func() float64 // in [0, 1)
}

// Replenisher orders and receives.
type Replenisher struct {
	store  Store
	placer Placer
	cfg    Config
	log    *slog.Logger
	owner  string
	gate   *gate

	swept restock.ProductID // how far the sweep came among low products
}

// New makes a replenisher.
func New(store Store, placer Placer, cfg Config) *Replenisher {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.SweepInterval == 0 {
		cfg.SweepInterval = DefaultSweepInterval
	}
	if cfg.WindowMin == 0 {
		cfg.WindowMin = DefaultWindowMin
	}
	if cfg.CallTimeout == 0 {
		cfg.CallTimeout = factory.TotalTimeout
	}
	if cfg.BeatInterval == 0 {
		cfg.BeatInterval = DefaultBeatInterval
	}
	if cfg.CallsMax == 0 {
		cfg.CallsMax = DefaultCallsMax
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = mathrand.Float64
	}
	return &Replenisher{store: store, placer: placer, cfg: cfg, log: cfg.Logger, owner: newOwner(), gate: newGate(cfg.TrustedProxies)}
}

// newOwner names this process among all that share the database.
func newOwner() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	random := make([]byte, 4)
	_, _ = rand.Read(random) // never fails, by its documentation
	return fmt.Sprintf("%s-%d-%s", host, os.Getpid(), hex.EncodeToString(random))
}

// Handlers are the handlers of the stock queue.
func (r *Replenisher) Handlers() map[string]queue.Handler {
	return map[string]queue.Handler{string(restock.StockLow): r.stockLow, queue.TypeForeign: r.foreign}
}

// stockLow decides about a product that was low when the message was made. Once
// the decision is committed the message is done: from here on rows drive.
func (r *Replenisher) stockLow(ctx context.Context, m queue.Message) error {
	var data restock.EventData
	if err := json.Unmarshal(m.Body, &data); err != nil {
		return queue.Discard(fmt.Errorf("the body cannot be read: %w", err))
	}
	if data.Version != restock.EventVersion {
		return queue.Discard(fmt.Errorf("version %d of %s is not known here; redrive it with a newer restock", data.Version, m.Type))
	}
	return r.plan(ctx, data.ProductID)
}

func (r *Replenisher) plan(ctx context.Context, id restock.ProductID) error {
	decision, err := r.store.Plan(ctx, id, Decide)
	if restock.KindOf(err) == restock.NotFound {
		return queue.Discard(err)
	}
	if err != nil {
		return fmt.Errorf("plan: %w", err)
	}
	if decision.Order && restock.TraceParent(ctx) == "" { // a sweep found it
		ctx = restock.WithTraceParent(ctx, restock.TraceParentOf(decision.OrderID))
	}
	r.log.InfoContext(ctx, "decided", keySKU, decision.SKU, keyOrdered, decision.Order, keyOrder, decision.OrderID,
		keyQuantity, decision.Quantity, keyReason, decision.Reason)
	return nil
}

// OrderByHand makes the order that a person asks for. The error is of kind
// Conflict, and says why, when it cannot be made.
func (r *Replenisher) OrderByHand(ctx context.Context, m restock.ManualOrder, key restock.Key) (restock.Decision, error) {
	decision, err := r.store.PlanByHand(ctx, m, key, Decide)
	if err == nil && !decision.Order {
		err = restock.Errorf(restock.Conflict, restock.CodeConflict, "%s: %s", decision.SKU, decision.Reason)
	}
	return decision, err
}

// Preview tells what would be ordered now, without any effect.
func (r *Replenisher) Preview(ctx context.Context, q restock.ListQuery) ([]restock.PlannedOrder, string, error) {
	return r.store.PreviewPlan(ctx, q, Decide)
}

// window is how long a factory has for its callback.
func (r *Replenisher) window(f restock.Factory) time.Duration {
	configured := max(windowFactor*f.LeadTime, r.cfg.WindowMin)
	if f.LeadTimesSeen == 0 {
		return configured
	}
	learned := time.Duration(learnedFactor * float64(f.LeadTimeLongest))
	return min(max(learned, r.cfg.WindowMin), windowGrowthMax*configured)
}

// The keys of the facts in log lines.
const (
	keySKU      = "sku"
	keyOrdered  = "ordered"
	keyOrder    = "order_id"
	keyAttempt  = "attempt"
	keyQuantity = "quantity"
	keyReason   = "reason"
	keyFactory  = "factory"
	keyState    = "state"
	keyStatus   = "status"
	keyError    = "error"
	keyDuration = "duration"
	keyReceipt  = "receipt_id"
	keyApplied  = "applied"
	keyHeld     = "held"
	keyRemote   = "remote"
	keyKeys     = "keys"
	keyKeyID    = "key_id"
	keySecretID = "secret_id"
	keyUnlogged = "unlogged" // lines like this one that were left out since the last
)
