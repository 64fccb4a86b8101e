package crash_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

// processesCount is how many processes of all roles share one database.
const processesCount = 4

// fleet is several processes on one database, each behind a door of its own.
type fleet struct {
	dice *dice
	all  []*server
}

// wait chooses one of the processes that listen, and waits while there is none.
func (f *fleet) wait(ctx context.Context) (string, error) {
	for {
		first := f.dice.between(0, len(f.all)-1)
		for i := range f.all {
			gate := f.all[(first+i)%len(f.all)].up
			select {
			case <-gate.opened():
				return gate.address, ctx.Err()
			default:
			}
		}
		if ctx.Err() != nil {
			return "", ctx.Err()
		}
		pause(ctx, time.Millisecond)
	}
}

// chaos is a world whose shop is a fleet on a database server that is killed, too.
type chaos struct {
	*world
	fleet    *fleet
	database *servers.Server

	mu   sync.Mutex
	away span // when the database was not there, and shortly after
}

// chaosPlan kills every second for a minute, or for a tenth of that.
func chaosPlan() plan {
	const full, tenth, limit = 60, 6, 30 * time.Minute
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		return plan{kills: full, messages: 3000, limit: limit, quiet: limit, mustQuiet: true}
	}
	return plan{kills: tenth, limit: limit, quiet: 3 * time.Second}
}

// TestProcessesKilledAtRandomOnAServerLoseNothing: four processes of all roles
// sell from one database to 64 buyers, while one of them is killed each second,
// and the database once.
func TestProcessesKilledAtRandomOnAServerLoseNothing(t *testing.T) {
	t.Parallel()
	s := seed(t)
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", s)
	for i, database := range []struct {
		name string
		own  func(testing.TB) *servers.Server
	}{{"MariaDB", servers.OwnMariaDB}, {"PostgreSQL", servers.OwnPostgreSQL}} {
		t.Run(database.name, func(t *testing.T) {
			t.Parallel()
			const stream = 10
			openChaos(t, newDice(s, stream+uint64(i)), database.own(t)).run()
		})
	}
}

func (c *chaos) run() {
	c.t.Helper()
	shopping, closeShop := context.WithTimeout(c.t.Context(), c.plan.limit)
	defer closeShop()
	var buying sync.WaitGroup
	buying.Go(func() { c.buyers.run(shopping) })
	err := c.killAll(shopping)
	closeShop()
	buying.Wait()
	if err != nil {
		c.t.Fatalf("%v; the last words:\n%s", err, c.server.LastWords())
	}
	c.settle(c.fleet.all...)
	c.forgiveTheDatabase()
	c.judge()
}

func openChaos(t *testing.T, d *dice, database *servers.Server) *chaos {
	t.Helper()
	folder := t.TempDir()
	binary, err := blackbox.Build(t.Context(), folder, "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, plan: chaosPlan(), dice: d, address: database.Database(t)}
	c := &chaos{world: w, fleet: &fleet{dice: w.dice}, database: database}
	w.makers, w.mailbox = newMakers(c.fleet, w.dice), newMailbox(w.dice)
	mails, closeMail, err := w.mailbox.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeMail)
	catalogue, skus := w.catalogue(folder)
	w.buyers = newBuyers(t, c.fleet, crowd{buyers: 64, thinkTime: 200 * time.Millisecond}, skus, w.dice)
	log, err := os.Create(filepath.Join(folder, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	for i := range processesCount {
		address := w.quietAddress()
		args := append(serveArgs(address, filepath.Join(folder, fmt.Sprint("data-", i)), catalogue, mails),
			"--db", w.address, "--callback-keys-file", filepath.Join(folder, "keys"), "--public-url", blackbox.PublicURL)
		s := &server{up: newGate(address), Server: blackbox.Server{Binary: binary, Log: log, Args: args}}
		t.Cleanup(s.Abandon)
		c.fleet.all = append(c.fleet.all, s)
	}
	w.server = c.fleet.all[0]
	if err := blackbox.MakeKeys(t.Context(), binary, filepath.Join(folder, "keys")); err != nil {
		t.Fatal(err)
	}
	for _, s := range c.fleet.all {
		if err := s.start(); err != nil {
			t.Fatalf("%v:\n%s", err, s.LastWords())
		}
	}
	return c
}

// awaitSales waits until so many were sold before kill n that in the end enough is
// told: more than half of the sales of this catalogue tell something. While the
// database is away it waits for none.
func (c *chaos) awaitSales(ctx context.Context, n int) error {
	for now := time.Now(); c.buyers.sold() < 2*c.plan.messages*n/c.plan.kills && !c.withoutDatabase(span{now, now}); now = time.Now() {
		if err := c.buyers.served.await(ctx, 1); err != nil {
			return fmt.Errorf("too few can buy: %w", err)
		}
	}
	return nil
}

// killAll kills a process each second, or less often where too little is sold in
// one, and in between the database.
func (c *chaos) killAll(ctx context.Context) error {
	const every = time.Second
	if err := c.buyers.served.await(ctx, 1); err != nil {
		return fmt.Errorf("nobody can buy: %w", err)
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	when := c.dice.between(c.plan.kills/4, c.plan.kills/2)
	var restart sync.WaitGroup
	defer restart.Wait()
	restarted := make(chan error, 1)
	for n := range c.plan.kills {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		if err := c.awaitSales(ctx, n); err != nil {
			return err
		}
		if n == when {
			restart.Go(func() { restarted <- c.restartDatabase(ctx) })
		}
		pause(ctx, c.dice.upTo(every/2)) // not in step with anything
		if err := c.killOne(ctx, c.fleet.all[c.dice.between(0, processesCount-1)]); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
	}
	if err := <-restarted; err != nil {
		return err
	}
	if err := c.buyers.served.await(ctx, 1); err != nil {
		return fmt.Errorf("nobody can buy at the end: %w", err)
	}
	return c.awaitSales(ctx, c.plan.kills)
}

func (c *chaos) killOne(ctx context.Context, s *server) error {
	m, err := s.kill()
	if err != nil {
		return err
	}
	c.kills = append(c.kills, m)
	// A process that finds no database ends; whoever watches it starts it again.
	for {
		err := s.start()
		if err == nil || ctx.Err() != nil {
			return errors.Join(err, ctx.Err())
		}
		if now := time.Now(); !c.withoutDatabase(span{now, now}) {
			return err
		}
		pause(ctx, 100*time.Millisecond)
	}
}

// restartDatabase kills the database as a power cut would, and starts it again.
func (c *chaos) restartDatabase(ctx context.Context) error {
	began := time.Now()
	c.setAway(span{began, began.Add(c.plan.limit)})
	c.database.Kill()
	pause(ctx, c.dice.upTo(time.Second))
	if err := c.database.Start(); err != nil {
		return fmt.Errorf("the database does not start again: %w", err)
	}
	// Its last answers may have been waited for until now, and pools find out.
	const recovery = 30 * time.Second
	c.setAway(span{began, time.Now().Add(recovery)})
	return nil
}

func (c *chaos) setAway(s span) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.away = s
}

// withoutDatabase reports whether the database was away for a part of a span.
func (c *chaos) withoutDatabase(s span) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return !c.away.began.IsZero() && s.ended.After(c.away.began) && s.began.Before(c.away.ended)
}

// forgiveTheDatabase takes an answer 503 for none, while the database was away:
// whether a commit happened whose connection broke, nobody knows. At any other
// time 503 means that nothing was sold.
func (c *chaos) forgiveTheDatabase() {
	for i, p := range c.buyers.log {
		if p.status == http.StatusServiceUnavailable && c.withoutDatabase(p.span) {
			c.buyers.log[i].outcome = unanswered
		}
	}
}
