package restock

import "time"

// ReservationState is where a reservation stands. It leaves "held" once.
type ReservationState string

// The states of a reservation.
const (
	ReservationHeld      ReservationState = "held"
	ReservationConfirmed ReservationState = "confirmed" // it became a sale
	ReservationReleased  ReservationState = "released"
	ReservationExpired   ReservationState = "expired"
)

// Reservation promises goods to a buyer who has yet to pay. They stay on hand,
// but nobody else can have them.
type Reservation struct {
	ID        ReservationID    `json:"reservation_id"`
	State     ReservationState `json:"state"`
	Reference string           `json:"reference,omitempty"`
	Lines     []ReservedLine   `json:"items"`
	Total     int64            `json:"total"`
	Currency  string           `json:"currency"`
	CreatedAt time.Time        `json:"created_at"`
	ExpiresAt time.Time        `json:"expires_at"`
	ClosedAt  time.Time        `json:"closed_at,omitzero"`
	SaleID    SaleID           `json:"sale_id,omitzero"`
}

// ReservedLine is one product of a reservation, at the price of its day.
type ReservedLine struct {
	ProductID ProductID `json:"-"`
	SKU       SKU       `json:"sku"`
	Quantity  int64     `json:"quantity"`
	UnitPrice int64     `json:"unit_price"`
}

// The bounds of a reservation's time to live.
const (
	ReservationTTL    = 15 * time.Minute
	ReservationTTLMax = 7 * 24 * time.Hour
)

// Return is goods of a sale that came back to stock.
type Return struct {
	ID     ReturnID     `json:"return_id"`
	SaleID SaleID       `json:"sale_id"`
	Lines  []ReturnLine `json:"items"`
	Reason string       `json:"reason"`
	At     time.Time    `json:"at"`
}

// ReturnLine is one product of a return.
type ReturnLine struct {
	ProductID ProductID `json:"-"`
	SKU       SKU       `json:"sku"`
	Quantity  int64     `json:"quantity"`
}

// Adjustment is a change of on hand by a person, with a reason.
type Adjustment struct {
	ID       AdjustmentID `json:"adjustment_id"`
	SKU      SKU          `json:"sku"`
	Quantity int64        `json:"quantity"` // signed
	// Counted is what a stocktake found; then Quantity is the difference.
	Counted *int64    `json:"counted,omitempty"`
	OnHand  int64     `json:"on_hand"` // afterwards
	Reason  string    `json:"reason"`
	At      time.Time `json:"at"`
	// Released are reservations that were freed to make the adjustment possible.
	Released []ReservationID `json:"released,omitempty"`
}

// AdjustmentRequest asks for an adjustment: by Quantity, or to Counted.
type AdjustmentRequest struct {
	Product  string
	Quantity int64
	Counted  *int64
	Reason   string
	// FreeYoungest lets the youngest reservations go if there would not be
	// enough for all.
	FreeYoungest bool
}

// Key makes a repeated request harmless: same key and body, same answer; same
// key, other body, an error with CodeKeyReused. The zero Key promises nothing.
type Key struct {
	Name string // with its route
	Hash [32]byte
}

// Refusals counts the buyers of one product and day who were turned away while
// something was left, but not enough.
type Refusals struct {
	SKU     SKU       `json:"sku"`
	Day     string    `json:"day"`
	Buyers  int64     `json:"buyers"`
	Units   int64     `json:"units"`
	FirstAt time.Time `json:"first_at,omitzero"`
}

// RefusalsTold is how many such buyers in a day operations hear of: something
// is left, and never enough.
const RefusalsTold = 10
