package restock

import "time"

// SKU is a product's stock keeping unit, the name that people and factories use.
type SKU string

// Product is one thing that is sold from stock.
type Product struct {
	ID              ProductID       `json:"product_id"`
	SKU             SKU             `json:"sku"`
	Slug            string          `json:"slug"`
	Name            string          `json:"name"`
	Price           int64           `json:"price"`
	UnitCost        int64           `json:"unit_cost"`
	Currency        string          `json:"currency"`
	FactoryID       FactoryID       `json:"factory_id,omitzero"`
	AdvertisementID AdvertisementID `json:"ad_id,omitzero"`
	Stock           Stock           `json:"stock"`
	Policy          Policy          `json:"policy"`
}

// Stock is how much of a product there is. The four numbers live in one row,
// and everything that changes them locks that row first.
type Stock struct {
	OnHand   int64 `json:"on_hand"`
	Reserved int64 `json:"reserved"`
	OnOrder  int64 `json:"on_order"`
	// StockoutID is the open stockout, if there is one.
	StockoutID StockoutID `json:"stockout_id,omitzero"`
}

// Available is what a buyer can have: on hand − reserved.
func (s Stock) Available() int64 { return s.OnHand - s.Reserved }

// Position is the inventory position: available + on order.
func (s Stock) Position() int64 { return s.Available() + s.OnOrder }

// Ordering says who decides that an order goes to the factory.
type Ordering string

// The ways of ordering.
const (
	OrderingAuto   Ordering = "auto"   // the order is placed at once
	OrderingReview Ordering = "review" // a person approves each order
	OrderingOff    Ordering = "off"    // nothing is ordered
)

// Policy is how a product is replenished and sold.
type Policy struct {
	Ordering      Ordering `json:"ordering"`
	ReorderPoint  int64    `json:"reorder_point"`
	OrderQuantity int64    `json:"order_quantity,omitempty"` // a fixed quantity, or
	OrderUpTo     int64    `json:"order_up_to,omitempty"`    // the level to fill up to
	MinimumOrder  int64    `json:"minimum_order"`
	PackSize      int64    `json:"pack_size"`
	MaximumStock  int64    `json:"maximum_stock,omitempty"` // 0 = no maximum
	// MaxPerPurchase is the most pieces that one checkout may take.
	MaxPerPurchase int64 `json:"max_per_purchase"`
	// ResumeLevel is the available quantity that ends a stockout.
	ResumeLevel int64 `json:"resume_level"`
	// OpenOrdersMax bounds the automatic orders that may be open at once.
	OpenOrdersMax int64 `json:"open_orders_max"`
}

// Low reports whether the inventory position calls for an order.
func (p Policy) Low(s Stock) bool {
	return p.Ordering != OrderingOff && s.Position() <= p.ReorderPoint
}

// Factory makes products and is reached over its Factory API.
type Factory struct {
	ID            FactoryID     `json:"factory_id"`
	Identifier    string        `json:"identifier"`
	Name          string        `json:"name"`
	ManagerEmail  string        `json:"manager_email,omitempty"`
	Language      Language      `json:"language"`
	URL           string        `json:"url"`
	LeadTime      time.Duration `json:"lead_time_ns"` // expected time from order to callback
	Requester     string        `json:"requester"`
	MaxInFlight   int64         `json:"max_in_flight"`
	RatePerSecond float64       `json:"rate_per_second"`
}

// Advertisement is what brings the buyers; its manager can stop and resume it.
type Advertisement struct {
	ID           AdvertisementID `json:"ad_id"`
	Name         string          `json:"name"`
	ManagerEmail string          `json:"manager_email"`
	Language     Language        `json:"language"`
}

// Language is the language of a person who gets mail, or of an API answer.
type Language string

// The languages that restock speaks.
const (
	Korean  Language = "ko"
	English Language = "en"
)
