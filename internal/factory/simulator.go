package factory

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"github.com/restock/restock"
)

// The defaults and limits of the Simulator.
const (
	SimulatorLeadTime        = 40 * time.Second
	SimulatorJobsMax         = 10_000
	SimulatorCallbacksMax    = 64
	SimulatorCallbackTimeout = 15 * time.Second
	SimulatorBodyBytesMax    = 64 << 10

	pathManufactures       = "/api/manufactures"
	callbackAnswerBytesMax = 64 << 10
	retryWhenFull          = "10" // seconds, as Retry-After
)

// SimulatorConfig adjusts a Simulator. The zero SimulatorConfig works.
type SimulatorConfig struct {
	LeadTime        time.Duration // from the order to the callback
	JobsMax         int           // orders at work; more are answered 503
	CallbacksMax    int           // callbacks on the wire at once
	CallbackTimeout time.Duration // for one callback with its answer

	// Misbehave says how each order is treated, well when it is nil. It is called
	// from many goroutines at once; see NewMisbehaviours.
	Misbehave func(Job) Misbehaviour
	Pace      Pace // of what misbehaviours do

	// CallbackNets are the networks that may be called back, by default only
	// this machine: whoever can order could else make the simulator call
	// anything that it can reach.
	CallbackNets []netip.Prefix
	// Transport carries the callbacks. One of your own is not bound by
	// CallbackNets.
	Transport http.RoundTripper

	// OnAccept and OnCallback are told of every order taken and every callback
	// made, from many goroutines at once. A status of 0 means no answer.
	OnAccept   func(Job)
	OnCallback func(job Job, status int, err error)

	Logger *slog.Logger
	Now    func() time.Time
	NewID  func() string
}

// Job is one order at work in the simulator.
type Job struct {
	ID         string // the factory's own, told only in the 201
	Body       []byte // as it came; it goes back unchanged
	Report     Report // Body as it can be read
	AcceptedAt time.Time
	// TraceParent is the caller's W3C trace context; the callbacks carry it too.
	TraceParent string
	// Misbehaviour is what becomes of it, WellBehaved as a rule.
	Misbehaviour Misbehaviour
}

// Simulator is a factory that behaves like the real one: it checks nothing,
// answers 201, and after the lead time sends the order's body, unchanged, to the
// CallbackUrl in it, once. Its jobs live in memory; when Run ends they are gone.
// Told to misbehave, it does what real ones do on bad days.
//
// It is an http.Handler: `POST /api/manufactures` takes an order and `GET /`
// says how many jobs are running and done. Orders taken while Run is not at work
// wait for it; their lead time passes meanwhile.
type Simulator struct {
	config   SimulatorConfig
	accepted chan Job      // has room for every job that may be running
	places   chan struct{} // one for each callback on the wire
	running  atomic.Int64
	done     atomic.Int64
	faults   atomic.Uint64 // answers of 5xx given
}

// NewSimulator makes a Simulator.
func NewSimulator(config SimulatorConfig) *Simulator {
	config.LeadTime = cmp.Or(config.LeadTime, SimulatorLeadTime)
	config.JobsMax = cmp.Or(config.JobsMax, SimulatorJobsMax)
	config.CallbacksMax = cmp.Or(config.CallbacksMax, SimulatorCallbacksMax)
	config.CallbackTimeout = cmp.Or(config.CallbackTimeout, SimulatorCallbackTimeout)
	config.Pace = config.Pace.withDefaults()
	if config.Misbehave == nil {
		config.Misbehave = func(Job) Misbehaviour { return WellBehaved }
	}
	if len(config.CallbackNets) == 0 {
		config.CallbackNets = Loopback()
	}
	if config.Transport == nil {
		config.Transport = newTransport(newDialer(DialTimeout, config.CallbackNets).DialContext)
	}
	if config.Logger == nil {
		config.Logger = slog.New(slog.DiscardHandler)
	}
	if config.Now == nil {
		config.Now = time.Now
	}
	if config.NewID == nil {
		config.NewID = uuid.NewString
	}
	return &Simulator{
		config:   config,
		accepted: make(chan Job, config.JobsMax),
		places:   make(chan struct{}, config.CallbacksMax),
	}
}

// Run works on the orders until ctx ends. It returns nil when all its goroutines
// have ended, and forgets every order then, as a restart of the real one does.
func (s *Simulator) Run(ctx context.Context) error {
	defer s.forget()
	for ctx.Err() == nil {
		s.live(ctx)
	}
	return nil
}

// live works on the orders until ctx ends, or an order has it restart: what is
// at work then is forgotten, that order too.
func (s *Simulator) live(ctx context.Context) {
	var jobs sync.WaitGroup
	defer jobs.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop() // before the jobs are waited for
	for {
		select {
		case <-ctx.Done():
			return
		case job := <-s.accepted:
			if manner, _ := mannerOf(job.Misbehaviour); manner.restart {
				s.running.Add(-1)
				return
			}
			jobs.Go(func() { s.work(ctx, job) })
		}
	}
}

// Running counts the orders at work.
func (s *Simulator) Running() int64 { return s.running.Load() }

// ServeHTTP answers one request.
func (s *Simulator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST " + pathManufactures:
		s.take(w, r)
	case "GET /":
		writeJSON(w, http.StatusOK, map[string]int64{"running": s.running.Load(), "done": s.done.Load()})
	default:
		writeError(w, http.StatusNotFound, "Not Found")
	}
}

// take accepts any order, unless it is to misbehave. Only what cannot be echoed
// in JSON is refused.
func (s *Simulator) take(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, SimulatorBodyBytesMax))
	if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
		writeError(w, http.StatusRequestEntityTooLarge, "Payload Too Large")
		return
	}
	if err != nil || !json.Valid(body) {
		writeError(w, http.StatusBadRequest, "Bad Request")
		return
	}
	job := Job{ID: s.config.NewID(), Body: body, Report: ParseCallback(body), AcceptedAt: s.config.Now()}
	job.TraceParent, _ = restock.ParseTraceParent(r.Header.Get(traceHeader))
	job.Misbehaviour = s.config.Misbehave(job)
	manner, _ := mannerOf(job.Misbehaviour)
	if manner.refuse != nil {
		s.config.Logger.LogAttrs(r.Context(), slog.LevelInfo, "order refused", job.facts()...)
		manner.refuse(s, w)
		return
	}
	if !s.accept(r.Context(), job) {
		w.Header().Set("Retry-After", retryWhenFull)
		writeError(w, http.StatusServiceUnavailable, "Service Unavailable")
		return
	}
	answer := answerAccepted
	if manner.answer != nil {
		answer = manner.answer
	}
	answer(s, w, r, job)
}

// accept hands the job to Run, unless there are too many.
func (s *Simulator) accept(ctx context.Context, job Job) bool {
	if s.running.Add(1) > int64(s.config.JobsMax) {
		s.running.Add(-1)
		return false
	}
	if s.config.OnAccept != nil {
		s.config.OnAccept(job)
	}
	s.config.Logger.LogAttrs(ctx, slog.LevelInfo, "order accepted", append(job.facts(),
		slog.String(keyLogProduct, excerpt([]byte(job.Report.ProductID))),
		slog.String(keyLogCount, job.Report.Claimed))...)
	s.accepted <- job // never waits: every job in it is counted in running
	return true
}

// work makes the callbacks of one job.
func (s *Simulator) work(ctx context.Context, job Job) {
	defer s.running.Add(-1)
	for _, call := range s.plan(job) {
		if !wait(ctx, call.at.Sub(s.config.Now())) {
			return
		}
		s.call(ctx, job, call)
	}
	if ctx.Err() == nil {
		s.done.Add(1)
	}
}

// callback is one call to be made.
type callback struct {
	at   time.Time
	url  string
	body []byte
}

// plan decides what becomes of a job. A well-behaved factory calls once, with
// what it was sent.
func (s *Simulator) plan(job Job) []callback {
	if manner, _ := mannerOf(job.Misbehaviour); manner.calls != nil {
		return manner.calls(s, job)
	}
	return []callback{s.callAt(job, 0, job.Body)}
}

// call makes one callback, whatever comes of it.
func (s *Simulator) call(ctx context.Context, job Job, call callback) {
	select {
	case s.places <- struct{}{}:
		defer func() { <-s.places }()
	case <-ctx.Done():
		return
	}
	ctx = restock.WithTraceParent(ctx, job.TraceParent)
	started := s.config.Now()
	status, err := s.post(ctx, call.url, call.body)
	s.log(ctx, job, status, s.config.Now().Sub(started), err)
	if s.config.OnCallback != nil {
		s.config.OnCallback(job, status, err)
	}
}

// post sends the body once: no redirect is followed, and without GetBody on a
// new connection Go never repeats it.
func (s *Simulator) post(ctx context.Context, callbackURL string, body []byte) (int, error) {
	ctx, cancel := context.WithTimeout(ctx, s.config.CallbackTimeout)
	defer cancel()
	target, ok := parseTarget(callbackURL)
	if !ok {
		return 0, errBadCallbackURL
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, target.String(), bytes.NewReader(body))
	if err != nil {
		return 0, fmt.Errorf("addressing the callback: %w", err)
	}
	request.GetBody = nil
	request.Header.Set("Content-Type", contentTypeJSON)
	setTrace(ctx, request)
	response, err := s.config.Transport.RoundTrip(request)
	if err != nil {
		return 0, fmt.Errorf("calling back: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	// Read, so that the other side is not cut off; what it says changes nothing.
	_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, callbackAnswerBytesMax))
	return response.StatusCode, nil
}

var errBadCallbackURL = errors.New("the order has no CallbackUrl that can be called")

// forget drops the orders that Run did not come to.
func (s *Simulator) forget() {
	for {
		select {
		case <-s.accepted:
			s.running.Add(-1)
		default:
			return
		}
	}
}

// The keys of the facts in the log.
const (
	keyLogJob      = "job"
	keyLogManner   = "misbehaviour"
	keyLogProduct  = "product"
	keyLogCount    = "count"
	keyLogCallback = "callback_url"
	keyLogStatus   = "status"
	keyLogDuration = "duration"
	keyLogError    = "error"
)

func (s *Simulator) log(ctx context.Context, job Job, status int, took time.Duration, err error) {
	facts := append(job.facts(), slog.Int(keyLogStatus, status), slog.Duration(keyLogDuration, took))
	level := slog.LevelInfo
	if err != nil {
		level = slog.LevelWarn
		facts = append(facts, slog.String(keyLogError, Redact(err.Error())))
	}
	s.config.Logger.LogAttrs(ctx, level, "called back", facts...)
}

// facts are what every line about a job says.
func (j Job) facts() []slog.Attr {
	facts := []slog.Attr{
		slog.String(keyLogJob, j.ID),
		slog.String(keyLogCallback, excerpt([]byte(j.Report.CallbackURL))),
	}
	if j.Misbehaviour != WellBehaved {
		facts = append(facts, slog.String(keyLogManner, string(j.Misbehaviour)))
	}
	return facts
}

// wait waits, and reports whether ctx did not end first.
func wait(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return ctx.Err() == nil
	case <-ctx.Done():
		return false
	}
}

func writeError(w http.ResponseWriter, status int, text string) {
	writeJSON(w, status, map[string]string{"error": text})
}

// writeJSON does not handle a failing write: the caller has gone, and there is
// nobody to tell.
func writeJSON(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", contentTypeJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(value) //nolint:errchkjson // see above
}
