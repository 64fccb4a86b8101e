package ops_test

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
)

// TestWhatComesBackFromAMailIsADeadLetterThatSaysSo, in the shapes that Amazon
// SES documents for a configuration set and for an identity.
func TestWhatComesBackFromAMailIsADeadLetterThatSaysSo(t *testing.T) {
	t.Parallel()
	office := ops.New(nil, nil, nil, ops.Config{})
	handler := office.Handlers()["foreign"]
	for _, row := range []struct {
		event   string
		discard bool
		words   []string
	}{
		{`{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bounceSubType":"General","bouncedRecipients":[{"emailAddress":"ads@donut.example",` +
			`"diagnosticCode":"smtp; 550 5.1.1 user unknown"}]},"mail":{"destination":["ads@donut.example"],"tags":{"kind":["ad-stop"]},` +
			`"commonHeaders":{"subject":"광고를 멈춰 주세요"}}}`, true, []string{"ad-stop", "광고를 멈춰 주세요", "ads@donut.example", "550 5.1.1 user unknown", "Permanent", "suppression list"}},
		{`{"notificationType":"Complaint","complaint":{"complainedRecipients":[{"emailAddress":"ads@donut.example"}],"complaintFeedbackType":"abuse"},` +
			`"mail":{"destination":["ads@donut.example"]}}`, true, []string{"ads@donut.example", "unwanted", "abuse"}},
		{`{"eventType":"Reject","reject":{"reason":"Bad content"},"mail":{"destination":["a@b.example"]}}`, true, []string{"a@b.example", "Bad content"}},
		{`{"eventType":"DeliveryDelay","deliveryDelay":{"delayType":"MailboxFull","delayedRecipients":[{"emailAddress":"a@b.example"}]},"mail":{}}`, false, nil},
		{`{"eventType":"Delivery","mail":{"destination":["a@b.example"]}}`, false, nil},
		{`{"hello":"world"}`, true, []string{"not about mail"}},
		{`out of donuts`, true, []string{"not about mail"}},
	} {
		body, err := json.Marshal(map[string]any{"message": row.event, "attributes": map[string]string{}})
		if err != nil {
			t.Fatal(err)
		}
		err = handler(t.Context(), queue.Message{Type: "foreign", Body: body})
		if queue.IsDiscard(err) != row.discard || (err != nil) != row.discard {
			t.Errorf("%s: %v, want dead %t", row.event, err, row.discard)
			continue
		}
		for _, words := range row.words {
			if !strings.Contains(err.Error(), words) {
				t.Errorf("%q does not say %q", err, words)
			}
		}
	}
}
