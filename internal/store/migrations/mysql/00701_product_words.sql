-- The words that find a product: of its SKU, its slug and its name, in lower
-- case. Korean joins words, so its words are here from each of their letters on.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS product_words (
    word       VARCHAR(64) NOT NULL,
    product_id BINARY(16) NOT NULL,
    PRIMARY KEY (word, product_id),
    FOREIGN KEY (product_id) REFERENCES products (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
