-- A secret keeps its time when the next rotation comes within it.

-- +goose NO TRANSACTION
-- +goose Up
ALTER TABLE webhooks
    ADD COLUMN secret_older VARCHAR(255) NOT NULL DEFAULT '',
    ADD COLUMN older_until BIGINT;
