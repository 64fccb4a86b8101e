package history_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// audit adds up what was answered, without an order of the acts: an answer says
// when it happened.
func (h *history) audit() []string {
	a := &auditor{
		purchases: map[string]string{}, keys: map[[2]int]string{}, confirmed: map[*promise]string{},
		freed: map[*promise]bool{}, callbacks: map[int]int{},
	}
	for _, d := range h.done {
		if d.at() != 0 && (d.at() < d.asked || d.at() > d.answered) && !a.repeated(d.act) {
			a.complain("I4 one effect: a %s says that it happened outside of its request", d.kind())
		}
		a.take(d.act)
	}
	return append(a.problems, a.oversold()...)
}

// auditor keeps the books of the clients.
type auditor struct {
	problems  []string
	purchases map[string]string   // answers by sale
	keys      map[[2]int]string   // answers by key and body
	confirmed map[*promise]string // answers
	freed     map[*promise]bool
	callbacks map[int]int // how often each was applied
	changes   []change
}

// change is what one act did to what is available of a product.
type change struct {
	at       int64
	product  int
	quantity int64
}

func (a *auditor) complain(format string, args ...any) {
	a.problems = append(a.problems, fmt.Sprintf(format, args...))
}

// repeated reports whether an answer may be older than its request.
func (a *auditor) repeated(act act) bool {
	switch act := act.(type) {
	case *buy:
		return act.key > 0
	case *confirm, *release:
		return true
	}
	return false
}

func (a *auditor) take(act act) {
	switch act := act.(type) {
	case *buy:
		a.buy(act)
	case *reserve:
		if act.made != nil {
			a.change(act.made.since, act.lines, -1)
		}
	case *confirm:
		a.confirm(act)
	case *release:
		if act.ended == released {
			a.free(act.promise, act.closedAt)
		}
	case *expire:
		a.free(act.promise, act.closedAt)
	case *adjust:
		a.adjust(act)
	case *receive:
		if !act.duplicate {
			a.callbacks[act.body]++
			a.change(act.receivedAt, []line{{act.product, act.count}}, 1)
		}
		if a.callbacks[act.body] > 1 {
			a.complain("I4 one effect: callback %d was applied %d times", act.body, a.callbacks[act.body])
		}
	}
}

func (a *auditor) change(at int64, lines []line, sign int64) {
	for product, n := range sum(lines) {
		if n > 0 {
			a.changes = append(a.changes, change{at, product, sign * n})
		}
	}
}

// buy holds that a key has one answer, and that a sale is one purchase.
func (a *auditor) buy(b *buy) {
	if b.sale == "" {
		return
	}
	under := [2]int{b.key, int(b.body)}
	first, repeated := a.keys[under]
	if b.key > 0 {
		a.keys[under] = b.answer
	}
	if b.key > 0 && repeated {
		if first != b.answer {
			a.complain("I4 one effect: key %d was answered %s, and again %s", b.key, first, b.answer)
		}
		return
	}
	a.sold(b.sale, b.answer)
	a.change(b.soldAt, b.lines, -1)
}

func (a *auditor) sold(sale, answer string) {
	if _, twice := a.purchases[sale]; twice {
		a.complain("I4 one effect: sale %s was answered to two who bought", sale)
	}
	a.purchases[sale] = answer
}

// confirm holds that a reservation becomes one sale. What is available does
// not change by it: the pieces were promised before.
func (a *auditor) confirm(c *confirm) {
	if c.ended != unknown {
		return
	}
	first, again := a.confirmed[c.promise]
	a.confirmed[c.promise] = c.answer
	switch {
	case again && first != c.answer:
		a.complain("I4 one effect: a reservation was confirmed as %s, and again as %s", first, c.answer)
	case !again:
		a.sold(c.sale, c.answer)
	}
}

// free makes the pieces of a reservation available again, once.
func (a *auditor) free(p *promise, at int64) {
	if !a.freed[p] {
		a.freed[p] = true
		a.change(at, p.lines, 1)
	}
}

func (a *auditor) adjust(act *adjust) {
	if act.refused {
		return
	}
	a.changes = append(a.changes, change{act.bookedAt, act.product, act.changed})
	for _, id := range act.freed {
		i := slices.IndexFunc(act.promises, func(p *promise) bool { return p.id == id })
		if i < 0 {
			a.complain("I2 conservation: an adjustment freed %s, which nobody reserved", id)
			continue
		}
		a.free(act.promises[i], act.bookedAt)
	}
}

// oversold adds up the changes in the order of their times. What happened at
// the same time stands in one transaction, and is added up as one.
func (a *auditor) oversold() []string {
	slices.SortFunc(a.changes, func(x, y change) int { return cmp.Compare(x.at, y.at) })
	available := map[int]int64{}
	for product := range productsCount {
		available[product] = openingStock
	}
	for i, c := range a.changes {
		available[c.product] += c.quantity
		if i+1 < len(a.changes) && a.changes[i+1].at == c.at {
			continue
		}
		for _, product := range slices.Sorted(maps.Keys(available)) {
			if n := available[product]; n < 0 {
				return []string{fmt.Sprintf("I1 never oversell: at one time %d more of %s were sold and promised than there were", -n, skuOf(product))}
			}
		}
	}
	return nil
}
