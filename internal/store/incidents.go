package store

import (
	"context"
	"database/sql"
	"slices"
	"time"

	"github.com/restock/restock"
)

// Observe records what a look at the queues found. A condition that is present
// opens an incident, unless one is open: there is at most one of a kind about a
// subject, however many processes look. One that is clear closes its incident
// when it stays clear for hold, and in a later look. So a condition that comes
// and goes within hold is one incident.
//
// The incident of dead letters is opened by the digest that tells of the first,
// and is clear while there is none.
func (s *Store) Observe(ctx context.Context, look restock.Look, hold time.Duration) error {
	var changes []change
	var err error
	if err := s.view(ctx, func(ctx context.Context, tx *tx) error {
		changes, err = tx.observe(ctx, look, hold)
		return err
	}); err != nil || len(changes) == 0 {
		return err
	}
	return s.update(ctx, background, func(ctx context.Context, tx *tx) error {
		if err := tx.takeTurn(ctx, turnDigest); err != nil { // digests tell of incidents
			return err
		}
		if changes, err = tx.observe(ctx, look, hold); err != nil {
			return err
		}
		for _, c := range changes {
			if _, err := tx.Exec(ctx, c.query, c.args...); err != nil {
				return err
			}
		}
		return nil
	})
}

// seenEvery is how often it is written down that an incident goes on as it was.
const seenEvery = time.Minute

// change is a statement that is still to be run.
type change struct {
	query string
	args  []any
}

// observe says what a look changes.
func (t *tx) observe(ctx context.Context, look restock.Look, hold time.Duration) ([]change, error) {
	incidents, err := t.openIncidents(ctx)
	if err != nil {
		return nil, err
	}
	seen := make(map[string]restock.Condition, len(look.Conditions))
	for _, c := range look.Conditions {
		seen[openKey(c.Kind, c.Subject)] = c
	}
	var changes []change
	for _, i := range incidents {
		c, ok := seen[openKey(i.Kind, i.Subject)]
		delete(seen, openKey(i.Kind, i.Subject))
		switch {
		case i.Kind == restock.IncidentDeadLetters:
			if c.State, err = t.deadLettersState(ctx); err != nil {
				return nil, err
			}
		case !ok && !look.Complete:
			continue
		}
		changes = append(changes, t.goesOn(i, c, hold)...)
	}
	for _, c := range look.Conditions {
		if _, ok := seen[openKey(c.Kind, c.Subject)]; ok && c.State == restock.Present {
			changes = append(changes, t.opened(c, restock.DigestID{}))
		}
	}
	return changes, nil
}

// goesOn says what a look changes of an incident that is open.
func (t *tx) goesOn(i restock.Incident, c restock.Condition, hold time.Duration) []change {
	if c.State == restock.Clear {
		return t.clear(i, hold)
	}
	if seen := t.now.Sub(i.SeenAt); i.EndedAt.IsZero() && i.Detail == c.Detail && seen >= 0 && seen < seenEvery {
		return nil
	}
	return []change{{
		`UPDATE incidents SET seen_at = ?, ended_at = NULL, detail = ? WHERE id = ? AND closed_at IS NULL`,
		[]any{micros(t.now), c.Detail, i.ID},
	}}
}

// deadLettersState looks at the dead letters that operations hear of by mail.
func (t *tx) deadLettersState(ctx context.Context) (restock.ConditionState, error) {
	src := deadLetterSource()
	state := restock.Clear
	var dead bool
	err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM `+src.table+` t WHERE `+src.where+`)`, nil, &dead)
	if dead {
		state = restock.Present
	}
	return state, err
}

func openKey(kind restock.IncidentKind, subject string) string { return string(kind) + " " + subject }

// opened makes an incident of a condition; a digest that tells of it at once is
// named, too. Of two processes that see it at the same time, one opens it.
func (t *tx) opened(c restock.Condition, told restock.DigestID) change {
	return change{
		`INSERT INTO incidents (id, kind, subject, open_key, detail, began_at, opened_at, seen_at, told_in)
			VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING`,
		[]any{
			restock.IncidentID(t.newID()), string(c.Kind), c.Subject, openKey(c.Kind, c.Subject), c.Detail,
			micros(c.Since), micros(t.now), micros(t.now), told,
		},
	}
}

// clear notes that an incident is not seen any more, or closes it when that has
// been so for hold. An end in the future says that the clock was set back; the
// hold begins anew.
func (t *tx) clear(i restock.Incident, hold time.Duration) []change {
	switch {
	case i.EndedAt.IsZero() || i.EndedAt.After(t.now.Add(clockSkewMax)):
		return []change{{`UPDATE incidents SET ended_at = ? WHERE id = ? AND closed_at IS NULL`, []any{micros(t.now), i.ID}}}
	case t.now.Sub(i.EndedAt) < hold:
		return nil
	}
	return []change{{
		`UPDATE incidents SET closed_at = ?, open_key = NULL WHERE id = ? AND closed_at IS NULL AND ended_at IS NOT NULL`,
		[]any{micros(t.now), i.ID},
	}}
}

// openIncidents are in the order in which they were opened.
func (t *tx) openIncidents(ctx context.Context) ([]restock.Incident, error) {
	return collect(ctx, t, `SELECT id, kind, subject, detail, began_at, seen_at, ended_at FROM incidents
		WHERE open_key IS NOT NULL ORDER BY opened_at, id`, nil, func(rows *sql.Rows) (restock.Incident, error) {
		var i restock.Incident
		err := rows.Scan(&i.ID, &i.Kind, &i.Subject, &i.Detail, instant{&i.BeganAt}, instant{&i.SeenAt}, instant{&i.EndedAt})
		return i, err
	})
}

// incidentSources are the incidents that are told as problems.
func incidentSources() []problemSource {
	kinds := []restock.IncidentKind{restock.IncidentEngineAway, restock.IncidentRelayStuck, restock.IncidentQueueOld}
	all := make([]problemSource, 0, len(kinds))
	for _, kind := range kinds {
		all = append(all, problemSource{
			kind: restock.ProblemKind(kind), table: "incidents", where: `t.kind = '` + string(kind) + `' AND t.open_key IS NOT NULL`,
			read: `SELECT t.id, '', t.subject, t.detail || CASE WHEN t.ended_at IS NULL THEN '' ELSE '; it seems to be over' END, t.began_at
				FROM incidents t`,
		})
	}
	return all
}

// tellDeadLetters notes that a digest tells of dead letters, so that their end is
// told, too.
func (t *tx) tellDeadLetters(ctx context.Context, d restock.Digest) error {
	n, err := t.Exec(ctx, `UPDATE incidents SET seen_at = ?, ended_at = NULL WHERE open_key = ?`,
		micros(t.now), openKey(restock.IncidentDeadLetters, ""))
	if err != nil || n > 0 {
		return err
	}
	c := restock.Condition{Kind: restock.IncidentDeadLetters}
	if err := t.one(ctx, `SELECT MIN(dead_at) FROM queue_deliveries WHERE told_in = ?`, []any{d.ID}, instant{&c.Since}); err != nil {
		return err
	}
	open := t.opened(c, d.ID)
	_, err = t.Exec(ctx, open.query, open.args...)
	return err
}

// untoldRecovery is a recovery that some channel has to hear of, since it heard
// of the incident.
const untoldRecovery = `t.recovery_told_in IS NULL AND t.closed_at IS NOT NULL AND (t.mailed_in IS NOT NULL OR t.hooked_in IS NOT NULL)`

// tellRecoveries puts what is over into a digest.
func (t *tx) tellRecoveries(ctx context.Context, d restock.Digest) (int64, error) {
	return t.Exec(ctx, `UPDATE incidents AS t SET recovery_told_in = ? WHERE `+untoldRecovery, d.ID)
}

// markIncidents notes that a message tells of the incidents of its digest, until
// unmarkIncidents says that it failed.
func (t *tx) markIncidents(ctx context.Context, ch channel, d restock.Digest) error {
	if ch.incident == "" {
		return nil
	}
	if _, err := t.Exec(ctx, `UPDATE incidents AS t SET `+ch.incident+` = ? WHERE t.open_key IS NOT NULL AND t.kind <> 'dead_letters'
		AND t.`+ch.incident+` IS NULL AND t.told_in IN (`+ch.digests+`)`, d.ID, d.ID); err != nil {
		return err
	}
	if !slices.ContainsFunc(d.Problems, func(p restock.Problem) bool { return p.Kind == restock.ProblemDeadLetter }) {
		return nil
	}
	src := deadLetterSource()
	_, err := t.Exec(ctx, `UPDATE incidents SET `+ch.incident+` = ? WHERE open_key = ? AND `+ch.incident+` IS NULL
		AND EXISTS (SELECT 1 FROM `+src.table+` t WHERE t.told_in IN (`+ch.digests+`) AND (`+src.where+`))`,
		d.ID, openKey(restock.IncidentDeadLetters, ""), d.ID)
	return err
}

func (t *tx) unmarkIncidents(ctx context.Context, ch channel, id restock.DigestID) error {
	if ch.incident == "" {
		return nil
	}
	_, err := t.Exec(ctx, `UPDATE incidents SET `+ch.incident+` = NULL WHERE `+ch.incident+` = ?`, id)
	return err
}

// loadRecoveries reads what a digest says is over, of what this channel was
// told, unless it has come again.
func (t *tx) loadRecoveries(ctx context.Context, ch channel, d *restock.Digest) error {
	if ch.incident == "" {
		return nil
	}
	var err error
	d.Recovered, err = collect(ctx, t, `SELECT t.kind, t.subject, t.began_at, t.ended_at FROM incidents t
		WHERE t.`+ch.incident+` IS NOT NULL AND t.recovery_told_in IN (`+ch.digests+`)
		AND NOT EXISTS (SELECT 1 FROM incidents o WHERE o.open_key = t.kind || ' ' || t.subject) ORDER BY t.closed_at DESC, t.id LIMIT ?`,
		[]any{d.ID, restock.DigestProblemsMax}, func(rows *sql.Rows) (restock.Recovery, error) {
			var r restock.Recovery
			err := rows.Scan(&r.Kind, &r.Subject, instant{&r.Since}, instant{&r.Until})
			return r, err
		})
	return err
}
