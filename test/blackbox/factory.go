package blackbox

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"time"
)

// Order is one order that reached a factory whole.
type Order struct {
	Body     []byte // as it came; it goes back unchanged
	Callback string // the CallbackUrl in it
	Count    string
}

// Factory is a factory of the test's own. It keeps every order that reached it
// and calls back only when it is told. It works on plain connections, so that it
// can break off anywhere.
type Factory struct {
	URL string

	// Headers is called when the head of a request came, Answer when all of it
	// did; Answer writes what it likes. Without one the factory answers 201.
	headers func()
	answer  func(net.Conn, Order)

	mu      sync.Mutex
	orders  []Order
	arrived chan struct{} // closed and made anew at each order
}

// NewFactory opens a factory that lives as long as the test. Both hooks may be nil.
func NewFactory(t *testing.T, headers func(), answer func(net.Conn, Order)) *Factory {
	t.Helper()
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	f := &Factory{
		URL:     "http://" + listener.Addr().String() + "/api/manufactures",
		headers: headers, answer: answer, arrived: make(chan struct{}),
	}
	if f.answer == nil {
		f.answer = Accept
	}
	var serving sync.WaitGroup
	t.Cleanup(func() {
		_ = listener.Close()
		serving.Wait()
	})
	serving.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			serving.Go(func() { f.serve(conn) })
		}
	})
	return f
}

// serve reads requests until the connection ends. Only what came whole is an order.
func (f *Factory) serve(conn net.Conn) {
	defer func() { _ = conn.Close() }()
	reader := bufio.NewReader(conn)
	for {
		request, err := http.ReadRequest(reader)
		if err != nil {
			return
		}
		if f.headers != nil {
			f.headers()
		}
		body, err := io.ReadAll(request.Body)
		if err != nil {
			return
		}
		f.answer(conn, f.take(body))
	}
}

func (f *Factory) take(body []byte) Order {
	var fields struct {
		Count    string `json:"MessageAttributeProductCnt"`
		Callback string `json:"CallbackUrl"`
	}
	_ = json.Unmarshal(body, &fields) // what cannot be read has no callback, which the test sees
	order := Order{Body: body, Callback: fields.Callback, Count: fields.Count}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.orders = append(f.orders, order)
	close(f.arrived)
	f.arrived = make(chan struct{})
	return order
}

// Acceptance is the 201 of the real factory, as bytes.
func Acceptance(o Order) string {
	body := fmt.Sprintf(`{"data":{"id":"7b1fdb0a-5c39-4b8d-9c2f-0a5a5f1a0c11","reqestor":"tester","data":%s}}`, o.Body)
	return fmt.Sprintf("HTTP/1.1 201 Created\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(body), body)
}

// Accept answers as the real factory does.
func Accept(conn net.Conn, o Order) {
	_, _ = io.WriteString(conn, Acceptance(o)) // who has gone is not told
}

// Reset ends a connection the hard way: the other side sees a reset.
func Reset(conn net.Conn, _ Order) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// Orders are all that came so far.
func (f *Factory) Orders() []Order {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Order(nil), f.orders...)
}

// Arrived is closed when the next order comes.
func (f *Factory) Arrived() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.arrived
}

// Await waits until n orders came, and gives all.
func (f *Factory) Await(t *testing.T, n int) []Order {
	t.Helper()
	timer := time.NewTimer(WaitMax)
	defer timer.Stop()
	for {
		arrived := f.Arrived()
		if orders := f.Orders(); len(orders) >= n {
			return orders
		}
		select {
		case <-arrived:
		case <-timer.C:
			t.Fatalf("the factory got %d orders within %v, want %d", len(f.Orders()), WaitMax, n)
		}
	}
}

// callbackTo is the callback of an order at a server's present address: its
// host stands for the road from the factory, which leads to where the server is.
func callbackTo(server, callback string) (string, error) {
	u, err := url.Parse(callback)
	if err != nil {
		return "", err
	}
	return server + u.RequestURI(), nil
}
