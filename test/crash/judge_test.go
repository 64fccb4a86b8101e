package crash_test

import (
	"fmt"
	"slices"
	"testing"
)

// judge holds the promises against evidence that the server did not make: what
// buyers, factories and the mail server wrote down, and the bare rows.
//
// Each complaint begins with the name of the promise that is broken: the
// mutants say by that name what has to be found.
type judge struct {
	t       *testing.T
	books   *books
	buyers  *buyers
	makers  *makers
	mailbox *mailbox
}

// complaintsShown bounds the lines for one promise.
const complaintsShown = 5

func (j *judge) hold(promise string, complaints []string) {
	j.t.Helper()
	for _, c := range complaints[:min(len(complaints), complaintsShown)] {
		j.t.Errorf("%s: %s", promise, c)
	}
	if more := len(complaints) - complaintsShown; more > 0 {
		j.t.Errorf("%s: and %d more", promise, more)
	}
}

func (j *judge) all() {
	j.t.Helper()
	j.hold("I3 answered means durable", j.answeredIsThere())
	j.hold("I4 one effect", slices.Concat(j.soldOnce(), j.repeatedMailsAreTheSame()))
	j.hold("I1 never oversell", j.neverOversold())
	j.hold("I2 conservation", j.conserved())
	j.hold("P1 an attempt is written to the network at most once", j.writtenOnce())
	j.hold("I6 bounded orders", slices.Concat(j.ordersBounded(), j.oneOrderAtATime()))
	j.hold("I7 every callback is accounted for", slices.Concat(j.callbacksStored(), j.receiptsBounded()))
	j.hold("I5 a state change and its message commit together",
		slices.Concat(j.stockoutsTold(), j.ordersTold(), j.receiptsTold(), j.messagesKept(), j.mailsSent()))
	j.hold("I8 nothing goes backwards", j.lastMailIsTrue())
}

// answeredIsThere: every purchase that was answered with 200 is in the
// database with that id, reference, lines and total.
func (j *judge) answeredIsThere() []string {
	rows := map[string]saleRow{}
	for _, s := range j.books.sales {
		rows[s.id] = s
	}
	var bad []string
	for _, p := range j.buyers.log {
		if p.outcome != sold {
			continue
		}
		s, ok := rows[plainID(p.saleID)]
		switch {
		case !ok:
			bad = append(bad, fmt.Sprintf("%s was told of sale %s, which is not there", p.reference, p.saleID))
		case s.reference != p.reference || s.total != p.total || !slices.Equal(s.lines, p.lines):
			bad = append(bad, fmt.Sprintf("%s was told %+v, and there is %+v", p.reference, p, s))
		}
	}
	return bad
}

// soldOnce: no reference was sold twice, and nothing was sold to who was
// refused or never asked. A sale that nobody was told of belongs to a request
// that was cut off.
func (j *judge) soldOnce() []string {
	asked := map[string]purchase{}
	for _, p := range j.buyers.log {
		asked[p.reference] = p
	}
	var bad []string
	times := map[string]int{}
	for _, s := range j.books.sales {
		p, ok := asked[s.reference]
		times[s.reference]++
		switch {
		case !ok:
			bad = append(bad, fmt.Sprintf("sale %s has reference %q, for which nobody asked", s.id, s.reference))
		case times[s.reference] > 1:
			bad = append(bad, fmt.Sprintf("%s was sold %d times", s.reference, times[s.reference]))
		case p.outcome == refused || p.status == neverSent:
			bad = append(bad, fmt.Sprintf("%s was sold although its answer was status %d", s.reference, p.status))
		case p.outcome == unanswered && !slices.Equal(s.lines, p.lines):
			bad = append(bad, fmt.Sprintf("%s asked for %v and was sold %v", s.reference, p.lines, s.lines))
		}
	}
	return bad
}

// neverOversold counts with the world's own numbers: what buyers were told
// they have is covered by the opening stock and by what factories delivered.
func (j *judge) neverOversold() []string {
	have := map[string]int64{}
	var bad []string
	for _, p := range j.books.products {
		have[p.sku] = p.opening
		if p.onHand < 0 {
			bad = append(bad, fmt.Sprintf("%s has %d on hand", p.sku, p.onHand))
		}
	}
	delivered := map[attemptKey]bool{}
	for _, c := range j.makers.calls {
		delivered[c.key] = true
	}
	for _, a := range j.makers.accepted {
		if delivered[a.key] {
			have[a.sku] += a.count
		}
	}
	for _, p := range j.buyers.log {
		if p.outcome != sold {
			continue
		}
		for _, l := range p.lines {
			have[l.SKU] -= l.Quantity
		}
	}
	for sku, left := range have {
		if left < 0 {
			bad = append(bad, fmt.Sprintf("of %s buyers have %d more than there ever was", sku, -left))
		}
	}
	return bad
}

// conserved: opening + receipts − sales = on hand, by the documents and by the
// ledger alike.
func (j *judge) conserved() []string {
	documents, ledger := map[string]int64{}, map[string]int64{}
	sku := map[string]string{}
	for _, p := range j.books.products {
		documents[p.id], sku[p.sku] = p.opening, p.id
	}
	for _, r := range j.books.receipts {
		documents[r.product] += r.applied
	}
	for _, s := range j.books.sales {
		for _, l := range s.lines {
			documents[sku[l.SKU]] -= l.Quantity
		}
	}
	for _, m := range j.books.movements {
		ledger[m.product] += m.quantity
	}
	var bad []string
	for _, p := range j.books.products {
		if p.onHand != documents[p.id] || p.onHand != ledger[p.id] {
			bad = append(bad, fmt.Sprintf("%s: on hand %d, by its sales and receipts %d, by its ledger %d",
				p.sku, p.onHand, documents[p.id], ledger[p.id]))
		}
	}
	return bad
}
