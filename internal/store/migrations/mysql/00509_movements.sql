-- The ledger. Rows are only ever added, one for each change of on hand: sales
-- that were committed together are one change, at the sold_at of their lines.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS movements (
    id            BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    product_id    BINARY(16) NOT NULL,
    kind          VARCHAR(16) NOT NULL CHECK (kind IN ('opening', 'sale', 'receipt', 'adjustment', 'return')),
    quantity      BIGINT NOT NULL,
    on_hand_after BIGINT NOT NULL CHECK (on_hand_after >= 0),
    reference     BINARY(16), -- the receipt that caused it, or another single cause
    note          TEXT NOT NULL DEFAULT (''),
    at            BIGINT NOT NULL,
    KEY movements_product (product_id, id),
    KEY movements_kind (product_id, kind, id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
