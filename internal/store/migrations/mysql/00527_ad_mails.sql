-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS ad_mails (
    hold_id  BINARY(16) NOT NULL,
    kind     VARCHAR(24) NOT NULL CHECK (kind IN ('stop', 'stop_reminder', 'resume', 'resume_reminder')),
    due_at   BIGINT NOT NULL, -- its date
    facts    TEXT NOT NULL, -- what it says, in JSON
    tries    BIGINT NOT NULL,
    tried_at BIGINT NOT NULL, -- the last time
    unsure   SMALLINT NOT NULL, -- it may have arrived, though nobody said so
    sent_at  BIGINT,
    PRIMARY KEY (hold_id, kind),
    FOREIGN KEY (hold_id) REFERENCES ad_holds (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
