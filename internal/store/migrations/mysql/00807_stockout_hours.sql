-- Who was refused in a stockout, by the hour, at the price of that time.

-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS stockout_hours (
    stockout_id BINARY(16) NOT NULL,
    hour        BIGINT NOT NULL, -- when it began, microseconds since 1970 UTC
    buyers      BIGINT NOT NULL,
    units       BIGINT NOT NULL,
    value       BIGINT NOT NULL, -- of these units, in the product's currency
    PRIMARY KEY (stockout_id, hour),
    FOREIGN KEY (stockout_id) REFERENCES stockouts (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
