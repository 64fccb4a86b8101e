package store

import (
	"context"
	"database/sql"
	"time"

	"github.com/restock/restock"
)

// heartbeatsKept is how long it is known when somebody was there to be called;
// no window for a callback is longer.
const heartbeatsKept = 90 * 24 * time.Hour

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
		if _, err := tx.Exec(ctx, `DELETE FROM heartbeats WHERE beat_at < ?`, micros(tx.now.Add(-heartbeatsKept))); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `DELETE FROM heartbeats WHERE owner = ? AND started_at = ?`, owner, micros(tx.now)); err != nil {
			return err
		}
		return tx.must(ctx, `INSERT INTO heartbeats (owner, started_at, beat_at, gap_min) VALUES (?, ?, ?, ?)`,
			owner, micros(tx.now), micros(tx.now), gap.Microseconds())
	})
}

// away is how much of the time since a moment no process was there to be
// called. Where none has ever told that it was there, nothing is known, and it
// counts as there.
func (t *tx) away(ctx context.Context, since time.Time) (time.Duration, error) {
	type stretch struct {
		from, until time.Time
		gap         time.Duration
	}
	var known bool
	if err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM heartbeats)`, nil, &known); err != nil || !known {
		return 0, err
	}
	stretches, err := collect(ctx, t, `SELECT started_at, beat_at, gap_min FROM heartbeats WHERE beat_at >= ? ORDER BY started_at`,
		[]any{micros(since)}, func(rows *sql.Rows) (stretch, error) {
			var s stretch
			err := rows.Scan(instant{&s.from}, instant{&s.until}, duration{&s.gap})
			return s, err
		})
	if err != nil {
		return 0, err
	}
	var away time.Duration
	covered := since
	for _, s := range stretches {
		if !s.from.Before(t.now) {
			break // the clock was set back since
		}
		if s.from.After(covered) {
			away += s.from.Sub(covered)
		}
		if t.now.Sub(s.until) <= s.gap {
			s.until = t.now // alive, and between two beats
		}
		if s.until.After(covered) {
			covered = s.until
		}
	}
	if t.now.After(covered) {
		away += t.now.Sub(covered)
	}
	return away, nil
}

// learn takes a callback's time as a lesson about its factory: the longest, and
// an average in which the last five count most. What came while nobody was
// there, or after the clock was set, teaches nothing.
func (t *tx) learn(ctx context.Context, a restock.Attempt) error {
	took := t.now.Sub(a.SentAt)
	away, err := t.away(ctx, a.SentAt)
	if err != nil {
		return err
	}
	if took <= 0 || away > 0 {
		took = 0
	}
	return t.must(ctx, `UPDATE factories SET
			called_back_at = COALESCE(NULLIF((SELECT public_url FROM order_attempts WHERE order_id = ? AND number = ?), ''), called_back_at),
			lead_time_longest = MAX(lead_time_longest, ?),
			lead_time_learned = CASE WHEN ? = 0 THEN lead_time_learned WHEN lead_times_seen = 0 THEN ? ELSE lead_time_learned + (? - lead_time_learned) / 5 END,
			lead_times_seen = lead_times_seen + (? > 0)
		WHERE id = ?`, a.OrderID, a.Number, took.Microseconds(), took.Microseconds(), took.Microseconds(), took.Microseconds(),
		took.Microseconds(), a.Factory.ID)
}
