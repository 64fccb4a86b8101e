package restock

import "time"

// EventType names an event, in the past tense or as a state that began.
type EventType string

// The events; Queue says where each goes.
const (
	StockLow      EventType = "stock.low"      // the position fell to the reorder point
	StockOut      EventType = "stock.out"      // available reached 0
	StockBack     EventType = "stock.back"     // a stockout ended
	AdDue         EventType = "ad.due"         // a mail to an ad manager became due without an event
	OrderHeldFor  EventType = "order.held"     // an order waits for a person
	OrderAwaiting EventType = "order.awaiting" // an order waits for approval
	OrderLate     EventType = "order.overdue"  // the factory did not call in time
	ReceiptKept   EventType = "receipt.held"   // an arrival waits for a person
)

// The queues. Each has its own dead-letter queue, named with DeadLetterSuffix.
const (
	StockQueue       = "stock-queue"
	AdQueue          = "ad-queue"
	OpsQueue         = "ops-queue"
	DeadLetterSuffix = "-dlq"
)

// RelayQueue is where all messages wait for a broker, when there is one beside
// the database.
const RelayQueue = "relay"

// EventTypes lists all events.
func EventTypes() []EventType {
	return []EventType{StockLow, StockOut, StockBack, AdDue, OrderHeldFor, OrderAwaiting, OrderLate, ReceiptKept}
}

// Queues lists all queues that have handlers.
func Queues() []string { return []string{StockQueue, AdQueue, OpsQueue} }

// Queue gives the queue that an event goes to, as the filter policies of a
// topic would. An event without one is an error of the program.
func (t EventType) Queue() (string, bool) {
	switch t {
	case StockLow:
		return StockQueue, true
	case StockOut, StockBack, AdDue:
		return AdQueue, true
	case OrderHeldFor, OrderAwaiting, OrderLate, ReceiptKept:
		return OpsQueue, true
	default:
		return "", false
	}
}

// Event is what happened. Its attributes have the names of CloudEvents 1.0.
type Event struct {
	ID          EventID   `json:"id"`
	Type        EventType `json:"type"`
	Time        time.Time `json:"time"`
	Subject     string    `json:"subject"` // the SKU
	TraceParent string    `json:"traceparent,omitempty"`
	Data        EventData `json:"data"`
}

// EventData is the body of every event: what the handler needs to look again
// at the present, and enough for a person to understand the message.
type EventData struct {
	Version    int        `json:"version"`
	ProductID  ProductID  `json:"product_id"`
	SKU        SKU        `json:"sku"`
	StockoutID StockoutID `json:"stockout_id,omitzero"`
	OrderID    OrderID    `json:"order_id,omitzero"`
	ReceiptID  ReceiptID  `json:"receipt_id,omitzero"`
	// AdvertisementID is the subject of ad.due.
	AdvertisementID AdvertisementID `json:"ad_id,omitzero"`
	Available       int64           `json:"available"`
	Position        int64           `json:"position"`
}

// EventVersion is the version of EventData that this program writes and reads.
const EventVersion = 1

// EmbeddedEngine is the name of the queue engine inside the database.
const EmbeddedEngine = "db:"

// QueueEngines says where messages are, by the engines' URLs without passwords.
type QueueEngines struct {
	Engine string `json:"engine"`
	// Before lists engines that were used before and may still hold messages.
	Before []string `json:"before,omitempty"`
}
