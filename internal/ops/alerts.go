package ops

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
)

const (
	// KindAlert is the kind of a mail to operations.
	KindAlert = "ops-alert"
	// mailingTimeout is how long one mail may be on its way.
	mailingTimeout = mail.DialTimeout + mail.ConversationTimeout + 5*time.Second
	// failurePause keeps a mail server that is down from being asked each second.
	failurePause = 5 * time.Second

	purgeInterval = time.Hour
	purgeSlice    = 500
)

// Digests is what is to be told. BeginDigest, EndDigest and FailDigest frame
// one mail to an audience.
type Digests interface {
	BeginDigest(ctx context.Context, audience restock.Audience, gap, mailing time.Duration) (restock.Digest, bool, error)
	EndDigest(ctx context.Context, id restock.DigestID) error
	FailDigest(ctx context.Context, id restock.DigestID) error
}

// RunAlerts tells operations of problems until ctx ends.
func (o *Office) RunAlerts(ctx context.Context) error {
	for {
		pause := o.cfg.AlertInterval
		if err := o.Tell(ctx); err != nil && ctx.Err() == nil {
			o.log.ErrorContext(ctx, "operations could not be told; trying again", keyError, err)
			pause = max(pause, min(failurePause, o.cfg.AlertGap))
		}
		if !sleep(ctx, pause) {
			return nil
		}
	}
}

// RunPurge removes handled messages and idempotency keys that are older than
// their retention.
func (o *Office) RunPurge(ctx context.Context) error {
	for {
		now := o.cfg.Now()
		o.purge(ctx, "handled messages", now.Add(-o.cfg.Retention), o.queues.Purge)
		o.purge(ctx, "idempotency keys", now.Add(-o.cfg.KeyRetention), o.store.PurgeKeys)
		if !sleep(ctx, purgeInterval) {
			return nil
		}
	}
}

// purge removes what is old, slice by slice, so that sales go on in between.
func (o *Office) purge(ctx context.Context, what string, before time.Time, remove func(context.Context, time.Time, int) (int, error)) {
	for {
		n, err := remove(ctx, before, purgeSlice)
		if err != nil && ctx.Err() == nil {
			o.log.ErrorContext(ctx, "old rows could not be removed; trying again", "what", what, keyError, err)
		}
		if err != nil || n < purgeSlice {
			return
		}
	}
}

func sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// Tell sends the mails that operations and the buyer must get now, if there
// are any. A mail that fails does not keep the other back. A repeat after a
// crash carries the same Message-ID.
func (o *Office) Tell(ctx context.Context) error {
	return errors.Join(o.tell(ctx, restock.Operations), o.tell(ctx, restock.Buyer))
}

func (o *Office) tell(ctx context.Context, audience restock.Audience) error {
	digest, ok, err := o.store.BeginDigest(ctx, audience, o.cfg.AlertGap, mailingTimeout)
	if err != nil || !ok {
		return err
	}
	if digest.Total > 0 {
		m := o.alert(digest)
		if err := o.mail.Send(ctx, m); err != nil {
			if failErr := o.store.FailDigest(ctx, digest.ID); failErr != nil {
				o.log.WarnContext(ctx, "a failed mail blocks the next try for a while", keyError, failErr)
			}
			return fmt.Errorf("mail to %s: %w", m.To, err)
		}
		o.log.WarnContext(ctx, "the mail about what waits was sent", keyAudience, audience, keyProblems, digest.Total, keyTo, m.To)
	}
	if err := o.store.EndDigest(ctx, digest.ID); err != nil {
		return fmt.Errorf("record the mail: %w", err)
	}
	return nil
}

func (o *Office) alert(d restock.Digest) mail.Message {
	var text strings.Builder
	for _, p := range d.Problems {
		fmt.Fprintf(&text, "* %s %s\n  %s\n  since %s\n", title(p.Kind), p.SKU, p.Summary,
			p.Since.In(o.cfg.Zone).Format("2006-01-02 15:04:05 MST"))
		for _, step := range steps(p) {
			fmt.Fprintf(&text, "  %s: %s\n", step.name, step.command)
		}
		text.WriteString("\n")
	}
	if more := d.Total - int64(len(d.Problems)); more > 0 {
		fmt.Fprintf(&text, "… and %d more: restock status\n\n", more)
	}
	text.WriteString("— restock\n")
	to := d.To
	if to == "" {
		to = o.cfg.To
	}
	return mail.Message{
		ID: KindAlert + "." + d.ID.String() + "@" + o.cfg.Domain, From: o.cfg.From, To: to,
		Subject: subject(d), Text: text.String(), Date: d.CreatedAt, Kind: KindAlert,
	}
}

func subject(d restock.Digest) string {
	if d.Total == 1 && len(d.Problems) == 1 {
		return fmt.Sprintf("restock: %s %s", title(d.Problems[0].Kind), d.Problems[0].SKU)
	}
	if d.Audience == restock.Buyer {
		return fmt.Sprintf("restock: %d orders await approval", d.Total)
	}
	return fmt.Sprintf("restock: %d problems need a look", d.Total)
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
	case restock.ProblemRefusals:
		return "buyers refused, though something is left"
	}
	return string(k)
}

// step is a command that a person can give.
type step struct{ name, command string }

// steps are the commands that show a problem whole, and that settle it.
func steps(p restock.Problem) []step {
	const why = " --reason …"
	order := "restock orders %s " + p.ID
	switch p.Kind {
	case restock.ProblemDeadLetter:
		return []step{{"look", "restock dead show " + p.ID}}
	case restock.ProblemReceiptHeld:
		return []step{
			{"look", "restock receipts show " + p.ID},
			{"approve", "restock receipts approve " + p.ID + why},
			{"refuse", "restock receipts refuse " + p.ID + why},
		}
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
	case restock.ProblemOrderLate, restock.ProblemNotPlaced:
	}
	return []step{{"look", fmt.Sprintf(order, "show")}}
}

// The keys of the facts in log lines.
const (
	keyError    = "error"
	keyAudience = "audience"
	keyProblems = "problems"
	keyTo       = "to"
)
