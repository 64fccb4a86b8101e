package ops

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue"
)

// A mail server takes a mail, and the answer that nobody has this address may
// come hours later. Amazon SES reports it, and complaints of readers, as JSON on
// a topic, from where it comes to the ops queue as a message of others. Each is
// a dead letter that says who did not get what: it waits on the desk until a
// person has corrected the address. Operations get a mail about it, unless the
// mail was to them: then that would come back, too.

// foreignBody is such a message as the engine keeps it.
type foreignBody struct {
	Message string `json:"message"`
}

// feedback is an event of SES, as it publishes it for a configuration set, or
// the same as a notification of an identity.
type feedback struct {
	EventType        string `json:"eventType"`
	NotificationType string `json:"notificationType"`
	Mail             struct {
		Destination   []string            `json:"destination"`
		Tags          map[string][]string `json:"tags"`
		CommonHeaders struct {
			Subject string `json:"subject"`
		} `json:"commonHeaders"`
	} `json:"mail"`
	Bounce struct {
		Type       string      `json:"bounceType"`
		SubType    string      `json:"bounceSubType"`
		Recipients []recipient `json:"bouncedRecipients"`
	} `json:"bounce"`
	Complaint struct {
		Type       string      `json:"complaintFeedbackType"`
		Recipients []recipient `json:"complainedRecipients"`
	} `json:"complaint"`
	Reject struct {
		Reason string `json:"reason"`
	} `json:"reject"`
	Delay struct {
		Type       string      `json:"delayType"`
		Recipients []recipient `json:"delayedRecipients"`
	} `json:"deliveryDelay"`
	Failure struct {
		Message string `json:"errorMessage"`
	} `json:"failure"`
}

type recipient struct {
	Address    string `json:"emailAddress"`
	Diagnostic string `json:"diagnosticCode"`
}

// foreign takes what others put on the ops queue.
func (o *Office) foreign(ctx context.Context, m queue.Message) error {
	var body foreignBody
	var event feedback
	if json.Unmarshal(m.Body, &body) != nil || json.Unmarshal([]byte(body.Message), &event) != nil {
		return queue.Discard(errors.New("a message of others, which is not about mail"))
	}
	what, bad := event.words()
	switch {
	case what == "":
		return queue.Discard(errors.New("a message of others, which is not about mail"))
	case !bad:
		o.log.InfoContext(ctx, "a mail is on its way", keyFeedback, what)
		return nil
	}
	o.log.ErrorContext(ctx, "a mail was not received", keyFeedback, what)
	if event.concernsOthers(o.cfg.To) {
		what = restock.UndeliveredPrefix + what
	}
	return queue.Discard(errors.New(what))
}

// concernsOthers reports whether a mail was not to the address of operations. Its
// destinations say so also when it was passed on, and came back from elsewhere. An
// event that names nobody may be about any mail.
func (e feedback) concernsOthers(operations string) bool {
	about := slices.Clone(e.Mail.Destination)
	for _, r := range slices.Concat(e.Bounce.Recipients, e.Complaint.Recipients) {
		about = append(about, r.Address)
	}
	own := bareAddress(operations)
	return len(about) > 0 && !slices.ContainsFunc(about, func(to string) bool { return bareAddress(to) == own })
}

// bareAddress is the address in a text that may have a name beside it, to be
// compared.
func bareAddress(text string) string {
	if a, err := mail.ParseAddress(text); err == nil {
		text = a.Address
	}
	return strings.ToLower(strings.TrimSpace(text))
}

// words says what happened to a mail, and whether a person has to do something.
func (e feedback) words() (what string, bad bool) {
	subject := "a mail"
	if kind := e.Mail.Tags["kind"]; len(kind) > 0 {
		subject = "the mail " + oneLine(kind[0])
	}
	if e.Mail.CommonHeaders.Subject != "" {
		subject += fmt.Sprintf(" %q", oneLine(e.Mail.CommonHeaders.Subject))
	}
	const suppressed = "correct the address, take it off the suppression list of SES, and tell the person in another way; then discard this"
	switch kind := cmp.Or(e.EventType, e.NotificationType); kind {
	case "Bounce":
		return fmt.Sprintf("%s came back from %s (%s, %s): %s", subject, e.readers(e.Bounce.Recipients), e.Bounce.Type, e.Bounce.SubType, suppressed), true
	case "Complaint":
		return fmt.Sprintf("%s was reported as unwanted by %s (%s): ask the person, and %s", subject, e.readers(e.Complaint.Recipients),
			cmp.Or(e.Complaint.Type, "no reason"), suppressed), true
	case "Reject":
		return fmt.Sprintf("%s to %s was rejected by SES: %s", subject, e.readers(nil), oneLine(e.Reject.Reason)), true
	case "Rendering Failure", "RenderingFailure":
		return fmt.Sprintf("%s to %s could not be made by SES: %s", subject, e.readers(nil), oneLine(e.Failure.Message)), true
	case "DeliveryDelay":
		return fmt.Sprintf("%s to %s is late (%s); SES goes on trying", subject, e.readers(e.Delay.Recipients), e.Delay.Type), false
	case "Send", "Delivery", "Open", "Click", "Subscription":
		return fmt.Sprintf("%s to %s: %s", subject, e.readers(nil), kind), false
	}
	return "", false
}

// readers are the recipients that an event is about, with what their servers said.
func (e feedback) readers(about []recipient) string {
	if len(about) == 0 {
		return oneLine(strings.Join(e.Mail.Destination, ", "))
	}
	all := make([]string, 0, len(about))
	for _, r := range about {
		text := r.Address
		if r.Diagnostic != "" {
			text += " (" + r.Diagnostic + ")"
		}
		all = append(all, text)
	}
	return oneLine(strings.Join(all, ", "))
}
