package storetest

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
	"github.com/restock/restock/internal/store"
)

func engineChecks() []check {
	return []check{
		{"AnEngineIsRememberedUntilItIsEmpty", engineIsRemembered},
		{"WithAnOutboxAllMessagesWaitForTheBroker", outboxTakesAll},
	}
}

// engineIsRemembered: a change of the queue engine strands nothing.
func engineIsRemembered(t *testing.T, h harness) {
	s := h.shop(t, catalogue())
	for _, step := range []struct {
		use  string
		want []string
	}{
		{restock.EmbeddedEngine, nil},
		{"nats://a", nil}, // what waits in the database is moved by the relay
		{"nats://a", nil},
		{"aws:stock", []string{"nats://a"}},
		{restock.EmbeddedEngine, []string{"nats://a", "aws:stock"}},
		{"nats://a", []string{"aws:stock"}}, // in use again
	} {
		before, err := s.UseEngine(s.ctx(), step.use)
		s.must(err)
		if d := cmp.Diff(step.want, append([]string(nil), before...)); d != "" {
			t.Errorf("before %s (-want +got):\n%s", step.use, d)
		}
	}
	act := restock.Act{By: "kim", Reason: "it is switched off"}
	if err := s.ForgetEngine(s.ctx(), "nats://never", act); restock.KindOf(err) != restock.NotFound {
		t.Errorf("forgetting what was never used: %v, want NotFound", err)
	}
	s.must(s.ForgetEngine(s.ctx(), "aws:stock", act))
	engines, err := s.Engines(s.ctx())
	s.must(err)
	if engines.Engine != "nats://a" || len(engines.Before) > 0 {
		t.Errorf("engines %+v, want nats://a and none before", engines)
	}
	audit, _, err := s.Audit(s.ctx(), restock.ListQuery{})
	s.must(err)
	if len(audit) != 1 || audit[0].Action != "queue.forget" || audit[0].Reason != act.Reason {
		t.Errorf("the audit has %+v, want that somebody forgot an engine", audit)
	}
}

// outboxTakesAll: nothing goes past the broker while one is in use.
func outboxTakesAll(t *testing.T, h harness) {
	q := sqlqueue.New(sqlqueue.Config{})
	s := &shop{t: t, clock: newClock()}
	s.Store = h.Open(t, store.Config{Now: s.clock.now, Queue: q, Outbox: true})
	s.apply(catalogue(ordered("CP-1", 1, 0, 3)))
	_, err := s.Sell(s.ctx(), []restock.Cart{cart(line("CP-1", 1))})
	s.must(err)
	stats, err := q.Stats(s.ctx())
	s.must(err)
	if len(stats) != 1 || stats[0].Queue != restock.RelayQueue || stats[0].Waiting != 2 {
		t.Errorf("queues %+v, want stock.low and stock.out in the relay queue", stats)
	}
	s.verify()
}
