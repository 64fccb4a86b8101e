// Package ads asks for an advertisement to be stopped while there is nothing to
// sell, says when it can resume, and keeps at it until somebody answers.
//
// The conversation goes by mail to the manager of the advertisement, so it
// works with any ad platform. A hold is one stop of one advertisement; Pace.Turn
// is the state machine. It looks at what is true now and at what was told last,
// never at what an event says, so events may come twice, late or not at all.
//
// Before a mail is sent the intent is committed, so that the end of the stockout
// finds it even when the process died in between; while a mail is on its way no
// other one goes to this manager, so that the last one to arrive is true. A mail
// can repeat after a crash; then it carries the same Message-ID and says the
// same.
//
// Each mail has a link to say that it is done. To open it changes nothing: mail
// scanners open every link. Only the button on its page does.
package ads

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
)

// Store is what the conversation needs of the store.
type Store interface {
	// AdvertisementsOf gives the advertisements that an event concerns, unless a
	// later one has a message of its own.
	AdvertisementsOf(ctx context.Context, typ restock.EventType, id restock.StockoutID) ([]restock.AdvertisementID, error)
	// TurnAd takes the next step, and leases the mail that it begins.
	TurnAd(ctx context.Context, id restock.AdvertisementID, mailing time.Duration, decide func(restock.AdSituation) restock.AdTurn,
	) (restock.AdSending, restock.AdTurn, error)
	// EndAdMail records that the mail was sent; FailAdMail ends one that was not.
	EndAdMail(ctx context.Context, m restock.AdSending) error
	FailAdMail(ctx context.Context, m restock.AdSending, mayHaveArrived bool) error
	// PublishDueAds, UntoldAds and PublishAdDue find what no event will tell.
	PublishDueAds(ctx context.Context, limit int) (int, error)
	UntoldAds(ctx context.Context, limit int, decide func(restock.AdSituation) restock.AdTurn) ([]restock.AdvertisementID, error)
	PublishAdDue(ctx context.Context, id restock.AdvertisementID) error
	// AdAnswer tells what an answer would come to, and AcknowledgeAd takes it.
	AdAnswer(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk) (restock.AdHold, restock.AdAnswer, error)
	AcknowledgeAd(ctx context.Context, id restock.AdHoldID, ask restock.AdAsk, by string) (restock.AdHold, restock.AdAnswer, error)
}

// Signer signs what links carry, and knows its own.
type Signer interface {
	Sign(carried []byte) string
	Open(ctx context.Context, text string) (carried []byte, ok bool)
}

const (
	// mailingTimeout is how long one mail may be on its way: longer than any
	// sender takes, so that nobody else writes meanwhile.
	mailingTimeout = mail.DialTimeout + mail.ConversationTimeout + 5*time.Second
	// mailingRetry is when to look again while another mail is on its way.
	mailingRetry = time.Second
	// turnsMax bounds the mails that one message sends, so that they fit into the
	// time of a handler; then it comes again.
	turnsMax = 3
	// postponedRetryMax is the longest pause before a mail is tried again that the
	// server put off, and postponedMax how long it is tried so.
	postponedRetryMax = 5 * time.Minute
	postponedMax      = 24 * time.Hour
)

// The defaults of Config.
const (
	DefaultLinkLife      = 14 * 24 * time.Hour
	DefaultLookInterval  = time.Second
	DefaultSweepInterval = 10 * time.Second
	DefaultRetryBase     = time.Second
)

// Config adjusts the conversation.
type Config struct {
	Logger  *slog.Logger
	From    string         // the sender's address
	ReplyTo string         // operations, who read what ad managers answer
	Domain  string         // of the Message-IDs
	Zone    *time.Location // of the times in mails; UTC
	Pace    Pace
	// PublicURL is where the links lead, and Links signs them.
	PublicURL string
	Links     Signer
	// LinkLife is how long a link is good for, from the date of its mail.
	LinkLife time.Duration
	// LookInterval is how often what became due is looked for, SweepInterval how
	// often what was missed.
	LookInterval, SweepInterval time.Duration
	// RetryBase is the first pause before a mail that the server put off.
	RetryBase time.Duration
	Now       func() time.Time
}

// Desk writes to ad managers, and takes their answers.
type Desk struct {
	store Store
	mail  mail.Sender
	cfg   Config
}

// New makes a desk.
func New(store Store, sender mail.Sender, cfg Config) *Desk {
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	if cfg.Zone == nil {
		cfg.Zone = time.UTC
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	cfg.Pace = cfg.Pace.withDefaults()
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&cfg.LinkLife, DefaultLinkLife},
		{&cfg.LookInterval, DefaultLookInterval},
		{&cfg.SweepInterval, DefaultSweepInterval},
		{&cfg.RetryBase, DefaultRetryBase},
	} {
		if *d.value <= 0 {
			*d.value = d.standard
		}
	}
	return &Desk{store: store, mail: sender, cfg: cfg}
}

// Turn is what the handlers decide by.
func (d *Desk) Turn(s restock.AdSituation) restock.AdTurn { return d.cfg.Pace.Turn(s) }

// Handlers are the handlers of the ad queue.
func (d *Desk) Handlers() map[string]queue.Handler {
	return map[string]queue.Handler{
		string(restock.StockOut):  d.crossed,
		string(restock.StockBack): d.crossed,
		string(restock.AdDue):     d.due,
	}
}

// crossed looks at the advertisements of a product that was sold out, or is back.
func (d *Desk) crossed(ctx context.Context, m queue.Message) error {
	data, err := read(m)
	if err != nil {
		return err
	}
	ads, err := d.store.AdvertisementsOf(ctx, restock.EventType(m.Type), data.StockoutID)
	switch {
	case restock.KindOf(err) == restock.NotFound:
		return queue.Discard(err)
	case err != nil:
		return fmt.Errorf("find the advertisements of %s: %w", data.SKU, err)
	}
	var errs []error
	for _, id := range ads {
		if err := d.look(ctx, id); err != nil {
			errs = append(errs, err)
		}
	}
	if len(errs) == 1 {
		return errs[0] // as it is: it may say when to come again
	}
	return errors.Join(errs...)
}

// due looks at one advertisement, because somebody asked for that.
func (d *Desk) due(ctx context.Context, m queue.Message) error {
	data, err := read(m)
	if err != nil {
		return err
	}
	if data.AdvertisementID.IsZero() {
		return queue.Discard(errors.New("the message names no advertisement"))
	}
	return d.look(ctx, data.AdvertisementID)
}

func read(m queue.Message) (restock.EventData, error) {
	var data restock.EventData
	if err := json.Unmarshal(m.Body, &data); err != nil {
		return data, queue.Discard(fmt.Errorf("the body cannot be read: %w", err))
	}
	if data.Version != restock.EventVersion {
		return data, queue.Discard(fmt.Errorf("version %d of %s is not known here; redrive it with a newer restock", data.Version, m.Type))
	}
	return data, nil
}

// look takes steps with the manager of an advertisement until there is nothing
// to tell: what happens while a mail is on its way is told right after it.
func (d *Desk) look(ctx context.Context, id restock.AdvertisementID) error {
	for range turnsMax {
		sending, turn, err := d.store.TurnAd(ctx, id, mailingTimeout, d.Turn)
		switch {
		case restock.KindOf(err) == restock.NotFound:
			return queue.Discard(err)
		case err != nil:
			return fmt.Errorf("take the next step with advertisement %s: %w", id, err)
		case turn.Wait:
			return queue.Later(mailingRetry)
		}
		if turn.Escalate {
			d.cfg.Logger.WarnContext(ctx, "an ad manager does not answer; operations are told", keyAd, id)
		}
		if sending.Kind == "" {
			return nil
		}
		if err := d.send(ctx, sending); err != nil {
			return err
		}
	}
	return queue.Later(mailingRetry)
}

func (d *Desk) send(ctx context.Context, s restock.AdSending) error {
	m := d.compose(s.Hold, s.Kind)
	if told := s.Hold.Mail(s.Kind).Facts.TraceParent; told != "" { // a repeat belongs to where it began
		ctx = restock.WithTraceParent(ctx, told)
	}
	err := d.mail.Send(ctx, m)
	// What became of the mail is recorded also when the message was lost meanwhile:
	// whoever has it now must neither wait for this mail nor send it again.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		return d.fail(ctx, s, m, err)
	}
	d.cfg.Logger.InfoContext(ctx, "ad manager told", keySKU, s.Hold.SKU, keyHold, s.Hold.ID, keyKind, m.Kind, keyTo, m.To)
	if err := d.store.EndAdMail(ctx, s); err != nil {
		return fmt.Errorf("record the mail: %w", err) // it is sent again with the same Message-ID
	}
	return nil
}

// fail says when a mail that failed is tried again.
func (d *Desk) fail(ctx context.Context, s restock.AdSending, m mail.Message, err error) error {
	if failErr := d.store.FailAdMail(ctx, s, !mail.Untaken(err)); failErr != nil {
		d.cfg.Logger.WarnContext(ctx, "a failed mail still blocks its hold for a while", keyHold, s.Hold.ID, keyError, failErr)
	}
	tried := s.Hold.Mail(s.Kind)
	err = fmt.Errorf("mail to %s: %w", m.To, err)
	switch {
	case mail.Permanent(err):
		return queue.Discard(err)
	case mail.Postponed(err) && d.cfg.Now().Before(tried.DueAt.Add(postponedMax)):
		pause := d.postponed(tried.Tries)
		d.cfg.Logger.WarnContext(ctx, "the mail server puts a mail off", keyHold, s.Hold.ID, keyError, err, keyPause, pause)
		return queue.Later(pause)
	}
	return err
}

// postponed is the pause after a number of tries; it doubles.
func (d *Desk) postponed(tries int) time.Duration {
	pause := d.cfg.RetryBase
	for range tries - 1 {
		if pause *= 2; pause >= postponedRetryMax {
			return postponedRetryMax
		}
	}
	return min(pause, postponedRetryMax)
}

// The keys of the facts in log lines.
const (
	keyAd    = "ad_id"
	keySKU   = "sku"
	keyHold  = "ad_hold_id"
	keyKind  = "kind"
	keyTo    = "to"
	keyAsk   = "ask"
	keyCount = "count"
	keyPause = "pause"
	keyError = "error"
)
