package store

import (
	"context"
	"net/url"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// address is a database address that was understood.
type address struct {
	dialect sqlqueue.Dialect
	path    string     // of an SQLite file
	connect connectors // to a server
	shown   string     // without the password
}

// CheckURL reports a database address that Open would not take.
func CheckURL(rawURL string) error {
	_, err := parseAddress(rawURL)
	return err
}

// OnServer reports whether an address is that of a database server, which many
// processes can use.
func OnServer(rawURL string) bool {
	a, err := parseAddress(rawURL)
	return err == nil && a.dialect != sqlqueue.SQLite
}

// Redact gives a database address without its password.
func Redact(rawURL string) string {
	if a, err := parseAddress(rawURL); err == nil {
		return a.shown
	}
	return redactURL(rawURL)
}

func parseAddress(rawURL string) (address, error) {
	if path, ok := strings.CutPrefix(rawURL, "sqlite:"); ok && path != "" {
		return address{dialect: sqlqueue.SQLite, path: path, shown: rawURL}, nil
	}
	u, err := url.Parse(rawURL)
	if err != nil {
		return address{}, errAddress(rawURL, "")
	}
	a := address{shown: u.Scheme + "://" + u.Host + u.Path}
	switch u.Scheme {
	case "mysql", "mariadb":
		a.dialect = sqlqueue.MySQL
		a.connect, err = mysqlConnectors(u)
	case "postgres", "postgresql":
		a.dialect = sqlqueue.PostgreSQL
		a.connect, err = postgresConnectors(rawURL)
	default:
		return a, errAddress(rawURL, "")
	}
	if err != nil {
		return a, errAddress(rawURL, ": "+err.Error())
	}
	return a, nil
}

func errAddress(rawURL, why string) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid,
		"database %q%s; use sqlite:PATH, mysql://USER:PASSWORD@HOST/DATABASE or postgres://USER:PASSWORD@HOST/DATABASE, for example sqlite:restock-data/restock.db",
		redactURL(rawURL), why)
}

// redactURL keeps only the kind of a database address: a password may be
// anywhere in one that cannot be read.
func redactURL(raw string) string {
	kind, _, ok := strings.Cut(raw, ":")
	if !ok {
		return raw
	}
	return kind + ":…"
}

func (a address) open(ctx context.Context, s *Store, cfg Config) (database, error) {
	judge := judgePostgres
	switch a.dialect {
	case sqlqueue.SQLite:
		return openSQLite(ctx, a.path, s, cfg)
	case sqlqueue.MySQL:
		judge = judgeMySQL
	case sqlqueue.PostgreSQL:
	}
	return openServer(s, a.dialect, judge, a.connect, cfg), nil
}
