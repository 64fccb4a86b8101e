package simulation_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

// branch names something that can happen. Those of mustHappen do happen in
// every full run: a simulation that never comes to a place proves nothing of it.
type branch string

// callbacks counts the calls that reached us with a token that is ours.
const callbacks branch = "callbacks with a good token"

// tally counts what happened.
type tally struct {
	mu     sync.Mutex
	counts map[branch]int64
	order  []branch
}

func newTally() *tally { return &tally{counts: map[branch]int64{}} }

func (y *tally) count(b branch) {
	if _, ok := y.counts[b]; !ok {
		y.order = append(y.order, b)
	}
	y.counts[b]++
}

func (y *tally) of(b branch) int64 {
	y.mu.Lock()
	defer y.mu.Unlock()
	return y.counts[b]
}

// add takes over the counts of a world that has ended.
func (y *tally) add(of *tally) {
	y.mu.Lock()
	defer y.mu.Unlock()
	for _, b := range of.order {
		if _, ok := y.counts[b]; !ok {
			y.order = append(y.order, b)
		}
		y.counts[b] += of.counts[b]
	}
}

func (y *tally) String() string {
	var b strings.Builder
	known := map[branch]bool{}
	for _, name := range mustHappen() {
		known[name] = true
		fmt.Fprintf(&b, "%9d  %s\n", y.counts[name], name)
	}
	for _, name := range y.order {
		if !known[name] {
			fmt.Fprintf(&b, "%9d  (%s)\n", y.counts[name], name)
		}
	}
	return b.String()
}

// missing is what must happen and has not.
func (y *tally) missing() []branch {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.DeleteFunc(mustHappen(), func(name branch) bool { return y.counts[name] > 0 })
}

func (y *tally) wantAll(t *testing.T) {
	t.Helper()
	for _, name := range y.missing() {
		t.Errorf("it never happened: %s; too little was tried", name)
	}
}
