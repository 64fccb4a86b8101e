package store

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/restock/restock"
)

// rowsPerAct is how many rows of a reconciliation go into one transaction, so
// that a large one never keeps a buyer waiting.
const rowsPerAct = 25

// Reconcile settles attempts of one factory in bulk from what it says it has.
// One that it has is accepted, and its order has a window for the callback
// once more; one that it has not is as good as refused, and its order is
// planned again when nothing else of it is on its way. All else stays as it is
// and is told with its reason, line by line.
//
// Rows of one order stand in one transaction, so that nobody places an order
// again of which the next row says that it was accepted.
func (s *Store) Reconcile(ctx context.Context, factory string, rows []restock.ReconcileRow, window func(restock.Factory) time.Duration,
	act restock.Act,
) (restock.Reconciliation, error) {
	if len(rows) == 0 || len(rows) > restock.ReconcileRowsMax {
		return restock.Reconciliation{}, restock.Errorf(restock.Invalid, restock.CodeInvalid,
			"a reconciliation has 1 to %d rows, not %d; split the file", restock.ReconcileRowsMax, len(rows))
	}
	result := restock.Reconciliation{Lines: make([]restock.ReconcileLine, 0, len(rows))}
	for _, part := range reconcileParts(rows) {
		var lines []restock.ReconcileLine
		if err := s.update(ctx, background, func(ctx context.Context, tx *tx) error {
			var err error
			lines, err = tx.reconcile(ctx, factory, part, window, act)
			return err
		}); err != nil {
			return result, err
		}
		result.Lines = append(result.Lines, lines...)
	}
	slices.SortFunc(result.Lines, func(a, b restock.ReconcileLine) int { return a.Line - b.Line })
	for _, l := range result.Lines {
		switch {
		case !l.Changed:
			result.Unchanged++
		case l.Status == restock.ReconcileAccepted:
			result.Accepted++
		default:
			result.Absent++
		}
	}
	return result, nil
}

// reconcileParts numbers the rows, brings those of one order together, what
// was accepted first, and cuts them between orders. An attempt that stands
// there twice is marked.
func reconcileParts(rows []restock.ReconcileRow) [][]restock.ReconcileLine {
	type attempt struct {
		order  restock.OrderID
		number int
	}
	seen := map[attempt]bool{}
	lines := make([]restock.ReconcileLine, len(rows))
	for i, row := range rows {
		lines[i] = restock.ReconcileLine{ReconcileRow: row, Line: i + 1, Result: row.Problem}
		if row.Problem != "" {
			continue
		}
		if seen[attempt{row.OrderID, row.Attempt}] {
			lines[i].Result = "the attempt stood in an earlier line"
		}
		seen[attempt{row.OrderID, row.Attempt}] = true
	}
	slices.SortStableFunc(lines, func(a, b restock.ReconcileLine) int {
		if c := slices.Compare(a.OrderID[:], b.OrderID[:]); c != 0 {
			return c
		}
		return rank(a.Status) - rank(b.Status)
	})
	var parts [][]restock.ReconcileLine
	for begin := 0; begin < len(lines); {
		end := min(begin+rowsPerAct, len(lines))
		for end < len(lines) && lines[end].OrderID == lines[end-1].OrderID {
			end++
		}
		parts = append(parts, lines[begin:end])
		begin = end
	}
	return parts
}

func rank(s restock.ReconcileStatus) int {
	if s == restock.ReconcileAccepted {
		return 0
	}
	return 1
}

func (t *tx) reconcile(ctx context.Context, factory string, part []restock.ReconcileLine, window func(restock.Factory) time.Duration,
	act restock.Act,
) ([]restock.ReconcileLine, error) {
	f, err := t.factoryNamed(ctx, factory)
	if err != nil {
		return nil, err
	}
	if err := t.lockOrders(ctx, part); err != nil {
		return nil, err
	}
	lines := slices.Clone(part)
	for i := range lines {
		if lines[i].Result != "" {
			continue
		}
		if err := t.reconcileLine(ctx, f, &lines[i], t.now.Add(window(f)), act); err != nil {
			return nil, fmt.Errorf("line %d: %w", lines[i].Line, err)
		}
	}
	return lines, nil
}

// lockOrders locks the products of all orders in a part, in order.
func (t *tx) lockOrders(ctx context.Context, part []restock.ReconcileLine) error {
	orders := make([]restock.OrderID, len(part))
	for i, line := range part {
		orders[i] = line.OrderID
	}
	var products []restock.ProductID
	for some := range slices.Chunk(slices.Compact(orders), productsPerStatement) {
		found, err := collect(ctx, t, `SELECT product_id FROM replenishment_orders WHERE id IN (`+places(len(some))+`)`,
			anys(some), scanID[restock.Product])
		if err != nil {
			return err
		}
		products = append(products, found...)
	}
	_, err := t.lock(ctx, products...)
	return err
}

func (t *tx) reconcileLine(ctx context.Context, f restock.Factory, line *restock.ReconcileLine, due time.Time, act restock.Act) error {
	a, o, p, err := t.lockAttempt(ctx, line.OrderID, line.Attempt)
	if isNoRows(err) {
		line.Result = "there is no such attempt"
		return nil
	}
	if err != nil {
		return err
	}
	if a.Factory.ID != f.ID {
		line.Result = "it was asked of the factory " + a.Factory.Identifier
		return nil
	}
	switch line.Status {
	case restock.ReconcileAccepted:
		err = t.reconcileAccepted(ctx, o, a, due, line)
	case restock.ReconcileAbsent:
		err = t.reconcileAbsent(ctx, o, a, line)
	default:
		line.Result = fmt.Sprintf("the status must be accepted or absent, not %q", line.Status)
	}
	if err != nil || !line.Changed {
		return err
	}
	return t.audit(ctx, act, "order.reconcile", o.ID.String(), p.ID, fmt.Sprintf("attempt %d: %s", a.Number, line.Result))
}

// reconcileAccepted believes a factory that says it has an attempt. It also
// calls off an attempt that is planned because nobody knew.
func (t *tx) reconcileAccepted(ctx context.Context, o orderRow, a restock.Attempt, due time.Time, line *restock.ReconcileLine) error {
	if !settleable(a, t.now) {
		line.Result = "the attempt is " + string(a.State)
		return nil
	}
	if err := t.must(ctx, `UPDATE order_attempts SET state = 'accepted', due_at = ?, error = ''
		WHERE order_id = ? AND number = ? AND state = ?`, micros(due), o.ID, a.Number, string(a.State)); err != nil {
		return err
	}
	line.Changed, line.Result = true, "accepted"
	current := o.State == restock.OrderSending && a.Number == o.attempts
	if o.State != restock.OrderUnknown && o.State != restock.OrderOverdue && o.State != restock.OrderHeld &&
		o.State != restock.OrderPlanned && !current {
		return nil
	}
	return t.must(ctx, `UPDATE replenishment_orders SET state = 'accepted', due_at = ?, expected_at = ?, held_reason = '', told_in = NULL
		WHERE id = ? AND state = ?`, micros(due), micros(due), o.ID, string(o.State))
}

// settleable reports whether nobody knows what became of an attempt. While its
// lease lasts, its owner is about to learn it.
func settleable(a restock.Attempt, now time.Time) bool {
	switch a.State { //nolint:exhaustive // the others are known.
	case restock.AttemptUnknown, restock.AttemptOverdue:
		return true
	case restock.AttemptSending:
		return !a.LeaseUntil.After(now)
	}
	return false
}

// reconcileAbsent believes a factory that says it has not got an attempt.
func (t *tx) reconcileAbsent(ctx context.Context, o orderRow, a restock.Attempt, line *restock.ReconcileLine) error {
	if a.State != restock.AttemptUnknown && a.State != restock.AttemptOverdue {
		line.Result = "the attempt is " + string(a.State)
		return nil
	}
	reported, err := t.reported(ctx, a)
	if err != nil {
		return err
	}
	if reported {
		line.Result = "the factory reported goods of it; see `restock orders show " + o.ID.String() + "`"
		return nil
	}
	if err := t.must(ctx, `UPDATE order_attempts SET state = 'rejected', error = 'the factory says that it does not have it'
		WHERE order_id = ? AND number = ? AND state = ?`, o.ID, a.Number, string(a.State)); err != nil {
		return err
	}
	line.Changed, line.Result = true, "absent"
	return t.replanAbsent(ctx, o, a.Number, line)
}

// reported reports whether anything came of an attempt, goods or only a call.
func (t *tx) reported(ctx context.Context, a restock.Attempt) (bool, error) {
	var found bool
	err := t.one(ctx, `SELECT EXISTS (SELECT 1 FROM receipts WHERE order_id = ? AND attempt = ?)`, []any{a.OrderID, a.Number}, &found)
	return found, err
}

// replanAbsent plans an order again that no longer waits for anything.
func (t *tx) replanAbsent(ctx context.Context, o orderRow, absent int, line *restock.ReconcileLine) error {
	if o.State != restock.OrderUnknown && o.State != restock.OrderOverdue && o.State != restock.OrderHeld {
		return nil
	}
	attempts, err := t.attempts(ctx, o.ID)
	if err != nil {
		return err
	}
	for _, other := range attempts {
		if other.Number != absent && (other.State == restock.AttemptAccepted || other.State == restock.AttemptUnknown) {
			return nil
		}
	}
	if mayBeAccepted(attempts) > o.ReorderBudget {
		return nil
	}
	line.Result = "absent, planned again"
	return t.replan(ctx, o)
}
