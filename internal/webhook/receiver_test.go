package webhook_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock/internal/webhook"
)

// begin receiver

// verified reports whether a webhook was signed with the secret just now.
func verified(secret string, h http.Header, body []byte, now time.Time) bool {
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, "whsec_"))
	sent, notANumber := strconv.ParseInt(h.Get("Webhook-Timestamp"), 10, 64)
	if err != nil || notANumber != nil || now.Sub(time.Unix(sent, 0)).Abs() > 5*time.Minute {
		return false // or somebody sends again what he overheard
	}
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("Webhook-Id"), sent, body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	return slices.ContainsFunc(strings.Fields(h.Get("Webhook-Signature")), func(got string) bool {
		return hmac.Equal([]byte(got), []byte(want))
	})
}

// end receiver

// TestTheReceiverOfTheDocumentVerifies holds the receiver in docs/webhooks.md, which
// is the one above, against what is posted.
func TestTheReceiverOfTheDocumentVerifies(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("receiver_test.go")
	if err != nil {
		t.Fatal(err)
	}
	document, err := os.ReadFile("../../docs/webhooks.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(source), "// begin receiver\n\n")
	function, _, found := strings.Cut(rest, "\n// end receiver")
	if !found || !strings.Contains(string(document), "```go\n"+function+"```") {
		t.Errorf("docs/webhooks.md has another receiver than this:\n%s", function)
	}

	older, old, fresh := webhook.NewSecret(), webhook.NewSecret(), webhook.NewSecret()
	var head http.Header
	var body []byte
	server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		head = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
	}))
	t.Cleanup(server.Close)
	secret := func(text string) webhook.Secret {
		s, err := webhook.ParseSecret(text)
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	signed := webhook.Config{Secret: secret(fresh), SecretsBefore: []webhook.Secret{secret(old), secret(older)}}
	if err := sender(t, server.URL, signed).Send(t.Context(), webhook.Message{ID: "01a2", Body: []byte(`{"type":"stock.out"}`)}); err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	other := head.Clone()
	other.Set("Webhook-Id", "01a3")
	for name, c := range map[string]struct {
		secret string
		head   http.Header
		body   string
		now    time.Time
		want   bool
	}{
		"as it was sent":         {fresh, head, string(body), now, true},
		"with the secret before": {old, head, string(body), now, true},
		"with the one before it": {older, head, string(body), now, true},
		"with another secret":    {webhook.NewSecret(), head, string(body), now, false},
		"another body":           {fresh, head, string(body) + " ", now, false},
		"another id":             {fresh, other, string(body), now, false},
		"an hour later":          {fresh, head, string(body), now.Add(time.Hour), false},
		"no headers":             {fresh, http.Header{}, string(body), now, false},
	} {
		if got := verified(c.secret, c.head, []byte(c.body), c.now); got != c.want {
			t.Errorf("%s: verified is %t, want %t", name, got, c.want)
		}
	}
}
