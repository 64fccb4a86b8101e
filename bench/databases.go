package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	_ "github.com/go-sql-driver/mysql" // asks a server for its settings
	_ "github.com/jackc/pgx/v5/stdlib" // the same

	"golang.org/x/sync/errgroup"
)

// measureDatabases sells one hot product from a database on a server: one
// process against the handler that does nothing, and two processes against one.
func measureDatabases(ctx context.Context, b *bench) error {
	keys := filepath.Join(b.dir, "callback-keys")
	if out, err := exec.CommandContext(ctx, b.binary, "callback-keys", "make", keys).CombinedOutput(); err != nil {
		return fmt.Errorf("make callback keys: %w\n%s", err, out)
	}
	for _, address := range b.databases {
		name, settings, err := askSettings(ctx, address)
		if err != nil {
			return err
		}
		b.settings = append(b.settings, name+": "+settings)
		if err := b.measureDatabase(ctx, name, address, keys); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (b *bench) measureDatabase(ctx context.Context, name, address, keys string) (err error) {
	var shops [2]*server
	for i := range shops {
		data, err := os.MkdirTemp(b.dir, "data-")
		if err != nil {
			return err
		}
		if shops[i], err = b.restock(ctx, data, "--db", address, "--callback-keys-file", keys); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, shops[i].stop()) }()
	}
	nothing, err := b.nothing(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nothing.stop()) }()
	one, two := shops[0].url+"/checkout", shops[1].url+"/checkout"
	what := fmt.Sprintf("durable checkouts a second, one hot product, %d connections, on %s, against the same server doing nothing", hotConnections, name)
	if err := b.pair(ctx, what, "0.60", "/s", b.loads(one, plainPost, hotConnections), b.loads(nothing.url+"/checkout", plainPost, hotConnections)); err != nil {
		return err
	}
	return b.pair(ctx, fmt.Sprintf("the same %d connections to two processes on %s, against one", hotConnections, name), "1.00", "/s",
		b.loadsBoth(one, two), b.loads(one, plainPost, hotConnections))
}

// loadsBoth shares the connections among two processes, and adds up their rates.
func (b *bench) loadsBoth(one, two string) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) {
		var rates [2]float64
		group, ctx := errgroup.WithContext(ctx)
		for i, address := range []string{one, two} {
			group.Go(func() (err error) {
				rates[i], err = b.load(ctx, address, plainPost, hotConnections/len(rates))
				return err
			})
		}
		err := group.Wait()
		return rates[0] + rates[1], err
	}
}

// askSettings says which server it is, and what its commits wait for.
func askSettings(ctx context.Context, address string) (name, settings string, err error) {
	u, err := url.Parse(address)
	if err != nil {
		return "", "", err
	}
	driver, dsn := "pgx", address
	query := `SELECT 'PostgreSQL ' || current_setting('server_version'),
		'fsync=' || current_setting('fsync') || ', synchronous_commit=' || current_setting('synchronous_commit') || ', wal_sync_method=' || current_setting('wal_sync_method')`
	if strings.HasPrefix(u.Scheme, "m") {
		driver, dsn = "mysql", u.User.String()+"@tcp("+u.Host+")"+u.Path
		query = `SELECT CONCAT(CASE WHEN VERSION() LIKE '%MariaDB%' THEN 'MariaDB ' ELSE 'MySQL ' END, VERSION()),
			CONCAT('innodb_flush_log_at_trx_commit=', @@innodb_flush_log_at_trx_commit, ', innodb_flush_method=', @@innodb_flush_method)`
	}
	db, err := sql.Open(driver, dsn)
	if err != nil {
		return "", "", err
	}
	err = db.QueryRowContext(ctx, query).Scan(&name, &settings)
	return name, settings, errors.Join(err, db.Close())
}
