// Package servers gives tests private database servers: a MariaDB and a
// PostgreSQL from Debian's packages, on loopback, in a folder that is gone
// afterwards. A server is started once for each test binary, when the first
// test asks for it; each test has a database of its own in it.
//
// A guardian process ends the server and removes its folder as soon as the test
// binary is gone, however that ended. Where a server cannot be had, tests that
// need it are skipped with the reason.
package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// startTimeout bounds how long a server may take to be prepared, and then to
// answer; only one that is broken uses it up.
const startTimeout = 5 * time.Minute

// Server is one running server.
type Server struct {
	kind   kind
	bin    string // folder or path of its programs
	folder string
	port   int

	mu       sync.Mutex
	guardian *exec.Cmd
	leash    io.WriteCloser // the server lives for as long as this is open
	ended    chan struct{}
	names    atomic.Int64
}

// kind is what differs between the servers.
type kind interface {
	// find gives where the programs are, and installs them when that is possible.
	find() (string, error)
	// prepare makes an empty data folder.
	prepare(ctx context.Context, bin, folder string) error
	// command is the server in the foreground, and stop the signal that ends it at once.
	command(bin, folder string, port int) (argv []string, stop string)
	// url is the address of a database; "" is the one that is always there.
	url(port int, database string) string
	// exec runs one statement on the database that is always there.
	exec(ctx context.Context, port int, statement string) error
}

// shared is a server that all tests of a binary use.
type shared struct {
	once   sync.Once
	server *Server
	err    error
}

func (s *shared) get(tb testing.TB, k kind) *Server {
	tb.Helper()
	s.once.Do(func() { s.server, s.err = start(k) })
	require(tb, s.err)
	return s.server
}

//nolint:gochecknoglobals // a server is started once for each test binary.
var sharedMariaDB, sharedPostgreSQL shared

// MariaDB gives the address of a new, empty database on the MariaDB that all
// tests of the binary share.
func MariaDB(tb testing.TB) string {
	tb.Helper()
	return sharedMariaDB.get(tb, mariaDB{}).Database(tb)
}

// PostgreSQL is MariaDB for PostgreSQL.
func PostgreSQL(tb testing.TB) string {
	tb.Helper()
	return sharedPostgreSQL.get(tb, postgreSQL{}).Database(tb)
}

// PostgreSQLCopy gives a new database that is a copy of another one, to which
// nobody is connected.
func PostgreSQLCopy(tb testing.TB, template string) string {
	tb.Helper()
	s := sharedPostgreSQL.get(tb, postgreSQL{})
	return s.database(tb, " TEMPLATE "+template[strings.LastIndexByte(template, '/')+1:strings.IndexByte(template, '?')])
}

// OwnMariaDB starts a MariaDB that only this test uses, and may end.
func OwnMariaDB(tb testing.TB) *Server {
	tb.Helper()
	return own(tb, mariaDB{})
}

// StartMariaDB starts a MariaDB for a program that is no test, and gives its
// address without a database. It ends with the program, or when it is stopped.
func StartMariaDB() (address string, stop func(), err error) {
	s, err := start(mariaDB{})
	if err != nil {
		return "", nil, err
	}
	return s.kind.url(s.port, ""), s.Stop, nil
}

// OwnPostgreSQL is OwnMariaDB for PostgreSQL.
func OwnPostgreSQL(tb testing.TB) *Server {
	tb.Helper()
	return own(tb, postgreSQL{})
}

func own(tb testing.TB, k kind) *Server {
	tb.Helper()
	s, err := start(k)
	require(tb, err)
	tb.Cleanup(s.Stop)
	return s
}

// missingError says why a server cannot be had here.
type missingError struct{ error }

// require skips a test whose server cannot be had, and fails one whose server
// does not work.
func require(tb testing.TB, err error) {
	tb.Helper()
	if errors.As(err, new(missingError)) {
		tb.Skipf("%v", err)
	}
	if err != nil {
		tb.Fatal(err)
	}
}

// start finds, prepares and starts a server.
func start(k kind) (*Server, error) {
	bin, err := k.find()
	if err != nil {
		return nil, missingError{err}
	}
	folder, err := os.MkdirTemp(memoryFolder(), "restock-test-*")
	if err != nil {
		return nil, err
	}
	s := &Server{kind: k, bin: bin, folder: folder}
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	if err := k.prepare(ctx, bin, folder); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if s.port, err = FreePort(ctx); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	if err := s.Start(); err != nil {
		return nil, errors.Join(err, os.RemoveAll(folder))
	}
	return s, nil
}

// memoryFolder is a file system in memory if there is one: a server that makes
// every commit durable is as fast there as one that does not.
func memoryFolder() string {
	const memory = "/dev/shm"
	probe, err := os.MkdirTemp(memory, "restock-probe-*")
	if err != nil {
		return ""
	}
	_ = os.Remove(probe) // it is empty
	return memory
}

// ports are those that were given.
var ports sync.Map

// FreePort gives a port that stays free until a server takes it, and while it is
// down: it is below those that the system gives to outgoing connections, and is
// given to nobody else of this process.
func FreePort(ctx context.Context) (int, error) {
	const low, high, tries = 20000, 32000, 50
	var errs error
	for range tries {
		port := low + rand.IntN(high-low) //nolint:gosec // a port is no secret.
		if _, given := ports.LoadOrStore(port, true); given {
			continue
		}
		l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
		if err == nil {
			return port, l.Close()
		}
		errs = errors.Join(errs, err)
	}
	return 0, fmt.Errorf("no free port was found: %w", errs)
}

// guard starts the server as its child, waits until its own input ends, which it
// does with the test binary, and ends the server. KEEP says whether the folder
// stays, for the next start. A file that may not grow is an error to the server,
// and not its end.
const guard = `trap "" INT TERM HUP XFSZ
"$@" </dev/null >"$FOLDER.log" 2>&1 &
server=$!
read -r keep
kill -s "$STOP" "$server" 2>/dev/null
wait "$server"
[ "$keep" = keep ] || rm -rf "$FOLDER" "$FOLDER.log" "$FOLDER.tls"`

// Start starts the server again after Kill, in the same folder and on the same
// port.
func (s *Server) Start() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	argv, stop := s.kind.command(s.bin, s.folder, s.port)
	cmd := exec.CommandContext(context.Background(), "sh", append([]string{"-c", guard, "guardian"}, argv...)...) //nolint:gosec // what find and command gave.
	cmd.Env = append(os.Environ(), "FOLDER="+s.folder, "STOP="+stop)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // an interrupt is for the tests; the guardian cleans up
	leash, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	s.guardian, s.leash, s.ended = cmd, leash, make(chan struct{})
	go func(ended chan struct{}) {
		_ = cmd.Wait() // how it ended tells nothing
		close(ended)
	}(s.ended)
	if err := s.answers(); err != nil {
		log, _ := os.ReadFile(s.folder + ".log")
		_ = leash.Close()
		<-s.ended
		return fmt.Errorf("%w; its log says:\n%s", err, log)
	}
	return nil
}

// answers waits until the server takes statements.
func (s *Server) answers() error {
	ctx, cancel := context.WithTimeout(context.Background(), startTimeout)
	defer cancel()
	const pause = 20 * time.Millisecond
	ticker := time.NewTicker(pause)
	defer ticker.Stop()
	for {
		err := s.kind.exec(ctx, s.port, `SELECT 1`)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("the server does not answer: %w", err)
		}
	}
}

// Kill ends the server at once, as a power cut of its machine would; Start
// brings it back.
func (s *Server) Kill() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(s.leash, "keep\n")
	<-s.ended
}

// Stop ends the server and removes its folder.
func (s *Server) Stop() {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.leash.Close()
	<-s.ended
	_ = os.RemoveAll(s.folder)
	_ = os.Remove(s.folder + ".log")
	_ = os.RemoveAll(s.folder + tlsFolder)
}

// Database makes an empty database, which is dropped when the test ends, and
// gives its address.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	return s.database(tb, "")
}

func (s *Server) database(tb testing.TB, how string) string {
	tb.Helper()
	name := fmt.Sprintf("test_%d", s.names.Add(1))
	if err := s.kind.exec(tb.Context(), s.port, `CREATE DATABASE `+name+how); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		// Whoever is connected still keeps it; it goes with the server then.
		_ = s.kind.exec(context.WithoutCancel(tb.Context()), s.port, `DROP DATABASE `+name)
	})
	return s.kind.url(s.port, name)
}

// Open opens a database at one of the addresses that this package gives.
func Open(address string) (*sql.DB, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, err
	}
	if u.Scheme != "mysql" {
		return sql.Open("pgx", address)
	}
	return sql.Open("mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path+"?sql_mode=%27ANSI_QUOTES,PIPES_AS_CONCAT%27")
}

// Exec runs a statement as the server's administrator.
func (s *Server) Exec(ctx context.Context, statement string) error {
	return s.kind.exec(ctx, s.port, statement)
}

// Install has Debian's packages installed, once for all tests that run at a
// time, if this user may.
func Install(packages ...string) error {
	if os.Geteuid() != 0 {
		return fmt.Errorf("it is not installed: apt-get install %s", strings.Join(packages, " "))
	}
	apt, err := exec.LookPath("apt-get")
	if err != nil {
		return fmt.Errorf("%s cannot be installed: %w", strings.Join(packages, " "), err)
	}
	lock, err := os.OpenFile(filepath.Join(os.TempDir(), "restock-test-install.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return err
	}
	const installTimeout = 5 * time.Minute
	ctx, cancel := context.WithTimeout(context.Background(), installTimeout)
	defer cancel()
	for _, args := range [][]string{{"update"}, append([]string{"install", "-y", "--no-install-recommends"}, packages...)} {
		cmd := exec.CommandContext(ctx, apt, args...)
		cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}

// run runs a program to its end.
func run(ctx context.Context, argv ...string) error {
	out, err := exec.CommandContext(ctx, argv[0], argv[1:]...).CombinedOutput() //nolint:gosec // as above.
	if err != nil {
		return fmt.Errorf("%s: %w\n%s", filepath.Base(argv[0]), err, out)
	}
	return nil
}

// firstOf gives the first of these files that is there.
func firstOf(paths ...string) (string, bool) {
	for _, path := range paths {
		if found, err := exec.LookPath(path); err == nil {
			return found, true
		}
	}
	return "", false
}

// LimitFiles lets no file of the server grow beyond a size, which works like a
// full disk, and needs no privilege; 0 lets all of them grow again.
func (s *Server) LimitFiles(ctx context.Context, size int64) error {
	limit := "unlimited"
	if size > 0 {
		limit = strconv.FormatInt(size, 10)
	}
	for _, pid := range descendants(s.guardian.Process.Pid) {
		// As root it is allowed for its own processes, and else for those of their user.
		argv := []string{"prlimit", "--pid", strconv.Itoa(pid), "--fsize=" + limit + ":unlimited"}
		if err := run(ctx, argv...); err != nil {
			if other := run(ctx, asOther(argv...)...); other != nil && !gone(pid) {
				return errors.Join(err, other)
			}
		}
	}
	return nil
}

// gone says whether a process ended meanwhile, as those do that serve a connection.
func gone(pid int) bool {
	_, err := os.Stat(fmt.Sprintf("/proc/%d", pid))
	return errors.Is(err, fs.ErrNotExist)
}

// descendants are the processes that a process started, and those that they did.
func descendants(pid int) []int {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil // it is gone
	}
	var all []int
	for word := range strings.FieldsSeq(string(text)) {
		if child, err := strconv.Atoi(word); err == nil {
			all = append(append(all, child), descendants(child)...)
		}
	}
	return all
}
