package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // the bare insert
	"github.com/restock/restock/internal/web"
)

// startTimeout bounds how long a server may take to answer.
const startTimeout = 30 * time.Second

// server is a process under load.
type server struct {
	cmd *exec.Cmd
	url string
}

// start runs a command that serves at a free port and waits until it answers.
// args may have %s for the address.
func (b *bench) start(ctx context.Context, binary string, args ...string) (*server, error) {
	address, err := freeAddress(ctx)
	if err != nil {
		return nil, err
	}
	for i, arg := range args {
		if arg == "%s" {
			args[i] = address
		}
	}
	s := &server{cmd: exec.CommandContext(ctx, binary, args...), url: "http://" + address}
	s.cmd.Stderr = os.Stderr
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	return s, s.ready(ctx)
}

func (s *server) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	for {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.url+"/readyz", http.NoBody)
		if err != nil {
			return err
		}
		if response, err := http.DefaultClient.Do(request); err == nil {
			_ = response.Body.Close()
			return nil
		}
		if ctx.Err() != nil {
			return errors.New("the server does not answer")
		}
		time.Sleep(time.Millisecond)
	}
}

func (s *server) stop() error {
	if err := s.cmd.Process.Signal(os.Interrupt); err != nil {
		return err
	}
	return s.cmd.Wait()
}

func freeAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// restock starts the service on a data folder with one hot product, with more flags.
func (b *bench) restock(ctx context.Context, data string, more ...string) (*server, error) {
	catalog := filepath.Join(b.dir, "catalog.yaml")
	const text = "default_product: HOT\nproducts:\n  - {sku: HOT, slug: hot, name: Hot, price: 19900, opening_stock: 900000000}\n"
	if err := os.WriteFile(catalog, []byte(text), 0o600); err != nil {
		return nil, err
	}
	return b.start(ctx, b.binary, append([]string{"serve", "--listen", "%s", "--data", data, "--catalog", catalog, "--log-level", "warn"}, more...)...)
}

// nothing starts the handlers that selling is compared with.
func (b *bench) nothing(ctx context.Context) (*server, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	return b.start(ctx, self, "-nothing", "%s")
}

// answer is what a checkout answers, to the byte.
const answer = `{"message":"구매 완료! 남은 재고: 899999999","sale_id":"01a20676-d0f2-7aa6-bb66-d35a02102b56","items":[{"sku":"HOT",` +
	`"quantity":1,"unit_price":19900,"remaining":899999999}],"total":19900,"currency":"KRW","sold_at":"2026-11-23T03:32:59.762479Z"}` + "\n"

// serveNothing serves the same answer through the same server and middleware,
// once doing nothing for it, once with one bare durable insert.
func serveNothing(ctx context.Context, address string) error {
	insert, closeDB, err := bareInsert(ctx)
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	reply := func(w http.ResponseWriter, r *http.Request, do func(context.Context) error) {
		if _, err := io.Copy(io.Discard, r.Body); err != nil {
			return
		}
		if err := do(r.Context()); err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, answer)
	}
	mux.HandleFunc("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		reply(w, r, func(context.Context) error { return nil })
	})
	mux.HandleFunc("POST /insert", func(w http.ResponseWriter, r *http.Request) { reply(w, r, insert) })
	mux.HandleFunc("GET /readyz", func(http.ResponseWriter, *http.Request) {})
	logger := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	s := web.NewServer(web.Config{Handler: web.Log(web.Headers(mux), web.LogConfig{Logger: logger}), Logger: logger})
	if err := s.Listen(ctx, address); err != nil {
		return err
	}
	return errors.Join(s.Run(ctx), closeDB())
}

// bareInsert is one row in a transaction of its own, with synchronous=FULL.
func bareInsert(ctx context.Context) (func(context.Context) error, func() error, error) {
	dir, err := os.MkdirTemp("", "restock-bench-insert-")
	if err != nil {
		return nil, nil, err
	}
	db, err := sql.Open("sqlite3", "file:"+dir+"/bare.db?_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)")
	if err != nil {
		return nil, nil, err
	}
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE sold (id INTEGER PRIMARY KEY, sku TEXT NOT NULL, at INTEGER NOT NULL)`); err != nil {
		return nil, nil, err
	}
	stmt, err := db.PrepareContext(ctx, `INSERT INTO sold (sku, at) VALUES ('HOT', ?)`)
	if err != nil {
		return nil, nil, err
	}
	insert := func(ctx context.Context) error {
		_, err := stmt.ExecContext(ctx, time.Now().UnixMicro())
		return err
	}
	return insert, func() error { return errors.Join(stmt.Close(), db.Close(), os.RemoveAll(dir)) }, nil
}

// load sends POST requests as fast as they are answered and gives their rate.
func (b *bench) load(ctx context.Context, url, script string, connections int) (float64, error) {
	dir, err := os.MkdirTemp(b.dir, "load-") // others may load at the same time
	if err != nil {
		return 0, err
	}
	file := filepath.Join(dir, "post.lua")
	if err := os.WriteFile(file, []byte(script), 0o600); err != nil {
		return 0, err
	}
	out, err := exec.CommandContext(ctx, "wrk", "-t1", "-c"+strconv.Itoa(connections), "-d"+strconv.Itoa(int(b.length.Seconds()))+"s",
		"-s", file, url).CombinedOutput()
	if err != nil {
		return 0, fmt.Errorf("wrk: %w\n%s", err, out)
	}
	if regexp.MustCompile(`Non-2xx|Socket errors`).Match(out) {
		return 0, fmt.Errorf("not every request was answered 2xx:\n%s", out)
	}
	m := regexp.MustCompile(`Requests/sec:\s+([0-9.]+)`).FindSubmatch(out)
	if m == nil {
		return 0, fmt.Errorf("wrk printed no rate:\n%s", out)
	}
	return strconv.ParseFloat(string(m[1]), 64)
}
