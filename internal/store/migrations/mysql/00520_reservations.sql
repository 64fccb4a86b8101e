-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS reservations (
    id         BINARY(16) NOT NULL PRIMARY KEY,
    state      VARCHAR(24) NOT NULL CHECK (state IN ('held', 'confirmed', 'released', 'expired')),
    reference  VARCHAR(512) NOT NULL,
    currency   VARCHAR(16) NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    closed_at  BIGINT,
    sale_id    BINARY(16),
    CHECK ((state = 'confirmed') = (sale_id IS NOT NULL)),
    KEY reservations_due (state, expires_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
