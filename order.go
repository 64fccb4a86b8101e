package restock

import "time"

// OrderState is where a replenishment order stands. An order closes once,
// as received or as closed short.
type OrderState string

// The states of an order. All but the closed ones block the product's slot and
// count as on order.
const (
	OrderPlanned          OrderState = "planned"
	OrderAwaitingApproval OrderState = "awaiting_approval"
	OrderSending          OrderState = "sending"
	OrderUnknown          OrderState = "unknown"
	OrderAccepted         OrderState = "accepted"
	OrderOverdue          OrderState = "overdue"
	OrderPartlyReceived   OrderState = "partly_received"
	OrderHeld             OrderState = "held"
	OrderReceived         OrderState = "received"
	OrderClosedShort      OrderState = "closed_short"
)

// OpenOrderStates lists the states of orders that are open.
func OpenOrderStates() []OrderState {
	return []OrderState{
		OrderPlanned, OrderAwaitingApproval, OrderSending, OrderUnknown, OrderAccepted, OrderOverdue, OrderPartlyReceived, OrderHeld,
	}
}

// Open reports whether the order still blocks its slot and counts as on order.
func (s OrderState) Open() bool { return s != OrderReceived && s != OrderClosedShort }

// Order is one replenishment order for one product.
type Order struct {
	ID         OrderID    `json:"order_id"`
	ProductID  ProductID  `json:"product_id"`
	SKU        SKU        `json:"sku"`
	FactoryID  FactoryID  `json:"factory_id"`
	State      OrderState `json:"state"`
	Quantity   int64      `json:"quantity"`
	Received   int64      `json:"received"`
	UnitCost   int64      `json:"unit_cost"`
	Reason     string     `json:"reason"`
	HeldReason string     `json:"held_reason,omitempty"`
	Cause      OrderCause `json:"cause"`
	// TraceParent is the W3C trace context of what it came of.
	TraceParent string `json:"traceparent,omitempty"`
	// ReorderBudget is how many attempts beyond the first the factory may have
	// accepted; a person who says "again" raises it.
	ReorderBudget int       `json:"reorder_budget"`
	CreatedAt     time.Time `json:"created_at"`
	// DueAt is when somebody looks at it next: the end of a wait, of a lease or of
	// the window for its callback.
	DueAt      time.Time `json:"due_at,omitzero"`
	ExpectedAt time.Time `json:"expected_at,omitzero"`
	ClosedAt   time.Time `json:"closed_at,omitzero"`
	Attempts   []Attempt `json:"attempts,omitempty"`
	Receipts   []Receipt `json:"receipts,omitempty"`
}

// OrderCause says why an order was made.
type OrderCause string

// The causes of an order.
const (
	CauseLow    OrderCause = "low"    // its product was sold down to the reorder point
	CauseImport OrderCause = "import" // an import or a changed policy made it low
	CauseManual OrderCause = "manual" // a person ordered
)

// AttemptState is where one try to place an order stands. It only advances.
type AttemptState string

// The states of an attempt.
const (
	AttemptSending  AttemptState = "sending"  // claimed; it may be on the wire
	AttemptNotSent  AttemptState = "not_sent" // proven: no byte was written
	AttemptUnknown  AttemptState = "unknown"  // the factory may have accepted it
	AttemptAccepted AttemptState = "accepted" // the factory said so
	AttemptRejected AttemptState = "rejected" // the factory refused it
	AttemptOverdue  AttemptState = "overdue"  // no callback within the window
	AttemptReceived AttemptState = "received" // all of its goods came
)

// Attempt is one try to place an order. It froze at sending what the factory
// was asked for; later edits of the product do not reach it.
type Attempt struct {
	OrderID  OrderID      `json:"order_id"`
	Number   int          `json:"attempt"`
	State    AttemptState `json:"state"`
	Quantity int64        `json:"quantity"`
	Received int64        `json:"received"`
	// Approved is how many pieces beyond the quantity a person approved.
	Approved  int64   `json:"approved,omitempty"`
	SKU       SKU     `json:"sku"`
	Slug      string  `json:"slug"`
	Factory   Factory `json:"factory"`
	Requester string  `json:"requester"`
	Tries     int     `json:"tries"` // claims of this attempt; above 1 only if it was proven not sent
	// Owner and LeaseUntil say which process is sending it, and until when.
	Owner      string    `json:"owner,omitempty"`
	LeaseUntil time.Time `json:"lease_until,omitzero"`
	SentAt     time.Time `json:"sent_at,omitzero"`
	AnsweredAt time.Time `json:"answered_at,omitzero"`
	DueAt      time.Time `json:"due_at,omitzero"` // when the window for its callback ends
	Status     int       `json:"http_status,omitempty"`
	FactoryRef string    `json:"factory_ref,omitempty"` // the factory's own id, from its 201
	Error      string    `json:"error,omitempty"`
	// TraceParent is that of its order, for the call.
	TraceParent string `json:"-"`
}

// Answer is what came of writing an attempt to the network.
type Answer struct {
	State      AttemptState // not_sent, unknown, accepted or rejected
	Status     int          // HTTP status, 0 when there was none
	FactoryRef string
	RetryAfter time.Duration // what the factory asked for, 0 when it did not
	Error      string        // for people; carries no token
}

// MayBeAccepted reports whether the factory may have the attempt: it was
// neither proven unsent nor refused.
func (a Attempt) MayBeAccepted() bool {
	return a.State != AttemptNotSent && a.State != AttemptRejected
}

// ReorderBudget is how many attempts a new order may have beyond the first that
// the factory may have accepted.
const ReorderBudget = 1

// Answered is an Answer with what follows from it.
type Answered struct {
	Answer
	DueAt   time.Time // end of the window for the callback, if one may come
	RetryAt time.Time // when to try again, if not sent or refused for now
	// PublicURL is where the factory was told to call back.
	PublicURL string
	// FactoryFrom is when the factory wants to be called again at the earliest.
	FactoryFrom time.Time
}

// Lateness is what a decision about an order without a callback is made from.
type Lateness struct {
	Order   Order // with its attempts
	Factory Factory
	// Away is how much of the window nobody was there to be called.
	Away time.Duration
	// Others counts the factory's other orders that wait for a callback or are
	// overdue, and OthersOverdue those that are overdue.
	Others, OthersOverdue int64
	// HeldReceipts counts the factory's reports about the order that wait for a
	// person: it did call.
	HeldReceipts int64
}

// Overdue says what to do with an order whose window ended: plan another
// attempt, wait until a time, or else hold it for a person.
type Overdue struct {
	Reorder   bool
	WaitUntil time.Time
	Reason    string // for people
}

// Situation is what a decision to order is made from: the locked product and
// what is already on its way.
type Situation struct {
	Now        time.Time
	Product    Product
	OpenOrders []OrderID // automatic orders that block a slot
	// ManualOrders counts the open orders that people made.
	ManualOrders int64
	// Manual is what a person asks for; nil when stock is low.
	Manual *ManualOrder
	// Imported says that an import or a changed policy made the product low, and
	// ImportedOrders counts the orders that came of such within ImportWindow.
	Imported       bool
	ImportedOrders int64
	// Money for automatic orders of this day, in the currency's minor unit: the
	// limit of the shop (0 is none), and what was ordered in all and of this product.
	DailyLimit        int64
	OrderedToday      int64
	OrderedTodayOfIts int64
}

// The limits of ordering.
const (
	// ImportedOrdersMax is how many orders imports and changed policies may place
	// within ImportWindow; the rest awaits approval.
	ImportedOrdersMax = 20
	ImportWindow      = time.Hour
	// ManualOrdersMax bounds the open orders by hand of one product.
	ManualOrdersMax = 10
)

// ManualOrder is an order that a person makes.
type ManualOrder struct {
	Product  string // a slug, SKU or id
	Quantity int64  // 0 takes what the policy would order
	By       string
	Reason   string
}

// Decision is the answer to "shall we order?", with its numbers. A "no" is
// stored too; a repeated equal "no" raises Count.
type Decision struct {
	ID           DecisionID `json:"decision_id,omitzero"`
	SKU          SKU        `json:"sku"`
	Order        bool       `json:"order"`
	OrderID      OrderID    `json:"order_id,omitzero"`
	Quantity     int64      `json:"quantity"`
	Approval     bool       `json:"needs_approval"`
	Reason       string     `json:"reason"`
	OnHand       int64      `json:"on_hand"`
	Reserved     int64      `json:"reserved"`
	OnOrder      int64      `json:"on_order"`
	ReorderPoint int64      `json:"reorder_point"`
	Count        int64      `json:"count"`
	FirstAt      time.Time  `json:"first_at,omitzero"`
	LastAt       time.Time  `json:"last_at,omitzero"`
}

// PlannedOrder is what would be ordered now, and what it costs.
type PlannedOrder struct {
	Decision

	UnitCost int64  `json:"unit_cost"`
	Cost     int64  `json:"cost"`
	Currency string `json:"currency"`
}
