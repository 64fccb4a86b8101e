package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"slices"
	"strconv"

	_ "github.com/jackc/pgx/v5/stdlib" // registers "pgx"
)

type postgreSQL struct{}

func (postgreSQL) find() (string, error) {
	if bin, ok := postgresFolder(); ok {
		return bin, nil
	}
	if err := Install("postgresql"); err != nil {
		return "", fmt.Errorf("PostgreSQL: %w", err)
	}
	if bin, ok := postgresFolder(); ok {
		return bin, nil
	}
	return "", errors.New("PostgreSQL: postgresql is installed and has no initdb")
}

// postgresFolder is where the newest version has both programs; some machines
// have only its libraries.
func postgresFolder() (string, bool) {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb") // the pattern is in order
	slices.Sort(found)
	slices.Reverse(found)
	if inPath, ok := firstOf("initdb"); ok {
		found = append(found, inPath)
	}
	for _, initdb := range found {
		folder := filepath.Dir(initdb)
		if _, ok := firstOf(filepath.Join(folder, "postgres")); ok {
			return folder, true
		}
	}
	return "", false
}

func (postgreSQL) prepare(ctx context.Context, bin, folder string) error {
	if os.Geteuid() == 0 {
		owner, err := unprivileged()
		if err != nil {
			return err
		}
		uid, _ := strconv.Atoi(owner.Uid) // they are numbers on Linux
		gid, _ := strconv.Atoi(owner.Gid)
		if err := os.Chown(folder, uid, gid); err != nil {
			return err
		}
	}
	return run(ctx, asOther(filepath.Join(bin, "initdb"), "-D", folder, "-U", "postgres", "-A", "trust", "--no-sync", "--locale=C.UTF-8", "-E", "UTF8")...)
}

// unprivileged is whom PostgreSQL runs as, since it refuses to run as root.
func unprivileged() (*user.User, error) {
	if u, err := user.Lookup("postgres"); err == nil {
		return u, nil
	}
	return user.Lookup("nobody")
}

func asOther(argv ...string) []string {
	if os.Geteuid() != 0 {
		return argv
	}
	u, err := unprivileged()
	if err != nil {
		return argv // it says itself that it does not run as root
	}
	return append([]string{"setpriv", "--reuid=" + u.Uid, "--regid=" + u.Gid, "--clear-groups", "--"}, argv...)
}

func (postgreSQL) command(bin, folder string, port int) ([]string, string) {
	return asOther(filepath.Join(bin, "postgres"), "-D", folder, "-p", strconv.Itoa(port),
		"-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories=", "-c", "max_connections=400",
		"-c", "fsync=on", "-c", "synchronous_commit=on", "-c", "shared_buffers=128MB"), "QUIT"
}

func (postgreSQL) url(port int, database string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", port, database)
}

func (p postgreSQL) exec(ctx context.Context, port int, statement string) error {
	return execOn(ctx, "pgx", p.url(port, "postgres"), statement)
}
