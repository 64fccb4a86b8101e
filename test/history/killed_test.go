package history_test

import (
	"bufio"
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/ncruces/go-sqlite3/driver" // registers "sqlite3"
	"github.com/restock/restock/test/contract"
)

// The limits of what a healthy build and server take on a slow machine. Only what
// is broken uses them up.
const (
	buildTimeout   = 15 * time.Minute
	startTimeout   = 5 * time.Minute
	requestTimeout = 5 * time.Minute
)

// binary is the built command on one data folder, again and again.
type binary struct {
	t       *testing.T
	folder  string
	process *exec.Cmd
	url     string
	ended   chan struct{}
}

// build compiles the command from the tree that holds this test.
func build(t *testing.T) *binary {
	t.Helper()
	b := &binary{t: t, folder: t.TempDir()}
	ctx, cancel := context.WithTimeout(t.Context(), buildTimeout)
	defer cancel()
	command := exec.CommandContext(ctx, "go", "build", "-o", b.path("restock"), "github.com/restock/restock/cmd/restock")
	command.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := command.CombinedOutput(); err != nil {
		t.Fatalf("building restock: %v\n%s", err, out)
	}
	const catalogue = "products:\n  - {sku: HOT, name: Hot donut, price: 100, opening_stock: 10000000}\n"
	if err := os.WriteFile(b.path("catalog.yaml"), []byte(catalogue), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.kill) // no process outlives a test that failed
	return b
}

func (b *binary) path(name string) string { return filepath.Join(b.folder, name) }

// start runs serve on a free port and waits until it says where it listens.
func (b *binary) start() {
	b.t.Helper()
	b.process = exec.Command(b.path("restock"), "serve", "--listen", "127.0.0.1:0",
		"--data", b.path("data"), "--catalog", b.path("catalog.yaml"), "--log-level", "error")
	out, err := b.process.StdoutPipe()
	if err != nil {
		b.t.Fatal(err)
	}
	b.process.Stderr = os.Stderr
	if err := b.process.Start(); err != nil {
		b.t.Fatal(err)
	}
	said := make(chan string, 1)
	ended := make(chan struct{})
	b.ended = ended
	go func(process *exec.Cmd) {
		defer close(ended)
		listen(out, said)
		_ = process.Wait() // killed, always
	}(b.process)
	select {
	case b.url = <-said:
	case <-b.ended:
		b.t.Fatal("the server ended at its start")
	case <-time.After(startTimeout):
		b.t.Fatalf("the server did not listen within %v", startTimeout)
	}
}

// listen finds the address in what serve says, and reads on until it ends.
func listen(out io.Reader, said chan<- string) {
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) > 0 && words[0] == "buyers" {
			said <- words[len(words)-1]
		}
	}
}

// kill ends the process as a power switch would.
func (b *binary) kill() {
	if b.process != nil && b.process.Process != nil {
		_ = b.process.Process.Kill()
		<-b.ended
	}
}

// request is one purchase under a key, and what the first answer was, if a
// whole one came.
type request struct {
	key, body string
	answer    string
}

// send makes a request once. net/http would repeat one with an Idempotency-Key
// by itself if it could.
func (b *binary) send(client *http.Client, r request) (int, string, error) {
	ctx, cancel := context.WithTimeout(b.t.Context(), requestTimeout)
	defer cancel()
	post, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/checkout", bytes.NewReader([]byte(r.body)))
	if err != nil {
		return 0, "", err
	}
	post.GetBody = nil
	post.Header.Set("Idempotency-Key", r.key)
	response, err := client.Do(post)
	if err != nil {
		return 0, "", err
	}
	defer response.Body.Close()
	answer, err := io.ReadAll(response.Body)
	return response.StatusCode, string(answer), err
}

// TestARepeatAfterACrashAnswersTheStoredSale kills the server while buyers buy
// under keys, starts it again, and lets all of them repeat: those who have an
// answer get the very same, and those who have none are sold to once, before
// the crash or after it.
func TestARepeatAfterACrashAnswersTheStoredSale(t *testing.T) {
	t.Parallel()
	rounds := 4
	if full() {
		rounds = 30
	}
	first := seed(t)
	t.Logf("repeat with RESTOCK_TEST_SEED=%d", first)
	dice := rand.New(rand.NewPCG(first, 0))
	b := build(t)
	b.start()
	sent, hits := 0, 0
	for round := 0; round < rounds || hits == 0; round++ {
		if round == 10*rounds {
			t.Fatalf("in %d kills no purchase was hit between its commit and its answer", round)
		}
		requests, killed := b.crash(round, 20+dice.IntN(100))
		b.start()
		hits += b.repeat(requests, killed)
		sent += len(requests)
	}
	t.Logf("%d purchases; %d of them were committed and not answered when the server was killed", sent, hits)
	b.kill()
	b.wantSales(sent)
}

// crash lets buyers buy, and kills the server when so many were answered.
func (b *binary) crash(round, answers int) ([]request, time.Time) {
	const buyers = 24
	client := &http.Client{Transport: contract.Sampled(b.t, &http.Transport{MaxIdleConnsPerHost: buyers})}
	defer client.CloseIdleConnections()
	var (
		left     atomic.Int64
		killed   time.Time
		all      sync.WaitGroup
		mu       sync.Mutex
		requests []request
	)
	left.Store(int64(answers))
	for buyer := range buyers {
		all.Go(func() {
			for n := range answers * buyers {
				key := fmt.Sprintf("%d-%d-%d", round, buyer, n)
				r := request{key: key, body: fmt.Sprintf(`{"quantity":%d,"reference":%q}`, 1+n%3, key)}
				status, answer, err := b.send(client, r)
				if err == nil && status != http.StatusOK {
					b.t.Errorf("a purchase was answered %d %s", status, answer)
				}
				if err == nil {
					r.answer = answer
				}
				mu.Lock()
				requests = append(requests, r)
				mu.Unlock()
				if err != nil {
					return
				}
				if left.Add(-1) == 0 {
					killed = time.Now()
					b.kill()
				}
			}
		})
	}
	all.Wait()
	return requests, killed
}

// repeat sends every request again, twice, and counts those that nobody
// answered though they were committed.
func (b *binary) repeat(requests []request, killed time.Time) int {
	b.t.Helper()
	const atOnce = 24
	client := &http.Client{Transport: contract.Sampled(b.t, &http.Transport{MaxIdleConnsPerHost: atOnce})}
	defer client.CloseIdleConnections()
	var (
		hits  atomic.Int64
		all   sync.WaitGroup
		queue = make(chan request)
	)
	for range atOnce {
		all.Go(func() {
			for r := range queue {
				if b.repeatOne(client, r, killed) {
					hits.Add(1)
				}
			}
		})
	}
	for _, r := range requests {
		queue <- r
	}
	close(queue)
	all.Wait()
	return int(hits.Load())
}

func (b *binary) repeatOne(client *http.Client, r request, killed time.Time) bool {
	unanswered := r.answer == ""
	for range 2 {
		status, answer, err := b.send(client, r)
		if err != nil || status != http.StatusOK {
			b.t.Errorf("I4 one effect: the repeat of %s was answered %d %s, %v", r.key, status, answer, err)
			return false
		}
		if r.answer == "" {
			r.answer = answer
		}
		if r.answer != answer {
			b.t.Errorf("I4 one effect: %s was answered %s and again %s", r.key, r.answer, answer)
		}
	}
	var sale struct {
		SoldAt time.Time `json:"sold_at"`
	}
	if err := json.Unmarshal([]byte(r.answer), &sale); err != nil {
		b.t.Errorf("%s was answered %s: %v", r.key, r.answer, err)
	}
	return unanswered && sale.SoldAt.Before(killed)
}

// wantSales looks at the rows: each purchase is one sale.
func (b *binary) wantSales(want int) {
	b.t.Helper()
	db, err := sql.Open("sqlite3", "file:"+b.path("data/restock.db"))
	if err != nil {
		b.t.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			b.t.Error(err)
		}
	}()
	var references, sales, keys int
	err = errors.Join(
		db.QueryRowContext(b.t.Context(), `SELECT COUNT(DISTINCT reference), COUNT(DISTINCT sale_id) FROM sale_lines`).Scan(&references, &sales),
		db.QueryRowContext(b.t.Context(), `SELECT COUNT(*) FROM idempotency_keys`).Scan(&keys))
	if err != nil {
		b.t.Fatal(err)
	}
	if references != want || sales != want || keys != want {
		b.t.Errorf("I4 one effect: %d purchases are %d sales with %d references, under %d keys", want, sales, references, keys)
	}
	out, err := exec.CommandContext(b.t.Context(), b.path("restock"), "verify", "--data", b.path("data")).CombinedOutput()
	if err != nil {
		b.t.Errorf("restock verify: %v\n%s", err, out)
	}
}
