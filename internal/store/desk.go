package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/restock/restock"
	"github.com/restock/restock/internal/queue/driver"
)

// deadScanMax bounds the dead letters that are judged for one page of a
// filtered list: whether they still matter is in no column, so it has to look.
const deadScanMax = 500

// DeadLetters lists dead letters, the longest dead first, each with what it is
// about and a verdict whether it still matters, all from one snapshot. decide is
// what the handlers would decide by.
func (s *Store) DeadLetters(ctx context.Context, q restock.DeadQuery, decide restock.Deciders,
) ([]restock.DeadLetter, string, error) {
	if q.Limit <= 0 {
		q.Limit = listLimit
	}
	var (
		letters []restock.DeadLetter
		next    string
	)
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		letters, next, err = s.judge(tx, decide).page(ctx, q)
		return deskError(err)
	})
	return letters, next, err
}

// DeadLetter gives one dead letter whole. With queue "" the id alone has to say
// which is meant. The error is of kind NotFound or Invalid when it does not.
func (s *Store) DeadLetter(ctx context.Context, queue string, id restock.EventID, decide restock.Deciders,
) (restock.DeadLetter, error) {
	var letter restock.DeadLetter
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		l, err := tx.queue.Desk(tx).DeadLetter(ctx, queue, driver.ID(id))
		if err != nil {
			return deskError(err)
		}
		letter, err = s.judge(tx, decide).letter(ctx, l)
		return err
	})
	return letter, err
}

// LatestDeath is when the last of all dead letters died, zero when there is
// none. Who walks the list that far meets none that dies again meanwhile.
func (s *Store) LatestDeath(ctx context.Context) (time.Time, error) {
	var at time.Time
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		at, err = tx.queue.Desk(tx).LatestDeath(ctx)
		return err
	})
	return at, err
}

// RedriveDeadLetter puts a dead letter back on its queue, as if it had never
// been received. The error is of kind Conflict when it is not dead now, or when
// it is stale and that was not meant.
func (s *Store) RedriveDeadLetter(ctx context.Context, queue string, id restock.EventID, r restock.Redrive,
	decide restock.Deciders,
) (restock.DeadLetter, error) {
	return s.settleDead(ctx, queue, id, r.Act, "dead.redrive", decide, func(ctx context.Context, tx *tx, l restock.DeadLetter) (bool, error) {
		if l.Verdict.Needed == restock.NeedStale && !r.Stale {
			return false, restock.Errorf(restock.Conflict, restock.CodeConflict,
				`message %s is not needed any more: %s; to redrive it all the same say so, with --include-stale or "stale": true`,
				id, l.Verdict.Reason)
		}
		_, done, err := tx.queue.Desk(tx).Redrive(ctx, l.Queue, driver.ID(id))
		tx.published = append(tx.published, l.Queue)
		return done, err
	})
}

// DiscardDeadLetter gives a dead letter up; it stays in the database with the
// reason. The error is of kind Conflict when it is not dead now, or when it
// must be stale and is not.
func (s *Store) DiscardDeadLetter(ctx context.Context, queue string, id restock.EventID, d restock.Discard,
	decide restock.Deciders,
) (restock.DeadLetter, error) {
	return s.settleDead(ctx, queue, id, d.Act, "dead.discard", decide, func(ctx context.Context, tx *tx, l restock.DeadLetter) (bool, error) {
		if d.OnlyStale && l.Verdict.Needed != restock.NeedStale {
			return false, restock.Errorf(restock.Conflict, restock.CodeConflict, "message %s is not stale: %s", id, l.Verdict.Reason)
		}
		_, done, err := tx.queue.Desk(tx).Discard(ctx, l.Queue, driver.ID(id), d.Reason)
		return done, err
	})
}

// settleDead does what a person decided about a dead letter, and notes in the
// same transaction who did it and what the verdict was.
func (s *Store) settleDead(ctx context.Context, queue string, id restock.EventID, act restock.Act, action string,
	decide restock.Deciders, do func(context.Context, *tx, restock.DeadLetter) (bool, error),
) (restock.DeadLetter, error) {
	var letter restock.DeadLetter
	err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		l, err := tx.queue.Desk(tx).DeadLetter(ctx, queue, driver.ID(id))
		if errors.Is(err, driver.ErrNotDead) {
			return notDead(id)
		}
		if err != nil {
			return deskError(err)
		}
		j := s.judge(tx, decide)
		if err := j.lock(ctx, l); err != nil {
			return err
		}
		if letter, err = j.letter(ctx, l); err != nil {
			return err
		}
		done, err := do(ctx, tx, letter)
		if err != nil {
			return err
		}
		if !done {
			return notDead(id)
		}
		return tx.audit(ctx, act, action, id.String(), letter.ProductID,
			fmt.Sprintf("%s on %s; %s: %s", letter.Type, letter.Queue, letter.Verdict.Needed, letter.Verdict.Reason))
	})
	return letter, err
}

// lock locks the product that a letter is about, so that what is said of it is
// still so when the letter is settled.
func (j *judge) lock(ctx context.Context, l driver.DeadLetter) error {
	var data restock.EventData
	if json.Unmarshal(l.Body, &data) != nil {
		data = restock.EventData{}
	}
	about, err := j.subject(ctx, data, l.Subject)
	if err != nil || about.id.IsZero() {
		return err
	}
	_, err = j.tx.lockOne(ctx, about.id)
	return err
}

func notDead(id restock.EventID) error {
	return restock.Errorf(restock.Conflict, restock.CodeConflict, "message %s is not a dead letter now; somebody may have dealt with it", id)
}

// deskError gives the desk's answers their meaning.
func deskError(err error) error {
	switch {
	case errors.Is(err, driver.ErrNotFound):
		return &restock.Error{
			Kind: restock.NotFound, Code: restock.CodeNotFound, Err: err,
			Message: "there is no such dead letter; `restock dead list` shows all",
		}
	case errors.Is(err, driver.ErrAmbiguous), errors.Is(err, driver.ErrCursor):
		return &restock.Error{Kind: restock.Invalid, Code: restock.CodeInvalid, Message: err.Error()}
	}
	return err
}

// judge says of dead letters whether they still matter, at the one moment of its
// transaction. What it found out about one serves for all others like it.
type judge struct {
	tx       *tx
	day      time.Time // when this day began
	decide   restock.Deciders
	verdicts map[cause]restock.NeedVerdict
	products map[restock.ProductID]subject
}

// cause is what a handler looks at in a message: equal causes get one verdict.
type cause struct {
	typ      restock.EventType
	product  restock.ProductID
	stockout restock.StockoutID
	order    restock.OrderID
	receipt  restock.ReceiptID
	ad       restock.AdvertisementID
}

// subject is the product that a message is about.
type subject struct {
	id   restock.ProductID
	sku  restock.SKU
	name string
}

func (s *Store) judge(t *tx, decide restock.Deciders) *judge {
	return &judge{
		tx: t, day: s.dayBegan(t.now), decide: decide,
		verdicts: map[cause]restock.NeedVerdict{}, products: map[restock.ProductID]subject{},
	}
}

// page judges letters until a page is full, deadScanMax were looked at, or there
// is no other.
func (j *judge) page(ctx context.Context, q restock.DeadQuery) ([]restock.DeadLetter, string, error) {
	f, err := j.filter(ctx, q)
	if err != nil {
		return nil, "", err
	}
	most := q.Limit
	if q.Needed != "" || q.Error != "" {
		most = deadScanMax
	}
	var letters []restock.DeadLetter
	for looked := 0; ; {
		f.Limit = min(q.Limit-len(letters), most-looked)
		found, next, err := j.tx.queue.Desk(j.tx).DeadLetters(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, l := range found {
			letter, err := j.letter(ctx, l)
			if err != nil {
				return nil, "", err
			}
			letter.Body, letter.BodyEncoding = nil, ""
			if selects(q, letter) {
				letters = append(letters, letter)
			}
		}
		looked += len(found)
		f.After = next
		if next == "" || len(letters) >= q.Limit || looked >= most {
			return letters, next, nil
		}
	}
}

// filter is the part of a query that is in columns.
func (j *judge) filter(ctx context.Context, q restock.DeadQuery) (driver.Filter, error) {
	f := driver.Filter{Queue: q.Queue, Type: q.Type, Until: q.Until, After: q.After, Bodies: true}
	if q.Product == "" {
		return f, nil
	}
	id, err := j.tx.productID(ctx, q.Product)
	if err != nil {
		return f, err
	}
	p, err := j.tx.product(ctx, id)
	f.Subject = string(p.SKU) // as in every event about it
	return f, err
}

func selects(q restock.DeadQuery, l restock.DeadLetter) bool {
	return (q.Needed == "" || l.Verdict.Needed == q.Needed) &&
		strings.Contains(strings.ToLower(l.LastError), strings.ToLower(q.Error))
}

// letter adds to a dead letter what the shop knows of it today.
func (j *judge) letter(ctx context.Context, l driver.DeadLetter) (restock.DeadLetter, error) {
	letter := restock.DeadLetter{
		MessageID: restock.EventID(l.MessageID), Queue: l.Queue, DeadLetterQueue: l.DeadLetterQueue, Type: l.Type, Subject: l.Subject,
		TraceParent: l.TraceParent, Receives: l.Receives, LastError: l.LastError, CreatedAt: l.CreatedAt, DeadAt: l.DeadAt,
		FirstFailedAt: l.FirstFailedAt, LastFailedAt: l.LastFailedAt, Body: l.Body, BodyEncoding: string(l.BodyEncoding),
	}
	for _, f := range l.Failures {
		letter.Failures = append(letter.Failures, restock.DeliveryFailure(f))
	}
	var data restock.EventData
	unreadable := json.Unmarshal(l.Body, &data)
	if unreadable != nil {
		data = restock.EventData{}
	}
	about, err := j.subject(ctx, data, l.Subject)
	if err != nil {
		return letter, err
	}
	letter.ProductID, letter.SKU, letter.Product = about.id, about.sku, about.name
	letter.OrderID, letter.ReceiptID, letter.StockoutID = data.OrderID, data.ReceiptID, data.StockoutID
	letter.Verdict, err = j.verdict(ctx, letter, data, unreadable)
	return letter, err
}

// subject finds the product that a message is about, by its id or its SKU.
func (j *judge) subject(ctx context.Context, data restock.EventData, sku string) (subject, error) {
	query, arg := `SELECT id, sku, name FROM products WHERE sku = ?`, any(sku)
	if !data.ProductID.IsZero() {
		if known, ok := j.products[data.ProductID]; ok {
			return known, nil
		}
		query, arg = `SELECT id, sku, name FROM products WHERE id = ?`, data.ProductID
	}
	var found subject
	err := j.tx.one(ctx, query, []any{arg}, &found.id, &found.sku, &found.name)
	if errors.Is(err, sql.ErrNoRows) {
		return subject{sku: data.SKU}, nil
	}
	if err == nil {
		j.products[found.id] = found
	}
	return found, err
}

// verdict says whether a letter still matters. What its handler would give up at
// once is unknown.
func (j *judge) verdict(ctx context.Context, l restock.DeadLetter, data restock.EventData, unreadable error) (restock.NeedVerdict, error) {
	if strings.HasPrefix(l.Queue, restock.WebhookQueuePrefix) {
		return needed(true, "the receiver of this webhook did not get it"), nil
	}
	typ := restock.EventType(l.Type)
	queue, known := typ.Queue()
	switch {
	case !known:
		return unknown("messages of type %q are not known here; a newer restock may know them", l.Type), nil
	case l.Queue != queue && slices.Contains(restock.Queues(), l.Queue):
		return unknown("%s has no handler for %s", l.Queue, l.Type), nil
	case unreadable != nil:
		return unknown("the body cannot be read: %v", unreadable), nil
	case data.Version != restock.EventVersion:
		return unknown("version %d of %s is not known here; a newer restock may know it", data.Version, l.Type), nil
	}
	why := cause{typ: typ, product: data.ProductID, stockout: data.StockoutID, order: data.OrderID, receipt: data.ReceiptID, ad: data.AdvertisementID}
	if v, ok := j.verdicts[why]; ok {
		return v, nil
	}
	v, err := j.present(ctx, why)
	if e, ok := errors.AsType[*restock.Error](err); ok && e.Kind == restock.NotFound {
		v, err = unknown("%s", e.Message), nil
	}
	if err == nil {
		j.verdicts[why] = v
	}
	return v, err
}

// present holds a cause against what is true now, as its handler does.
func (j *judge) present(ctx context.Context, c cause) (restock.NeedVerdict, error) {
	switch c.typ {
	case restock.StockLow:
		return j.low(ctx, c.product)
	case restock.StockOut, restock.StockBack:
		ads, none, err := j.tx.advertisementsOf(ctx, c.typ, c.stockout)
		if err != nil || len(ads) == 0 {
			return needed(false, none), err
		}
		return j.ads(ctx, ads...)
	case restock.AdDue:
		return j.ads(ctx, c.ad)
	case restock.OrderHeldFor:
		return j.told(ctx, restock.ProblemOrderHeld, "order", c.order.String(), c.order)
	case restock.OrderAwaiting:
		return j.told(ctx, restock.ProblemAwaiting, "order", c.order.String(), c.order)
	case restock.OrderLate:
		return j.told(ctx, restock.ProblemOrderLate, "order", c.order.String(), c.order)
	case restock.ReceiptKept:
		return j.told(ctx, restock.ProblemReceiptHeld, "receipt", c.receipt.String(), c.receipt)
	}
	return unknown("nothing is known of %s", c.typ), nil
}

// ads says whether the handler would do something about one of these
// advertisements, whatever the message is about: it tells what is true.
func (j *judge) ads(ctx context.Context, ads ...restock.AdvertisementID) (restock.NeedVerdict, error) {
	var verdict restock.NeedVerdict
	for _, id := range ads {
		a, err := j.tx.adSituation(ctx, id)
		if err != nil {
			return verdict, err
		}
		if j.decide.Ad == nil {
			return unknown("this process does not decide about advertisements; ask one that does"), nil
		}
		turn := j.decide.Ad(a.AdSituation)
		if turn.State == restock.AdHoldWithdrawn { // then the hold before goes on
			if a.Hold, err = j.tx.holdBefore(ctx, a); err != nil {
				return verdict, err
			}
			turn = j.decide.Ad(a.AdSituation)
		}
		if verdict = adVerdict(a.AdSituation, turn); verdict.Needed != restock.NeedStale {
			break
		}
	}
	return verdict, nil
}

func adVerdict(a restock.AdSituation, turn restock.AdTurn) restock.NeedVerdict {
	untold, why := a.Untold()
	switch {
	case turn.Wait:
		return unknown("a mail to its manager is on its way")
	case turn.Send != "" && untold:
		return needed(true, why)
	case turn.Send != "":
		return needed(true, "its manager does not answer, and a reminder is due")
	case turn.Escalate:
		return needed(true, "its manager does not answer, and operations have to hear of it")
	case untold:
		return needed(false, fmt.Sprintf("%s; that is held back until %s", why, turn.LookAt.Format(time.RFC3339)))
	}
	return needed(false, why)
}

// low asks what would be ordered of a product now.
func (j *judge) low(ctx context.Context, id restock.ProductID) (restock.NeedVerdict, error) {
	if j.decide.Order == nil {
		return unknown("this process does not decide about orders; ask one that does"), nil
	}
	p, err := j.tx.product(ctx, id)
	if err != nil {
		return restock.NeedVerdict{}, err
	}
	situation, _, err := j.tx.situation(ctx, p, j.day, nil)
	if err != nil {
		return restock.NeedVerdict{}, err
	}
	d := j.decide.Order(situation)
	// The position is above the reorder point most often because of an order.
	if open := situation.OpenOrders; !d.Order && len(open) > 0 && !strings.Contains(d.Reason, open[0].String()) {
		d.Reason += fmt.Sprintf("; order %s is open", open[0])
	}
	return needed(d.Order, d.Reason), nil
}

// told says whether there is still something to tell of an order or a receipt.
func (j *judge) told(ctx context.Context, kind restock.ProblemKind, thing, name string, id any) (restock.NeedVerdict, error) {
	src := problemSourceOf(kind)
	var (
		state               string
		problem, told       bool
		byPerson            bool      // who knows without a mail
		madeAt, confirmedAt time.Time // of the mail that tells; zero when it is not kept any more
	)
	err := j.tx.one(ctx, `SELECT t.state, CASE WHEN `+src.where+` THEN 1 ELSE 0 END, CASE WHEN t.told_in IS NULL THEN 0 ELSE 1 END,
			CASE WHEN t.told_in = t.id THEN 1 ELSE 0 END, d.created_at, d.sent_at
		FROM `+src.table+` t LEFT JOIN digests d ON d.id = t.told_in WHERE t.id = ?`, []any{id},
		&state, &problem, &told, &byPerson, instant{&madeAt}, instant{&confirmedAt})
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return unknown("there is no %s %s", thing, name), nil
	case err != nil:
		return restock.NeedVerdict{}, err
	case !problem:
		return needed(false, fmt.Sprintf("the %s is %s now", thing, state)), nil
	case !told:
		return needed(true, fmt.Sprintf("the %s is %s, and nobody was told", thing, state)), nil
	case byPerson:
		return needed(false, fmt.Sprintf("the %s is %s because a person decided so", thing, state)), nil
	case !madeAt.IsZero() && confirmedAt.IsZero():
		return needed(true, fmt.Sprintf("the %s is %s, and the mail that tells so was not confirmed", thing, state)), nil
	case src.daily && !madeAt.After(j.tx.now.Add(-restock.ToldAgainAfter)):
		return needed(true, fmt.Sprintf("the %s is still %s, and has to be told again", thing, state)), nil
	case madeAt.IsZero():
		return needed(false, fmt.Sprintf("the mail that the %s is %s was sent so long ago that it is not kept", thing, state)), nil
	}
	return needed(false, fmt.Sprintf("the mail that the %s is %s was sent at %s", thing, state, confirmedAt.Format(time.RFC3339))), nil
}

// problemSourceOf gives the source of one kind of problem.
func problemSourceOf(kind restock.ProblemKind) problemSource {
	all := append(problemSources(), awaitingSource())
	return all[slices.IndexFunc(all, func(p problemSource) bool { return p.kind == kind })]
}

func needed(due bool, reason string) restock.NeedVerdict {
	if due {
		return restock.NeedVerdict{Needed: restock.NeedNeeded, Reason: reason}
	}
	return restock.NeedVerdict{Needed: restock.NeedStale, Reason: reason}
}

func unknown(format string, args ...any) restock.NeedVerdict {
	return restock.NeedVerdict{Needed: restock.NeedUnknown, Reason: fmt.Sprintf(format, args...)}
}
