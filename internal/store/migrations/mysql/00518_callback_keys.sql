-- Which callback keys this database has signed with. The keys themselves are
-- never here.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS callback_keys (
    key_id      BIGINT NOT NULL PRIMARY KEY,
    fingerprint VARCHAR(255) NOT NULL,
    created_at  BIGINT NOT NULL
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
