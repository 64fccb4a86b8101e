package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
)

const (
	// KindAlert is the kind of a mail to operations.
	KindAlert = "ops-alert"
	// KindBuyerCopy is the kind of a mail to the buyer about orders that operations
	// hear of, too.
	KindBuyerCopy = "buyer-orders"
	// summaryRunesMax is how much a mail says of one problem.
	summaryRunesMax = 1000
	// mailingTimeout is how long one mail may be on its way, and refusedTimeout the
	// same of one that may be refused, and then goes to operations.
	mailingTimeout = mail.DialTimeout + mail.ConversationTimeout + 5*time.Second
	refusedTimeout = 2 * mailingTimeout
	// failurePause keeps a mail server or a webhook that is down from being asked
	// each second.
	failurePause = 5 * time.Second

	purgeInterval = time.Hour
)

// Alerts is what is found to be wrong, and told.
type Alerts interface {
	Digests
	Incidents
	// PurgeAlerts forgets what was told and is over since before a time.
	PurgeAlerts(ctx context.Context, before time.Time, limit int) (int, error)
}

// Digests is what is to be told. BeginDigest, EndDigest and FailDigest frame
// one message to an audience on a channel.
type Digests interface {
	BeginDigest(ctx context.Context, r restock.DigestRequest) (restock.Digest, bool, error)
	EndDigest(ctx context.Context, id restock.DigestID, c restock.Channel) error
	FailDigest(ctx context.Context, id restock.DigestID, c restock.Channel) error
}

// RunAlerts tells operations of problems by mail until ctx ends.
func (o *Office) RunAlerts(ctx context.Context) error {
	o.runTelling(ctx, "operations could not be told; trying again", o.TellOperations)
	return nil
}

// RunBuyer tells the buyer of orders by mail until ctx ends. It has its own
// pace: neither operations nor the buyer waits for the other's mailbox.
func (o *Office) RunBuyer(ctx context.Context) error {
	o.runTelling(ctx, "the buyer could not be told; trying again", o.TellBuyer)
	return nil
}

// runTelling tells again and again, less often while that fails.
func (o *Office) runTelling(ctx context.Context, failed string, tell func(context.Context) error) {
	for {
		pause := o.cfg.AlertInterval
		if err := tell(ctx); err != nil && ctx.Err() == nil {
			o.log.ErrorContext(ctx, failed, keyError, err)
			pause = max(pause, min(failurePause, o.cfg.AlertGap))
		}
		if !queue.Sleep(ctx, pause) {
			return
		}
	}
}

// RunPurge removes handled messages, idempotency keys, and digests and incidents
// that are done, when they are older than their retention.
func (o *Office) RunPurge(ctx context.Context) error {
	for {
		now := o.cfg.Now()
		o.purge(ctx, "handled messages", now.Add(-o.cfg.Retention), o.queues.Purge)
		o.purge(ctx, "idempotency keys", now.Add(-o.cfg.KeyRetention), o.store.PurgeKeys)
		o.purge(ctx, "digests and incidents", now.Add(-o.cfg.AlertRetention), o.store.PurgeAlerts)
		if !queue.Sleep(ctx, purgeInterval) {
			return nil
		}
	}
}

func (o *Office) purge(ctx context.Context, what string, before time.Time, remove func(context.Context, time.Time, int) (int, error)) {
	if err := queue.Purge(ctx, before, remove); err != nil && ctx.Err() == nil {
		o.log.ErrorContext(ctx, "old rows could not be removed; trying again", "what", what, keyError, err)
	}
}

// Tell sends the mails that operations and the buyer must get now, if there
// are any. A mail that fails does not keep another back. A repeat after a crash
// carries the same Message-ID.
func (o *Office) Tell(ctx context.Context) error {
	return errors.Join(o.TellOperations(ctx), o.TellBuyer(ctx))
}

// TellOperations is the part of Tell that is for operations.
func (o *Office) TellOperations(ctx context.Context) error {
	return o.tell(ctx, o.request(restock.Operations, restock.ByMail, mailingTimeout))
}

// TellBuyer is the part of Tell that is for the buyer: of the orders that await
// approval, and of those that operations hear of, too.
func (o *Office) TellBuyer(ctx context.Context) error {
	return errors.Join(
		o.tell(ctx, o.request(restock.Buyer, restock.ByMail, refusedTimeout)),
		o.tell(ctx, o.request(restock.Operations, restock.ByCopy, refusedTimeout)))
}

func (o *Office) tell(ctx context.Context, r restock.DigestRequest) error {
	return o.deliver(ctx, r, func(d restock.Digest) (string, error) {
		l := o.alert(d, r.Channel)
		return l.To, o.reach(ctx, l)
	})
}

// letter is a mail and what it says.
type letter struct {
	mail.Message

	body mail.Body
}

func (l letter) message() mail.Message { return l.body.In(l.Message) }

// reach sends a mail. What the buyer's server refuses for good goes to operations,
// with its words: nobody else would ever hear of it.
func (o *Office) reach(ctx context.Context, l letter) error {
	err := o.mail.Send(ctx, l.message())
	if err == nil {
		return nil
	}
	err = fmt.Errorf("mail to %s: %w", l.To, err)
	if !mail.Permanent(err) || l.To == o.cfg.To {
		return err
	}
	o.log.WarnContext(ctx, "a mail was refused; operations get it instead", keyTo, l.To, keyError, err)
	again := l
	again.body.Paragraphs = append([]string{
		"This was refused by the mail server of its reader: " + oneLine(err.Error()) + "\nCorrect buyer_email in the catalogue: restock catalog apply",
	}, l.body.Paragraphs...)
	again.ID, again.To, again.ReplyTo, again.Subject = "bounced."+l.ID, o.cfg.To, "", l.Subject+" (refused by "+l.To+")"
	if second := o.mail.Send(ctx, again.message()); second != nil {
		return fmt.Errorf("%w; and to operations instead: %w", err, second)
	}
	return nil
}

func (o *Office) request(audience restock.Audience, channel restock.Channel, lease time.Duration) restock.DigestRequest {
	return restock.DigestRequest{
		Audience: audience, Channel: channel, Webhook: o.cfg.Webhook != nil, Gap: o.cfg.AlertGap, Lease: lease,
	}
}

// deliver sends what an audience must be told now on a channel, if there is
// something. The function that sends says whom it reached, or did not.
func (o *Office) deliver(ctx context.Context, r restock.DigestRequest, send func(restock.Digest) (string, error)) error {
	digest, ok, err := o.store.BeginDigest(ctx, r)
	if err != nil || !ok {
		return err
	}
	if !digest.Empty() {
		to, err := send(digest)
		// What became of it is recorded also when the service ends meanwhile.
		ctx = context.WithoutCancel(ctx)
		if err != nil {
			if failErr := o.store.FailDigest(ctx, digest.ID, r.Channel); failErr != nil {
				o.log.WarnContext(ctx, "a failed message blocks the next try for a while", keyChannel, r.Channel, keyError, failErr)
			}
			return err
		}
		o.log.WarnContext(ctx, "the message about what waits was sent", keyChannel, r.Channel, keyAudience, r.Audience,
			keyProblems, digest.Total, keyRecovered, len(digest.Recovered), keyTo, to)
	}
	if err := o.store.EndDigest(ctx, digest.ID, r.Channel); err != nil {
		return fmt.Errorf("record the %s: %w", r.Channel, err)
	}
	return nil
}

// alert is the mail of a digest on a channel.
func (o *Office) alert(d restock.Digest, channel restock.Channel) letter {
	to, replyTo, kind := o.cfg.To, "", KindAlert
	if d.To != "" {
		to, replyTo = d.To, o.cfg.To
	}
	if channel == restock.ByCopy {
		kind = KindBuyerCopy
	}
	return letter{body: o.alertBody(d), Message: mail.Message{
		ID: kind + "." + d.ID.String() + "@" + o.cfg.Domain, From: o.cfg.From, To: to, ReplyTo: replyTo,
		Subject: subject(d), Date: d.CreatedAt, Kind: kind,
	}}
}

func (o *Office) alertBody(d restock.Digest) mail.Body {
	b := mail.Body{Language: restock.English, Title: subject(d)}
	more := d.Total
	for _, p := range d.Problems {
		more -= p.Count
		item := mail.Item{
			Title: oneLine(heading(p)),
			Lines: []string{plainLine(p.Summary, summaryRunesMax), sinceWord(p) + " " + o.at(p.Since)},
		}
		for _, step := range steps(p) {
			item.Commands = append(item.Commands, mail.Command{Name: step.name, Line: oneLine(step.command)})
		}
		b.Items = append(b.Items, item)
	}
	for _, r := range d.Recovered {
		b.Items = append(b.Items, mail.Item{
			Title: "recovered: " + oneLine(recovered(r)), Lines: []string{fmt.Sprintf("was since %s, lasted %s", o.at(r.Since), lasted(r))},
		})
	}
	if more > 0 {
		b.Notes = []string{fmt.Sprintf("… and %d more: restock status", more)}
	}
	return b
}

func (o *Office) at(t time.Time) string {
	return t.In(o.cfg.Zone).Format("2006-01-02 15:04:05 MST")
}

func subject(d restock.Digest) string {
	switch {
	case d.Total == 0 && len(d.Recovered) == 1:
		return "restock: recovered: " + recovered(d.Recovered[0])
	case d.Total == 0:
		return fmt.Sprintf("restock: %d recovered", len(d.Recovered))
	case len(d.Problems) == 1 && d.Problems[0].Count == d.Total:
		return "restock: " + heading(d.Problems[0])
	case d.Audience == restock.Buyer && d.Problems[0].Kind != restock.ProblemAwaiting:
		return fmt.Sprintf("restock: %d orders need a look", d.Total)
	case d.Audience == restock.Buyer:
		return fmt.Sprintf("restock: %d orders await approval", d.Total)
	}
	return fmt.Sprintf("restock: %d problems need a look", d.Total)
}

// heading names a problem and what it is about, or how many it stands for.
func heading(p restock.Problem) string {
	switch {
	case p.Count > 1:
		return fmt.Sprintf("%d %ss in %s%s", p.Count, title(p.Kind), p.Subject, restock.DeadLetterSuffix)
	case p.Kind == restock.ProblemQueueOld && strings.HasPrefix(p.Subject, restock.WebhookQueuePrefix):
		return "a receiver takes nothing: " + p.Subject
	case p.SKU != "":
		return title(p.Kind) + " " + string(p.SKU)
	}
	return strings.TrimSpace(title(p.Kind) + " " + p.Subject)
}

// sinceWord says what the time of a problem is.
func sinceWord(p restock.Problem) string {
	if p.Count > 1 {
		return "the last one is shown, the oldest is since"
	}
	return "since"
}

func title(k restock.ProblemKind) string {
	switch k {
	case restock.ProblemDeadLetter:
		return "dead letter"
	case restock.ProblemOrderHeld:
		return "order held"
	case restock.ProblemOrderLate:
		return "order overdue"
	case restock.ProblemAwaiting:
		return "order awaits approval"
	case restock.ProblemReceiptHeld:
		return "receipt held"
	case restock.ProblemNotPlaced:
		return "order cannot be placed"
	case restock.ProblemAttemptUnknown:
		return "more goods may come"
	case restock.ProblemRefusals:
		return "buyers refused, though something is left"
	case restock.ProblemQueueOld:
		return "messages wait too long in"
	case restock.ProblemRelayStuck:
		return "messages do not get to the broker from"
	case restock.ProblemEngineAway:
		return "queue engine cannot be reached:"
	case restock.ProblemAdUnanswered:
		return "ad manager does not answer"
	}
	return string(k)
}

// recovered says what is well again.
func recovered(r restock.Recovery) string {
	switch r.Kind {
	case restock.IncidentDeadLetters:
		return "no dead letters"
	case restock.IncidentQueueOld:
		if strings.HasPrefix(r.Subject, restock.WebhookQueuePrefix) {
			return "the receiver takes events again, or was removed: " + r.Subject
		}
		return "no message waits too long any more in " + r.Subject
	case restock.IncidentRelayStuck:
		return "nothing is stuck any more in " + r.Subject
	case restock.IncidentEngineAway:
		return "queue engine answers, or is not used any more: " + r.Subject
	}
	return strings.TrimSpace(string(r.Kind) + " " + r.Subject)
}

func lasted(r restock.Recovery) time.Duration {
	return max(0, r.Until.Sub(r.Since)).Round(time.Second)
}

// step is a command that a person can give.
type step struct{ name, command string }

// steps are the commands that show a problem whole, and that settle it.
func steps(p restock.Problem) []step {
	const why = " --reason …"
	order := "restock orders %s " + p.ID
	switch p.Kind {
	case restock.ProblemDeadLetter:
		if p.Count > 1 {
			return []step{{"look", "restock dead list --queue " + p.Subject + " --type " + p.Type}}
		}
		return []step{{"look", "restock dead show " + p.ID}}
	case restock.ProblemReceiptHeld:
		return []step{
			{"look", "restock receipts show " + p.ID},
			{"approve", "restock receipts approve " + p.ID + why},
			{"refuse", "restock receipts refuse " + p.ID + why},
		}
	case restock.ProblemAdUnanswered:
		return []step{{"look", "restock ads show " + p.ID}, {"done", "restock ads ack " + p.ID + why}}
	case restock.ProblemRefusals:
		return []step{{"look", "restock products show " + string(p.SKU)}}
	case restock.ProblemAwaiting:
		return []step{
			{"look", fmt.Sprintf(order, "show")},
			{"approve", fmt.Sprintf(order, "approve") + why},
			{"reject", fmt.Sprintf(order, "reject") + why},
		}
	case restock.ProblemOrderHeld:
		return []step{
			{"look", fmt.Sprintf(order, "show")},
			{"again", fmt.Sprintf(order, "retry") + why},
			{"wait", fmt.Sprintf(order, "wait") + " --until 24h" + why},
			{"give up", fmt.Sprintf(order, "write-off") + why},
		}
	case restock.ProblemQueueOld, restock.ProblemRelayStuck:
		if id, ok := strings.CutPrefix(p.Subject, restock.WebhookQueuePrefix); ok {
			return []step{
				{"look", "restock webhooks deliveries " + id},
				{"pause", "restock webhooks pause " + id},
				{"remove", "restock webhooks remove " + id},
			}
		}
		return []step{{"look", "restock status"}}
	case restock.ProblemEngineAway:
		return []step{{"look", "restock queue status"}}
	case restock.ProblemOrderLate, restock.ProblemNotPlaced, restock.ProblemAttemptUnknown:
	}
	return []step{{"look", fmt.Sprintf(order, "show")}}
}

// The keys of the facts in log lines.
const (
	keyError     = "error"
	keyAudience  = "audience"
	keyChannel   = "channel"
	keyProblems  = "problems"
	keyRecovered = "recovered"
	keyTo        = "to"
	keyFeedback  = "feedback"
)
