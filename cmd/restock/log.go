package main

import (
	"context"
	"io"
	"log/slog"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/web"
)

// newLog makes the log of a process. Each line has the trace of the request or
// message that it belongs to, so that one id finds a purchase, its order, the
// report of the factory and the mail in the logs of all processes.
func newLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(traced{slog.NewTextHandler(w, &slog.HandlerOptions{Level: level})})
}

// newFunctionLog makes the log of a function: the same lines as JSON, which
// CloudWatch can search by what is in them.
func newFunctionLog(w io.Writer, level slog.Leveler) *slog.Logger {
	return slog.New(traced{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: level})})
}

// traced adds the trace of the context to a line that does not tell it itself.
type traced struct{ slog.Handler }

// Handle writes one line.
func (t traced) Handle(ctx context.Context, r slog.Record) error {
	trace := restock.TraceID(restock.TraceParent(ctx))
	if trace == "" || tells(r, web.KeyTrace) {
		return t.Handler.Handle(ctx, r)
	}
	r.AddAttrs(slog.String(web.KeyTrace, trace))
	return t.Handler.Handle(ctx, r)
}

// WithAttrs gives a handler whose lines have the attributes too.
func (t traced) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traced{t.Handler.WithAttrs(attrs)}
}

// WithGroup gives a handler whose later attributes stand in a group.
func (t traced) WithGroup(name string) slog.Handler { return traced{t.Handler.WithGroup(name)} }

func tells(r slog.Record, key string) bool {
	found := false
	r.Attrs(func(a slog.Attr) bool {
		found = a.Key == key
		return !found
	})
	return found
}
