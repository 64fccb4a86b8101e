package story_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"syscall"
	"testing"
	"time"
)

// The limits of every wait. They end what hangs, and say nothing of how quick a
// machine has to be: the binary has the race detector, and much runs beside it.
const (
	startTimeout = 3 * time.Minute
	stopTimeout  = 2 * time.Minute
	// waitTimeout is for what the program does by itself. A broker may give a message
	// to a connection that is gone: then it comes after its visibility.
	waitTimeout    = 4 * time.Minute
	requestTimeout = 2 * time.Minute
	pollInterval   = 10 * time.Millisecond
)

// process is one running restock. Its outputs are files, so that what it wrote
// before it answered a request is there to be read after the answer.
type process struct {
	command *exec.Cmd
	out     *os.File
	log     *os.File      // its standard error
	url     string        // the first address that it said it serves
	exited  chan struct{} // closed when it ended
	err     error         // of its end; read after exited

	// mates are the processes of the other roles, when each role has its own.
	mates   []*process
	gateway *gateway
}

// start runs the binary until it has said at which address it serves. Its log is
// written to logPath.
func start(ctx context.Context, logPath, dir string, environment []string, args ...string) (*process, error) {
	log, err := os.Create(logPath)
	if err != nil {
		return nil, fmt.Errorf("making the log: %w", err)
	}
	out, err := os.Create(logPath + ".out")
	if err != nil {
		return nil, errors.Join(fmt.Errorf("making the output: %w", err), log.Close())
	}
	p := &process{out: out, log: log, exited: make(chan struct{})}
	p.command = exec.CommandContext(context.WithoutCancel(ctx), binary(), args...)
	p.command.Dir, p.command.Env = dir, environment
	p.command.Stdout, p.command.Stderr = out, log
	if err := p.command.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("starting: %w", err), p.close())
	}
	go func() {
		p.err = p.command.Wait()
		close(p.exited)
	}()
	if err := p.awaitAddress(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("%v: %w\n%s", p.command.Args, err, p.logged()), p.kill(), p.close())
	}
	return p, nil
}

// awaitAddress reads where the process serves, which is known only then: the
// tests listen on port 0.
func (p *process) awaitAddress(ctx context.Context) error {
	pattern := regexp.MustCompile(`(http://[^/\s]+)[/\s]`)
	ctx, giveUp := context.WithCancelCause(ctx)
	defer giveUp(nil)
	go func() {
		select {
		case <-p.exited:
			giveUp(errors.New("it ended at once"))
		case <-ctx.Done():
		}
	}()
	err := until(ctx, startTimeout, func(context.Context) error {
		if found := pattern.FindStringSubmatch(p.said()); found != nil {
			p.url = found[1]
			return nil
		}
		return errors.New("it has said no address")
	})
	if err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	return nil
}

// said is its standard output so far.
func (p *process) said() string { return readText(p.out.Name()) }

func readText(path string) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	return string(text)
}

// awaitReady polls /readyz: a server that has greeted may not yet be serving.
func (p *process) awaitReady(ctx context.Context) error {
	return until(ctx, startTimeout, func(ctx context.Context) error {
		a, err := ask(ctx, http.MethodGet, p.url+"/readyz", nil, nil)
		if err == nil && a.status != http.StatusOK {
			err = fmt.Errorf("/readyz answered %d %s", a.status, a.body)
		}
		return err
	})
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.command.Process.Signal(s); err != nil {
		return fmt.Errorf("sending %s: %w", s, err)
	}
	return nil
}

// stop asks the process to end as a service manager does.
func (p *process) stop() error {
	var errs []error
	for _, mate := range p.mates {
		errs = append(errs, mate.stop())
	}
	p.gateway.close()
	if err := p.signal(syscall.SIGTERM); err != nil {
		return errors.Join(append(errs, err)...)
	}
	return errors.Join(append(errs, p.awaitEnd())...)
}

// awaitEnd waits for the end of a process that was asked to end. It must exit in
// time and with status 0, which it does not when it found a data race.
func (p *process) awaitEnd() error {
	timer := time.NewTimer(stopTimeout)
	defer timer.Stop()
	select {
	case <-p.exited:
	case <-timer.C:
		return errors.Join(fmt.Errorf("it did not stop within %s\n%s", stopTimeout, p.logged()), p.kill())
	}
	if p.err != nil {
		return errors.Join(fmt.Errorf("it did not stop well: %w\n%s", p.err, p.logged()), p.close())
	}
	return p.close()
}

// kill ends the process at once, if it still runs.
func (p *process) kill() error {
	for _, mate := range p.mates {
		if err := errors.Join(mate.kill(), mate.close()); err != nil {
			return err
		}
	}
	p.gateway.close()
	if err := p.command.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("killing: %w", err)
	}
	<-p.exited
	return nil
}

// close gives the files back; it does not end the process.
func (p *process) close() error {
	return errors.Join(p.out.Close(), p.log.Close())
}

// logged is the end of the log, for failures.
func (p *process) logged() string {
	const shown = 4 << 10
	text := readText(p.log.Name())
	return text[max(0, len(text)-shown):]
}

// until tries again and again, and gives the last error when the limit is over.
// It is for what can only be asked for; what can be waited for is waited for.
func until(ctx context.Context, limit time.Duration, try func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	ticker := time.NewTicker(pollInterval)
	defer ticker.Stop()
	for {
		err := try(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("waited in vain (at most %s): %w", limit, err)
		}
	}
}

func writeFile(t *testing.T, path, text string) string {
	t.Helper()
	const ownerOnly = 0o600
	if err := os.WriteFile(path, []byte(text), ownerOnly); err != nil {
		t.Fatal(err)
	}
	return path
}
