package main

import (
	"log/slog"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock/test/contract"
)

// notDescribed are routes that the description leaves out, and says so.
func notDescribed(pattern string) bool {
	return pattern == "/" || pattern == "/v1" || pattern == "/v1/" || // what nobody serves
		strings.HasPrefix(pattern, "/dashboard") // pages for people
}

func TestEveryRouteIsDescribedAndEveryDescriptionIsARoute(t *testing.T) {
	t.Parallel()
	var cli struct{ settings }
	parser, err := kong.New(&cli)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := parser.Parse(nil); err != nil {
		t.Fatal(err)
	}
	cli.Data, cli.Listen = t.TempDir(), "127.0.0.1:0"
	a, err := openApp(t.Context(), cli.settings, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := a.public.Close(); err != nil {
			t.Error(err)
		}
		if err := a.close(); err != nil {
			t.Error(err)
		}
	})
	if a.admin != a.public {
		t.Fatal("one listener has all routes")
	}
	var served []string
	for _, pattern := range a.publicRoutes.Routes() {
		if !notDescribed(pattern) {
			served = append(served, ordered(pattern))
		}
	}
	description, err := contract.Open()
	if err != nil {
		t.Fatal(err)
	}
	var described []string
	for _, r := range description.Routes() {
		pattern := r.Method + " " + r.Path
		var query []string
		for _, p := range r.Parameters() {
			if p.In == "query" && r.Strict() { // a strict route names what it takes
				query = append(query, p.Name)
			}
		}
		if len(query) > 0 {
			pattern += "?" + strings.Join(query, "&")
		}
		described = append(described, ordered(pattern))
	}
	slices.Sort(served)
	slices.Sort(described)
	if diff := cmp.Diff(served, described); diff != "" {
		t.Errorf("A1 every answer is described: served −, described +:\n%s", diff)
	}
}

// ordered sorts the names of a pattern's query.
func ordered(pattern string) string {
	route, query, asked := strings.Cut(pattern, "?")
	if !asked {
		return route
	}
	names := strings.Split(query, "&")
	slices.Sort(names)
	return route + "?" + strings.Join(names, "&")
}

// TestTheProgramHasNoTestsInIt: what only tests need costs the users nothing.
func TestTheProgramHasNoTestsInIt(t *testing.T) {
	t.Parallel()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.FieldsSeq(string(out)) {
		for _, unwanted := range []string{
			"github.com/pb33f/", "github.com/google/go-cmp", "github.com/rogpeppe/", "pgregory.net/", "github.com/chromedp/",
			"github.com/nats-io/nats-server", "github.com/emersion/go-smtp", "github.com/restock/restock/test/", "testing",
		} {
			if name == unwanted || unwanted != "testing" && strings.HasPrefix(name, strings.TrimSuffix(unwanted, "/")+"/") {
				t.Errorf("the program has %s in it", name)
			}
		}
	}
}
