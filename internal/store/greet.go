package store

import (
	"context"
	"database/sql"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// meet refuses a server that lacks what the statements need, and complains about
// a clock that is not that of this process.
func (a address) meet(ctx context.Context, db *sql.DB, log *slog.Logger, now func() time.Time) error {
	query := `SELECT current_setting('server_version'), CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)`
	switch a.dialect {
	case sqlqueue.SQLite:
		return nil // it is linked in, and has no clock
	case sqlqueue.MySQL:
		query = `SELECT VERSION(), CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS SIGNED)`
	case sqlqueue.PostgreSQL:
	}
	var version string
	var at int64
	asked := now()
	if err := db.QueryRowContext(ctx, query).Scan(&version, &at); err != nil {
		return fmt.Errorf("meet %s: %w", a.shown, err)
	}
	answered := now()
	clock := time.UnixMicro(at)
	if skew := max(asked.Sub(clock), clock.Sub(answered)); skew > clockSkewMax {
		log.Warn("the clock of the database server is another one; let both follow the same NTP server", "database", a.shown, "skew", skew)
	}
	return requireVersion(a.dialect, version)
}

// requireVersion refuses a server that is too old for SKIP LOCKED and CHECK.
func requireVersion(d sqlqueue.Dialect, version string) error {
	name, least := "PostgreSQL", [2]int{12, 0}
	switch {
	case d == sqlqueue.MySQL && strings.Contains(version, "MariaDB"):
		name, least = "MariaDB", [2]int{10, 6}
		version = strings.TrimPrefix(version, "5.5.5-") // what MariaDB said to old replicas
	case d == sqlqueue.MySQL:
		name, least = "MySQL", [2]int{8, 0}
	}
	major, rest, _ := strings.Cut(version, ".")
	minor, _, _ := strings.Cut(rest, ".")
	has := [2]int{leadingNumber(major), leadingNumber(minor)}
	if has[0] > least[0] || has[0] == least[0] && has[1] >= least[1] {
		return nil
	}
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, "the database server is %s %s; restock needs %[1]s %[3]d.%[4]d or newer",
		name, version, least[0], least[1])
}

func leadingNumber(s string) int {
	end := strings.IndexFunc(s, func(r rune) bool { return r < '0' || r > '9' })
	if end >= 0 {
		s = s[:end]
	}
	n, _ := strconv.Atoi(s) // none is 0
	return n
}
