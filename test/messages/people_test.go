package messages_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
	"github.com/restock/restock/test/blackbox"
)

// buy lets buyers come for one product until it was sold out often enough.
func (w *world) buy(n int) {
	sku := restock.SKU(fmt.Sprintf("CP-%d", n+1))
	rounds := w.size.rounds
	if n == w.size.products-1 {
		rounds = 1 // nobody makes more of it
	}
	r := w.dice.about("buyers of", sku)
	pause := w.pace.buying
	for buyer := 0; rounds > 0 && buyer < w.size.buyers && w.sleep(w.ctx, around(r, pause)); buyer++ {
		p, err := w.store.Product(w.ctx, string(sku))
		w.must(err)
		// Who finds the shelf empty comes back, and less often.
		pause = min(2*pause, 16*w.pace.buying)
		if p.Stock.OnHand == 0 {
			continue
		}
		pause = w.pace.buying
		quantity := min(1+r.Int64N(3), p.Stock.OnHand)
		_, err = w.store.Sell(w.ctx, []restock.Cart{{Lines: []restock.Line{{Product: string(sku), Quantity: quantity}}}})
		w.must(err)
		if quantity == p.Stock.OnHand {
			rounds--
		}
	}
}

// place lets the placer place what can be placed. It has no time of its own to
// wait: in a bubble, a look each second would be all that happens.
func (w *world) place(ctx context.Context) error {
	for ctx.Err() == nil {
		if _, err := w.replenisher.PlaceReady(ctx); err != nil && ctx.Err() == nil {
			return err
		}
		w.takeOrders()
		wait := w.pace.patience
		if next, err := w.store.NextPlacing(ctx); err == nil && !next.IsZero() {
			wait = max(time.Until(next), time.Millisecond)
		}
		timer := time.NewTimer(wait)
		select {
		case <-w.store.OrdersReady():
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	return nil
}

// takeOrders looks at what reached the factory.
func (w *world) takeOrders() {
	orders := w.maker.Orders()
	for ; w.known < len(orders); w.known++ {
		o := orders[w.known]
		var asked struct {
			SKU restock.SKU `json:"MessageAttributeProductId"`
		}
		w.must(json.Unmarshal(o.Body, &asked))
		w.book.note(string(asked.SKU), "the factory takes an order of %s", o.Count)
		w.mu.Lock()
		again := w.ordered[asked.SKU]
		w.ordered[asked.SKU] = true
		w.orderNo[asked.SKU]++
		number := w.orderNo[asked.SKU]
		w.mu.Unlock()
		if again {
			w.book.broken("I4", about(string(asked.SKU), "factory", "stock.low"), "one order for each time that stock is low: another one of %s reached the factory while one was open", asked.SKU)
		}
		w.under.Add(1)
		w.deliver.Go(func() {
			defer w.under.Add(-1)
			w.make(asked.SKU, number, o)
		})
	}
}

// make makes the goods and reports them. Of every other product, what was
// ordered last does not come while the world is watched.
func (w *world) make(sku restock.SKU, number int, o blackbox.Order) {
	r := w.dice.about("order of", sku, number)
	if !w.sleep(w.ctx, around(r, w.pace.lead)) || w.closing.Load() && w.staysAway(sku) {
		return
	}
	w.mu.Lock()
	w.ordered[sku] = false
	w.mu.Unlock()
	request := httptest.NewRequest(http.MethodPost, o.Callback, bytes.NewReader(o.Body))
	request.Header.Set("Content-Type", "application/json")
	answer := httptest.NewRecorder()
	w.arrivals.ServeHTTP(answer, request)
	w.book.note(string(sku), "the factory reports %s made: %d", o.Count, answer.Code)
	if answer.Code != http.StatusOK {
		w.must(fmt.Errorf("the callback about %s was answered with %d: %s", sku, answer.Code, answer.Body))
	}
}

func (w *world) staysAway(sku restock.SKU) bool { return chance(w.dice.about("stays away", sku), 50) }

// refuse is a factory that takes no order.
func refuse(conn net.Conn, _ blackbox.Order) {
	_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
}

// weather takes away the mail server and the broker for a while.
func (w *world) weather(ctx context.Context) error {
	for n := 1; ; n++ {
		r := w.dice.about("weather", n)
		if !w.sleep(ctx, around(r, w.pace.weather)) || w.closing.Load() {
			return nil
		}
		if w.engine.outbox && n%2 == 0 {
			w.tally.count(brokerOff)
			w.brokerOff.Store(true)
			w.sleep(ctx, oneOf(r, w.pace.queueOutage))
			w.brokerOff.Store(false)
			continue
		}
		w.tally.count(mailServerOff)
		w.mailbox.away.Store(true)
		w.sleep(ctx, around(r, w.pace.mailOutage))
		w.mailbox.away.Store(false)
	}
}

// operate is a person who looks at the dead letters now and then.
func (w *world) operate(ctx context.Context) error {
	for n := 1; ; n++ {
		r := w.dice.about("operator", n)
		if !w.sleep(ctx, around(r, w.pace.operator)) || w.closing.Load() {
			return nil
		}
		letters := w.deadLetters()
		if !chance(r, 30) {
			w.redrive(letters[:len(letters)-r.IntN(len(letters)/2+1)]) // some time a redrive ends half way
			continue
		}
		w.tally.count(redrivenTwice)
		var both sync.WaitGroup
		both.Go(func() { w.redrive(letters) })
		both.Go(func() { w.redrive(letters) })
		both.Wait()
	}
}

func (w *world) redriveAll() { w.redrive(w.deadLetters()) }

func (w *world) deadLetters() []queue.DeadLetter {
	letters, _, err := w.store.Queue().DeadLetters(w.ctx, queue.Filter{Limit: 1000})
	if w.ctx.Err() == nil {
		w.must(err)
	}
	return letters
}

func (w *world) redrive(letters []queue.DeadLetter) {
	for _, l := range letters {
		ok, err := w.store.Queue().Redrive(w.ctx, l.Queue, l.MessageID)
		if w.ctx.Err() == nil {
			w.must(err)
		}
		if ok {
			w.tally.count(redriven)
			w.book.note(l.Subject, "%s is redriven to %s; it died of %s", l.Type, l.Queue, l.LastError)
		}
	}
}
