package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/restock/restock"
)

func verifyChecks() []check {
	return []check{
		{"EveryRuleFindsItsCorruption", corruptionFound},
		{"ABrokenRuleShowsAFewExamplesAndTheirNumber", examplesBounded},
		{"VerifyBesideAWorkingStoreIsClean", verifyBeside},
		{"FewerOrdersThanAreOpenBreakNothingAndOneMoreDoes", fewerOrders},
	}
}

// corruption is one way to spoil the rows of a table, and the rule that has to
// see it.
type corruption struct {
	rule, table, sql string
}

func corruptions() []corruption {
	return []corruption{
		{"never oversell", "products", `UPDATE products SET reserved = on_hand + 1 WHERE sku = 'P00'`},
		{"never oversell", "products", `UPDATE products SET on_hand = -1, reserved = -2 WHERE sku = 'P00'`},
		{"the urgency under which", "products", `UPDATE products SET urgency = (urgency + 1) % 4 WHERE sku = 'P00'`},
		{"what was sold is covered", "sale_lines", `UPDATE sale_lines SET quantity = quantity + 1000`},
		{"what was sold is covered", "movements", `DELETE FROM movements WHERE kind = 'opening'`},
		{"on hand is the sum of the ledger", "products", `UPDATE products SET on_hand = on_hand + 1 WHERE sku = 'P00'`},
		{"on hand is the sum of the ledger", "movements", `UPDATE movements SET quantity = quantity - 1 WHERE kind = 'sale'`},
		{"on hand is the sum of the ledger", "movements", `DELETE FROM movements`},
		{"the ledger has every", "movements", `UPDATE movements SET kind = 'adjustment' WHERE kind = 'receipt'`},
		{"the ledger has every", "sale_lines", `DELETE FROM sale_lines`},
		{"the ledger has every", "products", `UPDATE products SET opening_stock = opening_stock + 1`},
		{"the ledger has every", "receipts", `UPDATE receipts SET applied = applied + 1`},
		{"on order is what", "products", `UPDATE products SET on_order = on_order + 1`},
		{"on order is what", "replenishment_orders", `UPDATE replenishment_orders SET outstanding = 1 WHERE state = 'received'`},
		{"stay within the product's slots", "products", `UPDATE products SET open_orders_max = 0`},
		{"than its budget allows", "order_attempts", `UPDATE order_attempts SET state = 'unknown', http_status = 0 WHERE state = 'rejected'`},
		{"an attempt received what", "order_attempts", `UPDATE order_attempts SET received = received + 1`},
		{"an attempt received what", "order_attempts", `UPDATE order_attempts SET quantity = 1 WHERE state = 'received'`},
		{"an attempt received what", "receipts", `DELETE FROM receipts`},
		{"goods that nobody vouched for", "receipts", `UPDATE receipts SET attempt = 0`},
		{"an order received what", "replenishment_orders", `UPDATE replenishment_orders SET received = received + 1`},
		{"an order received what", "replenishment_orders", `UPDATE replenishment_orders SET outstanding = outstanding - 1 WHERE state = 'planned'`},
		{"every message published", "queue_deliveries", `DELETE FROM queue_deliveries WHERE message_id = (SELECT id FROM (SELECT message_id AS id FROM queue_deliveries ORDER BY message_id LIMIT 1) AS first)`},
		{"every message published", "queue_totals", `UPDATE queue_totals SET published = published + 1`},
		{"every message published", "queue_totals", `DELETE FROM queue_totals`},
		{"the log of events has no gap", "events", `DELETE FROM events WHERE seq = 1`},
		{"the refusals of a stockout add up", "stockouts", `UPDATE stockouts SET refused_buyers = refused_buyers + 1`},
		{"the refusals of a stockout add up", "stockout_refusals", `DELETE FROM stockout_refusals`},
		{"every delivery has its message", "queue_messages", `DELETE FROM queue_messages`},
		{"the stockout that a product names", "stockouts", `UPDATE stockouts SET closed_at = NULL`},
		{"the stockout that a product names", "stockouts", `UPDATE stockouts SET closed_at = opened_at`},
		{"the stockout that a product names", "products", `UPDATE products SET stockout_id = NULL`},
		{"the stockout that a product names", "products", `UPDATE products SET stockout_id = (SELECT id FROM stockouts ORDER BY id LIMIT 1) WHERE sku <> 'P00'`},
	}
}

// eventful makes a shop in which every rule has rows to look at.
func eventful(t *testing.T, h harness) *shop {
	t.Helper()
	s := h.unchecked(t, catalogue(
		ordered("P00", 1, 0, 2), ordered("P01", 1, 0, 2), ordered("P02", 1, 0, 2), ordered("P03", 1, 0, 2)))
	for _, sku := range []restock.SKU{"P00", "P01", "P02"} {
		s.mustBuy(sku, 1)
		s.receive(s.placed(sku, 2), 2, "two")
	}
	s.mustBuy("P01", 2) // a stockout is open, and an order planned
	s.refuse("P01", 1)
	s.order("P01", 2)
	s.clock.advance(1)
	a := s.claim()
	for range 3 { // three attempts, all of them refused for now
		answer := s.answer(a, restock.AttemptRejected)
		answer.RetryAt = s.clock.now()
		s.must(s.SettleAttempt(s.ctx(), a, answer))
		a = s.claim()
	}
	answer := s.answer(a, restock.AttemptNotSent)
	s.must(s.SettleAttempt(s.ctx(), a, answer))
	return s
}

func (s *shop) broken() []string {
	s.t.Helper()
	checks, err := s.Verify(s.ctx())
	s.must(err)
	var names []string
	for _, c := range checks {
		if c.Broken > 0 {
			names = append(names, c.Name)
		}
	}
	return names
}

func corruptionFound(t *testing.T, h harness) {
	s := eventful(t, h)
	if got := s.broken(); len(got) > 0 {
		t.Fatalf("broken before: %q", got)
	}
	proven := map[string]bool{}
	for _, c := range corruptions() {
		s.exec(`CREATE TABLE kept AS SELECT * FROM ` + c.table) //nolint:unqueryvet // a copy has every column.
		s.exec(c.sql)
		found := false
		broken := s.broken()
		for _, name := range broken {
			proven[name] = true
			found = found || strings.Contains(name, c.rule)
		}
		if !found {
			t.Errorf("%s: the rule %q does not see it; broken are %q", c.sql, c.rule, broken)
		}
		s.exec(`DELETE FROM ` + c.table)
		s.exec(`INSERT INTO ` + c.table + ` SELECT * FROM kept`) //nolint:unqueryvet // as above.
		s.exec(`DROP TABLE kept`)
	}
	checks, err := s.Verify(s.ctx())
	s.must(err)
	for _, c := range checks {
		if !proven[c.Name] && c.Promise != "I3" { // that is about the database, and no row of it
			t.Errorf("no corruption here proves that the rule %q can fail", c.Name)
		}
		if c.Broken > 0 {
			t.Errorf("broken after all was mended: %s", c.Name)
		}
	}
}

// fewerOrders: what is open when the catalogue allows fewer stays open, and is no
// fault; an order that was made after that is one.
func fewerOrders(t *testing.T, h harness) {
	allowed := func(most int64) restock.Catalog {
		p := ordered("A", 0, 100, 10)
		p.OpenOrdersMax = most
		return catalogue(p)
	}
	s := h.unchecked(t, allowed(3))
	s.order("A", 10)
	s.order("A", 10)
	for _, most := range []int64{2, 1} {
		s.clock.advance(time.Millisecond)
		s.apply(allowed(most))
		if got := s.broken(); len(got) > 0 {
			t.Errorf("broken when %d may be open: %q", most, got)
		}
	}
	s.wantCount(`SELECT COUNT(*) FROM audit`, 1) // two may be open: that was no reason
	s.clock.advance(time.Millisecond)
	s.exec(`UPDATE products SET open_orders_max = 3 WHERE sku = 'A'`)
	s.order("A", 10)
	s.exec(`UPDATE products SET open_orders_max = 1 WHERE sku = 'A'`)
	if got := s.broken(); len(got) != 1 || !strings.Contains(got[0], "stay within the product's slots") {
		t.Errorf("broken after one more was ordered: %q", got)
	}
}

func (s *shop) exec(query string) {
	s.t.Helper()
	if _, err := s.rows.ExecContext(s.ctx(), query); err != nil {
		s.t.Fatalf("%s: %v", query, err)
	}
}

func examplesBounded(t *testing.T, h harness) {
	const many = 30
	products := make([]restock.CatalogProduct, 0, many)
	for i := range many {
		products = append(products, plain(restock.SKU(fmt.Sprintf("P%02d", i)), 1))
	}
	s := h.unchecked(t, catalogue(products...))
	s.exec(`UPDATE products SET on_hand = on_hand + 1`)
	checks, err := s.Verify(s.ctx())
	s.must(err)
	for _, c := range checks {
		if c.Name != "on hand is the sum of the ledger" {
			continue
		}
		got := []int64{c.Broken, int64(len(c.Violations)), c.Rows}
		if diff := cmp.Diff([]int64{many, restock.ViolationsShown, many}, got); diff != "" {
			t.Errorf("broken, shown, rows (-want +got):\n%s", diff)
		}
		if c.Promise != "I2" || !strings.Contains(c.Violations[0], "P") {
			t.Errorf("check %+v", c)
		}
	}
}

func verifyBeside(t *testing.T, h harness) {
	s := h.shop(t, catalogue(ordered("A", 100, 0, 10)))
	atOnce(12, func(i int) {
		for range 10 {
			if i > 0 {
				_, err := s.Sell(s.ctx(), []restock.Cart{cart(line("A", 1))})
				if err != nil {
					t.Error(err)
				}
				continue
			}
			if got := s.broken(); len(got) > 0 {
				t.Errorf("broken: %q", got)
			}
		}
	})
}
