-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS advertisements (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    name          VARCHAR(255) NOT NULL UNIQUE,
    manager_email VARCHAR(255) NOT NULL,
    language      VARCHAR(16) NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
