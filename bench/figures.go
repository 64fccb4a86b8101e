package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// The requests of the load.
const (
	plainPost = `wrk.method = "POST"`
	hotPost   = `wrk.method = "POST"
wrk.body = '{"sku":"HOT"}'` // while an import changes the default product
	keyedPost = `
local n = 0
local seed = tostring(os.time()) .. tostring(math.random(1, 1e9))
request = function()
  n = n + 1
  return wrk.format("POST", nil, {["Idempotency-Key"] = seed .. n})
end`
)

const hotConnections = 64

// figure is one or more rows of the table.
type figure struct {
	name    string
	measure func(context.Context, *bench) error
}

func (b *bench) figures() []figure {
	if len(b.databases) > 0 {
		return []figure{{"database servers", measureDatabases}}
	}
	all := []figure{
		{"hot product", measureHot},
		{"hot product, a key on each", measureKeyed},
		{"lone buyer", measureLone},
		{"import beside sales", measureImport},
		{"last unit to factory", measureFactory},
		{"start, size and memory", measureProcess},
	}
	if b.large {
		all = append(all, figure{"large file", measureLarge})
	}
	return all
}

func measureHot(ctx context.Context, b *bench) error {
	return b.against(ctx, func(ours, nothing *server) error {
		for _, connections := range []int{hotConnections, 4 * hotConnections} {
			goal := "0.80"
			if connections != hotConnections {
				goal = "–"
			}
			what := fmt.Sprintf("durable checkouts a second, one hot product, %d connections, against the same server doing nothing", connections)
			if err := b.pair(ctx, what, goal, "/s", b.loads(ours.url+"/checkout", plainPost, connections),
				b.loads(nothing.url+"/checkout", plainPost, connections)); err != nil {
				return err
			}
		}
		return nil
	})
}

func measureKeyed(ctx context.Context, b *bench) error {
	return b.against(ctx, func(ours, nothing *server) error {
		return b.pair(ctx, "the same with an Idempotency-Key on each, 64 connections", "0.70", "/s",
			b.loads(ours.url+"/checkout", keyedPost, hotConnections), b.loads(nothing.url+"/checkout", keyedPost, hotConnections))
	})
}

// measureLone compares latencies, which at one connection are the inverse of
// the rates.
func measureLone(ctx context.Context, b *bench) error {
	return b.against(ctx, func(ours, nothing *server) error {
		return b.pair(ctx, "one buyer alone: latency of a checkout against the same route with one bare durable insert", "≤ 1.30", "/s of inserts, checkouts",
			b.loads(nothing.url+"/insert", plainPost, 1), b.loads(ours.url+"/checkout", plainPost, 1))
	})
}

// against runs both servers, one after the other under load.
func (b *bench) against(ctx context.Context, measure func(ours, nothing *server) error) (err error) {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	ours, err := b.restock(ctx, data)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, ours.stop()) }()
	nothing, err := b.nothing(ctx)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, nothing.stop()) }()
	return measure(ours, nothing)
}

func (b *bench) loads(url, script string, connections int) func(context.Context) (float64, error) {
	return func(ctx context.Context) (float64, error) { return b.load(ctx, url, script, connections) }
}

// importProducts is the size of the catalogue that is imported beside sales.
const importProducts = 1_000_000

// measureImport sells alone, and then while a large catalogue is imported.
func measureImport(ctx context.Context, b *bench) error {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	ours, err := b.restock(ctx, data)
	if err != nil {
		return err
	}
	defer func() { _ = ours.stop() }() // it was measured, or the error says why not
	alone := b.loads(ours.url+"/checkout", hotPost, hotConnections)
	var before, during []float64
	for range b.rounds {
		rate, err := alone(ctx)
		if err != nil {
			return err
		}
		before = append(before, rate)
	}
	file := filepath.Join(b.dir, "large.yaml")
	catalog, err := exec.CommandContext(ctx, b.binary, "catalog", "example", "--products", strconv.Itoa(importProducts)).Output()
	if err != nil {
		return err
	}
	if err := os.WriteFile(file, catalog, 0o600); err != nil {
		return err
	}
	start := time.Now()
	importing := exec.CommandContext(ctx, b.binary, "catalog", "apply", file, "--data", data)
	importing.Stdout, importing.Stderr = io.Discard, os.Stderr
	if err := importing.Start(); err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- importing.Wait() }()
	for {
		rate, err := alone(ctx)
		if err != nil {
			return err
		}
		select {
		case err := <-done:
			b.rows = append(b.rows, row{
				what: "checkouts a second while a million products are imported, against before", goal: "0.50", ratio: median(during) / median(before),
				detail: fmt.Sprintf("%.0f/s against %.0f; the import took %s", median(during), median(before), time.Since(start).Round(time.Second)),
			})
			return err
		default:
			during = append(during, rate)
		}
	}
}

// measureProcess starts on a database that was killed with -9 under load.
func measureProcess(ctx context.Context, b *bench) error {
	data, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	var starts []float64
	memory := ""
	for range b.rounds {
		begin := time.Now()
		ours, err := b.restock(ctx, data)
		if err != nil {
			return err
		}
		starts = append(starts, float64(time.Since(begin).Milliseconds()))
		if memory == "" {
			memory = residentMemory(ours.cmd.Process.Pid)
		}
		if _, err := b.load(ctx, ours.url+"/checkout", plainPost, hotConnections); err != nil {
			return err
		}
		if err := ours.cmd.Process.Kill(); err != nil {
			return err
		}
		_ = ours.cmd.Wait() // it was killed
	}
	size, err := os.Stat(b.binary)
	if err != nil {
		return err
	}
	const startGoal = 300
	b.rows = append(b.rows, row{
		what: "start to first answer after kill -9, of 300 ms", goal: "≤ 1.00", ratio: median(starts) / startGoal,
		detail: fmt.Sprintf("%.0f ms; binary %.1f MB; idle memory %s", median(starts), float64(size.Size())/1e6, memory),
	})
	return nil
}

func residentMemory(pid int) string {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return "unknown"
	}
	for line := range strings.SplitSeq(string(status), "\n") {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			return strings.TrimSpace(rest)
		}
	}
	return "unknown"
}

// The size of the large file.
const (
	largeProducts = 1_000_000
	largeSales    = 10_000_000
)

// measureLarge sells on a large file and on an empty one in turn.
func measureLarge(ctx context.Context, b *bench) (err error) {
	large, err := os.MkdirTemp(b.dir, "large-")
	if err != nil {
		return err
	}
	first, err := b.restock(ctx, large) // it makes the schema
	if err != nil {
		return err
	}
	if err := first.stop(); err != nil {
		return err
	}
	if err := fillLarge(ctx, filepath.Join(large, "restock.db")); err != nil {
		return err
	}
	full, err := b.restock(ctx, large)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, full.stop()) }()
	empty, err := os.MkdirTemp(b.dir, "data-")
	if err != nil {
		return err
	}
	fresh, err := b.restock(ctx, empty)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.stop()) }()
	return b.pair(ctx, "checkouts a second with 1,000,000 products and 10,000,000 sales in the file, against an empty one", "0.90", "/s",
		b.loads(full.url+"/checkout", plainPost, hotConnections), b.loads(fresh.url+"/checkout", plainPost, hotConnections))
}

// fillLarge writes rows as the service would have, without its durability.
func fillLarge(ctx context.Context, path string) error {
	db, err := sql.Open("sqlite3", "file:"+path+"?_pragma=journal_mode(wal)&_pragma=synchronous(off)&_pragma=cache_size(-200000)")
	if err != nil {
		return err
	}
	db.SetMaxOpenConns(1)
	for _, query := range []string{
		fmt.Sprintf(`INSERT INTO products (id, sku, slug, name, price, unit_cost, currency, opening_stock, on_hand, ordering,
			reorder_point, order_quantity, order_up_to, minimum_order, pack_size, maximum_stock, max_per_purchase, resume_level,
			open_orders_max, created_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			SELECT CAST(printf('%%016d', i) AS BLOB), 'SKU-' || i, 'sku-' || i, 'Product ' || i, 1000, 500, 'KRW', 100, 100, 'off',
				0, 0, 0, 1, 1, 0, 100, 1, 1, 1 FROM n`, largeProducts),
		fmt.Sprintf(`INSERT INTO sale_lines (sale_id, line, product_id, quantity, unit_price, currency, remaining, reference, sold_at)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)
			SELECT CAST(printf('%%016d', i) AS BLOB), 0, CAST(printf('%%016d', 1 + i %% %d) AS BLOB), 1, 1000, 'KRW', 5, '', 1000000 + i FROM n`,
			largeSales, largeProducts),
		`PRAGMA wal_checkpoint(TRUNCATE)`,
	} {
		if _, err := db.ExecContext(ctx, query); err != nil {
			return errors.Join(fmt.Errorf("fill the large file: %w", err), db.Close())
		}
	}
	return db.Close()
}
