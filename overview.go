package restock

import "time"

// What an overview counts is bounded, so that it costs the same in a shop of any
// size: a larger count is told as so many and more.
const (
	ProductCountMax = 1000 // products of one urgency
	CountMax        = 100  // of anything that waits
)

// Overview is the state of everything.
type Overview struct {
	Products       map[Urgency]int64 `json:"products"` // up to ProductCountMax of each urgency
	Awaiting       int64             `json:"awaiting"` // orders that await approval, up to CountMax, as all that follow
	HeldOrders     int64             `json:"held_orders"`
	OverdueOrders  int64             `json:"overdue_orders"`
	HeldReceipts   int64             `json:"held_receipts"`
	DeadLetters    int64             `json:"dead_letters"`
	AdHolds        int64             `json:"ad_holds"`  // conversations that are not at their end
	Incidents      []Incident        `json:"incidents"` // that are open
	OrderingPaused string            `json:"ordering_paused,omitempty"`
	DigestsWaiting int64             `json:"digests_waiting"` // mails about problems, to operations and the buyer, that could not be sent yet
}

// IncidentsShown bounds the incidents of an overview.
const IncidentsShown = 10

// Waiting counts the orders and receipts that wait for a person.
func (o Overview) Waiting() int64 { return o.Awaiting + o.HeldOrders + o.HeldReceipts }

// ForPeople counts all that waits for a decision of a person.
func (o Overview) ForPeople() int64 { return o.Waiting() + o.DeadLetters }

// FirstPage is what the first page of the dashboard shows, and restock status.
type FirstPage struct {
	Overview Overview     `json:"overview"`
	Products []ProductRow `json:"products"` // the most urgent first
	Beside   Beside       `json:"beside"`
}

// Beside is what stands beside the products: the latest of what waits for a
// person, the queues, the conversations with ad managers, and the last mails.
type Beside struct {
	Awaiting []Order      `json:"awaiting"`
	Held     []Order      `json:"held"`
	Receipts []Receipt    `json:"receipts"`
	Queues   []QueueDepth `json:"queues"`
	Holds    []AdHold     `json:"ad_holds"`
	Mails    []SentMail   `json:"mails"`
}

// The rows of what stands beside the products.
const (
	WaitingShown = 5 // of each kind
	HoldsShown   = 5
	MailsShown   = 6
)

// Levels are the numbers that machines watch. All are counted up to a bound, so
// that who asks for them often costs sales nothing.
type Levels struct {
	Overview

	// Watch are the products that are not healthy, the most urgent first, at most
	// WatchMax.
	Watch []Product
	// Orders are the open ones by state, up to CountMax of each.
	Orders map[OrderState]int64
	Queues []QueueDepth
	// Factories are those that are paused or spared in front, at most
	// FactoriesWatched.
	Factories []Factory
}

// FactoriesWatched bounds the factories that machines watch.
const FactoriesWatched = 50

// UrgencyQuery asks for one page of products, the most urgent first.
type UrgencyQuery struct {
	// Only asks for one urgency alone; nil for all.
	Only  *Urgency
	After string // the cursor that the page before ended with
	Limit int
}

// ProductRow is a product with the open orders that refill it, the one that is
// expected first in front.
type ProductRow struct {
	Product

	Open []OpenOrder `json:"open,omitempty"`
}

// OpenOrder is what a list of products tells of an order.
type OpenOrder struct {
	ID          OrderID    `json:"order_id"`
	State       OrderState `json:"state"`
	Outstanding int64      `json:"outstanding"`
	ExpectedAt  time.Time  `json:"expected_at,omitzero"`
}

// Expected is the open order whose goods are expected first, if any are.
func (r ProductRow) Expected() (OpenOrder, bool) {
	for _, o := range r.Open {
		if !o.ExpectedAt.IsZero() {
			return o, true
		}
	}
	return OpenOrder{}, false
}

// Found is what a search found.
type Found struct {
	Rows []ProductRow
	// More says that not all that could match was looked at.
	More bool
}

// StockPoint is what was on hand from a moment on, and the change that made it
// so.
type StockPoint struct {
	At       time.Time
	OnHand   int64
	Kind     MovementKind // "" where the history begins
	Quantity int64        // signed
}

// Arrival is goods that were booked.
type Arrival struct {
	At       time.Time
	Quantity int64
}

// StockHistory is the stock of one product over a time, with all that explains
// it.
type StockHistory struct {
	Since, Until time.Time
	// Points are the changes of on hand; the first stands at Since.
	Points []StockPoint
	// Sampled says that there were more changes than points: a sale then stands
	// for those up to the next point.
	Sampled   bool
	Stockouts []Stockout // that touch this time
	Orders    []Order    // made in this time
	Arrivals  []Arrival
	// MarksCut says that there were so many stockouts, orders or arrivals that
	// only the newest are here.
	MarksCut bool
}

// QueueDepth is how much lies on a queue.
type QueueDepth struct {
	Queue    string `json:"queue"`
	Waiting  int64  `json:"waiting"`   // for its turn, or to be tried again
	InFlight int64  `json:"in_flight"` // being handled
	Dead     int64  `json:"dead"`
	// OldestAt is when the oldest message that is not handled was made; zero when
	// there is none.
	OldestAt time.Time `json:"oldest_at,omitzero"`
}

// MailKind says what a mail was about.
type MailKind string

// MailDigest is a mail about what waits; all other kinds are those of AdMailKind,
// behind MailOfAd.
const (
	MailDigest MailKind = "digest"
	MailOfAd   MailKind = "ad_"
)

// SentMail is a mail as far as the tables know of it.
type SentMail struct {
	Kind          MailKind  `json:"kind"`
	To            string    `json:"to,omitempty"`  // "" is operations
	SKU           SKU       `json:"sku,omitempty"` // with whose stockout it began, of a mail about an advertisement
	Advertisement string    `json:"advertisement,omitempty"`
	MadeAt        time.Time `json:"made_at"`
	SentAt        time.Time `json:"sent_at,omitzero"` // zero while nobody knows that it was
	Unsure        bool      `json:"unsure,omitempty"` // it may have arrived
}
