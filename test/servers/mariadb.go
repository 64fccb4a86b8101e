package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"

	_ "github.com/go-sql-driver/mysql" // registers "mysql"
)

type mariaDB struct{}

func (mariaDB) find() (string, error) {
	programs := []string{"mariadbd", "/usr/sbin/mariadbd", "mysqld", "/usr/sbin/mysqld"}
	if bin, ok := firstOf(programs...); ok {
		return bin, nil
	}
	if err := Install("mariadb-server"); err != nil {
		return "", fmt.Errorf("MariaDB: %w", err)
	}
	if bin, ok := firstOf(programs...); ok {
		return bin, nil
	}
	return "", errors.New("MariaDB: mariadb-server is installed and has no mariadbd")
}

func (mariaDB) prepare(ctx context.Context, _, folder string) error {
	program, ok := firstOf("mariadb-install-db", "mysql_install_db")
	if !ok {
		return errors.New("MariaDB: there is no mariadb-install-db")
	}
	// Its temporary files have names that others use in a common folder.
	if err := errors.Join(os.Mkdir(dataFolder(folder), ownerOnly), os.Mkdir(temporaryFolder(folder), ownerOnly)); err != nil {
		return err
	}
	return run(ctx, program, "--no-defaults", "--user="+userName(), "--datadir="+dataFolder(folder), "--tmpdir="+temporaryFolder(folder), "--auth-root-authentication-method=normal",
		"--skip-test-db", "--innodb-log-file-size="+logSize)
}

const ownerOnly = 0o700

func dataFolder(folder string) string { return filepath.Join(folder, "data") }

func temporaryFolder(folder string) string { return filepath.Join(folder, "tmp") }

func userName() string {
	if u, err := user.LookupId(strconv.Itoa(os.Geteuid())); err == nil {
		return u.Username
	}
	return strconv.Itoa(os.Geteuid())
}

const logSize = "64M"

func (mariaDB) command(bin, folder string, port int) ([]string, string) {
	return []string{
		bin, "--no-defaults", "--user=" + userName(), "--datadir=" + dataFolder(folder), "--tmpdir=" + temporaryFolder(folder), "--socket=" + folder + "/socket", "--pid-file=" + folder + "/pid",
		"--bind-address=127.0.0.1", "--port=" + strconv.Itoa(port), "--skip-name-resolve", "--max-connections=400",
		"--innodb-log-file-size=" + logSize, "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=1",
		"--performance-schema=off", "--skip-log-bin", "--table-definition-cache=20000", "--table-open-cache=20000",
	}, "KILL"
}

func (mariaDB) url(port int, database string) string {
	return fmt.Sprintf("mysql://root@127.0.0.1:%d/%s", port, database)
}

func (mariaDB) exec(ctx context.Context, port int, statement string) error {
	return execOn(ctx, "mysql", fmt.Sprintf("root@tcp(127.0.0.1:%d)/", port), statement)
}

func execOn(ctx context.Context, driver, dsn, statement string) error {
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return err
	}
	_, err = db.ExecContext(ctx, statement)
	return errors.Join(err, db.Close())
}
