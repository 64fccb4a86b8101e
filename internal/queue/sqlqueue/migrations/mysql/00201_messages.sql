-- What migrations/sqlite had made by step 2. Later, step n of SQLite is n01, n02 … here,
-- one statement that can be run again in each: DDL commits by itself.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS queue_messages (
    id           BINARY(16)   NOT NULL PRIMARY KEY,
    type         VARCHAR(255) NOT NULL,
    subject      VARCHAR(512) NOT NULL,
    trace_parent VARCHAR(255) NOT NULL,
    body         MEDIUMBLOB   NOT NULL,
    created_at   BIGINT       NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
