package page

import (
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// The rest of the shop: a product whose orders a person approves, and one with an
// advertisement.
const (
	reviewed   = "CP-502103"
	advertised = "CP-502104"
	more       = `  - {sku: CP-502103, slug: review, name: Glazed Donut, price: 17900, unit_cost: 6000, opening_stock: 2, factory: FF-500293, reorder_point: 0, order_quantity: 40, ordering: review}
  - {sku: CP-502104, slug: ad, name: 말차 도너츠, price: 24900, opening_stock: 1, advertisement: donut-main}
`
	advertisements = `advertisements:
  - {name: donut-main, manager_email: ads@donut.example, language: ko}
`
)

// patientShop lets no order become overdue, however long somebody looks at a page.
func patientShop() []string { return []string{"--callback-window", "24h"} }

func openShop(t *testing.T) *blackbox.Shop {
	t.Helper()
	binary, err := built()
	if err != nil {
		t.Fatal(err)
	}
	return blackbox.OpenShop(t, binary, blackbox.Setup{
		Factory: blackbox.NewFactory(t, nil, nil), Products: more, Sections: advertisements, Flags: patientShop(),
	})
}

func buy(t *testing.T, shop *blackbox.Shop, body string, status int) {
	t.Helper()
	got, err := shop.Buy(body)
	if err != nil || got.Status != status {
		t.Fatalf("buying %s was answered %d %s, %v", body, got.Status, got.Body, err)
	}
}

// counted is the body of an order as a factory would send it back, with another
// count.
func counted(t *testing.T, o blackbox.Order, count string) []byte {
	t.Helper()
	var body map[string]any
	if err := json.Unmarshal(o.Body, &body); err != nil {
		t.Fatal(err)
	}
	body["MessageAttributeProductCnt"] = count
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

// TestAWholeStockoutIsWatchedAndSettled: a person at the page sees a product run
// out and come back without touching it, approves an order, refuses what is too
// much, puts a message back, and leaves.
func TestAWholeStockoutIsWatchedAndSettled(t *testing.T) {
	t.Parallel()
	shop := openShop(t)
	b := open(t, shop, "en")
	b.signIn("Kim Operator", operatorToken(t, shop))

	b.until("h1", "All is well.")
	eval[bool](b, `window.untouched = true`)
	b.until("#p-CP-502101", "healthy CP-502101 3 0 0")
	buy(t, shop, `{"quantity":3}`, http.StatusOK)
	buy(t, shop, `{"quantity":1}`, http.StatusConflict)
	b.until("h1", "1 product is out of stock.")
	b.until("#p-CP-502101", "out of stock CP-502101 0 0 10") // the order is on its way
	order := shop.Factory.Await(t, 1)[0]

	// Somebody else looks at the product itself.
	other := open(t, shop, "en")
	other.signIn("Lee", operatorToken(t, shop))
	other.visit("/dashboard/products/CP-502101")
	other.until("main", "the position 0 is at or below the reorder point 0")
	other.until("main", "accepted")
	eval[bool](other, `window.untouched = true`)
	if n := eval[int](other, `document.querySelectorAll("svg.plot.wide .c-stockout").length`); n != 1 {
		t.Errorf("%d stockouts are shaded, want 1", n)
	}

	// The factory delivers four more than the ten that were ordered.
	if got, err := shop.Deliver(order, counted(t, order, "14")); err != nil || got.Status != http.StatusOK {
		t.Fatalf("the callback was answered %d %s, %v", got.Status, got.Body, err)
	}
	b.until("#p-CP-502101", "healthy CP-502101 10 0 0")
	b.until("h1", "1 thing waits for you.")
	other.until("main", "Callback booked 10 booked 4 held")
	other.until("figure, .figures", "Available 10")
	if n := eval[int](other, `document.querySelectorAll("svg.plot.wide .c-arrival").length`); n != 1 {
		t.Errorf("%d arrivals are marked, want 1", n)
	}
	for _, tab := range []*tab{b, other} {
		if !eval[bool](tab, `window.untouched === true`) {
			t.Error("the page was loaded anew")
		}
	}

	refuseReceipt(t, b)
	approveOrder(t, b)
	redriveLetter(t, b)
	signOut(t, b)
	b.wantQuiet()
	other.wantQuiet()
	if err := shop.Verify(); err != nil {
		t.Error(err)
	}
}

// refuseReceipt refuses what came too much.
func refuseReceipt(t *testing.T, b *tab) {
	t.Helper()
	b.click(`#nav a[href="/dashboard/waiting"]`)
	receipts := "section[aria-labelledby=receipts-title]"
	b.until(receipts, "4 more than the 10 that were missing")
	b.fill(receipts+" input[name=reason]", "we ordered ten")
	b.click(receipts + ` button[formaction$="/refuse"]`)
	b.until(".notices", "The goods are refused.")
	b.until(receipts, "No receipt is held.")
	if p := b.shop.Product(blackbox.Donut); p.Stock.OnHand != 10 {
		t.Errorf("%d on hand after the refusal, want 10", p.Stock.OnHand)
	}
}

// approveOrder approves with the keyboard alone: no mouse, no script's help.
func approveOrder(t *testing.T, b *tab) {
	t.Helper()
	buy(t, b.shop, fmt.Sprintf(`{"sku":%q,"quantity":2}`, reviewed), http.StatusOK)
	orders := "section[aria-labelledby=awaiting-title]"
	b.until(orders, "40 pieces Glazed Donut")
	b.press(orders+" input[name=reason]", "the video is out")
	b.do(chromedp.Evaluate[chromedp.Void](`void (document.body.dataset.old = "1")`), chromedp.KeyEvent(kb.Enter))
	b.arrived()
	b.until(".notices", "The order is approved.")
	if got := b.shop.Factory.Await(t, 2)[1]; got.Count != "40" {
		t.Errorf("the factory got an order of %s, want 40", got.Count)
	}
	b.click(`#nav a[href="/dashboard/audit"]`)
	b.until("main tbody tr:nth-child(1)", "Kim Operator order approved")
	b.until("main tbody tr:nth-child(1)", "the video is out")
	b.until("main tbody tr:nth-child(2)", "Kim Operator receipt refused")
}

// press goes to a field with the tabulator, from the top of the page, and types.
func (b *tab) press(selector, words string) {
	b.t.Helper()
	eval[bool](b, `document.activeElement?.blur(), true`)
	const steps = 60
	for range steps {
		b.do(chromedp.KeyEvent(kb.Tab))
		if eval[bool](b, fmt.Sprintf(`document.activeElement?.matches(%q) ?? false`, selector)) {
			b.do(chromedp.KeyEvent(words))
			return
		}
	}
	b.t.Fatalf("no tabulator leads to %s", selector)
}

// redriveLetter breaks the mail until a message is given up, mends it, and puts
// the message back.
func redriveLetter(t *testing.T, b *tab) {
	t.Helper()
	mails := filepath.Join(b.shop.Data, "mail")
	away := mails + ".away"
	if err := os.Rename(mails, away); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(mails, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	buy(t, b.shop, fmt.Sprintf(`{"sku":%q}`, advertised), http.StatusOK)
	b.click(`#nav a[href="/dashboard/queues"]`)
	b.until(".letters", "needed stock.out 말차 도너츠")
	if err := os.Remove(mails); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(away, mails); err != nil {
		t.Fatal(err)
	}
	b.click(`.letters a[href^="/dashboard/dead-letters/"]`)
	b.until("main", "receive 5")
	b.fill("main input[name=reason]", "the mail is mended")
	b.click("main button.do")
	b.until(".notices", "The message is back on its queue.")
	b.shop.Until("the redriven message is handled, and the ad manager has a mail", func() bool {
		for _, m := range b.shop.Mails() {
			if strings.Contains(m, "ads@donut.example") {
				return true
			}
		}
		return false
	})
	b.until("main", "It is no dead letter any more")
	b.click(`#nav a[href="/dashboard/mail"]`)
	b.until("main", "stop asked donut-main")
}

// signOut leaves; the way back leads to the page to sign in.
func signOut(t *testing.T, b *tab) {
	t.Helper()
	b.click(`form[action="/dashboard/sign-out"] button`)
	b.until("h1", "Sign in")
	b.do(chromedp.NavigateBack())
	b.visit("/dashboard/audit")
	b.until("h1", "Sign in")
	var status struct {
		Items []restock.AuditEntry `json:"items"`
	}
	b.shop.Get("/v1/audit", &status)
	if len(status.Items) != 3 {
		t.Errorf("%d acts are in the audit trail, want 3: %+v", len(status.Items), status.Items)
	}
}

// TestWithoutAScriptEverythingCanBeReadAndDone: forms are plain forms.
func TestWithoutAScriptEverythingCanBeReadAndDone(t *testing.T) {
	t.Parallel()
	shop := openShop(t)
	b := open(t, shop, "en")
	call(b, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true})
	b.visit("/dashboard/login")
	b.fill("input[name=name]", "Kim")
	b.fill("input[name=token]", operatorToken(t, shop))
	b.click("main button")
	buy(t, shop, fmt.Sprintf(`{"sku":%q,"quantity":2}`, reviewed), http.StatusOK)
	shop.Until("the order awaits approval", func() bool {
		orders := shop.Orders()
		return len(orders) == 1 && orders[0].State == restock.OrderAwaitingApproval
	})
	b.visit("/dashboard/waiting")
	b.until("main", "40 pieces Glazed Donut")
	b.fill("main input[name=reason]", "the video is out")
	b.click("main form.act button.do")
	b.until(".notices", "The order is approved.")
	shop.Factory.Await(t, 1)
	b.visit("/dashboard/products/" + reviewed)
	b.until("main", "the position 0 is at or below the reorder point 0")
	b.wantQuiet()
}
