-- A secret keeps its time when the next rotation comes within it.

-- +goose Up
ALTER TABLE webhooks ADD COLUMN secret_older TEXT NOT NULL DEFAULT '';
ALTER TABLE webhooks ADD COLUMN older_until INTEGER;
