// Package ads asks for an advertisement to be stopped while there is nothing to
// sell, and says when it can resume.
//
// The conversation goes by mail to the manager of the advertisement, so it
// works with any ad platform. There is one hold per stockout. Before a mail is
// sent the intent is committed, so that the end of the stockout finds it even
// when the process died in between; while a mail is on its way no other mail
// of that hold is sent, so that the last one to arrive is true.
//
// A mail can repeat after a crash; then it carries the same Message-ID.
package ads

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/mail"
	"github.com/restock/restock/internal/queue"
)

// Store is what the conversation needs of the store.
type Store interface {
	// BeginStop commits the intent to ask for a stop; false when there is none to ask for.
	BeginStop(ctx context.Context, id restock.StockoutID, mailing time.Duration) (restock.AdHold, bool, error)
	// EndStop records that the mail was sent.
	EndStop(ctx context.Context, id restock.AdHoldID) error
	// BeginResume and EndResume are the same for the mail that it can resume.
	BeginResume(ctx context.Context, id restock.StockoutID, mailing time.Duration) (restock.AdHold, bool, error)
	EndResume(ctx context.Context, id restock.AdHoldID) error
	// FailMail ends a mail that was not sent.
	FailMail(ctx context.Context, id restock.AdHoldID) error
}

const (
	// mailingTimeout is how long one mail may be on its way: longer than any
	// sender takes, so that nobody else writes meanwhile.
	mailingTimeout = mail.DialTimeout + mail.ConversationTimeout + 5*time.Second
	// mailingRetry is when to look again while another mail is on its way.
	mailingRetry = time.Second
)

// Config adjusts the conversation.
type Config struct {
	Logger  *slog.Logger
	From    string         // the sender's address
	ReplyTo string         // operations, who read what ad managers answer
	Domain  string         // of the Message-IDs
	Zone    *time.Location // of the times in mails; UTC
}

// Desk writes to ad managers.
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
	return &Desk{store: store, mail: sender, cfg: cfg}
}

// Handlers are the handlers of the ad queue.
func (d *Desk) Handlers() map[string]queue.Handler {
	return map[string]queue.Handler{
		string(restock.StockOut):  d.stockOut,
		string(restock.StockBack): d.stockBack,
	}
}

// stockOut asks for a stop, unless the goods are back by now.
func (d *Desk) stockOut(ctx context.Context, m queue.Message) error {
	return d.write(ctx, m, d.store.BeginStop, d.stopMail, d.store.EndStop)
}

// stockBack says that it can resume, if a stop was asked for.
func (d *Desk) stockBack(ctx context.Context, m queue.Message) error {
	return d.write(ctx, m, d.store.BeginResume, d.resumeMail, d.store.EndResume)
}

func (d *Desk) write(ctx context.Context, m queue.Message,
	begin func(context.Context, restock.StockoutID, time.Duration) (restock.AdHold, bool, error),
	compose func(restock.AdHold) mail.Message,
	end func(context.Context, restock.AdHoldID) error,
) error {
	var data restock.EventData
	if err := json.Unmarshal(m.Body, &data); err != nil {
		return queue.Discard(fmt.Errorf("the body cannot be read: %w", err))
	}
	if data.Version != restock.EventVersion {
		return queue.Discard(fmt.Errorf("version %d of %s is not known here; redrive it with a newer restock", data.Version, m.Type))
	}
	hold, send, err := begin(ctx, data.StockoutID, mailingTimeout)
	switch {
	case restock.KindOf(err) == restock.Conflict:
		return queue.Later(mailingRetry)
	case restock.KindOf(err) == restock.NotFound:
		return queue.Discard(err)
	case err != nil:
		return fmt.Errorf("begin a mail about %s: %w", data.SKU, err)
	case !send:
		d.cfg.Logger.InfoContext(ctx, "nothing to tell the ad manager", keySKU, data.SKU, keyType, m.Type)
		return nil
	}
	return d.send(ctx, hold, compose(hold), end)
}

func (d *Desk) send(ctx context.Context, hold restock.AdHold, m mail.Message, end func(context.Context, restock.AdHoldID) error) error {
	err := d.mail.Send(ctx, m)
	// What became of the mail is recorded also when the message was lost meanwhile:
	// whoever has it now must neither wait for this mail nor send it again.
	ctx = context.WithoutCancel(ctx)
	if err != nil {
		if failErr := d.store.FailMail(ctx, hold.ID); failErr != nil {
			d.cfg.Logger.WarnContext(ctx, "a failed mail still blocks its hold for a while", keyHold, hold.ID, keyError, failErr)
		}
		err = fmt.Errorf("mail to %s: %w", hold.Advertisement.ManagerEmail, err)
		if mail.Permanent(err) {
			return queue.Discard(err)
		}
		return err
	}
	d.cfg.Logger.InfoContext(ctx, "ad manager told", keySKU, hold.SKU, keyHold, hold.ID, keyKind, m.Kind, keyTo, m.To)
	if err := end(ctx, hold.ID); err != nil {
		return fmt.Errorf("record the mail: %w", err) // it is sent again with the same Message-ID
	}
	return nil
}

// The keys of the facts in log lines.
const (
	keySKU   = "sku"
	keyType  = "type"
	keyHold  = "ad_hold_id"
	keyKind  = "kind"
	keyTo    = "to"
	keyError = "error"
)
