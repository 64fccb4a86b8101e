package crash_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/restock/restock/test/contract"
)

// outcome is what a buyer knows about a purchase.
type outcome int

const (
	unanswered outcome = iota // the connection broke: sold or not, nobody said
	sold
	refused // answered, and not with 200
)

// line is one product of a purchase.
type line struct {
	SKU      string `json:"sku"`
	Quantity int64  `json:"quantity"`
}

// purchase is one line of the buyers' log.
type purchase struct {
	reference string
	lines     []line
	outcome   outcome
	status    int
	saleID    string // of a sale
	total     int64
	span      span // when it was asked for, and answered
}

// buyers buy random products, over and over, and write down what they asked
// for and what they were told.
type buyers struct {
	up      door
	crowd   crowd
	skus    []string
	dice    *dice
	client  *http.Client
	flights *flights
	served  signal // raised for each sale

	mu    sync.Mutex
	log   []purchase
	sales int // answered as sold
}

// crowd is how many buyers there are, and how they behave.
type crowd struct {
	buyers int
	// thinkTime is the longest that a buyer waits before the next purchase. It
	// leaves the machine to what follows from the sales.
	thinkTime time.Duration
}

const checkoutTimeout = 30 * time.Second

func newBuyers(t *testing.T, up door, c crowd, skus []string, d *dice) *buyers {
	return &buyers{
		up: up, crowd: c, skus: skus, dice: d,
		client:  &http.Client{Timeout: checkoutTimeout, Transport: contract.Sampled(t, &http.Transport{MaxIdleConnsPerHost: c.buyers})},
		flights: newFlights("checkout"), served: newSignal(),
	}
}

// run buys until ctx ends; purchases under way are waited for.
func (b *buyers) run(ctx context.Context) {
	var all sync.WaitGroup
	for i := range b.crowd.buyers {
		all.Go(func() { b.shop(ctx, i) })
	}
	all.Wait()
	b.client.CloseIdleConnections()
}

func (b *buyers) shop(ctx context.Context, buyer int) {
	for n := 0; ; n++ {
		address, err := b.up.wait(ctx)
		if err != nil {
			return
		}
		p := b.buy(context.WithoutCancel(ctx), address, fmt.Sprintf("buyer-%02d-%06d", buyer, n))
		b.mu.Lock()
		b.log = append(b.log, p)
		if p.outcome == sold {
			b.sales++
		}
		b.mu.Unlock()
		if p.outcome == sold {
			b.served.raise()
		}
		pause(ctx, b.dice.upTo(b.crowd.thinkTime))
	}
}

// sold is how many purchases were answered as sold.
func (b *buyers) sold() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sales
}

// choose fills a cart: mostly one product, sometimes two.
func (b *buyers) choose() []line {
	lines := []line{{SKU: b.sku(), Quantity: int64(b.dice.between(1, 3))}}
	if b.dice.oneIn(8) {
		lines = append(lines, line{SKU: b.sku(), Quantity: 1})
	}
	return lines
}

func (b *buyers) sku() string { return b.skus[b.dice.between(0, len(b.skus)-1)] }

// buy makes one request and never repeats it.
func (b *buyers) buy(ctx context.Context, address, reference string) purchase {
	p := purchase{reference: reference, lines: b.choose()}
	body, err := json.Marshal(map[string]any{"items": p.lines, "reference": reference})
	if err != nil {
		panic(err) // an error of this test
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://"+address+"/checkout", bytes.NewReader(body))
	if err != nil {
		panic(err)
	}
	request.GetBody = nil // Go would send it again by itself when it believes that it may
	began := b.flights.begin()
	p.read(b.client.Do(request))
	p.span = span{began, time.Now()}
	if p.outcome == unanswered && p.status == 0 {
		b.flights.end(began)
	}
	return p
}

// neverSent marks a purchase that no server was there to take.
const neverSent = -1

// read takes down the answer, if a whole one came.
func (p *purchase) read(response *http.Response, err error) {
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) {
			p.status = neverSent
		}
		return
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return
	}
	p.status = response.StatusCode
	if p.status != http.StatusOK {
		p.outcome = refused
		return
	}
	var answer struct {
		SaleID string `json:"sale_id"`
		Total  int64  `json:"total"`
	}
	// What cannot be read was answered all the same, and its sale is looked for.
	_ = json.Unmarshal(body, &answer)
	p.outcome, p.saleID, p.total = sold, answer.SaleID, answer.Total
}
