package mail_test

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

// korean is a message with everything in it.
func korean() mail.Message {
	return mail.Message{
		ID:        "01900000-0000-7000-8000-000000000001@shop.example",
		From:      "부산도너츠 <shop@donut.example>",
		To:        "광고 담당 <ads@donut.example>",
		ReplyTo:   "ops@donut.example",
		InReplyTo: "01900000-0000-7000-8000-000000000000@shop.example",
		Subject:   "부산도너츠 품절: 광고를 멈춰 주세요. 이 제목은 한 줄에 들어가지 않을 만큼 길어서 여러 줄로 나뉩니다",
		Text:      "부산도너츠가 품절되었습니다.\n.\nhttps://shop.example/ack?token=a=b\n",
		HTML:      "<p>부산도너츠가 품절되었습니다.</p>\n",
		Date:      time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC),
		Kind:      "ad-stop",
	}
}

// english is the smallest message.
func english() mail.Message {
	return mail.Message{
		ID: "1@shop.example", From: "shop@donut.example", To: "ops@donut.example",
		Subject: "Sold out", Text: "Sold out.\n", Date: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), Kind: "ops",
	}
}

// read is what a mail program makes of a message.
type read struct {
	ID, InReplyTo, References, From, To, ReplyTo, Subject string
	Date                                                  time.Time
	Parts                                                 map[string]string
}

func readMail(t *testing.T, content []byte) read {
	t.Helper()
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("reading the mail: %v\n%s", err, content)
	}
	date, err := m.Header.Date()
	if err != nil {
		t.Fatalf("reading the date: %v", err)
	}
	return read{
		ID: m.Header.Get("Message-Id"), InReplyTo: m.Header.Get("In-Reply-To"), References: m.Header.Get("References"),
		From: words(t, m.Header.Get("From")), To: words(t, m.Header.Get("To")),
		ReplyTo: m.Header.Get("Reply-To"), Subject: words(t, m.Header.Get("Subject")),
		Date: date.UTC(), Parts: parts(t, m.Header.Get("Content-Type"), m.Header.Get("Content-Transfer-Encoding"), m.Body),
	}
}

func words(t *testing.T, header string) string {
	t.Helper()
	s, err := new(mime.WordDecoder).DecodeHeader(header)
	if err != nil {
		t.Fatalf("decoding %q: %v", header, err)
	}
	return s
}

// parts gives the bodies by media type.
func parts(t *testing.T, contentType, encoding string, body io.Reader) map[string]string {
	t.Helper()
	media, params, err := mime.ParseMediaType(contentType)
	if err != nil {
		t.Fatalf("reading Content-Type %q: %v", contentType, err)
	}
	if media != "multipart/alternative" {
		if got, want := params["charset"], "UTF-8"; got != want {
			t.Errorf("charset = %q, want %q", got, want)
		}
		return map[string]string{media: decode(t, encoding, body)}
	}
	all := map[string]string{}
	reader := multipart.NewReader(body, params["boundary"])
	for {
		part, err := reader.NextRawPart()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatalf("reading a part: %v", err)
		}
		encoding := part.Header.Get("Content-Transfer-Encoding")
		maps.Copy(all, parts(t, part.Header.Get("Content-Type"), encoding, part))
	}
}

func decode(t *testing.T, encoding string, body io.Reader) string {
	t.Helper()
	switch encoding {
	case "base64":
		body = base64.NewDecoder(base64.StdEncoding, body)
	case "quoted-printable":
		body = quotedprintable.NewReader(body)
	default:
		t.Fatalf("encoding = %q", encoding)
	}
	text, err := io.ReadAll(body)
	if err != nil {
		t.Fatalf("decoding %s: %v", encoding, err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}

func wantKorean() read {
	m := korean()
	return read{
		ID: "<" + m.ID + ">", InReplyTo: "<" + m.InReplyTo + ">", References: "<" + m.InReplyTo + ">",
		From: m.From, To: m.To, ReplyTo: "<" + m.ReplyTo + ">", Subject: m.Subject, Date: m.Date,
		Parts: map[string]string{"text/plain": m.Text, "text/html": m.HTML},
	}
}

// compose gives the bytes that a file holds; the SMTP tests show that they are
// the bytes that go over the wire too.
func compose(t *testing.T, m mail.Message) []byte {
	t.Helper()
	files, dir := newFiles(t)
	if err := files.Send(t.Context(), m); err != nil {
		t.Fatalf("Send: %v", err)
	}
	return readOnly(t, dir)
}

func TestMessageIsReadAsItWasWritten(t *testing.T) {
	t.Parallel()
	if diff := cmp.Diff(readMail(t, compose(t, korean())), wantKorean()); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
	plain := readMail(t, compose(t, english()))
	if diff := cmp.Diff(plain.Parts, map[string]string{"text/plain": "Sold out.\n"}); diff != "" {
		t.Errorf("got (-) want (+)\n%s", diff)
	}
}

func TestMessageNamesTheConversationBeforeIt(t *testing.T) {
	t.Parallel()
	m := korean()
	for i := range 30 {
		m.References = append(m.References, fmt.Sprintf("ad-stop.%036d@%s.example", i, strings.Repeat("x", 60)))
	}
	want := "<" + strings.Join(append(slices.Clone(m.References[20:]), m.InReplyTo), "> <") + ">"
	if got := readMail(t, compose(t, m)).References; got != want {
		t.Errorf("references %q, want %q", got, want)
	}
	for line := range bytes.SplitSeq(compose(t, m), []byte("\r\n")) {
		if len(line) > 998 {
			t.Errorf("a line of %d bytes", len(line))
		}
	}
}

func TestMessageHasTheSameBytesOnARepeat(t *testing.T) {
	t.Parallel()
	first, second := compose(t, korean()), compose(t, korean())
	if diff := cmp.Diff(string(first), string(second)); diff != "" {
		t.Errorf("first (-) second (+)\n%s", diff)
	}
}

func TestMessageLinesFitEveryServer(t *testing.T) {
	t.Parallel()
	m := korean()
	m.Text = strings.Repeat("품절", 5000) + "\r" + strings.Repeat("x", 5000)
	m.HTML = strings.Repeat("x", 5000)
	m.Subject = strings.Repeat("s", 5000)
	for line := range bytes.Lines(compose(t, m)) {
		const lineBytesMax = 1000 // RFC 5321, 4.5.3.1.6
		if len(line) > lineBytesMax || !bytes.HasSuffix(line, []byte("\r\n")) || bytes.Count(line, []byte("\r")) > 1 {
			t.Errorf("line %.60q… of %d bytes", line, len(line))
		}
	}
}

func TestSubjectIsOneBoundedLineOfText(t *testing.T) {
	t.Parallel()
	for subject, want := range map[string]string{
		"a\r\nBcc: x@evil.example":    "a Bcc: x@evil.example",
		"품절\r\n\r\n본문":                "품절 본문",
		"a\x00b\x1bc\u0085d\u2028e\t": "a b c d e",
		"=?utf-8?q?=0d=0aBcc:x?=":     "= ?utf-8?q?=0d=0aBcc:x?=",
		"bad \xff bytes":              "bad � bytes",
		"\u202enut\u2066od\u200f":     "nutod",
		strings.Repeat("가", 300):      strings.Repeat("가", mail.SubjectRunesMax-1) + "…",
		"":                            "",
	} {
		m := english()
		m.Subject = subject
		if got := readMail(t, compose(t, m)).Subject; got != want {
			t.Errorf("subject %q is read as %q, want %q", subject, got, want)
		}
	}
}

func TestMessageThatCannotBeSentIsRefusedForGood(t *testing.T) {
	t.Parallel()
	files, dir := newFiles(t)
	for name, spoil := range map[string]func(*mail.Message){
		"no sender":              func(m *mail.Message) { m.From = "" },
		"no recipient":           func(m *mail.Message) { m.To = "" },
		"not an address":         func(m *mail.Message) { m.To = "ads" },
		"two recipients":         func(m *mail.Message) { m.To = "a@x.example, b@x.example" },
		"line break in To":       func(m *mail.Message) { m.To = "ads@donut.example\r\nBcc: x@evil.example" },
		"folded To":              func(m *mail.Message) { m.To = "Ads\r\n <ads@donut.example>" },
		"NUL in From":            func(m *mail.Message) { m.From = "a\x00@donut.example" },
		"bracket in To":          func(m *mail.Message) { m.To = `"a> NOTIFY=NEVER <"@donut.example` },
		"literal address":        func(m *mail.Message) { m.To = "ads@[127.0.0.1]" },
		"address not ASCII":      func(m *mail.Message) { m.To = "광고@donut.example" },
		"address too long":       func(m *mail.Message) { m.To = strings.Repeat("a", 300) + "@donut.example" },
		"line break in Reply-To": func(m *mail.Message) { m.ReplyTo = "a@x.example\nBcc: b@x.example" },
		"no ID":                  func(m *mail.Message) { m.ID = "" },
		"ID in brackets":         func(m *mail.Message) { m.ID = "<1@shop.example>" },
		"line break in ID":       func(m *mail.Message) { m.ID = "1@shop.example>\r\nBcc: x@evil.example" },
		"ID too long":            func(m *mail.Message) { m.ID = strings.Repeat("1", 300) + "@shop.example" },
		"space in In-Reply-To":   func(m *mail.Message) { m.InReplyTo = "1 2@shop.example" },
		"line in References":     func(m *mail.Message) { m.References = []string{"1@shop.example>\r\nBcc: x@evil.example"} },
		"References alone":       func(m *mail.Message) { m.InReplyTo, m.References = "", []string{"1@shop.example"} },
		"no date":                func(m *mail.Message) { m.Date = time.Time{} },
		"date beyond the format": func(m *mail.Message) { m.Date = time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC) },
		"no text":                func(m *mail.Message) { m.Text = "" },
		"body too big":           func(m *mail.Message) { m.HTML = strings.Repeat("x", mail.BodyBytesMax) },
	} {
		m := korean()
		spoil(&m)
		err := files.Send(t.Context(), m)
		if restock.KindOf(err) != restock.Invalid || err == nil || !mail.Permanent(err) {
			t.Errorf("%s: error %v, want one of kind Invalid", name, err)
		}
	}
	if names := list(t, dir); len(names) > 0 {
		t.Errorf("files %q, want none", names)
	}
}

// FuzzHeaders shows that no subject and no address adds a header, ends the
// headers, or reaches somebody else.
func FuzzHeaders(f *testing.F) {
	f.Add("Sold out", "ops@donut.example")
	f.Fuzz(func(t *testing.T, subject, to string) {
		m := english()
		m.Subject, m.To = subject, to
		content, err := mail.Bytes(m)
		if err != nil {
			if !mail.Permanent(err) {
				t.Fatalf("error %v, want one of kind Invalid", err)
			}
			return
		}
		if fault := headerFault(content); fault != "" {
			t.Error(fault)
		}
		checkRecipient(t, content, to)
		if got := readMail(t, content); got.Parts["text/plain"] != m.Text {
			t.Errorf("body is %q, want %q", got.Parts, m.Text)
		}
	})
}

// headerFault says what is wrong with the headers of an English mail, or "".
func headerFault(content []byte) string {
	head, _, _ := bytes.Cut(content, []byte("\r\n\r\n"))
	var names []string
	for line := range strings.SplitSeq(string(head), "\r\n") {
		if strings.ContainsAny(line, "\r\n\x00") {
			return fmt.Sprintf("control characters in %q", line)
		}
		if !strings.HasPrefix(line, " ") {
			name, _, _ := strings.Cut(line, ":")
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return cmp.Diff(names, []string{
		"Auto-Submitted", "Content-Transfer-Encoding", "Content-Type", "Date",
		"From", "MIME-Version", "Message-ID", "Subject", "To",
	})
}

// TestHeaderFaultsAreFound is the control of FuzzHeaders.
func TestHeaderFaultsAreFound(t *testing.T) {
	t.Parallel()
	content := string(compose(t, english()))
	if fault := headerFault([]byte(content)); fault != "" {
		t.Errorf("fault in a good mail: %s", fault)
	}
	for _, injected := range []string{"Sold\r\nBcc: x@evil.example", "Sold\r\n\r\nout", "Sold\nBcc: x", "Sold\rout"} {
		if headerFault([]byte(strings.Replace(content, "Sold out", injected, 1))) == "" {
			t.Errorf("no fault found in %q", injected)
		}
	}
}

func checkRecipient(t *testing.T, content []byte, to string) {
	t.Helper()
	want, err := netmail.ParseAddress(to)
	if err != nil {
		t.Fatalf("%q was taken for an address: %v", to, err)
	}
	m, err := netmail.ReadMessage(bytes.NewReader(content))
	if err != nil {
		t.Fatalf("reading the mail: %v", err)
	}
	got, err := m.Header.AddressList("To")
	if err != nil || len(got) != 1 || got[0].Address != want.Address {
		t.Errorf("To is read as %v (%v), want only %s", got, err, want.Address)
	}
}
