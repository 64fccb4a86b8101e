package store_test

import (
	"database/sql"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/internal/store/storetest"
	"github.com/restock/restock/test/servers"
)

// serverDatabases opens databases on a private server, and remembers which
// belongs to which store.
type serverDatabases struct {
	database func(t *testing.T) string
	raw      func(address string) (driver, dsn string)
	// uncheck drops what keeps plain SQL from spoiling rows.
	uncheck func(t *testing.T, db *sql.DB)
	blob    func(text string) string
	urls    sync.Map
}

func mariaDBs() *serverDatabases {
	d := mysqls(servers.MariaDB, "&check_constraint_checks=0")
	d.uncheck = func(*testing.T, *sql.DB) {} // its sessions check nothing
	return d
}

func mysqls(database func(testing.TB) string, unchecked string) *serverDatabases {
	return &serverDatabases{
		database: func(t *testing.T) string { t.Helper(); return database(t) },
		raw: func(address string) (string, string) {
			u, _ := url.Parse(address) // it is ours
			return "mysql", u.User.Username() + "@tcp(" + u.Host + ")" + u.Path +
				"?foreign_key_checks=0" + unchecked + "&sql_mode=%27ANSI_QUOTES,PIPES_AS_CONCAT%27"
		},
		uncheck: func(t *testing.T, db *sql.DB) {
			t.Helper()
			drop(t, db, `SELECT 'ALTER TABLE ' || table_name || ' DROP CHECK ' || constraint_name FROM information_schema.table_constraints
				WHERE constraint_type = 'CHECK' AND table_schema = DATABASE()`)
		},
	}
}

func postgreSQLs() *serverDatabases {
	return &serverDatabases{
		database: emptyPostgreSQL,
		raw: func(address string) (string, string) {
			return "pgx", address + "&session_replication_role=replica"
		},
		uncheck: dropChecks,
		blob:    func(text string) string { return fmt.Sprintf("'\\x%x'::bytea", text) },
	}
}

// emptySchema is a database with the schema, of which others are copies: the
// schema is what takes long.
//
//nolint:gochecknoglobals // it is made once for the server that all tests share.
var emptySchema struct {
	once sync.Once
	url  string
}

func emptyPostgreSQL(t *testing.T) string {
	t.Helper()
	emptySchema.once.Do(func() {
		address := servers.PostgreSQL(noCleanup{t})
		s, err := store.Open(t.Context(), address, store.Config{})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		emptySchema.url = address
	})
	return servers.PostgreSQLCopy(t, emptySchema.url)
}

// noCleanup keeps what a test makes for the others.
type noCleanup struct{ *testing.T }

func (noCleanup) Cleanup(func()) {}

func dropChecks(t *testing.T, db *sql.DB) {
	t.Helper()
	drop(t, db, `SELECT 'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname)
		FROM pg_constraint WHERE contype = 'c' AND conrelid <> 0`)
}

// drop runs the statements that a query gives.
func drop(t *testing.T, db *sql.DB, query string) {
	t.Helper()
	for _, statement := range lines(t, db, query) {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
}

func (d *serverDatabases) open(t *testing.T, cfg store.Config) *store.Store {
	t.Helper()
	address := d.database(t)
	s, err := store.Open(t.Context(), address, cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	d.urls.Store(s, address)
	return s
}

// plain checks no constraint on MariaDB, and no foreign key on PostgreSQL.
func (d *serverDatabases) plain(t *testing.T, s *store.Store) *sql.DB {
	t.Helper()
	address, _ := d.urls.Load(s)
	driver, dsn := d.raw(address.(string))
	return openDSN(t, driver, dsn)
}

// checked is plain SQL as anybody has it.
func (d *serverDatabases) checked(t *testing.T, s *store.Store) *sql.DB {
	t.Helper()
	address, _ := d.urls.Load(s)
	driver, dsn := d.raw(address.(string))
	for _, loose := range []string{"foreign_key_checks=0&", "check_constraint_checks=0&", "&session_replication_role=replica"} {
		dsn = strings.Replace(dsn, loose, "", 1)
	}
	return openDSN(t, driver, dsn)
}

func openDSN(t *testing.T, driver, dsn string) *sql.DB {
	t.Helper()
	db, err := sql.Open(driver, dsn)
	if err != nil {
		t.Fatal(err)
	}
	db.SetMaxIdleConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func (d *serverDatabases) unchecked(t *testing.T, s *store.Store) *sql.DB {
	t.Helper()
	db := d.plain(t, s)
	d.uncheck(t, db)
	return db
}

func (d *serverDatabases) all() storetest.Databases {
	return storetest.Databases{Open: d.open, Raw: d.plain, Unchecked: d.unchecked, Blob: d.blob}
}

func TestConformanceOnMariaDB(t *testing.T) {
	t.Parallel()
	storetest.Run(t, mariaDBs().all())
}

func TestConformanceOnPostgreSQL(t *testing.T) {
	t.Parallel()
	storetest.Run(t, postgreSQLs().all())
}
