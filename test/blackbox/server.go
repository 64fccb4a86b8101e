// Package blackbox runs the built command as its users do, with a factory and
// buyers around it that the test commands. Everything that it knows of the
// product is what the documents promise: flags, routes, files.
package blackbox

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"
)

// The limits of what a healthy build and server take on a slow machine. Only what
// is broken uses them up.
const (
	buildTimeout = 15 * time.Minute
	startTimeout = 5 * time.Minute
	stopTimeout  = 5 * time.Minute
)

// Build compiles the command from the tree that holds this package, with build
// tags.
func Build(ctx context.Context, folder, tags string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary := filepath.Join(folder, "restock")
	command := exec.CommandContext(ctx, "go", "build", "-tags", tags, "-o", binary, "github.com/restock/restock/cmd/restock")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building restock: %w\n%s", err, out)
	}
	return binary, nil
}

// MakeKeys makes the callback keys that all processes on one database share.
func MakeKeys(ctx context.Context, binary, path string) error {
	if out, err := exec.CommandContext(ctx, binary, "callback-keys", "make", path).CombinedOutput(); err != nil {
		return fmt.Errorf("making callback keys: %w\n%s", err, out)
	}
	return nil
}

// Server is the built binary on one data folder, again and again. At most one
// process runs at a time.
type Server struct {
	Binary string
	Args   []string
	Env    []string // nil for that of the test, empty for none
	Log    *os.File // what all its processes said

	process *exec.Cmd
	greeted chan struct{} // closed when it listens
	ended   chan struct{} // closed when it is gone
}

// greeting is a standard output that closes a channel at its first line: serve
// prints it when it listens.
type greeting struct {
	once sync.Once
	said chan struct{}
}

func (g *greeting) Write(p []byte) (int, error) {
	g.once.Do(func() { close(g.said) })
	return len(p), nil
}

// Launch starts a process and does not wait for it.
func (s *Server) Launch() error {
	s.greeted, s.ended = make(chan struct{}), make(chan struct{})
	s.process = exec.CommandContext(context.Background(), s.Binary, s.Args...) //nolint:gosec // what Build made; Abandon ends it.
	s.process.Env = s.Env
	s.process.Stdout = &greeting{said: s.greeted}
	s.process.Stderr = s.Log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait() // killed, mostly
		close(ended)
	}(s.process, s.ended)
	return nil
}

// Start starts a process and waits until it listens.
func (s *Server) Start() error {
	if err := s.Launch(); err != nil {
		return err
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-s.greeted:
		return nil
	case <-s.ended:
		return fmt.Errorf("the server ended at its start: %s", s.process.ProcessState)
	case <-timer.C:
		return errors.Join(fmt.Errorf("the server did not listen within %v", startTimeout), s.process.Process.Kill())
	}
}

// Ended is closed when the process is gone.
func (s *Server) Ended() <-chan struct{} { return s.ended }

// Death says how the process ended; it is for after Ended.
func (s *Server) Death() string { return s.process.ProcessState.String() }

// KilledHard reports whether the process that ended died of kill -9.
func (s *Server) KilledHard() bool {
	status, ok := s.process.ProcessState.Sys().(syscall.WaitStatus)
	return ok && status.Signaled() && status.Signal() == syscall.SIGKILL
}

// Pid is the process's number.
func (s *Server) Pid() int { return s.process.Process.Pid }

// KillNow sends kill -9 and does not wait for the end.
func (s *Server) KillNow() error { return s.process.Process.Kill() }

// Kill ends the process as a power switch would.
func (s *Server) Kill() error {
	select {
	case <-s.ended:
		return fmt.Errorf("the server ended by itself: %s", s.Death())
	default:
	}
	err := s.KillNow()
	<-s.ended
	return err
}

// Stop ends the process in order; it has to succeed within the limit.
func (s *Server) Stop() error {
	if err := s.process.Process.Signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stopping the server: %w", err)
	}
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-s.ended:
	case <-timer.C:
		return errors.Join(fmt.Errorf("the server did not stop within %v", stopTimeout), s.process.Process.Kill())
	}
	if code := s.process.ProcessState.ExitCode(); code != 0 {
		return fmt.Errorf("the server stopped with exit status %d", code)
	}
	return nil
}

// Abandon makes sure that no process outlives a test that failed.
func (s *Server) Abandon() {
	if s.process == nil || s.process.Process == nil {
		return
	}
	select {
	case <-s.ended:
	default:
		_ = s.process.Process.Kill()
		<-s.ended
	}
}

// LastWords is the end of what the processes said.
func (s *Server) LastWords() string {
	const most = 4000
	text, err := os.ReadFile(s.Log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
