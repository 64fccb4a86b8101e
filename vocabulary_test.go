package restock_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func TestIDIsTheSameInTextAndInADatabase(t *testing.T) {
	t.Parallel()
	id := restock.OrderID{0x01, 0x99, 0xab, 0xcd, 5, 6, 0x70, 8, 9, 10, 11, 12, 13, 14, 15, 0xff}
	const text = "0199abcd-0506-7008-090a-0b0c0d0e0fff"
	if got := id.String(); got != text {
		t.Errorf("String() = %q, want %q", got, text)
	}
	for _, s := range []string{text, strings.ToUpper(text)} {
		if got, err := restock.ParseID[restock.Order](s); err != nil || got != id {
			t.Errorf("ParseID(%q) = %v, %v", s, got, err)
		}
	}
	value, err := id.Value()
	if err != nil {
		t.Fatal(err)
	}
	var scanned restock.OrderID
	if err := scanned.Scan(value); err != nil || scanned != id {
		t.Errorf("scanned %v, %v, want %v", scanned, err, id)
	}
	text2, err := json.Marshal(map[string]restock.OrderID{"id": id, "none": {}})
	if err != nil || string(text2) != `{"id":"`+text+`","none":""}` {
		t.Errorf("JSON %s, %v", text2, err)
	}
	var back map[string]restock.OrderID
	if err := json.Unmarshal(text2, &back); err != nil || back["id"] != id || !back["none"].IsZero() {
		t.Errorf("read back %v, %v", back, err)
	}
}

func TestTheZeroIDIsNone(t *testing.T) {
	t.Parallel()
	var none restock.OrderID
	if value, err := none.Value(); value != nil || err != nil || none.String() != "" || !none.IsZero() {
		t.Errorf("Value() = %v, %v; String() = %q", value, err, none)
	}
	id := restock.OrderID{1}
	if err := id.Scan(nil); err != nil || !id.IsZero() {
		t.Errorf("NULL scanned as %v, %v", id, err)
	}
	for _, src := range []any{[]byte{1, 2, 3}, "0199abcd-0506-7008-090a-0b0c0d0e0fff", 7} {
		if err := id.Scan(src); err == nil {
			t.Errorf("Scan(%v) gave %v, want an error", src, id)
		}
	}
}

func TestParseIDRefusesWhatIsNoUUID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"x", "0199abcd050670080-90a0b0c0d0e0fff000", "0199abcg-0506-7008-090a-0b0c0d0e0fff",
		"0199abcd-0506-7008-090a-0b0c0d0e0ff", "0199abcd-0506-7008-090a-0b0c0d0e0fff0", "{199abcd-0506-7008-090a-0b0c0d0e0fff}",
	} {
		if id, err := restock.ParseID[restock.Order](text); err == nil || restock.KindOf(err) != restock.Invalid || !id.IsZero() {
			t.Errorf("ParseID(%q) = %v, %v, want an error of kind Invalid", text, id, err)
		}
	}
}

func TestKindOfFindsTheErrorInItsChain(t *testing.T) {
	t.Parallel()
	inner := restock.Errorf(restock.Conflict, restock.CodeConflict, "it is %s", "taken")
	outer := &restock.Error{Kind: restock.Unavailable, Message: "try again", Err: inner}
	for _, c := range []struct {
		err  error
		want restock.Kind
	}{
		{inner, restock.Conflict},
		{fmt.Errorf("doing: %w", inner), restock.Conflict},
		{outer, restock.Unavailable}, // the first
		{errors.Join(errors.New("other"), inner), restock.Conflict},
		{errors.New("other"), restock.Internal},
		{nil, restock.Internal},
	} {
		if got := restock.KindOf(c.err); got != c.want {
			t.Errorf("KindOf(%v) = %d, want %d", c.err, got, c.want)
		}
	}
	if got := outer.Error(); got != "try again: it is taken" || !errors.Is(outer, inner) {
		t.Errorf("Error() = %q", got)
	}
}

func TestEveryEventHasAQueueAndEveryQueueAnEvent(t *testing.T) {
	t.Parallel()
	got := map[string]bool{}
	for _, typ := range []restock.EventType{
		restock.StockLow, restock.StockOut, restock.StockBack, restock.OrderHeldFor, restock.OrderAwaiting, restock.OrderLate, restock.ReceiptKept,
	} {
		queue, ok := typ.Queue()
		if !ok {
			t.Errorf("%s goes nowhere", typ)
		}
		got[queue] = true
	}
	want := map[string]bool{}
	for _, queue := range restock.Queues() {
		want[queue] = true
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("queues (-listed +used):\n%s", diff)
	}
	if queue, ok := restock.EventType("stock.unheard").Queue(); ok {
		t.Errorf("an unknown event goes to %s", queue)
	}
}

func TestLowIsThePositionAtOrBelowTheReorderPoint(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ordering                           restock.Ordering
		onHand, reserved, onOrder, reorder int64
		want                               bool
	}{
		{restock.OrderingAuto, 5, 0, 0, 4, false},
		{restock.OrderingAuto, 5, 0, 0, 5, true},
		{restock.OrderingAuto, 5, 1, 0, 4, true}, // what is reserved is gone
		{restock.OrderingAuto, 0, 0, 5, 4, false},
		{restock.OrderingAuto, 0, 0, 4, 4, true},
		{restock.OrderingReview, 0, 0, 0, 0, true},
		{restock.OrderingOff, 0, 0, 0, 9, false},
	} {
		stock := restock.Stock{OnHand: c.onHand, Reserved: c.reserved, OnOrder: c.onOrder}
		if got := (restock.Policy{Ordering: c.ordering, ReorderPoint: c.reorder}).Low(stock); got != c.want {
			t.Errorf("%+v: low %t", c, got)
		}
	}
}

func TestOnlyClosedOrdersAreNotOpen(t *testing.T) {
	t.Parallel()
	for state, want := range map[restock.OrderState]bool{
		restock.OrderPlanned: true, restock.OrderAwaitingApproval: true, restock.OrderSending: true, restock.OrderUnknown: true,
		restock.OrderAccepted: true, restock.OrderOverdue: true, restock.OrderPartlyReceived: true, restock.OrderHeld: true,
		restock.OrderReceived: false, restock.OrderClosedShort: false,
	} {
		if got := state.Open(); got != want {
			t.Errorf("%s is open: %t, want %t", state, got, want)
		}
	}
}

func TestTraceParentTravelsInTheContext(t *testing.T) {
	t.Parallel()
	const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	if got := restock.TraceParent(restock.WithTraceParent(t.Context(), trace)); got != trace {
		t.Errorf("trace %q, want %q", got, trace)
	}
	if got := restock.TraceParent(t.Context()); got != "" {
		t.Errorf("trace %q without one", got)
	}
}
