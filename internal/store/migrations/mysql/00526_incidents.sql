-- Conditions that are a problem while they last.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS incidents (
    id               BINARY(16) NOT NULL PRIMARY KEY,
    kind             VARCHAR(24) NOT NULL CHECK (kind IN ('queue_old', 'relay_stuck', 'engine_away', 'dead_letters')),
    subject          VARCHAR(512) NOT NULL, -- the queue or the engine
    -- Its kind, a blank and its subject while it is open: at most one is.
    open_key         VARCHAR(600) UNIQUE,
    detail           TEXT NOT NULL,
    began_at         BIGINT NOT NULL,
    opened_at        BIGINT NOT NULL,
    seen_at          BIGINT NOT NULL,
    ended_at         BIGINT, -- since when it is not seen any more
    closed_at        BIGINT, -- when it was taken to be over
    told_in          BINARY(16), -- the digest that it belongs to
    -- The messages that told of it, unless they are known to have failed.
    mailed_in        BINARY(16),
    hooked_in        BINARY(16),
    recovery_told_in BINARY(16), -- the digest that tells that it is over
    CHECK ((open_key IS NULL) = (closed_at IS NOT NULL)),
    KEY incidents_told (told_in),
    KEY incidents_recovered (recovery_told_in, closed_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
