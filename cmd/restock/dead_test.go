package main

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

func TestAPaceIsSoManyASecond(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]pace{"20/s": 20, "20": 20, "0.5/s": 0.5, "30/m": 0.5, "1800/h": 0.5, "10000": 10000} {
		var got pace
		if err := got.UnmarshalText([]byte(text)); err != nil || got != want {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "/s", "0/s", "-1/s", "20/d", "20/", "20 /s", "NaN", "Inf", "1e9/s", "twenty"} {
		var got pace
		if err := got.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestAnAgeIsToldInItsLargestUnit(t *testing.T) {
	t.Parallel()
	for d, want := range map[time.Duration]string{
		-time.Hour: "0s", 0: "0s", 59 * time.Second: "59s", time.Minute: "1m", 119 * time.Minute: "1h", 47 * time.Hour: "1d", 400 * 24 * time.Hour: "400d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}

// desk is a server's desk with some letters left.
type desk struct {
	left  int
	calls []ops.SelectionBody
	do    func(call int) error // what else happens at a call
}

func (d *desk) settle(_ *console, b ops.SelectionBody) (ops.DeskSlice, error) {
	d.calls = append(d.calls, b)
	if d.do != nil {
		if err := d.do(len(d.calls)); err != nil {
			return ops.DeskSlice{}, err
		}
	}
	n := min(b.Limit, d.left)
	if len(b.IDs) > 0 {
		n = len(b.IDs)
	}
	d.left -= n
	slice := ops.DeskSlice{Redriven: n}
	if d.left > 0 && len(b.IDs) == 0 {
		slice.Next = "on"
	}
	return slice, nil
}

// walkAlong walks until the desk has no letters left, and tells how long it took.
func walkAlong(ctx context.Context, d *desk, s *deadSelection, b ops.SelectionBody, perSecond float64) (settled, time.Duration, error) {
	var out bytes.Buffer
	began := time.Now()
	total, err := s.walk(&console{ctx: ctx, out: &out, errOut: &out}, b, perSecond, d.settle)
	return total, time.Since(began), err
}

func TestAWalkKeepsToItsPace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		left      int
		perSecond float64
		want      time.Duration
	}{
		{0, 20, 0},
		{20, 20, 0},
		{100, 20, 4 * time.Second},
		{3, 0.5, 4 * time.Second},
		{500, 500, 900 * time.Millisecond}, // in slices of 50
	} {
		synctest.Test(t, func(t *testing.T) {
			total, took, err := walkAlong(t.Context(), &desk{left: c.left}, &deadSelection{}, ops.SelectionBody{All: true}, c.perSecond)
			if total.Redriven != c.left || took != c.want || err != nil {
				t.Errorf("%d letters at %v a second: %d in %s, %v, want %s", c.left, c.perSecond, total.Redriven, took, err, c.want)
			}
		})
	}
}

func TestAWalkWaitsForOthers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := &desk{left: 40, do: func(call int) error {
			if call == 2 || call == 3 {
				return &problem{Detail: "too many", Code: restock.CodeRateLimited}
			}
			return nil
		}}
		total, took, err := walkAlong(t.Context(), d, &deadSelection{}, ops.SelectionBody{All: true}, 20)
		if total.Redriven != 40 || took != 3*time.Second || err != nil {
			t.Errorf("%d in %s, %v, want 40 in 3s", total.Redriven, took, err)
		}
	})
}

// TestAWalkThatIsInterruptedSaysWhatItDid interrupts it while a slice is under
// way, and while it waits for the next.
func TestAWalkThatIsInterruptedSaysWhatItDid(t *testing.T) {
	t.Parallel()
	for name, interrupt := range map[string]func(stop func()){
		"in a slice": func(stop func()) { stop() },
		"in between": func(stop func()) { time.AfterFunc(time.Millisecond, stop) },
	} {
		synctest.Test(t, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			d := &desk{left: 100, do: func(call int) error {
				if call == 2 {
					interrupt(stop)
				}
				return nil
			}}
			total, _, err := walkAlong(ctx, d, &deadSelection{}, ops.SelectionBody{All: true}, 20)
			if total.Redriven != 40 || !errors.Is(err, errInterrupted) {
				t.Errorf("%s: %d, %v, want 40 and that it was interrupted", name, total.Redriven, err)
			}
		})
	}
}

func TestNamedLettersGoInSlices(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		ids := make([]restock.EventID, 7)
		for i := range ids {
			ids[i] = restock.EventID{byte(i + 1)}
		}
		d := &desk{left: len(ids)}
		total, _, err := walkAlong(t.Context(), d, &deadSelection{}, ops.SelectionBody{IDs: ids}, 3)
		var got []restock.EventID
		for _, c := range d.calls {
			got = append(got, c.IDs...)
		}
		if total.Redriven != len(ids) || len(d.calls) != 3 || err != nil {
			t.Errorf("%d in %d slices, %v, want %d in 3", total.Redriven, len(d.calls), err, len(ids))
		}
		if diff := cmp.Diff(ids, got); diff != "" {
			t.Errorf("ids (-want +got):\n%s", diff)
		}
	})
}
