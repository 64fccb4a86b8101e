-- What migrations/sqlite had made by step 5. Later, step n of SQLite is n01, n02 … here,
-- one statement that can be run again in each: DDL commits by itself. Ids, times,
-- money and rules are as in migrations/postgres.

-- Turns that are taken one after another, by locking their row.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS turns (
    name VARCHAR(255) NOT NULL PRIMARY KEY
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
