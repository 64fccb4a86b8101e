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
