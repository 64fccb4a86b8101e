package ads_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
	"github.com/restock/restock/internal/mail"
	"pgregory.net/rapid"
)

var pace = ads.Pace{Reminder: time.Hour, Escalation: 4 * time.Hour, Spacing: 10 * time.Minute}

// noon is when the tables below play.
var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// sent and unsure are mails of a while ago; of the others nobody was told.
func sent(ago time.Duration) restock.AdMail {
	return restock.AdMail{Tries: 1, TriedAt: noon.Add(-ago), SentAt: noon.Add(-ago)}
}

func unsure(ago time.Duration) restock.AdMail {
	return restock.AdMail{Tries: 1, TriedAt: noon.Add(-ago), Unsure: true}
}

func untaken(ago time.Duration) restock.AdMail {
	return restock.AdMail{Tries: 1, TriedAt: noon.Add(-ago)}
}

func TestTheNextStepFollowsTheTable(t *testing.T) {
	t.Parallel()
	const long = 24 * time.Hour
	stop := func(m restock.AdMail) restock.AdQuestion { return restock.AdQuestion{Mail: m} }
	answered := func(q restock.AdQuestion) restock.AdQuestion { q.AcknowledgedAt = noon; return q }
	reminded := func(q restock.AdQuestion, m restock.AdMail) restock.AdQuestion { q.Reminder = m; return q }
	begin := restock.AdTurn{New: true, State: restock.AdHoldStopping, Send: restock.AdMailStop}
	resume := restock.AdTurn{State: restock.AdHoldResuming, Send: restock.AdMailResume}
	for name, test := range map[string]struct {
		out     bool
		hold    restock.AdHold
		mailing time.Time
		want    restock.AdTurn
	}{
		"nothing was ever told and all is well": {want: restock.AdTurn{}},
		"the first stockout":                    {out: true, want: begin},
		"a mail is on its way":                  {out: true, mailing: noon.Add(time.Second), want: restock.AdTurn{Wait: true}},
		"a mail from before the clock was set back": {
			out: true, mailing: noon.Add(long), want: begin,
		},
		"the mail to stop was not confirmed": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopping, Stop: stop(unsure(time.Hour))},
			want: restock.AdTurn{State: restock.AdHoldStopping, Send: restock.AdMailStop},
		},
		"back before anybody was told": {
			hold: restock.AdHold{State: restock.AdHoldStopping, Stop: stop(untaken(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldWithdrawn},
		},
		"back, and a program had stopped it before any mail": {
			hold: restock.AdHold{State: restock.AdHoldStopping, Stop: answered(stop(untaken(time.Second)))}, want: resume,
		},
		"out again, and a program had resumed it before any mail": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResuming, Stop: answered(stop(sent(long))), Resume: answered(stop(untaken(time.Second)))},
			want: begin,
		},
		"back, and the mail to stop may have arrived": {
			hold: restock.AdHold{State: restock.AdHoldStopping, Stop: stop(unsure(time.Second))}, want: resume,
		},
		"back after the mail to stop": {hold: restock.AdHold{State: restock.AdHoldStopped, Stop: stop(sent(time.Second))}, want: resume},
		"still out": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: stop(sent(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldStopped, LookAt: noon.Add(time.Hour - time.Second)},
		},
		"no answer for an hour": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: stop(sent(time.Hour))},
			want: restock.AdTurn{State: restock.AdHoldStopped, Send: restock.AdMailStopReminder, LookAt: noon.Add(3 * time.Hour)},
		},
		"reminded": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: reminded(stop(sent(time.Hour)), sent(0))},
			want: restock.AdTurn{State: restock.AdHoldStopped, LookAt: noon.Add(3 * time.Hour)},
		},
		"no answer for four hours": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: reminded(stop(sent(4*time.Hour)), sent(3*time.Hour))},
			want: restock.AdTurn{State: restock.AdHoldStopped, Escalate: true},
		},
		"nobody was there for a day": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: stop(sent(long))},
			want: restock.AdTurn{State: restock.AdHoldStopped, Escalate: true, Send: restock.AdMailStopReminder},
		},
		"operations know": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: reminded(stop(sent(long)), sent(long)), EscalatedAt: noon},
			want: restock.AdTurn{State: restock.AdHoldStopped},
		},
		"answered": {
			out: true, hold: restock.AdHold{State: restock.AdHoldStopped, Stop: answered(stop(sent(long)))},
			want: restock.AdTurn{State: restock.AdHoldStopped},
		},
		"the mail to resume was not confirmed": {
			hold: restock.AdHold{State: restock.AdHoldResuming, Stop: stop(sent(time.Hour)), Resume: stop(unsure(time.Minute))}, want: resume,
		},
		"out again, and the mail to resume surely did not arrive": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResuming, Stop: stop(sent(time.Minute)), Resume: stop(untaken(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldStopped, LookAt: noon.Add(59 * time.Minute)},
		},
		"out again, and neither mail was confirmed": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResuming, Stop: stop(unsure(time.Minute)), Resume: stop(untaken(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldStopping, Send: restock.AdMailStop},
		},
		"out again, the mail to resume may have arrived, too soon": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResuming, Stop: stop(sent(time.Minute)), Resume: stop(unsure(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldResuming, LookAt: noon.Add(9 * time.Minute)},
		},
		"out again, the mail to resume may have arrived": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResuming, Stop: stop(sent(10 * time.Minute)), Resume: stop(unsure(time.Second))},
			want: begin,
		},
		"out again too soon": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(time.Minute)), Resume: stop(sent(time.Second))},
			want: restock.AdTurn{State: restock.AdHoldResumed, LookAt: noon.Add(9 * time.Minute)},
		},
		"out again": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(10 * time.Minute)), Resume: stop(sent(time.Second))},
			want: begin,
		},
		"out again after the clock was set back": {
			out: true, hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(-long)), Resume: stop(sent(-long))}, want: begin,
		},
		"resumed and not answered": {
			hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(2 * time.Hour)), Resume: stop(sent(time.Hour))},
			want: restock.AdTurn{State: restock.AdHoldResumed, Send: restock.AdMailResumeReminder, LookAt: noon.Add(3 * time.Hour)},
		},
		"resumed and not answered for four hours": {
			hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(long)), Resume: reminded(stop(sent(4*time.Hour)), sent(3*time.Hour))},
			want: restock.AdTurn{State: restock.AdHoldResumed, Escalate: true},
		},
		"resumed and answered": {
			hold: restock.AdHold{State: restock.AdHoldResumed, Stop: stop(sent(long)), Resume: answered(stop(sent(long)))},
			want: restock.AdTurn{State: restock.AdHoldResumed},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := pace.Turn(restock.AdSituation{Now: noon, Out: test.out, Hold: test.hold, MailingUntil: test.mailing})
			test.want.State = max(test.want.State, map[bool]restock.AdHoldState{true: test.hold.State}[test.want.Wait])
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// mailing is the longest that a mail is on its way.
const mailing = mail.DialTimeout + mail.ConversationTimeout + 5*time.Second

// manager is a model of everybody around one advertisement: stock that crosses
// zero, messages that come late and twice, processes that die, a mail server
// that fails in every way, and somebody who reads the mails and rarely answers.
type manager struct {
	rt       *rapid.T
	now      time.Time
	stopWhen restock.StopWhen
	out      []bool // by product
	hold     restock.AdHold
	before   []restock.AdHold // that ended, the last one last
	holds    byte
	mailing  time.Time
	lookAt   time.Time
	messages int // looks that are under way
	dead     int // looks that were given up
	inbox    []arrived
}

type arrived struct {
	id   string
	hold restock.AdHoldID
	kind restock.AdMailKind
	at   time.Time
}

func TestWhateverHappensTheLastMailIsTrueAndStopsAreSpaced(t *testing.T) {
	t.Parallel()
	const rounds = 50 // of a hundred worlds each
	for range rounds {
		rapid.Check(t, func(rt *rapid.T) {
			m := &manager{
				rt: rt, now: noon, out: make([]bool, rapid.IntRange(1, 3).Draw(rt, "products")),
				stopWhen: rapid.SampledFrom([]restock.StopWhen{restock.StopWhenAll, restock.StopWhenAny}).Draw(rt, "stop when"),
			}
			rt.Repeat(map[string]func(*rapid.T){
				"cross": m.cross, "handle": m.handle, "pass time": m.passTime, "sweep": func(*rapid.T) { m.sweep() }, "answer": m.answer,
				"": func(*rapid.T) { m.check() },
			})
			m.settle()
		})
	}
}

func (m *manager) isOut() bool {
	if m.stopWhen == restock.StopWhenAny {
		return slices.Contains(m.out, true)
	}
	return !slices.Contains(m.out, false)
}

// cross lets a product be sold out, or come back, a few times.
func (m *manager) cross(*rapid.T) {
	for range rapid.IntRange(1, 5).Draw(m.rt, "times") {
		p := rapid.IntRange(0, len(m.out)-1).Draw(m.rt, "product")
		m.out[p] = !m.out[p]
		m.messages++
	}
}

func (m *manager) passTime(*rapid.T) {
	m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(rapid.SampledFrom([]time.Duration{
		time.Second, mailing + time.Second, 12 * time.Minute, 5 * time.Hour,
	}).Draw(m.rt, "at most"))).Draw(m.rt, "passed")))
}

func (m *manager) sweep() {
	if !m.lookAt.IsZero() && !m.lookAt.After(m.now) {
		m.lookAt = time.Time{}
		m.messages++
	}
}

// answer lets the manager say that it is done.
func (m *manager) answer(*rapid.T) {
	s := m.situation()
	ask := m.hold.Asks()
	if s.Answer(m.hold.ID, ask) != restock.AnswerAwaited {
		return
	}
	q := m.question(ask)
	q.AcknowledgedAt, m.hold.EscalatedAt = m.now, time.Time{}
}

// The ways in which sending a mail can end.
const (
	arrives       = iota
	diesBefore        // the process dies before it is sent
	diesAfter         // it arrives, and the process dies
	turnedAway        // it surely did not arrive, and is tried again
	refused           // it never will
	lostAnswer        // it arrives, and nobody knows
	lostMail          // it does not, and nobody knows
	waysOfSending int = iota
)

// handle lets a process handle one of the messages.
func (m *manager) handle(*rapid.T) {
	if m.messages == 0 {
		return
	}
	m.messages--
	for {
		kind, wait := m.turn()
		if wait {
			m.messages++ // it comes again
			return
		}
		if kind == "" {
			return
		}
		way := rapid.IntRange(0, waysOfSending-1).Draw(m.rt, "way")
		m.now = m.now.Add(time.Duration(rapid.Int64Range(0, int64(mailing)-1).Draw(m.rt, "takes")))
		if rapid.Bool().Draw(m.rt, "crosses meanwhile") {
			m.cross(m.rt)
		}
		if !m.send(kind, way) {
			return
		}
	}
}

// send ends a mail in one of the ways, and reports whether the process goes on.
func (m *manager) send(kind restock.AdMailKind, way int) bool {
	before := m.mail(kind).Unsure && m.mail(kind).Tries > 1
	if way == arrives || way == diesAfter || way == lostAnswer {
		m.inbox = append(m.inbox, arrived{id: fmt.Sprintf("%s.%s", kind, m.hold.ID), hold: m.hold.ID, kind: kind, at: m.now})
	}
	switch way {
	case arrives:
		sent := m.mail(kind)
		sent.SentAt, sent.Unsure = m.now, false
		m.mailing = time.Time{}
		switch kind {
		case restock.AdMailStop:
			m.hold.State = restock.AdHoldStopped
		case restock.AdMailResume:
			m.hold.State = restock.AdHoldResumed
		}
		return true
	case diesBefore, diesAfter:
		m.messages++ // and the mail blocks the others for a while
	case turnedAway, refused:
		// Whether it was sure before is what the store remembers; the model is
		// careful and keeps what it does not know.
		m.mail(kind).Unsure = before
		m.mailing = time.Time{}
		if way == refused {
			m.dead++
		} else {
			m.messages++
		}
	case lostAnswer, lostMail:
		m.mailing = time.Time{}
		m.messages++
	}
	return false
}

func (m *manager) situation() restock.AdSituation {
	return restock.AdSituation{Now: m.now, Out: m.isOut(), Hold: m.hold, MailingUntil: m.mailing, LookAt: m.lookAt}
}

// turn carries out a step, as the store does.
func (m *manager) turn() (restock.AdMailKind, bool) {
	s := m.situation()
	turn := pace.Turn(s)
	if turn.Wait || !turn.Changes(s) {
		return "", turn.Wait
	}
	switch {
	case turn.New:
		if !m.hold.ID.IsZero() {
			m.hold.State, m.hold.EscalatedAt = restock.AdHoldResumed, time.Time{}
			m.before = append(m.before, m.hold)
		}
		m.holds++
		m.hold = restock.AdHold{ID: restock.AdHoldID{m.holds}, State: turn.State, BegunAt: m.now}
	case turn.State != m.hold.State:
		if m.hold.State == restock.AdHoldResuming && turn.State.Open() {
			m.hold.Resume.Mail = restock.AdMail{}
		}
		m.hold.State, m.hold.EscalatedAt = turn.State, time.Time{}
	}
	if turn.Escalate {
		m.hold.EscalatedAt = m.now
	}
	m.lookAt = turn.LookAt
	if turn.State == restock.AdHoldWithdrawn {
		m.withdraw()
		return m.turn()
	}
	if turn.Send != "" {
		mail := m.mail(turn.Send)
		mail.Tries++
		mail.TriedAt, mail.Unsure = m.now, true
		m.mailing = m.now.Add(mailing)
	}
	return turn.Send, false
}

// withdraw goes back to the hold before.
func (m *manager) withdraw() {
	m.hold = restock.AdHold{}
	if last := len(m.before) - 1; last >= 0 {
		m.hold, m.before = m.before[last], m.before[:last]
		if m.hold.Resume.Mail.SentAt.IsZero() {
			m.hold.State = restock.AdHoldResuming
		}
	}
}

func (m *manager) question(ask restock.AdAsk) *restock.AdQuestion {
	if ask == restock.AskResume {
		return &m.hold.Resume
	}
	return &m.hold.Stop
}

func (m *manager) mail(kind restock.AdMailKind) *restock.AdMail {
	q := m.question(kind.Ask())
	if kind.Reminder() {
		return &q.Reminder
	}
	return &q.Mail
}

// check holds what must be so at any time: two stops are far from each other.
// Repeats of the same mail do not count. What a dying process sent may have
// arrived as late as a mail can.
func (m *manager) check() {
	var last arrived
	for _, a := range m.inbox {
		if a.kind != restock.AdMailStop {
			continue
		}
		if last.id != "" && a.hold != last.hold && a.at.Sub(last.at) < pace.Spacing-mailing {
			m.rt.Fatalf("%s comes %s after %s", a.id, a.at.Sub(last.at), last.id)
		}
		last = a
	}
}

// settle lets everything come to its end, with a mail server that is well: then
// the last mail is true, and a question that stays open is known to operations.
func (m *manager) settle() {
	m.messages += m.dead // redriven
	for range 1000 {
		m.sweep()
		for m.messages > 0 {
			m.messages--
			kind, wait := m.turn()
			if wait {
				m.now = m.mailing
				m.messages++
				continue
			}
			if kind != "" {
				m.send(kind, arrives)
				m.messages++
			}
		}
		if m.lookAt.IsZero() {
			break
		}
		m.now = m.lookAt
	}
	if !m.lookAt.IsZero() {
		m.rt.Fatalf("it does not come to an end: look at %s", m.lookAt)
	}
	m.check()
	m.checkEnd()
}

func (m *manager) checkEnd() {
	told := restock.AdAsk("")
	for _, a := range m.inbox {
		told = a.kind.Ask()
	}
	if m.isOut() != (told == restock.AskStop) {
		m.rt.Fatalf("out: %t, and the last mail says %q; inbox %+v", m.isOut(), told, m.inbox)
	}
	if untold, why := m.situation().Untold(); untold {
		m.rt.Fatalf("told %q, and yet: %s", told, why)
	}
	if told == "" {
		return
	}
	q := m.question(told)
	if open := q.AcknowledgedAt.IsZero(); open == m.hold.EscalatedAt.IsZero() {
		m.rt.Fatalf("unanswered: %t, escalated at %v", open, m.hold.EscalatedAt)
	}
}

// TestAThousandCrossingsInAMinuteAreThreeMails is the promise as it is written.
func TestAThousandCrossingsInAMinuteAreThreeMails(t *testing.T) {
	t.Parallel()
	for _, endsOut := range []bool{true, false} {
		rapid.Check(t, func(rt *rapid.T) {
			m := &manager{rt: rt, now: noon, out: make([]bool, 1), stopWhen: restock.StopWhenAll}
			for i := range 1000 {
				m.out[0] = i%2 == 0
				m.messages++
				m.now = m.now.Add(time.Minute / 1000)
				for range rapid.IntRange(0, 3).Draw(rt, "handled") {
					m.handleWell()
				}
			}
			if endsOut {
				m.out[0] = true
				m.messages++
			}
			m.settle()
			want := []restock.AdMailKind{restock.AdMailStop, restock.AdMailResume}
			if endsOut {
				want = append(want, restock.AdMailStop)
			}
			var got []restock.AdMailKind
			for _, a := range m.inbox {
				if !a.kind.Reminder() {
					got = append(got, a.kind)
				}
			}
			if len(got) > len(want) || len(got) > 0 && got[len(got)-1] != want[len(want)-1] {
				rt.Fatalf("mails %v, want at most %v", got, want)
			}
		})
	}
}

func (m *manager) handleWell() {
	if m.messages == 0 {
		return
	}
	m.messages--
	kind, wait := m.turn()
	if wait {
		m.messages++
	} else if kind != "" {
		m.send(kind, arrives)
		m.messages++
	}
}
