package main

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/restock/restock"
)

func TestEachLineHasTheTraceOfItsContextOnce(t *testing.T) {
	t.Parallel()
	const trace, id = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01", "4bf92f3577b34da6a3ce929d0e0e4736"
	var text strings.Builder
	log := newLog(&text, slog.LevelInfo)
	ctx := restock.WithTraceParent(context.Background(), trace)
	log.InfoContext(ctx, "plain")
	log.With("queue", "ad-queue").WarnContext(ctx, "with attributes")
	log.WithGroup("group").InfoContext(ctx, "in a group", "a", 1)
	log.InfoContext(ctx, "tells another", "trace_id", "other")
	log.InfoContext(context.Background(), "without")
	log.DebugContext(ctx, "below the level")
	lines := strings.Split(strings.TrimSpace(text.String()), "\n")
	want := []string{" trace_id=" + id, " queue=ad-queue trace_id=" + id, " group.a=1 group.trace_id=" + id, " trace_id=other", "msg=without"}
	if len(lines) != len(want) {
		t.Fatalf("%d lines, want %d:\n%s", len(lines), len(want), &text)
	}
	for i, line := range lines {
		if !strings.HasSuffix(line, want[i]) || strings.Count(line, "trace_id=") > 1 {
			t.Errorf("the line is %q, want it to end with %q", line, want[i])
		}
	}
}
