package history_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/anishathalye/porcupine"
)

// spoil changes one answer of an act, or reports that this act will not do.
type spoil struct {
	name     string
	promises string // one of these has to be named first
	answer   func(act) (act, bool)
}

func spoils() []spoil {
	return []spoil{
		{"a buyer is told one more than is left", "I2", func(a act) (act, bool) {
			b, ok := a.(*buy)
			if !ok || b.sale == "" || b.key > 0 {
				return nil, false
			}
			spoiled := *b
			spoiled.remaining = slices.Clone(b.remaining)
			for i := range spoiled.remaining {
				spoiled.remaining[i]++
			}
			return &spoiled, true
		}},
		{"a sale is answered that never was", "I1 I2", func(a act) (act, bool) {
			b, ok := a.(*buy)
			if !ok || b.refusal == nil || b.key > 0 {
				return nil, false
			}
			return &buy{lines: b.lines, sale: "none", answer: "none", remaining: make([]int64, len(b.lines))}, true
		}},
		{"a sale is answered as refused", "I2", func(a act) (act, bool) {
			b, ok := a.(*buy)
			if !ok || b.sale == "" || b.key > 0 {
				return nil, false
			}
			return &buy{lines: b.lines, refusal: &shortage{b.lines[0].product, 0}}, true
		}},
		{"a reservation is answered that never was", "I1 I2", func(a act) (act, bool) {
			r, ok := a.(*reserve)
			if !ok || r.refusal == nil {
				return nil, false
			}
			return &reserve{lines: r.lines, made: &promise{lines: r.lines, number: reservationsMax}}, true
		}},
		{"a callback is applied twice", "I4 I2", func(a act) (act, bool) {
			r, ok := a.(*receive)
			if !ok || !r.duplicate {
				return nil, false
			}
			spoiled := *r
			spoiled.duplicate, spoiled.available = false, r.available+r.count
			return &spoiled, true
		}},
		{"what had ended is confirmed", "I1 I2 I4", func(a act) (act, bool) {
			c, ok := a.(*confirm)
			if !ok || c.ended == unknown {
				return nil, false
			}
			return &confirm{promise: c.promise, sale: "none", answer: "none", remaining: make([]int64, len(c.lines))}, true
		}},
		{"one piece is missing in the end", "I2", func(a act) (act, bool) {
			l, ok := a.(*look)
			if !ok {
				return nil, false
			}
			spoiled := *l
			spoiled.products[0].onHand--
			return &spoiled, true
		}},
	}
}

// TestASpoiledAnswerIsRejected is the control: a checker that accepts
// everything accepts good histories too. The histories are small, so that
// porcupine can try every order: "undecided" would prove nothing.
func TestASpoiledAnswerIsRejected(t *testing.T) {
	t.Parallel()
	const clients, acts, tries = 6, 150, 50
	first := seed(t)
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", first)
	open, left := onSQLite(t), spoils()
	for i := 0; len(left) > 0; i++ {
		if i == tries {
			t.Fatalf("in %d histories there is no act for %q", tries, left[0].name)
		}
		h := record(t, open, first+uint64(i), clients, acts)
		if problems := judge(h); len(problems) > 0 {
			t.Fatalf("before anything was spoiled: %q", problems)
		}
		left = slices.DeleteFunc(left, func(s spoil) bool { return s.try(t, h) })
	}
}

// try spoils an act in the middle of a history, if there is one that will do.
func (s spoil) try(t *testing.T, h *history) bool {
	t.Helper()
	for n := range h.done {
		i := (n + len(h.done)/2) % len(h.done)
		spoiled, ok := s.answer(h.done[i].act)
		if !ok {
			continue
		}
		good := h.done[i].act
		h.done[i].act = spoiled
		if got := porcupine.CheckOperationsTimeout(shelfModel(), h.operations(), decideTimeout); got != porcupine.Illegal {
			t.Errorf("%s: porcupine says %s, want that it rejects it", s.name, got)
		}
		s.wantNamed(t, judge(h))
		restore(h, spoiled, good)
		return true
	}
	return false
}

// restore puts a good act back; judging sorts them.
func restore(h *history, spoiled, good act) {
	for i := range h.done {
		if h.done[i].act == spoiled {
			h.done[i].act = good
		}
	}
}

func (s spoil) wantNamed(t *testing.T, problems []string) {
	t.Helper()
	for _, p := range problems {
		promise, _, _ := strings.Cut(p, " ")
		if slices.Contains(strings.Fields(s.promises), promise) {
			return
		}
	}
	t.Errorf("%s: got %q, want one of %s", s.name, problems, s.promises)
}

// TestTheSameKeyWithAnotherAnswerIsRejected is a control of the audit, which
// needs no order.
func TestTheSameKeyWithAnotherAnswerIsRejected(t *testing.T) {
	t.Parallel()
	sold := func(sale string) done {
		return done{act: &buy{lines: []line{{0, 1}}, key: 1, body: 1, sale: sale, soldAt: 5, answer: sale, remaining: []int64{29}}, span: span{1, 9}}
	}
	h := &history{done: []done{sold("one"), sold("one")}}
	if got := h.audit(); len(got) > 0 {
		t.Errorf("the same answer twice: %q", got)
	}
	h.done = append(h.done, sold("another"))
	if got := h.audit(); len(got) != 1 || !strings.HasPrefix(got[0], "I4 ") {
		t.Errorf("another answer: %q, want one about I4", got)
	}
}
