package simulation_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// storyMax is how much is kept of what happened to an order.
const storyMax = 40

// order is a replenishment order as the model knows it.
type order struct {
	id       restock.OrderID
	item     *item
	attempts []*attempt
	state    string    // as the rows said last
	held     string    // why, if so
	budget   int       // attempts beyond the first that the factory may have accepted
	retried  bool      // a person wants another attempt
	came     time.Time // when the last receipt was stored
	story    []string
}

// note keeps what happened, for the complaint.
func (o *order) note(w *world, format string, args ...any) {
	if len(o.story) == storyMax {
		o.story = append(o.story[:10], o.story[11:]...)
	}
	o.story = append(o.story, w.now().Format("2 15:04:05.000 ")+fmt.Sprintf(format, args...))
}

// attempt is one try to place an order, as the model knows it.
type attempt struct {
	order    *order
	number   int
	quantity int64
	tries    int
	written  int  // how often it went to the network
	accepted bool // by the factory, in truth
	refused  bool
	applied  int64
	approved int64 // beyond the quantity, by a person
	seen     map[[32]byte]*sighting

	state restock.AttemptState // as the rows said last
	sent  time.Time
	due   time.Time
}

// sighting is a body that came for an attempt.
type sighting struct {
	times int
	rows  []*receipt // the last one counts what has no row
}

// receipt is a row of what came.
type receipt struct {
	id      restock.ReceiptID
	attempt *attempt // nil of an orphan
	claimed int64    // 0 if it cannot be relied on
	state   string
	held    int64
}

// answer is what a factory is told.
type answer struct {
	ID      restock.ReceiptID `json:"receipt_id"`
	Message string            `json:"message"`
	Result  string            `json:"result"`
	Applied int64             `json:"applied"`
	Held    int64             `json:"held"`
}

// decided notes a decision.
func (w *world) decided(id restock.ProductID, d restock.Decision) {
	if !d.Order {
		return
	}
	for _, it := range w.items {
		if it.id == id {
			o := &order{id: d.OrderID, item: it, budget: 1}
			w.orders[o.id] = o
			w.known = append(w.known, o)
			o.note(w, "%d are ordered: %s", d.Quantity, d.Reason)
			it.open = append(it.open, o)
		}
	}
}

// claimed notes that an attempt is about to be sent.
func (w *world) claimed(c restock.Attempt) {
	o := w.orders[c.OrderID]
	o.note(w, "attempt %d of %d pieces is claimed, try %d", c.Number, c.Quantity, c.Tries)
	if c.Number <= len(o.attempts) {
		a := o.attempts[c.Number-1]
		a.tries++
		if a.written > 0 {
			w.broken("P1", o, "attempt %d is claimed again, and was written to the network", c.Number)
		}
		w.tally.count(sentAgainUnwritten)
		w.look(o)
		return
	}
	if c.Number != len(o.attempts)+1 {
		w.broken("I8", o, "attempt %d follows attempt %d", c.Number, len(o.attempts))
		return
	}
	if c.Number > 1 {
		w.checkNext(o, o.attempts[c.Number-2])
	}
	o.attempts = append(o.attempts, &attempt{
		order: o, number: c.Number, quantity: c.Quantity, tries: 1, seen: map[[32]byte]*sighting{},
		state: restock.AttemptSending, sent: c.SentAt,
	})
	w.checkBudget(o)
	w.look(o)
}

func (w *world) checkBudget(o *order) {
	if n := o.maybeAccepted(); n > 1+o.budget {
		w.broken("P2", o, "the factory may have accepted %d attempts; the budget is 1 and %d more", n, o.budget)
	}
}

func (o *order) maybeAccepted() (n int) {
	for _, a := range o.attempts {
		if !a.refused {
			n++
		}
	}
	return n
}

// checkNext holds the attempt before a new one against the rules: it was
// refused, or its window has passed while we could have been called.
func (w *world) checkNext(o *order, before *attempt) {
	switch {
	case o.retried:
		o.retried = false
		return
	case before.refused:
		w.tally.count(retriedRefused)
		return
	}
	if before.state != restock.AttemptOverdue {
		w.broken("I6", o, "attempt %d follows attempt %d, which is %s", before.number+1, before.number, before.state)
	}
	w.tally.count(reordered)
}

// deliver is a call of a factory to us.
func (w *world) deliver(r report) {
	switch {
	case w.complaint != "":
		return
	case w.away:
		w.tally.count(lostInOutage)
		if r.job != nil {
			r.job.attempt.order.note(w, "%s: nobody is there", r.name)
		}
		return
	}
	w.diskFull = !w.quiet && w.chance(2000)
	k := w.someone()
	request := httptest.NewRequestWithContext(w.ctx, http.MethodPost, r.path, strings.NewReader(r.body))
	recorder := httptest.NewRecorder()
	k.mux.ServeHTTP(recorder, request)
	full := w.diskFull
	w.diskFull = false
	switch {
	case r.job == nil && !r.orphan:
		w.tally.count(r.name)
		if recorder.Code != http.StatusUnauthorized {
			w.broken("P5", nil, "a forged token %s is answered with %d %s", r.path, recorder.Code, recorder.Body)
		}
		return
	case full:
		w.tally.count(notStored)
		if recorder.Code != http.StatusServiceUnavailable || recorder.Header().Get("Retry-After") == "" {
			w.broken("P5", r.order(), "what could not be stored is answered with %d", recorder.Code)
		}
		return
	}
	w.tally.count(callbacks)
	w.tally.count(r.name)
	var got answer
	if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil || recorder.Code != http.StatusOK {
		w.broken("P5", r.order(), "%s: %s %s is answered with %d %s", r.name, r.path, r.body, recorder.Code, recorder.Body)
		return
	}
	if r.orphan {
		w.receiveOrphan(r, got)
		return
	}
	w.receive(r, got)
}

func (r report) order() *order {
	if r.job == nil {
		return nil
	}
	return r.job.attempt.order
}

// receive computes by the rules of receiving what the answer must be.
func (w *world) receive(r report, got answer) {
	a := r.job.attempt
	o := a.order
	want, row := a.judge(r)
	if w.rng.IntN(4) == 0 || a.seen[hashOf(r.body)].times < 3 {
		o.note(w, "%s: attempt %d, %d of %d came; %d reported: %s %d, held %d",
			r.name, a.number, a.applied, a.quantity, r.count, got.Result, got.Applied, got.Held)
	}
	if got.Result != want.Result || got.Applied != want.Applied || got.Held != want.Held {
		promise := "P4"
		if got.Applied == want.Applied {
			promise = "I7"
		}
		w.broken(promise, o, "%s of %d for attempt %d (%d of %d came before) is %s %d, held %d; the rules say %s %d, held %d", r.name, r.count,
			a.number, a.applied, a.quantity, got.Result, got.Applied, got.Held, want.Result, want.Applied, want.Held)
		return
	}
	a.applied += got.Applied
	o.item.onHand += got.Applied
	if row != nil {
		o.came = w.now()
		if row.id = got.ID; row.state == "held" || row.held > 0 {
			w.held = append(w.held, row)
		}
	}
	if got.Applied > 0 && a.applied > a.quantity {
		w.broken("P4", o, "attempt %d received %d of %d", a.number, a.applied, a.quantity)
	}
	if told := remaining(got.Message); told != o.item.onHand {
		w.broken("P4", o, "the factory is told that %d remain, there must be %d", told, o.item.onHand)
	}
	w.tellApart(r, a, want)
	if a.seen[hashOf(r.body)].times < 4 || w.chance(20) {
		w.look(o)
	}
}

// remaining reads the number of the message "입고 완료! 남은 재고: 13".
func remaining(message string) int64 {
	n, err := strconv.ParseInt(message[strings.LastIndex(message, " ")+1:], 10, 64)
	if err != nil {
		return -1
	}
	return n
}

func hashOf(body string) [32]byte {
	return sha256.Sum256([]byte(body[:min(len(body), restock.BodyBytesKept)]))
}

// judge follows the rules of receiving, from what the model knows. The row is
// nil when what came is only counted.
func (a *attempt) judge(r report) (answer, *receipt) {
	s := a.seen[hashOf(r.body)]
	if s == nil {
		s = &sighting{}
		a.seen[hashOf(r.body)] = s
	}
	s.times++
	verdict := a.verdict(r, s.times > 1)
	if n := len(s.rows); n > 1 && s.rows[n-1].state != "applied" && verdict.Applied == 0 {
		return answer{Result: s.rows[n-1].state, Held: s.rows[n-1].held}, nil
	}
	row := &receipt{attempt: a, claimed: r.count, state: verdict.Result, held: verdict.Held}
	s.rows = append(s.rows, row)
	return verdict, row
}

// missing is what may still be applied without a person.
func (a *attempt) missing() int64 { return max(0, a.quantity-a.applied) }

func (a *attempt) verdict(r report, seen bool) answer {
	missing := a.missing()
	switch {
	case seen && missing == 0:
		return answer{Result: "duplicate"}
	case seen && !a.order.item.appliesRepeats, r.mismatch, r.count <= 0, missing == 0:
		return answer{Result: "held", Held: r.count}
	case r.count > missing:
		return answer{Result: "applied", Applied: missing, Held: r.count - missing}
	default:
		return answer{Result: "applied", Applied: r.count}
	}
}

// tellApart counts the rare cases among the answers.
func (w *world) tellApart(r report, a *attempt, got answer) {
	s, o := a.seen[hashOf(r.body)], a.order
	switch {
	case s.times > len(s.rows):
		w.tally.count(repeatCounted)
	case s.times > 1 && got.Result == "duplicate":
		w.tally.count(duplicateOfComplete)
	case s.times > 1 && got.Result == "held":
		w.tally.count(seenAndMissing)
	case s.times > 1:
		w.tally.count(repeatApplied)
	case r.mismatch:
		w.tally.count(heldMismatch)
	case r.count == 0:
		w.tally.count(heldUnreadable)
	case got.Applied == 0:
		w.tally.count(heldExcess)
	case got.Held > 0:
		w.tally.count(splitExcess)
	case a.applied < a.quantity:
		w.tally.count(appliedPartly)
	}
	if got.Applied == 0 {
		return
	}
	switch a.state {
	case restock.AttemptSending:
		w.tally.count(appliedWhileSending)
	case restock.AttemptUnknown:
		w.tally.count(appliedToUnknown)
	case restock.AttemptOverdue:
		w.tally.count(appliedToOverdue)
	default:
	}
	if closed(o.state) {
		w.tally.count(appliedToClosed)
	}
	if a.number < len(o.attempts) {
		w.tally.count(firstAfterSecondSent)
		if o.attempts[a.number].applied > 0 {
			w.tally.count(firstAfterSecond)
		}
	}
	if a.number > 1 && o.attempts[a.number-2].applied > 0 {
		w.tally.count(secondAfterFirst)
	}
}

// receiveOrphan looks at the answer to a call for an order that we do not know.
func (w *world) receiveOrphan(r report, got answer) {
	w.orphans++
	if !slices.ContainsFunc(w.held, func(h *receipt) bool { return h.id == got.ID }) {
		w.held = append(w.held, &receipt{id: got.ID, claimed: r.count, state: "held", held: r.count})
	}
	if got.Result != "held" || got.Applied != 0 || got.Held != r.count {
		w.broken("P5", nil, "a call for an order that we do not know is answered with %+v", got)
	}
}

// settled notes that an answer was stored.
func (w *world) settled(c restock.Attempt, answer restock.Answered) {
	o := w.orders[c.OrderID]
	a := o.attempts[c.Number-1]
	o.note(w, "attempt %d is answered: %s %d", a.number, answer.State, answer.Status)
	if answer.State == restock.AttemptAccepted {
		switch {
		case a.state == restock.AttemptReceived:
			w.tally.count(late2xxAfterReceived)
		case a.state != restock.AttemptSending:
			w.tally.count(late2xx)
		}
	}
	w.heard(w.makers[o.item.maker], answer)
	before := a.state
	w.look(o)
	if before == restock.AttemptSending && a.state == restock.AttemptRejected && answer.RetryAt.IsZero() {
		if o.state != string(restock.OrderHeld) && !closed(o.state) || closed(o.state) && o.applied() == 0 {
			w.broken("P3", o, "attempt %d was refused with %d, and the order is %s, not held", a.number, answer.Status, o.state)
		}
		w.tally.count(refusedHeld)
	}
}

// heard notes what an answer says of a factory as a whole.
func (w *world) heard(m *maker, answer restock.Answered) {
	switch {
	case answer.State == restock.AttemptNotSent || answer.State == restock.AttemptUnknown:
		if m.failures++; m.failures == breakerFailures {
			w.tally.count(breakerOpened)
		}
	case answer.State == restock.AttemptAccepted || answer.RetryAt.IsZero():
		m.failures = 0
	}
	if until := w.now().Add(answer.RetryAfter); answer.RetryAfter > 0 && until.After(m.busy) {
		m.busy = until
	}
}

func (o *order) applied() (n int64) {
	for _, a := range o.attempts {
		n += a.applied
	}
	return n
}

// chased notes that somebody looked at an order whose time was over.
func (w *world) chased(id restock.OrderID) {
	o := w.orders[id]
	before := o.state
	attempt := *o.attempts[len(o.attempts)-1]
	o.note(w, "its time is over; it was %s", before)
	w.look(o)
	last := o.attempts[len(o.attempts)-1]
	gap := w.wasAway(attempt.sent, attempt.due)
	switch {
	case last.state == restock.AttemptUnknown && attempt.state == restock.AttemptSending:
		w.tally.count(leaseOver)
	case o.state == before && before == string(restock.OrderOverdue):
		w.tally.count(waitingByPolicy)
	case o.state == before:
		w.tally.count(waitedOn)
	case o.state == string(restock.OrderPlanned):
		w.tally.count(overdueReordered)
		if gap {
			w.broken("I6", o, "attempt %d is ordered again, though we were away when the factory may have called", last.number)
		}
	case o.state == string(restock.OrderClosedShort):
		w.tally.count(closedShort)
		if w.wasAway(o.came, w.now()) {
			w.broken("I6", o, "the order is closed short, and so ordered again, though we were away when the rest may have been reported")
		}
	case o.state == string(restock.OrderOverdue):
		w.tally.count(waitingByPolicy)
	case o.state == string(restock.OrderHeld):
		w.tally.count(whyHeld(o.held))
		if gap && before != string(restock.OrderPartlyReceived) && !strings.Contains(o.held, "nobody was here") {
			w.tally.count(gapHeldOtherwise)
		}
	}
}

// whyHeld tells the reasons apart for which an overdue order is held.
func whyHeld(reason string) branch {
	for _, r := range []struct {
		text string
		b    branch
	}{
		{"nobody was here", gapHeld},
		{"were not delivered in time", budgetHeld},
		{"never yet at", neverCalledHeld},
		{"are overdue too", othersHeld},
		{"has not called back in time;", policyHeld},
		{"the time to wait for", waitOverHeld},
		{"did call, and", reportsHeld},
	} {
		if strings.Contains(reason, r.text) {
			return r.b
		}
	}
	return branch("order: held otherwise: " + reason)
}

// wasAway reports whether nobody could call us for some of a window. The beat
// before a gap stands for a while after it.
func (w *world) wasAway(from, until time.Time) bool {
	const stands = 3 * beatInterval
	for _, g := range w.gaps {
		if begin := g.from.Add(stands); begin.Before(until) && begin.Before(g.until) && g.until.After(from) {
			return true
		}
	}
	return false
}

func closed(state string) bool { return !restock.OrderState(state).Open() }

// pathOf computes the callback address of an attempt after our public URL: its
// token has the form that is documented.
func (w *world) pathOf(id restock.OrderID, number int, slug string) string {
	key := w.keys[len(w.keys)-1]
	token := append([]byte{1, key.ID}, id[:]...)
	token = binary.BigEndian.AppendUint16(token, uint16(number))
	h := hmac.New(sha256.New, key.Secret)
	h.Write([]byte("cb1"))
	h.Write(token)
	token = append(token, h.Sum(nil)[:16]...)
	text := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(token))
	return "/product/" + url.PathEscape(slug) + "?token=" + text
}
