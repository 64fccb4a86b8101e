package ops_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/ops"
	"github.com/restock/restock/internal/queue"
)

// TestWhatComesBackFromAMailIsADeadLetterThatSaysSo, in the shapes that Amazon
// SES documents for a configuration set and for an identity.
func TestWhatComesBackFromAMailIsADeadLetterThatSaysSo(t *testing.T) {
	t.Parallel()
	office := ops.New(nil, nil, nil, ops.Config{To: "ops@donut.example"})
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

// TestOnlyWhatIsNotOfOperationsMayBeToldByMail has mails come back from others and
// from operations themselves, straight and passed on.
func TestOnlyWhatIsNotOfOperationsMayBeToldByMail(t *testing.T) {
	t.Parallel()
	office := ops.New(nil, nil, nil, ops.Config{To: "ops@donut.example"})
	for name, row := range map[string]struct {
		event string
		told  bool
	}{
		"the ad manager":          {bounce("ads@donut.example", "ads@donut.example"), true},
		"a name beside it":        {bounce("Ads <ads@donut.example>", "Ads <ads@donut.example>"), true},
		"an address like theirs":  {bounce("shop-ops@donut.example", "shop-ops@donut.example"), true},
		"operations":              {bounce("ops@donut.example", "ops@donut.example"), false},
		"operations in capitals":  {bounce("OPS@Donut.example", "OPS@Donut.example"), false},
		"operations with a name":  {bounce("Operations <ops@donut.example>", "ops@donut.example"), false},
		"operations, passed on":   {bounce("somebody@elsewhere.example", "ops@donut.example"), false},
		"operations among others": {bounce("ads@donut.example", "ads@donut.example", "ops@donut.example"), false},
		"nobody is named":         {`{"eventType":"Reject","reject":{"reason":"Bad content"},"mail":{}}`, false},
	} {
		if err := comesBack(t, office, row.event); strings.HasPrefix(err.Error(), restock.UndeliveredPrefix) != row.told {
			t.Errorf("%s: %q, want it told by mail: %t", name, err, row.told)
		}
	}
}

// TestABounceIsToldToOperationsByMailUnlessItIsTheirs: about a mail to themselves
// no mail goes, since that would come back, too.
func TestABounceIsToldToOperationsByMailUnlessItIsTheirs(t *testing.T) {
	t.Parallel()
	for to, mailed := range map[string]bool{"ads@donut.example": true, "ops@donut.example": false} {
		t.Run(to, func(t *testing.T) {
			t.Parallel()
			rc := receive(t)
			d := open(t, rc.hookedTo)
			cause := comesBack(t, d.office, bounce(to, to)).Error()
			d.refused() // it puts a message on the ops queue
			d.dieOf(restock.OpsQueue, cause)
			for range 3 {
				d.must(d.office.Tell(t.Context()))
				d.must(d.office.Post(t.Context()))
				d.clock.advance(time.Hour)
			}
			mails := d.box.sent()
			if len(mails) != 1 || strings.Contains(mails[0].Text, cause) != mailed {
				t.Errorf("mails %+v, want one that tells of %q: %t", mails, cause, mailed)
			}
			hooks := rc.got()
			if len(hooks) != 1 || hooks[0].Data.Total != 2 || !strings.HasSuffix(hooks[0].Data.Problems[0].Summary, cause) {
				t.Errorf("webhooks %+v, want one that tells of %q", hooks, cause)
			}
		})
	}
}

// comesBack gives why the message about an event is a dead letter.
func comesBack(t *testing.T, office *ops.Office, event string) error {
	t.Helper()
	body, err := json.Marshal(map[string]string{"message": event})
	if err != nil {
		t.Fatal(err)
	}
	err = office.Handlers()[queue.TypeForeign](t.Context(), queue.Message{Type: queue.TypeForeign, Body: body})
	if !queue.IsDiscard(err) {
		t.Fatalf("%v, want a dead letter", err)
	}
	return err
}

// bounce is an event of SES about a mail to destinations that came back from an
// address.
func bounce(from string, destinations ...string) string {
	all, _ := json.Marshal(destinations) // strings can be written
	return `{"eventType":"Bounce","bounce":{"bounceType":"Permanent","bouncedRecipients":[{"emailAddress":"` + from + `"}]},"mail":{"destination":` + string(all) + `}}`
}
