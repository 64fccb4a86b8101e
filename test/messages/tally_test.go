package messages_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
)

// mischief names something that the world does to its messages. All of them
// happen in every full run: a harness that never comes to a place proves
// nothing of it.
type mischief string

const (
	postponed     mischief = "messages that came much later"
	neverCame     mischief = "receives that were lost on the way"
	cameTwice     mischief = "messages handed over twice"
	overtaken     mischief = "messages that a later one overtook"
	notExtended   mischief = "messages that were not held while a handler worked"
	answerLate    mischief = "answers that came late"
	answerLost    mischief = "answers that were lost"
	replyLost     mischief = "answers whose reply was lost"
	staleAnswer   mischief = "answers that were stale"
	staleRefused  mischief = "stale answers that were refused"
	mailSlow      mischief = "mails that took longer than a visibility"
	mailForNow    mischief = "mails refused for now"
	mailForGood   mischief = "mails refused for good"
	mailUnknown   mischief = "mails that were taken without an answer"
	mailServerOff mischief = "times that the mail server was away"
	notPublished  mischief = "messages that did not reach the broker"
	unknownToUs   mischief = "messages that reached the broker unknown to the relay"
	brokerOff     mischief = "times that the broker was away"
	redriven      mischief = "dead letters that were redriven"
	redrivenTwice mischief = "redrives started twice"
	backFirst     mischief = "stock.back handled before its stock.out"
)

// always are those that every engine meets; relaying, those behind a relay.
func always() []mischief {
	return []mischief{
		postponed, neverCame, cameTwice, overtaken, notExtended, answerLate, answerLost, replyLost, staleAnswer, staleRefused,
		mailSlow, mailForNow, mailForGood, mailUnknown, mailServerOff, redriven, redrivenTwice, backFirst,
	}
}

func relaying() []mischief { return []mischief{notPublished, unknownToUs, brokerOff} }

// tally counts what happened.
type tally struct {
	mu     sync.Mutex
	counts map[mischief]int
}

func (y *tally) count(m mischief) {
	y.mu.Lock()
	defer y.mu.Unlock()
	if y.counts == nil {
		y.counts = map[mischief]int{}
	}
	y.counts[m]++
}

// of gives what can happen on an engine.
func of(e engine) []mischief {
	if e.outbox {
		return append(always(), relaying()...)
	}
	return always()
}

func (y *tally) String() string {
	y.mu.Lock()
	defer y.mu.Unlock()
	var b strings.Builder
	for _, m := range append(always(), relaying()...) {
		fmt.Fprintf(&b, "%9d  %s\n", y.counts[m], m)
	}
	return b.String()
}

// missing is what never happened.
func (y *tally) missing(e engine) []mischief {
	y.mu.Lock()
	defer y.mu.Unlock()
	return slices.DeleteFunc(of(e), func(m mischief) bool { return y.counts[m] > 0 })
}
