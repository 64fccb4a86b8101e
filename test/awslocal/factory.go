package awslocal

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// Factory stands before a factory: it counts the orders, and keeps back what the
// factory reports until the story wants it.
type Factory struct {
	Inner http.Handler // takes the orders that are passed on
	// Self is our own address, where the factory reports.
	Self string

	mu     sync.Mutex
	orders map[string]int
	free   map[string]bool
	wake   *sync.Cond
	ended  bool
	log    []FactoryOrder
	// Repeats: a report that is not taken is made again, until it is.
	Repeats bool
	working int
}

// FactoryOrder is one order that was taken.
type FactoryOrder struct {
	SKU, CallbackURL string
	Quantity         int64
}

// Taken are the orders in the order in which they came.
func (f *Factory) Taken() []FactoryOrder {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.log)
}

// Working counts the orders that were taken and not yet reported with success.
func (f *Factory) Working() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.working
}

// NewFactory makes a factory that is not heard of until Deliver.
func NewFactory(inner http.Handler) *Factory {
	f := &Factory{Inner: inner, orders: map[string]int{}, free: map[string]bool{}}
	f.wake = sync.NewCond(&f.mu)
	return f
}

// Orders counts the orders of a product.
func (f *Factory) Orders(sku string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orders[sku]
}

// Deliver lets the reports about a product through, those to come as well.
func (f *Factory) Deliver(sku string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.free[sku] = true
	f.wake.Broadcast()
}

// Close lets those go that wait.
func (f *Factory) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ended = true
	f.wake.Broadcast()
}

func (f *Factory) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var order struct {
		SKU         string          `json:"MessageAttributeProductId"`
		Count       json.RawMessage `json:"MessageAttributeProductCnt"`
		CallbackURL string          `json:"CallbackUrl"`
	}
	if err := json.Unmarshal(body, &order); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if to := r.URL.Query().Get("report-to"); to != "" {
		f.report(w, r, order.SKU, to, bytes.ReplaceAll(body, []byte(order.CallbackURL), []byte(to)))
		return
	}
	f.mu.Lock()
	f.orders[order.SKU]++
	count, _ := strconv.ParseInt(strings.Trim(string(order.Count), `"`), 10, 64) // none is 0
	f.log = append(f.log, FactoryOrder{order.SKU, order.CallbackURL, count})
	f.working++
	f.mu.Unlock()
	if strings.Contains(r.URL.Path, "silent") {
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"data":{"id":"0","reqestor":"","data":%s}}`, body)
		return
	}
	own := f.Self + "/?report-to=" + urlEscape(order.CallbackURL)
	passed := bytes.ReplaceAll(body, []byte(order.CallbackURL), []byte(own))
	r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(passed)), int64(len(passed))
	answer := &kept{header: http.Header{}}
	f.Inner.ServeHTTP(answer, r)
	w.Header().Set("Content-Type", answer.header.Get("Content-Type"))
	w.WriteHeader(answer.status)
	w.Write(bytes.ReplaceAll(answer.body.Bytes(), []byte(own), []byte(order.CallbackURL)))
}

// report passes a report on, unchanged but for the address that we had put in.
func (f *Factory) report(w http.ResponseWriter, r *http.Request, sku, to string, body []byte) {
	f.mu.Lock()
	for !f.free[sku] && !f.ended {
		f.wake.Wait()
	}
	f.mu.Unlock()
	var status int
	for {
		var err error
		if status, err = post(context.WithoutCancel(r.Context()), to, body); err == nil && status < http.StatusInternalServerError || !f.Repeats || f.over() {
			break
		}
	}
	f.mu.Lock()
	f.working--
	f.mu.Unlock()
	w.WriteHeader(status)
}

func (f *Factory) over() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.ended
}

func post(ctx context.Context, to string, body []byte) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return http.StatusBadGateway, err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return http.StatusBadGateway, err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return response.StatusCode, err
}
