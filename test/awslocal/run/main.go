// Command run tells the story of a shop on the local cloud, and with -mutants
// shows that it fails without any part of the template.
package main

import (
	"context"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/restock/restock/test/awslocal"
)

func main() {
	template := flag.String("template", "deploy/aws/template.yaml", "the template")
	mutants := flag.Bool("mutants", false, "take out each part of the template in turn")
	only := flag.String("only", "", "only mutants with these words")
	cold := flag.Int("cold", 0, "measure so many cold starts instead")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, *template, *mutants, *only, *cold)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(ctx context.Context, path string, mutants bool, only string, cold int) error {
	template, err := awslocal.ReadTemplate(path)
	if err != nil {
		return err
	}
	site, err := awslocal.StartSite(ctx)
	if site != nil {
		defer site.Close()
	}
	if err != nil {
		return err
	}
	if cold > 0 {
		return measure(ctx, site, template, cold)
	}
	if mutants {
		return hunt(ctx, site, template, only)
	}
	return tell(ctx, site, template)
}

func say(format string, args ...any) { fmt.Fprintf(os.Stdout, format+"\n", args...) }

func tell(ctx context.Context, site *awslocal.Site, template *awslocal.Template) error {
	counts, err := site.Tell(ctx, template, template, say)
	fmt.Fprintf(os.Stdout, "\n%-20s %11s %11s %7s %9s %11s\n", "function", "invocations", "cold starts", "errors", "throttles", "first event")
	for _, id := range slices.Sorted(maps.Keys(counts)) {
		c := counts[id]
		fmt.Fprintf(os.Stdout, "%-20s %11d %11d %7d %9d %11s\n", id, c.Invocations, c.ColdStarts, c.Errors, c.Throttles,
			(c.InitSum / time.Duration(max(1, c.ColdStarts))).Round(time.Millisecond))
	}
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, "\nThe story was told through the template's own wiring. Not imitated: see `go doc ./test/awslocal`.")
	return nil
}

// measure prints cold starts.
func measure(ctx context.Context, site *awslocal.Site, template *awslocal.Template, n int) error {
	cold, warm, err := site.Cold(ctx, template, n)
	if err != nil {
		return err
	}
	for _, name := range slices.Sorted(maps.Keys(cold)) {
		for i, took := range [][]time.Duration{cold[name], warm[name]} {
			say("%-20s %s  p50 %s  p90 %s  of %d", name, []string{"cold", "warm"}[i],
				took[len(took)/2].Round(time.Millisecond/10), took[len(took)*9/10].Round(time.Millisecond/10), len(took))
		}
	}
	return nil
}

// hunt lets the story fail on each mutant.
func hunt(ctx context.Context, site *awslocal.Site, template *awslocal.Template, only string) error {
	mutants := slices.DeleteFunc(awslocal.Mutants(template), func(m awslocal.Mutant) bool { return !strings.Contains(m.Name, only) })
	escaped := 0
	for i, m := range mutants {
		began := time.Now()
		why, caught := site.Hunt(ctx, m, template)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		word := "caught "
		if !caught {
			word = "ESCAPED"
			escaped++
		}
		fmt.Fprintf(os.Stdout, "%3d/%d %s %5.1fs  %-60s %.160s\n", i+1, len(mutants), word, time.Since(began).Seconds(), m.Name, why)
	}
	if escaped > 0 {
		return fmt.Errorf("%d mutants of %d escaped", escaped, len(mutants))
	}
	fmt.Fprintf(os.Stdout, "all %d mutants were caught, each by name\n", len(mutants))
	return nil
}
