package store

import (
	"bytes"
	"cmp"
	"context"
	"database/sql"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// What the dashboard reads. Each query finds its rows by an index and stops at
// a bound, so that a page costs the same in a shop of any size.

// The limits of what one page reads.
const (
	// searchLooksMax bounds the products that one word of a search may name, and
	// searchJoinsMax those that are held against the other words.
	searchLooksMax = 100
	searchJoinsMax = 500
	// messagesCounted bounds the messages of one queue that are counted, and
	// messagesLookedAt those whose age is asked for.
	messagesCounted  = 10_000
	messagesLookedAt = 200
	// slotMin is below every slot that an open order can have; closed ones have none.
	slotMin = -1_000_000
)

// Overview counts what is going on, as far as it is bounded.
func (s *Store) Overview(ctx context.Context) (restock.Overview, error) {
	o := restock.Overview{Products: map[restock.Urgency]int64{}}
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		for _, u := range restock.Urgencies() {
			n, err := tx.bounded(ctx, restock.ProductCountMax, `products WHERE urgency = ?`, int(u))
			if err != nil {
				return err
			}
			o.Products[u] = n
		}
		for _, c := range []struct {
			n    *int64
			from string
		}{
			{&o.Awaiting, `replenishment_orders WHERE state = 'awaiting_approval'`},
			{&o.HeldOrders, `replenishment_orders WHERE state = 'held'`},
			{&o.OverdueOrders, `replenishment_orders WHERE state = 'overdue'`},
			{&o.DeadLetters, `queue_deliveries WHERE state = 'dead' AND dead_at > 0`},
			{&o.HeldReceipts, `receipts WHERE state = 'held'`},
			{&o.HeldReceipts, `receipts WHERE state = 'applied' AND held > 0`},
			{&o.DigestsWaiting, `digests WHERE sent_at IS NULL AND created_at > 0`},
			{&o.DigestsWaiting, `digests WHERE copied_at IS NULL AND created_at > 0`},
		} {
			n, err := tx.bounded(ctx, restock.CountMax, c.from)
			if err != nil {
				return err
			}
			*c.n += n
		}
		var err error
		if o.AdHolds, err = tx.bounded(ctx, restock.CountMax, `ad_holds WHERE slot = 1`); err != nil {
			return err
		}
		if o.Incidents, err = collect(ctx, tx, `SELECT id, kind, subject, detail, began_at, seen_at FROM incidents WHERE open_key > '' ORDER BY open_key LIMIT ?`,
			[]any{restock.IncidentsShown}, func(rows *sql.Rows) (restock.Incident, error) {
				var i restock.Incident
				err := rows.Scan(&i.ID, &i.Kind, &i.Subject, &i.Detail, instant{&i.BeganAt}, instant{&i.SeenAt})
				return i, err
			}); err != nil {
			return err
		}
		o.OrderingPaused, err = tx.setting(ctx, settingOrderingPaused)
		return err
	})
	return o, err
}

// bounded counts rows up to most.
func (t *tx) bounded(ctx context.Context, most int, from string, args ...any) (int64, error) {
	var n int64
	err := t.one(ctx, `SELECT COUNT(*) FROM (SELECT 1 AS one FROM `+from+` LIMIT ?) counted`, append(args, most), &n)
	return n, err
}

// ProductsByUrgency lists products, the most urgent first, and by SKU among
// those that are equally urgent. The error is of kind Invalid when the cursor is
// not one of this list.
func (s *Store) ProductsByUrgency(ctx context.Context, q restock.UrgencyQuery) ([]restock.ProductRow, string, error) {
	if q.Limit <= 0 {
		q.Limit = listLimit
	}
	from, sku, err := parseUrgencyCursor(q.After)
	if err != nil {
		return nil, "", err
	}
	var rows []restock.ProductRow
	err = s.view(ctx, func(ctx context.Context, tx *tx) error {
		rows = nil
		for _, u := range restock.Urgencies() {
			if u < from || (q.Only != nil && *q.Only != u) || len(rows) > q.Limit {
				continue
			}
			after := ""
			if u == from {
				after = sku
			}
			found, err := collect(ctx, tx, `SELECT `+productColumns+` FROM products WHERE urgency = ? AND sku > ? ORDER BY sku LIMIT ?`,
				[]any{int(u), after, q.Limit + 1 - len(rows)}, scanProductRow)
			if err != nil {
				return err
			}
			rows = append(rows, found...)
		}
		return tx.addOpenOrders(ctx, rows)
	})
	if err != nil || len(rows) <= q.Limit {
		return rows, "", err
	}
	rows = rows[:q.Limit]
	last := rows[q.Limit-1]
	return rows, strconv.Itoa(int(last.Urgency())) + "." + string(last.SKU), nil
}

// parseUrgencyCursor reads after which urgency and SKU a page begins.
func parseUrgencyCursor(cursor string) (restock.Urgency, string, error) {
	if cursor == "" {
		return 0, "", nil
	}
	rank, sku, ok := strings.Cut(cursor, ".")
	n, err := strconv.Atoi(rank)
	if !ok || err != nil || restock.Urgency(n).String() == "" {
		return 0, "", restock.Errorf(restock.Invalid, restock.CodeInvalid, "after: %q is no place in the list of products", cursor)
	}
	return restock.Urgency(n), sku, nil
}

func scanProductRow(rows *sql.Rows) (restock.ProductRow, error) {
	p, err := scanProduct(rows)
	return restock.ProductRow{Product: p}, err
}

// addOpenOrders reads the open orders of products that have any.
func (t *tx) addOpenOrders(ctx context.Context, rows []restock.ProductRow) error {
	at := map[restock.ProductID]int{}
	var args []any
	for i, r := range rows {
		if r.Stock.OnOrder > 0 {
			at[r.ID] = i
			args = append(args, r.ID)
		}
	}
	if len(args) == 0 {
		return nil
	}
	type open struct {
		product restock.ProductID
		restock.OpenOrder
	}
	// Only open orders have a slot, and the index of slots finds them.
	found, err := collect(ctx, t, `SELECT product_id, id, state, outstanding, expected_at FROM replenishment_orders
		WHERE product_id IN (?`+strings.Repeat(`, ?`, len(args)-1)+`) AND slot > ?`, append(args, slotMin),
		func(rows *sql.Rows) (open, error) {
			var o open
			err := rows.Scan(&o.product, &o.ID, &o.State, &o.Outstanding, instant{&o.ExpectedAt})
			return o, err
		})
	for _, o := range found {
		row := &rows[at[o.product]]
		row.Open = append(row.Open, o.OpenOrder)
	}
	for i := range rows {
		slices.SortFunc(rows[i].Open, func(a, b restock.OpenOrder) int {
			if a.ExpectedAt.IsZero() != b.ExpectedAt.IsZero() {
				return b.ExpectedAt.Compare(a.ExpectedAt) // what is expected stands before what is not
			}
			return a.ExpectedAt.Compare(b.ExpectedAt)
		})
	}
	return err
}

// SearchProducts finds products by the beginnings of words in their SKU, slug
// and name, the most urgent first. A product has to have all words.
func (s *Store) SearchProducts(ctx context.Context, text string, limit int) (restock.Found, error) {
	words := splitWords(text)
	words = words[:min(len(words), wordsSearched)]
	if len(words) == 0 {
		return restock.Found{}, nil
	}
	var found restock.Found
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		word, most, err := tx.rarest(ctx, words)
		if err != nil {
			return err
		}
		rows, err := collect(ctx, tx, `SELECT `+productColumns+` FROM products WHERE id IN (
				SELECT product_id FROM (SELECT DISTINCT product_id FROM product_words WHERE word >= ? AND word < ? LIMIT ?) w)`,
			[]any{word, wordEnd(word), most}, scanProductRow)
		if err != nil {
			return err
		}
		found = restock.Found{More: len(rows) == most}
		for _, r := range rows {
			if hasWords(nameWords(r.SKU, r.Slug, r.Name), words) {
				found.Rows = append(found.Rows, r)
			}
		}
		slices.SortFunc(found.Rows, func(a, b restock.ProductRow) int {
			if a.Urgency() != b.Urgency() {
				return int(a.Urgency() - b.Urgency())
			}
			return strings.Compare(string(a.SKU), string(b.SKU))
		})
		if len(found.Rows) > limit {
			found.Rows, found.More = found.Rows[:limit], true
		}
		return tx.addOpenOrders(ctx, found.Rows)
	})
	return found, err
}

// wordsSearched bounds the words of one search.
const wordsSearched = 6

// rarest gives the word of a search that names the fewest products, and how many
// of them to look at.
func (t *tx) rarest(ctx context.Context, words []string) (string, int, error) {
	if len(words) == 1 {
		return words[0], searchLooksMax, nil
	}
	rarest, least := "", int64(searchLooksMax+1)
	for _, word := range words {
		n, err := t.bounded(ctx, searchLooksMax, `product_words WHERE word >= ? AND word < ?`, word, wordEnd(word))
		if err != nil {
			return "", 0, err
		}
		if n < least {
			rarest, least = word, n
		}
	}
	return rarest, searchJoinsMax, nil
}

// wordEnd is above all words that begin as this one.
func wordEnd(word string) string { return word + "\U0010FFFF" }

// hasWords reports whether each word that was searched for begins one of words.
func hasWords(words, searched []string) bool {
	for _, s := range searched {
		if !slices.ContainsFunc(words, func(w string) bool { return strings.HasPrefix(w, s) }) {
			return false
		}
	}
	return true
}

// OrdersInFull lists orders with their attempts and receipts, newest first.
func (s *Store) OrdersInFull(ctx context.Context, q restock.ListQuery) ([]restock.Order, string, error) {
	orders, next, err := s.Orders(ctx, q)
	if err != nil {
		return nil, "", err
	}
	return orders, next, s.view(ctx, func(ctx context.Context, tx *tx) error {
		for i := range orders {
			var err error
			if orders[i].Attempts, err = tx.attempts(ctx, orders[i].ID); err != nil {
				return err
			}
			if orders[i].Receipts, err = tx.receiptsOf(ctx, orders[i].ID); err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *tx) receiptsOf(ctx context.Context, id restock.OrderID) ([]restock.Receipt, error) {
	return collect(ctx, t, `SELECT `+receiptColumns+receiptTables+` WHERE r.order_id = ? ORDER BY r.id`, []any{id}, scanReceipt)
}

// HeldReceipts lists receipts of which something waits for a person, newest
// first: those that are held, and what was left over of those that were applied.
func (s *Store) HeldReceipts(ctx context.Context, q restock.ListQuery) ([]restock.Receipt, string, error) {
	held := func(which string) ([]restock.Receipt, error) {
		found, _, err := page(ctx, s, `SELECT `+receiptColumns+receiptTables, `r.id DESC`, restock.ListQuery{After: q.After, Limit: q.Limit},
			scanReceipt, func(r restock.Receipt) string { return r.ID.String() },
			func(ctx context.Context, tx *tx, l *list) error {
				l.and(which)
				return narrowBy(restock.ListQuery{After: q.After}, `r.id`, ``, ``)(ctx, tx, l)
			})
		return found, err
	}
	// Each half may fill the page; one more than asked for tells of another page.
	limit := q.Limit
	q.Limit++
	whole, err := held(`r.state = 'held'`)
	if err != nil {
		return nil, "", err
	}
	rest, err := held(`r.state = 'applied' AND r.held > 0`)
	if err != nil {
		return nil, "", err
	}
	all := slices.Concat(whole, rest)
	slices.SortFunc(all, func(a, b restock.Receipt) int { return slices.Compare(b.ID[:], a.ID[:]) })
	if len(all) <= limit {
		return all, "", nil
	}
	return all[:limit], all[limit-1].ID.String(), nil
}

// QueueDepths tells what lies on the queues of this database, sorted by name.
func (s *Store) QueueDepths(ctx context.Context) ([]restock.QueueDepth, error) {
	var depths []restock.QueueDepth
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		names, err := collect(ctx, tx, `SELECT queue FROM queue_totals ORDER BY queue`, nil, func(rows *sql.Rows) (string, error) {
			var name string
			err := rows.Scan(&name)
			return name, err
		})
		if err != nil {
			return err
		}
		for _, name := range restock.Queues() {
			if !slices.Contains(names, name) {
				names = append(names, name) // nothing was ever on it
			}
		}
		slices.Sort(names)
		dead, err := tx.counts(ctx, `SELECT queue, COUNT(*) FROM (SELECT queue FROM queue_deliveries WHERE state = 'dead' AND dead_at > 0
			LIMIT `+strconv.Itoa(messagesCounted)+`) dead GROUP BY queue`)
		if err != nil {
			return err
		}
		depths = make([]restock.QueueDepth, len(names))
		for i, name := range names {
			if depths[i], err = tx.queueDepth(ctx, name); err != nil {
				return err
			}
			depths[i].Dead = dead[name]
		}
		return nil
	})
	return depths, err
}

// queueDepth looks at the messages that come next for what is in flight and how
// old they are, and counts the others.
func (t *tx) queueDepth(ctx context.Context, name string) (restock.QueueDepth, error) {
	d := restock.QueueDepth{Queue: name}
	var all int64
	if err := t.one(ctx, `SELECT COUNT(*) FROM (SELECT 1 AS one FROM queue_deliveries WHERE queue = ? AND state = 'waiting' LIMIT ?) w`,
		[]any{name, messagesCounted}, &all); err != nil || all == 0 {
		return d, err
	}
	err := t.one(ctx, `SELECT COALESCE(SUM(CASE WHEN claimed = 1 AND visible_at > ? THEN 1 ELSE 0 END), 0), MIN(created_at)
		FROM (SELECT d.claimed, d.visible_at, m.created_at FROM queue_deliveries d JOIN queue_messages m ON m.id = d.message_id
			WHERE d.queue = ? AND d.state = 'waiting' ORDER BY d.visible_at, d.message_id LIMIT ?) w`,
		[]any{micros(t.now), name, messagesLookedAt}, &d.InFlight, instant{&d.OldestAt})
	d.Waiting = all - d.InFlight
	return d, err
}

// AdHoldsOpenFirst lists conversations with ad managers, those that are not at
// their end in front, and then the latest.
func (s *Store) AdHoldsOpenFirst(ctx context.Context, limit int) ([]restock.AdHold, error) {
	var holds []restock.AdHold
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if holds, err = collect(ctx, tx, `SELECT `+adHoldColumns+adHoldTables+` WHERE h.slot = 1 ORDER BY h.id DESC LIMIT ?`,
			[]any{limit}, scanAdHold); err != nil {
			return err
		}
		latest, err := collect(ctx, tx, `SELECT `+adHoldColumns+adHoldTables+` WHERE h.id <= ? ORDER BY h.id DESC LIMIT ?`,
			[]any{lastID(), limit}, scanAdHold)
		if err != nil {
			return err
		}
		for _, h := range latest {
			if !h.State.Open() && len(holds) < limit {
				holds = append(holds, h)
			}
		}
		for i := range holds {
			if err := tx.adMails(ctx, &holds[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return holds, err
}

// lastID is above all ids: the latest rows are found from the end of the index.
func lastID() []byte { return bytes.Repeat([]byte{0xff}, len(restock.DigestID{})) }

// SentMails lists the latest mails as far as the tables know of them, newest
// first.
func (s *Store) SentMails(ctx context.Context, limit int) ([]restock.SentMail, error) {
	var mails []restock.SentMail
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		buyer, err := tx.setting(ctx, settingBuyerEmail)
		if err != nil {
			return err
		}
		mails, err = collect(ctx, tx, `SELECT audience, created_at, sent_at FROM digests WHERE id <= ? ORDER BY id DESC LIMIT ?`, []any{lastID(), limit},
			func(rows *sql.Rows) (restock.SentMail, error) {
				m := restock.SentMail{Kind: restock.MailDigest}
				var audience restock.Audience
				err := rows.Scan(&audience, instant{&m.MadeAt}, instant{&m.SentAt})
				if audience == restock.Buyer {
					m.To = buyer
				}
				return m, err
			})
		if err != nil {
			return err
		}
		ads, err := collect(ctx, tx, `SELECT m.kind, p.sku, a.name, a.manager_email, m.due_at, m.sent_at, m.unsure
			FROM ad_mails m LEFT JOIN ad_holds h ON h.id = m.hold_id LEFT JOIN products p ON p.id = h.product_id
			LEFT JOIN advertisements a ON a.id = h.advertisement_id
			WHERE m.hold_id <= ? ORDER BY m.hold_id DESC LIMIT ?`, []any{lastID(), limit}, scanAdMail)
		mails = append(mails, ads...)
		return err
	})
	slices.SortStableFunc(mails, func(a, b restock.SentMail) int { return b.MadeAt.Compare(a.MadeAt) })
	return mails[:min(len(mails), limit)], err
}

func scanAdMail(rows *sql.Rows) (restock.SentMail, error) {
	var m restock.SentMail
	var kind restock.AdMailKind
	err := rows.Scan(&kind, &m.SKU, &m.Advertisement, &m.To, instant{&m.MadeAt}, instant{&m.SentAt}, &m.Unsure)
	m.Kind = restock.MailOfAd + restock.MailKind(kind)
	return m, err
}

// The limits of a history.
const (
	// historyExact is up to how many changes are told one by one; of more,
	// historySampled are.
	historyExact   = 400
	historySampled = 300
	// historyMarks bounds the stockouts, the orders and the changes that are no
	// sales.
	historyMarks = 200
)

// StockHistory tells how the stock of a product went since a time, or since its
// first change when that was later.
func (s *Store) StockHistory(ctx context.Context, product string, since time.Time) (restock.StockHistory, error) {
	var h restock.StockHistory
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		id, err := tx.productID(ctx, product)
		if err != nil {
			return err
		}
		h = restock.StockHistory{Since: since, Until: tx.now}
		var first time.Time
		err = tx.one(ctx, `SELECT at FROM movements WHERE product_id = ? ORDER BY id LIMIT 1`, []any{id}, instant{&first})
		if err != nil && !errors.Is(err, sql.ErrNoRows) {
			return err
		}
		if first.After(since) {
			h.Since = first
		}
		if err := tx.addMarks(ctx, id, &h); err != nil {
			return err
		}
		return tx.addPoints(ctx, id, &h)
	})
	return h, err
}

// addMarks reads what explains the stock: the stockouts and the orders.
func (t *tx) addMarks(ctx context.Context, id restock.ProductID, h *restock.StockHistory) error {
	stockouts, err := collect(ctx, t, `SELECT id, opened_at, closed_at, refused_buyers, refused_units FROM stockouts
		WHERE product_id = ? ORDER BY id DESC LIMIT ?`, []any{id, historyMarks}, func(rows *sql.Rows) (restock.Stockout, error) {
		var o restock.Stockout
		err := rows.Scan(&o.ID, instant{&o.OpenedAt}, instant{&o.ClosedAt}, &o.RefusedBuyers, &o.RefusedUnits)
		return o, err
	})
	if err != nil {
		return err
	}
	for _, o := range stockouts {
		if o.ClosedAt.IsZero() || o.ClosedAt.After(h.Since) {
			h.Stockouts = append(h.Stockouts, o)
		}
	}
	orders, err := collect(ctx, t, `SELECT `+orderColumns+orderTables+`WHERE o.product_id = ? ORDER BY o.id DESC LIMIT ?`,
		[]any{id, historyMarks}, scanOrder)
	if err != nil {
		return err
	}
	for _, o := range orders {
		if !o.CreatedAt.Before(h.Since) {
			h.Orders = append(h.Orders, o)
		}
	}
	h.MarksCut = len(h.Stockouts) == historyMarks || len(h.Orders) == historyMarks
	return nil
}

// pointAt is a change of on hand and its place in the ledger.
type pointAt struct {
	restock.StockPoint

	id     int64
	before bool // it is what was there before that change
}

func scanPoint(rows *sql.Rows) (pointAt, error) {
	var p pointAt
	err := rows.Scan(&p.id, instant{&p.At}, &p.OnHand, &p.Kind, &p.Quantity)
	return p, err
}

// comparePoints puts what was there before a change before what it made.
func comparePoints(a, b pointAt) int {
	return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(bit(b.before), bit(a.before)))
}

// addPoints reads the changes of on hand: all of them when they are few, else
// some, evenly spread over the ledger, and those that the stock turned with. What
// came in is among them.
func (t *tx) addPoints(ctx context.Context, id restock.ProductID, h *restock.StockHistory) error {
	points, err := collect(ctx, t, `SELECT id, at, on_hand_after, kind, quantity FROM movements WHERE product_id = ? ORDER BY id DESC LIMIT ?`,
		[]any{id, historyExact}, scanPoint)
	if err != nil || len(points) == 0 {
		return err
	}
	slices.Reverse(points)
	if len(points) == historyExact && points[0].At.After(h.Since) {
		h.Sampled = true
		if points, err = t.samplePoints(ctx, id, points[len(points)-1], h); err != nil {
			return err
		}
	}
	h.Points = sinceTime(points, h.Since)
	for _, p := range h.Points {
		if p.Kind == restock.MovementReceipt {
			h.Arrivals = append(h.Arrivals, restock.Arrival{At: p.At, Quantity: p.Quantity})
		}
	}
	return nil
}

// sinceTime keeps the points since a time; the first tells what was there then.
func sinceTime(points []pointAt, since time.Time) []restock.StockPoint {
	kept := make([]restock.StockPoint, 0, len(points))
	for _, p := range points {
		if p.At.After(since) {
			kept = append(kept, p.StockPoint)
			continue
		}
		kept = append(kept[:0], restock.StockPoint{At: since, OnHand: p.OnHand}) // how it came to that was before
	}
	return kept
}

// samplePoints takes some of the changes since a time, in strides of the
// ledger's numbers: where much happens there are more of them. A stride can be
// short in changes and long in time, so all that is large or lasts is taken too:
// changes that are no sales, and the beginnings of stockouts.
func (t *tx) samplePoints(ctx context.Context, id restock.ProductID, last pointAt, h *restock.StockHistory) ([]pointAt, error) {
	from, err := t.movementAt(ctx, h.Since, last.id)
	if err != nil {
		return nil, err
	}
	// What was there when the time begins is the change before it.
	points, err := collect(ctx, t, `SELECT id, at, on_hand_after, kind, quantity FROM movements WHERE product_id = ? AND id < ? ORDER BY id DESC LIMIT 1`,
		[]any{id, from}, scanPoint)
	if err != nil {
		return nil, err
	}
	stride := max(1, (last.id-from)/historySampled)
	picked, err := collect(ctx, t, `WITH RECURSIVE picked (id, n) AS (
			SELECT MIN(id), 1 FROM movements WHERE product_id = ? AND id >= ?
			UNION ALL
			SELECT (SELECT MIN(m.id) FROM movements m WHERE m.product_id = ? AND m.id >= picked.id + ?), n + 1 FROM picked
				WHERE picked.id IS NOT NULL AND n < ?)
		SELECT m.id, m.at, m.on_hand_after, m.kind, m.quantity FROM picked JOIN movements m ON m.id = picked.id ORDER BY m.id`,
		[]any{id, from, id, stride, 2 * historySampled}, scanPoint)
	if err != nil {
		return nil, err
	}
	turns, err := collect(ctx, t, `SELECT id, at, on_hand_after, kind, quantity FROM movements
		WHERE product_id = ? AND kind <> 'sale' AND id >= ? ORDER BY id DESC LIMIT ?`, []any{id, from, historyMarks}, scanPoint)
	if err != nil {
		return nil, err
	}
	h.MarksCut = h.MarksCut || len(turns) == historyMarks
	points = append(append(append(points, picked...), turns...), last)
	for _, p := range turns {
		points = append(points, pointAt{id: p.id, before: true, StockPoint: restock.StockPoint{At: p.At, OnHand: p.OnHand - p.Quantity}})
	}
	points = sorted(points)
	for _, o := range h.Stockouts {
		if points, err = t.addOpening(ctx, id, o.OpenedAt, points); err != nil {
			return nil, err
		}
	}
	return sorted(points), nil
}

// sorted sorts points, each once.
func sorted(points []pointAt) []pointAt {
	slices.SortFunc(points, comparePoints)
	return slices.CompactFunc(points, func(a, b pointAt) bool { return comparePoints(a, b) == 0 })
}

// addOpening adds the change with which a stockout began, which is between two of
// the points: mostly the last before the goods came.
func (t *tx) addOpening(ctx context.Context, id restock.ProductID, at time.Time, points []pointAt) ([]pointAt, error) {
	next, _ := slices.BinarySearchFunc(points, at, func(p pointAt, at time.Time) int {
		if p.At.After(at) {
			return 1
		}
		return -1
	})
	if next == 0 || points[next-1].At.Equal(at) {
		return points, nil // it began before this time, or is there
	}
	until := int64(math.MaxInt64)
	if next < len(points) {
		until = points[next].id
	}
	opening, err := collect(ctx, t, `SELECT id, at, on_hand_after, kind, quantity FROM movements
		WHERE product_id = ? AND id > ? AND id < ? AND at <= ? ORDER BY id DESC LIMIT 1`, []any{id, points[next-1].id, until, micros(at)}, scanPoint)
	if err != nil || len(opening) == 0 {
		return points, err
	}
	return slices.Insert(points, next, opening[0]), nil
}

// movementAt gives the number that the ledger had come to at a time, at most
// last. It halves the ledger until it is found: the numbers grow with time.
func (t *tx) movementAt(ctx context.Context, at time.Time, last int64) (int64, error) {
	low, high := int64(0), last
	for low < high {
		middle := low + (high-low)/2
		var id int64
		var then time.Time
		err := t.one(ctx, `SELECT id, at FROM movements WHERE id > ? ORDER BY id LIMIT 1`, []any{middle}, &id, instant{&then})
		switch {
		case errors.Is(err, sql.ErrNoRows) || (err == nil && !then.Before(at)):
			high = middle
		case err != nil:
			return 0, err
		default:
			low = id
		}
	}
	return low + 1, nil
}
