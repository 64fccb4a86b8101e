package history_test

import (
	"cmp"
	"fmt"
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

// missesMax is how many spoiled answers in a row may pass: among acts at the same
// time another order now and then explains one of them, or breaks a promise
// before its own.
const missesMax = 3

// loneliest are the acts of a history, those first beside which the fewest others
// were under way: the least there is explains another answer of theirs.
func loneliest(h *history) []act {
	acts, beside := make([]act, len(h.done)), map[act]int{}
	for i, d := range h.done {
		acts[i] = d.act
		for _, other := range h.done {
			if other.asked <= d.answered && d.asked <= other.answered {
				beside[d.act]++
			}
		}
	}
	slices.SortStableFunc(acts, func(a, b act) int { return cmp.Compare(beside[a], beside[b]) })
	return acts
}

// try spoils an act of a history, if there is one that will do.
func (s spoil) try(t *testing.T, h *history) bool {
	t.Helper()
	var missed []string
	for _, good := range loneliest(h) {
		spoiled, ok := s.answer(good)
		if !ok {
			continue
		}
		replace(h, good, spoiled)
		result := porcupine.CheckOperationsTimeout(shelfModel(), h.operations(), decideTimeout)
		problems := judge(h)
		replace(h, spoiled, good)
		if result == porcupine.Illegal && s.named(problems) {
			return true
		}
		missed = append(missed, fmt.Sprintf("porcupine says %s of %+v, and the judge %q", result, spoiled, problems))
		if len(missed) == missesMax {
			t.Errorf("%s: want that it is rejected for one of %s:\n%s", s.name, s.promises, strings.Join(missed, "\n"))
			return true
		}
	}
	return false
}

// replace puts an act in the place of another; judging sorts them.
func replace(h *history, old, other act) {
	for i := range h.done {
		if h.done[i].act == old {
			h.done[i].act = other
		}
	}
}

// named says whether one of the promises is, first in a complaint.
func (s spoil) named(problems []string) bool {
	return slices.ContainsFunc(problems, func(p string) bool {
		promise, _, _ := strings.Cut(p, " ")
		return slices.Contains(strings.Fields(s.promises), promise)
	})
}
