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

// Digest is one mail to operations about all problems not yet told. It is
// stored before it is sent, so that a repeat carries the same Message-ID.
type Digest struct {
	ID        DigestID
	CreatedAt time.Time
	Problems  []Problem
	Total     int64 // Problems is cut to DigestProblemsMax; this is all of them
}

// TriesTold is after how many tries operations hear that a factory cannot be
// reached, or puts an order off.
const TriesTold = 5

// DigestProblemsMax bounds the problems that one mail lists; the rest is a count.
const DigestProblemsMax = 50
