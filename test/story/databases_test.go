package story_test

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/restock/restock/test/servers"
)

// TestTheStoryIsTheSameOnEveryDatabase: where the rows are is a matter of one
// setting, for the server and for the commands that read the database.
func TestTheStoryIsTheSameOnEveryDatabase(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		for _, apart := range []bool{false, true} {
			how := " in one process"
			if apart {
				how = " with every role apart"
			}
			t.Run(name+how, func(t *testing.T) {
				t.Parallel()
				testscript.Run(t, testscript.Params{
					Files: []string{
						"testdata/whole-loop.txtar", "testdata/dead-letters.txtar", "testdata/selling.txtar", "testdata/receiving.txtar",
						"testdata/orders-by-people.txtar",
					},
					RequireUniqueNames: true,
					Cmds:               stageCommands(),
					Setup: func(env *testscript.Env) error {
						return setStageFor(env, setting{database: open(t), apart: apart})
					},
				})
			})
		}
	}
}

// TestAShopMovesToAServer, with the commands that people have for it.
func TestAShopMovesToAServer(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testscript.Run(t, testscript.Params{
				Files: []string{"testdata/servers/move.txtar"}, RequireUniqueNames: true, Cmds: stageCommands(),
				Setup: func(env *testscript.Env) error {
					env.Setenv("TARGET", open(t))
					return setStage(env)
				},
			})
		})
	}
}

const sharedKeys = "shared-callback-keys"

// setDatabase lets restock use a database on a server, and makes the keys that
// all its processes share.
func setDatabase(env *testscript.Env, address string) error {
	keys := filepath.Join(env.WorkDir, sharedKeys)
	made, err := exec.CommandContext(context.Background(), binary(), "callback-keys", "make", keys).CombinedOutput()
	if err != nil {
		return fmt.Errorf("making callback keys: %w\n%s", err, made)
	}
	env.Setenv("RESTOCK_DB", address) // for the commands that read the database
	return nil
}
