package simulation_test

// How calls to the factory end.
const (
	endAccepted        branch = "call: accepted, 201"
	endTimeoutAccepted branch = "call: accepted, and no answer in time"
	endResetAccepted   branch = "call: accepted, and the connection reset"
	endErrorAccepted   branch = "call: accepted, and 500 answered"
	endError           branch = "call: 502 of a sick factory, accepted or not"
	endTimeoutLost     branch = "call: not accepted, and no answer in time"
	endNotSent         branch = "call: not sent, proven"
	endTooMany         branch = "call: 429 with Retry-After"
	endRefused         branch = "call: refused with 400"
	endDiedBefore      branch = "call: our process died before a byte was written"
	endDiedAfter       branch = "call: our process died before it heard the answer"
	endFrozen          branch = "call: our process slept beyond its lease"
	endEarly           branch = "call: accepted, the callback before the answer"
	endEarlyTimeout    branch = "call: the callback came, the answer never"
)

// What factories report.
const (
	reportOnce            branch = "report: all, once"
	reportNever           branch = "report: never"
	reportDuplicate       branch = "report: all, two to five times"
	reportBurst           branch = "report: all, hundreds of times"
	reportPartial         branch = "report: a part"
	reportPartialRepeated branch = "report: a part once more"
	reportHalf            branch = "report: a half, twice"
	reportExcess          branch = "report: more than was asked for"
	reportLate            branch = "report: late"
	reportWrong           branch = "report: another product, factory or requester"
	reportAfterTrouble    branch = "report: all, after one that was held"
	reportZero            branch = "report: zero"
	reportNegative        branch = "report: a negative count"
	reportExponent        branch = "report: 1e3"
	reportKeyTwice        branch = "report: the count twice"
	reportNotJSON         branch = "report: no JSON"
	reportOversized       branch = "report: too long"
	reportMangled         branch = "report: the address mangled, the echo good"
	reportThenSilence     branch = "report: a part, then silence"
	reportMoreAfterAll    branch = "report: still more after all"
	reportOrphan          branch = "report: of an order that we do not know"
	reportForged          branch = "report: a forged token"
)

// What came of it.
const (
	duplicateOfComplete  branch = "receipt: duplicate of a complete attempt"
	seenAndMissing       branch = "receipt: seen before, and pieces are missing: held"
	repeatCounted        branch = "receipt: counted on the first repeat"
	repeatApplied        branch = "receipt: a repeat applied, as the factory is set"
	heldMismatch         branch = "receipt: held as mismatch"
	heldUnreadable       branch = "receipt: held as unreadable"
	heldExcess           branch = "receipt: held, all came before"
	splitExcess          branch = "receipt: applied in part, the excess held"
	appliedPartly        branch = "receipt: applied, more is missing"
	appliedWhileSending  branch = "receipt: applied while the attempt was sending"
	appliedToUnknown     branch = "receipt: applied to an unknown attempt"
	appliedToOverdue     branch = "receipt: applied to an overdue attempt"
	appliedToClosed      branch = "receipt: applied after the order closed"
	firstAfterSecondSent branch = "receipt: the first attempt's, after the second was sent"
	firstAfterSecond     branch = "receipt: the first attempt's, after the second's"
	secondAfterFirst     branch = "receipt: the second attempt's, after the first's"
	notStored            branch = "receipt: not stored, 503"
	lostInOutage         branch = "receipt: lost, nobody was there"
	late2xx              branch = "answer: 201 after the lease or the callback"
	late2xxAfterReceived branch = "answer: 201 after all goods came"
	answerNotStored      branch = "answer: could not be stored"
	sentAgainUnwritten   branch = "order: claimed again after it was proven not sent"
	retriedRefused       branch = "order: another attempt after a refusal for now"
	reordered            branch = "order: a second attempt after the window"
	overdueReordered     branch = "order: overdue, to be ordered again"
	gapHeld              branch = "order: overdue, and we were away for a while: held"
	gapHeldOtherwise     branch = "order: overdue, and we were away for a while: held for another reason"
	budgetHeld           branch = "order: overdue, the budget used up: held"
	neverCalledHeld      branch = "order: overdue, and its factory never called us yet: held"
	othersHeld           branch = "order: overdue, and most others too: held"
	policyHeld           branch = "order: overdue, by its factory's policy held"
	reportsHeld          branch = "order: overdue, and its reports wait for a person: held"
	waitOverHeld         branch = "order: waited for, and not come: held"
	waitingByPolicy      branch = "order: overdue, by its factory's policy waited for"
	waitedOn             branch = "order: its window goes on, since we were away"
	breakerOpened        branch = "factory: the breaker opens"
	probed               branch = "factory: a probe"
	closedShort          branch = "order: closed short"
	leaseOver            branch = "order: its sender's lease ran out, unknown"
	refusedHeld          branch = "order: refused, held"
	receiptRefused       branch = "person: refuses what is held"
	receiptApproved      branch = "person: approves what is held"
	approvedBeyond       branch = "person: approves more than was asked for"
	orphanApproved       branch = "person: approves goods of an order that we do not know"
	goodsBooked          branch = "person: books goods that came without a call"
	orderWaits           branch = "person: lets an order wait"
	orderRetried         branch = "person: wants another attempt"
	orderWrittenOff      branch = "person: writes an order off"
	crashedWhileSending  branch = "process: killed while it was sending"
	startedWhileSending  branch = "process: started while another was sending"
	messageDropped       branch = "message: its handler died before it looked"
	messageRepeated      branch = "message: handled, and comes again"
	planFailed           branch = "message: the decision could not be stored"
	ourOutage            branch = "world: nobody of us is there for minutes"
	clockBack            branch = "world: the clock is set back"
	clockJump            branch = "world: the clock leaps forward"
)

// mustHappen lists what every full run has to see.
func mustHappen() []branch {
	return []branch{
		callbacks, endAccepted, endTimeoutAccepted, endResetAccepted, endErrorAccepted, endError, endTimeoutLost, endNotSent,
		endTooMany, endRefused, endDiedBefore, endDiedAfter, endFrozen, endEarly, endEarlyTimeout,
		reportOnce, reportNever, reportDuplicate, reportBurst, reportPartial, reportPartialRepeated, reportHalf, reportExcess,
		reportLate, reportWrong, reportAfterTrouble, reportZero, reportNegative, reportExponent, reportKeyTwice, reportNotJSON,
		reportOversized, reportMangled, reportThenSilence, reportMoreAfterAll, reportOrphan, reportForged,
		duplicateOfComplete, seenAndMissing, repeatCounted, heldMismatch, heldUnreadable, heldExcess, splitExcess, appliedPartly,
		appliedWhileSending, appliedToUnknown, appliedToOverdue, appliedToClosed, firstAfterSecondSent, firstAfterSecond,
		secondAfterFirst, notStored, lostInOutage, late2xx, late2xxAfterReceived, answerNotStored, sentAgainUnwritten,
		retriedRefused, reordered, overdueReordered, gapHeld, budgetHeld, neverCalledHeld, othersHeld,
		policyHeld, waitingByPolicy, waitedOn, breakerOpened, probed, repeatApplied, closedShort, leaseOver, refusedHeld,
		waitOverHeld, reportsHeld, receiptRefused, receiptApproved, approvedBeyond, orphanApproved, goodsBooked, orderWaits, orderRetried, orderWrittenOff,
		crashedWhileSending, startedWhileSending, messageDropped, messageRepeated, planFailed, ourOutage, clockJump, clockBack,
	}
}
