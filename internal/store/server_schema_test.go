package store_test

import (
	"database/sql"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

// onlyOnServers are the tables that an SQLite file does not need.
func onlyOnServers() []string { return []string{"turns"} }

// TestTheSchemaIsTheSameOnEveryDatabase compares tables, columns, what may be
// NULL, keys and foreign keys, so that a step that one database gets is not
// forgotten for another.
func TestTheSchemaIsTheSameOnEveryDatabase(t *testing.T) {
	t.Parallel()
	want := wantSchema(t)
	onServers(t, func(t *testing.T, d *serverDatabases) { wantSameSchema(t, d, want) })
}

// wantSchema is what SQLite has.
func wantSchema(t *testing.T) []string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "restock.db")
	s := openAt(t, path, store.Config{})
	want := sqliteSchema(t, openRaw(t, path))
	if len(want) < 100 {
		t.Fatalf("the schema of SQLite has only %d lines: %v", len(want), want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return want
}

func wantSameSchema(t *testing.T, d *serverDatabases, want []string) {
	t.Helper()
	s := d.open(t, store.Config{})
	if diff := cmp.Diff(want, serverSchema(t, d.plain(t, s))); diff != "" {
		t.Errorf("schema (-SQLite +server):\n%s", diff)
	}
}

func lines(t *testing.T, db *sql.DB, query string) []string {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), query)
	if err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	defer rows.Close()
	var all []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			t.Fatal(err)
		}
		all = append(all, line)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

func tidySchema(all []string) []string {
	all = slices.DeleteFunc(all, func(line string) bool {
		return strings.Contains(line, "goose") || strings.Contains(line, "sqlite_") ||
			slices.ContainsFunc(onlyOnServers(), func(table string) bool {
				return strings.HasPrefix(line, table+" ") || strings.HasPrefix(line, table+".")
			})
	})
	slices.Sort(all)
	return slices.Compact(all)
}

func sqliteSchema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	all := lines(t, db, `SELECT m.name || '.' || c.name || CASE WHEN c."notnull" = 1 OR c.pk > 0 THEN ' is never NULL' ELSE '' END
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table'`)
	all = append(all, lines(t, db, `SELECT m.name || '.' || f."from" || ' refers to ' || f."table"
		FROM sqlite_schema m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'`)...)
	all = append(all, lines(t, db, `SELECT m.name || ' has one row for each ' || (SELECT GROUP_CONCAT(name, ', ') FROM
			(SELECT c.name AS name FROM pragma_index_info(i.name) c ORDER BY c.seqno))
		FROM sqlite_schema m, pragma_index_list(m.name) i WHERE m.type = 'table' AND i."unique" = 1`)...)
	all = append(all, lines(t, db, `SELECT m.name || ' has one row for each ' || c.name
		FROM sqlite_schema m, pragma_table_info(m.name) c WHERE m.type = 'table' AND c.pk = 1
		AND (SELECT COUNT(*) FROM pragma_table_info(m.name) k WHERE k.pk > 0) = 1`)...)
	return tidySchema(all)
}

func serverSchema(t *testing.T, db *sql.DB) []string {
	t.Helper()
	const own = `table_schema IN (CASE WHEN 'x' = 'y' THEN '' ELSE %s END)`
	where, group := fmt.Sprintf(own, `DATABASE()`), `GROUP_CONCAT(k.column_name ORDER BY k.ordinal_position SEPARATOR ', ')`
	if strings.Contains(fmt.Sprintf("%T", db.Driver()), "stdlib") {
		where, group = fmt.Sprintf(own, `CURRENT_SCHEMA()`), `STRING_AGG(k.column_name, ', ' ORDER BY k.ordinal_position)`
	}
	all := lines(t, db, `SELECT table_name || '.' || column_name || CASE WHEN is_nullable = 'NO' THEN ' is never NULL' ELSE '' END
		FROM information_schema.columns WHERE table_name NOT IN ('sales') AND `+where)
	foreign := `SELECT k.table_name || '.' || k.column_name || ' refers to ' || k.referenced_table_name
		FROM information_schema.key_column_usage k WHERE k.referenced_table_name IS NOT NULL AND k.` + where
	if strings.Contains(where, "SCHEMA()") {
		foreign = `SELECT c.conrelid::regclass || '.' || a.attname || ' refers to ' || c.confrelid::regclass
			FROM pg_constraint c JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1] WHERE c.contype = 'f'`
	}
	all = append(all, lines(t, db, foreign)...)
	all = append(all, lines(t, db, `SELECT k.table_name || ' has one row for each ' || `+group+`
		FROM information_schema.table_constraints c JOIN information_schema.key_column_usage k
			ON k.constraint_name = c.constraint_name AND k.table_name = c.table_name AND k.table_schema = c.table_schema
		WHERE c.constraint_type IN ('PRIMARY KEY', 'UNIQUE') AND c.`+where+`
		GROUP BY k.table_name, c.constraint_name`)...)
	return tidySchema(all)
}

// TestCheckedRulesAreInTheSchemaOfEveryServer spoils rows by plain SQL: the
// database itself refuses.
func TestCheckedRulesAreInTheSchemaOfEveryServer(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		s := d.open(t, store.Config{})
		fill(t, s, donut("A", 5))
		buy(t, s, "A", 5, restock.Invalid)
		db := d.checked(t, s)
		for _, query := range []string{
			`UPDATE products SET on_hand = reserved - 1`,
			`UPDATE products SET reserved = -1`,
			`UPDATE products SET reserved = on_hand + 1`,
			`UPDATE products SET on_order = -1`,
			`UPDATE products SET ordering = 'perhaps'`,
			`UPDATE sale_lines SET returned = quantity + 1`,
			`UPDATE sale_lines SET quantity = 0`,
			`UPDATE movements SET on_hand_after = -1`,
			`UPDATE movements SET kind = 'gift'`,
			`UPDATE factories SET breaker = 'ajar'`,
			`DELETE FROM products`,
			`DELETE FROM queue_messages`,
			`UPDATE queue_deliveries SET receives = -1`,
			`UPDATE queue_deliveries SET state = 'lost'`,
		} {
			if _, err := db.ExecContext(t.Context(), query); err == nil {
				t.Errorf("%s: it was done", query)
			}
		}
		wantClean(t, s)
	})
}

// TestProcessesThatStartTogetherMakeOneSchema opens an empty database from
// several processes at once.
func TestProcessesThatStartTogetherMakeOneSchema(t *testing.T) {
	t.Parallel()
	for name, open := range map[string]func(testing.TB) string{"MariaDB": servers.MariaDB, "PostgreSQL": servers.PostgreSQL} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const processes = 4
			address := open(t)
			var mu sync.Mutex
			var opened []*store.Store
			crowd(processes, func(int) {
				s, err := store.Open(t.Context(), address, store.Config{})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				opened = append(opened, s)
			})
			for _, s := range opened {
				wantClean(t, s)
				if err := s.Close(); err != nil {
					t.Error(err)
				}
			}
			steps, err := store.Migrate(t.Context(), address, true, quiet())
			if err != nil || len(steps) == 0 || slices.ContainsFunc(steps, func(m store.Migration) bool { return !m.Applied }) {
				t.Errorf("steps %v, %v, want all applied", steps, err)
			}
		})
	}
}
