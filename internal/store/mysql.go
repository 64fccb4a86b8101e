package store

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/go-sql-driver/mysql"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

const mysqlPort = "3306"

// mysqlConfig reads mysql://USER:PASSWORD@HOST:PORT/DATABASE?OPTIONS, with the
// driver's own options, such as tls=true, and tls-ca=FILE.
func mysqlConfig(u *url.URL) (*mysql.Config, error) {
	database := strings.Trim(u.Path, "/")
	if u.Hostname() == "" || database == "" || strings.Contains(database, "/") {
		return nil, errors.New("it needs a host and a database")
	}
	port := u.Port()
	if port == "" {
		port = mysqlPort
	}
	options, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return nil, errMySQLOptions()
	}
	authority := options.Get(mysqlAuthority)
	options.Del(mysqlAuthority)
	// The name and the password would need quoting in the driver's own form.
	cfg, err := mysql.ParseDSN("tcp(" + net.JoinHostPort(u.Hostname(), port) + ")/?" + options.Encode())
	if err != nil {
		return nil, errMySQLOptions()
	}
	if authority != "" {
		if cfg.TLS, err = trusting(authority, u.Hostname()); err != nil {
			return nil, err
		}
	}
	cfg.User, cfg.DBName = u.User.Username(), database
	cfg.Passwd, _ = u.User.Password()
	cfg.InterpolateParams = true // one round trip for each statement
	cfg.ClientFoundRows = true   // a row that matched counts, also when it was so already
	cfg.RejectReadOnly = true    // a primary that became a replica: the pool looks for the new one
	cfg.MultiStatements = false
	cfg.Collation = "utf8mb4_bin" // texts are compared by their bytes
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = dialTimeout, actTimeout, actTimeout
	cfg.Logger = &mysql.NopLogger{} // its errors come back to us
	if cfg.Params == nil {
		cfg.Params = map[string]string{}
	}
	cfg.Params["sql_mode"] = "'" + sqlqueue.MySQLMode + "'"
	cfg.Params["innodb_lock_wait_timeout"] = strconv.Itoa(int(lockTimeout.Seconds()))
	return cfg, nil
}

// errMySQLOptions says nothing of what was read: a password may stand there.
func errMySQLOptions() error {
	return errors.New("its options are not those of the MySQL driver, such as tls=true")
}

// mysqlAuthority names a file of certificates that vouch for the server, as
// sslrootcert does for PostgreSQL; without it those of the system do.
const mysqlAuthority = "tls-ca"

// trusting is TLS with a server that one of the certificates in a file vouches for.
func trusting(path, host string) (*tls.Config, error) {
	text, err := os.ReadFile(path) //nolint:gosec // the operator names it.
	if err != nil {
		return nil, fmt.Errorf("%s: %w", mysqlAuthority, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		return nil, fmt.Errorf("%s: %s has no certificate", mysqlAuthority, path)
	}
	return &tls.Config{RootCAs: roots, ServerName: host, MinVersion: tls.VersionTLS12}, nil
}

func mysqlConnectors(u *url.URL) (connectors, error) {
	cfg, err := mysqlConfig(u)
	if err != nil {
		return connectors{}, err
	}
	c, err := mysql.NewConnector(cfg)
	if err != nil {
		return connectors{}, fmt.Errorf("its options: %w", err)
	}
	patient := cfg.Clone()
	patient.ReadTimeout, patient.WriteTimeout = 0, 0
	patient.ParseTime = true // goose reads when a step was applied
	schema, err := mysql.NewConnector(patient)
	if err != nil {
		return connectors{}, fmt.Errorf("its options: %w", err)
	}
	return connectors{acting: isolated{c, "READ COMMITTED"}, reading: isolated{c, "REPEATABLE READ"}, schema: schema}, nil
}

// isolated opens connections of one isolation level. The variable has one name
// on MySQL 8 and another on MariaDB; this statement is the same on both.
type isolated struct {
	driver.Connector
	level string
}

func (i isolated) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := i.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	exec, ok := conn.(driver.ExecerContext)
	if !ok {
		return nil, errors.Join(fmt.Errorf("the connection is a %T", conn), conn.Close())
	}
	if _, err := exec.ExecContext(ctx, `SET SESSION TRANSACTION ISOLATION LEVEL `+i.level, nil); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// What MySQL and MariaDB say, by number.
const (
	mysqlDuplicate      = 1062
	mysqlDeadlock       = 1213
	mysqlChanged        = 1020 // MariaDB: the row was changed since the snapshot
	mysqlReadOnlyOption = 1290
	mysqlReadOnly       = 1792
	mysqlReadOnlyMode   = 1836
	mysqlShutdown       = 1053
	mysqlKilled         = 1927 // MariaDB
)

// What MySQL says of DDL whose effect is there already.
const (
	mysqlColumnThere = 1060
	mysqlKeyThere    = 1061
	mysqlNotThere    = 1091 // to be dropped
	mysqlCheckThere  = 3822 // MySQL 8
	mariaDBThere     = 1826 // a constraint
)

func isDoneAlready(err error) bool {
	e, ok := errors.AsType[*mysql.MySQLError](err)
	return ok && slices.Contains([]uint16{mysqlColumnThere, mysqlKeyThere, mysqlNotThere, mysqlCheckThere, mariaDBThere}, e.Number)
}

func judgeMySQL(err error) trouble {
	if e, ok := errors.AsType[*mysql.MySQLError](err); ok {
		switch e.Number {
		case mysqlDuplicate:
			return collision
		case mysqlDeadlock, mysqlChanged:
			return deadlock
		case mysqlReadOnlyOption, mysqlReadOnly, mysqlReadOnlyMode:
			return readOnly
		case mysqlShutdown, mysqlKilled:
			return lost
		}
		return otherTrouble
	}
	if errors.Is(err, driver.ErrBadConn) || errors.Is(err, mysql.ErrInvalidConn) || isBroken(err) {
		return lost
	}
	return otherTrouble
}

// isBroken reports an error of the network itself.
func isBroken(err error) bool {
	_, network := errors.AsType[net.Error](err)
	return network || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed)
}
