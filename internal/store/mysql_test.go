package store_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/store/storetest"
	"github.com/restock/restock/test/servers"
)

// TestMySQLKeepsTheSamePromises: most tests of this package run on MariaDB, which
// takes some things that MySQL does not. Here MySQL itself has the same schema,
// does all acts at once, and takes and gives a whole shop. Its schema takes long to
// make, so only make soak runs the whole suite there.
func TestMySQLKeepsTheSamePromises(t *testing.T) {
	t.Parallel()
	soak := os.Getenv("RESTOCK_TEST_SOAK") == "1"
	if !soak && os.Getenv("RESTOCK_TEST_FULL") != "1" {
		t.Skip("MySQL has to be fetched; make check does")
	}
	d := mysqls(servers.MySQL, "")
	t.Run("the schema", func(t *testing.T) { wantSameSchema(t, d, wantSchema(t)) })
	t.Run("all acts at once", func(t *testing.T) { allActsAtOnce(t, d) })
	t.Run("a shop moves there and back", func(t *testing.T) {
		to, backup := d.database(t), filepath.Join(t.TempDir(), "restock.db")
		if done, err := store.Move(t.Context(), "sqlite:"+copyOf(t, closedShop(t)), to, ignoreProgress); err != nil || done.Broken() {
			t.Fatal(done, err)
		}
		wantGoesOn(t, openURL(t, to))
		if err := store.BackUp(t.Context(), to, backup, ignoreProgress); err != nil {
			t.Fatal(err)
		}
		wantClean(t, openAt(t, backup, store.Config{}))
	})
	if soak {
		storetest.Run(t, d.all())
	}
}
