package replenish

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/restock/restock"
	"pgregory.net/rapid"
)

// report is evidence about an attempt of 100 pieces of which some came, with
// a body that claims a count and contradicts nothing.
func report(received, count int64, edit func(*restock.Evidence)) restock.Evidence {
	e := restock.Evidence{
		Callback: restock.Callback{Count: count, Product: "CP-1", Factory: "FF-1", Requester: "김재고"},
		Attempt: restock.Attempt{
			Number: 1, Quantity: 100, Received: received, State: restock.AttemptAccepted, SKU: "CP-1",
			Factory: restock.Factory{Identifier: "FF-1"}, Requester: "김재고",
		},
		Order: restock.OrderAccepted,
	}
	if edit != nil {
		edit(&e)
	}
	return e
}

func seen(e *restock.Evidence)       { e.Seen = true }
func overdue(e *restock.Evidence)    { e.Attempt.State = restock.AttemptOverdue }
func closed(e *restock.Evidence)     { e.Order = restock.OrderReceived }
func short(e *restock.Evidence)      { e.Order = restock.OrderClosedShort }
func noProduct(e *restock.Evidence)  { e.Callback.Product = "" }
func anotherSKU(e *restock.Evidence) { e.Callback.Product = "CP-2" }

func unreadable(e *restock.Evidence) { e.Callback.Problem = "the count is missing" }

// TestJudgeFollowsTheTable goes down the table "Receiving", row by row, and
// then through what stands above what.
func TestJudgeFollowsTheTable(t *testing.T) {
	t.Parallel()
	applied, held, duplicate := restock.ReceiptApplied, restock.ReceiptHeld, restock.ReceiptDuplicate
	both := func(edits ...func(*restock.Evidence)) func(*restock.Evidence) {
		return func(e *restock.Evidence) {
			for _, edit := range edits {
				edit(e)
			}
		}
	}
	for _, c := range []struct {
		name     string
		evidence restock.Evidence
		want     restock.Verdict
		reason   string
	}{
		{"seen, and the attempt is complete", report(100, 100, seen), restock.Verdict{State: duplicate}, "came before"},
		{"seen, and some are missing", report(50, 50, seen), restock.Verdict{State: held, Hold: 50}, "50 pieces are still missing"},
		{"seen, and larger than what is left", report(60, 60, seen), restock.Verdict{State: held, Hold: 60}, "40 pieces are still missing"},
		{"seen when it was unreadable", report(0, 0, both(seen, unreadable)), restock.Verdict{State: held}, "came before"},

		{"another product", report(0, 100, anotherSKU), restock.Verdict{State: held, Hold: 100}, `product "CP-2"`},
		{"another factory", report(0, 100, func(e *restock.Evidence) { e.Callback.Factory = "FF-2" }), restock.Verdict{State: held, Hold: 100}, `factory "FF-2"`},
		{"another requester", report(0, 100, func(e *restock.Evidence) { e.Callback.Requester = "김" }), restock.Verdict{State: held, Hold: 100}, `requester "김"`},
		{"a product in other letters", report(0, 100, func(e *restock.Evidence) { e.Callback.Product = "cp-1" }), restock.Verdict{State: held, Hold: 100}, `product "cp-1"`},
		{"nothing claimed", report(0, 100, both(noProduct, func(e *restock.Evidence) { e.Callback.Factory, e.Callback.Requester = "", "" })), restock.Verdict{State: applied, Apply: 100}, ""},

		{"no count", report(0, 0, unreadable), restock.Verdict{State: held}, "the count is missing"},
		{"a negative count", report(0, -5, unreadable), restock.Verdict{State: held}, "cannot be relied on"},

		{"all came before", report(100, 7, nil), restock.Verdict{State: held, Hold: 7}, "all 100 pieces"},
		{"more than ordered", report(0, 150, nil), restock.Verdict{State: applied, Apply: 100, Hold: 50}, "50 more"},
		{"more than missing", report(60, 60, nil), restock.Verdict{State: applied, Apply: 40, Hold: 20}, "20 more"},
		{"exactly what is missing", report(60, 40, nil), restock.Verdict{State: applied, Apply: 40}, ""},
		{"all at once", report(0, 100, nil), restock.Verdict{State: applied, Apply: 100}, ""},
		{"a part", report(0, 29, nil), restock.Verdict{State: applied, Apply: 29}, ""},
		{"one piece", report(99, 1, nil), restock.Verdict{State: applied, Apply: 1}, ""},

		{"late", report(0, 100, overdue), restock.Verdict{State: applied, Apply: 100, Late: true}, ""},
		{"after the order closed", report(0, 100, closed), restock.Verdict{State: applied, Apply: 100, Late: true}, ""},
		{"the rest after it was closed short", report(60, 40, short), restock.Verdict{State: applied, Apply: 40, Late: true}, ""},
		{"late and too many", report(0, 101, overdue), restock.Verdict{State: applied, Apply: 100, Hold: 1, Late: true}, "1 more"},
		{"late and mismatched", report(0, 100, both(overdue, anotherSKU)), restock.Verdict{State: held, Hold: 100, Late: true}, "CP-2"},

		{"seen stands above a mismatch", report(100, 100, both(seen, anotherSKU)), restock.Verdict{State: duplicate}, "came before"},
		{"a mismatch stands above the count", report(0, 0, both(anotherSKU, unreadable)), restock.Verdict{State: held}, "CP-2"},
		{"a mismatch stands above excess", report(100, 9, anotherSKU), restock.Verdict{State: held, Hold: 9}, "CP-2"},
		{"no count stands above excess", report(100, 0, unreadable), restock.Verdict{State: held}, "cannot be relied on"},
	} {
		got := Judge(c.evidence)
		if !strings.Contains(got.Reason, c.reason) || c.reason == "" && got.Reason != "" {
			t.Errorf("%s: reason %q, want %q", c.name, got.Reason, c.reason)
		}
		got.Reason = ""
		if got != c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
	}
}

func TestJudgeNeverAppliesMoreThanIsMissing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		received := rapid.Int64Range(0, 100).Draw(t, "received")
		count := rapid.Int64Range(-3, 1<<40).Draw(t, "count")
		e := report(received, count, func(e *restock.Evidence) {
			e.Seen = rapid.Bool().Draw(t, "seen")
			e.Callback.Product = rapid.SampledFrom([]string{"", "CP-1", "CP-2"}).Draw(t, "product")
			e.Order = rapid.SampledFrom([]restock.OrderState{restock.OrderSending, restock.OrderReceived, restock.OrderHeld}).Draw(t, "order")
		})
		got := Judge(e)
		switch {
		case got.Apply < 0 || got.Hold < 0 && count >= 0 || got.Apply > 100-received:
			t.Fatalf("%+v of %d with %d received", got, count, received)
		case (got.State == restock.ReceiptApplied) != (got.Apply > 0):
			t.Fatalf("%s with %d applied", got.State, got.Apply)
		case got.State == restock.ReceiptApplied && got.Apply+got.Hold != count:
			t.Fatalf("%d applied and %d held of %d", got.Apply, got.Hold, count)
		case got.State == restock.ReceiptHeld && got.Reason == "":
			t.Fatal("held without a reason")
		}
	})
}

func TestAClaimIsShownShort(t *testing.T) {
	t.Parallel()
	got := Judge(report(0, 100, func(e *restock.Evidence) { e.Callback.Product = strings.Repeat("도", 10_000) }))
	if len(got.Reason) > 2_000 {
		t.Errorf("the reason has %d bytes", len(got.Reason))
	}
}

// here is a public URL at which a factory called back before.
const here = "https://shop.example"

func lateness(edit func(*restock.Lateness), attempts ...restock.AttemptState) restock.Lateness {
	l := restock.Lateness{
		Order:   restock.Order{State: restock.OrderUnknown, ReorderBudget: restock.ReorderBudget},
		Factory: restock.Factory{Identifier: "FF-1", OverduePolicy: restock.OverdueReorder, CalledBackAt: here},
	}
	for i, state := range attempts {
		l.Order.Attempts = append(l.Order.Attempts, restock.Attempt{Number: i + 1, State: state})
	}
	if edit != nil {
		edit(&l)
	}
	return l
}

func TestOverdueReordersWithinTheBudget(t *testing.T) {
	t.Parallel()
	const notSent, rejected, unknown, late = restock.AttemptNotSent, restock.AttemptRejected, restock.AttemptUnknown, restock.AttemptOverdue
	for _, c := range []struct {
		attempts []restock.AttemptState
		reorder  bool
	}{
		{[]restock.AttemptState{unknown}, true},
		{[]restock.AttemptState{restock.AttemptAccepted}, true},
		{[]restock.AttemptState{rejected, rejected, unknown}, true}, // who refused has no order
		{[]restock.AttemptState{late, unknown}, false},
		{[]restock.AttemptState{late, notSent}, true},
		{[]restock.AttemptState{late, rejected, restock.AttemptAccepted}, false},
	} {
		got := Overdue(lateness(nil, c.attempts...), here, time.Time{})
		if got.Reorder != c.reorder || got.Reorder == (got.Reason != "") {
			t.Errorf("%v: %+v, want reorder %t", c.attempts, got, c.reorder)
		}
	}
}

func TestOverdueBuysNothingTwiceWhenTheCallMayHaveBeenMissed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		edit func(*restock.Lateness)
		says string
	}{
		{"nobody was here", func(l *restock.Lateness) { l.Away = time.Minute }, "nobody was here"},
		{"it did call, and a person has to look", func(l *restock.Lateness) { l.HeldReceipts = 1 }, "1 of its reports are held"},
		{"its policy is to hold", func(l *restock.Lateness) { l.Factory.OverduePolicy = restock.OverdueHold }, "not called back in time"},
		{"it never called back", func(l *restock.Lateness) { l.Factory.CalledBackAt = "" }, "never yet at " + here},
		{"it called back elsewhere", func(l *restock.Lateness) { l.Factory.CalledBackAt = "https://old.example" }, "never yet at " + here},
		{"most others are overdue", func(l *restock.Lateness) { l.Others, l.OthersOverdue = 3, 2 }, "2 of 3 other orders"},
		{"the only other is overdue", func(l *restock.Lateness) { l.Others, l.OthersOverdue = 1, 1 }, "1 of 1 other orders"},
		{"a person's wait is over", func(l *restock.Lateness) { l.Order.State = restock.OrderOverdue }, "the time to wait"},
	} {
		got := Overdue(lateness(c.edit, restock.AttemptUnknown), here, time.Time{})
		if got.Reorder || !got.WaitUntil.IsZero() || !strings.Contains(got.Reason, c.says) {
			t.Errorf("%s: %+v, want it held because %q", c.name, got, c.says)
		}
	}
}

func TestOverdueWaitsOnWhenThePolicySaysSo(t *testing.T) {
	t.Parallel()
	next := time.Unix(1e9, 0)
	got := Overdue(lateness(func(l *restock.Lateness) { l.Factory.OverduePolicy = restock.OverdueWait }, restock.AttemptAccepted), here, next)
	if got.Reorder || got.WaitUntil != next || got.Reason == "" {
		t.Errorf("%+v, want it to wait until %v", got, next)
	}
}

func TestAForeignTextIsCutBetweenLetters(t *testing.T) {
	t.Parallel()
	for shift := range 4 {
		text := strings.Repeat("x", shift) + strings.Repeat("도", 100)
		got := clip(text)
		if !utf8.ValidString(got) || len(got) < 98 || len(got) > 100+len("…") || !strings.HasPrefix(text, strings.TrimSuffix(got, "…")) {
			t.Errorf("%d bytes before: %q", shift, got)
		}
	}
	if got := clip("\x80" + strings.Repeat("\x80", 200)); len(got) > 100+len("…") {
		t.Errorf("what is no text is cut to %d bytes", len(got))
	}
	if got := clip("도너츠"); got != "도너츠" {
		t.Errorf("a short text becomes %q", got)
	}
}
