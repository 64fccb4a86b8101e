package queuetest

import (
	_ "embed"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

const (
	// startPatience bounds the start of a server; a cluster elects its leaders first.
	startPatience = 3 * time.Minute
	// answerPatience bounds one answer of a server that starts.
	answerPatience = 10 * time.Second
)

// NATSNodeConfig configures one server of a cluster of three, as
// docs/queue-nats.md shows it to operators. StartNATSCluster really uses it.
//
//go:embed nats-node.conf
var NATSNodeConfig string

// NATS is a NATS server with JetStream on a real port and with real files: in
// this process, or, to be killed, in one of its own.
type NATS struct {
	tb      testing.TB
	config  string // the file
	addr    string
	monitor string // where it tells its health; "" for a single server
	apart   bool   // in a process of its own

	mu      sync.Mutex
	running *server.Server // nil while it is stopped, or apart
	process *exec.Cmd      // nil while it is stopped, or in this one
	leash   io.Closer      // the process ends when this is closed, and so with ours
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
	return StartNATSAt(tb, NATSAddr(tb), config)
}

// StartNATSAt is StartNATSWith for a configuration that depends on the address,
// as certificates do.
func StartNATSAt(tb testing.TB, addr, config string) *NATS {
	tb.Helper()
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
	return startNATSCluster(tb, false)
}

// StartNATSProcesses starts a cluster whose servers can be killed. TestMain of
// the package has to call NATSMain first.
func StartNATSProcesses(tb testing.TB) *NATSCluster {
	tb.Helper()
	return startNATSCluster(tb, true)
}

func startNATSCluster(tb testing.TB, apart bool) *NATSCluster {
	tb.Helper()
	dir := tb.TempDir()
	var cluster NATSCluster
	clients, routes, monitors := cluster.addrs(tb), cluster.addrs(tb), cluster.addrs(tb)
	for i := range cluster.Nodes {
		config := strings.NewReplacer(
			"server_name: nats-1", fmt.Sprintf("server_name: nats-%d", i+1),
			"0.0.0.0:4222", clients[i],
			"0.0.0.0:6222", routes[i],
			"0.0.0.0:8222", monitors[i],
			"/var/lib/nats", filepath.Join(dir, fmt.Sprint(i+1)),
			"nats-1:6222", routes[0],
			"nats-2:6222", routes[1],
			"nats-3:6222", routes[2],
		).Replace(NATSNodeConfig)
		n := newNATS(tb, clients[i], config)
		n.monitor, n.apart = monitors[i], apart
		cluster.Nodes[i] = n
	}
	for _, n := range cluster.Nodes {
		n.start()
	}
	for _, n := range cluster.Nodes {
		n.AwaitCurrent()
	}
	return &cluster
}

// addrs gives an address for each server.
func (c *NATSCluster) addrs(tb testing.TB) []string {
	tb.Helper()
	addrs := make([]string, len(c.Nodes))
	for i := range addrs {
		addrs[i] = NATSAddr(tb)
	}
	return addrs
}

// URL names all servers.
func (c *NATSCluster) URL() string {
	addrs := make([]string, len(c.Nodes))
	for i, n := range c.Nodes {
		addrs[i] = n.addr
	}
	return "nats://" + strings.Join(addrs, ",")
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
	n.end(os.Interrupt)
}

// Kill ends a server in a process of its own as a crash does.
func (n *NATS) Kill() {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.end(os.Kill)
}

// end ends the server's own process, if it has one.
func (n *NATS) end(signal os.Signal) {
	if n.process == nil {
		return
	}
	if err := n.process.Process.Signal(signal); err != nil {
		n.tb.Error(err)
	}
	_ = n.process.Wait() // it says that it was killed
	_ = n.leash.Close()
	n.process = nil
}

// Start starts a server that was stopped, with what it had stored, and waits
// until it takes connections.
func (n *NATS) Start() {
	n.tb.Helper()
	n.start()
	n.await("the server takes connections", func() bool {
		conn, err := net.DialTimeout("tcp", n.addr, answerPatience)
		if err != nil {
			return false
		}
		_ = conn.Close()
		n.mu.Lock()
		defer n.mu.Unlock()
		return n.running == nil || n.running.JetStreamConfig() == nil || n.running.JetStreamEnabled()
	})
}

// AwaitCurrent waits until the server of a cluster says that it has caught up,
// as it must have before the next one may be stopped.
func (n *NATS) AwaitCurrent() {
	n.tb.Helper()
	n.await("the server has caught up with its cluster", func() bool {
		answer, err := (&http.Client{Timeout: answerPatience}).Get("http://" + n.monitor + "/healthz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
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
	if n.running != nil || n.process != nil {
		n.tb.Fatal("the NATS server runs already")
	}
	if n.apart {
		n.startApart()
		return
	}
	var err error
	if n.running, err = newServer(n.config); err != nil {
		n.tb.Fatal(err)
	}
	n.running.Start()
}

func newServer(config string) (*server.Server, error) {
	options, err := server.ProcessConfigFile(config)
	if err != nil {
		return nil, err
	}
	options.NoSigs, options.NoLog = true, true
	return server.NewServer(options)
}

// natsConfigVariable tells a process of the test's own program to be a server.
const natsConfigVariable = "RESTOCK_TEST_NATS_CONFIG"

func (n *NATS) startApart() {
	n.tb.Helper()
	program, err := os.Executable()
	if err != nil {
		n.tb.Fatal(err)
	}
	process := exec.Command(program)
	process.Env = append(os.Environ(), natsConfigVariable+"="+n.config)
	process.Stderr = os.Stderr
	if n.leash, err = process.StdinPipe(); err != nil {
		n.tb.Fatal(err)
	}
	if err := process.Start(); err != nil {
		n.tb.Fatal(err)
	}
	n.process = process
}

// NATSMain is the main of a server that has a process of its own. In any other
// process it does nothing.
func NATSMain() {
	config := os.Getenv(natsConfigVariable)
	if config == "" {
		return
	}
	s, err := newServer(config)
	if err != nil {
		fmt.Fprintln(os.Stderr, "NATS server:", err)
		os.Exit(1)
	}
	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt)
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test ends
		os.Exit(0)
	}()
	s.Start()
	<-interrupted
	s.Shutdown()
	s.WaitForShutdown()
	os.Exit(0)
}

func (n *NATS) await(what string, met func() bool) {
	n.tb.Helper()
	deadline := time.Now().Add(startPatience)
	for !met() {
		if time.Now().After(deadline) {
			n.tb.Fatalf("still waiting until %s after %s", what, startPatience)
		}
		time.Sleep(10 * time.Millisecond) // nothing signals it
	}
}

// NATSAddr gives an address for StartNATSAt: a loopback address that hardly
// anybody else uses. A server that is started again needs the port that it had,
// and on 127.0.0.1 any connection may have taken it meanwhile.
func NATSAddr(tb testing.TB) string {
	tb.Helper()
	ip := net.IPv4(127, 0, 0, 1)
	if runtime.GOOS == "linux" { // where all of 127.0.0.0/8 is there
		ip = net.IPv4(127, byte(1+rand.IntN(250)), byte(1+rand.IntN(250)), byte(1+rand.IntN(250)))
	}
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
