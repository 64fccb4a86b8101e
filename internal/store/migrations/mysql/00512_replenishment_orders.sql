-- +goose NO TRANSACTION
-- +goose Up
CREATE TABLE IF NOT EXISTS replenishment_orders (
    id          BINARY(16) NOT NULL PRIMARY KEY,
    product_id  BINARY(16) NOT NULL,
    factory_id  BINARY(16) NOT NULL,
    state       VARCHAR(24) NOT NULL CHECK (state IN ('planned', 'awaiting_approval', 'sending', 'unknown', 'accepted',
                    'overdue', 'partly_received', 'held', 'received', 'closed_short')),
    -- An open order occupies one of the product's slots: automatic ones from 0 on,
    -- those by hand from -1 down.
    slot        BIGINT,
    `manual`    SMALLINT NOT NULL DEFAULT 0,
    quantity    BIGINT NOT NULL CHECK (quantity > 0),
    received    BIGINT NOT NULL DEFAULT 0 CHECK (received >= 0),
    outstanding BIGINT NOT NULL CHECK (outstanding >= 0),
    unit_cost   BIGINT NOT NULL,
    attempts    BIGINT NOT NULL DEFAULT 0,
    reason      TEXT NOT NULL,
    held_reason TEXT NOT NULL DEFAULT (''),
    created_at  BIGINT NOT NULL,
    due_at      BIGINT NOT NULL, -- when somebody must look at it next
    expected_at BIGINT,
    closed_at   BIGINT,
    told_in     BINARY(16), -- the digest that told operations of its state
    cause       VARCHAR(16) NOT NULL DEFAULT 'low' CHECK (cause IN ('low', 'import', 'manual')),
    -- Attempts beyond the first that the factory may have accepted; a person who
    -- says "again" raises it.
    reorder_budget BIGINT NOT NULL DEFAULT 1 CHECK (reorder_budget >= 0),
    UNIQUE (product_id, slot),
    CHECK (state NOT IN ('received', 'closed_short') OR (slot IS NULL AND outstanding = 0)),
    KEY orders_due (state, factory_id, due_at),
    KEY orders_product (product_id, id),
    KEY orders_created (created_at),
    KEY orders_state (state, id),
    FOREIGN KEY (product_id) REFERENCES products (id),
    FOREIGN KEY (factory_id) REFERENCES factories (id)
) ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin;
