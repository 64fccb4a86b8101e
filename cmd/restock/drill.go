package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"golang.org/x/sync/errgroup"
)

type drillCommand struct {
	Rows []string `arg:"" optional:"" placeholder:"ROW" help:"Only these rows; all when left out."`
	JSON bool     `help:"Print the result as JSON."`
}

// Help is shown by restock drill --help.
func (drillCommand) Help() string {
	return `It lets a simulated factory misbehave in each way that it knows, alone and mixed, every
row against a restock of its own with an empty folder, and compares what came of it with
what must: the order, its attempts, the goods on hand, how often the factory was asked,
what operations were told, and the promises that restock verify holds. The clock of a
drill is fast, and a busy machine can be too late for it: up to five rows that fail are
played once more, one at a time and at a slower pace, and the table says so. It exits
with status 1 if a row fails; the folder of that row stays, with its log.

The rows:
` + drillRowLines() + `
Example:
  restock drill
  restock drill silent double --json`
}

func drillRowLines() string {
	var lines strings.Builder
	for _, row := range drillRows() {
		fmt.Fprintf(&lines, "  %-24s %s\n", row.name, row.meaning)
	}
	return lines.String()
}

const (
	// drillRowsMax is how many rows run at once: each is a whole restock, which
	// mostly waits for time to pass.
	drillRowsMax = 4
	// drillRowTimeout is when a row that has not come to its end has failed.
	drillRowTimeout = time.Minute
	// drillAgainMax is how many rows that failed are played once more: of a
	// machine that is busy a few fail, of a fault all that it concerns.
	drillAgainMax = 5
)

// drillResult is what came of one row.
type drillResult struct {
	Row      string   `json:"row"`
	Pass     bool     `json:"pass"`
	Happened string   `json:"happened"`
	Told     []string `json:"told"` // the titles of what operations were told
	Problems []string `json:"problems,omitempty"`
	Folder   string   `json:"folder,omitempty"` // of a row that failed
	Slow     bool     `json:"slow,omitempty"`   // it was played once more, at a slower pace
	Seconds  float64  `json:"seconds"`
}

func (d *drillCommand) Run(c *console) error {
	rows, err := chosenDrillRows(d.Rows)
	if err != nil {
		return err
	}
	results := drill(c, rows)
	if err := c.ctx.Err(); err != nil {
		return fmt.Errorf("the drill was stopped: %w", err)
	}
	if d.JSON {
		if err := printJSON(c, results); err != nil {
			return err
		}
	} else {
		printDrill(c, results)
	}
	if slices.ContainsFunc(results, func(r drillResult) bool { return !r.Pass }) {
		return errSaid
	}
	return nil
}

// chosenDrillRows are the rows that are named, in the order of the table.
func chosenDrillRows(names []string) ([]drillRow, error) {
	all := drillRows()
	if len(names) == 0 {
		return all, nil
	}
	for _, name := range names {
		if !slices.ContainsFunc(all, func(r drillRow) bool { return r.name == name }) {
			return nil, fmt.Errorf("the drill has no row %q; restock drill --help lists them", name)
		}
	}
	return slices.DeleteFunc(all, func(r drillRow) bool { return !slices.Contains(names, r.name) }), nil
}

// drill runs the rows, some at a time, and gives their results in the rows' order.
func drill(c *console, rows []drillRow) []drillResult {
	var (
		group    errgroup.Group
		progress = drillProgress{console: c, all: len(rows)}
		results  = make([]drillResult, len(rows))
	)
	group.SetLimit(drillRowsMax)
	for i, row := range rows {
		group.Go(func() error {
			results[i] = runDrillRow(c.ctx, row, drillPace)
			progress.tell(results[i])
			return nil
		})
	}
	_ = group.Wait() // a row that fails says so in its result
	progress.end()
	again(c, rows, results)
	return results
}

// again plays the rows that failed once more, unless they are too many for an
// accident. Their second result counts.
func again(c *console, rows []drillRow, results []drillResult) {
	var failed []int
	for i, r := range results {
		if !r.Pass {
			failed = append(failed, i)
		}
	}
	if len(failed) > drillAgainMax {
		return
	}
	for _, i := range failed {
		if c.ctx.Err() != nil {
			return
		}
		fmt.Fprintf(c.errOut, "once more, slower: %s\n", rows[i].name)
		first := results[i]
		results[i] = runDrillRow(c.ctx, rows[i], drillSlowPace)
		results[i].Slow = true
		if results[i].Pass && first.Folder != "" {
			_ = os.RemoveAll(first.Folder) // a log that nobody needs any more
		}
	}
}

// runDrillRow plays one row on a stage of its own.
func runDrillRow(ctx context.Context, row drillRow, pace int) drillResult {
	started := time.Now()
	ctx, cancel := context.WithTimeout(ctx, time.Duration(pace)*drillRowTimeout)
	defer cancel()
	result := drillResult{Row: row.name, Told: []string{}}
	stage, err := newDrillStage(ctx, row, pace)
	if err != nil {
		result.Problems = []string{err.Error()}
		return result
	}
	result.Problems = stage.play(ctx)
	result.Happened, result.Told = stage.seen.String(), append([]string{}, stage.seen.told...)
	result.Pass = len(result.Problems) == 0
	result.Folder = stage.clear(result.Pass)
	result.Seconds = time.Since(started).Seconds()
	return result
}

// drillProgress is one line that tells how far the drill has come.
type drillProgress struct {
	console *console
	all     int

	mu           sync.Mutex
	done, failed int
}

func (p *drillProgress) tell(r drillResult) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done++
	if !r.Pass {
		p.failed++
	}
	fmt.Fprintf(p.console.errOut, "\r%d of %d rows, %d failed", p.done, p.all, p.failed)
}

func (p *drillProgress) end() { fmt.Fprintln(p.console.errOut) }

// nothingTold stands in the table where operations got no mail.
const nothingTold = "nothing, all went well"

func printDrill(c *console, results []drillResult) {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "ROW\tRESULT\tWHAT HAPPENED\tOPERATIONS WERE TOLD")
	passed := 0
	for _, r := range results {
		result := "FAIL"
		if r.Pass {
			result = "pass"
			passed++
		}
		if r.Slow {
			result += " (slower)"
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\n", r.Row, result, r.Happened, orDefault(strings.Join(r.Told, ", "), nothingTold))
	}
	_ = table.Flush() // as every print to the console
	for _, r := range results {
		for _, problem := range r.Problems {
			c.printf("\n%s: %s\n", r.Row, printable(problem))
		}
		if r.Folder != "" {
			c.printf("%s: what it left, with restock.log, is in %s\n", r.Row, r.Folder)
		}
	}
	c.printf("\n%d of %d rows passed.\n", passed, len(results))
}
