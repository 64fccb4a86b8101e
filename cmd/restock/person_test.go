package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
)

func TestAMomentIsATimeOrHowLongFromNow(t *testing.T) {
	t.Parallel()
	seoul := time.FixedZone("KST", 9*60*60)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, seoul)
	for text, want := range map[moment]time.Time{
		"24h":                       now.Add(24 * time.Hour),
		"90m":                       now.Add(90 * time.Minute),
		"3d":                        time.Date(2026, 3, 4, 12, 0, 0, 0, seoul),
		"2026-03-05":                time.Date(2026, 3, 5, 0, 0, 0, 0, seoul),
		"2026-03-05 09:30":          time.Date(2026, 3, 5, 9, 30, 0, 0, seoul),
		"2026-03-05T09:30:00+00:00": time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC),
	} {
		got, err := text.time(now)
		if err != nil || !got.Equal(want) {
			t.Errorf("%s is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []moment{"", "0", "-1h", "0d", "-3d", "3", "d", "1.5d", "tomorrow", "2026-13-01"} {
		if got, err := text.time(now); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func TestAReconciliationIsReadByTheNamesOfItsColumns(t *testing.T) {
	t.Parallel()
	const id = "01a2ca83-80ab-7c88-b07c-a51d4d603548"
	order, err := restock.ParseID[restock.Order](id)
	if err != nil {
		t.Fatal(err)
	}
	named := ops.ReconciliationRow{ReconcileRow: restock.ReconcileRow{OrderID: order, Attempt: 2, Status: restock.ReconcileAbsent}}
	address := ops.ReconciliationRow{ReconcileRow: restock.ReconcileRow{Status: restock.ReconcileAccepted}, CallbackURL: "http://x/?token=y"}
	for text, want := range map[string][]ops.ReconciliationRow{
		"order_id,attempt,status\n" + id + ",2,absent\n":                           {named},
		"\ufeffstatus, note, attempt, order_id\r\nabsent, lost, 2, " + id + "\r\n": {named},
		"callback_url,status\nhttp://x/?token=y,accepted\n":                        {address},
		"callback_url,order_id,attempt,status\n," + id + ",2,absent\n":             {named},
		"order_id,attempt,status\n":                                                nil,
	} {
		got, err := readReconciliation(strings.NewReader(text))
		if err != nil {
			t.Errorf("%q: %v", text, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%q (-want +got):\n%s", text, diff)
		}
	}
	for _, text := range []string{
		"", "order_id,attempt\n", "order_id,status\n", "attempt,status\n", "order_id,attempt,status\nx,1,absent\n",
		"order_id,attempt,status\n" + id + ",one,absent\n", "order_id,attempt,status\n" + id + ",1,lost\n",
		"order_id,attempt,status\n" + id + ",1\n",
	} {
		if rows, err := readReconciliation(strings.NewReader(text)); err == nil {
			t.Errorf("%q is read as %v", text, rows)
		}
	}
}
