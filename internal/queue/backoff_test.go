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

func TestAScheduleIsKeptButForATenthByChance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		random   float64
		failures int
		want     time.Duration
	}{
		{0, 0, 10 * time.Second},
		{0.5, 0, 9_500 * time.Millisecond},
		{0.5, 1, 57 * time.Minute},
		{0, 2, time.Hour}, // beyond it the last one counts
	} {
		b := backoff{base: time.Second, limit: time.Second, schedule: []time.Duration{10 * time.Second, time.Hour}, random: func() float64 { return c.random }}
		if got := b.delay(c.failures); got != c.want {
			t.Errorf("delay after failure %d with random %g = %s, want %s", c.failures, c.random, got, c.want)
		}
	}
	if got := (Config{Schedule: make([]time.Duration, 9)}).withDefaults().ReceivesMax; got != 10 {
		t.Errorf("a schedule of 9 delays has %d tries, want 10", got)
	}
}
