package snssqs

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/google/uuid"

	"github.com/restock/restock/internal/queue/driver"
)

// The attributes of a message; the package comment says what they mean.
const (
	attributeID          = "id"
	attributeType        = "type"
	attributeTime        = "time"
	attributeSubject     = "subject"
	attributeTraceParent = "traceparent"
	attributeEncoding    = "encoding"
	attributeReceives    = "receives"
	attributeNotBefore   = "not_before"
	attributeCause       = "cause"

	encodingBase64 = "base64"
	encodingEmpty  = "empty"

	// emptyBody stands for an empty body, which SQS refuses.
	emptyBody = "-"

	dataType = "String" // of all our attributes
)

const (
	// batchBytesMax is what SNS takes at once, in one message or in ten.
	batchBytesMax = 256 << 10
	// messageBytesMax leaves room for what a copy of a message carries in
	// addition.
	messageBytesMax = batchBytesMax - causeBytesMax - (2 << 10)
	// copyBytesMax is what SQS takes; the text of others grows when it becomes
	// JSON.
	copyBytesMax = 1 << 20

	causeBytesMax   = 4 << 10
	subjectBytesMax = 256 // of a message of others
	receivesMax     = 1_000_000
)

// causeUnknown stands for an empty cause: its being there says that we wrote it.
const causeUnknown = "no cause was given"

// wire is a message as SNS and SQS carry it.
type wire struct {
	body       string
	attributes map[string]string
}

// bytes is what AWS counts as the size of a message.
func (w wire) bytes() int {
	size := len(w.body)
	for name, value := range w.attributes {
		size += len(name) + len(dataType) + len(value)
	}
	return size
}

// set adds an attribute, unless it is empty: SQS refuses empty ones.
func (w wire) set(name, value string) {
	if value != "" {
		w.attributes[name] = value
	}
}

// encode writes a message; ErrRefused says why it cannot be written.
func encode(m driver.Message, bytesMax int) (wire, error) {
	w := wire{attributes: map[string]string{attributeID: m.ID.String()}}
	w.set(attributeTime, m.Time.UTC().Format(time.RFC3339Nano))
	for _, a := range []struct{ name, value string }{
		{attributeType, m.Type},
		{attributeSubject, m.Subject},
		{attributeTraceParent, m.TraceParent},
	} {
		if !isText(a.value) {
			return wire{}, fmt.Errorf("%w: its %s %q has characters that SQS does not carry", driver.ErrRefused, a.name, a.value)
		}
		w.set(a.name, a.value)
	}
	w.setBody(m.Body)
	if size := w.bytes(); size > bytesMax {
		return wire{}, fmt.Errorf("%w: it has %d bytes with its attributes, at most %d are allowed",
			driver.ErrRefused, size, bytesMax)
	}
	return w, nil
}

func (w *wire) setBody(body []byte) {
	switch text := string(body); {
	case text == "":
		w.body = emptyBody
		w.set(attributeEncoding, encodingEmpty)
	case isText(text):
		w.body = text
	default:
		w.body = base64.StdEncoding.EncodeToString(body)
		w.set(attributeEncoding, encodingBase64)
	}
}

func decodeBody(encoding, body string) ([]byte, bool) {
	switch encoding {
	case "":
		return []byte(body), true
	case encodingEmpty:
		return []byte{}, true
	case encodingBase64:
		decoded, err := base64.StdEncoding.DecodeString(body)
		return decoded, err == nil
	default:
		return nil, false
	}
}

// isText says whether SQS carries a text: the characters of XML 1.0.
func isText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, isForbidden) < 0
}

func isForbidden(r rune) bool {
	switch r {
	case '\t', '\n', '\r':
		return false
	default:
		return r < ' ' || r == 0xFFFE || r == 0xFFFF
	}
}

// asText makes a text that SQS carries, of at most so many bytes.
func asText(s string, bytesMax int) string {
	s = strings.Map(func(r rune) rune {
		if isForbidden(r) {
			return utf8.RuneError
		}
		return r
	}, s) // what is not UTF-8 becomes RuneError too
	if len(s) <= bytesMax {
		return s
	}
	const cut = "…"
	end := bytesMax - len(cut)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + cut
}

// letter is a message as it lies on a queue, however it came there.
type letter struct {
	id         string // of SQS
	body       string
	attributes map[string]string
	sent       time.Time
}

// content is what a letter says.
type content struct {
	driver.Message
	receives  int       // before this copy was made
	notBefore time.Time // zero: at once
	cause     string    // of a dead letter that we wrote
}

// read reads a letter: one of ours, raw or in the envelope of SNS, or one of
// others, which is kept as it came.
func read(l letter) content {
	if c, ok := readOurs(l); ok {
		return c
	}
	envelope, ok := openEnvelope(l)
	if !ok {
		return content{Message: foreign(l, "")}
	}
	if c, ok := readOurs(envelope.letter); ok {
		return c
	}
	return content{Message: foreign(envelope.letter, envelope.subject)}
}

// readOurs reads a message that has our attributes.
func readOurs(l letter) (content, bool) {
	id, err := driver.ParseID(l.attributes[attributeID])
	if err != nil || id.IsZero() {
		return content{}, false
	}
	body, ok := decodeBody(l.attributes[attributeEncoding], l.body)
	if !ok {
		return content{}, false
	}
	c := content{
		Message: driver.Message{
			ID:          id,
			Type:        l.attributes[attributeType],
			Subject:     l.attributes[attributeSubject],
			TraceParent: l.attributes[attributeTraceParent],
			Time:        timeOr(l.attributes[attributeTime], l.sent),
			Body:        body,
		},
		notBefore: timeOr(l.attributes[attributeNotBefore], time.Time{}),
		cause:     l.attributes[attributeCause],
	}
	if n, err := strconv.Atoi(l.attributes[attributeReceives]); err == nil {
		c.receives = min(max(n, 0), receivesMax)
	}
	// An envelope can hold what no attribute can.
	return c, isText(c.Type) && isText(c.Subject) && isText(c.TraceParent)
}

func timeOr(text string, otherwise time.Time) time.Time {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return otherwise
	}
	return t.UTC()
}

// notification is what SNS wraps around a message without raw delivery.
type notification struct {
	Type       string  `json:"Type"`
	ID         string  `json:"MessageId"`
	Subject    string  `json:"Subject"`
	Message    *string `json:"Message"`
	Timestamp  string  `json:"Timestamp"`
	Attributes map[string]struct {
		Value string `json:"Value"`
	} `json:"MessageAttributes"`
}

// envelope is what was in a notification.
type envelope struct {
	letter

	subject string
}

func openEnvelope(l letter) (envelope, bool) {
	if !strings.HasPrefix(strings.TrimSpace(l.body), "{") {
		return envelope{}, false
	}
	var read notification
	if json.Unmarshal([]byte(l.body), &read) != nil ||
		read.Type != "Notification" || read.ID == "" || read.Message == nil {
		return envelope{}, false
	}
	opened := envelope{
		letter: letter{
			id:         read.ID,
			body:       *read.Message,
			attributes: make(map[string]string, len(read.Attributes)),
			sent:       timeOr(read.Timestamp, l.sent),
		},
		subject: read.Subject,
	}
	for name, a := range read.Attributes {
		opened.attributes[name] = a.Value
	}
	return opened, true
}

// foreignIDs is the name space of the ids of messages of others.
var foreignIDs = uuid.NewSHA1(uuid.NameSpaceURL, []byte("https://aws.amazon.com/sns/message-id"))

// foreign keeps what somebody else sent, under an id that it has at every
// receive.
func foreign(l letter, subject string) driver.Message {
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	attributes := l.attributes
	if attributes == nil {
		attributes = map[string]string{}
	}
	err := encoder.Encode(struct {
		Message    string            `json:"message"`
		Attributes map[string]string `json:"attributes"`
	}{l.body, attributes})
	if err != nil {
		panic(err) // texts always encode
	}
	return driver.Message{
		ID:      driver.ID(uuid.NewSHA1(foreignIDs, []byte(l.id))),
		Type:    driver.TypeForeign,
		Subject: asText(subject, subjectBytesMax),
		Time:    l.sent,
		Body:    bytes.TrimSpace(body.Bytes()),
	}
}
