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

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// Store is what selling needs of the store.
type Store interface {
	// Product finds a product by slug, SKU or id.
	Product(ctx context.Context, ref string) (restock.Product, error)
	// Sell decides carts in order, in one transaction.
	Sell(ctx context.Context, carts []restock.Cart) ([]restock.Outcome, error)
}

// Config adjusts the shop; the zero Config works.
type Config struct {
	Logger *slog.Logger
	// RefusedStatus is the HTTP status of a purchase refused for lack of stock;
	// 409. Clients that cannot change may need 200.
	RefusedStatus int
}

// Shop serves buyers.
type Shop struct {
	store         Store
	till          *till
	log           *slog.Logger
	refusedStatus int
}

// New makes a shop on a store.
func New(store Store, cfg Config) *Shop {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.RefusedStatus == 0 {
		cfg.RefusedStatus = http.StatusConflict
	}
	return &Shop{store: store, till: newTill(store), log: cfg.Logger, refusedStatus: cfg.RefusedStatus}
}

// Register adds the routes of the shop.
func (s *Shop) Register(mux *http.ServeMux) {
	mux.HandleFunc("GET /product/{product}", s.product)
	mux.HandleFunc("POST /checkout", s.checkout)
}

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
	web.SeedError(w, r, s.log, web.SeedUnknownProduct(err), "")
}
