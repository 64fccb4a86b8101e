-- What people decided, and why. Rows are only ever added.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS audit (
    id         BINARY(16) NOT NULL PRIMARY KEY,
    at         BIGINT NOT NULL,
    actor      VARCHAR(255) NOT NULL,
    action     VARCHAR(255) NOT NULL, -- such as order.approve
    subject    VARCHAR(512) NOT NULL, -- what it was done to: an id or a name
    product_id BINARY(16),
    reason     TEXT NOT NULL,
    detail     TEXT NOT NULL DEFAULT (''),
    KEY audit_product (product_id, id),
    KEY audit_subject (subject, id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
