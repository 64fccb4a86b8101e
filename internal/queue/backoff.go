package queue

import "time"

// backoff is full jitter (Brooker, "Exponential Backoff And Jitter", AWS
// 2015): a random delay up to min(limit, base·2ⁿ). It is never less than half
// the base, so that a message does not use up its receives in an instant.
type backoff struct {
	base, limit time.Duration
	schedule    []time.Duration // instead, if there is one
	random      func() float64  // in [0, 1)
}

// scheduleJitter is the part of a scheduled delay that chance takes off, so that
// what failed together does not come again together.
const scheduleJitter = 0.1

// delay gives the wait after failure n, counted from 0.
func (b backoff) delay(n int) time.Duration {
	if len(b.schedule) > 0 {
		d := b.schedule[min(n, len(b.schedule)-1)]
		return d - time.Duration(scheduleJitter*b.random()*float64(d))
	}
	ceiling := min(b.base, b.limit)
	for range n {
		if ceiling >= b.limit/2 { // doubling could overflow
			ceiling = b.limit
			break
		}
		ceiling *= 2
	}
	d := time.Duration(b.random() * float64(ceiling))
	return max(d, min(b.base/2, b.limit))
}
