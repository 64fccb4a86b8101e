package main

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

const patch = `Breaks: I3, I1
Test: ./test/crash -run TestX

Why it breaks them.

--- a/internal/store/tx.go	2026-01-01
+++ b/internal/store/tx.go
@@ -1 +1 @@
-x
+y
`

func TestPatchSaysWhatItIs(t *testing.T) {
	t.Parallel()
	want := mutant{
		name: "m", path: "m.patch", breaks: []string{"I3", "I1"}, pkg: "./test/crash",
		test: []string{"./test/crash", "-run", "TestX"}, touches: []string{"internal/store/tx.go", "internal/store/tx.go"},
	}
	got := parse("m", "m.patch", patch)
	if diff := cmp.Diff(got, want, cmp.AllowUnexported(mutant{})); diff != "" {
		t.Errorf("got −, want +:\n%s", diff)
	}
	if err := got.check(); err != nil {
		t.Errorf("a good patch was refused: %v", err)
	}
}

func TestPatchThatCouldFoolTheTestIsRefused(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"no promise":         strings.Replace(patch, "Breaks:", "Harms:", 1),
		"no test":            strings.Replace(patch, "Test:", "Try:", 1),
		"no choice of tests": strings.Replace(patch, " -run TestX", "", 1),
		"no change":          strings.SplitAfter(patch, "them.\n")[0],
		"a test":             strings.ReplaceAll(patch, "store/tx.go", "store/tx_test.go"),
		"the harness":        strings.ReplaceAll(patch, "internal/store", "test/crash"),
		"moved to the tests": "diff --git a/internal/store/tx.go b/test/crash/tx.go\n" + patch,
		"outside the tree":   strings.ReplaceAll(patch, "internal/store", "../other"),
	} {
		if err := parse("m", "m.patch", text).check(); err == nil {
			t.Errorf("%s: the patch was not refused", name)
		}
	}
}

func TestEveryPatchAppliesToTheShippedSource(t *testing.T) {
	t.Parallel()
	root, err := treeRoot(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	mutants, err := load(root, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if err := m.applies(t.Context(), root); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

func TestOneMutantOfEachHarnessIsKept(t *testing.T) {
	t.Parallel()
	all := []mutant{{name: "a", pkg: "./x"}, {name: "b", pkg: "./y"}, {name: "c", pkg: "./x"}}
	if diff := cmp.Diff(onePerHarness(all), all[:2], cmp.AllowUnexported(mutant{})); diff != "" {
		t.Errorf("got −, want +:\n%s", diff)
	}
}

func TestOnlyTheBrokenPromisesMayBeNamed(t *testing.T) {
	t.Parallel()
	m := parse("m", "m.patch", patch)
	for output, found := range map[string]bool{
		"    a_test.go:1: I3 answered means durable: gone\n":                                  true,
		"    a_test.go:1: I1 never oversell: x\n    a_test.go:1: I3 answered means durable\n": true,
		"    a_test.go:1: I1 never oversell: only the consequence\n":                          false,
		"    a_test.go:1: I3 answered\n    b_test.go:1: I5 and something else\n":              false,
		"    a_test.go:1: only 3 messages were published\n":                                   false,
		"panic: runtime error":    false,
		"--- FAIL: TestI3 (0.1s)": false,
	} {
		if err := judge(m, promises(output), output); (err == nil) != found {
			t.Errorf("%q: got %v, want found: %v", output, err, found)
		}
	}
}

func TestPromisesAreNamedOnceInTheirOrder(t *testing.T) {
	t.Parallel()
	got := promises("    a_test.go:1: I3 x\n    a_test.go:1: P1 y\n    a_test.go:1: I3 z\n        I7 is quoted only\n")
	if diff := cmp.Diff(got, []string{"I3", "P1"}, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("got −, want +:\n%s", diff)
	}
}
