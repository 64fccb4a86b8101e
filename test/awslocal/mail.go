package awslocal

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	netmail "net/mail"
	"slices"
	"strings"
	"sync/atomic"
)

// outgoing is what SES is asked to send.
type outgoing struct {
	From        string `json:"FromEmailAddress"`
	Set         string `json:"ConfigurationSetName"`
	Destination struct {
		To []string `json:"ToAddresses"`
	} `json:"Destination"`
}

// throttled is how many mails SES still puts off.
var throttled atomic.Int64

// PutMailOff lets SES put off the next mails.
func (*Cloud) PutMailOff(n int64) { throttled.Store(n) }

// mailResources are what IAM is asked about for a mail: the identity that sends it
// and the configuration set.
func (c *Cloud) mailResources(body []byte) []string {
	var m outgoing
	_ = json.Unmarshal(body, &m) // what cannot be read has no identity
	all := []string{arn("ses", "identity/"+c.identityOf(m.From))}
	if m.Set != "" {
		all = append(all, arn("ses", "configuration-set/"+m.Set))
	}
	return all
}

// identityOf is the verified identity that an address belongs to, or the address.
func (c *Cloud) identityOf(from string) string {
	parsed, err := netmail.ParseAddress(from)
	if err != nil {
		return from
	}
	_, domain, _ := strings.Cut(parsed.Address, "@")
	for _, r := range c.stack.made(typeMailIdentity) {
		switch identity := c.stack.text(r, "EmailIdentity"); identity {
		case parsed.Address, domain:
			c.worked(r.ID)
			return identity
		}
	}
	return parsed.Address
}

// takesMail says why SES would not take a mail, if so.
func (c *Cloud) takesMail(body []byte) (code, message string, status int) {
	var m outgoing
	if err := json.Unmarshal(body, &m); err != nil {
		return "BadRequest", err.Error(), http.StatusBadRequest
	}
	if throttled.Add(-1) >= 0 {
		return "TooManyRequests", "Maximum sending rate exceeded.", http.StatusTooManyRequests
	}
	verified := false
	for _, r := range c.stack.made(typeMailIdentity) {
		verified = verified || c.stack.text(r, "EmailIdentity") == c.identityOf(m.From)
	}
	if !verified {
		c.fault("no identity of the template is verified for %s", m.From)
		return "MessageRejected", "Email address is not verified. " + m.From, http.StatusBadRequest
	}
	for _, r := range c.stack.made(typeMailSet) {
		if c.stack.text(r, "Name") == m.Set {
			c.worked(r.ID)
			return "", "", 0
		}
	}
	c.fault("there is no configuration set %q", m.Set)
	return "NotFound", "Configuration set <" + m.Set + "> does not exist.", http.StatusNotFound
}

// Bounce lets a mail that was sent come back, as SES reports it.
func (c *Cloud) Bounce(ctx context.Context, to, subject, diagnostic string) error {
	if events := c.stack.made(typeMailEvents); len(events) > 0 {
		r := events[0]
		destination := object(c.stack.get(r, "EventDestination"))
		topic := text(object(destination["SnsDestination"])["TopicARN"])
		allowed := false
		for _, p := range c.stack.made(typeTopicPolicy) {
			for _, t := range list(c.stack.get(p, "Topics")) {
				if text(t) == topic && resourcePolicyAllows(c.stack.get(p, "PolicyDocument"), "ses.amazonaws.com", "sns:Publish", topic, "") {
					allowed = true
					c.worked(p.ID)
				}
			}
		}
		if !allowed {
			return fmt.Errorf("no policy lets SES publish on the topic of %s: %s is missing", r.ID, c.shippedID(typeTopicPolicy, func(s *Stack, p *Resource) bool {
				return slices.ContainsFunc(list(s.get(p, "Topics")), func(t any) bool { return text(t) == topic })
			}))
		}
		c.worked(r.ID)
		return c.Publish(ctx, topic, toJSON(map[string]any{
			"eventType": "Bounce",
			"bounce": map[string]any{
				"bounceType": "Permanent", "bounceSubType": "General",
				"bouncedRecipients": []any{map[string]any{"emailAddress": to, "diagnosticCode": diagnostic}},
			},
			"mail": map[string]any{"destination": []string{to}, "commonHeaders": map[string]any{"subject": subject}},
		}), nil)
	}
	return fmt.Errorf("the template says nowhere what becomes of mail that comes back: %s is missing",
		c.shippedID(typeMailEvents, func(*Stack, *Resource) bool { return true }))
}

// Mail is one that the emulator of SES has taken.
type Mail struct {
	Subject     string      `json:"subject"`
	Destination Destination `json:"destination"`
	Body        Body        `json:"body"`
}

// Destination is whom a mail goes to.
type Destination struct {
	To []string `json:"to"`
}

// Body is what a mail says.
type Body struct {
	Text string `json:"text"`
	HTML string `json:"html"`
}

// Mails lists what SES was given.
func (c *Cloud) Mails(ctx context.Context) ([]Mail, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.Mail+"/store", nil)
	if err != nil {
		return nil, err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return nil, err
	}
	defer response.Body.Close()
	var store struct {
		Emails []Mail `json:"emails"`
	}
	err = json.NewDecoder(response.Body).Decode(&store)
	return store.Emails, err
}
