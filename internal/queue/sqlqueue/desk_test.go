package sqlqueue_test

import (
	"context"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/queue/driver"
	"github.com/restock/restock/internal/queue/sqlqueue"
)

// TestDeadLettersPageThroughEqualTimes has letters that died in the same
// microsecond, on two queues: a page that ends among them loses none.
func TestDeadLettersPageThroughEqualTimes(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range byte(5) {
		b.bury(stockQueue, testMessage(n+1), "because")
		b.bury(adQueue, testMessage(n+1), "because")
	}
	b.clock.advance(time.Second)
	b.bury(stockQueue, testMessage(9), "because")
	for _, c := range []struct {
		queue string
		limit int
		want  []byte
	}{
		{"", 2, []byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 9}},
		{"", 3, []byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 9}},
		{"", 0, []byte{1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 9}},
		{stockQueue, 2, []byte{1, 2, 3, 4, 5, 9}},
		{adQueue, 5, []byte{1, 2, 3, 4, 5}},
		{"no-queue", 5, nil},
	} {
		if diff := cmp.Diff(b.deadNumbers(driver.Filter{Queue: c.queue, Limit: c.limit}), c.want); diff != "" {
			t.Errorf("dead letters of %q by %d (-got +want):\n%s", c.queue, c.limit, diff)
		}
	}
}

// deadNumbers pages through dead letters and gives the numbers of the messages.
func (b bench) deadNumbers(f driver.Filter) []byte {
	b.t.Helper()
	var numbers []byte
	for {
		letters, next, err := b.DeadLetters(b.t.Context(), f)
		if err != nil {
			b.t.Fatal(err)
		}
		for _, l := range letters {
			numbers = append(numbers, l.MessageID[15])
		}
		if next == "" {
			return numbers
		}
		f.After = next
	}
}

func TestDeadLettersAreSelected(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range byte(3) {
		m := testMessage(n + 1)
		m.Type, m.Subject = []string{"stock.low", "stock.out", "stock.low"}[n], []string{"A", "A", "B"}[n]
		b.bury(stockQueue, m, "because")
		b.clock.advance(time.Second)
	}
	end := b.clock.Now().Add(-time.Second)
	for _, c := range []struct {
		filter driver.Filter
		want   []byte
	}{
		{driver.Filter{Type: "stock.low"}, []byte{1, 3}},
		{driver.Filter{Subject: "A"}, []byte{1, 2}},
		{driver.Filter{Subject: "A", Type: "stock.low", Queue: stockQueue}, []byte{1}},
		{driver.Filter{Until: end}, []byte{1, 2, 3}},
		{driver.Filter{Until: end.Add(-time.Second)}, []byte{1, 2}},
		{driver.Filter{Until: end.Add(-time.Second), Type: "stock.low"}, []byte{1}},
		{driver.Filter{Type: "' OR 1=1 --"}, nil},
	} {
		c.filter.Limit = 1
		if diff := cmp.Diff(b.deadNumbers(c.filter), c.want); diff != "" {
			t.Errorf("dead letters of %+v (-got +want):\n%s", c.filter, diff)
		}
	}
	err := b.db.View(t.Context(), func(ctx context.Context, tx sqlqueue.Execer) error {
		latest, err := b.Desk(tx).LatestDeath(ctx)
		if !latest.Equal(end) {
			t.Errorf("the last died at %v, want %v", latest, end)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

func TestAPageWithBodiesIsShorter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n := range byte(101) {
		b.bury(stockQueue, testMessage(n+1), "because")
	}
	letters, next, err := b.DeadLetters(t.Context(), driver.Filter{Bodies: true, Limit: 1000})
	if err != nil || len(letters) != 100 || next == "" || string(letters[99].Body) != `{"n":100}` {
		t.Errorf("%d letters, next %q, %v, want 100 with bodies and another page", len(letters), next, err)
	}
	letters, _, err = b.DeadLetters(t.Context(), driver.Filter{Limit: 1000})
	if err != nil || len(letters) != 101 || letters[0].Body != nil {
		t.Errorf("%d letters, %v, want 101 without bodies", len(letters), err)
	}
}

// TestTheDeskGoesWithItsCallersTransaction lets the caller fail after the desk
// has done its part.
func TestTheDeskGoesWithItsCallersTransaction(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bury(stockQueue, testMessage(1), "because")
	b.bury(stockQueue, testMessage(2), "because")
	errNote := errors.New("the note could not be written")
	act := func(result error) error {
		return b.db.Update(t.Context(), func(ctx context.Context, tx sqlqueue.Execer) error {
			on, redriven, err := b.Desk(tx).Redrive(ctx, "", testMessage(1).ID)
			if on != stockQueue || !redriven || err != nil {
				t.Errorf("Redrive = %q, %t, %v", on, redriven, err)
			}
			on, discarded, err := b.Desk(tx).Discard(ctx, "", testMessage(2).ID, "not needed")
			if on != stockQueue || !discarded || err != nil {
				t.Errorf("Discard = %q, %t, %v", on, discarded, err)
			}
			return result
		})
	}
	if err := act(errNote); !errors.Is(err, errNote) {
		t.Errorf("Update = %v, want %v", err, errNote)
	}
	if got := b.deadNumbers(driver.Filter{}); !cmp.Equal(got, []byte{1, 2}) {
		t.Errorf("dead letters %v, want both as they were", got)
	}
	if err := act(nil); err != nil {
		t.Error(err)
	}
	if got := b.deadNumbers(driver.Filter{}); len(got) != 0 {
		t.Errorf("dead letters %v, want none", got)
	}
}

func TestDeadLettersRefuseACursorThatIsNone(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, after := range []string{"x", "1_2_3", "x_00000000-0000-0000-0000-000000000001_q"} {
		_, _, err := b.DeadLetters(t.Context(), driver.Filter{After: after})
		if !errors.Is(err, driver.ErrCursor) {
			t.Errorf("DeadLetters(After: %q) = %v, want ErrCursor", after, err)
		}
	}
}

func TestADeadLetterIsShownWhole(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.bury(stockQueue, m, "because")
	got, err := b.DeadLetter(t.Context(), "", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := driver.DeadLetter{
		MessageID:       m.ID,
		Queue:           "stock-queue",
		DeadLetterQueue: "stock-queue-dlq",
		Type:            m.Type,
		Subject:         m.Subject,
		Receives:        1,
		LastError:       "because",
		CreatedAt:       m.Time,
		DeadAt:          b.clock.Now(),
		FirstFailedAt:   b.clock.Now(),
		LastFailedAt:    b.clock.Now(),
		Body:            json.RawMessage(`{"n":1}`),
		BodyEncoding:    driver.BodyJSON,
		Failures:        []driver.Failure{{Receive: 1, At: b.clock.Now(), Error: "because"}},
	}
	if diff := cmp.Diff(got, want); diff != "" {
		t.Errorf("dead letter (-got +want):\n%s", diff)
	}
}

func TestABodyOfAnyBytesIsShownAsJSON(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for n, c := range []struct {
		body, want string
		encoding   driver.BodyEncoding
	}{
		{`{"a":1}`, `{"a":1}`, driver.BodyJSON},
		{"도넛 재고가 없습니다 \"2026\"", `"도넛 재고가 없습니다 \"2026\""`, driver.BodyText},
		{"", `""`, driver.BodyText},
		{"\xff\x00", `"/wA="`, driver.BodyBase64},
	} {
		m := testMessage(byte(n + 1))
		m.Body = []byte(c.body)
		b.bury(stockQueue, m, "because")
		got, err := b.DeadLetter(t.Context(), stockQueue, m.ID)
		if err != nil {
			t.Fatal(err)
		}
		if string(got.Body) != c.want || got.BodyEncoding != c.encoding {
			t.Errorf("body %q is shown as %s (%s), want %s (%s)", c.body, got.Body, got.BodyEncoding, c.want, c.encoding)
		}
	}
}

func TestAnIDAloneMustSayWhichDeadLetterIsMeant(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.bury(stockQueue, m, "because")
	b.bury(adQueue, m, "because")
	if _, err := b.DeadLetter(t.Context(), "", m.ID); !errors.Is(err, driver.ErrAmbiguous) {
		t.Errorf("DeadLetter = %v, want ErrAmbiguous", err)
	}
	if _, err := b.Redrive(t.Context(), "", m.ID); !errors.Is(err, driver.ErrAmbiguous) {
		t.Errorf("Redrive = %v, want ErrAmbiguous", err)
	}
	if ok, err := b.Redrive(t.Context(), adQueue, m.ID); !ok || err != nil {
		t.Errorf("Redrive from one queue = %t, %v, want true", ok, err)
	}
	if got, err := b.DeadLetter(t.Context(), "", m.ID); err != nil || got.Queue != stockQueue {
		t.Errorf("DeadLetter = %q, %v, want the one on %s", got.Queue, err, stockQueue)
	}
}

func TestTheDeskKnowsWhatIsNoDeadLetter(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.publish(stockQueue, m)
	if _, err := b.DeadLetter(t.Context(), "", m.ID); !errors.Is(err, driver.ErrNotDead) || !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("DeadLetter of a waiting message = %v, want ErrNotDead, which is an ErrNotFound", err)
	}
	if _, err := b.DeadLetter(t.Context(), "", testMessage(2).ID); !errors.Is(err, driver.ErrNotFound) || errors.Is(err, driver.ErrNotDead) {
		t.Errorf("DeadLetter of nothing = %v, want ErrNotFound", err)
	}
	if ok, err := b.Discard(t.Context(), "", m.ID, "no"); ok || err != nil {
		t.Errorf("Discard of a waiting message = %t, %v, want false", ok, err)
	}
	if _, err := b.Redrive(t.Context(), "", testMessage(2).ID); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Redrive of nothing = %v, want ErrNotFound", err)
	}
	if _, err := b.Discard(t.Context(), "", testMessage(2).ID, "no"); !errors.Is(err, driver.ErrNotFound) {
		t.Errorf("Discard of nothing = %v, want ErrNotFound", err)
	}
}

// TestARedriveKeepsWhatFailedBefore redrives a message that operations were told
// of: its next death must be told anew, and both deaths stay on record.
func TestARedriveKeepsWhatFailedBefore(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.bury(stockQueue, m, "first")
	_, err := b.db.Writer.ExecContext(t.Context(), `UPDATE queue_deliveries SET told_in = x'01'`)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := b.Redrive(t.Context(), "", m.ID); !ok || err != nil {
		t.Fatalf("Redrive = %t, %v, want true", ok, err)
	}
	if err := b.Dead(t.Context(), b.take(stockQueue), "second"); err != nil {
		t.Fatal(err)
	}
	if n := b.count(`SELECT COUNT(*) FROM queue_deliveries WHERE told_in IS NULL`); n != 1 {
		t.Error("the second death counts as told")
	}
	letter, err := b.DeadLetter(t.Context(), "", m.ID)
	if err != nil {
		t.Fatal(err)
	}
	want := []driver.Failure{
		{Receive: 1, At: b.clock.Now(), Error: "first"},
		{Receive: 1, At: b.clock.Now(), Error: "second"},
	}
	if diff := cmp.Diff(letter.Failures, want); diff != "" {
		t.Errorf("failures (-got +want):\n%s", diff)
	}
}

func TestADiscardedMessageStaysWithItsReason(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	m := testMessage(1)
	b.bury(stockQueue, m, "because")
	if ok, err := b.Discard(t.Context(), "", m.ID, "ordered by hand"); !ok || err != nil {
		t.Fatalf("Discard = %t, %v, want true", ok, err)
	}
	if ok, err := b.Redrive(t.Context(), "", m.ID); ok || err != nil {
		t.Errorf("Redrive of a discarded message = %t, %v, want false", ok, err)
	}
	if n := b.count(`SELECT COUNT(*) FROM queue_deliveries WHERE discard_reason = 'ordered by hand' AND last_error = 'because'`); n != 1 {
		t.Error("the reason or the last error is gone")
	}
	if got := b.stats().Discarded; got != 1 {
		t.Errorf("discarded = %d, want 1", got)
	}
}

func TestStatsSayWhereMessagesAre(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bury(stockQueue, testMessage(1), "because")
	for n := range byte(4) {
		b.publish(stockQueue, testMessage(n+2))
	}
	taken := b.look(stockQueue)
	if err := errors.Join(b.Done(t.Context(), taken[0]), b.Later(t.Context(), taken[1], time.Hour)); err != nil {
		t.Fatal(err)
	}
	want := driver.Stats{
		Queue: stockQueue, Waiting: 1, InFlight: 2, Done: 1, Dead: 1, Published: 5, OldestWaitingAt: testMessage(3).Time,
	}
	if diff := cmp.Diff(b.stats(), want); diff != "" {
		t.Errorf("stats (-got +want):\n%s", diff)
	}
	b.clock.advance(time.Minute)
	want.Waiting, want.InFlight = 3, 0
	if diff := cmp.Diff(b.stats(), want); diff != "" {
		t.Errorf("stats when the leases are over (-got +want):\n%s", diff)
	}
}

// TestPurgeRemovesOnlyWhatIsDoneEverywhere has one message that is done on one
// queue and dead on the other.
func TestPurgeRemovesOnlyWhatIsDoneEverywhere(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bury(adQueue, testMessage(1), "because")
	for n := range byte(5) {
		b.publish(stockQueue, testMessage(n+1))
	}
	for i, d := range b.look(stockQueue) {
		if i == 4 {
			break // one stays in flight
		}
		if err := b.Done(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	b.purge(b.clock.Now(), 10, 0) // nothing is older than its own time
	b.clock.advance(time.Second)
	b.purge(b.clock.Now(), 3, 3)
	b.purge(b.clock.Now(), 3, 1)
	b.purge(b.clock.Now(), 3, 0)
	if got := b.stats(); got.Purged != 4 || got.InFlight != 1 {
		t.Errorf("stats = %+v, want 4 purged and 1 in flight", got)
	}
	if n := b.count(`SELECT COUNT(*) FROM queue_messages`); n != 2 {
		t.Errorf("%d messages are left, want the dead one and the one in flight", n)
	}
	if letter, err := b.DeadLetter(t.Context(), adQueue, testMessage(1).ID); err != nil || len(letter.Body) == 0 {
		t.Errorf("dead letter after the purge: %+v, %v, want it whole", letter, err)
	}
}

func (b bench) purge(before time.Time, limit, want int) {
	b.t.Helper()
	if got, err := b.Purge(b.t.Context(), before, limit); err != nil || got != want {
		b.t.Errorf("Purge by %d = %d, %v, want %d", limit, got, err, want)
	}
}

func TestPurgeOfTheLastQueueRemovesMessageAndFailures(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	b.bury(stockQueue, testMessage(1), "because")
	if ok, err := b.Redrive(t.Context(), "", testMessage(1).ID); !ok || err != nil {
		t.Fatalf("Redrive = %t, %v, want true", ok, err)
	}
	if err := b.Done(t.Context(), b.take(stockQueue)); err != nil {
		t.Fatal(err)
	}
	b.clock.advance(time.Second)
	b.purge(b.clock.Now(), 10, 1)
	if n := b.count(`SELECT (SELECT COUNT(*) FROM queue_messages) + (SELECT COUNT(*) FROM queue_failures)`); n != 0 {
		t.Errorf("%d rows are left, want 0", n)
	}
}
