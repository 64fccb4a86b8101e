package main

import (
	"slices"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// drillRow is one way in which a factory misbehaves, and what must come of it.
// Each row sells the only piece of a product, which orders drillQuantity.
type drillRow struct {
	name    string
	meaning string
	treat   []factory.Misbehaviour // what becomes of its calls in turn; the next ones are treated well
	// known has the factory deliver another product first, so that it is known
	// to reach us.
	known bool
	// policy are more lines of the factory in the catalogue.
	policy string
	// window is the time for a callback: short where it is to end.
	window time.Duration
	// after holds callbacks back until operations were told so: the goods come
	// late, but not by the clock.
	after string
	want  drillOutcome
}

// drillOutcome is what must come of a row, once nothing moves any more.
type drillOutcome struct {
	order    restock.OrderState
	attempts []restock.AttemptState
	receipts []restock.ReceiptState
	onHand   int64
	held     int64 // pieces that wait for a person
	posts    int   // calls that the factory saw
	told     []string
}

const (
	drillQuantity = 6
	windowLong    = time.Minute     // never ends in a drill
	windowShort   = time.Second     // ends at once
	windowMiddle  = 4 * time.Second // ends, but not before a good order is delivered
)

// What operations are told, as their mails say it.
const (
	toldOrderHeld    = "order held"
	toldOrderOverdue = "order overdue"
	toldReceiptHeld  = "receipt held"
)

// drillRows is the table of the drill.
func drillRows() []drillRow {
	return slices.Concat(drillWell(), drillAnswers(), drillSilence(), drillReports(), drillMixed(), drillSequences())
}

// delivered is the good end: one order, all goods, once.
func delivered(attempts ...restock.AttemptState) drillOutcome {
	return drillOutcome{
		order: restock.OrderReceived, attempts: append(attempts, restock.AttemptReceived),
		receipts: []restock.ReceiptState{restock.ReceiptApplied}, onHand: drillQuantity, posts: 1 + len(attempts),
	}
}

// heldForPerson is the end of an order of which nobody knows more.
func heldForPerson(told []string, attempts ...restock.AttemptState) drillOutcome {
	return drillOutcome{order: restock.OrderHeld, attempts: attempts, posts: len(attempts), told: told}
}

func treat(calls ...factory.Misbehaviour) []factory.Misbehaviour { return calls }

func told(titles ...string) []string { return titles }

// drillWell are the rows in which nobody has to do anything.
func drillWell() []drillRow {
	all := []factory.Misbehaviour{
		factory.WellBehaved, factory.Slow, factory.Drip, factory.AcceptHang, factory.AcceptReset, factory.Accept5xx, factory.HTML,
		factory.Mangled, factory.MangledCase, factory.MangledEncoded,
	}
	rows := make([]drillRow, 0, len(all))
	for _, m := range all {
		rows = append(rows, drillRow{name: string(m), meaning: m.Meaning(), treat: treat(m), want: delivered()})
	}
	return rows
}

// drillAnswers are the rows about answers that are no acceptance.
func drillAnswers() []drillRow {
	return []drillRow{
		{
			name: "busy", meaning: "429 with Retry-After; the second call is accepted", treat: treat(factory.Busy),
			want: delivered(restock.AttemptRejected),
		},
		{
			name: "refuse", meaning: "400: a person has to look, no second call", treat: treat(factory.Refuse),
			want: heldForPerson(told(toldOrderHeld), restock.AttemptRejected),
		},
		{
			name: "redirect", meaning: "307, which is not followed; then silence", treat: treat(factory.Redirect), window: windowShort,
			want: heldForPerson(told(toldOrderHeld), restock.AttemptOverdue),
		},
	}
}

// drillSilence are the rows in which the callback does not come, or late.
func drillSilence() []drillRow {
	reordered := delivered(restock.AttemptOverdue)
	reordered.told = told(toldOrderOverdue)
	late := delivered()
	late.told = told(toldOrderHeld)
	waited := delivered()
	waited.told = told(toldOrderOverdue)
	both := delivered(restock.AttemptReceived)
	both.told, both.onHand = told(toldOrderOverdue), 2*drillQuantity
	both.receipts = []restock.ReceiptState{restock.ReceiptApplied, restock.ReceiptApplied}
	return []drillRow{
		{
			name: "silent", meaning: "no callback from a factory that never called back: nothing is bought twice",
			treat: treat(factory.Silent), window: windowShort,
			want: heldForPerson(told(toldOrderHeld), restock.AttemptOverdue),
		},
		{
			name: "amnesia", meaning: "accepted and forgotten in a restart", treat: treat(factory.Amnesia), window: windowShort,
			want: heldForPerson(told(toldOrderHeld), restock.AttemptOverdue),
		},
		{
			name: "silent-known", meaning: "no callback from a factory that is known to call: ordered once more",
			treat: treat(factory.Silent), known: true, window: windowMiddle, after: toldOrderOverdue, want: reordered,
		},
		{
			name: "silent-twice", meaning: "the second attempt is not called back either: a person has to look",
			treat: treat(factory.Silent, factory.Silent), known: true, window: windowMiddle,
			want: heldForPerson(told(toldOrderHeld, toldOrderOverdue), restock.AttemptOverdue, restock.AttemptOverdue),
		},
		{
			name: "silent-policy-hold", meaning: "a known factory whose policy is hold", treat: treat(factory.Silent),
			known: true, window: windowMiddle, policy: "overdue: hold",
			want: heldForPerson(told(toldOrderHeld), restock.AttemptOverdue),
		},
		{
			name: "late", meaning: "the callback comes after the order was held", treat: treat(factory.Late),
			window: windowShort, after: toldOrderHeld, want: late,
		},
		{
			name: "late-policy-wait", meaning: "the callback comes late, and the policy is to wait", treat: treat(factory.Late),
			known: true, window: windowMiddle, policy: "overdue: wait", after: toldOrderOverdue, want: waited,
		},
		{
			name: "late-known", meaning: "the callback comes after a second attempt: both deliver",
			treat: treat(factory.Late), known: true, window: windowMiddle, after: toldOrderOverdue, want: both,
		},
	}
}

// drillReports are the rows about what the callbacks say.
func drillReports() []drillRow {
	applied, duplicate, held := restock.ReceiptApplied, restock.ReceiptDuplicate, restock.ReceiptHeld
	outcome := func(order restock.OrderState, attempt restock.AttemptState, onHand, held int64, receipts ...restock.ReceiptState) drillOutcome {
		o := drillOutcome{
			order: order, attempts: []restock.AttemptState{attempt}, receipts: receipts, onHand: onHand, held: held, posts: 1,
		}
		if held > 0 || receipts[0] == restock.ReceiptHeld {
			o.told = told(toldReceiptHeld)
		}
		return o
	}
	received := func(held int64, receipts ...restock.ReceiptState) drillOutcome {
		return outcome(restock.OrderReceived, restock.AttemptReceived, drillQuantity, held, receipts...)
	}
	const half = drillQuantity / 2
	row := func(m factory.Misbehaviour, want drillOutcome) drillRow {
		return drillRow{name: string(m), meaning: m.Meaning(), treat: treat(m), want: want}
	}
	apply := row(factory.EqualPartials, received(0, applied, applied))
	apply.name, apply.policy = "equal-partials-apply", "repeats: apply"
	apply.meaning = "the same from a factory that is known for it"
	return []drillRow{
		row(factory.Double, received(0, applied, duplicate)),
		row(factory.Partial, received(0, applied, applied, applied)),
		row(factory.EqualPartials, outcome(restock.OrderPartlyReceived, restock.AttemptAccepted, half, half, applied, held)),
		apply,
		row(factory.Excess, received(drillQuantity, applied)),
		row(factory.WrongProduct, outcome(restock.OrderAccepted, restock.AttemptAccepted, 0, drillQuantity, held)),
		row(factory.UnreadableCount, outcome(restock.OrderAccepted, restock.AttemptAccepted, 0, 0, held)),
	}
}

// drillMixed are the rows in which two bad things come together.
func drillMixed() []drillRow {
	row := func(m factory.Misbehaviour, want drillOutcome) drillRow {
		return drillRow{name: string(m), meaning: m.Meaning(), treat: treat(m), want: want}
	}
	twice, parts, tooMany := delivered(), delivered(), delivered()
	twice.receipts = append(twice.receipts, restock.ReceiptDuplicate)
	parts.receipts = append(parts.receipts, restock.ReceiptApplied, restock.ReceiptApplied)
	tooMany.held, tooMany.told = drillQuantity, told(toldReceiptHeld)
	return []drillRow{
		row(factory.AcceptReset+"+"+factory.Double, twice),
		row(factory.Accept5xx+"+"+factory.Partial, parts),
		row(factory.AcceptHang+"+"+factory.Excess, tooMany),
		row(factory.Drip+"+"+factory.Mangled, delivered()),
	}
}

// drillSequences are the rows in which one bad thing follows another.
func drillSequences() []drillRow {
	overdueThen := func(receipts ...restock.ReceiptState) drillOutcome {
		want := delivered(restock.AttemptOverdue)
		want.receipts, want.told = receipts, told(toldOrderOverdue)
		return want
	}
	lateExcess := delivered(restock.AttemptReceived)
	lateExcess.onHand, lateExcess.held = 2*drillQuantity, drillQuantity
	lateExcess.receipts = []restock.ReceiptState{restock.ReceiptApplied, restock.ReceiptApplied}
	lateExcess.told = told(toldOrderOverdue, toldReceiptHeld)
	return []drillRow{
		{
			name: "busy-then-accept-reset", meaning: "busy, then the accepted call is reset", treat: treat(factory.Busy, factory.AcceptReset),
			want: delivered(restock.AttemptRejected),
		},
		{
			name: "silent-then-double", meaning: "silent, then the second attempt is reported twice", treat: treat(factory.Silent, factory.Double),
			known: true, window: windowMiddle, after: toldOrderOverdue, want: overdueThen(restock.ReceiptApplied, restock.ReceiptDuplicate),
		},
		{
			name: "silent-then-partial", meaning: "silent, then the second attempt comes in parts", treat: treat(factory.Silent, factory.Partial),
			known: true, window: windowMiddle, after: toldOrderOverdue,
			want: overdueThen(restock.ReceiptApplied, restock.ReceiptApplied, restock.ReceiptApplied),
		},
		{
			name: "late-then-excess", meaning: "late, and the second attempt reports too many", treat: treat(factory.Late, factory.Excess),
			known: true, window: windowMiddle, after: toldOrderOverdue, want: lateExcess,
		},
	}
}
