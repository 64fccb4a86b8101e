-- Every callback with a good token. An order that we do not know has no
-- product: such a receipt is kept as an orphan, so there is no foreign key.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS receipts (
    id         BINARY(16) NOT NULL PRIMARY KEY,
    order_id   BINARY(16) NOT NULL,
    attempt    BIGINT NOT NULL,
    product_id BINARY(16),
    state      VARCHAR(24) NOT NULL CHECK (state IN ('applied', 'duplicate', 'held', 'refused')),
    claimed    TEXT NOT NULL,
    applied    BIGINT NOT NULL CHECK (applied >= 0),
    held       BIGINT NOT NULL CHECK (held >= 0),
    late       SMALLINT NOT NULL,
    reason     TEXT NOT NULL,
    body_hash  BINARY(32) NOT NULL,
    body       MEDIUMBLOB NOT NULL,
    `repeat`     BIGINT NOT NULL, -- 0 the first with this body, 1 the repeats
    repeats    BIGINT NOT NULL DEFAULT 0,
    remote     TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    told_in    BINARY(16),
    -- Pieces that were held, and that a person refused.
    refused    BIGINT NOT NULL DEFAULT 0 CHECK (refused >= 0),
    UNIQUE (order_id, attempt, body_hash, `repeat`),
    KEY receipts_state (state, id),
    KEY receipts_part_held (state, held, id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
