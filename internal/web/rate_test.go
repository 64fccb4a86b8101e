package web

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func prefixes(texts ...string) []netip.Prefix {
	all := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		all[i] = netip.MustParsePrefix(text)
	}
	return all
}

// from makes a request as it arrives from an address, with what is in its
// X-Forwarded-For headers.
func from(remote string, forwarded ...string) *http.Request {
	r := httptest.NewRequest(http.MethodPost, "/checkout", http.NoBody)
	r.RemoteAddr = remote
	for _, value := range forwarded {
		r.Header.Add("X-Forwarded-For", value)
	}
	return r
}

func TestWhoSentARequest(t *testing.T) {
	t.Parallel()
	proxies := prefixes("10.0.0.0/8", "2001:db8:ffff::/48")
	for name, c := range map[string]struct {
		request *http.Request
		trusted []netip.Prefix
		want    string
	}{
		"itself":                              {from("192.0.2.1:4000"), nil, "192.0.2.1"},
		"what it claims, trusting nobody":     {from("192.0.2.1:4000", "203.0.113.9"), nil, "192.0.2.1"},
		"what it claims, not through a proxy": {from("192.0.2.1:4000", "203.0.113.9"), proxies, "192.0.2.1"},
		"through a proxy":                     {from("10.0.0.1:4000", "203.0.113.9"), proxies, "203.0.113.9"},
		"through two":                         {from("10.0.0.1:4000", "203.0.113.9, 10.0.0.2"), proxies, "203.0.113.9"},
		"a claim before it":                   {from("10.0.0.1:4000", "198.51.100.1, 203.0.113.9,10.0.0.2"), proxies, "203.0.113.9"},
		"claims in a header of their own":     {from("10.0.0.1:4000", "198.51.100.1", "203.0.113.9"), proxies, "203.0.113.9"},
		"a claim to be a proxy":               {from("10.0.0.1:4000", "10.9.9.9, 203.0.113.9"), proxies, "203.0.113.9"},
		"a proxy itself":                      {from("10.0.0.1:4000"), proxies, "10.0.0.1"},
		"a proxy behind a proxy":              {from("10.0.0.1:4000", "10.0.0.3, 10.0.0.2"), proxies, "10.0.0.3"},
		"a claim that is no address":          {from("10.0.0.1:4000", "203.0.113.9, <script>"), proxies, "10.0.0.1"},
		"a claim before an address":           {from("10.0.0.1:4000", "<script>, 203.0.113.9"), proxies, "203.0.113.9"},
		"an empty header":                     {from("10.0.0.1:4000", ""), proxies, "10.0.0.1"},
		"IPv6":                                {from("[2001:db8:1:2:3:4:5:6]:4000"), nil, "2001:db8:1:2::"},
		"IPv6 with a zone":                    {from("[fe80::1%eth0]:4000"), nil, "fe80::"},
		"IPv6 through an IPv6 proxy":          {from("[2001:db8:ffff::1]:4000", "2001:db8:1:2:3:4:5:6"), proxies, "2001:db8:1:2::"},
		"IPv4 as IPv6":                        {from("[::ffff:192.0.2.1]:4000"), nil, "192.0.2.1"},
		"a proxy as IPv6":                     {from("[::ffff:10.0.0.1]:4000", "::ffff:203.0.113.9"), proxies, "203.0.113.9"},
		"without a port":                      {from("192.0.2.1"), nil, "192.0.2.1"},
		"of a socket without addresses":       {from("@"), proxies, "invalid IP"},
	} {
		if got := clientAddress(c.request, c.trusted).String(); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// served counts how many of a caller's requests are let through.
func served(handler http.Handler, requests ...*http.Request) int {
	n := 0
	for _, r := range requests {
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		if w.Code == http.StatusOK {
			n++
		}
	}
	return n
}

func welcome(http.ResponseWriter, *http.Request) {}

func TestACallerHasABurstAndThenItsRate(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const burst = 5
		handler := RateLimit(burst, nil, http.HandlerFunc(welcome))
		var crowd []*http.Request
		for i := range 100 {
			crowd = append(crowd, from(fmt.Sprintf("192.0.2.1:%d", 1000+i), fmt.Sprintf("203.0.113.%d", i)))
		}
		if n := served(handler, crowd...); n != burst {
			t.Errorf("%d of a burst were served, want %d: neither ports nor claims make a caller", n, burst)
		}
		time.Sleep(time.Second / burst)
		if n := served(handler, crowd...); n != 1 {
			t.Errorf("%d were served after a fifth of a second, want 1", n)
		}
		time.Sleep(time.Hour)
		if n := served(handler, crowd...); n != burst {
			t.Errorf("%d were served after an hour, want no more than the burst of %d", n, burst)
		}
		if n := served(handler, from("192.0.2.2:1000")); n != 1 {
			t.Error("another address was not served")
		}
	})
}

func TestARateBelowOneStillServesTheFirst(t *testing.T) {
	t.Parallel()
	handler := RateLimit(0.001, nil, http.HandlerFunc(welcome))
	if n := served(handler, from("192.0.2.1:1"), from("192.0.2.1:2")); n != 1 {
		t.Errorf("%d were served, want 1", n)
	}
}

func TestAnIPv6NetworkIsOneCaller(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		const burst = 3
		handler := RateLimit(burst, nil, http.HandlerFunc(welcome))
		var crowd, neighbours []*http.Request
		for i := range 50 {
			crowd = append(crowd, from(fmt.Sprintf("[2001:db8:1:2:%x::%x]:4000", i, i)))
			neighbours = append(neighbours, from(fmt.Sprintf("[2001:db8:1:%x::1]:4000", 100+i)))
		}
		if n := served(handler, crowd...); n != burst {
			t.Errorf("%d of one network were served, want %d", n, burst)
		}
		if n := served(handler, neighbours...); n != len(neighbours) {
			t.Errorf("%d of %d networks were served", n, len(neighbours))
		}
	})
}

func TestNobodyIsLimitedWithoutARate(t *testing.T) {
	t.Parallel()
	var crowd []*http.Request
	for range 1000 {
		crowd = append(crowd, from("192.0.2.1:1"))
	}
	if n := served(RateLimit(0, nil, http.HandlerFunc(welcome)), crowd...); n != len(crowd) {
		t.Errorf("%d of %d were served", n, len(crowd))
	}
}

func TestWhoIsTooFastIsToldSo(t *testing.T) {
	t.Parallel()
	handler := RateLimit(0.001, nil, http.HandlerFunc(welcome))
	served(handler, from("192.0.2.1:1"))
	w := httptest.NewRecorder()
	r := from("192.0.2.1:1")
	r.Header.Set("Accept-Language", "en")
	handler.ServeHTTP(w, r)
	if w.Code != http.StatusTooManyRequests || w.Header().Get("Retry-After") == "" || !strings.Contains(w.Body.String(), `"code":"rate_limited"`) {
		t.Errorf("answered %d with Retry-After %q: %s", w.Code, w.Header().Get("Retry-After"), w.Body)
	}
}

func TestABurstOfItsOwnComesBeforeThePace(t *testing.T) {
	t.Parallel()
	pace := NewBurstPace(0.001, 3, nil)
	address := netip.MustParseAddr("192.0.2.1")
	for n, want := range []bool{true, true, true, false} {
		if ok, _ := pace.allow(address); ok != want {
			t.Errorf("try %d: %t, want %t", n+1, ok, want)
		}
	}
}

// TestCallersAreForgottenOneAtATime fills the memory with strangers while one
// caller keeps coming: it is never forgotten, and they are.
func TestCallersAreForgottenOneAtATime(t *testing.T) {
	t.Parallel()
	const strangers = paceCallersMax + 1000
	pace := NewPace(0.001, nil)
	allow := func(address netip.Addr) bool {
		ok, _ := pace.allow(address)
		return ok
	}
	constant := netip.MustParseAddr("192.0.2.1")
	if !allow(constant) {
		t.Fatal("the first was not served")
	}
	address := netip.MustParseAddr("2001:db8::")
	for i := range strangers {
		address = address.Next()
		if !allow(address) {
			t.Fatalf("stranger %d was not served", i)
		}
		if i%1000 == 0 && allow(constant) {
			t.Fatalf("a caller who keeps coming was forgotten after %d strangers", i)
		}
	}
	if len(pace.callers) != paceCallersMax || pace.recent.Len() != paceCallersMax {
		t.Errorf("%d callers are remembered in %d places, want %d", len(pace.callers), pace.recent.Len(), paceCallersMax)
	}
	if !allow(netip.MustParseAddr("2001:db8::1")) {
		t.Error("the stranger who was longest away is still remembered")
	}
}

func TestManyAtOnceGetNoMoreThanTheBurst(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) { // no time passes
		const burst, crowd = 10, 500
		handler := RateLimit(burst, nil, http.HandlerFunc(welcome))
		var (
			mu  sync.Mutex
			all sync.WaitGroup
			n   int
		)
		for range crowd {
			all.Go(func() {
				one := served(handler, from("192.0.2.1:1"))
				mu.Lock()
				defer mu.Unlock()
				n += one
			})
		}
		all.Wait()
		if n != burst {
			t.Errorf("%d were served, want %d", n, burst)
		}
	})
}

// TestWhoIsStoppedIsCounted: the count comes with the next that is let through.
func TestWhoIsStoppedIsCounted(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		pace := NewPace(1, nil)
		for round, want := range []int64{0, 4, 4} {
			if ok, stopped := pace.Allow(from("192.0.2.1:1")); !ok || stopped != want {
				t.Errorf("round %d: let through %t after %d, want after %d", round, ok, stopped, want)
			}
			for range 4 {
				if ok, stopped := pace.Allow(from("192.0.2.1:2")); ok || stopped != 0 {
					t.Errorf("round %d: let through %t after %d, want it stopped", round, ok, stopped)
				}
			}
			if ok, stopped := pace.Allow(from(fmt.Sprintf("192.0.2.%d:1", 10+round))); !ok || stopped != 0 {
				t.Errorf("another address is let through %t after %d", ok, stopped)
			}
			time.Sleep(time.Second)
		}
	})
}
