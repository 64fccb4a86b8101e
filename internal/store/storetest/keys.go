package storetest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func keyChecks() []check {
	return []check{
		{"AKeySellsOnceAndAnswersTheSame", keySellsOnce},
		{"AKeyMetByManyAtOnceSellsOnce", keyAtOnce},
		{"AKeyWithAnotherBodyChangesNothing", keyReused},
		{"ARefusedKeySellsAfterTheStockIsBack", refusedKey},
		{"AKeyTwiceInAGroupHarmsNobodyElse", keyTwiceInGroup},
		{"AGroupOfAnySizeRemembersAllItsKeys", manyKeys},
		{"AKeyIsKeptForItsTimeAndNoLonger", keyRetention},
		{"AReservationIsMadeOncePerKey", reserveOncePerKey},
		{"AnAdjustmentIsBookedOncePerKey", adjustOncePerKey},
		{"AReturnIsBookedOncePerKey", returnOncePerKey},
	}
}

func key(name, body string) restock.Key {
	return restock.Key{Name: "POST /checkout " + name, Hash: sha256.Sum256([]byte(body))}
}

func keyed(k restock.Key, lines ...restock.Line) restock.Cart {
	return restock.Cart{Lines: lines, Reference: "under " + k.Name, Key: k}
}

func wantCode(t *testing.T, err error, want restock.Code) {
	t.Helper()
	if e, ok := errors.AsType[*restock.Error](err); !ok || e.Code != want {
		t.Errorf("error %v, want one with the code %s", err, want)
	}
}

func keySellsOnce(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5), plain("B", 5)))
	c := keyed(key("k", "two lines"), line("A", 1), line("B", 2))
	first := s.buyAll(c)[0]
	s.must(first.Err)
	if !first.New {
		t.Error("the first sale is not new")
	}
	s.mustBuy("A", 1) // what is left changes; the answer does not
	_, err := s.ReturnSale(s.ctx(), first.Sale.ID, nil, "they changed their mind", restock.Key{})
	s.must(err)
	for range 3 {
		again := s.buyAll(c)[0]
		s.must(again.Err)
		if again.New {
			t.Error("the repeat is new")
		}
		if diff := cmp.Diff(first.Sale, again.Sale); diff != "" {
			t.Errorf("the answer again (-first +again):\n%s", diff)
		}
	}
	s.wantStock("A", 4, 0)
	s.wantStock("B", 5, 0)
	s.wantCount(`SELECT COUNT(*) FROM sales`, 2)
}

func keyAtOnce(t *testing.T, h harness) {
	const many = 64
	s := h.shop(t, catalogue(plain("A", many)))
	var mu sync.Mutex
	answers, fresh := map[restock.SaleID]int{}, 0
	atOnce(many, func(int) {
		outcomes, err := s.Sell(s.ctx(), []restock.Cart{keyed(key("k", "one"), line("A", 1))})
		mu.Lock()
		defer mu.Unlock()
		if err != nil || outcomes[0].Err != nil {
			t.Errorf("%v, %v", err, outcomes)
			return
		}
		answers[outcomes[0].Sale.ID]++
		if outcomes[0].New {
			fresh++
		}
	})
	if len(answers) != 1 || fresh != 1 {
		t.Errorf("%d sales were answered and %d of them new, want one", len(answers), fresh)
	}
	s.wantStock("A", many-1, 0)
}

func keyReused(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	s.must(s.buyAll(keyed(key("k", "one"), line("A", 1)))[0].Err)
	other := s.buyAll(keyed(key("k", "two"), line("A", 2)))[0]
	wantKind(t, other.Err, restock.Conflict)
	wantCode(t, other.Err, restock.CodeKeyReused)
	s.wantStock("A", 4, 0)
	// In one group too; and under each key the first one counts.
	got := s.buyAll(keyed(key("m", "one"), line("A", 1)), keyed(key("m", "two"), line("A", 2)), keyed(key("m", "one"), line("A", 1)))
	s.must(got[0].Err)
	wantCode(t, got[1].Err, restock.CodeKeyReused)
	s.must(got[2].Err)
	if got[2].Sale.ID != got[0].Sale.ID {
		t.Error("the same key and body are two sales")
	}
	s.wantStock("A", 3, 0)
	s.wantCount(`SELECT COUNT(*) FROM refusals`, 0)
}

func refusedKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 1, 0, 5)))
	c := keyed(key("k", "two"), line("A", 2))
	wantKind(t, s.buyAll(c)[0].Err, restock.OutOfStock)
	s.mustBuy("A", 1)
	wantKind(t, s.buyAll(c)[0].Err, restock.OutOfStock)
	s.wantCount(`SELECT COUNT(*) FROM idempotency_keys`, 0)
	s.receive(s.placed("A", 5), 5, "five")
	sold := s.buyAll(c)[0]
	s.must(sold.Err)
	s.mustBuy("A", 3)
	again := s.buyAll(c)[0] // nothing is left, and nothing is asked for
	s.must(again.Err)
	if again.Sale.ID != sold.Sale.ID || !sold.New || again.New {
		t.Errorf("sold %+v, then %+v", sold, again)
	}
	unknown := keyed(key("u", "x"), line("NOBODY", 1))
	wantKind(t, s.buyAll(unknown)[0].Err, restock.NotFound)
	s.wantCount(`SELECT COUNT(*) FROM idempotency_keys`, 1)
}

func keyTwiceInGroup(t *testing.T, h harness) {
	const many = 64
	s := h.shop(t, catalogue(plain("A", 2*many)))
	carts := make([]restock.Cart, many)
	for i := range carts {
		carts[i] = keyed(key(fmt.Sprint("k", i), "one"), line("A", 1))
	}
	carts[40] = carts[7]
	sales := map[restock.SaleID]int{}
	for i, o := range s.buyAll(carts...) {
		s.must(o.Err)
		if o.New != (i != 40) {
			t.Errorf("cart %d is new: %t", i, o.New)
		}
		sales[o.Sale.ID]++
	}
	if len(sales) != many-1 {
		t.Errorf("%d sales, want %d", len(sales), many-1)
	}
	s.wantStock("A", many+1, 0)
	s.wantCount(`SELECT COUNT(*) FROM idempotency_keys`, many-1)
}

func manyKeys(t *testing.T, h harness) {
	const many = 256
	s := h.shop(t, catalogue(plain("A", 2*many)))
	carts := make([]restock.Cart, many)
	for i := range carts {
		carts[i] = keyed(key(fmt.Sprint("k", i), "one"), line("A", 1))
	}
	first := s.buyAll(carts...)
	for i, again := range s.buyAll(carts...) {
		s.must(again.Err)
		if again.New || again.Sale.ID != first[i].Sale.ID {
			t.Errorf("cart %d was sold again", i)
		}
	}
	s.wantStock("A", many, 0)
}

func keyRetention(t *testing.T, h harness) {
	const kept, olds = 48 * time.Hour, 3
	s := h.shop(t, catalogue(plain("A", 20)))
	purge := func(want int) {
		t.Helper()
		n, err := s.PurgeKeys(s.ctx(), s.clock.now().Add(-kept), 2)
		s.must(err)
		if n != want {
			t.Errorf("%d keys were forgotten, want %d", n, want)
		}
	}
	old := make([]restock.Cart, olds)
	for i := range old {
		old[i] = keyed(key(fmt.Sprint("old", i), "one"), line("A", 1))
	}
	s.buyAll(old...)
	s.clock.advance(time.Hour)
	young := keyed(key("young", "one"), line("A", 1))
	s.buyAll(young)
	s.clock.advance(kept - time.Hour)
	purge(0) // exactly as old as they may be
	if s.buyAll(old[0])[0].New {
		t.Error("a key was forgotten within its time")
	}
	s.clock.advance(time.Microsecond)
	purge(2)
	purge(1)
	purge(0)
	if s.buyAll(young)[0].New {
		t.Error("a younger key was forgotten")
	}
	for _, again := range s.buyAll(old...) {
		s.must(again.Err)
		if !again.New {
			t.Error("a key is known after its time")
		}
	}
	s.wantStock("A", 20-2*olds-1, 0)
}

func reserveOncePerKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	c := keyed(key("k", "two"), line("A", 2))
	first, err := s.Reserve(s.ctx(), c, time.Minute)
	s.must(err)
	atOnce(20, func(int) {
		again, err := s.Reserve(s.ctx(), c, time.Minute)
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("again: %v (-first +again):\n%s", err, diff)
		}
	})
	s.wantReserved("A", 5, 2)
	_, err = s.Reserve(s.ctx(), keyed(key("k", "three"), line("A", 3)), time.Minute)
	wantCode(t, err, restock.CodeKeyReused)
	_, err = s.Reserve(s.ctx(), keyed(key("m", "four"), line("A", 4)), time.Minute)
	wantKind(t, err, restock.OutOfStock)
	_, err = s.ReleaseReservation(s.ctx(), first.ID)
	s.must(err)
	_, err = s.Reserve(s.ctx(), keyed(key("m", "four"), line("A", 4)), time.Minute)
	s.must(err) // what was refused is decided anew
	s.wantReserved("A", 5, 4)
}

func adjustOncePerKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	request := restock.AdjustmentRequest{Product: "A", Quantity: -2, Reason: "damaged"}
	first, err := s.Adjust(s.ctx(), request, key("k", "two"))
	s.must(err)
	atOnce(20, func(int) {
		again, err := s.Adjust(s.ctx(), request, key("k", "two"))
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("again: %v (-first +again):\n%s", err, diff)
		}
	})
	_, err = s.Adjust(s.ctx(), request, key("k", "three"))
	wantCode(t, err, restock.CodeKeyReused)
	s.wantStock("A", 3, 0)
	s.wantCount(`SELECT COUNT(*) FROM adjustments`, 1)
}

func returnOncePerKey(t *testing.T, h harness) {
	s := h.shop(t, catalogue(plain("A", 5)))
	sale := s.mustBuy("A", 4)
	giveBack := func(k restock.Key) (restock.Return, error) {
		return s.ReturnSale(s.ctx(), sale.ID, []restock.Line{line("A", 1)}, "one was broken", k)
	}
	first, err := giveBack(key("k", "one"))
	s.must(err)
	atOnce(20, func(int) {
		again, err := giveBack(key("k", "one"))
		if diff := cmp.Diff(first, again); err != nil || diff != "" {
			t.Errorf("again: %v (-first +again):\n%s", err, diff)
		}
	})
	_, err = giveBack(key("k", "another"))
	wantCode(t, err, restock.CodeKeyReused)
	s.wantStock("A", 2, 0)
	_, err = giveBack(key("m", "one"))
	s.must(err)
	s.wantStock("A", 3, 0)
}
