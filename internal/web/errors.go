package web

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"

	"github.com/restock/restock"
)

const (
	mediaJSON    = "application/json"
	mediaProblem = "application/problem+json"
	// retryAfterSeconds is when a client may come again: most of what makes us
	// unavailable is over in a moment.
	retryAfterSeconds = "1"
)

// Fault is an error as a caller may see it.
type Fault struct {
	Status int
	Code   restock.Code
	Detail string
}

// FaultOf says what a caller is told of an error. The text of an Internal error
// and of every cause stays here; a context that ended is Unavailable.
func FaultOf(err error) Fault {
	e, ok := errors.AsType[*restock.Error](err)
	switch {
	case ok && e.Kind != restock.Internal:
		status, code := statusOf(e.Kind)
		if e.Code != "" {
			code = e.Code
		}
		return Fault{Status: refine(status, code), Code: code, Detail: e.Message}
	case isContextError(err):
		status, code := statusOf(restock.Unavailable)
		return Fault{Status: status, Code: code, Detail: "It took too long. Try again."}
	default:
		status, code := statusOf(restock.Internal)
		return Fault{
			Status: status, Code: code,
			Detail: "An error inside the server. Its log has the cause, under the trace id in this answer's traceparent header.",
		}
	}
}

// statusOf is the one map from kinds to HTTP, with the code of an error that
// names none.
func statusOf(kind restock.Kind) (int, restock.Code) {
	switch kind {
	case restock.Invalid:
		return http.StatusBadRequest, restock.CodeInvalid
	case restock.NotFound:
		return http.StatusNotFound, restock.CodeNotFound
	case restock.Conflict:
		return http.StatusConflict, restock.CodeConflict
	case restock.OutOfStock:
		return http.StatusConflict, restock.CodeOutOfStock
	case restock.Unauthorized:
		return http.StatusUnauthorized, restock.CodeUnauthorized
	case restock.TooLarge:
		return http.StatusRequestEntityTooLarge, restock.CodeTooLarge
	case restock.Unavailable:
		return http.StatusServiceUnavailable, restock.CodeUnavailable
	case restock.Internal:
	}
	return http.StatusInternalServerError, restock.CodeInternal
}

func refine(status int, code restock.Code) int {
	switch code { //nolint:exhaustive // All other codes have the status of their kind.
	case restock.CodeKeyReused:
		return http.StatusUnprocessableEntity
	case restock.CodeRateLimited:
		return http.StatusTooManyRequests
	case restock.CodeEventsGone:
		return http.StatusGone
	default:
		return status
	}
}

func isContextError(err error) bool {
	return errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled)
}

// Report logs an error that is ours (5xx), sets the headers that belong to its
// status, and says what to tell the caller. It is for routes whose answers have
// a shape of their own; all others use Problem.
func Report(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) Fault {
	fault := FaultOf(err)
	logFault(r, logger, fault, err)
	fault.setHeaders(w.Header())
	return fault
}

// Problem answers with an error as application/problem+json (RFC 9457), and
// logs it if it is ours.
func Problem(w http.ResponseWriter, r *http.Request, logger *slog.Logger, err error) {
	writeProblem(w, Report(w, r, logger, err))
}

func logFault(r *http.Request, logger *slog.Logger, fault Fault, err error) {
	ctx := r.Context()
	level := slog.LevelWarn
	switch {
	case fault.Status < http.StatusInternalServerError:
		return
	case ctx.Err() != nil: // the client left; nothing is wrong
		level = slog.LevelDebug
	case fault.Status == http.StatusInternalServerError:
		level = slog.LevelError
	}
	orDiscard(logger).LogAttrs(ctx, level, "request not served",
		slog.String(KeyMethod, cut(r.Method)),
		slog.String(KeyPath, loggedPath(r)),
		slog.String(KeyCode, string(fault.Code)),
		slog.String(KeyTrace, restock.TraceID(restock.TraceParent(ctx))),
		slog.Any(KeyError, err))
}

func (f Fault) setHeaders(h http.Header) {
	switch f.Status {
	case http.StatusServiceUnavailable, http.StatusTooManyRequests:
		h.Set("Retry-After", retryAfterSeconds)
	case http.StatusUnauthorized:
		h.Set("WWW-Authenticate", `Bearer realm="restock"`)
	}
}

func writeProblem(w http.ResponseWriter, f Fault) {
	writeBody(w, f.Status, mediaProblem, struct {
		Type   string       `json:"type"`
		Title  string       `json:"title"`
		Status int          `json:"status"`
		Detail string       `json:"detail,omitempty"`
		Code   restock.Code `json:"code"`
	}{"about:blank", http.StatusText(f.Status), f.Status, f.Detail, f.Code})
}

// WriteJSON answers with v as application/json. A value that cannot be encoded
// is a fault of the program: it panics before anything is sent, which Log
// turns into 500 and a line with the stack.
func WriteJSON(w http.ResponseWriter, status int, v any) {
	writeBody(w, status, mediaJSON, v)
}

func writeBody(w http.ResponseWriter, status int, media string, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("encoding an answer: %w", err))
	}
	w.Header().Set("Content-Type", media)
	w.WriteHeader(status)
	// A client that is gone cannot be told so.
	_, _ = w.Write(append(body, '\n'))
}
