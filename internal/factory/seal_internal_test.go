package factory

import (
	"errors"
	"net"
	"net/http/httptrace"
	"testing"
)

func TestSealForbidsEveryWriteAfterItSaidUnwritten(t *testing.T) {
	t.Parallel()
	near, far := net.Pipe()
	_ = far.Close() // so that a write that gets through fails, and does not wait
	t.Cleanup(func() { _ = near.Close() })
	proof := new(seal)
	conn := sealedConn{Conn: near, seal: proof}

	proof.trace().GotConn(httptrace.GotConnInfo{})
	if !proof.unwritten() {
		t.Fatal("unwritten = false before any write")
	}
	if _, err := conn.Write([]byte("POST")); !errors.Is(err, errSealed) {
		t.Errorf("a write after the proof: got %v, want %v", err, errSealed)
	}
}

func TestSealCountsOnlyWritesOfTheRequest(t *testing.T) {
	t.Parallel()
	proof := new(seal)
	admit := func() {
		if err := proof.admit(); err != nil {
			t.Fatal(err)
		}
	}

	admit() // a handshake
	if proof.written {
		t.Error("a handshake counts as the request")
	}
	proof.trace().GotConn(httptrace.GotConnInfo{})
	admit()
	if proof.unwritten() {
		t.Error("unwritten = true after a write on the ready connection")
	}
}

func TestCheckAddressKeepsToItsNetworks(t *testing.T) {
	t.Parallel()
	for address, allowed := range map[string]bool{
		"127.0.0.1:80":                true,
		"127.9.9.9:80":                true,
		"[::1]:80":                    true,
		"[::ffff:127.0.0.1]:80":       true,
		"10.0.0.1:80":                 false,
		"169.254.169.254:80":          false,
		"[::ffff:169.254.169.254]:80": false,
		"0.0.0.0:80":                  false,
		"[::]:80":                     false,
		"[fe80::1%lo]:80":             false,
		":80":                         false,
		"/run/some.socket":            false,
		"":                            false,
	} {
		if err := checkAddress(Loopback(), address); (err == nil) != allowed {
			t.Errorf("checkAddress(%q) = %v, want allowed = %v", address, err, allowed)
		}
	}
}
