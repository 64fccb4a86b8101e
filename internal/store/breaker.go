package store

import (
	"context"
	"time"

	"github.com/restock/restock"
)

// How a factory is spared, over all processes together: it stands in its row,
// and is written in the transactions that claim and settle an attempt.
const (
	// breakerFailuresMax failures in a row open the breaker, for a pause that
	// doubles with each time that its one probe fails too.
	breakerFailuresMax = 5
	breakerPauseBase   = 5 * time.Second
	breakerPauseMax    = 5 * time.Minute

	// Retries have a budget: a tenth of the first tries and one a minute, with
	// this many at most at once.
	retryBurst        = 5
	retryShare        = 0.1
	retryFillInterval = time.Minute
	microsPerRetry    = "60000000.0" // retryFillInterval, in SQL
)

// countCall takes what a call costs of a factory's pace and of its retries. A
// call while the breaker is not closed is the one probe; no other call is made
// until it is answered, or its lease is over.
func (t *tx) countCall(ctx context.Context, a restock.Attempt) error {
	var tokens float64
	var filled time.Time
	if err := t.one(ctx, `SELECT retry_tokens, retry_filled_at FROM factories WHERE id = ?`, []any{a.Factory.ID}, &tokens, instant{&filled}); err != nil {
		return err
	}
	if waited := t.now.Sub(filled); waited > 0 {
		tokens = min(retryBurst, tokens+float64(waited)/float64(retryFillInterval))
	}
	if a.Number > 1 || a.Tries > 1 {
		tokens--
	} else {
		tokens = min(retryBurst, tokens+retryShare)
	}
	pace := time.Duration(float64(time.Second) / a.Factory.RatePerSecond)
	return t.must(ctx, `UPDATE factories SET next_call_at = ?, retry_tokens = ?, retry_filled_at = ?,
			breaker_until = CASE WHEN breaker = 'closed' THEN breaker_until ELSE ? END,
			breaker = CASE WHEN breaker = 'closed' THEN 'closed' ELSE 'half_open' END
		WHERE id = ?`, micros(t.now.Add(pace)), tokens, micros(t.now), micros(a.LeaseUntil), a.Factory.ID)
}

// health is what an answer says about a factory as a whole.
type health int

const (
	healthy health = iota
	busy           // it asks for time; that is no failure, and no proof of health
	failing
)

func healthOf(answer restock.Answered) health {
	switch {
	case answer.State == restock.AttemptAccepted:
		return healthy
	case answer.State != restock.AttemptRejected:
		return failing
	case answer.RetryAt.IsZero():
		return healthy // it refused this order, and so it works
	default:
		return busy
	}
}

// judgeFactory lets an answer open or close the breaker of its factory, and
// obeys the time that the factory asked for.
func (t *tx) judgeFactory(ctx context.Context, a restock.Attempt, answer restock.Answered) error {
	var (
		state            restock.BreakerState
		failures, opened int
		until            time.Time
	)
	if _, err := t.lockFactory(ctx, a.Factory.ID); err != nil {
		return err
	}
	if err := t.one(ctx, `SELECT breaker, breaker_failures, breaker_opened, breaker_until FROM factories WHERE id = ?`,
		[]any{a.Factory.ID}, &state, &failures, &opened, instant{&until}); err != nil {
		return err
	}
	switch healthOf(answer) {
	case healthy:
		state, failures, opened, until = restock.BreakerClosed, 0, 0, time.Time{}
	case failing:
		failures++
	case busy:
	}
	// Who was called before it opened says nothing about the probe, which is
	// still on its way and must stay the only one.
	probed := state == restock.BreakerHalfOpen && until.Equal(a.LeaseUntil)
	if probed || state == restock.BreakerClosed && failures >= breakerFailuresMax {
		state = restock.BreakerOpen
		until = t.now.Add(min(breakerPauseMax, breakerPauseBase<<min(opened, 16))) //nolint:mnd // 16 doublings are beyond the maximum.
		opened++
	}
	// The factory's own wish can be nothing, or only lengthen the pace.
	return t.must(ctx, `UPDATE factories SET breaker = ?, breaker_failures = ?, breaker_opened = ?, breaker_until = ?,
			next_call_at = CASE WHEN next_call_at < ? THEN ? ELSE next_call_at END
		WHERE id = ?`, string(state), failures, opened, orZero(until), orZero(answer.FactoryFrom), orZero(answer.FactoryFrom), a.Factory.ID)
}

// orZero is micros for a column that has no NULL.
func orZero(at time.Time) int64 {
	if at.IsZero() {
		return 0
	}
	return at.UnixMicro()
}
