package webhook_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/restock/restock/internal/webhook"
)

func TestOnlyPublicAddressesAreAllowed(t *testing.T) {
	t.Parallel()
	inner := []string{
		"127.0.0.1", "127.1.2.3", "0.0.0.0", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "100.64.0.1", "100.127.255.255",
		"168.63.129.16", "::ffff:168.63.129.16", "169.254.169.254", "169.254.170.2", "192.0.0.192", "192.0.2.1", "198.18.0.1", "198.19.255.255", "198.51.100.7", "203.0.113.9",
		"192.88.99.1", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255",
		"::", "::1", "::7f00:1", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:0:127.0.0.1",
		"64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "fc00::1", "fd00:ec2::254", "fe80::1", "fe80::1%lo", "fec0::1", "ff02::1",
		"2001:db8::1", "2001::1", "2001:20::1", "2002:7f00:1::", "2002:a9fe:a9fe::1", "3fff::1", "100::1", "5f00::1", "4000::1",
	}
	for _, text := range inner {
		if err := (webhook.Guard{}).Allow(netip.AddrPortFrom(netip.MustParseAddr(text), 443)); err == nil {
			t.Errorf("%s is allowed, want it refused", text)
		}
	}
	for _, text := range []string{"1.1.1.1", "8.8.8.8", "172.32.0.1", "172.15.255.255", "100.63.255.255", "100.128.0.1", "192.0.1.1", "168.63.129.15", "168.63.129.17", "223.255.255.254", "::ffff:8.8.8.8", "2606:4700::1111", "2a00:1450::1"} {
		if err := (webhook.Guard{}).Allow(netip.AddrPortFrom(netip.MustParseAddr(text), 443)); err != nil {
			t.Errorf("%s is refused: %v", text, err)
		}
	}
}

func TestAnInnerNetworkIsReachedOnlyWhenItIsAllowed(t *testing.T) {
	t.Parallel()
	guard := webhook.Guard{Inner: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12::/16")}}
	for text, want := range map[string]bool{
		"10.1.2.3": true, "::ffff:10.1.2.3": true, "10.2.0.1": false, "127.0.0.1": false, "fd12::9": true, "fd13::9": false, "fd12::9%lo": false,
	} {
		if err := guard.Allow(netip.AddrPortFrom(netip.MustParseAddr(text), 80)); (err == nil) != want {
			t.Errorf("%s: %v, want allowed %t", text, err, want)
		}
	}
}

// TestNoWayToWriteAnAddressReachesAnInnerOne dials a real server on loopback by
// all the names that resolve there.
func TestNoWayToWriteAnAddressReachesAnInnerOne(t *testing.T) {
	t.Parallel()
	var reached atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Add(1) }))
	t.Cleanup(server.Close)
	_, port, err := net.SplitHostPort(server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	post := func(host string, guard webhook.Guard) error {
		s, err := webhook.New("http://"+net.JoinHostPort(host, port)+"/hook", patient(webhook.Config{Allow: guard.Allow}))
		if err != nil {
			return err
		}
		return s.Send(t.Context(), webhook.Message{ID: "id", Body: []byte("{}")})
	}
	for _, host := range []string{"127.0.0.1", "localhost", "127.1", "2130706433", "0x7f000001", "0177.0.0.1", "0.0.0.0", "::1", "::ffff:127.0.0.1", "::ffff:7f00:1", "0", "localhost."} {
		if err := post(host, webhook.Guard{}); err == nil {
			t.Errorf("%s was posted to", host)
		}
	}
	if n := reached.Load(); n != 0 {
		t.Errorf("the server inside was reached %d times", n)
	}
	// The control: what keeps the posts away is the guard.
	if err := post("127.0.0.1", webhook.Guard{Inner: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}}); err != nil || reached.Load() != 1 {
		t.Errorf("a receiver inside that is allowed: %v, reached %d times", err, reached.Load())
	}
	err = post("127.0.0.1", webhook.Guard{})
	if err == nil || !strings.Contains(err.Error(), "--webhook-allow") {
		t.Errorf("the error %v does not say what to do", err)
	}
}
