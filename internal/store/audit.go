package store

import (
	"context"
	"database/sql"

	"github.com/restock/restock"
)

// audit notes what a person decided, in the transaction that carries it out.
func (t *tx) audit(ctx context.Context, act restock.Act, action, subject string, product restock.ProductID, detail string) error {
	return t.must(ctx, `INSERT INTO audit (id, at, actor, action, subject, product_id, reason, detail) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		restock.AuditID(t.newID()), micros(t.now), act.By, action, subject, product, act.Reason, detail)
}

// Audit lists what people decided, newest first.
func (s *Store) Audit(ctx context.Context, q restock.ListQuery) ([]restock.AuditEntry, string, error) {
	return page(ctx, s, `SELECT a.id, a.at, a.actor, a.action, a.subject, COALESCE(p.sku, ''), a.reason, a.detail
		FROM audit a LEFT JOIN products p ON p.id = a.product_id`, `a.id DESC`, q, scanAudit,
		func(e restock.AuditEntry) string { return e.ID.String() },
		func(ctx context.Context, tx *tx, l *list) error {
			if q.Reference != "" {
				l.and(`a.subject = ?`, q.Reference)
			}
			if q.State != "" {
				l.and(`a.action = ?`, q.State)
			}
			q.State = ""
			return narrowBy(q, `a.id`, `a.product_id`, `''`)(ctx, tx, l)
		})
}

func scanAudit(rows *sql.Rows) (restock.AuditEntry, error) {
	var e restock.AuditEntry
	err := rows.Scan(&e.ID, instant{&e.At}, &e.Actor, &e.Action, &e.Subject, &e.SKU, &e.Reason, &e.Detail)
	return e, err
}
