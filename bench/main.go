// Command bench measures selling and prints a table: for each figure a ratio of
// two measurements that were taken in turn, in this run, on this machine, and
// then what was measured. Nothing is compared with another day.
//
//	make bench            the figures that take minutes
//	make bench LARGE=1    also a file with 1,000,000 products and 10,000,000 sales
//	go run ./bench -db mysql://… -db postgres://…   only selling on empty databases there
//
// The load comes from wrk on the same machine, over loopback. Every checkout is
// durable: SQLite in WAL mode, and the log is synced (fdatasync) before a buyer
// is answered.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"time"
)

func main() {
	rounds := flag.Int("rounds", 5, "how often each pair is measured")
	seconds := flag.Int("seconds", 3, "length of one measurement")
	large := flag.Bool("large", false, "measure on a file with 1,000,000 products and 10,000,000 sales too")
	only := flag.String("only", "", "measure only figures whose name contains this")
	var databases []string
	flag.Func("db", "an empty database on a server; can be given more than once", func(address string) error {
		databases = append(databases, address)
		return nil
	})
	nothing := flag.String("nothing", "", "serve the handlers that selling is compared with, at this address (used by bench itself)")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	do := func() error {
		return run(ctx, bench{rounds: *rounds, length: time.Duration(*seconds) * time.Second, large: *large, only: *only, databases: databases})
	}
	if *nothing != "" {
		do = func() error { return serveNothing(ctx, *nothing) }
	}
	if err := do(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1) //nolint:gocritic // nothing is left to stop.
	}
}

// bench is one run.
type bench struct {
	rounds int
	length time.Duration
	large  bool
	only   string
	// databases are those on servers on which selling is measured.
	databases []string

	dir    string
	binary string
	rows   []row
	// settings of the servers, as they say.
	settings []string
}

// row is one line of the table.
type row struct {
	what, goal string
	ratio      float64
	detail     string
}

func run(ctx context.Context, b bench) error {
	if _, err := exec.LookPath("wrk"); err != nil {
		return fmt.Errorf("wrk is missing: apt-get install wrk: %w", err)
	}
	var err error
	if b.dir, err = os.MkdirTemp("", "restock-bench-"); err != nil {
		return err
	}
	defer os.RemoveAll(b.dir)
	b.binary = b.dir + "/restock"
	build := exec.CommandContext(ctx, "go", "build", "-trimpath", "-ldflags=-s -w", "-o", b.binary, "./cmd/restock")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build restock: %w\n%s", err, out)
	}
	for _, figure := range b.figures() {
		if !strings.Contains(figure.name, b.only) {
			continue
		}
		fmt.Fprintf(os.Stderr, "measuring: %s\n", figure.name)
		if err := figure.measure(ctx, &b); err != nil {
			return fmt.Errorf("%s: %w", figure.name, err)
		}
	}
	b.print()
	return nil
}

// durability says what a commit waits for. What a server does is its own setting,
// and restock verify complains about one that does not wait.
func (b *bench) durability() string {
	if len(b.databases) > 0 {
		return "the server answers a commit when it is on its disk: " + strings.Join(b.settings, "; ")
	}
	return "SQLite WAL, each group of checkouts is fdatasync'ed before it is answered"
}

func (b *bench) print() {
	fmt.Printf("\n%s, %s/%s, %d processors, GOMAXPROCS %d, wrk on the same machine, %d rounds of %s, medians\n",
		time.Now().UTC().Format(time.DateOnly), runtime.GOOS, runtime.GOARCH, runtime.NumCPU(), runtime.GOMAXPROCS(0), b.rounds, b.length)
	fmt.Printf("durability: %s\n\n", b.durability())
	fmt.Printf("| ratio | goal | what | measured |\n|---|---|---|---|\n")
	for _, r := range b.rows {
		fmt.Printf("| %.2f | %s | %s | %s |\n", r.ratio, r.goal, r.what, r.detail)
	}
}

// pair measures two rates in turn and adds the median of their ratios.
func (b *bench) pair(ctx context.Context, what, goal, unit string, ours, theirs func(context.Context) (float64, error)) error {
	var a, z, ratios []float64
	for range b.rounds {
		mine, err := ours(ctx)
		if err != nil {
			return err
		}
		other, err := theirs(ctx)
		if err != nil {
			return err
		}
		a, z, ratios = append(a, mine), append(z, other), append(ratios, mine/other)
	}
	b.rows = append(b.rows, row{
		what: what, goal: goal, ratio: median(ratios),
		detail: fmt.Sprintf("%.0f %s against %.0f (ratios %.2f to %.2f)", median(a), unit, median(z), slices.Min(ratios), slices.Max(ratios)),
	})
	return nil
}

func median(v []float64) float64 {
	v = slices.Sorted(slices.Values(v))
	return v[len(v)/2]
}
