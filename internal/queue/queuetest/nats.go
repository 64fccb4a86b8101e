package queuetest

import (
	_ "embed"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// NATSNodeConfig configures one server of a cluster of three, as
// docs/queue-nats.md shows it to operators. StartNATSCluster really uses it.
//
//go:embed nats-node.conf
var NATSNodeConfig string

// NATS is a NATS server with JetStream in this process, on a real port and with
// real files.
type NATS struct {
	tb     testing.TB
	config string // the file
	addr   string

	mu      sync.Mutex
	running *server.Server // nil while it is stopped
}

// StartNATS starts one server.
func StartNATS(tb testing.TB) *NATS {
	tb.Helper()
	dir := tb.TempDir()
	return StartNATSWith(tb, fmt.Sprintf("jetstream { store_dir: %q }\n", filepath.Join(dir, "store")))
}

// StartNATSWith starts one server with a configuration of its own, but for its
// address. It has JetStream if the configuration says so.
func StartNATSWith(tb testing.TB, config string) *NATS {
	tb.Helper()
	addr := freeAddr(tb, ownIP(0))
	n := newNATS(tb, addr, fmt.Sprintf("listen: %q\n%s", addr, config))
	n.Start()
	return n
}

// NATSCluster is three servers with JetStream that know each other.
type NATSCluster struct {
	Nodes [3]*NATS
}

// StartNATSCluster starts three servers with NATSNodeConfig.
func StartNATSCluster(tb testing.TB) *NATSCluster {
	tb.Helper()
	dir := tb.TempDir()
	var cluster NATSCluster
	clients, routes := make([]string, len(cluster.Nodes)), make([]string, len(cluster.Nodes))
	base := ownIP(len(cluster.Nodes))
	for i := range cluster.Nodes {
		clients[i], routes[i] = freeAddr(tb, next(base, i)), freeAddr(tb, next(base, i))
	}
	for i := range cluster.Nodes {
		config := strings.NewReplacer(
			"server_name: nats-1", fmt.Sprintf("server_name: nats-%d", i+1),
			"0.0.0.0:4222", clients[i],
			"0.0.0.0:6222", routes[i],
			"/var/lib/nats", filepath.Join(dir, fmt.Sprint(i+1)),
			"nats-1:6222", routes[0],
			"nats-2:6222", routes[1],
			"nats-3:6222", routes[2],
		).Replace(NATSNodeConfig)
		cluster.Nodes[i] = newNATS(tb, clients[i], config)
	}
	for _, n := range cluster.Nodes {
		n.start()
	}
	cluster.AwaitLeader()
	return &cluster
}

// URL names all servers.
func (c *NATSCluster) URL() string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.addr
	}
	return "nats://" + strings.Join(addrs, ",")
}

// AwaitLeader waits until the servers that run have JetStream together.
func (c *NATSCluster) AwaitLeader() {
	n := c.Nodes[0]
	n.tb.Helper()
	n.await("the cluster has a leader", func() bool {
		for _, node := range c.Nodes {
			if s := node.server(); s != nil && s.JetStreamIsLeader() {
				return true
			}
		}
		return false
	})
}

// URL is where clients connect.
func (n *NATS) URL() string { return "nats://" + n.addr }

// Stop stops the server as a signal does, and waits until it has ended.
func (n *NATS) Stop() {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running != nil {
		n.running.Shutdown()
		n.running.WaitForShutdown()
		n.running = nil
	}
}

// Start starts a server that was stopped, with what it had stored, and waits
// until it takes connections.
func (n *NATS) Start() {
	n.tb.Helper()
	n.start()
	n.await("the server takes connections", func() bool {
		s := n.server()
		return s.ReadyForConnections(time.Millisecond) && (s.JetStreamConfig() == nil || s.JetStreamEnabled())
	})
}

// IsCurrent says whether the server has caught up with its cluster, as a server
// must have before the next one may be stopped.
func (n *NATS) IsCurrent() bool {
	s := n.server()
	return s != nil && s.JetStreamIsCurrent() && s.Healthz(nil).Status == "ok"
}

// AwaitCurrent waits until the server has caught up with its cluster.
func (n *NATS) AwaitCurrent() {
	n.tb.Helper()
	n.await("the server has caught up with its cluster", n.IsCurrent)
}

func newNATS(tb testing.TB, addr, config string) *NATS {
	tb.Helper()
	n := &NATS{tb: tb, addr: addr, config: filepath.Join(tb.TempDir(), "nats.conf")}
	if err := os.WriteFile(n.config, []byte(config), 0o600); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(n.Stop)
	return n
}

func (n *NATS) start() {
	n.tb.Helper()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running != nil {
		n.tb.Fatal("the NATS server runs already")
	}
	options, err := server.ProcessConfigFile(n.config)
	if err != nil {
		n.tb.Fatal(err)
	}
	options.NoSigs, options.NoLog = true, true
	if n.running, err = server.NewServer(options); err != nil {
		n.tb.Fatal(err)
	}
	n.running.Start()
}

func (n *NATS) server() *server.Server {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running
}

func (n *NATS) await(what string, met func() bool) {
	n.tb.Helper()
	deadline := time.Now().Add(patience)
	for !met() {
		if time.Now().After(deadline) {
			n.tb.Fatalf("still waiting until %s after %s", what, patience)
		}
		time.Sleep(10 * time.Millisecond) // nothing signals it
	}
}

// ownIP gives a loopback address that hardly anybody else uses, with room for n
// more behind it: a server that is started again needs the port that it had, and
// on 127.0.0.1 any connection may have taken it meanwhile.
func ownIP(n int) net.IP {
	if runtime.GOOS != "linux" {
		return net.IPv4(127, 0, 0, 1)
	}
	return net.IPv4(127, byte(1+rand.IntN(250)), byte(1+rand.IntN(250)), byte(1+rand.IntN(250-n)))
}

// next gives the i-th address behind ip.
func next(ip net.IP, i int) net.IP {
	if runtime.GOOS != "linux" {
		return ip
	}
	v4 := ip.To4()
	return net.IPv4(v4[0], v4[1], v4[2], v4[3]+byte(i))
}

func freeAddr(tb testing.TB, ip net.IP) string {
	tb.Helper()
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: ip})
	if err != nil {
		tb.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		tb.Fatal(err)
	}
	return addr
}
