-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS stockouts (
    id               BINARY(16) NOT NULL PRIMARY KEY,
    product_id       BINARY(16) NOT NULL,
    opened_at        BIGINT NOT NULL,
    closed_at        BIGINT,
    refused_buyers   BIGINT NOT NULL DEFAULT 0,
    refused_units    BIGINT NOT NULL DEFAULT 0,
    first_refused_at BIGINT,
    KEY stockouts_product (product_id, id),
    KEY stockouts_open (closed_at, product_id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
