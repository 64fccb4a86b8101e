-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS products (
    id               BINARY(16) NOT NULL PRIMARY KEY,
    sku              VARCHAR(512) NOT NULL UNIQUE,
    slug             VARCHAR(255) NOT NULL UNIQUE,
    name             TEXT NOT NULL,
    price            BIGINT NOT NULL CHECK (price >= 0),
    unit_cost        BIGINT NOT NULL CHECK (unit_cost >= 0),
    currency         VARCHAR(16) NOT NULL,
    factory_id       BINARY(16),
    advertisement_id BINARY(16),
    opening_stock    BIGINT NOT NULL CHECK (opening_stock >= 0),
    on_hand          BIGINT NOT NULL,
    reserved         BIGINT NOT NULL DEFAULT 0 CHECK (reserved >= 0),
    on_order         BIGINT NOT NULL DEFAULT 0 CHECK (on_order >= 0),
    stockout_id      BINARY(16),
    ordering         VARCHAR(16) NOT NULL CHECK (ordering IN ('auto', 'review', 'off')),
    reorder_point    BIGINT NOT NULL CHECK (reorder_point >= 0),
    order_quantity   BIGINT NOT NULL CHECK (order_quantity >= 0),
    order_up_to      BIGINT NOT NULL CHECK (order_up_to >= 0),
    minimum_order    BIGINT NOT NULL CHECK (minimum_order > 0),
    pack_size        BIGINT NOT NULL CHECK (pack_size > 0),
    maximum_stock    BIGINT NOT NULL CHECK (maximum_stock >= 0),
    max_per_purchase BIGINT NOT NULL CHECK (max_per_purchase > 0),
    resume_level     BIGINT NOT NULL CHECK (resume_level > 0),
    open_orders_max  BIGINT NOT NULL CHECK (open_orders_max > 0),
    created_at       BIGINT NOT NULL,
    snoozed_until    BIGINT,
    daily_limit      BIGINT NOT NULL DEFAULT 0 CHECK (daily_limit >= 0),
    -- Set while an import or a changed policy, and not a sale, made it low.
    low_by_import    SMALLINT NOT NULL DEFAULT 0,
    -- How urgent it is: 0 out of stock, 1 low, 2 on order, 3 healthy. It is written
    -- when it changes, which is seldom, and not at every sale.
    urgency          SMALLINT NOT NULL DEFAULT 3 CHECK (urgency BETWEEN 0 AND 3),
    CHECK (on_hand >= reserved),
    KEY products_advertisement (advertisement_id),
    KEY products_urgency (urgency, sku),
    FOREIGN KEY (factory_id) REFERENCES factories (id),
    FOREIGN KEY (advertisement_id) REFERENCES advertisements (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
