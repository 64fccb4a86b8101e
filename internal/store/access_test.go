package store_test

import (
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

// TestTheConnectionToTheServerIsPrivate: with TLS that is asked for, a server
// that nobody vouches for is refused, and one that is vouched for is used.
func TestTheConnectionToTheServerIsPrivate(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		start            func(testing.TB) (*servers.Server, string)
		strict, trusting string
		private          string // the cipher of a connection
	}{
		"MariaDB": {
			start: servers.TLSMariaDB, strict: "tls=true", trusting: "tls-ca=%s", private: `SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS WHERE VARIABLE_NAME = 'Ssl_cipher'`,
		},
		"PostgreSQL": {
			start: servers.TLSPostgreSQL, strict: "sslmode=verify-full", trusting: "sslmode=verify-full&sslrootcert=%s",
			private: `SELECT COALESCE(cipher, '') FROM pg_stat_ssl WHERE pid = pg_backend_pid()`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server, authority := c.start(t)
			u, err := url.Parse(server.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			u.RawQuery = c.strict
			if s, err := store.Open(t.Context(), u.String(), store.Config{}); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Errorf("with a certificate that nobody vouches for: %v, %v", s, err)
			}
			u.RawQuery = fmt.Sprintf(c.trusting, url.QueryEscape(filepath.Join(t.TempDir(), "none.pem")))
			if _, err := store.Open(t.Context(), u.String(), store.Config{}); err == nil {
				t.Error("it did not mind that there is no such file")
			}
			u.RawQuery = fmt.Sprintf(c.trusting, url.QueryEscape(authority))
			s := openURL(t, u.String())
			fill(t, s, donut("A", 10))
			outcomes, err := s.Sell(t.Context(), []restock.Cart{cartOf("A")})
			if err != nil || outcomes[0].Err != nil {
				t.Fatal(err, outcomes)
			}
			if cipher := s.Text(t, c.private); cipher == "" {
				t.Error("the connection is not encrypted")
			}
		})
	}
}

// grants are the statements of a file in deploy/grants, for a database of a test.
// Names and passwords are those of the test, and nobody has TLS there.
func grants(t *testing.T, file, database string) []string {
	t.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "deploy", "grants", file))
	if err != nil {
		t.Fatal(err)
	}
	var code []string
	for line := range strings.Lines(string(text)) {
		if !strings.HasPrefix(strings.TrimSpace(line), "--") {
			code = append(code, line)
		}
	}
	changed := strings.NewReplacer("`restock`", "`"+database+"`", "restock_owner", database+"_owner", "'restock'@", "'"+database+"_serves'@",
		"ROLE restock ", "ROLE "+database+"_serves ", "TO restock;", "TO "+database+"_serves;", " REQUIRE SSL", "").Replace(strings.Join(code, ""))
	var statements []string
	for statement := range strings.SplitSeq(changed, ";") {
		if strings.TrimSpace(statement) != "" {
			statements = append(statements, statement)
		}
	}
	return statements
}

// TestTheShopRunsWithTheLeastPrivileges: one user makes the schema, and another
// one, who can do no more than read and write rows, does everything else.
func TestTheShopRunsWithTheLeastPrivileges(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		file     string
		database func(testing.TB) string
	}{"MariaDB": {"mysql.sql", servers.MariaDB}, "PostgreSQL": {"postgres.sql", servers.PostgreSQL}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			u, err := url.Parse(c.database(t))
			if err != nil {
				t.Fatal(err)
			}
			database := strings.Trim(u.Path, "/")
			admin, err := servers.Open(u.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = admin.Close() }) // its server may be gone
			for _, statement := range grants(t, c.file, database) {
				if _, err := admin.ExecContext(t.Context(), statement); err != nil {
					t.Fatalf("%s: %v", statement, err)
				}
			}
			owner, serves := *u, *u
			owner.User, serves.User = url.UserPassword(database+"_owner", "CHANGE-ME-1"), url.UserPassword(database+"_serves", "CHANGE-ME-2")
			if s, err := store.Open(t.Context(), serves.String(), store.Config{}); err == nil {
				t.Error("who serves could make the schema", s.Close())
			}
			if _, err := store.Migrate(t.Context(), owner.String(), false, quiet()); err != nil {
				t.Fatal(err)
			}
			s := openURL(t, serves.String())
			fill(t, s, donut("A", 60), donut("B", 60), donut("C", 60))
			a := &actor{t: t, s: s, random: rand.New(rand.NewPCG(3, 4)), skus: []restock.SKU{"A", "B", "C"}, name: "actor"}
			for range 150 {
				a.act()
			}
			wantClean(t, s)
			plain, err := servers.Open(serves.String())
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = plain.Close() }) // as above
			for _, statement := range []string{`DROP TABLE movements`, `ALTER TABLE movements ADD COLUMN x INT`, `CREATE TABLE x (y INT)`, `TRUNCATE TABLE movements`} {
				if _, err := plain.ExecContext(t.Context(), statement); err == nil {
					t.Errorf("who serves could %s", statement)
				}
			}
		})
	}
}
