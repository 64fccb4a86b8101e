package web

import (
	"container/list"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/restock/restock"
	"golang.org/x/time/rate"
)

// paceCallersMax bounds the callers that are remembered; the one that was
// longest away is forgotten first.
const paceCallersMax = 100_000

// RateLimit answers 429 to a caller whose requests come faster than perSecond,
// after a burst of the same number. 0 limits nobody.
func RateLimit(perSecond float64, trusted []netip.Prefix, next http.Handler) http.Handler {
	if perSecond <= 0 {
		return next
	}
	pace := NewPace(perSecond, trusted)
	refusal := restock.Errorf(restock.Unavailable, restock.CodeRateLimited, "Too many requests from this address. Wait a moment.")
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if ok, _ := pace.Allow(r); !ok {
			SeedError(w, r, nil, refusal, "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// Pace lets each caller do something so many times a second, after a burst of
// the same number, or of one. A caller is a client address; behind trusted
// proxies, the last address in X-Forwarded-For that is not one of them, since
// everything before it is what the caller claims.
type Pace struct {
	Now func() time.Time // nil is the time of the machine

	perSecond float64
	burst     int
	trusted   []netip.Prefix
	mu        sync.Mutex
	callers   map[netip.Addr]*list.Element
	recent    *list.List // of callers, the latest in front
}

type paceCaller struct {
	address netip.Addr
	limiter *rate.Limiter
	stopped int64 // since it was last let through
}

// NewPace makes a Pace that knows nobody yet.
func NewPace(perSecond float64, trusted []netip.Prefix) *Pace {
	return NewBurstPace(perSecond, max(1, int(perSecond)), trusted)
}

// NewBurstPace makes a Pace with a burst of its own.
func NewBurstPace(perSecond float64, burst int, trusted []netip.Prefix) *Pace {
	return &Pace{perSecond: perSecond, burst: burst, trusted: trusted, callers: map[netip.Addr]*list.Element{}, recent: list.New()}
}

// Allow reports whether the sender of a request may now; if so, stopped is how
// many times it was not let through since it last was.
func (p *Pace) Allow(r *http.Request) (ok bool, stopped int64) {
	return p.allow(clientAddress(r, p.trusted))
}

func (p *Pace) allow(address netip.Addr) (ok bool, stopped int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.caller(address)
	if !c.limiter.AllowN(p.now(), 1) {
		c.stopped++
		return false, 0
	}
	stopped, c.stopped = c.stopped, 0
	return true, stopped
}

func (p *Pace) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// caller finds a caller, or makes it and forgets another.
func (p *Pace) caller(address netip.Addr) *paceCaller {
	if element, ok := p.callers[address]; ok {
		if c, ok := element.Value.(*paceCaller); ok {
			p.recent.MoveToFront(element)
			return c
		}
	}
	c := &paceCaller{address: address, limiter: rate.NewLimiter(rate.Limit(p.perSecond), p.burst)}
	p.callers[address] = p.recent.PushFront(c)
	if p.recent.Len() > paceCallersMax {
		if oldest, ok := p.recent.Remove(p.recent.Back()).(*paceCaller); ok {
			delete(p.callers, oldest.address)
		}
	}
	return c
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
