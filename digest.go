package restock

import "time"

// ProblemKind says what operations have to look at.
type ProblemKind string

// The kinds of problem.
const (
	ProblemDeadLetter  ProblemKind = "dead_letter"
	ProblemOrderHeld   ProblemKind = "order_held"
	ProblemOrderLate   ProblemKind = "order_overdue"
	ProblemAwaiting    ProblemKind = "order_awaiting_approval"
	ProblemReceiptHeld ProblemKind = "receipt_held"
	ProblemNotPlaced   ProblemKind = "order_not_placed"
	// ProblemAttemptUnknown: an order is complete, and nobody knows whether the
	// factory has another attempt of it.
	ProblemAttemptUnknown ProblemKind = "attempt_unknown"
	ProblemRefusals       ProblemKind = "refusals"
	ProblemQueueOld       ProblemKind = ProblemKind(IncidentQueueOld)
	ProblemRelayStuck     ProblemKind = ProblemKind(IncidentRelayStuck)
	ProblemEngineAway     ProblemKind = ProblemKind(IncidentEngineAway)
	// ProblemAdUnanswered: nobody said that an advertisement was stopped, or runs again.
	ProblemAdUnanswered ProblemKind = "ad_unanswered"
)

// Problem is one thing that operations must know of, or many of one sort.
type Problem struct {
	Kind    ProblemKind
	ID      string // what `restock … show` takes; of many, the latest one's
	SKU     SKU
	Subject string // the queue or the engine, when it is about one
	Type    string // of dead letters: the type of message
	Summary string
	Since   time.Time // of many, the oldest one's
	Count   int64     // how many it stands for
}

// Audience is who is told of a problem.
type Audience string

// The audiences. Orders that await approval are the buyer's, while the
// catalogue names one; all else is for operations. Of orders that are overdue,
// refused, cannot be placed or may come twice the buyer gets a copy beside their mail.
const (
	Operations Audience = "operations"
	Buyer      Audience = "buyer"
)

// Channel is a way to tell an audience. Channels do not wait for each other.
type Channel string

// The channels. The webhook is for operations alone. A copy is a mail to the
// buyer, of the orders in a digest for operations.
const (
	ByMail    Channel = "mail"
	ByWebhook Channel = "webhook"
	ByCopy    Channel = "copy"
)

// DigestRequest asks for what an audience must be told now.
type DigestRequest struct {
	Audience Audience
	Channel  Channel
	// Webhook: operations have one, so that a new digest is to be told there too.
	Webhook bool
	// Gap is the least time between two new digests, and Lease how long nobody
	// else tells the one that was given.
	Gap, Lease time.Duration
}

// Digest is one message to an audience about all problems not yet told. It is
// stored before it is sent, so that a repeat carries the same id.
type Digest struct {
	ID       DigestID
	Audience Audience
	// To is the address of the buyer; "" is operations.
	To        string
	CreatedAt time.Time
	Problems  []Problem
	Total     int64 // Problems is cut to DigestProblemsMax; this is all of them
	// Recovered is what operations were told of and is over, cut likewise.
	Recovered []Recovery
}

// Empty reports whether there is nothing to tell: all solved itself.
func (d Digest) Empty() bool { return d.Total == 0 && len(d.Recovered) == 0 }

// UndeliveredPrefix begins the cause of a dead letter of the ops queue that is
// about a mail to somebody else than operations. They are told of it by mail;
// of all other dead letters of that queue a mail could come back, too, and so on.
const UndeliveredPrefix = "mail undelivered: "

// TriesTold is after how many tries operations hear that a factory cannot be
// reached, or puts an order off.
const TriesTold = 5

// ToldAgainAfter is when what waits for a person is told once more.
const ToldAgainAfter = 24 * time.Hour

// DigestProblemsMax bounds the problems that one message lists; the rest is a
// count.
const DigestProblemsMax = 50
