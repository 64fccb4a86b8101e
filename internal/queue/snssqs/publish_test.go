package snssqs

import (
	"slices"
	"strings"
	"testing"

	"github.com/restock/restock/internal/queue/driver"
)

// TestABatchHoldsWhatSNSTakesAtOnce, in number and in size, and every message
// is in one.
func TestABatchHoldsWhatSNSTakesAtOnce(t *testing.T) {
	t.Parallel()
	var messages []driver.Outgoing
	for i := range 100 {
		m := driver.Outgoing{Message: driver.Message{ID: driver.ID{1, byte(i)}, Type: "stock.low"}}
		m.Body = []byte(strings.Repeat("x", 1+i*i*20)) // 200 KiB at most
		m.Queue = []string{"", "stock-queue", "ad-queue"}[i%3]
		messages = append(messages, m)
	}
	var indexes []int
	for _, b := range batches(messages, make([]error, len(messages))) {
		bytes := 0
		for _, entry := range b.entries {
			if messages[entry.index].Queue != b.queue {
				t.Errorf("message %d goes to %q, want %q", entry.index, b.queue, messages[entry.index].Queue)
			}
			bytes += entry.wire.bytes()
			indexes = append(indexes, entry.index)
		}
		if len(b.entries) == 0 || len(b.entries) > 10 || bytes > 256<<10 {
			t.Errorf("a batch has %d messages of %d bytes", len(b.entries), bytes)
		}
	}
	slices.Sort(indexes)
	for i := range messages {
		if i >= len(indexes) || indexes[i] != i {
			t.Fatalf("the batches have the messages %v", indexes)
		}
	}
}
