package restock

import "time"

// The limits of what people do to orders.
const (
	// ActWordsMax bounds who did something, and ReasonBytesMax why, in bytes.
	ActWordsMax    = 200
	ReasonBytesMax = 1000
	// WaitMax is how long an order may be told to wait, and SnoozeMax a product.
	WaitMax   = 90 * 24 * time.Hour
	SnoozeMax = 366 * 24 * time.Hour
	// ReconcileRowsMax bounds the rows of one reconciliation.
	ReconcileRowsMax = 10_000
)

// FactoryLoad is a factory with what is on its way to it now.
type FactoryLoad struct {
	Factory

	InFlight int64 `json:"in_flight"` // calls under way
	Planned  int64 `json:"planned"`   // orders that wait to be placed
	Waiting  int64 `json:"waiting"`   // orders that wait for goods
}

// OrderingSwitch says whether orders are placed at all.
type OrderingSwitch struct {
	Paused string `json:"paused,omitempty"` // why none is placed; "" while they are
}

// Approval is what a person says of a held receipt.
type Approval struct {
	// Count is how many pieces came; 0 is all that is held.
	Count int64
	// Product says whose goods they are, where the order is not known.
	Product string
}

// Booking is goods that came without a call.
type Booking struct {
	OrderID OrderID
	Attempt int // 0 is the latest
	Count   int64
	// Beyond lets the attempt receive more than it was asked for.
	Beyond bool
}

// ReconcileStatus is what a factory says of an order.
type ReconcileStatus string

// What a factory can say.
const (
	ReconcileAccepted ReconcileStatus = "accepted" // it has the order
	ReconcileAbsent   ReconcileStatus = "absent"   // it has not
)

// ReconcileRow is one line of what a factory says it has.
type ReconcileRow struct {
	OrderID OrderID         `json:"order_id"`
	Attempt int             `json:"attempt"`
	Status  ReconcileStatus `json:"status"`
	// Problem says why the row cannot be read, if so.
	Problem string `json:"-"`
}

// ReconcileLine is what came of a row.
type ReconcileLine struct {
	ReconcileRow

	Line    int    `json:"line"` // of the rows, from 1
	Changed bool   `json:"changed"`
	Result  string `json:"result"` // what changed, or why nothing did
}

// Reconciliation is what came of all rows.
type Reconciliation struct {
	Accepted  int             `json:"accepted"`
	Absent    int             `json:"absent"`
	Unchanged int             `json:"unchanged"`
	Lines     []ReconcileLine `json:"lines"`
}
