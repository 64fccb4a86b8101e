package jetstream

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/restock/restock/internal/queue/driver"
)

// trait is one thing that a stream or consumer should have.
type trait[C any] struct {
	name string
	show func(C) string
	set  func(have *C, want C) // nil: JetStream lets nobody change it
}

// differences is what a stream or consumer has otherwise than it should.
type differences[C any] struct {
	mendable, fixed []driver.Finding
	mended          C // what it has, with the mendable put right
}

func compare[C any](what string, traits []trait[C], have, want C) differences[C] {
	d := differences[C]{mended: have}
	for _, t := range traits {
		f := driver.Finding{What: what + ": " + t.name, Have: t.show(have), Want: t.show(want)}
		switch {
		case f.Have == f.Want:
		case t.set == nil:
			f.Want += " (cannot be changed; make a stream of another name with ?stream=)"
			d.fixed = append(d.fixed, f)
		default:
			t.set(&d.mended, want)
			d.mendable = append(d.mendable, f)
		}
	}
	return d
}

// settle gives the findings; with mend, after it has put right what can be.
func (d differences[C]) settle(mend bool, update func(C) error) ([]driver.Finding, error) {
	findings := slices.Concat(d.mendable, d.fixed)
	if !mend || len(d.mendable) == 0 {
		return findings, nil
	}
	if err := update(d.mended); err != nil {
		return findings, err
	}
	for i := range d.mendable {
		findings[i].Mended = true
	}
	return findings, nil
}

var (
	streamTraits = []trait[jetstream.StreamConfig]{
		{name: "retention", show: func(c jetstream.StreamConfig) string { return c.Retention.String() }},
		{name: "storage", show: func(c jetstream.StreamConfig) string { return c.Storage.String() }},
		{name: "sealed", show: func(c jetstream.StreamConfig) string { return strconv.FormatBool(c.Sealed) }},
		{name: "asynchronous persistence", show: func(c jetstream.StreamConfig) string {
			return strconv.FormatBool(c.PersistMode == jetstream.AsyncPersistMode)
		}},
		{name: "life of single messages", show: func(c jetstream.StreamConfig) string { return strconv.FormatBool(c.AllowMsgTTL) }},
		{
			name: "subjects",
			show: func(c jetstream.StreamConfig) string { return strings.Join(c.Subjects, " ") },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.Subjects = want.Subjects },
		},
		{
			name: "replicas",
			show: func(c jetstream.StreamConfig) string { return strconv.Itoa(c.Replicas) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.Replicas = want.Replicas },
		},
		{
			name: "discard",
			show: func(c jetstream.StreamConfig) string { return c.Discard.String() },
			set: func(have *jetstream.StreamConfig, want jetstream.StreamConfig) {
				have.Discard, have.DiscardNewPerSubject = want.Discard, false
			},
		},
		{
			name: "age of messages",
			show: func(c jetstream.StreamConfig) string { return limit(int64(c.MaxAge), c.MaxAge.String()) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.MaxAge = want.MaxAge },
		},
		{
			name: "number of messages",
			show: func(c jetstream.StreamConfig) string { return count(c.MaxMsgs) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.MaxMsgs = want.MaxMsgs },
		},
		{
			name: "number of messages of a subject",
			show: func(c jetstream.StreamConfig) string { return count(c.MaxMsgsPerSubject) },
			set: func(have *jetstream.StreamConfig, want jetstream.StreamConfig) {
				have.MaxMsgsPerSubject = want.MaxMsgsPerSubject
			},
		},
		{
			name: "bytes of all messages",
			show: func(c jetstream.StreamConfig) string { return count(c.MaxBytes) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.MaxBytes = want.MaxBytes },
		},
		{
			name: "bytes of a message",
			show: func(c jetstream.StreamConfig) string { return count(int64(c.MaxMsgSize)) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.MaxMsgSize = want.MaxMsgSize },
		},
		{
			name: "duplicate window",
			show: func(c jetstream.StreamConfig) string { return c.Duplicates.String() },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.Duplicates = want.Duplicates },
		},
		{
			name: "acknowledgement of what is published",
			show: func(c jetstream.StreamConfig) string { return strconv.FormatBool(!c.NoAck) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.NoAck = want.NoAck },
		},
		{
			name: "messages that purge others",
			show: func(c jetstream.StreamConfig) string { return strconv.FormatBool(c.AllowRollup) },
			set:  func(have *jetstream.StreamConfig, want jetstream.StreamConfig) { have.AllowRollup = want.AllowRollup },
		},
	}

	consumerTraits = []trait[jetstream.ConsumerConfig]{
		{name: "acknowledgement", show: func(c jetstream.ConsumerConfig) string { return c.AckPolicy.String() }},
		{name: "first message", show: func(c jetstream.ConsumerConfig) string { return c.DeliverPolicy.String() }},
		{name: "kept in memory", show: func(c jetstream.ConsumerConfig) string { return strconv.FormatBool(c.MemoryStorage) }},
		{
			name: "subject",
			show: func(c jetstream.ConsumerConfig) string {
				return strings.Join(append(slices.Clone(c.FilterSubjects), c.FilterSubject), " ")
			},
			set: func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) {
				have.FilterSubject, have.FilterSubjects = want.FilterSubject, nil
			},
		},
		{
			name: "ack wait",
			show: func(c jetstream.ConsumerConfig) string { return c.AckWait.String() },
			set:  func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) { have.AckWait = want.AckWait },
		},
		{
			name: "backoff",
			show: func(c jetstream.ConsumerConfig) string { return fmt.Sprint(c.BackOff) },
			set:  func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) { have.BackOff = want.BackOff },
		},
		{
			name: "deliveries",
			show: func(c jetstream.ConsumerConfig) string { return count(int64(c.MaxDeliver)) },
			set:  func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) { have.MaxDeliver = want.MaxDeliver },
		},
		{
			name: "unanswered messages",
			show: func(c jetstream.ConsumerConfig) string { return count(int64(c.MaxAckPending)) },
			set: func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) {
				have.MaxAckPending = want.MaxAckPending
			},
		},
		{
			name: "removed when idle for",
			show: func(c jetstream.ConsumerConfig) string {
				return limit(int64(c.InactiveThreshold), c.InactiveThreshold.String())
			},
			set: func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) {
				have.InactiveThreshold = want.InactiveThreshold
			},
		},
		{
			name: "headers only",
			show: func(c jetstream.ConsumerConfig) string { return strconv.FormatBool(c.HeadersOnly) },
			set: func(have *jetstream.ConsumerConfig, want jetstream.ConsumerConfig) {
				have.HeadersOnly = want.HeadersOnly
			},
		},
	}
)

// count and limit show a limit; not every server writes none in the same way.
func count(n int64) string { return limit(n, strconv.FormatInt(n, 10)) }

func limit(n int64, text string) string {
	if n <= 0 {
		return "unlimited"
	}
	return text
}
