package watch_test

import (
	"bytes"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestTheCommandsOfThePlaybooksAreUnderstood gives each command of the pages to
// restock, at an address where nobody is: it may fail, but not for what it asks.
func TestTheCommandsOfThePlaybooksAreUnderstood(t *testing.T) {
	t.Parallel()
	pages, err := filepath.Glob(root + "docs/playbooks/restock-*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("playbooks %q, %v", pages, err)
	}
	line := regexp.MustCompile(`(?m)^ *restock ([a-z].*)$`)
	block := regexp.MustCompile("(?s)```text\n.*?```")
	seen := map[string]bool{}
	for _, page := range pages {
		for _, text := range block.FindAllString(read(t, strings.TrimPrefix(page, root)), -1) {
			for _, match := range line.FindAllStringSubmatch(text, -1) {
				if !seen[match[1]] {
					seen[match[1]] = true
					tryCommand(t, filepath.Base(page), match[1])
				}
			}
		}
	}
	if len(seen) < 20 {
		t.Errorf("only %d commands were found", len(seen))
	}
}

func tryCommand(t *testing.T, page, text string) {
	t.Helper()
	var args []string
	for _, word := range regexp.MustCompile(`"[^"]*"|\S+`).FindAllString(text, -1) {
		switch word {
		case "ORDER", "RECEIPT", "MESSAGE", "HOLD", "WEBHOOK":
			word = "01a21329-bac7-7ea7-88b7-106bdbd01c10"
		}
		args = append(args, strings.Trim(word, `"`))
	}
	const nobody = "http://127.0.0.1:1"
	switch args[0] {
	case "serve", "backup", "callback-keys", "queue", "catalog", "mail", "config": // they would begin
		args = append(args, "--help")
	default:
		args = append(args, "--server", nobody)
	}
	run := exec.CommandContext(t.Context(), command, args...)
	run.Dir = t.TempDir()
	if err := os.WriteFile(filepath.Join(run.Dir, "catalog.yaml"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	out, err := run.CombinedOutput()
	var exit *exec.ExitError
	const usage = 2
	if errors.As(err, &exit) && exit.ExitCode() == usage || bytes.Contains(out, []byte("unknown flag")) {
		t.Errorf("%s: restock %s is not understood: %s", page, text, out)
	}
}
