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
	ProblemRefusals    ProblemKind = "refusals"
)

// Problem is one thing that operations must know of.
type Problem struct {
	Kind    ProblemKind
	ID      string // what `restock … show` takes
	SKU     SKU
	Summary string
	Since   time.Time
}

// Audience is who is told of a problem.
type Audience string

// The audiences. Orders that await approval are the buyer's, while the
// catalogue names one; all else is for operations.
const (
	Operations Audience = "operations"
	Buyer      Audience = "buyer"
)

// Digest is one mail to an audience about all problems not yet told. It is
// stored before it is sent, so that a repeat carries the same Message-ID.
type Digest struct {
	ID       DigestID
	Audience Audience
	// To is the address of the buyer; "" is operations.
	To        string
	CreatedAt time.Time
	Problems  []Problem
	Total     int64 // Problems is cut to DigestProblemsMax; this is all of them
}

// TriesTold is after how many tries operations hear that a factory cannot be
// reached, or puts an order off.
const TriesTold = 5

// ToldAgainAfter is when what waits for a person is told once more.
const ToldAgainAfter = 24 * time.Hour

// DigestProblemsMax bounds the problems that one mail lists; the rest is a count.
const DigestProblemsMax = 50
