-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS decisions (
    id            BINARY(16) NOT NULL PRIMARY KEY,
    product_id    BINARY(16) NOT NULL,
    ordered       SMALLINT NOT NULL,
    order_id      BINARY(16),
    quantity      BIGINT NOT NULL,
    approval      SMALLINT NOT NULL,
    reason        TEXT NOT NULL,
    on_hand       BIGINT NOT NULL,
    reserved      BIGINT NOT NULL,
    on_order      BIGINT NOT NULL,
    reorder_point BIGINT NOT NULL,
    count         BIGINT NOT NULL,
    first_at      BIGINT NOT NULL,
    last_at       BIGINT NOT NULL,
    KEY decisions_product (product_id, id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
