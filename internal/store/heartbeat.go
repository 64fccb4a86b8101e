package store

import (
	"cmp"
	"context"
	"database/sql"
	"time"

	"github.com/restock/restock"
)

// heartbeatsKept is how long it is known when somebody was there to be called;
// no window for a callback is longer.
const heartbeatsKept = 90 * 24 * time.Hour

// clockSkewMax is how much the clocks of processes may differ without anybody
// having set one back.
const clockSkewMax = time.Second

// Beat notes that a receiving process is alive. Its beats make one stretch of
// time while none of them comes later than gap after the last; after a longer
// silence, and when the clock was set back, a new stretch begins.
func (s *Store) Beat(ctx context.Context, owner string, gap time.Duration) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		n, err := tx.Exec(ctx, `UPDATE heartbeats SET beat_at = ?, gap_min = ? WHERE owner = ? AND beat_at BETWEEN ? AND ?`,
			micros(tx.now), gap.Microseconds(), owner, micros(tx.now.Add(-gap)), micros(tx.now))
		if err != nil || n > 0 {
			return err
		}
		return tx.beginStretch(ctx, owner, gap)
	})
}

func (t *tx) beginStretch(ctx context.Context, owner string, gap time.Duration) error {
	var latest time.Time
	if err := t.one(ctx, `SELECT MAX(beat_at) FROM heartbeats`, nil, instant{&latest}); err != nil {
		return err
	}
	setBack := latest.Sub(t.now)
	if setBack <= clockSkewMax {
		setBack = 0
	}
	if _, err := t.Exec(ctx, `DELETE FROM heartbeats WHERE beat_at < ? OR owner = ? AND started_at = ?`,
		micros(t.now.Add(-heartbeatsKept)), owner, micros(t.now)); err != nil {
		return err
	}
	return t.must(ctx, `INSERT INTO heartbeats (owner, started_at, beat_at, gap_min, set_back) VALUES (?, ?, ?, ?, ?)`,
		owner, micros(t.now), micros(t.now), gap.Microseconds(), setBack.Microseconds())
}

// stretch is a time without a gap in which a process was there.
type stretch struct {
	from, until time.Time
	gap         time.Duration // after until, while the next beat may still come
	setBack     time.Duration // of the clock, when it began
}

// away is how much of the time since a moment no process was there to be
// called. When the clock was set back meanwhile, nobody can tell, and what it was
// set back by counts as away too. Where none has ever told that it was there,
// nothing is known, and it counts as there.
func (t *tx) away(ctx context.Context, since time.Time) (time.Duration, error) {
	var known bool
	if err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM heartbeats)`, nil, &known); err != nil || !known {
		return 0, err
	}
	stretches, err := collect(ctx, t, `SELECT started_at, beat_at, gap_min, set_back FROM heartbeats
		WHERE beat_at + gap_min >= ? OR set_back > 0 AND started_at + set_back >= ? ORDER BY started_at`,
		[]any{micros(since), micros(since)}, func(rows *sql.Rows) (stretch, error) {
			var s stretch
			err := rows.Scan(instant{&s.from}, instant{&s.until}, duration{&s.gap}, duration{&s.setBack})
			return s, err
		})
	if err != nil {
		return 0, err
	}
	return uncovered(stretches, since, t.now), nil
}

// uncovered is how much of a time no stretch covers; they are in the order of
// their beginnings.
func uncovered(stretches []stretch, since, now time.Time) time.Duration {
	var away, setBack time.Duration
	covered := since
	for _, s := range stretches {
		if !s.from.Before(now) {
			break // the clock was set back since
		}
		if !s.from.Add(s.setBack).Before(since) {
			setBack = max(setBack, s.setBack) // each process tells of the same
		}
		if s.from.After(covered) {
			away += s.from.Sub(covered)
		}
		if now.Sub(s.until) <= s.gap {
			s.until = now // alive, and between two beats
		}
		if s.until.After(covered) {
			covered = s.until
		}
	}
	if now.After(covered) {
		away += now.Sub(covered)
	}
	return away + setBack
}

// learn takes a callback's time as a lesson about its factory: the longest, and
// an average in which the last five count most. What came while nobody was
// there, or after the clock was set, teaches nothing. A call that came before its
// order was answered came to the present public URL: nobody has written down
// yet which one the factory was told.
func (t *tx) learn(ctx context.Context, a restock.Attempt, publicURL string) error {
	if a.State != restock.AttemptSending {
		publicURL = ""
	}
	took := t.now.Sub(a.SentAt)
	away, err := t.away(ctx, a.SentAt)
	if err != nil {
		return err
	}
	if took <= 0 || away > 0 {
		took = 0
	}
	f, err := t.lockFactory(ctx, a.Factory.ID)
	if err != nil {
		return err
	}
	var told string
	if err := t.one(ctx, `SELECT public_url FROM order_attempts WHERE order_id = ? AND number = ?`, []any{a.OrderID, a.Number}, &told); err != nil {
		return err
	}
	if took > 0 {
		f.LeadTimeLongest = max(f.LeadTimeLongest, took)
		f.LeadTimeLearned = learned(f, took)
		f.LeadTimesSeen++
	}
	return t.must(ctx, `UPDATE factories SET called_back_at = ?, lead_time_longest = ?, lead_time_learned = ?, lead_times_seen = ? WHERE id = ?`,
		cmp.Or(told, publicURL, f.CalledBackAt), f.LeadTimeLongest.Microseconds(), f.LeadTimeLearned.Microseconds(), f.LeadTimesSeen, f.ID)
}

// learned is the average lead time of a factory after one more.
func learned(f restock.Factory, took time.Duration) time.Duration {
	const lastThatCount = 5
	if f.LeadTimesSeen == 0 {
		return took
	}
	return f.LeadTimeLearned + (took-f.LeadTimeLearned)/lastThatCount
}
