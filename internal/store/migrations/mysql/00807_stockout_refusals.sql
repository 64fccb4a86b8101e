-- Who was refused in a stockout, by the quarter of an hour, since in every zone
-- a day begins with one, and at the price of that time.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS stockout_refusals (
    stockout_id BINARY(16) NOT NULL,
    quarter     BIGINT NOT NULL, -- when it began, microseconds since 1970 UTC
    buyers      BIGINT NOT NULL,
    units       BIGINT NOT NULL,
    value       BIGINT NOT NULL, -- of these units, in the product's currency
    PRIMARY KEY (stockout_id, quarter),
    FOREIGN KEY (stockout_id) REFERENCES stockouts (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
