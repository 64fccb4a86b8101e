package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// channel is how far one channel is with the digests.
type channel struct {
	done     string // when the channel took a digest
	until    string // nobody else tells it before
	by       string // the digest whose message tells it; NULL until it is tried
	incident string // on an incident: the message that told of it; "" when it tells of none
	digests  string // selects the digests that one message tells
}

func channelOf(c restock.Channel) channel {
	ch := channel{done: "sent_at", until: "mailing_until", by: "mailed_by", incident: "mailed_in"}
	switch c {
	case restock.ByMail:
	case restock.ByWebhook:
		ch = channel{done: "hooked_at", until: "hooking_until", by: "hooked_by", incident: "hooked_in"}
	case restock.ByCopy:
		ch = channel{done: "copied_at", until: "copying_until", by: "copied_by"}
	}
	ch.digests = `SELECT d.id FROM digests d WHERE d.` + ch.by + ` = ?`
	return ch
}

// BeginDigest gives what an audience must be told now on a channel, and nobody
// else tells it until the lease has passed: a digest that was tried and never
// confirmed, or else all that this channel has not tried yet, with a new digest
// of all problems that were not told yet, at most one per gap. It gives false
// when there is nothing to tell.
//
// What is told is taken from the state of the tables, so a problem that
// solved itself in the meantime is not told, and a thousand are one message.
// What waits for a person is told again when ToldAgainAfter has passed. Each
// channel takes the digests in its own time; what waited while a channel was
// away is one message, too.
func (s *Store) BeginDigest(ctx context.Context, r restock.DigestRequest) (restock.Digest, bool, error) {
	var d restock.Digest
	ch := channelOf(r.Channel)
	pending, err := s.digestPending(ctx, ch, r)
	if err != nil || !pending {
		return d, false, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnDigest); err != nil {
			return err
		}
		d, err = tx.triedDigest(ctx, ch, r)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if d, err = tx.untriedDigest(ctx, ch, r); err != nil || d.ID.IsZero() {
				return err
			}
		case err != nil || d.ID.IsZero():
			return err
		}
		if err := tx.must(ctx, `UPDATE digests SET `+ch.until+` = ? WHERE id = ?`, micros(tx.now.Add(r.Lease)), d.ID); err != nil {
			return err
		}
		if err := tx.loadDigest(ctx, ch, r, &d); err != nil {
			return err
		}
		return tx.markIncidents(ctx, ch, d)
	})
	return d, err == nil && !d.ID.IsZero(), err
}

// EndDigest records that a channel took a digest, and all that its message told.
func (s *Store) EndDigest(ctx context.Context, id restock.DigestID, c restock.Channel) error {
	ch := channelOf(c)
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnDigest); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE digests SET `+ch.done+` = ?, `+ch.until+` = 0 WHERE `+ch.by+` = ? AND `+ch.done+` IS NULL`, micros(tx.now), id)
		return err
	})
}

// FailDigest lets the next try come at once; the digest stays to be told.
func (s *Store) FailDigest(ctx context.Context, id restock.DigestID, c restock.Channel) error {
	ch := channelOf(c)
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnDigest); err != nil {
			return err
		}
		if err := tx.unmarkIncidents(ctx, ch, id); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE digests SET `+ch.until+` = 0 WHERE id = ?`, id)
		return err
	})
}

// PurgeAlerts removes up to limit incidents that are over, and digests that all
// channels took, since before a time, and gives how many there were. What a channel
// has still to tell stays.
func (s *Store) PurgeAlerts(ctx context.Context, before time.Time, limit int) (int, error) {
	var purged int64
	old, err := s.oldAlerts(ctx, before, limit)
	if err != nil || !slices.ContainsFunc(old, func(o oldRows) bool { return len(o.ids) > 0 }) {
		return 0, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnDigest); err != nil {
			return err
		}
		purged = 0
		for _, o := range old {
			for part := range slices.Chunk(o.ids, keysPerStatement) {
				n, err := tx.Exec(ctx, `DELETE FROM `+o.table+` WHERE id IN (`+places(len(part))+`)`, part...)
				if err != nil {
					return err
				}
				purged += n
			}
		}
		return nil
	})
	return int(purged), err
}

// oldRows are some of one table.
type oldRows struct {
	table string
	ids   []any
}

// oldAlerts are what PurgeAlerts removes: they are done, and nothing changes them
// any more. An incident of which nobody was told has no end to tell.
func (s *Store) oldAlerts(ctx context.Context, before time.Time, limit int) ([]oldRows, error) {
	incidents, digests := oldRows{table: "incidents"}, oldRows{table: "digests"}
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		var err error
		if incidents.ids, err = collect(ctx, tx, `SELECT t.id FROM incidents t WHERE t.closed_at < ? AND (
				t.recovery_told_in IS NOT NULL OR (t.mailed_in IS NULL AND t.hooked_in IS NULL)) AND NOT EXISTS (
				SELECT 1 FROM digests d WHERE d.id = t.recovery_told_in AND (d.sent_at IS NULL OR d.hooked_at IS NULL OR d.copied_at IS NULL))
			ORDER BY t.closed_at, t.id LIMIT ?`, []any{micros(before), limit}, scanAnyID); err != nil {
			return err
		}
		digests.ids, err = collect(ctx, tx, `SELECT id FROM digests WHERE created_at < ? AND sent_at < ? AND hooked_at < ? AND copied_at < ?
			ORDER BY created_at, id LIMIT ?`, []any{micros(before), micros(before), micros(before), micros(before), limit - len(incidents.ids)}, scanAnyID)
		return err
	})
	return []oldRows{incidents, digests}, err
}

func scanAnyID(rows *sql.Rows) (any, error) {
	var id restock.DigestID
	err := rows.Scan(&id)
	return id, err
}

// problemSource is one table that can hold problems, called t in both clauses.
type problemSource struct {
	kind  restock.ProblemKind
	daily bool // it waits for somebody to act, and is told again until then
	table string
	where string // the rows that are a problem now
	read  string // id, SKU, subject, summary and time of such rows
	// byWebhook: it is not told by mail.
	byWebhook bool
	// copied: the buyer, who knows the factory, hears of it, too.
	copied bool
}

// toldOn reports whether a channel tells of what is here.
func (p problemSource) toldOn(c restock.Channel) bool {
	switch c {
	case restock.ByMail:
		return !p.byWebhook
	case restock.ByWebhook:
		return true
	case restock.ByCopy:
		return p.copied
	}
	return false
}

// untold are the rows of a source that have to be told at a time, by the
// arguments of untoldArgs. A digest that is not there any more was long ago; what
// a person decided names itself instead of a digest, and is not told.
func (p problemSource) untold() string {
	told := `t.told_in IS NULL`
	if p.daily {
		told = `(` + told + ` OR (t.told_in <> t.id AND NOT EXISTS (SELECT 1 FROM digests d WHERE d.id = t.told_in AND d.created_at > ?)))`
	}
	return told + ` AND (` + p.where + `)`
}

func (p problemSource) untoldArgs(now time.Time) []any {
	if p.daily {
		return []any{micros(now.Add(-restock.ToldAgainAfter))}
	}
	return nil
}

// sourcesOf gives what an audience hears of, on any of its channels. Orders
// that await approval go to operations when the catalogue names no buyer.
func (t *tx) sourcesOf(ctx context.Context, r restock.DigestRequest) ([]problemSource, string, error) {
	buyer, err := t.setting(ctx, settingBuyerEmail)
	if err != nil {
		return nil, "", err
	}
	switch {
	case r.Audience == restock.Buyer && buyer != "":
		return []problemSource{awaitingSource()}, buyer, nil
	case r.Audience == restock.Buyer:
		return nil, "", nil
	}
	sources := append(incidentSources(), deadLetterSource())
	if r.Webhook {
		sources = append(sources, opsLetterSource())
	}
	sources = append(sources, problemSources()...)
	if buyer == "" {
		sources = append(sources, awaitingSource())
	}
	return sources, "", nil
}

// awaitingSource is what the buyer hears of.
func awaitingSource() problemSource {
	return problemSource{
		kind: restock.ProblemAwaiting, daily: true, table: "replenishment_orders", where: `t.state = 'awaiting_approval'`,
		read: `SELECT t.id, p.sku, '', t.quantity || ' × ' || SUBSTR(p.name, 1, 80) || ' for ' || (t.quantity * t.unit_cost) || ' ' || p.currency || ', because ' || t.reason,
			t.created_at FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
	}
}

// undelivered are the letters that are about a mail to somebody else than
// operations.
const undelivered = `COALESCE(t.last_error, '') LIKE '` + restock.UndeliveredPrefix + `%'`

// deadLetterSource are the dead letters that operations hear of, a line for each
// queue and type. Those of the ops queue itself are left out, unless they are about
// a mail to somebody else: a mail about a mail that fails would never end.
func deadLetterSource() problemSource {
	return letterSource(`t.state = 'dead' AND (t.queue <> '` + restock.OpsQueue + `' OR ` + undelivered + `)`)
}

// opsLetterSource are the other dead letters of the ops queue.
func opsLetterSource() problemSource {
	src := letterSource(`t.state = 'dead' AND t.queue = '` + restock.OpsQueue + `' AND NOT ` + undelivered)
	src.byWebhook = true
	return src
}

func letterSource(where string) problemSource {
	return problemSource{
		kind: restock.ProblemDeadLetter, table: "queue_deliveries", where: where,
		read: `SELECT t.message_id, m.subject, t.queue, t.queue || '-dlq: ' || m.type || ': ' || COALESCE(t.last_error, ''), t.dead_at
			FROM queue_deliveries t JOIN queue_messages m ON m.id = t.message_id`,
	}
}

// problemSources lists what else operations hear of in any case.
func problemSources() []problemSource {
	return []problemSource{
		{
			kind: restock.ProblemOrderHeld, daily: true, copied: true, table: "replenishment_orders", where: `t.state = 'held'`,
			read: `SELECT t.id, p.sku, '', t.held_reason, t.created_at FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			kind: restock.ProblemOrderLate, copied: true, table: "replenishment_orders", where: `t.state = 'closed_short' OR (
				t.state IN ('planned', 'sending', 'unknown', 'accepted', 'overdue', 'partly_received') AND EXISTS (
				SELECT 1 FROM order_attempts a WHERE a.order_id = t.id AND a.state = 'overdue'))`,
			read: `SELECT t.id, p.sku, '', t.received || ' of ' || t.quantity || ' came in time; attempts so far: ' || t.attempts, t.created_at
				FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			// Daily, since the order may have been told as late before. A factory
			// that bears one probe in minutes would let none of many orders be
			// tried often.
			kind: restock.ProblemNotPlaced, daily: true, copied: true, table: "replenishment_orders", where: `t.state = 'planned' AND (EXISTS (
				SELECT 1 FROM factories f WHERE f.id = t.factory_id AND f.breaker_opened >= ` + strconv.Itoa(restock.TriesTold) + `) OR EXISTS (
				SELECT 1 FROM order_attempts a WHERE a.order_id = t.id AND a.state IN ('not_sent', 'rejected')
				AND (a.tries >= ` + strconv.Itoa(restock.TriesTold) + ` OR t.attempts >= ` + strconv.Itoa(restock.TriesTold) + `)))`,
			read: `SELECT t.id, p.sku, '', 'it is tried again and again: ' || COALESCE((SELECT a.error FROM order_attempts a WHERE a.order_id = t.id
				ORDER BY a.number DESC LIMIT 1), 'its factory fails'), t.created_at
				FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			// Its goods are taken whenever they come, so it ends only when they do.
			kind: restock.ProblemAttemptUnknown, copied: true, table: "order_attempts", where: `t.state = 'unknown' AND EXISTS (
				SELECT 1 FROM replenishment_orders o WHERE o.id = t.order_id AND o.state = 'received')`,
			read: `SELECT t.order_id, t.sku, '', 'the order is complete, and nobody knows whether ' || t.factory || ' has attempt ' || t.number || ' of it, '
					|| t.quantity || ' pieces: ask the factory, since it may deliver these, too', t.sent_at
				FROM order_attempts t`,
		},
		{
			kind: restock.ProblemReceiptHeld, daily: true, table: "receipts", where: `t.state = 'held' OR (t.state = 'applied' AND t.held > 0)`,
			read: `SELECT t.id, COALESCE(p.sku, ''), '', 'claimed ' || t.claimed || ', held ' || t.held || ': ' || t.reason, t.created_at
				FROM receipts t LEFT JOIN products p ON p.id = t.product_id`,
		},
		{
			kind: restock.ProblemAdUnanswered, daily: true, table: "ad_holds", where: `t.escalated_at IS NOT NULL`,
			read: `SELECT t.id, p.sku, '', a.manager_email || ' has not said that ' || a.name || CASE WHEN t.state = 'resumed'
					THEN ' runs again, though it can' ELSE ' is stopped, though there is nothing to sell' END,
				COALESCE((SELECT m.sent_at FROM ad_mails m WHERE m.hold_id = t.id
					AND m.kind = CASE WHEN t.state = 'resumed' THEN 'resume' ELSE 'stop' END), t.created_at)
				FROM ad_holds t JOIN advertisements a ON a.id = t.advertisement_id JOIN products p ON p.id = t.product_id`,
		},
		{
			kind: restock.ProblemRefusals, table: "refusals", where: `t.buyers >= ` + strconv.Itoa(restock.RefusalsTold),
			read: `SELECT t.product_id, p.sku, '', t.buyers || ' buyers of ' || t.units || ' pieces were turned away on ' || t.day
				|| ' though something is left: never enough', COALESCE(t.first_at, 0)
				FROM refusals t JOIN products p ON p.id = t.product_id`,
		},
	}
}

// digestPending looks without taking the writer.
func (s *Store) digestPending(ctx context.Context, ch channel, r restock.DigestRequest) (bool, error) {
	var pending bool
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		sources, _, err := tx.sourcesOf(ctx, r)
		if err != nil {
			return err
		}
		somewhere := append(make([]string, 0, 2+len(sources)), `EXISTS (SELECT 1 FROM digests WHERE `+ch.done+` IS NULL AND audience = ?)`)
		args := []any{string(r.Audience)}
		for _, src := range sources {
			somewhere = append(somewhere, `EXISTS (SELECT 1 FROM `+src.table+` t WHERE `+src.untold()+`)`)
			args = append(args, src.untoldArgs(tx.now)...)
		}
		if r.Audience == restock.Operations {
			somewhere = append(somewhere, `EXISTS (SELECT 1 FROM incidents t WHERE `+untoldRecovery+`)`)
		}
		return tx.one(ctx, `SELECT `+strings.Join(somewhere, ` OR `), args, &pending)
	})
	return pending, err
}

// triedDigest is the oldest digest that this channel tried and did not take. It
// is zero while somebody tells it, and the error is sql.ErrNoRows when there is
// none at all.
func (t *tx) triedDigest(ctx context.Context, ch channel, r restock.DigestRequest) (restock.Digest, error) {
	d := restock.Digest{Audience: r.Audience}
	var until time.Time
	err := t.one(ctx, `SELECT id, created_at, `+ch.until+` FROM digests WHERE `+ch.done+` IS NULL AND `+ch.by+` = id AND audience = ?
		ORDER BY created_at, id LIMIT 1`, []any{string(r.Audience)}, &d.ID, instant{&d.CreatedAt}, instant{&until})
	if err == nil && until.After(t.now) {
		return restock.Digest{}, nil
	}
	return d, err
}

// untriedDigest makes a new digest, if that is due, and joins all that this
// channel has not tried yet into the first of them. It is zero when there is
// none.
func (t *tx) untriedDigest(ctx context.Context, ch channel, r restock.DigestRequest) (restock.Digest, error) {
	if err := t.newDigest(ctx, r); err != nil {
		return restock.Digest{}, err
	}
	d := restock.Digest{Audience: r.Audience}
	err := t.one(ctx, `SELECT id, created_at FROM digests WHERE `+ch.done+` IS NULL AND `+ch.by+` IS NULL AND audience = ?
		ORDER BY created_at, id LIMIT 1`, []any{string(r.Audience)}, &d.ID, instant{&d.CreatedAt})
	if errors.Is(err, sql.ErrNoRows) {
		return restock.Digest{}, nil
	}
	if err != nil {
		return d, err
	}
	_, err = t.Exec(ctx, `UPDATE digests SET `+ch.by+` = ? WHERE `+ch.done+` IS NULL AND `+ch.by+` IS NULL AND audience = ?`, d.ID, string(r.Audience))
	return d, err
}

// newDigest puts all untold problems of an audience, and what is over, into a
// new digest, unless its last one was made less than the gap ago.
func (t *tx) newDigest(ctx context.Context, r restock.DigestRequest) error {
	// One that was made in the future says that the clock was set back; waiting
	// for it would tell nothing for as long.
	var recent bool
	if err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM digests WHERE audience = ? AND created_at > ? AND created_at <= ?)`,
		[]any{string(r.Audience), micros(t.now.Add(-r.Gap)), micros(t.now.Add(clockSkewMax))}, &recent); err != nil || recent {
		return err
	}
	d := restock.Digest{ID: t.newID(), Audience: r.Audience, CreatedAt: t.now}
	told, err := t.tellProblems(ctx, d, r)
	if err != nil {
		return err
	}
	if r.Audience == restock.Operations {
		n, err := t.tellRecoveries(ctx, d)
		if err != nil {
			return err
		}
		told += n
	}
	if told == 0 {
		return nil
	}
	buyer, err := t.setting(ctx, settingBuyerEmail)
	if err != nil {
		return err
	}
	hooked, copied := micros(t.now), micros(t.now) // there is nobody who takes it
	if r.Audience == restock.Operations && r.Webhook {
		hooked = nil
	}
	if r.Audience == restock.Operations && buyer != "" {
		copied = nil
	}
	return t.must(ctx, `INSERT INTO digests (id, audience, created_at, mailing_until, hooking_until, hooked_at, copied_at) VALUES (?, ?, ?, 0, 0, ?, ?)`,
		d.ID, string(r.Audience), micros(t.now), hooked, copied)
}

func (t *tx) tellProblems(ctx context.Context, d restock.Digest, r restock.DigestRequest) (int64, error) {
	sources, _, err := t.sourcesOf(ctx, r)
	if err != nil {
		return 0, err
	}
	var told int64
	for _, src := range sources {
		n, err := t.Exec(ctx, `UPDATE `+src.table+` AS t SET told_in = ? WHERE `+src.untold(), append([]any{d.ID}, src.untoldArgs(t.now)...)...)
		if err != nil {
			return 0, err
		}
		if n > 0 && src.kind == restock.ProblemDeadLetter && !src.byWebhook {
			if err := t.tellDeadLetters(ctx, d); err != nil {
				return 0, err
			}
		}
		told += n
	}
	return told, nil
}

// loadDigest reads what is still a problem, or over, of what a message tells.
// A digest for a buyer who is named no longer tells nothing: operations hear of
// it from then on. So does a copy for one.
func (t *tx) loadDigest(ctx context.Context, ch channel, r restock.DigestRequest, d *restock.Digest) error {
	d.Problems, d.Total = nil, 0
	sources, to, err := t.sourcesOf(ctx, r)
	if err != nil {
		return err
	}
	d.To = to
	if r.Channel == restock.ByCopy {
		d.Audience = restock.Buyer
		if d.To, err = t.setting(ctx, settingBuyerEmail); err != nil || d.To == "" {
			return err
		}
	}
	for _, src := range sources {
		if !src.toldOn(r.Channel) {
			continue
		}
		load := t.loadProblems
		if src.kind == restock.ProblemDeadLetter {
			load = t.loadLetters
		}
		if err := load(ctx, src, ch, d); err != nil {
			return fmt.Errorf("read problems of %s: %w", src.table, err)
		}
	}
	return t.loadRecoveries(ctx, ch, d)
}

func (t *tx) loadProblems(ctx context.Context, src problemSource, ch channel, d *restock.Digest) error {
	where := ` WHERE t.told_in IN (` + ch.digests + `) AND (` + src.where + `)`
	var n int64
	if err := t.one(ctx, `SELECT COUNT(*) FROM `+src.table+` t`+where, []any{d.ID}, &n); err != nil {
		return err
	}
	d.Total += n
	problems, err := collect(ctx, t, src.read+where+` LIMIT ?`, []any{d.ID, restock.DigestProblemsMax - len(d.Problems)},
		func(rows *sql.Rows) (restock.Problem, error) { return scanProblem(rows, src.kind) })
	d.Problems = append(d.Problems, problems...)
	return err
}

func scanProblem(rows *sql.Rows, kind restock.ProblemKind) (restock.Problem, error) {
	p := restock.Problem{Kind: kind, Count: 1}
	var id restock.ID[restock.Problem]
	err := rows.Scan(&id, &p.SKU, &p.Subject, &p.Summary, instant{&p.Since})
	p.ID = id.String()
	return p, err
}

// letters are dead letters of one queue and type.
type letters struct {
	queue, typ string
	count      int64
	oldest     time.Time
}

// loadLetters reads dead letters, a problem for each queue and type, the most
// first, which shows the latest of them.
func (t *tx) loadLetters(ctx context.Context, src problemSource, ch channel, d *restock.Digest) error {
	where := ` WHERE t.told_in IN (` + ch.digests + `) AND (` + src.where + `)`
	groups, err := collect(ctx, t, `SELECT t.queue, m.type, COUNT(*), MIN(t.dead_at) FROM queue_deliveries t JOIN queue_messages m ON m.id = t.message_id`+
		where+` GROUP BY t.queue, m.type ORDER BY COUNT(*) DESC, t.queue, m.type`, []any{d.ID}, func(rows *sql.Rows) (letters, error) {
		var l letters
		err := rows.Scan(&l.queue, &l.typ, &l.count, instant{&l.oldest})
		return l, err
	})
	if err != nil {
		return err
	}
	for _, l := range groups {
		d.Total += l.count
		if len(d.Problems) == restock.DigestProblemsMax {
			continue
		}
		latest, err := collect(ctx, t, src.read+where+` AND t.queue = ? AND m.type = ? ORDER BY t.dead_at DESC, t.message_id DESC LIMIT 1`,
			[]any{d.ID, l.queue, l.typ}, func(rows *sql.Rows) (restock.Problem, error) { return scanProblem(rows, src.kind) })
		if err != nil {
			return err
		}
		for _, p := range latest {
			p.Type, p.Count, p.Since = l.typ, l.count, l.oldest
			d.Problems = append(d.Problems, p)
		}
	}
	return nil
}
