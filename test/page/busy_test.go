package page

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// words are the texts of a shop that come from outside.
type words struct{ sku, product, factory, ad, requester, reason, count, answer, refusal string }

func plainWords() words {
	return words{
		"CP-600001", "글레이즈드 도너츠", "부산도너츠 공장", "donut-main", "김재고", "the video is out", "14", "7b1fdb0a-5c39-4b8d-9c2f-0a5a5f1a0c11",
		"we are closed on Sundays",
	}
}

// busy is a shop with one of everything that a page can show.
type busy struct {
	*blackbox.Shop

	words words
	// receipt is held, and order is awaiting approval.
	receipt, order, letter string
}

// openBusy makes a shop that has been through a lot, with other people's words.
func openBusy(t *testing.T, w words) *busy {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	factory := blackbox.NewFactory(t, nil, func(conn net.Conn, o blackbox.Order) {
		body, status := fmt.Sprintf(`{"data":{"id":%s,"reqestor":"x","data":{}}}`, quoted(w.answer)), "201 Created"
		if strings.Contains(string(o.Body), "refused") {
			body, status = w.refusal, "400 Bad Request"
		}
		_, _ = fmt.Fprintf(conn, "HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", status, len(body), body)
	})
	product := func(sku, slug, rest string, stock int) string {
		return fmt.Sprintf("  - {sku: %s, slug: %s, name: %s, price: 19900, unit_cost: 7000, opening_stock: %d, factory: %s%s}\n",
			quoted(sku), slug, quoted(w.product+" "+slug), stock, quoted("FF "+w.factory), rest)
	}
	catalogue := "advertisements:\n  - {name: " + quoted(w.ad) + ", manager_email: ads@donut.example, language: ko}\n" +
		"---\nfactories:\n  - {identifier: " + quoted("FF "+w.factory) + ", name: " + quoted(w.factory) + ", url: " + quoted(factory.URL) +
		", requester: " + quoted(w.requester) + ", lead_time: 100ms, rate_per_second: 1000}\nproducts:\n" +
		product(w.sku, "busy", ", reorder_point: 2, order_quantity: 10, advertisement: "+quoted(w.ad), 6) +
		product("review "+w.sku, "review", ", reorder_point: 0, order_quantity: 40, ordering: review", 2) +
		product("refused "+w.sku, "refused", ", reorder_point: 0, order_quantity: 5", 1) +
		product("low "+w.sku, "low", ", reorder_point: 9, order_up_to: 20, ordering: review", 4) +
		product("fine "+w.sku, "fine", ", ordering: \"off\"", 40)
	b := &busy{words: w, Shop: blackbox.OpenShop(t, binary, blackbox.Setup{Factory: factory, Sections: catalogue, Flags: patientShop()})}
	b.live(t)
	return b
}

// quoted is a text as YAML and JSON both write it.
func quoted(text string) string { return string(mustJSON(text)) }

// live lets the shop live: it sells out, orders, is refused, gets too much, and a
// message dies.
func (b *busy) live(t *testing.T) {
	t.Helper()
	// The mail is away until a message about the advertisement was given up.
	mails := filepath.Join(b.Data, "mail")
	if err := os.RemoveAll(mails); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		buy(t, b.Shop, `{"sku":"busy","quantity":2}`, http.StatusOK)
	}
	buy(t, b.Shop, `{"sku":"busy","quantity":2}`, http.StatusConflict)
	order := b.Factory.Await(t, 1)[0]
	b.Until("the message about the advertisement is given up", func() bool {
		var letters struct {
			Items []restock.DeadLetter `json:"items"`
		}
		b.Get("/v1/dead-letters", &letters)
		for _, l := range letters.Items {
			if l.Queue == restock.AdQueue { // that of a digest has no word from outside
				b.letter = l.MessageID.String() + "?queue=" + l.Queue
			}
		}
		return b.letter != ""
	})
	if err := errors.Join(os.Remove(mails), os.Mkdir(mails, 0o700)); err != nil {
		t.Fatal(err)
	}
	if got, err := b.Deliver(order, counted(t, order, b.words.count)); err != nil || got.Status != http.StatusOK {
		t.Fatalf("the callback was answered %d %s, %v", got.Status, got.Body, err)
	}
	buy(t, b.Shop, `{"sku":"review","quantity":2}`, http.StatusOK)
	buy(t, b.Shop, `{"sku":"refused","quantity":1}`, http.StatusOK)
	b.Until("an order waits for approval, and another is held", func() bool {
		states := map[restock.OrderState]string{}
		for _, o := range b.Orders() {
			states[o.State] = o.ID.String()
		}
		b.order = states[restock.OrderAwaitingApproval]
		return b.order != "" && states[restock.OrderHeld] != ""
	})
	b.act(t, "/v1/ordering/pause")
	var receipts struct {
		Items []restock.Receipt `json:"items"`
	}
	b.Get("/v1/receipts", &receipts)
	b.receipt = receipts.Items[0].ID.String()
	b.Quiet()
}

// act has an operator whose name is somebody else's words act.
func (b *busy) act(t *testing.T, path string) {
	t.Helper()
	got, err := b.Operate(http.MethodPost, path, `{"by":`+quoted(b.words.requester)+`,"reason":`+quoted(b.words.reason)+`}`)
	if err != nil || got.Status != http.StatusOK {
		t.Fatalf("%s was answered %d %s, %v", path, got.Status, got.Body, err)
	}
}

// descriptionPage shows the description of the API.
const descriptionPage = "description"

// pages are all that somebody who is signed in can look at.
func (b *busy) pages() map[string]string {
	return map[string]string{
		"overview": "/dashboard", "search": "/dashboard?q=" + url.QueryEscape(b.words.product), "product": "/dashboard/products/" + url.PathEscape(b.words.sku),
		"waiting": "/dashboard/waiting", "orders": "/dashboard/orders", "order": "/dashboard/orders/" + b.order, "receipt": "/dashboard/receipts/" + b.receipt,
		"queues": "/dashboard/queues", "dead-letter": "/dashboard/dead-letters/" + b.letter, "mail": "/dashboard/mail", "audit": "/dashboard/audit",
		"promises": "/dashboard/checks", "not-found": "/dashboard/products/" + url.PathEscape("no "+b.words.sku),
		descriptionPage: "/docs",
	}
}
