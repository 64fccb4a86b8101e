-- published = rows in queue_deliveries + purged, for every queue, at every commit.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS queue_totals (
    queue     VARCHAR(128) NOT NULL PRIMARY KEY,
    published BIGINT       NOT NULL DEFAULT 0,
    purged    BIGINT       NOT NULL DEFAULT 0
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
