// Package story_test drives the real binary as its users do: buyers and
// factories over HTTP, operators over the command line, ad managers by mail.
//
// The stories stand in testdata as testscript files. stage_test.go lists the
// commands that they have beside those of testscript, and says what each does.
// Nothing here imports the program; what the tests know of it is what its users
// are told, and the tables of its database where a number needs a second witness.
//
// RESTOCK_TEST_FULL=1 runs the long tests at their full length.
package story_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

const (
	binaryName = "restock"
	// binaryVariable tells the tests of this process where TestMain put the binary.
	binaryVariable = "STORY_BINARY"
	fullVariable   = "RESTOCK_TEST_FULL"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

// run builds the binary once, for all tests of this process.
func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "restock-story-")
	if err != nil {
		return 1, fmt.Errorf("making a folder for the binary: %w", err)
	}
	defer func() {
		if removeErr := os.RemoveAll(dir); err == nil && removeErr != nil {
			err = fmt.Errorf("removing the binary: %w", removeErr)
		}
	}()
	path := filepath.Join(dir, binaryName)
	if err := build(context.Background(), path); err != nil {
		return 1, err
	}
	if err := os.Setenv(binaryVariable, path); err != nil {
		return 1, fmt.Errorf("telling the tests where the binary is: %w", err)
	}
	return m.Run(), nil
}

func build(ctx context.Context, path string) error {
	args := []string{"build", "-o", path}
	if raceDetector {
		args = append(args, "-race")
	}
	output, err := exec.CommandContext(ctx, "go", append(args, "../../cmd/restock")...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("building the binary: %w\n%s", err, output)
	}
	return nil
}

// binary is the path of the built restock.
func binary() string { return os.Getenv(binaryVariable) }

// userEnvironment is the environment of a user who has set nothing of ours: what
// configures the tests must not configure the program.
func userEnvironment() []string {
	var clean []string
	for _, entry := range os.Environ() {
		if !strings.HasPrefix(entry, "RESTOCK_") && !strings.HasPrefix(entry, binaryVariable+"=") {
			clean = append(clean, entry)
		}
	}
	return append(clean, raceOptions)
}

// raceOptions keep a binary with the race detector from lingering a second at
// each end.
const raceOptions = "GORACE=atexit_sleep_ms=20"

// TestStories plays testdata/*.txtar, each in a folder of its own.
func TestStories(t *testing.T) {
	t.Parallel()
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		RequireUniqueNames: true,
		Cmds:               stageCommands(),
		Setup:              setStage,
	})
}

// TestTheStoryIsTheSameOnEveryEngine: where the messages are, and how many
// processes share the work, is a matter of one setting each.
func TestTheStoryIsTheSameOnEveryEngine(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, engines(), "testdata/whole-loop.txtar", "testdata/dead-letters.txtar", "testdata/trace.txtar")
}

// TestABrokerThatIsAwayIsFeltByNoBuyer: what happens meanwhile waits in the
// database.
func TestABrokerThatIsAwayIsFeltByNoBuyer(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, brokers(), "testdata/broker/away.txtar")
}

// TestAChangeOfTheEngineStrandsNothing: what waits on one moves to the other.
func TestAChangeOfTheEngineStrandsNothing(t *testing.T) {
	t.Parallel()
	onEveryEngine(t, brokers(), "testdata/broker/changed.txtar")
}

// onEveryEngine plays stories in each arrangement of engines and processes.
func onEveryEngine(t *testing.T, kinds []engineKind, files ...string) {
	t.Helper()
	for _, kind := range kinds {
		for _, apart := range []bool{false, true} {
			name := kind.name + " in one process"
			if apart {
				name = kind.name + " with every role apart"
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				testscript.Run(t, testscript.Params{
					Files:              files,
					RequireUniqueNames: true,
					Cmds:               stageCommands(),
					Setup: func(env *testscript.Env) error {
						e := kind.open(t)
						env.Setenv("QUEUE", e.url)
						return setStageFor(env, setting{engine: e, apart: apart})
					},
				})
			})
		}
	}
}
