package web

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"

	"github.com/restock/restock"
	"golang.org/x/time/rate"
)

// rateCallersMax bounds the callers that are remembered; the one that was
// longest away is forgotten first.
const rateCallersMax = 100_000

// RateLimit answers 429 to a caller whose requests come faster than perSecond,
// after a burst of the same number. A caller is a client address; behind
// trusted proxies, the last address in X-Forwarded-For that is not one of them,
// since everything before it is what the caller claims. 0 limits nobody.
func RateLimit(perSecond float64, trusted []netip.Prefix, next http.Handler) http.Handler {
	if perSecond <= 0 {
		return next
	}
	l := &rateLimit{perSecond: perSecond, callers: map[netip.Addr]*list.Element{}, recent: list.New()}
	refusal := restock.Errorf(restock.Unavailable, restock.CodeRateLimited, "Too many requests from this address. Wait a moment.")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !l.allow(clientAddress(r, trusted)) {
			SeedError(w, r, nil, refusal, "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

type rateLimit struct {
	perSecond float64
	mu        sync.Mutex
	callers   map[netip.Addr]*list.Element
	recent    *list.List // of callers, the latest in front
}

type rateCaller struct {
	address netip.Addr
	limiter *rate.Limiter
}

func (l *rateLimit) allow(address netip.Addr) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	element, ok := l.callers[address]
	if !ok {
		burst := max(1, int(l.perSecond))
		element = l.recent.PushFront(&rateCaller{address, rate.NewLimiter(rate.Limit(l.perSecond), burst)})
		l.callers[address] = element
	}
	l.recent.MoveToFront(element)
	if l.recent.Len() > rateCallersMax {
		oldest := l.recent.Back()
		if c, ok := l.recent.Remove(oldest).(*rateCaller); ok {
			delete(l.callers, c.address)
		}
	}
	c, ok := element.Value.(*rateCaller)
	return ok && c.limiter.Allow()
}

// clientAddress is who sent a request. Addresses of one IPv6 network of 64 bits
// are one caller: one customer has them all.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		host = r.RemoteAddr
	}
	address, err := netip.ParseAddr(host)
	if err != nil {
		return netip.Addr{}
	}
	forwarded := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for i := len(forwarded) - 1; i >= 0 && isTrusted(address, trusted); i-- {
		next, err := netip.ParseAddr(strings.TrimSpace(forwarded[i]))
		if err != nil {
			break
		}
		address = next
	}
	return network(address.Unmap().WithZone(""))
}

func isTrusted(address netip.Addr, trusted []netip.Prefix) bool {
	for _, prefix := range trusted {
		if prefix.Contains(address.Unmap()) {
			return true
		}
	}
	return false
}

func network(address netip.Addr) netip.Addr {
	const customer = 64
	if address.Is4() {
		return address
	}
	prefix, err := address.Prefix(customer)
	if err != nil {
		return address
	}
	return prefix.Addr()
}
