package watch_test

import (
	"os/exec"
	"strings"
	"testing"
)

// TestTheBinaryHasNothingOfTheTests: what only tests need, Prometheus' engine
// above all, must not come into the program by a careless import.
func TestTheBinaryHasNothingOfTheTests(t *testing.T) {
	t.Parallel()
	list := exec.CommandContext(t.Context(), "go", "list", "-deps", "-f", "{{.ImportPath}}", "github.com/restock/restock/cmd/restock")
	out, err := list.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	if !strings.Contains(string(out), "github.com/prometheus/client_golang/prometheus\n") {
		t.Errorf("the program has no metrics: %s", out) // or this test sees nothing
	}
	for path := range strings.Lines(string(out)) {
		for _, forbidden := range []string{
			"github.com/prometheus/prometheus/", "go.opentelemetry.io/", "github.com/google/go-cmp", "github.com/nats-io/nats-server", "github.com/emersion/go-smtp",
			"github.com/chromedp", "pgregory.net/rapid", "github.com/rogpeppe/go-internal", "github.com/anishathalye/porcupine", "testing\n",
		} {
			if strings.HasPrefix(path, forbidden) {
				t.Errorf("the program imports %s", path)
			}
		}
	}
}
