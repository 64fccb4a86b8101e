package servers

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

//nolint:gochecknoglobals // a server is started once for each test binary.
var sharedMySQL shared

// MySQL gives the address of a new, empty database on a MySQL that all tests of
// the binary share. Debian has it in unstable alone; it is fetched from there,
// with all that it needs, into a folder of its own, and nothing is installed.
func MySQL(tb testing.TB) string {
	tb.Helper()
	return sharedMySQL.get(tb, mySQL{}).Database(tb)
}

type mySQL struct{}

// find gives the folder with the whole system that MySQL runs in.
func (mySQL) find() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "restock-test-mysql")
	if err := os.MkdirAll(folder, ownerOnly); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(filepath.Join(folder, "lock"), os.O_CREATE|os.O_RDWR, ownerRead)
	if err != nil {
		return "", err
	}
	defer lock.Close() // and with it the lock
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		return "", err
	}
	root := filepath.Join(folder, "root")
	if _, err := os.Stat(root); err == nil {
		return root, nil
	}
	if err := fetchMySQL(folder); err != nil {
		return "", fmt.Errorf("MySQL: %w", err)
	}
	return root, nil
}

const (
	keyring      = "/usr/share/keyrings/debian-archive-keyring.gpg"
	fetchTimeout = 5 * time.Minute
)

// fetchMySQL downloads packages with an apt that knows of nothing else, checks
// their signatures, and unpacks them.
func fetchMySQL(folder string) error {
	if _, err := os.Stat(keyring); err != nil {
		return errors.New("it is fetched on Debian alone")
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchTimeout)
	defer cancel()
	apt := filepath.Join(folder, "apt")
	for _, part := range []string{"lists/partial", "archives/partial", "etc"} {
		if err := os.MkdirAll(filepath.Join(apt, part), ownerOnly); err != nil {
			return err
		}
	}
	from, err := archive(ctx)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("Dir::Etc::sourcelist %q;\nDir::Etc::sourceparts \"/dev/null\";\nDir::State::lists %q;\nDir::State::status %q;\nDir::Cache %q;\nAPT::Sandbox::User \"root\";\n",
		apt+"/etc/sources.list", apt+"/lists", apt+"/status", apt)
	for name, text := range map[string]string{
		"etc/sources.list": "deb [signed-by=" + keyring + "] " + from + " sid main\n", "status": "", "apt.conf": config,
	} {
		if err := os.WriteFile(filepath.Join(apt, name), []byte(text), ownerRead); err != nil {
			return err
		}
	}
	for _, args := range [][]string{{"update"}, {"install", "-y", "--no-install-recommends", "--download-only", "mysql-server-core"}} {
		cmd := exec.CommandContext(ctx, "apt-get", args...)
		cmd.Env = append(os.Environ(), "APT_CONFIG="+filepath.Join(apt, "apt.conf"), "DEBIAN_FRONTEND=noninteractive")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("apt-get %s: %w\n%s", strings.Join(args, " "), err, out)
		}
	}
	packages, err := filepath.Glob(filepath.Join(apt, "archives", "*.deb"))
	if err != nil {
		return err
	}
	unpacked := filepath.Join(folder, "unpacked")
	for _, p := range packages {
		if err := run(ctx, "dpkg-deb", "-x", p, unpacked); err != nil {
			return err
		}
	}
	return errors.Join(os.Rename(unpacked, filepath.Join(folder, "root")), os.RemoveAll(apt))
}

// archive is where this machine gets Debian's packages from.
func archive(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "apt-get", "indextargets", "--format", "$(REPO_URI) $(LABEL) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return "", fmt.Errorf("apt-get indextargets: %w", err)
	}
	for line := range strings.Lines(string(out)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[1] == "Debian" && fields[2] == "main" {
			return fields[0], nil
		}
	}
	return "", errors.New("apt-get knows no archive of Debian; run apt-get update")
}

// program runs MySQL with the libraries that were fetched with it.
func (mySQL) program(root string, options ...string) ([]string, error) {
	loaders, err := filepath.Glob(filepath.Join(root, "usr/lib*/ld-linux-*.so.*"))
	if err != nil || len(loaders) == 0 {
		return nil, fmt.Errorf("MySQL for %s has no loader in %s: %w", runtime.GOARCH, root, err)
	}
	libraries, err := filepath.Glob(filepath.Join(root, "usr/lib/*-linux-gnu"))
	if err != nil {
		return nil, err
	}
	libraries = append(libraries, filepath.Join(root, "usr/lib/mysql/private"))
	return append([]string{
		loaders[0], "--library-path", strings.Join(libraries, ":"), filepath.Join(root, "usr/sbin/mysqld"), "--no-defaults",
		"--basedir=" + filepath.Join(root, "usr"), "--lc-messages-dir=" + filepath.Join(root, "usr/share/mysql"), "--user=" + userName(),
	}, options...), nil
}

func (m mySQL) prepare(ctx context.Context, root, folder string) error {
	if err := os.Mkdir(temporaryFolder(folder), ownerOnly); err != nil {
		return err
	}
	argv, err := m.program(root, "--initialize-insecure", "--secure-file-priv=NULL", "--datadir="+dataFolder(folder), "--tmpdir="+temporaryFolder(folder))
	if err != nil {
		return err
	}
	// Its administrator may come from its own socket alone.
	const administrator = "CREATE USER IF NOT EXISTS root@'127.0.0.1';\nGRANT ALL ON *.* TO root@'127.0.0.1' WITH GRANT OPTION;\n"
	return errors.Join(os.WriteFile(filepath.Join(folder, "init.sql"), []byte(administrator), ownerRead), run(ctx, argv...))
}

func (m mySQL) command(root, folder string, port int) ([]string, string) {
	argv, err := m.program(root, "--datadir="+dataFolder(folder), "--tmpdir="+temporaryFolder(folder), "--socket="+folder+"/socket", "--pid-file="+folder+"/pid",
		"--bind-address=127.0.0.1", "--port="+strconv.Itoa(port), "--mysqlx=OFF", "--init-file="+filepath.Join(folder, "init.sql"), "--secure-file-priv=NULL", "--skip-name-resolve", "--max-connections=400", "--skip-log-bin",
		"--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=1", "--performance-schema=OFF")
	if err != nil {
		return []string{"echo", err.Error()}, "KILL" // it says why it does not start
	}
	return argv, "KILL"
}

func (mySQL) url(port int, database string) string { return mariaDB{}.url(port, database) }

func (mySQL) exec(ctx context.Context, port int, statement string) error {
	return mariaDB{}.exec(ctx, port, statement)
}
