package simulation_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// mood is how a factory behaves for a while.
type mood int

const (
	fine mood = iota // it answers, with a mishap now and then
	down             // nobody can connect
	sick             // it answers with errors, and may accept all the same
	busy             // it asks to come later
)

// maker is a factory.
type maker struct {
	restock.CatalogFactory

	mood  mood
	calls []*call     // on the wire now
	began []time.Time // the latest calls
	busy  time.Time   // until when it asked not to be called

	failures        int // in a row, as they were stored
	firsts, retries int
}

func newMaker(w *world, i int) *maker {
	m := &maker{CatalogFactory: restock.CatalogFactory{
		Identifier: fmt.Sprintf("FF-%d", i), URL: fmt.Sprintf("http://factory-%d.example/api/manufactures", i), Requester: "김재고",
		LeadTime: time.Duration(20+10*i) * time.Second, MaxInFlight: 2 + w.rng.Int64N(2), RatePerSecond: 5,
	}}
	switch i {
	case 3:
		m.Overdue, m.Repeats = restock.OverdueHold, restock.RepeatsApply
	case 4:
		m.Overdue, m.RefusedStatuses = restock.OverdueWait, []int{http.StatusBadGateway}
	}
	return m
}

// changeMood lets a factory have a bad time.
func (w *world) changeMood() {
	m := pick(w, w.makers)
	m.mood = pick(w, []mood{down, sick, busy})
	w.after(w.about(time.Minute), func() { m.mood = fine })
}

// call is one attempt on the wire.
type call struct {
	attempt *attempt
	lease   time.Time
	after   int // failures in a row
}

// ending is what becomes of a call.
type ending struct {
	name    branch
	written bool // it left us
	accept  bool
	died    bool // our process does not hear the answer
	early   bool // goods are reported before the answer
	takes   time.Duration
	answer  restock.Answer
}

func unknown(text string) restock.Answer {
	return restock.Answer{State: restock.AttemptUnknown, Error: text}
}

func accepted() restock.Answer {
	return restock.Answer{State: restock.AttemptAccepted, Status: http.StatusCreated, FactoryRef: "4711"}
}

func notSent() ending {
	return ending{name: endNotSent, answer: restock.Answer{State: restock.AttemptNotSent, Error: "connection refused"}}
}

// draw chooses how a call ends.
func (m *maker) draw(w *world) ending {
	takes := w.between(10*time.Millisecond, 2*time.Second)
	usual := ending{name: endAccepted, written: true, accept: true, takes: takes, answer: accepted()}
	if w.quiet {
		return usual
	}
	n := w.rng.IntN(1000)
	switch m.mood {
	case down:
		if n < 900 {
			return notSent()
		}
	case sick:
		if n < 700 {
			return ending{name: endError, written: true, accept: n < 300 && len(m.RefusedStatuses) == 0, takes: takes, answer: restock.Answer{
				State: restock.AttemptUnknown, Status: http.StatusBadGateway, Error: "factory answered 502",
			}}
		}
	case busy:
		if n < 700 {
			return m.tooMany(w, takes)
		}
	case fine:
	}
	return m.mishap(w, w.rng.IntN(1000), usual)
}

// mishap is what can happen in the best of moods.
func (m *maker) mishap(w *world, n int, usual ending) ending {
	const timeout = factory.TotalTimeout
	e := usual
	switch {
	case n < 60:
		e.name, e.takes, e.answer = endTimeoutAccepted, timeout, unknown("no complete answer within 15s")
	case n < 90:
		e.name, e.answer = endResetAccepted, unknown("connection reset")
	case n < 120:
		e.name, e.answer = endErrorAccepted, unknown("factory answered 500, it may have accepted")
		e.answer.Status = http.StatusInternalServerError
	case n < 150:
		e.name, e.accept, e.takes, e.answer = endTimeoutLost, false, timeout, unknown("no complete answer within 15s")
	case n < 180:
		return notSent()
	case n < 205:
		return m.tooMany(w, usual.takes)
	case n < 220:
		e.name, e.accept = endRefused, false
		e.answer = restock.Answer{State: restock.AttemptRejected, Status: http.StatusBadRequest, Error: "factory refused with 400"}
	case n < 228:
		e = ending{name: endDiedBefore, died: true, takes: usual.takes}
	case n < 240:
		e.name, e.died = endDiedAfter, true
	case n < 252:
		e.name, e.takes = endFrozen, w.between(30*time.Second, 200*time.Second)
	case n < 310:
		e.name, e.early, e.takes = endEarly, true, w.between(time.Second, timeout)
	case n < 325:
		e.name, e.early, e.takes, e.answer = endEarlyTimeout, true, timeout, unknown("no complete answer within 15s")
	}
	return e
}

func (m *maker) tooMany(w *world, takes time.Duration) ending {
	return ending{name: endTooMany, written: true, takes: takes, answer: restock.Answer{
		State: restock.AttemptRejected, Status: http.StatusTooManyRequests, RetryAfter: w.between(time.Second, 90*time.Second),
		Error: "factory refused with 429",
	}}
}

// call is one attempt on the network, from the first byte to the answer.
func (w *world) call(k *worker, claim restock.Attempt, r factory.Request) restock.Answer {
	o := w.orders[claim.OrderID]
	a := o.attempts[claim.Number-1]
	m := w.makers[o.item.maker]
	e := m.draw(w)
	w.tally.count(e.name)
	o.note(w, "attempt %d: %s", a.number, e.name)
	w.checkCall(m, a, k.publicURL, r)
	c := &call{attempt: a, lease: claim.LeaseUntil, after: m.failures}
	m.calls, m.began = append(m.calls, c), append(m.began, w.now())
	defer func() { m.calls = slices.DeleteFunc(m.calls, func(o *call) bool { return o == c }) }()
	if e.written {
		a.written++
		if a.written > 1 {
			w.broken("P1", o, "attempt %d is written to the network for the %d. time", a.number, a.written)
		}
	}
	a.refused = e.answer.State == restock.AttemptRejected || slices.Contains(m.RefusedStatuses, e.answer.Status)
	if e.accept {
		w.accept(m, a, r, e.early)
	}
	if e.died {
		k.pause(min(e.takes, time.Second))
		if !k.dead {
			w.after(0, func() { w.replaceWorker(k) })
			k.pause(time.Hour)
		}
		return restock.Answer{}
	}
	if !k.pause(e.takes) {
		return restock.Answer{}
	}
	return e.answer
}

// checkCall holds what the factory sees against what was promised to it.
func (w *world) checkCall(m *maker, a *attempt, publicURL string, r factory.Request) {
	o, now := a.order, w.now()
	if r.Count != a.quantity || r.ProductID != string(o.item.SKU) || r.FactoryID != m.Identifier || r.Requester != m.Requester {
		w.broken("P4", o, "attempt %d asks for %+v, claimed were %d of %s", a.number, r, a.quantity, o.item.SKU)
	}
	if want := publicURL + w.pathOf(o.id, a.number, o.item.Slug); r.CallbackURL != want {
		w.broken("P2", o, "attempt %d has the address %s, want %s", a.number, r.CallbackURL, want)
	}
	var inFlight int64
	for _, c := range m.calls {
		if c.lease.After(now) && c.attempt.state == restock.AttemptSending {
			inFlight++
		}
	}
	if inFlight >= m.MaxInFlight {
		w.broken("I9", o, "%s has %d calls in flight and gets another; it bears %d", m.Identifier, inFlight, m.MaxInFlight)
	}
	m.began = slices.DeleteFunc(m.began, func(at time.Time) bool { return now.Sub(at) >= time.Second })
	if float64(len(m.began)) >= m.RatePerSecond+1 {
		w.broken("I9", o, "%s gets %d calls within a second; it bears %v", m.Identifier, len(m.began)+1, m.RatePerSecond)
	}
	if now.Before(m.busy) {
		w.broken("I9", o, "%s is called %v before the time that it asked for", m.Identifier, m.busy.Sub(now))
	}
	w.checkBreaker(m, a)
	w.checkRetries(m, a)
}

// breakerFailures in a row open the breaker; then there is one call at a time.
const breakerFailures = 5

func (w *world) checkBreaker(m *maker, a *attempt) {
	if m.failures < breakerFailures {
		return
	}
	w.tally.count(probed)
	for _, c := range m.calls {
		if c.after >= breakerFailures && c.lease.After(w.now()) && c.attempt.state == restock.AttemptSending {
			w.broken("I9", a.order, "%s failed %d times in a row, and gets a second probe at once", m.Identifier, m.failures)
		}
	}
}

// checkRetries holds the budget: a tenth of the first tries, one a minute, and
// a handful at once.
func (w *world) checkRetries(m *maker, a *attempt) {
	if a.number == 1 && a.tries == 1 {
		m.firsts++
		return
	}
	m.retries++
	const burst = 10
	most := burst + float64(m.firsts)/10 + w.now().Sub(w.began).Minutes()
	if float64(m.retries) > most {
		w.broken("I9", a.order, "%s gets retry %d after %d first tries in %v", m.Identifier, m.retries, m.firsts, w.now().Sub(w.began))
	}
}

// job is an order that the factory has accepted.
type job struct {
	attempt *attempt
	address string
	r       factory.Request
}

// accept takes an order, and plans what will be reported of it, and when.
func (w *world) accept(m *maker, a *attempt, r factory.Request, early bool) {
	a.accepted = true
	j := &job{a, r.CallbackURL, r}
	lead := w.about(m.LeadTime)
	if early {
		lead = w.between(10*time.Millisecond, time.Second)
	}
	reports := j.draw(w)
	for _, p := range reports {
		w.after(lead+p.after, func() { w.deliver(p) })
	}
}

// report is one call back.
type report struct {
	name  branch
	job   *job // nil if the token is not ours, or its order unknown
	after time.Duration
	path  string
	body  string
	// What a careful reader makes of it.
	count    int64 // 0 if it cannot be relied on
	mismatch bool
	orphan   bool
}

// honest is the echo of a count.
func (j *job) honest(name branch, after time.Duration, count int64) report {
	return report{
		name: name, job: j, after: after, count: count, path: pathAt(j.address), body: j.echo(fmt.Sprintf("%q", fmt.Sprint(count))),
	}
}

// echo is the body that a factory sends back, with another count.
func (j *job) echo(count string) string {
	return fmt.Sprintf(`{"MessageGroupId":"stock-arrival-group","MessageAttributeProductId":%q,"MessageAttributeProductCnt":%s,`+
		`"MessageAttributeFactoryId":%q,"MessageAttributeRequester":%q,"CallbackUrl":%q}`,
		j.r.ProductID, count, j.r.FactoryID, j.r.Requester, j.address)
}

func pathAt(address string) string {
	_, path, _ := strings.Cut(address, "/product/")
	return "/product/" + path
}

// draw chooses what is reported of a job.
func (j *job) draw(w *world) []report {
	q := j.r.Count
	n := w.rng.IntN(1000)
	if w.quiet {
		n = 0
	}
	switch {
	case n < 330:
		return []report{j.honest(reportOnce, 0, q)}
	case n < 410:
		w.tally.count(reportNever)
		return nil
	case n < 560:
		return j.again(w, j.honest(reportDuplicate, 0, q), 1+w.rng.IntN(4))
	case n < 575:
		return j.again(w, j.honest(reportBurst, 0, q), 100+w.rng.IntN(1500))
	case n < 640:
		return j.partials(w, q)
	case n < 690:
		return j.halves(w, q)
	case n < 740:
		return []report{j.honest(reportExcess, 0, q+1+w.rng.Int64N(q))}
	case n < 800:
		return []report{j.honest(reportLate, w.between(2*time.Minute, 20*time.Minute), q)}
	case n < 840:
		return j.wrong(w, q)
	case n < 900:
		return j.unreadable(w, q)
	case n < 950:
		return j.mangled(w, q)
	case n < 980:
		return []report{j.honest(reportThenSilence, 0, 1+w.rng.Int64N(max(1, q-1)))}
	default: // more goods than were asked for, after all of them
		return []report{j.honest(reportOnce, 0, q), j.honest(reportMoreAfterAll, w.about(time.Minute), 1+w.rng.Int64N(q))}
	}
}

// again repeats a report.
func (j *job) again(w *world, r report, times int) []report {
	all := []report{r}
	for range times {
		r.after += time.Duration(w.rng.Int64N(int64(2 * time.Second)))
		if times > 50 {
			r.after = time.Duration(w.rng.Int64N(int64(2 * time.Second)))
		}
		all = append(all, r)
	}
	return all
}

// partials are two to four that differ and add up.
func (j *job) partials(w *world, q int64) []report {
	var all []report
	var after time.Duration
	for i := range 1 + w.rng.IntN(3) {
		part := 1 + int64(i) + w.rng.Int64N(max(1, q/4))
		if part >= q {
			break
		}
		all, q = append(all, j.honest(reportPartial, after, part)), q-part
		after += w.about(20 * time.Second)
	}
	all = append(all, j.honest(reportPartial, after, q))
	if w.chance(4) { // and one of them once more
		repeated := pick(w, all)
		repeated.name, repeated.after = reportPartialRepeated, w.about(40*time.Second)
		all = append(all, repeated)
	}
	return all
}

// halves are two equal reports: a repeat, or the second half?
func (j *job) halves(w *world, q int64) []report {
	half := max(1, q/2)
	return []report{j.honest(reportHalf, 0, half), j.honest(reportHalf, w.about(20*time.Second), half)}
}

// wrong reports something else than what was ordered.
func (j *job) wrong(w *world, q int64) []report {
	r := j.honest(reportWrong, 0, q)
	other := *j
	switch w.rng.IntN(3) {
	case 0:
		other.r.ProductID = "CP-999"
	case 1:
		other.r.FactoryID = "FF-999"
	default:
		other.r.Requester = "somebody"
	}
	r.body, r.mismatch = other.echo(fmt.Sprintf("%q", fmt.Sprint(q))), true
	if w.chance(2) {
		return []report{r}
	}
	return []report{r, j.honest(reportAfterTrouble, w.about(10*time.Second), q)}
}

// unreadable is a count, or a body, of which nobody knows what it means.
func (j *job) unreadable(w *world, q int64) []report {
	type fault struct {
		name branch
		body string
	}
	text := j.echo(fmt.Sprintf("%q", fmt.Sprint(q)))
	f := pick(w, []fault{
		{reportZero, j.echo(`"0"`)},
		{reportNegative, j.echo(fmt.Sprintf(`"-%d"`, q))},
		{reportExponent, j.echo(`"1e3"`)},
		{reportExponent, j.echo(`1e3`)},
		{reportKeyTwice, strings.Replace(text, "{", `{"MessageAttributeProductCnt":"1",`, 1)},
		{reportNotJSON, "<html>200 OK</html>"},
		{reportNotJSON, ""},
		{reportNotJSON, text[:len(text)/2]},
		{reportOversized, text + strings.Repeat(" ", 2*restock.BodyBytesKept)},
	})
	r := j.honest(f.name, 0, 0)
	r.body = f.body
	if w.chance(3) {
		return []report{r, r, r}
	}
	return []report{r, j.honest(reportAfterTrouble, w.about(10*time.Second), q)}
}

// mangled spoils the address and leaves its echo in the body.
func (j *job) mangled(w *world, q int64) []report {
	r := j.honest(reportMangled, 0, q)
	switch w.rng.IntN(4) {
	case 0:
		r.path = strings.Replace(strings.ToUpper(r.path), "/PRODUCT/", "/product/", 1)
	case 1:
		r.path = r.path[:len(r.path)-20]
	case 2:
		r.path, _, _ = strings.Cut(r.path, "?")
	default:
		r.path = strings.NewReplacer("?", "%3F", "=", "%3D").Replace(r.path)
	}
	return []report{r}
}

// forge sends tokens that are not ours, and good ones of orders that nobody
// knows: of a database that was restored from before them.
func (w *world) forge() {
	if len(w.known) == 0 {
		return
	}
	o := pick(w, w.known)
	if w.chance(3) {
		var id restock.OrderID
		for i := range id {
			id[i] = byte(w.rng.Uint32())
		}
		r := report{name: reportOrphan, orphan: true, path: w.pathOf(id, 1, o.item.Slug), body: `{"MessageAttributeProductCnt":"7"}`, count: 7}
		for range 1 + w.rng.IntN(3) {
			w.deliver(r)
		}
		return
	}
	address := w.pathOf(o.id, 1+w.rng.IntN(3), o.item.Slug)
	w.deliver(report{name: reportForged, path: spoil(w.rng, address), body: `{"MessageAttributeProductCnt":"5"}`})
}

// spoil changes one letter of a token.
func spoil(rng *rand.Rand, address string) string {
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	token := strings.Index(address, "token=") + len("token=")
	at := token + rng.IntN(len(address)-token)
	b := []byte(address)
	for b[at] == address[at] {
		b[at] = letters[rng.IntN(len(letters))]
	}
	return string(b)
}
