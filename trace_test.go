package restock_test

import (
	"errors"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/restock/restock"
)

func TestParseTraceParent(t *testing.T) {
	t.Parallel()
	const good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
	for in, want := range map[string]string{
		good:                     good,
		"cc" + good[2:]:          good,
		"cc" + good[2:53] + "fe": good[:53] + "00",
		"cc" + good[2:] + "-x":   good,
		"cc" + good[2:] + "x":    "",
		good + "-x":              "",
		"ff" + good[2:]:          "",
		good[:54]:                "",
		strings.ToUpper(good):    "",
		"00-" + strings.Repeat("0", 32) + good[35:]:     "",
		good[:36] + strings.Repeat("0", 16) + good[52:]: "",
		strings.ReplaceAll(good, "-", "_"):              "",
		good[:53] + "0g":                                "",
		"":                                              "",
	} {
		got, ok := restock.ParseTraceParent(in)
		if got != want || ok != (want != "") {
			t.Errorf("restock.ParseTraceParent(%q) = %q, %t; want %q", in, got, ok, want)
		}
	}
}

func FuzzParseTraceParent(f *testing.F) {
	f.Add("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
	f.Add("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-ff-more")
	f.Fuzz(func(t *testing.T, in string) {
		got, ok := restock.ParseTraceParent(in)
		if !ok {
			return
		}
		if again, ok := restock.ParseTraceParent(got); !ok || again != got || len(got) != len("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01") {
			t.Errorf("%q gave %q, which gives %q, %t", in, got, again, ok)
		}
		if restock.TraceID(got) != in[3:35] {
			t.Errorf("%q lost its trace id: %q", in, got)
		}
	})
}

func TestTraceBegunHereIsValidAndItsOwn(t *testing.T) {
	t.Parallel()
	random := strings.NewReader(strings.Repeat("\x01", 24) + strings.Repeat("\x02", 24))
	first, second := restock.NewTraceParent(random), restock.NewTraceParent(random)
	for _, got := range []string{first, second} {
		if _, ok := restock.ParseTraceParent(got); !ok {
			t.Errorf("%q is no traceparent", got)
		}
	}
	if restock.TraceID(first) == restock.TraceID(second) {
		t.Errorf("two traces are one: %q, %q", first, second)
	}
	if got := restock.NewTraceParent(iotest.ErrReader(errors.New("none left"))); got != "" {
		t.Errorf("without randomness the trace is %q", got)
	}
}

func TestTraceOfWhatNoRequestBeganIsItsOwnID(t *testing.T) {
	t.Parallel()
	id, err := restock.ParseID[restock.Order]("01a21329-bac7-7ea7-88b7-106bdbd01c10")
	if err != nil {
		t.Fatal(err)
	}
	const want = "00-01a21329bac77ea788b7106bdbd01c10-88b7106bdbd01c10-00"
	if got := restock.TraceParentOf(id); got != want {
		t.Errorf("trace %q, want %q", got, want)
	}
	if got := restock.TraceParentOf(restock.OrderID{}); got != "" {
		t.Errorf("the trace of no id is %q", got)
	}
}
