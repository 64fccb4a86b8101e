-- The subscriptions of other programs.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS webhooks (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    url           TEXT NOT NULL,
    description   TEXT NOT NULL,
    event_types   TEXT NOT NULL, -- separated by spaces; '' is all
    acknowledges  BINARY(16),
    secret        VARCHAR(255) NOT NULL,
    -- After a rotation both sign for a while.
    secret_before VARCHAR(255) NOT NULL DEFAULT '',
    before_until  BIGINT,
    paused        SMALLINT NOT NULL,
    created_at    BIGINT NOT NULL,
    -- Its deliveries are removed first, some at a time, and the row last.
    deleted_at    BIGINT,
    after_seq     BIGINT NOT NULL, -- events up to this one are in its queue
    failures      BIGINT NOT NULL DEFAULT 0, -- since it last took something
    failing_since BIGINT,
    last_error    TEXT NOT NULL DEFAULT (''),
    taken_at      BIGINT,
    FOREIGN KEY (acknowledges) REFERENCES advertisements (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
