package crash_test

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

// buildTimeout and the other limits of what a healthy build and server take.
const (
	buildTimeout = 3 * time.Minute
	startTimeout = 20 * time.Second
	stopTimeout  = 30 * time.Second
)

// server is the built binary on one data folder and one port, again and again.
type server struct {
	binary string
	args   []string
	log    *os.File // what all its processes said
	up     *gate

	process *exec.Cmd
	greeted chan struct{} // closed when it listens
	ended   chan struct{} // closed when it is gone
}

// build compiles the command from the tree that holds this test.
func build(ctx context.Context, folder string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, buildTimeout)
	defer cancel()
	binary := filepath.Join(folder, "restock")
	command := exec.CommandContext(ctx, "go", "build", "-o", binary, "github.com/restock/restock/cmd/restock")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		return "", fmt.Errorf("building restock: %w\n%s", err, out)
	}
	return binary, nil
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

// launch starts a process and does not wait for it.
func (s *server) launch() error {
	s.greeted, s.ended = make(chan struct{}), make(chan struct{})
	s.process = exec.Command(s.binary, s.args...) // kill and stop end it
	s.process.Stdout = &greeting{said: s.greeted}
	s.process.Stderr = s.log
	if err := s.process.Start(); err != nil {
		return fmt.Errorf("starting the server: %w", err)
	}
	go func(process *exec.Cmd, ended chan struct{}) {
		_ = process.Wait() // killed, mostly
		close(ended)
	}(s.process, s.ended)
	return nil
}

// start starts a process and opens the gate when it listens.
func (s *server) start() error {
	if err := s.launch(); err != nil {
		return err
	}
	timer := time.NewTimer(startTimeout)
	defer timer.Stop()
	select {
	case <-s.greeted:
		s.up.set(true)
		return nil
	case <-s.ended:
		return fmt.Errorf("the server ended at its start: %s", s.process.ProcessState)
	case <-timer.C:
		return errors.Join(fmt.Errorf("the server did not listen within %v", startTimeout), s.process.Process.Kill())
	}
}

// kill ends the process as a power switch would, and says when.
func (s *server) kill() (moment, error) {
	select {
	case <-s.ended:
		return moment{}, fmt.Errorf("the server ended by itself: %s", s.process.ProcessState)
	default:
	}
	s.up.set(false)
	m := moment{before: time.Now()}
	err := s.process.Process.Kill()
	m.after = time.Now()
	<-s.ended
	if err != nil {
		return m, fmt.Errorf("killing the server: %w", err)
	}
	return m, nil
}

// stop ends the process in order; it has to succeed within the limit.
func (s *server) stop() error {
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

// abandon makes sure that no process outlives a test that failed.
func (s *server) abandon() {
	if s.process == nil {
		return
	}
	select {
	case <-s.ended:
	default:
		_ = s.process.Process.Kill()
		<-s.ended
	}
}

// lastWords is the end of what the processes said.
func (s *server) lastWords() string {
	const most = 4000
	text, err := os.ReadFile(s.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-most):])
}
