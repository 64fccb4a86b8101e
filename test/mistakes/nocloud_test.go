package mistakes_test

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/test/blackbox"
)

// The command gets no environment at all: no account, no home, no region. It
// sells, orders and receives, and all its connections stay on this machine.
func TestMistake10NothingRunsWithoutACloudAccount(t *testing.T) {
	t.Parallel()
	away := make(chan string, 1)
	var s *blackbox.Shop
	ready := make(chan struct{})
	factory := blackbox.NewFactory(t, nil, func(conn net.Conn, o blackbox.Order) {
		<-ready
		select {
		case away <- strings.Join(connectedAway(t, s.Server.Pid()), ", "): // in the middle of an order
		default:
		}
		blackbox.Accept(conn, o)
	})
	s = blackbox.OpenShop(t, command, blackbox.Setup{Factory: factory, Bare: true, Promise: "M10 nothing needs a cloud account"})
	close(ready)
	sellOut(t, s)
	o := factory.Await(t, 1)[0]
	if got := <-away; got != "" {
		t.Errorf("M10 nothing needs a cloud account: it is connected to %s", got)
	}
	if a, err := s.Deliver(o, o.Body); err != nil || a.Status != 200 {
		t.Errorf("M10 nothing needs a cloud account: the callback was answered with %+v, %v", a, err)
	}
	s.Until("M10 nothing needs a cloud account: the order is received", func() bool { return s.Orders()[0].State == restock.OrderReceived })
	if got := connectedAway(t, s.Server.Pid()); len(got) > 0 {
		t.Errorf("M10 nothing needs a cloud account: it is connected to %v", got)
	}
}

// connectedAway lists the remote addresses of a process's TCP connections that
// are not on this machine, as the kernel knows them.
func connectedAway(t *testing.T, pid int) []string {
	t.Helper()
	own := sockets(t, pid)
	var away []string
	for _, table := range []string{"tcp", "tcp6"} {
		text, err := os.ReadFile(filepath.Join("/proc", fmt.Sprint(pid), "net", table))
		if err != nil {
			t.Error(err)
			return nil
		}
		lines := bufio.NewScanner(bytes.NewReader(text))
		for lines.Scan() {
			const remote, inode, least = 2, 9, 10
			words := strings.Fields(lines.Text())
			if len(words) < least || !slices.Contains(own, words[inode]) {
				continue
			}
			if ip := addressOf(words[remote]); ip != nil && !ip.IsLoopback() && !ip.IsUnspecified() {
				away = append(away, ip.String())
			}
		}
	}
	return away
}

// sockets are the inodes of a process's sockets.
func sockets(t *testing.T, pid int) []string {
	t.Helper()
	links, err := filepath.Glob(fmt.Sprintf("/proc/%d/fd/*", pid))
	if err != nil || len(links) == 0 {
		t.Errorf("the process's files cannot be listed: %v", err)
	}
	var inodes []string
	for _, link := range links {
		target, err := os.Readlink(link)
		if inode, ok := strings.CutPrefix(target, "socket:["); err == nil && ok {
			inodes = append(inodes, strings.TrimSuffix(inode, "]"))
		}
	}
	return inodes
}

// addressOf reads the kernel's spelling: words of 4 bytes, each back to front.
func addressOf(text string) net.IP {
	host, _, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	if err != nil {
		return nil
	}
	for word := range slices.Chunk(raw, net.IPv4len) {
		slices.Reverse(word)
	}
	return raw
}

func TestAddressesAreReadAsTheKernelWritesThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"0100007F:1F90":                         "127.0.0.1",
		"08080808:01BB":                         "8.8.8.8",
		"00000000000000000000000001000000:1F90": "::1",
		"0000000000000000FFFF00000100007F:1F90": "127.0.0.1",
	} {
		if got := addressOf(text).String(); got != want {
			t.Errorf("%s is read as %s, want %s", text, got, want)
		}
	}
}
