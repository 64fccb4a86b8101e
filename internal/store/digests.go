package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/restock/restock"
)

// BeginDigest gives the mail that an audience must get now, and nobody else
// sends it until mailing has passed: a digest whose mail was never confirmed,
// or else a new one of all problems that were not told yet, at most one per
// gap. It gives false when there is nothing to tell.
//
// What is told is taken from the state of the tables, so a problem that
// solved itself in the meantime is not told, and a thousand are one mail. What
// waits for a person is told again when ToldAgainAfter has passed.
func (s *Store) BeginDigest(ctx context.Context, audience restock.Audience, gap, mailing time.Duration) (restock.Digest, bool, error) {
	var d restock.Digest
	pending, err := s.digestPending(ctx, audience)
	if err != nil || !pending {
		return d, false, err
	}
	err = s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		d, err = tx.unsentDigest(ctx, audience)
		switch {
		case errors.Is(err, sql.ErrNoRows):
			if d, err = tx.newDigest(ctx, audience, gap); err != nil || d.ID.IsZero() {
				return err
			}
		case err != nil || d.ID.IsZero():
			return err
		}
		if err := tx.must(ctx, `UPDATE digests SET mailing_until = ? WHERE id = ?`, micros(tx.now.Add(mailing)), d.ID); err != nil {
			return err
		}
		return tx.loadProblems(ctx, &d)
	})
	return d, err == nil && !d.ID.IsZero(), err
}

// EndDigest records that the mail was sent.
func (s *Store) EndDigest(ctx context.Context, id restock.DigestID) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		_, err := tx.Exec(ctx, `UPDATE digests SET sent_at = ?, mailing_until = 0 WHERE id = ? AND sent_at IS NULL`, micros(tx.now), id)
		return err
	})
}

// FailDigest lets the next try come at once; the digest stays to be sent.
func (s *Store) FailDigest(ctx context.Context, id restock.DigestID) error {
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		_, err := tx.Exec(ctx, `UPDATE digests SET mailing_until = 0 WHERE id = ?`, id)
		return err
	})
}

// problemSource is one table that can hold problems, called t in both clauses.
type problemSource struct {
	kind  restock.ProblemKind
	daily bool // it waits for somebody to act, and is told again until then
	table string
	where string // the rows that are a problem now
	read  string // id, SKU, summary and time of such rows
}

// untold are the rows of a source that have to be told at a time, by the
// arguments of untoldArgs.
func (p problemSource) untold() string {
	told := `t.told_in IS NULL`
	if p.daily {
		told = `(` + told + ` OR EXISTS (SELECT 1 FROM digests d WHERE d.id = t.told_in AND d.created_at <= ?))`
	}
	return told + ` AND (` + p.where + `)`
}

func (p problemSource) untoldArgs(now time.Time) []any {
	if p.daily {
		return []any{micros(now.Add(-restock.ToldAgainAfter))}
	}
	return nil
}

// sourcesOf gives what an audience hears of. Orders that await approval go to
// operations when the catalogue names no buyer.
func (t *tx) sourcesOf(ctx context.Context, audience restock.Audience) ([]problemSource, string, error) {
	buyer, err := t.setting(ctx, settingBuyerEmail)
	if err != nil {
		return nil, "", err
	}
	switch {
	case audience == restock.Buyer && buyer != "":
		return []problemSource{awaitingSource()}, buyer, nil
	case audience == restock.Buyer:
		return nil, "", nil
	case buyer != "":
		return problemSources(), "", nil
	}
	return append(problemSources(), awaitingSource()), "", nil
}

// awaitingSource is what the buyer hears of.
func awaitingSource() problemSource {
	return problemSource{
		restock.ProblemAwaiting, true, "replenishment_orders", `t.state = 'awaiting_approval'`,
		`SELECT t.id, p.sku, t.quantity || ' × ' || p.name || ' for ' || (t.quantity * t.unit_cost) || ' ' || p.currency || ', because ' || t.reason,
			t.created_at FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
	}
}

// problemSources lists what operations hear of in any case. Dead letters of
// the ops queue itself are left out: a mail about a mail that fails would
// never end.
func problemSources() []problemSource {
	return []problemSource{
		{
			restock.ProblemDeadLetter, false, "queue_deliveries", `t.state = 'dead' AND t.queue <> 'ops-queue'`,
			`SELECT t.message_id, m.subject, t.queue || '-dlq: ' || m.type || ': ' || COALESCE(t.last_error, ''), t.dead_at
				FROM queue_deliveries t JOIN queue_messages m ON m.id = t.message_id`,
		},
		{
			restock.ProblemOrderHeld, true, "replenishment_orders", `t.state = 'held'`,
			`SELECT t.id, p.sku, t.held_reason, t.created_at FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			restock.ProblemOrderLate, false, "replenishment_orders", `t.state = 'closed_short' OR (
				t.state IN ('planned', 'sending', 'unknown', 'accepted', 'overdue', 'partly_received') AND EXISTS (
				SELECT 1 FROM order_attempts a WHERE a.order_id = t.id AND a.state = 'overdue'))`,
			`SELECT t.id, p.sku, t.received || ' of ' || t.quantity || ' came in time; attempts so far: ' || t.attempts, t.created_at
				FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			// Daily, since the order may have been told as late before. A factory
			// that bears one probe in minutes would let none of many orders be
			// tried often.
			restock.ProblemNotPlaced, true, "replenishment_orders", `t.state = 'planned' AND (EXISTS (
				SELECT 1 FROM factories f WHERE f.id = t.factory_id AND f.breaker_opened >= ` + strconv.Itoa(restock.TriesTold) + `) OR EXISTS (
				SELECT 1 FROM order_attempts a WHERE a.order_id = t.id AND a.state IN ('not_sent', 'rejected')
				AND (a.tries >= ` + strconv.Itoa(restock.TriesTold) + ` OR t.attempts >= ` + strconv.Itoa(restock.TriesTold) + `)))`,
			`SELECT t.id, p.sku, 'it is tried again and again: ' || COALESCE((SELECT a.error FROM order_attempts a WHERE a.order_id = t.id
				ORDER BY a.number DESC LIMIT 1), 'its factory fails'), t.created_at
				FROM replenishment_orders t JOIN products p ON p.id = t.product_id`,
		},
		{
			restock.ProblemReceiptHeld, true, "receipts", `t.state = 'held' OR (t.state = 'applied' AND t.held > 0)`,
			`SELECT t.id, COALESCE(p.sku, ''), 'claimed ' || t.claimed || ', held ' || t.held || ': ' || t.reason, t.created_at
				FROM receipts t LEFT JOIN products p ON p.id = t.product_id`,
		},
		{
			restock.ProblemRefusals, false, "refusals", `t.buyers >= ` + strconv.Itoa(restock.RefusalsTold),
			`SELECT t.product_id, p.sku, t.buyers || ' buyers of ' || t.units || ' pieces were turned away on ' || t.day
				|| ' though something is left: never enough', COALESCE(t.first_at, 0)
				FROM refusals t JOIN products p ON p.id = t.product_id`,
		},
	}
}

// digestPending looks without taking the writer.
func (s *Store) digestPending(ctx context.Context, audience restock.Audience) (bool, error) {
	var pending bool
	err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		sources, _, err := tx.sourcesOf(ctx, audience)
		if err != nil {
			return err
		}
		somewhere := append(make([]string, 0, 1+len(sources)), `EXISTS (SELECT 1 FROM digests WHERE sent_at IS NULL AND audience = ?)`)
		args := []any{string(audience)}
		for _, src := range sources {
			somewhere = append(somewhere, `EXISTS (SELECT 1 FROM `+src.table+` t WHERE `+src.untold()+`)`)
			args = append(args, src.untoldArgs(tx.now)...)
		}
		return tx.one(ctx, `SELECT `+strings.Join(somewhere, ` OR `), args, &pending)
	})
	return pending, err
}

// unsentDigest is the oldest digest of an audience that nobody is sending. It
// is zero when somebody is, and the error is sql.ErrNoRows when there is none
// at all.
func (t *tx) unsentDigest(ctx context.Context, audience restock.Audience) (restock.Digest, error) {
	d := restock.Digest{Audience: audience}
	var mailing time.Time
	err := t.one(ctx, `SELECT id, created_at, mailing_until FROM digests WHERE sent_at IS NULL AND audience = ?
		ORDER BY created_at LIMIT 1`, []any{string(audience)}, &d.ID, instant{&d.CreatedAt}, instant{&mailing})
	if err == nil && mailing.After(t.now) {
		return restock.Digest{}, nil
	}
	return d, err
}

// newDigest puts all untold problems of an audience into a new digest, unless
// its last one was made less than gap ago.
func (t *tx) newDigest(ctx context.Context, audience restock.Audience, gap time.Duration) (restock.Digest, error) {
	// One that was made in the future says that the clock was set back; waiting
	// for it would tell nothing for as long.
	var recent bool
	if err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM digests WHERE audience = ? AND created_at > ? AND created_at <= ?)`,
		[]any{string(audience), micros(t.now.Add(-gap)), micros(t.now.Add(clockSkewMax))}, &recent); err != nil || recent {
		return restock.Digest{}, err
	}
	sources, _, err := t.sourcesOf(ctx, audience)
	if err != nil {
		return restock.Digest{}, err
	}
	d := restock.Digest{ID: t.newID(), Audience: audience, CreatedAt: t.now}
	var told int64
	for _, src := range sources {
		n, err := t.Exec(ctx, `UPDATE `+src.table+` AS t SET told_in = ? WHERE `+src.untold(), append([]any{d.ID}, src.untoldArgs(t.now)...)...)
		if err != nil {
			return d, err
		}
		told += n
	}
	if told == 0 {
		return restock.Digest{}, nil
	}
	return d, t.must(ctx, `INSERT INTO digests (id, audience, created_at, mailing_until) VALUES (?, ?, ?, 0)`,
		d.ID, string(audience), micros(t.now))
}

// loadProblems reads what is still a problem of those that the digest tells.
// A digest for a buyer who is named no longer tells nothing: operations hear of
// it from then on.
func (t *tx) loadProblems(ctx context.Context, d *restock.Digest) error {
	d.Problems, d.Total = nil, 0
	sources, to, err := t.sourcesOf(ctx, d.Audience)
	if err != nil {
		return err
	}
	d.To = to
	for _, src := range sources {
		if err := t.loadProblemsOf(ctx, src, d); err != nil {
			return fmt.Errorf("read problems of %s: %w", src.table, err)
		}
	}
	return nil
}

func (t *tx) loadProblemsOf(ctx context.Context, src problemSource, d *restock.Digest) error {
	where := ` WHERE t.told_in = ? AND (` + src.where + `)`
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
	p := restock.Problem{Kind: kind}
	var id restock.ID[restock.Problem]
	err := rows.Scan(&id, &p.SKU, &p.Summary, instant{&p.Since})
	p.ID = id.String()
	return p, err
}
