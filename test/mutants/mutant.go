package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// folder is where the patches are, in the tree.
const folder = "test/mutants"

// mutant is one planted fault.
type mutant struct {
	name    string
	path    string
	breaks  []string // promises; the first has to be found
	pkg     string   // of the test
	test    []string // arguments of go test
	touches []string // the files that it changes
}

// load reads the patches, all or those that are named.
func load(root string, names []string) ([]mutant, error) {
	paths, err := filepath.Glob(filepath.Join(root, folder, "*.patch"))
	if err != nil {
		return nil, err
	}
	var mutants []mutant
	for _, path := range paths {
		name := strings.TrimSuffix(filepath.Base(path), ".patch")
		if len(names) > 0 && !slices.Contains(names, name) {
			continue
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		mutants = append(mutants, parse(name, path, string(text)))
	}
	if len(mutants) == 0 || len(names) > 0 && len(mutants) != len(names) {
		return nil, fmt.Errorf("in %s there are %d patches of those that were asked for: %v", folder, len(mutants), names)
	}
	return mutants, nil
}

// onePerHarness keeps the first mutant of each package of tests.
func onePerHarness(mutants []mutant) []mutant {
	seen := map[string]bool{}
	return slices.DeleteFunc(slices.Clone(mutants), func(m mutant) bool {
		again := seen[m.pkg]
		seen[m.pkg] = true
		return again
	})
}

// applies says whether the shipped source still has the lines that a patch changes.
func (m mutant) applies(ctx context.Context, root string) error {
	if err := m.check(); err != nil {
		return err
	}
	return command(ctx, root, nil, "git", "apply", "--check", m.path)
}

// parse reads a patch; what is missing in it is found by check.
func parse(name, path, text string) mutant {
	m := mutant{name: name, path: path}
	header := true
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		switch {
		case strings.HasPrefix(line, "--- "), strings.HasPrefix(line, "+++ "):
			header = false
			m.touch(strings.TrimPrefix(strings.TrimPrefix(line, "--- "), "+++ "))
		case strings.HasPrefix(line, "diff "), strings.HasPrefix(line, "rename "), strings.HasPrefix(line, "copy "):
			header = false
			for _, word := range strings.Fields(line)[1:] {
				m.touch(word)
			}
		case header:
			m.head(line)
		}
	}
	return m
}

func (m *mutant) head(line string) {
	if promises, ok := strings.CutPrefix(line, "Breaks:"); ok {
		m.breaks = strings.FieldsFunc(promises, func(r rune) bool { return r == ' ' || r == ',' })
	}
	if test, ok := strings.CutPrefix(line, "Test:"); ok {
		m.test = strings.Fields(test)
	}
	if len(m.test) > 0 {
		m.pkg = m.test[0]
	}
}

// touch notes a path of the patch, without the first part that diff puts there.
func (m *mutant) touch(path string) {
	path, _, _ = strings.Cut(path, "\t") // a time stamp may follow
	if path == "/dev/null" {
		return
	}
	for _, prefix := range []string{"a/", "b/"} {
		path = strings.TrimPrefix(path, prefix)
	}
	m.touches = append(m.touches, path)
}

// check refuses a patch that does not say what it is, or that changes what
// shall find it.
func (m mutant) check() error {
	switch {
	case len(m.breaks) == 0:
		return errors.New("no line of the patch begins with Breaks: and a promise")
	case len(m.test) < 2: //nolint:mnd // the package and something that chooses the test.
		return errors.New("the patch has no line that begins with Test:, with a package and -run")
	case len(m.touches) == 0:
		return errors.New("the patch changes no file")
	}
	for _, path := range m.touches {
		if strings.HasSuffix(path, "_test.go") || strings.HasPrefix(path, "test/") || strings.HasPrefix(filepath.Clean(path), "..") {
			return fmt.Errorf("the patch touches %s; a mutant leaves the tests as they are", path)
		}
	}
	return nil
}

// promises gives the promises that a failing test names, in their order: a
// line of its output begins with one, after the place in the source.
func promises(output string) []string {
	complaint := regexp.MustCompile(`(?m)^\s+\w+\.go:\d+: ([A-Z]\d+) `)
	var named []string
	for _, match := range complaint.FindAllStringSubmatch(output, -1) {
		if !slices.Contains(named, match[1]) {
			named = append(named, match[1])
		}
	}
	return named
}

// treeRoot is the folder of go.mod.
func treeRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding go.mod: %w", err)
	}
	file := strings.TrimSpace(string(out))
	if file == "" || file == os.DevNull {
		return "", errors.New("run it in the tree: go run ./test/mutants")
	}
	return filepath.Dir(file), nil
}

// copyTree copies the files of the tree that are tracked or could be.
func copyTree(ctx context.Context, from, to string) error {
	list := exec.CommandContext(ctx, "git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
	list.Dir = from
	out, err := list.Output()
	if err != nil {
		return fmt.Errorf("git ls-files: %w", err)
	}
	for name := range strings.SplitSeq(strings.TrimRight(string(out), "\x00"), "\x00") {
		if err := copyFile(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			return err
		}
	}
	return nil
}

// copyFile copies one file with its mode; one that is deleted is not there.
func copyFile(from, to string) error {
	info, err := os.Lstat(from)
	if errors.Is(err, os.ErrNotExist) || err == nil && !info.Mode().IsRegular() {
		return nil
	}
	if err != nil {
		return err
	}
	const folderMode = 0o700
	if err := os.MkdirAll(filepath.Dir(to), folderMode); err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, info.Mode().Perm()) //nolint:gosec // git named it, within the tree.
}

// commandError is a command that ran and failed.
type commandError struct {
	err    error
	output string
}

func (e *commandError) Error() string { return e.err.Error() + "\n" + e.output }
func (e *commandError) Unwrap() error { return e.err }

func command(ctx context.Context, folder string, environment []string, name string, args ...string) error {
	c := exec.CommandContext(ctx, name, args...)
	c.Dir, c.Env = folder, append(os.Environ(), environment...)
	// Without it git would look for a repository around the temporary folder.
	c.Env = append(c.Env, "GIT_CEILING_DIRECTORIES="+filepath.Dir(folder))
	// Without paths in it, what a patch does not touch is compiled once for all.
	c.Env = append(c.Env, "GOFLAGS=-trimpath")
	out, err := c.CombinedOutput()
	if err != nil {
		return &commandError{fmt.Errorf("%s %s: %w", name, strings.Join(args, " "), err), string(out)}
	}
	return nil
}
