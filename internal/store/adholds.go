package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/restock/restock"
)

// adDecide says what comes next with an ad manager. It has no effect.
type adDecide = func(restock.AdSituation) restock.AdTurn

// TurnAd takes the next step with the manager of an advertisement, as decide
// says. When a mail is to be sent, its intent is committed, with what it says,
// and nobody else writes to this manager until mailing has passed or EndAdMail
// or FailAdMail is called: then the Kind of what is returned is not "".
//
// The intent comes before the mail, so that the end of a stockout finds a hold
// even if the mail was sent by a process that died right after.
func (s *Store) TurnAd(ctx context.Context, id restock.AdvertisementID, mailing time.Duration, decide adDecide,
) (restock.AdSending, restock.AdTurn, error) {
	var (
		sending restock.AdSending
		turn    restock.AdTurn
	)
	// Of many events most change nothing; a look without the writer tells.
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		a, err := tx.adSituation(ctx, id)
		turn = decide(a.AdSituation)
		if err != nil || turn.Wait || !turn.Changes(a.AdSituation) {
			return err
		}
		return errSomethingToDo
	})
	if !errors.Is(err, errSomethingToDo) {
		return sending, turn, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		sending = restock.AdSending{}
		a, err := tx.lockAd(ctx, id)
		if err != nil {
			return err
		}
		if turn = decide(a.AdSituation); turn.State == restock.AdHoldWithdrawn && turn.Changes(a.AdSituation) {
			if _, err := tx.turnAd(ctx, a, turn, mailing); err != nil {
				return err
			}
			if a, err = tx.adSituation(ctx, id); err != nil { // with the hold before, which may go on
				return err
			}
			turn = decide(a.AdSituation)
		}
		if turn.Wait || !turn.Changes(a.AdSituation) {
			return nil
		}
		sending, err = tx.turnAd(ctx, a, turn, mailing)
		return err
	})
	return sending, turn, err
}

var errSomethingToDo = errors.New("there is something to do")

// EndAdMail records that a mail was sent.
func (s *Store) EndAdMail(ctx context.Context, m restock.AdSending) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if _, err := tx.lockAd(ctx, m.Hold.Advertisement.ID); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `UPDATE ad_mails SET sent_at = ?, unsure = 0 WHERE hold_id = ? AND kind = ? AND sent_at IS NULL`,
			micros(tx.now), m.Hold.ID, string(m.Kind)); err != nil {
			return err
		}
		if err := tx.endMailing(ctx, m); err != nil {
			return err
		}
		var err error
		switch m.Kind {
		case restock.AdMailStop:
			_, err = tx.Exec(ctx, `UPDATE ad_holds SET state = 'stopped' WHERE id = ? AND state = 'stopping'`, m.Hold.ID)
		case restock.AdMailResume:
			_, err = tx.Exec(ctx, `UPDATE ad_holds SET state = 'resumed', slot = NULL WHERE id = ? AND state = 'resuming'`, m.Hold.ID)
		case restock.AdMailStopReminder, restock.AdMailResumeReminder:
		}
		return err
	})
}

// FailAdMail ends a mail that was not sent, so that others need not wait.
// mayHaveArrived says that nobody knows.
func (s *Store) FailAdMail(ctx context.Context, m restock.AdSending, mayHaveArrived bool) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if _, err := tx.lockAd(ctx, m.Hold.Advertisement.ID); err != nil {
			return err
		}
		if !mayHaveArrived && !m.Unsure {
			if _, err := tx.Exec(ctx, `UPDATE ad_mails SET unsure = 0 WHERE hold_id = ? AND kind = ? AND tries = ?`,
				m.Hold.ID, string(m.Kind), m.Hold.Mail(m.Kind).Tries); err != nil {
				return err
			}
		}
		return tx.endMailing(ctx, m)
	})
}

func (t *tx) endMailing(ctx context.Context, m restock.AdSending) error {
	_, err := t.Exec(ctx, `UPDATE advertisements SET mailing_until = 0 WHERE id = ? AND mailing_until = ?`, m.Hold.Advertisement.ID, micros(m.Until))
	return err
}

// AdvertisementsOf gives the advertisements that an event of a stockout
// concerns: the one that shows its product, and those that were stopped for it.
// There is none when a later event of the same product has a message of its own,
// which tells what is true then. The error is of kind NotFound when there is no
// such stockout.
func (s *Store) AdvertisementsOf(ctx context.Context, typ restock.EventType, id restock.StockoutID) ([]restock.AdvertisementID, error) {
	var ads []restock.AdvertisementID
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		ads, _, err = tx.advertisementsOf(ctx, typ, id)
		return err
	})
	return ads, err
}

// advertisementsOf says why, too, when there is none.
func (t *tx) advertisementsOf(ctx context.Context, typ restock.EventType, id restock.StockoutID) ([]restock.AdvertisementID, string, error) {
	var product restock.ProductID
	var back, again time.Time
	err := t.one(ctx, `SELECT s.product_id, s.closed_at,
			(SELECT MAX(n.opened_at) FROM stockouts n WHERE n.product_id = s.product_id AND n.opened_at > s.opened_at)
		FROM stockouts s WHERE s.id = ?`, []any{id}, &product, instant{&back}, instant{&again})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return nil, "", restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no stockout %s", id)
	case err != nil:
		return nil, "", err
	case typ == restock.StockOut && !back.IsZero():
		return nil, "the stock is back since " + back.Format(time.RFC3339), nil
	case typ == restock.StockBack && !again.IsZero():
		return nil, "it was sold out again at " + again.Format(time.RFC3339), nil
	}
	ads, err := collect(ctx, t, `SELECT advertisement_id FROM products WHERE id = ? AND advertisement_id IS NOT NULL
		UNION SELECT advertisement_id FROM ad_holds WHERE slot = 1 AND product_id = ?`, []any{product, product}, scanID[restock.Advertisement])
	return ads, "the product has no advertisement", err
}

// turnAd writes down one step.
func (t *tx) turnAd(ctx context.Context, a adRow, turn restock.AdTurn, mailing time.Duration) (restock.AdSending, error) {
	hold := a.Hold.ID
	switch {
	case turn.New:
		hold = t.newID()
		if err := t.beginHold(ctx, a, hold); err != nil {
			return restock.AdSending{}, err
		}
	case turn.State != a.Hold.State:
		if err := t.moveHold(ctx, a, turn.State); err != nil {
			return restock.AdSending{}, err
		}
	}
	if turn.New || turn.State != a.Hold.State {
		asked := restock.AdHold{State: turn.State}
		if err := t.answerBySwitch(ctx, a, hold, asked.Asks()); err != nil {
			return restock.AdSending{}, err
		}
	}
	if turn.Escalate {
		if err := t.must(ctx, `UPDATE ad_holds SET escalated_at = ? WHERE id = ?`, micros(t.now), hold); err != nil {
			return restock.AdSending{}, err
		}
	}
	until := time.UnixMicro(0)
	if turn.Send != "" {
		until = t.now.Add(mailing)
	}
	if err := t.must(ctx, `UPDATE advertisements SET look_at = ?, mailing_until = ? WHERE id = ?`,
		micros(turn.LookAt), micros(until), a.Advertisement.ID); err != nil || turn.Send == "" {
		return restock.AdSending{}, err
	}
	return t.beginAdMail(ctx, a, hold, turn.Send, until)
}

// beginHold ends the hold before, whatever became of its last mail.
func (t *tx) beginHold(ctx context.Context, a adRow, id restock.AdHoldID) error {
	if !a.Hold.ID.IsZero() {
		if err := t.must(ctx, `UPDATE ad_holds SET state = CASE WHEN state = 'withdrawn' THEN state ELSE 'resumed' END, slot = NULL,
			escalated_at = NULL, told_in = NULL WHERE id = ?`, a.Hold.ID); err != nil {
			return err
		}
	}
	if err := t.must(ctx, `INSERT INTO ad_holds (id, advertisement_id, product_id, stockout_id, state, slot, created_at)
		VALUES (?, ?, ?, ?, 'stopping', 1, ?)`, id, a.Advertisement.ID, a.product, a.stockout, micros(t.now)); err != nil {
		return err
	}
	return t.must(ctx, `UPDATE advertisements SET hold_id = ? WHERE id = ?`, id, a.Advertisement.ID)
}

// moveHold changes the state of a hold, which ends what its last question left.
func (t *tx) moveHold(ctx context.Context, a adRow, state restock.AdHoldState) error {
	if a.Hold.State == restock.AdHoldResuming && state.Open() {
		// Nobody was told that it can resume; if that comes again, it is another mail.
		if _, err := t.Exec(ctx, `DELETE FROM ad_mails WHERE hold_id = ? AND kind = 'resume'`, a.Hold.ID); err != nil {
			return err
		}
	}
	slot := any(nil)
	if state.Open() {
		slot = 1
	}
	err := t.must(ctx, `UPDATE ad_holds SET state = ?, slot = ?, escalated_at = NULL, told_in = NULL WHERE id = ?`, string(state), slot, a.Hold.ID)
	if err != nil || state != restock.AdHoldWithdrawn {
		return err
	}
	return t.backToHoldBefore(ctx, a)
}

// backToHoldBefore makes the hold before one that was withdrawn the last again:
// what it told is what the manager knows.
func (t *tx) backToHoldBefore(ctx context.Context, a adRow) error {
	before, err := t.holdBefore(ctx, a)
	if err != nil {
		return err
	}
	if err := t.must(ctx, `UPDATE advertisements SET hold_id = ? WHERE id = ?`, before.ID, a.Advertisement.ID); err != nil || before.State != restock.AdHoldResuming {
		return err
	}
	return t.must(ctx, `UPDATE ad_holds SET state = 'resuming', slot = 1 WHERE id = ?`, before.ID)
}

// holdBefore is what the last hold would be without this one; zero is none. Of
// one whose last mail was not confirmed nobody knows whether that arrived.
func (t *tx) holdBefore(ctx context.Context, a adRow) (restock.AdHold, error) {
	var id restock.AdHoldID
	err := t.one(ctx, `SELECT id FROM ad_holds WHERE advertisement_id = ? AND state <> 'withdrawn' AND id <> ?
		ORDER BY created_at DESC, id DESC LIMIT 1`, []any{a.Advertisement.ID, a.Hold.ID}, &id)
	if errors.Is(err, sql.ErrNoRows) {
		return restock.AdHold{}, nil
	}
	if err != nil {
		return restock.AdHold{}, err
	}
	before, err := t.adHold(ctx, id)
	if before.Resume.Mail.SentAt.IsZero() {
		before.State = restock.AdHoldResuming
	}
	return before, err
}

// beginAdMail notes that a mail is tried, and what it says.
func (t *tx) beginAdMail(ctx context.Context, a adRow, hold restock.AdHoldID, kind restock.AdMailKind, until time.Time) (restock.AdSending, error) {
	a.Facts.TraceParent = restock.TraceParent(adStory(ctx, a))
	facts, err := json.Marshal(a.Facts)
	if err != nil {
		return restock.AdSending{}, err
	}
	before := restock.AdMail{}
	if hold == a.Hold.ID {
		before = a.Hold.Mail(kind)
	}
	if before.Tries > 0 {
		err = t.must(ctx, `UPDATE ad_mails SET tries = tries + 1, tried_at = ?, unsure = 1, facts = CASE WHEN facts = '' THEN ? ELSE facts END
			WHERE hold_id = ? AND kind = ?`, micros(t.now), string(facts), hold, string(kind))
	} else {
		err = t.must(ctx, `INSERT INTO ad_mails (hold_id, kind, due_at, facts, tries, tried_at, unsure) VALUES (?, ?, ?, ?, 1, ?, 1)`,
			hold, string(kind), micros(t.now), string(facts), micros(t.now))
	}
	if err != nil {
		return restock.AdSending{}, err
	}
	sending := restock.AdSending{Kind: kind, Until: until, Unsure: before.Unsure}
	sending.Hold, err = t.adHold(ctx, hold)
	return sending, err
}

// adStory gives a step that no event asked for the trace of the last mail.
func adStory(ctx context.Context, a adRow) context.Context {
	if restock.TraceParent(ctx) != "" {
		return ctx
	}
	last := cmp.Or(a.Hold.Resume.Mail.Facts.TraceParent, a.Hold.Stop.Mail.Facts.TraceParent)
	return restock.WithTraceParent(ctx, last)
}

// adRow is a situation with what only the store needs.
type adRow struct {
	restock.AdSituation
	// What is sold out and stands first.
	product  restock.ProductID
	stockout restock.StockoutID
}

// adOut says of an advertisement a whether it has nothing to sell: one product
// is sold out, and no other can be bought, unless one is enough.
const adOut = `EXISTS (SELECT 1 FROM products p WHERE p.advertisement_id = a.id AND p.stockout_id IS NOT NULL) AND (a.stop_when = 'any'
	OR NOT EXISTS (SELECT 1 FROM products p WHERE p.advertisement_id = a.id AND p.stockout_id IS NULL AND p.on_hand > p.reserved))`

// lockAd locks an advertisement and reads its situation as it is then. Who locks
// an advertisement locks no product, so nobody waits in a circle.
func (t *tx) lockAd(ctx context.Context, id restock.AdvertisementID) (adRow, error) {
	if t.locks {
		var locked restock.AdvertisementID
		err := t.one(ctx, `SELECT id FROM advertisements WHERE id = ?`+t.forUpdate(), []any{id}, &locked)
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return adRow{}, err
		}
		t.now = t.clock() // it may have waited; what it decides, it decides now
	}
	return t.adSituation(ctx, id)
}

// adSituation reads what the next step depends on. The stock is not locked: if
// it crosses zero right after, the event of that brings another look.
func (t *tx) adSituation(ctx context.Context, id restock.AdvertisementID) (adRow, error) {
	a := adRow{AdSituation: restock.AdSituation{Now: t.now}}
	var hold restock.AdHoldID
	err := t.one(ctx, `SELECT a.id, a.name, a.manager_email, a.language, a.stop_when, a.hold_id, a.mailing_until, a.look_at,
			CASE WHEN `+adOut+` THEN 1 ELSE 0 END
		FROM advertisements a WHERE a.id = ?`, []any{id},
		&a.Advertisement.ID, &a.Advertisement.Name, &a.Advertisement.ManagerEmail, &a.Advertisement.Language, &a.Advertisement.StopWhen,
		&hold, instant{&a.MailingUntil}, instant{&a.LookAt}, &a.Out)
	if errors.Is(err, sql.ErrNoRows) {
		return a, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no advertisement %s", id)
	}
	if err != nil {
		return a, err
	}
	if !hold.IsZero() {
		if a.Hold, err = t.adHold(ctx, hold); err != nil {
			return a, err
		}
	}
	return a, t.adFacts(ctx, &a)
}

// adFacts reads what a mail would say now: what is sold out, or what came back
// since the last hold began. On a server the stock may have changed since the
// situation was read; what is read last counts.
func (t *tx) adFacts(ctx context.Context, a *adRow) error {
	a.Facts = restock.AdFacts{Name: cutName(a.Advertisement.Name), Language: a.Advertisement.Language}
	if a.Out {
		if err := t.adGone(ctx, a); err != nil {
			return err
		}
		a.Out = len(a.Facts.Products) > 0
	}
	if a.Out || a.Hold.ID.IsZero() {
		return nil
	}
	return t.adBack(ctx, a)
}

func (t *tx) adGone(ctx context.Context, a *adRow) error {
	const out = ` FROM products p JOIN stockouts s ON s.id = p.stockout_id WHERE p.advertisement_id = ?`
	if err := t.one(ctx, `SELECT COUNT(*)`+out, []any{a.Advertisement.ID}, &a.Facts.Total); err != nil {
		return err
	}
	var err error
	a.Facts.Products, err = collect(ctx, t, `SELECT p.id, s.id, p.sku, p.name, s.opened_at, p.on_order,
			(SELECT MIN(o.expected_at) FROM replenishment_orders o WHERE o.product_id = p.id AND o.outstanding > 0)`+out+
		` ORDER BY s.opened_at, p.sku LIMIT ?`, []any{a.Advertisement.ID, restock.AdProductsMax}, func(rows *sql.Rows) (restock.AdProduct, error) {
		var p restock.AdProduct
		var product restock.ProductID
		var stockout restock.StockoutID
		err := rows.Scan(&product, &stockout, &p.SKU, &p.Name, instant{&p.Since}, &p.OnOrder, instant{&p.ExpectedAt})
		if a.product.IsZero() {
			a.product, a.stockout = product, stockout
		}
		p.Name = cutName(p.Name)
		return p, err
	})
	a.countFacts()
	return err
}

// countFacts: on a server the number and the list may be of two moments, and the
// list is what a mail shows. Only of a list that was cut the number says more.
func (a *adRow) countFacts() {
	n := len(a.Facts.Products)
	if n < restock.AdProductsMax || a.Facts.Total < n {
		a.Facts.Total = n
	}
}

func (t *tx) adBack(ctx context.Context, a *adRow) error {
	const back = ` FROM products p JOIN stockouts s ON s.product_id = p.id
		WHERE p.advertisement_id = ? AND p.stockout_id IS NULL AND s.closed_at >= ?`
	args := []any{a.Advertisement.ID, micros(a.Hold.BegunAt)}
	if err := t.one(ctx, `SELECT COUNT(DISTINCT p.id)`+back, args, &a.Facts.Total); err != nil {
		return err
	}
	if err := t.adProductsBack(ctx, a, back, args); err != nil || len(a.Facts.Products) > 0 {
		return err
	}
	// The clocks of two processes, or two acts at once, can end the stockout with
	// which the hold began before it began.
	return t.adProductsBack(ctx, a, ` FROM products p JOIN stockouts s ON s.product_id = p.id
		WHERE p.advertisement_id = ? AND p.stockout_id IS NULL AND s.id = ?`, []any{a.Advertisement.ID, a.Hold.StockoutID})
}

func (t *tx) adProductsBack(ctx context.Context, a *adRow, back string, args []any) (err error) {
	a.Facts.Products, err = collect(ctx, t, `SELECT p.sku, p.name, MAX(s.closed_at)`+back+` GROUP BY p.sku, p.name ORDER BY MAX(s.closed_at), p.sku LIMIT ?`,
		append(args, restock.AdProductsMax), func(rows *sql.Rows) (restock.AdProduct, error) {
			var p restock.AdProduct
			err := rows.Scan(&p.SKU, &p.Name, instant{&p.Since})
			p.Name = cutName(p.Name)
			return p, err
		})
	a.countFacts()
	return err
}

// cutName keeps what is written down of a name short; a mail shows less.
func cutName(name string) string {
	if runes := []rune(name); len(runes) > restock.AdNameRunesMax {
		return string(runes[:restock.AdNameRunesMax-1]) + "…"
	}
	return name
}

const adHoldColumns = `h.id, a.id, a.name, a.manager_email, a.language, a.stop_when, h.state, h.product_id, p.sku, h.stockout_id, h.created_at,
	h.stop_acknowledged_at, h.stop_acknowledged_by, h.resume_acknowledged_at, h.resume_acknowledged_by, h.escalated_at`

const adHoldTables = ` FROM ad_holds h JOIN advertisements a ON a.id = h.advertisement_id JOIN products p ON p.id = h.product_id`

func scanAdHold(rows *sql.Rows) (restock.AdHold, error) {
	var h restock.AdHold
	err := rows.Scan(&h.ID, &h.Advertisement.ID, &h.Advertisement.Name, &h.Advertisement.ManagerEmail, &h.Advertisement.Language,
		&h.Advertisement.StopWhen, &h.State, &h.ProductID, &h.SKU, &h.StockoutID, instant{&h.BegunAt},
		instant{&h.Stop.AcknowledgedAt}, &h.Stop.AcknowledgedBy, instant{&h.Resume.AcknowledgedAt}, &h.Resume.AcknowledgedBy,
		instant{&h.EscalatedAt})
	return h, err
}

// adHold reads a hold with its mails.
func (t *tx) adHold(ctx context.Context, id restock.AdHoldID) (restock.AdHold, error) {
	found, err := collect(ctx, t, `SELECT `+adHoldColumns+adHoldTables+` WHERE h.id = ?`, []any{id}, scanAdHold)
	if err != nil {
		return restock.AdHold{}, err
	}
	if len(found) == 0 {
		return restock.AdHold{}, restock.Errorf(restock.NotFound, restock.CodeNotFound, "there is no ad hold %s; `restock ads list` shows all", id)
	}
	return found[0], t.adMails(ctx, &found[0])
}

func (t *tx) adMails(ctx context.Context, h *restock.AdHold) error {
	_, err := collect(ctx, t, `SELECT kind, due_at, facts, tries, tried_at, unsure, sent_at FROM ad_mails WHERE hold_id = ?`, []any{h.ID},
		func(rows *sql.Rows) (restock.AdMailKind, error) {
			var (
				kind  restock.AdMailKind
				m     restock.AdMail
				facts string
			)
			if err := rows.Scan(&kind, instant{&m.DueAt}, &facts, &m.Tries, instant{&m.TriedAt}, &m.Unsure, instant{&m.SentAt}); err != nil {
				return kind, err
			}
			if facts != "" {
				if err := json.Unmarshal([]byte(facts), &m.Facts); err != nil {
					return kind, fmt.Errorf("the facts of mail %s of hold %s: %w", kind, h.ID, err)
				}
			}
			q := &h.Stop
			if kind.Ask() == restock.AskResume {
				q = &h.Resume
			}
			if kind.Reminder() {
				q.Reminder = m
			} else {
				q.Mail = m
			}
			return kind, nil
		})
	return err
}
