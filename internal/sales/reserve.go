package sales

import (
	"bytes"
	"context"
	"net/http"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// reasonBytesMax bounds why goods came back.
const reasonBytesMax = 1000

// backend is the side of the shop for programs that take payment: it lives
// under /v1 and needs a token.
func (s *Shop) backend() *web.Mux {
	mux := web.NewStrictMux(s.problem)
	mux.HandleFunc("POST /v1/reservations", s.reserve)
	mux.HandleFunc("GET /v1/reservations/{id}", s.showReservation)
	mux.HandleFunc("POST /v1/reservations/{id}/confirm", s.confirm)
	mux.HandleFunc("POST /v1/reservations/{id}/release", s.release)
	mux.HandleFunc("POST /v1/sales/{id}/return", s.giveBack)
	return mux
}

// RegisterBackend adds the routes for programs, on the operators' listener.
func (s *Shop) RegisterBackend(mux web.Router) {
	backend := s.backend()
	backend.Mount(mux, web.RequireBearer(backend, s.cfg.TokenHint, s.cfg.OperatorToken, s.cfg.SalesToken))
}

// reserve answers POST /v1/reservations: a checkout's body with ttl_seconds.
func (s *Shop) reserve(w http.ResponseWriter, r *http.Request) {
	body, err := web.ReadBody(w, r, checkoutBytesMax)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	cart, ttl, err := parseReservation(body)
	if err == nil {
		cart.Key, err = web.IdempotencyKey(r, "POST /v1/reservations", body)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	reservation, err := s.store.Reserve(r.Context(), cart, ttl)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusCreated, reservation)
}

// reservationBody is what POST /v1/reservations takes: a cart, and for how long.
type reservationBody struct {
	SKU       string         `json:"sku"`
	Quantity  int64          `json:"quantity"`
	Items     []reservedItem `json:"items"`
	Reference string         `json:"reference"`
	Seconds   *int64         `json:"ttl_seconds"`
}

// reservedItem is one line of a cart.
type reservedItem struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

func parseReservation(body []byte) (restock.Cart, time.Duration, error) {
	cart, err := parseCart(body)
	if err != nil {
		return cart, 0, err
	}
	ttl := restock.ReservationTTL
	var timed reservationBody
	if len(bytes.TrimSpace(body)) > 0 {
		if err := web.DecodeJSON(body, &timed); err != nil {
			return cart, 0, err
		}
	}
	if timed.Seconds != nil {
		if *timed.Seconds < 1 || *timed.Seconds > int64(restock.ReservationTTLMax/time.Second) {
			return cart, 0, invalid("ttl_seconds must be 1 to %d", int64(restock.ReservationTTLMax/time.Second))
		}
		ttl = time.Duration(*timed.Seconds) * time.Second
	}
	return cart, ttl, nil
}

func (s *Shop) showReservation(w http.ResponseWriter, r *http.Request) {
	answerWith(s, w, r, s.store.Reservation)
}

func (s *Shop) confirm(w http.ResponseWriter, r *http.Request) {
	answerWith(s, w, r, s.store.ConfirmReservation)
}

func (s *Shop) release(w http.ResponseWriter, r *http.Request) {
	answerWith(s, w, r, s.store.ReleaseReservation)
}

// answerWith does something with the reservation in the path.
func answerWith[T any](s *Shop, w http.ResponseWriter, r *http.Request, do func(context.Context, restock.ReservationID) (T, error)) {
	id, err := restock.ParseID[restock.Reservation](r.PathValue("id"))
	if err != nil {
		s.problem(w, r, err)
		return
	}
	v, err := do(r.Context(), id)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusOK, v)
}

// giveBack answers POST /v1/sales/{id}/return: items and a reason; without
// items all comes back.
func (s *Shop) giveBack(w http.ResponseWriter, r *http.Request) {
	id, err := restock.ParseID[restock.Sale](r.PathValue("id"))
	if err != nil {
		s.problem(w, r, err)
		return
	}
	body, err := web.ReadBody(w, r, checkoutBytesMax)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	lines, reason, err := parseReturn(body)
	var key restock.Key
	if err == nil {
		key, err = web.IdempotencyKey(r, "POST /v1/sales/"+id.String()+"/return", body)
	}
	if err != nil {
		s.problem(w, r, err)
		return
	}
	back, err := s.store.ReturnSale(r.Context(), id, lines, reason, key)
	if err != nil {
		s.problem(w, r, err)
		return
	}
	web.WriteJSON(w, http.StatusCreated, back)
}

func parseReturn(body []byte) ([]restock.Line, string, error) {
	var request struct {
		Items  []item `json:"items"`
		Reason string `json:"reason"`
	}
	if err := web.DecodeJSON(body, &request); err != nil {
		return nil, "", err
	}
	if request.Reason == "" || len(request.Reason) > reasonBytesMax {
		return nil, "", invalid("a reason of 1 to %d bytes is needed", reasonBytesMax)
	}
	if len(request.Items) > linesMax || (request.Items != nil && len(request.Items) == 0) {
		return nil, "", invalid("items must have 1 to %d entries; without items all of the sale comes back", linesMax)
	}
	lines := make([]restock.Line, 0, len(request.Items))
	for _, it := range request.Items {
		if len(it.SKU) == 0 {
			return nil, "", invalid("each of the items needs a sku")
		}
		line, err := it.line()
		if err != nil {
			return nil, "", err
		}
		lines = append(lines, line)
	}
	return lines, request.Reason, nil
}

func (s *Shop) problem(w http.ResponseWriter, r *http.Request, err error) {
	web.Problem(w, r, s.cfg.Logger, err)
}

// How often reservations are looked through, and how many at a time.
const (
	expiryInterval = time.Second
	expirySlice    = 200
)

// RunExpiry ends reservations whose time is over, until ctx ends.
func (s *Shop) RunExpiry(ctx context.Context) error {
	ticker := time.NewTicker(expiryInterval)
	defer ticker.Stop()
	for {
		if _, err := s.store.ExpireReservations(ctx, expirySlice); err != nil && ctx.Err() == nil {
			s.cfg.Logger.ErrorContext(ctx, "reservations could not be expired; trying again", "error", err)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
