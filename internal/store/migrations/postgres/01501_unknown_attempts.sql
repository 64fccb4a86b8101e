-- An attempt that nobody knows the fate of, while another one completed its order,
-- is told to operations.

-- +goose Up
ALTER TABLE order_attempts ADD COLUMN told_in BYTEA;
CREATE INDEX attempts_unknown ON order_attempts (order_id) WHERE state = 'unknown';
