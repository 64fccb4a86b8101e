package restock_test

import (
	"testing"
	"time"

	"github.com/restock/restock"
)

func TestOutsideIsWhatNoOtherSpanCovers(t *testing.T) {
	t.Parallel()
	at := func(minute int) time.Time { return time.Date(2026, 3, 1, 9, minute, 0, 0, time.UTC) }
	span := func(from, to int) restock.Span { return restock.Span{From: at(from), To: at(to)} }
	for _, c := range []struct {
		name   string
		span   restock.Span
		others []restock.Span
		want   int
	}{
		{"none", span(10, 30), nil, 20},
		{"one inside", span(10, 30), []restock.Span{span(15, 20)}, 15},
		{"all", span(10, 30), []restock.Span{span(0, 59)}, 0},
		{"its beginning", span(10, 30), []restock.Span{span(5, 15)}, 15},
		{"its end", span(10, 30), []restock.Span{span(25, 40)}, 15},
		{"before and after", span(10, 30), []restock.Span{span(0, 10), span(30, 40)}, 20},
		{"several that overlap", span(10, 30), []restock.Span{span(0, 12), span(11, 15), span(12, 14), span(20, 22)}, 13},
		{"an empty one", span(30, 30), []restock.Span{span(0, 40)}, 0},
		{"one that ends before it begins", span(30, 10), nil, 0},
	} {
		if got := c.span.Outside(c.others); got != time.Duration(c.want)*time.Minute {
			t.Errorf("%s: %s, want %d minutes", c.name, got, c.want)
		}
	}
}
