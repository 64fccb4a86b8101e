// Package mistakes_test holds the product to the mistakes of earlier
// implementations, one test for each, by its name. Each is a story about the
// built command, told from outside; test/mutants has a mutant that makes the
// mistake again. A complaint begins with the promise that the mistake breaks,
// or, where it breaks none of them, with M and its number.
package mistakes_test

import (
	"database/sql"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// command is the built command, made once for all tests here.
var command string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "restock-mistakes-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	build := exec.Command("go", "build", "-o", filepath.Join(folder, "restock"), "github.com/restock/restock/cmd/restock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "building restock: %v\n%s", err, out)
		return 1
	}
	command = filepath.Join(folder, "restock")
	return m.Run()
}

// open opens a shop that orders from a factory which accepts everything.
func open(t *testing.T, setup blackbox.Setup) *blackbox.Shop {
	t.Helper()
	if setup.Factory == nil {
		setup.Factory = blackbox.NewFactory(t, nil, nil)
	}
	return blackbox.OpenShop(t, command, setup)
}

func sellOut(t *testing.T, s *blackbox.Shop) {
	t.Helper()
	if err := s.SellOut(); err != nil {
		t.Fatal(err)
	}
}

// verify is the product's own judgement, the last word and not the only one.
func verify(t *testing.T, s *blackbox.Shop) {
	t.Helper()
	if err := s.Verify(); err != nil {
		t.Errorf("I2 the books agree: %v", err)
	}
}

// refuses answers every order with a 400.
func refuses(conn net.Conn, _ blackbox.Order) {
	_, _ = io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\n\r\nno")
}

// Buyers, arrivals by hand and the factory's arrivals change the same number at once.
func TestMistake01StockIsReadAndThenWritten(t *testing.T) {
	t.Parallel()
	const opening, pairs, times = 200, 20, 20
	s := open(t, blackbox.Setup{Products: fmt.Sprintf("  - {sku: HOT, name: Hot donut, price: 1, opening_stock: %d}\n", opening)})
	var sold, added atomic.Int64
	var together sync.WaitGroup
	for range pairs {
		together.Go(func() {
			for range times {
				if a, err := s.Buy(`{"sku":"HOT"}`); err == nil && a.Status == http.StatusOK {
					sold.Add(1)
				}
			}
		})
		together.Go(func() {
			for range times / 4 {
				a, err := s.Operate(http.MethodPost, "/v1/adjustments", `{"sku":"HOT","quantity":1,"reason":"found one"}`)
				if err == nil && a.Status == http.StatusCreated {
					added.Add(1)
				}
			}
		})
	}
	together.Wait()
	if added.Load() == 0 || sold.Load() == 0 {
		t.Fatalf("%d were sold and %d were added: nothing met", sold.Load(), added.Load())
	}
	if sold.Load() > opening+added.Load() {
		t.Errorf("I1 never oversell: %d were sold of %d", sold.Load(), opening+added.Load())
	}
	if got, want := s.Product("HOT").Stock.OnHand, opening+added.Load()-sold.Load(); got != want {
		t.Errorf("I2 conservation: %d on hand, want %d: %d + %d − %d", got, want, opening, added.Load(), sold.Load())
	}
	verify(t, s)
}

func TestMistake02EachUnluckyBuyerOrdersTenMore(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{Flags: []string{"--callback-window", "10m"}})
	sellOut(t, s)
	var unlucky sync.WaitGroup
	var refused atomic.Int64
	const buyers = 50
	for range buyers {
		unlucky.Go(func() {
			if a, err := s.Buy(""); err == nil && a.Status == http.StatusConflict {
				refused.Add(1)
			}
		})
	}
	unlucky.Wait()
	if refused.Load() != buyers {
		t.Fatalf("%d buyers were refused, want %d", refused.Load(), buyers)
	}
	s.Quiet()
	first := s.Factory.Await(t, 1)[0]
	orders := s.Orders()
	if onOrder := s.Product(blackbox.Donut).Stock.OnOrder; len(orders) != 1 || onOrder != 10 {
		t.Errorf("I6 bounded orders: %d unlucky buyers made %d orders of %d donuts, want 1 of 10", buyers, len(orders), onOrder)
	}
	if a, err := s.Deliver(first, first.Body); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the callback was answered with %+v, %v", a, err)
	}
	s.Quiet()
	if got := s.Factory.Orders(); len(got) != 1 {
		t.Errorf("I6 bounded orders: the factory got %d orders, want 1", len(got))
	}
}

// What a handler cannot do comes again, and at last lies in the dead-letter
// queue; what the factory refuses is held. Neither is gone.
func TestMistake03TheWorkerSwallowsAnError(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{
		Factory:  blackbox.NewFactory(t, nil, refuses),
		Products: "  - {sku: AD, name: Advertised, price: 1, opening_stock: 1, advertisement: banner}\n",
		Sections: "advertisements:\n  - {name: banner, manager_email: banner@ads.example}\n",
		Flags:    []string{"--mail", "smtp://127.0.0.1:1?tls=none"}, // nobody listens there: no mail can be sent
	})
	sellOut(t, s)
	if a, err := s.Buy(`{"sku":"AD"}`); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the advertised product cannot be bought: %+v, %v", a, err)
	}
	s.Quiet()
	for _, q := range s.Queues() {
		if q.Queue == restock.AdQueue && q.Dead == 0 {
			t.Errorf("I5 every message is handled, waiting or dead-lettered: the request to stop the advertisement could not be mailed, and %s has no dead letter", q.Queue)
		}
	}
	s.Until("P3 every attempt ends, in an alarm: the refused order is held", func() bool {
		orders := s.Orders()
		return len(orders) == 1 && orders[0].State == restock.OrderHeld && orders[0].HeldReason != ""
	})
}

func TestMistake04AnOpenOrderBlocksSales(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{
		Products: "  - {sku: BIG, name: Big donut, price: 1, opening_stock: 10, factory: FF-500293, reorder_point: 5, order_quantity: 10}\n",
		Flags:    []string{"--callback-window", "200ms"}, // and the callback never comes
	})
	left := int64(10)
	buy := func(quantity int64, when string) {
		t.Helper()
		a, err := s.Buy(fmt.Sprintf(`{"sku":"BIG","quantity":%d}`, quantity))
		if err != nil || a.Status != http.StatusOK {
			t.Errorf("M4 nothing but missing stock stops a sale: %s a buyer was answered %+v, %v", when, a, err)
			return
		}
		left -= quantity
	}
	buy(5, "before any order")
	s.Factory.Await(t, 1)
	buy(1, "while an order is out")
	s.Until("P3 every attempt ends, in an alarm: the order is held", func() bool {
		orders := s.Orders()
		return len(orders) == 1 && orders[0].State == restock.OrderHeld
	})
	buy(1, "after the callback was lost")
	if got := s.Product("BIG").Stock.OnHand; got != left {
		t.Errorf("I2 conservation: %d on hand, want %d", got, left)
	}
}

// ordered is a shop whose one order of ten is at the factory.
func ordered(t *testing.T) (*blackbox.Shop, blackbox.Order) {
	t.Helper()
	s := open(t, blackbox.Setup{Flags: []string{"--callback-window", "10m"}})
	sellOut(t, s)
	return s, s.Factory.Await(t, 1)[0]
}

func TestMistake05ReceivingBelievesAnybody(t *testing.T) {
	t.Parallel()
	s, o := ordered(t)
	address, err := url.Parse(o.Callback)
	if err != nil {
		t.Fatal(err)
	}
	good := address.Query().Get("token")
	last := "a" // like e, it leaves the bits beside the last byte zero
	if strings.HasSuffix(good, last) {
		last = "e"
	}
	for name, token := range map[string]string{
		"no token": "", "another end": good[:len(good)-8] + strings.Repeat(last, 8), "nonsense": "x", "cut": good[:len(good)-1],
	} {
		forged := blackbox.Order{Callback: "http://shop.test/product/donut?token=" + token}
		a, err := s.Deliver(forged, []byte(`{"MessageAttributeProductCnt":"10"}`))
		if err != nil || a.Status != http.StatusUnauthorized {
			t.Errorf("I10 nothing unauthenticated changes anything: %s was answered with %+v, %v", name, a, err)
		}
	}
	if got := s.Product(blackbox.Donut).Stock.OnHand; got != 0 {
		t.Errorf("I10 nothing unauthenticated changes anything: %d on hand, want 0", got)
	}
}

func TestMistake05ReceivingTakesAnyCountAndTakesItTwice(t *testing.T) {
	t.Parallel()
	s, o := ordered(t)
	deliver := func(body []byte, want int64) {
		t.Helper()
		a, err := s.Deliver(o, body)
		if err != nil || a.Status != http.StatusOK {
			t.Errorf("P5 nothing that the factory sends is dropped: it was answered with %+v, %v", a, err)
		}
		if got := s.Product(blackbox.Donut).Stock.OnHand; got != want {
			t.Errorf("P4 stock rises exactly once for each receipt and never above the attempt: %d on hand after %s, want %d", got, body, want)
		}
	}
	deliver([]byte(`{"MessageAttributeProductCnt":"1e3"}`), 0)
	deliver([]byte(`{"MessageAttributeProductCnt":"4 OR 1=1"}`), 0)
	deliver([]byte(`{"MessageAttributeProductCnt":"1000"}`), 10)
	deliver(o.Body, 10)
	deliver(o.Body, 10)
	verify(t, s)
}

// Words with quotes are what somebody wrote, wherever they go into a statement.
func TestMistake05StatementsAreJoinedFromStrangersWords(t *testing.T) {
	t.Parallel()
	const quoted = `O'Neil's "best"; DROP TABLE products; --`
	s := open(t, blackbox.Setup{Products: "  - {sku: \"Q'1\", slug: quoted, name: 'O''Neil''s \"best\"; DROP TABLE products; --', price: 1, opening_stock: 2}\n"})
	if a, err := s.Buy(`{"sku":"Q'1","reference":"it's mine"}`); err != nil || a.Status != http.StatusOK {
		t.Errorf("I10 words are only words: a SKU with a quote cannot be bought: %+v, %v", a, err)
	}
	if a, err := s.Buy(`{"sku":"nothing' OR '1'='1"}`); err != nil || a.Status != http.StatusBadRequest {
		t.Errorf("I10 words are only words: an unknown SKU was answered with %+v, %v", a, err)
	}
	if p := s.Product("quoted"); p.Name != quoted || p.Stock.OnHand != 1 {
		t.Errorf("I10 words are only words: %q has %d on hand, want %q and 1", p.Name, p.Stock.OnHand, quoted)
	}
	sellOut(t, s)
	o := s.Factory.Await(t, 1)[0]
	claim := strings.Replace(string(o.Body), blackbox.Donut, "CP' OR ''='", 1)
	if a, err := s.Deliver(o, []byte(claim)); err != nil || a.Status != http.StatusOK || !strings.Contains(a.Body, "보류") {
		t.Errorf("I10 words are only words: a claimed product with a quote was answered with %+v, %v", a, err)
	}
	verify(t, s)
}

func TestMistake06OneCallbackURLForAllOrders(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{
		Products: "  - {sku: B, name: Bagel, price: 1, opening_stock: 1, factory: FF-500293, reorder_point: 0, order_quantity: 7}\n",
		Flags:    []string{"--callback-window", "10m"},
	})
	sellOut(t, s)
	s.Factory.Await(t, 1)
	if a, err := s.Buy(`{"sku":"B"}`); err != nil || a.Status != http.StatusOK {
		t.Fatalf("the bagel cannot be bought: %+v, %v", a, err)
	}
	orders := s.Factory.Await(t, 2)
	if a, b := tokenOf(t, orders[0]), tokenOf(t, orders[1]); a == b || a == "" {
		t.Errorf("P2 each attempt has its own token: two orders have %q and %q", a, b)
	}
	for _, o := range slices.Backward(orders) { // the second is made first
		if a, err := s.Deliver(o, o.Body); err != nil || a.Status != http.StatusOK {
			t.Errorf("P2 each attempt has its own token: the callback was answered with %+v, %v", a, err)
		}
	}
	for _, o := range s.Orders() {
		if o.State != restock.OrderReceived || len(o.Receipts) != 1 || o.Receipts[0].Applied != o.Quantity {
			t.Errorf("P2 each attempt has its own token: the order of %s is %s with %+v", o.SKU, o.State, o.Receipts)
		}
	}
}

func tokenOf(t *testing.T, o blackbox.Order) string {
	t.Helper()
	u, err := url.Parse(o.Callback)
	if err != nil {
		t.Fatal(err)
	}
	return u.Query().Get("token")
}

// The messages of the last piece cannot be stored, so the piece is not sold.
func TestMistake07StockChangesWithoutItsMessage(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{})
	db, err := sql.Open("sqlite3", "file:"+filepath.Join(s.Data, "restock.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	execute := func(statement string) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	execute(`CREATE TRIGGER full BEFORE INSERT ON queue_messages BEGIN SELECT RAISE(ABORT, 'the queue is full'); END`)
	a, err := s.Buy(`{"quantity":3}`)
	if err != nil || a.Status < http.StatusInternalServerError {
		t.Errorf("I5 a state change and its message commit together: the sale was answered with %+v, %v", a, err)
	}
	if got := s.Product(blackbox.Donut).Stock.OnHand; got != 3 {
		t.Errorf("I5 a state change and its message commit together: %d on hand, want 3: no message says why", got)
	}
	execute(`DROP TRIGGER full`)
	sellOut(t, s)
	s.Factory.Await(t, 1)
	verify(t, s)
}

func TestMistake08NothingOnRecordAndNobodyIsTold(t *testing.T) {
	t.Parallel()
	s := open(t, blackbox.Setup{Factory: blackbox.NewFactory(t, nil, refuses)})
	sellOut(t, s)
	s.Factory.Await(t, 1)
	s.Until("P3 every attempt ends, in an alarm: the refused order is held", func() bool {
		orders := s.Orders()
		return len(orders) == 1 && orders[0].State == restock.OrderHeld
	})
	o := s.Orders()[0]
	if o.Quantity != 10 || o.Reason == "" || len(o.Attempts) != 1 || o.Attempts[0].Status != http.StatusBadRequest ||
		s.Product(blackbox.Donut).Stock.OnOrder != 10 {
		t.Errorf("I2 what is on order is known: the order is %+v", o)
	}
	s.Until("P3 every attempt ends, in an alarm: a mail tells operations of the held order", func() bool {
		return slices.ContainsFunc(s.Mails(), func(mail string) bool { return strings.Contains(mail, "restock: order held") })
	})
}

func TestMistake09AConnectionIsLeakedWithEachSale(t *testing.T) {
	t.Parallel()
	const sales = 300
	s := open(t, blackbox.Setup{Products: "  - {sku: MANY, name: Many donuts, price: 1, opening_stock: 1000}\n"})
	for n := range sales {
		if a, err := s.Buy(`{"sku":"MANY"}`); err != nil || a.Status != http.StatusOK {
			t.Fatalf("I11 every pool is bounded, and given back to: sale %d was answered with %+v, %v", n+1, a, err)
		}
	}
	var p restock.Product
	a, err := s.Operate(http.MethodGet, "/v1/products/MANY", "")
	if err != nil || a.Status != http.StatusOK {
		t.Fatalf("I11 every pool is bounded, and given back to: after %d sales the product page was answered with %+v, %v", sales, a, err)
	}
	s.Get("/v1/products/MANY", &p)
	if p.Stock.OnHand != 1000-sales {
		t.Errorf("I2 conservation: %d on hand, want %d", p.Stock.OnHand, 1000-sales)
	}
}
