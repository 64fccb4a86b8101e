// Command mutants plants known faults and sees whether the tests find them: a
// harness that looks for faults is worth nothing until it has found one.
//
// Each *.patch beside this file is one fault. It is applied to a temporary copy
// of the tree, and the test that it names, as it stands, has to fail there
// with the name of the promise that the patch breaks. The lines before the
// first file of a patch say what it is:
//
//	Breaks: I3
//	Test: ./test/crash -run TestKilledAtAnyMomentNothingIsLost
//
// followed by a sentence that says why. Breaks can list more promises that
// the same fault also breaks; the first is the one that has to be found.
//
//	go run ./test/mutants [-full=false] [-v] [-at-once=2] [-one-per-harness] [names…]
//
// A mutant fails, and the command with it, when its patch touches a test, does
// not apply or compile, when the test passes, when it fails without naming a
// promise, when it does not name the first of Breaks, and when it names a
// promise that Breaks does not list: then something else is wrong as well.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

func main() {
	full := flag.Bool("full", true, "run the tests with their full counts (RESTOCK_TEST_FULL=1)")
	verbose := flag.Bool("v", false, "print what a test complained of, also when it found its mutant")
	atOnce := flag.Int("at-once", 1, "how many mutants are hunted at the same time; more make their tests slow")
	each := flag.Bool("one-per-harness", false, "hunt the first mutant of each package of tests only")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, options{full: *full, verbose: *verbose, atOnce: max(*atOnce, 1), each: *each, names: flag.Args()})
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

type options struct {
	full, verbose bool
	each          bool // harness once
	atOnce        int
	names         []string
}

// result is what became of one mutant.
type result struct {
	mutant mutant
	err    error
	took   time.Duration
}

var errSurvivors = errors.New("not every mutant was found; see the table")

func run(ctx context.Context, out io.Writer, o options) error {
	root, err := treeRoot(ctx)
	if err != nil {
		return err
	}
	mutants, err := load(root, o.names)
	if err != nil {
		return err
	}
	if o.each {
		mutants = onePerHarness(mutants)
	}
	results := make([]result, len(mutants))
	var hunting errgroup.Group
	hunting.SetLimit(o.atOnce)
	told := &lines{out: out}
	for i, m := range mutants {
		hunting.Go(func() error {
			start := time.Now()
			own := told.of(m.name)
			say(own, "breaks %s", strings.Join(m.breaks, ", "))
			err := hunt(ctx, own, root, m, o)
			results[i] = result{m, err, time.Since(start)}
			say(own, "%s", verdict(err))
			return ctx.Err()
		})
	}
	if err := hunting.Wait(); err != nil {
		return err
	}
	return table(out, results)
}

// lines keeps what is said of several mutants apart.
type lines struct {
	mu  sync.Mutex
	out io.Writer
}

func (l *lines) of(name string) io.Writer { return linesOf{l, name} }

type linesOf struct {
	*lines
	name string
}

// Write says whose line it is.
func (l linesOf) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, err := fmt.Fprintf(l.out, "%s: %s", l.name, p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hunt plants one mutant and runs its test.
func hunt(ctx context.Context, out io.Writer, root string, m mutant, o options) error {
	if err := m.check(); err != nil {
		return err
	}
	tree, err := os.MkdirTemp("", "mutant-"+m.name+"-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tree)
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{
		{"copying the tree", func(ctx context.Context) error { return copyTree(ctx, root, tree) }},
		{"applying the patch", func(ctx context.Context) error { return command(ctx, tree, nil, "git", "apply", m.path) }},
		{"compiling", func(ctx context.Context) error { return command(ctx, tree, nil, "go", "build", "./...") }},
		{"vetting the test", func(ctx context.Context) error { return command(ctx, tree, nil, "go", "vet", m.pkg) }},
	} {
		say(out, "%s", step.name)
		if err := step.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", step.name, err)
		}
	}
	return provoke(ctx, out, tree, m, o)
}

// provoke runs the test, which has to fail, and reads of what it complains.
func provoke(ctx context.Context, out io.Writer, tree string, m mutant, o options) error {
	say(out, "testing: go test %s", strings.Join(m.test, " "))
	var environment []string
	if o.full {
		environment = []string{"RESTOCK_TEST_FULL=1"}
	}
	done := progress(out)
	err := command(ctx, tree, environment, "go", append([]string{"test", "-count=1", "-timeout=30m"}, m.test...)...)
	done()
	if err == nil {
		return errors.New("SURVIVED: the test passed")
	}
	failed, ok := errors.AsType[*commandError](err)
	if !ok || ctx.Err() != nil {
		return err
	}
	named := promises(failed.output)
	err = judge(m, named, failed.output)
	say(out, "it named %s", strings.Join(named, ", "))
	if o.verbose && err == nil {
		say(out, "%s", failed.output)
	}
	return err
}

// judge compares the promises that a test named with those that the patch breaks.
func judge(m mutant, named []string, output string) error {
	if len(named) == 0 {
		return fmt.Errorf("the test failed without naming a promise:\n%s", output)
	}
	if !slices.Contains(named, m.breaks[0]) {
		return fmt.Errorf("the test named %s, not %s:\n%s", strings.Join(named, ", "), m.breaks[0], output)
	}
	for _, n := range named {
		if !slices.Contains(m.breaks, n) {
			return fmt.Errorf("the test named %s too, which the patch does not break:\n%s", n, output)
		}
	}
	return nil
}

// progress says every while that the test still runs, until it is stopped.
func progress(out io.Writer) func() {
	const interval = 30 * time.Second
	start, ticker, stop, stopped := time.Now(), time.NewTicker(interval), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-ticker.C:
				say(out, "… %s", time.Since(start).Round(time.Second))
			case <-stop:
				return
			}
		}
	}()
	return func() {
		ticker.Stop()
		close(stop)
		<-stopped
	}
}

func table(out io.Writer, results []result) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0) //nolint:mnd // two spaces between columns.
	fmt.Fprintln(w, "\nMUTANT\tBREAKS\tRESULT\tTOOK")
	var err error
	for _, r := range results {
		if r.err != nil {
			err = errSurvivors
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\n", r.mutant.name, strings.Join(r.mutant.breaks, " "),
			firstLine(verdict(r.err)), r.took.Round(time.Second))
	}
	return errors.Join(w.Flush(), err)
}

func verdict(err error) string {
	if err == nil {
		return "found"
	}
	return "FAILED: " + err.Error()
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}

func say(out io.Writer, format string, args ...any) { fmt.Fprintf(out, format+"\n", args...) }
