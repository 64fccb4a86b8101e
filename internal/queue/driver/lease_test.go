package driver_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/restock/restock/internal/queue/driver"
)

// TestALeaseIsHeldUntilItsEndAndNoLonger: an answer after that may be about a
// message that somebody else has.
func TestALeaseIsHeldUntilItsEndAndNoLonger(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	leases := driver.Leases{Now: func() time.Time { return now }}
	leases.Take("a", now.Add(time.Minute))
	if err := leases.Check("a"); err != nil {
		t.Errorf("a lease that began: %v", err)
	}
	leases.Extend("a", now.Add(2*time.Minute))
	leases.Extend("a", now.Add(time.Second)) // never back
	now = now.Add(119 * time.Second)
	if err := leases.Check("a"); err != nil {
		t.Errorf("a lease that was extended: %v", err)
	}
	now = now.Add(time.Second)
	if err := leases.Check("a"); !errors.Is(err, driver.ErrStale) {
		t.Errorf("a lease at its end: %v, want ErrStale", err)
	}
	leases.Take("b", now.Add(time.Minute))
	leases.End("b")
	for _, handle := range []string{"b", "never taken"} {
		if err := leases.Check(handle); !errors.Is(err, driver.ErrStale) {
			t.Errorf("lease %q: %v, want ErrStale", handle, err)
		}
	}
}

func TestLeasesOfTheDeadAreForgotten(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 1, 9, 0, 0, 0, time.UTC)
	leases := driver.Leases{Now: func() time.Time { return now }}
	for n := range 10_000 {
		leases.Take(fmt.Sprint(n), now.Add(time.Second))
		now = now.Add(time.Second)
	}
	if n := driver.LeasesHeld(&leases); n > 100 {
		t.Errorf("%d leases are remembered of which nobody came back, want at most 100", n)
	}
}
