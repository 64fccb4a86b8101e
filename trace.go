package restock

import "context"

type traceKey struct{}

// WithTraceParent gives a context the W3C traceparent of the request or
// message that it serves, so that one id follows a purchase to its order, its
// callback and its mail.
func WithTraceParent(ctx context.Context, traceParent string) context.Context {
	return context.WithValue(ctx, traceKey{}, traceParent)
}

// TraceParent gives the context's traceparent, or "".
func TraceParent(ctx context.Context) string {
	s, _ := ctx.Value(traceKey{}).(string)
	return s
}
