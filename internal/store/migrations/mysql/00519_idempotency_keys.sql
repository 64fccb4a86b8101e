-- What a caller did under an Idempotency-Key. Only effects are remembered: a
-- refusal is decided anew.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS idempotency_keys (
    `key`        VARCHAR(512) NOT NULL PRIMARY KEY, -- its route, a blank, the caller's key
    body_hash  BINARY(32) NOT NULL,
    effect     BINARY(16) NOT NULL, -- the id of the sale, reservation, return or adjustment
    created_at BIGINT NOT NULL,
    KEY idempotency_keys_age (created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
