package replenish

import (
	"strings"
	"testing"

	"github.com/restock/restock"
)

func TestAnAddressOfOursTellsItsAttemptAndAnotherDoesNot(t *testing.T) {
	t.Parallel()
	d := newDock(t)
	for _, address := range []string{d.address, strings.ToUpper(d.address)} {
		order, attempt, ok := d.replenisher.AttemptAt(address)
		if !ok || order != d.order.OrderID || attempt != d.order.Number {
			t.Errorf("%s is of attempt %s/%d, %t", address, order, attempt, ok)
		}
	}
	for _, address := range []string{"", "http://[::1", "http://x/product/donut", d.address[:len(d.address)-1], d.address + "a"} {
		if order, attempt, ok := d.replenisher.AttemptAt(address); ok {
			t.Errorf("%q is of attempt %s/%d", address, order, attempt)
		}
	}
}

func TestWhatAPersonApprovedBeyondTheOrderLetsNothingElseIn(t *testing.T) {
	t.Parallel()
	a := restock.Attempt{Quantity: 10, Received: 13, Approved: 3}
	for _, c := range []struct {
		seen bool
		want restock.ReceiptState
	}{{false, restock.ReceiptHeld}, {true, restock.ReceiptDuplicate}} {
		got := Judge(restock.Evidence{Attempt: a, Order: restock.OrderReceived, Callback: restock.Callback{Count: 5}, Seen: c.seen})
		if got.State != c.want || got.Apply != 0 {
			t.Errorf("seen before %t: verdict %+v, want %s and nothing applied", c.seen, got, c.want)
		}
	}
}
