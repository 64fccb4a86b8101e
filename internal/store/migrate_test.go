package store_test

import (
	"bytes"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

// heard is a log that others may read while it is written.
type heard struct {
	mu   sync.Mutex
	text bytes.Buffer
}

// Write notes a line.
func (h *heard) Write(p []byte) (int, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.text.Write(p)
}

func (h *heard) says(text string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return strings.Contains(h.text.String(), text)
}

func TestADryRunOnAServerChangesNothing(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := open(t)
			steps, err := store.Migrate(t.Context(), address, true, quiet())
			if err != nil || len(steps) == 0 || slices.ContainsFunc(steps, func(m store.Migration) bool { return m.Applied }) {
				t.Errorf("steps %v, %v; want all of them, and none applied", steps, err)
			}
			db, err := servers.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if there := lines(t, db, `SELECT table_name FROM information_schema.tables WHERE table_schema NOT IN
				('information_schema', 'pg_catalog', 'mysql', 'performance_schema', 'sys') AND table_name LIKE '%goose%'
				AND table_schema IN ('public', `+map[string]string{"MariaDB": `DATABASE()`, "PostgreSQL": `''`}[name]+`)`); len(there) > 0 {
				t.Errorf("a dry run made %v", there)
			}
		})
	}
}

// TestWhoMigratesSecondWaitsAndSaysForWhom, while an old process goes on selling.
func TestWhoMigratesSecondWaitsAndSaysForWhom(t *testing.T) {
	t.Parallel()
	locks := map[string][2]string{
		"MariaDB":    {`SELECT GET_LOCK(LEFT(CONCAT('restock schema of ', DATABASE()), 64), 10)`, `SELECT RELEASE_LOCK(LEFT(CONCAT('restock schema of ', DATABASE()), 64))`},
		"PostgreSQL": {`SELECT pg_advisory_lock(7264731625)`, `SELECT pg_advisory_unlock(7264731625)`},
	}
	onServers(t, func(t *testing.T, d *serverDatabases) {
		selling := d.open(t, store.Config{})
		fill(t, selling, donut("A", 100))
		address, _ := d.urls.Load(selling)
		conn, err := d.plain(t, selling).Conn(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		lock := locks[strings.TrimPrefix(t.Name(), "TestWhoMigratesSecondWaitsAndSaysForWhom/")]
		if _, err := conn.ExecContext(t.Context(), lock[0]); err != nil {
			t.Fatal(err)
		}
		said, migrated := &heard{}, make(chan error, 1)
		go func() {
			_, err := store.Migrate(t.Context(), address.(string), false, slog.New(slog.NewTextHandler(said, nil)))
			migrated <- err
		}()
		eventually(t, "it says that it waits", func() bool { return said.says("another process changes the schema") && said.says("connection=") })
		outcomes, err := selling.Sell(t.Context(), []restock.Cart{cartOf("A")})
		if err != nil || outcomes[0].Err != nil {
			t.Error("nobody can buy meanwhile:", err, outcomes)
		}
		select {
		case err := <-migrated:
			t.Errorf("it did not wait: %v", err)
		default:
		}
		if _, err := conn.ExecContext(t.Context(), lock[1]); err != nil {
			t.Fatal(err)
		}
		if err := <-migrated; err != nil {
			t.Error(err)
		}
	})
}
