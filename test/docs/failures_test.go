package docs_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// failures names the test of each failure.
const failures = "docs/failures.md"

// TestEachFailureNamesATestThatExists reads the tables, and looks for what they
// name in the source.
func TestEachFailureNamesATestThatExists(t *testing.T) {
	t.Parallel()
	known := readSource(t)
	name := regexp.MustCompile("`([a-z]+)\\.(Test[A-Za-z0-9]+)((?:/[A-Za-z0-9]+)*)`")
	var rows []string
	for _, cells := range tableRows(read(t, failures)) {
		rows = append(rows, cells[0])
		matches := name.FindAllStringSubmatch(strings.Join(cells, "|"), -1)
		if len(matches) == 0 {
			t.Errorf("failure %s names no test", cells[0])
		}
		for _, match := range matches {
			if !known.functions[match[1]+"."+match[2]] {
				t.Errorf("failure %s names %s.%s, which is not there", cells[0], match[1], match[2])
			}
			for part := range strings.SplitSeq(strings.TrimPrefix(match[3], "/"), "/") {
				if part != "" && !known.words[part] {
					t.Errorf("failure %s names the subtest %s, which is not there", cells[0], part)
				}
			}
		}
	}
	for _, want := range rowsThatMustBeThere() {
		if !slices.Contains(rows, want) {
			t.Errorf("failure %s has no row", want)
		}
	}
}

// rowsThatMustBeThere are the failures of messages, of the call to a factory and of its
// callback, and the ten mistakes.
func rowsThatMustBeThere() []string {
	const firstFailure, lastFailure, mistakes = 25, 61, 10
	rows := []string{"36a", "36b", "36c", "57a", "57b", "58a", "58b", "58c", "58d"}
	for n := firstFailure; n <= lastFailure; n++ {
		rows = append(rows, strconv.Itoa(n))
	}
	for n := 1; n <= mistakes; n++ {
		rows = append(rows, strconv.Itoa(n))
	}
	return rows
}

// TestEachMistakeHasItsTestAndItsMutant looks the other way: what is in the
// tree stands in the table.
func TestEachMistakeHasItsTestAndItsMutant(t *testing.T) {
	t.Parallel()
	text := read(t, failures)
	mutants, err := filepath.Glob(filepath.Join(root, "test/mutants/mistake-*.patch"))
	if err != nil || len(mutants) == 0 {
		t.Fatalf("there are no mutants of the mistakes: %v", err)
	}
	for _, mutant := range mutants {
		if !strings.Contains(text, filepath.Base(mutant)) {
			t.Errorf("%s does not name %s", failures, filepath.Base(mutant))
		}
	}
	for function := range readSource(t).functions {
		if strings.HasPrefix(function, "mistakes.TestMistake") && !strings.Contains(text, "`"+function+"`") {
			t.Errorf("%s does not name %s", failures, function)
		}
	}
}

// tableRows are the cells of all table rows whose first cell begins with a digit.
func tableRows(text string) [][]string {
	var rows [][]string
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(line, "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		if cells[0] != "" && cells[0][0] >= '0' && cells[0][0] <= '9' {
			rows = append(rows, cells)
		}
	}
	return rows
}

// source is what the tests of the tree are called: their functions, as
// package.Test, and the words that subtests can be named with.
type source struct{ functions, words map[string]bool }

func readSource(t *testing.T) source {
	t.Helper()
	known := source{functions: map[string]bool{}, words: map[string]bool{}}
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return err
		}
		if strings.HasSuffix(path, "_test.go") || strings.HasSuffix(path, ".go") && strings.HasSuffix(filepath.Base(filepath.Dir(path)), "test") {
			return known.add(path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return known
}

func (s source) add(path string) error {
	file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
	if err != nil {
		return fmt.Errorf("reading the tests: %w", err)
	}
	name := strings.TrimSuffix(file.Name.Name, "_test")
	ast.Inspect(file, func(node ast.Node) bool {
		switch node := node.(type) {
		case *ast.FuncDecl:
			if node.Recv == nil && strings.HasSuffix(path, "_test.go") {
				s.functions[name+"."+node.Name.Name] = true
			}
		case *ast.BasicLit:
			if word, err := strconv.Unquote(node.Value); err == nil && node.Kind == token.STRING {
				s.words[word] = true
			}
		}
		return true
	})
	return nil
}
