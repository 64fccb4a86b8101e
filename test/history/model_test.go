package history_test

import (
	"fmt"
	"slices"
	"strings"
)

// The most of each thing that one history may have, so that a state is a plain
// value that can be compared.
const (
	productsCount   = 3
	reservationsMax = 255
	keysMax         = 127
	bodiesMax       = 127
)

// state is a shelf in the plainest way: what is there, what is promised, and
// which promises, keys and callbacks were used.
type state struct {
	products     [productsCount]stock
	reservations [reservationsMax + 1]standing
	// keys says which body was sold under a key; 0 is none.
	keys      [keysMax + 1]uint8
	callbacks [bodiesMax + 1]bool
}

type stock struct{ onHand, reserved int64 }

func (s stock) available() int64 { return s.onHand - s.reserved }

// standing is where a reservation stands.
type standing uint8

const (
	unknown standing = iota
	held
	confirmed
	released
	expired
)

func (s standing) String() string {
	return [...]string{"not made", "held", "confirmed", "released", "expired"}[s]
}

// line is a quantity of a product.
type line struct {
	product  int
	quantity int64
}

func skuOf(product int) string { return string(rune('A' + product)) }

// shortage is the refusal of a buyer: the first product of which there was not
// enough, and what was left of it.
type shortage struct {
	product int
	left    int64
}

// act is one thing that was asked and what was answered.
type act interface {
	// step does the act to a state. When the answer is not what the state gives,
	// broken says so, and begins with the promise.
	step(s state) (after state, broken string)
	// at is when the answer says that it happened, 0 if it does not say.
	at() int64
	// kind names the act together with its answer.
	kind() string
}

// sum adds up the lines of each product.
func sum(lines []line) [productsCount]int64 {
	var asked [productsCount]int64
	for _, l := range lines {
		asked[l.product] += l.quantity
	}
	return asked
}

// short is the first line of which there is not enough, as the buyer is told.
func (s state) short(lines []line) *shortage {
	asked := sum(lines)
	for _, l := range lines {
		if left := s.products[l.product].available(); asked[l.product] > left {
			return &shortage{l.product, left}
		}
	}
	return nil
}

// fits compares what the state gives for some lines with what was answered.
func (s state) fits(lines []line, refusal *shortage) string {
	want := s.short(lines)
	switch {
	case want == nil && refusal == nil:
		return ""
	case refusal == nil:
		return fmt.Sprintf("I1 never oversell: %v were given away, and of %s only %d were available",
			quantities(lines), skuOf(want.product), want.left)
	case want == nil:
		return fmt.Sprintf("I2 conservation: %v were refused for want of %s, told %d left, and %d were available",
			quantities(lines), skuOf(refusal.product), refusal.left, s.products[refusal.product].available())
	case *want != *refusal:
		return fmt.Sprintf("I2 conservation: %v were refused with %d of %s left, and it is %d of %s",
			quantities(lines), refusal.left, skuOf(refusal.product), want.left, skuOf(want.product))
	}
	return ""
}

func quantities(lines []line) string {
	texts := make([]string, len(lines))
	for i, l := range lines {
		texts[i] = fmt.Sprintf("%d×%s", l.quantity, skuOf(l.product))
	}
	return strings.Join(texts, " + ")
}

// remaining compares what is available now with what a buyer was told.
func (s state) remaining(lines []line, told []int64) string {
	for i, l := range lines {
		if left := s.products[l.product].available(); left != told[i] {
			return fmt.Sprintf("I2 conservation: after %v was sold %d of %s are available, and the buyer was told %d",
				quantities(lines), left, skuOf(l.product), told[i])
		}
	}
	return ""
}

// buy is a checkout, under a key or without one (0).
type buy struct {
	lines     []line
	key       int
	body      uint8 // which of the bodies of this key
	refusal   *shortage
	reused    bool // 422: the key was used with another body
	sale      string
	soldAt    int64
	remaining []int64
	answer    string // every byte of it
}

func (b *buy) at() int64 { return b.soldAt }

func (b *buy) kind() string {
	switch {
	case b.reused:
		return "key refused with another body"
	case b.refusal != nil:
		return "purchase refused"
	case b.key > 0:
		return "sale under a key"
	}
	return "sale"
}

func (b *buy) step(s state) (state, string) {
	used := uint8(0)
	if b.key > 0 {
		used = s.keys[b.key]
	}
	switch {
	case b.reused && (used == 0 || used == b.body):
		return s, fmt.Sprintf("I4 one effect: key %d was refused as used with another body, and it was not", b.key)
	case b.reused:
		return s, ""
	case used != 0 && used != b.body:
		return s, fmt.Sprintf("I4 one effect: key %d was used with another body, and answered all the same", b.key)
	case used != 0 && b.refusal != nil:
		return s, fmt.Sprintf("I4 one effect: a purchase was made under key %d, and its repeat refused", b.key)
	case used != 0:
		return s, "" // that the answer is the same again is the audit's to see
	}
	if broken := s.fits(b.lines, b.refusal); broken != "" || b.refusal != nil {
		return s, broken
	}
	for i, n := range sum(b.lines) {
		s.products[i].onHand -= n
	}
	if b.key > 0 {
		s.keys[b.key] = b.body
	}
	return s, s.remaining(b.lines, b.remaining)
}

// reserve is a reservation; made is nil for one refused.
type reserve struct {
	lines   []line
	refusal *shortage
	made    *promise
}

func (r *reserve) at() int64 {
	if r.made == nil {
		return 0
	}
	return r.made.since
}

func (r *reserve) kind() string {
	if r.refusal != nil {
		return "reservation refused"
	}
	return "reservation"
}

func (r *reserve) step(s state) (state, string) {
	if broken := s.fits(r.lines, r.refusal); broken != "" || r.refusal != nil {
		return s, broken
	}
	for i, n := range sum(r.lines) {
		s.products[i].reserved += n
	}
	s.reservations[r.made.number] = held
	return s, ""
}

// promise is what a reservation holds. It is known once and never changes.
type promise struct {
	id           string
	lines        []line
	since, until int64 // when it was made, and its deadline
	// number is its place by age, from 1. It is known when the history is over.
	number int
}

// confirm makes a reservation a sale.
type confirm struct {
	*promise
	ended     standing // how it had ended, when it could not be confirmed
	sale      string
	soldAt    int64
	remaining []int64
	answer    string
}

func (c *confirm) at() int64 { return c.soldAt }

func (c *confirm) kind() string {
	if c.ended != unknown {
		return "confirmation of one " + c.ended.String()
	}
	return "confirmation"
}

func (c *confirm) step(s state) (state, string) {
	now := s.reservations[c.number]
	switch {
	case c.ended != unknown && now != c.ended:
		return s, fmt.Sprintf("I4 one effect: a reservation that is %v was not confirmed, since it is %v", now, c.ended)
	case c.ended != unknown, now == confirmed: // again; the audit sees that it is the same sale
		return s, ""
	case now != held:
		return s, fmt.Sprintf("I1 never oversell: a reservation that is %v was confirmed; its pieces are no longer promised", now)
	case c.soldAt >= c.until:
		return s, "I1 never oversell: a reservation was confirmed after its time"
	}
	for i, n := range sum(c.lines) {
		s.products[i].onHand -= n
		s.products[i].reserved -= n
	}
	s.reservations[c.number] = confirmed
	return s, s.remaining(c.lines, c.remaining)
}

// release gives the pieces of a reservation back.
type release struct {
	*promise
	ended    standing // as the answer says: released, expired before, or confirmed and so refused
	closedAt int64
	// freed is known when the history is over: an adjustment says that it had
	// ended the reservation.
	freed bool
}

func (r *release) at() int64    { return r.closedAt }
func (r *release) kind() string { return "release of one now " + r.ended.String() }

func (r *release) step(s state) (state, string) {
	now := s.reservations[r.number]
	if now == held && r.ended == released && !r.freed {
		return s.free(r.promise, released), ""
	}
	if now != r.ended {
		return s, fmt.Sprintf("I4 one effect: a reservation that is %v was answered to be %v", now, r.ended)
	}
	return s, ""
}

// free makes the pieces of a reservation available again.
func (s state) free(p *promise, as standing) state {
	for i, n := range sum(p.lines) {
		s.products[i].reserved -= n
	}
	s.reservations[p.number] = as
	return s
}

// expire is the end of a reservation by itself. Nobody asked for it: it is an
// act of the system.
type expire struct {
	*promise
	closedAt int64
}

func (e *expire) at() int64  { return e.closedAt }
func (*expire) kind() string { return "expiry" }

func (e *expire) step(s state) (state, string) {
	switch now := s.reservations[e.number]; {
	case now != held:
		return s, fmt.Sprintf("I4 one effect: a reservation that is %v expired", now)
	case e.closedAt < e.until:
		return s, "I4 one effect: a reservation expired before its time"
	}
	return s.free(e.promise, expired), ""
}

// adjust changes on hand by hand.
type adjust struct {
	product      int
	quantity     int64
	counted      *int64
	freeYoungest bool
	refused      bool
	onHand       int64    // as answered
	changed      int64    // the same
	freed        []string // reservations, as answered
	bookedAt     int64
	// promises are all reservations of the history, the oldest first: those that
	// hold the product may have to go, the youngest first.
	promises []*promise
}

func (a *adjust) at() int64 { return a.bookedAt }

func (a *adjust) kind() string {
	switch {
	case a.refused:
		return "adjustment refused"
	case len(a.freed) > 0:
		return "adjustment that frees reservations"
	case a.counted != nil:
		return "stocktake"
	}
	return "adjustment"
}

func (a *adjust) step(s state) (state, string) {
	p := s.products[a.product]
	after := p.onHand + a.quantity
	if a.counted != nil {
		after = *a.counted
	}
	possible := after >= 0 && (after >= p.reserved || a.freeYoungest)
	switch {
	case a.refused && possible:
		return s, fmt.Sprintf("I2 conservation: %s could not be adjusted to %d, with %d reserved", skuOf(a.product), after, p.reserved)
	case a.refused:
		return s, ""
	case !possible:
		return s, fmt.Sprintf("I1 never oversell: %s was adjusted to %d on hand, with %d reserved", skuOf(a.product), after, p.reserved)
	}
	freed := 0
	for _, p := range slices.Backward(a.promises) {
		if after >= s.products[a.product].reserved {
			break
		}
		if s.reservations[p.number] != held || sum(p.lines)[a.product] == 0 {
			continue
		}
		if freed >= len(a.freed) || a.freed[freed] != p.id {
			return s, fmt.Sprintf("I2 conservation: an adjustment of %s freed %v, and number %d was to go for it", skuOf(a.product), a.freed, freed)
		}
		freed++
		s = s.free(p, released)
	}
	if freed != len(a.freed) {
		return s, fmt.Sprintf("I2 conservation: an adjustment of %s freed %v, more than it had to", skuOf(a.product), a.freed)
	}
	s.products[a.product].onHand = after
	if a.onHand != after {
		return s, fmt.Sprintf("I2 conservation: %s was adjusted to %d on hand, and answered as %d", skuOf(a.product), after, a.onHand)
	}
	return s, ""
}

// receive is an arrival of goods.
type receive struct {
	product    int
	count      int64
	body       int
	duplicate  bool
	available  int64 // as answered
	receivedAt int64
}

func (r *receive) at() int64 { return r.receivedAt }

func (r *receive) kind() string {
	if r.duplicate {
		return "arrival told again"
	}
	return "arrival"
}

func (r *receive) step(s state) (state, string) {
	if s.callbacks[r.body] != r.duplicate {
		return s, fmt.Sprintf("I4 one effect: callback %d came before: %t, and was answered as a duplicate: %t", r.body, s.callbacks[r.body], r.duplicate)
	}
	s.callbacks[r.body] = true
	if !r.duplicate {
		s.products[r.product].onHand += r.count
	}
	if left := s.products[r.product].available(); left != r.available {
		return s, fmt.Sprintf("I2 conservation: after an arrival %d of %s are available, and it was answered %d", left, skuOf(r.product), r.available)
	}
	return s, ""
}

// look is how the shelf stands when all have left.
type look struct{ products [productsCount]stock }

func (*look) at() int64    { return 0 }
func (*look) kind() string { return "last look" }

func (l *look) step(s state) (state, string) {
	for i, p := range l.products {
		if s.products[i] != p {
			return s, fmt.Sprintf("I2 conservation: in the end %s has %d on hand and %d reserved, and what was answered makes %d and %d",
				skuOf(i), p.onHand, p.reserved, s.products[i].onHand, s.products[i].reserved)
		}
	}
	return s, ""
}
