// Package sales sells from stock. It serves the shop's side of the seed
// routes: the product page and the checkout.
//
// Sales waits for nothing but the database. Whatever follows from a sale (an
// order at the factory, a mail about the advertisement) travels as messages
// that the store commits with it.
package sales

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// Store is what selling needs of the store.
type Store interface {
	// Product finds a product by slug, SKU or id.
	Product(ctx context.Context, ref string) (restock.Product, error)
	// Sell decides carts in order, in one transaction.
	Sell(ctx context.Context, carts []restock.Cart) ([]restock.Outcome, error)
	// Reserve, ConfirmReservation and ReleaseReservation are for shops that take
	// payment in between; ExpireReservations ends what was left.
	Reserve(ctx context.Context, cart restock.Cart, ttl time.Duration) (restock.Reservation, error)
	Reservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, error)
	ConfirmReservation(ctx context.Context, id restock.ReservationID) (restock.Sale, error)
	ReleaseReservation(ctx context.Context, id restock.ReservationID) (restock.Reservation, error)
	ExpireReservations(ctx context.Context, limit int) (int, error)
	// ReturnSale books goods of a sale back into stock.
	ReturnSale(ctx context.Context, id restock.SaleID, lines []restock.Line, reason string, key restock.Key) (restock.Return, error)
}

// Config adjusts the shop; the zero Config works.
type Config struct {
	Logger *slog.Logger
	// RefusedStatus is the HTTP status of a purchase refused for lack of stock;
	// 409. Clients that cannot change may need 200.
	RefusedStatus int
	// SalesToken, when there is one, must come with every checkout: then only
	// the shop's own backend sells. OperatorToken opens the routes under /v1 too.
	SalesToken, OperatorToken string
	// TokenHint says in a refusal where a token is to be found.
	TokenHint string
	// CORSOrigins may read answers from browser pages; "*" is every page.
	CORSOrigins []string
	// CheckoutRate is how many checkouts a second one client address may send; 0
	// is any number. Behind TrustedProxies the address is the one they saw.
	CheckoutRate   float64
	TrustedProxies []netip.Prefix
	// GroupsInFlight is how many groups of buyers are served at once; 2. On a
	// database server the second would wait for the product that the first has
	// locked, with those who could have joined the next.
	GroupsInFlight int
	// Observe is told of each checkout that was read, and ObserveGroup of each
	// group of carts that was decided together. Both are called often.
	Observe      func(outcome string, took time.Duration)
	ObserveGroup func(carts int, took time.Duration)
	Now          func() time.Time // for what is observed
}

// The outcomes of a checkout, as they are observed.
const (
	OutcomeSold        = "sold"
	OutcomeOutOfStock  = "out_of_stock"
	OutcomeInvalid     = "invalid"     // the buyer's mistake
	OutcomeUnavailable = "unavailable" // 503: to be tried again
	OutcomeFailed      = "failed"      // an error of ours
)

// Outcomes lists them.
func Outcomes() []string {
	return []string{OutcomeSold, OutcomeOutOfStock, OutcomeInvalid, OutcomeUnavailable, OutcomeFailed}
}

// Shop serves buyers.
type Shop struct {
	store Store
	till  *till
	cfg   Config
}

// New makes a shop on a store.
func New(store Store, cfg Config) *Shop {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.GroupsInFlight <= 0 {
		cfg.GroupsInFlight = groupsInFlight
	}
	if cfg.RefusedStatus == 0 {
		cfg.RefusedStatus = http.StatusConflict
	}
	if cfg.Observe == nil {
		cfg.Observe = func(string, time.Duration) {}
	}
	if cfg.ObserveGroup == nil {
		cfg.ObserveGroup = func(int, time.Duration) {}
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &Shop{store: store, till: newTill(store, cfg.GroupsInFlight), cfg: cfg}
	s.till.observe, s.till.now = cfg.ObserveGroup, cfg.Now
	return s
}

// Register adds the routes for buyers.
func (s *Shop) Register(mux web.Router) {
	product := web.CORS(s.cfg.CORSOrigins, "GET", http.HandlerFunc(s.product))
	mux.Handle("GET /product/{product}", product)
	mux.Handle("OPTIONS /product/{product}", product)
	var checkout http.Handler = http.HandlerFunc(s.checkout)
	if s.cfg.SalesToken != "" {
		checkout = web.RequireBearer(checkout, s.cfg.TokenHint, s.cfg.SalesToken)
	}
	checkout = web.RateLimit(s.cfg.CheckoutRate, s.cfg.TrustedProxies, checkout)
	checkout = web.CORS(s.cfg.CORSOrigins, "POST", checkout)
	mux.Handle("POST /checkout", checkout)
	mux.Handle("OPTIONS /checkout", checkout)
}

// Waiting is how many carts stand in line.
func (s *Shop) Waiting() int { return s.till.inLine() }

// Run works the till until ctx ends; then it serves who is already waiting.
func (s *Shop) Run(ctx context.Context) error { return s.till.run(ctx) }

// product answers GET /product/{product}, where stock means available.
func (s *Shop) product(w http.ResponseWriter, r *http.Request) {
	p, err := s.store.Product(r.Context(), r.PathValue("product"))
	if err != nil {
		s.fail(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, struct {
		ID        restock.ProductID       `json:"product_id"`
		SKU       restock.SKU             `json:"sku"`
		Name      string                  `json:"name"`
		Price     int64                   `json:"price"`
		Currency  string                  `json:"currency"`
		Stock     int64                   `json:"stock"`
		FactoryID restock.FactoryID       `json:"factory_id"`
		AdID      restock.AdvertisementID `json:"ad_id"`
	}{p.ID, p.SKU, p.Name, p.Price, p.Currency, p.Stock.Available(), p.FactoryID, p.AdvertisementID})
}

// fail answers an error of a seed route. An unknown product is a bad request
// there, not a missing page.
func (s *Shop) fail(w http.ResponseWriter, r *http.Request, err error) {
	web.SeedError(w, r, s.cfg.Logger, web.SeedUnknownProduct(err), "")
}
