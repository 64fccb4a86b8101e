-- +goose NO TRANSACTION
-- +goose Up
CREATE OR REPLACE VIEW sales AS
    SELECT sale_id AS id, MIN(reference) AS reference, SUM(quantity * unit_price) AS total, MIN(currency) AS currency,
        MIN(sold_at) AS sold_at
    FROM sale_lines GROUP BY sale_id;
