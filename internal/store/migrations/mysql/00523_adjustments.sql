-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS adjustments (
    id         BINARY(16) NOT NULL PRIMARY KEY,
    product_id BINARY(16) NOT NULL,
    quantity   BIGINT NOT NULL, -- signed
    counted    BIGINT, -- of a stocktake
    on_hand    BIGINT NOT NULL, -- afterwards
    reason     TEXT NOT NULL,
    at         BIGINT NOT NULL,
    KEY adjustments_product (product_id, id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
