-- Mails to operations, and to the buyer.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS digests (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    created_at    BIGINT NOT NULL,
    mailing_until BIGINT NOT NULL,
    sent_at       BIGINT,
    audience      VARCHAR(16) NOT NULL DEFAULT 'operations' CHECK (audience IN ('operations', 'buyer')),
    KEY digests_unsent (sent_at, created_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
