package store

import (
	"database/sql/driver"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
)

// postgresConfig reads postgres://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS, with
// the options of libpq. Several hosts can be named; the one that takes writes is
// used.
func postgresConfig(rawURL, isolation string) (*pgx.ConnConfig, error) {
	cfg, err := pgx.ParseConfig(rawURL)
	if err != nil {
		return nil, errors.New("it is not as libpq reads it") // the error of pgx may quote a part of the password
	}
	if cfg.Database == "" {
		return nil, errors.New("it needs a host and a database")
	}
	if cfg.ConnectTimeout == 0 {
		cfg.ConnectTimeout = dialTimeout
	}
	for name, value := range map[string]string{
		"application_name": "restock", "lock_timeout": millis(lockTimeout), "statement_timeout": millis(actTimeout),
		"idle_in_transaction_session_timeout": millis(2 * actTimeout), "default_transaction_isolation": isolation,
	} {
		if _, given := cfg.RuntimeParams[name]; !given || name == "default_transaction_isolation" {
			cfg.RuntimeParams[name] = value
		}
	}
	return cfg, nil
}

func millis(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

func postgresConnectors(rawURL string) (connectors, error) {
	acting, err := postgresConfig(rawURL, "read committed")
	if err != nil {
		return connectors{}, err
	}
	if len(acting.Fallbacks) > 0 && acting.ValidateConnect == nil {
		acting.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsReadWrite
	}
	reading, err := postgresConfig(rawURL, "repeatable read")
	if err != nil {
		return connectors{}, err
	}
	reading.ValidateConnect = acting.ValidateConnect
	schema := acting.Copy()
	delete(schema.RuntimeParams, "statement_timeout")
	delete(schema.RuntimeParams, "lock_timeout")
	delete(schema.RuntimeParams, "idle_in_transaction_session_timeout")
	return connectors{acting: stdlib.GetConnector(*acting), reading: stdlib.GetConnector(*reading), schema: stdlib.GetConnector(*schema)}, nil
}

// What PostgreSQL says, by SQLSTATE.
const (
	pgUnique        = "23505"
	pgDeadlock      = "40P01"
	pgSerialization = "40001"
	pgReadOnly      = "25006"
	pgShutdownClass = "57P" // by an administrator, by a crash, or it is not up yet
	pgConnection    = "08"
)

func judgePostgres(err error) trouble {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch {
		case e.Code == pgUnique:
			return collision
		case e.Code == pgDeadlock || e.Code == pgSerialization:
			return deadlock
		case e.Code == pgReadOnly:
			return readOnly
		case strings.HasPrefix(e.Code, pgShutdownClass) || strings.HasPrefix(e.Code, pgConnection):
			return lost
		}
		return otherTrouble
	}
	if errors.Is(err, driver.ErrBadConn) || pgconn.SafeToRetry(err) || isBroken(err) {
		return lost
	}
	return otherTrouble
}
