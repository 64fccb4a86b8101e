package mail_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/test/emulators"
)

// TestMain gives all tests credentials that nobody looks at, and nothing of the
// developer's own.
func TestMain(m *testing.M) {
	for _, entry := range emulators.Environment() {
		name, value, _ := strings.Cut(entry, "=")
		if err := os.Setenv(name, value); err != nil {
			panic(err)
		}
	}
	os.Exit(m.Run())
}

func sesAt(t *testing.T, endpoint string, more ...string) *mail.SES {
	t.Helper()
	sender, err := mail.NewSES("ses:ap-northeast-2?endpoint="+url.QueryEscape(endpoint)+strings.Join(more, ""), mail.Config{})
	if err != nil {
		t.Fatal(err)
	}
	return sender
}

// TestSESTakesTheSameMailAsTheOtherSenders: an emulator that many programs test
// with reads subject, addresses and both bodies out of it.
func TestSESTakesTheSameMailAsTheOtherSenders(t *testing.T) {
	t.Parallel()
	endpoint, err := emulators.SES()
	if errors.Is(err, emulators.ErrMissing) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	m := wholeBody().In(korean())
	if err := sesAt(t, endpoint).Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	response, err := http.Get(endpoint + "/store")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	var store struct {
		Emails []struct {
			Subject string `json:"subject"`
			Body    struct {
				HTML string `json:"html"`
				Text string `json:"text"`
			} `json:"body"`
		} `json:"emails"`
	}
	if err := json.NewDecoder(response.Body).Decode(&store); err != nil || len(store.Emails) != 1 {
		t.Fatalf("%d mails, %v", len(store.Emails), err)
	}
	got := store.Emails[0]
	if got.Subject != wantKorean().Subject {
		t.Errorf("subject %q, want %q", got.Subject, wantKorean().Subject)
	}
	if diff := cmp.Diff(strings.TrimSpace(m.Text), strings.TrimSpace(got.Body.Text)); diff != "" {
		t.Errorf("text (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(strings.TrimSpace(m.HTML), strings.TrimSpace(got.Body.HTML)); diff != "" {
		t.Errorf("HTML (-want +got):\n%s", diff)
	}
}

// sentRequest is what SES is asked.
type sentRequest struct {
	From        string      `json:"FromEmailAddress"`
	Set         string      `json:"ConfigurationSetName"`
	Destination destination `json:"Destination"`
	Tags        []tag       `json:"EmailTags"`
	Content     content     `json:"Content"`
}

type destination struct {
	To []string `json:"ToAddresses"`
}

type tag struct {
	Name  string `json:"Name"`
	Value string `json:"Value"`
}

type content struct {
	Raw raw `json:"Raw"`
}

type raw struct {
	Data string `json:"Data"`
}

func TestSESIsToldTheEnvelopeTheSetAndTheKind(t *testing.T) {
	t.Parallel()
	var got sentRequest
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := json.NewDecoder(r.Body).Decode(&got); err != nil {
			t.Error(err)
		}
		if !strings.Contains(r.Header.Get("Authorization"), "/ap-northeast-2/ses/") {
			t.Errorf("signed %q", r.Header.Get("Authorization"))
		}
		fmt.Fprint(w, `{"MessageId":"1"}`)
	}))
	t.Cleanup(server.Close)
	m := korean()
	if err := sesAt(t, server.URL, "&configuration-set=shop").Send(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	decoded, err := base64.StdEncoding.DecodeString(got.Content.Raw.Data)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(compose(t, m)), string(decoded)); diff != "" {
		t.Errorf("the bytes are not those of the other senders:\n%s", diff)
	}
	got.Content.Raw.Data = ""
	want := sentRequest{
		From: "shop@donut.example", Set: "shop", Destination: destination{To: []string{"ads@donut.example"}}, Tags: []tag{{"kind", m.Kind}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestSESSaysWhatIsWorthARepeat(t *testing.T) {
	t.Parallel()
	for _, row := range []struct {
		status        int
		code, message string
		permanent     bool
		postponed     bool
		untaken       bool
	}{
		{400, "MessageRejected", "Email address is not verified.", true, false, true},
		{400, "BadRequestException", "Illegal address", true, false, true},
		{429, "TooManyRequestsException", "Maximum sending rate exceeded.", false, true, true},
		{400, "LimitExceededException", "Daily message quota exceeded.", false, true, true},
		{400, "ThrottlingException", "Rate exceeded", false, true, true},
		{400, "MailFromDomainNotVerifiedException", "", false, false, true},
		{400, "AccountSuspendedException", "", false, false, true},
		{400, "SendingPausedException", "", false, false, true},
		{404, "NotFoundException", "Configuration set shop does not exist", false, false, true},
		{403, "AccessDeniedException", "not authorized to perform ses:SendRawEmail", false, false, true},
		{500, "InternalFailure", "", false, false, false},
	} {
		calls := 0
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			calls++
			w.Header().Set("X-Amzn-Errortype", row.code)
			w.WriteHeader(row.status)
			json.NewEncoder(w).Encode(map[string]string{"message": row.message})
		}))
		err := sesAt(t, server.URL).Send(t.Context(), english())
		server.Close()
		if err == nil || !strings.Contains(err.Error(), row.code) || !strings.Contains(err.Error(), row.message) {
			t.Errorf("%s: %v, want its words", row.code, err)
		}
		if mail.Permanent(err) != row.permanent || mail.Postponed(err) != row.postponed || mail.Untaken(err) != row.untaken {
			t.Errorf("%s: permanent %t, postponed %t, untaken %t; want %t, %t, %t", row.code,
				mail.Permanent(err), mail.Postponed(err), mail.Untaken(err), row.permanent, row.postponed, row.untaken)
		}
		if calls != 1 {
			t.Errorf("%s: %d calls; the queue repeats, not the sender", row.code, calls)
		}
	}
}

// TestSESWithoutAnAnswer: a call that broke off may have sent the mail, one that
// found nobody did not.
func TestSESWithoutAnAnswer(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err == nil {
			conn.Close()
		}
	}))
	t.Cleanup(server.Close)
	if err := sesAt(t, server.URL).Send(t.Context(), english()); err == nil || mail.Untaken(err) || mail.Permanent(err) {
		t.Errorf("broken off: %v, untaken %t", err, mail.Untaken(err))
	}
	if err := sesAt(t, "http://"+nobody(t)).Send(t.Context(), english()); err == nil || !mail.Untaken(err) || mail.Permanent(err) {
		t.Errorf("nobody there: %v, untaken %t", err, mail.Untaken(err))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := sesAt(t, server.URL).Send(ended, english()); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
}
