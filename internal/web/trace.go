package web

import (
	"encoding/hex"
	"io"
	"net/http"
	"strings"
)

// A traceparent as of W3C Trace Context: version, trace id, parent id and flags
// in lower-case hexadecimal, as 00-<32>-<16>-<2>.
const (
	traceHeader    = "Traceparent"
	traceLen       = 55
	traceIDStart   = 3
	traceIDEnd     = 35
	parentIDStart  = 36
	parentIDEnd    = 52
	flagsStart     = 53
	traceRandomLen = 24 // bytes of the trace id and the parent id together
)

// traceOf takes over the caller's trace or begins one. A caller's parent id is
// kept as it is: no span of ours is recorded anywhere, so an id of our own
// would point its followers at nothing.
func traceOf(h http.Header, random io.Reader) string {
	// Two headers contradict each other; neither is believed.
	if values := h[traceHeader]; len(values) == 1 {
		if trace, ok := parseTraceParent(values[0]); ok {
			return trace
		}
	}
	return newTraceParent(random)
}

// newTraceParent is "" if there is no randomness: a request is worth more than
// its trace. The flags say that nobody upstream recorded anything.
func newTraceParent(random io.Reader) string {
	ids := make([]byte, traceRandomLen)
	if _, err := io.ReadFull(random, ids); err != nil {
		return ""
	}
	b := make([]byte, 0, traceLen)
	b = append(b, "00-"...)
	b = hex.AppendEncode(b, ids[:16])
	b = append(b, '-')
	b = hex.AppendEncode(b, ids[16:])
	return string(append(b, "-00"...))
}

// parseTraceParent checks a traceparent and gives it as version 00. As the
// specification asks, a later version is read by the fields of this one.
func parseTraceParent(s string) (string, bool) {
	if len(s) < traceLen || !isLowerHex(s[:2]) || s[:2] == "ff" {
		return "", false
	}
	later := s[:2] != "00"
	if len(s) > traceLen && (!later || s[traceLen] != '-') {
		return "", false
	}
	if !hasTraceFields(s[:traceLen]) {
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

// traceID is the part of a traceparent that all of a trace share.
func traceID(traceparent string) string {
	if len(traceparent) != traceLen {
		return ""
	}
	return traceparent[traceIDStart:traceIDEnd]
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
