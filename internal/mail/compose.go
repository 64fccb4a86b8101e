package mail

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	netmail "net/mail"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"

	"github.com/restock/restock"
)

// letter is a checked message: the envelope and the bytes that go inside. All
// senders send these bytes, and the same message always makes the same ones.
type letter struct {
	from, to string // without display name and angle brackets
	content  []byte
}

// headerAutoSubmitted (RFC 3834) keeps holiday notices from answering.
const headerAutoSubmitted gomail.Header = "Auto-Submitted"

// headerTrace leads from a mail to the log lines of what it tells.
const headerTrace gomail.Header = "X-Restock-Trace"

// Bytes gives a message as it is sent and kept. The error is permanent.
func Bytes(m Message) ([]byte, error) {
	l, err := compose(m)
	return l.content, err
}

func compose(m Message) (letter, error) {
	if err := check(m); err != nil {
		return letter{}, err
	}
	msg := gomail.NewMsg(
		gomail.WithEncoding(gomail.EncodingB64), // of the headers; each body has its own
		gomail.WithNoDefaultUserAgent(),
		gomail.WithBoundary(boundary(m)))
	l, err := address(msg, m)
	if err != nil {
		return letter{}, err
	}
	head(msg, m)
	body(msg, m)
	var content bytes.Buffer
	if _, err := msg.WriteTo(&content); err != nil {
		return letter{}, fmt.Errorf("writing mail %s: %w", m.ID, err)
	}
	l.content = content.Bytes()
	return l, nil
}

// check looks at everything but the addresses.
func check(m Message) error {
	switch {
	case !isID(m.ID):
		return invalid("the Message-ID %.100q is not of the form name@domain", m.ID)
	case m.InReplyTo != "" && !isID(m.InReplyTo):
		return invalid("In-Reply-To %.100q is not of the form name@domain", m.InReplyTo)
	case m.InReplyTo == "" && len(m.References) > 0, slices.ContainsFunc(m.References, func(id string) bool { return !isID(id) }):
		return invalid("the References %.100q of mail %s are not all of the form name@domain, before an In-Reply-To", m.References, m.ID)
	case !isDate(m.Date):
		return invalid("mail %s has no usable date; set it to when the mail was first due", m.ID)
	case m.Text == "":
		return invalid("mail %s has no text", m.ID)
	case len(m.Text)+len(m.HTML) > BodyBytesMax:
		return invalid("mail %s has a body of more than %d bytes; shorten it", m.ID, BodyBytesMax)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return restock.Errorf(restock.Invalid, restock.CodeInvalid, format, args...)
}

// isDate refuses what a mail's Date cannot express, and the zero time with it.
func isDate(t time.Time) bool {
	const first, last = 1970, 9999
	year := t.UTC().Year()
	return first <= year && year <= last
}

func address(msg *gomail.Msg, m Message) (letter, error) {
	from, err := parseAddress("From", m.From)
	if err != nil {
		return letter{}, err
	}
	to, err := parseAddress("To", m.To)
	if err != nil {
		return letter{}, err
	}
	msg.FromMailAddress(from)
	msg.ToMailAddress(to)
	if m.ReplyTo != "" {
		replyTo, err := parseAddress("Reply-To", m.ReplyTo)
		if err != nil {
			return letter{}, err
		}
		msg.ReplyToMailAddress(replyTo)
	}
	return letter{from: from.Address, to: to.Address}, nil
}

// parseAddress is stricter than RFC 5322: no quoted names, no comments that hide
// line breaks, no address literals. What is left cannot break out of a header or
// of an SMTP command.
func parseAddress(field, s string) (*netmail.Address, error) {
	parsed, err := netmail.ParseAddress(s)
	if err != nil || hasControl(s) || len(parsed.Address) > addressBytesMax || !isAddrSpec(parsed.Address) {
		return nil, invalid("%s: %.100q is not an e-mail address; write it as name@example.com, in ASCII", field, s)
	}
	parsed.Name = oneLine(parsed.Name, nameRunesMax)
	return parsed, nil
}

func head(msg *gomail.Msg, m Message) {
	msg.SetMessageIDWithValue(m.ID)
	msg.SetDateWithValue(m.Date.UTC())
	msg.Subject(oneLine(m.Subject, SubjectRunesMax))
	msg.SetGenHeader(headerAutoSubmitted, "auto-generated")
	if isTraceID(m.TraceID) {
		msg.SetGenHeader(headerTrace, m.TraceID)
	}
	if m.InReplyTo != "" {
		msg.SetGenHeader(gomail.HeaderInReplyTo, "<"+m.InReplyTo+">")
		msg.SetGenHeader(gomail.HeaderReferences, "<"+strings.Join(references(m), "> <")+">")
	}
}

// references is the conversation before a mail, which ends with what it answers.
func references(m Message) []string {
	before := m.References[max(0, len(m.References)-ReferencesMax):]
	return append(slices.Clone(before), m.InReplyTo)
}

func body(msg *gomail.Msg, m Message) {
	msg.SetBodyString(gomail.TypeTextPlain, lines(m.Text), gomail.WithPartEncoding(encoding(m.Text)))
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, lines(m.HTML), gomail.WithPartEncoding(encoding(m.HTML)))
	}
}

// encoding keeps English text readable in the file; Korean in quoted-printable
// would be three times its size and no more readable than base64.
func encoding(s string) gomail.Encoding {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return gomail.EncodingB64
		}
	}
	return gomail.EncodingQP
}

// lines ends every line, the last too, as mail does: SMTP would otherwise add
// the last line's end itself, and the bytes would differ from a file's.
func lines(s string) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(s)
	s = strings.TrimRight(s, "\n") + "\n"
	return strings.ReplaceAll(s, "\n", "\r\n")
}

// boundary separates the parts. It comes from the content, so that a repeat has
// the same bytes and no content can hold it.
func boundary(m Message) string {
	sum := sha256.Sum256([]byte(m.ID + "\x00" + m.Text + "\x00" + m.HTML))
	return hex.EncodeToString(sum[:])
}

// oneLine makes any text fit for a header: one line, bounded, single spaces
// (folding would not keep more), and nothing that a mail program would take for
// an encoded word and decode, or that would turn what follows around.
func oneLine(s string, runesMax int) string {
	s = strings.ToValidUTF8(s, string(utf8.RuneError))
	s = strings.Map(controlToSpace, s)
	s = strings.ReplaceAll(s, "=?", "= ?")
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > runesMax {
		return string(runes[:runesMax-1]) + "…"
	}
	return s
}

func controlToSpace(r rune) rune {
	switch {
	case unicode.IsControl(r), unicode.Is(unicode.Zl, r), unicode.Is(unicode.Zp, r):
		return ' '
	case unicode.Is(unicode.Bidi_Control, r):
		return -1
	}
	return r
}

func isTraceID(s string) bool {
	_, ok := restock.ParseTraceParent("00-" + s + "-0000000000000001-00")
	return ok
}

func hasControl(s string) bool { return strings.ContainsFunc(s, unicode.IsControl) }

func isID(s string) bool { return len(s) <= idBytesMax && isAddrSpec(s) }

// isAddrSpec reports whether s is dot-atom "@" dot-atom (RFC 5322, 3.4.1), the
// form that addresses and Message-IDs share.
func isAddrSpec(s string) bool {
	local, domain, found := strings.Cut(s, "@")
	return found && isDotAtom(local) && isDotAtom(domain)
}

func isDotAtom(s string) bool {
	for atom := range strings.SplitSeq(s, ".") {
		if atom == "" || strings.ContainsFunc(atom, notAtext) {
			return false
		}
	}
	return true
}

// notAtext is the complement of atext (RFC 5322, 3.2.3).
func notAtext(r rune) bool {
	return !isAlphanumeric(r) && !strings.ContainsRune("!#$%&'*+-/=?^_`{|}~", r)
}

func isAlphanumeric(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9'
}
