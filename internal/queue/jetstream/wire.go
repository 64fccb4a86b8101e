package jetstream

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/nats-io/nats.go"

	"github.com/restock/restock/internal/queue/driver"
)

// The headers of a message are those of CloudEvents 1.0 in its binary mode on
// NATS: each attribute behind "ce-", percent-encoded. The body is the data as
// it is.
const (
	headerSpecVersion = "ce-specversion"
	headerSource      = "ce-source"
	headerID          = "ce-id"
	headerType        = "ce-type"
	headerTime        = "ce-time"
	headerSubject     = "ce-subject"
	headerTraceParent = "ce-traceparent"

	specVersion = "1.0"
	source      = "restock"
)

// What this engine notes on the copies that it makes of a message.
const (
	headerReceives  = "restock-receives"   // how often it was received before
	headerNotBefore = "restock-not-before" // it is not to be handed out earlier
	headerPublished = "restock-published"  // when its first copy was
	headerForeignID = "restock-id"         // the id that a message of others has here
	headerCause     = "restock-cause"      // why it is dead

	// prefixServer is what the server does something about. It is never copied.
	prefixServer = "Nats-"
)

// receivesMax bounds what is believed of a count that somebody else wrote.
const receivesMax = 1_000_000

// encode writes a message for a subject.
func encode(subject string, m driver.Message) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = m.Body
	msg.Header.Set(headerSpecVersion, specVersion)
	msg.Header.Set(headerSource, source)
	msg.Header.Set(headerID, m.ID.String())
	msg.Header.Set(headerType, escape(m.Type))
	msg.Header.Set(headerTime, m.Time.UTC().Format(time.RFC3339Nano))
	if m.Subject != "" {
		msg.Header.Set(headerSubject, escape(m.Subject))
	}
	if m.TraceParent != "" {
		msg.Header.Set(headerTraceParent, escape(m.TraceParent))
	}
	return msg
}

// stored is a message as it lies in a stream.
type stored struct {
	stream   string
	sequence uint64
	at       time.Time // when this copy was stored
	header   nats.Header
	data     []byte
}

// decode reads a message of ours, or makes one of what somebody else sent.
func decode(s stored) driver.Message {
	if m, ok := decodeOurs(s); ok {
		return m
	}
	return driver.Message{
		ID:   s.foreignID(),
		Type: driver.TypeForeign,
		Time: s.published(),
		Body: s.asForeignBody(),
	}
}

func decodeOurs(s stored) (driver.Message, bool) {
	id, err := driver.ParseID(s.header.Get(headerID))
	if err != nil || id.IsZero() || len(s.header[headerType]) == 0 {
		return driver.Message{}, false
	}
	at, err := time.Parse(time.RFC3339Nano, s.header.Get(headerTime))
	if err != nil {
		return driver.Message{}, false
	}
	return driver.Message{
		ID:          id,
		Type:        unescape(s.header.Get(headerType)),
		Subject:     unescape(s.header.Get(headerSubject)),
		TraceParent: unescape(s.header.Get(headerTraceParent)),
		Time:        at.UTC(),
		Body:        s.data,
	}, true
}

// published is when the first copy of the message was stored.
func (s stored) published() time.Time {
	if at, ok := s.time(headerPublished); ok {
		return at
	}
	return s.at.UTC()
}

func (s stored) time(header string) (time.Time, bool) {
	at, err := time.Parse(time.RFC3339Nano, s.header.Get(header))
	return at.UTC(), err == nil
}

// receives is how often the message was received before this copy was made.
func (s stored) receives() int {
	n, err := strconv.Atoi(s.header.Get(headerReceives))
	if err != nil {
		return 0
	}
	return min(max(n, 0), receivesMax)
}

// cause is why the message is dead, "" when nobody said so.
func (s stored) cause() string { return unescape(s.header.Get(headerCause)) }

// name is what tells this copy from every other, also from one with the same
// number in a stream that was made anew.
func (s stored) name() string { return fmt.Sprintf("%d@%d", s.sequence, s.at.UnixNano()) }

// foreignID gives a message of others an id that is the same at every receive:
// a UUID of version 8, made of where and when its first copy was stored.
func (s stored) foreignID() driver.ID {
	if id, err := driver.ParseID(s.header.Get(headerForeignID)); err == nil && !id.IsZero() {
		return id
	}
	const version, variant = 0x80, 0x80
	sum := sha256.Sum256([]byte(s.stream + " " + s.name()))
	id := driver.ID(sum[:len(driver.ID{})])
	id[6] = id[6]&0x0f | version
	id[8] = id[8]&0x3f | variant
	return id
}

// asForeignBody keeps what somebody else sent: the text, or in base64 what is
// none, and the headers.
func (s stored) asForeignBody() []byte {
	kept := struct {
		Message    *string        `json:"message,omitempty"`
		Base64     *string        `json:"message_base64,omitempty"`
		Attributes map[string]any `json:"attributes"` // texts, or lists of texts
	}{Attributes: make(map[string]any)}
	text := string(s.data)
	if utf8.ValidString(text) {
		kept.Message = &text
	} else {
		text = base64.StdEncoding.EncodeToString(s.data)
		kept.Base64 = &text
	}
	for name, values := range s.header {
		switch {
		case isNoted(name) || len(values) == 0:
		case len(values) == 1:
			kept.Attributes[name] = values[0]
		default:
			kept.Attributes[name] = values
		}
	}
	var body bytes.Buffer
	encoder := json.NewEncoder(&body)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(kept) //nolint:errchkjson // texts always encode
	return bytes.TrimSpace(body.Bytes())
}

// isNoted says whether a header is the engine's or the server's own.
func isNoted(header string) bool {
	switch header {
	case headerReceives, headerNotBefore, headerPublished, headerForeignID, headerCause:
		return true
	}
	return len(header) >= len(prefixServer) && strings.EqualFold(header[:len(prefixServer)], prefixServer)
}

// copyTo makes a copy for another place: everything that the sender wrote, and
// nothing that was noted on it but when it was first published and, of a message
// of others, the id that it has here.
func (s stored) copyTo(subject string) *nats.Msg {
	msg := nats.NewMsg(subject)
	msg.Data = s.data
	maps.Copy(msg.Header, s.header)
	maps.DeleteFunc(msg.Header, func(name string, _ []string) bool { return isNoted(name) })
	msg.Header.Set(headerPublished, s.published().Format(time.RFC3339Nano))
	if _, ours := decodeOurs(s); !ours {
		msg.Header.Set(headerForeignID, s.foreignID().String())
	}
	return msg
}

// escape writes a text as the value of a header, in the way that CloudEvents
// prescribes: all but printable ASCII is percent-encoded, and so are the space,
// the quote and the percent sign.
func escape(s string) string {
	const digits = "0123456789ABCDEF"
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		if isPlain(c) {
			b.WriteByte(c)
		} else {
			b.Write([]byte{'%', digits[c>>4], digits[c&0x0f]})
		}
	}
	return b.String()
}

func isPlain(c byte) bool { return c > ' ' && c <= '~' && c != '"' && c != '%' }

// unescape reads a value. What others left unencoded stands as it is.
func unescape(s string) string {
	if !strings.Contains(s, "%") {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if n, err := strconv.ParseUint(s[i+1:i+3], 16, 8); err == nil {
				b = append(b, byte(n))
				i += 2
				continue
			}
		}
		b = append(b, s[i])
	}
	return string(b)
}

// cut shortens a cause to CauseBytesMax, between two characters.
func cut(cause string) string {
	const mark = "…"
	if len(cause) <= CauseBytesMax {
		return cause
	}
	end := CauseBytesMax - len(mark)
	for range utf8.UTFMax - 1 { // a cause need not be UTF-8
		if utf8.RuneStart(cause[end]) {
			break
		}
		end--
	}
	return cause[:end] + mark
}
