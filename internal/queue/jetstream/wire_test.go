package jetstream

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats.go"

	"github.com/restock/restock/internal/queue/driver"
)

var storedAt = time.Date(2026, 11, 25, 9, 0, 0, 123456789, time.UTC)

// asStored is how a message comes back from a stream.
func asStored(msg *nats.Msg) stored {
	return stored{stream: "restock", sequence: 7, at: storedAt, header: msg.Header, data: msg.Data}
}

func TestTheHeadersAreThoseOfCloudEvents(t *testing.T) {
	t.Parallel()
	msg := encode("restock.queue.stock-queue", driver.Message{
		ID:          driver.ID{15: 1},
		Type:        "stock.low",
		Subject:     `부산 "100%"`,
		TraceParent: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		Time:        storedAt,
		Body:        []byte(`{}`),
	})
	want := nats.Header{
		"ce-specversion": {"1.0"},
		"ce-source":      {"restock"},
		"ce-id":          {"00000000-0000-0000-0000-000000000001"},
		"ce-type":        {"stock.low"},
		"ce-subject":     {"%EB%B6%80%EC%82%B0%20%22100%25%22"},
		"ce-traceparent": {"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"ce-time":        {"2026-11-25T09:00:00.123456789Z"},
	}
	if diff := cmp.Diff(msg.Header, want); diff != "" {
		t.Errorf("headers (-got +want):\n%s", diff)
	}
}

// TestAMessageOfOthersIsKeptAsItCame, under an id that it has at every receive,
// also of a copy.
func TestAMessageOfOthersIsKeptAsItCame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		header nats.Header
		data   string
		want   string
	}{
		"text": {
			header: nats.Header{"Color": {"red"}, "Size": {"1", "2"}, "Nats-Msg-Id": {"x"}},
			data:   "half <empty>",
			want:   `{"message":"half <empty>","attributes":{"Color":"red","Size":["1","2"]}}`,
		},
		"bytes": {
			data: "\xff\x00",
			want: `{"message_base64":"/wA=","attributes":{}}`,
		},
		"nothing": {want: `{"message":"","attributes":{}}`},
		"an event of others": {
			header: nats.Header{"ce-id": {"A234-1234-1234"}, "ce-type": {"com.github.push"}, "ce-time": {"2026-11-25T09:00:00Z"}},
			data:   "{}",
			want:   `{"message":"{}","attributes":{"ce-id":"A234-1234-1234","ce-time":"2026-11-25T09:00:00Z","ce-type":"com.github.push"}}`,
		},
		"an event without a time": {
			header: nats.Header{"ce-id": {"0199abcd-0506-7008-090a-0b0c0d0e0fff"}, "ce-type": {"x"}},
			data:   "{}",
			want:   `{"message":"{}","attributes":{"ce-id":"0199abcd-0506-7008-090a-0b0c0d0e0fff","ce-type":"x"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := stored{stream: "restock", sequence: 7, at: storedAt, header: c.header, data: []byte(c.data)}
			got := decode(s)
			if got.Type != driver.TypeForeign || string(got.Body) != c.want || !got.Time.Equal(storedAt) || got.ID.IsZero() {
				t.Errorf("got %+v with the body %s, want %s", got, got.Body, c.want)
			}
			again := asStored(s.copyTo("elsewhere"))
			again.sequence, again.at = 8, storedAt.Add(time.Hour)
			if diff := cmp.Diff(decode(again), got); diff != "" {
				t.Errorf("its copy (-got +want):\n%s", diff)
			}
			other := s
			other.sequence = 9
			if decode(other).ID == got.ID {
				t.Error("another message has the same id")
			}
		})
	}
}

// TestACopyCarriesNothingThatWasNotedBefore: a redriven or delayed message
// begins anew, and no header makes the server do something.
func TestACopyCarriesNothingThatWasNotedBefore(t *testing.T) {
	t.Parallel()
	msg := encode("restock.queue.stock-queue", driver.Message{ID: driver.ID{1}, Type: "stock.low", Time: storedAt})
	for _, name := range []string{headerReceives, headerNotBefore, headerCause, "Nats-Msg-Id", "Nats-Rollup", "nats-TTL"} {
		msg.Header.Set(name, "3")
	}
	msg.Header.Set("ce-other", "kept")
	want := encode("", driver.Message{ID: driver.ID{1}, Type: "stock.low", Time: storedAt}).Header
	want.Set("ce-other", "kept")
	want.Set(headerPublished, storedAt.Format(time.RFC3339Nano))
	if diff := cmp.Diff(asStored(msg).copyTo("elsewhere").Header, want); diff != "" {
		t.Errorf("headers (-got +want):\n%s", diff)
	}
}

func TestALongCauseIsCutBetweenTwoCharacters(t *testing.T) {
	t.Parallel()
	for _, cause := range []string{strings.Repeat("도", CauseBytesMax), strings.Repeat("x", CauseBytesMax+1), "\xff" + strings.Repeat("\xbf", CauseBytesMax)} {
		got := cut(cause)
		if len(got) > CauseBytesMax || len(got) < CauseBytesMax-8 || utf8.ValidString(got) != utf8.ValidString(cause) || !strings.HasSuffix(got, "…") {
			t.Errorf("cut to %d bytes, ending in %q, want at most %d", len(got), got[max(0, len(got)-10):], CauseBytesMax)
		}
	}
	if got := cut(strings.Repeat("x", CauseBytesMax)); len(got) != CauseBytesMax {
		t.Errorf("a cause of the greatest length was cut to %d", len(got))
	}
}

// FuzzHeaders: whatever is in a message and a cause comes back, through headers
// that the protocol can carry.
func FuzzHeaders(f *testing.F) {
	f.Add("stock.low", "CP-502101", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "no\r\nway: 100 %41", []byte(`{}`))
	f.Add("", "부산도너츠", "", "\x00\xff", []byte(nil))
	f.Add(" ", "%", "%4", "%zz", []byte("\r\n\r\n"))
	f.Fuzz(func(t *testing.T, messageType, subject, traceParent, cause string, body []byte) {
		m := driver.Message{ID: driver.ID{1}, Type: messageType, Subject: subject, TraceParent: traceParent, Time: storedAt, Body: body}
		msg := encode("restock.queue.stock-queue", m)
		msg.Header.Set(headerCause, escape(cause))
		for name, values := range msg.Header {
			if len(values) != 1 || strings.IndexFunc(values[0], func(r rune) bool { return r <= ' ' || r > '~' || r == '"' }) >= 0 {
				t.Errorf("header %s is %q", name, values)
			}
		}
		s := asStored(msg)
		if diff := cmp.Diff(decode(s), m); diff != "" {
			t.Errorf("message (-got +want):\n%s", diff)
		}
		if s.cause() != cause {
			t.Errorf("cause %q, want %q", s.cause(), cause)
		}
	})
}

// FuzzForeign: what others send is never lost or mistaken, and a copy of it is
// the same message.
func FuzzForeign(f *testing.F) {
	f.Add("Color", "red", []byte("half empty"))
	f.Add("ce-id", "0199abcd-0506-7008-090a-0b0c0d0e0fff", []byte("{}"))
	f.Add("restock-receives", "-1", []byte(nil))
	f.Add("restock-id", "0199abcd-0506-7008-090a-0b0c0d0e0fff", []byte("\xff"))
	f.Add("restock-published", "2026-11-25T09:00:00Z", []byte("\xff"))
	f.Fuzz(func(t *testing.T, header, value string, data []byte) {
		s := stored{stream: "restock", sequence: 7, at: storedAt, header: nats.Header{header: {value}}, data: data}
		got := decode(s)
		if got.Type != driver.TypeForeign || got.ID.IsZero() {
			t.Errorf("got %+v", got)
		}
		if n := s.receives(); n < 0 || n > receivesMax {
			t.Errorf("it was received %d times", n)
		}
		if diff := cmp.Diff(decode(asStored(s.copyTo("elsewhere"))), got); diff != "" {
			t.Errorf("its copy (-got +want):\n%s", diff)
		}
	})
}
