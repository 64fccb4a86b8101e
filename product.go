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
	// SnoozedUntil is until when nothing is ordered by itself.
	SnoozedUntil time.Time `json:"snoozed_until,omitzero"`
	// LowByImport says that an import or a changed policy made it low, not a sale.
	LowByImport bool `json:"-"`
}

// Snoozed reports whether nothing is ordered by itself at a time.
func (p Product) Snoozed(at time.Time) bool { return p.SnoozedUntil.After(at) }

// Cost is what a quantity costs to buy, at most TotalMax.
func (p Product) Cost(quantity int64) int64 {
	if p.UnitCost > 0 && quantity > TotalMax/p.UnitCost {
		return TotalMax
	}
	return quantity * p.UnitCost
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
	// DailyLimit is the money for automatic orders of this product a day; above
	// it an order awaits approval. 0 is no limit.
	DailyLimit int64 `json:"daily_limit,omitempty"`
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
	// OverduePolicy is what happens when a callback does not come in time.
	OverduePolicy OverduePolicy `json:"overdue_policy"`
	// Repeats is what the second of two equal reports means while goods are missing.
	Repeats Repeats `json:"repeats"`
	// RefusedStatuses are HTTP statuses from 500 on that surely mean "not accepted".
	RefusedStatuses []int `json:"refused_statuses,omitempty"`
	// Paused is the reason why nothing is placed there; "" while orders are placed.
	Paused string `json:"paused,omitempty"`

	Breaker      BreakerState `json:"breaker"`
	BreakerUntil time.Time    `json:"breaker_until,omitzero"`
	// LeadTimesSeen counts the callbacks that taught the two times after it: the
	// longest from the call to its callback, and a moving average.
	LeadTimesSeen   int64         `json:"lead_times_seen"`
	LeadTimeLongest time.Duration `json:"lead_time_longest_ns,omitempty"`
	LeadTimeLearned time.Duration `json:"lead_time_learned_ns,omitempty"`
	// CalledBackAt is the public URL at which it called back last.
	CalledBackAt string `json:"called_back_at,omitempty"`
}

// Expected is how long an order takes, as far as is known.
func (f Factory) Expected() time.Duration {
	if f.LeadTimesSeen > 0 {
		return f.LeadTimeLearned
	}
	return f.LeadTime
}

// OverduePolicy says what happens when the window for a callback ends.
type OverduePolicy string

// The policies for overdue orders.
const (
	OverdueReorder OverduePolicy = "reorder" // another attempt within the budget, then hold
	OverdueWait    OverduePolicy = "wait"    // wait on, and tell operations each time
	OverdueHold    OverduePolicy = "hold"    // a person decides
)

// Repeats says what a body that came before means while goods are missing.
type Repeats string

// The meanings of a repeated report.
const (
	RepeatsHold  Repeats = "hold"  // a person decides whether it is a repeat or the rest
	RepeatsApply Repeats = "apply" // this factory sends equal partials
)

// BreakerState says whether a factory that fails is spared.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // orders are placed
	BreakerOpen     BreakerState = "open"      // none is placed until a time
	BreakerHalfOpen BreakerState = "half_open" // one probe is on its way
)

// Language is the language of a person who gets mail, or of an API answer.
type Language string

// The languages that restock speaks.
const (
	Korean  Language = "ko"
	English Language = "en"
)
