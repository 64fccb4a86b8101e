package crash_test

import (
	"fmt"
	"net/http"
)

// acceptedMax is how many attempts of one order factories may have accepted:
// the first, and one more as the reorder budget.
const acceptedMax = 2

// writtenOnce: no factory saw a callback address twice, and none that is not
// an attempt's.
func (j *judge) writtenOnce() []string {
	bad := append([]string(nil), j.makers.nonsense...)
	seen := map[string]bool{}
	for _, a := range j.makers.accepted {
		if seen[a.url] {
			bad = append(bad, fmt.Sprintf("attempt %s of %s was accepted twice", a.key, a.sku))
		}
		seen[a.url] = true
	}
	return bad
}

// ordersBounded: no order was accepted more often than its budget allows, and
// the books know every attempt that was.
func (j *judge) ordersBounded() []string {
	known := map[attemptKey]attemptRow{}
	for _, a := range j.books.attempts {
		known[a.key] = a
	}
	attempts := map[string]map[int]bool{}
	var bad []string
	for _, a := range j.makers.accepted {
		if row, ok := known[a.key]; !ok {
			bad = append(bad, fmt.Sprintf("a factory accepted attempt %s of %s, which nobody knows", a.key, a.sku))
		} else if row.quantity != a.count {
			bad = append(bad, fmt.Sprintf("attempt %s is for %d, and the factory was asked for %d", a.key, row.quantity, a.count))
		}
		if attempts[a.key.order] == nil {
			attempts[a.key.order] = map[int]bool{}
		}
		attempts[a.key.order][a.key.number] = true
	}
	for order, numbers := range attempts {
		if len(numbers) > acceptedMax {
			bad = append(bad, fmt.Sprintf("%d attempts of order %s were accepted", len(numbers), order))
		}
	}
	return bad
}

// oneOrderAtATime: by the factories' own log, nothing was ordered anew of a
// product before they had begun to deliver the order before.
func (j *judge) oneOrderAtATime() []string {
	last, delivered := map[string]string{}, map[string]bool{}
	var bad []string
	for _, e := range j.makers.events {
		if e.called {
			delivered[e.key.order] = true
			continue
		}
		before := last[e.sku]
		if before != "" && before != e.key.order && !delivered[before] {
			bad = append(bad, fmt.Sprintf("order %s of %s was accepted while order %s was not delivered", e.key.order, e.sku, before))
		}
		last[e.sku] = e.key.order
	}
	return bad
}

// callbacksStored: every callback that was answered has the receipt that it
// was told of, and says what that says; what was applied was applied once.
func (j *judge) callbacksStored() []string {
	rows := map[string]receiptRow{}
	for _, r := range j.books.receipts {
		rows[r.id] = r
	}
	applied := map[attemptKey]int{}
	var bad []string
	for _, c := range j.makers.calls {
		if c.status == 0 {
			continue // cut off
		}
		r, ok := rows[c.receipt]
		switch {
		case c.status != http.StatusOK:
			bad = append(bad, fmt.Sprintf("the callback of attempt %s was answered with status %d", c.key, c.status))
		case !ok:
			bad = append(bad, fmt.Sprintf("the callback of attempt %s was told of receipt %s, which is not there", c.key, c.receipt))
		case r.key != c.key || r.state != c.result || r.applied != c.applied:
			bad = append(bad, fmt.Sprintf("the callback of attempt %s was told %+v, and there is %+v", c.key, c, r))
		}
		if c.result == "applied" {
			applied[c.key]++
		}
	}
	for key, n := range applied {
		if n > 1 {
			bad = append(bad, fmt.Sprintf("attempt %s was applied %d times", key, n))
		}
	}
	return bad
}

// receiptsBounded: nothing was booked beyond what an attempt had asked for, and
// nothing for an attempt that no factory ever had.
func (j *judge) receiptsBounded() []string {
	booked := map[attemptKey]int64{}
	for _, r := range j.books.receipts {
		booked[r.key] += r.applied
	}
	asked := map[attemptKey]int64{}
	for _, a := range j.makers.accepted {
		asked[a.key] = a.count
	}
	var bad []string
	for key, n := range booked {
		if n > asked[key] {
			bad = append(bad, fmt.Sprintf("attempt %s was booked with %d, and the factory had %d to make", key, n, asked[key]))
		}
	}
	return bad
}
