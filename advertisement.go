package restock

import "time"

// Advertisement is what brings the buyers; its manager can stop and resume it.
type Advertisement struct {
	ID           AdvertisementID `json:"ad_id"`
	Name         string          `json:"name"`
	ManagerEmail string          `json:"manager_email"`
	Language     Language        `json:"language"`
	StopWhen     StopWhen        `json:"stop_when"`
}

// StopWhen says when an advertisement of several products has nothing to sell.
type StopWhen string

// The choices of StopWhen.
const (
	StopWhenAll StopWhen = "all" // nothing of what it shows can be bought
	StopWhenAny StopWhen = "any" // one of its products is sold out
)

// AdHoldState is how far the conversation with the ad manager has come.
type AdHoldState string

// The states of an ad hold.
const (
	AdHoldStopping  AdHoldState = "stopping"  // the mail that asks to stop may be on its way
	AdHoldStopped   AdHoldState = "stopped"   // it was sent
	AdHoldResuming  AdHoldState = "resuming"  // the mail that it can resume may be on its way
	AdHoldResumed   AdHoldState = "resumed"   // it was sent
	AdHoldWithdrawn AdHoldState = "withdrawn" // it was over before anybody was told
)

// Open reports whether the manager has not been told yet that it can resume.
func (s AdHoldState) Open() bool {
	return s == AdHoldStopping || s == AdHoldStopped || s == AdHoldResuming
}

// AdAsk is what an ad manager is asked to do.
type AdAsk string

// What can be asked.
const (
	AskStop   AdAsk = "stop"
	AskResume AdAsk = "resume"
)

// AdMailKind names the mails of one hold. There is at most one of each.
type AdMailKind string

// The mails of a hold.
const (
	AdMailStop           AdMailKind = "stop"
	AdMailStopReminder   AdMailKind = "stop_reminder"
	AdMailResume         AdMailKind = "resume"
	AdMailResumeReminder AdMailKind = "resume_reminder"
)

// Ask is what the mail asks for.
func (k AdMailKind) Ask() AdAsk {
	if k == AdMailResume || k == AdMailResumeReminder {
		return AskResume
	}
	return AskStop
}

// Reminder reports whether the mail asks for the second time.
func (k AdMailKind) Reminder() bool { return k == AdMailStopReminder || k == AdMailResumeReminder }

// AdHold is one stop of an advertisement: from the mail that asks for it to the
// mail that it can resume.
type AdHold struct {
	ID            AdHoldID      `json:"ad_hold_id"`
	Advertisement Advertisement `json:"advertisement"`
	State         AdHoldState   `json:"state"`
	// The product with whose stockout it began.
	ProductID  ProductID  `json:"product_id"`
	SKU        SKU        `json:"sku"`
	StockoutID StockoutID `json:"stockout_id"`
	BegunAt    time.Time  `json:"begun_at"`
	Stop       AdQuestion `json:"stop"`
	Resume     AdQuestion `json:"resume,omitzero"`
	// EscalatedAt is since when operations have to look after it, because nobody
	// answers.
	EscalatedAt time.Time `json:"escalated_at,omitzero"`
}

// Told is what the manager was told last, or may have been: "" is nothing.
func (h AdHold) Told() AdAsk {
	switch {
	case h.Resume.Mail.MayHaveArrived():
		return AskResume
	case h.Stop.Mail.MayHaveArrived():
		return AskStop
	}
	return ""
}

// Question is one of the two that a hold has.
func (h AdHold) Question(ask AdAsk) AdQuestion {
	if ask == AskResume {
		return h.Resume
	}
	return h.Stop
}

// Mail is one of the mails of a hold; it is zero while there is none.
func (h AdHold) Mail(kind AdMailKind) AdMail {
	q := h.Question(kind.Ask())
	if kind.Reminder() {
		return q.Reminder
	}
	return q.Mail
}

// AdQuestion is one thing that an ad manager was asked to do.
type AdQuestion struct {
	Mail     AdMail `json:"mail,omitzero"`
	Reminder AdMail `json:"reminder,omitzero"`
	// AcknowledgedAt is when somebody said that it is done, and AcknowledgedBy who.
	AcknowledgedAt time.Time `json:"acknowledged_at,omitzero"`
	AcknowledgedBy string    `json:"acknowledged_by,omitempty"`
}

// AdMail is one mail to an ad manager.
type AdMail struct {
	// DueAt is when it was first due. It is the mail's date, also on a repeat.
	DueAt   time.Time `json:"due_at"`
	Tries   int       `json:"tries"`
	TriedAt time.Time `json:"tried_at"`
	SentAt  time.Time `json:"sent_at,omitzero"`
	// Unsure: it may have arrived, though nobody said so.
	Unsure bool `json:"unsure,omitempty"`
	// Facts is what it says, written down so that a repeat says the same.
	Facts AdFacts `json:"facts"`
}

// MayHaveArrived reports whether the mail was sent, as far as anybody can tell.
func (m AdMail) MayHaveArrived() bool { return m.Unsure || !m.SentAt.IsZero() }

// AdFacts is what a mail says of the products of an advertisement.
type AdFacts struct {
	Name     string   `json:"name"` // of the advertisement
	Language Language `json:"language"`
	// Products are sold out, or back, the first one first; at most AdProductsMax.
	Products []AdProduct `json:"products,omitempty"`
	Total    int         `json:"total"` // all of them
	// TraceParent is the W3C trace context of what the mail tells.
	TraceParent string `json:"traceparent,omitempty"`
}

// The limits of what a mail says, so that a catalogue cannot make it endless.
const (
	AdProductsMax  = 5
	AdNameRunesMax = 200
)

// AdProduct is what a mail says of one product.
type AdProduct struct {
	SKU  SKU    `json:"sku"`
	Name string `json:"name"` // cut to AdNameRunesMax
	// Since is when it was sold out, or was back.
	Since      time.Time `json:"since,omitzero"`
	OnOrder    int64     `json:"on_order,omitempty"`
	ExpectedAt time.Time `json:"expected_at,omitzero"` // the next arrival, if known
}

// AdSituation is all that the next step with an ad manager depends on, at one
// moment.
type AdSituation struct {
	Now           time.Time
	Advertisement Advertisement
	// Out: it has nothing to sell, and should be stopped.
	Out bool
	// Facts are what a mail would say now.
	Facts AdFacts
	// Hold is the last one; zero when there was none.
	Hold AdHold
	// MailingUntil: a mail is on its way until then, at the longest.
	MailingUntil time.Time
	// LookAt is when somebody has to look again; zero when only an event can
	// change anything.
	LookAt time.Time
}

// Untold reports whether the manager has to be told something else than what
// was said last, sooner or later, and why or why not.
func (s AdSituation) Untold() (bool, string) {
	told := s.Hold.Told()
	switch {
	case s.Out && (told == AskStop && s.Hold.State.Open()):
		if s.Hold.State == AdHoldStopping {
			return true, "the advertisement has nothing to sell, and the mail that asks to stop was not confirmed"
		}
		return false, "the mail that asks to stop was sent"
	case s.Out:
		return true, "the advertisement has nothing to sell, and its manager was not asked to stop"
	case s.Hold.State == AdHoldResuming:
		return true, "the advertisement has something to sell, and the mail that it can resume was not confirmed"
	case s.Hold.State.Open() && told != "":
		return true, "the advertisement has something to sell, and its manager was not told that it can resume"
	case told == AskResume:
		return false, "the mail that it can resume was sent"
	}
	return false, "the advertisement has something to sell, and its manager was not asked to stop"
}

// AdAnswer is what becomes of a manager's answer.
type AdAnswer string

// What can become of an answer.
const (
	AnswerAwaited  AdAnswer = "awaited"  // the question is open
	AnswerTaken    AdAnswer = "taken"    // it was noted just now
	AnswerKnown    AdAnswer = "known"    // somebody answered before
	AnswerBack     AdAnswer = "back"     // there is something to sell again: nothing to stop
	AnswerOut      AdAnswer = "out"      // there is nothing to sell again: nothing to resume
	AnswerOutdated AdAnswer = "outdated" // a later mail counts
)

// Answer says what an answer to a question of a hold would come to now.
func (s AdSituation) Answer(id AdHoldID, ask AdAsk) AdAnswer {
	if ask == AskStop && !s.Out {
		return AnswerBack
	}
	if ask == AskResume && s.Out {
		return AnswerOut
	}
	if s.Hold.ID != id || ask == "" || s.Hold.Asks() != ask {
		return AnswerOutdated
	}
	if !s.Hold.Question(ask).AcknowledgedAt.IsZero() {
		return AnswerKnown
	}
	return AnswerAwaited
}

// Asks is the question that is open in this state; "" is none.
func (h AdHold) Asks() AdAsk {
	switch h.State {
	case AdHoldStopping, AdHoldStopped:
		return AskStop
	case AdHoldResuming, AdHoldResumed:
		return AskResume
	case AdHoldWithdrawn:
	}
	return ""
}

// AdTurn is the next step with an ad manager.
type AdTurn struct {
	// Wait: somebody else is writing; nothing can be done before that ends.
	Wait bool
	// New begins another hold; the one before has ended.
	New   bool
	State AdHoldState // of the hold then
	// Send is the mail to send now; "" is none.
	Send AdMailKind
	// Escalate hands the question to operations.
	Escalate bool
	// LookAt is when to look again, if no event comes before.
	LookAt time.Time
}

// Changes reports whether the step changes anything.
func (t AdTurn) Changes(s AdSituation) bool {
	return t.New || t.State != s.Hold.State || t.Send != "" || t.Escalate || !t.LookAt.Equal(s.LookAt)
}

// AdSending is a mail that this process alone may send, until a time.
type AdSending struct {
	Hold  AdHold
	Kind  AdMailKind
	Until time.Time
	// Unsure: an earlier try may have arrived.
	Unsure bool
}

// Deciders is what the handlers of messages decide by, for those who want to know
// what a handler would do. A nil one is of a process that does not decide that.
type Deciders struct {
	Order func(Situation) Decision
	Ad    func(AdSituation) AdTurn
}
