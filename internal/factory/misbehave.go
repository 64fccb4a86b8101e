package factory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Misbehaviour names one way in which a factory does not do what it should, or
// several at once: "accept-reset+double" resets the connection and calls twice.
type Misbehaviour string

// The misbehaviours; Meaning says what each does.
const (
	WellBehaved     Misbehaviour = "good"
	Silent          Misbehaviour = "silent"
	Late            Misbehaviour = "late"
	Double          Misbehaviour = "double"
	Partial         Misbehaviour = "partial"
	EqualPartials   Misbehaviour = "equal-partials"
	Excess          Misbehaviour = "excess"
	WrongProduct    Misbehaviour = "wrong-product"
	UnreadableCount Misbehaviour = "unreadable-count"
	Slow            Misbehaviour = "slow"
	Drip            Misbehaviour = "drip"
	AcceptHang      Misbehaviour = "accept-hang"
	AcceptReset     Misbehaviour = "accept-reset"
	Accept5xx       Misbehaviour = "accept-5xx"
	Busy            Misbehaviour = "busy"
	Refuse          Misbehaviour = "refuse"
	HTML            Misbehaviour = "html"
	Redirect        Misbehaviour = "redirect"
	Amnesia         Misbehaviour = "amnesia"
	Mangled         Misbehaviour = "mangled"
	MangledCase     Misbehaviour = "mangled-case"
	MangledEncoded  Misbehaviour = "mangled-encoded"
)

// Pace says how long misbehaviours take. What is zero has its default.
type Pace struct {
	Late       time.Duration // how long after the lead time a late call comes
	Slow       time.Duration // before a slow answer
	Drip       time.Duration // between two bytes of a dripping answer
	Gap        time.Duration // between two calls for one order
	RetryAfter time.Duration // what a busy factory asks for, in whole seconds
	Hang       time.Duration // the longest that a connection is left hanging
}

// The defaults of Pace: each is longer than a client and a receiver of ordinary
// patience wait.
const (
	SimulatorLate       = 5 * time.Minute
	SimulatorSlow       = 5 * time.Second
	SimulatorDrip       = 200 * time.Millisecond
	SimulatorGap        = time.Second
	SimulatorRetryAfter = 5 * time.Second
	SimulatorHang       = time.Minute
)

func (p Pace) withDefaults() Pace {
	return Pace{
		Late:       cmp.Or(p.Late, SimulatorLate),
		Slow:       cmp.Or(p.Slow, SimulatorSlow),
		Drip:       cmp.Or(p.Drip, SimulatorDrip),
		Gap:        cmp.Or(p.Gap, SimulatorGap),
		RetryAfter: cmp.Or(p.RetryAfter, SimulatorRetryAfter),
		Hang:       cmp.Or(p.Hang, SimulatorHang),
	}
}

// manner is what a misbehaviour does instead of the usual; nil is the usual.
type manner struct {
	name    Misbehaviour
	meaning string
	refuse  func(*Simulator, http.ResponseWriter) // no job comes of the order
	answer  func(*Simulator, http.ResponseWriter, *http.Request, Job)
	calls   func(*Simulator, Job) []callback
	restart bool // and forgets what is at work
}

// manners is the table of all misbehaviours, in the order of their listing.
func manners() []manner {
	return []manner{
		{name: WellBehaved, meaning: "201, the lead time, one call"},
		{name: Silent, meaning: "never calls back", calls: noCalls},
		{name: Late, meaning: "calls back long after the lead time", calls: (*Simulator).lateCall},
		{name: Double, meaning: "calls back twice with the same body", calls: (*Simulator).doubleCalls},
		{name: Partial, meaning: "delivers in parts that differ, one call for each", calls: (*Simulator).partialCalls},
		{name: EqualPartials, meaning: "delivers two halves with one and the same body", calls: (*Simulator).equalCalls},
		{name: Excess, meaning: "reports twice as many as were ordered", calls: (*Simulator).excessCall},
		{name: WrongProduct, meaning: "reports another product", calls: (*Simulator).wrongProductCall},
		{name: UnreadableCount, meaning: "reports a count that is not a number", calls: (*Simulator).unreadableCall},
		{name: Slow, meaning: "answers after a while", answer: (*Simulator).answerSlowly},
		{name: Drip, meaning: "answers byte by byte", answer: (*Simulator).answerDripping},
		{name: AcceptHang, meaning: "accepts and never answers", answer: (*Simulator).hang},
		{name: AcceptReset, meaning: "accepts and resets the connection", answer: (*Simulator).reset},
		{name: Accept5xx, meaning: "accepts and answers 500, 502 and 504 in turn", answer: (*Simulator).answer5xx},
		{name: Busy, meaning: "answers 429 with Retry-After and does not accept", refuse: (*Simulator).answerBusy},
		{name: Refuse, meaning: "answers 400 and does not accept", refuse: answerRefused},
		{name: HTML, meaning: "accepts and answers 200 with a web page", answer: answerHTML},
		{name: Redirect, meaning: "answers 307 and does not accept", refuse: answerRedirect},
		{name: Amnesia, meaning: "accepts, restarts, and forgets every order at work", calls: noCalls, restart: true},
		{name: Mangled, meaning: "calls an address whose end is cut off", calls: mangledCalls(cutAddress)},
		{name: MangledCase, meaning: "calls an address in upper case", calls: mangledCalls(upperAddress)},
		{name: MangledEncoded, meaning: "calls an address that is percent-encoded once more", calls: mangledCalls(encodeAddress)},
	}
}

// mannerOf finds a misbehaviour or mixes several. With an error it gives the
// usual manner.
func mannerOf(name Misbehaviour) (manner, error) {
	mixed := manner{name: name}
	for part := range strings.SplitSeq(string(name), mixedWith) {
		i := slices.IndexFunc(manners(), func(m manner) bool { return m.name == Misbehaviour(part) })
		if i < 0 {
			return manner{}, fmt.Errorf("there is no misbehaviour %q; take from %s", part, listMisbehaviours())
		}
		if !mixed.mix(manners()[i]) {
			return manner{}, fmt.Errorf("%s cannot be mixed: take one about the answer and one about the callbacks", name)
		}
	}
	return mixed, nil
}

// mixedWith stands between two misbehaviours of one order.
const mixedWith = "+"

// mix adds another manner, unless both are about the same or one refuses the order.
func (m *manner) mix(other manner) bool {
	answers := (m.answer != nil || m.refuse != nil) && (other.answer != nil || other.refuse != nil)
	calls := (m.calls != nil || m.refuse != nil) && (other.calls != nil || other.refuse != nil)
	if answers || calls {
		return false
	}
	if other.answer != nil {
		m.answer = other.answer
	}
	if other.calls != nil {
		m.calls = other.calls
	}
	if other.refuse != nil {
		m.refuse = other.refuse
	}
	m.restart = m.restart || other.restart
	m.meaning = strings.TrimPrefix(m.meaning+"; "+other.meaning, "; ")
	return true
}

// Misbehaviours lists all, the good one first.
func Misbehaviours() []Misbehaviour {
	all := manners()
	names := make([]Misbehaviour, 0, len(all))
	for _, m := range all {
		names = append(names, m.name)
	}
	return names
}

// Meaning says in a few words what a misbehaviour does, "" if there is none such.
func (m Misbehaviour) Meaning() string {
	found, _ := mannerOf(m)
	return found.meaning
}

// NewMisbehaviours reads choices such as "silent", "drip+double" and "good=8" and gives a
// chooser for SimulatorConfig. Without weights each order takes the next choice,
// and the first again after the last; with a weight anywhere each order takes
// one at random, where a missing weight is 1 and the seed repeats the sequence.
func NewMisbehaviours(choices []string, seed uint64) (func(Job) Misbehaviour, error) {
	var (
		names    []Misbehaviour
		weights  []int
		weighted bool
	)
	for _, choice := range choices {
		name, text, hasWeight := strings.Cut(strings.TrimSpace(choice), "=")
		if _, err := mannerOf(Misbehaviour(name)); err != nil {
			return nil, err
		}
		weight := 1
		if hasWeight {
			var err error
			if weight, err = strconv.Atoi(text); err != nil || weight < 1 || weight > weightMax {
				return nil, fmt.Errorf("the weight of %s must be a whole number from 1 to %d, not %q", name, weightMax, text)
			}
		}
		names, weights, weighted = append(names, Misbehaviour(name)), append(weights, weight), weighted || hasWeight
	}
	switch {
	case len(names) == 0:
		return func(Job) Misbehaviour { return WellBehaved }, nil
	case weighted:
		return atRandom(names, weights, seed), nil
	default:
		return inTurn(names), nil
	}
}

const weightMax = 1_000_000

func listMisbehaviours() string {
	names := Misbehaviours()
	text := make([]string, 0, len(names))
	for _, name := range names {
		text = append(text, string(name))
	}
	return strings.Join(text, ", ")
}

func inTurn(names []Misbehaviour) func(Job) Misbehaviour {
	var taken atomic.Uint64
	return func(Job) Misbehaviour { return names[(taken.Add(1)-1)%uint64(len(names))] }
}

func atRandom(names []Misbehaviour, weights []int, seed uint64) func(Job) Misbehaviour {
	var (
		mu     sync.Mutex
		random = rand.New(rand.NewPCG(seed, seed)) //nolint:gosec // a sequence that can be repeated is what is wanted
		all    int
	)
	for _, weight := range weights {
		all += weight
	}
	return func(Job) Misbehaviour {
		mu.Lock()
		defer mu.Unlock()
		place := random.IntN(all)
		for i, weight := range weights {
			if place -= weight; place < 0 {
				return names[i]
			}
		}
		return names[0]
	}
}

// callAt is one call of the usual kind with another body.
func (s *Simulator) callAt(job Job, after time.Duration, body []byte) callback {
	return callback{at: job.AcceptedAt.Add(s.config.LeadTime + after), url: job.Report.CallbackURL, body: body}
}

func noCalls(*Simulator, Job) []callback { return nil }

func (s *Simulator) lateCall(job Job) []callback {
	return []callback{s.callAt(job, s.config.Pace.Late, job.Body)}
}

func (s *Simulator) doubleCalls(job Job) []callback {
	return []callback{s.callAt(job, 0, job.Body), s.callAt(job, s.config.Pace.Gap, job.Body)}
}

// partialCalls delivers in parts that all differ, so that no report looks like
// the repeat of another.
func (s *Simulator) partialCalls(job Job) []callback {
	switch n := job.Report.Count; {
	case n >= 6:
		return s.parts(job, 1, 2, n-3)
	case n >= 3:
		return s.parts(job, 1, n-1)
	default:
		return s.parts(job, n)
	}
}

// equalCalls delivers halves; the odd piece comes last.
func (s *Simulator) equalCalls(job Job) []callback {
	n := job.Report.Count
	switch {
	case n < 2:
		return s.parts(job, n)
	case n%2 == 0:
		return s.parts(job, n/2, n/2)
	default:
		return s.parts(job, n/2, n/2, 1)
	}
}

func (s *Simulator) parts(job Job, counts ...int64) []callback {
	calls := make([]callback, 0, len(counts))
	for i, count := range counts {
		body := withMember(job.Body, keyCount, strconv.FormatInt(count, 10))
		calls = append(calls, s.callAt(job, time.Duration(i)*s.config.Pace.Gap, body))
	}
	return calls
}

func (s *Simulator) excessCall(job Job) []callback { return s.parts(job, 2*job.Report.Count) }

func (s *Simulator) wrongProductCall(job Job) []callback {
	return []callback{s.callAt(job, 0, withMember(job.Body, keyProduct, job.Report.ProductID+"-OTHER"))}
}

func (s *Simulator) unreadableCall(job Job) []callback {
	return []callback{s.callAt(job, 0, withMember(job.Body, keyCount, "a few"))}
}

// withMember gives the body with another value for one member. A body that is
// no object stays as it is: it says nothing that could be changed.
func withMember(body []byte, key, value string) []byte {
	members, err := readMembers(body)
	if err != nil {
		return body
	}
	text, _ := json.Marshal(value) //nolint:errchkjson // a string can always be written
	members[key] = text
	changed, err := json.Marshal(members)
	if err != nil {
		return body
	}
	return changed
}

// mangledCalls sends the body unchanged to another address than it names.
func mangledCalls(mangle func(head, tail string) string) func(*Simulator, Job) []callback {
	return func(s *Simulator, job Job) []callback {
		call := s.callAt(job, 0, job.Body)
		last := strings.LastIndexByte(call.url, '/') + 1 // the host before it must stay reachable
		call.url = mangle(call.url[:last], call.url[last:])
		return []callback{call}
	}
}

const bytesCut = 10

func cutAddress(head, tail string) string    { return head + tail[:max(0, len(tail)-bytesCut)] }
func upperAddress(head, tail string) string  { return head + strings.ToUpper(tail) }
func encodeAddress(head, tail string) string { return head + url.PathEscape(tail) }

// answerAccepted is the usual answer, spelt as the real factory spells it.
func answerAccepted(_ *Simulator, w http.ResponseWriter, _ *http.Request, job Job) {
	writeJSON(w, http.StatusCreated, job.answer())
}

func (j Job) answer() accepted {
	return accepted{acceptedData{ID: j.ID, Requester: j.Report.Requester, Data: j.Body}}
}

func (s *Simulator) answerSlowly(w http.ResponseWriter, r *http.Request, job Job) {
	if wait(r.Context(), s.config.Pace.Slow) {
		answerAccepted(s, w, r, job)
	}
}

func (s *Simulator) answerDripping(w http.ResponseWriter, r *http.Request, job Job) {
	body, _ := json.Marshal(job.answer()) //nolint:errchkjson // its body was valid JSON when it was taken
	w.Header().Set("Content-Type", contentTypeJSON)
	w.WriteHeader(http.StatusCreated)
	control := http.NewResponseController(w)
	for drop := range bytes.SplitSeq(body, nil) {
		_, err := w.Write(drop)
		if err != nil || control.Flush() != nil || !wait(r.Context(), s.config.Pace.Drip) {
			return
		}
	}
}

// hang keeps the connection and says nothing, until the caller gives up. The
// server does not know the connection any more, so that its stop does not wait.
func (s *Simulator) hang(w http.ResponseWriter, r *http.Request, _ Job) {
	conn, release := seize(r.Context(), w)
	defer release()
	_ = conn.SetReadDeadline(time.Now().Add(s.config.Pace.Hang))
	_, _ = io.Copy(io.Discard, conn)
}

// reset ends the connection with a TCP reset, as a crash or a firewall does.
func (s *Simulator) reset(w http.ResponseWriter, r *http.Request, _ Job) {
	conn, release := seize(r.Context(), w)
	defer release()
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
}

// seize takes the connection away from the server, and lets it go with ctx.
// Where that cannot be done, the server breaks the connection off.
func seize(ctx context.Context, w http.ResponseWriter) (net.Conn, func()) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	return conn, func() {
		stop()
		_ = conn.Close()
	}
}

func (s *Simulator) answer5xx(w http.ResponseWriter, _ *http.Request, _ Job) {
	statuses := [...]int{http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout}
	status := statuses[(s.faults.Add(1)-1)%uint64(len(statuses))]
	writeError(w, status, http.StatusText(status))
}

func (s *Simulator) answerBusy(w http.ResponseWriter) {
	seconds := (s.config.Pace.RetryAfter + time.Second - 1) / time.Second
	w.Header().Set("Retry-After", strconv.FormatInt(int64(seconds), 10))
	writeError(w, http.StatusTooManyRequests, "Too Many Requests")
}

func answerRefused(_ *Simulator, w http.ResponseWriter) {
	writeError(w, http.StatusBadRequest, "Bad Request")
}

func answerHTML(_ *Simulator, w http.ResponseWriter, _ *http.Request, _ Job) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, "<!DOCTYPE html><title>Welcome</title><h1>Your order is being processed</h1>\n")
}

// answerRedirect points back at this route, so that whoever follows it is seen here.
func answerRedirect(_ *Simulator, w http.ResponseWriter) {
	w.Header().Set("Location", pathManufactures)
	writeError(w, http.StatusTemporaryRedirect, "Temporary Redirect")
}
