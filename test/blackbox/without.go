package blackbox

import (
	"bytes"
	"os/exec"
	"testing"
)

// RunWithoutRaceDetector runs this test in a binary of its own: for large
// counts, which the race detector makes many times slower. It is skipped if any
// part of it was there, since who counts skipped tests does not see them.
func RunWithoutRaceDetector(t *testing.T) {
	t.Helper()
	command := exec.CommandContext(t.Context(), "go", "test", "-count=1", "-v", "-timeout=0", "-run=^"+t.Name()+"$", ".") //nolint:gosec // the test's own name.
	out, err := command.CombinedOutput()
	if err != nil {
		t.Errorf("without the race detector: %v\n%s", err, out)
		return
	}
	t.Logf("without the race detector:\n%s", out)
	switch {
	case bytes.Contains(out, []byte("--- SKIP: ")):
		t.Skip("without the race detector something was skipped")
	case !bytes.Contains(out, []byte("--- PASS: "+t.Name()+" ")):
		t.Error("without the race detector it did not run")
	}
}
