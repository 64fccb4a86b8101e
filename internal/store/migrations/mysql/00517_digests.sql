-- Mails to operations, and to the buyer.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS digests (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    created_at    BIGINT NOT NULL,
    mailing_until BIGINT NOT NULL,
    sent_at       BIGINT,
    audience      VARCHAR(16) NOT NULL DEFAULT 'operations' CHECK (audience IN ('operations', 'buyer')),
    -- While a channel cannot tell, digests that it never tried are told in one
    -- message, by the first of them; what was tried once is repeated as it was.
    mailed_by     BINARY(16),
    hooked_by     BINARY(16),
    hooking_until BIGINT NOT NULL DEFAULT 0,
    hooked_at     BIGINT,
    KEY digests_unsent (sent_at, created_at),
    KEY digests_unhooked (hooked_at, created_at),
    KEY digests_mailed_by (mailed_by),
    KEY digests_hooked_by (hooked_by)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
