// Package watch_test holds what machines watch to what the command really
// tells: the metrics, the alerts, the Grafana dashboard and the pages about
// them. Real shops are brought into trouble and scraped; alerts and panels are
// evaluated over these series by Prometheus' own engine, with time that passes
// in no time.
package watch_test

import (
	"context"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/restock/restock/test/blackbox"
)

const root = "../../"

// command is the built command, made once for all tests here.
var command string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	folder, err := os.MkdirTemp("", "restock-watch-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(folder)
	if command, err = blackbox.Build(context.Background(), folder, ""); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func read(t *testing.T, path string) string {
	t.Helper()
	content, err := os.ReadFile(root + path)
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(content), "\r\n", "\n")
}
