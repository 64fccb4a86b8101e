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
	ID ReceiptID `json:"receipt_id"`
	// OrderID and Attempt are none for a report that came without a token and is
	// of no order known here.
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
	// Factory is whose secret vouched for it, where no token did.
	Factory string `json:"factory,omitempty"`
	// Stock is what was available after it; not stored.
	Available int64 `json:"-"`
	// TraceParent is that of its order, when a callback is stored; not stored.
	TraceParent string `json:"-"`
}

// Unvouched reports whether neither a token nor a factory's secret came with it.
func (r Receipt) Unvouched() bool { return r.Attempt == 0 && r.Factory == "" }

// Callback is what a factory reported, after its token was found good.
type Callback struct {
	OrderID OrderID
	Attempt int
	// VouchedBy is the factory whose secret came in place of a token.
	VouchedBy FactoryID
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

// Unsigned is a report whose address carries no token of ours: another system's
// worker gave that address. Its Callback names no order.
type Unsigned struct {
	Callback

	// Path is the product that the address names. It counts when the body names
	// none: such a worker may give one address for all that it orders.
	Path string
	// Proofs are what may be a factory's secret in the address.
	Proofs []SecretProof
}

// Named is what the report calls its product; "" when it names none.
func (u Unsigned) Named() string {
	if u.Product != "" {
		return u.Product
	}
	return u.Path
}

// Voucher says what a report without a token of ours is worth.
type Voucher struct {
	Factory FactoryID // whose secret it carries; none when nobody vouches for it
	ID      string    // of that secret
	// Kept says that such reports are kept: stock is shared with another system,
	// or a factory has a secret.
	Kept bool
	// Full says that so many which nobody vouches for wait for a person that one
	// more is not kept.
	Full bool
}

// UnvouchedMax is how many reports that nobody vouches for may wait for a person.
const UnvouchedMax = 100

// RepeatsKeptMax is how many equal reports that a factory's secret vouches for may
// wait for a person, each on its own; those after it are counted.
const RepeatsKeptMax = 100

// UnsignedEvidence is what a report without a token of ours is judged by.
type UnsignedEvidence struct {
	Unsigned Unsigned
	Factory  Factory // whose secret vouches for it; the zero Factory when nobody does
	Product  Product // the zero Product when it names none that is known
	// Awaited are the attempts of open orders of ours, for this product at this
	// factory, that miss pieces.
	Awaited []Evidence
	// Seen says that this very body came before, vouched for by the same factory.
	Seen bool
}

// UnsignedVerdict is what to do with it. Without an order the goods are booked on
// the product alone.
type UnsignedVerdict struct {
	Verdict

	OrderID OrderID
	Attempt int
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
