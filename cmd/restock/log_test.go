package main

import (
	"context"
	"io"
	"log/slog"
	"strings"
	"testing"

	"github.com/restock/restock"
)

func TestEachLineHasTheTraceOfItsContextOnce(t *testing.T) {
	t.Parallel()
	const id = "4bf92f3577b34da6a3ce929d0e0e4736"
	for name, row := range map[string]struct {
		newLog func(io.Writer, slog.Leveler) *slog.Logger
		want   []string
	}{
		"of the service": {newLog, []string{" trace_id=" + id, " queue=ad-queue trace_id=" + id, " group.a=1 group.trace_id=" + id, " trace_id=other", "msg=without"}},
		"of a function": {newFunctionLog, []string{
			`"trace_id":"` + id + `"}`, `"queue":"ad-queue","trace_id":"` + id + `"}`, `"group":{"a":1,"trace_id":"` + id + `"}}`, `"trace_id":"other"}`, `"msg":"without"}`,
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var text strings.Builder
			log := row.newLog(&text, slog.LevelInfo)
			ctx := restock.WithTraceParent(context.Background(), "00-"+id+"-00f067aa0ba902b7-01")
			log.InfoContext(ctx, "plain")
			log.With("queue", "ad-queue").WarnContext(ctx, "with attributes")
			log.WithGroup("group").InfoContext(ctx, "in a group", "a", 1)
			log.InfoContext(ctx, "tells another", "trace_id", "other")
			log.InfoContext(context.Background(), "without")
			log.DebugContext(ctx, "below the level")
			lines := strings.Split(strings.TrimSpace(text.String()), "\n")
			if len(lines) != len(row.want) {
				t.Fatalf("%d lines, want %d:\n%s", len(lines), len(row.want), &text)
			}
			for i, line := range lines {
				if !strings.HasSuffix(line, row.want[i]) || strings.Count(line, "trace_id") > 1 {
					t.Errorf("the line is %q, want it to end with %q", line, row.want[i])
				}
			}
		})
	}
}
