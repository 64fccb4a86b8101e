package messages_test

import (
	"math/rand/v2"
	"time"
)

// pace is how long things take. In a bubble of synctest weeks cost nothing;
// beside a real broker seconds must do.
type pace struct {
	patience    time.Duration   // how long a process waits for a message
	visibility  time.Duration   // of a receive
	loss        time.Duration   // the longest visibility of a message that may be lost on the way
	shuffle     time.Duration   // by how much messages overtake each other
	late        []time.Duration // how much later a message can come, the rare ones last
	mailing     time.Duration   // the longest that a mail takes
	backoff     [2]time.Duration
	buying      time.Duration // between two buyers of a product
	lead        time.Duration // of the factory
	weather     time.Duration // between two outages
	mailOutage  time.Duration
	queueOutage []time.Duration // the rare ones last
	operator    time.Duration   // between two looks at the dead letters
	alerts      time.Duration
	spacing     time.Duration // between two mails to stop an advertisement
	look        time.Duration // between two looks whether all is quiet
	quiet       time.Duration // the longest that it takes
	years       time.Duration // for which dead letters lie at last
}

// oneOf draws one of several times, the first ones more often.
func oneOf(r *rand.Rand, times []time.Duration) time.Duration {
	i := 0
	for i < len(times)-1 && chance(r, 35) {
		i++
	}
	return around(r, times[i])
}

// second draws when a message comes for the second time: beside the first, soon
// after, when its visibility has run out, or much later.
func (p pace) second(r *rand.Rand) time.Duration {
	switch r.IntN(4) {
	case 0:
		return 0
	case 1:
		return upTo(r, p.shuffle)
	case 2:
		return around(r, p.visibility)
	default:
		return oneOf(r, p.late)
	}
}

// size is how much happens in a world.
type size struct {
	products int
	rounds   int // how often each is sold out
	buyers   int // at most, of each
}

const (
	day  = 24 * time.Hour
	year = 366 * day
)

// inBubble is the pace of worlds whose clock jumps.
func inBubble() pace {
	return pace{
		patience: 30 * day, visibility: 10 * time.Second, loss: day, shuffle: 4 * time.Second,
		late: []time.Duration{5 * time.Minute, 3 * time.Hour, day, 14 * day}, mailing: 28 * time.Second,
		backoff: [2]time.Duration{time.Second, 5 * time.Minute}, buying: 10 * time.Minute, lead: time.Hour,
		weather: 5 * time.Hour, mailOutage: 20 * time.Minute, queueOutage: []time.Duration{10 * time.Minute, 30 * time.Minute, 6 * time.Hour}, operator: 12 * time.Hour, alerts: 6 * time.Hour,
		spacing: 3 * time.Hour,
		look:    6 * time.Hour, quiet: 120 * day,
	}
}

// besideBroker is the pace of worlds whose clock is the real one.
func besideBroker() pace {
	const moment = 200 * time.Millisecond
	return pace{
		patience: moment, visibility: 2 * time.Second, loss: 5 * time.Second, shuffle: moment,
		late: []time.Duration{moment, time.Second, 3 * time.Second}, mailing: 3 * time.Second,
		backoff: [2]time.Duration{moment / 10, time.Second}, buying: moment / 4, lead: moment,
		weather: 2 * time.Second, mailOutage: moment, queueOutage: []time.Duration{moment, time.Second}, operator: time.Second, alerts: moment, spacing: moment,
		look: moment / 4, quiet: 15 * time.Minute, // only what is broken uses it up
	}
}

// besideSQS is the same where visibilities and waits are whole seconds.
func besideSQS() pace {
	p := besideBroker()
	p.patience, p.visibility, p.mailing = time.Second, 3*time.Second, 4*time.Second
	return p
}
