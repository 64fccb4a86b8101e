package queuetest

import (
	"io"
	"net"
	"sync"
	"testing"
)

// Proxy stands between a client and a server, and can be cut: then the client
// is refused, as if the server had been stopped, and the server keeps its
// state.
type Proxy struct {
	tb      testing.TB
	target  string
	address string

	mu       sync.Mutex
	listener net.Listener // nil while it is cut
	open     map[net.Conn]bool
	running  sync.WaitGroup
}

// NewProxy starts a proxy for a server at host:port. It ends with the test.
func NewProxy(tb testing.TB, target string) *Proxy {
	tb.Helper()
	// On 127.0.0.1 any connection may take the port while it is cut.
	listener, err := net.Listen("tcp", NATSAddr(tb))
	if err != nil {
		tb.Fatal(err)
	}
	p := &Proxy{tb: tb, target: target, address: listener.Addr().String(), open: make(map[net.Conn]bool)}
	p.serve(listener)
	tb.Cleanup(func() {
		p.Cut()
		p.running.Wait()
	})
	return p
}

// Address is the host:port to connect to. It stays the same.
func (p *Proxy) Address() string { return p.address }

// Cut closes all connections and refuses new ones.
func (p *Proxy) Cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		p.listener.Close()
		p.listener = nil
	}
	for conn := range p.open {
		conn.Close()
	}
}

// Mend takes connections again.
func (p *Proxy) Mend() {
	p.tb.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener != nil {
		return
	}
	listener, err := net.Listen("tcp", p.address)
	if err != nil {
		p.tb.Errorf("mend the proxy: %v", err)
		return
	}
	p.serve(listener)
}

func (p *Proxy) serve(listener net.Listener) {
	p.listener = listener
	p.running.Go(func() { p.accept(listener) })
}

func (p *Proxy) accept(listener net.Listener) {
	for {
		client, err := listener.Accept()
		if err != nil { // it was cut
			return
		}
		p.running.Go(func() { p.join(client) })
	}
}

// join copies in both directions until either side ends.
func (p *Proxy) join(client net.Conn) {
	defer client.Close()
	server, err := net.Dial("tcp", p.target)
	if err != nil {
		return
	}
	defer server.Close()
	if !p.hold(client, server) {
		return
	}
	defer p.release(client, server)
	var copying sync.WaitGroup
	for from, to := range map[net.Conn]net.Conn{client: server, server: client} {
		copying.Go(func() {
			io.Copy(to, from)
			to.Close()
			from.Close()
		})
	}
	copying.Wait()
}

// hold says false when the proxy was cut while the connection was made.
func (p *Proxy) hold(conns ...net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listener == nil {
		return false
	}
	for _, conn := range conns {
		p.open[conn] = true
	}
	return true
}

func (p *Proxy) release(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, conn := range conns {
		delete(p.open, conn)
	}
}
