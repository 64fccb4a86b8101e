package restock

import "time"

// IncidentKind names a condition that is a problem while it lasts, and that no
// row of the business shows.
type IncidentKind string

// The kinds of incident.
const (
	IncidentQueueOld   IncidentKind = "queue_old"   // the oldest message of a queue waits for too long
	IncidentRelayStuck IncidentKind = "relay_stuck" // what is to go to the broker waits for too long
	IncidentEngineAway IncidentKind = "engine_away" // the broker does not answer
	// IncidentDeadLetters remembers that operations were told of dead letters, so
	// that they are told once when there are none any more.
	IncidentDeadLetters IncidentKind = "dead_letters"
)

// IncidentKinds lists all kinds.
func IncidentKinds() []IncidentKind {
	return []IncidentKind{IncidentQueueOld, IncidentRelayStuck, IncidentEngineAway, IncidentDeadLetters}
}

// Incident is one stretch of time in which a condition lasted.
type Incident struct {
	ID      IncidentID   `json:"id"`
	Kind    IncidentKind `json:"kind"`
	Subject string       `json:"subject,omitempty"` // the queue or the engine
	Detail  string       `json:"detail,omitempty"`
	BeganAt time.Time    `json:"began_at"`
	SeenAt  time.Time    `json:"seen_at"`
	// EndedAt is since when it is not seen any more; an incident that is open and
	// has one is over unless it is seen again soon.
	EndedAt time.Time `json:"ended_at,omitzero"`
}

// Condition is what one look found about an incident that there is or may be.
type Condition struct {
	Kind    IncidentKind
	Subject string
	State   ConditionState
	Since   time.Time // when it began, as far as the look tells
	Detail  string
}

// ConditionState says whether a condition is there.
type ConditionState int

// The states of a condition.
const (
	Clear ConditionState = iota
	// Suspected keeps an incident that is open from closing, and opens none: one
	// look may err.
	Suspected
	Present
)

// Look is what was seen at one moment.
type Look struct {
	Conditions []Condition
	// Complete: everything was seen, so that what is not listed is clear.
	Complete bool
}

// Recovery is an incident that operations were told of, and that is over.
type Recovery struct {
	Kind         IncidentKind
	Subject      string
	Since, Until time.Time
}
