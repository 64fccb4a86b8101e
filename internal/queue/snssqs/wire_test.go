package snssqs

import (
	"encoding/json"
	"errors"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/restock/restock/internal/queue/driver"
)

var (
	someID   = driver.ID{0x01, 0x99, 0xab, 0xcd, 5, 6, 0x70, 8, 9, 10, 11, 12, 13, 14, 15, 0xff}
	someTime = time.Date(2026, 11, 25, 14, 36, 47, 123456000, time.UTC)
)

// TestAttributesHaveTheirNames: other programs read and write them.
func TestAttributesHaveTheirNames(t *testing.T) {
	t.Parallel()
	got, err := encode(driver.Message{
		ID: someID, Type: "stock.low", Subject: "CP-502101", TraceParent: "00-af-b7-01", Time: someTime, Body: []byte(`{"a":"부산"}`),
	}, messageBytesMax)
	want := wire{body: `{"a":"부산"}`, attributes: map[string]string{
		"id": "0199abcd-0506-7008-090a-0b0c0d0e0fff", "type": "stock.low", "subject": "CP-502101",
		"traceparent": "00-af-b7-01", "time": "2026-11-25T14:36:47.123456Z",
	}}
	if d := cmp.Diff(got, want, cmp.AllowUnexported(wire{})); d != "" || err != nil {
		t.Errorf("%v (-got +want):\n%s", err, d)
	}
}

func TestABodyIsTextWhereItCanBe(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ body, text, encoding string }{
		{"{}", "{}", ""},
		{"tab\tline\r\n도넛 🍩", "tab\tline\r\n도넛 🍩", ""},
		{"", "-", "empty"},
		{"-", "-", ""},
		{"\x00", "AA==", "base64"},
		{"\xff\xfe", "//4=", "base64"},
		{"\uffff", "77+/", "base64"},
	} {
		got, err := encode(driver.Message{ID: someID, Body: []byte(c.body)}, messageBytesMax)
		if err != nil || got.body != c.text || got.attributes[attributeEncoding] != c.encoding {
			t.Errorf("%q is %q in encoding %q, %v, want %q in %q",
				c.body, got.body, got.attributes[attributeEncoding], err, c.text, c.encoding)
		}
	}
}

// TestWhatIsWrittenIsRead holds for any message, raw and in an envelope.
func TestWhatIsWrittenIsRead(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.StringOf(rapid.RuneFrom([]rune("aZ9-._ \t도🍩\"<&\\")))
		m := driver.Message{
			ID:          driver.ID(rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "id")),
			Type:        text.Draw(t, "type"),
			Subject:     text.Draw(t, "subject"),
			TraceParent: text.Draw(t, "traceparent"),
			Time:        time.UnixMicro(rapid.Int64Range(0, 4e15).Draw(t, "time")).UTC(),
			Body:        rapid.OneOf(rapid.SliceOf(rapid.Byte()), rapid.Map(text, func(s string) []byte { return []byte(s) })).Draw(t, "body"),
		}
		if m.ID.IsZero() {
			t.Skip("names nothing")
		}
		w, err := encode(m, messageBytesMax)
		if err != nil {
			t.Fatal(err)
		}
		raw := letter{id: "sqs", body: w.body, attributes: w.attributes}
		for name, l := range map[string]letter{"raw": raw, "in an envelope": {id: "sqs", body: enveloped(t, w)}} {
			if d := cmp.Diff(read(l), content{Message: m}, cmp.AllowUnexported(content{})); d != "" {
				t.Fatalf("%s (-got +want):\n%s", name, d)
			}
		}
	})
}

// enveloped writes what SNS writes without raw delivery.
func enveloped(t interface{ Fatal(args ...any) }, w wire) string {
	type value struct{ Type, Value string }
	attributes := make(map[string]value)
	for name, text := range w.attributes {
		attributes[name] = value{"String", text}
	}
	text, err := json.Marshal(map[string]any{
		"Type": "Notification", "MessageId": "c0b1", "TopicArn": "arn:aws:sns:eu-west-1:1:stock", "Message": w.body,
		"Timestamp": someTime, "MessageAttributes": attributes,
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestMessagesOfOthersAreKeptAsTheyCame(t *testing.T) {
	t.Parallel()
	const envelope = `{"Type":"Notification","MessageId":"95df01b4-ee98-5cb9-9903-4c221d41eb5e","Subject":"재고 없음",
		"Message":"\"도넛\" 재고가 없습니다 <1>","Timestamp":"2026-11-25T14:36:47.123Z",
		"MessageAttributes":{"MessageAttributeProductId":{"Type":"String","Value":"CP-502101"}}}`
	sent := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	inEnvelope := driver.Message{
		Type: driver.TypeForeign, Subject: "재고 없음", Time: time.Date(2026, 11, 25, 14, 36, 47, 123e6, time.UTC),
		Body: []byte(`{"message":"\"도넛\" 재고가 없습니다 <1>","attributes":{"MessageAttributeProductId":"CP-502101"}}`),
	}
	for name, c := range map[string]struct {
		letter letter
		want   driver.Message
	}{
		"in an envelope": {letter{id: "a", body: envelope, sent: sent}, inEnvelope},
		"raw": {
			letter{id: "a", body: "sold out", attributes: map[string]string{"ProductId": "CP-502101"}, sent: sent},
			driver.Message{Type: driver.TypeForeign, Time: sent, Body: []byte(`{"message":"sold out","attributes":{"ProductId":"CP-502101"}}`)},
		},
		"with no attributes": {
			letter{id: "a", body: `{"Type":"Notification"}`, sent: sent},
			driver.Message{Type: driver.TypeForeign, Time: sent, Body: []byte(`{"message":"{\"Type\":\"Notification\"}","attributes":{}}`)},
		},
		"with an id that is none": {
			letter{id: "a", body: "b", attributes: map[string]string{"id": "17", "type": "stock.low"}, sent: sent},
			driver.Message{Type: driver.TypeForeign, Time: sent, Body: []byte(`{"message":"b","attributes":{"id":"17","type":"stock.low"}}`)},
		},
		"in an encoding that is none": {
			letter{id: "a", body: "b", attributes: map[string]string{"id": someID.String(), "encoding": "zip"}, sent: sent},
			driver.Message{Type: driver.TypeForeign, Time: sent, Body: []byte(`{"message":"b","attributes":{"encoding":"zip","id":"` + someID.String() + `"}}`)},
		},
	} {
		got := read(c.letter).Message
		if got.ID.IsZero() {
			t.Errorf("%s: it has no id", name)
		}
		if d := cmp.Diff(withoutID(got), withoutID(c.want)); d != "" {
			t.Errorf("%s (-got +want):\n%s", name, d)
		}
	}
}

func withoutID(m driver.Message) driver.Message {
	m.ID = driver.ID{}
	return m
}

// TestAMessageOfOthersHasOneID on every queue that SNS copied it to, and at
// every receive.
func TestAMessageOfOthersHasOneID(t *testing.T) {
	t.Parallel()
	sns := func(id string) string { return `{"Type":"Notification","MessageId":"` + id + `","Message":"m"}` }
	first := read(letter{id: "sqs 1", body: sns("a")}).ID
	if again := read(letter{id: "sqs 2", body: sns("a")}).ID; again != first {
		t.Errorf("the copy has the id %s, want %s", again, first)
	}
	if other := read(letter{id: "sqs 1", body: sns("b")}).ID; other == first {
		t.Error("another message has the same id")
	}
	if a, b := read(letter{id: "1", body: "m"}).ID, read(letter{id: "2", body: "m"}).ID; a == b {
		t.Error("two messages without an envelope have the same id")
	}
	// It cannot take the id of a message of ours.
	if forged := read(letter{id: "1", body: sns(someID.String())}).ID; forged == someID {
		t.Error("the id of SNS became that of the message")
	}
}

func TestWhatSQSNeverTakesIsRefused(t *testing.T) {
	t.Parallel()
	for name, m := range map[string]driver.Message{
		"type":      {ID: someID, Type: "a\x00"},
		"subject":   {ID: someID, Subject: "\xff"},
		"at most":   {ID: someID, Body: make([]byte, messageBytesMax)}, // and it is base64
		"its trace": {ID: someID, TraceParent: "\uffff", Subject: "x"},
	} {
		_, err := encode(m, messageBytesMax)
		if !errors.Is(err, driver.ErrRefused) || !strings.Contains(err.Error(), name) {
			t.Errorf("%v, want ErrRefused that speaks of %q", err, name)
		}
	}
}

// TestACopyOfAMessageFits: what Dead and Later add must not make it too large.
func TestACopyOfAMessageFits(t *testing.T) {
	t.Parallel()
	m := driver.Message{ID: someID, Type: strings.Repeat("t", 200), Subject: "s", Time: someTime}
	m.Body = []byte(strings.Repeat("x", messageBytesMax-500))
	w, err := encode(m, messageBytesMax)
	if err != nil {
		t.Fatal(err)
	}
	w.set(attributeCause, asText(strings.Repeat("도", causeBytesMax), causeBytesMax))
	w.set(attributeReceives, "1000000")
	w.set(attributeNotBefore, someTime.Format(time.RFC3339Nano))
	if w.bytes() > batchBytesMax {
		t.Errorf("a copy has %d bytes, at most %d are allowed", w.bytes(), batchBytesMax)
	}
	if n := len(w.attributes); n > 10 {
		t.Errorf("a copy has %d attributes, SQS takes 10", n)
	}
}

func TestATextIsMadeOfWhatSQSCarries(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want string
	}{
		{"because", 10, "because"},
		{"a\x00b\xffc", 20, "a\ufffdb\ufffdc"},
		{"도넛도넛", 11, "도넛…"},
		{"도넛도넛", 12, "도넛도넛"},
		{"abcdef", 5, "ab…"},
	} {
		if got := asText(c.text, c.most); got != c.want {
			t.Errorf("asText(%q, %d) = %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

// FuzzRead: whatever lies on a queue becomes a message that can be kept, and
// copied to another queue.
func FuzzRead(f *testing.F) {
	f.Add("{}", "", "", "", "")
	f.Add("-", someID.String(), "empty", "3", "2026-11-25T14:36:47Z")
	f.Add("AA==", someID.String(), "base64", "-1", "never")
	f.Add(enveloped(f, wire{body: "b", attributes: map[string]string{"id": someID.String(), "type": "\x00"}}), "", "", "", "")
	f.Add(`{"Type":"Notification","MessageId":"a","Message":"b","Subject":"\u0000","MessageAttributes":{"id":{"Type":"String","Value":"x"}}}`, "x", "", "", "")
	f.Fuzz(func(t *testing.T, body, id, encoding, receives, notBefore string) {
		attributes := map[string]string{"id": id, "encoding": encoding, "receives": receives, "not_before": notBefore}
		maps.DeleteFunc(attributes, func(_, value string) bool { return value == "" })
		l := letter{id: "sqs", body: body, attributes: attributes, sent: someTime}
		c := read(l)
		if c.ID.IsZero() || c.receives < 0 {
			t.Fatalf("%+v", c)
		}
		if c.Type == driver.TypeForeign && c.ID.String() != id && !json.Valid(c.Body) {
			t.Fatalf("the body of a message of others is %q", c.Body)
		}
		w, err := encode(c.Message, 16*len(body)+copyBytesMax)
		if err != nil {
			t.Fatal(err)
		}
		again := read(letter{id: "another", body: w.body, attributes: w.attributes})
		if d := cmp.Diff(again.Message, c.Message); d != "" {
			t.Fatalf("the copy (-got +want):\n%s", d)
		}
	})
}
