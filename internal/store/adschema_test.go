package store_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/restock/restock"
	"github.com/restock/restock/internal/ads"
)

// TestHoldsFromBeforeGoOn brings a file of the schema in which a hold belonged to
// a stockout up to date, with holds in each state: what is open stays open, once
// for each advertisement, nobody is asked for an answer to a mail that had no
// link, and the next steps are those that were due.
func TestHoldsFromBeforeGoOn(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "old.db")
	copyFile(t, "testdata/schema-4.db", path)
	db := openRaw(t, path)
	at := storyTime().UnixMicro()
	id := func(n byte) []byte { return append([]byte{0xff}, append(make([]byte, 14), n)...) } // after those of the story
	must := func(query string, args ...any) {
		t.Helper()
		if _, err := db.ExecContext(t.Context(), query, args...); err != nil {
			t.Fatal(err)
		}
	}
	// The story has one hold of donut-main, stopped, whose stockout is over.
	for n, ad := range []string{"", "resumed", "stopping", "resuming", "both"} {
		if ad == "" {
			continue
		}
		must(`INSERT INTO advertisements (id, name, manager_email, language) VALUES (?, ?, 'ads@donut.example', 'en')`, id(byte(n)), ad)
	}
	hold := func(n byte, ad int, state string, closed, stopSent, resumeSent any) {
		must(`INSERT INTO stockouts (id, product_id, opened_at, closed_at) SELECT ?, id, ?, ? FROM products WHERE sku = 'CP-2'`, id(n), at, closed)
		must(`INSERT INTO ad_holds (id, stockout_id, product_id, advertisement_id, state, mailing_until, created_at, stop_sent_at, resume_sent_at)
			SELECT ?, ?, id, ?, ?, 0, ?, ?, ? FROM products WHERE sku = 'CP-2'`, id(n), id(n), id(byte(ad)), state, at, stopSent, resumeSent)
	}
	hold(11, 1, "resumed", at+1, at, at+1)
	hold(12, 2, "stopping", at+1, nil, nil)
	hold(13, 3, "resuming", at+1, at, nil)
	hold(14, 4, "stopped", at+1, at, nil) // two products that shared an advertisement
	hold(15, 4, "stopping", at+1, nil, nil)

	s := openStory(t, path)
	holds, _, err := s.AdHolds(t.Context(), restock.ListQuery{})
	if err != nil {
		t.Fatal(err)
	}
	type outline struct {
		Ad    string
		State restock.AdHoldState
		Told  restock.AdAsk
		Asked bool // for an answer that nobody gave
	}
	var got []outline
	for _, h := range holds {
		asked := h.Stop.AcknowledgedAt.IsZero() || h.Told() == restock.AskResume && h.Resume.AcknowledgedAt.IsZero()
		got = append(got, outline{h.Advertisement.Name, h.State, h.Told(), asked})
	}
	want := []outline{
		{"both", restock.AdHoldStopping, restock.AskStop, false},
		{"both", restock.AdHoldWithdrawn, restock.AskStop, false},
		{"resuming", restock.AdHoldResuming, restock.AskResume, false},
		{"stopping", restock.AdHoldStopping, restock.AskStop, false},
		{"resumed", restock.AdHoldResumed, restock.AskResume, false},
		{"donut-main", restock.AdHoldStopped, restock.AskStop, false},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("holds (-want +got):\n%s", diff)
	}

	sends := map[string]restock.AdMailKind{}
	pace := ads.Pace{Reminder: time.Hour, Escalation: time.Hour, Spacing: time.Hour}
	for _, h := range holds {
		sending, _, err := s.TurnAd(t.Context(), h.Advertisement.ID, time.Minute, pace.Turn)
		if err != nil {
			t.Fatal(err)
		}
		if sending.Kind == "" {
			continue
		}
		sends[h.Advertisement.Name] = sending.Kind
		if f := sending.Hold.Mail(sending.Kind).Facts; f.Name != h.Advertisement.Name {
			t.Errorf("the mail %s of %s says %+v", sending.Kind, h.Advertisement.Name, f)
		}
		if err := s.EndAdMail(t.Context(), sending); err != nil {
			t.Fatal(err)
		}
	}
	if diff := cmp.Diff(map[string]restock.AdMailKind{
		"both": restock.AdMailResume, "resuming": restock.AdMailResume, "stopping": restock.AdMailResume, "donut-main": restock.AdMailResume,
	}, sends, cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("mails (-want +got):\n%s", diff)
	}
	wantClean(t, s)
}
