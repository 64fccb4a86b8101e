-- All events, in the order of their commits.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS events (
    seq          BIGINT NOT NULL PRIMARY KEY,
    id           BINARY(16) NOT NULL UNIQUE,
    type         VARCHAR(255) NOT NULL,
    subject      VARCHAR(512) NOT NULL,
    trace_parent VARCHAR(255) NOT NULL,
    body         MEDIUMBLOB NOT NULL,
    created_at   BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
