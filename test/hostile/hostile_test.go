// Package hostile_test sends requests that are made from the description of the
// API and then made wrong, to the built program, and holds what it answers
// against the description.
//
// Beside A1 (every answer is described) and A2 (no invalid request is accepted)
// of package contract, A3: whatever is sent, nothing breaks inside.
package hostile_test

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/contract"
)

// How many requests are sent, and by how many at a time.
const (
	requestsFull  = 100_000
	requestsShort = 10_000
	senders       = 16
	failuresShown = 25
	answerMax     = 2 * time.Minute
)

func TestHostileRequestsAreAnsweredAsDescribed(t *testing.T) {
	t.Parallel()
	if blackbox.RaceDetector {
		blackbox.RunWithoutRaceDetector(t)
		return
	}
	seed := rand.Uint64()
	if text := os.Getenv("RESTOCK_TEST_SEED"); text != "" {
		var err error
		if seed, err = strconv.ParseUint(text, 10, 64); err != nil {
			t.Fatal(err)
		}
	}
	count := requestsShort
	if os.Getenv("RESTOCK_TEST_FULL") != "" {
		count = requestsFull
	}
	h := openHunt(t, seed)
	h.hunt(count)
	h.judge(count)
}

// hunt is one shop, and all that is sent to it.
type hunt struct {
	t        *testing.T
	seed     uint64
	shop     *blackbox.Shop
	contract *contract.Contract
	d        description
	address  string
	known    atomic.Pointer[known]

	mu       sync.Mutex
	answers  map[string]int // by route and status
	failures map[string]string
	hits     map[string]int
}

func openHunt(t *testing.T, seed uint64) *hunt {
	t.Helper()
	binary, err := blackbox.Build(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	h := &hunt{t: t, seed: seed, answers: map[string]int{}, failures: map[string]string{}, hits: map[string]int{}}
	if h.contract, err = contract.Open(); err != nil {
		t.Fatal(err)
	}
	if h.d, err = readDescription(); err != nil {
		t.Fatal(err)
	}
	h.shop = blackbox.OpenShop(t, binary, blackbox.Setup{
		Factory:  blackbox.NewFactory(t, nil, nil),
		Products: "  - {sku: BG-1, slug: bagel, name: Bagel, price: 2500, unit_cost: 900, opening_stock: 100000, factory: FF-500293, advertisement: donut-main, ordering: review, reorder_point: 10, order_quantity: 5}\n",
		Sections: "advertisements:\n  - {name: donut-main, manager_email: ads@donut.example}\n",
		Flags:    []string{"--alert-gap", "1h", "--sweep-interval", "5s", "--log-level", "error", "--queue-age-limit", "1h", "--webhook-allow", "127.0.0.0/8"},
		Promise:  "A3 the server has to start",
	})
	h.address = strings.TrimPrefix(h.shop.URL(), "http://")
	if err := h.shop.SellOut(); err != nil { // an order, a stockout and a conversation with an ad manager begin
		t.Fatal(err)
	}
	h.shop.Factory.Await(t, 1)
	h.learn()
	return h
}

// learn takes down what the shop has now.
func (h *hunt) learn() {
	token, err := os.ReadFile(filepath.Join(h.shop.Data, "operator-token"))
	if err != nil {
		h.t.Fatal(err)
	}
	k := &known{token: strings.TrimSpace(string(token)), ids: map[string][]string{}}
	for name, member := range map[string]string{
		"replenishment-orders": "order_id", "receipts": "receipt_id", "sales": "sale_id", "reservations": "reservation_id",
		"ad-holds": "ad_hold_id", "dead-letters": "message_id", "webhooks": "webhook_id", "events": "id",
	} {
		answer, err := h.shop.Operate(http.MethodGet, "/v1/"+name+"?limit=20", "")
		var page struct {
			Items []map[string]any `json:"items"`
		}
		if err != nil || json.Unmarshal([]byte(answer.Body), &page) != nil {
			continue // the hunt goes on with what is known
		}
		for _, item := range page.Items {
			k.ids[name] = append(k.ids[name], fmt.Sprint(item[member]))
		}
	}
	for _, order := range h.shop.Factory.Orders() {
		if _, token, ok := strings.Cut(order.Callback, "token="); ok {
			k.calls = append(k.calls, token)
		}
	}
	h.known.Store(k)
}

func (h *hunt) hunt(count int) {
	var sent atomic.Int64
	var group sync.WaitGroup
	for n := range senders {
		group.Go(func() {
			m := &maker{d: h.d, dice: rand.New(rand.NewPCG(h.seed, uint64(n))), known: func() known { return *h.known.Load() }, places: h.d.places(), now: time.Now()}
			s := &sender{address: h.address}
			defer s.close()
			all := mutations()
			for {
				i := sent.Add(1)
				if i > int64(count) || h.t.Context().Err() != nil {
					return
				}
				if i%500 == 0 {
					h.learn()
				}
				h.try(s, m, all)
			}
		})
	}
	group.Wait()
}

func (h *hunt) try(s *sender, m *maker, all []mutation) {
	r := m.hostile(all)
	x, err := s.send(h.t.Context(), r, h.known.Load().token)
	if errors.Is(err, errHungUp) {
		return
	}
	if err != nil {
		h.fail("A3 every request gets an answer", r, fmt.Errorf("%w\n%s %s?%s %v %.300q", err, r.method, r.path, r.query, r.header, r.body))
		return
	}
	h.mu.Lock()
	h.answers[r.place.method+" "+r.place.path+" "+strconv.Itoa(x.Status)]++
	h.mu.Unlock()
	if x.Status >= http.StatusInternalServerError && x.Status != http.StatusNotImplemented && x.Status != http.StatusHTTPVersionNotSupported {
		h.fail("A3 nothing breaks inside", r, fmt.Errorf("%s", x))
		return
	}
	if notHTTP(x) {
		return
	}
	if !r.raw && !r.token && x.Status/100 == 2 && strings.HasPrefix(x.Target, "/v1/") {
		h.fail("I10 nothing unauthenticated changes anything", r, fmt.Errorf("%s", x))
	}
	if r.raw {
		x.Header.Set("Authorization", "Bearer whatever") // of two, one counted
	}
	if err := h.contract.Check(x); err != nil {
		h.fail("", r, err)
	}
}

// errHungUp is how a server may answer what is not HTTP.
var errHungUp = errors.New("the server hung up")

// notHTTP reports whether a request was refused before a route was looked for.
func notHTTP(x *contract.Exchange) bool {
	return x.Target == "*" || x.Answer.Get("Traceparent") == "" && slices.Contains([]int{400, 417, 431, 501, 505}, x.Status)
}

// fail keeps the first example of each kind of failure.
func (h *hunt) fail(promise string, r request, err error) {
	first, _, _ := strings.Cut(err.Error(), "\n")
	kind := cmp.Or(promise, first) + " | " + r.place.method + " " + r.place.path
	if promise != "" {
		err = fmt.Errorf("%s: %w", promise, err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.hits[kind]++
	if h.failures[kind] == "" {
		h.failures[kind] = fmt.Sprintf("%v\n(%s; header %q)", err, r.mutation, r.header)
	}
}

func (h *hunt) judge(count int) {
	kinds := slices.Sorted(maps.Keys(h.failures))
	for _, kind := range kinds[:min(len(kinds), failuresShown)] {
		h.t.Errorf("%s\n%d times", h.failures[kind], h.hits[kind])
	}
	if len(kinds) > failuresShown {
		h.t.Errorf("A1 and %d kinds more", len(kinds)-failuresShown)
	}
	if h.t.Failed() {
		h.t.Logf("again with RESTOCK_TEST_SEED=%d", h.seed)
	}
	h.judgeEvents()
	if err := h.shop.Verify(); err != nil {
		h.t.Errorf("I2 the books hold after all of it: %v", err)
	}
	statuses, accepted := map[string]int{}, map[string]int{}
	for what, n := range h.answers {
		at := strings.LastIndex(what, " ")
		statuses[what[at+1:]] += n
		if what[at+1] == '2' {
			accepted[what[:at]] += n
		}
	}
	h.t.Logf("%d requests: %v; %d routes accepted some", count, statuses, len(accepted))
	// A hunter that is turned away at the door has seen nothing.
	const acceptedLeast = 45
	if len(accepted) < acceptedLeast {
		h.t.Errorf("only %d routes accepted a request, want %d: %v", len(accepted), acceptedLeast, slices.Sorted(maps.Keys(accepted)))
	}
}

// sender has one connection at a time, and writes what no client would.
type sender struct {
	address string
	conn    net.Conn
	reader  *bufio.Reader
}

func (s *sender) close() {
	if s.conn != nil {
		_ = s.conn.Close()
		s.conn = nil
	}
}

func (s *sender) send(ctx context.Context, r request, token string) (*contract.Exchange, error) {
	if s.conn == nil {
		conn, err := new(net.Dialer).DialContext(ctx, "tcp", s.address)
		if err != nil {
			return nil, err
		}
		s.conn, s.reader = conn, bufio.NewReader(conn)
	}
	x, text := written(r, token)
	_ = s.conn.SetDeadline(time.Now().Add(answerMax))
	// Who refuses a request may close before it has all of it; its answer counts.
	_, writeErr := s.conn.Write(text)
	method := r.method
	if method != http.MethodHead {
		method = http.MethodGet
	}
	response, err := http.ReadResponse(s.reader, &http.Request{Method: method})
	for err == nil && response.StatusCode == http.StatusContinue {
		response, err = http.ReadResponse(s.reader, &http.Request{Method: method})
	}
	if err != nil {
		s.close()
		if r.raw {
			return nil, errHungUp
		}
		return nil, fmt.Errorf("no answer: %w (%v)", err, writeErr) //nolint:errorlint // the second explains.
	}
	x.Status, x.Answer = response.StatusCode, response.Header
	x.AnswerBody, err = io.ReadAll(response.Body)
	if err != nil && !notHTTP(x) { // the rest of such a request is not read, and so the connection is reset
		s.close()
		return nil, fmt.Errorf("half an answer: %w", err)
	}
	if response.Close || r.raw || writeErr != nil || err != nil {
		s.close()
	}
	return x, nil
}

// written is a request as bytes, and as it is to be understood.
func written(r request, token string) (*contract.Exchange, []byte) {
	target := r.path
	if r.query != "" {
		target += "?" + r.query
	}
	lines := slices.Clone(r.header)
	if r.token {
		lines = append(lines, "Authorization: Bearer "+token)
	}
	x := &contract.Exchange{Method: r.method, Target: target, Header: http.Header{}, Body: r.body}
	for line := range strings.SplitSeq(strings.Join(lines, "\r\n"), "\r\n") {
		if name, value, ok := strings.Cut(line, ":"); ok {
			x.Header.Add(strings.TrimSpace(name), strings.TrimSpace(value))
		}
	}
	var text bytes.Buffer
	fmt.Fprintf(&text, "%s %s HTTP/1.1\r\nHost: shop.test\r\n", r.method, target)
	for _, line := range lines {
		text.WriteString(line + "\r\n")
	}
	if len(r.body) > 0 || r.method == http.MethodPost {
		fmt.Fprintf(&text, "Content-Length: %d\r\n", len(r.body))
	}
	text.WriteString("\r\n")
	text.Write(r.body)
	return x, text.Bytes()
}
