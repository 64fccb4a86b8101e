package queuetest_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/restock/restock/internal/queue/queuetest"
)

// TestAProxyIsCutAndMended at the same address, with what was open closed.
func TestAProxyIsCutAndMended(t *testing.T) {
	t.Parallel()
	waiting, release := make(chan struct{}, 1), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			waiting <- struct{}{}
			<-release
		}
		io.WriteString(w, "hello")
	}))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(release) })
	proxy := queuetest.NewProxy(t, server.Listener.Addr().String())
	get := func(path string) (string, error) {
		client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
		answer, err := client.Get("http://" + proxy.Address() + path)
		if err != nil {
			return "", err
		}
		defer answer.Body.Close()
		body, err := io.ReadAll(answer.Body)
		return string(body), err
	}
	if body, err := get("/"); body != "hello" || err != nil {
		t.Fatalf("%q, %v, want hello", body, err)
	}
	for range 3 {
		open := make(chan error, 1)
		go func() {
			_, err := get("/wait")
			open <- err
		}()
		<-waiting
		proxy.Cut()
		proxy.Cut()
		if err := <-open; err == nil {
			t.Error("a request that was open had an answer")
		}
		if _, err := get("/"); err == nil || !strings.Contains(err.Error(), "refused") {
			t.Errorf("while it is cut: %v, want that it is refused", err)
		}
		address := proxy.Address()
		proxy.Mend()
		proxy.Mend()
		if body, err := get("/"); body != "hello" || err != nil || proxy.Address() != address {
			t.Errorf("mended: %q, %v at %s, want hello at %s", body, err, proxy.Address(), address)
		}
	}
}

// TestAProxyWithoutAServerClosesWhoComes.
func TestAProxyWithoutAServerClosesWhoComes(t *testing.T) {
	t.Parallel()
	conn, err := net.Dial("tcp", queuetest.NewProxy(t, queuetest.NATSAddr(t)).Address())
	if err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); err == nil {
		t.Errorf("read %d bytes, want the end", n)
	}
}
