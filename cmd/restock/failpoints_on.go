//go:build failpoints

package main

import (
	"context"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/internal/replenish"
)

// failpoints puts a place to die before and after each step of an order. The
// step is named in RESTOCK_FAILPOINT, as STEP:before or STEP:after, and with :N
// behind it the process dies when it comes there for the Nth time. The steps are
// plan, claim, place, settle, receive and chase.
func failpoints(store replenish.Store, placer replenish.Placer) (replenish.Store, replenish.Placer) {
	p := newFailpoint(os.Getenv("RESTOCK_FAILPOINT"))
	return &failingStore{Store: store, point: p}, &failingPlacer{Placer: placer, point: p}
}

// failpoint kills its own process at one place.
type failpoint struct {
	place   string
	counted bool         // it dies at a later time than the first
	left    atomic.Int64 // times until it dies there
}

func newFailpoint(text string) *failpoint {
	p := &failpoint{place: text}
	p.left.Store(1)
	parts := strings.Split(text, ":")
	if len(parts) == 3 {
		if n, err := strconv.ParseInt(parts[2], 10, 64); err == nil {
			p.place, p.counted = parts[0]+":"+parts[1], true
			p.left.Store(n)
		}
	}
	return p
}

// reach dies if this is the place, as by kill -9: nothing is flushed and no
// deferred function runs.
func (p *failpoint) reach(place string) {
	if place != p.place || p.left.Add(-1) != 0 {
		return
	}
	_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
	select {} // the signal may take a moment to arrive
}

// failingStore has a place to die on both sides of each act on the database.
type failingStore struct {
	replenish.Store

	point *failpoint
}

func (s *failingStore) Plan(ctx context.Context, id restock.ProductID, decide func(restock.Situation) restock.Decision) (restock.Decision, error) {
	s.point.reach("plan:before")
	decision, err := s.Store.Plan(ctx, id, decide)
	s.point.reach("plan:after")
	return decision, err
}

// ClaimAttempt asks all the time whether there is something to place. Only when
// there is, it is a step of an order. A process that is to die right after a plan
// places nothing: its placer would else be quicker than the signal now and then.
func (s *failingStore) ClaimAttempt(ctx context.Context, owner string, lease time.Duration) (restock.Attempt, error) {
	if s.point.place == "plan:after" {
		return restock.Attempt{}, nil
	}
	if next, err := s.NextPlacing(ctx); err == nil && !next.IsZero() {
		s.point.reach("claim:before")
	}
	attempt, err := s.Store.ClaimAttempt(ctx, owner, lease)
	if err == nil && !attempt.OrderID.IsZero() {
		s.point.reach("claim:after")
	}
	return attempt, err
}

// OverdueOrders are none to a process that is to die right after it settled an
// attempt: where a window is short and the call took long, its sweep would else be
// quicker than the signal now and then.
func (s *failingStore) OverdueOrders(ctx context.Context, limit int) ([]restock.OrderID, error) {
	if s.point.place == "settle:after" && !s.point.counted {
		return nil, nil
	}
	return s.Store.OverdueOrders(ctx, limit)
}

func (s *failingStore) SettleAttempt(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	s.point.reach("settle:before")
	err := s.Store.SettleAttempt(ctx, a, answer)
	s.point.reach("settle:after")
	return err
}

func (s *failingStore) Receive(ctx context.Context, c restock.Callback, judge func(restock.Evidence) restock.Verdict) (restock.Receipt, error) {
	s.point.reach("receive:before")
	receipt, err := s.Store.Receive(ctx, c, judge)
	s.point.reach("receive:after")
	return receipt, err
}

func (s *failingStore) Chase(ctx context.Context, id restock.OrderID, window func(restock.Factory) time.Duration,
	decide func(restock.Lateness) restock.Overdue,
) error {
	s.point.reach("chase:before")
	err := s.Store.Chase(ctx, id, window, decide)
	s.point.reach("chase:after")
	return err
}

// failingPlacer has a place to die on both sides of the call to the factory.
type failingPlacer struct {
	replenish.Placer

	point *failpoint
}

func (p *failingPlacer) Place(ctx context.Context, factoryURL string, r factory.Request) restock.Answer {
	p.point.reach("place:before")
	answer := p.Placer.Place(ctx, factoryURL, r)
	p.point.reach("place:after")
	return answer
}
