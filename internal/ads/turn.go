package ads

import (
	"time"

	"github.com/restock/restock"
)

// The defaults of Pace.
const (
	DefaultReminder   = time.Hour
	DefaultEscalation = 4 * time.Hour
	DefaultSpacing    = 10 * time.Minute
)

// clockSkewMax is how far the clocks of two processes may differ. A mail that
// was sent later than that from now says that the clock was set back.
const clockSkewMax = time.Minute

// Pace is how often an ad manager is written to.
type Pace struct {
	// Reminder is how long an answer may take before the question is repeated,
	// once, and Escalation how long before operations hear of it.
	Reminder, Escalation time.Duration
	// Spacing is the least time between two mails that ask to stop the same
	// advertisement. The mail that it can resume is never held back, so there is
	// at most one pair of them in this time.
	Spacing time.Duration
}

func (p Pace) withDefaults() Pace {
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{{&p.Reminder, DefaultReminder}, {&p.Escalation, DefaultEscalation}, {&p.Spacing, DefaultSpacing}} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	return p
}

// Turn decides the next step with an ad manager, from what is true now and what
// was told:
//
//	state       nothing to sell                   something to sell
//	none        begin a hold                      -
//	stopping    send the mail to stop             withdraw, or send the mail to resume
//	stopped     remind, escalate                  send the mail to resume
//	resuming    back to stopped, or begin anew    send the mail to resume
//	resumed     begin a hold                      remind, escalate
//
// A hold that was withdrawn gives way to the one before, in the same step.
//
// Where there are two ways, the first is for a mail that surely did not arrive, and
// that no program acted upon: what nobody was told needs no correction. To begin
// waits for the spacing, and what was held back is decided again when that has
// passed. So whatever the last mail said is true, or will be corrected at a known
// time.
func (p Pace) Turn(s restock.AdSituation) restock.AdTurn {
	// A mail that is on its way for longer than any may be was sent before the
	// clock was set back.
	if s.MailingUntil.After(s.Now) && !s.MailingUntil.After(s.Now.Add(mailingTimeout+clockSkewMax)) {
		return restock.AdTurn{Wait: true, State: s.Hold.State}
	}
	hold := s.Hold
	switch hold.State {
	case restock.AdHoldStopping:
		switch {
		case s.Out:
			return restock.AdTurn{State: hold.State, Send: restock.AdMailStop}
		case !known(hold.Stop):
			return restock.AdTurn{State: restock.AdHoldWithdrawn}
		}
		return resume()
	case restock.AdHoldStopped:
		if !s.Out {
			return resume()
		}
		return p.followUp(s, restock.AskStop)
	case restock.AdHoldResuming:
		switch {
		case !s.Out:
			return resume()
		case known(hold.Resume):
			return p.begin(s)
		case hold.Stop.Mail.SentAt.IsZero():
			return restock.AdTurn{State: restock.AdHoldStopping, Send: restock.AdMailStop}
		}
		t := p.followUp(s, restock.AskStop)
		t.State = restock.AdHoldStopped
		return t
	case restock.AdHoldResumed, restock.AdHoldWithdrawn:
	}
	switch {
	case s.Out:
		return p.begin(s)
	case hold.State == restock.AdHoldResumed:
		return p.followUp(s, restock.AskResume)
	}
	return restock.AdTurn{State: hold.State}
}

// known reports whether somebody may know of a question: its mail may have arrived,
// or a program did what it asks.
func known(q restock.AdQuestion) bool { return q.Mail.MayHaveArrived() || !q.AcknowledgedAt.IsZero() }

func resume() restock.AdTurn {
	return restock.AdTurn{State: restock.AdHoldResuming, Send: restock.AdMailResume}
}

// begin asks for a stop, unless the last one was asked for a moment ago.
func (p Pace) begin(s restock.AdSituation) restock.AdTurn {
	if last := lastStop(s.Hold); !last.IsZero() && !last.After(s.Now.Add(clockSkewMax)) {
		if next := last.Add(p.Spacing); next.After(s.Now) {
			return restock.AdTurn{State: s.Hold.State, LookAt: next}
		}
	}
	return restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop}
}

// lastStop is when a mail to stop was last sent, or may have been.
func lastStop(h restock.AdHold) time.Time {
	m := h.Stop.Mail
	switch {
	case !m.MayHaveArrived():
		return time.Time{}
	case m.SentAt.After(m.TriedAt):
		return m.SentAt
	}
	return m.TriedAt
}

// followUp reminds once of a question that nobody answers, and then hands it to
// operations. That does not wait for the reminder, which may fail.
func (p Pace) followUp(s restock.AdSituation, ask restock.AdAsk) restock.AdTurn {
	t := restock.AdTurn{State: s.Hold.State}
	q := s.Hold.Question(ask)
	if !q.AcknowledgedAt.IsZero() || q.Mail.SentAt.IsZero() {
		return t
	}
	remindAt, escalateAt := q.Mail.SentAt.Add(p.Reminder), q.Mail.SentAt.Add(p.Escalation)
	if s.Hold.EscalatedAt.IsZero() {
		t.LookAt = escalateAt
		if !escalateAt.After(s.Now) {
			t.Escalate, t.LookAt = true, time.Time{}
		}
	}
	switch {
	case !q.Reminder.SentAt.IsZero():
	case !remindAt.After(s.Now):
		t.Send = reminderOf(ask)
	case t.LookAt.IsZero() || remindAt.Before(t.LookAt):
		t.LookAt = remindAt
	}
	return t
}

func reminderOf(ask restock.AdAsk) restock.AdMailKind {
	if ask == restock.AskResume {
		return restock.AdMailResumeReminder
	}
	return restock.AdMailStopReminder
}
