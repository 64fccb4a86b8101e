package history_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
)

// history is what all clients of one shop did and were told.
type history struct {
	t    *testing.T
	shop *shop
	left atomic.Int64 // acts that may still begin

	mu       sync.Mutex
	done     []done
	promises []*promise
	keyed    []keyed // purchases under keys, to be repeated
	bodies   int     // callbacks so far
	sweeps   []span  // of expiry
	odd      []string
}

// done is an act with the moments of its question and its answer.
type done struct {
	act
	client int
	span
}

type span struct{ asked, answered int64 }

// keyed is one body that was sent under a key.
type keyed struct {
	key   int
	body  uint8
	lines []line
}

// record opens a shop, lets the clients act in it, and closes it.
func record(t *testing.T, open opener, seed uint64, clients, acts int) *history {
	t.Helper()
	h := &history{t: t, shop: openShop(t, open)}
	h.left.Store(int64(acts))
	var all sync.WaitGroup
	start := make(chan struct{})
	for i := range clients {
		c := &client{history: h, number: i, dice: rand.New(rand.NewPCG(seed, uint64(i)))}
		all.Go(func() {
			<-start
			for h.left.Add(-1) >= 0 {
				c.act()
			}
		})
	}
	close(start)
	all.Wait()
	h.finish()
	h.shop.close()
	return h
}

// client does one thing after another.
type client struct {
	*history
	number int
	dice   *rand.Rand
}

func (c *client) act() {
	const hundred = 100
	switch n := c.dice.IntN(hundred); {
	case n < 36:
		c.buy()
	case n < 46:
		c.buyUnderKey()
	case n < 52:
		c.repeat()
	case n < 66:
		c.reserve()
	case n < 73:
		c.confirm()
	case n < 78:
		c.release()
	case n < 82:
		c.adjust()
	case n < 94:
		c.receive()
	default:
		c.expire()
	}
}

// note writes an act down. What the model cannot know is kept apart, as an
// answer that nobody must get.
func (h *history) note(client int, asked int64, a act, odd string) {
	answered := h.shop.clock.tick()
	if odd != "" {
		h.oddity(odd)
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.done = append(h.done, done{a, client, span{asked, answered}})
}

// oddity keeps an answer that nobody must get. A few will do.
func (h *history) oddity(odd string) {
	const few = 5
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.odd) < few {
		h.odd = append(h.odd, strings.TrimSpace(odd))
	}
}

// lines fills a cart: mostly one product, sometimes several, sometimes the
// same on two lines.
func (c *client) lines() []line {
	one := func() line { return line{c.dice.IntN(productsCount), 1 + c.dice.Int64N(4)} }
	lines := []line{one()}
	switch c.dice.IntN(6) {
	case 0:
		lines = append(lines, one(), one())
	case 1:
		lines = append(lines, one())
	case 2:
		lines = append(lines, line{lines[0].product, 1 + c.dice.Int64N(4)})
	}
	return lines
}

func (c *client) buy() { c.checkout(keyed{lines: c.lines()}) }

func (c *client) buyUnderKey() {
	k := keyed{body: 1, lines: c.lines()}
	c.mu.Lock()
	if k.key = len(c.keyed) + 1; k.key > keysMax {
		k.key, k.body = 0, 0
	} else {
		c.keyed = append(c.keyed, k)
	}
	c.mu.Unlock()
	c.checkout(k)
}

// repeat sends what somebody sent under a key, mostly the very same.
func (c *client) repeat() {
	c.mu.Lock()
	var k keyed
	if n := len(c.keyed); n > 0 {
		k = c.keyed[max(0, n-1-c.dice.IntN(10))] // it may be under way
	}
	c.mu.Unlock()
	if k.key == 0 {
		k.lines = c.lines()
	} else if c.dice.IntN(5) == 0 {
		k.body, k.lines = 2, []line{{0, 1}}
	}
	c.checkout(k)
}

func (c *client) checkout(k keyed) {
	b := &buy{lines: k.lines, key: k.key, body: k.body}
	key, reference := "", ""
	if k.key > 0 {
		key, reference = fmt.Sprintf("key-%d", k.key), fmt.Sprintf(`,"reference":"body-%d"`, k.body)
	}
	asked := c.shop.clock.tick()
	got := c.shop.post(c.dice.IntN(len(c.shop.tills)), "/checkout", key, body(k.lines, k.body != 1, reference))
	odd := ""
	switch got.status {
	case http.StatusOK:
		var sale soldAnswer
		got.read(c.t, &sale)
		b.sale, b.soldAt, b.remaining, b.answer = sale.ID, sale.At.UnixMicro(), sale.remaining(), got.body
	case http.StatusConflict:
		b.refusal = c.shortage(got)
	case http.StatusUnprocessableEntity:
		b.reused = true
	default:
		odd = fmt.Sprintf("a purchase was answered %d %s", got.status, got.body)
	}
	c.note(c.number, asked, b, odd)
}

// shortage reads the refusal of a buyer at the till.
func (c *client) shortage(got answer) *shortage {
	var refusal struct {
		SKU       string `json:"sku"`
		Remaining int64  `json:"remaining"`
	}
	got.read(c.t, &refusal)
	return &shortage{int(refusal.SKU[0] - 'A'), refusal.Remaining}
}

func (c *client) reserve() {
	c.mu.Lock()
	room := len(c.promises) < reservationsMax-clientsCount // others may be under way
	c.mu.Unlock()
	if !room {
		c.buy()
		return
	}
	r := &reserve{lines: c.lines()}
	seconds := 1 + c.dice.IntN(3)
	asked := c.shop.clock.tick()
	got := c.shop.post(c.dice.IntN(len(c.shop.tills)), "/v1/reservations", "", body(r.lines, true, fmt.Sprintf(`,"ttl_seconds":%d`, seconds)))
	odd := ""
	switch got.status {
	case http.StatusCreated:
		var made restock.Reservation
		got.read(c.t, &made)
		r.made = &promise{id: made.ID.String(), lines: r.lines, since: made.CreatedAt.UnixMicro(), until: made.ExpiresAt.UnixMicro()}
		c.mu.Lock()
		c.promises = append(c.promises, r.made)
		c.mu.Unlock()
	case http.StatusConflict:
		r.refusal = c.shortageOfProblem(got)
	default:
		odd = fmt.Sprintf("a reservation was answered %d %s", got.status, got.body)
	}
	c.note(c.number, asked, r, odd)
}

// shortageOfProblem reads the refusal of a reservation, whose text has the
// product and what is left: "A: 4 asked for, 2 available".
func (c *client) shortageOfProblem(got answer) *shortage {
	var problem struct {
		Detail string `json:"detail"`
	}
	got.read(c.t, &problem)
	sku, rest, _ := strings.Cut(problem.Detail, ": ")
	_, left, _ := strings.Cut(rest, " asked for, ")
	n, err := strconv.ParseInt(strings.TrimSuffix(left, " available"), 10, 64)
	if err != nil || len(sku) != 1 {
		c.t.Errorf("a reservation was refused with %q", got.body)
		return &shortage{}
	}
	return &shortage{int(sku[0] - 'A'), n}
}

// pick chooses one of the latest reservations.
func (c *client) pick() *promise {
	c.mu.Lock()
	defer c.mu.Unlock()
	n := len(c.promises)
	if n == 0 {
		return nil
	}
	return c.promises[max(0, n-1-c.dice.IntN(25))]
}

func (c *client) confirm() {
	p := c.pick()
	if p == nil {
		c.buy()
		return
	}
	a := &confirm{promise: p}
	asked := c.shop.clock.tick()
	got := c.shop.post(c.dice.IntN(len(c.shop.tills)), "/v1/reservations/"+p.id+"/confirm", "", "")
	odd := ""
	switch {
	case got.status == http.StatusOK:
		var sale soldAnswer
		got.read(c.t, &sale)
		a.sale, a.soldAt, a.remaining, a.answer = sale.ID, sale.At.UnixMicro(), sale.remaining(), got.body
	case got.status == http.StatusConflict && strings.Contains(got.body, "is expired"):
		a.ended = expired
	case got.status == http.StatusConflict && strings.Contains(got.body, "is released"):
		a.ended = released
	default:
		odd = fmt.Sprintf("a confirmation was answered %d %s", got.status, got.body)
	}
	if a.ended == expired { // the request itself may have ended it
		c.swept(asked)
	}
	c.note(c.number, asked, a, odd)
}

func (c *client) release() {
	p := c.pick()
	if p == nil {
		c.buy()
		return
	}
	a := &release{promise: p}
	asked := c.shop.clock.tick()
	got := c.shop.post(c.dice.IntN(len(c.shop.tills)), "/v1/reservations/"+p.id+"/release", "", "")
	odd := ""
	switch got.status {
	case http.StatusOK:
		var after restock.Reservation
		got.read(c.t, &after)
		a.ended, a.closedAt = standingOf(after.State), after.ClosedAt.UnixMicro()
	case http.StatusConflict:
		a.ended = confirmed
	default:
		odd = fmt.Sprintf("a release was answered %d %s", got.status, got.body)
	}
	c.note(c.number, asked, a, odd)
}

func standingOf(s restock.ReservationState) standing {
	return map[restock.ReservationState]standing{
		restock.ReservationHeld: held, restock.ReservationConfirmed: confirmed,
		restock.ReservationReleased: released, restock.ReservationExpired: expired,
	}[s]
}

// adjust changes on hand by a quantity, or to what was counted.
func (c *client) adjust() {
	a := &adjust{product: c.dice.IntN(productsCount), quantity: c.dice.Int64N(13) - 6, freeYoungest: c.dice.IntN(2) == 0}
	if c.dice.IntN(3) == 0 {
		n := c.dice.Int64N(20)
		a.quantity, a.counted = 0, &n
	}
	asked := c.shop.clock.tick()
	got, err := c.shop.Adjust(c.shop.ctx, restock.AdjustmentRequest{
		Product: skuOf(a.product), Quantity: a.quantity, Counted: a.counted, Reason: "counted again", FreeYoungest: a.freeYoungest,
	}, restock.Key{})
	odd := ""
	switch {
	case err == nil:
		a.onHand, a.changed, a.bookedAt = got.OnHand, got.Quantity, got.At.UnixMicro()
		for _, id := range got.Released {
			a.freed = append(a.freed, id.String())
		}
	case restock.KindOf(err) == restock.Conflict:
		a.refused = true
	default:
		odd = fmt.Sprintf("an adjustment was answered %v", err)
	}
	c.note(c.number, asked, a, odd)
}

// receive reports goods, sometimes with the very same callback as before.
func (c *client) receive() {
	c.mu.Lock()
	n := c.bodies
	if c.dice.IntN(5) > 0 && c.bodies < bodiesMax {
		c.bodies++
		n = c.bodies
	}
	c.mu.Unlock()
	a := &receive{product: n % productsCount, count: int64(2 + n%9), body: n}
	attempt := c.shop.attempts[a.product]
	text := fmt.Sprintf("%d of %s (%d)", a.count, skuOf(a.product), n)
	callback := restock.Callback{
		OrderID: attempt.OrderID, Attempt: attempt.Number, Count: a.count, Claimed: strconv.FormatInt(a.count, 10), Body: []byte(text), Remote: "192.0.2.1:1",
	}
	copy(callback.Hash[:], text)
	asked := c.shop.clock.tick()
	got, err := c.shop.Receive(c.shop.ctx, callback, onceEach)
	a.duplicate, a.available, a.receivedAt = got.State == restock.ReceiptDuplicate, got.Available, got.CreatedAt.UnixMicro()
	odd := ""
	if err != nil {
		odd = fmt.Sprintf("an arrival was answered %v", err)
	}
	c.note(c.number, asked, a, odd)
}

// onceEach applies a body that is new.
func onceEach(e restock.Evidence) restock.Verdict {
	if e.Seen {
		return restock.Verdict{State: restock.ReceiptDuplicate, Reason: "seen"}
	}
	return restock.Verdict{State: restock.ReceiptApplied, Apply: e.Callback.Count}
}

// expire lets time pass and ends what is over by then.
func (c *client) expire() {
	c.shop.clock.leap(time.Duration(c.dice.Int64N(int64(300 * time.Millisecond))))
	asked := c.shop.clock.tick()
	_, err := c.shop.ExpireReservations(c.shop.ctx, 1+c.dice.IntN(20))
	if err != nil {
		c.oddity(fmt.Sprintf("reservations could not be expired: %v", err))
	}
	c.swept(asked)
}

// swept notes when somebody was ending what is over.
func (h *history) swept(asked int64) {
	answered := h.shop.clock.tick()
	h.mu.Lock()
	defer h.mu.Unlock()
	h.sweeps = append(h.sweeps, span{asked, answered})
}
