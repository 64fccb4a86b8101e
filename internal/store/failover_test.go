package store_test

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/store"
	"github.com/restock/restock/test/servers"
)

func ownServers() map[string]func(testing.TB) *servers.Server {
	return map[string]func(testing.TB) *servers.Server{"MariaDB": servers.OwnMariaDB, "PostgreSQL": servers.OwnPostgreSQL}
}

func openURL(t *testing.T, address string) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), address, store.Config{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeOpen(t, s) })
	return s
}

// patience bounds the wait for what a server does in its own time; only what is
// broken uses it up.
const patience = 5 * time.Minute

// sellsAgain waits until a store sells, without being opened anew.
func sellsAgain(t *testing.T, s *store.Store) {
	t.Helper()
	const pause = 10 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		outcomes, err := s.Sell(ctx, []restock.Cart{cartOf("A")})
		if err == nil && outcomes[0].Err == nil {
			return
		}
		if err != nil && restock.KindOf(err) != restock.Unavailable {
			t.Errorf("error %v while it is away, want of kind Unavailable", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			t.Fatalf("it does not sell again: %v", err)
		}
	}
}

// TestAServerThatIsKilledAndComesBack kills the server in the middle of sales.
// What was answered is there afterwards, and the store goes on by itself.
func TestAServerThatIsKilledAndComesBack(t *testing.T) {
	t.Parallel()
	for name, start := range ownServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const buyers, stock = 16, 1_000_000
			server := start(t)
			s := openURL(t, server.Database(t))
			fill(t, s, donut("A", stock))
			var sold, unknown atomic.Int64
			ctx, stop := context.WithCancel(t.Context())
			enough := make(chan struct{})
			stopped := make(chan struct{})
			go func() {
				defer close(stopped)
				crowd(buyers, func(int) {
					for ctx.Err() == nil {
						outcomes, err := s.Sell(context.WithoutCancel(ctx), []restock.Cart{cartOf("A")})
						switch {
						case err == nil && outcomes[0].Err == nil:
							if sold.Add(1) == 200 {
								close(enough)
							}
						case err != nil && restock.KindOf(err) == restock.Unavailable:
							unknown.Add(1)
						default:
							t.Error(err, outcomes)
						}
					}
				})
			}()
			<-enough
			server.Kill()
			_, err := s.Product(t.Context(), "A")
			if restock.KindOf(err) != restock.Unavailable || err == nil {
				t.Errorf("a look while it is away: %v, want an error of kind Unavailable", err)
			}
			stop()
			<-stopped
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			sellsAgain(t, s)
			left := stockOf(t, s, "A")
			if gone := stock - left - 1; gone < sold.Load() || gone > sold.Load()+unknown.Load() {
				t.Errorf("%d are gone; %d buyers were told, and %d that it may have happened", gone, sold.Load(), unknown.Load())
			}
			if n := s.ConnsInUse(); n != 0 {
				t.Errorf("%d connections are still in use", n)
			}
			wantClean(t, s)
		})
	}
}

// TestACallbackWaitsForAServerThatIsAway: the factory may never call again.
func TestACallbackWaitsForAServerThatIsAway(t *testing.T) {
	t.Parallel()
	for name, start := range ownServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			s := openURL(t, server.Database(t))
			s.WaitForServer(patience)
			fill(t, s, donut("A", 0))
			p, err := s.Product(t.Context(), "A")
			if err != nil {
				t.Fatal(err)
			}
			if _, err := s.Plan(t.Context(), p.ID, func(restock.Situation) restock.Decision {
				return restock.Decision{Order: true, Quantity: 10, Reason: "low"}
			}); err != nil {
				t.Fatal(err)
			}
			attempt, err := s.ClaimAttempt(t.Context(), "owner", time.Hour)
			if err != nil || attempt.OrderID.IsZero() {
				t.Fatalf("claimed %v, %v", attempt.OrderID, err)
			}
			server.Kill()
			received := make(chan error)
			left, leave := context.WithCancel(t.Context())
			go func() {
				c := restock.Callback{OrderID: attempt.OrderID, Attempt: 1, Count: 10, Claimed: "10", Body: []byte("ten")}
				_, err := s.Receive(left, c, func(e restock.Evidence) restock.Verdict {
					return restock.Verdict{State: restock.ReceiptApplied, Apply: e.Callback.Count}
				})
				received <- err
			}()
			leave() // it does not wait for an answer
			if err := server.Start(); err != nil {
				t.Fatal(err)
			}
			if err := <-received; err != nil {
				t.Error(err)
			}
			if got := stockOf(t, s, "A"); got != 10 {
				t.Errorf("on hand %d, want 10", got)
			}
			wantClean(t, s)
		})
	}
}

// TestAPrimaryThatTakesNoWrites is what a failover leaves behind: the server
// answers, and refuses what changes anything.
func TestAPrimaryThatTakesNoWrites(t *testing.T) {
	t.Parallel()
	for name, start := range ownServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := start(t)
			address := server.Database(t)
			u, err := url.Parse(address)
			if err != nil {
				t.Fatal(err)
			}
			database := strings.Trim(u.Path, "/")
			exec := func(statement string) {
				t.Helper()
				if err := server.Exec(t.Context(), statement); err != nil {
					t.Fatal(err)
				}
			}
			off, on := `SET GLOBAL read_only = 1`, `SET GLOBAL read_only = 0`
			if name == "MariaDB" { // an administrator may write all the same
				exec(`CREATE USER shop IDENTIFIED BY 'ses@me/?'`)
				exec(`GRANT ALL ON ` + database + `.* TO shop`)
				u.User = url.UserPassword("shop", "ses@me/?")
			} else {
				off, on = `ALTER SYSTEM SET default_transaction_read_only = on`, `ALTER SYSTEM RESET default_transaction_read_only`
			}
			s := openURL(t, u.String())
			fill(t, s, donut("A", 100))
			reload := func() {
				if name == "PostgreSQL" {
					exec(`SELECT pg_reload_conf()`)
				}
			}
			exec(off)
			reload()
			eventually(t, "it refuses", func() bool {
				_, err := s.Sell(t.Context(), []restock.Cart{cartOf("A")})
				if err != nil && restock.KindOf(err) != restock.Unavailable {
					t.Errorf("error %v, want of kind Unavailable", err)
				}
				return err != nil
			})
			if got := stockOf(t, s, "A"); got > 100 {
				t.Errorf("on hand %d", got)
			}
			exec(on)
			reload()
			sellsAgain(t, s)
			if n := s.ConnsInUse(); n != 0 {
				t.Errorf("%d connections are still in use", n)
			}
			wantClean(t, s)
		})
	}
}

// TestAServerWhoseDiskIsFullRefusesSalesAndRecovers: buyers are told to come
// again, everybody can look, and nobody starts anything anew.
func TestAServerWhoseDiskIsFullRefusesSalesAndRecovers(t *testing.T) {
	t.Parallel()
	for name, start := range ownServers() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			const fileMax = 72 << 20 // more than the logs have
			server := start(t)
			address := server.Database(t)
			s := openURL(t, address)
			fill(t, s, donut("A", 10_000_000))
			plain, err := servers.Open(address)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = plain.Close() }) // its server may be gone
			if err := server.LimitFiles(t.Context(), fileMax); err != nil {
				t.Fatal(err)
			}
			s = openURL(t, address) // its connections are limited
			if !fillDisk(t, plain) {
				t.Fatal("the disk does not get full")
			}
			sold := 0
			eventually(t, "it refuses", func() bool {
				outcomes, err := s.Sell(t.Context(), manyCarts("A"))
				if err != nil && restock.KindOf(err) != restock.Unavailable {
					t.Errorf("error %v, want of kind Unavailable", err)
				}
				if err == nil {
					sold += len(outcomes)
				}
				return err != nil
			})
			if got := stockOf(t, s, "A"); got != int64(10_000_000-sold) {
				t.Errorf("on hand %d while the disk is full, want %d", got, 10_000_000-sold)
			}
			if err := server.LimitFiles(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
			sellsAgain(t, s)
			if n := s.ConnsInUse(); n != 0 {
				t.Errorf("%d connections are still in use", n)
			}
		})
	}
}

func manyCarts(sku restock.SKU) []restock.Cart {
	var carts []restock.Cart
	for range 200 {
		c := cartOf(sku)
		c.Reference = strings.Repeat("x", 500)
		carts = append(carts, c)
	}
	return carts
}

// fillDisk lets the table of sales grow until it cannot, and reports whether
// that came.
func fillDisk(t *testing.T, db *sql.DB) bool {
	t.Helper()
	const filler = `INSERT INTO sale_lines (sale_id, line, product_id, quantity, unit_price, currency, remaining, reference, sold_at) `
	if _, err := db.ExecContext(t.Context(), filler+`SELECT id, 1, id, 1, 1, 'KRW', 1, '', 1 FROM products`); err != nil {
		t.Fatal(err)
	}
	for rows := 1; rows < 1<<20; rows *= 2 {
		if _, err := db.ExecContext(t.Context(), filler+`SELECT sale_id, line + (SELECT MAX(line) FROM sale_lines), product_id, 1, 1, 'KRW', 1, REPEAT('x', 500), 1 FROM sale_lines`); err != nil {
			t.Log("the disk is full:", err)
			return true
		}
	}
	return false
}

// eventually polls for what a server does in its own time.
func eventually(t *testing.T, what string, met func() bool) {
	t.Helper()
	const pause = 10 * time.Millisecond
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	for !met() {
		select {
		case <-time.After(pause):
		case <-deadline.C:
			t.Fatalf("still waiting until %s", what)
		}
	}
}

// TestNoConnectionIsKept does everything that can happen to an act, and counts
// the connections afterwards.
func TestNoConnectionIsKept(t *testing.T) {
	t.Parallel()
	onServers(t, func(t *testing.T, d *serverDatabases) {
		s := d.processes(t, 1)[0]
		fill(t, s, donut("A", 50), donut("B", 50))
		p, err := s.Product(t.Context(), "A")
		if err != nil {
			t.Fatal(err)
		}
		crowd(32, func(i int) {
			a := &actor{t: t, s: s, random: rand.New(rand.NewPCG(2, uint64(i))), skus: []restock.SKU{"A", "B"}, name: "actor"}
			for range 16 {
				a.act()
			}
		})
		fails := errors.New("it fails")
		gone, leave := context.WithCancel(t.Context())
		leave()
		soon, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		for name, act := range map[string]func() error{
			"a panic": func() error {
				_, err := s.Plan(t.Context(), p.ID, func(restock.Situation) restock.Decision { panic(fails) })
				return err
			},
			"a rule that is broken": func() error {
				_, err := s.Plan(t.Context(), p.ID, func(restock.Situation) restock.Decision {
					return restock.Decision{Order: true, Quantity: -1}
				})
				return err
			},
			"a caller who left": func() error { return s.Beat(gone, "owner", time.Minute) },
			"a caller who leaves": func() error {
				<-soon.Done()
				_, _, err := s.Orders(soon, restock.ListQuery{})
				return err
			},
			"an unknown order": func() error { return s.Chase(t.Context(), restock.OrderID{15: 1}, nil, nil) },
			"a dead letter that is none": func() error {
				_, err := s.Queue().Redrive(t.Context(), "", driver.ID{15: 1})
				return err
			},
			"a statement that fails": func() error {
				_, _, err := s.Orders(t.Context(), restock.ListQuery{After: "nonsense"})
				return err
			},
		} {
			if err := act(); err == nil {
				t.Errorf("%s: no error", name)
			}
			if n := s.ConnsInUse(); n != 0 {
				t.Errorf("%s keeps %d connections", name, n)
			}
		}
		most, open := s.ConnsMax()
		if open > most || most == 0 {
			t.Errorf("%d connections are open, of at most %d", open, most)
		}
		if n := s.ConnsInUse(); n != 0 {
			t.Errorf("%d connections are still in use", n)
		}
	})
}
