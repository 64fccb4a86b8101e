-- What the program that switches an advertisement said last.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS ad_switches (
    advertisement_id BINARY(16) NOT NULL PRIMARY KEY,
    ask              VARCHAR(16) NOT NULL CHECK (ask IN ('', 'stop', 'resume')),
    switched_at      BIGINT NOT NULL,
    switched_by      VARCHAR(255) NOT NULL,
    -- While a post that asks for something is on its way, no other one goes.
    posting_until    BIGINT NOT NULL,
    FOREIGN KEY (advertisement_id) REFERENCES advertisements (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
