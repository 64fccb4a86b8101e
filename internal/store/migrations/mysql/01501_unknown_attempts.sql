-- An attempt that nobody knows the fate of, while another one completed its order,
-- is told to operations.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE order_attempts ADD COLUMN told_in BINARY(16), ADD KEY attempts_state (state);
