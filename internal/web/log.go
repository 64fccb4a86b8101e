package web

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"regexp"
	"runtime/debug"
	"time"

	"github.com/restock/restock"
)

// loggedBytesMax cuts what a stranger chose (method, path) before it is logged.
const loggedBytesMax = 256

// LogConfig holds what the request log depends on. The zero value logs nothing
// and still recovers from panics and carries the trace.
type LogConfig struct {
	Logger *slog.Logger
	Now    func() time.Time // default time.Now
	Random io.Reader        // for new trace ids; default crypto/rand
	// Observe is told the status of each answer; 0 is an answer that was broken off.
	Observe func(status int)
}

// Log writes one line per request, answers a panic with 500, and gives every
// request a trace: the caller's traceparent if it is valid, else a new one. The
// trace is in restock.TraceParent(ctx), in the answer's header, and in the line.
//
// The line never has the query, which can carry a token. Its level is Warn for
// 5xx, Debug for health that is well, Info for all else; a logger whose level
// is Warn therefore makes the lines of requests that went well cost nothing.
//
// What is inside reaches Flush and deadlines through http.ResponseController.
func Log(next http.Handler, cfg LogConfig) http.Handler {
	l := &requestLog{next: next, logger: orDiscard(cfg.Logger), now: cfg.Now, random: cfg.Random, observe: cfg.Observe}
	if l.observe == nil {
		l.observe = func(int) {}
	}
	if l.now == nil {
		l.now = time.Now
	}
	if l.random == nil {
		l.random = rand.Reader
	}
	return l
}

type requestLog struct {
	next    http.Handler
	logger  *slog.Logger
	now     func() time.Time
	random  io.Reader
	observe func(status int)
}

func (l *requestLog) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	start := l.now()
	trace := traceOf(r.Header, l.random)
	if trace != "" {
		w.Header().Set(traceHeader, trace)
	}
	x := &exchange{ResponseWriter: w}
	r = r.WithContext(context.WithValue(restock.WithTraceParent(r.Context(), trace), exchangeKey{}, x))
	l.serve(x, r)
	l.observe(x.answered())
	l.write(r, x, l.now().Sub(start))
	if x.aborted {
		panic(http.ErrAbortHandler) // net/http's way to drop the connection in silence
	}
}

func (l *requestLog) serve(x *exchange, r *http.Request) {
	defer func() {
		if cause := recover(); cause != nil {
			l.recovered(x, r, cause)
		}
	}()
	l.next.ServeHTTP(x, r)
}

// recovered answers 500 if nothing was answered yet. Otherwise the connection
// must go, or the client would take half an answer for a whole one.
func (l *requestLog) recovered(x *exchange, r *http.Request, cause any) {
	if cause == http.ErrAbortHandler { //nolint:err113,errorlint // net/http compares it the same way.
		x.aborted = true
		return
	}
	l.logger.LogAttrs(r.Context(), slog.LevelError, "panic in a request",
		slog.String(KeyPath, loggedPath(r)),
		slog.String(KeyTrace, restock.TraceID(restock.TraceParent(r.Context()))),
		slog.String(KeyError, fmt.Sprint(cause)),
		slog.String(KeyStack, string(debug.Stack())))
	if x.status != 0 {
		x.aborted = true
		return
	}
	writeProblem(x, FaultOf(restock.Errorf(restock.Internal, restock.CodeInternal, "panic")))
}

func (l *requestLog) write(r *http.Request, x *exchange, took time.Duration) {
	ctx := r.Context()
	status := x.answered()
	level := levelOf(ctx, r, status)
	if !l.logger.Enabled(ctx, level) {
		return
	}
	trace, own := restock.TraceID(restock.TraceParent(ctx)), slog.Attr{}
	if x.story != "" && x.story != trace {
		trace, own = x.story, slog.String(KeyRequestTrace, trace)
	}
	l.logger.LogAttrs(ctx, level, "request",
		slog.String(KeyMethod, cut(r.Method)),
		slog.String(KeyPath, loggedPath(r)),
		slog.Int(KeyStatus, status),
		slog.Int64(KeyBytes, x.bytes),
		slog.Duration(KeyDuration, took),
		slog.String(KeyRemote, r.RemoteAddr),
		slog.String(KeyTrace, trace), own)
}

func levelOf(ctx context.Context, r *http.Request, status int) slog.Level {
	switch {
	case status >= http.StatusInternalServerError && ctx.Err() == nil: // else the client left
		return slog.LevelWarn
	case status < http.StatusBadRequest && r.Method == http.MethodGet && isHealth(r.URL.Path):
		return slog.LevelDebug
	default:
		return slog.LevelInfo
	}
}

// queryInPath is where a query begins that came percent-encoded, once or more
// often, and so became part of the path.
var queryInPath = regexp.MustCompile(`(?i)\?|%(?:25)*3f|token(?:=|%(?:25)*3d)`)

// loggedPath is a path without a query that got into it, which can carry a
// token just as well.
func loggedPath(r *http.Request) string {
	path := r.URL.Path
	if at := queryInPath.FindStringIndex(path); at != nil {
		path = path[:at[0]] + "…"
	}
	return cut(path)
}

func cut(s string) string { return s[:min(len(s), loggedBytesMax)] }

// exchange is a ResponseWriter that remembers what was answered.
type exchange struct {
	http.ResponseWriter

	status  int // 0 until the header is written
	bytes   int64
	aborted bool
	story   string // the id of the trace that the request turned out to belong to
}

// answered is the status that the client got; 0 is an answer that was broken off.
func (x *exchange) answered() int {
	if x.status == 0 && !x.aborted {
		return http.StatusOK // net/http sends it for a handler that wrote nothing
	}
	return x.status
}

// Unwrap lets http.ResponseController reach the connection.
func (x *exchange) Unwrap() http.ResponseWriter { return x.ResponseWriter }

func (x *exchange) WriteHeader(status int) {
	if x.status == 0 && status >= http.StatusOK { // 1xx come before the real one
		x.status = status
	}
	x.ResponseWriter.WriteHeader(status)
}

func (x *exchange) Write(b []byte) (int, error) {
	x.began()
	n, err := x.ResponseWriter.Write(b)
	x.bytes += int64(n)
	return n, err //nolint:wrapcheck // It must look like the writer it stands for.
}

// FlushError sends what was written so far, and the header with it.
func (x *exchange) FlushError() error {
	x.began()
	return http.NewResponseController(x.ResponseWriter).Flush() //nolint:wrapcheck // As above.
}

func (x *exchange) began() {
	if x.status == 0 {
		x.status = http.StatusOK
	}
}
