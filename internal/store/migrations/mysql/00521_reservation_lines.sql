-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS reservation_lines (
    reservation_id BINARY(16) NOT NULL,
    line           BIGINT NOT NULL,
    product_id     BINARY(16) NOT NULL,
    quantity       BIGINT NOT NULL CHECK (quantity > 0),
    unit_price     BIGINT NOT NULL CHECK (unit_price >= 0),
    PRIMARY KEY (reservation_id, line),
    KEY reservation_lines_product (product_id, reservation_id),
    FOREIGN KEY (reservation_id) REFERENCES reservations (id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
