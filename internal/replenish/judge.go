package replenish

import (
	"fmt"
	"unicode/utf8"

	"github.com/restock/restock"
)

// Judge applies the rules of receiving, the first that matches. Never more
// than the attempt's quantity is applied without a person.
func Judge(e restock.Evidence) restock.Verdict {
	a, c := e.Attempt, e.Callback
	missing := max(0, a.Quantity-a.Received) // a person may have approved more
	verdict := func(state restock.ReceiptState, apply, hold int64, format string, args ...any) restock.Verdict {
		return restock.Verdict{State: state, Apply: apply, Hold: hold, Late: late(e), Reason: fmt.Sprintf(format, args...)}
	}
	switch {
	case e.Seen && missing == 0:
		return verdict(restock.ReceiptDuplicate, 0, 0, "this report came before")
	case e.Seen && a.Factory.Repeats != restock.RepeatsApply:
		return verdict(restock.ReceiptHeld, 0, c.Count, "this report came before, and %d pieces are still missing: it may be a repeat or the rest", missing)
	case mismatch(e) != "":
		return verdict(restock.ReceiptHeld, 0, c.Count, "%s", mismatch(e))
	case c.Count <= 0:
		return verdict(restock.ReceiptHeld, 0, 0, "the count cannot be relied on: %s", c.Problem)
	case missing == 0:
		return verdict(restock.ReceiptHeld, 0, c.Count, "all %d pieces came before", a.Quantity)
	case c.Count > missing:
		return verdict(restock.ReceiptApplied, missing, c.Count-missing, "%d more than the %d that were missing", c.Count-missing, missing)
	default:
		return verdict(restock.ReceiptApplied, c.Count, 0, "")
	}
}

// mismatch names a claim of the body that contradicts what the attempt asked
// the factory for.
func mismatch(e restock.Evidence) string {
	for _, claim := range []struct{ name, claimed, asked string }{
		{"product", e.Callback.Product, string(e.Attempt.SKU)},
		{"factory", e.Callback.Factory, e.Attempt.Factory.Identifier},
		{"requester", e.Callback.Requester, e.Attempt.Requester},
	} {
		if claim.claimed != "" && claim.claimed != claim.asked {
			return fmt.Sprintf("it reports %s %q, ordered was %q", claim.name, clip(claim.claimed), claim.asked)
		}
	}
	return ""
}

func late(e restock.Evidence) bool {
	return e.Attempt.State == restock.AttemptOverdue || !e.Order.Open()
}

// clip shortens a foreign text for people, at the end of a letter.
func clip(s string) string {
	most := 100
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return s[:most] + "…"
}
