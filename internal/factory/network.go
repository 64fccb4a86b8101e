package factory

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"syscall"
	"time"
)

const (
	answerHeaderBytesMax = 64 << 10
	userAgent            = "restock"
	contentTypeJSON      = "application/json"
)

// parseTarget reads an address that can be called. Its caller says what is wrong
// without the parser's own error, which shows the whole address.
func parseTarget(text string) (*url.URL, bool) {
	target, err := url.Parse(text)
	if err != nil {
		return nil, false
	}
	return target, target.Host != "" && (target.Scheme == "http" || target.Scheme == "https")
}

// Loopback lists the networks of this machine itself.
func Loopback() []netip.Prefix {
	return []netip.Prefix{
		netip.MustParsePrefix("127.0.0.0/8"),
		netip.MustParsePrefix("::1/128"),
	}
}

// newTransport makes a transport that opens a connection for every request and
// speaks HTTP/1.1 only. Go sends a request again by itself when a connection
// that it kept fails; on a new connection it never does.
func newTransport(dial dialFunc) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		DialContext:            dial,
		Protocols:              protocols,
		DisableKeepAlives:      true,
		DisableCompression:     true, // an answer must not grow while it is read
		MaxResponseHeaderBytes: answerHeaderBytesMax,
	}
}

type dialFunc = func(ctx context.Context, network, address string) (net.Conn, error)

// newDialer makes a dialer that reaches only the networks given; with none
// given, all. The check is made on the address after the name was resolved, so
// that no name and no odd way to write an address can get around it.
func newDialer(timeout time.Duration, nets []netip.Prefix) *net.Dialer {
	dialer := &net.Dialer{Timeout: timeout}
	if len(nets) == 0 {
		return dialer
	}
	dialer.Control = func(_, address string, _ syscall.RawConn) error {
		return checkAddress(nets, address)
	}
	return dialer
}

func checkAddress(nets []netip.Prefix, address string) error {
	target, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("address %q is not allowed", address)
	}
	for _, allowed := range nets {
		if allowed.Contains(target.Addr().Unmap()) {
			return nil
		}
	}
	return fmt.Errorf("address %s is outside the networks that may be called", target.Addr())
}
