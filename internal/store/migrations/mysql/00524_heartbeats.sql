-- When receiving processes were alive, a row for each stretch of time without a
-- gap. A window for a callback does not run while nobody could be called.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS heartbeats (
    owner      VARCHAR(255) NOT NULL,
    started_at BIGINT NOT NULL,
    beat_at    BIGINT NOT NULL,
    gap_min    BIGINT NOT NULL, -- microseconds after the last beat until it counts as gone
    set_back   BIGINT NOT NULL, -- microseconds that the clock was set back by when it began, as far as beats tell
    PRIMARY KEY (owner, started_at),
    KEY heartbeats_beat (beat_at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
