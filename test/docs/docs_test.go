// Package docs_test keeps the documents true. Their commands are run as they
// stand, their links and the files that they name must exist, and the picture
// must be one that a browser can draw.
//
// A block that begins with ```sh is run; ```text is not. Within a block a line
// "# → text" says what the commands so far have printed: the test looks for
// these texts in the output, in their order.
package docs_test

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

const (
	root = "../.."
	// documentTimeout bounds the commands of one document, a build of everything on a
	// machine that does much else included.
	documentTimeout = 15 * time.Minute
	// killTimeout is how long a document's processes have to end.
	killTimeout = time.Minute

	expects = "# → "
)

// The documents use the default ports, so they run one after another.
func TestCommandsOfTheDocumentsDoWhatTheySay(t *testing.T) {
	bin := buildRestock(t)
	for _, document := range []string{"README.md", "docs/quickstart.ko.md"} {
		t.Run(document, func(t *testing.T) {
			requireFreePorts(t)
			blocks := shellBlocks(read(t, document))
			if len(blocks) == 0 {
				t.Fatal("the document has no commands to run")
			}
			output := runBlocks(t, bin, blocks)
			checkOutput(t, output, blocks)
		})
	}
}

func TestFilesThatTheDocumentsNameAreThere(t *testing.T) {
	t.Parallel()
	link := regexp.MustCompile(`\]\(([^)#\s]+)`)
	path := regexp.MustCompile("`((?:internal|cmd|test|docs|scripts)/[A-Za-z0-9_./-]+|[a-z_]+\\.go|\\.golangci\\.yml|Makefile)`")
	for _, document := range documents(t) {
		text := read(t, document)
		for _, match := range link.FindAllStringSubmatch(text, -1) {
			if !strings.Contains(match[1], "://") {
				requireFile(t, document, filepath.Join(filepath.Dir(document), match[1]))
			}
		}
		for _, match := range path.FindAllStringSubmatch(text, -1) {
			requireFile(t, document, match[1])
		}
	}
}

func TestThePictureIsWellFormed(t *testing.T) {
	t.Parallel()
	decoder := xml.NewDecoder(strings.NewReader(read(t, "docs/architecture.svg")))
	for {
		_, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			return
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// buildRestock gives a folder with a fresh restock in it.
func buildRestock(t *testing.T) string {
	t.Helper()
	bin := t.TempDir()
	build := exec.CommandContext(t.Context(), "go", "build", "-o", filepath.Join(bin, "restock"), "./cmd/restock")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return bin
}

// requireFreePorts skips when somebody else is at the ports of the documents:
// their commands would talk to a stranger.
func requireFreePorts(t *testing.T) {
	t.Helper()
	for _, address := range []string{"127.0.0.1:8080", "127.0.0.1:4000"} {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", address)
		if err != nil {
			t.Skipf("the commands of the documents need %s, which is taken: %v", address, err)
		}
		if err := listener.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// shellBlocks gives the blocks of a document that are to be run.
func shellBlocks(document string) []string {
	block := regexp.MustCompile("(?ms)^```sh\n(.*?)^```$")
	var blocks []string
	for _, match := range block.FindAllStringSubmatch(document, -1) {
		blocks = append(blocks, match[1])
	}
	return blocks
}

// runBlocks runs the blocks as one script in a copy of the repository, as a
// reader would in a fresh clone, and gives what they printed. What they left
// running is ended.
func runBlocks(t *testing.T, bin string, blocks []string) string {
	t.Helper()
	// The trap waits, so that the ports are free for the next document.
	script := "set -e\ntrap 'kill $(jobs -p) 2>/dev/null || true; wait' EXIT\n" + strings.Join(blocks, "\n")
	ctx, cancel := context.WithTimeout(t.Context(), documentTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "bash", "-c", script)
	command.Dir = copyRepository(t)
	command.Env = environment(bin, t.TempDir())
	// A group of its own, so that nothing survives a script that hangs.
	command.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	command.Cancel = func() error { return syscall.Kill(-command.Process.Pid, syscall.SIGKILL) }
	command.WaitDelay = killTimeout
	var output bytes.Buffer
	command.Stdout, command.Stderr = &output, &output
	if err := command.Run(); err != nil {
		t.Fatalf("the commands failed: %v\nthey printed:\n%s", err, output.String())
	}
	return output.String()
}

// environment puts restock on the PATH, and leaves out settings of whoever
// runs the tests.
func environment(bin, temporary string) []string {
	var env []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "RESTOCK_") {
			env = append(env, entry)
		}
	}
	return append(env, "PATH="+bin+string(os.PathListSeparator)+os.Getenv("PATH"), "TMPDIR="+temporary)
}

// copyRepository copies what `go run ./cmd/restock` needs.
func copyRepository(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	for _, name := range []string{"cmd", "internal"} {
		if err := os.CopyFS(filepath.Join(folder, name), os.DirFS(filepath.Join(root, name))); err != nil {
			t.Fatal(err)
		}
	}
	sources, err := filepath.Glob(filepath.Join(root, "*.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range append(sources, filepath.Join(root, "go.mod"), filepath.Join(root, "go.sum")) {
		text, err := os.ReadFile(source)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(folder, filepath.Base(source)), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return folder
}

func checkOutput(t *testing.T, output string, blocks []string) {
	t.Helper()
	rest := output
	for line := range strings.SplitSeq(strings.Join(blocks, "\n"), "\n") {
		want, ok := strings.CutPrefix(line, expects)
		if !ok {
			continue
		}
		_, after, found := strings.Cut(rest, want)
		if !found {
			t.Fatalf("the document says that this is printed, and it was not, or not there: %q\nprinted was:\n%s", want, output)
		}
		rest = after
	}
}

// documents are all Markdown files that readers are sent to.
func documents(t *testing.T) []string {
	t.Helper()
	found := []string{"README.md", "CHANGELOG.md"}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".md" {
			return err
		}
		relative, err := filepath.Rel(root, path)
		found = append(found, relative)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(root, name))
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func requireFile(t *testing.T, document, name string) {
	t.Helper()
	if _, err := os.Stat(filepath.Join(root, name)); err != nil {
		t.Errorf("%s names %s, which is not there", document, name)
	}
}
