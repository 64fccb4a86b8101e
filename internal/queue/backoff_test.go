package queue

import (
	"testing"
	"time"
)

func TestBackoffStaysBetweenHalfTheBaseAndTheCap(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		random   float64
		failures int
		want     time.Duration
	}{
		{0, 0, 500 * time.Millisecond},
		{0.25, 0, 500 * time.Millisecond},
		{0.75, 0, 750 * time.Millisecond},
		{0.5, 3, 4 * time.Second},
		{0, 30, 500 * time.Millisecond},
		{0.5, 9, 150 * time.Second},
		{0.5, 1_000, 150 * time.Second},
	} {
		b := backoff{base: time.Second, limit: 5 * time.Minute, random: func() float64 { return c.random }}
		if got := b.delay(c.failures); got != c.want {
			t.Errorf("delay after failure %d with random %g = %s, want %s", c.failures, c.random, got, c.want)
		}
	}
}

func TestBackoffWithACapBelowTheBase(t *testing.T) {
	t.Parallel()
	b := backoff{base: time.Minute, limit: time.Second, random: func() float64 { return 0.999 }}
	if got := b.delay(5); got > time.Second {
		t.Errorf("delay = %s, want at most the cap of 1s", got)
	}
}
