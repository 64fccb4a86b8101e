package store

import (
	"testing"
	"testing/fstest"

	"github.com/restock/restock/internal/queue/sqlqueue"
	"github.com/restock/restock/test/servers"
)

// TestAStepThatWasDoneAndNotNotedIsNotedOnMySQL: DDL commits by itself, and the
// process ended right after.
func TestAStepThatWasDoneAndNotNotedIsNotedOnMySQL(t *testing.T) {
	t.Parallel()
	const head = "-- +goose NO TRANSACTION\n-- +goose Up\n"
	step := func(statement string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(head + statement)} }
	steps := fstest.MapFS{
		"00101_a.sql": step(`CREATE TABLE IF NOT EXISTS a (x BIGINT NOT NULL PRIMARY KEY);`),
		"00201_a.sql": step(`ALTER TABLE a ADD COLUMN y BIGINT;`),
		"00202_a.sql": step(`CREATE INDEX a_y ON a (y);`),
		"00203_a.sql": step(`ALTER TABLE a ADD CONSTRAINT a_y_some CHECK (y > 0);`),
		"00204_a.sql": step(`ALTER TABLE a DROP COLUMN y;`),
		"00301_a.sql": step(`ALTER TABLE a ADD COLUMN z BIGINT;`),
	}
	db, err := servers.Open(servers.MariaDB(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() }) // it may be closed by its server
	up := func(only ...string) error {
		part := fstest.MapFS{}
		for _, name := range only {
			part[name] = steps[name]
		}
		h, err := openHistory(sqlqueue.MySQL, db, "versions", part)
		if err != nil {
			t.Fatal(err)
		}
		return h.up(t.Context(), db)
	}
	var done []string
	for _, name := range []string{"00101_a.sql", "00201_a.sql", "00202_a.sql", "00203_a.sql", "00204_a.sql", "00301_a.sql"} {
		done = append(done, name)
		if err := up(done...); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if name == "00203_a.sql" { // its column cannot go before it
			if _, err := db.ExecContext(t.Context(), `ALTER TABLE a DROP CONSTRAINT a_y_some`); err != nil {
				t.Fatal(err)
			}
			continue
		}
		// What was not noted is done once more.
		if _, err := db.ExecContext(t.Context(), `DELETE FROM versions WHERE version_id = (SELECT v.last FROM (SELECT MAX(version_id) AS last FROM versions) v)`); err != nil {
			t.Fatal(err)
		}
		if err := up(done...); err != nil {
			t.Errorf("%s once more: %v", name, err)
		}
		var last int64
		if err := db.QueryRowContext(t.Context(), `SELECT MAX(version_id) FROM versions`).Scan(&last); err != nil || last == 0 {
			t.Errorf("%s is not noted: %d, %v", name, last, err)
		}
	}
	// What fails for another reason is not taken for done.
	steps["00401_a.sql"] = step(`ALTER TABLE nowhere ADD COLUMN y BIGINT;`)
	if err := up(append(done, "00401_a.sql")...); err == nil {
		t.Error("a step that cannot be done was noted")
	}
}
