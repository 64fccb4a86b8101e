package restock

import (
	"context"
	"encoding/hex"
	"io"
	"strings"
)

// A traceparent as of W3C Trace Context: version, trace id, parent id and flags
// in lower-case hexadecimal, as 00-<32>-<16>-<2>.
const (
	traceParentLen = 55
	traceIDStart   = 3
	traceIDEnd     = 35
	parentIDStart  = 36
	parentIDEnd    = 52
	flagsStart     = 53
	traceIDBytes   = 16
	traceRandomLen = 24 // bytes of the trace id and the parent id together
)

type traceKey struct{}

// WithTraceParent gives a context the W3C traceparent of the request or
// message that it serves, so that the rows and messages that come of it carry
// it too. It is one that ParseTraceParent gave, or "".
//
// A trace leads people through logs and rows. Nothing is ever decided by it: a
// stranger may have chosen it.
func WithTraceParent(ctx context.Context, traceParent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceParent)
}

// TraceParent gives the context's traceparent, or "".
func TraceParent(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}

// TraceID is the part of a traceparent that all of a trace share, or "".
func TraceID(traceParent string) string {
	if len(traceParent) != traceParentLen {
		return ""
	}
	return traceParent[traceIDStart:traceIDEnd]
}

// NewTraceParent begins a trace. It is "" if there is no randomness: a request
// is worth more than its trace. The flags say that nobody upstream recorded
// anything.
func NewTraceParent(random io.Reader) string {
	ids := make([]byte, traceRandomLen)
	if _, err := io.ReadFull(random, ids); err != nil {
		return ""
	}
	return traceParentOf(ids[:traceIDBytes], ids[traceIDBytes:])
}

// TraceParentOf is the trace of something that no request began: its own id is
// the trace's.
func TraceParentOf[T any](id ID[T]) string {
	s, _ := ParseTraceParent(traceParentOf(id[:], id[traceIDBytes/2:]))
	return s
}

func traceParentOf(trace, parent []byte) string {
	b := make([]byte, 0, traceParentLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, trace)
	b = append(b, '-')
	b = hex.AppendEncode(b, parent)
	return string(append(b, "-00"...))
}

// ParseTraceParent checks a traceparent and gives it as version 00. As the
// specification asks, a later version is read by the fields of this one.
func ParseTraceParent(s string) (string, bool) {
	if len(s) < traceParentLen || !isLowerHex(s[:2]) || s[:2] == "ff" {
		return "", false
	}
	later := s[:2] != "00"
	if len(s) > traceParentLen && (!later || s[traceParentLen] != '-') {
		return "", false
	}
	if !hasTraceFields(s[:traceParentLen]) {
		return "", false
	}
	if !later {
		return s, true
	}
	flags := "00" // of a later version's flags only "sampled" is known
	if strings.IndexByte("13579bdf", s[flagsStart+1]) >= 0 {
		flags = "01"
	}
	return "00" + s[2:flagsStart] + flags, true
}

func hasTraceFields(s string) bool {
	return s[2] == '-' && isLowerHex(s[traceIDStart:traceIDEnd]) && !isZeros(s[traceIDStart:traceIDEnd]) &&
		s[traceIDEnd] == '-' && isLowerHex(s[parentIDStart:parentIDEnd]) && !isZeros(s[parentIDStart:parentIDEnd]) &&
		s[parentIDEnd] == '-' && isLowerHex(s[flagsStart:])
}

func isLowerHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func isZeros(s string) bool { return strings.Trim(s, "0") == "" }
