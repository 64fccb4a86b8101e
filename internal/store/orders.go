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

// orderRow is an order with the columns that only the store uses.
type orderRow struct {
	restock.Order
	outstanding int64
	attempts    int
}

const orderColumns = `o.id, o.product_id, p.sku, o.factory_id, o.state, o.quantity, o.received, o.unit_cost, o.reason, o.held_reason,
	o.cause, o.reorder_budget, o.created_at, o.expected_at, o.closed_at, o.outstanding, o.attempts, o.due_at, o.trace_parent`

const orderTables = ` FROM replenishment_orders o JOIN products p ON p.id = o.product_id `

func orderFields(o *orderRow) []any {
	return []any{
		&o.ID, &o.ProductID, &o.SKU, &o.FactoryID, &o.State, &o.Quantity, &o.Received, &o.UnitCost, &o.Reason, &o.HeldReason,
		&o.Cause, &o.ReorderBudget,
		instant{&o.CreatedAt},
		instant{&o.ExpectedAt},
		instant{&o.ClosedAt},
		&o.outstanding, &o.attempts,
		instant{&o.DueAt},
		&o.TraceParent,
	}
}

// story gives what follows from an order the trace that the order belongs to: a
// factory that calls back, or a sweep, knows nothing of it.
func (o orderRow) story(ctx context.Context) context.Context {
	if o.TraceParent == "" {
		return ctx
	}
	return restock.WithTraceParent(ctx, o.TraceParent)
}

func scanOrder(rows *sql.Rows) (restock.Order, error) {
	var o orderRow
	err := rows.Scan(orderFields(&o)...)
	return o.Order, err
}

func (t *tx) order(ctx context.Context, id restock.OrderID) (orderRow, error) {
	var o orderRow
	err := t.one(ctx, `SELECT `+orderColumns+orderTables+`WHERE o.id = ?`, []any{id}, orderFields(&o)...)
	if errors.Is(err, sql.ErrNoRows) {
		return o, restock.Errorf(restock.NotFound, restock.CodeNotFound,
			"there is no order %s; `restock orders list` shows all", id)
	}
	return o, err
}

// lockOrder locks the product of an order, and reads the order as it is then.
func (t *tx) lockOrder(ctx context.Context, id restock.OrderID) (orderRow, restock.Product, error) {
	o, err := t.order(ctx, id)
	if err != nil {
		return o, restock.Product{}, err
	}
	p, err := t.lockOne(ctx, o.ProductID)
	if err != nil {
		return o, p, err
	}
	o, err = t.order(ctx, id)
	return o, p, err
}

const attemptColumns = `a.order_id, a.number, a.state, a.quantity, a.received, a.approved, a.sku, a.slug, a.requester, a.tries,
	a.owner, a.lease_until, a.sent_at, a.answered_at, a.due_at, a.http_status, a.factory_ref, a.error, ` + factoryColumns

func scanAttempt(rows *sql.Rows) (restock.Attempt, error) {
	var a restock.Attempt
	err := rows.Scan(append([]any{
		&a.OrderID, &a.Number, &a.State, &a.Quantity, &a.Received, &a.Approved, &a.SKU, &a.Slug, &a.Requester, &a.Tries,
		&a.Owner,
		instant{&a.LeaseUntil},
		instant{&a.SentAt},
		instant{&a.AnsweredAt},
		instant{&a.DueAt},
		&a.Status, &a.FactoryRef, &a.Error,
	}, factoryFields(&a.Factory)...)...)
	return a, err
}

func (t *tx) attempts(ctx context.Context, id restock.OrderID) ([]restock.Attempt, error) {
	return collect(ctx, t, `SELECT `+attemptColumns+` FROM order_attempts a JOIN factories f ON f.id = a.factory_id
		WHERE a.order_id = ? ORDER BY a.number`, []any{id}, scanAttempt)
}

const factoryColumns = `f.id, f.identifier, f.name, f.manager_email, f.language, f.url, f.requester, f.lead_time,
	f.max_in_flight, f.rate_per_second, f.overdue_policy, f.repeats, f.refused_statuses, f.paused, f.breaker, NULLIF(f.breaker_until, 0),
	f.lead_times_seen, f.lead_time_longest, f.lead_time_learned, f.called_back_at`

func factoryFields(f *restock.Factory) []any {
	return []any{
		&f.ID, &f.Identifier, &f.Name, &f.ManagerEmail, &f.Language, &f.URL, &f.Requester,
		duration{&f.LeadTime},
		&f.MaxInFlight, &f.RatePerSecond, &f.OverduePolicy, &f.Repeats,
		statuses{&f.RefusedStatuses},
		&f.Paused, &f.Breaker,
		instant{&f.BreakerUntil},
		&f.LeadTimesSeen,
		duration{&f.LeadTimeLongest},
		duration{&f.LeadTimeLearned},
		&f.CalledBackAt,
	}
}

// lockFactory locks the row of a factory, which stands for what it can bear. It
// comes after the products.
func (t *tx) lockFactory(ctx context.Context, id restock.FactoryID) (restock.Factory, error) {
	if t.locks {
		if _, err := collect(ctx, t, `SELECT id FROM factories WHERE id = ?`+t.forUpdate(), []any{id}, scanID[restock.Factory]); err != nil {
			return restock.Factory{}, err
		}
	}
	return t.factory(ctx, id)
}

func (t *tx) factory(ctx context.Context, id restock.FactoryID) (restock.Factory, error) {
	var f restock.Factory
	err := t.one(ctx, `SELECT `+factoryColumns+` FROM factories f WHERE f.id = ?`, []any{id}, factoryFields(&f)...)
	return f, err
}

// duration reads a number of microseconds.
type duration struct{ d *time.Duration }

func (d duration) Scan(src any) error {
	var n sql.Null[int64]
	if err := n.Scan(src); err != nil {
		return err
	}
	*d.d = time.Duration(n.V) * time.Microsecond
	return nil
}

// statuses reads HTTP statuses with blanks between them.
type statuses struct{ all *[]int }

func (s statuses) Scan(src any) error {
	var text sql.Null[string]
	if err := text.Scan(src); err != nil {
		return err
	}
	*s.all = nil
	for word := range strings.FieldsSeq(text.V) {
		status, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		*s.all = append(*s.all, status)
	}
	return nil
}

func statusText(all []int) string { return strings.Trim(fmt.Sprint(all), "[]") }
