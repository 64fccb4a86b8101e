package restock

import "time"

// Stockout is the episode from available = 0 until the stock is back.
type Stockout struct {
	ID       StockoutID `json:"stockout_id"`
	SKU      SKU        `json:"sku"`
	OpenedAt time.Time  `json:"opened_at"`
	ClosedAt time.Time  `json:"closed_at,omitzero"`
	// RefusedBuyers and RefusedUnits count the purchases turned away meanwhile.
	RefusedBuyers int64     `json:"refused_buyers"`
	RefusedUnits  int64     `json:"refused_units"`
	FirstRefused  time.Time `json:"first_refused_at,omitzero"`
}

// AdHoldState is how far the conversation with the ad manager has come.
type AdHoldState string

// The states of an ad hold. They only advance.
const (
	AdHoldStopping AdHoldState = "stopping" // the mail that asks to stop may be on its way
	AdHoldStopped  AdHoldState = "stopped"  // it was sent
	AdHoldResuming AdHoldState = "resuming" // the mail that it can resume may be on its way
	AdHoldResumed  AdHoldState = "resumed"  // it was sent
)

// AdHold is the request to stop an advertisement during one stockout.
type AdHold struct {
	ID            AdHoldID      `json:"ad_hold_id"`
	StockoutID    StockoutID    `json:"stockout_id"`
	ProductID     ProductID     `json:"product_id"`
	SKU           SKU           `json:"sku"`
	ProductName   string        `json:"product_name"`
	Advertisement Advertisement `json:"advertisement"`
	State         AdHoldState   `json:"state"`
	OpenedAt      time.Time     `json:"stockout_opened_at"`
	ClosedAt      time.Time     `json:"stockout_closed_at,omitzero"`
	Available     int64         `json:"available"`
	OnOrder       int64         `json:"on_order"`
	ExpectedAt    time.Time     `json:"expected_at,omitzero"` // of the next arrival, if known
}
