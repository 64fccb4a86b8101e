package ops

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/webhook"
)

const (
	// TypeDigest is the type of a webhook to operations.
	TypeDigest = "operations.digest"
	// hookingTimeout is how long one webhook may be on its way.
	hookingTimeout = webhook.TotalTimeout + 5*time.Second
)

// Webhook is where operations are told beside the mail.
type Webhook interface {
	Send(ctx context.Context, m webhook.Message) error
}

// digestEvent is the body of a webhook to operations.
type digestEvent struct {
	Type string           `json:"type"`
	ID   restock.DigestID `json:"id"`
	Time time.Time        `json:"time"`
	Data digestData       `json:"data"`
}

type digestData struct {
	// Problems has at most DigestProblemsMax lines; Total counts all that they and
	// the others stand for.
	Problems  []digestProblem  `json:"problems"`
	Recovered []digestRecovery `json:"recovered"`
	Total     int64            `json:"total"`
}

type digestProblem struct {
	Kind    restock.ProblemKind `json:"kind"`
	ID      string              `json:"id"`
	SKU     restock.SKU         `json:"sku,omitempty"`
	Subject string              `json:"subject,omitempty"`
	Title   string              `json:"title"`
	Summary string              `json:"summary"`
	Since   time.Time           `json:"since"`
	Count   int64               `json:"count"`
	Look    string              `json:"look"` // the command that shows it
}

type digestRecovery struct {
	Kind    restock.IncidentKind `json:"kind"`
	Subject string               `json:"subject,omitempty"`
	Title   string               `json:"title"`
	Since   time.Time            `json:"since"`
	Until   time.Time            `json:"until"`
}

// RunWebhook tells operations of problems by webhook until ctx ends. It has its
// own pace: neither the mail nor the webhook waits for the other.
func (o *Office) RunWebhook(ctx context.Context) error {
	if o.cfg.Webhook == nil {
		return nil
	}
	o.runTelling(ctx, "operations could not be told by webhook; trying again", o.Post)
	return nil
}

// Post sends the webhook that operations must get now, if there is one, and if its
// receiver did not ask for a pause. A repeat has the same id.
func (o *Office) Post(ctx context.Context) error {
	if o.cfg.Webhook == nil {
		return nil
	}
	if pause := time.UnixMicro(o.hookRests.Load()).Sub(o.cfg.Now()); pause > 0 && pause <= webhook.RetryAfterMax { // else the clock was set back
		return nil
	}
	err := o.deliver(ctx, o.request(restock.Operations, restock.ByWebhook, hookingTimeout), func(d restock.Digest) (string, error) {
		body, err := json.Marshal(digestOf(d))
		if err != nil {
			return string(restock.Operations), fmt.Errorf("write the digest: %w", err)
		}
		return string(restock.Operations), o.cfg.Webhook.Send(ctx, webhook.Message{ID: d.ID.String(), Body: body})
	})
	if pause := webhook.PauseOf(err); pause > 0 {
		o.hookRests.Store(o.cfg.Now().Add(pause).UnixMicro())
	}
	return err
}

func digestOf(d restock.Digest) digestEvent {
	e := digestEvent{Type: TypeDigest, ID: d.ID, Time: d.CreatedAt, Data: digestData{
		Problems: make([]digestProblem, 0, len(d.Problems)), Recovered: make([]digestRecovery, 0, len(d.Recovered)), Total: d.Total,
	}}
	for _, p := range d.Problems {
		e.Data.Problems = append(e.Data.Problems, digestProblem{
			Kind: p.Kind, ID: p.ID, SKU: p.SKU, Subject: p.Subject, Title: heading(p), Summary: p.Summary, Since: p.Since, Count: p.Count,
			Look: steps(p)[0].command,
		})
	}
	for _, r := range d.Recovered {
		e.Data.Recovered = append(e.Data.Recovered, digestRecovery{r.Kind, r.Subject, recovered(r), r.Since, r.Until})
	}
	return e
}
