package web

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/restock/restock"
)

// CheckTimeout is how long /readyz waits for one check.
const CheckTimeout = 2 * time.Second

// The paths of health.
const (
	LivePath  = "/livez"
	ReadyPath = "/readyz"
)

func isHealth(path string) bool { return path == LivePath || path == ReadyPath }

// Check is one thing that must be well for the process to do its work.
type Check struct {
	Name string
	// Run gives nil when it is well. The message of a restock.Error is shown; of
	// any other error only that there is one, since anybody can ask for health.
	Run func(ctx context.Context) error
	// Advisory shows a failure without making the process unready: for what a
	// person should look at and no restart or other process would mend.
	Advisory bool
	// Kept is how long a result is told again, for a check that costs something
	// elsewhere: anybody can ask, and as often as they like. 0 is not at all.
	Kept time.Duration
}

// CheckResult is what /readyz says of one check.
type CheckResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Health answers whether the process lives and whether it is ready.
type Health struct{ probes []*probe }

// NewHealth makes a Health of the given checks; without any it is always ready.
func NewHealth(logger *slog.Logger, checks ...Check) *Health {
	h := &Health{probes: make([]*probe, 0, len(checks))}
	for _, check := range checks {
		h.probes = append(h.probes, &probe{check: check, logger: orDiscard(logger)})
	}
	return h
}

// Register adds LivePath and ReadyPath to the mux.
func (h *Health) Register(mux Router) {
	mux.HandleFunc("GET "+LivePath, h.live)
	mux.HandleFunc("GET "+ReadyPath, h.ready)
}

// Ready runs all checks at once and reports whether those that are not
// advisory passed. It takes at most CheckTimeout.
func (h *Health) Ready(ctx context.Context) ([]CheckResult, bool) {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	for _, p := range h.probes {
		p.begin(ctx)
	}
	results, ready := make([]CheckResult, 0, len(h.probes)), true
	for _, p := range h.probes {
		result := p.wait(ctx)
		results = append(results, result)
		ready = ready && (result.OK || p.check.Advisory)
	}
	return results, ready
}

func (*Health) live(w http.ResponseWriter, _ *http.Request) {
	WriteJSON(w, http.StatusOK, map[string]bool{"ok": true})
}

func (h *Health) ready(w http.ResponseWriter, r *http.Request) {
	results, ready := h.Ready(r.Context())
	status := http.StatusOK
	if !ready {
		status = http.StatusServiceUnavailable
	}
	WriteJSON(w, status, struct {
		OK     bool          `json:"ok"`
		Checks []CheckResult `json:"checks"`
	}{ready, results})
}

// probe runs one check, never twice at a time: however many ask, and however
// long it hangs, it costs one goroutine.
type probe struct {
	check  Check
	logger *slog.Logger

	mu      sync.Mutex
	running *probeRun // the run in progress, or the last one
	failing bool
}

type probeRun struct {
	done  chan struct{}
	err   error     // to be read after done
	ended time.Time // as well
}

func (p *probe) begin(ctx context.Context) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if last := p.running; last != nil && (!isClosed(last.done) || time.Since(last.ended) < p.check.Kept) {
		return
	}
	p.running = &probeRun{done: make(chan struct{})}
	// Others may come to wait for this run, so it must not end with its first asker.
	go p.run(context.WithoutCancel(ctx), p.running)
}

func (p *probe) run(ctx context.Context, run *probeRun) {
	ctx, cancel := context.WithTimeout(ctx, CheckTimeout)
	defer cancel()
	run.err = p.check.safely(ctx)
	p.logChange(ctx, run.err)
	run.ended = time.Now()
	close(run.done)
}

// logChange writes a line when a check begins or ceases to fail, not for every
// time somebody asks.
func (p *probe) logChange(ctx context.Context, err error) {
	p.mu.Lock()
	changed := p.failing != (err != nil)
	p.failing = err != nil
	p.mu.Unlock()
	switch {
	case !changed:
	case err != nil:
		p.logger.LogAttrs(ctx, slog.LevelWarn, "health check fails",
			slog.String(KeyCheck, p.check.Name), slog.Any(KeyError, err))
	default:
		p.logger.LogAttrs(ctx, slog.LevelInfo, "health check passes again", slog.String(KeyCheck, p.check.Name))
	}
}

func (p *probe) wait(ctx context.Context) CheckResult {
	p.mu.Lock()
	run := p.running
	p.mu.Unlock()
	select {
	case <-run.done:
	case <-ctx.Done():
	}
	// Waiting for another check may have used up the time; this one's result counts.
	if isClosed(run.done) {
		return CheckResult{Name: p.check.Name, OK: run.err == nil, Detail: detailOf(run.err)}
	}
	if errors.Is(ctx.Err(), context.DeadlineExceeded) {
		p.logChange(ctx, ctx.Err()) // a check that hangs may never say so itself
	}
	return CheckResult{Name: p.check.Name, Detail: detailOf(ctx.Err())}
}

// safely turns a panic into an error: it would end the process otherwise.
func (c Check) safely(ctx context.Context) (err error) {
	defer func() {
		if cause := recover(); cause != nil {
			err = fmt.Errorf("panic in check %s: %v", c.Name, cause)
		}
	}()
	return c.Run(ctx)
}

func detailOf(err error) string {
	e, ok := errors.AsType[*restock.Error](err)
	switch {
	case err == nil:
		return ""
	case ok && e.Kind != restock.Internal:
		return e.Message
	case isContextError(err):
		return fmt.Sprintf("no answer within %s", CheckTimeout)
	default:
		return "failing; the log says why"
	}
}

func isClosed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}
