-- Every failed delivery. The claim tells the first receive before a redrive
-- from the first receive after it.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS queue_failures (
    message_id BINARY(16)   NOT NULL,
    queue      VARCHAR(128) NOT NULL,
    claim      BIGINT       NOT NULL,
    receive    BIGINT       NOT NULL,
    at         BIGINT       NOT NULL,
    error      TEXT         NOT NULL,
    PRIMARY KEY (message_id, queue, claim),
    -- Those of a message that a broker delivered at last go by age.
    KEY queue_failures_at (at)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
