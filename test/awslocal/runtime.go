package awslocal

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// The errors of an invocation that are not the function's own.
var (
	errThrottled = errors.New("rate exceeded")
	errTimedOut  = errors.New("task timed out")
	errExited    = errors.New("runtime exited")
)

// initTimeout is how long an instance may take until it asks for its first event,
// on a machine that does much else.
const initTimeout = 2 * time.Minute

// concurrencyMax is how many instances a function without a limit has here.
const concurrencyMax = 32

// function is a function of the template: a program that is started when an event
// finds no instance free.
type function struct {
	cloud       *Cloud
	id, name    string
	role        string
	key         string
	timeout     time.Duration
	concurrency int
	environment []string

	mu      sync.Mutex
	idle    []*instance
	running int
	all     map[*instance]bool
	counts  Counts
}

// Counts is what became of the events of a function.
type Counts struct {
	Invocations, ColdStarts, Errors, Throttles, Timeouts, Crashes int
	// InitLongest and InitSum are the times from the start of a process to its
	// first request for an event.
	InitLongest, InitSum time.Duration
}

// instance is one process, which handles one event at a time.
type instance struct {
	function *function
	id       string
	process  *exec.Cmd
	folder   string
	said     *os.File
	started  time.Time

	ready  chan struct{} // it asked for its first event
	ended  chan struct{}
	events chan *invocation
	once   sync.Once

	mu      sync.Mutex
	current *invocation
}

// invocation is one event on its way through a function.
type invocation struct {
	id       string
	payload  []byte
	deadline time.Time
	answer   chan result
}

type result struct {
	payload []byte
	err     error
}

// invoke hands an event to a function and waits for its answer.
func (f *function) invoke(ctx context.Context, payload []byte) ([]byte, error) {
	f.mu.Lock()
	f.counts.Invocations++
	f.mu.Unlock()
	in, err := f.take(ctx)
	if err != nil {
		return nil, err
	}
	what := f.cloud.chaos.next()
	if what == chaosThrottle {
		f.release(in, true)
		f.count(func(c *Counts) { c.Throttles++ })
		return nil, errThrottled
	}
	inv := &invocation{id: f.cloud.newID(), payload: payload, deadline: time.Now().Add(f.timeout), answer: make(chan result, 1)}
	in.mu.Lock()
	in.current = inv
	in.mu.Unlock()
	in.events <- inv
	in.suffer(what, f.cloud.chaos)
	timer := time.NewTimer(f.timeout)
	defer timer.Stop()
	select {
	case got := <-inv.answer:
		if got.err != nil {
			f.count(func(c *Counts) { c.Errors++ })
		}
		f.release(in, true)
		return got.payload, got.err
	case <-timer.C:
		f.count(func(c *Counts) { c.Timeouts++; c.Errors++ })
		in.kill()
		f.release(in, false)
		return nil, fmt.Errorf("%s: %w after %s", f.id, errTimedOut, f.timeout)
	case <-in.ended:
		f.count(func(c *Counts) { c.Crashes++; c.Errors++ })
		f.release(in, false)
		return nil, fmt.Errorf("%s: %w: %s", f.id, errExited, in.lastWords())
	}
}

// atWork says whether an event is on its way through the function.
func (f *function) atWork() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.running > 0
}

func (f *function) count(change func(*Counts)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change(&f.counts)
}

// take gives an instance that is free, or starts one.
func (f *function) take(ctx context.Context) (*instance, error) {
	for {
		f.mu.Lock()
		if n := len(f.idle); n > 0 {
			in := f.idle[n-1]
			f.idle = f.idle[:n-1]
			f.running++
			f.mu.Unlock()
			select {
			case <-in.ended: // it died meanwhile
				f.release(in, false)
				continue
			default:
				return in, nil
			}
		}
		if f.running >= f.concurrency {
			f.counts.Throttles++
			f.mu.Unlock()
			return nil, errThrottled
		}
		f.running++
		f.counts.ColdStarts++
		f.mu.Unlock()
		in, err := f.start(ctx)
		if err != nil {
			f.count(func(c *Counts) { c.Errors++; c.Crashes++ })
			f.release(nil, false)
			return nil, err
		}
		return in, nil
	}
}

func (f *function) release(in *instance, alive bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.running--
	if in != nil && alive {
		f.idle = append(f.idle, in)
	}
}

// start starts a process and waits until it asks for an event.
func (f *function) start(ctx context.Context) (*instance, error) {
	if err := f.cloud.platformCalls(f); err != nil {
		return nil, err
	}
	in := &instance{
		function: f, id: f.cloud.newID(), ready: make(chan struct{}), ended: make(chan struct{}), events: make(chan *invocation, 1), started: time.Now(),
	}
	var err error
	if in.folder, err = os.MkdirTemp(f.cloud.folder, f.id+"-*"); err != nil {
		return nil, err
	}
	if in.said, err = os.OpenFile(f.log(), os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		return nil, err
	}
	in.process = exec.CommandContext(context.WithoutCancel(ctx), f.cloud.bootstrap)
	in.process.Dir = f.cloud.code
	in.process.Env = append(slices.Clone(f.environment), "AWS_LAMBDA_RUNTIME_API="+f.cloud.runtimeAddress+"/"+in.id, "TMPDIR="+in.folder)
	in.process.Stdout, in.process.Stderr = in.said, in.said
	in.process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	f.cloud.instances.Store(in.id, in)
	if err := in.process.Start(); err != nil {
		return nil, err
	}
	f.mu.Lock()
	f.all[in] = true
	f.mu.Unlock()
	go func() {
		_ = in.process.Wait() // killed, mostly
		close(in.ended)
		in.said.Close()
		os.RemoveAll(in.folder)
		f.cloud.instances.Delete(in.id)
		f.mu.Lock()
		delete(f.all, in)
		f.mu.Unlock()
	}()
	timer := time.NewTimer(initTimeout)
	defer timer.Stop()
	select {
	case <-in.ready:
		took := time.Since(in.started)
		f.count(func(c *Counts) { c.InitLongest = max(c.InitLongest, took); c.InitSum += took })
		return in, nil
	case <-in.ended:
		return nil, fmt.Errorf("%s does not start: %s", f.id, in.lastWords())
	case <-timer.C:
		in.kill()
		return nil, fmt.Errorf("%s does not ask for an event: %s", f.id, in.lastWords())
	}
}

func (in *instance) kill() {
	_ = in.process.Process.Kill() // it may be gone already
	<-in.ended
}

// lastWords is the end of what the function's processes said.
func (in *instance) lastWords() string {
	const most = 600
	said, err := in.function.said()
	if err != nil {
		return err.Error()
	}
	return strings.TrimSpace(said[max(0, len(said)-most):])
}

// said is the log of a function.
func (f *function) said() (string, error) {
	text, err := os.ReadFile(f.log())
	return string(text), err
}

func (f *function) log() string { return filepath.Join(f.cloud.folder, f.id+".log") }

// stop ends all instances of a function.
func (f *function) stop() {
	f.mu.Lock()
	all := make([]*instance, 0, len(f.all))
	for in := range f.all {
		all = append(all, in)
	}
	f.mu.Unlock()
	for _, in := range all {
		in.kill()
	}
}

// serveRuntime is the runtime API, under a path for each instance.
func (c *Cloud) serveRuntime(w http.ResponseWriter, r *http.Request) {
	id, rest, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
	found, ok := c.instances.Load(id)
	if !ok {
		http.Error(w, "no such instance", http.StatusForbidden)
		return
	}
	in := found.(*instance)
	path := strings.TrimPrefix(rest, "2018-06-01/runtime/")
	switch {
	case path == "invocation/next":
		in.next(w, r)
	case path == "init/error":
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusAccepted)
	case strings.HasSuffix(path, "/response"):
		in.answered(w, r, nil)
	case strings.HasSuffix(path, "/error"):
		in.answered(w, r, errors.New("the function reports an error"))
	default:
		http.NotFound(w, r)
	}
}

func (in *instance) next(w http.ResponseWriter, r *http.Request) {
	in.once.Do(func() { close(in.ready) })
	select {
	case inv := <-in.events:
		h := w.Header()
		h.Set("Lambda-Runtime-Aws-Request-Id", inv.id)
		h.Set("Lambda-Runtime-Deadline-Ms", strconv.FormatInt(inv.deadline.UnixMilli(), 10))
		h.Set("Lambda-Runtime-Invoked-Function-Arn", arn("lambda", "function:"+in.function.name))
		h.Set("Lambda-Runtime-Trace-Id", "Root=1-00000000-000000000000000000000000;Sampled=0")
		h.Set("Content-Type", "application/json")
		w.Write(inv.payload)
	case <-r.Context().Done():
	case <-in.ended:
	}
}

func (in *instance) answered(w http.ResponseWriter, r *http.Request, failed error) {
	body, err := io.ReadAll(r.Body)
	in.mu.Lock()
	inv := in.current
	in.mu.Unlock()
	if err != nil || inv == nil || !strings.Contains(r.URL.Path, inv.id) {
		http.Error(w, "no such invocation", http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusAccepted)
	if failed != nil {
		var of struct {
			Message string `json:"errorMessage"`
		}
		_ = json.Unmarshal(body, &of)
		failed = fmt.Errorf("%s: %s", in.function.id, of.Message)
	}
	select {
	case inv.answer <- result{payload: bytes.Clone(body), err: failed}:
	default: // it was answered
	}
}
