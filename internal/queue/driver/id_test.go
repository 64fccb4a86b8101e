package driver_test

import (
	"testing"

	"github.com/restock/restock/internal/queue/driver"
)

func TestIDSurvivesItsText(t *testing.T) {
	t.Parallel()
	id := driver.ID{0x01, 0x99, 0xab, 0xcd, 5, 6, 0x70, 8, 9, 10, 11, 12, 13, 14, 15, 0xff}
	text := id.String()
	if want := "0199abcd-0506-7008-090a-0b0c0d0e0fff"; text != want {
		t.Errorf("String() = %q, want %q", text, want)
	}
	got, err := driver.ParseID("0199ABCD-0506-7008-090A-0b0c0d0e0fff")
	if err != nil || got != id {
		t.Errorf("ParseID(%q) = %v, %v, want %v", text, got, err, id)
	}
}

func TestParseIDRefusesWhatIsNoUUID(t *testing.T) {
	t.Parallel()
	for _, text := range []string{
		"", "0199abcd", "0199abcd-0506-7008-090a-0b0c0d0e0ff", "0199abcd-0506-7008-090a-0b0c0d0e0fff0",
		"0199abcd_0506-7008-090a-0b0c0d0e0fff", "0199abcg-0506-7008-090a-0b0c0d0e0fff",
		"0199abcd050670080-90a0b0c0d0e0fff000",
	} {
		if id, err := driver.ParseID(text); err == nil {
			t.Errorf("ParseID(%q) = %v, want an error", text, id)
		}
	}
}

func TestStatsTellWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := driver.Stats{Published: 22, Waiting: 1, InFlight: 2, Done: 3, Dead: 4, Discarded: 5, Purged: 6}
	if got := s.Missing(); got != 1 {
		t.Errorf("Missing() = %d, want 1", got)
	}
}
