package web

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// eventWriteTimeout is how long one event may take to leave: a browser that does
// not read is let go.
const eventWriteTimeout = 10 * time.Second

type stoppingKey struct{}

// Stopping gives a channel that is closed when the server of a request begins to
// stop, for answers that would go on for ever. It is nil outside of a Server.
func Stopping(ctx context.Context) <-chan struct{} {
	stopping, _ := ctx.Value(stoppingKey{}).(<-chan struct{})
	return stopping
}

// EventStream is an answer of server-sent events, as the HTML standard defines
// them, without the server's limits on how long an answer may take. Who writes to
// it ends when the request's context does or its server is Stopping.
type EventStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// OpenEventStream begins the answer.
func OpenEventStream(w http.ResponseWriter) (*EventStream, error) {
	s := &EventStream{w: w, control: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no") // else a proxy may keep events back
	w.WriteHeader(http.StatusOK)
	return s, s.Beat()
}

// Send sends one event.
func (s *EventStream) Send(event, id string, data []byte) error {
	var text bytes.Buffer
	fmt.Fprintf(&text, "event: %s\nid: %s\n", oneLine(event), oneLine(id))
	for line := range bytes.SplitSeq(data, []byte("\n")) {
		text.WriteString("data: ")
		text.Write(bytes.ReplaceAll(line, []byte("\r"), nil))
		text.WriteByte('\n')
	}
	text.WriteByte('\n')
	return s.write(text.Bytes())
}

// oneLine keeps a text from beginning another field.
func oneLine(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\n' || r == '\r' || r == 0 {
			return -1
		}
		return r
	}, text)
}

// Beat says nothing, which tells both sides whether the other is still there.
func (s *EventStream) Beat() error { return s.write([]byte(": beat\n\n")) }

func (s *EventStream) write(text []byte) error {
	if err := s.control.SetWriteDeadline(time.Now().Add(eventWriteTimeout)); err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	if _, err := s.w.Write(text); err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("sending an event: %w", err)
	}
	return nil
}
