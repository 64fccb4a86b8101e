-- Buyers turned away while something was left, but not enough.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS refusals (
    product_id BINARY(16) NOT NULL,
    day        VARCHAR(10) NOT NULL, -- 2006-01-02, UTC
    buyers     BIGINT NOT NULL,
    units      BIGINT NOT NULL,
    first_at   BIGINT,
    told_in    BINARY(16),
    PRIMARY KEY (product_id, day),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
