package main

import (
	"bytes"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/factory"
)

// quickRows are drilled with every change; all of them in the full run.
func quickRows() []string { return []string{"accept-reset", "refuse", "double"} }

func TestTheFactoryDrillPasses(t *testing.T) {
	t.Parallel()
	args, rows := []string{"drill", "--json"}, quickRows()
	if os.Getenv("RESTOCK_TEST_FULL") == "1" {
		rows = nil
		for _, row := range drillRows() {
			rows = append(rows, row.name)
		}
	}
	var out, errOut bytes.Buffer
	if code := run(t.Context(), append(args, rows...), nil, &out, &errOut); code != exitOK {
		t.Errorf("exit status %d, want %d", code, exitOK)
	}
	var results []drillResult
	if err := json.Unmarshal(out.Bytes(), &results); err != nil {
		t.Fatalf("%v in %s%s", err, out.String(), errOut.String())
	}
	var drilled []string
	for _, r := range results {
		drilled = append(drilled, r.Row)
		if r.Slow {
			t.Logf("row %s was played once more, at a slower pace", r.Row)
		}
		for _, problem := range r.Problems {
			t.Errorf("%s\nin row %s: %s; told %q; see %s", problem, r.Row, r.Happened, r.Told, r.Folder)
		}
		if !r.Pass && len(r.Problems) == 0 {
			t.Errorf("row %s failed and does not say why", r.Row)
		}
	}
	if diff := cmp.Diff(drilled, rows); diff != "" {
		t.Errorf("rows (-got +want):\n%s", diff)
	}
}

func TestAFewRowsThatFailArePlayedOnceMoreAndManyAreNot(t *testing.T) {
	t.Parallel()
	row := drillRows()[0]
	rows := slices.Repeat([]drillRow{row}, drillAgainMax+1)
	few, many := make([]drillResult, 1), make([]drillResult, drillAgainMax+1)
	c := &console{ctx: t.Context(), errOut: io.Discard}
	again(c, rows, few)
	again(c, rows, many)
	if r := few[0]; !r.Slow || !r.Pass {
		t.Errorf("one row that failed was not played once more: %+v", r)
	}
	if slices.ContainsFunc(many, func(r drillResult) bool { return r.Slow }) {
		t.Error("too many rows for an accident were played once more")
	}
}

// Each thing that a row looks at must be able to fail it.
func TestTheFactoryDrillFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	good := func() drillSeen {
		return drillSeen{
			orders:   1,
			order:    restock.Order{State: restock.OrderReceived, Attempts: []restock.Attempt{{Number: 1, State: restock.AttemptReceived}}},
			receipts: []restock.ReceiptState{restock.ReceiptApplied},
			onHand:   drillQuantity, posts: 1, accepted: 1, shipped: drillQuantity,
		}
	}
	if problems := slices.Concat(good().differs(delivered()), good().breaks()); len(problems) > 0 {
		t.Errorf("a good end has problems: %q", problems)
	}
	for want, spoil := range map[string]func(*drillSeen){
		"P2 orders: got 2":                 func(s *drillSeen) { s.orders = 2 },
		"P3 the order's state: got held":   func(s *drillSeen) { s.order.State = restock.OrderHeld },
		"P3 the attempts' states: got [ov": func(s *drillSeen) { s.order.Attempts[0].State = restock.AttemptOverdue },
		"P5 the receipts' states: got [du": func(s *drillSeen) { s.receipts[0] = restock.ReceiptDuplicate },
		"P4 pieces on hand: got 5":         func(s *drillSeen) { s.onHand-- },
		"P5 pieces held: got 1":            func(s *drillSeen) { s.held++ },
		"P2 calls that the factory saw":    func(s *drillSeen) { s.posts++ },
		"P3 what operations were told":     func(s *drillSeen) { s.told = []string{toldOrderHeld} },
		"P1 ":                              func(s *drillSeen) { s.repeated = 1 },
		"P2 ":                              func(s *drillSeen) { s.accepted = 2 + restock.ReorderBudget },
		"P4 ":                              func(s *drillSeen) { s.shipped-- },
		"P5 ":                              func(s *drillSeen) { s.lost = []int{500} },
	} {
		seen := good()
		spoil(&seen)
		problems := slices.Concat(seen.differs(delivered()), seen.breaks())
		if len(problems) != 1 || !strings.HasPrefix(problems[0], want) {
			t.Errorf("got %q, want one problem %q", problems, want)
		}
	}
}

func TestTheFactoryDrillHasARowForEveryMisbehaviour(t *testing.T) {
	t.Parallel()
	treated := map[string]bool{"good": true}
	names := map[string]bool{}
	for _, row := range drillRows() {
		if names[row.name] || row.meaning == "" {
			t.Errorf("row %q is there twice or means nothing", row.name)
		}
		names[row.name] = true
		for _, m := range row.treat {
			treated[string(m)] = true
		}
	}
	for _, m := range factory.Misbehaviours() {
		if !treated[string(m)] {
			t.Errorf("no row treats a call with %s", m)
		}
	}
}

func TestTheFactoryDrillNamesAnUnknownRow(t *testing.T) {
	t.Parallel()
	var out, errOut bytes.Buffer
	if code := run(t.Context(), []string{"drill", "sulk"}, nil, &out, &errOut); code != exitFailed || !strings.Contains(errOut.String(), `"sulk"`) {
		t.Errorf("got %d %q, want a complaint about sulk", code, errOut.String())
	}
}
