// Package crash_test kills the built binary with -9, over and over, while
// buyers buy, factories deliver and mails go out, and then judges with evidence
// of its own: the buyers' log, the factories' books, the mails that a real mail
// server took, and plain SQL on the database file.
//
// `go test ./test/crash` kills ten times. With RESTOCK_TEST_FULL=1 it kills a
// hundred times and then waits until everything has come to its end.
// RESTOCK_TEST_SEED repeats the random choices of an earlier run.
package crash_test

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock/test/blackbox"
	"github.com/restock/restock/test/servers"
)

// plan is how much one run does.
type plan struct {
	kills     int
	hitsMin   int           // of each class
	messages  int           // that must have been published, or too little was tried
	limit     time.Duration // of the killing; only what is broken uses it up
	quiet     time.Duration // that everything has to come to its end
	mustQuiet bool          // whether it is a failure if it does not
}

// planned is the plan of this run. What was in flight at a kill is leased to a
// dead process for up to 40 seconds; a short run does not wait for that, and
// judges what is leased as waiting.
func planned() plan {
	const full, tenth, limit = 100, 10, 30 * time.Minute
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		return plan{kills: full, hitsMin: 10, messages: 7000, limit: limit, quiet: limit, mustQuiet: true}
	}
	return plan{kills: tenth, hitsMin: 1, limit: limit, quiet: 3 * time.Second}
}

func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("RESTOCK_TEST_SEED")
	if text == "" {
		return uint64(time.Now().UnixNano())
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("RESTOCK_TEST_SEED: %v", err)
	}
	return n
}

// world is the server and everybody around it.
type world struct {
	t       *testing.T
	plan    plan
	dice    *dice
	server  *server
	data    string // the folder of the process
	address string // of the database
	buyers  *buyers
	makers  *makers
	mailbox *mailbox
	kills   []moment
}

func TestKilledAtAnyMomentNothingIsLost(t *testing.T) {
	t.Parallel()
	s := seed(t)
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", s)
	w := open(t, s)
	shopping, closeShop := context.WithTimeout(t.Context(), w.plan.limit)
	defer closeShop()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.buyers.run(shopping)
	}()
	err := w.killAll(shopping)
	closeShop()
	<-done
	if err != nil {
		t.Fatalf("%v; the server's last words:\n%s", err, w.server.LastWords())
	}
	w.settle(w.server)
	w.judge()
}

// open builds the binary, opens the world around it and starts it.
func open(t *testing.T, seed uint64) *world {
	t.Helper()
	const stream = 9
	folder := t.TempDir()
	binary, err := blackbox.Build(t.Context(), folder, "")
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, plan: planned(), dice: newDice(seed, stream), data: filepath.Join(folder, "data")}
	w.address = "sqlite:" + filepath.Join(w.data, "restock.db")
	address := w.quietAddress()
	up := newGate(address)
	w.makers, w.mailbox = newMakers(up, w.dice), newMailbox(w.dice)
	mails, closeMail, err := w.mailbox.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(closeMail)
	catalogue, skus := w.catalogue(folder)
	w.buyers = newBuyers(t, up, crowd{buyers: 16, thinkTime: 12 * time.Millisecond}, skus, w.dice)
	log, err := os.Create(filepath.Join(folder, "server.log"))
	if err != nil {
		t.Fatal(err)
	}
	w.server = &server{up: up, Server: blackbox.Server{Binary: binary, Log: log, Args: serveArgs(address, w.data, catalogue, mails)}}
	t.Cleanup(w.server.Abandon)
	if err := w.server.start(); err != nil {
		t.Fatalf("%v:\n%s", err, w.server.LastWords())
	}
	return w
}

// serveArgs lets everything happen soon.
func serveArgs(address, data, catalogue, mails string) []string {
	return []string{
		"serve", "--listen", address, "--data", data, "--catalog", catalogue, "--mail", "smtp://" + mails + "?tls=none",
		"--callback-window", "2s", "--sweep-interval", "500ms", "--retry-base", "50ms", "--alert-gap", "1s", "--ad-spacing", "1s", "--log-level", "warn",
	}
}

// quietAddress is an address that stays ours while the server is down.
func (w *world) quietAddress() string {
	w.t.Helper()
	port, err := servers.FreePort(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// catalogue writes a catalogue of many products that sell out soon. Some are
// back before anybody could be told, some are missed for a while.
func (w *world) catalogue(folder string) (string, []string) {
	w.t.Helper()
	const products = 80
	leadTimes := []time.Duration{40 * time.Millisecond, 300 * time.Millisecond, 1500 * time.Millisecond}
	managers := []string{"banner@ads.example", "video@ads.example, language: en", ""}
	var text strings.Builder
	text.WriteString("factories:\n")
	for i, leadTime := range leadTimes {
		address, closeFactory := w.makers.open(w.t.Context(), leadTime)
		w.t.Cleanup(closeFactory)
		fmt.Fprintf(&text, "  - {identifier: FF-%d, url: %q, lead_time: %v, max_in_flight: 64, rate_per_second: 2000}\n", i, address, leadTime)
	}
	// Two thirds of the products have an advertisement of their own.
	manager := func(i int) string { return managers[i/len(leadTimes)%len(managers)] }
	text.WriteString("advertisements:\n")
	for i := range products {
		if m := manager(i); m != "" {
			fmt.Fprintf(&text, "  - {name: ad-%d, manager_email: %s}\n", i, m)
		}
	}
	text.WriteString("products:\n")
	var skus []string
	for i := range products {
		sku := fmt.Sprintf("CP-%03d", i)
		skus = append(skus, sku)
		advertisement := ""
		if manager(i) != "" {
			advertisement = fmt.Sprintf(", advertisement: ad-%d", i)
		}
		fmt.Fprintf(&text, "  - {sku: %s, name: Donut %d, price: %d, opening_stock: %d, factory: FF-%d, order_quantity: %d, reorder_point: 0%s}\n",
			sku, i, 1000+i, w.dice.between(1, 5), i%len(leadTimes), w.dice.between(1, 5), advertisement)
	}
	path := filepath.Join(folder, "catalog.yaml")
	if err := os.WriteFile(path, []byte(text.String()), 0o600); err != nil {
		w.t.Fatal(err)
	}
	return path, skus
}

// killAll kills and restarts, by turns when a checkout, an order, a callback
// and a mail are in flight, until it was often enough and each was hit.
func (w *world) killAll(ctx context.Context) error {
	classes := w.classes()
	for n := 0; n < w.plan.kills || w.short() != nil; n++ {
		if err := w.killOnce(ctx, classes[n%len(classes)]); err != nil {
			return fmt.Errorf("kill %d: %w", n+1, err)
		}
		// A machine may be so slow, or so quick, that most kills hit nothing.
		if n >= 20*w.plan.kills {
			return fmt.Errorf("after %d kills: %w", n, w.short())
		}
	}
	return nil
}

func (w *world) classes() []*flights {
	return []*flights{w.buyers.flights, w.makers.orders, w.makers.callbacks, w.mailbox.flights}
}

// short says which class was not hit often enough.
func (w *world) short() error {
	for _, c := range w.classes() {
		if n := c.hits(w.kills); n < w.plan.hitsMin {
			return fmt.Errorf("%s in flight was hit %d times, want %d", c.name, n, w.plan.hitsMin)
		}
	}
	return nil
}

// killOnce lets the server work for a while, kills it as soon as one of a
// class is in flight, and starts it again on what it left.
func (w *world) killOnce(ctx context.Context, class *flights) error {
	const salesMin, salesMax = 20, 150
	if err := w.buyers.served.await(ctx, w.dice.between(salesMin, salesMax)); err != nil {
		return fmt.Errorf("nobody can buy: %w", err)
	}
	if err := w.awaitMoment(ctx, class); err != nil {
		return fmt.Errorf("no %s was in flight: %w", class.name, err)
	}
	m, err := w.server.kill()
	if err != nil {
		return err
	}
	w.kills = append(w.kills, m)
	if w.dice.oneIn(10) {
		if err := w.killAtStart(ctx); err != nil {
			return err
		}
	}
	return w.server.start()
}

// awaitMoment waits until one of a class is in flight, and a little longer. For
// half of the checkouts it waits until a buyer has just been answered: whatever
// an answer runs ahead of is lost right then.
func (w *world) awaitMoment(ctx context.Context, class *flights) error {
	const longest = 3 * time.Millisecond
	if class == w.buyers.flights && w.dice.oneIn(2) {
		return w.buyers.served.await(ctx, 1)
	}
	if err := class.took.await(ctx, 1); err != nil {
		return err
	}
	pause(ctx, w.dice.upTo(longest))
	return nil
}

// killAtStart kills while the server takes up what the last one left.
func (w *world) killAtStart(ctx context.Context) error {
	if err := w.server.Launch(); err != nil {
		return err
	}
	pause(ctx, w.dice.upTo(30*time.Millisecond))
	_, err := w.server.kill()
	return err
}

// settle lets the servers work off what is there, and stops them in order.
func (w *world) settle(all ...*server) {
	w.t.Helper()
	db, err := openBooks(w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	left, err := untilQuiet(w.t.Context(), db, w.plan.quiet)
	switch {
	case err != nil:
		w.t.Fatal(err)
	case left != "" && w.plan.mustQuiet:
		w.t.Errorf("P3 every attempt ends: after %v there are still %s", w.plan.quiet, left)
	case left != "":
		w.t.Logf("still leased to dead processes: %s", left)
	}
	for _, s := range all {
		if err := s.Stop(); err != nil {
			w.t.Errorf("%v; its last words:\n%s", err, s.LastWords())
		}
	}
}

// judge reads the database, tells how much was tried, and holds the promises.
func (w *world) judge() {
	w.t.Helper()
	db, err := openBooks(w.address)
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	books, err := readBooks(w.t.Context(), db)
	if err != nil {
		w.t.Fatal(err)
	}
	w.hold(books)
	w.verify()
}

// hold holds the promises against what all sides wrote down. The factories and the
// mail server are still there, and may be writing about a call whose process is dead.
func (w *world) hold(books *books) {
	w.t.Helper()
	w.makers.mu.Lock()
	defer w.makers.mu.Unlock()
	w.mailbox.mu.Lock()
	defer w.mailbox.mu.Unlock()
	w.tell(books)
	j := &judge{t: w.t, books: books, buyers: w.buyers, makers: w.makers, mailbox: w.mailbox}
	j.all()
}

// tell reports what was tried, and fails if it is too little to judge by.
func (w *world) tell(b *books) {
	w.t.Helper()
	outcomes := map[outcome]int{}
	for _, p := range w.buyers.log {
		if p.status != neverSent {
			outcomes[p.outcome]++
		}
	}
	states := map[string]int{}
	for _, o := range b.orders {
		states[o.state]++
	}
	w.t.Logf("%d kills; purchases: %d sold, %d refused, %d without an answer; in the books %d sales, %d messages, %d attempts, orders %v; %d callbacks; %d mails",
		len(w.kills), outcomes[sold], outcomes[refused], outcomes[unanswered], len(b.sales), len(b.messages), len(b.attempts), states,
		len(w.makers.calls), len(w.mailbox.letters))
	for _, c := range w.classes() {
		w.t.Logf("%s in flight: hit by %d kills", c.name, c.hits(w.kills))
	}
	if err := w.short(); err != nil {
		w.t.Error(err)
	}
	if len(b.messages) < w.plan.messages {
		w.t.Errorf("only %d messages were published, want %d: one lost in a thousand might not show", len(b.messages), w.plan.messages)
	}
}

// verify is the product's own judgement, the last word and not the only one.
func (w *world) verify() {
	w.t.Helper()
	out, err := exec.CommandContext(w.t.Context(), w.server.Binary, "verify", "--db", w.address).CombinedOutput()
	if err != nil {
		w.t.Errorf("restock verify: %v\n%s", err, out)
	}
}
