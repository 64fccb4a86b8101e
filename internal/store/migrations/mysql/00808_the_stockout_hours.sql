-- Of those before, only the first refusal has a time.

-- +goose NO TRANSACTION
-- +goose Up
INSERT IGNORE INTO stockout_hours (stockout_id, hour, buyers, units, value)
    SELECT s.id, COALESCE(s.first_refused_at, s.opened_at) DIV 3600000000 * 3600000000, s.refused_buyers, s.refused_units, s.refused_units * p.price
    FROM stockouts s JOIN products p ON p.id = s.product_id WHERE s.refused_buyers > 0;
