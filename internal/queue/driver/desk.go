package driver

import (
	"encoding/json"
	"time"
)

// DeadLetter is a message that could not be handled, as a person sees it. It
// is kept until somebody redrives or discards it.
type DeadLetter struct {
	MessageID       ID        `json:"message_id"`
	Queue           string    `json:"queue"`
	DeadLetterQueue string    `json:"dead_letter_queue"`
	Type            string    `json:"type"`
	Subject         string    `json:"subject"`
	TraceParent     string    `json:"traceparent,omitempty"`
	Receives        int       `json:"receives"`
	LastError       string    `json:"last_error"`
	CreatedAt       time.Time `json:"created_at"`
	DeadAt          time.Time `json:"dead_at"`
	// FirstFailedAt and LastFailedAt are zero when nobody lived to tell of a failure.
	FirstFailedAt time.Time `json:"first_failed_at,omitzero"`
	LastFailedAt  time.Time `json:"last_failed_at,omitzero"`

	// Body and Failures are left out of lists.
	Body         json.RawMessage `json:"body,omitempty"`
	BodyEncoding BodyEncoding    `json:"body_encoding,omitempty"`
	Failures     []Failure       `json:"failures,omitempty"`
}

// BodyEncoding says how the bytes of a message are shown in JSON.
type BodyEncoding string

// The ways to show a body. Bodies of foreign programs may be anything.
const (
	BodyJSON   BodyEncoding = "json"   // it is JSON and stands as it is
	BodyText   BodyEncoding = "text"   // it is text, shown as a JSON string
	BodyBase64 BodyEncoding = "base64" // it is neither, shown in base64
)

// Failure is one delivery that failed.
type Failure struct {
	Receive int       `json:"receive"` // which receive it was; a redrive counts anew
	At      time.Time `json:"at"`
	Error   string    `json:"error"`
}

// Filter selects dead letters.
type Filter struct {
	Queue   string    // "" selects all queues
	Type    string    // "" selects all types
	Subject string    // "" selects all subjects
	Until   time.Time // only what was dead by then; zero is no bound
	After   string    // the cursor that the page before ended with
	Limit   int       // 0 is the default of the engine
	Bodies  bool      // with bodies; such a page is shorter
}

// Stats counts the messages of one queue, all at one moment. Published is the
// sum of all the other counts: a message is somewhere.
type Stats struct {
	Queue     string `json:"queue"`
	Waiting   int64  `json:"waiting"`
	InFlight  int64  `json:"in_flight"`
	Done      int64  `json:"done"`
	Dead      int64  `json:"dead"`
	Discarded int64  `json:"discarded"` // dead letters that a person gave up
	Published int64  `json:"published"`
	Purged    int64  `json:"purged"` // done, and removed after the retention
	// OldestWaitingAt is when the oldest message that is waiting or in flight
	// was made; zero when there is none.
	OldestWaitingAt time.Time `json:"oldest_waiting_at,omitzero"`
}

// Missing is how many published messages are nowhere: 0, or something is broken.
func (s Stats) Missing() int64 {
	return s.Published - s.Waiting - s.InFlight - s.Done - s.Dead - s.Discarded - s.Purged
}
