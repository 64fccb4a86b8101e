-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS sale_returns (
    id         BINARY(16) NOT NULL,
    line       BIGINT NOT NULL,
    sale_id    BINARY(16) NOT NULL,
    product_id BINARY(16) NOT NULL,
    quantity   BIGINT NOT NULL CHECK (quantity > 0),
    reason     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    PRIMARY KEY (id, line),
    KEY sale_returns_sale (sale_id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
