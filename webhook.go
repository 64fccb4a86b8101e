package restock

import (
	"slices"
	"time"
)

// Webhook is another program's subscription to events.
type Webhook struct {
	ID          WebhookID `json:"webhook_id"`
	URL         string    `json:"url"`
	Description string    `json:"description,omitempty"`
	// Events are the types that it is told of; none are all.
	Events []EventType `json:"events"`
	// Acknowledges names the advertisement that this program switches: to take the
	// event is then the answer that an ad manager would give.
	Acknowledges string `json:"acknowledges,omitempty"`
	// Paused: its events wait until that ends.
	Paused    bool      `json:"paused"`
	CreatedAt time.Time `json:"created_at"`
	// TakenAt is when it last took an event, and FailingSince when it then first
	// failed to.
	TakenAt      time.Time `json:"taken_at,omitzero"`
	FailingSince time.Time `json:"failing_since,omitzero"`
	Failures     int64     `json:"failures"` // since then
	LastError    string    `json:"last_error,omitempty"`
	// Secret is shown to who makes or rotates it, and never again.
	Secret string `json:"secret,omitempty"`
}

// Wants reports whether it is told of events of a type.
func (w Webhook) Wants(typ EventType) bool {
	return len(w.Events) == 0 || slices.Contains(w.Events, typ)
}

// WebhookChange is what is changed of a subscription; nil stays as it is.
type WebhookChange struct {
	URL          *string      `json:"url,omitempty"`
	Description  *string      `json:"description,omitempty"`
	Events       *[]EventType `json:"events,omitempty"`
	Acknowledges *string      `json:"acknowledges,omitempty"`
	Paused       *bool        `json:"paused,omitempty"`
}

// WebhookTarget is what a delivery needs to know of its subscription, at the
// moment in which it is posted.
type WebhookTarget struct {
	Webhook

	AdvertisementID AdvertisementID
	// SecretsBefore sign, too, each for a while after the rotation that replaced it;
	// the latest first, at most WebhookSecretsBefore.
	SecretsBefore []string
}

// The limits of webhooks.
const (
	// WebhooksMax bounds the subscriptions: each has a queue and deliveries of its
	// own that run at the same time.
	WebhooksMax             = 50
	WebhookURLBytesMax      = 2000
	WebhookDescriptionBytes = 500
	// WebhookSecretOverlap is how long the secret before a rotation signs, too, and
	// WebhookSecretsBefore how many of them do at the same time.
	WebhookSecretOverlap = 24 * time.Hour
	WebhookSecretsBefore = 2
)

// WebhookQueuePrefix begins the name of the queue of a subscription; its id
// follows.
const WebhookQueuePrefix = "webhook-"

// WebhookQueue is the queue of a subscription.
func WebhookQueue(id WebhookID) string { return WebhookQueuePrefix + id.String() }

// DeliveryState is what became of an event at a subscription.
type DeliveryState string

// The states of a delivery.
const (
	DeliveryWaiting   DeliveryState = "waiting"   // it is tried, or tried again later
	DeliveryTaken     DeliveryState = "taken"     // the receiver answered 2xx
	DeliveryDead      DeliveryState = "dead"      // it was given up; the dead-letter desk has it
	DeliveryDiscarded DeliveryState = "discarded" // a person gave it up
)

// Delivery is one event on its way to one subscription.
type Delivery struct {
	EventID  EventID       `json:"event_id"` // the webhook-id of its posts
	Type     EventType     `json:"type"`
	Subject  string        `json:"subject"`
	EventAt  time.Time     `json:"event_at"`
	State    DeliveryState `json:"state"`
	QueuedAt time.Time     `json:"queued_at"`
	Tries    int64         `json:"tries"`
	TriedAt  time.Time     `json:"tried_at,omitzero"`
	// NextAt is when it is tried, while it waits.
	NextAt time.Time `json:"next_at,omitzero"`
	// Status is the HTTP status of the last answer; 0 when there was none.
	Status int    `json:"status,omitempty"`
	TookMS int64  `json:"took_ms"` // of the last try
	Error  string `json:"error,omitempty"`
	// Attempts are the last ones that failed, when one delivery is shown.
	Attempts []DeliveryFailure `json:"attempts,omitempty"`
}

// Posted is what one try came to.
type Posted struct {
	At     time.Time
	Took   time.Duration
	Status int
	Error  string // "" when the receiver took it
}

// EventQuery asks for a part of the log of events.
type EventQuery struct {
	// After is a cursor that an answer gave as next; "" begins with the oldest
	// event that is kept, and EventsLatest with the next one.
	After string
	Types []EventType
	Limit int
}

// EventsLatest is the cursor of now.
const EventsLatest = "latest"

// EventPage is a part of the log of events, in the order of their commits.
type EventPage struct {
	Items []Event `json:"items"`
	// Next is the cursor to go on with, also when there is nothing more now.
	Next string `json:"next"`
	// More: there is more now.
	More bool `json:"more"`
	// KeptFor is how long events are kept, at least.
	KeptFor string `json:"kept_for"`
}
