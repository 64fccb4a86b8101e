package factory

import (
	"errors"
	"net"
	"net/http/httptrace"
	"sync"
)

// seal proves that no byte of a request was written. It stands before the one
// connection of an attempt: a write after the connection became ready is the
// request. (Writes before that are TLS's or a proxy's.)
//
// Watching alone would not do: when a context ends, RoundTrip can return while
// another goroutine is just about to write. So the question "was nothing
// written?" and the ban on every later write are one step under one lock. Nor
// would httptrace's WroteHeaders do: it is called after long headers have left
// the buffer.
type seal struct {
	mu      sync.Mutex
	ready   bool
	written bool
	closed  bool
}

var errSealed = errors.New("the attempt is over")

// trace tells the seal when the connection is ready.
func (s *seal) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{GotConn: func(httptrace.GotConnInfo) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.ready = true
	}}
}

// admit is asked before every write.
func (s *seal) admit() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return errSealed
	}
	s.written = s.written || s.ready
	return nil
}

// unwritten reports whether no byte of the request has left, and sees to it that
// none will.
func (s *seal) unwritten() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	return !s.written
}

// sealedConn is a connection that asks its seal before it writes.
type sealedConn struct {
	net.Conn

	seal *seal
}

func (c sealedConn) Write(b []byte) (int, error) {
	if err := c.seal.admit(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}
