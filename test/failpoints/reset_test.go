package failpoints_test

import (
	"net"
	"sync/atomic"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
	"github.com/restock/restock/test/blackbox"
)

// resetting is a factory that accepts the first order, keeps that connection
// open for more, and resets the second after all of it came: that is when an
// HTTP client is tempted to send it once more by itself.
func resetting(t *testing.T) (*blackbox.Factory, *atomic.Int64) {
	t.Helper()
	var requests, orders atomic.Int64
	f := blackbox.NewFactory(t, func() { requests.Add(1) }, func(conn net.Conn, o blackbox.Order) {
		if orders.Add(1) == 1 {
			blackbox.Accept(conn, o)
			return
		}
		blackbox.Reset(conn, o)
	})
	return f, &requests
}

// TestResetAfterBodyReachesFactoryOnce orders over real connections.
func TestResetAfterBodyReachesFactoryOnce(t *testing.T) {
	t.Parallel()
	t.Run("client", resetClient)
	t.Run("command", resetCommand)
}

func resetClient(t *testing.T) {
	t.Parallel()
	f, requests := resetting(t)
	client := factory.NewClient(factory.Config{})
	request := factory.Request{ProductID: blackbox.Donut, Count: 10, FactoryID: "FF-500293", CallbackURL: "http://shop.test/product/donut?token=a"}
	for n, want := range []restock.AttemptState{restock.AttemptAccepted, restock.AttemptUnknown} {
		if got := client.Place(t.Context(), f.URL, request); got.State != want {
			t.Errorf("P1 an attempt is written at most once: order %d is %+v, want %s", n+1, got, want)
		}
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("P1 an attempt is written at most once: the factory got %d requests of two orders", n)
	}
}

func resetCommand(t *testing.T) {
	t.Parallel()
	binary, err := blackbox.Build(t.Context(), t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	f, requests := resetting(t)
	s := blackbox.OpenShop(t, binary, blackbox.Setup{Factory: f, Flags: []string{"--callback-window", "10m"}})
	deliver := func(n int) {
		t.Helper()
		o := f.Await(t, n)[n-1]
		if a, err := s.Deliver(o, o.Body); err != nil || a.Status != 200 {
			t.Fatalf("P5 nothing that the factory sends is dropped: callback %d: %+v, %v", n, a, err)
		}
	}
	if err := s.SellOut(); err != nil {
		t.Fatal(err)
	}
	deliver(1)
	if a, err := s.Buy(`{"quantity":10}`); err != nil || a.Status != 200 {
		t.Fatalf("all ten cannot be bought: %+v, %v", a, err)
	}
	f.Await(t, 2)
	var second restock.Order
	s.Until("P3 every attempt ends: the second order is unknown", func() bool {
		second = s.Orders()[0] // newest first
		return second.State == restock.OrderUnknown
	})
	if got := s.Product(blackbox.Donut).Stock; got.OnOrder != 10 || len(second.Attempts) != 1 {
		t.Errorf("P1 an attempt is written at most once: %d on order in %d attempts, want 10 in 1", got.OnOrder, len(second.Attempts))
	}
	deliver(2)
	orders := s.Orders()
	if len(orders) != 2 || orders[0].State != restock.OrderReceived || s.Product(blackbox.Donut).Stock.OnHand != 10 {
		t.Errorf("P4 the callback settles it: orders %+v", orders)
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("P1 an attempt is written at most once: the factory got %d requests of two orders", n)
	}
	if err := s.Verify(); err != nil {
		t.Errorf("I2 the books agree: %v", err)
	}
}
