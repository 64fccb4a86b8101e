package history_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock"
)

// finish looks at everything once more when all clients have left, numbers the
// reservations by their age, and adds what the system did by itself.
func (h *history) finish() {
	h.t.Helper()
	slices.SortFunc(h.promises, func(a, b *promise) int { return cmp.Compare(a.since, b.since) })
	for i, p := range h.promises {
		p.number = i + 1
	}
	freed := map[string]bool{}
	for _, d := range h.done {
		if a, ok := d.act.(*adjust); ok {
			a.promises = h.promises
			for _, id := range a.freed {
				freed[id] = true
			}
		}
	}
	for _, d := range h.done {
		if r, ok := d.act.(*release); ok {
			r.freed = freed[r.id]
		}
	}
	for _, p := range h.promises {
		h.expiry(p)
	}
	h.lastLook()
	h.verify()
}

// expiry adds the end of a reservation that ended by itself. It happened in one
// of the sweeps that were under way at that time, before the last of them was
// over.
func (h *history) expiry(p *promise) {
	h.t.Helper()
	id, err := restock.ParseID[restock.Reservation](p.id)
	if err != nil {
		h.t.Fatal(err)
	}
	r, err := h.shop.Reservation(h.shop.ctx, id)
	if err != nil {
		h.t.Fatal(err)
	}
	if r.State != restock.ReservationExpired {
		return
	}
	at, over := r.ClosedAt.UnixMicro(), int64(0)
	for _, s := range h.sweeps {
		if s.asked <= at && at <= s.answered {
			over = max(over, s.answered)
		}
	}
	if over == 0 {
		h.odd = append(h.odd, fmt.Sprintf("I4 one effect: reservation %s expired while nobody looked", p.id))
	}
	h.done = append(h.done, done{&expire{promise: p, closedAt: at}, clientsCount, span{at, max(at, over)}})
}

func (h *history) lastLook() {
	h.t.Helper()
	l := &look{}
	asked := h.shop.clock.tick()
	for i := range l.products {
		p, err := h.shop.Product(h.shop.ctx, skuOf(i))
		if err != nil {
			h.t.Fatal(err)
		}
		l.products[i] = stock{p.Stock.OnHand, p.Stock.Reserved}
	}
	h.done = append(h.done, done{l, clientsCount, span{asked, h.shop.clock.tick()}})
}

// verify is what the store says of its own rows.
func (h *history) verify() {
	h.t.Helper()
	checks, err := h.shop.Verify(h.shop.ctx)
	if err != nil {
		h.t.Fatal(err)
	}
	for _, c := range checks {
		if c.Broken > 0 {
			h.odd = append(h.odd, fmt.Sprintf("%s in the rows: %s: %s", c.Promise, c.Name, strings.Join(c.Violations, "; ")))
		}
	}
}

// tally counts the kinds of acts in all histories.
type tally struct {
	mu    sync.Mutex
	kinds map[string]int
}

func newTally() *tally { return &tally{kinds: map[string]int{}} }

func (t *tally) add(h *history) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, d := range h.done {
		t.kinds[d.kind()]++
	}
}

// wantAll fails if there is a kind of act that no history has.
func (t *tally) wantAll(test *testing.T) {
	test.Helper()
	texts := make([]string, 0, len(t.kinds))
	for _, kind := range kinds() {
		texts = append(texts, fmt.Sprintf("%d× %s", t.kinds[kind], kind))
	}
	test.Logf("there were %s", strings.Join(texts, ", "))
	for _, kind := range t.missing() {
		test.Errorf("no history has %q: too little was tried", kind)
	}
}

// missing are the kinds that no history has.
func (t *tally) missing() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.DeleteFunc(kinds(), func(kind string) bool { return t.kinds[kind] > 0 })
}

// kinds are the acts and answers that all histories together must have.
func kinds() []string {
	return []string{
		"sale", "sale under a key", "purchase refused", "key refused with another body",
		"reservation", "reservation refused", "confirmation", "confirmation of one released", "confirmation of one expired",
		"release of one now released", "release of one now expired", "release of one now confirmed", "expiry",
		"adjustment", "stocktake", "adjustment refused", "adjustment that frees reservations",
		"arrival", "arrival told again", "last look",
	}
}
