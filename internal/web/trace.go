package web

import (
	"context"
	"io"
	"net/http"

	"github.com/restock/restock"
)

// traceHeader carries a W3C traceparent.
const traceHeader = "Traceparent"

// traceOf takes over the caller's trace or begins one. A caller's parent id is
// kept as it is: no span of ours is recorded anywhere, so an id of our own
// would point its followers at nothing.
func traceOf(h http.Header, random io.Reader) string {
	// Two headers contradict each other; neither is believed.
	if values := h[traceHeader]; len(values) == 1 {
		if trace, ok := restock.ParseTraceParent(values[0]); ok {
			return trace
		}
	}
	return restock.NewTraceParent(random)
}

type exchangeKey struct{}

// Follow gives a request that belongs to an older story the trace of that
// story: a factory that calls back knows nothing of the buyer whose purchase
// began it. Only who is known may lead there, such as by a signed address. The
// line about the request then has both.
func Follow(ctx context.Context, traceParent string) context.Context {
	traceParent, ok := restock.ParseTraceParent(traceParent)
	if !ok {
		return ctx
	}
	if x, ok := ctx.Value(exchangeKey{}).(*exchange); ok {
		x.story = restock.TraceID(traceParent)
	}
	return restock.WithTraceParent(ctx, traceParent)
}
