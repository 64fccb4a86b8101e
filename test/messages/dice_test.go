package messages_test

import (
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"time"
)

// dice give the choices of one world. A choice follows from the seed and from
// what it is about, not from when it is made, since the goroutines of a world
// run as they like.
type dice uint64

// about gives the dice for one thing.
func (d dice) about(what ...any) *rand.Rand {
	h := fnv.New64a()
	fmt.Fprintln(h, what...)
	return rand.New(rand.NewPCG(uint64(d), h.Sum64()))
}

// chance is true with a probability in percent.
func chance(r *rand.Rand, percent int) bool { return r.IntN(100) < percent }

// upTo is a time from nothing to most.
func upTo(r *rand.Rand, most time.Duration) time.Duration {
	return time.Duration(r.Int64N(int64(most) + 1))
}

// around is a time from half of d to half as much again.
func around(r *rand.Rand, d time.Duration) time.Duration { return d/2 + upTo(r, d) }
