package restock

import "time"

// ReceiptState is what was done with an arrival. None is ever dropped.
type ReceiptState string

// The states of a receipt.
const (
	ReceiptApplied   ReceiptState = "applied"
	ReceiptDuplicate ReceiptState = "duplicate"
	ReceiptHeld      ReceiptState = "held"
	ReceiptRefused   ReceiptState = "refused" // by a person
)

// Receipt is one arrival of goods as the factory reported it.
type Receipt struct {
	ID        ReceiptID    `json:"receipt_id"`
	OrderID   OrderID      `json:"order_id"`
	Attempt   int          `json:"attempt"`
	SKU       SKU          `json:"sku"`
	State     ReceiptState `json:"state"`
	Claimed   string       `json:"claimed"` // the count as it was written
	Applied   int64        `json:"applied"`
	Held      int64        `json:"held"`
	Refused   int64        `json:"refused,omitempty"` // of what was held, by a person
	Late      bool         `json:"late"`
	Reason    string       `json:"reason,omitempty"` // why it is held
	Repeats   int64        `json:"repeats"`
	Remote    string       `json:"remote"`
	CreatedAt time.Time    `json:"created_at"`
	// Stock is what was available after it; not stored.
	Available int64 `json:"-"`
	// TraceParent is that of its order, when a callback is stored; not stored.
	TraceParent string `json:"-"`
}

// Callback is what a factory reported, after its token was found good.
type Callback struct {
	OrderID OrderID
	Attempt int
	// Product, Factory and Requester are the claims in the body; a claim that
	// contradicts the attempt holds the receipt. "" claims nothing.
	Product, Factory, Requester string
	// Count is a positive number of pieces, or 0 when Claimed cannot be read.
	Count   int64
	Claimed string
	// Problem says why the body could not be read, if so.
	Problem string
	// PublicURL is where factories are told to call back at present.
	PublicURL string
	Body      []byte // without the token, cut to BodyBytesKept
	Hash      [32]byte
	Remote    string
}

// BodyBytesKept is how much of a callback's body is stored as evidence.
const BodyBytesKept = 64 << 10

// Evidence is what a callback is judged by: its own attempt, and whether this
// very body came before.
type Evidence struct {
	Callback Callback
	Attempt  Attempt
	Order    OrderState
	Seen     bool
}

// Verdict is what to do with a callback: apply some, hold some, or neither.
type Verdict struct {
	State  ReceiptState
	Apply  int64
	Hold   int64
	Late   bool
	Reason string
}
