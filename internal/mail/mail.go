// Package mail sends mail: to files, for trying things out, to an SMTP server,
// or to Amazon SES. There is one type of message and one way to ask for it to be sent.
//
// # Delivery
//
// At least once. When the answer of a server is lost, the sender reports a
// failure although the mail may be on its way; the repeat then carries the same
// Message-ID, so that mail programs can tell it is the same mail; and an equal
// Message always makes equal bytes. (SES puts a Message-ID of its own.) A mail that was sent says that a server took it, not that anybody read it.
//
// # Errors
//
// An error of kind restock.Invalid is permanent: the message itself is wrong or
// a server refused it for good, and a repeat would meet the same answer. Every
// other error is worth a repeat. Permanent tells them apart. No error holds a
// password.
//
// # Limits
//
// One recipient per message. Addresses are ASCII (their display names need not
// be), since not every server on the way takes others. Subject and body are
// bounded by SubjectRunesMax and BodyBytesMax.
package mail

import (
	"context"
	"errors"
	"time"

	"github.com/restock/restock"
)

// Message is one mail to one person.
type Message struct {
	// ID is the Message-ID without its angle brackets, for example
	// "0190…@shop.example". It stays the same when the mail is sent again.
	ID string
	// From, To and ReplyTo are addresses, with or without a display name.
	// ReplyTo may be empty.
	From, To, ReplyTo string
	// InReplyTo is the ID of an earlier mail that this one belongs to, if any,
	// and References are those before it in the same conversation, the first first.
	InReplyTo  string
	References []string
	// Subject is cut to SubjectRunesMax; what is not text becomes a space.
	Subject string
	// Text is the body; HTML is the same for mail programs that show it, if any.
	Text, HTML string
	// Date is when the mail was first due, not when it is sent: it stays the
	// same when the mail is sent again.
	Date time.Time
	// Kind names the sort of mail for people and file names, as in "ad-stop".
	Kind string
	// TraceID is what leads from the mail to the log lines of what it tells, in the
	// header X-Restock-Trace. What is no trace id is left out.
	TraceID string
}

// The limits of a message.
const (
	SubjectRunesMax = 200
	BodyBytesMax    = 1 << 20 // of Text and HTML together

	// ReferencesMax bounds References; of a longer conversation the last ones count.
	ReferencesMax = 10

	nameRunesMax    = 64
	addressBytesMax = 254 // RFC 5321, 4.5.3.1.3, without the angle brackets
	idBytesMax      = 250
)

// Sender sends a message, or says in its error whether a repeat is worth it.
type Sender interface {
	Send(ctx context.Context, m Message) error
}

// Permanent reports whether sending the same message again cannot help.
func Permanent(err error) bool {
	return err != nil && restock.KindOf(err) == restock.Invalid
}

// Untaken reports whether a mail whose Send failed surely reached nobody. Of
// other failures nobody knows: the answer may have been lost, and not the mail.
func Untaken(err error) bool {
	_, ok := errors.AsType[*untakenError](err)
	return ok || Permanent(err)
}

// Postponed reports whether the mail server answered and asked to try again
// later, as greylisting does: that can take minutes, and is no failure.
func Postponed(err error) bool {
	e, ok := errors.AsType[*untakenError](err)
	return ok && e.postponed
}

// untakenError is a failure before the mail was taken.
type untakenError struct {
	error

	postponed bool
}

func (e *untakenError) Unwrap() error { return e.error }
