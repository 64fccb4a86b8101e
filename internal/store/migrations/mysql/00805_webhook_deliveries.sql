-- What became of each event at each subscription.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS webhook_deliveries (
    webhook_id BINARY(16) NOT NULL,
    event_id   BINARY(16) NOT NULL,
    type       VARCHAR(255) NOT NULL,
    subject    VARCHAR(512) NOT NULL,
    event_at   BIGINT NOT NULL,
    queued_at  BIGINT NOT NULL,
    tries      BIGINT NOT NULL DEFAULT 0,
    tried_at   BIGINT,
    status     BIGINT NOT NULL DEFAULT 0, -- of the last answer; 0 is none
    took       BIGINT NOT NULL DEFAULT 0, -- microseconds
    error      TEXT NOT NULL DEFAULT (''),
    PRIMARY KEY (webhook_id, event_id),
    FOREIGN KEY (webhook_id) REFERENCES webhooks (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
