package restock

import (
	"encoding/json"
	"time"
)

// Need says whether a dead letter still matters, from the state of today.
type Need string

// The needs. What its handler would do now decides: a letter is stale when
// handling it would have no effect.
const (
	NeedNeeded  Need = "needed"
	NeedStale   Need = "stale"
	NeedUnknown Need = "unknown" // this version cannot tell; handling it may fail again
)

// Needs lists all needs.
func Needs() []Need { return []Need{NeedNeeded, NeedStale, NeedUnknown} }

// NeedVerdict is the answer to "still needed?".
type NeedVerdict struct {
	Needed Need   `json:"needed"`
	Reason string `json:"reason"` // one line
}

// DeadLetter is a message that could not be handled, as a person who has to
// decide about it sees it. It is kept until somebody redrives or discards it.
type DeadLetter struct {
	MessageID       EventID `json:"message_id"`
	Queue           string  `json:"queue"`
	DeadLetterQueue string  `json:"dead_letter_queue"`
	Type            string  `json:"type"`
	Subject         string  `json:"subject"`
	TraceParent     string  `json:"traceparent,omitempty"`
	// What it is about, as far as its body and its subject tell.
	ProductID  ProductID  `json:"product_id,omitzero"`
	SKU        SKU        `json:"sku,omitempty"`
	Product    string     `json:"product,omitempty"` // its name
	OrderID    OrderID    `json:"order_id,omitzero"`
	ReceiptID  ReceiptID  `json:"receipt_id,omitzero"`
	StockoutID StockoutID `json:"stockout_id,omitzero"`

	Receives  int       `json:"receives"`
	LastError string    `json:"last_error"`
	CreatedAt time.Time `json:"created_at"`
	DeadAt    time.Time `json:"dead_at"`
	// FirstFailedAt and LastFailedAt are zero when nobody lived to tell of a failure.
	FirstFailedAt time.Time   `json:"first_failed_at,omitzero"`
	LastFailedAt  time.Time   `json:"last_failed_at,omitzero"`
	Verdict       NeedVerdict `json:"verdict"`

	// Body and Failures are left out of lists.
	Body         json.RawMessage   `json:"body,omitempty"`
	BodyEncoding string            `json:"body_encoding,omitempty"` // json, text or base64
	Failures     []DeliveryFailure `json:"failures,omitempty"`
}

// DeliveryFailure is one delivery that failed.
type DeliveryFailure struct {
	Receive int       `json:"receive"` // which receive it was; a redrive counts anew
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
}

// DeadQuery asks for one page of dead letters, the longest dead first. A page
// may be shorter than its limit although there is another.
type DeadQuery struct {
	Queue   string
	Type    string
	Product string    // a slug, SKU or id
	Needed  Need      // "" for all
	Error   string    // a part of the last error, in any case
	Until   time.Time // only what was dead by then; zero is no bound
	After   string    // the Next of the page before
	Limit   int
}

// Redrive is how a person puts a dead letter back.
type Redrive struct {
	Act

	Stale bool // also if it is stale
}

// Discard is how a person gives a dead letter up.
type Discard struct {
	Act

	OnlyStale bool // only if it is stale
}
