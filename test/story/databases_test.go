package story_test

import (
	"context"
	"errors"
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

// TestRestockWorksBesideAnotherSystem that has tables of its own in the same database.
func TestRestockWorksBesideAnotherSystem(t *testing.T) {
	t.Parallel()
	commands := stageCommands()
	commands["theirs"] = theirs
	testscript.Run(t, testscript.Params{
		Files: []string{"testdata/servers/beside.txtar", "testdata/servers/arrivals-alone.txtar"}, RequireUniqueNames: true, Cmds: commands,
		Setup: func(env *testscript.Env) error {
			address := servers.MariaDB(t)
			env.Setenv("TARGET", address)
			return errors.Join(makeExisting(address), setStage(env))
		},
	})
}

// theirs STOCK: what the other system's table says is there of its product.
func theirs(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: theirs STOCK")
	}
	db, err := servers.Open(ts.Getenv("TARGET"))
	ts.Check(err)
	var stock string
	err = db.QueryRowContext(context.Background(), `SELECT stock FROM product WHERE sku = 'CP-502101'`).Scan(&stock)
	ts.Check(errors.Join(err, db.Close()))
	if stock != args[0] {
		ts.Fatalf("product.stock is %s, want %s", stock, args[0])
	}
}

// makeExisting makes the tables of the other system, with one product.
func makeExisting(address string) error {
	db, err := servers.Open(address)
	if err != nil {
		return err
	}
	for _, statement := range []string{
		`CREATE TABLE factory (factory_id BINARY(16) PRIMARY KEY, identifier VARCHAR(100), name VARCHAR(100), manager_email VARCHAR(100), API VARCHAR(200))`,
		`CREATE TABLE advertisement (ad_id BINARY(16) PRIMARY KEY, status BOOLEAN, manager_email VARCHAR(100))`,
		`CREATE TABLE product (product_id BINARY(16) PRIMARY KEY, sku VARCHAR(100), name VARCHAR(100), price INT, stock INT, factory_id BINARY(16), ad_id BINARY(16))`,
		`INSERT INTO factory VALUES (REPEAT('f', 16), 'FF-500293', 'Busan donuts', 'factory@donut.example', 'http://127.0.0.1:4000/api/manufactures')`,
		`INSERT INTO advertisement VALUES (REPEAT('a', 16), TRUE, 'ads@donut.example')`,
		`INSERT INTO product VALUES (REPEAT('p', 16), 'CP-502101', 'Busan donut', 19900, 3, REPEAT('f', 16), REPEAT('a', 16))`,
	} {
		if _, err := db.ExecContext(context.Background(), statement); err != nil {
			return errors.Join(err, db.Close())
		}
	}
	return db.Close()
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
