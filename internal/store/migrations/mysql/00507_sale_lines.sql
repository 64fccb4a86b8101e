-- What was sold, a row per line. What belongs to the sale as a whole stands on
-- each of its lines: nearly every sale has one, and one row is what a sale at
-- full speed can afford.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS sale_lines (
    sale_id    BINARY(16) NOT NULL,
    line       BIGINT NOT NULL,
    product_id BINARY(16) NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    unit_price BIGINT NOT NULL CHECK (unit_price >= 0),
    currency   VARCHAR(16) NOT NULL,
    -- What was available afterwards, as the buyer was told.
    remaining  BIGINT NOT NULL CHECK (remaining >= 0),
    returned   BIGINT NOT NULL DEFAULT 0,
    reference  VARCHAR(512) NOT NULL,
    sold_at    BIGINT NOT NULL,
    CHECK (returned >= 0 AND returned <= quantity),
    PRIMARY KEY (sale_id, line),
    KEY sale_lines_reference (reference),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
