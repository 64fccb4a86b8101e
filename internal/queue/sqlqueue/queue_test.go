package sqlqueue_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/queuetest"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// clock is a clock that stands until it is moved.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

// bench is a queue on a file, with a clock that the test moves.
type bench struct {
	*sqlqueue.Queue
	t     *testing.T
	db    *queuetest.Database
	clock *clock
}

func newBench(t *testing.T) bench {
	t.Helper()
	b := bench{t: t, db: queuetest.OpenSQLite(t), clock: newClock()}
	b.Queue = sqlqueue.New(sqlqueue.Config{Now: b.clock.Now})
	b.Bind(b.db)
	return b
}

func testMessage(n byte) driver.Message {
	return driver.Message{
		ID:      driver.ID{15: n},
		Type:    stockLow,
		Subject: "CP-502101",
		Time:    time.Date(2026, 3, 1, 8, 0, 0, int(n)*1000, time.UTC),
		Body:    fmt.Appendf(nil, `{"n":%d}`, n),
	}
}

func (b bench) publish(queue string, m driver.Message) {
	b.t.Helper()
	if err := b.db.Publish(b.t.Context(), b.Queue, queue, m); err != nil {
		b.t.Fatal(err)
	}
}

// look receives what is visible now, for a minute.
func (b bench) look(queue string) []driver.Delivery {
	b.t.Helper()
	got, err := b.Receive(b.t.Context(), queue, driver.Request{Max: 10, Visibility: time.Minute})
	if err != nil {
		b.t.Fatal(err)
	}
	return got
}

// take receives the one message that is visible now.
func (b bench) take(queue string) driver.Delivery {
	b.t.Helper()
	got := b.look(queue)
	if len(got) != 1 {
		b.t.Fatalf("received %d messages from %s, want 1", len(got), queue)
	}
	return got[0]
}

// bury makes a dead letter of a message.
func (b bench) bury(queue string, m driver.Message, cause string) {
	b.t.Helper()
	b.publish(queue, m)
	if err := b.Dead(b.t.Context(), b.take(queue), cause); err != nil {
		b.t.Fatal(err)
	}
}

// stats gives the counts of the stock queue, and checks that no queue misses a
// message.
func (b bench) stats() driver.Stats {
	b.t.Helper()
	all, err := b.Stats(b.t.Context())
	if err != nil {
		b.t.Fatal(err)
	}
	for _, s := range all {
		if s.Missing() != 0 {
			b.t.Errorf("%d messages are missing: %+v", s.Missing(), s)
		}
		if s.Queue == stockQueue {
			return s
		}
	}
	return driver.Stats{}
}

func (b bench) count(query string) int {
	b.t.Helper()
	var n int
	if err := b.db.Readers.QueryRowContext(b.t.Context(), query).Scan(&n); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func TestPublishCommitsWithItsTransactionOrNotAtAll(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	err := b.db.Update(t.Context(), func(ctx context.Context, tx sqlqueue.Execer) error {
		return errors.Join(b.Publish(ctx, tx, stockQueue, testMessage(1)), queuetest.ErrRolledBack)
	})
	if !errors.Is(err, queuetest.ErrRolledBack) {
		t.Fatal(err)
	}
	if got := b.look(stockQueue); len(got) != 0 {
		t.Errorf("received %d messages of a transaction that failed", len(got))
	}
	if got := b.stats(); got.Published != 0 {
		t.Errorf("published = %d, want 0", got.Published)
	}
}

func TestPublishIgnoresAnIDThatTheQueueKnows(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.publish(stockQueue, m)
	b.publish(stockQueue, m)
	b.publish(adQueue, m)
	if err := b.Done(t.Context(), b.take(stockQueue)); err != nil {
		t.Fatal(err)
	}
	b.publish(stockQueue, m)
	if got := b.look(stockQueue); len(got) != 0 {
		t.Errorf("received %d messages again that are done", len(got))
	}
	if got := b.stats().Published; got != 1 {
		t.Errorf("published to %s = %d, want 1", stockQueue, got)
	}
	if got := b.take(adQueue); got.ID != m.ID {
		t.Errorf("received %s from %s, want %s", got.ID, adQueue, m.ID)
	}
}

func TestPublishRefusesWhatItCannotKeep(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	nameless, typeless, big := testMessage(1), testMessage(1), testMessage(1)
	nameless.ID, typeless.Type, big.Body = driver.ID{}, "", make([]byte, sqlqueue.BodyBytesMax+1)
	for name, attempt := range map[string]error{
		"no id":    b.db.Publish(t.Context(), b.Queue, stockQueue, nameless),
		"no type":  b.db.Publish(t.Context(), b.Queue, stockQueue, typeless),
		"no queue": b.db.Publish(t.Context(), b.Queue, "", testMessage(1)),
		"too big":  b.db.Publish(t.Context(), b.Queue, stockQueue, big),
	} {
		if attempt == nil {
			t.Errorf("%s: published, want an error", name)
		}
	}
}

func TestAnEmptyBodyIsAMessage(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	m.Body, m.Time = nil, time.Time{}
	b.publish(stockQueue, m)
	got := b.take(stockQueue)
	if len(got.Body) != 0 || !got.Time.Equal(b.clock.Now()) {
		t.Errorf("received body %q of %s, want none of now", got.Body, got.Time)
	}
}

func TestLookingAtAnEmptyQueueDoesNotWrite(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(stockQueue, testMessage(1))
	b.take(stockQueue)
	before := b.db.Updates.Load()
	b.look(stockQueue)
	b.look(adQueue)
	if _, err := b.Purge(t.Context(), b.clock.Now(), 10); err != nil {
		t.Fatal(err)
	}
	if got := b.db.Updates.Load() - before; got != 0 {
		t.Errorf("%d write transactions, want 0", got)
	}
}

func TestAMessageOfAnotherProcessIsSeenByPolling(t *testing.T) {
	t.Parallel()
	db := queuetest.OpenSQLite(t)
	other := sqlqueue.New(sqlqueue.Config{})
	q := sqlqueue.New(sqlqueue.Config{PollInterval: time.Millisecond})
	q.Bind(db)
	failed := make(chan error, 1)
	go func() { failed <- db.Publish(t.Context(), other, stockQueue, testMessage(1)) }()
	got, err := q.Receive(t.Context(), stockQueue, driver.Request{Max: 1, Visibility: time.Minute, Wait: time.Minute})
	if err := errors.Join(err, <-failed); err != nil || len(got) != 1 {
		t.Errorf("received %d messages, %v, want 1", len(got), err)
	}
}

func TestAReceiveWithoutDatabaseSaysSo(t *testing.T) {
	t.Parallel()
	_, err := sqlqueue.New(sqlqueue.Config{}).Receive(t.Context(), stockQueue, driver.Request{Max: 1})
	if err == nil {
		t.Error("received from no database, want an error")
	}
}

func TestTheLongestVisibleMessageComesFirst(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, n := range []byte{3, 1, 2} {
		b.publish(stockQueue, testMessage(n))
		b.clock.advance(time.Second)
	}
	got := make([]byte, 0, 3)
	for _, d := range b.look(stockQueue) {
		got = append(got, d.ID[15])
	}
	if diff := cmp.Diff(got, []byte{3, 1, 2}); diff != "" {
		t.Errorf("order (-got +want):\n%s", diff)
	}
}

func TestAReceiveThatNobodyAnsweredIsRecorded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(stockQueue, testMessage(1))
	b.take(stockQueue)
	b.clock.advance(time.Minute)
	if err := b.Dead(t.Context(), b.take(stockQueue), "enough"); err != nil {
		t.Fatal(err)
	}
	letter, err := b.DeadLetter(t.Context(), stockQueue, testMessage(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	if len(letter.Failures) != 2 || letter.Failures[0].Receive != 1 ||
		!strings.Contains(letter.Failures[0].Error, "no answer") || letter.Failures[1].Error != "enough" {
		t.Errorf("failures = %+v, want the unanswered receive and the last one", letter.Failures)
	}
}

func TestAnExpiredButUntakenMessageCanStillBeAnswered(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(stockQueue, testMessage(1))
	d := b.take(stockQueue)
	b.clock.advance(time.Hour)
	if err := b.Done(t.Context(), d); err != nil {
		t.Errorf("done = %v, want nil: nobody else has it", err)
	}
}

func TestAHandleThatIsNoneIsStale(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.publish(stockQueue, testMessage(1))
	d := b.take(stockQueue)
	d.Handle = "what?"
	if err := b.Done(t.Context(), d); !errors.Is(err, driver.ErrStale) {
		t.Errorf("done = %v, want ErrStale", err)
	}
}

func TestErrorTextsAreBounded(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bury(stockQueue, testMessage(1), strings.Repeat("도", sqlqueue.ErrorBytesMax)+"\xff")
	letter, err := b.DeadLetter(t.Context(), stockQueue, testMessage(1).ID)
	if err != nil {
		t.Fatal(err)
	}
	if n := len(letter.LastError); n > sqlqueue.ErrorBytesMax || n < sqlqueue.ErrorBytesMax-3 {
		t.Errorf("last error of %d bytes, want about %d", n, sqlqueue.ErrorBytesMax)
	}
	if strings.Trim(letter.LastError, "도") != "" {
		t.Errorf("last error ends in the middle of a character: %q", letter.LastError[len(letter.LastError)-6:])
	}
}

func TestClaimAndDeskUseTheirIndexes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for query, index := range map[string]string{
		`SELECT visible_at FROM queue_deliveries WHERE queue = ? AND state = 'waiting' ORDER BY visible_at LIMIT 1`: "queue_deliveries_visible",
		`SELECT d.message_id, m.body FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id
			WHERE d.queue = ? AND d.state = 'waiting' AND d.visible_at <= ?
			ORDER BY d.visible_at, d.message_id LIMIT 5`: "queue_deliveries_visible",
		`SELECT d.message_id, m.type FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id
			WHERE d.state = 'dead' AND (d.dead_at, d.message_id, d.queue) > (?, x'00', ?)
			ORDER BY d.dead_at, d.message_id, d.queue LIMIT 5`: "queue_deliveries_dead",
		`SELECT message_id FROM queue_deliveries
			WHERE queue = ? AND state = 'done' AND done_at < ? ORDER BY done_at LIMIT ?`: "queue_deliveries_done",
		`SELECT COUNT(*) FROM queue_deliveries WHERE queue = ? AND state = 'done'`:      "COVERING INDEX queue_deliveries_done",
		`SELECT COUNT(*) FROM queue_deliveries WHERE queue = ? AND state = 'discarded'`: "queue_deliveries_discarded",
	} {
		plan := b.plan(query)
		if !strings.Contains(plan, "SEARCH") || !strings.Contains(plan, index) || strings.Contains(plan, "TEMP B-TREE") {
			t.Errorf("plan of %s:\n%s\nwant a search of %s without sorting", query, plan, index)
		}
	}
}

func (b bench) plan(query string) string {
	b.t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = 1
	}
	var plan []string
	err := b.db.View(b.t.Context(), func(ctx context.Context, tx sqlqueue.Execer) error {
		rows, err := tx.Query(ctx, "EXPLAIN QUERY PLAN "+query, args...)
		if err != nil {
			return err
		}
		defer rows.Close() // Err below has what went wrong.
		for rows.Next() {
			var id, parent, unused sql.NullInt64
			var detail string
			if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
				return err
			}
			plan = append(plan, detail)
		}
		return rows.Err()
	})
	if err != nil {
		b.t.Fatal(err)
	}
	return strings.Join(plan, "\n")
}
