package restock

import "time"

// Line asks for a quantity of one product.
type Line struct {
	// Product is a slug, a SKU or a product id; "" is the default product.
	Product  string
	Quantity int64
}

// Cart is what one buyer asks for. It is sold whole or not at all.
type Cart struct {
	Lines     []Line
	Reference string // the shop's own id of the purchase; optional
	Key       Key    // makes a repeat harmless; optional
	// TraceParent is the W3C trace context of the purchase: of many carts that are
	// sold at once, each has its own.
	TraceParent string
}

// Outcome is what became of one cart: a sale, or the reason why not.
type Outcome struct {
	Sale Sale
	// New is false for a sale that was made before, under the same key.
	New bool
	// Err is nil for a sale, else of kind OutOfStock, NotFound or Invalid.
	Err error
	// Short is, for OutOfStock, the first product of which there was not enough.
	Short Shortage
}

// Shortage says how much of a product was asked for and how much was left.
type Shortage struct {
	SKU       SKU
	Asked     int64
	Available int64
}

// Sale is a purchase that happened.
type Sale struct {
	ID        SaleID     `json:"sale_id"`
	Reference string     `json:"reference,omitempty"`
	Lines     []SaleLine `json:"items"`
	Total     int64      `json:"total"`
	Currency  string     `json:"currency"`
	SoldAt    time.Time  `json:"sold_at"`
}

// SaleLine is one product of a sale.
type SaleLine struct {
	ProductID ProductID `json:"-"`
	SKU       SKU       `json:"sku"`
	Quantity  int64     `json:"quantity"`
	UnitPrice int64     `json:"unit_price"`
	// Remaining is what was available after the sale, as the buyer was told.
	Remaining int64 `json:"remaining"`
	Returned  int64 `json:"returned,omitempty"`
}
