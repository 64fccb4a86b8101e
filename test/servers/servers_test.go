package servers_test

import (
	"testing"

	"github.com/restock/restock/test/servers"
)

func TestAServerComesBackAfterItWasKilled(t *testing.T) {
	t.Parallel()
	for name, start := range map[string]func(testing.TB) *servers.Server{"MariaDB": servers.OwnMariaDB, "PostgreSQL": servers.OwnPostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := start(t)
			if err := s.Exec(t.Context(), `CREATE DATABASE kept`); err != nil {
				t.Fatal(err)
			}
			s.Kill()
			if err := s.Exec(t.Context(), `SELECT 1`); err == nil {
				t.Error("it answers after it was killed")
			}
			if err := s.Start(); err != nil {
				t.Fatal(err)
			}
			if err := s.Exec(t.Context(), `DROP DATABASE kept`); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestDatabasesAreApart(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a, b := open(t), open(t); a == b {
				t.Errorf("two databases at %s", a)
			}
		})
	}
}
