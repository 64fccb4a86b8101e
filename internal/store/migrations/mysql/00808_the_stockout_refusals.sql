-- Of those before, only the first refusal has a time.

-- +goose NO TRANSACTION
-- +goose Up
INSERT IGNORE INTO stockout_refusals (stockout_id, quarter, buyers, units, value)
    SELECT s.id, COALESCE(s.first_refused_at, s.opened_at) DIV 900000000 * 900000000, s.refused_buyers, s.refused_units, s.refused_units * p.price
    FROM stockouts s JOIN products p ON p.id = s.product_id WHERE s.refused_buyers > 0;
